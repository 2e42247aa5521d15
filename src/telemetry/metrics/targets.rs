//! How targets fare.

use prometheus::{GaugeVec, IntCounterVec, Registry};

use super::register::{counters, gauges};

/// How targets fare.
pub(super) struct TargetMetrics {
    circuit: GaugeVec,
    is_healthy: GaugeVec,
    in_flight: GaugeVec,
    first_token: GaugeVec,
    opened: IntCounterVec,
    repeats: IntCounterVec,
}

/// How one target fares.
#[derive(Clone, Debug)]
pub struct TargetState {
    /// `provider/model-name`
    pub target: String,
    /// Its circuit: 0 is closed, 1 half open, 2 open.
    pub circuit: u8,
    /// Whether it may be called.
    pub is_healthy: bool,
    /// Calls under way.
    pub in_flight: u32,
    /// How many seconds a stream's first token usually takes, if that is known.
    pub first_token: Option<f64>,
    /// How often its circuit has opened.
    pub opened: u64,
    /// How often it was called again after a failure.
    pub repeats: u64,
}

impl TargetMetrics {
    pub fn new(registry: &Registry) -> Self {
        let gauges = |name, help| gauges(registry, name, help, &["target"]);
        let counters = |name, help| counters(registry, name, help, &["target"]);
        Self {
            circuit: gauges(
                "tollgate_target_circuit_state",
                "A target's circuit: 0 is closed, 1 half open, 2 open.",
            ),
            is_healthy: gauges(
                "tollgate_target_healthy",
                "0 while a target is left alone: by its circuit, a cooldown or a refusal of its credential or model.",
            ),
            in_flight: gauges("tollgate_target_in_flight", "Calls under way."),
            first_token: gauges(
                "tollgate_target_first_token_seconds",
                "How long a stream's first token usually takes, once that is known.",
            ),
            opened: counters(
                "tollgate_target_opened_total",
                "How often a target's circuit has opened.",
            ),
            repeats: counters(
                "tollgate_target_repeats_total",
                "How often a target was called again for a request that had failed there.",
            ),
        }
    }

    pub fn stand(&self, states: impl Iterator<Item = TargetState>) {
        let Self {
            circuit,
            is_healthy,
            in_flight,
            first_token,
            opened,
            repeats,
        } = self;
        [circuit, is_healthy, in_flight, first_token]
            .into_iter()
            .for_each(GaugeVec::reset);
        [opened, repeats].into_iter().for_each(IntCounterVec::reset);
        for state in states {
            let labels = [state.target.as_str()];
            let set = |gauge: &GaugeVec, value| gauge.with_label_values(&labels).set(value);
            set(circuit, state.circuit.into());
            set(is_healthy, f64::from(u8::from(state.is_healthy)));
            set(in_flight, state.in_flight.into());
            if let Some(seconds) = state.first_token {
                set(first_token, seconds);
            }
            // Others may look at the same time.
            let count = |counters: &IntCounterVec, total: u64| {
                let counter = counters.with_label_values(&labels);
                counter.inc_by(total.saturating_sub(counter.get()));
            };
            count(opened, state.opened);
            count(repeats, state.repeats);
        }
    }
}
