//! `providers` in the configuration.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::credentials::{EntraSection, VertexSection};
use crate::config::limits::LimitsSection;
use crate::config::units::{Duration, DurationRange, Factor, Percent};
use crate::config::{ScalarOr, Secret};
use crate::dialect::{Capability, Endpoint};

/// An upstream account: its dialect, where it is, and how to log in.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProviderSection {
    /// The wire format that it speaks.
    pub dialect: DialectName,
    /// Where it is, up to and including the version: `https://api.groq.com/openai/v1`. Each dialect's own provider is
    /// the default.
    pub base_url: Option<String>,
    /// The credential, sent as the provider wants it: as a bearer token, `x-api-key` (Anthropic), `x-goog-api-key`
    /// (Gemini) or `api-key` (Azure).
    pub api_key: Option<Secret>,
    /// Several credentials in the place of one, up to 10: requests are shared out among them, and one that is refused or has no
    /// quota left is left alone while the others go on.
    pub api_keys: Option<Vec<Secret>>,
    /// Further header fields of every request. They win over what the caller sent.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// What it serves. Known hosts have their own default; others that speak OpenAI's dialect serve all but responses.
    pub endpoints: Option<Vec<Endpoint>>,
    /// Set for Azure OpenAI, whose `base_url` is the resource's.
    pub azure: Option<AzureSection>,
    /// How long its answers may take.
    #[serde(default)]
    pub timeout: TimeoutSection,
    /// Repeats of a failed call.
    pub retry: Option<RetrySection>,
    /// Circuit and cooldown.
    pub health: Option<HealthSection>,
    /// The simulated provider's pause before the first token.
    pub first_token: Option<Duration>,
    /// The simulated provider's pace; 0 sends everything at once.
    pub tokens_per_second: Option<f64>,
    /// What goes wrong at the simulated provider.
    pub faults: Option<FaultsSection>,
    /// Vertex AI's project and location: with the dialect `gemini` for Google's models and Claude, with `anthropic` for
    /// Claude alone.
    pub vertex: Option<VertexSection>,
    /// A Google service account's JSON. Without it Vertex uses the application default credentials.
    pub credentials: Option<Secret>,
    /// The AWS region of Bedrock; by default what AWS's usual settings say.
    pub region: Option<String>,
    /// Whether marks for the provider's prompt cache are set where the caller set none (Anthropic, Bedrock).
    #[serde(default)]
    pub auto_cache: bool,
    /// Whether its models go on with an answer that the last message begins, as `continue` of a model needs it; by default what
    /// is known of it. Servers of OpenAI's dialect that are not known are told by `continue_final_message: true` and
    /// `add_generation_prompt: false`, as vLLM and SGLang want it.
    pub prefill: Option<bool>,
    /// Requests, tokens and concurrency that it is sent: its own published limits, or less.
    pub limits: Option<LimitsSection>,
    /// What its models cannot do: where another target of a model can, requests that need it go there. `[]` says that they can
    /// do it all. By default what is known of each model by its name.
    pub lacks: Option<Vec<Capability>>,
}

impl ProviderSection {
    /// Whether it says what it is called with.
    pub(super) const fn has_key(&self) -> bool {
        self.api_key.is_some() || self.api_keys.is_some()
    }
}

/// A wire format of model traffic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DialectName {
    /// OpenAI's, which most others speak, too.
    #[serde(rename = "openai")]
    OpenAi,
    /// Anthropic messages.
    Anthropic,
    /// Gemini and Vertex AI.
    Gemini,
    /// Bedrock converse.
    Bedrock,
    /// Cohere v2.
    Cohere,
    /// Answers by itself, without a model: for development and load tests.
    Simulated,
}

impl DialectName {
    /// The word in the configuration.
    pub const fn name(self) -> &'static str {
        match self {
            Self::OpenAi => "openai",
            Self::Anthropic => "anthropic",
            Self::Gemini => "gemini",
            Self::Bedrock => "bedrock",
            Self::Cohere => "cohere",
            Self::Simulated => "simulated",
        }
    }
}

/// Azure OpenAI.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AzureSection {
    /// The `api-version` of every call: `"2024-10-21"`.
    pub api_version: String,
    /// Logs in as an application of Entra ID instead of with an `api_key`.
    pub entra: Option<EntraSection>,
}

