//! What keeps the account of a world's replicas, as Redis does: it may die, and come back with what was durable, or nothing.

use std::collections::BTreeSet;

use crate::access::budgets::account::{Account, Answer, Ask, Shares};

/// A life of the store, and whether all replicas have told it what they hold.
pub type Era = (u64, bool);

/// The store.
#[derive(Default)]
pub struct Store {
    pub account: Account,
    /// What is durable of it.
    kept: Account,
    /// Which life of it this is.
    pub run: u64,
    pub is_down: bool,
    /// Replicas that may hold something and have not told of it in this life.
    untold: BTreeSet<usize>,
}

impl Store {
    pub fn era(&self) -> Era {
        (self.run, self.untold.is_empty())
    }

    /// Makes durable what it has.
    pub fn keep(&mut self) {
        self.kept = self.account.clone();
    }

    /// It lives again, and waits for these.
    pub fn live(&mut self, has_data: bool, untold: BTreeSet<usize>) {
        let kept = std::mem::take(&mut self.kept);
        self.account = if has_data { kept } else { Account::default() };
        self.keep();
        self.run += 1;
        self.is_down = false;
        self.untold = untold;
    }

    /// A replica lives. If it knows that this life of the store has heard from it, then also of those that had died when it
    /// last looked what everybody has.
    pub fn beat(&mut self, replica: usize, told: u64, vouched: &[usize]) -> Era {
        if told == self.run {
            self.untold.remove(&replica);
            self.untold.retain(|replica| !vouched.contains(replica));
        }
        self.era()
    }

    /// A replica asks, which believes to know the era, and tells what everybody had if the store is new to it.
    pub fn ask(&mut self, ask: &Ask, believed: Era, shares: &Shares) -> Answer {
        self.account.hear(shares);
        self.account.ask(ask, believed == (self.run, true))
    }
}
