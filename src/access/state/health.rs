//! Whether Redis can be reached, told once per change.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::section::Location;
use crate::telemetry::{Level, Log, StateMetrics};

pub(super) struct Health {
    is_up: AtomicBool,
    /// Why it is not, and None while it is.
    trouble: Mutex<Option<String>>,
    location: String,
    /// When a refused script was last told of.
    refused: Mutex<Option<Instant>>,
    pub metrics: StateMetrics,
    log: Log,
}

/// A Redis that cannot write refuses every script; the metric counts them.
const REFUSALS_TOLD_EVERY: Duration = Duration::from_secs(10);

impl Health {
    /// Down, for no reason yet.
    pub fn new(location: &Location, metrics: StateMetrics, log: Log) -> Self {
        Self {
            is_up: AtomicBool::new(false),
            trouble: Mutex::new(Some("not connected yet".to_owned())),
            location: location.to_string(),
            refused: Mutex::new(None),
            metrics,
            log,
        }
    }

    pub fn is_up(&self) -> bool {
        self.is_up.load(Ordering::Acquire)
    }

    /// What keeps us from it.
    pub fn trouble(&self) -> Option<String> {
        self.trouble.lock().clone()
    }

    pub fn up(&self) {
        *self.trouble.lock() = None;
        self.is_up.store(true, Ordering::Release);
        self.metrics.up(true);
        let fields = [("redis", self.location.as_str())];
        self.log.event(Level::Info, "state store reached", &fields);
    }

    pub fn down(&self, reason: &str) {
        let was_up = self.is_up.swap(false, Ordering::AcqRel);
        self.metrics.up(false);
        let before = self.trouble.lock().replace(reason.to_owned());
        if before.as_deref() == Some(reason) {
            return;
        }
        let fields = [("redis", self.location.as_str()), ("error", reason)];
        match was_up {
            true => self.log.event(Level::Error, "state store lost", &fields),
            false => self
                .log
                .event(Level::Warn, "state store not reached", &fields),
        }
    }

    /// Redis has answered a script with an error: a mistake in it, or a Redis that cannot write.
    pub fn refused(&self, script: &str, reason: &str) {
        let mut refused = self.refused.lock();
        if refused.is_some_and(|told| told.elapsed() < REFUSALS_TOLD_EVERY) {
            return;
        }
        *refused = Some(Instant::now());
        let fields = [("script", script), ("error", reason)];
        let message = "the state store refuses a script";
        self.log.event(Level::Error, message, &fields);
    }

    /// Whoever was prompted has ended in a bug of ours.
    pub fn bug(&self, prompt: &str) {
        let fields = [("prompt", prompt)];
        let message = "a prompt of the state store ended in a bug";
        self.log.event(Level::Error, message, &fields);
    }
}
