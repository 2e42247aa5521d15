//! Limits of requests, tokens and of what runs at once: for keys, teams, models and providers, all of them or none.
//!
//! A request passes up to four limiters, whose counts are looked at and taken from under all of their locks, in one order: so
//! it is admitted by all of them or has taken nothing. What it holds is given back when it ends, however it ends.

mod count;
mod forecast;
mod gauge;
mod shared;
mod span;
#[cfg(test)]
mod tests;
mod told;

pub use forecast::Forecast;
pub use gauge::{Gauge, Slot};
pub use shared::{KIND, Shared};
pub use told::{Left, Limit, Refused, Remaining};

use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::MutexGuard;

use crate::access::state::ANSWER_WITHIN;
use crate::config::limits::Limits;
use count::Mark;
use gauge::Counts;
use shared::{Errand, Held, Look, Outcome, Share, Wait};

/// How many limiters a request passes at most: those of its key, team, model and provider.
pub const LIMITERS: usize = 4;

/// When a slot will be free nobody knows; this is what who finds none is told, and the queue full.
const SLOT_WAIT: Duration = Duration::from_secs(1);

/// When the store of all replicas will answer nobody knows either.
const STORE_WAIT: Duration = Duration::from_secs(1);

/// The limits of one of those, and what it has counted.
#[derive(Clone, Debug)]
pub struct Limiter {
    /// Whose, in the words of a refusal: ``key `search-prod` ``.
    pub whose: String,
    /// How much.
    pub limits: Limits,
    /// What was counted.
    pub gauge: Arc<Gauge>,
}

/// The limiters of a request, always in the same order of kinds; None for those without limits.
pub type Limiters<'a> = [Option<&'a Limiter>; LIMITERS];

/// What a request was admitted with. Dropping it ends the request for the limits.
#[derive(Debug, Default)]
pub struct Admitted {
    /// What the tightest of the limits leave.
    pub left: Left,
    slots: [Option<Slot>; LIMITERS],
    /// What is set aside for it, before it is admitted.
    shares: Vec<Share>,
    entered: Vec<Entered>,
}

/// What was entered for a request under one limit.
#[derive(Debug)]
struct Entered {
    gauge: Arc<Gauge>,
    limit: Limit,
    amount: u64,
    mark: Mark,
}

/// Admits a request that will use about so many tokens. Waits where a queue is configured and a slot is lacking, and shortly
/// where replicas share a limit and this one lacks its part; dropping the future gives all back.
///
/// # Errors
/// The limit that has no room, and when it will.
pub async fn admit(limiters: Limiters<'_>, tokens: u64) -> Result<Admitted, Refused> {
    let mut admitted = Admitted::default();
    let mut patience = Patience::default();
    loop {
        let lacking = match admitted.take(limiters, tokens, &patience, Instant::now()) {
            Ok(()) => return Ok(admitted),
            Err(lacking) => lacking,
        };
        let (at, waiting, refused) = match lacking {
            Lacking::Room(refused) => return Err(*refused),
            Lacking::Shares(waits) => {
                Box::pin(patience.wait(&mut admitted, limiters, tokens, waits)).await?;
                continue;
            }
            Lacking::Slot {
                at,
                waiting,
                refused,
            } => (at, waiting, refused),
        };
        let queue_wait = limiters[at].and_then(|limiter| limiter.limits.concurrency);
        let (Some(waiting), Some(concurrency)) = (waiting, queue_wait) else {
            return Err(*refused);
        };
        let waited = pingora_timeout::timeout(concurrency.queue_wait, waiting);
        match Box::pin(waited).await {
            Ok(Ok(slot)) => admitted.slots[at] = Some(slot),
            _ => return Err(*refused),
        }
    }
}

/// How long a request waits for what replicas share, in all.
#[derive(Default)]
struct Patience {
    until: Option<Instant>,
    /// It has waited for long enough, and goes on as though the store were away.
    is_over: bool,
}

impl Patience {
    /// Waits until all that was asked for is answered.
    async fn wait(
        &mut self,
        admitted: &mut Admitted,
        limiters: Limiters<'_>,
        tokens: u64,
        waits: Vec<(usize, Wait)>,
    ) -> Result<(), Refused> {
        let until = *self
            .until
            .get_or_insert_with(|| Instant::now() + ANSWER_WITHIN);
        let mut longest: Option<(usize, Limit, Duration)> = None;
        for (at, mut wait) in waits {
            match wait.outcome(until).await {
                Some(Outcome::Has(share)) => admitted.shares.push(share),
                Some(Outcome::Full(room)) => {
                    // The longest wait is the true one.
                    if longest.is_none_or(|(.., other)| other < room) {
                        longest = Some((at, wait.limit, room));
                    }
                }
                // Whether that is a refusal is looked at again.
                Some(Outcome::Lost) => {}
                None => self.is_over = true,
            }
        }
        let Some((at, limit, room)) = longest else {
            return Ok(());
        };
        let Some(limiter) = limiters[at] else {
            return Ok(());
        };
        Err(Refused {
            left: admitted.left(limiters, tokens, self),
            ..limiter.refused(limit, room)
        })
    }
}

