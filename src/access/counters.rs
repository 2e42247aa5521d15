//! What is counted, by the names that it belongs to: so it lives on when the configuration is read again.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock, Weak};

use parking_lot::Mutex;

use super::budgets::{Allowance, Book, Budget, Fund, Owner, Page, Users};
use super::limits::{Forecast, Gauge, KIND, Limit, Limiter, Shared};
use super::state::Store;
use crate::config::limits::Limits;

/// The counts of every name in the configuration. What no configuration in use names any more is forgotten.
#[derive(Default)]
pub struct Counters {
    gauges: Table<Gauge>,
    /// Those of which only so many may run at once.
    concurrent: Table<Gauge>,
    forecasts: Table<Forecast>,
    books: Table<Book>,
    users: Table<Users>,
    /// Where all replicas count, once it is known that they do.
    shared: Arc<OnceLock<Arc<Shared>>>,
}

type Table<T> = Mutex<HashMap<String, Weak<T>>>;

impl Counters {
    /// The limiter of a key, team, model or provider, whose `path` is its name in the configuration, from the outside in; None
    /// where nothing is limited.
    pub fn limiter(&self, kind: &str, path: &[&str], limits: Limits) -> Option<Limiter> {
        if limits.is_none() {
            return None;
        }
        let name = path.last().copied().unwrap_or_default();
        let path = format!("{kind}:{}", path.join("/"));
        let gauge = find(&self.gauges, &path, |path| Gauge::new(path, &self.shared));
        if limits.concurrency.is_some() {
            let mut concurrent = self.concurrent.lock();
            concurrent.insert(path, Arc::downgrade(&gauge));
        }
        Some(Limiter::new(format!("the {kind} `{name}`"), &limits, gauge))
    }

    /// The slots that replicas share, of every limiter that has some.
    pub fn slots(&self) -> Vec<Arc<Page>> {
        let mut concurrent = self.concurrent.lock();
        concurrent.retain(|_, gauge| gauge.strong_count() > 0);
        let gauges = concurrent.values().filter_map(Weak::upgrade);
        gauges.filter_map(|gauge| gauge.slots().cloned()).collect()
    }

    /// From now on limits are counted in a store, by all replicas that share it. Called once, before anything is counted.
    pub fn share(self: &Arc<Self>, store: &Arc<Store>) {
        if self.shared.set(Shared::start(store.clone())).is_err() {
            return;
        }
        let counters = Arc::downgrade(self);
        let told = move |key: &str| {
            if let Some(counters) = counters.upgrade() {
                counters.prompted(key);
            }
        };
        store.on_prompt(KIND, Box::new(told));
    }

    /// Other replicas ask what this one has used of a count, or of any where the name is none.
    fn prompted(&self, key: &str) {
        let gauge = |path: &str| self.gauges.lock().get(path).and_then(Weak::upgrade);
        let Some((path, limit)) = Limit::of_key(key) else {
            let all: Vec<_> = self
                .gauges
                .lock()
                .values()
                .filter_map(Weak::upgrade)
                .collect();
            return all.iter().for_each(Gauge::prompted_of_all);
        };
        match (gauge(path), self.shared.get()) {
            (Some(gauge), _) => gauge.prompted(limit),
            (None, Some(shared)) => shared.deny(key, limit),
            (None, None) => {}
        }
    }

    /// The funds of an owner, each with its book.
    pub fn funds(&self, owner: &Owner, budgets: &[Budget]) -> Vec<Arc<Fund>> {
        let fund = |budget: &Budget| {
            let book = |name: &str| find(&self.books, name, |_| Book::default());
            Arc::new(Fund::new(owner.clone(), budget.clone(), book))
        };
        budgets.iter().map(fund).collect()
    }

    /// What a team grants each of its users, with what is known of them.
    pub fn allowances(
        &self,
        team: &Arc<str>,
        budgets: &[Budget],
        users_max: usize,
    ) -> Vec<Arc<Allowance>> {
        let allowance = |budget: &Budget| {
            let users = |name: &str| find(&self.users, name, |_| Users::default());
            let (team, budget) = (team.clone(), budget.clone());
            Arc::new(Allowance::new(team, budget, users_max, users))
        };
        budgets.iter().map(allowance).collect()
    }

    /// What requests for a model are foretold by.
    pub fn forecast(&self, model: &str) -> Arc<Forecast> {
        find(&self.forecasts, model, |_| Forecast::default())
    }
}

fn find<T>(table: &Table<T>, name: &str, make: impl FnOnce(&str) -> T) -> Arc<T> {
    let mut table = table.lock();
    if let Some(found) = table.get(name).and_then(Weak::upgrade) {
        return found;
    }
    table.retain(|_, counts| counts.strong_count() > 0);
    let counts = Arc::new(make(name));
    table.insert(name.to_owned(), Arc::downgrade(&counts));
    counts
}
