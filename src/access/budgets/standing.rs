//! How a budget stands.

use super::Share;
use super::purse::Past;
use super::window::Window;
use crate::spend::Usd;

/// A share of a budget that was reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reached {
    /// Which of the budget's shares.
    pub share: Share,
    /// In which window.
    pub window: Window,
    /// The whole, with what operators have added.
    pub limit: Usd,
    /// What was spent by then.
    pub spent: Usd,
}

/// How a budget stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// What operators have added to its limit.
    pub adjusted: Usd,
    /// What was spent in the window.
    pub spent: Usd,
    /// What running requests have reserved; of other replicas, all that they hold.
    pub reserved: Usd,
    /// What may have been spent by lives of this replica that died.
    pub unknown: Usd,
}

impl From<Past> for Standing {
    fn from(Past { spent, unknown }: Past) -> Self {
        Self {
            adjusted: Usd::ZERO,
            spent,
            reserved: Usd::ZERO,
            unknown,
        }
    }
}

impl Standing {
    /// What is left for requests to come, of the limit that is configured and of what was added to it.
    #[must_use]
    pub fn left(&self, limit: Usd) -> Usd {
        (limit + self.adjusted - self.spent - self.reserved - self.unknown).max(Usd::ZERO)
    }
}
