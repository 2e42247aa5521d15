//! What an answer cost, in this dialect's `usage`.

use std::fmt;

use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};

use crate::dialect::{Usage, scan};

/// What a whole answer says that it cost.
pub fn usage(answer: &[u8]) -> Option<Usage> {
    // Found by a scan: every answer of the fast path is asked for it.
    read_usage(scan::member(answer, "usage")?)
}

/// What the value of a `usage` says.
pub(in crate::dialect) fn read_usage(value: &[u8]) -> Option<Usage> {
    let usage: UsageFields = serde_json::from_slice(value).ok()?;
    usage.read()
}

/// `usage` as any server writes it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct UsageFields {
    prompt_tokens: Count,
    completion_tokens: Count,
    total_tokens: Count,
    prompt_tokens_details: Option<InputDetails>,
    completion_tokens_details: Option<OutputDetails>,
    /// DeepSeek's.
    prompt_cache_hit_tokens: Count,
    /// Moonshot's and Together's.
    cached_tokens: Count,
    /// xAI's, before it had details.
    cached_prompt_text_tokens: Count,
    /// Mistral's, of audio that is billed by time.
    prompt_audio_seconds: Count,
    /// Perplexity's, as are the two below: what its searches brought in, beside the prompt.
    citation_tokens: Count,
    reasoning_tokens: Count,
    num_search_queries: Count,
    /// OpenRouter's, by either name.
    server_tool_use_details: Option<ToolUse>,
    server_tool_use: Option<ToolUse>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct InputDetails {
    cached_tokens: Count,
    cache_write_tokens: Count,
    audio_tokens: Count,
    image_tokens: Count,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct OutputDetails {
    reasoning_tokens: Count,
    audio_tokens: Count,
    image_tokens: Count,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ToolUse {
    web_search_requests: Count,
}

impl UsageFields {
    /// None where it does not even count the prompt.
    pub(super) fn read(self) -> Option<Usage> {
        let prompt = self.prompt_tokens.0?;
        let input = self.prompt_tokens_details.unwrap_or_default();
        let output = self.completion_tokens_details.unwrap_or_default();
        let cached = input
            .cached_tokens
            .or(self.prompt_cache_hit_tokens)
            .or(self.cached_tokens)
            .or(self.cached_prompt_text_tokens);
        let reasoning = output.reasoning_tokens.or(self.reasoning_tokens).told();
        let mut output_tokens = self.completion_tokens.told();
        // xAI does not count reasoning among the completion's tokens; its total tells. Nor does Perplexity where it
        // researches, and neither does its total.
        let beside = prompt.checked_add(output_tokens.saturating_add(reasoning));
        let researched = self.citation_tokens.0.and(self.reasoning_tokens.0);
        if researched.is_some()
            || (reasoning > 0 && beside.is_some() && self.total_tokens.0 == beside)
        {
            output_tokens = output_tokens.saturating_add(reasoning);
        }
        let tools = self.server_tool_use_details.or(self.server_tool_use);
        let searches = tools.unwrap_or_default().web_search_requests;
        let citations = self.citation_tokens.told();
        Some(Usage {
            input_tokens: prompt.saturating_add(citations),
            output_tokens,
            reasoning_tokens: reasoning,
            cache_read_tokens: cached.told(),
            cache_write_tokens: input.cache_write_tokens.told(),
            input_audio_tokens: input.audio_tokens.told(),
            input_image_tokens: input.image_tokens.told(),
            input_tool_tokens: citations,
            output_audio_tokens: output.audio_tokens.told(),
            output_image_tokens: output.image_tokens.told(),
            web_searches: searches.or(self.num_search_queries).told(),
            audio_seconds: self.prompt_audio_seconds.told(),
            ..Usage::default()
        })
    }
}

/// A count that a server may write as it likes: what is no number is as if it were not there, so that it costs nobody the
/// other counts. Of seconds, one that has begun counts.
#[derive(Clone, Copy, Debug, Default)]
struct Count(Option<u64>);

impl Count {
    fn or(self, other: Self) -> Self {
        Self(self.0.or(other.0))
    }

    fn told(self) -> u64 {
        self.0.unwrap_or(0)
    }
}

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Anything;

        impl<'de> Visitor<'de> for Anything {
            type Value = Count;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("anything")
            }

            fn visit_u64<E>(self, number: u64) -> Result<Count, E> {
                Ok(Count(Some(number)))
            }

            fn visit_i64<E>(self, _: i64) -> Result<Count, E> {
                Ok(Count(None))
            }

            fn visit_f64<E>(self, number: f64) -> Result<Count, E> {
                // Saturates at both ends.
                Ok(Count((number >= 0.0).then_some(number.ceil() as u64)))
            }

            fn visit_unit<E>(self) -> Result<Count, E> {
                Ok(Count(None))
            }

            fn visit_bool<E>(self, _: bool) -> Result<Count, E> {
                Ok(Count(None))
            }

            fn visit_str<E>(self, _: &str) -> Result<Count, E> {
                Ok(Count(None))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Count, A::Error> {
                while list.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Count(None))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Count, A::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Count(None))
            }
        }

        deserializer.deserialize_any(Anything)
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
    /// OpenRouter's; OpenAI has no place for searches.
    #[serde(skip_serializing_if = "Option::is_none")]
    server_tool_use_details: Option<WireTools>,
}

