//! Requests that wait for a lease to have what they need.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::super::gauge::Gauge;
use super::super::told::Limit;
use super::lease::{Effect, Held, Lease, Waiter};
use super::log::Ask;

/// How often a request that waits looks whether the log is to be asked again: the clock of its timers is that coarse.
const TICK: Duration = Duration::from_millis(10);

/// A lease, and who waits for it.
#[derive(Debug)]
pub struct Line {
    pub lease: Lease,
    senders: HashMap<Waiter, oneshot::Sender<Outcome>>,
    next: Waiter,
}

/// What a request that waits is told.
#[derive(Debug)]
pub enum Outcome {
    /// It has what it needs.
    Has(Share),
    /// There is no room for so long.
    Full(Duration),
    /// Redis does not answer.
    Lost,
}

/// What is set aside for a request. Dropping it gives it back.
#[derive(Debug)]
pub struct Share {
    gauge: Arc<Gauge>,
    limit: Limit,
    /// What it is.
    pub held: Held,
    is_open: bool,
}

/// A place in a line. Dropping it leaves the line.
#[derive(Debug)]
pub struct Wait {
    gauge: Arc<Gauge>,
    /// For what.
    pub limit: Limit,
    id: Waiter,
    receiver: oneshot::Receiver<Outcome>,
}

/// What is to be done when no lock is held.
#[derive(Debug)]
pub enum Errand {
    /// The log is to be asked.
    Ask(Ask),
    /// A request that waits is to be told.
    Tell(oneshot::Sender<Outcome>, Outcome),
}

impl Line {
    /// Nobody waits.
    pub fn new(lease: Lease) -> Self {
        Self {
            lease,
            senders: HashMap::new(),
            next: 0,
        }
    }

    /// Lines up for an amount of a gauge's limit, whose line this is.
    pub fn wait(
        &mut self,
        gauge: &Arc<Gauge>,
        limit: Limit,
        amount: u64,
        now: Instant,
    ) -> (Wait, Option<Effect>) {
        let (sender, receiver) = oneshot::channel();
        let id = self.next;
        self.next += 1;
        self.senders.insert(id, sender);
        let wait = Wait {
            gauge: gauge.clone(),
            limit,
            id,
            receiver,
        };
        (wait, self.lease.wait(id, amount, now))
    }

    /// What effects of the lease come to.
    pub fn errands(
        &mut self,
        gauge: &Arc<Gauge>,
        limit: Limit,
        effects: impl IntoIterator<Item = Effect>,
    ) -> Vec<Errand> {
        let errand = |effect| {
            let (id, outcome) = match effect {
                Effect::Ask(ask) => return Some(Errand::Ask(ask)),
                Effect::Serve(id, held) => {
                    let share = Share {
                        gauge: gauge.clone(),
                        limit,
                        held,
                        is_open: true,
                    };
                    (id, Outcome::Has(share))
                }
                Effect::Refuse(id, wait) => (id, Outcome::Full(wait)),
                Effect::Lose(id) => (id, Outcome::Lost),
            };
            // Who leaves takes its sender and its place in the lease along, so it is there.
            Some(Errand::Tell(self.senders.remove(&id)?, outcome))
        };
        effects.into_iter().filter_map(errand).collect()
    }

    fn leave(&mut self, id: Waiter) {
        self.lease.leave(id);
        self.senders.remove(&id);
    }
}

impl Share {
    /// Whether it is of that limit of that gauge.
    pub fn is_of(&self, gauge: &Arc<Gauge>, limit: Limit) -> bool {
        Arc::ptr_eq(&self.gauge, gauge) && self.limit == limit
    }

    /// It was taken.
    pub const fn close(&mut self) {
        self.is_open = false;
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        if self.is_open {
            let held = self.held;
            self.gauge
                .act(self.limit, |lease, now| lease.put_back(&held, now));
        }
    }
}

impl Wait {
    /// Waits to be told, at most until then.
    pub async fn outcome(&mut self, until: Instant) -> Option<Outcome> {
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return None;
            }
            match pingora_timeout::timeout(left.clamp(TICK / 10, TICK), &mut self.receiver).await {
                Ok(told) => return Some(told.unwrap_or(Outcome::Lost)),
                Err(_) => self.gauge.act(self.limit, Lease::tick),
            }
        }
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        let mut counts = self.gauge.lock();
        if let Some(line) = counts.line(self.limit) {
            line.leave(self.id);
        }
    }
}
