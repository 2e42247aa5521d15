//! What is known of one limit, and what it comes to as time passes and more is sent.

use std::time::{Duration, Instant};

use super::BELIEVED_MAX;

/// Two ends that are no further apart are of the same window: providers round to seconds.
const SAME_WINDOW: Duration = Duration::from_secs(1);

/// What is known of one limit.
#[derive(Clone, Copy, Debug)]
pub(super) struct Standing {
    pub limit: Option<u64>,
    pub remaining: u64,
    /// From when that is true: the provider looked when the request came, which was not before it was sent.
    pub since: Instant,
    /// When all is there again.
    pub reset: Instant,
    pub is_steady: bool,
    /// What had been sent with and before that request.
    pub mark: u64,
    /// Its number.
    pub number: u64,
    /// The number of the newest request when its answer came.
    pub heard: u64,
}

impl Standing {
    /// When it is known no longer.
    pub fn end(&self) -> Instant {
        self.reset.min(self.since + BELIEVED_MAX)
    }

    /// What is left, when so much was sent in all.
    pub fn left(&self, sent: u64, now: Instant) -> u64 {
        let there = self.remaining.saturating_add(self.refilled(now));
        there.saturating_sub(sent.saturating_sub(self.mark))
    }

    /// What was lacking when the provider looked.
    fn lacking(&self) -> u64 {
        let limit = self.limit.unwrap_or_default();
        limit.saturating_sub(self.remaining)
    }

    /// What has come back since the provider looked.
    fn refilled(&self, now: Instant) -> u64 {
        let whole = self.reset.saturating_duration_since(self.since).as_nanos();
        if !self.is_steady || whole == 0 {
            return 0;
        }
        let passed = now.saturating_duration_since(self.since).as_nanos();
        let lacking = u128::from(self.lacking());
        // No more than what was lacking, which fits.
        (lacking * passed.min(whole) / whole) as u64
    }

    /// When there is room, if there is none now.
    pub fn room(&self, sent: u64, now: Instant) -> Option<Instant> {
        if self.left(sent, now) > 0 {
            return None;
        }
        let lacking = self.lacking();
        let needed = sent.saturating_sub(self.mark) - self.remaining + 1;
        if !self.is_steady || needed >= lacking {
            return Some(self.end());
        }
        let whole = self.reset.saturating_duration_since(self.since).as_nanos();
        let delay = (whole * u128::from(needed)).div_ceil(u128::from(lacking));
        let delay = Duration::from_nanos(u64::try_from(delay).unwrap_or(u64::MAX));
        Some(self.end().min(self.since + delay))
    }

    /// What is known when another answer has come. The later request's says more; of two that were under way at once nobody
    /// knows which came first, but what is left of one window only becomes less.
    pub fn and(self, new: Self) -> Self {
        let apart = match new.reset > self.reset {
            true => new.reset - self.reset,
            false => self.reset - new.reset,
        };
        if new.number <= self.heard && apart <= SAME_WINDOW {
            let (less, more) = match new.remaining < self.remaining {
                true => (new, self),
                false => (self, new),
            };
            return Self {
                mark: less.mark.max(more.mark),
                number: less.number.max(more.number),
                heard: less.heard.max(more.heard),
                ..less
            };
        }
        match new.number < self.number {
            true => self,
            false => new,
        }
    }
}
