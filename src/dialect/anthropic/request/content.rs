//! Content blocks of a caller's request, read.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::dialect::anthropic::wire::{CacheControl, Object, TextOr};
use crate::dialect::anthropic::{OWN, citation};
use crate::dialect::common::{Content, Json, Part, Signature, Source, Thinking};
use crate::dialect::field::{missing, parse};
use crate::dialect::{Error, scan};

/// Where blocks stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Home {
    Message,
    /// Inside a tool's result, where no further result may stand: so nothing nests deeper.
    ToolResult,
}

/// Under this and a name, a field of a message's own is an opaque part of it.
pub(super) const MESSAGE_FIELD: &str = "messages.";

/// Reads `content`, which stands at `path`.
pub(super) fn read(content: TextOr<'_>, path: &str, home: Home) -> Result<Vec<Part>, Error> {
    let blocks = match content {
        TextOr::Text(text) => return Ok(vec![Part::text(text)]),
        TextOr::List(blocks) => blocks,
    };
    let mut parts = Vec::with_capacity(blocks.len());
    for (index, block) in blocks.into_iter().enumerate() {
        read_block(block, &format!("{path}[{index}]"), home, &mut parts)?;
    }
    Ok(parts)
}

/// What a message says beside its role and content.
pub(super) fn own_fields(message: Object<'_>) -> impl Iterator<Item = Part> {
    message.rest().map(|(name, json)| {
        Part::from(Content::Opaque {
            dialect: OWN,
            kind: [MESSAGE_FIELD, &name].concat(),
            json,
        })
    })
}

fn read_block(
    block: &RawValue,
    path: &str,
    home: Home,
    parts: &mut Vec<Part>,
) -> Result<(), Error> {
    #[derive(Deserialize)]
    struct Tagged {
        r#type: String,
    }
    let json = block.get();
    let tag = json
        .starts_with('{')
        .then(|| scan::member(json.as_bytes(), "type"));
    let kind = match tag.flatten() {
        // A name without escapes, less its quotes.
        Some([b'"', name @ .., b'"']) if !name.contains(&b'\\') => {
            String::from_utf8_lossy(name).into_owned()
        }
        _ => parse::<Tagged>(json, path)?.r#type,
    };
    let part = match (kind.as_str(), home) {
        ("text", _) => parse::<TextBlock>(json, path)?.read(),
        ("image", _) => parse::<ImageBlock<'_>>(json, path)?.read(path)?,
        ("document", _) => parse::<DocumentBlock<'_>>(json, path)?.read(path, parts)?,
        ("thinking", Home::Message) => Some(parse::<ThinkingBlock>(json, path)?.read()),
        ("redacted_thinking", Home::Message) => Some(parse::<RedactedBlock>(json, path)?.read()),
        ("tool_use", Home::Message) => parse::<ToolUseBlock<'_>>(json, path)?.read(parts),
        ("tool_result", Home::Message) => {
            Some(parse::<ToolResultBlock<'_>>(json, path)?.read(path)?)
        }
        _ => None,
    };
    parts.push(part.unwrap_or_else(|| {
        Part::from(Content::Opaque {
            dialect: OWN,
            kind,
            json: Json::of(&block),
        })
    }));
    Ok(())
}

#[derive(Deserialize)]
struct TextBlock {
    text: String,
    citations: Option<Vec<Json>>,
    cache_control: Option<CacheControl>,
}

impl TextBlock {
    fn read(self) -> Option<Part> {
        let citations = self.citations.unwrap_or_default();
        let citations = citations.into_iter().map(|json| citation::read(json, None));
        Some(Part {
            content: Content::Text {
                text: self.text,
                citations: citations.collect(),
            },
            cache: self.cache_control.map(Into::into),
        })
    }
}

#[derive(Deserialize)]
struct ImageBlock<'a> {
    #[serde(borrow)]
    source: MediaSource<'a>,
    cache_control: Option<CacheControl>,
}

impl ImageBlock<'_> {
    fn read(self, path: &str) -> Result<Option<Part>, Error> {
        let source = self.source.read(&format!("{path}.source"))?;
        Ok(source.map(|source| Part {
            content: Content::Image {
                source,
                detail: None,
            },
            cache: self.cache_control.map(Into::into),
        }))
    }
}

#[derive(Deserialize)]
struct DocumentBlock<'a> {
    #[serde(borrow)]
    source: MediaSource<'a>,
    title: Option<String>,
    context: Option<String>,
    citations: Option<DocumentCitations>,
    cache_control: Option<CacheControl>,
}

#[derive(Deserialize)]
struct DocumentCitations {
    #[serde(default)]
    enabled: bool,
}

