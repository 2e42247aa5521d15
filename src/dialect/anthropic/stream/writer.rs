//! A stream for a caller.

use std::collections::VecDeque;

use super::event::{BlockDelta, Event, MessageDelta, start, write};
use crate::dialect::anthropic::answer::{Message, call_id, first_set};
use crate::dialect::anthropic::block::{Block, Input, Item, Media};
use crate::dialect::anthropic::finish::{self, Held};
use crate::dialect::anthropic::usage::WrittenUsage;
use crate::dialect::anthropic::{OWN, citation, error_event};
use crate::dialect::common::{
    Context, Delta, Finish, ObjectEnd, Request, Signature, Usage, WriteStream,
};

/// Writes one stream. Blocks come strictly one behind the other, so what would begin a block while a call before it is
/// not complete has to wait.
#[derive(Debug)]
pub struct Writer {
    model: String,
    id: String,
    is_begun: bool,
    is_over: bool,
    /// The index of the next block.
    next: u32,
    open: Open,
    waiting: VecDeque<Waiting>,
    calls: u32,
    held: Held,
    finish: Option<Finish>,
    usage: Usage,
    service_tier: Option<String>,
}

/// The block that has begun and not ended.
#[derive(Debug, PartialEq, Eq)]
enum Open {
    None,
    Text { is_cited: bool },
    Thinking,
    Call { call: u32, end: ObjectEnd },
}

#[derive(Debug)]
enum Waiting {
    Call {
        call: u32,
        id: String,
        name: String,
        signature: Option<Signature>,
        json: String,
    },
    Piece(Delta),
}

impl Writer {
    /// One for the answer to `request`.
    pub fn new(request: &Request, context: &Context) -> Self {
        Self {
            model: request.model.clone(),
            id: context.id.clone(),
            is_begun: false,
            is_over: false,
            next: 0,
            open: Open::None,
            waiting: VecDeque::new(),
            calls: 0,
            held: Held::default(),
            finish: None,
            usage: Usage::default(),
            service_tier: None,
        }
    }

    /// The message begins, unless it has. What it costs is told at its end.
    fn begin(&mut self, out: &mut Vec<u8>) {
        if std::mem::replace(&mut self.is_begun, true) {
            return;
        }
        let usage = WrittenUsage::of(self.usage, self.service_tier.as_deref());
        let message = Message::new(&self.id, &self.model, usage);
        write(out, &Event::MessageStart { message });
    }

    /// A piece of the content: it is written, or waits.
    fn piece(&mut self, delta: Delta, out: &mut Vec<u8>) {
        if let Delta::Arguments { call, json, .. } = delta {
            return self.arguments(call, json, out);
        }
        self.waiting.push_back(match delta {
            Delta::ToolCall {
                call,
                id,
                name,
                signature,
                ..
            } => Waiting::Call {
                call,
                id,
                name,
                signature,
                json: String::new(),
            },
            delta => Waiting::Piece(delta),
        });
        self.advance(false, out);
    }

    fn arguments(&mut self, of: u32, more: String, out: &mut Vec<u8>) {
        if let Open::Call { call, end } = &mut self.open
            && *call == of
        {
            end.push(more.as_bytes());
            self.delta(
                BlockDelta::InputJson {
                    partial_json: &more,
                },
                out,
            );
            return self.advance(false, out);
        }
        let waiting = self.waiting.iter_mut().find_map(|waiting| match waiting {
            Waiting::Call { call, json, .. } if *call == of => Some(json),
            _ => None,
        });
        if let Some(json) = waiting {
            json.push_str(&more);
        }
    }

    /// Writes what waits, up to a call that is not complete; with `to_end`, all of it.
    fn advance(&mut self, to_end: bool, out: &mut Vec<u8>) {
        while !self.waiting.is_empty() && (to_end || self.is_complete()) {
            match self.waiting.pop_front() {
                Some(Waiting::Call {
                    call,
                    id,
                    name,
                    signature,
                    json,
                }) => self.call(call, &id, &name, signature, json, out),
                Some(Waiting::Piece(delta)) => self.write_piece(delta, out),
                None => return,
            }
        }
    }

    /// Whether the open block may end.
    fn is_complete(&self) -> bool {
        match &self.open {
            Open::Call { end, .. } => end.is_reached(),
            _ => true,
        }
    }

    fn call(
        &mut self,
        call: u32,
        id: &str,
        name: &str,
        signature: Option<Signature>,
        json: String,
        out: &mut Vec<u8>,
    ) {
        self.close(out);
        self.held.calls = true;
        if let Some(seal) = signature {
            // A call has no place for a seal; from before it, the reader of requests takes it back.
            let data = seal.shown_to(OWN).into();
            self.whole(Block::RedactedThinking { data }.into(), out);
        }
        let block = Block::ToolUse {
            id: call_id(id, &self.id, self.calls),
            name,
            input: Input::Empty {},
        };
        self.calls += 1;
        start(out, self.next, block.into());
        if !json.is_empty() {
            self.delta(
                BlockDelta::InputJson {
                    partial_json: &json,
                },
                out,
            );
        }
        let mut end = ObjectEnd::default();
        end.push(json.as_bytes());
        self.open = Open::Call { call, end };
    }