/// What a request lacks.
enum Lacking {
    /// Room under a limit of a window.
    Room(Box<Refused>),
    /// A slot of the limiter at `at`, for which it waits if there is a queue with a place.
    Slot {
        at: usize,
        waiting: Option<tokio::sync::oneshot::Receiver<Slot>>,
        refused: Box<Refused>,
    },
    /// Parts of limits that replicas share, of the limiters at those places, for which it waits.
    Shares(Vec<(usize, Wait)>),
}

impl Admitted {
    /// Takes from every limiter, or from none.
    fn take(
        &mut self,
        limiters: Limiters<'_>,
        tokens: u64,
        patience: &Patience,
        now: Instant,
    ) -> Result<(), Lacking> {
        let mut errands = Vec::new();
        let taken = {
            let mut counts = limiters.map(|limiter| limiter.map(|limiter| limiter.gauge.lock()));
            self.take_from(limiters, &mut counts, tokens, patience, now, &mut errands)
        };
        // Out of the locks, like all that tells or asks others.
        for (at, limit, errand) in errands {
            if let Some(limiter) = limiters[at] {
                limiter.gauge.run(limit, errand);
            }
        }
        if taken.is_ok() {
            self.shares.clear();
        }
        taken
    }

    fn take_from(
        &mut self,
        limiters: Limiters<'_>,
        counts: &mut Locked<'_>,
        tokens: u64,
        patience: &Patience,
        now: Instant,
        errands: &mut Vec<(usize, Limit, Errand)>,
    ) -> Result<(), Lacking> {
        let asked = Asked {
            tokens,
            is_late: patience.is_over,
            now,
            shares: &self.shares,
        };
        let mut seen = Seen::default();
        for (at, (limiter, counts)) in indexed(&limiters, counts) {
            limiter.look(at, counts, &asked, &mut seen);
        }
        let left = seen.left;
        if let Some(refused) = seen.refused {
            return Err(Lacking::Room(Box::new(Refused { left, ..refused })));
        }
        for (at, (limiter, counts)) in indexed(&limiters, counts) {
            let Some(concurrency) = limiter
                .limits
                .concurrency
                .filter(|_| self.slots[at].is_none())
            else {
                continue;
            };
            if !counts.has_slot(concurrency.max.get()) {
                let refused = Refused {
                    left,
                    ..limiter.refused(Limit::Concurrency, SLOT_WAIT)
                };
                return Err(Lacking::Slot {
                    at,
                    waiting: counts.wait(concurrency.max.get(), concurrency.queue_max),
                    refused: Box::new(refused),
                });
            }
        }
        for (at, (limiter, counts)) in indexed(&limiters, counts) {
            if limiter.limits.concurrency.is_some() && self.slots[at].is_none() {
                self.slots[at] = Some(limiter.gauge.enter(counts));
            }
        }
        if !seen.lacking.is_empty() {
            let mut waits = Vec::new();
            for (at, (limiter, counts)) in indexed(&limiters, counts) {
                let lacking = seen.lacking.iter().filter(|(its, _)| *its == at);
                for limit in lacking.map(|(_, limit)| *limit) {
                    let Some(line) = counts.line(limit) else {
                        continue;
                    };
                    let amount = limit.amount(tokens);
                    let (wait, effect) = line.wait(&limiter.gauge, limit, amount, now);
                    let asks = line.errands(&limiter.gauge, limit, effect);
                    errands.extend(asks.into_iter().map(|errand| (at, limit, errand)));
                    waits.push((at, wait));
                }
            }
            return Err(Lacking::Shares(waits));
        }
        for (at, (limiter, counts)) in indexed(&limiters, counts) {
            for (limit, _) in limiter.limits() {
                let amount = limit.amount(tokens);
                let share = self.shares.iter_mut();
                let mut share = share
                    .filter(|share| share.is_of(&limiter.gauge, limit))
                    .last();
                let held = share.as_deref().map(|share| share.held);
                let Some(count) = counts.of(limit, &limiter.gauge) else {
                    continue;
                };
                let (mark, is_held, effect) = count.take(amount, held.as_ref(), now);
                if let Some(share) = share.as_mut().filter(|_| is_held) {
                    share.close();
                }
                if let (Some(effect), Some(line)) = (effect, counts.line(limit)) {
                    let asks = line.errands(&limiter.gauge, limit, [effect]);
                    errands.extend(asks.into_iter().map(|errand| (at, limit, errand)));
                }
                self.entered.push(Entered {
                    gauge: limiter.gauge.clone(),
                    limit,
                    amount,
                    mark,
                });
            }
        }
        self.left = left.less(tokens);
        Ok(())
    }

