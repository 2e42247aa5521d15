//! When a target is left alone, with nothing left open.

use std::time::Duration;

use crate::config::{ScalarOr, units};
use crate::provider::{CircuitSection, HealthSection};

/// When a target is left alone, and when it is tried again.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HealthSettings {
    /// Failures in a row that open the circuit.
    pub open_after: u32,
    /// How often an open one is tried.
    pub probe_every: Duration,
    /// How many times as long as usual is a failure, if any is.
    pub slow: Option<f64>,
}

impl Default for HealthSettings {
    fn default() -> Self {
        Self {
            open_after: 5,
            probe_every: Duration::from_secs(10),
            slow: Some(8.0),
        }
    }
}

impl HealthSettings {
    /// Asks the narrowest section first, field by field. `off`, which is None, holds unless a narrower section says more.
    pub fn resolve(narrowest_first: [Option<&HealthSection>; 3]) -> Option<Self> {
        let said: Vec<_> = narrowest_first.into_iter().flatten().collect();
        if let Some(ScalarOr::Scalar(_)) = said.first() {
            return None;
        }
        let circuits = said.into_iter().map_while(|section| match section {
            ScalarOr::Scalar(_) => None,
            ScalarOr::Collection(circuit) => Some(*circuit),
        });
        let circuit = circuits.fold(CircuitSection::default(), |narrow, wide| CircuitSection {
            open_after: narrow.open_after.or(wide.open_after),
            probe_every: narrow.probe_every.or(wide.probe_every),
            slow: narrow.slow.or(wide.slow),
        });
        let usual = Self::default();
        Some(Self {
            open_after: circuit.open_after.unwrap_or(usual.open_after),
            probe_every: circuit
                .probe_every
                .map_or(usual.probe_every, |units::Duration(pause)| pause),
            slow: circuit.slow.map_or(usual.slow, |factor| factor.0),
        })
    }
}
