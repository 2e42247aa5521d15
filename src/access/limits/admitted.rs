//! What a request has taken from its limits, and how it takes: from all of them or from none.

use std::sync::Arc;
use std::time::Instant;

use parking_lot::MutexGuard;

use super::count::Mark;
use super::gauge::{Counts, Gauge, Slot};
use super::shared::{Errand, Share, Wait};
use super::told::{Left, Limit, Refused};
use super::{LIMITERS, Limiter, Limiters, Queue, SLOT_WAIT, Seen};
use crate::access::budgets::Part;
use crate::config::limits::Concurrency;

/// What a request was admitted with. Dropping it ends the request for the limits.
#[derive(Debug, Default)]
pub struct Admitted {
    /// What the tightest of the limits leave.
    pub left: Left,
    places: [Option<Place>; LIMITERS],
    /// What is set aside for it, before it is admitted.
    shares: Vec<Share>,
    entered: Vec<Entered>,
}

/// A place among the requests that run: dropping it gives it to another.
#[derive(Debug)]
#[expect(dead_code, reason = "it is only there to be dropped")]
pub(super) enum Place {
    /// Of those of this process.
    Own(Slot),
    /// Of those of all replicas.
    Shared(Part),
}

/// What was entered for a request under one limit.
#[derive(Debug)]
struct Entered {
    gauge: Arc<Gauge>,
    limit: Limit,
    amount: u64,
    mark: Mark,
}

