//! Limits of requests, tokens and of what runs at once: for keys, teams, models and providers, all of them or none.
//!
//! A request passes up to four limiters, whose counts are looked at and taken from under all of their locks, in one order: so
//! it is admitted by all of them or has taken nothing. What it holds is given back when it ends, however it ends.

mod forecast;
mod gauge;
mod shared;
mod span;
#[cfg(test)]
mod tests;

pub use forecast::Forecast;
pub use gauge::{Gauge, Slot};

use std::fmt;
use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::MutexGuard;

use crate::config::limits::{Limits, WINDOWS};
use gauge::{Counts, Spans};
use span::Mark;

/// How many limiters a request passes at most: those of its key, team, model and provider.
pub const LIMITERS: usize = 4;

/// The names of the limits in the configuration, by unit and window.
const NAMES: [[&str; WINDOWS.len()]; 2] =
    [["rps", "rpm", "rph", "rpd"], ["tps", "tpm", "tph", "tpd"]];

/// The names of the windows.
const WINDOW_NAMES: [&str; WINDOWS.len()] = ["second", "minute", "hour", "day"];

/// When a slot will be free nobody knows; this is what who finds none is told, and the queue full.
const SLOT_WAIT: Duration = Duration::from_secs(1);

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
    entered: Vec<Entered>,
}

/// What was entered for a request at one limiter.
#[derive(Debug)]
struct Entered {
    gauge: Arc<Gauge>,
    requests: [Option<Mark>; WINDOWS.len()],
    /// With the amount.
    tokens: [Option<(Mark, u64)>; WINDOWS.len()],
}

/// What is left of requests and of tokens, by the limit that is nearest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Left {
    /// Of requests, where they are limited.
    pub requests: Option<Remaining>,
    /// Of tokens, where they are limited.
    pub tokens: Option<Remaining>,
}

/// What is left of one limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Remaining {
    /// The limit.
    pub limit: u64,
    /// What is left of it.
    pub remaining: u64,
    /// When all of it will be there again, if nothing more comes.
    pub reset: Duration,
    /// When what is taken now comes back.
    life: Duration,
}

/// Why a request was not admitted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Whose limit it was.
    pub whose: String,
    /// Which.
    pub limit: Limit,
    /// How much it is.
    pub max: u64,
    /// When a request like this one fits.
    pub retry_after: Duration,
    /// What is left besides.
    pub left: Left,
}

/// A limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// So many requests in one of the windows.
    Requests(usize),
    /// So many tokens in one of the windows.
    Tokens(usize),
    /// So many requests at once.
    Concurrency,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            whose,
            limit,
            max,
            retry_after,
            ..
        } = self;
        let (unit, window) = match limit {
            Limit::Requests(window) => ("requests", window),
            Limit::Tokens(window) => ("tokens", window),
            Limit::Concurrency => {
                return write!(
                    f,
                    "{whose} may have {max} requests running at once (`concurrency`), and has as many"
                );
            }
        };
        let name = limit.name();
        let per = WINDOW_NAMES[*window];
        let left = retry_after.as_secs_f64();
        write!(
            f,
            "{whose} may use {max} {unit} per {per} (`{name}`), and has used them; there is room in {left:.3}s"
        )
    }
}

impl Left {
    /// What is left behind a request.
    fn less(self, tokens: u64) -> Self {
        let less = |left: Option<Remaining>, amount: u64| {
            left.map(|left| Remaining {
                remaining: left.remaining.saturating_sub(amount),
                reset: left.life,
                ..left
            })
        };
        Self {
            requests: less(self.requests, 1),
            tokens: less(self.tokens, tokens),
        }
    }
}

impl Limit {
    /// Its name in the configuration.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Requests(window) => NAMES[0][window],
            Self::Tokens(window) => NAMES[1][window],
            Self::Concurrency => "concurrency",
        }
    }
}

