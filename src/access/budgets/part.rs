//! Money that is set aside for a request.

use std::fmt;
use std::sync::Arc;

use super::page::Page;
use crate::spend::Usd;

/// Money that is set aside in one budget for a request. It is settled by what the request cost; if it is dropped instead, by
/// all of it if anything was called, and else by nothing.
pub struct Part {
    page: Arc<Page>,
    amount: Usd,
    is_open: bool,
    /// Whether a provider has been called with it.
    pub is_called: bool,
}

impl Part {
    pub(super) fn new(page: &Arc<Page>, amount: Usd) -> Self {
        Self {
            page: page.clone(),
            amount,
            is_open: true,
            is_called: false,
        }
    }

    /// Settles nothing: somebody else does.
    pub(super) fn forget(mut self) {
        self.is_open = false;
    }

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