/// How long a call may take. What is not said here is said by the next wider section.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TimeoutSection {
    /// Until a new connection stands, TLS included. 5s by default.
    pub connect: Option<Duration>,
    /// Until a stream's first event. 60s by default.
    pub first_token: Option<Duration>,
    /// Between two events of a stream. 30s by default.
    pub between_tokens: Option<Duration>,
    /// For the whole answer. 10m by default.
    pub total: Option<Duration>,
    /// For one call of several; by default the time that is left, shared among the targets that have not been asked yet.
    pub attempt: Option<Duration>,
}

/// Repeats of a failed call to the same target. What is not said here is said by the next wider section.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RetrySection {
    /// Calls in all per target, at most 10; 1 is no repeat. 2 by default.
    #[schemars(range(min = 1, max = 10))]
    pub attempts: Option<u32>,
    /// The pause before a repeat: by chance between the two, where the larger bound begins at twice the smaller and doubles
    /// with each repeat. `200ms..2s` by default.
    pub backoff: Option<DurationRange>,
    /// How many repeats a target gets, as a share of its requests of the last seconds, so that one which fails is not also
    /// flooded. Besides there is a reserve of ten, of which one comes back every 10s. `20%` by default; `100%` is no bound.
    pub budget: Option<Percent>,
}

/// Circuit and cooldown of targets, or `off`: they are called however they fare.
pub type HealthSection = ScalarOr<Off, CircuitSection>;

/// The word `off`.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Off {
    /// Switched off.
    Off,
}

/// When a target is left alone, and when it is tried again. What is not said here is said by the next wider section.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CircuitSection {
    /// Failures in a row that open the circuit: nothing is sent any more. 5 by default.
    #[schemars(range(min = 1, max = 1000))]
    pub open_after: Option<u32>,
    /// How often one request is let through to find out whether the target is well again. 10s by default.
    pub probe_every: Option<Duration>,
    /// A stream is a failure of the target, not of the request, when its first token took so many times as long as usual
    /// at this target, or each token did; `off` for never. `8x` by default.
    pub slow: Option<Factor>,
}

/// What goes wrong at the simulated provider, as shares of its answers from 0 to 1.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FaultsSection {
    /// Answers with an error.
    #[serde(default)]
    pub error: ErrorFaultSection,
    /// Answers that stop in the middle and say nothing more.
    #[serde(default)]
    pub stall: f64,
    /// Answers whose connection breaks in the middle.
    #[serde(default)]
    pub cut: f64,
}

/// Errors of the simulated provider.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ErrorFaultSection {
    /// The share of answers, from 0 to 1.
    #[serde(default)]
    pub rate: f64,
    /// Their HTTP status.
    #[serde(default = "unavailable")]
    pub status: u16,
}

const fn unavailable() -> u16 {
    503
}

impl Default for ErrorFaultSection {
    fn default() -> Self {
        Self {
            rate: 0.0,
            status: unavailable(),
        }
    }
}

/// How long a call may take, with nothing left open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// Until a new connection stands.
    pub connect: std::time::Duration,
    /// Until a stream's first event.
    pub first_token: std::time::Duration,
    /// Between two events of a stream.
    pub between_tokens: std::time::Duration,
    /// For the whole answer.
    pub total: std::time::Duration,
    /// For one call of several, where that is said.
    pub attempt: Option<std::time::Duration>,
}

impl Timeouts {
    /// Asks the narrowest section first: what none of them says has its default.
    pub fn resolve(narrowest_first: [&TimeoutSection; 3]) -> Self {
        let found = |field: fn(&TimeoutSection) -> Option<Duration>| {
            let said = narrowest_first.into_iter().find_map(field);
            said.map(|said| said.0)
        };
        let said = |field, seconds| found(field).unwrap_or(std::time::Duration::from_secs(seconds));
        Self {
            connect: said(|section| section.connect, 5),
            first_token: said(|section| section.first_token, 60),
            between_tokens: said(|section| section.between_tokens, 30),
            total: said(|section| section.total, 600),
            attempt: found(|section| section.attempt),
        }
    }
}
