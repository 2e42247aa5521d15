//! What every request shares: the configuration in force, telemetry, and whether the process is about to end.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::sync::{Notify, watch};

use super::settle::{Attempted, Books, Settler};
use crate::access::budgets::{Fund, Reached, Treasury};
use crate::access::state::{Store, WhenStoreLost};
use crate::route::health::{CircuitState, Turn};
use crate::snapshot::Snapshot;
use crate::spend::Usd;
use crate::spend::ledger::{Ledger, LedgerError, Location, Row};
use crate::telemetry::{LedgerState, Level, Log, Metrics, TargetState};

/// Something that operators hear of a budget.
pub enum Notice {
    /// A share of it was reached that is to be told.
    Reached {
        /// Of which budget.
        fund: Arc<Fund>,
        /// Which, and when.
        reached: Reached,
    },
    /// A provider has charged more than the most that a request could cost.
    Overshot {
        /// One of the budgets that paid for it.
        fund: Arc<Fund>,
        /// The most that it could cost.
        reserved: Usd,
        /// What it did cost.
        cost: Usd,
    },
}

/// The state of a running gateway.
pub struct Gateway {
    snapshot: ArcSwap<Snapshot>,
    /// Metrics.
    pub metrics: Metrics,
    /// The log.
    pub log: Log,
    /// How far the end has come.
    pub drain: Drain,
    /// The durable record of what was spent, where there is one.
    pub ledger: Option<Arc<Ledger>>,
    /// Where that is.
    pub ledger_location: Option<Location>,
    /// What replicas share, where they do.
    pub state: Option<Arc<Store>>,
    /// What budgets know of the time before this process, and where they are noted.
    pub treasury: Treasury,
    /// What is to be told of budgets, to whoever takes it first.
    pub notices: Mutex<Option<UnboundedReceiver<Notice>>>,
    settler: Settler,
}

impl Gateway {
    /// A gateway that serves `snapshot`.
    pub fn new(
        snapshot: Snapshot,
        ledger: Option<Arc<Ledger>>,
        state: Option<Arc<Store>>,
        metrics: Metrics,
        log: Log,
    ) -> Self {
        if let Some(state) = &state {
            snapshot.share_limits(state);
        }
        let settings = snapshot.ledger.as_ref();
        let location = settings.map(|settings| settings.location.clone());
        let (sender, receiver) = unbounded_channel();
        let books = Books {
            ledger: ledger.clone(),
            notices: sender,
        };
        Self {
            treasury: Treasury::new(ledger.clone().zip(location.clone()), state.clone()),
            ledger_location: location,
            state,
            notices: Mutex::new(Some(receiver)),
            snapshot: ArcSwap::from_pointee(snapshot),
            metrics,
            log,
            drain: Drain::default(),
            settler: Settler::start(books),
            ledger,
        }
    }

    /// Puts down what an attempt used and cost.
    pub(super) fn settle(&self, attempted: Attempted, row: Option<Row<'_>>) {
        self.settler.settle(attempted, row);
    }

    /// Opens the books of a configuration's budgets: reads what was spent in their windows. Blocks.
    ///
    /// # Errors
    /// The ledger cannot be read.
    pub fn open_books(&self, snapshot: &Snapshot) -> Result<(), LedgerError> {
        let keys = &snapshot.keys;
        self.treasury.open(keys.funds(), keys.allowances())
    }

    /// Learns what operators have added to budgets by way of other replicas: to that whose key in Redis this is, or to all
    /// (`*`); and tells Redis what it has lost of it.
    pub fn share_adjustments(&self, key: &str) {
        let snapshot = self.snapshot();
        let pages = snapshot.keys.funds().filter_map(|fund| fund.present());
        let pages = pages.filter(|page| key == "*" || page.adjustments_key() == key);
        let allowances = snapshot.keys.allowances();
        let of_users = allowances.flat_map(|allowance| allowance.adjustable(key));
        pages
            .chain(of_users)
            .for_each(|page| page.share_adjustments(|_| ()));
    }

    /// Gives back what budgets and slots hold and have not needed of late, frees the slots of replicas that have died, and looks
    /// what operators have added to budgets.
    pub fn sweep_books(&self) {
        let snapshot = self.snapshot();
        // Budgets that refuse nothing hold nothing; but replicas tell each other what was spent of them.
        let is_shared = self.state.is_some();
        let held = snapshot.keys.funds();
        let held = held.filter(|fund| is_shared || fund.is_hard());
        let pages = held.filter_map(|fund| fund.present());
        pages.chain(snapshot.slots()).for_each(|page| page.tick());
        let allowances = snapshot.keys.allowances();
        allowances.for_each(|allowance| allowance.sweep(&self.treasury));
        if self.state.is_some() {
            self.share_adjustments("*");
        }
    }

    /// Puts the state of the ledger into the metrics.
    pub fn observe_ledger(&self) {
        let Some(ledger) = &self.ledger else { return };
        let stats = ledger.stats();
        self.metrics.ledger(LedgerState {
            waiting: stats.waiting,
            stored: stats.stored,
            failures: stats.failures,
            is_failing: stats.last_error.is_some(),
        });
    }

    /// Puts what providers say of their limits into the metrics.
    pub fn observe_allowances(&self) {
        let (snapshot, now) = (self.snapshot(), Instant::now());
        let models = snapshot.models.all().iter();
        self.metrics
            .allowed(models.flat_map(|model| model.allowed(now)));
    }

