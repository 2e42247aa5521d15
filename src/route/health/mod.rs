//! How targets fare: whose fault a failure was, who is left alone for it, and when it is tried again.
//!
//! Pure state machines: calls are told with their times, and nothing waits. docs/reliability.md says what users may rely on.

mod account;
mod circuit;
mod cooldown;
mod fault;
mod gate;
mod history;
mod settings;
#[cfg(test)]
mod simulation;
mod state;
#[cfg(test)]
mod tests;
mod wards;

pub use account::Account;
pub use fault::{Fault, Why};
pub use settings::HealthSettings;
pub use state::{CircuitState, State};
pub use wards::Wards;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::hedge::Hedges;
use super::retry::Budget;
use circuit::Circuit;
use cooldown::Cooldown;
use gate::{Gate, Pass, Way};
use history::{History, Latest, Peak};

/// How one target fares: a model of a provider, called with one credential.
#[derive(Debug)]
pub struct Health {
    /// What it may be called again for.
    pub budget: Budget,
    /// How often another may be called beside it.
    pub hedges: Hedges,
    provider: Arc<str>,
    model: String,
    account: Arc<Account>,
    in_flight: AtomicU32,
    body: Mutex<Body>,
}

#[derive(Debug, Default)]
struct Body {
    circuit: Circuit,
    cooldown: Cooldown,
    /// Shut while the provider does not know the model, or does not let us use it.
    bench: Gate,
    /// Refusals of the model in a row.
    refusals: u32,
    /// How long the first byte takes of what is asked for at present.
    latency: Peak,
    /// How long whole answers took of late, and streams to begin.
    latest: [Latest; 2],
    first_token: History,
    /// The time from one token to the next.
    token: History,
    last_fault: Option<&'static str>,
}

/// Whether a target may be called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It may.
    Well,
    /// One call may find out whether it is well again.
    Probing,
    /// It may not.
    Closed(Closed),
}

/// A target that is left alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Closed {
    /// Until then, as far as can be said.
    pub until: Instant,
    /// For this.
    pub why: Why,
}

/// A call to a target. Dropped before it ended it tells nothing but that it is over.
#[derive(Debug)]
#[must_use]
pub struct Entered {
    health: Arc<Health>,
    settings: Option<HealthSettings>,
    sent: Instant,
    passes: Passes,
    first_token: Option<Instant>,
    is_slow: bool,
    has_ended: bool,
}

/// A call is all of these at once.
#[derive(Clone, Copy, Debug)]
struct Passes {
    account: Pass,
    bench: Pass,
    circuit: Pass,
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

/// What is measured of a target, for whoever picks one.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Readings {
    /// Calls under way.
    pub in_flight: u32,
    /// How long an answer takes to begin: goes up at once, comes down slowly, and to nothing where nothing is asked.
    pub latency: Option<Duration>,
    /// How long a stream's first token usually takes.
    pub first_token: Option<Duration>,
    /// How fast a stream's tokens usually come.
    pub tokens_per_second: Option<f64>,
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

// === impl Health ===

impl Health {
    fn new(provider: &Arc<str>, model: &str, account: &Arc<Account>) -> Self {
        Self {
            budget: Budget::default(),
            hedges: Hedges::default(),
            provider: provider.clone(),
            model: model.to_owned(),
            account: account.clone(),
            in_flight: AtomicU32::new(0),
            body: Mutex::default(),
        }
    }

    /// Whether it may be called. Without settings it may always.
    pub fn look(&self, settings: Option<&HealthSettings>, now: Instant) -> Standing {
        match settings {
            Some(_) => self.body.lock().standing(self.account.way(now), now),
            None => Standing::Well,
        }
    }

    /// Calls it. Without settings nothing is in the way.
    ///
    /// # Errors
    /// It is left alone at present, or others are finding out whether it is well.
    pub fn enter(
        self: &Arc<Self>,
        settings: Option<&HealthSettings>,
        now: Instant,
    ) -> Result<Entered, Closed> {
        let is_heeded = settings.is_some();
        let mut body = self.body.lock();
        if is_heeded && let Standing::Closed(closed) = body.standing(Way::Open, now) {
            return Err(closed);
        }
        let account = self.account.enter(now, is_heeded);
        let why = Why::Credential;
        let passes = Passes {
            account: account.map_err(|until| Closed { until, why })?,
            bench: body.bench.enter(now, is_heeded),
            circuit: body.circuit.gate.enter(now, is_heeded),
        };
        drop(body);
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        Ok(Entered {
            health: self.clone(),
            settings: settings.copied(),
            sent: now,
            passes,
            first_token: None,
            is_slow: false,
            has_ended: false,
        })
    }

    /// What so many percent of the latest answers did not take longer than, to begin or in all; None where there were few.
    pub fn latest(&self, stream: bool, percent: u8) -> Option<Duration> {
        self.body.lock().latest[usize::from(stream)].share(percent)
    }

    /// What is measured of it.
    pub fn readings(&self, now: Instant) -> Readings {
        let body = self.body.lock();
        let pace = body.token.usual();
        Readings {
            in_flight: self.in_flight.load(Ordering::Relaxed),
            latency: body.latency.now(now),
            first_token: body.first_token.usual(),
            tokens_per_second: pace.map(|each| 1.0 / each.as_secs_f64().max(1e-9)),
        }
    }
}

// === impl Body ===

impl Body {
    /// How it stands, with how its account does: by what lasts longest.
    fn standing(&self, account: Way, now: Instant) -> Standing {
        let failing = match self.circuit.is_slow {
            true => Why::Slow,
            false => Why::Failing,
        };
        let cooldown = self.cooldown.until(now).map_or(Way::Open, Way::Shut);
        let ways = [
            (account, Why::Credential),
            (self.bench.way(now), Why::Model),
            (cooldown, Why::Limited),
            (self.circuit.gate.way(now), failing),
        ];
        let closed = ways.iter().filter_map(|(way, why)| match *way {
            Way::Shut(until) => Some(Closed { until, why: *why }),
            Way::Open | Way::Ajar => None,
        });
        if let Some(closed) = closed.max_by_key(|closed| closed.until) {
            return Standing::Closed(closed);
        }
        match ways.iter().any(|(way, _)| *way == Way::Ajar) {
            true => Standing::Probing,
            false => Standing::Well,
        }
    }
}

// === impl Standing ===

impl Standing {
    /// When it may be called again; None if it may, be it as a probe.
    pub fn closed_until(self) -> Option<Instant> {
        match self {
            Self::Well | Self::Probing => None,
            Self::Closed(closed) => Some(closed.until),
        }
    }
}

// === impl Entered ===

impl Entered {
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
        {
            body.circuit.begun(self.passes.circuit, settings);
        }
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

    fn well(&self, output_tokens: Option<u64>, now: Instant) {
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
    fn answered(&self, is_slow: bool, now: Instant) {
        let passes = self.passes;
        self.health.account.well(passes.account, now);
        let mut body = self.health.body.lock();
        body.bench.open(passes.bench);
        body.refusals = 0;
        body.cooldown.well(self.sent);
        match is_slow {
            false => body.circuit.well(passes.circuit, now),
            true => {
                body.last_fault = Some("slow");
                body.circuit
                    .failed(passes.circuit, self.settings.as_ref(), true, now);
            }
        }
    }

    fn failed(&self, fault: Fault, now: Instant) {
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
                body.circuit
                    .failed(passes.circuit, self.settings.as_ref(), false, now);
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
