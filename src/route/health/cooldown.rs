//! How long a target that refuses what is too much is left alone.

use std::time::{Duration, Instant};

/// The first cooldown where the target does not say how long; each further one is twice as long.
const FIRST: Duration = Duration::from_secs(1);

/// The longest of these.
const LONGEST: Duration = Duration::from_secs(60);

/// How long a target is believed that says when to come again.
const BELIEVED_MAX: Duration = Duration::from_secs(600);

/// A target's cooldown.
#[derive(Debug, Default)]
pub(super) struct Cooldown {
    last: Option<Last>,
}

#[derive(Clone, Copy, Debug)]
struct Last {
    until: Instant,
    /// When it was last heard of.
    at: Instant,
    /// How long the next one is.
    next: Duration,
}

impl Cooldown {
    /// Until when it lasts.
    pub fn until(&self, now: Instant) -> Option<Instant> {
        let until = self.last?.until;
        (until > now).then_some(until)
    }

    /// A call that was sent at `sent` was too much. Of many that were under way at once only the first is news.
    pub fn limited(&mut self, sent: Instant, retry_after: Option<Duration>, now: Instant) {
        let is_news = self.last.is_none_or(|last| sent > last.at);
        let retry_after = retry_after.filter(|said| !said.is_zero());
        if !is_news && retry_after.is_none() {
            return;
        }
        let next = self.last.map_or(FIRST, |last| last.next);
        let until = now + retry_after.map_or(next, |said| said.min(BELIEVED_MAX));
        let known = self.last.map_or(until, |last| last.until);
        let grows = is_news && retry_after.is_none();
        self.last = Some(Last {
            until: until.max(known),
            at: now,
            next: if grows { (next * 2).min(LONGEST) } else { next },
        });
    }

    /// It is over.
    pub fn reset(&mut self) {
        self.last = None;
    }

    /// A call that was sent at `sent` was not too much.
    pub fn well(&mut self, sent: Instant) {
        self.last.take_if(|last| sent > last.at);
    }
}
