//! A caller's messages, read.

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::dialect::cohere::citation;
use crate::dialect::cohere::wire::{Block, ImageUrl, Texts, ToolCall};
use crate::dialect::common::{Citation, Content, Json, Part, Role, Source, Thinking, Turn};
use crate::dialect::field::{missing, parse};
use crate::dialect::{Dialect, Error};

/// The turns that messages make. Results of tools that follow each other are one turn.
pub(super) fn read(json: &str) -> Result<Vec<Turn>, Error> {
    let messages: Vec<Message<'_>> = parse(json, "messages")?;
    let mut turns: Vec<Turn> = Vec::with_capacity(messages.len());
    let mut is_results = false;
    for (index, message) in messages.into_iter().enumerate() {
        let path = format!("messages[{index}]");
        let was_results = std::mem::take(&mut is_results);
        let (role, parts) = match message.role.as_str() {
            "system" => (Role::System, message.read_said(&path)?),
            "developer" => (Role::Developer, message.read_said(&path)?),
            "user" => (Role::User, message.read_said(&path)?),
            "assistant" => (Role::Assistant, message.read_assistant(&path)?),
            "tool" => {
                is_results = true;
                (Role::User, vec![message.read_result(&path)?])
            }
            _ => {
                let path = format!("{path}.role");
                let message = format!("`{path}` must be system, user, assistant or tool");
                return Err(Error::invalid(&path, message));
            }
        };
        match turns.last_mut() {
            Some(turn) if was_results && is_results => turn.parts.extend(parts),
            _ => turns.push(Turn {
                role,
                parts,
                name: None,
            }),
        }
    }
    Ok(turns)
}

#[derive(Deserialize)]
struct Message<'a> {
    role: String,
    #[serde(borrow)]
    content: Option<Texts<'a>>,
    tool_plan: Option<String>,
    tool_calls: Option<Vec<ToolCall>>,
    #[serde(borrow)]
    citations: Option<Vec<&'a RawValue>>,
    tool_call_id: Option<String>,
}

impl Message<'_> {
    fn read_said(self, path: &str) -> Result<Vec<Part>, Error> {
        let path = format!("{path}.content");
        match self.content {
            None => Err(missing(&path)),
            Some(content) => read_content(content, &path),
        }
    }

    /// What is said stands before the plan, and the plan before the calls.
    fn read_assistant(self, path: &str) -> Result<Vec<Part>, Error> {
        let mut parts = match self.content {
            None => Vec::new(),
            Some(Texts::One(text)) if text.is_empty() => Vec::new(),
            Some(content) => read_content(content, &format!("{path}.content"))?,
        };
        for (index, raw) in self.citations.into_iter().flatten().enumerate() {
            match citation::read(raw) {
                Ok(citation::Read::OfText { citation, block }) => {
                    add_citation(citation, block, &mut parts);
                }
                Ok(citation::Read::OfOther(content)) => parts.push(content.into()),
                Err(_) => {
                    let path = format!("{path}.citations[{index}]");
                    let message = format!("`{path}` must be a citation");
                    return Err(Error::invalid(&path, message));
                }
            }
        }
        if let Some(text) = self.tool_plan.filter(|plan| !plan.is_empty()) {
            let thinking = Thinking {
                text,
                ..Thinking::default()
            };
            parts.push(Content::Thinking(thinking).into());
        }
        let calls = self.tool_calls.into_iter().flatten();
        parts.extend(calls.map(|call| Part::from(Content::from(call))));
        Ok(parts)
    }

    fn read_result(self, path: &str) -> Result<Part, Error> {
        let call = format!("{path}.tool_call_id");
        let id = self.tool_call_id.ok_or_else(|| missing(&call))?;
        let path = format!("{path}.content");
        let parts = match self.content {
            None => return Err(missing(&path)),
            Some(content) => read_content(content, &path)?,
        };
        let result = Content::ToolResult {
            id,
            name: None,
            parts,
            is_error: false,
        };
        Ok(result.into())
    }
}

/// Adds a citation to the text that it belongs to: that of its block, or the last one.
fn add_citation(citation: Citation, block: Option<u64>, parts: &mut Vec<Part>) {
    let is_text = |part: &Part| matches!(part.content, Content::Text { .. });
    let place = block
        .and_then(|block| usize::try_from(block).ok())
        .filter(|block| parts.get(*block).is_some_and(is_text))
        .or_else(|| parts.iter().rposition(is_text));
    let part = match place {
        Some(place) => &mut parts[place],
        None => {
            parts.push(Part::text(""));
            let last = parts.len() - 1;
            &mut parts[last]
        }
    };
    if let Content::Text { citations, .. } = &mut part.content {
        citations.push(citation);
    }
}

fn read_content(content: Texts<'_>, path: &str) -> Result<Vec<Part>, Error> {
    let blocks = match content {
        Texts::One(text) => return Ok(vec![Part::text(text)]),
        Texts::Blocks(blocks) => blocks,
    };
    let read = |(index, raw): (usize, &&RawValue)| {
        let path = format!("{path}[{index}]");
        read_block(raw.get(), &path).map(Part::from)
    };
    blocks.iter().enumerate().map(read).collect()
}

fn read_block(json: &str, path: &str) -> Result<Content, Error> {
    let missing = |name: &str| missing(&format!("{path}.{name}"));
    let block: Block<'_> = parse(json, path)?;
    match block.kind.as_ref() {
        "" => Err(missing("type")),
        "text" => Ok(Content::Text {
            text: block.text.ok_or_else(|| missing("text"))?,
            citations: Vec::new(),
        }),
        "thinking" => Ok(Content::Thinking(block.into_thinking())),
        "image_url" => Ok(image(block.image_url.ok_or_else(|| missing("image_url"))?)),
        "document" => {
            let document = block.document.ok_or_else(|| missing("document"))?;
            let text = document_text(document.get(), &format!("{path}.document"))?;
            Ok(Part::text(text).content)
        }
        kind => Ok(Content::Opaque {
            dialect: Dialect::Cohere,
            kind: kind.to_owned(),
            json: parse(json, path)?,
        }),
    }
}

fn image(image: ImageUrl) -> Content {
    let data = image
        .url
        .strip_prefix("data:")
        .and_then(|rest| rest.split_once(";base64,"));
    let source = match data {
        Some((media_type, data)) => Source::Base64 {
            media_type: media_type.to_owned(),
            data: data.to_owned(),
        },
        None => Source::Url {
            url: image.url,
            media_type: None,
        },
    };
    Content::Image {
        source,
        detail: image.detail,
    }
}

/// The text of a tool's document. A document of one text is that text; any other is its JSON, which says all that it
/// has, its id included, to any model.
fn document_text(json: &str, path: &str) -> Result<String, Error> {
    #[derive(Deserialize)]
    struct Document {
        id: Option<Json>,
        data: Option<Map<String, Value>>,
    }

    let document: Document = parse(json, path)?;
    let mut data = document.data.unwrap_or_default().into_iter();
    match (document.id, data.next(), data.next()) {
        (None, Some((_, Value::String(text))), None) => Ok(text),
        _ => Ok(json.to_owned()),
    }
}
