//! One window of a budget: carries out what its purse wants done, by the account that is in memory or in Redis, and by the ledger.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Mutex, MutexGuard};
use tokio::sync::oneshot;

use super::Budget;
use super::account::{Account, Answer, Ask};
use super::adjustments::Adjustments;
use super::distant::Distant;
use super::kind::Kind;
use super::part::Part;
use super::purse::{Effect, Past, Purse, Refusal, Waiter};
use super::standing::{Reached, Standing};
use super::window::Window;
use crate::access::state::{Store, WhenStoreLost};
use crate::spend::Usd;
use crate::spend::ledger::{Ledger, Portion};

/// The name of the one replica of an account in memory, and of one that has its ledger for itself.
const ALONE: &str = "";

/// One window of a book.
///
/// Every core changes its state for every request, and how many have it. So that stands at the beginning, where an `Arc` counts,
/// apart from what is only read.
#[repr(C)]
pub struct Page {
    state: Mutex<State>,
    /// The book's name.
    pub name: Arc<str>,
    /// Which window.
    pub window: Window,
    ledger: Option<Arc<Ledger>>,
    /// By which name the ledger knows this replica.
    noted_for: Arc<str>,
    /// The account, where it is in Redis.
    distant: Option<Distant>,
}

#[repr(C)]
struct State {
    purse: Purse,
    /// The limit as it is configured, …
    limit: Usd,
    /// … and what operators have added to it.
    adjustments: Adjustments,
    /// What was spent when they did, until it is known which shares that leaves reached.
    adjusted_at: Option<Usd>,
    /// The account, where it is in memory.
    account: Account,
    waiting: HashMap<Waiter, oneshot::Sender<Result<Part, Refusal>>>,
    next: Waiter,
    /// How many of the shares to be told were reached.
    told: usize,
}

impl State {
    /// How much may be spent.
    fn whole(&self) -> Usd {
        self.limit + self.adjustments.sum()
    }

    /// The shares that were reached and not told yet.
    fn reached(&mut self, budget: &Budget, window: &Window) -> Vec<Reached> {
        if budget.alert_at.is_empty() {
            return Vec::new();
        }
        let spent = self.purse.spent();
        let limit = budget.usd + self.adjustments.sum();
        if let Some(spent) = self.adjusted_at.take() {
            // What an operator has lifted out of reach is told again when it is reached again.
            self.told = self.told.min(budget.reached(spent, limit));
        }
        let untold = budget.alert_at[self.told.min(budget.alert_at.len())..].iter();
        let reached = untold.take_while(|share| spent >= share.of(limit));
        let reached = reached.map(|share| Reached {
            share: *share,
            window: window.clone(),
            limit,
            spent,
        });
        let reached: Vec<_> = reached.collect();
        self.told += reached.len();
        reached
    }
}

/// What a page is opened with.
pub struct Opening<'a> {
    /// What it is a page of.
    pub kind: Kind,
    /// The book's name.
    pub name: &'a Arc<str>,
    /// Which window.
    pub window: Window,
    /// How much may be spent in it.
    pub limit: Usd,
    /// What is known of the time before.
    pub past: Past,
    /// Where portions are noted.
    pub ledger: Option<&'a Arc<Ledger>>,
    /// For which replica, where several share it.
    pub noted_for: Option<&'a Arc<str>>,
    /// Where the account is; None for here.
    pub store: Option<&'a Arc<Store>>,
}

impl Page {
    /// Opens a page.
    pub fn open(opening: Opening<'_>) -> Arc<Self> {
        let Opening {
            kind,
            name,
            window,
            limit,
            past,
            ledger,
            noted_for,
            store,
        } = opening;
        let replica = store.map_or_else(|| ALONE.into(), |store| store.replica().clone());
        let page = Arc::new(Self {
            distant: store.map(|store| Distant::new(store.clone(), kind, name, &window)),
            name: name.clone(),
            window,
            ledger: ledger.cloned(),
            noted_for: noted_for.cloned().unwrap_or_else(|| ALONE.into()),
            state: Mutex::new(State {
                purse: Purse::new(replica, limit, kind.spare_part(), past, 0),
                limit,
                adjustments: Adjustments::default(),
                adjusted_at: None,
                account: Account::default(),
                waiting: HashMap::new(),
                next: 0,
                told: 0,
            }),
        });
        if let Some(distant) = &page.distant {
            distant.join(&page);
            page.share_adjustments(|_| ());
        }
        page
    }

