//! A budget as it is kept by this process: window after window, across reloads, and durably.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use parking_lot::{Mutex, MutexGuard};
use tokio::sync::oneshot;

use super::Budget;
use super::account::{Account, Share};
use super::purse::{Effect, Purse, Refusal, Waiter};
use super::window::Window;
use crate::spend::Usd;
use crate::spend::ledger::{Ledger, Portion};

/// One life of a process, as its account knows it.
const SELF: &str = "self";
/// The lives before it.
const PAST: &str = "past";

/// What was spent of one budget, and what is reserved. One book a budget, by its name, whatever its configuration says.
#[derive(Default)]
pub struct Book {
    /// The window in use and the one before it, whose last requests may still begin.
    pages: Mutex<[Option<Arc<Page>>; 2]>,
}

/// One window of a book.
pub struct Page {
    /// The book's name.
    pub name: Arc<str>,
    /// Which window.
    pub window: Window,
    /// What was spent, and what may have been, before this process began.
    past: Past,
    ledger: Option<Arc<Ledger>>,
    state: Mutex<State>,
}

/// What is known of the time before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Past {
    /// What the ledger's rows come to.
    pub spent: Usd,
    /// What may have been spent besides, by a process that died: nobody knows.
    pub unknown: Usd,
}

struct State {
    purse: Purse,
    account: Account,
    waiting: HashMap<Waiter, oneshot::Sender<Result<Part, Refusal>>>,
    next: Waiter,
    /// How many of the shares to be told were reached.
    told: usize,
}

/// Money that is set aside in one budget for a request. It is settled by what the request cost; if it is dropped instead, by
/// all of it if anything was called, and else by nothing.
pub struct Part {
    page: Arc<Page>,
    amount: Usd,
    is_open: bool,
    /// Whether a provider has been called with it.
    pub is_called: bool,
}

/// A share of a budget that was reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reached {
    /// Which of the budget's shares.
    pub share: super::Share,
    /// In which window.
    pub window: Window,
    /// What was spent by then.
    pub spent: Usd,
}

/// How a budget stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// What was spent in the window.
    pub spent: Usd,
    /// What running requests have reserved.
    pub reserved: Usd,
    /// What may have been spent by processes that died.
    pub unknown: Usd,
}

impl Standing {
    /// What is left of a limit for requests to come.
    #[must_use]
    pub fn left(&self, limit: Usd) -> Usd {
        (limit - self.spent - self.reserved - self.unknown).max(Usd::ZERO)
    }
}

impl Book {
    /// Whether there is a page of this time.
    pub fn is_open(&self, time: DateTime<Utc>) -> bool {
        let pages = self.pages.lock();
        pages
            .iter()
            .flatten()
            .any(|page| page.window.contains(time))
    }

    /// The page in use.
    pub fn present(&self) -> Option<Arc<Page>> {
        self.pages.lock()[0].clone()
    }

    /// The page of a time. A new one begins with what `past` knows of the time before this process.
    pub fn page(
        &self,
        name: &Arc<str>,
        budget: &Budget,
        ledger: Option<&Arc<Ledger>>,
        time: DateTime<Utc>,
        past: impl FnOnce(&Window) -> Past,
    ) -> Arc<Page> {
        let mut pages = self.pages.lock();
        let found = pages
            .iter()
            .flatten()
            .find(|page| page.window.contains(time));
        if let Some(page) = found {
            return page.clone();
        }
        let window = budget.windows.at(time);
        let page = Arc::new(Page::new(
            name.clone(),
            past(&window),
            window,
            budget.usd,
            ledger.cloned(),
        ));
        pages.rotate_right(1);
        pages[0] = Some(page.clone());
        page
    }
}

impl Page {
    fn new(
        name: Arc<str>,
        past: Past,
        window: Window,
        limit: Usd,
        ledger: Option<Arc<Ledger>>,
    ) -> Self {
        let share = Share {
            seq: 0,
            settled: past.spent.nano_rounded_up(),
            held: past.unknown.nano_rounded_up(),
        };
        let state = State {
            purse: Purse::new(SELF.into(), limit),
            account: Account::new(&PAST.into(), share),
            waiting: HashMap::new(),
            next: 0,
            told: 0,
        };
        Self {
            name,
            window,
            past,
            ledger,
            state: Mutex::new(state),
        }
    }

