//! How the shared state is doing.

use prometheus::{Histogram, IntCounter, IntGauge, Registry};

use super::register::{counters, gauge, histogram};

/// Upper bounds in seconds: a Redis nearby answers within a millisecond, and none is waited for for longer than half a second.
const BUCKETS: &[f64] = &[
    0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5,
];

/// How the shared state is doing, for its own thread to put down. Cheap to clone.
#[derive(Clone)]
pub struct StateMetrics {
    is_up: IntGauge,
    ok: IntCounter,
    lost: IntCounter,
    refused: IntCounter,
    duration: Histogram,
}

impl StateMetrics {
    pub(super) fn new(registry: &Registry) -> Self {
        let calls = counters(
            registry,
            "tollgate_state_calls_total",
            "Calls to the shared state by their result: ok, lost or refused.",
            &["result"],
        );
        Self {
            is_up: gauge(
                registry,
                "tollgate_state_up",
                "1 while the shared state is reached.",
            ),
            ok: calls.with_label_values(&["ok"]),
            lost: calls.with_label_values(&["lost"]),
            refused: calls.with_label_values(&["refused"]),
            duration: histogram(
                registry,
                "tollgate_state_call_duration_seconds",
                "From a call to the shared state to its answer.",
                BUCKETS,
            ),
        }
    }

    /// Whether it is reached.
    pub fn up(&self, is_up: bool) {
        self.is_up.set(i64::from(is_up));
    }

    /// A call was answered after so many seconds.
    pub fn answered(&self, seconds: f64) {
        self.ok.inc();
        self.duration.observe(seconds);
    }

    /// A call was not answered.
    pub fn lost(&self) {
        self.lost.inc();
    }

    /// A call was answered with an error.
    pub fn refused(&self) {
        self.refused.inc();
    }
}
