//! `usage` of an answer.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::fields::Text;
use crate::dialect::Usage;

/// What a whole answer says it cost.
pub fn usage(answer: &[u8]) -> Option<Usage> {
    #[derive(Deserialize)]
    struct Answer<'a> {
        usage: Option<Tokens>,
        #[serde(borrow)]
        output: Option<Vec<&'a RawValue>>,
    }
    let answer: Answer<'_> = serde_json::from_slice(answer).ok()?;
    let searches = searches(answer.output.as_deref().unwrap_or_default());
    Some(answer.usage?.read(searches))
}

/// How many of an answer's items are searches of the web: they are billed by the call, and `usage` does not count them.
/// To open a page that was found, or to look for something in it, is no search.
pub fn searches(items: &[&RawValue]) -> u64 {
    #[derive(Deserialize)]
    struct Item<'a> {
        #[serde(borrow, rename = "type")]
        kind: Option<Text<'a>>,
        #[serde(borrow)]
        action: Option<&'a RawValue>,
    }
    fn read(raw: &RawValue) -> Option<Item<'_>> {
        serde_json::from_str(raw.get()).ok()
    }
    let is = |kind: &Option<Text<'_>>, name| kind.as_ref().is_some_and(|Text(kind)| kind == name);
    let items = items.iter().filter_map(|raw| read(raw));
    let calls = items.filter(|item| is(&item.kind, "web_search_call"));
    let actions = calls.map(|call| call.action.and_then(read));
    // Servers from before there were other actions tell none.
    let searches = actions.filter(|action| action.as_ref().is_none_or(|it| is(&it.kind, "search")));
    searches.count() as u64
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

impl Tokens {
    /// What was billed, `searches` of the web included.
    pub fn read(self, searches: u64) -> Usage {
        let input = self.input_tokens_details.unwrap_or_default();
        let output = self.output_tokens_details.unwrap_or_default();
        Usage {
            input_tokens: self.input_tokens,
            output_tokens: self.output_tokens,
            web_searches: searches,
            cache_read_tokens: input.cached_tokens.unwrap_or(0),
            cache_write_tokens: input.cache_write_tokens.unwrap_or(0),
            reasoning_tokens: output.reasoning_tokens.unwrap_or(0),
            ..Usage::default()
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::common::{Context, Delta, ReadStream};
    use crate::dialect::responses::Reader;

    #[test]
    fn searches_are_counted_by_the_call() {
        let body = br#"{"output":[{"type":"reasoning"},
            {"type":"web_search_call","action":{"type":"search","query":"a","queries":["a","b"]}},
            {"type":"web_search_call","action":{"type":"open_page","url":"u"}},
            {"type":"web_search_call","action":{"type":"find_in_page"}},
            {"type":"web_search_call","status":"completed"},
            {"type":"message","content":[{"type":"output_text","text":"web_search_call"}]}, 1],
            "usage":{"input_tokens":3,"input_tokens_details":{"cached_tokens":1,"cache_write_tokens":2},
            "output_tokens":2,"output_tokens_details":{"reasoning_tokens":1},"total_tokens":5}}"#;
        let expected = Usage {
            input_tokens: 3,
            output_tokens: 2,
            reasoning_tokens: 1,
            cache_read_tokens: 1,
            cache_write_tokens: 2,
            web_searches: 2,
            ..Usage::default()
        };
        assert_eq!(usage(body), Some(expected));
        assert_eq!(
            usage(br#"{"output":[{"type":"web_search_call"}],"usage":null}"#),
            None
        );
        assert_eq!(usage(b"<html>"), None);
    }

    #[test]
    fn searches_count_where_a_stream_ends_without_its_items() {
        let mut reader = Reader::new(&Context::default());
        let mut deltas = Vec::new();
        for event in [
            r#"{"type":"response.output_item.done","output_index":0,"item":{"type":"web_search_call","id":"w","action":{"type":"search"}}}"#,
            r#"{"type":"response.completed","response":{"id":"r","output":[],"usage":{"input_tokens":3,"output_tokens":2}}}"#,
        ] {
            let frame = format!("data: {event}\n\n");
            reader.read(frame.as_bytes(), &mut deltas).unwrap();
        }
        let usages = deltas.iter().filter_map(|delta| match delta {
            Delta::Usage(usage) => Some(usage.web_searches),
            _ => None,
        });
        assert_eq!(usages.collect::<Vec<_>>(), [1]);
    }
}
