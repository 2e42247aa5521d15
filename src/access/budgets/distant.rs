//! A budget's account in Redis: asks it, tells it anew what is when Redis may have forgotten, and looks what others have.

use std::sync::{Arc, LazyLock, Weak};

use chrono::{DateTime, Utc};
use parking_lot::Mutex;

use super::account::{Answer, Ask, Share, Shares};
use super::kind::Kind;
use super::page::Page;
use super::window::Window;
use crate::access::state::{Era, Holding, NoAnswer, Reply, Script, Store, Value};
use crate::spend::Usd;

static ACCOUNT: LazyLock<Script> =
    LazyLock::new(|| Script::new("account.lua", include_str!("account.lua")));
static SHARES: LazyLock<Script> =
    LazyLock::new(|| Script::new("shares.lua", include_str!("shares.lua")));

static FREE: LazyLock<Script> = LazyLock::new(|| Script::new("free.lua", include_str!("free.lua")));

/// How long an account is kept after its window has ended: by then nobody's clock is in the window any more. And one of slots
/// when no replica has told it anything for so long.
const KEPT_FOR: chrono::TimeDelta = chrono::TimeDelta::days(2);

/// The account of a page.
pub struct Distant {
    store: Arc<Store>,
    kind: Kind,
    key: String,
    /// None for a window without an end.
    expires: Option<DateTime<Utc>>,
    known: Mutex<Known>,
}

/// What the page knows of it.
#[derive(Default)]
struct Known {
    /// The life of Redis that has heard what this replica has.
    told: Option<Arc<str>>,
    /// What everybody had when it was last looked, and when, by Redis's clock.
    shares: Shares,
    looked: Option<DateTime<Utc>>,
}

impl Distant {
    /// The account of a budget in a window, or of slots.
    pub fn new(store: Arc<Store>, kind: Kind, name: &str, window: &Window) -> Self {
        Self {
            store,
            kind,
            key: kind.key(name, window),
            expires: window.end.map(|end| end + KEPT_FOR),
            known: Mutex::default(),
        }
    }

    /// Where the account is.
    pub const fn store(&self) -> &Arc<Store> {
        &self.store
    }

    /// How many milliseconds its keys live; 0 for ever.
    pub fn lives(&self) -> i64 {
        match (self.kind, self.expires) {
            (Kind::Slots, _) => KEPT_FOR.num_milliseconds(),
            (Kind::Money, None) => 0,
            (Kind::Money, Some(expires)) => {
                let left = expires - self.store.now();
                left.num_milliseconds().max(1)
            }
        }
    }

    /// Asks what all others have spent. `told` hears nothing where Redis does not answer, or does not know completely.
    pub fn spent_by_others(&self, told: impl FnOnce(Option<Usd>) + Send + 'static) {
        let replica = self.store.replica().clone();
        self.read_all(move |all| {
            told(all.map(|(_, shares)| {
                let others = shares.iter().filter(|(name, _)| **name != replica);
                others.map(|(_, share)| Usd::from_nano(share.settled)).sum()
            }));
        });
    }

    /// Reads what everybody has, and in which life of Redis. `read` gets nothing where Redis does not answer, or does not know
    /// completely.
    fn read_all(&self, read: impl FnOnce(Option<(String, Shares)>) + Send + 'static) {
        let Some(era) = self.store.era().filter(|era| era.is_settled) else {
            return read(None);
        };
        let answered = move |reply: Result<Reply, NoAnswer>| {
            let all = reply.ok().as_ref().and_then(read_shares);
            read(all.filter(|(run, _)| *run == *era.run));
        };
        self.store
            .call(&SHARES, &self.key, Vec::new(), Box::new(answered));
    }

    /// Has the page told by the store what happens to it.
    pub fn join(&self, page: &Arc<Page>) {
        let page: Weak<dyn Holding> = Arc::downgrade(&(page.clone() as Arc<dyn Holding>));
        self.store.hold(&self.key, page);
    }

    /// What messages count from, so that they are later than those of this replica's lives before.
    pub fn joined(&self) -> u64 {
        self.store.joined()
    }

    /// Puts a question, whose answer the page hears of later.
    pub fn ask(&self, page: &Arc<Page>, ask: Ask) {
        let Some(era) = self.store.era() else {
            return page.lost(&self.store);
        };
        let arguments = self.arguments(&ask, &era);
        let (page, store) = (page.clone(), self.store.clone());
        let answered = move |reply: Result<Reply, NoAnswer>| {
            let answer = reply.ok().and_then(|reply| read(ask.seq, &reply));
            match answer {
                // Another life of Redis than was meant has not been told what others have.
                Some((answer, run)) => page.answered(answer, (run == era.run).then_some(&run)),
                None => page.lost(&store),
            }
        };
        self.store
            .call(&ACCOUNT, &self.key, arguments, Box::new(answered));
    }

