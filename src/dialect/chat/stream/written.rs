//! A chunk of a stream as it is written.

use serde::Serialize;

use crate::dialect::chat::answer::WireImage;
use crate::dialect::chat::logprobs::WireLogprobs;
use crate::dialect::chat::thoughts::Detail;
use crate::dialect::chat::usage::WireUsage;
use crate::dialect::chat::wire::{ExtraContent, Fields};
use crate::dialect::common::Json;

#[derive(Serialize)]
pub(super) struct Chunk<'a> {
    pub id: &'a str,
    pub object: &'static str,
    pub created: u64,
    pub model: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_tier: Option<&'a str>,
    pub choices: &'a [ChoiceChunk<'a>],
    /// Null in every chunk but the last, where the caller asked for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage: Option<Option<WireUsage>>,
}

#[derive(Serialize)]
pub(super) struct ChoiceChunk<'a> {
    pub index: u32,
    pub delta: Fragment<'a>,
    pub logprobs: Option<WireLogprobs<'a>>,
    pub finish_reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub native_finish_reason: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop_reason: Option<&'a str>,
}

impl<'a> ChoiceChunk<'a> {
    pub(super) const fn of(index: u32, delta: Fragment<'a>) -> Self {
        Self {
            index,
            delta,
            logprobs: None,
            finish_reason: None,
            native_finish_reason: None,
            stop_reason: None,
        }
    }
}

/// A chunk's `delta`.
#[derive(Default, Serialize)]
pub(super) struct Fragment<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refusal: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reasoning_content: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reasoning_details: Option<[Detail<'a>; 1]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub annotations: Option<[&'a Json; 1]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub images: Option<[WireImage; 1]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_calls: Option<[CallChunk<'a>; 1]>,
    #[serde(flatten)]
    pub fields: Fields<'a>,
}

impl<'a> Fragment<'a> {
    pub(super) fn of_call(call: CallChunk<'a>) -> Self {
        Self {
            tool_calls: Some([call]),
            ..Self::default()
        }
    }
}

#[derive(Serialize)]
pub(super) struct CallChunk<'a> {
    pub index: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<&'a str>,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<&'static str>,
    pub function: FunctionChunk<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub extra_content: Option<ExtraContent>,
}

impl<'a> CallChunk<'a> {
    pub(super) const fn more(index: usize, arguments: &'a str) -> Self {
        Self {
            index,
            id: None,
            kind: None,
            function: FunctionChunk {
                name: None,
                arguments,
            },
            extra_content: None,
        }
    }
}

#[derive(Serialize)]
pub(super) struct FunctionChunk<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<&'a str>,
    pub arguments: &'a str,
}
