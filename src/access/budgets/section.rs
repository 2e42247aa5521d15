//! `budget` in the configuration.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use super::webhook::WebhookSection;
use super::window::Per;
use crate::config::{OneOrMany, units};
use crate::spend::Usd;
use crate::spend::prices::Decimal;

/// One budget, or several, each of which must have room.
pub type BudgetsSection = OneOrMany<BudgetSection>;

/// Money per window.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BudgetSection {
    /// US dollars a window, at most 9 million.
    pub usd: Amount,
    /// How long they last: a `day` from midnight, a `week` from Monday, a `month` from its first day, or for ever (`total`).
    pub per: Per,
    /// Whose days, weeks and months: a name of the IANA's time zones, such as `Europe/Berlin`. UTC by default.
    pub timezone: Option<String>,
    /// Shares of the budget, above 0 and up to 1 and the smaller first, that are told when they are spent: in the log, in a metric
    /// and to the `webhook`. With `when_spent: alert` the whole is told in any case.
    #[serde(default)]
    pub alert_at: Vec<Share>,
    /// Where alerts are sent: a URL, or with a secret that signs them `{url, secret}`. docs/alerts.md says what they hold.
    pub webhook: Option<WebhookSection>,
    /// What happens when it is spent: `reject` refuses what does not fit, so that it is never exceeded; `cheapest` goes on with
    /// the cheapest target that may answer; `alert` only tells.
    #[serde(default)]
    pub when_spent: WhenSpent,
    /// How long a request waits for running ones to return what they have reserved and may not need; at most `60s`.
    #[serde(default = "wait")]
    pub wait: units::Duration,
    /// Where a whole answer would not fit but a shorter one would, `max_tokens` is lowered, but not below this.
    #[serde(default = "floor_tokens")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub floor_tokens: u64,
    /// Costs that nothing bounds before they arise, and that are admitted all the same, so that they may exceed the budget:
    /// `tools` that the provider runs and bills for, `media` of a size that it states no maximum for, a service `tier` whose
    /// price is known afterwards, and what is `stored` at the provider and read again.
    #[serde(default)]
    pub allow: BTreeSet<Unbounded>,
}

/// What happens when a budget is spent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum WhenSpent {
    /// Requests that do not fit are refused: it is never exceeded.
    #[default]
    Reject,
    /// Requests are answered by the cheapest target that they may be answered by.
    Cheapest,
    /// Nothing, but that it is told.
    Alert,
}

impl WhenSpent {
    /// The word in the configuration.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Reject => "reject",
            Self::Cheapest => "cheapest",
            Self::Alert => "alert",
        }
    }
}

/// A cost that has no bound before it arises.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Serialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Unbounded {
    /// Tools that the provider runs and bills for, such as a web search.
    Tools,
    /// Images, sound, videos and documents whose size the provider states no maximum for.
    Media,
    /// A service tier whose price is known afterwards.
    Tier,
    /// What the provider has stored and reads again, such as a previous response.
    Stored,
}

impl Unbounded {
    /// The word in the configuration.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tools => "tools",
            Self::Media => "media",
            Self::Tier => "tier",
            Self::Stored => "stored",
        }
    }
}

/// Redis holds whole nano-dollars, which above 2^53 are no longer exact: nine million dollars.
pub(super) const USD_MAX: u64 = 9_000_000;

/// Of a window; each is looked at when money is spent.
pub(super) const ALERTS_MAX: usize = 16;

/// A caller who waits for longer has given up.
pub(super) const WAIT_MAX: Duration = Duration::from_secs(60);

/// The name of the default time zone.
pub(super) const UTC: &str = "UTC";

fn wait() -> units::Duration {
    units::Duration(Duration::from_secs(2))
}

const fn floor_tokens() -> u64 {
    64
}

/// An amount of money above nothing, exactly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Amount(Decimal);

impl Amount {
    /// The amount.
    pub fn usd(self) -> Usd {
        self.0.dollars()
    }
}

impl JsonSchema for Amount {
    fn schema_name() -> Cow<'static, str> {
        "Amount".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "number",
            "exclusiveMinimum": 0,
            "maximum": USD_MAX,
            "description": "A plain decimal with at most 12 digits behind the point.",
        })
    }
}

/// A share of a budget, above 0 and up to 1, exactly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(transparent)]
pub struct Share(Decimal);

impl Share {
    /// The whole.
    pub const WHOLE: Self = Self(Decimal::ONE);

    /// This share of `amount`, rounded up to a pico-dollar: it is reached when so much is spent.
    pub fn of(self, amount: Usd) -> Usd {
        self.0.share_of(amount)
    }
}

/// A plain decimal: `0.8`.
impl std::fmt::Display for Share {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl JsonSchema for Share {
    fn schema_name() -> Cow<'static, str> {
        "Share".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "number",
            "exclusiveMinimum": 0,
            "maximum": 1,
            "description": "A share of the whole: 0.8 is 80%.",
        })
    }
}
