//! Money that is set aside for a request.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use super::Budget;
use super::page::Page;
use super::standing::Reached;
use crate::spend::Usd;

/// Money that is set aside in one budget for a request. It is settled by what the request cost; if it is dropped instead, by
/// all of it if anything was called, and else by nothing.
pub struct Part {
    /// None once it is settled.
    page: Option<Arc<Page>>,
    amount: Usd,
    /// Whether a provider has been called with it.
    pub is_called: bool,
}

impl Part {
    pub(super) const fn new(page: Arc<Page>, amount: Usd) -> Self {
        Self {
            page: Some(page),
            amount,
            is_called: false,
        }
    }

    /// Settles nothing: somebody else does.
    pub fn forget(mut self) {
        self.page = None;
    }

    /// How much it is.
    pub const fn amount(&self) -> Usd {
        self.amount
    }

    /// Keeps no more than so much.
    pub fn shrink(&mut self, amount: Usd) {
        if let (Some(page), true) = (&self.page, amount < self.amount) {
            let freed = self.amount - amount;
            self.amount = amount;
            page.give_back(freed, Instant::now());
        }
    }

    /// The request has cost so much. Returns the shares of the budget that are reached now, to be told.
    pub fn settle(mut self, actual: Usd, budget: &Budget, now: Instant) -> Vec<Reached> {
        let page = self.page.take();
        let settle = |page: Arc<Page>| page.settle(self.amount, actual, budget, now);
        page.map_or_else(Vec::new, settle)
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        if let Some(page) = self.page.take() {
            let actual = if self.is_called {
                self.amount
            } else {
                Usd::ZERO
            };
            page.act(|purse, now| purse.settle(self.amount, actual, now));
        }
    }
}

impl fmt::Debug for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.page.as_ref().map_or("none", |page| &page.name);
        write!(f, "Part({} of {name})", self.amount)
    }
}
