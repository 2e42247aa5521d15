//! `usage` of an answer.

use serde::{Deserialize, Serialize};

use crate::dialect::Usage;

/// What a whole answer says it cost.
pub fn usage(answer: &[u8]) -> Option<Usage> {
    #[derive(Deserialize)]
    struct Answer {
        usage: Option<Tokens>,
    }
    let answer: Answer = serde_json::from_slice(answer).ok()?;
    answer.usage.map(Usage::from)
}

/// `usage` as it stands in an answer. Cached tokens are part of the input, reasoning part of the output.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Tokens {
    input_tokens: u64,
    input_tokens_details: Option<InputDetails>,
    output_tokens: u64,
    output_tokens_details: Option<OutputDetails>,
    total_tokens: u64,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct InputDetails {
    cached_tokens: Option<u64>,
    cache_write_tokens: Option<u64>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct OutputDetails {
    reasoning_tokens: Option<u64>,
}

impl From<Tokens> for Usage {
    fn from(tokens: Tokens) -> Self {
        let input = tokens.input_tokens_details.unwrap_or_default();
        let output = tokens.output_tokens_details.unwrap_or_default();
        Self {
            input_tokens: tokens.input_tokens,
            output_tokens: tokens.output_tokens,
            cache_read_tokens: input.cached_tokens.unwrap_or(0),
            cache_write_tokens: input.cache_write_tokens.unwrap_or(0),
            reasoning_tokens: output.reasoning_tokens.unwrap_or(0),
            ..Self::default()
        }
    }
}

impl From<Usage> for Tokens {
    fn from(usage: Usage) -> Self {
        Self {
            input_tokens: usage.input_tokens,
            input_tokens_details: Some(InputDetails {
                cached_tokens: Some(usage.cache_read_tokens),
                cache_write_tokens: Some(usage.cache_write_tokens),
            }),
            output_tokens: usage.output_tokens,
            output_tokens_details: Some(OutputDetails {
                reasoning_tokens: Some(usage.reasoning_tokens),
            }),
            total_tokens: usage.input_tokens.saturating_add(usage.output_tokens),
        }
    }
}
