//! Whole answers.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::logprobs::WireLogprobs;
use super::media::{source_of_url, written_data_url};
use super::stream::read_whole;
use super::thoughts::Detail;
use super::usage::WireUsage;
use super::wire::{ExtraContent, Fields};
use super::{CUSTOM_CALL, MESSAGE_FIELD, finish};
use crate::dialect::Dialect;
use crate::dialect::common::{
    Answer, Choice, Citation, Content, Context, Finish, Json, Malformed, Request, Signature,
    Source, Thinking, derived_call_id, prefixed_id,
};

/// Reads a provider's whole answer.
///
/// # Errors
/// The body is no answer of this dialect.
pub fn read_answer(body: &[u8], context: &Context) -> Result<Answer, Malformed> {
    read_whole(body, context)
}

/// Writes a whole answer for a caller who sent `request`.
pub fn write_answer(answer: &Answer, request: &Request, context: &Context) -> Vec<u8> {
    let hides_thoughts = hides_thoughts(request);
    let choices = answer.choices.iter().zip(0..);
    let written = WireAnswer {
        id: answer_id(&answer.id, context),
        object: "chat.completion",
        created: answer.created.unwrap_or(context.now),
        model: match answer.model.as_str() {
            "" => &request.model,
            model => model,
        },
        choices: choices
            .map(|(choice, index)| WireChoice {
                index,
                message: WireMessage::of(choice, hides_thoughts, &answer.id),
                logprobs: WireLogprobs::of(&choice.logprobs),
                finish_reason: reason_of(choice).0,
                native_finish_reason: reason_of(choice).1,
                stop_reason: stop_text(choice.finish.as_ref()),
            })
            .collect(),
        usage: answer.usage.map(WireUsage::from),
        service_tier: answer.service_tier.as_deref(),
    };
    // Structs with string keys, which always serialise.
    serde_json::to_vec(&written).unwrap_or_default()
}

/// The answer's id as OpenAI's look.
pub(super) fn answer_id(id: &str, context: &Context) -> String {
    prefixed_id("chatcmpl-", if id.is_empty() { &context.id } else { id })
}

/// Whether the caller said that thoughts are not to be shown. Their seals are, for the next turn's sake.
pub(super) fn hides_thoughts(request: &Request) -> bool {
    let reasoning = request.reasoning.as_ref();
    reasoning.is_some_and(|reasoning| reasoning.show == Some(false))
}

/// The text that ended the answer, in vLLM's field.
pub(super) fn stop_text(finish: Option<&Finish>) -> Option<&str> {
    match finish {
        Some(Finish::StopSequence(text)) => text.as_deref(),
        _ => None,
    }
}

fn reason_of(choice: &Choice) -> (&'static str, Option<&str>) {
    let is_refusal = |content: &Content| matches!(content, Content::Refusal(_));
    let has_refusal = choice.parts.iter().any(|part| is_refusal(&part.content));
    let finish = choice.finish.as_ref().unwrap_or(&Finish::Stop);
    finish::written(finish, has_refusal)
}

#[derive(Serialize)]
struct WireAnswer<'a> {
    id: String,
    object: &'static str,
    created: u64,
    model: &'a str,
    choices: Vec<WireChoice<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<WireUsage>,
    #[serde(skip_serializing_if = "Option::is_none")]
    service_tier: Option<&'a str>,
}

#[derive(Serialize)]
struct WireChoice<'a> {
    index: u32,
    message: WireMessage<'a>,
    logprobs: Option<WireLogprobs<'a>>,
    finish_reason: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    native_finish_reason: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stop_reason: Option<&'a str>,
}

#[derive(Default, Serialize)]
struct WireMessage<'a> {
    role: &'static str,
    content: Option<Cow<'a, str>>,
    refusal: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_content: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    reasoning_details: Vec<Detail<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    annotations: Vec<Cow<'a, Json>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    images: Vec<WireImage>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tool_calls: Vec<WireCall<'a>>,
    #[serde(flatten)]
    fields: Fields<'a>,
}

