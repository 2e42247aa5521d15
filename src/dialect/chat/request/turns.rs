//! Turns, written as a provider's messages.

use std::borrow::Cow;

use serde::Serialize;

use super::blocks::{self, Block, WireContent};
use super::write::Target;
use crate::dialect::Dialect;
use crate::dialect::accent::Thoughts;
use crate::dialect::chat::answer::{WireCall, WireImage};
use crate::dialect::chat::carries::seals_of;
use crate::dialect::chat::thoughts::Detail;
use crate::dialect::chat::wire::{ExtraContent, Fields};
use crate::dialect::chat::{CUSTOM_CALL, MESSAGE_FIELD};
use crate::dialect::common::{
    Citation, Content, Dropped, Feature, Format, Json, Part, Request, Role, Signature, Thinking,
    Turn, fitted_id,
};

/// A message as it is sent.
#[derive(Default, Serialize)]
pub(super) struct WireMessage<'a> {
    role: &'static str,
    content: Option<WireContent<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refusal: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_content: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    reasoning_details: Vec<Detail<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    annotations: Vec<&'a Json>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    images: Vec<WireImage>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tool_calls: Vec<WireCall<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_call_id: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    extra_content: Option<ExtraContent>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prefix: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub partial: Option<bool>,
    #[serde(flatten)]
    fields: Fields<'a>,
}

impl WireMessage<'_> {
    /// Tells a server that enforces no schemas what the answer must fit. It stands first, so that all behind it is the
    /// same in every turn.
    pub(super) fn of_format(format: &Format) -> Self {
        let words = format.in_words().unwrap_or_default();
        Self {
            role: "system",
            content: Some(WireContent::Text(Cow::Owned(words))),
            ..Self::default()
        }
    }
}

/// The messages that the request's turns make.
pub(super) fn write<'a>(
    request: &'a Request,
    target: &Target<'_>,
    dropped: &mut Dropped,
) -> Vec<WireMessage<'a>> {
    let mut messages = Vec::with_capacity(request.turns.len() + 1);
    for turn in &request.turns {
        match turn.role {
            Role::Assistant => messages.extend(assistant(turn, target, dropped)),
            role => others(role, turn, target, dropped, &mut messages),
        }
    }
    messages
}

/// What stands between texts that a server takes only as one. An assistant's were one text to begin with.
const BETWEEN: &str = "\n\n";

/// A turn of a system, a developer or a user: first the results of tools, which must follow their calls at once, then
/// what is said.
fn others<'a>(
    role: Role,
    turn: &'a Turn,
    target: &Target<'_>,
    dropped: &mut Dropped,
    messages: &mut Vec<WireMessage<'a>>,
) {
    let mut said = Vec::new();
    let mut fields = Fields::default();
    let mut is_results = !turn.parts.is_empty();
    for part in &turn.parts {
        match part.content {
            Content::ToolResult { .. } => messages.extend(result(part, target, dropped, &mut said)),
            _ => is_results = false,
        }
    }
    for part in &turn.parts {
        match message_field(&part.content) {
            Some(field) => fields.0.push(field),
            None => said.extend(blocks::write(part, target, dropped)),
        }
    }
    let content = WireContent::of(said, BETWEEN, target);
    // Said nothing is not the same as nothing that can be told.
    let is_empty = turn.parts.is_empty() || !fields.0.is_empty();
    let empty = || is_empty.then_some(WireContent::Text("".into()));
    let Some(content) = content.or_else(empty) else {
        return;
    };
    messages.push(WireMessage {
        role: match role {
            Role::Developer if target.accent.has_developer => "developer",
            Role::System | Role::Developer => "system",
            Role::User | Role::Assistant => "user",
        },
        content: Some(content),
        name: name(turn, target).filter(|_| !is_results),
        fields,
        ..WireMessage::default()
    });
}

/// A field of the message's own that is carried as a part.
fn message_field(content: &Content) -> Option<(&str, &Json)> {
    match content {
        Content::Opaque {
            dialect: Dialect::Chat,
            kind,
            json,
        } => Some((kind.strip_prefix(MESSAGE_FIELD)?, json)),
        _ => None,
    }
}

fn name<'a>(turn: &'a Turn, target: &Target<'_>) -> Option<&'a str> {
    let name = turn.name.as_deref();
    name.filter(|_| target.takes(Feature::SpeakerName))
}

