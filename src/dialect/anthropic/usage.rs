//! `usage`. Anthropic's `input_tokens` leave out what the cache held or took; ours do not.

use serde::{Deserialize, Serialize};

use crate::dialect::common::Usage;

/// What a whole answer says that it cost, without a look at the rest.
pub fn usage(answer: &[u8]) -> Option<Usage> {
    #[derive(Deserialize)]
    struct Look {
        usage: Option<WireUsage>,
    }
    let look: Look = serde_json::from_slice(answer).ok()?;
    look.usage.map(|usage| usage.read())
}

/// `usage` as it is read. In a stream it comes in two parts, of which the second says again what has changed.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct WireUsage {
    input_tokens: Option<u64>,
    cache_creation_input_tokens: Option<u64>,
    cache_read_input_tokens: Option<u64>,
    cache_creation: Option<CacheCreation>,
    output_tokens: Option<u64>,
    output_tokens_details: Option<OutputDetails>,
    server_tool_use: Option<ToolUse>,
    pub service_tier: Option<String>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
struct CacheCreation {
    ephemeral_5m_input_tokens: Option<u64>,
    ephemeral_1h_input_tokens: Option<u64>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
struct OutputDetails {
    thinking_tokens: Option<u64>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
struct ToolUse {
    web_search_requests: Option<u64>,
}

impl WireUsage {
    /// Takes what `later` says in place of what was said before.
    pub fn update(&mut self, later: Self) {
        self.input_tokens = later.input_tokens.or(self.input_tokens);
        self.cache_creation_input_tokens = later
            .cache_creation_input_tokens
            .or(self.cache_creation_input_tokens);
        self.cache_read_input_tokens = later
            .cache_read_input_tokens
            .or(self.cache_read_input_tokens);
        self.cache_creation = later.cache_creation.or(self.cache_creation);
        self.output_tokens = later.output_tokens.or(self.output_tokens);
        self.output_tokens_details = later.output_tokens_details.or(self.output_tokens_details);
        self.server_tool_use = later.server_tool_use.or(self.server_tool_use);
    }

    pub fn read(&self) -> Usage {
        let by_time = self.cache_creation.unwrap_or_default();
        let hour = by_time.ephemeral_1h_input_tokens.unwrap_or(0);
        let minutes = by_time.ephemeral_5m_input_tokens.unwrap_or(0);
        let all = minutes.saturating_add(hour);
        let written = self.cache_creation_input_tokens.unwrap_or(all);
        let hour = hour.min(written);
        let read = self.cache_read_input_tokens.unwrap_or(0);
        let fresh = self.input_tokens.unwrap_or(0);
        Usage {
            input_tokens: fresh.saturating_add(read).saturating_add(written),
            output_tokens: self.output_tokens.unwrap_or(0),
            cache_read_tokens: read,
            cache_write_tokens: written,
            cache_write_5m_tokens: minutes.min(written - hour),
            cache_write_1h_tokens: hour,
            reasoning_tokens: self
                .output_tokens_details
                .and_then(|details| details.thinking_tokens)
                .unwrap_or(0),
            web_searches: self
                .server_tool_use
                .and_then(|tools| tools.web_search_requests)
                .unwrap_or(0),
            ..Usage::default()
        }
    }
}

/// `usage` as it is written.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct WrittenUsage<'a> {
    input_tokens: u64,
    cache_creation_input_tokens: u64,
    cache_read_input_tokens: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    cache_creation: Option<CacheCreation>,
    output_tokens: u64,
    output_tokens_details: OutputDetails,
    #[serde(skip_serializing_if = "Option::is_none")]
    server_tool_use: Option<ToolUse>,
    #[serde(skip_serializing_if = "Option::is_none")]
    service_tier: Option<&'a str>,
}

impl<'a> WrittenUsage<'a> {
    pub fn of(usage: Usage, service_tier: Option<&'a str>) -> Self {
        let cached = usage
            .cache_read_tokens
            .saturating_add(usage.cache_write_tokens);
        let minutes = usage.cache_write_5m_tokens;
        let hour = usage.cache_write_1h_tokens;
        // Another dialect may say that something was written, and not for how long.
        let is_told = usage.cache_write_tokens == 0 || minutes > 0 || hour > 0;
        let searches = usage.web_searches;
        Self {
            input_tokens: usage.input_tokens.saturating_sub(cached),
            cache_creation_input_tokens: usage.cache_write_tokens,
            cache_read_input_tokens: usage.cache_read_tokens,
            cache_creation: is_told.then_some(CacheCreation {
                ephemeral_5m_input_tokens: Some(minutes),
                ephemeral_1h_input_tokens: Some(hour),
            }),
            output_tokens: usage.output_tokens,
            output_tokens_details: OutputDetails {
                thinking_tokens: Some(usage.reasoning_tokens),
            },
            server_tool_use: (searches > 0).then_some(ToolUse {
                web_search_requests: Some(searches),
            }),
            service_tier: service_tier.map(|tier| match tier {
                "default" => "standard",
                tier => tier,
            }),
        }
    }
}

/// The tier that served an answer, in the word that most dialects have for it.
pub(super) fn common_tier(tier: String) -> String {
    match tier.as_str() {
        "standard" => "default".to_owned(),
        _ => tier,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cached_tokens_are_counted_in_both_ways() {
        let body = br#"{"content":[],"usage":{"input_tokens":2,"cache_creation_input_tokens":30,
            "cache_read_input_tokens":500,"cache_creation":{"ephemeral_5m_input_tokens":10,
            "ephemeral_1h_input_tokens":20},"output_tokens":7,"output_tokens_details":{"thinking_tokens":3},
            "server_tool_use":{"web_search_requests":4,"web_fetch_requests":1}}}"#;
        let read = usage(body).unwrap();
        let expected = Usage {
            input_tokens: 532,
            output_tokens: 7,
            cache_read_tokens: 500,
            cache_write_tokens: 30,
            cache_write_5m_tokens: 10,
            cache_write_1h_tokens: 20,
            reasoning_tokens: 3,
            web_searches: 4,
            ..Usage::default()
        };
        assert_eq!(read, expected);
        let written = serde_json::to_string(&WrittenUsage::of(read, Some("default"))).unwrap();
        let again: WireUsage = serde_json::from_str(&written).unwrap();
        assert_eq!(again.read(), expected);
        assert_eq!(again.service_tier.as_deref(), Some("standard"));
        assert_eq!(usage(b"<html>"), None);
    }

    #[test]
    fn what_is_null_is_not_told() {
        let body = br#"{"usage":{"input_tokens":2,"cache_creation_input_tokens":null,"cache_read_input_tokens":null,
            "cache_creation":{"ephemeral_5m_input_tokens":3,"ephemeral_1h_input_tokens":null},"output_tokens":7,
            "output_tokens_details":{"thinking_tokens":null},"server_tool_use":null}}"#;
        let expected = Usage {
            input_tokens: 5,
            output_tokens: 7,
            cache_write_tokens: 3,
            cache_write_5m_tokens: 3,
            ..Usage::default()
        };
        assert_eq!(usage(body), Some(expected));
    }

    #[test]
    fn turns_of_one_answer_are_counted_once() {
        let body = br#"{"usage":{"input_tokens":2,"output_tokens":7,"iterations":[
            {"type":"message","input_tokens":1,"output_tokens":3},{"type":"message","input_tokens":1,"output_tokens":4}]}}"#;
        let counts = usage(body).map(|usage| (usage.input_tokens, usage.output_tokens));
        assert_eq!(counts, Some((2, 7)));
    }
}
