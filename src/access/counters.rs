//! What is counted, by the names that it belongs to: so it lives on when the configuration is read again.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;

use super::budgets::{Book, Budget, Fund, Owner};
use super::limits::{Forecast, Gauge, Limiter};
use crate::config::limits::Limits;

/// The counts of every name in the configuration. What no configuration in use names any more is forgotten.
#[derive(Default)]
pub struct Counters {
    gauges: Table<Gauge>,
    forecasts: Table<Forecast>,
    books: Table<Book>,
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
        Some(Limiter {
            whose: format!("the {kind} `{name}`"),
            limits,
            gauge: find(&self.gauges, &format!("{kind}:{}", path.join("/"))),
        })
    }

    /// The funds of an owner, each with its book.
    pub fn funds(&self, owner: &Owner, budgets: &[Budget]) -> Vec<Arc<Fund>> {
        let fund = |budget: &Budget| {
            let book = |name: &str| find(&self.books, name);
            Arc::new(Fund::new(owner.clone(), budget.clone(), book))
        };
        budgets.iter().map(fund).collect()
    }

    /// What requests for a model are foretold by.
    pub fn forecast(&self, model: &str) -> Arc<Forecast> {
        find(&self.forecasts, model)
    }
}

fn find<T: Default>(table: &Table<T>, name: &str) -> Arc<T> {
    let mut table = table.lock();
    if let Some(found) = table.get(name).and_then(Weak::upgrade) {
        return found;
    }
    table.retain(|_, counts| counts.strong_count() > 0);
    let counts = Arc::<T>::default();
    table.insert(name.to_owned(), Arc::downgrade(&counts));
    counts
}
