//! What a request has taken from its limits, and how it takes: from all of them or from none.

use std::sync::Arc;
use std::time::Instant;

use parking_lot::MutexGuard;

use super::gauge::{Counts, Gauge, Next, Slot};
use super::shared::{Effect, Errand, Line, Share, Source, Taken, Wait};
use super::tally::{Places, unit_of};
use super::told::{Left, Limit, PLACES, Refused, UNITS};
use super::{LIMITERS, Limiter, Limiters, Queue, SLOT, SLOT_WAIT, Seen, slots_of};
use crate::access::budgets::Part;
use crate::config::limits::Concurrency;

/// What a request was admitted with. Dropping it ends the request for the limits.
#[derive(Debug, Default)]
pub struct Admitted {
    /// What the tightest of the limits leave.
    pub left: Left,
    /// Of those that each process has for itself.
    slots: [Option<Slot>; LIMITERS],
    /// Slots of all replicas, of the limiters at those places: they are only there to be dropped.
    parts: Vec<(usize, Part)>,
    /// What is set aside for it, before it is admitted.
    shares: Vec<Share>,
    entered: Option<Entered>,
}

/// A place among the requests that run: dropping it gives it to another.
#[derive(Debug)]
pub(super) enum Place {
    /// Of those of this process.
    Own(Slot),
    /// Of those of all replicas.
    Shared(Part),
}

/// When and with what a request was entered, until it is settled.
#[derive(Debug)]
struct Entered {
    time: Instant,
    tokens: u64,
    /// What was taken of counts of all replicas.
    shared: Vec<TakenOf>,
}

/// What was taken of a count of all replicas: that at `place` of the gauge at `at`. There is one for each window of each limiter, so
/// it is small: when and how much is the same for all.
#[derive(Debug)]
struct TakenOf {
    at: u8,
    place: u8,
    source: Source,
}

/// What a request asks of its limits.
#[derive(Clone, Copy)]
pub(super) struct Wish<'a> {
    pub limiters: Limiters<'a>,
    pub tokens: u64,
    /// What it lacks it must not wait for any more.
    pub is_late: bool,
}

/// The same at one moment, once the limiters are locked: so what is entered later is entered with a later time.
pub(super) struct Asked<'a> {
    pub limiters: Limiters<'a>,
    pub tokens: u64,
    pub is_late: bool,
    pub now: Instant,
}

