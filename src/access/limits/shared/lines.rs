//! The lines of a gauge, one for each window that it counts with other replicas, and what requests take from of all at once.
//!
//! A request is counted in up to eight windows of each of its limiters, on whichever core it runs, and a lease is large. So
//! while no lease of a gauge has anything to do but to be taken from, requests meet only its [`Till`]: a few numbers in one
//! place. Whoever needs a lease itself closes that first, and finds in the lease all that was taken.
//!
//! Requests overlap: most end under a later till than the one that they took from. What those have used is for the leases to
//! know, but that is not worth closing a till for: it waits until the till closes.

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Instant;

use super::super::tally::{Places, unit_of};
use super::super::told::{PLACES, Tight, UNITS};
use super::front::Front;
use super::lease::{Source, Taken};
use super::line::Line;

/// How much each limit of a window is, by its place.
pub type Maxima = Arc<[(usize, u64)]>;

/// Where a request has taken of each window from, by its place.
pub type Sources = Arc<[(usize, Source)]>;

/// What a request has taken of all windows of a gauge.
#[derive(Debug)]
pub struct Took {
    /// When.
    pub at: Instant,
    /// How much of each unit.
    pub amounts: [u64; UNITS.len()],
    /// Where from.
    pub sources: Sources,
}

impl Took {
    /// What was taken under each of the limits at those places.
    pub fn of(&self, those: Places) -> impl Iterator<Item = (usize, Taken)> {
        let sources = self.sources.iter().copied();
        sources
            .filter(move |(place, _)| those.has(*place))
            .map(|(place, source)| {
                let taken = Taken {
                    at: self.at,
                    amount: self.amounts[unit_of(place)],
                    source,
                };
                (place, taken)
            })
    }
}

/// The lines of a gauge, and its till.
///
/// What every request changes of them stands at the beginning, with what else it changes of its gauge; what it only reads stands
/// apart, where no core takes it from another, and what comes late behind that.
#[derive(Debug, Default)]
#[repr(C)]
pub struct Lines {
    /// What was taken of each unit at the till, or given back of what had been taken before; 0 while it is closed.
    taken: [i32; UNITS.len()],
    rest: Option<Box<Rest>>,
}

#[derive(Debug, Default)]
#[repr(C)]
struct Rest {
    /// Present while the till is open.
    terms: Option<Terms>,
    /// The lines by their places, each made when it is first needed.
    all: [Option<Box<Line>>; PLACES.len()],
    /// What has ended meanwhile and was taken before that, [`LATE_MAX`] at most.
    late: Vec<Late>,
}

/// What was lent by the fronts of leases of a gauge, to be taken from in one place.
#[derive(Debug)]
pub struct Till<'a> {
    terms: &'a Terms,
    taken: &'a mut [i32; UNITS.len()],
}

/// A request that has used so much of each unit, of what it took before a till was opened, or more than it took: to be settled
/// under the limits at those places.
#[derive(Debug)]
struct Late {
    took: Took,
    those: Places,
    used: [u64; UNITS.len()],
}

/// So many wait for a till to close; the next one closes it. Meanwhile what they did not use is not told to be left.
const LATE_MAX: usize = 64;

/// What a till was opened with.
#[derive(Debug)]
struct Terms {
    /// Until when it lasts.
    until: Instant,
    /// What was there of each unit.
    units: [Option<Unit>; UNITS.len()],
    /// The limits that it was lent under.
    maxima: Maxima,
    sources: Sources,
}

/// What was there of requests, or of tokens.
#[derive(Clone, Copy, Debug)]
struct Unit {
    /// The limit that leaves least.
    tightest: Tight,
    /// What may be taken, [`ROOM_MAX`] at most.
    room: u64,
    /// Since when all of its fronts last.
    since: Instant,
}

/// The most that is lent at once: what is taken of it fits into few bits.
const ROOM_MAX: u64 = 1 << 30;

