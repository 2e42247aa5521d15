//! What one process has admitted under all limits of a key, team, model or provider.
//!
//! Every request is counted in up to eight windows of each of its limiters, on whichever core it runs. What it adds is
//! therefore put down once for all of them, in one cache line; the logs behind it are touched only when something of them gets
//! too old, or a new entry begins.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::shared::Maxima;
use super::span::Span;
use super::told::{PLACES, Tight, UNITS, window_of};
use crate::config::limits::WINDOWS;

/// Counts, by the places of their limits.
///
/// All that was ever added is one number for requests and one for tokens: the count of a window is what of it is not gone. So
/// a request that is added, and one that is amended soon, changes two numbers, however many windows count it.
#[derive(Debug, Default)]
#[repr(C)]
pub struct Tally {
    /// All that was added, of each unit.
    added: [u64; UNITS.len()],
    /// The places of whose logs the last entry takes in what is added.
    open: Places,
    /// Those of which there is a log.
    known: Places,
    /// Before this nothing gets too old, and what is open stays so.
    still_until: Option<Instant>,
    /// What was entered then or later is in the last entry of each known window of the unit; None where nobody knows.
    last_since: [Option<Instant>; UNITS.len()],
    /// Which limits leave least of those that were last asked for; None where others may by now.
    nearest: Option<Nearest>,
    /// What of that counts no more, or never did.
    gone: [u64; PLACES.len()],
    /// How much of it the last entry of the log knows.
    told: [u64; PLACES.len()],
    logs: [Option<Box<Span>>; PLACES.len()],
}

/// Of some limits those that leave least of each unit, where there are any.
#[derive(Debug)]
struct Nearest {
    of: Maxima,
    limits: [Option<Near>; UNITS.len()],
}

#[derive(Clone, Copy, Debug)]
struct Near {
    place: usize,
    max: u64,
    /// What was added when it is reached.
    end: u64,
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

    /// Those of each unit.
    pub const OF_UNITS: [Self; UNITS.len()] = [Self(!Self::TOKENS.0), Self::TOKENS];

    /// Those that are in both.
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Those that are not in the other.
    const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
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
        match self.known.has(place) {
            true => self.added[unit_of(place)].wrapping_sub(self.gone[place]),
            false => 0,
        }
    }

    /// The limits that leave least of each unit, where there are any.
    ///
    /// What is added counts in all windows of its unit alike, so they leave least until something of one of them is gone.
    #[inline]
    pub fn tightest(&mut self, limits: &Maxima) -> [Option<Tight>; UNITS.len()] {
        let nearest = match &self.nearest {
            Some(nearest) if Arc::ptr_eq(&nearest.of, limits) => nearest.limits,
            _ => self.look_for_nearest(limits),
        };
        std::array::from_fn(|unit| {
            let Near { place, max, end } = nearest[unit]?;
            let remaining = end.wrapping_sub(self.added[unit]).cast_signed();
            let remaining = remaining.max(0).cast_unsigned();
            Some(Tight {
                place,
                max,
                remaining,
            })
        })
    }

    #[cold]
    fn look_for_nearest(&mut self, limits: &Maxima) -> [Option<Near>; UNITS.len()] {
        let mut nearest: [Option<Near>; UNITS.len()] = Default::default();
        for (place, max) in limits.iter().copied() {
            let unit = unit_of(place);
            let added = self.added[unit];
            let remaining = |end: u64| end.wrapping_sub(added).cast_signed();
            let end = added.wrapping_sub(self.used(place)).wrapping_add(max);
            if nearest[unit].is_none_or(|near| remaining(end) < remaining(near.end)) {
                nearest[unit] = Some(Near { place, max, end });
            }
        }
        // What is added does not count where nothing was entered yet.
        let are_known = limits.iter().all(|(place, _)| self.known.has(*place));
        self.nearest = are_known.then(|| Nearest {
            of: limits.clone(),
            limits: nearest,
        });
        nearest
    }

    /// Enters what is admitted: so much of each unit, in those windows.
    #[inline]
    pub fn add(&mut self, places: Places, amounts: [u64; UNITS.len()], now: Instant) {
        if self.open != places || self.known != places {
            self.make_ready(places, amounts, now);
        }
        for (added, amount) in self.added.iter_mut().zip(amounts) {
            *added = added.wrapping_add(amount);
        }
    }

    /// Puts `used` in the place of `before`, which was added in those windows at the time `at`. What counts no more stays as it
    /// was.
    #[inline]
    pub fn amend(
        &mut self,
        places: Places,
        at: Instant,
        before: [u64; UNITS.len()],
        used: [u64; UNITS.len()],
    ) {
        for (unit, of_unit) in Places::OF_UNITS.into_iter().enumerate() {
            let those = places.and(of_unit);
            if those == Places::default() {
                continue;
            }
            let is_in_last = self.last_since[unit].is_some_and(|since| since <= at);
            if is_in_last && those == self.known.and(of_unit) {
                let by = used[unit].wrapping_sub(before[unit]);
                self.added[unit] = self.added[unit].wrapping_add(by);
            } else {
                those
                    .iter()
                    .for_each(|place| self.amend_log(place, at, before[unit], used[unit]));
            }
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
        let added = self.added[unit_of(place)];
        let told = std::mem::replace(&mut self.told[place], added);
        log.change_last(added.wrapping_sub(told).cast_signed());
        Some(log)
    }

    /// The count of a place is that of its log.
    fn is_counted(&mut self, place: usize, counted: u64) {
        self.nearest = None;
        self.gone[place] = self.added[unit_of(place)].wrapping_sub(counted);
    }

    /// Begins entries where none is open, and leaves out what else there is a log of.
    #[cold]
    fn make_ready(&mut self, places: Places, amounts: [u64; UNITS.len()], now: Instant) {
        for place in places.without(self.open).iter() {
            self.begin(place, now);
        }
        for place in self.known.without(places).iter() {
            self.nearest = None;
            self.log(place);
            let amount = amounts[unit_of(place)];
            self.gone[place] = self.gone[place].wrapping_add(amount);
            self.told[place] = self.told[place].wrapping_add(amount);
        }
    }

    fn begin(&mut self, place: usize, now: Instant) {
        let unit = unit_of(place);
        if !self.known.has(place) {
            self.known.add(place);
            self.logs[place] = Some(Box::new(Span::new(window_of(place))));
            self.is_counted(place, 0);
        }
        if let Some(log) = self.log(place) {
            log.add(0, now);
            let changes = log.changes_after(now);
            self.still_until = earlier(self.still_until, changes);
        }
        self.open.add(place);
        self.last_since[unit] = Some(now);
    }

    #[cold]
    fn amend_log(&mut self, place: usize, at: Instant, before: u64, used: u64) {
        if let Some(log) = self.log(place) {
            log.amend(at, before, used);
            let counted = log.counted();
            self.is_counted(place, counted);
        }
    }

    /// Lets go what is too old, and ends entries that take in no more.
    #[cold]
    fn settle_down(&mut self, now: Instant) {
        self.still_until = None;
        for place in self.known.iter() {
            let Some(log) = self.log(place) else { continue };
            let counted = log.used(now);
            let (is_open, has_last) = (log.is_open(now), log.is_in_last(now));
            let changes = log.changes_after(now);
            self.is_counted(place, counted);
            self.still_until = earlier(self.still_until, changes);
            if !is_open {
                self.open.remove(place);
            }
            if !has_last {
                self.last_since[unit_of(place)] = None;
            }
        }
    }
}

