//! What is noted at once, and told when it is durable: it does not wait for a batch of rows.

use super::adjustments::{self, Adjustment};
use super::cells::Cell;
use super::portions::{self, Portion};

/// Something that is noted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// What a process may spend of a budget.
    Portion(Portion),
    /// What an operator changed of one.
    Adjustment(Adjustment),
}

/// What is called when a note is durable, by the ledger's own thread.
pub type Noted = Box<dyn FnOnce() + Send>;

impl Note {
    /// What puts it down.
    pub(super) fn statement(&self) -> (&'static str, Vec<Cell<'_>>) {
        match self {
            Self::Portion(portion) => (portions::UPSERT, portion.cells()),
            Self::Adjustment(adjustment) => (adjustments::INSERT, adjustment.cells()),
        }
    }
}

impl From<Portion> for Note {
    fn from(portion: Portion) -> Self {
        Self::Portion(portion)
    }
}

impl From<Adjustment> for Note {
    fn from(adjustment: Adjustment) -> Self {
        Self::Adjustment(adjustment)
    }
}
