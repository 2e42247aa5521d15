//! `prices` in the configuration.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;

use super::decimal::Decimal;
use super::rates::Rates;

/// What tokens cost. Without it the built-in catalogue says.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PricesSection {
    /// A catalogue that is used in the place of the built-in one: a JSON file in the form of `config/prices.json`. It is
    /// read again when it changes. A relative path is meant from where the process was started.
    pub catalogue: Option<PathBuf>,
    /// What happens with a target that has no price.
    #[serde(default)]
    pub unknown: Unknown,
    /// Prices of your own. A target's own name wins, then the longest pattern.
    #[serde(default)]
    pub overrides: Vec<OverrideSection>,
}

/// What happens with a target that has no price.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Unknown {
    /// Its tokens are counted, its cost is not; a metric counts such answers, and the log warns once.
    #[default]
    Meter,
    /// Requests that would lead there are refused with 403 `model_not_priced`.
    Reject,
}

/// Prices of one target, or of all that a pattern matches. In US dollars for a million of each. What is not said here is
/// as in the catalogue.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OverrideSection {
    /// `provider/model-name`, in which one `*` stands for anything.
    pub target: String,
    /// The catalogue's prices of this provider are meant: for a provider that sells on what another makes.
    #[serde(rename = "as")]
    pub sold_as: Option<String>,
    /// The catalogue's prices times this: `0.8` is a discount of a fifth.
    pub times: Option<Decimal>,
    /// Prices in the place of the catalogue's, whatever the day, the service tier or the size of the request.
    #[serde(flatten)]
    pub rates: Rates,
}
