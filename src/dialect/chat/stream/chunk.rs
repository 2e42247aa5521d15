//! A chunk of a stream, or a whole answer, as it stands on the wire. What servers leave out, write as null or write in a
//! type of their own is as if it were not there. What is rare is boxed: a chunk is moved a few times while it is parsed.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::Number;
use serde_json::value::RawValue;

use crate::dialect::chat::thoughts::Detail;
use crate::dialect::chat::usage::UsageFields;
use crate::dialect::chat::wire::{Arguments, Content, ExtraContent, lenient_text};
use crate::dialect::common::Json;

#[derive(Deserialize)]
pub(super) struct Chunk<'a> {
    #[serde(borrow, default, deserialize_with = "lenient_text")]
    pub id: Cow<'a, str>,
    #[serde(borrow, default, deserialize_with = "lenient_text")]
    pub model: Cow<'a, str>,
    pub created: Option<Number>,
    #[serde(borrow, default, deserialize_with = "lenient_text")]
    pub service_tier: Cow<'a, str>,
    #[serde(borrow)]
    pub choices: Option<Vec<ChoiceChunk<'a>>>,
    pub usage: Option<Box<UsageFields>>,
    pub x_groq: Option<Box<Groq>>,
    #[serde(borrow)]
    pub error: Option<&'a RawValue>,
}

/// Groq's streams tell their usage here.
#[derive(Deserialize)]
pub(super) struct Groq {
    pub usage: Option<Box<UsageFields>>,
}

#[derive(Deserialize)]
pub(super) struct ChoiceChunk<'a> {
    #[serde(default)]
    pub index: u32,
    /// `message` in a whole answer.
    #[serde(borrow, alias = "message")]
    pub delta: Option<Piece<'a>>,
    /// What a completion of a plain prompt says.
    pub text: Option<String>,
    #[serde(borrow)]
    pub logprobs: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "lenient_text")]
    pub finish_reason: Cow<'a, str>,
    #[serde(borrow, default, deserialize_with = "lenient_text")]
    pub native_finish_reason: Cow<'a, str>,
    /// vLLM's: the text, or the number of the token, that ended the answer.
    #[serde(borrow)]
    pub stop_reason: Option<&'a RawValue>,
    /// Moonshot's streams tell their usage here.
    pub usage: Option<Box<UsageFields>>,
}

#[derive(Deserialize)]
pub(super) struct Piece<'a> {
    #[serde(borrow)]
    pub content: Option<Content<'a>>,
    pub refusal: Option<String>,
    pub reasoning_content: Option<String>,
    pub reasoning: Option<String>,
    pub reasoning_details: Option<Vec<Detail<'static>>>,
    pub annotations: Option<Vec<Json>>,
    pub images: Option<Vec<Json>>,
    #[serde(borrow)]
    pub tool_calls: Option<Vec<CallPiece<'a>>>,
    #[serde(borrow)]
    pub function_call: Option<Box<FunctionPiece<'a>>>,
    pub audio: Option<Box<AudioPiece>>,
    pub executed_tools: Option<Vec<Json>>,
    pub extra_content: Option<ExtraContent>,
}

#[derive(Deserialize)]
pub(super) struct CallPiece<'a> {
    pub index: Option<u32>,
    #[serde(borrow, default, deserialize_with = "lenient_text")]
    pub id: Cow<'a, str>,
    #[serde(borrow)]
    pub function: Option<FunctionPiece<'a>>,
    pub custom: Option<CustomPiece>,
    pub extra_content: Option<ExtraContent>,
}

#[derive(Deserialize)]
pub(super) struct FunctionPiece<'a> {
    #[serde(borrow, default, deserialize_with = "lenient_text")]
    pub name: Cow<'a, str>,
    #[serde(default)]
    pub arguments: Arguments,
}

#[derive(Deserialize)]
pub(super) struct CustomPiece {
    pub name: Option<String>,
    pub input: Option<String>,
}

/// Speech: `data` and `transcript` come in pieces.
#[derive(Debug, Default, Deserialize, serde::Serialize)]
pub(super) struct AudioPiece {
    pub id: Option<String>,
    pub expires_at: Option<u64>,
    pub data: Option<String>,
    pub transcript: Option<String>,
}

/// A part of content in a list, as Mistral writes it.
#[derive(Deserialize)]
pub(super) struct ContentPart<'a> {
    #[serde(rename = "type", borrow, default, deserialize_with = "lenient_text")]
    pub kind: Cow<'a, str>,
    pub text: Option<String>,
    pub refusal: Option<String>,
    #[serde(borrow)]
    pub thinking: Option<Content<'a>>,
}

#[derive(Deserialize)]
pub(super) struct ThinkingPart {
    pub text: Option<String>,
}
