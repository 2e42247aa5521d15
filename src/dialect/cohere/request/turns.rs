//! Turns, written as messages.

use std::borrow::Cow;

use serde::Serialize;

use crate::dialect::Dialect;
use crate::dialect::cohere::citation;
use crate::dialect::cohere::wire::{
    KnownBlock, NO_ARGUMENTS, Seal, WrittenBlock, WrittenCall, WrittenImageUrl,
};
use crate::dialect::common::{
    Citation, Content, Dropped, Feature, Json, Part, Request, Role, Source, Thinking, Turn,
};

#[derive(Serialize)]
pub(super) struct WrittenMessage<'a> {
    role: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_call_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<WrittenContent<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_plan: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tool_calls: Vec<WrittenCall<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    citations: Vec<&'a Json>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum WrittenContent<'a> {
    Text(Cow<'a, str>),
    Blocks(Vec<WrittenBlock<'a>>),
}

impl<'a> From<Vec<WrittenBlock<'a>>> for WrittenContent<'a> {
    /// A single text stands for itself, and nothing is an empty text.
    fn from(mut blocks: Vec<WrittenBlock<'a>>) -> Self {
        match (blocks.pop(), blocks.len()) {
            (None, _) => Self::Text(Cow::Borrowed("")),
            (Some(WrittenBlock::Known(KnownBlock::Text { text })), 0) => Self::Text(text),
            (Some(block), _) => {
                blocks.push(block);
                Self::Blocks(blocks)
            }
        }
    }
}

/// Writes the turns. Each is written without a look at those behind it, so that a conversation that goes on begins with
/// the same bytes.
pub(super) fn written<'a>(request: &'a Request, dropped: &mut Dropped) -> Vec<WrittenMessage<'a>> {
    let mut messages = Vec::with_capacity(request.turns.len());
    for turn in &request.turns {
        match turn.role {
            Role::System | Role::Developer => {
                let blocks = blocks(&turn.parts, false, dropped);
                messages.push(said("system", blocks));
            }
            Role::User => write_user(turn, &mut messages, dropped),
            Role::Assistant => messages.push(assistant(turn, dropped)),
        }
    }
    messages
}

fn said<'a>(role: &'static str, blocks: Vec<WrittenBlock<'a>>) -> WrittenMessage<'a> {
    WrittenMessage {
        role,
        tool_call_id: None,
        content: Some(blocks.into()),
        tool_plan: None,
        tool_calls: Vec::new(),
        citations: Vec::new(),
    }
}

/// Results of tools come first, each in a message of its own, since they must follow the calls; then, in one message, the
/// pictures among them, which a tool's message cannot hold, and what else the turn says.
fn write_user<'a>(turn: &'a Turn, messages: &mut Vec<WrittenMessage<'a>>, dropped: &mut Dropped) {
    let mut pictures = Vec::new();
    let mut has_results = false;
    for part in &turn.parts {
        let Content::ToolResult {
            id,
            parts,
            is_error,
            ..
        } = &part.content
        else {
            continue;
        };
        has_results = true;
        let (media, texts): (Vec<_>, Vec<_>) = parts
            .iter()
            .filter_map(|part| block(&part.content, true, dropped))
            .partition(|block| matches!(block, WrittenBlock::Known(KnownBlock::ImageUrl { .. })));
        pictures.extend(media);
        messages.push(WrittenMessage {
            tool_call_id: Some(id),
            ..said("tool", marked(texts, *is_error))
        });
    }
    let mut blocks = blocks(&turn.parts, true, dropped);
    blocks.splice(0..0, pictures);
    if !blocks.is_empty() || !has_results {
        messages.push(said("user", blocks));
    }
}