/// A call as it stands in answers and in callers' messages.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum WireCall<'a> {
    Function {
        id: Cow<'a, str>,
        #[serde(rename = "type")]
        kind: &'static str,
        function: WireFunctionCall<'a>,
        #[serde(skip_serializing_if = "Option::is_none")]
        extra_content: Option<ExtraContent>,
    },
    Other(&'a Json),
}

#[derive(Debug, Serialize)]
pub(super) struct WireFunctionCall<'a> {
    pub name: &'a str,
    pub arguments: &'a str,
}

impl<'a> WireCall<'a> {
    /// A function's call. Without arguments it has an empty object: SDKs parse them.
    pub(super) fn function(
        id: Cow<'a, str>,
        name: &'a str,
        arguments: &'a str,
        seal: Option<String>,
    ) -> Self {
        Self::Function {
            id,
            kind: "function",
            function: WireFunctionCall {
                name,
                arguments: match arguments.trim_ascii() {
                    "" => "{}",
                    _ => arguments,
                },
            },
            extra_content: seal.map(ExtraContent::of),
        }
    }
}

impl<'a> WireMessage<'a> {
    fn of(choice: &'a Choice, hides_thoughts: bool, answer_id: &str) -> Self {
        let mut message = Self {
            role: "assistant",
            ..Self::default()
        };
        let mut thoughts = Vec::new();
        let mut characters = 0;
        for part in &choice.parts {
            match &part.content {
                Content::Text { text, citations } => {
                    let sources = citations.iter();
                    let annotations =
                        sources.filter_map(|source| written_citation(source, characters));
                    message.annotations.extend(annotations);
                    // Only citations in a later text need the count.
                    characters += text.chars().count() as u64;
                    append(&mut message.content, text);
                }
                Content::Refusal(text) => append(&mut message.refusal, text),
                Content::Thinking(thinking) => thoughts.push(thinking),
                Content::ToolCall {
                    id,
                    name,
                    arguments,
                    signature,
                } => {
                    let call = message.tool_calls.len() as u32;
                    let seal = signature.as_ref().map(shown_google_seal);
                    let id = shown_call_id(id, answer_id, call);
                    let call = WireCall::function(id, name, arguments, seal);
                    message.tool_calls.push(call);
                }
                Content::Image { source, .. } => message.images.extend(WireImage::of(source)),
                Content::Opaque {
                    dialect: Dialect::Chat,
                    kind,
                    json,
                } => {
                    if kind == CUSTOM_CALL {
                        message.tool_calls.push(WireCall::Other(json));
                    } else if let Some(field) = kind.strip_prefix(MESSAGE_FIELD) {
                        message.fields.0.push((field, json));
                    }
                }
                Content::Document { .. }
                | Content::Audio { .. }
                | Content::Video { .. }
                | Content::ToolResult { .. }
                | Content::Opaque { .. } => {}
            }
        }
        message.show(&thoughts, hides_thoughts);
        if message.content.is_none() && message.refusal.is_none() && message.tool_calls.is_empty() {
            message.content = Some(Cow::Borrowed(""));
        }
        message
    }

    /// Thoughts are shown as one text and, where they have seals or are several, each as an entry that a client gives
    /// back.
    fn show(&mut self, thoughts: &[&'a Thinking], hides_thoughts: bool) {
        let is_plain = |thinking: &Thinking| thinking.signature.is_none() && thinking.id.is_none();
        if thoughts.len() > 1 || thoughts.iter().any(|thinking| !is_plain(thinking)) {
            let entries = thoughts.iter().enumerate();
            self.reasoning_details = entries
                .map(|(index, thinking)| Detail::of(thinking, index))
                .collect();
        }
        if !hides_thoughts {
            for thinking in thoughts.iter().filter(|thinking| !thinking.text.is_empty()) {
                append(&mut self.reasoning_content, &thinking.text);
            }
            return;
        }
        for detail in &mut self.reasoning_details {
            detail.take_text();
        }
        let has_seal = |detail: &Detail<'_>| detail.signature.is_some() || detail.data.is_some();
        self.reasoning_details.retain(has_seal);
    }
}

fn append<'a>(so_far: &mut Option<Cow<'a, str>>, text: &'a str) {
    match so_far {
        None => *so_far = Some(Cow::Borrowed(text)),
        Some(so_far) => so_far.to_mut().push_str(text),
    }
}

