//! Limits of requests, tokens and of what runs at once: for keys, teams, models and providers, all of them or none.
//!
//! A request passes the limiters of its key, team and model, whose counts are looked at and taken from under all of their locks, in
//! one order: so it is admitted by all of them or has taken nothing. Each of its attempts passes that of a provider. What it holds
//! is given back when it ends, however it ends.

mod admitted;
mod forecast;
mod gauge;
mod shared;
mod span;
mod tally;
#[cfg(test)]
mod tests;
mod told;

pub use admitted::Admitted;
pub use forecast::Forecast;
pub use gauge::{Gauge, Slot};
pub use shared::{KIND, Shared};
pub use told::{Left, Limit, Refused, Remaining};

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use crate::access::budgets::{Page, Refusal};
use crate::access::state::ANSWER_WITHIN;
use crate::config::limits::{Concurrency, Limits};
use crate::soon::Soon;
use crate::spend::Usd;
use admitted::{Asked, Lacking, Locked, Wish};
use gauge::Counts;
use shared::{Lease, Look, Maxima, Outcome, Share, Wait};
use tally::{Places, unit_of};
use told::{PLACES, Tight, UNITS};

/// When a slot will be free nobody knows; this is what who finds none is told, and the queue full.
const SLOT_WAIT: Duration = Duration::from_secs(1);

/// When the store of all replicas will answer nobody knows either.
const STORE_WAIT: Duration = Duration::from_secs(1);

/// What a slot is in the account of all replicas.
const SLOT: Usd = Usd::from_nano(1);

/// So many slots, in the account of all replicas.
fn slots_of(max: u32) -> Usd {
    Usd::from_nano(max.into())
}

/// The limits of one of those, and what it has counted.
#[derive(Clone, Debug)]
pub struct Limiter {
    /// Whose, in the words of a refusal: ``key `search-prod` ``.
    whose: String,
    /// How much of each limit that is set, by its place.
    windows: Maxima,
    /// Those places.
    places: Places,
    concurrency: Option<Concurrency>,
    /// What was counted.
    gauge: Arc<Gauge>,
}

/// So many limiters, always in the same order of kinds; None for those without limits.
pub type Limiters<'a, const N: usize> = [Option<&'a Limiter>; N];

/// Admits a request that will use about so many tokens. Waits where a queue is configured and a slot is lacking, and shortly
/// where replicas share a limit and this one lacks its part; dropping the future gives all back. What does not come to pass is
/// the limit that has no room, and when it will.
pub fn admit<const N: usize>(
    limiters: Limiters<'_, N>,
    tokens: u64,
) -> Soon<'_, Result<Box<Admitted<N>>, Box<Refused>>> {
    let wish = Wish {
        limiters,
        tokens,
        is_late: false,
    };
    let mut admitted = Box::<Admitted<N>>::default();
    match admitted.take(&wish) {
        Ok(()) => Soon::Now(Ok(admitted)),
        Err(Lacking::Room(refused)) => Soon::Now(Err(refused)),
        Err(lacking) => Soon::later(wait(admitted, lacking, wish)),
    }
}

/// Waits for what a request lacks, until it has all.
async fn wait<const N: usize>(
    mut admitted: Box<Admitted<N>>,
    mut lacking: Lacking,
    mut wish: Wish<'_, N>,
) -> Result<Box<Admitted<N>>, Box<Refused>> {
    let mut patience = Patience::default();
    loop {
        match lacking {
            Lacking::Room(refused) => return Err(refused),
            Lacking::Shares(waits) => {
                patience.wait(waits, &mut admitted, &wish).await?;
                wish.is_late = patience.is_over;
            }
            Lacking::Slot {
                at,
                concurrency,
                queue,
                refused,
            } => {
                let slot = match wish.limiters[at] {
                    Some(limiter) => wait_in(queue, concurrency, &limiter.gauge).await,
                    None => Err(false),
                };
                let refused = |is_lost| {
                    Box::new(Refused {
                        is_lost,
                        ..*refused
                    })
                };
                admitted.keep_slot(at, slot.map_err(refused)?);
            }
        }
        match admitted.take(&wish) {
            Ok(()) => return Ok(admitted),
            Err(still) => lacking = still,
        }
    }
}

/// Where a request waits for a slot.
enum Queue {
    /// Behind others of this process; None where too many do.
    Own(Option<oneshot::Receiver<Slot>>),
    /// For the slots of all replicas.
    Shared(Arc<Page>),
}