    /// Takes what a request wants, if that is there.
    pub fn take(self: Arc<Self>, limit: Usd, want: Usd, now: Instant) -> Option<Part> {
        let is_there = self.set_aside(limit, want, now);
        is_there.then(|| Part::new(self, want))
    }

    /// The same, for who knows to [`Self::give_back`] it.
    pub fn set_aside(self: &Arc<Self>, limit: Usd, want: Usd, now: Instant) -> bool {
        let mut state = self.lock();
        if limit != state.limit {
            return false;
        }
        let Some(effects) = state.purse.take(want, now) else {
            return false;
        };
        let ask = self.carry_out(&mut state, effects, now);
        drop(state);
        self.send(ask);
        true
    }

    /// What was set aside has cost nothing.
    pub fn give_back(self: &Arc<Self>, amount: Usd, now: Instant) {
        self.act_on(now, |state, now| state.purse.settle(amount, Usd::ZERO, now));
    }

    /// Sets aside what a request wants, or less and no less than it needs. Waits at most so long for what others return, and not
    /// where `queue` others do already; dropping the future leaves nothing behind.
    pub async fn reserve(
        self: &Arc<Self>,
        limit: Usd,
        need: Usd,
        want: Usd,
        wait: Duration,
        queue: usize,
    ) -> Result<Part, Refusal> {
        let now = Instant::now();
        let (waiter, receiver) = {
            let mut state = self.lock();
            let mut ask = None;
            if limit != state.limit {
                state.limit = limit;
                let whole = state.whole();
                let effects = state.purse.limit(whole, now);
                ask = self.carry_out(&mut state, effects, now);
            }
            let waiter = state.next;
            state.next += 1;
            let until = now + wait;
            let (admitted, effects) = state.purse.reserve(waiter, need, want, until, queue, now);
            let receiver = admitted.is_none().then(|| {
                let (sender, receiver) = oneshot::channel();
                state.waiting.insert(waiter, sender);
                receiver
            });
            ask = self.carry_out(&mut state, effects, now).or(ask);
            drop(state);
            self.send(ask);
            match (admitted, receiver) {
                (Some(amount), _) => return Ok(Part::new(self.clone(), amount)),
                (None, Some(receiver)) => (waiter, receiver),
                (None, None) => return Err(Refusal::Held),
            }
        };
        Box::pin(self.wait(waiter, receiver)).await
    }

    async fn wait(
        self: &Arc<Self>,
        waiter: Waiter,
        mut receiver: oneshot::Receiver<Result<Part, Refusal>>,
    ) -> Result<Part, Refusal> {
        let _leaves = Leaves(self, waiter);
        loop {
            let due = self.state.lock().purse.due();
            let left = due.map_or(TICK, |due| due.saturating_duration_since(Instant::now()));
            match pingora_timeout::timeout(left.clamp(TICK, Duration::from_secs(60)), &mut receiver)
                .await
            {
                Ok(told) => return told.unwrap_or(Err(Refusal::Held)),
                Err(_) => self.act(Purse::tick),
            }
        }
    }

    /// How it stands.
    pub fn standing(&self) -> Standing {
        let state = self.state.lock();
        let purse = &state.purse;
        Standing {
            adjusted: state.adjustments.sum(),
            spent: purse.spent(),
            reserved: purse.reserved() + purse.held_by_others(),
            unknown: purse.unknown(),
        }
    }