/// A tool's result. It is text; media follow in the user's message.
fn result<'a>(
    part: &'a Part,
    target: &Target<'_>,
    dropped: &mut Dropped,
    media: &mut Vec<Block<'a>>,
) -> Option<WireMessage<'a>> {
    let Content::ToolResult {
        id,
        name,
        parts,
        is_error,
    } = &part.content
    else {
        return None;
    };
    let id = call_id(id, target);
    let mut texts = Vec::new();
    let media_before = media.len();
    for part in parts {
        let Some(block) = blocks::write(part, target, dropped) else {
            continue;
        };
        if block.is_text() {
            texts.push(block);
        } else if target.takes(Feature::ToolResultMedia) {
            if media.len() == media_before {
                media.push(Block::text(format!("The result of the call {id}:")));
            }
            media.push(block);
        }
    }
    if *is_error && target.takes(Feature::ToolResultError) {
        say_error(&mut texts);
    }
    if let Some(last) = texts.pop() {
        texts.push(last.marked(part.cache, target));
    }
    let content = WireContent::of(texts, BETWEEN, target).unwrap_or_else(|| {
        let has_media = media.len() > media_before;
        let text = if has_media {
            "The result follows in the user's message."
        } else {
            ""
        };
        WireContent::Text(Cow::Borrowed(text))
    });
    Some(WireMessage {
        role: "tool",
        content: Some(content),
        name: name
            .as_deref()
            .filter(|_| target.is_own && target.takes(Feature::SpeakerName)),
        tool_call_id: Some(id),
        ..WireMessage::default()
    })
}

/// There is no field for it: a failed tool's result begins with a word that every model understands.
fn say_error(texts: &mut Vec<Block<'_>>) {
    const ERROR: &str = "Error: ";
    match texts.first_mut().and_then(Block::text_mut) {
        Some(text) if text.starts_with("Error") => {}
        Some(text) => text.to_mut().insert_str(0, ERROR),
        None => texts.insert(0, Block::text(ERROR.trim_end())),
    }
}

fn assistant<'a>(
    turn: &'a Turn,
    target: &Target<'_>,
    dropped: &mut Dropped,
) -> Option<WireMessage<'a>> {
    let mut message = WireMessage {
        role: "assistant",
        name: name(turn, target),
        ..WireMessage::default()
    };
    let mut said = Vec::new();
    for part in &turn.parts {
        match &part.content {
            Content::Thinking(thinking) => message.think(thinking, target, dropped),
            Content::Refusal(text) if target.accent.lacks.contains(&Feature::Refusal) => {
                said.push(Block::text(text));
            }
            Content::Refusal(text) => append(&mut message.refusal, text),
            Content::ToolCall {
                id,
                name,
                arguments,
                signature,
            } => {
                let seal = signature.as_ref();
                let seal = seal.and_then(|seal| call_seal(seal, target, dropped));
                let id = call_id(id, target);
                let call = WireCall::function(id, name, arguments, seal);
                message.tool_calls.push(call);
            }
            // Only OpenRouter's models draw, and see again what they drew.
            Content::Image { source, .. } => {
                let is_seen = target.accent.thoughts == Thoughts::ReasoningDetails;
                match WireImage::of(source).filter(|_| is_seen) {
                    Some(image) => message.images.push(image),
                    None => note_medium(&part.content, dropped),
                }
            }
            Content::Opaque {
                dialect: Dialect::Chat,
                kind,
                json,
            } if kind == CUSTOM_CALL => message.tool_calls.push(WireCall::Other(json)),
            Content::Text { text, citations } => {
                message.cite(citations, target, dropped);
                said.push(Block::text(text).marked(part.cache, target));
            }
            Content::Opaque {
                dialect: Dialect::Chat,
                kind,
                json,
            } => match kind.strip_prefix(MESSAGE_FIELD) {
                Some(field) => message.fields.0.push((field, json)),
                None => said.push(Block::Other(json)),
            },
            Content::Document { .. } | Content::Audio { .. } | Content::Video { .. } => {
                note_medium(&part.content, dropped);
            }
            Content::ToolResult { .. } | Content::Opaque { .. } => {}
        }
        // Only a text has a place for a mark.
        let is_text = matches!(part.content, Content::Text { .. });
        if part.cache.is_some() && !is_text && target.has(Feature::CacheControl) {
            dropped.note(Feature::CacheControl);
        }
    }
    message.content = WireContent::of(said, "", target);
    message.fill(turn.parts.is_empty(), dropped)
}

