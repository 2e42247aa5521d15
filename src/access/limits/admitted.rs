//! What a request has taken from its limits, and how it takes: from all of them or from none.

use std::sync::Arc;
use std::time::Instant;

use parking_lot::MutexGuard;

use super::gauge::{Counts, Errands, Gauge, Runs, Slot};
use super::shared::{Share, Shared, Sources, Took, Wait};
use super::tally::{Places, unit_of};
use super::told::{Left, Limit, PLACES, Refused, UNITS};
use super::{Limiter, Limiters, Queue, SLOT, SLOT_WAIT, Seen, slots_of};
use crate::config::limits::Concurrency;

/// What a request was admitted with by so many limiters. Dropping it ends the request for the limits.
#[derive(Debug)]
pub struct Admitted<const N: usize> {
    /// What the tightest of the limits leave.
    pub left: Left,
    /// By the places of its limiters.
    slots: [Option<Slot>; N],
    /// What is set aside for it, before it is admitted.
    shares: Vec<Share>,
    entered: Option<Entered>,
}

/// When and with what a request was entered, until it is settled.
#[derive(Debug)]
struct Entered {
    time: Instant,
    amounts: [u64; UNITS.len()],
}

/// What a request asks of its limits.
#[derive(Clone, Copy)]
pub(super) struct Wish<'a, const N: usize> {
    pub limiters: Limiters<'a, N>,
    pub tokens: u64,
    /// What it lacks it must not wait for any more.
    pub is_late: bool,
}

/// The same at one moment, once the limiters are locked: so what is entered later is entered with a later time.
pub(super) struct Asked {
    /// What it takes of each unit.
    pub amounts: [u64; UNITS.len()],
    pub is_late: bool,
    pub now: Instant,
}

/// A limiter whose counts are locked.
pub(super) struct Locked<'a> {
    pub limiter: &'a Limiter,
    pub counts: MutexGuard<'a, Counts>,
}

impl Asked {
    /// What it takes of the limit at that place.
    pub const fn amount(&self, place: usize) -> u64 {
        self.amounts[unit_of(place)]
    }
}

impl<'a, const N: usize> Wish<'a, N> {
    /// Locks the limiters, in one order.
    fn lock(&self) -> ([Option<Locked<'a>>; N], Asked) {
        let locked = self.limiters.map(|limiter| {
            let limiter = limiter?;
            let counts = limiter.gauge.lock();
            Some(Locked { limiter, counts })
        });
        let asked = Asked {
            amounts: amounts(self.tokens),
            is_late: self.is_late,
            now: Instant::now(),
        };
        (locked, asked)
    }
}

/// What a request lacks.
pub(super) enum Lacking {
    /// Room under a limit of a window.
    Room(Box<Refused>),
    /// A slot of the limiter at `at`, for which it waits.
    Slot {
        at: usize,
        concurrency: Concurrency,
        queue: Queue,
        refused: Box<Refused>,
    },
    /// Parts of limits that replicas share, of the limiters at those places, for which it waits.
    Shares(Vec<(usize, Wait)>),
}

impl<const N: usize> Default for Admitted<N> {
    fn default() -> Self {
        Self {
            left: Left::default(),
            slots: [const { None }; N],
            shares: Vec::new(),
            entered: None,
        }
    }
}

impl<const N: usize> Admitted<N> {
    /// Takes from every limiter, or from none.
    pub(super) fn take(&mut self, wish: &Wish<'_, N>) -> Result<(), Lacking> {
        let mut errands = Errands::default();
        let taken = {
            let (mut locked, asked) = wish.lock();
            self.take_from(&asked, &mut locked, &mut errands)
        };
        errands.run();
        if taken.is_ok() {
            self.shares.clear();
        }
        taken
    }

    /// Keeps what is set aside for it until it takes it.
    pub(super) fn keep_share(&mut self, share: Share) {
        self.shares.push(share);
    }

    /// Keeps a slot that it has waited for.
    pub(super) fn keep_slot(&mut self, at: usize, slot: Slot) {
        self.slots[at] = Some(slot);
    }

    /// What is left of the limits.
    pub(super) fn left(&self, wish: &Wish<'_, N>) -> Left {
        let (mut locked, asked) = wish.lock();
        self.look(&asked, &mut locked).left(&asked, &mut locked)
    }

