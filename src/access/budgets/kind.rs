//! What replicas have an account of: money, or slots of requests that run, which are money that always comes back.

use super::purse::SPARE_PART;
use super::window::Window;

/// What a page is kept of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The money of a budget.
    Money,
    /// Slots, a nano-dollar each.
    Slots,
}

impl Kind {
    /// Which part of a limit a replica holds for requests to come.
    pub const fn spare_part(self) -> u64 {
        match self {
            Self::Money => SPARE_PART,
            Self::Slots => 16,
        }
    }

    /// The name that the account has in the store.
    pub fn key(self, name: &str, window: &Window) -> String {
        match self {
            Self::Money => format!("budget:{name}|{}", window.name),
            Self::Slots => format!("slots:{name}"),
        }
    }

    /// Whether what a replica held is free when it dies: its requests have died with it, while what they have cost has not.
    pub const fn dies(self) -> bool {
        matches!(self, Self::Slots)
    }
}