impl Lines {
    /// The till, if it is open under these limits and each unit has so much.
    pub fn till(
        &mut self,
        maxima: &Maxima,
        amounts: [u64; UNITS.len()],
        now: Instant,
    ) -> Option<Till<'_>> {
        let terms = self.rest.as_ref()?.terms.as_ref()?;
        let is_of_them = Arc::ptr_eq(&terms.maxima, maxima) || terms.maxima == *maxima;
        let taken = &mut self.taken;
        (is_of_them && now < terms.until && terms.have(*taken, amounts))
            .then_some(Till { terms, taken })
    }

    /// Opens the till, if the leases have nothing to do but to be taken from.
    pub fn open_till(&mut self, maxima: &Maxima) {
        self.close_till();
        if let Some(rest) = &mut self.rest {
            rest.terms = Terms::of(&rest.all, maxima);
        }
    }

    /// The line at that place.
    pub fn at(&mut self, place: usize) -> Option<&mut Line> {
        self.close_till();
        self.rest.as_mut()?.all[place].as_deref_mut()
    }

    /// The same, which is made where there is none.
    pub fn at_or(&mut self, place: usize, make: impl FnOnce() -> Line) -> &mut Line {
        self.close_till();
        let all = &mut self.rest.get_or_insert_default().all;
        all[place].get_or_insert_with(|| Box::new(make()))
    }

    /// Settles a request under the limits at those places, after it has used so much of each unit; also after the till's time, for
    /// as long as it is open nothing has come of its end. Gives the request back where it is for the leases at once: where no
    /// till is open, not for all that it took of, or too much waits for its end.
    pub fn settle_at_till(
        &mut self,
        took: Took,
        those: Places,
        used: [u64; UNITS.len()],
    ) -> Option<Took> {
        let Some(rest) = &mut self.rest else {
            return Some(took);
        };
        let Some(terms) = &rest.terms else {
            return Some(took);
        };
        if let Some(taken) = terms.settled(self.taken, &took, those, used) {
            self.taken = taken;
        } else if rest.late.len() < LATE_MAX && terms.cover(&took) {
            rest.late.push(Late { took, those, used });
        } else {
            return Some(took);
        }
        None
    }

    /// Tells the leases what was taken, and what has ended meanwhile.
    fn close_till(&mut self) {
        let Some(rest) = &mut self.rest else { return };
        let Some(terms) = rest.terms.take() else {
            return;
        };
        let taken = std::mem::take(&mut self.taken);
        for (place, _) in terms.maxima.iter().copied() {
            if let Some(line) = &mut rest.all[place] {
                line.lease.was_taken(taken[unit_of(place)].into());
            }
        }
        if rest.late.is_empty() {
            return;
        }
        let now = Instant::now();
        // Its memory goes, too: there may be many gauges.
        for Late { took, those, used } in std::mem::take(&mut rest.late) {
            for (place, taken) in took.of(those) {
                if let Some(line) = &mut rest.all[place] {
                    let effects = line.lease.settle(taken, used[unit_of(place)], now);
                    debug_assert!(effects.is_empty(), "nobody waits for what is lent");
                }
            }
        }
    }
}

impl Till<'_> {
    /// The limits that leave least of each unit, where there are any.
    pub fn tightest(&self) -> [Option<Tight>; UNITS.len()] {
        std::array::from_fn(|unit| {
            let tightest = self.terms.units[unit]?.tightest;
            Some(Tight {
                remaining: less(tightest.remaining, self.taken[unit]),
                ..tightest
            })
        })
    }

    /// Takes so much of each unit, which is there. Tells where from.
    pub fn take(self, amounts: [u64; UNITS.len()]) -> Sources {
        let units = self.terms.units.iter().zip(self.taken).zip(amounts);
        for ((_, taken), amount) in units.filter(|((unit, _), _)| unit.is_some()) {
            // It is no more than the room.
            *taken = changed(*taken, amount, 0).unwrap_or(*taken);
        }
        self.terms.sources.clone()
    }
}

