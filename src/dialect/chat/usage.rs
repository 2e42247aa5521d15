//! What an answer cost, in this dialect's `usage`.

use serde::{Deserialize, Serialize};

use crate::dialect::{Usage, scan};

/// What a whole answer says that it cost.
pub fn usage(answer: &[u8]) -> Option<Usage> {
    // Found by a scan: every answer of the fast path is asked for it.
    let usage: UsageFields = serde_json::from_slice(scan::member(answer, "usage")?).ok()?;
    usage.read()
}

/// `usage` as any server writes it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct UsageFields {
    prompt_tokens: Option<u64>,
    completion_tokens: Option<u64>,
    total_tokens: Option<u64>,
    prompt_tokens_details: Option<InputDetails>,
    completion_tokens_details: Option<OutputDetails>,
    /// DeepSeek's.
    prompt_cache_hit_tokens: Option<u64>,
    /// Moonshot's and Together's.
    cached_tokens: Option<u64>,
    /// Perplexity's.
    reasoning_tokens: Option<u64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct InputDetails {
    cached_tokens: Option<u64>,
    cache_write_tokens: Option<u64>,
    audio_tokens: Option<u64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct OutputDetails {
    reasoning_tokens: Option<u64>,
    audio_tokens: Option<u64>,
    image_tokens: Option<u64>,
}

impl UsageFields {
    /// None where it does not even count the prompt.
    pub(super) fn read(self) -> Option<Usage> {
        let input_tokens = self.prompt_tokens?;
        let input = self.prompt_tokens_details.unwrap_or_default();
        let output = self.completion_tokens_details.unwrap_or_default();
        let cached = input
            .cached_tokens
            .or(self.prompt_cache_hit_tokens)
            .or(self.cached_tokens);
        let reasoning_tokens = output
            .reasoning_tokens
            .or(self.reasoning_tokens)
            .unwrap_or(0);
        let mut output_tokens = self.completion_tokens.unwrap_or(0);
        // xAI does not count reasoning among the completion's tokens; its total tells.
        let beside = input_tokens.checked_add(output_tokens.saturating_add(reasoning_tokens));
        if reasoning_tokens > 0 && beside.is_some() && self.total_tokens == beside {
            output_tokens += reasoning_tokens;
        }
        Some(Usage {
            input_tokens,
            output_tokens,
            cache_read_tokens: cached.unwrap_or(0),
            cache_write_tokens: input.cache_write_tokens.unwrap_or(0),
            input_audio_tokens: input.audio_tokens.unwrap_or(0),
            reasoning_tokens,
            output_audio_tokens: output.audio_tokens.unwrap_or(0),
            output_image_tokens: output.image_tokens.unwrap_or(0),
            ..Usage::default()
        })
    }
}

/// `usage` as OpenAI writes it.
#[derive(Debug, Serialize)]
pub(in crate::dialect) struct WireUsage {
    prompt_tokens: u64,
    completion_tokens: u64,
    total_tokens: u64,
    prompt_tokens_details: WireInput,
    completion_tokens_details: WireOutput,
}

#[derive(Debug, Serialize)]
struct WireInput {
    cached_tokens: u64,
    #[serde(skip_serializing_if = "is_zero")]
    cache_write_tokens: u64,
    audio_tokens: u64,
}

#[derive(Debug, Serialize)]
struct WireOutput {
    reasoning_tokens: u64,
    audio_tokens: u64,
    #[serde(skip_serializing_if = "is_zero")]
    image_tokens: u64,
    accepted_prediction_tokens: u64,
    rejected_prediction_tokens: u64,
}

fn is_zero(count: &u64) -> bool {
    *count == 0
}

impl From<Usage> for WireUsage {
    fn from(usage: Usage) -> Self {
        Self {
            prompt_tokens: usage.input_tokens,
            completion_tokens: usage.output_tokens,
            total_tokens: usage.input_tokens.saturating_add(usage.output_tokens),
            prompt_tokens_details: WireInput {
                cached_tokens: usage.cache_read_tokens,
                cache_write_tokens: usage.cache_write_tokens,
                audio_tokens: usage.input_audio_tokens,
            },
            completion_tokens_details: WireOutput {
                reasoning_tokens: usage.reasoning_tokens,
                audio_tokens: usage.output_audio_tokens,
                image_tokens: usage.output_image_tokens,
                accepted_prediction_tokens: 0,
                rejected_prediction_tokens: 0,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(usage: &str) -> Option<Usage> {
        super::usage(format!(r#"{{"choices":[],"usage":{usage}}}"#).as_bytes())
    }

    #[test]
    fn servers_count_in_fields_of_their_own() {
        for (provider, body, cached, reasoning, output) in [
            (
                "OpenAI",
                r#"{"prompt_tokens":10,"completion_tokens":5,"total_tokens":15,"prompt_tokens_details":{"cached_tokens":4},"completion_tokens_details":{"reasoning_tokens":3}}"#,
                4,
                3,
                5,
            ),
            (
                "DeepSeek",
                r#"{"prompt_tokens":10,"completion_tokens":5,"prompt_cache_hit_tokens":6}"#,
                6,
                0,
                5,
            ),
            (
                "Moonshot",
                r#"{"prompt_tokens":10,"completion_tokens":5,"cached_tokens":7,"prompt_tokens_details":null}"#,
                7,
                0,
                5,
            ),
            (
                "xAI",
                r#"{"prompt_tokens":10,"completion_tokens":5,"total_tokens":35,"completion_tokens_details":{"reasoning_tokens":20}}"#,
                0,
                20,
                25,
            ),
        ] {
            let usage = read(body).unwrap();
            assert_eq!(usage.input_tokens, 10, "{provider}");
            assert_eq!(usage.cache_read_tokens, cached, "{provider}");
            assert_eq!(usage.reasoning_tokens, reasoning, "{provider}");
            assert_eq!(usage.output_tokens, output, "{provider}");
        }
        assert_eq!(read("null"), None);
        assert_eq!(read("{}"), None);
        assert_eq!(super::usage(b"<html>"), None);
    }

    #[test]
    fn what_is_written_is_read_as_it_was() {
        let usage = Usage {
            input_tokens: 100,
            output_tokens: 50,
            cache_read_tokens: 40,
            cache_write_tokens: 30,
            input_audio_tokens: 7,
            reasoning_tokens: 20,
            output_audio_tokens: 5,
            output_image_tokens: 3,
            ..Usage::default()
        };
        let written = serde_json::to_string(&WireUsage::from(usage)).unwrap();
        assert_eq!(read(&written), Some(usage));
    }
}
