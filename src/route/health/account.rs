//! A provider's credential: what all targets have in common that are called with it.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::gate::{Gate, Pass, Way};

/// So long a good answer shows that its credential is good.
const RECENT: Duration = Duration::from_secs(60);

/// A credential of a provider. While it is not benched, calls ask atomics alone.
#[derive(Debug)]
pub struct Account {
    gate: Mutex<Gate>,
    /// Whether the gate is shut. Only who holds it changes this.
    is_benched: AtomicBool,
    start: Instant,
    /// When it was last answered well, in milliseconds since the start, and one; 0 for never.
    well: AtomicU64,
}

impl Default for Account {
    fn default() -> Self {
        Self {
            gate: Mutex::default(),
            is_benched: AtomicBool::new(false),
            start: Instant::now(),
            well: AtomicU64::new(0),
        }
    }
}

impl Account {
    pub(super) fn way(&self, now: Instant) -> Way {
        match self.is_benched.load(Ordering::Acquire) {
            true => self.gate.lock().way(now),
            false => Way::Open,
        }
    }

    /// Goes through unless it is shut, or all the same.
    pub(super) fn enter(&self, now: Instant, is_heeded: bool) -> Result<Pass, Instant> {
        if self.is_benched.load(Ordering::Acquire) {
            let mut gate = self.gate.lock();
            return match gate.way(now) {
                Way::Shut(until) if is_heeded => Err(until),
                _ => Ok(gate.enter(now, is_heeded)),
            };
        }
        Ok(Pass {
            sent: now,
            is_probe: false,
        })
    }

    pub(super) fn leave(&self, pass: Pass) {
        if pass.is_probe {
            self.gate.lock().leave(pass);
        }
    }

    pub(super) fn well(&self, pass: Pass, now: Instant) {
        self.well.store(self.millis(now), Ordering::Relaxed);
        if self.is_benched.load(Ordering::Acquire) {
            let mut gate = self.gate.lock();
            gate.open(pass);
            self.note(&gate);
        }
    }

    pub(super) fn bench(&self, pass: Pass, now: Instant) {
        let mut gate = self.gate.lock();
        gate.bench(pass, now);
        self.note(&gate);
    }

    /// The credential is known to be good.
    pub(super) fn reset(&self, now: Instant) {
        let mut gate = self.gate.lock();
        gate.reset(now);
        self.note(&gate);
    }

    /// Whether the credential was good a moment ago.
    pub(super) fn was_well(&self, now: Instant) -> bool {
        let well = self.well.load(Ordering::Relaxed);
        let age = self.millis(now).saturating_sub(well);
        well > 0 && u128::from(age) < RECENT.as_millis()
    }

    fn note(&self, gate: &Gate) {
        let is_benched = gate.pause().is_some();
        self.is_benched.store(is_benched, Ordering::Release);
    }

    fn millis(&self, now: Instant) -> u64 {
        let age = now.saturating_duration_since(self.start).as_millis();
        u64::try_from(age).unwrap_or(u64::MAX - 1) + 1
    }
}