/// The texts of a tool's result. That it failed stands before them.
fn marked(mut texts: Vec<WrittenBlock<'_>>, is_error: bool) -> Vec<WrittenBlock<'_>> {
    if !is_error {
        return texts;
    }
    let lead = "Error: ";
    match texts.first_mut() {
        Some(WrittenBlock::Known(KnownBlock::Text { text })) => {
            *text = Cow::Owned([lead, text].concat())
        }
        _ => texts.insert(0, text(Cow::Borrowed(lead))),
    }
    texts
}

/// An assistant's message. A thought right before the first call is the plan for it; others are blocks.
fn assistant<'a>(turn: &'a Turn, dropped: &mut Dropped) -> WrittenMessage<'a> {
    let is_call = |part: &Part| matches!(part.content, Content::ToolCall { .. });
    let first_call = turn.parts.iter().position(is_call);
    let plan = first_call.and_then(|call| call.checked_sub(1));
    let mut message = said("assistant", Vec::new());
    let mut blocks = Vec::new();
    for (index, part) in turn.parts.iter().enumerate() {
        match &part.content {
            Content::Thinking(thinking) => {
                if is_foreign(thinking) {
                    dropped.note(Feature::Thinking);
                } else if plan == Some(index) && !thinking.text.is_empty() {
                    message.tool_plan = Some(&thinking.text);
                } else if !thinking.text.is_empty() {
                    blocks.push(WrittenBlock::Known(KnownBlock::Thinking {
                        thinking: &thinking.text,
                        seal: Seal::default(),
                    }));
                }
            }
            Content::ToolCall {
                id,
                name,
                arguments,
                ..
            } => {
                let arguments = match arguments.as_str() {
                    "" => NO_ARGUMENTS,
                    arguments => arguments,
                };
                message
                    .tool_calls
                    .push(WrittenCall::new(id, name, arguments));
            }
            Content::Opaque {
                dialect: Dialect::Cohere,
                kind,
                json,
            } if kind == citation::KIND => message.citations.push(json),
            content => {
                if let Content::Text { citations, .. } = content {
                    add_citations(citations, &mut message, dropped);
                }
                blocks.extend(block(content, false, dropped));
            }
        }
    }
    let is_silent = blocks.is_empty() && !message.tool_calls.is_empty();
    message.content = (!is_silent).then(|| blocks.into());
    message
}

fn add_citations<'a>(
    citations: &'a [Citation],
    message: &mut WrittenMessage<'a>,
    dropped: &mut Dropped,
) {
    for citation in citations {
        match citation.origin {
            Dialect::Cohere => message.citations.push(&citation.json),
            _ => dropped.note(Feature::Citations),
        }
    }
}

/// A thought that another provider sealed is of no use without its seal.
fn is_foreign(thinking: &Thinking) -> bool {
    let signature = thinking.signature.as_ref();
    signature.is_some_and(|signature| signature.sent_to(Dialect::Cohere).is_none())
}

fn blocks<'a>(
    parts: &'a [Part],
    takes_pictures: bool,
    dropped: &mut Dropped,
) -> Vec<WrittenBlock<'a>> {
    parts
        .iter()
        .filter_map(|part| block(&part.content, takes_pictures, dropped))
        .collect()
}

/// A block of a message, if Cohere has one for it; else it is noted, here or where all that Cohere never carries is.
fn block<'a>(
    content: &'a Content,
    takes_pictures: bool,
    dropped: &mut Dropped,
) -> Option<WrittenBlock<'a>> {
    match content {
        Content::Text { text: said, .. } => Some(text(Cow::Borrowed(said))),
        Content::Refusal(said) => Some(text(Cow::Borrowed(said))),
        Content::Document {
            source: Source::Text(said),
            name,
            ..
        } => Some(text(match name {
            Some(name) => Cow::Owned([name, "\n\n", said].concat()),
            None => Cow::Borrowed(said),
        })),
        Content::Image { source, detail } => {
            let url = match source {
                Source::Base64 { media_type, data } => {
                    Cow::Owned(["data:", media_type, ";base64,", data].concat())
                }
                Source::Url { url, .. } if is_plain(url) => Cow::Borrowed(url.as_str()),
                Source::Url { .. } => {
                    dropped.note(Feature::ImageUrl);
                    return None;
                }
                Source::Text(_) => {
                    dropped.note(Feature::ImageData);
                    return None;
                }
                Source::File { .. } => return None,
            };
            if !takes_pictures {
                dropped.note(match source {
                    Source::Url { .. } => Feature::ImageUrl,
                    _ => Feature::ImageData,
                });
                return None;
            }
            Some(WrittenBlock::Known(KnownBlock::ImageUrl {
                image_url: WrittenImageUrl {
                    url,
                    detail: detail.as_deref(),
                },
            }))
        }
        Content::Opaque {
            dialect: Dialect::Cohere,
            json,
            ..
        } => Some(WrittenBlock::Other(json)),
        Content::Thinking(_) => {
            dropped.note(Feature::Thinking);
            None
        }
        _ => None,
    }
}

fn text(text: Cow<'_, str>) -> WrittenBlock<'_> {
    WrittenBlock::Known(KnownBlock::Text { text })
}

/// Whether a URL is one that Cohere fetches. Its own callers' others are theirs.
fn is_plain(url: &str) -> bool {
    ["https:", "http:", "data:"]
        .iter()
        .any(|scheme| url.starts_with(scheme))
}
