//! `models` and `defaults` in the configuration.

use std::num::NonZeroU64;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::NotBuilt;
use crate::config::limits::LimitsSection;
use crate::provider::{HealthSection, RetrySection, TimeoutSection};

/// What a name that applications ask for leads to.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ModelSection {
    /// `provider/model-name`, split at the first slash. A name with a `*` may have one in its target, too: what the
    /// first stood for is put there. Without a target the name itself is one.
    pub target: Option<String>,
    /// How long an answer may take; what is not said here is said by the provider or by `defaults`.
    #[serde(default)]
    pub timeout: TimeoutSection,
    /// Repeats of a failed call.
    pub retry: Option<RetrySection>,
    /// Circuit and cooldown.
    pub health: Option<HealthSection>,
    /// Several targets.
    pub any_of: Option<NotBuilt>,
    /// How one of several targets is picked.
    pub pick: Option<NotBuilt>,
    /// Steps tried in order.
    pub chain: Option<NotBuilt>,
    /// The longest answer, in tokens: a caller who asks for more, or says nothing, is limited to it (`x-tollgate-max-tokens`).
    pub max_output_tokens: Option<NonZeroU64>,
    /// Whether a field that the target cannot carry is an error; else it is left out, and named in
    /// `x-tollgate-dropped`.
    #[serde(default)]
    pub strict: bool,
    /// A second call when the first is slow.
    pub hedge: Option<NotBuilt>,
    /// How much of a stream a chain holds back.
    pub hold: Option<NotBuilt>,
    /// What is hidden from providers.
    pub privacy: Option<NotBuilt>,
    /// What is answered from the cache.
    pub cache: Option<NotBuilt>,
    /// Requests, tokens and concurrency, for all callers together.
    pub limits: Option<LimitsSection>,
}

/// What a provider or a model does not say itself.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DefaultsSection {
    /// How long an answer may take.
    #[serde(default)]
    pub timeout: TimeoutSection,
    /// Repeats of a failed call.
    pub retry: Option<RetrySection>,
    /// Circuit and cooldown.
    pub health: Option<HealthSection>,
}
