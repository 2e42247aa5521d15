//! How much is used in the life of a lease.

use std::time::{Duration, Instant};

/// What was used in the present stretch of time, and in the one before it.
#[derive(Debug)]
pub struct Pace {
    stretch: Duration,
    began: Option<Instant>,
    before: u64,
    present: u64,
}

impl Pace {
    /// Nothing was used yet.
    pub const fn new(stretch: Duration) -> Self {
        Self {
            stretch,
            began: None,
            before: 0,
            present: 0,
        }
    }

    /// Something is used.
    pub fn add(&mut self, amount: u64, now: Instant) {
        self.recent(now);
        self.present += amount;
    }

    /// When the present stretch ends.
    pub fn changes(&self) -> Option<Instant> {
        Some(self.began? + self.stretch)
    }

    /// The more of the two.
    pub fn recent(&mut self, now: Instant) -> u64 {
        let began = *self.began.get_or_insert(now);
        let since = now.saturating_duration_since(began);
        if since >= self.stretch {
            let is_next = since < 2 * self.stretch;
            self.before = if is_next { self.present } else { 0 };
            self.present = 0;
            self.began = Some(if is_next { began + self.stretch } else { now });
        }
        self.before.max(self.present)
    }
}
