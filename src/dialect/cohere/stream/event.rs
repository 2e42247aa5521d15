//! The events of a stream, as they are written.

use serde::Serialize;

use crate::dialect::cohere::wire::{Seal, WireUsage, WrittenCall, WrittenLogprob};
use crate::dialect::common::Json;

#[derive(Serialize)]
pub(super) struct Event<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<&'a str>,
    #[serde(rename = "type")]
    pub kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub index: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delta: Option<EventDelta<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logprobs: Option<WrittenLogprob<'a>>,
}

#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum EventDelta<'a> {
    Start {
        message: StartedMessage,
    },
    Message {
        message: Added<'a>,
    },
    End {
        finish_reason: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        usage: Option<WireUsage>,
    },
}

/// What is added to the message, under the name of its member.
#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Added<'a> {
    Content(Piece<'a>),
    #[serde(rename = "content")]
    Other(&'a Json),
    ToolCalls(WrittenCall<'a>),
    #[serde(rename = "tool_calls")]
    Arguments {
        function: Arguments<'a>,
    },
    Citations(&'a Json),
}

#[derive(Default, Serialize)]
pub(super) struct Piece<'a> {
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thinking: Option<&'a str>,
    #[serde(flatten)]
    pub seal: Seal<'a>,
}

#[derive(Serialize)]
pub(super) struct Arguments<'a> {
    pub arguments: &'a str,
}

/// The empty message that a stream begins with.
#[derive(Serialize)]
pub(super) struct StartedMessage {
    pub role: &'static str,
    pub content: [(); 0],
    pub tool_plan: &'static str,
    pub tool_calls: [(); 0],
    pub citations: [(); 0],
}

pub(super) fn write_event(event: &Event<'_>, out: &mut Vec<u8>) {
    out.extend_from_slice(b"event: ");
    out.extend_from_slice(event.kind.as_bytes());
    out.extend_from_slice(b"\ndata: ");
    // A vector takes all bytes, and none of the types above fails to be written.
    let _ = serde_json::to_writer(&mut *out, event);
    out.extend_from_slice(b"\n\n");
}

pub(super) fn event<'a>(kind: &'static str, index: usize, added: Option<Added<'a>>) -> Event<'a> {
    Event {
        id: None,
        kind,
        index: Some(index),
        delta: added.map(|message| EventDelta::Message { message }),
        logprobs: None,
    }
}

pub(super) fn write_arguments(index: usize, json: &str, out: &mut Vec<u8>) {
    let function = Arguments { arguments: json };
    let added = Some(Added::Arguments { function });
    write_event(&event("tool-call-delta", index, added), out);
}
