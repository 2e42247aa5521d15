//! What a request has taken from its limits, and how it takes: from all of them or from none.

use std::sync::Arc;
use std::time::Instant;

use parking_lot::MutexGuard;

use super::gauge::{Counts, Errands, Gauge, Next, Runs, Slot};
use super::shared::{Share, Shared, Sources, Took, Wait};
use super::tally::Places;
use super::told::{Left, Limit, PLACES, Refused, UNITS};
use super::{LIMITERS, Limiter, Limiters, Queue, SLOT, SLOT_WAIT, Seen, slots_of};
use crate::config::limits::Concurrency;

/// What a request was admitted with. Dropping it ends the request for the limits.
#[derive(Debug, Default)]
pub struct Admitted {
    /// What the tightest of the limits leave.
    pub left: Left,
    /// By the places of its limiters.
    slots: [Option<Slot>; LIMITERS],
    /// What is set aside for it, before it is admitted.
    shares: Vec<Share>,
    entered: Option<Entered>,
}

/// When and with what a request was entered, until it is settled.
#[derive(Debug)]
struct Entered {
    time: Instant,
    tokens: u64,
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

impl Asked<'_> {
    /// What it takes of each unit.
    pub const fn amounts(&self) -> [u64; UNITS.len()] {
        amounts(self.tokens)
    }
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

impl Admitted {
    /// Takes from every limiter, or from none.
    pub(super) fn take(&mut self, wish: &Wish<'_>) -> Result<(), Lacking> {
        let mut errands = Errands::default();
        let taken = {
            let (mut counts, asked) = wish.lock();
            self.take_from(&asked, &mut counts, &mut errands)
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
            if limiter.concurrency.is_some() && self.slots[at].is_none() {
                self.slots[at] = Some(limiter.gauge.enter(counts));
            }
        }
        Ok(())
    }

    /// Takes what was found under each limit.
    fn enter(&mut self, asked: &Asked<'_>, counts: &mut Locked<'_>, errands: &mut Errands) {
        self.entered = Some(Entered {
            time: asked.now,
            tokens: asked.tokens,
        });
        for (at, (limiter, counts)) in indexed(&asked.limiters, counts) {
            let shared = limiter.gauge.shared();
            let shared = shared.filter(|_| !limiter.windows.is_empty());
            let sources = shared.map(|shared| {
                let windows = &limiter.windows;
                let till = counts.lines.till(windows, asked.amounts(), asked.now);
                match till.filter(|_| self.shares.is_empty()) {
                    Some(till) => till.take(asked.amounts()),
                    None => self.take_shared(limiter, counts, shared, asked, errands),
                }
            });
            let slot =
                self.slots[at].get_or_insert_with(|| Slot::new(&limiter.gauge, Runs::Uncounted));
            slot.counted = limiter.places;
            if sources.is_none() {
                let (places, amounts) = (limiter.places, asked.amounts());
                counts.tally.add(places, amounts, asked.now);
            }
            slot.sources = sources;
        }
    }

    /// Takes of what replicas share, and first of what was set aside.
    fn take_shared(
        &mut self,
        limiter: &Limiter,
        counts: &mut Counts,
        shared: &Shared,
        asked: &Asked<'_>,
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
            let amount = limit.amount(asked.tokens);
            let (taken, effect) = line.lease.take(amount, held, asked.now);
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
        for slot in &mut self.slots {
            // One that was not entered is only given back.
            let (Some(mut slot), Some(entered)) = (slot.take(), &entered) else {
                continue;
            };
            let Slot {
                gauge,
                runs,
                counted,
                sources,
            } = &mut slot;
            let mut errands = Errands::default();
            let mut counts = gauge.lock();
            let (at, before) = (entered.time, amounts(entered.tokens));
            let [_, used_tokens] = amounts(used);
            let after = [0, used_tokens];
            match sources.take() {
                None => counts.tally.amend(counted.and(those), at, before, after),
                Some(sources) => {
                    let took = Took {
                        at,
                        amounts: before,
                        sources,
                    };
                    if !counts.lines.settle_at_till(&took, those, after) {
                        settle_shared(&took, those, used, &mut counts, gauge, &mut errands);
                    }
                }
            }
            let next = gauge.free(runs, &mut counts);
            drop(counts);
            errands.run();
            next.into_iter().for_each(Next::tell);
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

impl Drop for Admitted {
    fn drop(&mut self) {
        self.settle(0);
    }
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
        errands.add(&limiter.gauge, *limit, line, effect);
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
