//! Content blocks of an answer, read into the pieces of a stream: whole ones, and those that come bit by bit. Both go
//! this way, so a whole answer and its stream say the same.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::wire::{Fields, Object};
use super::{OWN, citation};
use crate::dialect::common::{Context, Delta, Json, Malformed, Signature, derived_call_id};
use crate::dialect::scan;

/// Reads the blocks of one answer.
#[derive(Debug)]
pub(super) struct Blocks {
    /// Makes ids for calls that have none.
    answer_id: String,
    open: Open,
    /// How long the text is that the last blocks make up, in characters.
    text_len: u64,
    calls: u32,
}

/// The block that has begun and not ended.
#[derive(Debug)]
enum Open {
    None,
    Text {
        /// Where it begins in the text that it goes on with.
        start: u64,
        citations: Vec<Json>,
    },
    Thinking {
        seal: String,
    },
    ToolUse {
        /// What the block says of its arguments at once.
        input: Option<String>,
    },
    Opaque {
        kind: String,
        block: Json,
        input: String,
        content: String,
    },
}

#[derive(Deserialize)]
struct TextBlock {
    #[serde(default)]
    text: String,
    citations: Option<Vec<Json>>,
}

#[derive(Deserialize)]
struct ThinkingBlock {
    #[serde(default)]
    thinking: String,
    signature: Option<String>,
}

#[derive(Deserialize)]
struct RedactedBlock {
    data: String,
}

#[derive(Deserialize)]
struct ToolUseBlock {
    #[serde(default)]
    id: String,
    name: String,
    input: Option<Json>,
}

/// `delta` of a `content_block_delta` or a `message_delta`.
#[derive(Debug, Default, Deserialize)]
pub(super) struct EventDelta {
    text: Option<String>,
    thinking: Option<String>,
    signature: Option<String>,
    partial_json: Option<String>,
    citation: Option<Json>,
    /// Of blocks that only Anthropic knows (`compaction_delta`).
    content: Option<Json>,
    pub stop_reason: Option<String>,
    pub stop_sequence: Option<String>,
}

impl Blocks {
    /// Whether a tool has been called.
    pub const fn has_calls(&self) -> bool {
        self.calls > 0
    }

    pub fn new(context: &Context) -> Self {
        Self {
            answer_id: context.id.clone(),
            open: Open::None,
            text_len: 0,
            calls: 0,
        }
    }

    /// Reads a whole block.
    pub fn whole(&mut self, block: &RawValue, out: &mut Vec<Delta>) -> Result<(), Malformed> {
        self.start(block, out)?;
        self.stop(out);
        Ok(())
    }

    /// A block begins.
    pub fn start(&mut self, block: &RawValue, out: &mut Vec<Delta>) -> Result<(), Malformed> {
        self.stop(out);
        let json = block.get();
        let kind = kind(json)?;
        if kind != "text" {
            self.text_len = 0;
        }
        match kind.as_str() {
            "text" => self.start_text(serde_json::from_str(json)?, out),
            "thinking" => {
                let block: ThinkingBlock = serde_json::from_str(json)?;
                thought(block.thinking, out);
                self.open = Open::Thinking {
                    seal: block.signature.unwrap_or_default(),
                };
            }
            "redacted_thinking" => {
                let block: RedactedBlock = serde_json::from_str(json)?;
                out.push(Delta::Signature {
                    choice: 0,
                    signature: own_seal(block.data),
                    id: None,
                    is_redacted: true,
                });
            }
            "tool_use" => self.start_call(serde_json::from_str(json)?, out),
            _ => {
                self.open = Open::Opaque {
                    kind,
                    block: Json::of(&block),
                    input: String::new(),
                    content: String::new(),
                };
            }
        }
        Ok(())
    }

    fn start_text(&mut self, block: TextBlock, out: &mut Vec<Delta>) {
        self.open = Open::Text {
            start: self.text_len,
            citations: block.citations.unwrap_or_default(),
        };
        self.text(block.text, out);
    }

    fn start_call(&mut self, block: ToolUseBlock, out: &mut Vec<Delta>) {
        let call = self.calls;
        self.calls += 1;
        out.push(Delta::ToolCall {
            choice: 0,
            call,
            id: match block.id.is_empty() {
                true => derived_call_id(&self.answer_id, call),
                false => block.id,
            },
            name: block.name,
            signature: None,
        });
        let input = block.input.map(|input| input.as_str().to_owned());
        self.open = Open::ToolUse { input };
    }