    /// Puts how targets fare into the metrics: those that the configuration names, for callers can make up names of others.
    pub fn observe_targets(&self) {
        let (snapshot, now) = (self.snapshot(), Instant::now());
        let targets = snapshot.models.targets(&snapshot.wards).into_iter();
        let named = targets.filter(|(_, listed)| listed.is_named);
        self.metrics.targets(named.map(|(target, listed)| {
            let state = listed.health.state(now);
            TargetState {
                target,
                circuit: match state.circuit {
                    CircuitState::Closed => 0,
                    CircuitState::HalfOpen => 1,
                    CircuitState::Open => 2,
                },
                is_healthy: state.why.is_none(),
                in_flight: state.in_flight,
                first_token: state.first_token_ms.map(|usual| usual as f64 / 1e3),
                opened: state.opened_total,
                repeats: state.repeats_total,
            }
        }));
    }

    /// Tells of a target's circuit that a call has opened or closed.
    pub(super) fn tell_turn(&self, target: &str, turn: Turn) {
        match turn {
            Turn::Opened(why) => {
                let fields = [("target", target), ("why", why)];
                self.log.event(Level::Warn, "circuit opened", &fields);
            }
            Turn::Closed => {
                let fields = [("target", target)];
                self.log.event(Level::Info, "circuit closed", &fields);
            }
        }
    }

    /// Whether the ledger takes no rows at present, so that another replica would serve better.
    pub fn is_ledger_failing(&self) -> bool {
        let ledger = self.ledger.as_ref();
        ledger.is_some_and(|ledger| ledger.stats().last_error.is_some())
    }

    /// Why requests that need the shared state are refused at present, so that another replica would serve better.
    pub fn state_trouble(&self) -> Option<String> {
        let state = self.state.as_ref()?;
        let rejects = state.settings().when_store_lost == WhenStoreLost::Reject;
        state.trouble().filter(|_| rejects)
    }

    /// Tells the other replicas that this one holds nothing any more, at the end of the process. Tells whether they can know,
    /// within that time. Blocks.
    pub fn leave_state(&self, within: Duration) -> bool {
        let Some(state) = &self.state else {
            return true;
        };
        let (sender, left) = std::sync::mpsc::channel();
        state.leave(Box::new(move |is_off| {
            // Whoever waited may have given up.
            let _ = sender.send(is_off);
        }));
        left.recv_timeout(within).unwrap_or(false)
    }

    /// Makes all that has been settled durable, for the last moments of the process. Tells whether all of it is. Blocks.
    pub fn close_ledger(&self, within: Duration) -> bool {
        self.settler.flush(within);
        let snapshot = self.snapshot();
        let pages = snapshot.keys.funds().filter_map(|fund| fund.present());
        pages.chain(snapshot.slots()).for_each(|page| page.close());
        let allowances = snapshot.keys.allowances();
        allowances.for_each(|allowance| allowance.close());
        let mut ledger = self.ledger.iter();
        ledger.all(|ledger| ledger.close(within))
    }

    /// The configuration in force. A request takes it once.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.snapshot.load_full()
    }

    /// Puts a new configuration in force, for requests that begin from now on.
    pub fn replace(&self, snapshot: Snapshot) {
        self.snapshot.store(Arc::new(snapshot));
    }
}

/// How far the end of the process has come. It only ever goes forward.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Everything is served.
    Serving,
    /// Everything is served, but `/readyz` says no.
    Leaving,
    /// What runs goes on; nothing new is taken.
    Closing,
    /// What still runs must end now.
    Cutting,
}

/// Counts what runs, and tells it when to end.
pub struct Drain {
    stage: watch::Sender<Stage>,
    running: AtomicUsize,
    ended: Notify,
}

impl Default for Drain {
    fn default() -> Self {
        Self {
            stage: watch::Sender::new(Stage::Serving),
            running: AtomicUsize::new(0),
            ended: Notify::new(),
        }
    }
}

impl Drain {
    /// How far the end has come.
    pub fn stage(&self) -> Stage {
        *self.stage.borrow()
    }

    /// Goes on to `stage`.
    pub fn advance(&self, stage: Stage) {
        self.stage.send_if_modified(|now| {
            let is_later = *now < stage;
            *now = stage.max(*now);
            is_later
        });
    }

    /// Waits until `stage` is reached.
    pub async fn reached(&self, stage: Stage) {
        // The sender lives as long as we do, so waiting cannot fail.
        let _ = self.stage.subscribe().wait_for(|now| *now >= stage).await;
    }

    /// Counts a request for as long as the guard lives.
    pub fn run(&self) -> Running<'_> {
        self.running.fetch_add(1, Ordering::AcqRel);
        Running(self)
    }

    /// Waits until nothing runs.
    pub async fn idle(&self) {
        loop {
            let ended = self.ended.notified();
            if self.running.load(Ordering::Acquire) == 0 {
                return;
            }
            ended.await;
        }
    }
}

/// A request that runs.
pub struct Running<'a>(&'a Drain);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        if self.0.running.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.ended.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_end_waits_for_what_runs() {
        let drain = Drain::default();
        let running = drain.run();
        let idle = drain.idle();
        tokio::pin!(idle);
        assert!(futures_poll(&mut idle).await.is_none());
        drop(running);
        idle.await;
    }

    #[tokio::test]
    async fn stages_only_go_forward() {
        let drain = Drain::default();
        drain.advance(Stage::Closing);
        drain.advance(Stage::Leaving);
        assert_eq!(drain.stage(), Stage::Closing);
        drain.reached(Stage::Leaving).await;
    }

    /// Polls once.
    async fn futures_poll<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
        tokio::select! {
            biased;
            output = future => Some(output),
            () = std::future::ready(()) => None,
        }
    }
}
