//! A stream for a caller, written.

use super::event::{
    Added, Event, EventDelta, Piece, StartedMessage, event, write_arguments, write_event,
};
use crate::dialect::Dialect;
use crate::dialect::cohere::wire::{self, NO_ARGUMENTS, Seal, WireUsage, WrittenCall};
use crate::dialect::cohere::{citation, error};
use crate::dialect::common::{
    Citation, Context, Delta, Finish, Json, ObjectEnd, Request, Signature, TokenLogprob, Usage,
    WriteStream,
};

/// Writes one stream. Blocks and calls follow one another: callers put together what came last, so a call's arguments
/// wait until the call before it is complete.
#[derive(Debug)]
pub struct Writer {
    /// Stands in for the answer's id.
    id: String,
    is_started: bool,
    is_ended: bool,
    open: Option<Open>,
    /// How many content blocks have begun.
    blocks: usize,
    citations: usize,
    calls: Vec<Call>,
    /// The first call that has not ended.
    current: usize,
    /// Log-probabilities that came before their text.
    logprobs: Vec<TokenLogprob>,
    finish: Option<Finish>,
    usage: Option<Usage>,
}

/// The content block that is open. It is always the last.
#[derive(Debug)]
enum Open {
    /// With its text so far, which citations quote.
    Text(String),
    Thinking,
}

#[derive(Debug)]
struct Call {
    id: String,
    name: String,
    signature: Option<Signature>,
    arguments: String,
    end: ObjectEnd,
    is_begun: bool,
}

impl Writer {
    /// A writer at the beginning of a stream.
    pub fn new(_request: &Request, context: &Context) -> Self {
        Self {
            id: context.id.clone(),
            is_started: false,
            is_ended: false,
            open: None,
            blocks: 0,
            citations: 0,
            calls: Vec::new(),
            current: 0,
            logprobs: Vec::new(),
            finish: None,
            usage: None,
        }
    }
}

impl WriteStream for Writer {
    fn write(&mut self, delta: Delta, out: &mut Vec<u8>) {
        if self.is_ended {
            return;
        }
        if let Delta::Start { id, .. } = &delta
            && !id.is_empty()
        {
            self.id.clone_from(id);
        }
        self.start(out);
        match delta {
            Delta::Text { choice: 0, text } | Delta::Refusal { choice: 0, text } => {
                self.write_text(&text, out);
            }
            Delta::Thinking { choice: 0, text } => {
                self.open_thinking(out);
                let content = Piece {
                    thinking: Some(&text),
                    ..Piece::default()
                };
                self.write_piece(content, out);
            }
            Delta::Signature {
                choice: 0,
                signature,
                id,
                is_redacted,
            } => {
                self.open_thinking(out);
                let content = Piece {
                    seal: Seal::shown(Some(&signature), id.as_deref(), is_redacted),
                    ..Piece::default()
                };
                self.write_piece(content, out);
                self.close_block(out);
            }
            Delta::Citation {
                choice: 0,
                citation,
            } => self.write_citation(&citation, out),
            Delta::ToolCall {
                choice: 0,
                call: _,
                id,
                name,
                signature,
            } => {
                self.close_block(out);
                self.calls.push(Call {
                    id,
                    name,
                    signature,
                    arguments: String::new(),
                    end: ObjectEnd::default(),
                    is_begun: false,
                });
                self.advance(out);
            }
            Delta::Arguments {
                choice: 0,
                call,
                json,
            } => self.write_arguments(call, &json, out),
            Delta::Opaque {
                choice: 0,
                dialect: Dialect::Cohere,
                kind,
                json,
            } => self.write_other(&kind, &json, out),
            Delta::Logprobs { choice: 0, tokens } => match self.open {
                Some(Open::Text(_)) => self.write_logprobs(&tokens, out),
                _ => self.logprobs.extend(tokens),
            },
            Delta::Finish { choice: 0, finish } => {
                self.flush_logprobs(out);
                self.close_block(out);
                self.end_calls(out);
                self.finish = Some(finish);
            }
            Delta::Usage(usage) => self.usage = Some(usage),
            Delta::End => self.end(out),
            Delta::Error(error) => {
                self.is_ended = true;
                out.extend_from_slice(&error::error_event(&error));
            }
            // Cohere gives one answer, without pictures, and tells of no tier.
            _ => {}
        }
    }
}

impl Writer {
    fn start(&mut self, out: &mut Vec<u8>) {
        if std::mem::replace(&mut self.is_started, true) {
            return;
        }
        let message = StartedMessage {
            role: "assistant",
            content: [],
            tool_plan: "",
            tool_calls: [],
            citations: [],
        };
        let start = Event {
            id: Some(&self.id),
            kind: "message-start",
            index: None,
            delta: Some(EventDelta::Start { message }),
            logprobs: None,
        };
        write_event(&start, out);
    }

    fn write_text(&mut self, text: &str, out: &mut Vec<u8>) {
        if !matches!(self.open, Some(Open::Text(_))) {
            let piece = Piece {
                kind: Some("text"),
                text: Some(""),
                ..Piece::default()
            };
            self.open_block(Open::Text(String::new()), piece, out);
        }
        if let Some(Open::Text(so_far)) = &mut self.open {
            so_far.push_str(text);
        }
        let content = Piece {
            text: Some(text),
            ..Piece::default()
        };
        self.write_piece(content, out);
        let tokens = std::mem::take(&mut self.logprobs);
        self.write_logprobs(&tokens, out);
    }

