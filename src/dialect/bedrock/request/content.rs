//! Content blocks of a caller's request, read.
//!
//! A block that says more than the common form holds is read as far as it goes, and stands behind itself once more as an
//! opaque part, whose kind tells what the rest is ([`stands_for_block_before`]): so a target of another dialect gets what
//! it can, Bedrock gets all of it, and the caller is told what was lost.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::dialect::Error;
use crate::dialect::bedrock::media::Medium;
use crate::dialect::bedrock::pieces::{Cited, Quote, Thought, ThoughtText};
use crate::dialect::bedrock::wire::{Union, text_of_blob};
use crate::dialect::bedrock::{OWN, SEALS, citation};
use crate::dialect::common::{Cache, Content, Json, Part, Signature, Source, Thinking};

/// Where blocks stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Home {
    System,
    Message,
    /// Inside a tool's result, where no further result may stand: so nothing nests deeper.
    ToolResult,
}

/// Whether an opaque part of this kind is the block before it, in full.
fn stands_for_block_before(kind: &str) -> bool {
    kind.contains('.')
}

/// Parts, each with the block that is all of it, where it stands behind it.
pub(super) fn with_full(parts: &[Part]) -> impl Iterator<Item = (&Part, Option<&Json>)> {
    let full = |part: &'_ Part| match &part.content {
        Content::Opaque {
            dialect: OWN, kind, ..
        } => stands_for_block_before(kind),
        _ => false,
    };
    parts
        .iter()
        .enumerate()
        .filter(move |(_, part)| !full(part))
        .map(move |(at, part)| {
            let behind = parts.get(at + 1).filter(|part| full(part));
            let full = behind.and_then(|part| match &part.content {
                Content::Opaque { json, .. } => Some(json),
                _ => None,
            });
            (part, full)
        })
}

/// Reads `blocks`, which stand at `path`.
pub(super) fn read(blocks: &[&RawValue], path: &str, home: Home) -> Result<Vec<Part>, Error> {
    let mut parts = Vec::with_capacity(blocks.len());
    for (index, block) in blocks.iter().enumerate() {
        let union = Union::parse(block.get(), &format!("{path}[{index}]"))?;
        match (union.name.as_ref(), home) {
            ("cachePoint", Home::System | Home::Message) => {
                let mark = union.read::<CachePoint<'_>>()?.read();
                if !mark.is_some_and(|mark| set_mark(&mut parts, mark)) {
                    parts.push(opaque("cachePoint", block));
                }
            }
            ("toolUse", Home::Message) => {
                let part = union.read::<ToolUse<'_>>()?.read(&mut parts);
                parts.push(part.unwrap_or_else(|| opaque("toolUse", block)));
            }
            _ => match read_block(&union, home)? {
                Some(Block { content, rest }) => {
                    parts.push(content.into());
                    parts.extend(rest.map(|kind| opaque(kind, block)));
                }
                None => parts.push(opaque(&union.name, block)),
            },
        }
    }
    Ok(parts)
}

/// A block, and what of it the common form does not hold.
struct Block {
    content: Content,
    rest: Option<&'static str>,
}

impl From<Content> for Block {
    fn from(content: Content) -> Self {
        Self {
            content,
            rest: None,
        }
    }
}

/// None if it is one that only Bedrock knows.
fn read_block(union: &Union<'_>, home: Home) -> Result<Option<Block>, Error> {
    let is_message = home == Home::Message;
    Ok(match union.name.as_ref() {
        "text" => Some(text(union.read()?).into()),
        "guardContent" => union.read::<GuardContent>()?.read(),
        _ if home == Home::System => None,
        "image" => union.read::<Media>()?.read(Medium::Image),
        "video" => union.read::<Media>()?.read(Medium::Video),
        "document" => union.read::<Media>()?.read(Medium::Document),
        "audio" if is_message => union.read::<Media>()?.read(Medium::Audio),
        // A model reads it as text, in the one form as in the other.
        "json" if !is_message => Some(text(union.json.get().to_owned()).into()),
        "toolResult" if is_message => union.read::<ToolResult<'_>>()?.read(&union.path)?,
        "reasoningContent" if is_message => read_thought(union.read()?),
        "citationsContent" if is_message => Some(read_cited(union.read()?).into()),
        _ => None,
    })
}

fn opaque(kind: &str, block: &RawValue) -> Part {
    Part::from(Content::Opaque {
        dialect: OWN,
        kind: kind.to_owned(),
        json: Json::of(&block),
    })
}

fn text(text: String) -> Content {
    Content::Text {
        text,
        citations: Vec::new(),
    }
}

/// `cachePoint`, as it is read and written.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct CachePoint<'a> {
    #[serde(borrow)]
    r#type: Cow<'a, str>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    ttl: Option<Cow<'a, str>>,
}

impl CachePoint<'_> {
    /// None if it is of a kind or a time that only Bedrock knows.
    pub fn read(&self) -> Option<Cache> {
        match (self.r#type.as_ref(), self.ttl.as_deref()) {
            ("default", None | Some("5m")) => Some(Cache::Usual),
            ("default", Some("1h")) => Some(Cache::Hour),
            _ => None,
        }
    }
}

impl From<Cache> for CachePoint<'static> {
    fn from(cache: Cache) -> Self {
        Self {
            r#type: Cow::Borrowed("default"),
            ttl: (cache == Cache::Hour).then_some(Cow::Borrowed("1h")),
        }
    }
}

/// Marks the block before; false if there is none that is not marked yet.
fn set_mark(parts: &mut [Part], mark: Cache) -> bool {
    let is_block = |part: &&mut Part| match &part.content {
        Content::Opaque { kind, .. } => !stands_for_block_before(kind),
        _ => true,
    };
    match parts.iter_mut().rev().find(is_block) {
        Some(part) if part.cache.is_none() => {
            part.cache = Some(mark);
            true
        }
        _ => false,
    }
}