/// Admits a request that will use about so many tokens. Waits only where a queue is configured and a slot is lacking;
/// dropping the future gives all back.
///
/// # Errors
/// The limit that has no room, and when it will.
pub async fn admit(limiters: Limiters<'_>, tokens: u64) -> Result<Admitted, Refused> {
    let mut admitted = Admitted::default();
    loop {
        let (at, lacking) = match admitted.take(limiters, tokens, Instant::now()) {
            Ok(()) => return Ok(admitted),
            Err(Lacking::Room(refused)) => return Err(*refused),
            Err(Lacking::Slot {
                at,
                waiting,
                refused,
            }) => (at, (waiting, refused)),
        };
        let (waiting, refused) = lacking;
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
}

impl Admitted {
    /// Takes from every limiter, or from none.
    fn take(&mut self, limiters: Limiters<'_>, tokens: u64, now: Instant) -> Result<(), Lacking> {
        let mut counts = limiters.map(|limiter| limiter.map(|limiter| limiter.gauge.lock()));
        let mut left = Left::default();
        let mut refused: Option<Refused> = None;
        for (limiter, counts) in pairs(&limiters, &mut counts) {
            if let Some(none) = limiter.look(counts, tokens, now, &mut left)
                // The longest wait is the true one.
                && refused.as_ref().is_none_or(|other| other.retry_after < none.retry_after)
            {
                refused = Some(none);
            }
        }
        if let Some(refused) = refused {
            return Err(Lacking::Room(Box::new(Refused { left, ..refused })));
        }
        for (at, (limiter, counts)) in indexed(&limiters, &mut counts) {
            let Some(concurrency) = limiter
                .limits
                .concurrency
                .filter(|_| self.slots[at].is_none())
            else {
                continue;
            };
            if !counts.has_slot(concurrency.max.get()) {
                let refused = Refused {
                    whose: limiter.whose.clone(),
                    limit: Limit::Concurrency,
                    max: concurrency.max.get().into(),
                    retry_after: SLOT_WAIT,
                    left,
                };
                return Err(Lacking::Slot {
                    at,
                    waiting: counts.wait(concurrency.max.get(), concurrency.queue_max),
                    refused: Box::new(refused),
                });
            }
        }
        for (at, (limiter, counts)) in indexed(&limiters, &mut counts) {
            if limiter.limits.concurrency.is_some() && self.slots[at].is_none() {
                self.slots[at] = Some(limiter.gauge.enter(counts));
            }
            self.entered.extend(limiter.enter(counts, tokens, now));
        }
        self.left = left.less(tokens);
        Ok(())
    }

    /// The request has ended: others may run. What it has used is still to be settled.
    pub fn end(&mut self) {
        self.slots = Default::default();
    }

    /// The request has used so many tokens.
    pub fn settle(&mut self, used: u64) {
        for entered in &mut self.entered {
            if entered.tokens.iter().all(Option::is_none) {
                continue;
            }
            let mut counts = entered.gauge.lock();
            for (window, place) in entered.tokens.iter_mut().enumerate() {
                if let Some((mark, reserved)) = place.take() {
                    counts.tokens().amend(window, mark, reserved, used);
                }
            }
        }
    }

    /// The request was refused for another reason, and counts for nothing.
    pub fn cancel(&mut self) {
        for entered in &mut self.entered {
            let mut counts = entered.gauge.lock();
            for (window, mark) in entered.requests.iter_mut().enumerate() {
                if let Some(mark) = mark.take() {
                    counts.requests().amend(window, mark, 1, 0);
                }
            }
        }
        self.settle(0);
        self.end();
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        self.settle(0);
    }
}

impl Limiter {
    /// Looks whether a request has room in every window, and notes what is left in the tightest.
    fn look(
        &self,
        counts: &mut Counts,
        tokens: u64,
        now: Instant,
        left: &mut Left,
    ) -> Option<Refused> {
        let requests = look(
            &self.limits.requests,
            counts.requests(),
            1,
            now,
            &mut left.requests,
        );
        let tokens = look(
            &self.limits.tokens,
            counts.tokens(),
            tokens,
            now,
            &mut left.tokens,
        );
        // Of two that are equal the last is told.
        let longest = [
            tokens.map(|(at, wait)| (Limit::Tokens(at), wait)),
            requests.map(|(at, wait)| (Limit::Requests(at), wait)),
        ];
        let (limit, retry_after) = longest
            .into_iter()
            .flatten()
            .max_by_key(|(_, wait)| *wait)?;
        Some(Refused {
            whose: self.whose.clone(),
            limit,
            max: self.max(limit),
            retry_after,
            left: Left::default(),
        })
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

    fn enter(&self, counts: &mut Counts, tokens: u64, now: Instant) -> Option<Entered> {
        let limits = &self.limits;
        if limits
            .requests
            .iter()
            .chain(&limits.tokens)
            .all(Option::is_none)
        {
            return None;
        }
        let mut entered = Entered {
            gauge: self.gauge.clone(),
            requests: [None; WINDOWS.len()],
            tokens: [None; WINDOWS.len()],
        };
        for window in 0..WINDOWS.len() {
            if limits.requests[window].is_some() {
                entered.requests[window] = Some(counts.requests().add(window, 1, now));
            }
            if limits.tokens[window].is_some() {
                entered.tokens[window] = Some((counts.tokens().add(window, tokens, now), tokens));
            }
        }
        Some(entered)
    }
}

/// Looks at the windows of one unit: the longest wait and where; and what is left of the tightest.
fn look(
    limits: &[Option<NonZeroU64>; WINDOWS.len()],
    spans: &mut Spans,
    amount: u64,
    now: Instant,
    left: &mut Option<Remaining>,
) -> Option<(usize, Duration)> {
    let mut longest: Option<(usize, Duration)> = None;
    for (window, limit) in limits.iter().enumerate() {
        let Some(limit) = limit.map(NonZeroU64::get) else {
            continue;
        };
        let span = spans.of(window);
        let wait = span.wait(amount, limit, now);
        if let Some(wait) = wait
            && longest.is_none_or(|(_, other)| other < wait)
        {
            longest = Some((window, wait));
        }
        let remaining = limit.saturating_sub(span.used(now));
        if left.is_none_or(|other| remaining < other.remaining) {
            *left = Some(Remaining {
                limit,
                remaining,
                reset: span.reset(now),
                life: span.life(),
            });
        }
    }
    longest
}

type Locked<'a> = [Option<MutexGuard<'a, Counts>>; LIMITERS];

/// Limiters with their counts.
fn pairs<'l, 'c>(
    limiters: &Limiters<'l>,
    counts: &'c mut Locked<'_>,
) -> impl Iterator<Item = (&'l Limiter, &'c mut Counts)> {
    indexed(limiters, counts).map(|(_, pair)| pair)
}

fn indexed<'l, 'c>(
    limiters: &Limiters<'l>,
    counts: &'c mut Locked<'_>,
) -> impl Iterator<Item = (usize, (&'l Limiter, &'c mut Counts))> {
    let both = limiters.iter().copied().zip(counts.iter_mut()).enumerate();
    both.filter_map(|(at, (limiter, counts))| Some((at, (limiter?, &mut **counts.as_mut()?))))
}
