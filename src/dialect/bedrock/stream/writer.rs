//! A stream for a caller, written.

use std::borrow::Cow;

use serde::Serialize;

use super::waiting::Waiting;
use crate::dialect::bedrock::answer::{Metrics, ServiceTier, call_id};
use crate::dialect::bedrock::block::{Media, MediaSource, Reasoning};
use crate::dialect::bedrock::media::Medium;
use crate::dialect::bedrock::usage::WireUsage;
use crate::dialect::bedrock::{OWN, SEALS, citation, error_event, finish};
use crate::dialect::common::{
    Context, Delta, Finish, Json, Request, Signature, Source, Usage, WriteStream,
};
use crate::dialect::eventstream;

/// Writes the events of ConverseStream.
#[derive(Debug)]
pub struct Writer {
    waiting: Waiting,
    blocks: Blocks,
    finish: Option<Finish>,
    usage: Usage,
    service_tier: Option<String>,
    has_begun: bool,
    is_over: bool,
}

impl Writer {
    /// One for the caller of `request`.
    pub fn new(_request: &Request, context: &Context) -> Self {
        Self {
            waiting: Waiting::default(),
            blocks: Blocks {
                answer_id: context.id.clone(),
                index: 0,
                open: Open::None,
                calls: 0,
            },
            finish: None,
            usage: Usage::default(),
            service_tier: None,
            has_begun: false,
            is_over: false,
        }
    }

    fn begin(&mut self, out: &mut Vec<u8>) {
        #[derive(Serialize)]
        struct MessageStart {
            role: &'static str,
        }
        if !std::mem::replace(&mut self.has_begun, true) {
            event(out, "messageStart", &MessageStart { role: "assistant" });
        }
    }

    fn end(&mut self, out: &mut Vec<u8>) {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct MessageStop<'a> {
            stop_reason: &'a str,
        }
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Metadata {
            usage: WireUsage,
            metrics: Metrics,
            #[serde(skip_serializing_if = "Option::is_none")]
            service_tier: Option<ServiceTier>,
        }
        self.begin(out);
        self.waiting
            .flush(&mut |piece| self.blocks.write(piece, out));
        self.blocks.close(out);
        let stop_reason = finish::written(self.finish.as_ref(), self.blocks.calls > 0);
        event(out, "messageStop", &MessageStop { stop_reason });
        let metadata = Metadata {
            usage: WireUsage::of(&self.usage),
            metrics: Metrics::default(),
            service_tier: self
                .service_tier
                .take()
                .map(|r#type| ServiceTier { r#type }),
        };
        event(out, "metadata", &metadata);
        self.is_over = true;
    }
}

impl WriteStream for Writer {
    fn write(&mut self, delta: Delta, out: &mut Vec<u8>) {
        if self.is_over {
            return;
        }
        match delta {
            Delta::Start { id, .. } => {
                if !id.is_empty() {
                    self.blocks.answer_id = id;
                }
                self.begin(out);
            }
            Delta::Usage(usage) => self.usage = usage,
            Delta::ServiceTier(tier) => self.service_tier = Some(tier),
            Delta::Finish { choice: 0, finish } => {
                self.begin(out);
                self.waiting
                    .flush(&mut |piece| self.blocks.write(piece, out));
                self.blocks.close(out);
                self.finish = Some(finish);
            }
            Delta::End => self.end(out),
            Delta::Error(error) => {
                out.extend_from_slice(&error_event(&error));
                self.is_over = true;
            }
            Delta::Text { choice: 0, .. }
            | Delta::Citation { choice: 0, .. }
            | Delta::Refusal { choice: 0, .. }
            | Delta::Thinking { choice: 0, .. }
            | Delta::Signature { choice: 0, .. }
            | Delta::ToolCall { choice: 0, .. }
            | Delta::Arguments { choice: 0, .. }
            | Delta::Image { choice: 0, .. }
            | Delta::Opaque { choice: 0, .. } => {
                self.begin(out);
                self.waiting
                    .push(delta, &mut |piece| self.blocks.write(piece, out));
            }
            // Log-probabilities, and all of any further choice: this dialect has neither.
            _ => {}
        }
    }
}

/// The blocks of the answer, one after the other.
#[derive(Debug)]
struct Blocks {
    answer_id: String,
    /// Of the block that is open, or is next.
    index: u32,
    open: Open,
    calls: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Open {
    None,
    Text,
    /// A text with its sources: what follows them is another.
    Cited,
    Thought,
    Call,
}

impl Blocks {
    fn write(&mut self, piece: Delta, out: &mut Vec<u8>) {
        match piece {
            Delta::Text { text, .. } | Delta::Refusal { text, .. } if !text.is_empty() => {
                self.begin(Open::Text, out);
                self.delta(&Piece::Text(&text), out);
            }
            Delta::Citation { citation, .. } => {
                if self.open != Open::Cited {
                    self.begin(Open::Text, out);
                    self.open = Open::Cited;
                }
                self.delta(&Piece::Citation(&citation::shown(&citation)), out);
            }
            Delta::Thinking { text, .. } if !text.is_empty() => {
                self.begin(Open::Thought, out);
                self.delta(&Piece::ReasoningContent(Thought::Text(&text)), out);
            }
            Delta::Signature {
                signature,
                is_redacted: true,
                ..
            } => self.redacted(&signature, out),
            Delta::Signature { signature, .. } => {
                self.begin(Open::Thought, out);
                let seal = signature.shown_to(SEALS);
                self.delta(&Piece::ReasoningContent(Thought::Signature(&seal)), out);
                self.close(out);
            }
            Delta::ToolCall {
                id,
                name,
                signature,
                ..
            } => {
                if let Some(seal) = signature {
                    self.redacted(&seal, out);
                }
                self.close(out);
                self.open = Open::Call;
                let tool_use_id = call_id(&id, &self.answer_id, self.calls);
                self.start(
                    &Start::ToolUse {
                        tool_use_id,
                        name: &name,
                    },
                    out,
                );
                self.calls += 1;
            }
            // Of a call that has ended, by what followed it, nothing can be added.
            Delta::Arguments { json, .. } if self.open == Open::Call && !json.is_empty() => {
                self.delta(&Piece::ToolUse { input: &json }, out);
            }
            Delta::Image { source, .. } => self.image(&source, out),
            Delta::Opaque {
                dialect: OWN, json, ..
            } => self.opaque(&json, out),
            _ => {}
        }
    }

