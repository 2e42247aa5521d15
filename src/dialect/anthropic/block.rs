//! Content blocks as they are written, into requests and into answers.

use std::borrow::Cow;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::Serialize;
use serde_json::value::RawValue;

use super::OWN;
use super::wire::CacheControl;
use crate::dialect::common::{Json, Source};

/// A block, or what stands for one.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum Item<'a> {
    Block {
        #[serde(flatten)]
        block: Block<'a>,
        #[serde(skip_serializing_if = "Option::is_none")]
        cache_control: Option<CacheControl>,
    },
    /// As it came.
    Raw(&'a Json),
}

impl<'a> From<Block<'a>> for Item<'a> {
    fn from(block: Block<'a>) -> Self {
        Self::Block {
            block,
            cache_control: None,
        }
    }
}

impl Item<'_> {
    pub fn is_result(&self) -> bool {
        let Self::Block { block, .. } = self else {
            return false;
        };
        matches!(block, Block::ToolResult { .. })
    }

    pub fn is_thought(&self) -> bool {
        let Self::Block { block, .. } = self else {
            return false;
        };
        matches!(
            block,
            Block::Thinking { .. } | Block::RedactedThinking { .. }
        )
    }
}

/// A content block.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Block<'a> {
    Text {
        text: Cow<'a, str>,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        citations: Vec<Cow<'a, Json>>,
    },
    Image {
        source: Media<'a>,
    },
    Document {
        source: Media<'a>,
        #[serde(skip_serializing_if = "Option::is_none")]
        title: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        citations: Option<Enabled>,
    },
    Thinking {
        thinking: &'a str,
        signature: Cow<'a, str>,
    },
    RedactedThinking {
        data: Cow<'a, str>,
    },
    ToolUse {
        id: Cow<'a, str>,
        name: &'a str,
        input: Input<'a>,
    },
    ToolResult {
        tool_use_id: Cow<'a, str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        content: Option<ResultContent<'a>>,
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        is_error: bool,
    },
}

impl<'a> Block<'a> {
    pub fn text(text: impl Into<Cow<'a, str>>) -> Self {
        Self::Text {
            text: text.into(),
            citations: Vec::new(),
        }
    }
}

/// A document's `citations`.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Enabled {
    pub enabled: bool,
}

/// A tool's result.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum ResultContent<'a> {
    Text(&'a str),
    Items(Vec<Item<'a>>),
}

/// A call's arguments.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(untagged)]
pub(super) enum Input<'a> {
    Json(&'a RawValue),
    Empty {},
    /// What there is of arguments that are no object.
    Text {
        arguments: &'a str,
    },
}

impl<'a> Input<'a> {
    /// None if the text is no JSON object.
    pub fn of(arguments: &'a str) -> Option<Self> {
        if matches!(arguments.trim_ascii(), "" | "null") {
            return Some(Self::Empty {});
        }
        let json: &RawValue = serde_json::from_str(arguments).ok()?;
        json.get().starts_with('{').then_some(Self::Json(json))
    }

    /// For a conversation that goes on, whatever a model wrote in it.
    pub fn of_any(arguments: &'a str) -> Self {
        Self::of(arguments).unwrap_or(Self::Text { arguments })
    }
}

/// Where a picture or a document is.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Media<'a> {
    Base64 {
        media_type: &'a str,
        data: &'a str,
    },
    Url {
        url: &'a str,
    },
    File {
        file_id: &'a str,
    },
    Text {
        media_type: &'static str,
        data: Cow<'a, str>,
    },
}

impl<'a> Media<'a> {
    /// None if Anthropic cannot reach it.
    pub fn image(source: &'a Source) -> Option<Self> {
        match source {
            Source::Base64 { media_type, data } => Some(Self::Base64 { media_type, data }),
            Source::Url { url, .. } => {
                let is_web = url.starts_with("https:") || url.starts_with("http:");
                is_web.then_some(Self::Url { url })
            }
            Source::File { dialect, id } => (*dialect == OWN).then_some(Self::File { file_id: id }),
            Source::Text(_) => None,
        }
    }

    /// None if Anthropic cannot reach it.
    pub fn document(source: &'a Source) -> Option<Self> {
        let text = match source {
            Source::Text(text) => Some(Cow::Borrowed(text.as_str())),
            Source::Base64 { media_type, data } => decoded(media_type, data).map(Cow::Owned),
            _ => None,
        };
        match text {
            Some(data) => Some(Self::Text {
                media_type: "text/plain",
                data,
            }),
            None => Self::image(source),
        }
    }
}

/// Documents in base64 must be PDF; what is text is sent as text.
fn decoded(media_type: &str, data: &str) -> Option<String> {
    let is_text = media_type.starts_with("text/") || media_type.starts_with("application/json");
    let bytes = is_text.then(|| BASE64_STANDARD.decode(data).ok());
    String::from_utf8(bytes??).ok()
}
