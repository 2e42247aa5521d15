//! A stream in the common form.

use super::answer::{Citation, Finish, TokenLogprob};
use super::json::Json;
use super::request::Source;
use super::signature::Signature;
use super::usage::Usage;
use crate::dialect::{Dialect, Error};

/// What a reader or a writer of answers is told that stands in no body.
#[derive(Clone, Debug, Default)]
pub struct Context {
    /// Stands in for an id where the provider gives none: unique among requests, of `[A-Za-z0-9_-]`.
    pub id: String,
    /// Stands in for the time where the provider gives none, in seconds of Unix time.
    pub now: u64,
}

/// A piece of a stream. `choice` is which of the request's `n` answers it belongs to.
///
/// A stream is one `Start`, pieces, a `Finish` for each choice, `Usage` where known, and one of `End` and `Error`.
/// Pieces of one kind that follow each other are one part; a `Signature` closes the thought before it. A tool call is
/// `ToolCall` and then `Arguments` of the same `call`; calls may interleave.
#[derive(Clone, Debug, PartialEq)]
pub enum Delta {
    /// The stream begins. Fields as in [`super::Answer`].
    Start {
        /// The provider's id; may be empty.
        id: String,
        /// The model as the provider calls it; may be empty.
        model: String,
        /// When it was made, in seconds of Unix time.
        created: Option<u64>,
    },
    /// More text.
    Text {
        /// Which answer.
        choice: u32,
        /// What is added.
        text: String,
    },
    /// A source for the text so far.
    Citation {
        /// Which answer.
        choice: u32,
        /// The source.
        citation: Citation,
    },
    /// More of a refusal.
    Refusal {
        /// Which answer.
        choice: u32,
        /// What is added.
        text: String,
    },
    /// More of a thought.
    Thinking {
        /// Which answer.
        choice: u32,
        /// What is added.
        text: String,
    },
    /// The seal on the thought before it, which ends it. Without a thought before it, it seals a hidden one.
    Signature {
        /// Which answer.
        choice: u32,
        /// The seal.
        signature: Signature,
        /// Responses' `rs_…` id of the item.
        id: Option<String>,
        /// The thought itself is in the seal.
        is_redacted: bool,
    },
    /// A tool call begins.
    ToolCall {
        /// Which answer.
        choice: u32,
        /// Which call of that answer, from 0, without gaps.
        call: u32,
        /// Ties the result to it.
        id: String,
        /// The tool's name.
        name: String,
        /// The provider's seal on the thought behind it.
        signature: Option<Signature>,
    },
    /// More of a call's arguments: JSON text.
    Arguments {
        /// Which answer.
        choice: u32,
        /// Which call of that answer.
        call: u32,
        /// What is added.
        json: String,
    },
    /// A whole picture.
    Image {
        /// Which answer.
        choice: u32,
        /// The picture.
        source: Source,
    },
    /// A whole part that only one dialect knows.
    Opaque {
        /// Which answer.
        choice: u32,
        /// Whose it is.
        dialect: Dialect,
        /// Its `type` there.
        kind: String,
        /// As it came.
        json: Json,
    },
    /// Tokens with their log-probabilities.
    Logprobs {
        /// Which answer.
        choice: u32,
        /// The tokens.
        tokens: Vec<TokenLogprob>,
    },
    /// An answer has ended.
    Finish {
        /// Which answer.
        choice: u32,
        /// Why.
        finish: Finish,
    },
    /// What the stream costs, so far: the last one counts.
    Usage(Usage),
    /// The tier that serves it.
    ServiceTier(String),
    /// The stream ended as its dialect ends one. Nothing follows.
    End,
    /// The provider ended it with an error. Nothing follows.
    Error(Error),
}
