//! What providers say of their limits.

use prometheus::{GaugeVec, Registry};

use super::register::gauges;

/// The labels of a provider's limit.
const LABELS: [&str; 3] = ["provider", "model", "unit"];

/// What providers say of their limits.
pub(super) struct AllowedMetrics {
    limit: GaugeVec,
    remaining: GaugeVec,
}

/// What a provider says of one limit.
#[derive(Clone, Debug)]
pub struct AllowedState {
    /// Whose it is.
    pub provider: String,
    /// The model that it is for, as the provider knows it.
    pub model: String,
    /// Of what it is.
    pub unit: &'static str,
    /// All of it, if that is known.
    pub limit: Option<u64>,
    /// What is left.
    pub remaining: u64,
}

impl AllowedMetrics {
    pub fn new(registry: &Registry) -> Self {
        Self {
            limit: gauges(
                registry,
                "tollgate_provider_ratelimit_limit",
                "The limit that the provider says it has, while it is gone by.",
                &LABELS,
            ),
            remaining: gauges(
                registry,
                "tollgate_provider_ratelimit_remaining",
                "What is left of that limit, less what was sent since the provider said so.",
                &LABELS,
            ),
        }
    }

    /// Of several keys what the one says that has most.
    pub fn stand(&self, states: impl Iterator<Item = AllowedState>) {
        let Self { limit, remaining } = self;
        [limit, remaining].into_iter().for_each(GaugeVec::reset);
        for state in states {
            let labels = [state.provider.as_str(), &state.model, state.unit];
            let told = [(limit, state.limit), (remaining, Some(state.remaining))];
            for (gauges, value) in told {
                let Some(value) = value else { continue };
                let gauge = gauges.with_label_values(&labels);
                gauge.set(gauge.get().max(value as f64));
            }
        }
    }
}
