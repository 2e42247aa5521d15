//! What operators see: metrics and logs. May be called from anywhere and calls nobody.
//!
//! Invariant: nothing here waits. A log line goes to a bounded queue, a full queue is counted; metric handles are
//! resolved once, not by label on every request.

mod log;
mod metrics;
mod queue;
mod section;

pub use log::{Level, Log, RequestLine};
pub use metrics::{
    AllowedState, BudgetState, LedgerState, Metrics, Series, StateMetrics, TargetState, UsersState,
};
pub use section::{LogFormat, TelemetrySection};
