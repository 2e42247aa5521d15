//! What this replica holds of the shared state: Redis is told of it anew when it may have forgotten.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use chrono::{DateTime, Utc};

use super::members::Looked;

/// Something of which replicas have shares.
pub trait Holding: Send + Sync {
    /// Whether that life of Redis has heard what this replica has.
    fn has_told(&self, run: &str) -> bool;

    /// Tells it.
    fn tell(self: Arc<Self>);

    /// When it was last looked what all have, by Redis's clock.
    fn looked(&self) -> Option<DateTime<Utc>>;

    /// Others lack what may lie idle here.
    fn recall(self: Arc<Self>);
}

/// All of them, by the names of their keys.
#[derive(Default)]
pub(super) struct Holdings(HashMap<String, Weak<dyn Holding>>);

impl Holdings {
    pub fn add(&mut self, name: &str, holding: Weak<dyn Holding>) {
        // Now and then those go that nobody has any more.
        if self.0.len() == self.0.capacity() {
            self.0.retain(|_, holding| holding.strong_count() > 0);
        }
        self.0.insert(name.to_owned(), holding);
    }

    pub fn get(&self, name: &str) -> Option<Arc<dyn Holding>> {
        self.0.get(name)?.upgrade()
    }

    pub fn all(&self) -> Vec<Arc<dyn Holding>> {
        self.0.values().filter_map(Weak::upgrade).collect()
    }
}

/// If that life of Redis has heard of all holdings: when it was last looked at all of them.
pub(super) fn looked(holdings: &[Arc<dyn Holding>], run: &str) -> Option<Looked> {
    let have_told = holdings.iter().all(|holding| holding.has_told(run));
    let earliest = || {
        let looked = holdings.iter().map(|holding| holding.looked());
        looked.min().flatten()
    };
    have_told.then(|| Looked(earliest()))
}
