//! Adjustments of budgets: what operators changed in one of their windows, who they were and why.

use std::sync::Arc;

use super::cells::Cell;
use crate::spend::Usd;

/// One change of a budget in one of its windows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Adjustment {
    /// Which: a UUID, the same wherever it is told.
    pub id: Arc<str>,
    /// When, in milliseconds of Unix time.
    pub time_ms: i64,
    /// The budget, by a name that stays the same across restarts.
    pub budget: Arc<str>,
    /// The window, by its name.
    pub window: Arc<str>,
    /// What has changed.
    pub change: Change,
    /// Who changed it.
    pub by: String,
    /// And why.
    pub why: String,
}

/// What an adjustment does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// So much more may be spent.
    Raise(Usd),
    /// What was spent up to then does not count: so much.
    Reset(Usd),
}

impl Change {
    /// The change of that name and amount.
    pub fn named(name: &str, amount: Usd) -> Option<Self> {
        match name {
            "raise" => Some(Self::Raise(amount)),
            "reset" => Some(Self::Reset(amount)),
            _ => None,
        }
    }

    /// What it is called.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Raise(_) => "raise",
            Self::Reset(_) => "reset",
        }
    }

    /// How much it is about.
    pub const fn amount(self) -> Usd {
        match self {
            Self::Raise(amount) | Self::Reset(amount) => amount,
        }
    }
}

impl Adjustment {
    /// The values of [`INSERT`].
    pub(super) fn cells(&self) -> Vec<Cell<'_>> {
        let text = |text| Cell::Text(Some(text));
        let int = |int| Cell::Int(Some(int));
        let (micro, pico) = self.change.amount().split();
        vec![
            text(&self.id),
            int(self.time_ms),
            text(&self.budget),
            text(&self.window),
            text(self.change.name()),
            int(micro),
            int(pico),
            text(&self.by),
            text(&self.why),
        ]
    }
}

/// Puts one down, once.
pub(super) const INSERT: &str = "INSERT INTO adjustments
 (id, time_ms, budget, time_window, kind, amount_micro, amount_pico, by_whom, why)
 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (id) DO NOTHING";

/// Reads all of them: six labels and three numbers.
pub(super) const SELECT: &str =
    "SELECT id, budget, time_window, kind, by_whom, why, time_ms, amount_micro, amount_pico
 FROM adjustments ORDER BY time_ms, id";