#[derive(Deserialize)]
struct Media {
    format: Option<String>,
    source: MediaSource,
    /// Of documents.
    name: Option<String>,
    context: Option<String>,
    citations: Option<Citations>,
}

#[derive(Deserialize)]
struct Citations {
    enabled: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct MediaSource {
    bytes: Option<String>,
    s3_location: Option<S3Location>,
    text: Option<String>,
    content: Option<Vec<Quote>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct S3Location {
    uri: String,
    bucket_owner: Option<String>,
}

impl Media {
    /// None if its source is of a kind that only Bedrock knows.
    fn read(self, medium: Medium) -> Option<Block> {
        let media_type = self
            .format
            .as_deref()
            .map(|format| medium.media_type(format).into_owned());
        let source = self.source;
        let is_plain = self.format.as_deref().is_none_or(|format| format == "txt");
        let (source, rest) = if let Some(data) = source.bytes {
            let media_type = media_type.unwrap_or_else(|| "application/octet-stream".to_owned());
            (Source::Base64 { media_type, data }, None)
        } else if let Some(S3Location { uri, bucket_owner }) = source.s3_location {
            let rest = bucket_owner.map(|_| "s3Location.bucketOwner");
            (
                Source::Url {
                    url: uri,
                    media_type,
                },
                rest,
            )
        } else if let Some(text) = source.text {
            (Source::Text(text), (!is_plain).then_some("document.format"))
        } else {
            let blocks = source.content?;
            let texts: Vec<_> = blocks.into_iter().map(|block| block.text).collect();
            (Source::Text(texts.join("\n")), Some("document.content"))
        };
        let content = match medium {
            Medium::Image => Content::Image {
                source,
                detail: None,
            },
            Medium::Video => Content::Video { source },
            Medium::Audio => Content::Audio { source },
            Medium::Document => Content::Document {
                source,
                name: self.name,
                cite: self.citations.is_some_and(|citations| citations.enabled),
            },
        };
        let context = self.context.map(|_| "document.context");
        Some(Block {
            content,
            rest: context.or(rest),
        })
    }
}

#[derive(Deserialize)]
struct GuardContent {
    text: Option<Quote>,
    image: Option<Media>,
}

impl GuardContent {
    /// What the guardrail shall look at is read by the model, too.
    fn read(self) -> Option<Block> {
        let content = match (self.text, self.image) {
            (Some(block), _) => text(block.text),
            (None, Some(image)) => image.read(Medium::Image)?.content,
            (None, None) => return None,
        };
        Some(Block {
            content,
            rest: Some("guardContent.qualifiers"),
        })
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ToolUse<'a> {
    tool_use_id: String,
    name: String,
    #[serde(borrow)]
    input: Option<&'a RawValue>,
    r#type: Option<String>,
}

impl ToolUse<'_> {
    /// None if Bedrock runs the tool.
    fn read(self, parts: &mut Vec<Part>) -> Option<Part> {
        if self.r#type.is_some_and(|kind| kind != "tool_use") {
            return None;
        }
        Some(Part::from(Content::ToolCall {
            id: self.tool_use_id,
            name: self.name,
            arguments: self.input.map_or("{}", RawValue::get).to_owned(),
            signature: seal_before(parts),
        }))
    }
}

/// Takes another provider's seal on a call from before it, where the writer of answers put it.
fn seal_before(parts: &mut Vec<Part>) -> Option<Signature> {
    let is_seal = |part: &mut Part| match &part.content {
        Content::Thinking(Thinking {
            signature: Some(seal),
            is_redacted: true,
            ..
        }) => seal.origin != SEALS,
        _ => false,
    };
    match parts.pop_if(is_seal)?.content {
        Content::Thinking(thinking) => thinking.signature,
        _ => None,
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ToolResult<'a> {
    tool_use_id: String,
    #[serde(borrow, default)]
    content: Vec<&'a RawValue>,
    status: Option<String>,
    r#type: Option<String>,
}

impl ToolResult<'_> {
    /// None if Bedrock ran the tool.
    fn read(self, path: &str) -> Result<Option<Block>, Error> {
        if self.r#type.is_some() {
            return Ok(None);
        }
        let parts = read(
            &self.content,
            &[path, ".content"].concat(),
            Home::ToolResult,
        )?;
        Ok(Some(Block::from(Content::ToolResult {
            id: self.tool_use_id,
            name: None,
            parts,
            is_error: self.status.as_deref() == Some("error"),
        })))
    }
}

/// None if it is no thought, or one whose seal is no text.
fn read_thought(thought: Thought) -> Option<Block> {
    let thinking = match (thought.reasoning_text, thought.redacted_content) {
        (Some(ThoughtText { text, signature }), _) => Thinking {
            text,
            signature: signature
                .filter(|seal| !seal.is_empty())
                .map(|seal| Signature::read(SEALS, &seal)),
            id: None,
            is_redacted: false,
        },
        (None, blob) => Thinking {
            text: String::new(),
            signature: Some(Signature::read(SEALS, &text_of_blob(&blob?)?)),
            id: None,
            is_redacted: true,
        },
    };
    Some(Content::Thinking(thinking).into())
}

fn read_cited(cited: Cited) -> Content {
    let text: String = cited.content.into_iter().map(|quote| quote.text).collect();
    let span = (0, text.chars().count() as u64);
    let citations = cited.citations.into_iter();
    Content::Text {
        citations: citations
            .map(|json| citation::read(json, Some(span)))
            .collect(),
        text,
    }
}
