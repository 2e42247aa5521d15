//! A provider's stream, read.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::dialect::anthropic::error::stream_error;
use crate::dialect::anthropic::finish;
use crate::dialect::anthropic::read::{Blocks, EventDelta};
use crate::dialect::anthropic::usage::{WireUsage, common_tier};
use crate::dialect::common::{Context, Delta, Malformed, ReadStream};
use crate::dialect::sse;

/// Reads one stream.
#[derive(Debug)]
pub struct Reader {
    blocks: Blocks,
    usage: WireUsage,
    is_over: bool,
}

impl Reader {
    /// One for a stream that begins.
    pub fn new(context: &Context) -> Self {
        Self {
            blocks: Blocks::new(context),
            usage: WireUsage::default(),
            is_over: false,
        }
    }

    fn event(&mut self, event: Event<'_>, out: &mut Vec<Delta>) -> Result<(), Malformed> {
        match &*event.r#type {
            "message_start" => self.start(event.message.unwrap_or_default(), out),
            "content_block_start" => {
                let block = event.content_block;
                let missing = || Malformed("a block without content".to_owned());
                self.blocks.start(block.ok_or_else(missing)?, out)?;
            }
            "content_block_delta" => self.blocks.more(event.delta.unwrap_or_default(), out),
            "content_block_stop" => self.blocks.stop(out),
            "message_delta" => self.message_delta(event, out),
            "message_stop" => {
                self.is_over = true;
                self.blocks.stop(out);
                out.push(Delta::End);
            }
            "error" => {
                self.is_over = true;
                out.push(Delta::Error(stream_error(
                    event.error.map_or("", RawValue::get),
                )));
            }
            // `ping`, and what is not known yet.
            _ => {}
        }
        Ok(())
    }

    fn start(&mut self, message: MessageStart, out: &mut Vec<Delta>) {
        out.push(Delta::Start {
            id: message.id,
            model: message.model,
            created: None,
        });
        self.update(message.usage, out);
    }

    fn message_delta(&mut self, event: Event<'_>, out: &mut Vec<Delta>) {
        self.blocks.stop(out);
        self.update(event.usage, out);
        let delta = event.delta.unwrap_or_default();
        out.extend(delta.stop_reason.map(|reason| Delta::Finish {
            choice: 0,
            finish: finish::read(&reason, delta.stop_sequence).with_calls(self.blocks.has_calls()),
        }));
    }

    fn update(&mut self, usage: Option<WireUsage>, out: &mut Vec<Delta>) {
        let Some(usage) = usage else { return };
        let tier = usage.service_tier.clone();
        self.usage.update(usage);
        out.push(Delta::Usage(self.usage.read()));
        out.extend(tier.map(|tier| Delta::ServiceTier(common_tier(tier))));
    }
}

impl ReadStream for Reader {
    fn read(&mut self, frame: &[u8], out: &mut Vec<Delta>) -> Result<(), Malformed> {
        let Some(data) = sse::joined(frame) else {
            return Ok(());
        };
        if self.is_over || data.is_empty() {
            return Ok(());
        }
        let event: Event<'_> = serde_json::from_slice(&data)?;
        self.event(event, out)
    }

    fn end(&mut self, _: &mut Vec<Delta>) {
        // A message ends in `message_stop`; without, it was cut.
    }
}

#[derive(Deserialize)]
struct Event<'a> {
    #[serde(borrow)]
    r#type: Cow<'a, str>,
    message: Option<MessageStart>,
    #[serde(borrow)]
    content_block: Option<&'a RawValue>,
    delta: Option<EventDelta>,
    usage: Option<WireUsage>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
struct MessageStart {
    #[serde(default)]
    id: String,
    #[serde(default)]
    model: String,
    usage: Option<WireUsage>,
}
