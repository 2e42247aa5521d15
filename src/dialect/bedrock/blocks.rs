//! Content blocks of a provider's answer, whole or in pieces, as pieces of the common form.

use serde::Serialize;
use serde_json::value::RawValue;

use super::media::Medium;
use super::pieces::{
    Call, Cited, Image, ImagePiece, Input, OpaqueBlock, Piece, Redacted, ServerCall, ServerResult,
    Start, Thought, ThoughtPiece, is_of_server,
};
use super::wire::{Union, text_of_blob};
use super::{OWN, SEALS, citation};
use crate::dialect::common::{Delta, Json, Malformed, Signature, Source};

/// Converse knows one answer to a request.
const CHOICE: u32 = 0;

/// Reads the blocks of one answer.
#[derive(Debug, Default)]
pub(super) struct Blocks {
    calls: u32,
    /// How long the text so far is, in characters: blocks of text that follow each other become one.
    text_length: u64,
    /// The blocks that have begun and not ended, by their index.
    open: Vec<(u64, Open)>,
}

#[derive(Debug)]
enum Open {
    Text {
        start: u64,
        citations: Vec<Json>,
    },
    Thought {
        signature: String,
    },
    Call {
        call: u32,
        has_input: bool,
    },
    /// What a tool that Bedrock runs is asked.
    ServerCall {
        start: ServerCall,
        input: String,
    },
    /// What it answers.
    ServerResult(ServerResult),
    Image {
        media_type: String,
    },
}

impl Blocks {
    /// Whether a tool has been called.
    pub const fn has_calls(&self) -> bool {
        self.calls > 0
    }

    pub fn start(&mut self, index: u64, start: Start, out: &mut Vec<Delta>) {
        let open = match (start.tool_use, start.tool_result, start.image) {
            (Some(start), _, _) if is_of_server(start.r#type.as_deref()) => Open::ServerCall {
                start,
                input: String::new(),
            },
            (Some(call), _, _) => Open::Call {
                call: self.call(call.tool_use_id, call.name, out),
                has_input: false,
            },
            (_, Some(result), _) => Open::ServerResult(result),
            (_, _, Some(image)) => Open::Image {
                media_type: Medium::Image.media_type(&image.format).into_owned(),
            },
            // Other blocks begin with their first piece.
            _ => return,
        };
        self.stop(index, out);
        self.open.push((index, open));
    }

    pub fn piece(&mut self, index: u64, piece: Piece, out: &mut Vec<Delta>) {
        if let Some(text) = piece.text {
            self.begin_text(index);
            self.text(text, out);
        }
        if let Some(citation) = piece.citation
            && let Open::Text { citations, .. } = self.begin_text(index)
        {
            citations.push(citation);
        }
        if let Some(thought) = piece.reasoning_content {
            self.thought_piece(index, thought, out);
        }
        let Some((_, open)) = self.open.iter_mut().find(|(open, _)| *open == index) else {
            return;
        };
        match (open, piece.tool_use, piece.tool_result, piece.image) {
            (Open::Call { call, has_input }, Some(Input { input }), _, _) if !input.is_empty() => {
                *has_input = true;
                out.push(Delta::Arguments {
                    choice: CHOICE,
                    call: *call,
                    json: input,
                });
            }
            (Open::ServerCall { input, .. }, Some(piece), _, _) => input.push_str(&piece.input),
            (Open::ServerResult(result), _, Some(pieces), _) => result.content.extend(pieces),
            (
                Open::Image { media_type },
                _,
                _,
                Some(ImagePiece {
                    source: Some(source),
                }),
            ) => {
                let media_type = media_type.clone();
                self.text_length = 0;
                out.extend(source.bytes.map(|data| Delta::Image {
                    choice: CHOICE,
                    source: Source::Base64 { media_type, data },
                }));
            }
            _ => {}
        }
    }

    pub fn stop(&mut self, index: u64, out: &mut Vec<Delta>) {
        let Some(at) = self.open.iter().position(|(open, _)| *open == index) else {
            return;
        };
        match self.open.remove(at).1 {
            Open::Text { start, citations } => self.citations(start, citations, out),
            Open::Thought { signature } => self.seal(signature, out),
            Open::Call {
                call,
                has_input: false,
            } => out.push(Delta::Arguments {
                choice: CHOICE,
                call,
                json: "{}".to_owned(),
            }),
            Open::ServerCall { mut start, input } => {
                start.input = Json::parse(&input)
                    .ok()
                    .or_else(|| Some(Json::empty_object()));
                self.opaque("toolUse", &OpaqueBlock::ToolUse(&start), out);
            }
            Open::ServerResult(result) => {
                self.opaque("toolResult", &OpaqueBlock::ToolResult(&result), out);
            }
            Open::Call { .. } | Open::Image { .. } => {}
        }
    }

    /// Ends what has not ended.
    pub fn finish(&mut self, out: &mut Vec<Delta>) {
        while let Some((index, _)) = self.open.first() {
            let index = *index;
            self.stop(index, out);
        }
    }