    /// Writes log-probabilities whose text did not come, or came long before them.
    fn flush_logprobs(&mut self, out: &mut Vec<u8>) {
        if !self.logprobs.is_empty() {
            self.write_text("", out);
        }
    }

    fn open_thinking(&mut self, out: &mut Vec<u8>) {
        if !matches!(self.open, Some(Open::Thinking)) {
            let piece = Piece {
                kind: Some("thinking"),
                thinking: Some(""),
                ..Piece::default()
            };
            self.open_block(Open::Thinking, piece, out);
        }
    }

    fn open_block(&mut self, open: Open, piece: Piece<'_>, out: &mut Vec<u8>) {
        self.close_block(out);
        self.end_calls(out);
        let added = Some(Added::Content(piece));
        write_event(&event("content-start", self.blocks, added), out);
        self.blocks += 1;
        self.open = Some(open);
    }

    fn close_block(&mut self, out: &mut Vec<u8>) {
        if self.open.take().is_some() {
            write_event(&event("content-end", self.last_block(), None), out);
        }
    }

    fn last_block(&self) -> usize {
        self.blocks.saturating_sub(1)
    }

    fn write_piece(&self, piece: Piece<'_>, out: &mut Vec<u8>) {
        let added = Some(Added::Content(piece));
        write_event(&event("content-delta", self.last_block(), added), out);
    }

    /// Writes log-probabilities of the text that is open, each in an event that adds nothing else.
    fn write_logprobs(&self, tokens: &[TokenLogprob], out: &mut Vec<u8>) {
        for token in tokens {
            let added = Added::Content(Piece {
                text: Some(""),
                ..Piece::default()
            });
            let event = Event {
                logprobs: Some(token.into()),
                ..event("content-delta", self.last_block(), Some(added))
            };
            write_event(&event, out);
        }
    }

    fn write_citation(&mut self, citation: &Citation, out: &mut Vec<u8>) {
        let text = match &self.open {
            Some(Open::Text(text)) => text.as_str(),
            _ => "",
        };
        let json = citation::written(citation, text, self.last_block());
        self.write_citation_json(&json, out);
    }

    fn write_citation_json(&mut self, json: &Json, out: &mut Vec<u8>) {
        let added = Some(Added::Citations(json));
        write_event(&event("citation-start", self.citations, added), out);
        write_event(&event("citation-end", self.citations, None), out);
        self.citations += 1;
    }

    fn write_other(&mut self, kind: &str, json: &Json, out: &mut Vec<u8>) {
        if kind == citation::KIND {
            return self.write_citation_json(json, out);
        }
        self.close_block(out);
        self.end_calls(out);
        let added = Some(Added::Other(json));
        write_event(&event("content-start", self.blocks, added), out);
        write_event(&event("content-end", self.blocks, None), out);
        self.blocks += 1;
    }

    fn write_arguments(&mut self, call: u32, json: &str, out: &mut Vec<u8>) {
        let number = call as usize;
        let Some(call) = self.calls.get_mut(number) else {
            return;
        };
        if number < self.current {
            return;
        }
        call.arguments.push_str(json);
        call.end.push(json.as_bytes());
        if call.is_begun {
            write_arguments(number, json, out);
        }
    }

    /// Begins the current call and, where its arguments are complete and another call waits, ends it and goes on.
    fn advance(&mut self, out: &mut Vec<u8>) {
        loop {
            self.begin_current(out);
            let is_complete = self
                .calls
                .get(self.current)
                .is_some_and(|call| call.end.is_reached());
            if !is_complete || self.current + 1 >= self.calls.len() {
                return;
            }
            self.end_current(out);
        }
    }

    fn end_calls(&mut self, out: &mut Vec<u8>) {
        while self.current < self.calls.len() {
            self.begin_current(out);
            self.end_current(out);
        }
    }

    fn begin_current(&mut self, out: &mut Vec<u8>) {
        let index = self.current;
        let Some(call) = self.calls.get_mut(index) else {
            return;
        };
        if std::mem::replace(&mut call.is_begun, true) {
            return;
        }
        let signature = call.signature.as_ref();
        let written = WrittenCall {
            signature: signature.map(|seal| seal.shown_to(Dialect::Cohere)),
            ..WrittenCall::new(&call.id, &call.name, "")
        };
        let added = Some(Added::ToolCalls(written));
        write_event(&event("tool-call-start", index, added), out);
        if !call.arguments.is_empty() {
            write_arguments(index, &call.arguments, out);
        }
    }

    fn end_current(&mut self, out: &mut Vec<u8>) {
        let index = self.current;
        let Some(call) = self.calls.get_mut(index) else {
            return;
        };
        if std::mem::take(&mut call.arguments).is_empty() {
            write_arguments(index, NO_ARGUMENTS, out);
        }
        write_event(&event("tool-call-end", index, None), out);
        self.current += 1;
    }

    fn end(&mut self, out: &mut Vec<u8>) {
        self.close_block(out);
        self.end_calls(out);
        self.is_ended = true;
        let end = Event {
            id: None,
            kind: "message-end",
            index: None,
            delta: Some(EventDelta::End {
                finish_reason: wire::finish_word(self.finish.as_ref()),
                usage: self.usage.map(WireUsage::from),
            }),
            logprobs: None,
        };
        write_event(&end, out);
        out.extend_from_slice(b"data: [DONE]\n\n");
    }
}
