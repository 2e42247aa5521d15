//! What operators have added to a budget in one of its windows.
//!
//! An adjustment only ever adds to the limit: what was spent stays spent, and what was granted stays granted. All that are known
//! are merged, in any order and as often as they come, with the same result; so replicas need not agree on anything.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use super::page::Page;
use crate::access::state::{NoAnswer, Reply, Script, Value};
use crate::spend::Usd;
use crate::spend::ledger::Change;

static ADJUST: LazyLock<Script> =
    LazyLock::new(|| Script::new("adjust.lua", include_str!("adjust.lua")));

/// What begins the names of their keys in Redis, and of its prompts.
pub const KIND: &str = "adjust";

/// The adjustments of a window, by their ids.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Adjustments(BTreeMap<Arc<str>, Change>);

impl Adjustments {
    /// Adds one, unless it is known. Tells whether it is new.
    pub fn add(&mut self, id: Arc<str>, change: Change) -> bool {
        let before = self.0.len();
        self.0.entry(id).or_insert(change);
        self.0.len() > before
    }

    /// Adds those that are not known. Tells whether there were any.
    pub fn merge(&mut self, others: &Self) -> bool {
        let others = others.0.iter();
        let new = others.filter(|(id, change)| self.add((*id).clone(), **change));
        new.count() > 0
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// What they add to the limit: all raises; and of resets the one that forgives most, since each is about all that was spent.
    pub fn sum(&self) -> Usd {
        let raised = self.0.values().map(|change| match change {
            Change::Raise(amount) => *amount,
            Change::Reset(_) => Usd::ZERO,
        });
        let forgiven = self.0.values().map(|change| match change {
            Change::Raise(_) => Usd::ZERO,
            Change::Reset(spent) => *spent,
        });
        raised.sum::<Usd>() + forgiven.max().unwrap_or_default()
    }

    /// As `adjust.lua` is told of them.
    fn texts(&self) -> impl Iterator<Item = String> {
        let text =
            |change: &Change| format!("{} {}", change.name(), change.amount().nano_rounded_down());
        let adjustments = self.0.iter();
        adjustments.flat_map(move |(id, change)| [id.to_string(), text(change)])
    }

    /// What `adjust.lua` answers. None if it is no such answer.
    fn read(reply: &Reply) -> Option<Self> {
        let mut adjustments = Self::default();
        for pair in reply.chunks(2) {
            let [Value::Text(id), Value::Text(text)] = pair else {
                return None;
            };
            let (name, nano) = text.split_once(' ')?;
            let change = Change::named(name, Usd::from_nano(nano.parse().ok()?))?;
            adjustments.add(id.as_str().into(), change);
        }
        Some(adjustments)
    }
}

impl Page {
    /// The name of the key in Redis that holds what was added here.
    pub fn adjustments_key(&self) -> String {
        format!("{KIND}:{}|{}", self.name, self.window.name)
    }

    /// Tells Redis of the adjustments that are known here, and learns of those that others know. `told` hears whether it
    /// could be; where nothing is shared it is called at once.
    pub fn share_adjustments(self: &Arc<Self>, told: impl FnOnce(bool) + Send + 'static) {
        let Some(distant) = self.distant() else {
            return told(true);
        };
        let key = self.adjustments_key();
        let channel = distant.store().prompts_channel().to_owned();
        let mut arguments = vec![distant.lives().to_string(), channel, key.clone()];
        arguments.extend(self.adjustments().texts());
        let page = self.clone();
        let answered = move |reply: Result<Reply, NoAnswer>| {
            let adjustments = reply.ok().as_ref().and_then(Adjustments::read);
            if let Some(adjustments) = &adjustments {
                page.adjust(adjustments);
            }
            told(adjustments.is_some());
        };
        let store = distant.store();
        store.call(&ADJUST, &key, arguments, Box::new(answered));
    }
}
