//! Portions of budgets: what a process may spend of one, noted before it does. So after a crash it is known how much may have
//! been spent that no row tells of.

use std::sync::Arc;

use crate::spend::Usd;

/// What one process may have spent of a budget in one of its windows, at most.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Portion {
    /// The budget, by a name that stays the same across restarts.
    pub budget: Arc<str>,
    /// The window, by its name.
    pub window: Arc<str>,
    /// All that was spent in the window up to now, and all that may be from here on, at the most.
    pub bound: Usd,
}

/// What is called when a portion is durable, by the ledger's own thread.
pub type Noted = Box<dyn FnOnce() + Send>;

/// Puts a portion in the place of what was noted of its budget and window before.
pub(super) const UPSERT: &str = "INSERT INTO portions (budget, time_window, bound_micro, bound_pico) VALUES ($1, $2, $3, $4)
 ON CONFLICT (budget, time_window) DO UPDATE SET bound_micro = excluded.bound_micro, bound_pico = excluded.bound_pico";

/// Reads all of them: two labels and two numbers.
pub(super) const SELECT: &str = "SELECT budget, time_window, bound_micro, bound_pico FROM portions";
