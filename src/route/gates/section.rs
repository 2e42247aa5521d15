//! `escalate_when` in the configuration.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::ScalarOr;

/// When a step's answer is not good enough: the request goes up to the next step if any of the list says so.
pub type GatesSection = Vec<GateSection>;

/// A gate: its word, or a mapping of one entry where it has settings.
pub type GateSection = ScalarOr<GateWord, GateForm>;

/// A gate that has no settings.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum GateWord {
    /// Any of `refusal`, `empty`, `truncated`, `content_filter`, `invalid_json`, `invalid_tool_call`, `repetition`.
    Default,
    /// The answer is a refusal: the provider says so, or its beginning does, in one of twelve languages.
    Refusal,
    /// There is no text but blanks, no tool call and no picture.
    Empty,
    /// The answer ended at its longest length.
    Truncated,
    /// A filter of the provider's cut the answer or left it out.
    ContentFilter,
    /// JSON was asked for, and the text is none, or does not fit the request's schema.
    InvalidJson,
    /// A call of a tool that is not offered, arguments that do not fit its schema, or no call where one is required.
    InvalidToolCall,
    /// The answer's end says the same again and again.
    Repetition,
    /// The beginning says that the model does not know or is not sure, in one of twelve languages.
    Unsure,
    /// The answer is in another language than the user's last turn, which asks for none.
    WrongLanguage,
}

/// A gate with settings.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum GateForm {
    /// The tokens were less likely than this: natural logarithms, 0 or less. Without log-probabilities it says nothing.
    LogprobBelow(ScalarOr<f64, LogprobSection>),
    /// The text has fewer characters; an answer that calls tools passes.
    ShorterThan(u32),
    /// The text matches a regular expression.
    Matches(String),
    /// The text does not match a regular expression; an answer that only calls tools passes.
    NotMatches(String),
    /// A model scores the answer.
    Judge(JudgeSection),
    /// The same step is asked again, and the answers differ.
    Agreement(AgreementSection),
    /// All of these say so.
    All(Vec<GateSection>),
    /// Any of these says so.
    Any(Vec<GateSection>),
    /// This does not say so.
    Not(Box<GateSection>),
}

/// What of the tokens' log-probabilities counts; either is enough.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct LogprobSection {
    /// The mean of all tokens.
    pub mean: Option<f64>,
    /// The mean of the worst tenth of the tokens, of one at least.
    pub tail: Option<f64>,
}

/// A model that scores answers.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct JudgeSection {
    /// A model of this configuration.
    pub model: String,
    /// What it is asked of the answer: `Is every figure in it taken from the document?`
    pub question: String,
    /// The score, from 0 to 1, above which the answer passes.
    #[serde(default = "half")]
    pub pass_above: f64,
    /// The share of the answers that are judged, above 0 and up to 1; the others pass.
    #[serde(default = "whole")]
    pub sample: f64,
}

/// Whether the same step says the same again.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct AgreementSection {
    /// How many answers are compared, that which the caller would get among them: 2 to 10.
    pub samples: u32,
    /// The share of them, above 0 and up to 1, that must say what that one does, itself included.
    pub of: f64,
}

const fn half() -> f64 {
    0.5
}

const fn whole() -> f64 {
    1.0
}