/// Notes that a medium is lost which has no place in what the model said.
fn note_medium(content: &Content, dropped: &mut Dropped) {
    content
        .medium()
        .into_iter()
        .for_each(|feature| dropped.note(feature));
}

impl<'a> WireMessage<'a> {
    /// None if all of the turn is lost.
    fn fill(mut self, was_empty: bool, dropped: &mut Dropped) -> Option<Self> {
        if self.content.is_some() || self.refusal.is_some() || !self.tool_calls.is_empty() {
            return Some(self);
        }
        let has_thoughts = self.reasoning_content.is_some()
            || self.reasoning.is_some()
            || !self.reasoning_details.is_empty();
        let has_more = !self.images.is_empty() || !self.fields.0.is_empty();
        if !was_empty && !has_thoughts && !has_more {
            if self.extra_content.is_some() {
                dropped.note(Feature::Signature);
            }
            return None;
        }
        self.content = Some(WireContent::Text(Cow::Borrowed("")));
        Some(self)
    }

    fn think(&mut self, thinking: &'a Thinking, target: &Target<'_>, dropped: &mut Dropped) {
        let text = thinking.text.as_str();
        match target.accent.thoughts {
            _ if !target.takes(Feature::Thinking) => {}
            Thoughts::ReasoningContent if !text.is_empty() => {
                append(&mut self.reasoning_content, text);
            }
            Thoughts::Reasoning if !text.is_empty() => append(&mut self.reasoning, text),
            Thoughts::ReasoningDetails => {
                let seal = thinking.signature.as_ref();
                if seal.is_none_or(|seal| seal.origin == Dialect::Chat) {
                    let index = self.reasoning_details.len();
                    self.reasoning_details.push(Detail::of(thinking, index));
                } else {
                    // The model behind the router would refuse it.
                    dropped.note(Feature::Thinking);
                    dropped.note(Feature::Signature);
                }
            }
            Thoughts::Nowhere | Thoughts::ReasoningContent | Thoughts::Reasoning => {}
        }
        if seals_of(target.accent) == Some(Dialect::Gemini)
            && let Some(signature) = &thinking.signature
            && let Some(seal) = call_seal(signature, target, dropped)
        {
            self.extra_content = Some(ExtraContent::of(seal));
        }
    }

    fn cite(&mut self, citations: &'a [Citation], target: &Target<'_>, dropped: &mut Dropped) {
        if !target.has(Feature::Citations) {
            return;
        }
        let is_own = |citation: &&Citation| citation.origin == Dialect::Chat;
        if !citations.iter().all(|citation| is_own(&citation)) {
            dropped.note(Feature::Citations);
        }
        let own = citations.iter().filter(is_own);
        self.annotations.extend(own.map(|citation| &citation.json));
    }
}

/// A seal in Google's place for it.
fn call_seal(signature: &Signature, target: &Target<'_>, dropped: &mut Dropped) -> Option<String> {
    let origin = seals_of(target.accent)?;
    let seal = signature.sent_to(Dialect::Gemini);
    if origin == Dialect::Gemini && seal.is_some() {
        return seal.map(str::to_owned);
    }
    dropped.note(Feature::Signature);
    None
}

/// A call's id as the target takes it: the same for the call and its result.
fn call_id<'a>(id: &'a str, target: &Target<'_>) -> Cow<'a, str> {
    const SHORT: usize = 9;
    // OpenAI refuses longer ones.
    const LONGEST: usize = 40;
    if target.accent.has_short_call_ids {
        if id.len() == SHORT && id.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return Cow::Borrowed(id);
        }
        // No id is this short, so that one is made of it; the end of that is its hash.
        let made = fitted_id(id, 0).into_owned();
        let from = made.len().saturating_sub(SHORT);
        return Cow::Owned(made[from..].to_owned());
    }
    match target.is_own {
        true => Cow::Borrowed(id),
        false => fitted_id(id, LONGEST),
    }
}

fn append<'a>(so_far: &mut Option<Cow<'a, str>>, text: &'a str) {
    match so_far {
        None => *so_far = Some(Cow::Borrowed(text)),
        Some(so_far) => so_far.to_mut().push_str(text),
    }
}
