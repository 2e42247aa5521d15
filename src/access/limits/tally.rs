//! What one process has admitted under all limits of a key, team, model or provider.
//!
//! Every request is counted in up to eight windows of each of its limiters, on whichever core it runs. What it adds is
//! therefore put down in one place for all of them, a few cache lines; the logs behind it are touched only when something of
//! them gets too old, or a new entry begins.

use std::time::{Duration, Instant};

use super::span::Span;
use super::told::{PLACES, window_of};
use crate::config::limits::WINDOWS;

/// Counts, by the places of their limits.
#[derive(Debug, Default)]
#[repr(C)]
pub struct Tally {
    /// Of which the last entry takes in what is added.
    open: Places,
    /// Before this nothing gets too old, and what is open stays so.
    still_until: Option<Instant>,
    counts: [Count; PLACES.len()],
    logs: [Option<Box<Span>>; PLACES.len()],
}

#[derive(Clone, Copy, Debug, Default)]
struct Count {
    /// What counts in all.
    used: u64,
    /// By how much the last entry of the log is behind.
    fresh: i64,
}

/// Some of the places, as a bit for each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Places(u8);

impl Places {
    /// Those of all limits.
    pub const ALL: Self = Self(u8::MAX);

    /// Those of limits of tokens.
    pub const TOKENS: Self = Self(u8::MAX << WINDOWS.len());

    /// Adds one.
    pub const fn add(&mut self, place: usize) {
        self.0 |= 1 << place;
    }

    /// Takes one out.
    const fn remove(&mut self, place: usize) {
        self.0 &= !(1 << place);
    }

    /// Whether it is one of them.
    pub const fn has(self, place: usize) -> bool {
        self.0 & 1 << place != 0
    }

    /// Those that are in both.
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// One after the other.
    pub fn iter(self) -> impl Iterator<Item = usize> {
        (0..PLACES.len()).filter(move |place| self.has(*place))
    }
}

impl Tally {
    /// Time has passed. Every other call is about the time that was last said here; it never goes back.
    #[inline]
    pub fn pass(&mut self, now: Instant) {
        if self.still_until.is_some_and(|until| until <= now) {
            self.settle_down(now);
        }
    }

    /// What counts for the limit of that place.
    #[inline]
    pub const fn used(&self, place: usize) -> u64 {
        self.counts[place].used
    }

    /// Enters what is admitted.
    #[inline]
    pub fn add(&mut self, place: usize, amount: u64, now: Instant) {
        if !self.open.has(place) {
            self.begin(place, now);
        }
        self.counts[place].change(0, amount);
    }

    /// Puts `used` in the place of `before`, which was added at the time `at`. What counts no more stays as it was.
    #[inline]
    pub fn amend(&mut self, place: usize, at: Instant, before: u64, used: u64) {
        let (count, Some(log)) = (&mut self.counts[place], &mut self.logs[place]) else {
            return;
        };
        if log.is_in_last(at) {
            count.change(before, used);
        } else {
            count.enter(log);
            log.amend(at, before, used);
            count.used = log.counted();
        }
    }

    /// How long it takes until `amount` more are no more than `limit`: None if they are now.
    pub fn wait(
        &mut self,
        place: usize,
        amount: u64,
        limit: u64,
        now: Instant,
    ) -> Option<Duration> {
        self.log(place)?.wait(amount, limit, now)
    }

    /// How long it takes until nothing counts.
    pub fn reset(&mut self, place: usize, now: Instant) -> Duration {
        self.log(place).map_or(Duration::ZERO, |log| log.reset(now))
    }

    /// The log of a place, with all that was added.
    fn log(&mut self, place: usize) -> Option<&mut Span> {
        let log = self.logs[place].as_deref_mut()?;
        self.counts[place].enter(log);
        Some(log)
    }

    /// Begins an entry.
    #[cold]
    fn begin(&mut self, place: usize, now: Instant) {
        let log = self.logs[place].get_or_insert_with(|| Box::new(Span::new(window_of(place))));
        self.counts[place].enter(log);
        log.add(0, now);
        self.open.add(place);
        self.still_until = earlier(self.still_until, log.changes_after(now));
    }

    /// Lets go what is too old, and ends entries that take in no more.
    #[cold]
    fn settle_down(&mut self, now: Instant) {
        self.still_until = None;
        for (place, log) in self.logs.iter_mut().enumerate() {
            let Some(log) = log else { continue };
            let count = &mut self.counts[place];
            count.enter(log);
            count.used = log.used(now);
            if !log.is_open(now) {
                self.open.remove(place);
            }
            self.still_until = earlier(self.still_until, log.changes_after(now));
        }
    }
}

fn earlier(one: Option<Instant>, other: Option<Instant>) -> Option<Instant> {
    one.into_iter().chain(other).min()
}

impl Count {
    const fn change(&mut self, before: u64, now: u64) {
        let by = now.cast_signed().wrapping_sub(before.cast_signed());
        self.used = self.used.saturating_add_signed(by);
        self.fresh = self.fresh.wrapping_add(by);
    }

    /// Brings the log up to date.
    fn enter(&mut self, log: &mut Span) {
        log.change_last(std::mem::take(&mut self.fresh));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[derive(Clone, Debug)]
    enum Step {
        Pass(u64),
        Add(u8, u64),
        /// Amends what the request before so many others has added, to so much.
        Amend(usize, u64),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            // Within a part of a second, within one of an hour, and past both.
            prop_oneof![
                0..2_000_000_u64,
                0..5_000_000_000_u64,
                0..90_000_000_000_u64
            ]
            .prop_map(Step::Pass),
            (1_u8.., 0..1_000_u64).prop_map(|(places, amount)| Step::Add(places, amount)),
            (0..40_usize, 0..2_000_u64).prop_map(|(ago, used)| Step::Amend(ago, used)),
        ]
    }

    proptest! {
        /// What one place for all windows counts is what a log for each counts, whatever is under way meanwhile.
        #[test]
        fn it_counts_what_its_logs_would(steps in prop::collection::vec(step(), 1..400)) {
            let mut now = Instant::now();
            let mut tally = Tally::default();
            let mut logs: Vec<_> = (0..PLACES.len()).map(|place| Span::new(window_of(place))).collect();
            let mut added: Vec<(Instant, Places, u64)> = Vec::new();
            for step in steps {
                match step {
                    Step::Pass(nanoseconds) => now += Duration::from_nanos(nanoseconds),
                    Step::Add(places, amount) => {
                        tally.pass(now);
                        for place in Places(places).iter() {
                            tally.add(place, amount, now);
                            logs[place].used(now);
                            logs[place].add(amount, now);
                        }
                        added.push((now, Places(places), amount));
                    }
                    Step::Amend(ago, used) => {
                        let Some(at) = added.len().checked_sub(ago + 1) else { continue };
                        let (time, places, before) = added[at];
                        added[at].2 = used;
                        for place in places.iter() {
                            tally.amend(place, time, before, used);
                            logs[place].amend(time, before, used);
                        }
                    }
                }
                tally.pass(now);
                for (place, log) in logs.iter_mut().enumerate() {
                    prop_assert_eq!(tally.used(place), log.used(now), "{:?}", PLACES[place]);
                    prop_assert_eq!(tally.reset(place, now), log.reset(now));
                    let wait = tally.wait(place, 500, 2_000, now);
                    prop_assert_eq!(wait, log.wait(500, 2_000, now));
                }
            }
        }
    }
}
