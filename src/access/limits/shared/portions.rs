//! What was granted to a replica and may be used until it ends.

use std::time::Instant;

/// Portions, those that were granted first first. There are two or three: a lease is short.
#[derive(Debug, Default)]
pub struct Portions(Vec<Portion>);

/// What is left of one grant.
#[derive(Debug)]
pub struct Portion {
    /// The part of the log under which it counts.
    pub part: u64,
    /// What is left of it.
    pub left: u64,
    /// When it ends.
    pub until: Instant,
}

impl Portions {
    /// Adds what was granted.
    pub fn add(&mut self, portion: Portion) {
        self.0.push(portion);
    }

    /// One that has so much.
    pub fn with(&mut self, amount: u64) -> Option<&mut Portion> {
        self.0.iter_mut().find(|portion| portion.left >= amount)
    }

    /// The part of the one that has most, and what is left of it.
    pub fn largest(&self) -> Option<(u64, u64)> {
        let all = self.0.iter().map(|portion| (portion.part, portion.left));
        all.max_by_key(|(_, left)| *left)
            .filter(|(_, left)| *left > 0)
    }

    /// Takes out of what was granted until a part, or puts back what had been.
    pub fn take(&mut self, part: u64, amount: i64) {
        let mut left = amount;
        for portion in self.0.iter_mut().filter(|portion| portion.part == part) {
            let taken = left.min(portion.left.cast_signed());
            portion.left = portion.left.saturating_add_signed(-taken);
            left -= taken;
        }
    }

    /// When the first of them ends.
    pub fn ends(&self) -> Option<Instant> {
        self.0.iter().map(|portion| portion.until).min()
    }

    /// When the last of them ends.
    pub fn last_ends(&self) -> Option<Instant> {
        self.0.iter().map(|portion| portion.until).max()
    }

    /// What is left in all.
    pub fn left(&self) -> u64 {
        self.0.iter().map(|portion| portion.left).sum()
    }

    /// What is left of those that last beyond a time.
    pub fn left_beyond(&self, time: Instant) -> u64 {
        let lasting = self.0.iter().filter(|portion| time < portion.until);
        lasting.map(|portion| portion.left).sum()
    }

    /// Whether there are none.
    pub const fn is_none(&self) -> bool {
        self.0.is_empty()
    }

    /// Puts something back that was granted until a part. Tells whether it can still be used.
    pub fn put_back(&mut self, part: u64, amount: u64, now: Instant) -> bool {
        let is_it = |portion: &&mut Portion| portion.part == part && now < portion.until;
        let portion = self.0.iter_mut().find(is_it);
        portion.map(|portion| portion.left += amount).is_some()
    }

    /// Takes out those that have ended.
    pub fn ended(&mut self, now: Instant) -> impl Iterator<Item = Portion> {
        self.0.extract_if(.., move |portion| portion.until <= now)
    }

    /// Takes out all.
    pub fn all(&mut self) -> impl Iterator<Item = Portion> {
        self.0.drain(..)
    }
}
