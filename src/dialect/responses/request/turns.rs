//! From items to turns.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::json_of;
use crate::dialect::common::{Cache, Content, Part, Role, Signature, Source, Thinking, Turn};
use crate::dialect::responses::fields::{self, Object, Path};
use crate::dialect::responses::output::{CALL_LEAD, REDACTED_LEAD};
use crate::dialect::responses::{CONTENT_LEAD, PARAGRAPH, citation, media};
use crate::dialect::{Dialect, Error};

/// The turns of a request, while its items are read.
///
/// What the model made without a pause (reasoning, messages, calls) is one turn, and so are the outputs of its calls.
/// Every message of anyone else's is a turn of its own.
#[derive(Default)]
pub struct Turns {
    /// Oldest first.
    pub list: Vec<Turn>,
    /// The seal that belongs to the call behind it.
    call_seal: Option<Signature>,
}

impl Turns {
    /// Reads the item at `path`.
    pub fn read(&mut self, raw: &RawValue, path: &Path<'_>) -> Result<(), Error> {
        let item = Object::read(raw, path)?;
        let kind = match item.text("type", path)? {
            Some(kind) => kind,
            None if item.raw("role").is_some() => "message".into(),
            None if item.raw("id").is_some() => "item_reference".into(),
            None => return Err(path.field("type").missing()),
        };
        let call_seal = self.call_seal.take();
        match &*kind {
            "message" => self.message(&item, path)?,
            "function_call" => {
                let arguments = item.needed_text("arguments", path)?.into_owned();
                let call = Content::ToolCall {
                    id: item.needed_text("call_id", path)?.into_owned(),
                    name: item.needed_text("name", path)?.into_owned(),
                    arguments,
                    signature: call_seal,
                };
                self.add(Role::Assistant, call);
            }
            "function_call_output" => {
                let result = Content::ToolResult {
                    id: item.needed_text("call_id", path)?.into_owned(),
                    name: None,
                    parts: read_output(&item, path)?,
                    is_error: false,
                };
                self.add(Role::User, result);
            }
            "reasoning" => {
                let seal = item.text("encrypted_content", path)?;
                let of_call = seal
                    .as_deref()
                    .and_then(|seal| seal.strip_prefix(CALL_LEAD));
                match of_call {
                    Some(seal) => {
                        self.call_seal = Some(Signature::read(Dialect::Responses, seal));
                    }
                    None => {
                        let thinking = read_reasoning(&item, path)?;
                        self.add(Role::Assistant, Content::Thinking(thinking));
                    }
                }
            }
            _ => {
                let role = match is_given(&kind) {
                    true => Role::User,
                    false => Role::Assistant,
                };
                let content = Content::Opaque {
                    dialect: Dialect::Responses,
                    kind: kind.into_owned(),
                    json: json_of(raw),
                };
                self.add(role, content);
            }
        }
        Ok(())
    }

    /// Begins a turn.
    pub fn begin(&mut self, role: Role, parts: Vec<Part>) {
        self.list.push(Turn {
            role,
            parts,
            name: None,
        });
    }

    /// Adds an item that is no message to the turn that it belongs to.
    fn add(&mut self, role: Role, content: Content) {
        let part = Part::from(content);
        match self.list.last_mut() {
            Some(turn) if turn.role == role && role == Role::Assistant => turn.parts.push(part),
            Some(turn) if turn.role == role && is_of_items(turn) => turn.parts.push(part),
            _ => self.begin(role, vec![part]),
        }
    }

    fn message(&mut self, item: &Object<'_>, path: &Path<'_>) -> Result<(), Error> {
        let role = match &*item.needed_text("role", path)? {
            "user" => Role::User,
            "assistant" => Role::Assistant,
            "system" => Role::System,
            "developer" => Role::Developer,
            _ => {
                let roles = "`user`, `assistant`, `system` or `developer`";
                return Err(path.field("role").wrong(roles));
            }
        };
        let at = &path.field("content");
        let content = item.raw("content").ok_or_else(|| at.missing())?;
        let mut parts = read_parts(content, at)?;
        if role != Role::Assistant {
            if !parts.is_empty() {
                self.begin(role, parts);
            }
            return Ok(());
        }
        // An empty message says nothing, and others refuse it.
        parts.retain(|part| *part != Part::text(""));
        match self.list.last_mut() {
            Some(turn) if turn.role == role => turn.parts.append(&mut parts),
            _ if parts.is_empty() => {}
            _ => self.begin(role, parts),
        }
        Ok(())
    }
}

/// Whether the turn is made of items that are no messages.
fn is_of_items(turn: &Turn) -> bool {
    let mut parts = turn.parts.iter();
    parts.all(|part| match &part.content {
        Content::ToolResult { .. } => true,
        Content::Opaque { kind, .. } => !kind.starts_with(CONTENT_LEAD),
        _ => false,
    })
}

/// Whether an item comes from the application rather than from the model.
fn is_given(kind: &str) -> bool {
    kind.ends_with("_output")
        || kind.ends_with("_response")
        || matches!(kind, "item_reference" | "additional_tools")
}

