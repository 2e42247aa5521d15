//! A request whose answer has begun, for another model to go on with.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{Incoming, Patches, PathFacts};
use crate::dialect::demand::OUTPUT_MIN;
use crate::dialect::scan::members;
use crate::dialect::{Accent, Dialect};

/// Bytes of text that are taken for a token of what is left of an answer's limit.
const TOKEN_BYTES: u64 = 4;

impl Incoming {
    /// The same request, with `told` as the beginning of its answer: one message more, the assistant's, and what is left of
    /// the answer's limit. White space at its end is left out, because Anthropic refuses it and other models go on worse behind
    /// it. None where the conversation has no place for it.
    pub fn begun(&self, told: Arc<str>) -> Option<Self> {
        let Patches(mut patches) = match self.demand().output_max {
            Some(max) => {
                let said = told.len() as u64 / TOKEN_BYTES;
                let left = max.saturating_sub(said).max(OUTPUT_MIN);
                self.shortened(left, &Accent::OPENAI).ok()?
            }
            None => Patches::default(),
        };
        patches.push(self.turn_behind_the_last(told.trim_end())?);
        let body = self.patched(patches).concat();
        let path = PathFacts {
            model: Some(self.model.clone()),
            stream: Some(self.stream),
        };
        let request = Self::read(self.operation, body.into(), path).ok()?;
        Some(Self {
            begun: Some(told),
            ..request
        })
    }

    /// The bytes of one more turn, which is the assistant's, and where they go.
    fn turn_behind_the_last(&self, text: &str) -> Option<(std::ops::Range<usize>, String)> {
        let (name, turn) = match self.operation.dialect() {
            Dialect::Chat | Dialect::Anthropic | Dialect::Cohere => {
                ("messages", json!({"role": "assistant", "content": text}))
            }
            Dialect::Bedrock => (
                "messages",
                json!({"role": "assistant", "content": [{"text": text}]}),
            ),
            Dialect::Gemini => (
                "contents",
                json!({"role": "model", "parts": [{"text": text}]}),
            ),
            Dialect::Responses => ("input", json!({"role": "assistant", "content": text})),
            Dialect::Completions => return None,
        };
        let mut known = members(&self.body);
        let (_, turns) = known.find(|(known, _)| known == name)?;
        let start = turns.as_ptr() as usize - self.body.as_ptr() as usize;
        let end = start + turns.len();
        if name == "input" && turns.starts_with(b"\"") {
            let prompt: Value = serde_json::from_slice(turns).ok()?;
            let turns = json!([{"role": "user", "content": prompt}, turn]);
            return Some((start..end, turns.to_string()));
        }
        let is_list = turns.starts_with(b"[") && turns[1..].trim_ascii_start() != b"]";
        is_list.then(|| (end - 1..end - 1, format!(",{turn}")))
    }
}

#[cfg(test)]
mod tests {
    use super::super::Operation;
    use super::*;

    fn begun(dialect: Dialect, body: &'static str) -> Option<String> {
        let path = PathFacts {
            model: Some("m".into()),
            stream: Some(true),
        };
        let request = Incoming::read(Operation::Generate(dialect), body.as_bytes().into(), path);
        let begun = request.unwrap().begun("So \"far\n".into())?;
        assert!(begun.stream && begun.begun.as_deref() == Some("So \"far\n"));
        let body = begun.body().to_vec();
        Some(String::from_utf8(body).unwrap())
    }

    #[test]
    fn the_answer_stands_behind_the_conversation_and_no_other_byte_changes() {
        use Dialect::{Anthropic, Bedrock, Chat, Cohere, Completions, Gemini, Responses};
        for (dialect, body, expected) in [
            (
                Chat,
                r#"{"model":"m", "messages":[ {"role":"user","content":"Hi"} ],"x":1}"#,
                Some(
                    r#"{"model":"m", "messages":[ {"role":"user","content":"Hi"} ,{"role":"assistant","content":"So \"far"}],"x":1}"#,
                ),
            ),
            (
                Anthropic,
                r#"{"messages":[{"role":"user","content":"Hi"}],"max_tokens":100}"#,
                Some(
                    r#"{"messages":[{"role":"user","content":"Hi"},{"role":"assistant","content":"So \"far"}],"max_tokens":98}"#,
                ),
            ),
            (
                Cohere,
                r#"{"messages":[{"role":"user","content":"Hi"}],"max_tokens":16}"#,
                Some(
                    r#"{"messages":[{"role":"user","content":"Hi"},{"role":"assistant","content":"So \"far"}],"max_tokens":16}"#,
                ),
            ),
            (
                Bedrock,
                r#"{"messages":[{"role":"user","content":[{"text":"Hi"}]}]}"#,
                Some(
                    r#"{"messages":[{"role":"user","content":[{"text":"Hi"}]},{"role":"assistant","content":[{"text":"So \"far"}]}]}"#,
                ),
            ),
            (
                Gemini,
                r#"{"contents":[{"parts":[{"text":"Hi"}]}]}"#,
                Some(
                    r#"{"contents":[{"parts":[{"text":"Hi"}]},{"role":"model","parts":[{"text":"So \"far"}]}]}"#,
                ),
            ),
            (
                Responses,
                r#"{"input":"Hi"}"#,
                Some(
                    r#"{"input":[{"role":"user","content":"Hi"},{"role":"assistant","content":"So \"far"}]}"#,
                ),
            ),
            (Chat, r#"{"messages":[]}"#, None),
            (Gemini, r#"{"contents":{"parts":[{"text":"Hi"}]}}"#, None),
            (Completions, r#"{"prompt":"Hi"}"#, None),
        ] {
            assert_eq!(begun(dialect, body).as_deref(), expected, "{dialect:?}");
        }
    }
}
