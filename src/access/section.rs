//! `teams` in the configuration.

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::Deserialize;

use super::budgets::BudgetsSection;
use crate::config::limits::LimitsSection;
use crate::config::units::Date;
use crate::config::{NotBuilt, ScalarOr};

/// Who pays: a group of keys.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TeamSection {
    /// The models that its keys may use: names, `"openai/*"`, or `"*"` for all.
    pub models: ModelsSection,
    /// Money per window, for all its keys together.
    pub budget: Option<BudgetsSection>,
    /// Requests, tokens and concurrency, for all its keys together.
    pub limits: Option<LimitsSection>,
    /// Budgets of single models, besides the team's own. A name is one of `models` at the top of the file.
    #[serde(default)]
    pub per_model: IndexMap<String, ShareSection>,
    /// A budget of each user, besides the team's own: of whoever a request's `user` names (docs/budgets.md).
    pub per_user: Option<PerUserSection>,
    /// What is hidden from providers.
    pub privacy: Option<NotBuilt>,
    /// What is answered from the cache.
    pub cache: Option<NotBuilt>,
    /// The credentials that its applications present.
    #[serde(default)]
    pub keys: Vec<KeySection>,
}

/// What one model may have of a team's money.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ShareSection {
    /// Money per window.
    pub budget: BudgetsSection,
}

/// What each user may have of a team's money.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PerUserSection {
    /// Money per window, for each. Requests that name no user have it together, as if they named one.
    pub budget: BudgetsSection,
    /// How many users are told apart in a window. All further ones share one more budget of the same amount.
    #[serde(default = "users_max")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub users_max: usize,
}

const fn users_max() -> usize {
    100_000
}

/// One name or several.
pub type ModelsSection = ScalarOr<String, Vec<String>>;

/// A credential. Only its digest is written down.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KeySection {
    /// Its name in logs. Two keys may share one while they are rotated.
    pub name: String,
    /// The SHA-256 of what the caller presents, in lower-case hexadecimal. `tollgate keys new` prints it.
    #[schemars(regex(pattern = r"^[0-9a-f]{64}$"))]
    pub sha256: String,
    /// What it may use of the team's models; all of them by default.
    pub models: Option<ModelsSection>,
    /// The first day, in UTC, on which it is refused.
    pub expires: Option<Date>,
    /// Whether it may say by `x-tollgate-start-at` at which step of a chain, from 1, a request begins.
    #[serde(default)]
    pub start_at: bool,
    /// Money per window, within the team's.
    pub budget: Option<BudgetsSection>,
    /// Requests, tokens and concurrency, within the team's.
    pub limits: Option<LimitsSection>,
}