    /// A request for which so much was reserved cost so much. Returns the shares that are reached now, to be told.
    pub(super) fn settle(
        self: &Arc<Self>,
        reserved: Usd,
        actual: Usd,
        budget: &Budget,
        now: Instant,
    ) -> Vec<Reached> {
        let mut reached = Vec::new();
        self.act_on(now, |state, now| {
            let effects = state.purse.settle(reserved, actual, now);
            reached = state.reached(budget, &self.window);
            effects
        });
        reached
    }

    /// Adds to a budget that refuses nothing. Returns the shares that are reached now, to be told.
    pub fn add(&self, amount: Usd, budget: &Budget) -> Vec<Reached> {
        let mut state = self.state.lock();
        state.purse.add(amount);
        state.reached(budget, &self.window)
    }

    /// Shares that were reached before this process began are not told again.
    pub fn skip_told(&self, budget: &Budget) {
        let mut state = self.state.lock();
        let spent = state.purse.spent();
        state.told = budget.reached(spent, budget.usd + state.adjustments.sum());
    }

    /// What was spent through this page by this replica.
    pub(super) fn settled(&self) -> Usd {
        self.state.lock().purse.settled()
    }

    /// What is known of it once it is closed, to open it again.
    pub(super) fn past(&self) -> Past {
        let purse = &self.state.lock().purse;
        Past {
            spent: purse.settled(),
            unknown: purse.unknown(),
        }
    }

    /// Whether more was spent than was noted, of a budget that only counts.
    pub(super) fn is_behind(&self) -> bool {
        self.state.lock().purse.is_behind()
    }

    /// Whether operators have added anything.
    pub(super) fn is_adjusted(&self) -> bool {
        self.state.lock().adjustments.count() > 0
    }

    /// What operators have added, as far as is known here.
    pub(super) fn adjustments(&self) -> Adjustments {
        self.state.lock().adjustments.clone()
    }

    /// Operators have added to the limit; what is known already changes nothing.
    pub(super) fn adjust(self: &Arc<Self>, adjustments: &Adjustments) {
        self.act_on(Instant::now(), |state, now| {
            if !state.adjustments.merge(adjustments) {
                return Vec::new();
            }
            state.adjusted_at.get_or_insert(state.purse.spent());
            state.purse.limit(state.whole(), now)
        });
    }

    /// Time has passed: what was not needed of late goes back, and what others have is looked at.
    pub fn tick(self: &Arc<Self>) {
        self.act(Purse::tick);
        if let Some(distant) = &self.distant {
            self.tell();
            distant.look(self);
        }
    }

    /// The account is told what is.
    pub fn tell(self: &Arc<Self>) {
        self.act(|purse, now| purse.tell(now).into_iter().collect());
    }

    /// Others lack what may lie idle here.
    pub fn recall(self: &Arc<Self>) {
        self.act(Purse::recall);
    }

    /// What was noted for this process is noted for as little as it needs, at its end, and the account has the rest.
    pub fn close(self: &Arc<Self>) {
        self.act(Purse::close);
    }

    /// The account has answered. `told` is the life of Redis that has now been told what this replica has and knows.
    pub(super) fn answered(self: &Arc<Self>, answer: Answer, told: Option<&Arc<str>>) {
        self.act(|purse, now| {
            if let (Some(distant), Some(run), true) = (&self.distant, told, purse.is_heard(&answer))
            {
                distant.heard_by(run);
            }
            purse.answered(answer, now)
        });
    }

    /// The account cannot be asked.
    pub(super) fn lost(self: &Arc<Self>, store: &Store) {
        self.act(|purse, now| match store.settings().when_store_lost {
            WhenStoreLost::Reject => purse.lost(now),
            WhenStoreLost::Local => purse.alone(store.others(None).len() as u64 + 1, now),
        });
    }

    pub(super) fn act(self: &Arc<Self>, work: impl FnOnce(&mut Purse, Instant) -> Vec<Effect>) {
        self.act_on(Instant::now(), |state, now| work(&mut state.purse, now));
    }

