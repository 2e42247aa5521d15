//! Limits that all replicas keep together, by way of Redis.
//!
//! A [`Lease`] is what this replica has of a limit, a log (`rate.lua`) what all have. Here is what carries the one's
//! questions to the other and its answers back, and nothing of it waits: a request that lacks something has a place in a
//! [`Line`], and waits there without a lock.

mod front;
mod lease;
mod line;
mod lines;
mod log;
mod news;
mod numbers;
mod pace;
mod portions;
mod script;
#[cfg(test)]
mod simulation;
mod standing;
#[cfg(test)]
mod tests;

pub use lease::{Effect, Lease, Look, life};
pub use line::{Errand, Line, Outcome, Share, Wait};
pub use lines::{Lines, Maxima, Sources, Took};

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::TimeDelta;
use chrono_tz::Tz;
use parking_lot::Mutex;

use super::gauge::Gauge;
use super::told::{Limit, window_of};
use crate::access::budgets::{Kind, Opening, Page, Past, Per, Windows};
use crate::access::state::{Store, WhenStoreLost};
use crate::spend::Usd;
use log::{Ask, LIFE, part_of};
use numbers::Numbers;

/// What a store's names of these counts begin with.
pub const KIND: &str = "rate";

/// How often what leases left unused is given back.
const SWEEP_EVERY: Duration = Duration::from_millis(50);

/// Replicas that were heard of within this time share a limit when each goes on by itself.
const LIVES: TimeDelta = TimeDelta::seconds(10);

/// Where all replicas count.
pub struct Shared {
    store: Arc<Store>,
    start: Instant,
    numbers: Numbers,
    /// Gauges of which something is under way or unused: they live until it is not.
    busy: Mutex<Vec<Arc<Gauge>>>,
}

impl Shared {
    /// Begins to count in a store.
    pub fn start(store: Arc<Store>) -> Arc<Self> {
        let joined = store.clone();
        let shared = Arc::new(Self {
            store,
            numbers: Numbers::behind(move || joined.joined()),
            start: Instant::now(),
            busy: Mutex::default(),
        });
        let swept = Arc::downgrade(&shared);
        let sweep = move || {
            while let Some(shared) = swept.upgrade() {
                shared.sweep();
                drop(shared);
                std::thread::sleep(SWEEP_EVERY);
            }
        };
        std::thread::Builder::new()
            .name("limits".into())
            .spawn(sweep)
            .expect("a process at its start has threads left");
        shared
    }

    /// A line for the limit at that place.
    pub fn line(&self, place: usize) -> Line {
        let numbers = self.numbers.clone();
        Line::new(Lease::new(window_of(place), self.start, numbers))
    }

    /// The slots of the limiter of that path: a budget whose money always comes back, and which lasts for ever.
    pub fn slots(&self, path: &str) -> Arc<Page> {
        let for_ever = Windows {
            per: Per::Total,
            zone: Tz::UTC,
        };
        Page::open(Opening {
            kind: Kind::Slots,
            name: &path.into(),
            window: for_ever.at(self.store.now()),
            limit: Usd::ZERO,
            past: Past::default(),
            ledger: None,
            noted_for: None,
            store: Some(&self.store),
        })
    }

    /// A gauge has something that is to be swept.
    pub fn is_busy(&self, gauge: &Arc<Gauge>) {
        self.busy.lock().push(gauge.clone());
    }

    /// What this replica may use of a limit by itself while Redis is away; None where it may nothing.
    pub fn own_part(&self, limit: u64) -> Option<u64> {
        match self.store.settings().when_store_lost {
            WhenStoreLost::Reject => None,
            WhenStoreLost::Local => {
                let others = self.store.others(Some(self.store.now() - LIVES));
                Some((limit / (others.len() as u64 + 1)).max(1))
            }
        }
    }

    /// Puts a question of a gauge to the log.
    pub fn ask(&self, gauge: &Arc<Gauge>, limit: Limit, ask: &Ask) {
        let seq = ask.seq;
        if self.store.is_lost() {
            return gauge.act(limit, |lease, now| lease.unanswered(seq, now));
        }
        // A replica that others do not know yet would be forgotten if Redis lost its data.
        if !self.store.is_known() {
            return gauge.act(limit, |lease, now| lease.postponed(seq, now));
        }
        let asking = gauge.clone();
        self.send(&gauge.key(limit), limit, ask, move |answer| {
            asking.act(limit, |lease, now| match answer {
                Some(answer) => lease.answered(seq, answer, now),
                None => lease.unanswered(seq, now),
            });
        });
    }

    /// Says of a count that this replica does not have that it has used nothing.
    pub fn deny(&self, key: &str, limit: Limit) {
        let seq = self.numbers.next();
        let ask = Ask {
            seq,
            heard: seq,
            life: LIFE,
            is_anew: true,
            ..Ask::default()
        };
        self.send(key, limit, &ask, |_| {});
    }

    fn send(
        &self,
        key: &str,
        limit: Limit,
        ask: &Ask,
        answered: impl FnOnce(Option<log::Answer>) + Send + 'static,
    ) {
        let Some(place) = limit.place() else {
            return;
        };
        let window = window_of(place);
        let part = part_of(window);
        // Nothing counts of those who have been silent for longer.
        let since = TimeDelta::from_std(window + 4 * part).unwrap_or(TimeDelta::MAX);
        let asking = script::Asking {
            replica: self.store.replica(),
            others: &self.store.others(Some(self.store.now() - since)),
            channel: self.store.prompts_channel(),
            key,
            part,
        };
        let arguments = script::arguments(&asking, ask);
        let read = move |reply: Result<_, _>| {
            let reply: Option<crate::access::state::Reply> = reply.ok();
            answered(reply.and_then(|reply| script::answer(&reply)));
        };
        self.store
            .call(&script::RATE, key, arguments, Box::new(read));
    }

    fn sweep(&self) {
        let busy = std::mem::take(&mut *self.busy.lock());
        for gauge in &busy {
            if gauge.sweep() {
                self.is_busy(gauge);
            }
        }
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Shared by {}", self.store.replica())
    }
}