/// What a request asks of its limits, at one moment.
#[derive(Clone, Copy)]
pub(super) struct Asked<'a> {
    pub limiters: Limiters<'a>,
    pub tokens: u64,
    /// What it lacks it must not wait for any more.
    pub is_late: bool,
    pub now: Instant,
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
    pub(super) fn take(&mut self, asked: &Asked<'_>) -> Result<(), Lacking> {
        let mut errands = Errands::new();
        let taken = {
            let limiters = asked.limiters;
            let mut counts = limiters.map(|limiter| limiter.map(|limiter| limiter.gauge.lock()));
            self.take_from(asked, &mut counts, &mut errands)
        };
        for (at, limit, errand) in errands {
            if let Some(limiter) = asked.limiters[at] {
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
        self.places[at] = Some(place);
    }

    /// What is left of the limits.
    pub(super) fn left(&self, asked: &Asked<'_>) -> Left {
        let mut seen = Seen::default();
        for (at, limiter) in asked.limiters.iter().enumerate() {
            if let Some(limiter) = limiter {
                limiter.look(
                    at,
                    &mut limiter.gauge.lock(),
                    asked,
                    &self.shares,
                    &mut seen,
                );
            }
        }
        seen.left
    }

    fn take_from(
        &mut self,
        asked: &Asked<'_>,
        counts: &mut Locked<'_>,
        errands: &mut Errands,
    ) -> Result<(), Lacking> {
        let mut seen = Seen::default();
        for (at, (limiter, counts)) in indexed(&asked.limiters, counts) {
            limiter.look(at, counts, asked, &self.shares, &mut seen);
        }
        let left = seen.left;
        if let Some(refused) = seen.refused {
            return Err(Lacking::Room(Box::new(Refused { left, ..refused })));
        }
        self.take_slots(asked, counts, left)?;
        if !seen.lacking.is_empty() {
            let waits = line_up(&seen.lacking, asked, counts, errands);
            return Err(Lacking::Shares(waits));
        }
        self.enter(asked, counts, errands);
        self.left = left.less(asked.tokens);
        Ok(())
    }

    /// Takes a slot wherever one is lacking, or none. Those of all replicas are not taken under a lock.
    fn take_slots(
        &mut self,
        asked: &Asked<'_>,
        counts: &mut Locked<'_>,
        left: Left,
    ) -> Result<(), Lacking> {
        for (at, (limiter, counts)) in indexed(&asked.limiters, counts) {
            let Some(concurrency) = limiter
                .limits
                .concurrency
                .filter(|_| self.places[at].is_none())
            else {
                continue;
            };
            let max = concurrency.max.get();
            let queue = match limiter.gauge.slots() {
                Some(slots) => Queue::Shared(slots.clone()),
                None if counts.has_slot(max) => continue,
                None => Queue::Own(counts.wait(max, concurrency.queue_max)),
            };
            let refused = Refused {
                left,
                ..limiter.refused(Limit::Concurrency, SLOT_WAIT)
            };
            return Err(Lacking::Slot {
                at,
                concurrency,
                queue,
                refused: Box::new(refused),
            });
        }
        for (at, (limiter, counts)) in indexed(&asked.limiters, counts) {
            if limiter.limits.concurrency.is_some() && self.places[at].is_none() {
                self.places[at] = Some(Place::Own(limiter.gauge.enter(counts)));
            }
        }
        Ok(())
    }

    /// Takes what was found under each limit.
    fn enter(&mut self, asked: &Asked<'_>, counts: &mut Locked<'_>, errands: &mut Errands) {
        for (at, (limiter, counts)) in indexed(&asked.limiters, counts) {
            let gauge = &limiter.gauge;
            for (limit, _) in limiter.limits() {
                let amount = limit.amount(asked.tokens);
                let mut newest = self.shares.iter_mut().rev();
                let share = newest.find(|share| share.is_of(gauge, limit));
                let held = share.as_ref().map(|share| share.held);
                let Some(count) = counts.of(limit, gauge) else {
                    continue;
                };
                let (mark, is_held, effect) = count.take(amount, held.as_ref(), asked.now);
                if let Some(share) = share.filter(|_| is_held) {
                    share.close();
                }
                if let (Some(effect), Some(line)) = (effect, counts.line(limit)) {
                    let asks = line.errands(gauge, limit, [effect]);
                    errands.extend(asks.into_iter().map(|errand| (at, limit, errand)));
                }
                self.entered.push(Entered {
                    gauge: gauge.clone(),
                    limit,
                    amount,
                    mark,
                });
            }
        }
    }

    /// The request has ended: others may run. What it has used is still to be settled.
    pub fn end(&mut self) {
        self.places = Default::default();
    }

    /// The request has used so many tokens.
    pub fn settle(&mut self, used: u64) {
        let is_of_tokens = |entered: &mut Entered| matches!(entered.limit, Limit::Tokens(_));
        for entered in self.entered.extract_if(.., is_of_tokens) {
            entered.settle(used);
        }
    }

    /// The request was refused for another reason, and counts for nothing.
    pub fn cancel(&mut self) {
        for entered in self.entered.drain(..) {
            entered.settle(0);
        }
        self.end();
    }
}

impl Entered {
    fn settle(self, used: u64) {
        let (gauge, limit) = (&self.gauge, self.limit);
        let errands = {
            let mut counts = gauge.lock();
            let Some(count) = counts.of(limit, gauge) else {
                return;
            };
            let effects = count.settle(self.mark, self.amount, used, Instant::now());
            match counts.line(limit) {
                Some(line) => line.errands(gauge, limit, effects),
                None => return,
            }
        };
        errands
            .into_iter()
            .for_each(|errand| gauge.run(limit, errand));
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
        let asks = line.errands(&limiter.gauge, *limit, effect);
        errands.extend(asks.into_iter().map(|errand| (*at, *limit, errand)));
        waits.push((*at, wait));
    }
    waits
}

type Locked<'a> = [Option<MutexGuard<'a, Counts>>; LIMITERS];

/// Limiters with their places and counts.
fn indexed<'l, 'c>(
    limiters: &Limiters<'l>,
    counts: &'c mut Locked<'_>,
) -> impl Iterator<Item = (usize, (&'l Limiter, &'c mut Counts))> {
    let both = limiters.iter().copied().zip(counts.iter_mut()).enumerate();
    both.filter_map(|(at, (limiter, counts))| Some((at, (limiter?, &mut **counts.as_mut()?))))
}
