//! `usage`. Bedrock's `inputTokens` leave out what the cache held or took, its `totalTokens` do not.

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

/// `usage` as it is read and written.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct WireUsage {
    input_tokens: u64,
    output_tokens: u64,
    total_tokens: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    cache_read_input_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cache_write_input_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cache_details: Option<Vec<CacheDetail>>,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct CacheDetail {
    ttl: String,
    input_tokens: u64,
}

impl WireUsage {
    pub fn read(&self) -> Usage {
        let read = self.cache_read_input_tokens.unwrap_or(0);
        let details = self.cache_details.as_deref().unwrap_or_default();
        let sum = |ttl: Option<&str>| {
            let details = details
                .iter()
                .filter(|detail| ttl.is_none_or(|ttl| detail.ttl == ttl));
            details.fold(0, |sum: u64, detail| {
                sum.saturating_add(detail.input_tokens)
            })
        };
        let written = self.cache_write_input_tokens.unwrap_or_else(|| sum(None));
        let hour = sum(Some("1h")).min(written);
        Usage {
            input_tokens: self
                .input_tokens
                .saturating_add(read)
                .saturating_add(written),
            output_tokens: self.output_tokens,
            cache_read_tokens: read,
            cache_write_tokens: written,
            cache_write_5m_tokens: sum(Some("5m")).min(written - hour),
            cache_write_1h_tokens: hour,
            ..Usage::default()
        }
    }

    pub fn of(usage: &Usage) -> Self {
        let Usage {
            cache_read_tokens: read,
            cache_write_tokens: written,
            ..
        } = *usage;
        let details = [
            ("1h", usage.cache_write_1h_tokens),
            ("5m", usage.cache_write_5m_tokens),
        ];
        let details = details.into_iter().filter(|(_, tokens)| *tokens > 0);
        let details = details.map(|(ttl, input_tokens)| CacheDetail {
            ttl: ttl.to_owned(),
            input_tokens,
        });
        let details: Vec<_> = details.collect();
        let is_cached = read > 0 || written > 0;
        Self {
            input_tokens: usage
                .input_tokens
                .saturating_sub(read)
                .saturating_sub(written),
            output_tokens: usage.output_tokens,
            total_tokens: usage.input_tokens.saturating_add(usage.output_tokens),
            cache_read_input_tokens: is_cached.then_some(read),
            cache_write_input_tokens: is_cached.then_some(written),
            cache_details: (!details.is_empty()).then_some(details),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cached_tokens_are_counted_in_both_ways() {
        let body = br#"{"usage":{"inputTokens":2,"outputTokens":7,"totalTokens":539,
            "cacheReadInputTokens":500,"cacheWriteInputTokens":30,
            "cacheDetails":[{"ttl":"1h","inputTokens":20},{"ttl":"5m","inputTokens":10}]}}"#;
        let read = usage(body).unwrap();
        let expected = Usage {
            input_tokens: 532,
            output_tokens: 7,
            cache_read_tokens: 500,
            cache_write_tokens: 30,
            cache_write_5m_tokens: 10,
            cache_write_1h_tokens: 20,
            ..Usage::default()
        };
        assert_eq!(read, expected);
        let written = serde_json::to_value(WireUsage::of(&read)).unwrap();
        let whole: serde_json::Value = serde_json::from_slice(body).unwrap();
        assert_eq!(written, whole["usage"]);
        assert_eq!(usage(b"<html>"), None);
        assert_eq!(usage(b"{}"), None);
    }
}