    /// The state, whose messages are later than those of this replica's lives before.
    fn lock(&self) -> MutexGuard<'_, State> {
        let mut state = self.state.lock();
        if let Some(distant) = &self.distant {
            state.purse.count_from(distant.joined());
        }
        state
    }

    fn act_on(
        self: &Arc<Self>,
        now: Instant,
        work: impl FnOnce(&mut State, Instant) -> Vec<Effect>,
    ) {
        let mut state = self.lock();
        let effects = work(&mut state, now);
        let ask = self.carry_out(&mut state, effects, now);
        drop(state);
        self.send(ask);
    }

    /// Carries out what can be done under the lock, and returns what cannot. Mostly there is nothing to do.
    #[inline]
    fn carry_out(
        self: &Arc<Self>,
        state: &mut MutexGuard<'_, State>,
        effects: Vec<Effect>,
        now: Instant,
    ) -> Option<Ask> {
        match effects.is_empty() {
            true => None,
            false => self.carry_out_all(state, effects, now),
        }
    }

    #[cold]
    fn carry_out_all(
        self: &Arc<Self>,
        state: &mut MutexGuard<'_, State>,
        mut effects: Vec<Effect>,
        now: Instant,
    ) -> Option<Ask> {
        let mut to_send = None;
        while !effects.is_empty() {
            for effect in std::mem::take(&mut effects) {
                match effect {
                    Effect::Ask(ask) if self.distant.is_some() => to_send = Some(ask),
                    Effect::Ask(ask) => {
                        let answer = state.account.ask(&ask, true);
                        effects.extend(state.purse.answered(answer, now));
                    }
                    Effect::Note(bound) => match &self.ledger {
                        None => effects.extend(state.purse.noted(now)),
                        Some(ledger) => self.note(ledger, state.purse.settled(), bound),
                    },
                    Effect::Admit(waiter, amount) => {
                        let sender = state.waiting.remove(&waiter);
                        let told =
                            sender.map(|sender| sender.send(Ok(Part::new(self.clone(), amount))));
                        if let Some(Err(Ok(part))) = told {
                            // Nobody waits any more; out of our own lock it would settle itself.
                            part.forget();
                            effects.extend(state.purse.settle(amount, Usd::ZERO, now));
                        }
                    }
                    Effect::Refuse(waiter, refusal) => {
                        if let Some(sender) = state.waiting.remove(&waiter) {
                            let _ = sender.send(Err(refusal));
                        }
                    }
                }
            }
        }
        to_send
    }

    fn send(self: &Arc<Self>, ask: Option<Ask>) {
        if let (Some(ask), Some(distant)) = (ask, &self.distant) {
            distant.ask(self, ask);
        }
    }

    pub(super) const fn distant(&self) -> Option<&Distant> {
        self.distant.as_ref()
    }

    fn note(self: &Arc<Self>, ledger: &Ledger, settled: Usd, bound: Usd) {
        let page = self.clone();
        let portion = Portion {
            budget: self.name.clone(),
            window: self.window.name.clone(),
            ends_ms: self
                .window
                .end
                .map_or(i64::MAX, |end| end.timestamp_millis()),
            replica: self.noted_for.clone(),
            settled,
            bound,
        };
        ledger.note(portion, Box::new(move || page.act(Purse::noted)));
    }

    fn leave(&self, waiter: Waiter) {
        let mut state = self.state.lock();
        state.purse.leave(waiter);
        state.waiting.remove(&waiter);
    }
}

impl fmt::Debug for Page {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Page({}, {})", self.name, self.window.name)
    }
}

/// The shortest time after which a waiting request looks again: the clock of its timers is that coarse.
const TICK: Duration = Duration::from_millis(10);

/// Takes a request out of the line when it does not wait any more.
struct Leaves<'a>(&'a Arc<Page>, Waiter);

impl Drop for Leaves<'_> {
    fn drop(&mut self) {
        self.0.leave(self.1);
    }
}
