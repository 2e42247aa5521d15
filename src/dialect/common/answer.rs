//! An answer in the common form.

use super::json::Json;
use super::request::Part;
use super::usage::Usage;
use crate::dialect::Dialect;

/// A model's whole answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Answer {
    /// The provider's id of it; empty where it gives none.
    pub id: String,
    /// The model as the provider calls it.
    pub model: String,
    /// When it was made, in seconds of Unix time, where the provider says.
    pub created: Option<u64>,
    /// One for each of the request's `n`.
    pub choices: Vec<Choice>,
    /// What it cost, where the provider says.
    pub usage: Option<Usage>,
    /// The tier that served it.
    pub service_tier: Option<String>,
}

/// One of the answers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Choice {
    /// What the model said, in order.
    pub parts: Vec<Part>,
    /// Why it ended; None where the provider does not say.
    pub finish: Option<Finish>,
    /// Tokens with their log-probabilities, where they were asked for.
    pub logprobs: Vec<TokenLogprob>,
}

/// Why an answer ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finish {
    /// The model was done.
    Stop,
    /// One of the request's `stop` texts came; which, where the provider says.
    StopSequence(Option<String>),
    /// `max_tokens`, or the model's own bound.
    Length,
    /// The model waits for tools.
    ToolCalls,
    /// A filter of the provider's cut it or left it out.
    ContentFilter,
    /// The model would not answer.
    Refusal,
    /// The provider paused a long turn; send it back to go on (Anthropic's `pause_turn`).
    Pause,
    /// The model called a tool in a way that cannot be read.
    MalformedCall,
    /// A reason that only one dialect knows, in its word.
    Other(String),
}

impl Finish {
    /// The same of an answer that does, or does not, call tools: some providers end one that does like any other.
    #[must_use]
    pub fn with_calls(self, has_calls: bool) -> Self {
        match self {
            Self::Stop if has_calls => Self::ToolCalls,
            finish => finish,
        }
    }
}

/// A source that a text cites.
#[derive(Clone, Debug, PartialEq)]
pub struct Citation {
    /// Where the source is.
    pub url: Option<String>,
    /// What it is called.
    pub title: Option<String>,
    /// What it says.
    pub cited_text: Option<String>,
    /// The part of the citing text, in Unicode characters from its beginning: start and end.
    pub span: Option<(u64, u64)>,
    /// Whose `json` it is.
    pub origin: Dialect,
    /// As the origin wrote it, for callers who speak its dialect.
    pub json: Json,
}

/// A token and how likely it was.
#[derive(Clone, Debug, PartialEq)]
pub struct TokenLogprob {
    /// The token's text.
    pub token: String,
    /// The natural logarithm of its probability.
    pub logprob: f64,
    /// The token's bytes, where the provider gives them.
    pub bytes: Option<Vec<u8>>,
    /// The likeliest tokens in its place.
    pub top: Vec<TokenLogprob>,
}
