//! Content blocks as they are written, into requests and into answers.

use std::borrow::Cow;

use serde::Serialize;
use serde_json::value::RawValue;

use super::citation::Stretch;
use super::media::Medium;
use super::wire::blob;
use super::{SEALS, citation};
use crate::dialect::common::{Citation, Json, Signature, Source, Thinking};

/// A content block.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Block<'a> {
    Text(Cow<'a, str>),
    Image(Media<'a>),
    Document(Document<'a>),
    Video(Media<'a>),
    Audio(Media<'a>),
    ToolUse(ToolUse<'a>),
    ToolResult(ToolResult<'a>),
    ReasoningContent(Reasoning<'a>),
    CitationsContent(Cited<'a>),
    /// As it came.
    #[serde(untagged)]
    Raw(&'a Json),
}

impl<'a> Block<'a> {
    pub fn text(text: impl Into<Cow<'a, str>>) -> Self {
        Self::Text(text.into())
    }

    /// A text and what is cited for it, or a plain one.
    pub fn stretch(stretch: &Stretch<'a>, citations: Vec<Cow<'a, Json>>) -> Self {
        match citations.is_empty() {
            true => Self::text(stretch.text),
            false => Self::CitationsContent(Cited {
                content: [Quote { text: stretch.text }],
                citations,
            }),
        }
    }

    /// The blocks of a text for a caller.
    pub fn shown(text: &'a str, citations: &'a [Citation]) -> impl Iterator<Item = Self> {
        let stretches = citation::stretches(text, citations).into_iter();
        stretches.map(|stretch| {
            let citations = stretch.citations.iter().map(citation::shown);
            Self::stretch(&stretch, citations.collect())
        })
    }
}

/// A picture, a film or a recording.
#[derive(Debug, Serialize)]
pub(super) struct Media<'a> {
    pub format: Cow<'a, str>,
    pub source: MediaSource<'a>,
}

impl<'a> Media<'a> {
    /// None if Converse cannot take it.
    pub fn of(source: &'a Source, medium: Medium) -> Option<Self> {
        match source {
            Source::Base64 { media_type, data } => Some(Self {
                format: medium.format(media_type)?.into(),
                source: MediaSource::Bytes(data.into()),
            }),
            Source::Url { url, media_type } if url.starts_with("s3:") => Some(Self {
                format: media_type
                    .as_deref()
                    .and_then(|media_type| medium.format(media_type))
                    .or_else(|| medium.format_of_file(url))?
                    .into(),
                source: MediaSource::S3Location { uri: url },
            }),
            Source::Text(text) if medium == Medium::Document => Some(Self {
                format: "txt".into(),
                source: MediaSource::Bytes(blob(text).into()),
            }),
            Source::Url { .. } | Source::File { .. } | Source::Text(_) => None,
        }
    }
}

/// Where media are.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum MediaSource<'a> {
    Bytes(Cow<'a, str>),
    S3Location { uri: &'a str },
    Text(&'a str),
}

/// A document.
#[derive(Debug, Serialize)]
pub(super) struct Document<'a> {
    #[serde(flatten)]
    pub media: Media<'a>,
    pub name: Cow<'a, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub citations: Option<Enabled>,
}

/// A document's `citations`.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Enabled {
    pub enabled: bool,
}

/// A tool's call.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ToolUse<'a> {
    pub tool_use_id: Cow<'a, str>,
    pub name: &'a str,
    pub input: Input<'a>,
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

/// What a tool answered.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ToolResult<'a> {
    pub tool_use_id: Cow<'a, str>,
    pub content: Vec<Block<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<&'static str>,
}

/// A thought.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Reasoning<'a> {
    ReasoningText {
        text: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        signature: Option<Cow<'a, str>>,
    },
    RedactedContent(String),
}

impl<'a> Reasoning<'a> {
    /// For a caller.
    pub fn shown(thinking: &'a Thinking) -> Self {
        match &thinking.signature {
            Some(seal) if thinking.is_redacted => Self::redacted(seal),
            seal => Self::ReasoningText {
                text: &thinking.text,
                signature: seal.as_ref().map(|seal| seal.shown_to(SEALS).into()),
            },
        }
    }

    /// What stands for a thought that is in its seal, for a caller; and before a call that has a seal, for which a call
    /// has no place: the reader of requests takes it from there.
    pub fn redacted(seal: &Signature) -> Self {
        Self::RedactedContent(blob(seal.shown_to(SEALS)))
    }
}

/// A text and its sources.
#[derive(Debug, Serialize)]
pub(super) struct Cited<'a> {
    content: [Quote<'a>; 1],
    citations: Vec<Cow<'a, Json>>,
}

#[derive(Debug, Serialize)]
struct Quote<'a> {
    text: &'a str,
}
