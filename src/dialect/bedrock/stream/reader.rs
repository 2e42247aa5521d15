//! A provider's stream, read.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::dialect::bedrock::answer::ServiceTier;
use crate::dialect::bedrock::blocks::Blocks;
use crate::dialect::bedrock::pieces::{Piece, Start};
use crate::dialect::bedrock::usage::WireUsage;
use crate::dialect::bedrock::{error, finish};
use crate::dialect::common::{Context, Delta, Malformed, ReadStream};
use crate::dialect::eventstream::Message;

/// Reads the events of ConverseStream.
#[derive(Debug, Default)]
pub struct Reader {
    blocks: Blocks,
    has_begun: bool,
    is_finished: bool,
    is_over: bool,
}

impl Reader {
    /// One for a new stream. Bedrock gives an answer no id, so none is told.
    pub fn new(_context: &Context) -> Self {
        Self::default()
    }

    fn begin(&mut self, out: &mut Vec<Delta>) {
        if !std::mem::replace(&mut self.has_begun, true) {
            out.push(Delta::Start {
                id: String::new(),
                model: String::new(),
                created: None,
            });
        }
    }

    fn event(&mut self, kind: &str, payload: &[u8], out: &mut Vec<Delta>) -> Result<(), Malformed> {
        self.begin(out);
        match kind {
            "contentBlockStart" => {
                let event: BlockStart = serde_json::from_slice(payload)?;
                self.blocks
                    .start(event.content_block_index, event.start, out);
            }
            "contentBlockDelta" => {
                let event: BlockDelta = serde_json::from_slice(payload)?;
                self.blocks
                    .piece(event.content_block_index, event.delta, out);
            }
            "contentBlockStop" => {
                let event: BlockStop = serde_json::from_slice(payload)?;
                self.blocks.stop(event.content_block_index, out);
            }
            "messageStop" => {
                let event: MessageStop<'_> = serde_json::from_slice(payload)?;
                self.blocks.finish(out);
                let sequence = event.additional_model_response_fields;
                let sequence = sequence.and_then(finish::sequence);
                let finish = finish::read(&event.stop_reason, sequence);
                let finish = finish.with_calls(self.blocks.has_calls());
                out.push(Delta::Finish { choice: 0, finish });
                self.is_finished = true;
            }
            "metadata" => {
                let event: Metadata = serde_json::from_slice(payload)?;
                out.extend(event.usage.map(|usage| Delta::Usage(usage.read())));
                out.extend(
                    event
                        .service_tier
                        .map(|tier| Delta::ServiceTier(tier.r#type)),
                );
                // It is the last event, and says nothing where the stop before it is missing.
                self.end(out);
            }
            _ => {}
        }
        Ok(())
    }
}

impl ReadStream for Reader {
    fn read(&mut self, frame: &[u8], out: &mut Vec<Delta>) -> Result<(), Malformed> {
        if self.is_over {
            return Ok(());
        }
        let message = Message::parse(frame).map_err(|fault| Malformed(fault.to_string()))?;
        match message.text(":message-type") {
            Some("exception") => {
                let kind = message.text(":exception-type").unwrap_or_default();
                out.push(Delta::Error(error::read_exception(kind, message.payload)));
                self.is_over = true;
                Ok(())
            }
            Some("error") => {
                let kind = message.text(":error-code").unwrap_or_default();
                let text = message.text(":error-message").unwrap_or_default();
                out.push(Delta::Error(error::read_failure(kind, text)));
                self.is_over = true;
                Ok(())
            }
            _ => {
                let kind = message.text(":event-type").unwrap_or_default();
                self.event(kind, message.payload, out)
            }
        }
    }

    fn end(&mut self, out: &mut Vec<Delta>) {
        if self.is_finished && !self.is_over {
            out.push(Delta::End);
            self.is_over = true;
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct BlockStart {
    #[serde(default)]
    content_block_index: u64,
    start: Start,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct BlockDelta {
    #[serde(default)]
    content_block_index: u64,
    delta: Piece,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct BlockStop {
    #[serde(default)]
    content_block_index: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct MessageStop<'a> {
    stop_reason: String,
    #[serde(borrow)]
    additional_model_response_fields: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    usage: Option<WireUsage>,
    service_tier: Option<ServiceTier>,
}
