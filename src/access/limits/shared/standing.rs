//! How the log of all replicas stood when it was last heard of.

use std::time::{Duration, Instant};

use super::log::Counted;

/// That there is no room is believed for a quarter of a part, and so long at most: others may give back what they do not need.
const FULL_FOR: Duration = Duration::from_millis(50);

/// How the log stood.
#[derive(Debug)]
pub struct Standing {
    /// What counted, in all.
    pub total: u64,
    /// When it was heard.
    pub at: Instant,
    /// When nothing of it counts any more.
    pub reset: Instant,
    /// There was no room.
    full: Option<Full>,
}

/// There was no room for amounts from the one to the other.
#[derive(Debug)]
struct Full {
    least: u64,
    largest: u64,
    until: Instant,
    room: Instant,
    room_largest: Instant,
}

impl Standing {
    /// What an answer says to who needed something, the least and the largest, if anyone did. A part of the window is so long.
    pub fn new(
        counted: &Counted,
        needed: Option<(u64, u64)>,
        part: Duration,
        now: Instant,
    ) -> Self {
        let after = |micros| now + Duration::from_micros(micros);
        let room = after(counted.wait);
        let refused = needed.filter(|_| counted.granted == 0);
        Self {
            total: counted.total,
            at: now,
            reset: after(counted.reset),
            full: refused.map(|(least, largest)| Full {
                least,
                largest,
                until: room.min(now + FULL_FOR.min(part / 4)),
                room,
                room_largest: after(counted.wait_largest),
            }),
        }
    }

    /// How long it takes until there is room for an amount; None where there may be now.
    pub fn wait(&self, amount: u64, now: Instant) -> Option<Duration> {
        let full = self.full.as_ref().filter(|full| now < full.until)?;
        if !(full.least..=full.largest).contains(&amount) {
            return None;
        }
        let is_least = amount == full.least;
        let room = if is_least {
            full.room
        } else {
            full.room_largest
        };
        Some(room.saturating_duration_since(now))
    }

    /// There may be room now.
    pub fn forget_full(&mut self) {
        self.full = None;
    }
}