    /// Sets aside what a request wants, or less and no less than it needs. Waits at most so long for what others return;
    /// dropping the future leaves nothing behind.
    pub async fn reserve(
        self: &Arc<Self>,
        limit: Usd,
        need: Usd,
        want: Usd,
        wait: Duration,
    ) -> Result<Part, Refusal> {
        let now = Instant::now();
        let until = now + wait;
        let (waiter, receiver) = {
            let mut state = self.state.lock();
            let effects = state.purse.limit(limit, now);
            self.carry_out(&mut state, effects, now);
            let waiter = state.next;
            state.next += 1;
            let (admitted, effects) = state.purse.reserve(waiter, need, want, until, now);
            if let Some(amount) = admitted {
                self.carry_out(&mut state, effects, now);
                return Ok(self.part(amount));
            }
            let (sender, receiver) = oneshot::channel();
            state.waiting.insert(waiter, sender);
            self.carry_out(&mut state, effects, now);
            (waiter, receiver)
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
        Standing {
            spent: self.past.spent + state.purse.settled(),
            reserved: state.purse.reserved(),
            unknown: self.past.unknown,
        }
    }

    /// The next of the shares that was reached and not told yet.
    pub fn reached(&self, budget: &Budget) -> Option<Reached> {
        if budget.alert_at.is_empty() {
            return None;
        }
        let spent = self.standing().spent;
        let mut state = self.state.lock();
        let share = *budget.alert_at.get(state.told)?;
        (spent >= share.of(budget.usd)).then(|| {
            state.told += 1;
            Reached {
                share,
                window: self.window.clone(),
                spent,
            }
        })
    }

    /// Shares that were reached before this process began are not told again.
    pub fn skip_told(&self, budget: &Budget) {
        let reached = |share: &&super::Share| self.past.spent >= share.of(budget.usd);
        self.state.lock().told = budget.alert_at.iter().take_while(reached).count();
    }

    /// Adds to a budget that refuses nothing.
    pub fn add(&self, amount: Usd) {
        self.state.lock().purse.add(amount);
    }

    /// Time has passed: what was not needed of late goes back.
    pub fn tick(self: &Arc<Self>) {
        self.act(Purse::tick);
    }

    /// What was noted for this process is noted for as little as it needs, at its end.
    pub fn close(self: &Arc<Self>) {
        self.act(Purse::close);
    }

    fn part(self: &Arc<Self>, amount: Usd) -> Part {
        Part {
            page: self.clone(),
            amount,
            is_open: true,
            is_called: false,
        }
    }

    fn act(self: &Arc<Self>, work: impl FnOnce(&mut Purse, Instant) -> Vec<Effect>) {
        let now = Instant::now();
        let mut state = self.state.lock();
        let effects = work(&mut state.purse, now);
        self.carry_out(&mut state, effects, now);
    }

    fn carry_out(
        self: &Arc<Self>,
        state: &mut MutexGuard<'_, State>,
        mut effects: Vec<Effect>,
        now: Instant,
    ) {
        while !effects.is_empty() {
            for effect in std::mem::take(&mut effects) {
                match effect {
                    Effect::Ask(ask) => {
                        let answer = state.account.ask(&ask);
                        effects.extend(state.purse.answered(answer, now));
                    }
                    Effect::Note(bound) => match &self.ledger {
                        None => effects.extend(state.purse.noted(now)),
                        Some(ledger) => self.note(ledger, bound),
                    },
                    Effect::Admit(waiter, amount) => {
                        let sender = state.waiting.remove(&waiter);
                        let told = sender.map(|sender| sender.send(Ok(self.part(amount))));
                        if let Some(Err(Ok(mut part))) = told {
                            // Nobody waits any more; out of our own lock it would settle itself.
                            part.is_open = false;
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
    }

    fn note(self: &Arc<Self>, ledger: &Ledger, bound: Usd) {
        let page = self.clone();
        let portion = Portion {
            budget: self.name.clone(),
            window: self.window.name.clone(),
            bound: self.past.spent + self.past.unknown + bound,
        };
        ledger.note(portion, Box::new(move || page.act(Purse::noted)));
    }
}

/// The shortest time after which a waiting request looks again: the clock of its timers is that coarse.
const TICK: Duration = Duration::from_millis(10);

/// Takes a request out of the line when it does not wait any more.
struct Leaves<'a>(&'a Arc<Page>, Waiter);

impl Drop for Leaves<'_> {
    fn drop(&mut self) {
        let mut state = self.0.state.lock();
        state.purse.leave(self.1);
        state.waiting.remove(&self.1);
    }
}

impl Part {
    /// How much it is.
    pub const fn amount(&self) -> Usd {
        self.amount
    }

    /// Keeps no more than so much.
    pub fn shrink(&mut self, amount: Usd) {
        if amount < self.amount {
            let freed = self.amount - amount;
            self.amount = amount;
            self.page
                .act(|purse, now| purse.settle(freed, Usd::ZERO, now));
        }
    }

    /// The request has cost so much.
    pub fn settle(mut self, actual: Usd) -> Arc<Page> {
        self.is_open = false;
        self.page
            .act(|purse, now| purse.settle(self.amount, actual, now));
        self.page.clone()
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        if self.is_open {
            let actual = if self.is_called {
                self.amount
            } else {
                Usd::ZERO
            };
            self.page
                .act(|purse, now| purse.settle(self.amount, actual, now));
        }
    }
}

impl fmt::Debug for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Part({} of {})", self.amount, self.page.name)
    }
}