    /// Looks what everybody has. What Redis does not know completely teaches nothing.
    pub fn look(&self, page: &Arc<Page>) {
        let (page, now) = (page.clone(), self.store.now());
        self.read_all(move |all| {
            if let (Some(distant), Some((run, shares))) = (page.distant(), all) {
                distant.free(&shares, &run);
                distant.saw(shares, now);
            }
        });
    }

    /// That life of Redis has heard what this replica has.
    pub fn heard_by(&self, run: &Arc<str>) {
        self.known.lock().told = Some(run.clone());
    }

    /// Whether it has.
    pub fn has_told(&self, run: &str) -> bool {
        self.known.lock().told.as_deref() == Some(run)
    }

    /// When it was last looked what everybody has.
    pub fn looked(&self) -> Option<DateTime<Utc>> {
        self.known.lock().looked
    }

    /// Frees what replicas held that have died, if it dies with them. One that was only away says again what it holds.
    fn free(&self, shares: &Shares, run: &str) {
        if !self.kind.dies() {
            return;
        }
        let alive = self.store.alive();
        let is_dead = |(replica, share): &(&Arc<str>, &Share)| {
            let is_alive = |alive: &Vec<Arc<str>>| alive.contains(*replica);
            share.held > 0 && !alive.as_ref().is_none_or(is_alive)
        };
        for (replica, share) in shares.iter().filter(is_dead) {
            let arguments = vec![run.to_owned(), replica.to_string(), share.seq.to_string()];
            // What is not freed now is at the next look.
            self.store
                .call(&FREE, &self.key, arguments, Box::new(|_| {}));
        }
    }

    fn saw(&self, shares: Shares, at: DateTime<Utc>) {
        let mut known = self.known.lock();
        known.shares = shares;
        known.looked = Some(at);
    }

    /// What `account.lua` is called with.
    fn arguments(&self, ask: &Ask, era: &Era) -> Vec<String> {
        let mut arguments = vec![
            era.run.to_string(),
            u8::from(era.is_settled).to_string(),
            self.lives().to_string(),
            self.store.prompts_channel().to_owned(),
            self.key.clone(),
            ask.replica.to_string(),
        ];
        arguments.extend(ask.numbers().iter().map(u64::to_string));
        let known = self.known.lock();
        if known.told.as_ref() != Some(&era.run) {
            let others = known
                .shares
                .iter()
                .filter(|(replica, _)| **replica != ask.replica);
            for (replica, share) in others {
                let numbers = [share.seq, share.settled, share.held];
                arguments.push(replica.to_string());
                arguments.extend(numbers.iter().map(u64::to_string));
            }
        }
        arguments
    }
}

/// The answer of `account.lua` to that message, and which life of Redis gave it.
fn read(seq: u64, reply: &Reply) -> Option<(Answer, Arc<str>)> {
    let [Value::Text(run), numbers @ ..] = &reply[..] else {
        return None;
    };
    let number = |value: &Value| match value {
        Value::Int(number) => u64::try_from(*number).ok(),
        Value::Text(_) => None,
    };
    let numbers: Vec<u64> = numbers.iter().map(number).collect::<Option<_>>()?;
    let [heard, is_open, granted, spent, held] = numbers[..] else {
        return None;
    };
    let answer = Answer {
        seq,
        heard,
        is_open: is_open == 1,
        granted,
        spent,
        held,
    };
    Some((answer, run.as_str().into()))
}

/// The answer of `shares.lua`.
fn read_shares(reply: &Reply) -> Option<(String, Shares)> {
    let [Value::Text(run), shares @ ..] = &reply[..] else {
        return None;
    };
    let read = |pair: &[Value]| {
        let [Value::Text(replica), Value::Text(share)] = pair else {
            return None;
        };
        let mut numbers = share.split(' ').map(str::parse);
        let mut next = || numbers.next()?.ok();
        let (seq, settled, held) = (next()?, next()?, next()?);
        Some((replica.as_str().into(), Share { seq, settled, held }))
    };
    let shares = shares.chunks(2).map(read).collect::<Option<_>>()?;
    Some((run.clone(), shares))
}

impl Holding for Page {
    fn has_told(&self, run: &str) -> bool {
        self.distant().is_none_or(|distant| distant.has_told(run))
    }

    fn looked(&self) -> Option<DateTime<Utc>> {
        // Before its window began nobody had anything.
        self.distant()?.looked().max(Some(self.window.start))
    }

    fn tell(self: Arc<Self>) {
        Page::tell(&self);
    }

    fn recall(self: Arc<Self>) {
        Page::recall(&self);
    }
}