    fn write_piece(&mut self, delta: Delta, out: &mut Vec<u8>) {
        match delta {
            Delta::Text { text, .. } => self.text(&text, out),
            Delta::Refusal { text, .. } => {
                self.held.refusal = true;
                self.text(&text, out);
            }
            Delta::Citation { citation, .. } => {
                if !matches!(self.open, Open::Text { .. }) {
                    self.begin_text(out);
                }
                let citation = citation::shown(&citation);
                let citation = citation.as_ref();
                self.delta(BlockDelta::Citations { citation }, out);
                // More text is not cited for.
                self.open = Open::Text { is_cited: true };
            }
            Delta::Thinking { text, .. } => {
                self.begin_thinking(out);
                self.delta(BlockDelta::Thinking { thinking: &text }, out);
            }
            Delta::Signature {
                signature,
                is_redacted,
                ..
            } => {
                let seal = signature.shown_to(OWN);
                if is_redacted {
                    let data = seal.into();
                    return self.whole(Block::RedactedThinking { data }.into(), out);
                }
                self.begin_thinking(out);
                self.delta(BlockDelta::Signature { signature: &seal }, out);
                self.close(out);
            }
            Delta::Image { source, .. } => {
                if let Some(source) = Media::image(&source) {
                    self.whole(Block::Image { source }.into(), out);
                }
            }
            Delta::Opaque {
                dialect: OWN, json, ..
            } => self.whole(Item::Raw(&json), out),
            // No pieces of the content.
            _ => {}
        }
    }

    fn text(&mut self, text: &str, out: &mut Vec<u8>) {
        if text.is_empty() {
            return;
        }
        if self.open != (Open::Text { is_cited: false }) {
            self.begin_text(out);
        }
        self.delta(BlockDelta::Text { text }, out);
    }

    fn begin_text(&mut self, out: &mut Vec<u8>) {
        self.close(out);
        start(out, self.next, Block::text("").into());
        self.open = Open::Text { is_cited: false };
    }

    fn begin_thinking(&mut self, out: &mut Vec<u8>) {
        if self.open == Open::Thinking {
            return;
        }
        self.close(out);
        let block = Block::Thinking {
            thinking: "",
            signature: "".into(),
        };
        start(out, self.next, block.into());
        self.open = Open::Thinking;
    }

    /// A block that comes at once.
    fn whole(&mut self, item: Item<'_>, out: &mut Vec<u8>) {
        self.close(out);
        start(out, self.next, item);
        self.stop(out);
    }

    fn delta(&self, delta: BlockDelta<'_>, out: &mut Vec<u8>) {
        let index = self.next;
        write(out, &Event::ContentBlockDelta { index, delta });
    }

    fn close(&mut self, out: &mut Vec<u8>) {
        if std::mem::replace(&mut self.open, Open::None) != Open::None {
            self.stop(out);
        }
    }

    fn stop(&mut self, out: &mut Vec<u8>) {
        let index = self.next;
        write(out, &Event::ContentBlockStop { index });
        self.next += 1;
    }

    fn end(&mut self, out: &mut Vec<u8>) {
        self.begin(out);
        self.advance(true, out);
        self.close(out);
        let finish = self.finish.as_ref();
        let delta = Event::MessageDelta {
            delta: MessageDelta {
                stop_reason: finish::written(finish, self.held),
                stop_sequence: finish::sequence(finish),
            },
            usage: WrittenUsage::of(self.usage, self.service_tier.as_deref()),
        };
        write(out, &delta);
        write(out, &Event::MessageStop);
        self.is_over = true;
    }
}

impl WriteStream for Writer {
    fn write(&mut self, delta: Delta, out: &mut Vec<u8>) {
        if self.is_over {
            return;
        }
        match delta {
            Delta::Start { id, model, .. } => {
                self.id = first_set(&id, &self.id).to_owned();
                self.model = first_set(&model, &self.model).to_owned();
                self.begin(out);
            }
            Delta::Usage(usage) => self.usage = usage,
            Delta::ServiceTier(tier) => self.service_tier = Some(tier),
            Delta::Finish { choice: 0, finish } => {
                self.finish = Some(finish);
                self.begin(out);
                self.advance(true, out);
                self.close(out);
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
                self.piece(delta, out);
            }
            // Log-probabilities, and all of any further choice: this dialect has neither.
            _ => {}
        }
    }
}
