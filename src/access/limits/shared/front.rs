//! What requests take from a lease while nothing else is to be done: a few numbers in one place, which the lease has lent.
//!
//! While a front lasts nobody waits, nothing ends, and nothing is to be asked; what was taken is entered in the lease when it
//! is taken back. So a request does what a lease would do for it, without touching most of one.

use std::time::Instant;

use super::lease::{Source, Taken};

/// What was lent, and what was taken of it.
#[derive(Clone, Copy, Debug)]
pub struct Front {
    /// Since when it lasts, …
    pub since: Instant,
    /// … and until when at most.
    pub until: Instant,
    /// The limit that it was lent under.
    pub limit: u64,
    /// The portion that it is of, by its part and the lease's epoch.
    pub part: u64,
    pub epoch: u64,
    /// What may still be taken.
    pub room: u64,
    /// What was; less than nothing where more came back of what had been taken just before.
    pub taken: i64,
    /// What is left of the limit, …
    pub remaining: u64,
    /// … and when nothing of it will be used.
    pub reset: Instant,
}

impl Front {
    /// Whether so much may be taken under this limit.
    pub fn has(&self, amount: u64, limit: u64, now: Instant) -> bool {
        self.lasts(limit, now) && amount <= self.room
    }

    /// Whether what it knows of this limit is still so.
    pub fn lasts(&self, limit: u64, now: Instant) -> bool {
        limit == self.limit && now < self.until
    }

    /// Takes so much, if that is there.
    pub fn take(&mut self, amount: u64, now: Instant) -> Option<Taken> {
        if amount > self.room || self.until <= now {
            return None;
        }
        self.was_taken(amount.cast_signed());
        Some(Taken {
            at: now,
            amount,
            source: self.source(),
        })
    }

    /// Where it is taken from.
    pub const fn source(&self) -> Source {
        Source::Granted {
            part: self.part,
            epoch: self.epoch,
        }
    }

    /// So much was taken elsewhere, or less than nothing.
    pub const fn was_taken(&mut self, amount: i64) {
        self.room = self.room.saturating_add_signed(-amount);
        self.taken = self.taken.saturating_add(amount);
        self.remaining = self.remaining.saturating_add_signed(-amount);
    }

    /// A request has used no more than what it took here, or of the same portion just when this was lent. Tells whether that was
    /// so. It may be late: as long as the front has not been taken back, nothing has come of its end.
    pub fn settle(&mut self, taken: &Taken, used: u64) -> bool {
        let is_of_it = self.since <= taken.at && taken.source == self.source();
        let is_settled = is_of_it && used <= taken.amount;
        if is_settled {
            self.was_taken(used.cast_signed() - taken.amount.cast_signed());
        }
        is_settled
    }
}