impl Terms {
    /// What the fronts of those lines come to; None where one has none.
    fn of(lines: &[Option<Box<Line>>], maxima: &Maxima) -> Option<Self> {
        let fronts = maxima.iter().map(|(place, max)| {
            let front = lines[*place].as_ref()?.lease.front()?;
            (front.limit == *max && front.room <= front.remaining).then_some((*place, front))
        });
        let fronts: Vec<(usize, &Front)> = fronts.collect::<Option<_>>()?;
        let mut units = [None; UNITS.len()];
        for (place, front) in &fronts {
            let unit = &mut units[unit_of(*place)];
            *unit = Some(Unit::of(*place, front).with(*unit));
        }
        let source = |(place, front): &(usize, &Front)| (*place, front.source());
        Some(Self {
            until: fronts.iter().map(|(_, front)| front.until).min()?,
            units,
            maxima: maxima.clone(),
            sources: fronts.iter().map(source).collect(),
        })
    }

    /// Whether so much is there, when so much was taken.
    fn have(&self, taken: [i32; UNITS.len()], amounts: [u64; UNITS.len()]) -> bool {
        let mut units = self.units.iter().zip(taken).zip(amounts);
        units.all(|((unit, taken), amount)| {
            unit.is_none_or(|unit| amount <= less(unit.room, taken).min(ROOM_MAX))
        })
    }

    /// What was taken, when a request has used so much that has taken it here, and no more than it took; else None.
    fn settled(
        &self,
        mut taken: [i32; UNITS.len()],
        took: &Took,
        those: Places,
        used: [u64; UNITS.len()],
    ) -> Option<[i32; UNITS.len()]> {
        for (index, taken) in taken.iter_mut().enumerate() {
            let is_settled = Places::OF_UNITS[index].and(those) != Places::default();
            let Some(unit) = self.units[index].filter(|_| is_settled) else {
                continue;
            };
            let (before, used) = (took.amounts[index], used[index]);
            if unit.since > took.at || used > before {
                return None;
            }
            *taken = changed(*taken, used, before)?;
        }
        self.are_source(took, those).then_some(taken)
    }

    /// Whether a request took of windows that are lent, all of them. Of another, somebody may wait for what it did not use.
    fn cover(&self, took: &Took) -> bool {
        let is_lent = |place| self.maxima.iter().any(|(lent, _)| lent == place);
        took.sources.iter().all(|(place, _)| is_lent(place))
    }

    /// Whether a request that took of the same windows took of what the fronts are of, under the limits at those places.
    fn are_source(&self, took: &Took, those: Places) -> bool {
        let mut both = took.sources.iter().zip(&*self.sources);
        Arc::ptr_eq(&took.sources, &self.sources)
            || took.sources.len() == self.sources.len()
                && both.all(|((place, source), (of_till, own))| {
                    place == of_till && (source == own || !those.has(*place))
                })
    }
}

impl Unit {
    fn of(place: usize, front: &Front) -> Self {
        Self {
            tightest: Tight {
                place,
                max: front.limit,
                remaining: front.remaining,
            },
            room: front.room.min(ROOM_MAX),
            since: front.since,
        }
    }

    /// What is there under this limit and another.
    fn with(self, other: Option<Self>) -> Self {
        let Some(other) = other else { return self };
        let tighter = match self.tightest.remaining < other.tightest.remaining {
            true => self,
            false => other,
        };
        Self {
            room: self.room.min(other.room),
            since: self.since.max(other.since),
            ..tighter
        }
    }
}

/// What is left of so much.
const fn less(whole: u64, taken: i32) -> u64 {
    whole.saturating_add_signed(-(taken as i64))
}

/// What was taken, when `amount` more is and `back` is given back; None where that is too much to be put down.
fn changed(taken: i32, amount: u64, back: u64) -> Option<i32> {
    let (amount, back) = (i64::try_from(amount).ok()?, i64::try_from(back).ok()?);
    i32::try_from(amount.checked_add(taken.into())?.checked_sub(back)?).ok()
}
