//! What an attempt used and cost, from its call to the ledger.

use std::sync::Arc;
use std::time::{Instant, SystemTime};

use chrono::{DateTime, Utc};

use crate::dialect::{Tier, Usage};
use crate::route::Target;
use crate::spend::Usd;
use crate::spend::prices::{Priced, Prices, Tariff};

/// One attempt, as far as somebody pays for it.
pub struct Bill {
    /// What its target charges; None where nobody says.
    pub tariff: Option<Arc<Tariff>>,
    /// Whether nobody is known to charge anything: it is a simulation, or a server of one's own.
    pub is_own: bool,
    /// When it began.
    pub time: DateTime<Utc>,
    /// The same, to measure from.
    pub began: Instant,
}

/// What came of an attempt, as far as it costs anything.
#[expect(clippy::large_enum_variant, reason = "the large one is the common one")]
#[derive(Default)]
pub enum Charge {
    /// It was sent, and nobody has said yet what it used. If that stays so, it is estimated.
    #[default]
    Open,
    /// The provider said what it used. That costs so much, where it has a price.
    Reported(Usage, Option<Priced>),
    /// It was refused, or it never got there.
    Free,
}

/// What a chain saves by an attempt, or what it pays for it besides.
#[derive(Default)]
pub enum Saving {
    /// There is no chain, or the last step's target would have been asked anyway.
    #[default]
    None,
    /// The answer is the caller's; the chain's last step would have charged so for the same usage.
    Instead(Arc<Tariff>),
    /// Its answer did not do, or it only helped to judge one.
    Besides,
}

impl Saving {
    /// How much it is for an attempt that cost so much; negative where it was paid besides.
    pub fn of(&self, usage: &Usage, cost: Option<Usd>, time: DateTime<Utc>) -> Usd {
        let cost = cost.unwrap_or_default();
        match self {
            Self::None => Usd::ZERO,
            Self::Instead(last) => match last.price(usage, Tier::Standard, time) {
                Some(priced) => priced.cost.usd() - cost,
                None => Usd::ZERO,
            },
            Self::Besides => -cost,
        }
    }
}

impl Bill {
    /// For a call that is about to be made.
    pub fn new(prices: &Prices, target: &Target) -> Self {
        Self {
            tariff: target.tariff(prices),
            is_own: target.provider.is_own,
            time: SystemTime::now().into(),
            began: Instant::now(),
        }
    }

    /// What such a usage costs, and by which price.
    pub fn price(&self, usage: &Usage, tier: Tier) -> Option<Priced> {
        self.tariff.as_ref()?.price(usage, tier, self.time)
    }
}

impl Charge {
    /// What the attempt cost, as far as the provider has said; None if that is not known, or has no price.
    pub fn cost(&self) -> Option<Usd> {
        match self {
            Self::Open => None,
            Self::Free => Some(Usd::ZERO),
            Self::Reported(_, priced) => Some(priced.as_ref()?.cost.usd()),
        }
    }
}
