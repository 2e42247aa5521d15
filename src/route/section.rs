//! `models` and `defaults` in the configuration.

use std::num::NonZeroU64;

use schemars::JsonSchema;
use serde::Deserialize;

use super::gates::GatesSection;
use super::hedge::HedgeSection;
use super::pick::Pick;
use crate::config::limits::LimitsSection;
use crate::config::{NotBuilt, ScalarOr};
use crate::dialect::Capability;
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
    /// Several targets that are as good as each other: `provider/model-name`, or `{target, weight}`. Where one fails before
    /// the caller has had a byte, another is asked.
    pub any_of: Option<Vec<ScalarOr<String, MemberSection>>>,
    /// How one of several targets is picked.
    pub pick: Option<Pick>,
    /// Steps that are tried in order, the cheapest first. The answer of one goes to the caller unless it fails, or one of its
    /// gates sends the request on.
    pub chain: Option<Vec<StepSection>>,
    /// The longest answer, in tokens: a caller who asks for more, or says nothing, is limited to it (`x-tollgate-max-tokens`).
    pub max_output_tokens: Option<NonZeroU64>,
    /// Whether a field that the target cannot carry is an error; else it is left out, and named in
    /// `x-tollgate-dropped`.
    #[serde(default)]
    pub strict: bool,
    /// Whether another target goes on with a stream that breaks after its first byte. The text so far is given to the next target
    /// that takes the beginning of an answer, and what that says goes to the caller; where none does, the stream ends with an
    /// error.
    #[serde(default)]
    pub r#continue: bool,
    /// A second call when the first is slow: whoever begins to answer first is heard, the other is cancelled and paid.
    pub hedge: Option<HedgeSection>,
    /// How much of a stream a chain holds back at steps that do not say so themselves.
    pub hold: Option<HoldSection>,
    /// What is hidden from providers.
    pub privacy: Option<NotBuilt>,
    /// What is answered from the cache.
    pub cache: Option<NotBuilt>,
    /// Requests, tokens and concurrency, for all callers together.
    pub limits: Option<LimitsSection>,
}

/// One of several targets.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MemberSection {
    /// `provider/model-name`
    pub target: String,
    /// Its share of the requests, beside those of the others.
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub weight: u32,
    /// What it cannot do: where another target of the model can, requests that need it go there. `[]` says that it can do it
    /// all. By default what its provider's section says, or what is known of the model by its name.
    pub lacks: Option<Vec<Capability>>,
}

const fn one() -> u32 {
    1
}

/// A step of a chain.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StepSection {
    /// `provider/model-name`
    pub target: Option<String>,
    /// Several targets that are as good as each other.
    pub any_of: Option<Vec<ScalarOr<String, MemberSection>>>,
    /// How one of several targets is picked.
    pub pick: Option<Pick>,
    /// Gates: when an answer is not good enough, and the next step is asked. docs/gates.md describes each.
    pub escalate_when: Option<GatesSection>,
    /// Requests with a prompt of so many tokens or more, about, begin at this step.
    pub start_at: Option<StartSection>,
    /// How much of a stream is held back until the gates have judged it: `{ first: 32 }` tokens, or `all`. By default the least
    /// that lets each of them decide.
    pub hold: Option<HoldSection>,
}

/// Which requests begin at a step.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StartSection {
    /// Those with a prompt of so many tokens or more, about.
    pub prompt_tokens: NonZeroU64,
}

/// How much of a stream is held back.
pub type HoldSection = ScalarOr<HoldWord, HoldFirstSection>;

/// A word for how much of a stream is held back.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum HoldWord {
    /// Nothing.
    None,
    /// All of it.
    All,
}

/// The beginning of a stream.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HoldFirstSection {
    /// So many tokens, about.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub first: u32,
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
