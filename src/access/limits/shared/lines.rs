//! The lines of a gauge, one for each window that it counts with other replicas, and what requests take from of all at once.
//!
//! A request is counted in up to eight windows of each of its limiters, on whichever core it runs, and a lease is large. So
//! while no lease of a gauge has anything to do but to be taken from, requests meet only its [`Till`]: a few numbers in one
//! place. Whoever needs a lease itself closes that first, and finds in the lease all that was taken.

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

/// The lines of a gauge, by their places, each made when it is first needed.
#[derive(Debug, Default)]
pub struct Lines {
    till: Option<Till>,
    all: [Option<Box<Line>>; PLACES.len()],
}

/// What was lent by the fronts of all leases of a gauge, and what was taken of it.
#[derive(Debug)]
pub struct Till {
    /// Until when it lasts.
    until: Instant,
    /// What is there of each unit.
    units: [Option<Unit>; UNITS.len()],
    /// The limits that it was lent under.
    maxima: Maxima,
    sources: Sources,
}

/// What is there of requests, or of tokens.
#[derive(Clone, Copy, Debug)]
struct Unit {
    /// The limit that leaves least.
    tightest: Tight,
    /// What may still be taken.
    room: u64,
    /// What was taken, or given back of what had been taken before.
    taken: i64,
    /// Since when all of its fronts last.
    since: Instant,
}

impl Lines {
    /// The till, if it is open under these limits and each unit has so much.
    pub fn till(
        &mut self,
        maxima: &Maxima,
        amounts: [u64; UNITS.len()],
        now: Instant,
    ) -> Option<&mut Till> {
        let till = self.till.as_mut()?;
        let is_of_them = Arc::ptr_eq(&till.maxima, maxima) || till.maxima == *maxima;
        (is_of_them && now < till.until && till.has(amounts)).then_some(till)
    }

    /// Opens the till, if the leases have nothing to do but to be taken from.
    pub fn open_till(&mut self, maxima: &Maxima) {
        self.close_till();
        self.till = Till::of(&self.all, maxima);
    }

    /// The line at that place.
    pub fn at(&mut self, place: usize) -> Option<&mut Line> {
        self.close_till();
        self.all[place].as_deref_mut()
    }

    /// The same, which is made where there is none.
    pub fn at_or(&mut self, place: usize, make: impl FnOnce() -> Line) -> &mut Line {
        self.close_till();
        self.all[place].get_or_insert_with(|| Box::new(make()))
    }

    /// Settles a request under the limits at those places, after it has used so much of each unit. Tells whether that could be
    /// put down here; else it is for the leases.
    pub fn settle_at_till(&mut self, took: &Took, those: Places, used: [u64; UNITS.len()]) -> bool {
        let till = self.till.as_mut();
        till.is_some_and(|till| till.settle(took, those, used))
    }

    /// Tells the leases what was taken.
    fn close_till(&mut self) {
        let Some(till) = self.till.take() else {
            return;
        };
        for (place, _) in till.maxima.iter().copied() {
            let line = self.all[place].as_deref_mut();
            if let (Some(line), Some(unit)) = (line, till.units[unit_of(place)]) {
                line.lease.was_taken(unit.taken);
            }
        }
    }
}

impl Till {
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

    /// The limits that leave least of each unit, where there are any.
    pub fn tightest(&self) -> [Option<Tight>; UNITS.len()] {
        self.units.map(|unit| Some(unit?.tightest))
    }

    fn has(&self, amounts: [u64; UNITS.len()]) -> bool {
        let mut both = self.units.iter().zip(amounts);
        both.all(|(unit, amount)| unit.is_none_or(|unit| amount <= unit.room))
    }

    /// Takes so much of each unit, which is there. Tells where from.
    pub fn take(&mut self, amounts: [u64; UNITS.len()]) -> Sources {
        let units = self.units.iter_mut().zip(amounts);
        units.for_each(|(unit, amount)| *unit = unit.map(|unit| unit.with_taken(amount, 0)));
        self.sources.clone()
    }

    /// Puts down what a request has used that has taken it here, and no more than it took; else nothing. It may be late: as long
    /// as the till is open, nothing has come of its end.
    fn settle(&mut self, took: &Took, those: Places, used: [u64; UNITS.len()]) -> bool {
        let is_settled = |unit: usize| Places::OF_UNITS[unit].and(those) != Places::default();
        let changed = |index: usize| match self.units[index] {
            Some(unit) if is_settled(index) => {
                let before = took.amounts[index];
                let is_of_it = unit.since <= took.at && used[index] <= before;
                is_of_it.then(|| Some(unit.with_taken(used[index], before)))
            }
            unit => Some(unit),
        };
        let (Some(requests), Some(tokens)) = (changed(0), changed(1)) else {
            return false;
        };
        if !self.is_source(took, those) {
            return false;
        }
        self.units = [requests, tokens];
        true
    }

    /// Whether a request that took of the same windows took of what the fronts are of, under the limits at those places.
    fn is_source(&self, took: &Took, those: Places) -> bool {
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
            room: front.room,
            taken: 0,
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

    /// The same, when `amount` more was taken and `back` was given back.
    const fn with_taken(mut self, amount: u64, back: u64) -> Self {
        let taken = amount.cast_signed() - back.cast_signed();
        self.taken += taken;
        self.room = self.room.saturating_add_signed(-taken);
        let remaining = &mut self.tightest.remaining;
        *remaining = remaining.saturating_add_signed(-taken);
        self
    }
}