    fn take_from(
        &mut self,
        asked: &Asked,
        locked: &mut [Option<Locked<'_>>; N],
        errands: &mut Errands,
    ) -> Result<(), Lacking> {
        let mut seen = self.look(asked, locked);
        if let Some(refused) = seen.refused.take() {
            let left = seen.left(asked, locked);
            return Err(Lacking::Room(Box::new(Refused { left, ..*refused })));
        }
        self.take_slots(asked, locked, &seen)?;
        if !seen.lacking.is_empty() {
            let waits = line_up(&seen.lacking, asked, locked, errands);
            return Err(Lacking::Shares(waits));
        }
        for (at, locked) in present(locked) {
            self.enter(at, locked, asked, errands);
        }
        self.entered = Some(Entered {
            time: asked.now,
            amounts: asked.amounts,
        });
        self.left = seen.left_behind(asked, locked);
        Ok(())
    }

    #[inline]
    fn look(&self, asked: &Asked, locked: &mut [Option<Locked<'_>>; N]) -> Seen {
        let mut seen = Seen::default();
        for (at, Locked { limiter, counts }) in present(locked) {
            limiter.look(at, counts, asked, &self.shares, &mut seen);
        }
        seen
    }

    /// Whether a slot is there wherever one is lacking. Those of all replicas are taken, as many as there are; those of this
    /// process as it is entered.
    fn take_slots(
        &mut self,
        asked: &Asked,
        locked: &mut [Option<Locked<'_>>; N],
        seen: &Seen,
    ) -> Result<(), Lacking> {
        let lacking = present(locked).find_map(|(at, Locked { limiter, counts })| {
            let concurrency = limiter.concurrency.filter(|_| self.slots[at].is_none())?;
            let max = concurrency.max.get();
            let queue = match limiter.gauge.slots() {
                Some(slots) if slots.set_aside(slots_of(max), SLOT, asked.now) => {
                    self.slots[at] = Some(Slot::new(&limiter.gauge, Runs::AmongAll));
                    return None;
                }
                Some(slots) => Queue::Shared(slots.clone()),
                None if counts.has_slot(max) => return None,
                None => Queue::Own(counts.wait(max, concurrency.queue_max)),
            };
            let refused = limiter.refused(Limit::Concurrency, SLOT_WAIT);
            Some((at, concurrency, queue, refused))
        });
        let Some((at, concurrency, queue, refused)) = lacking else {
            return Ok(());
        };
        let left = seen.left(asked, locked);
        Err(Lacking::Slot {
            at,
            concurrency,
            queue,
            refused: Box::new(Refused { left, ..refused }),
        })
    }

    /// Takes what was found under the limits of one.
    fn enter(
        &mut self,
        at: usize,
        Locked { limiter, counts }: &mut Locked<'_>,
        asked: &Asked,
        errands: &mut Errands,
    ) {
        let shared = limiter.gauge.shared();
        let shared = shared.filter(|_| !limiter.windows.is_empty());
        let sources = shared.map(|shared| {
            let till = counts
                .lines
                .till(&limiter.windows, asked.amounts, asked.now);
            match till.filter(|_| self.shares.is_empty()) {
                Some(till) => till.take(asked.amounts),
                None => self.take_shared(limiter, counts, shared, asked, errands),
            }
        });
        if sources.is_none() {
            counts.tally.add(limiter.places, asked.amounts, asked.now);
        }
        let slot = self.slots[at].get_or_insert_with(|| match limiter.concurrency {
            Some(_) => limiter.gauge.enter(counts),
            None => Slot::new(&limiter.gauge, Runs::Uncounted),
        });
        slot.counted = limiter.places;
        slot.sources = sources;
    }

    /// Takes of what replicas share, and first of what was set aside.
    fn take_shared(
        &mut self,
        limiter: &Limiter,
        counts: &mut Counts,
        shared: &Shared,
        asked: &Asked,
        errands: &mut Errands,
    ) -> Sources {
        let gauge = &limiter.gauge;
        let take = |(place, _): &(usize, u64)| {
            let limit = PLACES[*place];
            let line = counts.lines.at_or(*place, || shared.line(*place));
            let mut newest = self.shares.iter_mut().rev();
            let share = newest.find(|share| share.is_of(gauge, limit));
            let share = share.filter(|share| line.lease.is_good(&share.held, asked.now));
            let held = share.as_ref().map(|share| &share.held);
            let (taken, effect) = line.lease.take(asked.amount(*place), held, asked.now);
            if let Some(share) = share {
                share.close();
            }
            errands.add(gauge, limit, line, effect);
            (*place, taken.source)
        };
        let sources = limiter.windows.iter().map(take).collect();
        counts.lines.open_till(&limiter.windows);
        sources
    }

    /// The request has ended: others may run. What it has used is still to be settled.
    pub fn end(&mut self) {
        self.end_among_all();
        self.slots.iter_mut().flatten().for_each(Slot::end);
    }

    /// It is no more among the requests of all replicas that run: at one time, which is read once.
    fn end_among_all(&mut self) {
        let mut now = None;
        for slot in self.slots.iter_mut().flatten() {
            slot.end_among_all(|| *now.get_or_insert_with(Instant::now));
        }
    }

    /// The request has ended, and has used so many tokens.
    pub fn settle(&mut self, used: u64) {
        self.settle_those(used, Places::TOKENS);
    }

    /// The request was refused for another reason, and counts for nothing.
    pub fn cancel(&mut self) {
        self.settle_those(0, Places::ALL);
    }

    /// The request has ended. What was entered under those limits has come to `used`, and under the others stays as it was.
    fn settle_those(&mut self, used: u64, those: Places) {
        self.end_among_all();
        let entered = self.entered.take();
        for slot in self.slots.iter_mut().filter_map(Option::take) {
            // One that was not entered is only given back.
            if let Some(entered) = &entered {
                slot.settle(entered, used, those);
            }
        }
    }
}

impl Slot {
    /// The request that has it has ended, and was entered with it.
    fn settle(mut self, entered: &Entered, used: u64, those: Places) {
        let mut errands = Errands::default();
        let mut counts = self.gauge.lock();
        let (at, before) = (entered.time, entered.amounts);
        let [_, used_tokens] = amounts(used);
        let after = [0, used_tokens];
        match self.sources.take() {
            None => {
                let places = self.counted.and(those);
                counts.tally.amend(places, at, before, after);
            }
            Some(sources) => {
                let took = Took {
                    at,
                    amounts: before,
                    sources,
                };
                if let Some(took) = counts.lines.settle_at_till(took, those, after) {
                    settle_shared(&took, those, used, &mut counts, &self.gauge, &mut errands);
                }
            }
        }
        let next = self.gauge.free(&mut self.runs, &mut counts);
        drop(counts);
        errands.run();
        if let Some(next) = next {
            next.tell();
        }
    }
}

/// What a request of so many tokens takes, of each unit.
const fn amounts(tokens: u64) -> [u64; UNITS.len()] {
    [
        Limit::Requests(0).amount(tokens),
        Limit::Tokens(0).amount(tokens),
    ]
}

/// Settles what a request took of counts of one gauge that replicas share, under the limits at those places.
fn settle_shared(
    took: &Took,
    those: Places,
    used: u64,
    counts: &mut Counts,
    gauge: &Arc<Gauge>,
    errands: &mut Errands,
) {
    for (place, taken) in took.of(those) {
        if let Some(line) = counts.lines.at(place) {
            let effects = line.lease.settle(taken, used, Instant::now());
            errands.add(gauge, PLACES[place], line, effects);
        }
    }
}

impl<const N: usize> Drop for Admitted<N> {
    fn drop(&mut self) {
        if self.entered.is_some() {
            self.settle(0);
        }
    }
}

/// Lines up for what is lacking under each of those limits.
fn line_up(
    lacking: &[(usize, usize)],
    asked: &Asked,
    locked: &mut [Option<Locked<'_>>],
    errands: &mut Errands,
) -> Vec<(usize, Wait)> {
    let mut waits = Vec::new();
    for (at, place) in lacking {
        let Some(Locked { limiter, counts }) = &mut locked[*at] else {
            continue;
        };
        let limit = PLACES[*place];
        let Some(line) = counts.lines.at(*place) else {
            continue;
        };
        let (wait, effect) = line.wait(&limiter.gauge, limit, asked.amount(*place), asked.now);
        errands.add(&limiter.gauge, limit, line, effect);
        waits.push((*at, wait));
    }
    waits
}

/// Those that there are, with their places.
fn present<'c, 'a>(
    locked: &'c mut [Option<Locked<'a>>],
) -> impl Iterator<Item = (usize, &'c mut Locked<'a>)> {
    let all = locked.iter_mut().enumerate();
    all.filter_map(|(at, one)| Some((at, one.as_mut()?)))
}