/// The unit of the limit at that place.
pub const fn unit_of(place: usize) -> usize {
    place / WINDOWS.len()
}

fn earlier(one: Option<Instant>, other: Option<Instant>) -> Option<Instant> {
    one.into_iter().chain(other).min()
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
            // Mostly the same ones.
            (0..1_000_u64).prop_map(|amount| Step::Add(0b0011_0111, amount)),
            (0..1_000_u64).prop_map(|amount| Step::Add(0b0011_0111, amount)),
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
            let mut added: Vec<(Instant, Places, [u64; 2])> = Vec::new();
            let limits: [Maxima; 2] = [
                Arc::new([(0, 20), (1, 100), (2, 1_000), (4, 2_000), (5, 20_000)]),
                Arc::new([(1, 90), (3, 200), (7, 10_000)]),
            ];
            for (at, step) in steps.into_iter().enumerate() {
                match step {
                    Step::Pass(nanoseconds) => now += Duration::from_nanos(nanoseconds),
                    Step::Add(places, amount) => {
                        tally.pass(now);
                        tally.add(Places(places), [1, amount], now);
                        for place in Places(places).iter() {
                            logs[place].used(now);
                            logs[place].add([1, amount][unit_of(place)], now);
                        }
                        added.push((now, Places(places), [1, amount]));
                    }
                    Step::Amend(ago, used) => {
                        let Some(at) = added.len().checked_sub(ago + 1) else { continue };
                        let (time, places, before) = added[at];
                        let used = [used % 3, used];
                        added[at].2 = used;
                        tally.amend(places, time, before, used);
                        for place in places.iter() {
                            let unit = unit_of(place);
                            logs[place].amend(time, before[unit], used[unit]);
                        }
                    }
                }
                tally.pass(now);
                // The same ones for a while.
                let limits = &limits[at / 40 % 2];
                for (unit, tightest) in tally.tightest(limits).into_iter().enumerate() {
                    let of_unit = limits.iter().filter(|(place, _)| unit_of(*place) == unit);
                    let left = of_unit.map(|(place, max)| max.saturating_sub(logs[*place].used(now)));
                    prop_assert_eq!(tightest.map(|limit| limit.remaining), left.min());
                    prop_assert!(tightest.is_none_or(|limit| limits.contains(&(limit.place, limit.max))));
                }
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
