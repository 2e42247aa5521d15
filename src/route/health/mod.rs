//! How targets fare: whose fault a failure was, who is left alone for it, and when it is tried again.
//!
//! Pure state machines: calls are told with their times, and nothing waits. docs/reliability.md says what users may rely on.

mod account;
mod circuit;
mod cooldown;
mod entered;
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
pub use entered::{Ended, Entered, Turn};
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
use entered::Passes;
use gate::{Gate, Way};
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

    /// `provider/model-name`
    pub fn name(&self) -> String {
        [&*self.provider, "/", &self.model].concat()
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
        Ok(Entered::new(self.clone(), settings.copied(), now, passes))
    }

    /// An operator knows that it is well: nothing that was sent until now is held against it, nor against its credential.
    pub fn reset(&self, now: Instant) {
        self.account.reset(now);
        let mut body = self.body.lock();
        body.bench.reset(now);
        body.refusals = 0;
        body.cooldown.reset();
        body.circuit.reset(now);
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