    /// More of the block.
    pub fn more(&mut self, delta: EventDelta, out: &mut Vec<Delta>) {
        if let (Open::Text { .. }, Some(text)) = (&self.open, delta.text) {
            return self.text(text, out);
        }
        match &mut self.open {
            Open::None => {}
            Open::Text { citations, .. } => citations.extend(delta.citation),
            Open::Thinking { seal } => {
                seal.push_str(&delta.signature.unwrap_or_default());
                thought(delta.thinking.unwrap_or_default(), out);
            }
            Open::ToolUse { input } => {
                let json = delta.partial_json.filter(|json| !json.is_empty());
                let Some(json) = json else { return };
                // What comes bit by bit stands for what the block began with.
                *input = None;
                out.push(Delta::Arguments {
                    choice: 0,
                    call: self.calls.saturating_sub(1),
                    json,
                });
            }
            Open::Opaque { input, content, .. } => {
                input.push_str(&delta.partial_json.unwrap_or_default());
                let text = delta.content.as_ref().map(|json| json.as_str());
                let text = text.and_then(|json| serde_json::from_str::<String>(json).ok());
                content.push_str(&text.unwrap_or_default());
            }
        }
    }

    /// The block ends.
    pub fn stop(&mut self, out: &mut Vec<Delta>) {
        match std::mem::replace(&mut self.open, Open::None) {
            Open::None => {}
            Open::Text { start, citations } => {
                let span = Some((start, self.text_len));
                out.extend(citations.into_iter().map(|json| Delta::Citation {
                    choice: 0,
                    citation: citation::read(json, span),
                }));
            }
            Open::Thinking { seal } => out.extend((!seal.is_empty()).then(|| Delta::Signature {
                choice: 0,
                signature: own_seal(seal),
                id: None,
                is_redacted: false,
            })),
            Open::ToolUse { input } => out.extend(input.map(|json| Delta::Arguments {
                choice: 0,
                call: self.calls.saturating_sub(1),
                json,
            })),
            Open::Opaque {
                kind,
                block,
                input,
                content,
            } => out.push(Delta::Opaque {
                choice: 0,
                dialect: OWN,
                kind,
                json: completed(block, &input, &content),
            }),
        }
    }

    fn text(&mut self, text: String, out: &mut Vec<Delta>) {
        if text.is_empty() {
            return;
        }
        self.text_len += text.chars().count() as u64;
        out.push(Delta::Text { choice: 0, text });
    }
}

fn thought(text: String, out: &mut Vec<Delta>) {
    if !text.is_empty() {
        out.push(Delta::Thinking { choice: 0, text });
    }
}

const fn own_seal(value: String) -> Signature {
    Signature { origin: OWN, value }
}

fn kind(json: &str) -> Result<String, Malformed> {
    let tag = json
        .starts_with('{')
        .then(|| scan::member(json.as_bytes(), "type"));
    let tag = tag
        .flatten()
        .ok_or_else(|| Malformed("a block without a type".to_owned()))?;
    Ok(serde_json::from_slice(tag)?)
}

/// The block with what came after it: its input, or its content.
fn completed(block: Json, input: &str, content: &str) -> Json {
    let input = Json::parse(input).ok();
    let content = (!content.is_empty()).then(|| Json::of(&content));
    if input.is_none() && content.is_none() {
        return block;
    }
    let Ok(object) = Object::parse(block.as_str(), "") else {
        return block;
    };
    let members: Vec<_> = object.rest().collect();
    let known = members.iter().map(|(name, json)| match name.as_ref() {
        "input" => (name.as_ref(), input.as_ref().unwrap_or(json)),
        "content" => (name.as_ref(), content.as_ref().unwrap_or(json)),
        name => (name, json),
    });
    let mut fields: Vec<_> = known.collect();
    let has = |fields: &[(&str, &Json)], name: &str| fields.iter().any(|(known, _)| *known == name);
    for (name, json) in [("input", &input), ("content", &content)] {
        if let Some(json) = json
            && !has(&fields, name)
        {
            fields.push((name, json));
        }
    }
    Json::of(&Fields(fields))
}
