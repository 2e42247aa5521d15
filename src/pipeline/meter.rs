//! The cost in a stream's own usage, for callers who ask for it by `x-tollgate-cost: in-usage`.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use memchr::{memchr, memmem};
use serde_json::value::RawValue;

use super::bill::Bill;
use crate::dialect::{Tier, Usage, scan};
use crate::spend::prices::Tariff;

/// Writes the cost into each usage that goes by.
#[derive(Clone)]
pub struct Meter {
    tariff: Arc<Tariff>,
    time: DateTime<Utc>,
}

impl Meter {
    /// For an attempt that is billed so; None if it has no price.
    pub fn new(bill: &Bill) -> Option<Self> {
        Some(Self {
            tariff: bill.tariff.clone()?,
            time: bill.time,
        })
    }

    /// The event with the cost in its usage, `usage` being what the stream has said so far. None if the event says none.
    pub fn see(&self, event: &[u8], usage: Option<(Usage, Tier)>) -> Option<Vec<u8>> {
        let (usage, tier) = usage?;
        let at = usage_place(event)?;
        let cost = self.tariff.price(&usage, tier, self.time)?.cost.usd();
        let is_empty = event[at..].trim_ascii_start().starts_with(b"}");
        let member = format!(r#""cost":{cost}{}"#, if is_empty { "" } else { "," });
        Some([&event[..at], member.as_bytes(), &event[at..]].concat())
    }
}

/// Behind the brace of the last usage that an event tells: at the top of its JSON, or of the `response` in it. Objects of
/// that name further in are the model's own words, or what Anthropic says of the input before there is an answer.
fn usage_place(event: &[u8]) -> Option<usize> {
    memmem::find(event, br#""usage"#)?;
    let mut found = None;
    let mut at = 0;
    // More than one event may be written for one of the provider's.
    while let Some(brace) = memchr(b'{', &event[at..]) {
        let json = &event[at + brace..];
        let mut values = serde_json::Deserializer::from_slice(json).into_iter::<&RawValue>();
        let Some(Ok(value)) = values.next() else {
            break;
        };
        let object = &json[..value.get().len()];
        at += brace + object.len();
        let usage = scan::member(object, "usage")
            .or_else(|| scan::member(object, "usageMetadata"))
            .or_else(|| scan::member(scan::member(object, "response")?, "usage"))
            .filter(|usage| usage.starts_with(b"{"));
        // Part of the event, so the difference of their places is where it stands.
        found = usage
            .map(|usage| usage.as_ptr() as usize - event.as_ptr() as usize + 1)
            .or(found);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usage_is_found_and_nothing_that_the_model_says() {
        let metered = |event: &str| {
            let at = usage_place(event.as_bytes())?;
            Some([&event[..at], "HERE", &event[at..]].concat())
        };
        for (event, expected) in [
            (
                r#"data: {"usage" : {"prompt_tokens":1}}"#,
                Some(r#"data: {"usage" : {HERE"prompt_tokens":1}}"#),
            ),
            (r#"data: {"usage":null}"#, None),
            (
                r#"data: {"choices":[{"delta":{"content":"\"usage\":{"}}]}"#,
                None,
            ),
            (
                r#"data: {"candidates":[{"args":{"usage":{"x":1}}}],"usageMetadata":{"a":1}}"#,
                Some(
                    r#"data: {"candidates":[{"args":{"usage":{"x":1}}}],"usageMetadata":{HERE"a":1}}"#,
                ),
            ),
            (r#"data: {"candidates":[{"args":{"usage":{"x":1}}}]}"#, None),
            (
                r#"data: {"response":{"usage":{"a":1},"metadata":{"usage":"x"}}}"#,
                Some(r#"data: {"response":{"usage":{HERE"a":1},"metadata":{"usage":"x"}}}"#),
            ),
            (
                r#"data: {"type":"message_start","message":{"usage":{"a":1}}}"#,
                None,
            ),
            (
                "data: {\"usage\":null}\n\ndata: {\"usage\":{}}\n\n",
                Some("data: {\"usage\":null}\n\ndata: {\"usage\":{HERE}}\n\n"),
            ),
            (
                r#"[{"usageMetadata":{"a":1}}"#,
                Some(r#"[{"usageMetadata":{HERE"a":1}}"#),
            ),
        ] {
            assert_eq!(metered(event).as_deref(), expected, "{event}");
        }
    }
}
