//! A caller's messages, read.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::parts::{self, Place};
use crate::dialect::chat::thoughts::Detail;
use crate::dialect::chat::wire::{
    Arguments, CacheControl, Content as WireContent, ExtraContent, Members,
};
use crate::dialect::chat::{CUSTOM_CALL, MESSAGE_FIELD, answer};
use crate::dialect::common::{Content, Json, Part, Role, Signature, Thinking, Turn};
use crate::dialect::field::{missing, parse};
use crate::dialect::{Dialect, Error};

/// A message as it stands in the body.
#[derive(Deserialize)]
pub(super) struct Message<'a> {
    role: String,
    #[serde(borrow)]
    content: Option<WireContent<'a>>,
    name: Option<String>,
    refusal: Option<String>,
    reasoning_content: Option<String>,
    reasoning: Option<String>,
    reasoning_details: Option<Vec<Detail<'static>>>,
    annotations: Option<Vec<Json>>,
    images: Option<Vec<Json>>,
    #[serde(borrow)]
    tool_calls: Option<Vec<&'a RawValue>>,
    function_call: Option<FunctionCall>,
    tool_call_id: Option<String>,
    extra_content: Option<ExtraContent>,
    /// Of the whole message, as some clients write it.
    cache_control: Option<CacheControl>,
    #[serde(flatten)]
    rest: Members,
}

#[derive(Deserialize)]
struct FunctionCall {
    #[serde(default)]
    name: String,
    #[serde(default)]
    arguments: Arguments,
}

/// The turns that messages make. Results of tools that follow each other are one turn.
pub(super) fn read(messages: Vec<Message<'_>>) -> Result<Vec<Turn>, Error> {
    let mut turns: Vec<Turn> = Vec::with_capacity(messages.len());
    let mut is_results = false;
    for (index, message) in messages.into_iter().enumerate() {
        let place = Place::of(index);
        let was_results = std::mem::take(&mut is_results);
        let role = match message.role.as_str() {
            "system" => Role::System,
            "developer" => Role::Developer,
            "user" => Role::User,
            "assistant" => Role::Assistant,
            "tool" | "function" => {
                let part = read_result(message, place)?;
                match turns.last_mut() {
                    Some(turn) if was_results => turn.parts.push(part),
                    _ => turns.push(turn(Role::User, vec![part], None)),
                }
                is_results = true;
                continue;
            }
            _ => {
                let message = "must be system, developer, user, assistant or tool";
                return Err(place.invalid("role", message));
            }
        };
        let mut message = message;
        let name = message.name.take();
        let mark = message.cache_control.take();
        let mut parts = message.read_parts(role, place)?;
        if let (Some(mark), Some(last)) = (mark, parts.last_mut()) {
            last.cache.get_or_insert(mark.into());
        }
        turns.push(turn(role, parts, name));
    }
    Ok(turns)
}

fn turn(role: Role, parts: Vec<Part>, name: Option<String>) -> Turn {
    Turn { role, parts, name }
}

/// A message of the role `tool`, or of `function`, which came before it and names no call.
fn read_result(message: Message<'_>, place: Place) -> Result<Part, Error> {
    let id = match (message.tool_call_id, message.role.as_str(), &message.name) {
        (Some(id), ..) => id,
        (None, "function", Some(name)) => function_call_id(name),
        (None, "function", None) => return Err(place.missing("name")),
        (None, ..) => return Err(place.missing("tool_call_id")),
    };
    let mut parts = Vec::new();
    read_content(message.content, place, &mut parts)?;
    // A mark on the result's last text is a mark on the result.
    let cache = parts
        .last_mut()
        .and_then(|part: &mut Part| part.cache.take());
    let cache = message.cache_control.map(Into::into).or(cache);
    let content = Content::ToolResult {
        id,
        name: message.name,
        parts,
        is_error: false,
    };
    Ok(Part { content, cache })
}

/// Ties a legacy `function` message to the `function_call` before it: both have but the name.
fn function_call_id(name: &str) -> String {
    crate::dialect::common::derived_call_id(name, 0)
}

impl Message<'_> {
    fn read_parts(self, role: Role, place: Place) -> Result<Vec<Part>, Error> {
        let mut parts = Vec::new();
        if role == Role::Assistant {
            let plain = self.reasoning_content.or(self.reasoning);
            read_thoughts(plain, self.reasoning_details, &mut parts);
            if let Some(seal) = self.extra_content.and_then(ExtraContent::seal) {
                seal_thought(&seal, &mut parts);
            }
        }
        read_content(self.content, place, &mut parts)?;
        if let Some(text) = self.refusal.filter(|text| !text.is_empty()) {
            parts.push(Content::Refusal(text).into());
        }
        let annotations = self.annotations.into_iter().flatten();
        cite(annotations, &mut parts);
        for image in self.images.into_iter().flatten() {
            parts.extend(answer::read_image(image).map(Part::from));
        }
        for (number, raw) in self.tool_calls.into_iter().flatten().enumerate() {
            parts.push(read_call(raw, place, number)?.into());
        }
        if let Some(call) = self.function_call {
            let id = function_call_id(&call.name);
            parts.push(tool_call(id, call, None).into());
        }
        for (name, json) in self.rest.0 {
            // A switch that is off says nothing.
            if !matches!(json.as_str(), "null" | "false" | "[]") {
                let kind = [MESSAGE_FIELD, &name].concat();
                let dialect = Dialect::Chat;
                parts.push(
                    Content::Opaque {
                        dialect,
                        kind,
                        json,
                    }
                    .into(),
                );
            }
        }
        Ok(parts)
    }
}