    /// What is left of the limits for who is refused.
    fn left(&self, limiters: Limiters<'_>, tokens: u64, patience: &Patience) -> Left {
        let asked = Asked {
            tokens,
            is_late: patience.is_over,
            now: Instant::now(),
            shares: &self.shares,
        };
        let mut seen = Seen::default();
        for (at, limiter) in limiters.iter().enumerate() {
            if let Some(limiter) = limiter {
                limiter.look(at, &mut limiter.gauge.lock(), &asked, &mut seen);
            }
        }
        seen.left
    }

    /// The request has ended: others may run. What it has used is still to be settled.
    pub fn end(&mut self) {
        self.slots = Default::default();
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

/// What is asked of the limits.
struct Asked<'a> {
    tokens: u64,
    /// Who lacks something must not wait for it any more.
    is_late: bool,
    now: Instant,
    /// What is set aside for it.
    shares: &'a [Share],
}

/// What was found at the limits.
#[derive(Default)]
struct Seen {
    left: Left,
    /// The refusal with the longest wait, which is the true one.
    refused: Option<Refused>,
    /// What the log of all replicas is to be asked for.
    lacking: Vec<(usize, Limit)>,
}

impl Asked<'_> {
    /// What is set aside for it under a limit.
    fn held(&self, gauge: &Arc<Gauge>, limit: Limit) -> Option<&Held> {
        let share = self.shares.iter().filter(|share| share.is_of(gauge, limit));
        share.last().map(|share| &share.held)
    }
}

impl Limiter {
    /// Its limits of windows, those of requests first.
    fn limits(&self) -> impl Iterator<Item = (Limit, u64)> {
        let Limits {
            requests, tokens, ..
        } = &self.limits;
        let requests = requests.iter().enumerate();
        let requests = requests.map(|(window, max)| (Limit::Requests(window), *max));
        let tokens = tokens.iter().enumerate();
        let tokens = tokens.map(|(window, max)| (Limit::Tokens(window), *max));
        let set = |(limit, max): (_, Option<NonZeroU64>)| Some((limit, max?.get()));
        requests.chain(tokens).filter_map(set)
    }

    /// Looks whether a request has room in every window, and notes what is left in the tightest.
    fn look(&self, at: usize, counts: &mut Counts, asked: &Asked<'_>, seen: &mut Seen) {
        for (limit, max) in self.limits() {
            let held = asked.held(&self.gauge, limit);
            let amount = limit.amount(asked.tokens);
            let Some(count) = counts.of(limit, &self.gauge) else {
                continue;
            };
            let looked = match count.look(amount, max, held, asked.now) {
                Look::Lacks if asked.is_late => Look::Lost,
                looked => looked,
            };
            let own = (looked == Look::Lost).then(|| self.gauge.shared()?.own_part(max));
            let (looked, max) = match own.flatten() {
                Some(part) => (count.look_alone(amount, part, asked.now), part),
                None => (looked, max),
            };
            match looked {
                Look::Has => {}
                Look::Lacks => seen.lacking.push((at, limit)),
                Look::Full(wait) => seen.refuse(self.refused(limit, wait)),
                Look::Lost => seen.refuse(Refused {
                    is_lost: true,
                    ..self.refused(limit, STORE_WAIT)
                }),
            }
            let (remaining, reset) = count.remaining(max, held, asked.now);
            seen.note(limit, max, remaining, reset, count.life());
        }
    }

    fn refused(&self, limit: Limit, retry_after: Duration) -> Refused {
        Refused {
            whose: self.whose.clone(),
            limit,
            max: self.max(limit),
            retry_after,
            is_lost: false,
            left: Left::default(),
        }
    }

    fn max(&self, limit: Limit) -> u64 {
        match limit {
            Limit::Requests(window) => self.limits.requests[window].map_or(0, NonZeroU64::get),
            Limit::Tokens(window) => self.limits.tokens[window].map_or(0, NonZeroU64::get),
            Limit::Concurrency => self
                .limits
                .concurrency
                .map_or(0, |concurrency| concurrency.max.get().into()),
        }
    }
}

impl Seen {
    fn refuse(&mut self, refused: Refused) {
        let is_longest = |other: &Refused| other.retry_after < refused.retry_after;
        if self.refused.as_ref().is_none_or(is_longest) {
            self.refused = Some(refused);
        }
    }

    fn note(&mut self, limit: Limit, max: u64, remaining: u64, reset: Duration, life: Duration) {
        let left = match limit {
            Limit::Requests(_) => &mut self.left.requests,
            _ => &mut self.left.tokens,
        };
        if left.is_none_or(|other| remaining < other.remaining) {
            *left = Some(Remaining {
                limit: max,
                remaining,
                reset,
                life,
            });
        }
    }
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
