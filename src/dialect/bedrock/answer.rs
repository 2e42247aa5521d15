//! Whole answers.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::block::{Block, Input, Media, Reasoning, ToolUse};
use super::blocks::Blocks;
use super::media::Medium;
use super::usage::WireUsage;
use super::wire::{self, to_bytes};
use super::{OWN, finish};
use crate::dialect::common::{
    Answer, Choice, Collector, Content, Context, Delta, Malformed, Part, Request, derived_call_id,
};

/// Reads a provider's answer.
///
/// # Errors
/// It is no answer of Converse's.
pub fn read_answer(body: &[u8], _context: &Context) -> Result<Answer, Malformed> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Whole<'a> {
        #[serde(borrow)]
        output: Output<'a>,
        stop_reason: Option<String>,
        usage: Option<WireUsage>,
        #[serde(borrow)]
        additional_model_response_fields: Option<&'a RawValue>,
        service_tier: Option<ServiceTier>,
    }
    #[derive(Deserialize)]
    struct Output<'a> {
        #[serde(borrow)]
        message: Option<Message<'a>>,
    }
    #[derive(Deserialize)]
    struct Message<'a> {
        #[serde(borrow, default)]
        content: Vec<&'a RawValue>,
    }
    let whole: Whole<'_> = serde_json::from_slice(body)?;
    let mut deltas = Vec::new();
    let mut blocks = Blocks::default();
    let content = whole.output.message.map(|message| message.content);
    for block in content.unwrap_or_default() {
        blocks.whole(block, &mut deltas)?;
    }
    deltas.push(Delta::End);
    let mut collector = Collector::default();
    deltas.into_iter().for_each(|delta| collector.push(delta));
    let cut = |_| Malformed("an answer without an end".to_owned());
    let mut answer = collector.finish().map_err(cut)?;
    if answer.choices.is_empty() {
        answer.choices.push(Choice::default());
    }
    let sequence = whole.additional_model_response_fields;
    let sequence = sequence.and_then(finish::sequence);
    let reason = whole.stop_reason.as_deref();
    let finish = reason.map(|reason| finish::read(reason, sequence));
    answer.choices[0].finish = finish.map(|finish| finish.with_calls(blocks.has_calls()));
    answer.usage = whole.usage.as_ref().map(WireUsage::read);
    answer.service_tier = whole.service_tier.map(|tier| tier.r#type);
    Ok(answer)
}

/// The tier that served an answer.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct ServiceTier {
    pub r#type: String,
}

/// The time that the model took. The API demands it, and it is not known here.
#[derive(Clone, Copy, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Metrics {
    latency_ms: u64,
}

/// Writes an answer for a caller who speaks this dialect, which knows one choice only, and neither id nor model.
pub fn write_answer(answer: &Answer, _request: &Request, context: &Context) -> Vec<u8> {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Whole<'a> {
        output: Output<'a>,
        stop_reason: &'a str,
        usage: WireUsage,
        metrics: Metrics,
        #[serde(skip_serializing_if = "Option::is_none")]
        service_tier: Option<ServiceTier>,
    }
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    enum Output<'a> {
        Message {
            role: &'static str,
            content: Vec<Block<'a>>,
        },
    }
    let id = match answer.id.is_empty() {
        true => &context.id,
        false => &answer.id,
    };
    let choice = answer.choices.first();
    let mut content = Vec::new();
    let mut calls = 0;
    for part in choice.into_iter().flat_map(|choice| &choice.parts) {
        write_part(part, id, &mut calls, &mut content);
    }
    let finish = choice.and_then(|choice| choice.finish.as_ref());
    to_bytes(&Whole {
        output: Output::Message {
            role: "assistant",
            content,
        },
        stop_reason: finish::written(finish, calls > 0),
        usage: WireUsage::of(&answer.usage.unwrap_or_default()),
        metrics: Metrics::default(),
        service_tier: answer
            .service_tier
            .clone()
            .map(|r#type| ServiceTier { r#type }),
    })
}

fn write_part<'a>(part: &'a Part, answer_id: &str, calls: &mut u32, blocks: &mut Vec<Block<'a>>) {
    match &part.content {
        Content::Text { text, citations } => blocks.extend(Block::shown(text, citations)),
        Content::Refusal(text) => blocks.push(Block::text(text)),
        Content::Thinking(thinking) => {
            blocks.push(Block::ReasoningContent(Reasoning::shown(thinking)));
        }
        Content::ToolCall {
            id,
            name,
            arguments,
            signature,
        } => {
            let seal = signature.as_ref().map(Reasoning::redacted);
            blocks.extend(seal.map(Block::ReasoningContent));
            blocks.push(Block::ToolUse(ToolUse {
                tool_use_id: call_id(id, answer_id, *calls),
                name,
                // Arguments that were cut are no object, and an object there must be.
                input: Input::of(arguments).unwrap_or(Input::Empty {}),
            }));
            *calls += 1;
        }
        Content::Image { source, .. } => {
            blocks.extend(Media::of(source, Medium::Image).map(Block::Image));
        }
        Content::Opaque { dialect, json, .. } => {
            blocks.extend((*dialect == OWN).then_some(Block::Raw(json)));
        }
        // No model answers with these.
        Content::Document { .. }
        | Content::Audio { .. }
        | Content::Video { .. }
        | Content::ToolResult { .. } => {}
    }
}

/// A call's id as this dialect allows it.
pub(super) fn call_id<'a>(id: &'a str, answer_id: &str, call: u32) -> Cow<'a, str> {
    match id.is_empty() {
        true => derived_call_id(answer_id, call).into(),
        false => wire::call_id(id),
    }
}
