//! How the ledger is doing.

use prometheus::{IntCounter, IntGauge, Registry};

use super::register::{counter, gauge};

/// How the ledger is doing.
pub(super) struct LedgerMetrics {
    waiting: IntGauge,
    stored: IntCounter,
    failures: IntCounter,
    is_behind: IntGauge,
}

/// The same, as the ledger says it.
#[derive(Clone, Copy, Debug, Default)]
pub struct LedgerState {
    /// Rows that are not durable yet.
    pub waiting: usize,
    /// Rows that are.
    pub stored: u64,
    /// Commits that failed.
    pub failures: u64,
    /// Whether commits fail at present.
    pub is_failing: bool,
}

impl LedgerMetrics {
    pub fn new(registry: &Registry) -> Self {
        Self {
            waiting: gauge(
                registry,
                "tollgate_ledger_rows_waiting",
                "Rows that are not durable yet.",
            ),
            stored: counter(
                registry,
                "tollgate_ledger_rows_total",
                "Rows that were made durable.",
            ),
            failures: counter(
                registry,
                "tollgate_ledger_commit_failures_total",
                "Commits that failed; each is tried again.",
            ),
            is_behind: gauge(
                registry,
                "tollgate_ledger_failing",
                "1 while the ledger's store takes no rows.",
            ),
        }
    }

    pub fn stand(&self, state: LedgerState) {
        let waiting = i64::try_from(state.waiting);
        self.waiting.set(waiting.unwrap_or(i64::MAX));
        let count = |counter: &IntCounter, total: u64| {
            counter.inc_by(total.saturating_sub(counter.get()));
        };
        count(&self.stored, state.stored);
        count(&self.failures, state.failures);
        self.is_behind.set(i64::from(state.is_failing));
    }
}
