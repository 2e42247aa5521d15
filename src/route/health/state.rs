//! How targets stand, for operators.

use std::sync::atomic::Ordering;
use std::time::Instant;

use serde::Serialize;

use super::gate::Way;
use super::{Health, Standing, Why};

/// How a target stands.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct State {
    /// Its provider.
    pub provider: String,
    /// Its model there.
    pub model: String,
    /// Its circuit.
    pub circuit: CircuitState,
    /// Why it is left alone, if it is.
    pub why: Option<Why>,
    /// In how many seconds it is tried again, if it is left alone.
    pub retry_after_seconds: Option<f64>,
    /// Calls under way.
    pub in_flight: u32,
    /// Failures since the last answer.
    pub failures_in_row: u32,
    /// The last thing that went wrong.
    pub last_fault: Option<&'static str>,
    /// How long a stream's first token usually takes.
    pub first_token_ms: Option<u64>,
    /// How fast a stream's tokens usually come.
    pub tokens_per_second: Option<f64>,
    /// How often the circuit has opened.
    pub opened_total: u64,
    /// How often it was called again after a failure.
    pub repeats_total: u64,
}

/// How a circuit stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CircuitState {
    /// Calls go through.
    Closed,
    /// None goes through.
    Open,
    /// One at a time may go through to find out, or has.
    HalfOpen,
}

impl Health {
    /// How it stands.
    pub fn state(&self, now: Instant) -> State {
        let readings = self.readings(now);
        let body = self.body.lock();
        let closed = match body.standing(self.account.way(now), now) {
            Standing::Closed(closed) => Some(closed),
            Standing::Well | Standing::Probing => None,
        };
        let gate = &body.circuit.gate;
        State {
            provider: self.provider.to_string(),
            model: self.model.clone(),
            circuit: match gate.way(now) {
                Way::Open => CircuitState::Closed,
                Way::Shut(_) if !gate.is_probed() => CircuitState::Open,
                Way::Shut(_) | Way::Ajar => CircuitState::HalfOpen,
            },
            why: closed.map(|closed| closed.why),
            retry_after_seconds: closed.map(|closed| (closed.until - now).as_secs_f64()),
            in_flight: self.in_flight.load(Ordering::Relaxed),
            failures_in_row: body.circuit.in_row,
            last_fault: body.last_fault,
            first_token_ms: readings.first_token.map(|usual| usual.as_millis() as u64),
            tokens_per_second: readings.tokens_per_second,
            opened_total: body.circuit.opened,
            repeats_total: self.budget.repeats(),
        }
    }
}
