//! Wire formats of model traffic: one file a format, and what they share.
//!
//! Invariant: no I/O here, and no configuration; bytes go in, bytes and facts come out.

pub mod error;
pub mod openai;
pub mod scan;
pub mod sse;

pub use error::{Error, Kind};

use serde::{Deserialize, Serialize};

/// What an application asks of a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Endpoint {
    /// Chat completions.
    Chat,
    /// OpenAI's responses.
    Responses,
    /// Completions of a plain prompt.
    Completions,
    /// Embeddings.
    Embeddings,
}

impl Endpoint {
    /// The name in the configuration and in messages.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Responses => "responses",
            Self::Completions => "completions",
            Self::Embeddings => "embeddings",
        }
    }
}

/// Tokens that an answer was billed for, as the provider reported them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Tokens of the request, cached ones included.
    pub input_tokens: u64,
    /// Tokens of the answer, reasoning included.
    pub output_tokens: u64,
}
