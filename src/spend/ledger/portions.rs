//! Portions of budgets: what a process may spend of one, noted before it does. So after a crash it is known how much may have
//! been spent that no row tells of.

use std::sync::Arc;

use super::cells::Cell;
use crate::spend::Usd;

/// What one process may have spent of a budget in one of its windows, at most.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Portion {
    /// The budget, by a name that stays the same across restarts.
    pub budget: Arc<str>,
    /// The window, by its name.
    pub window: Arc<str>,
    /// When the window ends, in milliseconds of Unix time; [`i64::MAX`] of one that does not.
    pub ends_ms: i64,
    /// Which of the replicas that share the ledger; empty where each has its own.
    pub replica: Arc<str>,
    /// All that was spent in the window when this was noted.
    pub settled: Usd,
    /// All that was spent in the window up to now, and all that may be from here on, at the most.
    pub bound: Usd,
}

impl Portion {
    /// The values of [`UPSERT`].
    pub(super) fn cells(&self) -> Vec<Cell<'_>> {
        let labels = [&self.budget, &self.window, &self.replica];
        let labels = labels.map(|label| Cell::Text(Some(label)));
        let amounts = [self.settled, self.bound].map(Usd::split);
        let amounts = amounts.into_iter().flat_map(|(micro, pico)| [micro, pico]);
        let numbers = amounts.chain([self.ends_ms]);
        let numbers = numbers.map(|number| Cell::Int(Some(number)));
        labels.into_iter().chain(numbers).collect()
    }
}

/// Puts a portion in the place of what was noted of its budget, window and replica before.
pub(super) const UPSERT: &str = "INSERT INTO portions
 (budget, time_window, replica, settled_micro, settled_pico, bound_micro, bound_pico, ends_ms)
 VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
 ON CONFLICT (budget, time_window, replica) DO UPDATE SET settled_micro = excluded.settled_micro,
 settled_pico = excluded.settled_pico, bound_micro = excluded.bound_micro, bound_pico = excluded.bound_pico,
 ends_ms = excluded.ends_ms";

/// Reads all of them: three labels and five numbers.
pub(super) const SELECT: &str =
    "SELECT budget, time_window, replica, settled_micro, settled_pico, bound_micro, bound_pico, ends_ms
 FROM portions";

/// Deletes up to so many of those whose windows ended before.
pub(super) const PRUNE: &str =
    "DELETE FROM portions WHERE (budget, time_window, replica) IN (SELECT budget, time_window, replica
 FROM portions WHERE ends_ms < $1 ORDER BY budget, time_window, replica LIMIT $2)";