fn read_content(
    content: Option<WireContent<'_>>,
    place: Place,
    parts: &mut Vec<Part>,
) -> Result<(), Error> {
    match content {
        None => {}
        Some(WireContent::Text(text)) if text.is_empty() => {}
        Some(WireContent::Text(text)) => parts.push(Part::text(text)),
        Some(WireContent::Parts(list)) => {
            for (number, raw) in list.into_iter().enumerate() {
                parts.extend(parts::read(raw, place.part(number))?);
            }
        }
    }
    Ok(())
}

/// The thoughts of an assistant's message: the entries where there are some, which hold all of them, else the text.
fn read_thoughts(
    plain: Option<String>,
    details: Option<Vec<Detail<'static>>>,
    parts: &mut Vec<Part>,
) {
    for mut detail in details.into_iter().flatten() {
        let text = detail.take_text();
        if !text.is_empty() {
            match parts.last_mut().map(|part| &mut part.content) {
                Some(Content::Thinking(open)) if open.signature.is_none() => {
                    open.text.push_str(&text);
                }
                _ => parts.push(thought(text)),
            }
        }
        let seal = detail.seal();
        let seal = seal.or_else(|| detail.summary_seal().map(|signature| (signature, false)));
        let Some((signature, is_redacted)) = seal else {
            continue;
        };
        let id = detail.id.map(std::borrow::Cow::into_owned);
        match parts.last_mut().map(|part| &mut part.content) {
            Some(Content::Thinking(open)) if open.signature.is_none() && !is_redacted => {
                open.signature = Some(signature);
                open.id = id;
            }
            _ => parts.push(
                Content::Thinking(Thinking {
                    text: String::new(),
                    signature: Some(signature),
                    id,
                    is_redacted,
                })
                .into(),
            ),
        }
    }
    if parts.is_empty()
        && let Some(text) = plain.filter(|text| !text.is_empty())
    {
        parts.push(thought(text));
    }
}

fn thought(text: String) -> Part {
    let thinking = Thinking {
        text,
        ..Thinking::default()
    };
    Content::Thinking(thinking).into()
}

/// Google's seal on a message: on the thought before it, or on one that is hidden.
fn seal_thought(seal: &str, parts: &mut Vec<Part>) {
    let signature = Some(Signature::read(Dialect::Gemini, seal));
    match parts.last_mut().map(|part| &mut part.content) {
        Some(Content::Thinking(open)) if open.signature.is_none() => open.signature = signature,
        _ => {
            let thinking = Thinking {
                signature,
                ..Thinking::default()
            };
            parts.push(Content::Thinking(thinking).into());
        }
    }
}

/// Gives the message's text its sources.
fn cite(annotations: impl Iterator<Item = Json>, parts: &mut [Part]) {
    let texts = parts
        .iter_mut()
        .rev()
        .find_map(|part| match &mut part.content {
            Content::Text { citations, .. } => Some(citations),
            _ => None,
        });
    if let Some(citations) = texts {
        citations.extend(annotations.map(answer::read_citation));
    }
}

fn read_call(raw: &RawValue, place: Place, number: usize) -> Result<Content, Error> {
    #[derive(Deserialize)]
    struct Call {
        #[serde(default)]
        id: String,
        #[serde(rename = "type")]
        kind: Option<String>,
        function: Option<FunctionCall>,
        extra_content: Option<ExtraContent>,
    }
    let path = place.field(&format!("tool_calls[{number}]"));
    let call: Call = parse(raw.get(), &path)?;
    match (call.kind.as_deref(), call.function) {
        (None | Some("function"), Some(function)) => {
            let seal = call.extra_content.and_then(ExtraContent::seal);
            let signature = seal.map(|seal| Signature::read(Dialect::Gemini, &seal));
            Ok(tool_call(call.id, function, signature))
        }
        (None | Some("function"), None) => Err(missing(&format!("{path}.function"))),
        (Some(_), _) => Ok(Content::Opaque {
            dialect: Dialect::Chat,
            kind: CUSTOM_CALL.to_owned(),
            json: parse(raw.get(), &path)?,
        }),
    }
}

fn tool_call(id: String, call: FunctionCall, signature: Option<Signature>) -> Content {
    Content::ToolCall {
        id,
        name: call.name,
        arguments: call.arguments.0,
        signature,
    }
}