    /// Goes on with a block of that kind, or begins one.
    fn begin(&mut self, kind: Open, out: &mut Vec<u8>) {
        if self.open != kind {
            self.close(out);
            self.open = kind;
        }
    }

    fn redacted(&mut self, seal: &Signature, out: &mut Vec<u8>) {
        self.close(out);
        if let Reasoning::RedactedContent(blob) = Reasoning::redacted(seal) {
            self.delta(
                &Piece::ReasoningContent(Thought::RedactedContent(&blob)),
                out,
            );
        }
        self.stop(out);
    }

    fn image(&mut self, source: &Source, out: &mut Vec<u8>) {
        let Some(Media { format, source }) = Media::of(source, Medium::Image) else {
            return;
        };
        self.close(out);
        self.start(&Start::Image { format: &format }, out);
        self.delta(&Piece::Image { source }, out);
        self.stop(out);
    }

    /// A call of a tool that Bedrock ran, or its result; there are no pieces for other blocks.
    fn opaque(&mut self, json: &Json, out: &mut Vec<u8>) {
        #[derive(serde::Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Whole {
            tool_use: Option<Members>,
            tool_result: Option<Members>,
        }
        #[derive(serde::Deserialize)]
        struct Members {
            input: Option<Json>,
            content: Option<Json>,
            #[serde(flatten)]
            rest: serde_json::Map<String, serde_json::Value>,
        }
        let Ok(whole) = serde_json::from_str::<Whole>(json.as_str()) else {
            return;
        };
        if let Some(call) = whole.tool_use {
            self.close(out);
            self.start(&Start::ServerToolUse(&call.rest), out);
            let input = call.input.unwrap_or_else(Json::empty_object);
            self.delta(
                &Piece::ToolUse {
                    input: input.as_str(),
                },
                out,
            );
            self.stop(out);
        } else if let Some(result) = whole.tool_result {
            self.close(out);
            self.start(&Start::ToolResult(&result.rest), out);
            if let Some(content) = &result.content {
                self.delta(&Piece::ToolResult(content), out);
            }
            self.stop(out);
        }
    }

    fn start(&self, start: &Start<'_>, out: &mut Vec<u8>) {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct BlockStart<'a> {
            content_block_index: u32,
            start: &'a Start<'a>,
        }
        let content_block_index = self.index;
        event(
            out,
            "contentBlockStart",
            &BlockStart {
                content_block_index,
                start,
            },
        );
    }

    fn delta(&self, delta: &Piece<'_>, out: &mut Vec<u8>) {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct BlockDelta<'a> {
            content_block_index: u32,
            delta: &'a Piece<'a>,
        }
        let content_block_index = self.index;
        event(
            out,
            "contentBlockDelta",
            &BlockDelta {
                content_block_index,
                delta,
            },
        );
    }

    fn close(&mut self, out: &mut Vec<u8>) {
        if self.open != Open::None {
            self.stop(out);
        }
    }

    fn stop(&mut self, out: &mut Vec<u8>) {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct BlockStop {
            content_block_index: u32,
        }
        let content_block_index = self.index;
        event(
            out,
            "contentBlockStop",
            &BlockStop {
                content_block_index,
            },
        );
        self.index += 1;
        self.open = Open::None;
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
enum Start<'a> {
    #[serde(rename_all = "camelCase")]
    ToolUse {
        tool_use_id: Cow<'a, str>,
        name: &'a str,
    },
    #[serde(rename = "toolUse")]
    ServerToolUse(&'a serde_json::Map<String, serde_json::Value>),
    ToolResult(&'a serde_json::Map<String, serde_json::Value>),
    Image {
        format: &'a str,
    },
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
enum Piece<'a> {
    Text(&'a str),
    ToolUse { input: &'a str },
    ToolResult(&'a Json),
    ReasoningContent(Thought<'a>),
    Citation(&'a Json),
    Image { source: MediaSource<'a> },
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
enum Thought<'a> {
    Text(&'a str),
    Signature(&'a str),
    RedactedContent(&'a str),
}

fn event(out: &mut Vec<u8>, kind: &str, payload: &impl Serialize) {
    let headers = [
        (":event-type", kind),
        (":content-type", "application/json"),
        (":message-type", "event"),
    ];
    // A vector takes all that is written, and nothing in an event fails to serialise.
    eventstream::write(out, &headers, |out| {
        let _ = serde_json::to_writer(out, payload);
    });
}