    /// A block that comes at once.
    pub fn whole(&mut self, block: &RawValue, out: &mut Vec<Delta>) -> Result<(), Malformed> {
        let Some(union) = Union::look(block.get())? else {
            return Ok(());
        };
        let json = union.json.get();
        match union.name.as_ref() {
            "text" => {
                let text = serde_json::from_str(json)?;
                self.text(text, out);
            }
            "toolUse" => {
                let whole: Call<'_> = serde_json::from_str(json)?;
                if is_of_server(whole.r#type.as_deref()) {
                    self.opaque("toolUse", &block, out);
                    return Ok(());
                }
                let call = self.call(whole.tool_use_id, whole.name, out);
                out.push(Delta::Arguments {
                    choice: CHOICE,
                    call,
                    json: whole.input.map_or("{}", RawValue::get).to_owned(),
                });
            }
            "reasoningContent" => self.whole_thought(serde_json::from_str(json)?, out),
            "citationsContent" => {
                let cited: Cited = serde_json::from_str(json)?;
                let start = self.text_length;
                for text in cited.content {
                    self.text(text.text, out);
                }
                self.citations(start, cited.citations, out);
            }
            "image" => {
                let image: Image = serde_json::from_str(json)?;
                match image.source.bytes {
                    Some(data) => {
                        self.text_length = 0;
                        let media_type = Medium::Image.media_type(&image.format).into_owned();
                        let source = Source::Base64 { media_type, data };
                        out.push(Delta::Image {
                            choice: CHOICE,
                            source,
                        });
                    }
                    None => self.opaque("image", &block, out),
                }
            }
            kind => self.opaque(kind, &block, out),
        }
        Ok(())
    }

    fn begin_text(&mut self, index: u64) -> &mut Open {
        let start = self.text_length;
        self.begin(index, || Open::Text {
            start,
            citations: Vec::new(),
        })
    }

    fn begin(&mut self, index: u64, open: impl FnOnce() -> Open) -> &mut Open {
        let at = self.open.iter().position(|(open, _)| *open == index);
        let at = at.unwrap_or_else(|| {
            self.open.push((index, open()));
            self.open.len() - 1
        });
        &mut self.open[at].1
    }

    fn text(&mut self, text: String, out: &mut Vec<Delta>) {
        if text.is_empty() {
            return;
        }
        self.text_length += text.chars().count() as u64;
        out.push(Delta::Text {
            choice: CHOICE,
            text,
        });
    }

    fn citations(&self, start: u64, citations: Vec<Json>, out: &mut Vec<Delta>) {
        let span = (start < self.text_length).then_some((start, self.text_length));
        out.extend(citations.into_iter().map(|json| Delta::Citation {
            choice: CHOICE,
            citation: citation::read(json, span),
        }));
    }

    fn thought_piece(&mut self, index: u64, piece: ThoughtPiece, out: &mut Vec<Delta>) {
        let open = self.begin(index, || Open::Thought {
            signature: String::new(),
        });
        if let (Open::Thought { signature }, Some(more)) = (open, piece.signature) {
            signature.push_str(&more);
        }
        if let Some(text) = piece.text {
            self.thought(text, out);
        }
        if let Some(blob) = piece.redacted_content {
            self.redacted(&blob, out);
        }
    }

    fn whole_thought(&mut self, thought: Thought, out: &mut Vec<Delta>) {
        if let Some(text) = thought.reasoning_text {
            self.thought(text.text, out);
            self.seal(text.signature.unwrap_or_default(), out);
        }
        if let Some(blob) = thought.redacted_content {
            self.redacted(&blob, out);
        }
    }

    fn thought(&mut self, text: String, out: &mut Vec<Delta>) {
        self.text_length = 0;
        if !text.is_empty() {
            out.push(Delta::Thinking {
                choice: CHOICE,
                text,
            });
        }
    }

    fn seal(&mut self, seal: String, out: &mut Vec<Delta>) {
        self.text_length = 0;
        if !seal.is_empty() {
            out.push(sealed(seal, false));
        }
    }

    fn redacted(&mut self, blob: &str, out: &mut Vec<Delta>) {
        self.text_length = 0;
        match text_of_blob(blob) {
            Some(seal) => out.push(sealed(seal, true)),
            None => {
                let block = OpaqueBlock::ReasoningContent(Redacted {
                    redacted_content: blob,
                });
                self.opaque("reasoningContent", &block, out);
            }
        }
    }

    fn call(&mut self, id: String, name: String, out: &mut Vec<Delta>) -> u32 {
        let call = self.calls;
        self.calls += 1;
        self.text_length = 0;
        out.push(Delta::ToolCall {
            choice: CHOICE,
            call,
            id,
            name,
            signature: None,
        });
        call
    }

    fn opaque(&mut self, kind: &str, block: &impl Serialize, out: &mut Vec<Delta>) {
        self.text_length = 0;
        out.push(Delta::Opaque {
            choice: CHOICE,
            dialect: OWN,
            kind: kind.to_owned(),
            json: Json::of(block),
        });
    }
}

fn sealed(value: String, is_redacted: bool) -> Delta {
    Delta::Signature {
        choice: CHOICE,
        signature: Signature {
            origin: SEALS,
            value,
        },
        id: None,
        is_redacted,
    }
}