/// Text, or a list of parts.
fn read_parts(raw: &RawValue, path: &Path<'_>) -> Result<Vec<Part>, Error> {
    if !fields::is_list(raw) {
        let fields::Text(text) = fields::value(raw, path, "a string or an array")?;
        return Ok(vec![Part::text(text)]);
    }
    let parts: Vec<&RawValue> = fields::value(raw, path, "an array")?;
    let parts = parts.into_iter().enumerate();
    let read = parts.map(|(index, raw)| read_part(raw, &path.element(index)));
    read.collect()
}

fn read_output(item: &Object<'_>, path: &Path<'_>) -> Result<Vec<Part>, Error> {
    let path = &path.field("output");
    let output = item.raw("output").ok_or_else(|| path.missing())?;
    let parts = read_parts(output, path)?;
    Ok(match parts.is_empty() {
        true => vec![Part::text("")],
        false => parts,
    })
}

fn read_part(raw: &RawValue, path: &Path<'_>) -> Result<Part, Error> {
    let part = Object::read(raw, path)?;
    let kind = part.needed_text("type", path)?;
    let content = match &*kind {
        "input_text" | "output_text" | "text" => {
            let annotations = part.list("annotations", path)?.into_iter();
            Content::Text {
                text: part.needed_text("text", path)?.into_owned(),
                citations: annotations.map(|raw| citation::read(raw, 0)).collect(),
            }
        }
        "refusal" => Content::Refusal(part.needed_text("refusal", path)?.into_owned()),
        "input_image" => Content::Image {
            source: match part.text("image_url", path)? {
                Some(url) => media::from_url(&url),
                None => read_file(part.text("file_id", path)?, &path.field("image_url"))?,
            },
            detail: part.text("detail", path)?.map(Cow::into_owned),
        },
        "input_file" => read_document(&part, path)?,
        "input_audio" => read_audio(&part, path)?,
        _ => Content::Opaque {
            dialect: Dialect::Responses,
            kind: [CONTENT_LEAD, &*kind].concat(),
            json: json_of(raw),
        },
    };
    let cache = match part.raw("prompt_cache_breakpoint") {
        Some(raw) => Some(read_cache(raw, &path.field("prompt_cache_breakpoint"))?),
        None => None,
    };
    Ok(Part { content, cache })
}

fn read_document(part: &Object<'_>, path: &Path<'_>) -> Result<Content, Error> {
    let name = part.text("filename", path)?;
    let data = part.text("file_data", path)?;
    let url = part.text("file_url", path)?;
    let source = match (data, url) {
        (Some(data), _) => media::from_file_data(&data, name.as_deref()),
        (None, Some(url)) => media::from_url(&url),
        (None, None) => read_file(part.text("file_id", path)?, &path.field("file_data"))?,
    };
    Ok(Content::Document {
        source,
        name: name.map(Cow::into_owned),
        cite: false,
    })
}

fn read_audio(part: &Object<'_>, path: &Path<'_>) -> Result<Content, Error> {
    let path = &path.field("input_audio");
    let raw = part.raw("input_audio").ok_or_else(|| path.missing())?;
    let audio = Object::read(raw, path)?;
    let format = audio.needed_text("format", path)?;
    Ok(Content::Audio {
        source: Source::Base64 {
            media_type: ["audio/", &*format].concat(),
            data: audio.needed_text("data", path)?.into_owned(),
        },
    })
}

/// An uploaded file; `path` is the field that would hold the data of one that is not.
fn read_file(id: Option<Cow<'_, str>>, path: &Path<'_>) -> Result<Source, Error> {
    let id = id.ok_or_else(|| path.missing())?;
    Ok(Source::File {
        dialect: Dialect::Responses,
        id: id.into_owned(),
    })
}

fn read_cache(raw: &RawValue, path: &Path<'_>) -> Result<Cache, Error> {
    let mark = Object::read(raw, path)?;
    Ok(match mark.text("ttl", path)?.as_deref() {
        // OpenAI keeps a prompt for half an hour, or for much longer.
        Some("12h") => Cache::Hour,
        _ => Cache::Usual,
    })
}

fn read_reasoning(item: &Object<'_>, path: &Path<'_>) -> Result<Thinking, Error> {
    let content = read_thoughts(item, "content", path)?;
    let text = match content.is_empty() {
        true => read_thoughts(item, "summary", path)?,
        false => content,
    };
    let seal = item.text("encrypted_content", path)?;
    let seal = seal.filter(|seal| !seal.is_empty());
    let hidden = seal
        .as_deref()
        .and_then(|seal| seal.strip_prefix(REDACTED_LEAD));
    Ok(Thinking {
        text,
        signature: hidden
            .or(seal.as_deref())
            .map(|seal| Signature::read(Dialect::Responses, seal)),
        id: item.text("id", path)?.map(Cow::into_owned),
        is_redacted: hidden.is_some(),
    })
}

fn read_thoughts(item: &Object<'_>, name: &str, path: &Path<'_>) -> Result<String, Error> {
    let parts = item.list(name, path)?.into_iter().enumerate();
    let path = &path.field(name);
    let texts = parts.map(|(index, raw)| {
        let path = &path.element(index);
        Object::read(raw, path)?.needed_text("text", path)
    });
    let texts: Vec<Cow<'_, str>> = texts.collect::<Result<_, _>>()?;
    Ok(texts.join(PARAGRAPH))
}