impl DocumentBlock<'_> {
    /// The context, which tells the model of the document and is not cited, goes before it as a text.
    fn read(self, path: &str, parts: &mut Vec<Part>) -> Result<Option<Part>, Error> {
        let Some(source) = self.source.read(&format!("{path}.source"))? else {
            return Ok(None);
        };
        parts.extend(self.context.map(Part::text));
        Ok(Some(Part {
            content: Content::Document {
                source,
                name: self.title,
                cite: self.citations.is_some_and(|citations| citations.enabled),
            },
            cache: self.cache_control.map(Into::into),
        }))
    }
}

#[derive(Deserialize)]
struct MediaSource<'a> {
    r#type: String,
    media_type: Option<String>,
    data: Option<String>,
    url: Option<String>,
    file_id: Option<String>,
    #[serde(borrow)]
    content: Option<TextOr<'a>>,
}

impl MediaSource<'_> {
    /// None if it is of a type that only Anthropic knows.
    fn read(self, path: &str) -> Result<Option<Source>, Error> {
        let field = |name: &str, value: Option<String>| {
            value.ok_or_else(|| missing(&[path, ".", name].concat()))
        };
        Ok(Some(match self.r#type.as_str() {
            "base64" => Source::Base64 {
                media_type: field("media_type", self.media_type)?,
                data: field("data", self.data)?,
            },
            "url" => Source::Url {
                url: field("url", self.url)?,
                media_type: None,
            },
            "file" => Source::File {
                dialect: OWN,
                id: field("file_id", self.file_id)?,
            },
            "text" => Source::Text(field("data", self.data)?),
            "content" => match self.content {
                Some(TextOr::Text(text)) => Source::Text(text),
                // What a citation names is the block, so blocks are not put together.
                _ => return Ok(None),
            },
            _ => return Ok(None),
        }))
    }
}

#[derive(Deserialize)]
struct ThinkingBlock {
    thinking: String,
    #[serde(default)]
    signature: String,
}

impl ThinkingBlock {
    fn read(self) -> Part {
        // Thoughts that came without a seal are shown with an empty one.
        let has_seal = !self.signature.is_empty();
        Part::from(Content::Thinking(Thinking {
            text: self.thinking,
            signature: has_seal.then(|| Signature::read(OWN, &self.signature)),
            id: None,
            is_redacted: false,
        }))
    }
}

#[derive(Deserialize)]
struct RedactedBlock {
    data: String,
}

impl RedactedBlock {
    fn read(self) -> Part {
        Part::from(Content::Thinking(Thinking {
            text: String::new(),
            signature: Some(Signature::read(OWN, &self.data)),
            id: None,
            is_redacted: true,
        }))
    }
}

#[derive(Deserialize)]
struct ToolUseBlock<'a> {
    id: String,
    name: String,
    #[serde(borrow)]
    input: Option<&'a RawValue>,
    caller: Option<Caller>,
    cache_control: Option<CacheControl>,
}

#[derive(Deserialize)]
struct Caller {
    r#type: String,
}

impl ToolUseBlock<'_> {
    /// None if a tool that Anthropic runs has called it: only Anthropic can go on from there.
    fn read(self, parts: &mut Vec<Part>) -> Option<Part> {
        if self.caller.is_some_and(|caller| caller.r#type != "direct") {
            return None;
        }
        Some(Part {
            content: Content::ToolCall {
                id: self.id,
                name: self.name,
                arguments: self.input.map_or("{}", RawValue::get).to_owned(),
                signature: seal_before(parts),
            },
            cache: self.cache_control.map(Into::into),
        })
    }
}

/// Takes the foreign seal of a call from before it, where the writer of answers put it.
fn seal_before(parts: &mut Vec<Part>) -> Option<Signature> {
    let is_seal = |part: &mut Part| match &part.content {
        Content::Thinking(thinking) => {
            let is_foreign = thinking
                .signature
                .as_ref()
                .is_some_and(|seal| seal.origin != OWN);
            thinking.is_redacted && is_foreign
        }
        _ => false,
    };
    match parts.pop_if(is_seal)?.content {
        Content::Thinking(thinking) => thinking.signature,
        _ => None,
    }
}

#[derive(Deserialize)]
struct ToolResultBlock<'a> {
    tool_use_id: String,
    #[serde(borrow)]
    content: Option<TextOr<'a>>,
    is_error: Option<bool>,
    cache_control: Option<CacheControl>,
}

impl ToolResultBlock<'_> {
    fn read(self, path: &str) -> Result<Part, Error> {
        let parts = match self.content {
            None => Vec::new(),
            Some(content) => read(content, &format!("{path}.content"), Home::ToolResult)?,
        };
        Ok(Part {
            content: Content::ToolResult {
                id: self.tool_use_id,
                name: None,
                parts,
                is_error: self.is_error.unwrap_or(false),
            },
            cache: self.cache_control.map(Into::into),
        })
    }
}
