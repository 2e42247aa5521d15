//! `teams` in the configuration.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::units::Date;
use crate::config::{NotBuilt, ScalarOr};

/// Who pays: a group of keys.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TeamSection {
    /// The models that its keys may use: names, `"openai/*"`, or `"*"` for all.
    pub models: ModelsSection,
    /// The credentials that its applications present.
    #[serde(default)]
    pub keys: Vec<KeySection>,
    /// Money per window.
    pub budget: Option<NotBuilt>,
    /// Requests, tokens and concurrency.
    pub limits: Option<NotBuilt>,
    /// Budgets of single models.
    pub per_model: Option<NotBuilt>,
    /// Budgets of single users.
    pub per_user: Option<NotBuilt>,
    /// What is hidden from providers.
    pub privacy: Option<NotBuilt>,
    /// What is answered from the cache.
    pub cache: Option<NotBuilt>,
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
    /// Money per window.
    pub budget: Option<NotBuilt>,
    /// Requests, tokens and concurrency.
    pub limits: Option<NotBuilt>,
}
