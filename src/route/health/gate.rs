//! A gate that is shut for a while, and then lets one in at a time until somebody comes back well.

use std::time::{Duration, Instant};

/// A gate.
#[derive(Debug, Default)]
pub(super) struct Gate {
    shut: Option<Shut>,
    /// When it last shut: who went through before tells nothing of what has come since.
    last: Option<Instant>,
}

#[derive(Debug)]
struct Shut {
    until: Instant,
    /// For how long it shuts, and how long one who went through to see is waited for.
    pause: Duration,
    /// Somebody is through to see.
    is_probed: bool,
}

/// How a gate stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// Whoever comes goes through.
    Open,
    /// One may go through to see.
    Ajar,
    /// Nobody goes through before then, as far as can be said.
    Shut(Instant),
}

/// One who went through a gate.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pass {
    /// When.
    pub sent: Instant,
    /// Whether it was let through to see.
    pub is_probe: bool,
}

/// For how long what was refused is left alone at first; twice as long each time that it is refused again, …
const BENCH: Duration = Duration::from_secs(10);

/// … up to so long.
const BENCH_MAX: Duration = Duration::from_secs(300);

impl Gate {
    /// How it stands.
    pub fn way(&self, now: Instant) -> Way {
        match &self.shut {
            None => Way::Open,
            Some(shut) if now < shut.until => Way::Shut(shut.until),
            Some(shut) if shut.is_probed => Way::Shut(now + shut.pause),
            Some(_) => Way::Ajar,
        }
    }

    /// Goes through, as far as it stands open; who does not heed it goes through all the same, but to see for nobody.
    pub fn enter(&mut self, now: Instant, is_heeded: bool) -> Pass {
        let is_probe = is_heeded && self.way(now) == Way::Ajar;
        if let Some(shut) = &mut self.shut {
            shut.is_probed |= is_probe;
        }
        Pass {
            sent: now,
            is_probe,
        }
    }

    /// Back without having seen anything: another may go.
    pub fn leave(&mut self, pass: Pass) {
        if let Some(shut) = &mut self.shut
            && pass.is_probe
            && self.last < Some(pass.sent)
        {
            shut.is_probed = false;
        }
    }

    /// Back well.
    pub fn open(&mut self, pass: Pass) {
        if !self.is_past(pass) {
            self.shut = None;
        }
    }

    /// Back ill.
    pub fn shut(&mut self, pass: Pass, pause: Duration, now: Instant) {
        if self.is_past(pass) {
            return;
        }
        self.last = Some(now);
        self.shut = Some(Shut {
            until: now + pause,
            pause,
            is_probed: false,
        });
    }

    /// It is known to be well: what was sent before tells nothing any more.
    pub fn reset(&mut self, now: Instant) {
        self.last = Some(now);
        self.shut = None;
    }

    /// Shuts for longer each time.
    pub fn bench(&mut self, pass: Pass, now: Instant) {
        let longer = self.pause().map_or(BENCH, |pause| pause * 2);
        self.shut(pass, longer.min(BENCH_MAX), now);
    }

    /// Whether somebody went through before it was last shut.
    pub fn is_past(&self, pass: Pass) -> bool {
        self.last >= Some(pass.sent)
    }

    /// Whether somebody is through to see.
    pub fn is_probed(&self) -> bool {
        self.shut.as_ref().is_some_and(|shut| shut.is_probed)
    }

    /// For how long it was shut, if it is.
    pub fn pause(&self) -> Option<Duration> {
        self.shut.as_ref().map(|shut| shut.pause)
    }
}
