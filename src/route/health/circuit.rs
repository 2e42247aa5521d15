//! A circuit: a gate that failures shut.

use std::time::{Duration, Instant};

use super::gate::{Gate, Pass};
use super::settings::HealthSettings;

/// Failures of one in two calls open a circuit, too, if there were so many calls: a target that fails more often than not
/// seldom fails many times in a row, …
const CALLS_MIN: u32 = 20;

/// … of this last span, and of the one before.
const SPAN: Duration = Duration::from_secs(5);

/// A target's circuit.
#[derive(Debug, Default)]
pub(super) struct Circuit {
    pub gate: Gate,
    /// Failures in a row.
    pub in_row: u32,
    /// How often it has opened.
    pub opened: u64,
    /// Whether the failure that opened it was that an answer was slow.
    pub is_slow: bool,
    tally: Tally,
}

/// What came of the calls of the last seconds.
#[derive(Debug, Default)]
struct Tally {
    now: Span,
    before: Span,
    began: Option<Instant>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Span {
    calls: u32,
    failures: u32,
}

impl Circuit {
    /// A call ended well. Tells whether that closed it.
    pub fn well(&mut self, pass: Pass, now: Instant) -> bool {
        if self.gate.is_past(pass) {
            return false;
        }
        let was_open = self.gate.pause().is_some();
        self.gate.open(pass);
        self.in_row = 0;
        self.tally.count(false, now);
        was_open
    }

    /// The answer to a probe has begun: others may go. But one failure more opens it again, until an answer has also ended well.
    /// Tells whether that closed it.
    pub fn begun(&mut self, pass: Pass, settings: &HealthSettings) -> bool {
        let closes = pass.is_probe && !self.gate.is_past(pass);
        if closes {
            self.gate.open(pass);
            self.in_row = settings.open_after - 1;
        }
        closes
    }

    /// It is known to be well.
    pub fn reset(&mut self, now: Instant) {
        self.gate.reset(now);
        self.in_row = 0;
        self.tally = Tally::default();
    }

    /// A call failed. Tells whether that opened it, where it was closed.
    pub fn failed(
        &mut self,
        pass: Pass,
        settings: Option<&HealthSettings>,
        is_slow: bool,
        now: Instant,
    ) -> bool {
        if self.gate.is_past(pass) {
            return false;
        }
        self.in_row = self.in_row.saturating_add(1);
        self.tally.count(true, now);
        let Some(settings) = settings else {
            return false;
        };
        let is_open = self.gate.pause().is_some();
        let opens = match is_open {
            true => pass.is_probe,
            false => self.in_row >= settings.open_after || self.tally.is_bad(),
        };
        if opens {
            self.gate.shut(pass, settings.probe_every, now);
            self.is_slow = is_slow;
            self.opened += u64::from(!is_open);
            self.tally = Tally::default();
        }
        opens && !is_open
    }
}

impl Tally {
    fn count(&mut self, is_failure: bool, now: Instant) {
        let age = self.began.map(|began| now.saturating_duration_since(began));
        if age.is_none_or(|age| age >= SPAN) {
            let is_next = age.is_some_and(|age| age < 2 * SPAN);
            self.before = if is_next { self.now } else { Span::default() };
            self.now = Span::default();
            self.began = Some(now);
        }
        self.now.calls += 1;
        self.now.failures += u32::from(is_failure);
    }

    /// Whether half of the calls failed, and there were enough to say so.
    fn is_bad(&self) -> bool {
        let calls = self.now.calls + self.before.calls;
        let failures = self.now.failures + self.before.failures;
        calls >= CALLS_MIN && failures * 2 >= calls
    }
}