/// A call's id as a caller sees it.
pub(super) fn shown_call_id<'a>(id: &'a str, answer_id: &str, call: u32) -> Cow<'a, str> {
    match id {
        "" => Cow::Owned(derived_call_id(answer_id, call)),
        id => Cow::Borrowed(id),
    }
}

/// A seal in Google's place for it, which is for its own in the first line.
pub(super) fn shown_google_seal(signature: &Signature) -> String {
    signature.shown_to(Dialect::Gemini)
}

/// A picture in an answer, as OpenRouter writes it.
#[derive(Debug, Serialize)]
pub(super) struct WireImage {
    #[serde(rename = "type")]
    kind: &'static str,
    image_url: WireUrl,
}

#[derive(Debug, Serialize)]
struct WireUrl {
    url: String,
}

impl WireImage {
    /// None where there is no URL to show.
    pub(super) fn of(source: &Source) -> Option<Self> {
        let url = match source {
            Source::Base64 { media_type, data } => written_data_url(media_type, data),
            Source::Url { url, .. } => url.clone(),
            Source::File { .. } | Source::Text(_) => return None,
        };
        Some(Self {
            kind: "image_url",
            image_url: WireUrl { url },
        })
    }
}

/// A picture of an answer, or of a message that gives an answer back.
pub(super) fn read_image(json: Json) -> Option<Content> {
    #[derive(Deserialize)]
    struct Image {
        image_url: Url,
    }
    #[derive(Deserialize)]
    struct Url {
        url: String,
    }
    let image: Image = serde_json::from_str(json.as_str()).ok()?;
    Some(Content::Image {
        source: source_of_url(image.image_url.url),
        detail: None,
    })
}

/// An entry of `annotations`.
pub(super) fn read_citation(json: Json) -> Citation {
    #[derive(Default, Deserialize)]
    struct Annotation {
        url_citation: Option<UrlCitation>,
    }
    #[derive(Default, Deserialize)]
    struct UrlCitation {
        url: Option<String>,
        title: Option<String>,
        content: Option<String>,
        start_index: Option<u64>,
        end_index: Option<u64>,
    }
    let annotation: Annotation = serde_json::from_str(json.as_str()).unwrap_or_default();
    let fields = annotation.url_citation.unwrap_or_default();
    Citation {
        url: fields.url,
        title: fields.title,
        cited_text: fields.content,
        // Routers that do not know the place say 0 and 0.
        span: fields
            .start_index
            .zip(fields.end_index)
            .filter(|(start, end)| start < end),
        origin: Dialect::Chat,
        json,
    }
}

/// A citation as an entry of `annotations`, which knows URLs alone. `before` is how many characters of the answer stand
/// before the text that cites.
pub(super) fn written_citation(citation: &Citation, before: u64) -> Option<Cow<'_, Json>> {
    #[derive(Serialize)]
    struct Annotation<'a> {
        #[serde(rename = "type")]
        kind: &'static str,
        url_citation: UrlCitation<'a>,
    }
    #[derive(Serialize)]
    struct UrlCitation<'a> {
        url: &'a str,
        title: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        content: Option<&'a str>,
        start_index: u64,
        end_index: u64,
    }
    if citation.origin == Dialect::Chat {
        return Some(Cow::Borrowed(&citation.json));
    }
    let (start, end) = match citation.span {
        Some((start, end)) => (start.saturating_add(before), end.saturating_add(before)),
        None => (0, 0),
    };
    let annotation = Annotation {
        kind: "url_citation",
        url_citation: UrlCitation {
            url: citation.url.as_deref()?,
            title: citation.title.as_deref().unwrap_or_default(),
            content: citation.cited_text.as_deref(),
            start_index: start,
            end_index: end,
        },
    };
    Some(Cow::Owned(Json::of(&annotation)))
}
