//! A call to a target, and what it tells of how that fares.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::gate::Pass;
use super::{Fault, Health, HealthSettings};

/// A call to a target. Dropped before it ended it tells nothing but that it is over.
#[derive(Debug)]
#[must_use]
pub struct Entered {
    health: Arc<Health>,
    settings: Option<HealthSettings>,
    sent: Instant,
    pub(super) passes: Passes,
    first_token: Option<Instant>,
    is_slow: bool,
    has_ended: bool,
    turn: Option<Turn>,
}

/// What a call did to its target's circuit, for operators to hear.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// It opened it, by this fault.
    Opened(&'static str),
    /// It closed it.
    Closed,
}

/// A call is all of these at once.
#[derive(Clone, Copy, Debug)]
pub(super) struct Passes {
    pub account: Pass,
    pub bench: Pass,
    pub circuit: Pass,
}

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// With a whole answer.
    Well {
        /// How many tokens it had, if that is known.
        output_tokens: Option<u64>,
    },
    /// Without.
    Fault(Fault),
}

/// A first token that is slow is this much later than usual, at least.
const FIRST_TOKEN_FLOOR: Duration = Duration::from_secs(1);

/// A slow stream's tokens come this much later than usual, at least.
const TOKEN_FLOOR: Duration = Duration::from_millis(20);

/// So many tokens tell how fast they come.
const TOKENS_MIN: u64 = 16;

/// So many refusals in a row tell that a model is not there, where it was there a moment ago: callers can name what is not
/// there, too, like files, and shall not close a target to others.
const REFUSALS_MAX: u32 = 3;

impl Entered {
    /// A call that goes through now.
    pub(super) fn new(
        health: Arc<Health>,
        settings: Option<HealthSettings>,
        sent: Instant,
        passes: Passes,
    ) -> Self {
        Self {
            health,
            settings,
            sent,
            passes,
            first_token: None,
            is_slow: false,
            has_ended: false,
            turn: None,
        }
    }

    /// The first token of a stream has come. Only streams tell this: a whole answer's first byte comes with its last.
    pub fn first_token(&mut self, now: Instant) {
        if self.first_token.is_some() {
            return;
        }
        self.first_token = Some(now);
        let after = now.saturating_duration_since(self.sent);
        let mut body = self.health.body.lock();
        body.latency.learn(after, now);
        body.latest[1].learn(after);
        let slow = self.settings.and_then(|settings| settings.slow);
        self.is_slow = body.first_token.learn(after, slow, FIRST_TOKEN_FLOOR);
        if let Some(settings) = &self.settings
            && !self.is_slow
            && body.circuit.begun(self.passes.circuit, settings)
        {
            self.turn = Some(Turn::Closed);
        }
    }

    /// What it did to the circuit, if anything; the last of it.
    pub const fn turn(&self) -> Option<Turn> {
        self.turn
    }

    /// Another target was faster: an answer would have taken longer than this.
    pub fn outrun(&mut self, stream: bool, now: Instant) {
        let after = now.saturating_duration_since(self.sent);
        let mut body = self.health.body.lock();
        body.latency.learn(after, now);
        body.latest[usize::from(stream)].learn(after);
    }

    /// Whether all others wait for how this goes: it should not take long.
    pub const fn is_probe(&self) -> bool {
        self.passes.account.is_probe || self.passes.bench.is_probe || self.passes.circuit.is_probe
    }

    /// It is over. Only the first ending counts.
    pub fn ended(&mut self, ended: Ended, now: Instant) {
        if std::mem::replace(&mut self.has_ended, true) {
            return;
        }
        match ended {
            Ended::Well { output_tokens } => self.well(output_tokens, now),
            Ended::Fault(Fault::Caller) => self.answered(false, now),
            Ended::Fault(fault) => self.failed(fault, now),
        }
        self.leave();
    }

    fn well(&mut self, output_tokens: Option<u64>, now: Instant) {
        let is_slow = match self.first_token {
            Some(first) => {
                self.is_slow
                    | self.is_pace_slow(output_tokens, now.saturating_duration_since(first))
            }
            None => {
                let after = now.saturating_duration_since(self.sent);
                let mut body = self.health.body.lock();
                body.latency.learn(after, now);
                body.latest[0].learn(after);
                false
            }
        };
        self.answered(is_slow, now);
    }

    /// Learns how fast a stream's tokens came, and says whether that was slow.
    fn is_pace_slow(&self, output_tokens: Option<u64>, took: Duration) -> bool {
        let Some(tokens) = output_tokens.filter(|tokens| *tokens >= TOKENS_MIN) else {
            return false;
        };
        let each = took.div_f64(tokens as f64);
        let slow = self.settings.and_then(|settings| settings.slow);
        let mut body = self.health.body.lock();
        body.token.learn(each, slow, TOKEN_FLOOR)
    }

    /// The target has answered, and that is a good sign unless it took very long.
    fn answered(&mut self, is_slow: bool, now: Instant) {
        let passes = self.passes;
        self.health.account.well(passes.account, now);
        let mut body = self.health.body.lock();
        body.bench.open(passes.bench);
        body.refusals = 0;
        body.cooldown.well(self.sent);
        let circuit = &mut body.circuit;
        match is_slow {
            false if circuit.well(passes.circuit, now) => self.turn = Some(Turn::Closed),
            false => {}
            true => {
                if circuit.failed(passes.circuit, self.settings.as_ref(), true, now) {
                    self.turn = Some(Turn::Opened("slow"));
                }
                body.last_fault = Some("slow");
            }
        }
    }

    fn failed(&mut self, fault: Fault, now: Instant) {
        let passes = self.passes;
        let was_well = self.health.account.was_well(now);
        let benches_account = match fault {
            Fault::Credential => true,
            Fault::Forbidden => !was_well,
            _ => false,
        };
        if benches_account {
            self.health.account.bench(passes.account, now);
        }
        let mut body = self.health.body.lock();
        body.last_fault = Some(fault.name());
        match fault {
            Fault::Caller | Fault::Credential => {}
            Fault::Model | Fault::Forbidden => {
                body.refusals = body.refusals.saturating_add(1);
                if !was_well || body.refusals >= REFUSALS_MAX {
                    body.bench.bench(passes.bench, now);
                }
            }
            Fault::Limited { retry_after } => body.cooldown.limited(self.sent, retry_after, now),
            Fault::Failed(_) => {
                let waited = now.saturating_duration_since(self.sent);
                body.latency.fail(waited, now);
                let settings = self.settings.as_ref();
                if body.circuit.failed(passes.circuit, settings, false, now) {
                    self.turn = Some(Turn::Opened(fault.name()));
                }
            }
        }
    }

    /// Gives back the places of a probe.
    fn leave(&self) {
        let passes = self.passes;
        self.health.account.leave(passes.account);
        if passes.bench.is_probe || passes.circuit.is_probe {
            let mut body = self.health.body.lock();
            body.bench.leave(passes.bench);
            body.circuit.gate.leave(passes.circuit);
        }
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        if !self.has_ended {
            self.leave();
        }
        self.health.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}
