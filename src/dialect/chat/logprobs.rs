//! Log-probabilities of tokens.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::dialect::common::TokenLogprob;

/// Reads a choice's `logprobs`: those of its content and of its refusal. Other shapes, which some servers use, tell
/// nothing.
pub(super) fn read(raw: &RawValue) -> Vec<TokenLogprob> {
    #[derive(Deserialize)]
    struct Fields {
        content: Option<Vec<Token>>,
        refusal: Option<Vec<Token>>,
    }
    let Ok(fields) = serde_json::from_str::<Fields>(raw.get()) else {
        return Vec::new();
    };
    let tokens = fields.content.into_iter().chain(fields.refusal).flatten();
    tokens.map(TokenLogprob::from).collect()
}

#[derive(Deserialize)]
struct Token {
    token: String,
    logprob: f64,
    bytes: Option<Vec<u8>>,
    top_logprobs: Option<Vec<Token>>,
}

impl From<Token> for TokenLogprob {
    fn from(token: Token) -> Self {
        let top = token.top_logprobs.unwrap_or_default();
        Self {
            token: token.token,
            logprob: token.logprob,
            bytes: token.bytes,
            top: top.into_iter().map(Self::from).collect(),
        }
    }
}

/// A choice's `logprobs`.
#[derive(Debug, Serialize)]
pub(super) struct WireLogprobs<'a> {
    content: Vec<WireToken<'a>>,
    refusal: Option<()>,
}

#[derive(Debug, Serialize)]
struct WireToken<'a> {
    #[serde(flatten)]
    token: WireTop<'a>,
    top_logprobs: Vec<WireTop<'a>>,
}

#[derive(Debug, Serialize)]
struct WireTop<'a> {
    token: &'a str,
    logprob: f64,
    bytes: Option<&'a [u8]>,
}

impl<'a> WireLogprobs<'a> {
    /// None where there are none.
    pub(super) fn of(tokens: &'a [TokenLogprob]) -> Option<Self> {
        if tokens.is_empty() {
            return None;
        }
        let content = tokens.iter().map(|token| WireToken {
            token: WireTop::of(token),
            top_logprobs: token.top.iter().map(WireTop::of).collect(),
        });
        Some(Self {
            content: content.collect(),
            refusal: None,
        })
    }
}

impl<'a> WireTop<'a> {
    fn of(token: &'a TokenLogprob) -> Self {
        Self {
            token: &token.token,
            logprob: token.logprob,
            bytes: token.bytes.as_deref(),
        }
    }
}
