//! A provider's stream, read.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::dialect::cohere::answer::{tell_block, tell_call, tell_other, tell_text, tell_thought};
use crate::dialect::cohere::citation;
use crate::dialect::cohere::error::given_up;
use crate::dialect::cohere::wire::{self, LogprobItem, ToolCall, WireUsage};
use crate::dialect::common::{Context, Delta, Malformed, ReadStream, Signature};
use crate::dialect::{Dialect, Error, Kind, sse};

/// Reads one stream. It is whole with `message-end`.
#[derive(Debug)]
pub struct Reader {
    context: Context,
    id: String,
    is_started: bool,
    is_ended: bool,
    /// The index that each call has in the stream, by its number.
    calls: Vec<u64>,
}

impl Reader {
    /// A reader at the beginning of a stream.
    pub fn new(context: &Context) -> Self {
        Self {
            context: context.clone(),
            id: String::new(),
            is_started: false,
            is_ended: false,
            calls: Vec::new(),
        }
    }
}

#[derive(Deserialize)]
struct Event<'a> {
    #[serde(rename = "type")]
    kind: Option<String>,
    id: Option<String>,
    index: Option<u64>,
    #[serde(borrow)]
    delta: Option<EventDelta<'a>>,
    logprobs: Option<LogprobItem>,
    /// Of an error that is no event.
    #[serde(borrow)]
    message: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
struct EventDelta<'a> {
    #[serde(borrow)]
    message: Option<EventMessage<'a>>,
    error: Option<String>,
    finish_reason: Option<String>,
    usage: Option<WireUsage>,
}

/// What is added to the message. In `message-start` the members are lists, later single pieces.
#[derive(Default, Deserialize)]
struct EventMessage<'a> {
    #[serde(borrow)]
    content: Option<&'a RawValue>,
    tool_plan: Option<String>,
    #[serde(borrow)]
    tool_calls: Option<&'a RawValue>,
    #[serde(borrow)]
    citations: Option<&'a RawValue>,
}

impl ReadStream for Reader {
    fn read(&mut self, frame: &[u8], out: &mut Vec<Delta>) -> Result<(), Malformed> {
        for data in sse::data(frame) {
            if self.is_ended || data.is_empty() || data == b"[DONE]" {
                continue;
            }
            let event: Event<'_> = serde_json::from_slice(data)?;
            self.read_event(event, out)?;
        }
        Ok(())
    }

    fn end(&mut self, _: &mut Vec<Delta>) {}
}

impl Reader {
    fn read_event(&mut self, event: Event<'_>, out: &mut Vec<Delta>) -> Result<(), Malformed> {
        let Some(kind) = event.kind else {
            if let Some(message) = event.message {
                let text = serde_json::from_str::<String>(message.get());
                let text = text.unwrap_or_else(|_| "Cohere broke the stream off".to_owned());
                self.is_ended = true;
                out.push(Delta::Error(Error::new(Kind::ProviderFailed, text)));
            }
            return Ok(());
        };
        if kind == "message-start" {
            self.start(event.id.unwrap_or_default(), out);
            return Ok(());
        }
        self.start(String::new(), out);
        let delta = event.delta.unwrap_or_default();
        if kind == "message-end" {
            self.finish(delta, out);
            return Ok(());
        }
        let message = delta.message.unwrap_or_default();
        match kind.as_str() {
            "content-start" => {
                if let Some(raw) = message.content {
                    tell_block(serde_json::from_str(raw.get())?, raw, out)?;
                }
            }
            "content-delta" => {
                if let Some(raw) = message.content {
                    read_piece(raw, out)?;
                }
                if let Some(item) = event.logprobs {
                    let tokens = vec![item.into()];
                    out.push(Delta::Logprobs { choice: 0, tokens });
                }
            }
            "tool-plan-delta" => tell_thought(message.tool_plan.unwrap_or_default(), out),
            "tool-call-start" => {
                if let Some(raw) = message.tool_calls {
                    let call: ToolCall = serde_json::from_str(raw.get())?;
                    let number = u32::try_from(self.calls.len()).unwrap_or(u32::MAX);
                    self.calls.push(event.index.unwrap_or(u64::from(number)));
                    tell_call(call, number, &self.id, &self.context, out);
                }
            }
            "tool-call-delta" => {
                if let Some(raw) = message.tool_calls {
                    self.read_arguments(event.index, raw, out)?;
                }
            }
            "citation-start" => {
                if let Some(raw) = message.citations {
                    match citation::read(raw)? {
                        citation::Read::OfText { citation, .. } => out.push(Delta::Citation {
                            choice: 0,
                            citation,
                        }),
                        citation::Read::OfOther(content) => tell_other(content, out),
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn start(&mut self, id: String, out: &mut Vec<Delta>) {
        if std::mem::replace(&mut self.is_started, true) {
            return;
        }
        self.id.clone_from(&id);
        out.push(Delta::Start {
            id,
            model: String::new(),
            created: None,
        });
    }

    /// Reads more of the arguments of the call that has this index or, without one, of the last call.
    fn read_arguments(
        &self,
        index: Option<u64>,
        raw: &RawValue,
        out: &mut Vec<Delta>,
    ) -> Result<(), Malformed> {
        let call: ToolCall = serde_json::from_str(raw.get())?;
        let number = match index {
            Some(index) => self.calls.iter().rposition(|known| *known == index),
            None => self.calls.len().checked_sub(1),
        };
        let number = number.and_then(|number| u32::try_from(number).ok());
        let json = call.function.arguments.unwrap_or_default();
        if let Some(call) = number
            && !json.is_empty()
        {
            out.push(Delta::Arguments {
                choice: 0,
                call,
                json,
            });
        }
        Ok(())
    }

    fn finish(&mut self, delta: EventDelta<'_>, out: &mut Vec<Delta>) {
        self.is_ended = true;
        // What an answer cost that was given up is paid for, too.
        if let Some(usage) = delta.usage.as_ref().and_then(WireUsage::read) {
            out.push(Delta::Usage(usage));
        }
        let reason = match delta.finish_reason.as_deref() {
            Some(wire::TIMEOUT) => Some(wire::TIMEOUT),
            _ if delta.error.as_deref().is_some_and(|text| !text.is_empty()) => Some(wire::ERROR),
            reason => reason,
        };
        if let Some(error) = reason.and_then(|reason| given_up(reason, delta.error.clone())) {
            out.push(Delta::Error(error));
            return;
        }
        if let Some(reason) = reason {
            let finish = wire::finish(reason).with_calls(!self.calls.is_empty());
            out.push(Delta::Finish { choice: 0, finish });
        }
        out.push(Delta::End);
    }
}

/// More of the content block that is open: only the members that grow, and no type.
fn read_piece(raw: &RawValue, out: &mut Vec<Delta>) -> Result<(), Malformed> {
    #[derive(Deserialize)]
    struct Piece {
        text: Option<String>,
        thinking: Option<String>,
        signature: Option<String>,
        id: Option<String>,
        redacted: Option<bool>,
    }

    let piece: Piece = serde_json::from_str(raw.get())?;
    tell_thought(piece.thinking.unwrap_or_default(), out);
    if let Some(seal) = piece.signature {
        out.push(Delta::Signature {
            choice: 0,
            signature: Signature::read(Dialect::Cohere, &seal),
            id: piece.id,
            is_redacted: piece.redacted.unwrap_or(false),
        });
    }
    tell_text(piece.text.unwrap_or_default(), out);
    Ok(())
}