impl<'a> Wish<'a> {
    /// Locks the limiters, in one order.
    fn lock(&self) -> (Locked<'a>, Asked<'a>) {
        let Self {
            limiters,
            tokens,
            is_late,
        } = *self;
        let counts = limiters.map(|limiter| limiter.map(|limiter| limiter.gauge.lock()));
        let asked = Asked {
            limiters,
            tokens,
            is_late,
            now: Instant::now(),
        };
        (counts, asked)
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

/// What is to be done for the limiters at those places when no lock is held.
type Errands = Vec<(usize, Limit, Errand)>;

impl Admitted {
    /// Takes from every limiter, or from none.
    pub(super) fn take(&mut self, wish: &Wish<'_>) -> Result<(), Lacking> {
        let mut errands = Errands::new();
        let taken = {
            let (mut counts, asked) = wish.lock();
            self.take_from(&asked, &mut counts, &mut errands)
        };
        for (at, limit, errand) in errands {
            if let Some(limiter) = wish.limiters[at] {
                limiter.gauge.run(limit, errand);
            }
        }
        if taken.is_ok() {
            self.shares.clear();
        }
        taken
    }

    /// Keeps what is set aside for it until it takes it.
    pub(super) fn keep_share(&mut self, share: Share) {
        self.shares.push(share);
    }

    /// Keeps a place that it has waited for.
    pub(super) fn keep_place(&mut self, at: usize, place: Place) {
        match place {
            Place::Own(slot) => self.slots[at] = Some(slot),
            Place::Shared(part) => self.parts.push((at, part)),
        }
    }

    fn has_place(&self, at: usize) -> bool {
        self.slots[at].is_some() || self.parts.iter().any(|(of, _)| *of == at)
    }

    /// What is left of the limits.
    pub(super) fn left(&self, wish: &Wish<'_>) -> Left {
        let (mut counts, asked) = wish.lock();
        self.look(&asked, &mut counts).left(&asked, &mut counts)
    }

    fn take_from(
        &mut self,
        asked: &Asked<'_>,
        counts: &mut Locked<'_>,
        errands: &mut Errands,
    ) -> Result<(), Lacking> {
        let mut seen = self.look(asked, counts);
        if let Some(refused) = seen.refused.take() {
            let left = seen.left(asked, counts);
            return Err(Lacking::Room(Box::new(Refused { left, ..*refused })));
        }
        self.take_slots(asked, counts, &seen)?;
        if !seen.lacking.is_empty() {
            let waits = line_up(&seen.lacking, asked, counts, errands);
            return Err(Lacking::Shares(waits));
        }
        self.enter(asked, counts, errands);
        self.left = seen.left_behind(asked);
        Ok(())
    }

    #[inline]
    fn look(&self, asked: &Asked<'_>, counts: &mut Locked<'_>) -> Seen {
        let mut seen = Seen::default();
        for (at, (limiter, counts)) in indexed(&asked.limiters, counts) {
            limiter.look(at, counts, asked, &self.shares, &mut seen);
        }
        seen
    }

    /// Takes a slot wherever one is lacking: of this process's all or none, of those of all replicas as many as there are.
    fn take_slots(
        &mut self,
        asked: &Asked<'_>,
        counts: &mut Locked<'_>,
        seen: &Seen,
    ) -> Result<(), Lacking> {
        let lacking = indexed(&asked.limiters, counts).find_map(|(at, (limiter, counts))| {
            let concurrency = limiter.concurrency.filter(|_| !self.has_place(at))?;
            let max = concurrency.max.get();
            let queue = match limiter.gauge.slots() {
                Some(slots) => match slots.clone().take(slots_of(max), SLOT, asked.now) {
                    Some(part) => {
                        self.parts.push((at, part));
                        return None;
                    }
                    None => Queue::Shared(slots.clone()),
                },
                None if counts.has_slot(max) => return None,
                None => Queue::Own(counts.wait(max, concurrency.queue_max)),
            };
            let refused = limiter.refused(Limit::Concurrency, SLOT_WAIT);
            Some((at, concurrency, queue, refused))
        });
        if let Some((at, concurrency, queue, refused)) = lacking {
            let left = seen.left(asked, counts);
            return Err(Lacking::Slot {
                at,
                concurrency,
                queue,
                refused: Box::new(Refused { left, ..refused }),
            });
        }
        for (at, (limiter, counts)) in indexed(&asked.limiters, counts) {
            if limiter.concurrency.is_some() && !self.has_place(at) {
                self.slots[at] = Some(limiter.gauge.enter(counts));
            }
        }
        Ok(())
    }

    /// Takes what was found under each limit.
    fn enter(&mut self, asked: &Asked<'_>, counts: &mut Locked<'_>, errands: &mut Errands) {
        let entered = self.entered.insert(Entered {
            time: asked.now,
            tokens: asked.tokens,
            shared: Vec::new(),
        });
        for (at, (limiter, counts)) in indexed(&asked.limiters, counts) {
            let gauge = &limiter.gauge;
            let slot = self.slots[at].get_or_insert_with(|| Slot::idle(gauge));
            let Some(shared) = gauge.shared() else {
                slot.counted = limiter.places;
                counts
                    .tally
                    .add(limiter.places, amounts(asked.tokens), asked.now);
                continue;
            };
            if entered.shared.capacity() == 0 {
                let limiters = asked.limiters.iter().flatten();
                let windows = limiters.map(|limiter| limiter.windows.len()).sum();
                entered.shared.reserve_exact(windows);
            }
            for (place, _) in limiter.windows.iter().copied() {
                let limit = PLACES[place];
                let amount = limit.amount(asked.tokens);
                let line = counts.line_of(place, shared);
                let mut newest = self.shares.iter_mut().rev();
                let share = newest.find(|share| share.is_of(gauge, limit));
                let (taken, effect) = take_shared(line, amount, share, asked.now);
                if effect.is_some() {
                    let asks = line.errands(gauge, limit, effect);
                    errands.extend(asks.into_iter().map(|errand| (at, limit, errand)));
                }
                entered.shared.push(TakenOf {
                    at: at as u8,
                    place: place as u8,
                    source: taken.source,
                });
            }
        }
    }

    /// The request has ended: others may run. What it has used is still to be settled.
    pub fn end(&mut self) {
        self.free_parts();
        self.slots.iter_mut().flatten().for_each(Slot::end);
    }

    fn free_parts(&mut self) {
        if !self.parts.is_empty() {
            let now = Instant::now();
            self.parts.drain(..).for_each(|(_, part)| part.free(now));
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
        self.free_parts();
        let entered = self.entered.take();
        for (at, slot) in self.slots.iter_mut().enumerate() {
            // One that was not entered is only given back.
            let (Some(mut slot), Some(entered)) = (slot.take(), &entered) else {
                continue;
            };
            let Slot {
                gauge,
                runs,
                counted,
            } = &mut slot;
            let mut counts = gauge.lock();
            let before = amounts(entered.tokens);
            let [_, used_tokens] = amounts(used);
            let after = [0, used_tokens];
            counts
                .tally
                .amend(counted.and(those), entered.time, before, after);
            let of_one = entered.shared.iter();
            let of_one = of_one.filter(|one| usize::from(one.at) == at);
            let taken = of_one.filter_map(|one| {
                let place = usize::from(one.place);
                let taken = Taken {
                    at: entered.time,
                    amount: before[unit_of(place)],
                    source: one.source,
                };
                those.has(place).then_some((PLACES[place], taken))
            });
            let errands = settle_shared(taken, used, &mut counts, gauge);
            let next = gauge.free(runs, &mut counts);
            drop(counts);
            for (limit, errand) in errands {
                gauge.run(limit, errand);
            }
            next.into_iter().for_each(Next::tell);
        }
    }
}

/// What a request of so many tokens takes, of each unit.
fn amounts(tokens: u64) -> [u64; UNITS.len()] {
    [Limit::Requests(0), Limit::Tokens(0)].map(|limit| limit.amount(tokens))
}

/// Settles what a request has taken of counts that replicas share, of one gauge.
fn settle_shared(
    taken: impl Iterator<Item = (Limit, Taken)>,
    used: u64,
    counts: &mut Counts,
    gauge: &Arc<Gauge>,
) -> Vec<(Limit, Errand)> {
    let mut errands = Vec::new();
    for (limit, taken) in taken {
        if let Some(line) = counts.line(limit) {
            let effects = line.lease.settle(taken, used, Instant::now());
            if !effects.is_empty() {
                let asks = line.errands(gauge, limit, effects);
                errands.extend(asks.into_iter().map(|errand| (limit, errand)));
            }
        }
    }
    errands
}

impl Drop for Admitted {
    fn drop(&mut self) {
        self.settle(0);
    }
}

/// Takes of what replicas share, and first of what was set aside.
fn take_shared(
    line: &mut Line,
    amount: u64,
    share: Option<&mut Share>,
    now: Instant,
) -> (Taken, Option<Effect>) {
    let share = share.filter(|share| line.lease.is_good(&share.held, now));
    let taken = line
        .lease
        .take(amount, share.as_ref().map(|share| &share.held), now);
    if let Some(share) = share {
        share.close();
    }
    taken
}

/// Lines up for what is lacking under each of those limits.
fn line_up(
    lacking: &[(usize, Limit)],
    asked: &Asked<'_>,
    counts: &mut Locked<'_>,
    errands: &mut Errands,
) -> Vec<(usize, Wait)> {
    let mut waits = Vec::new();
    for (at, limit) in lacking {
        let (Some(limiter), Some(counts)) = (asked.limiters[*at], &mut counts[*at]) else {
            continue;
        };
        let Some(line) = counts.line(*limit) else {
            continue;
        };
        let amount = limit.amount(asked.tokens);
        let (wait, effect) = line.wait(&limiter.gauge, *limit, amount, asked.now);
        let asks = line.errands(&limiter.gauge, *limit, effect);
        errands.extend(asks.into_iter().map(|errand| (*at, *limit, errand)));
        waits.push((*at, wait));
    }
    waits
}

pub(super) type Locked<'a> = [Option<MutexGuard<'a, Counts>>; LIMITERS];

/// Limiters with their places and counts.
fn indexed<'l, 'c>(
    limiters: &Limiters<'l>,
    counts: &'c mut Locked<'_>,
) -> impl Iterator<Item = (usize, (&'l Limiter, &'c mut Counts))> {
    let both = limiters.iter().copied().zip(counts.iter_mut()).enumerate();
    both.filter_map(|(at, (limiter, counts))| Some((at, (limiter?, &mut **counts.as_mut()?))))
}