#[derive(Debug, Serialize)]
struct WireInput {
    cached_tokens: u64,
    #[serde(skip_serializing_if = "is_zero")]
    cache_write_tokens: u64,
    audio_tokens: u64,
    #[serde(skip_serializing_if = "is_zero")]
    image_tokens: u64,
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

#[derive(Debug, Serialize)]
struct WireTools {
    web_search_requests: u64,
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
                image_tokens: usage.input_image_tokens,
            },
            completion_tokens_details: WireOutput {
                reasoning_tokens: usage.reasoning_tokens,
                audio_tokens: usage.output_audio_tokens,
                image_tokens: usage.output_image_tokens,
                accepted_prediction_tokens: 0,
                rejected_prediction_tokens: 0,
            },
            server_tool_use_details: (usage.web_searches > 0).then_some(WireTools {
                web_search_requests: usage.web_searches,
            }),
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
        assert_eq!(read(r#"{"prompt_tokens":"10"}"#), None);
        assert_eq!(read("{}"), None);
        assert_eq!(super::usage(b"<html>"), None);
    }

    #[test]
    fn what_tools_did_is_billed() {
        // Figures of Perplexity's own reference ("Sonar Deep Research").
        let research = r#"{"prompt_tokens":33,"completion_tokens":7163,"total_tokens":7196,"citation_tokens":20016,"num_search_queries":18,"reasoning_tokens":73997}"#;
        let expected = Usage {
            input_tokens: 20049,
            input_tool_tokens: 20016,
            output_tokens: 81160,
            reasoning_tokens: 73997,
            web_searches: 18,
            ..Usage::default()
        };
        assert_eq!(read(research), Some(expected));
        for name in ["server_tool_use_details", "server_tool_use"] {
            let told = format!(r#"{{"prompt_tokens":1,"{name}":{{"web_search_requests":2}}}}"#);
            assert_eq!(read(&told).map(|usage| usage.web_searches), Some(2));
        }
    }

    #[test]
    fn a_count_that_is_none_costs_nobody_the_others() {
        for (seconds, told) in [
            ("4", 4),
            ("4.2", 5),
            ("-1", 0),
            ("null", 0),
            ("{}", 0),
            (r#"{"a":[1]}"#, 0),
            ("[1,2]", 0),
            (r#""4""#, 0),
            ("true", 0),
        ] {
            let body = format!(
                r#"{{"prompt_audio_seconds":{seconds},"prompt_tokens":3.0,"cached_prompt_text_tokens":2}}"#
            );
            let expected = Usage {
                input_tokens: 3,
                cache_read_tokens: 2,
                audio_seconds: told,
                ..Usage::default()
            };
            assert_eq!(read(&body), Some(expected), "{seconds}");
        }
    }

    #[test]
    fn what_is_written_is_read_as_it_was() {
        let usage = Usage {
            input_tokens: 100,
            output_tokens: 50,
            cache_read_tokens: 40,
            cache_write_tokens: 30,
            input_audio_tokens: 7,
            input_image_tokens: 8,
            reasoning_tokens: 20,
            output_audio_tokens: 5,
            output_image_tokens: 3,
            web_searches: 2,
            ..Usage::default()
        };
        let written = serde_json::to_string(&WireUsage::from(usage)).unwrap();
        assert_eq!(read(&written), Some(usage));
    }
}