/// Waits for a slot.
///
/// # Errors
/// There is none; and whether that is because nobody can say.
async fn wait_in(queue: Queue, concurrency: Concurrency, gauge: &Arc<Gauge>) -> Result<Slot, bool> {
    let Concurrency {
        max,
        queue_max,
        queue_wait,
    } = concurrency;
    match queue {
        Queue::Own(None) => Err(false),
        Queue::Own(Some(waiting)) => match pingora_timeout::timeout(queue_wait, waiting).await {
            Ok(Ok(slot)) => Ok(slot),
            _ => Err(false),
        },
        Queue::Shared(slots) => {
            let (max, queue_max) = (slots_of(max.get()), queue_max as usize);
            let reserved = slots.reserve(max, SLOT, SLOT, queue_wait, queue_max).await;
            let is_lost = |refusal| refusal == Refusal::Lost;
            let slot = |part| Slot::of_all_replicas(gauge, part);
            reserved.map(slot).map_err(is_lost)
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
    async fn wait<const N: usize>(
        &mut self,
        waits: Vec<(usize, Wait)>,
        admitted: &mut Admitted<N>,
        wish: &Wish<'_, N>,
    ) -> Result<(), Box<Refused>> {
        let until = *self
            .until
            .get_or_insert_with(|| Instant::now() + ANSWER_WITHIN);
        let mut longest: Option<(usize, Limit, Duration)> = None;
        for (at, mut wait) in waits {
            match wait.outcome(until).await {
                Some(Outcome::Has(share)) => admitted.keep_share(share),
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
        let refusing =
            longest.and_then(|(at, limit, room)| Some((wish.limiters[at]?, limit, room)));
        let Some((limiter, limit, room)) = refusing else {
            return Ok(());
        };
        Err(Box::new(Refused {
            left: admitted.left(wish),
            ..limiter.refused(limit, room)
        }))
    }
}

/// What was found at the limits.
#[derive(Default)]
struct Seen {
    /// The limits that leave least, of each unit.
    tightest: [Option<Tightest>; UNITS.len()],
    /// The refusal with the longest wait, which is the true one.
    refused: Option<Box<Refused>>,
    /// What the log of all replicas is to be asked for: limits by their places, of the limiters at theirs.
    lacking: Vec<(usize, usize)>,
}

/// The limit that leaves least, of the limiter at `at`.
#[derive(Clone, Copy)]
struct Tightest {
    at: usize,
    limit: Tight,
}

impl Limiter {
    /// A limiter that counts with `gauge`.
    pub fn new(whose: String, limits: &Limits, gauge: Arc<Gauge>) -> Self {
        let all = limits.requests.iter().chain(&limits.tokens).enumerate();
        let set = all.filter_map(|(place, max)| Some((place, (*max)?.get())));
        let windows: Maxima = set.collect();
        let mut places = Places::default();
        windows.iter().for_each(|(place, _)| places.add(*place));
        Self {
            whose,
            windows,
            places,
            concurrency: limits.concurrency,
            gauge,
        }
    }

    /// Looks whether a request has room in every window, and notes what is left in the tightest.
    /// What is set aside for it in `shares` is there.
    fn look(
        &self,
        at: usize,
        counts: &mut Counts,
        asked: &Asked,
        shares: &[Share],
        seen: &mut Seen,
    ) {
        let Some(shared) = self.gauge.shared() else {
            counts.tally.pass(asked.now);
            let tightest = counts.tally.tightest(&self.windows);
            let mut has_room = true;
            for (unit, limit) in tightest.into_iter().enumerate() {
                let Some(limit) = limit else { continue };
                seen.note(at, unit, limit);
                has_room &= asked.amounts[unit] <= limit.remaining;
            }
            if !has_room {
                self.refuse_by_own(counts, asked, seen);
            }
            return;
        };
        let till = counts.lines.till(&self.windows, asked.amounts, asked.now);
        if let Some(till) = till.filter(|_| shares.is_empty()) {
            for (unit, limit) in till.tightest().into_iter().enumerate() {
                limit
                    .into_iter()
                    .for_each(|limit| seen.note(at, unit, limit));
            }
            return;
        }
        for (place, max) in self.windows.iter().copied() {
            let lease = &mut counts.lines.at_or(place, || shared.line(place)).lease;
            let limit = self.look_at_shared((at, place), max, lease, asked, shares, seen);
            seen.note(at, unit_of(place), limit);
        }
    }

    /// Looks at each count of this process, and refuses what has no room in one.
    #[cold]
    fn refuse_by_own(&self, counts: &mut Counts, asked: &Asked, seen: &mut Seen) {
        for (place, max) in self.windows.iter().copied() {
            let wait = counts
                .tally
                .wait(place, asked.amount(place), max, asked.now);
            if let Some(wait) = wait {
                seen.refuse(self.refused(PLACES[place], wait));
            }
        }
    }

    /// Looks at what this process has of a count of all replicas; returns what is left, and of how much.
    fn look_at_shared(
        &self,
        (at, place): (usize, usize),
        max: u64,
        lease: &mut Lease,
        asked: &Asked,
        shares: &[Share],
        seen: &mut Seen,
    ) -> Tight {
        let (limit, now, amount) = (PLACES[place], asked.now, asked.amount(place));
        let mut newest = shares.iter().rev();
        let share = newest.find(|share| share.is_of(&self.gauge, limit));
        let held = share.map(|share| &share.held);
        let looked = match held.is_some_and(|held| lease.is_good(held, now)) {
            true => Look::Has,
            false => lease.look(amount, max, now),
        };
        let looked = match looked {
            Look::Lacks if asked.is_late => Look::Lost,
            looked => looked,
        };
        let own = (looked == Look::Lost).then(|| self.gauge.shared()?.own_part(max));
        let (looked, part) = match own.flatten() {
            Some(part) => (lease.look_alone(amount, part, now), part),
            None => (looked, max),
        };
        match looked {
            Look::Has => {}
            Look::Lacks => seen.lacking.push((at, place)),
            Look::Full(wait) => seen.refuse(self.refused(limit, wait)),
            Look::Lost => seen.refuse(Refused {
                is_lost: true,
                ..self.refused(limit, STORE_WAIT)
            }),
        }
        Tight {
            place,
            max: part,
            remaining: lease.remaining(part, held, now).0,
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

    /// How much of it; 0 where that is not limited.
    pub fn max(&self, limit: Limit) -> u64 {
        if limit == Limit::Concurrency {
            return self.concurrency.map_or(0, |one| one.max.get().into());
        }
        let mut windows = self.windows.iter();
        let found = windows.find(|(place, _)| PLACES[*place] == limit);
        found.map_or(0, |(_, max)| *max)
    }
}

impl Seen {
    fn refuse(&mut self, refused: Refused) {
        let is_longest = |other: &Refused| other.retry_after < refused.retry_after;
        if self.refused.as_deref().is_none_or(is_longest) {
            self.refused = Some(Box::new(refused));
        }
    }

    fn note(&mut self, at: usize, unit: usize, limit: Tight) {
        let tightest = &mut self.tightest[unit];
        if tightest.is_none_or(|other| limit.remaining < other.limit.remaining) {
            *tightest = Some(Tightest { at, limit });
        }
    }

    /// What is left.
    fn left(&self, asked: &Asked, locked: &mut [Option<Locked<'_>>]) -> Left {
        let left = |tightest: Option<Tightest>| {
            let Tightest { at, limit } = tightest?;
            let counts = &mut locked[at].as_mut()?.counts;
            let reset = match counts.lines.at(limit.place) {
                Some(line) => line.lease.remaining(limit.max, None, asked.now).1,
                None => counts.tally.reset(limit.place, asked.now),
            };
            Some(limit.remaining_behind(0, reset))
        };
        let [requests, tokens] = self.tightest.map(left);
        Left { requests, tokens }
    }

    /// What is left behind a request that has been entered.
    fn left_behind(&self, asked: &Asked, locked: &[Option<Locked<'_>>]) -> Left {
        let behind = |tightest: Option<Tightest>| {
            let Tightest { at, limit } = tightest?;
            let life = locked[at].as_ref()?.limiter.gauge.life(limit.place);
            Some(limit.remaining_behind(asked.amount(limit.place), life))
        };
        let [requests, tokens] = self.tightest.map(behind);
        Left { requests, tokens }
    }
}

impl Tight {
    const fn remaining_behind(self, taken: u64, reset: Duration) -> Remaining {
        Remaining {
            limit: self.max,
            remaining: self.remaining.saturating_sub(taken),
            reset,
        }
    }
}
