//! Content blocks and pieces of such, as a provider writes them.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::dialect::common::Json;

/// A call of a tool that Bedrock may run.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ServerCall {
    pub tool_use_id: String,
    pub name: String,
    pub r#type: Option<String>,
    #[serde(skip_deserializing)]
    pub input: Option<Json>,
}

/// Whether Bedrock runs a tool whose call is of this type.
pub(super) fn is_of_server(kind: Option<&str>) -> bool {
    kind.is_some_and(|kind| kind != "tool_use")
}

/// What such a tool answered.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ServerResult {
    pub tool_use_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub r#type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    #[serde(default)]
    pub content: Vec<Json>,
}

/// How a block begins.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Start {
    pub tool_use: Option<ServerCall>,
    pub tool_result: Option<ServerResult>,
    pub image: Option<ImageStart>,
}

/// How a picture begins.
#[derive(Debug, Deserialize)]
pub(super) struct ImageStart {
    pub format: String,
}

/// A piece of a block.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Piece {
    pub text: Option<String>,
    pub tool_use: Option<Input>,
    pub tool_result: Option<Vec<Json>>,
    pub reasoning_content: Option<ThoughtPiece>,
    pub citation: Option<Json>,
    pub image: Option<ImagePiece>,
}

/// More of a call's arguments.
#[derive(Debug, Deserialize)]
pub(super) struct Input {
    #[serde(default)]
    pub input: String,
}

/// More of a thought.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct ThoughtPiece {
    pub text: Option<String>,
    pub signature: Option<String>,
    pub redacted_content: Option<String>,
}

/// A whole picture, as of now.
#[derive(Debug, Default, Deserialize)]
pub(super) struct ImagePiece {
    pub source: Option<ImageSource>,
}

/// Where a picture is.
#[derive(Debug, Deserialize)]
pub(super) struct ImageSource {
    pub bytes: Option<String>,
}

/// A block that only Bedrock knows, put together from its pieces.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum OpaqueBlock<'a> {
    ToolUse(&'a ServerCall),
    ToolResult(&'a ServerResult),
    ReasoningContent(Redacted<'a>),
}

/// A seal that is no text.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Redacted<'a> {
    pub redacted_content: &'a str,
}

/// A whole call.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Call<'a> {
    pub tool_use_id: String,
    pub name: String,
    pub r#type: Option<String>,
    #[serde(borrow)]
    pub input: Option<&'a RawValue>,
}

/// A whole thought.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Thought {
    pub reasoning_text: Option<ThoughtText>,
    pub redacted_content: Option<String>,
}

/// The text of a thought, and its seal.
#[derive(Deserialize)]
pub(super) struct ThoughtText {
    #[serde(default)]
    pub text: String,
    pub signature: Option<String>,
}

/// A whole text and its sources.
#[derive(Deserialize)]
pub(super) struct Cited {
    #[serde(default)]
    pub content: Vec<Quote>,
    #[serde(default)]
    pub citations: Vec<Json>,
}

/// A text in a list of such.
#[derive(Deserialize)]
pub(super) struct Quote {
    #[serde(default)]
    pub text: String,
}

/// A whole picture.
#[derive(Deserialize)]
pub(super) struct Image {
    pub format: String,
    pub source: ImageSource,
}
