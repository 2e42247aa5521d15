//! Writes a provider's request.

use std::borrow::Cow;

use serde::Serialize;

use super::input::Input;
use super::items::Entry;
use super::wire::{Extra, ReasoningOut, TextOut, ToolChoiceOut, ToolOut};
use super::{INCLUDE_LOGPROBS, INCLUDE_SEALS, instructions};
use crate::dialect::accent::Thoughts;
use crate::dialect::common::{
    Dropped, Feature, Format, Json, Outgoing, Request, ToolChoice, fitted_id,
};
use crate::dialect::openai::USER_MAX;
use crate::dialect::openai::models::{Fitted, Model};
use crate::dialect::{Dialect, Error, Kind};

/// Writes a provider's request.
///
/// A request of another dialect is answered without a memory, as its own provider would: nothing is stored there, and
/// seals of thoughts are asked for, so that the next request can bring them back.
///
/// # Errors
/// None today: what cannot be written is noted in `dropped`.
pub fn write_request(
    request: &Request,
    to: &Outgoing<'_>,
    dropped: &mut Dropped,
) -> Result<Vec<u8>, Error> {
    let is_own = request.source == Dialect::Responses;
    // Any JSON is given only where the input speaks of it, and instructions do not count.
    let instructions = instructions(request).filter(|_| request.format != Format::Json);
    let mut input = Input::new(is_own, to.accent.thoughts != Thoughts::Nowhere, dropped);
    for (index, turn) in request.turns.iter().enumerate() {
        match index == 0 && instructions.is_some() {
            true => input.note_turn(turn),
            false => input.add(index, turn),
        }
    }
    let input = input.entries;
    let tools = ToolOut::all(request, (!is_own).then_some(false));
    if request.functions().any(|function| function.cache.is_some()) {
        dropped.note(Feature::CacheControl);
    }
    let choice = tool_choice(request, &tools, dropped);
    let fitted = Fitted::new(request, to.model, is_own, dropped);
    let sampled = fitted.takes_sampling;
    let body = Body {
        model: to.model,
        instructions,
        tool_choice: choice.map(ToolChoiceOut::from),
        parallel_tool_calls: request.parallel_tool_calls,
        tools,
        text: TextOut::new(request, Extra::new(request, Some("text"))),
        input,
        include: include(request, to, sampled),
        reasoning: ReasoningOut::new(
            request,
            fitted.effort,
            Extra::new(request, Some("reasoning")),
        ),
        max_output_tokens: request.max_tokens.map(|limit| match is_own {
            true => limit,
            false => limit.max(OUTPUT_MIN),
        }),
        temperature: request.temperature.filter(|_| sampled),
        top_p: request.top_p.filter(|_| sampled),
        top_logprobs: request.logprobs.filter(|top| *top > 0 && sampled),
        user: request.user.as_deref().map(|user| match is_own {
            true => Cow::Borrowed(user),
            false => fitted_id(user, USER_MAX),
        }),
        metadata: request.metadata.as_ref(),
        service_tier: service_tier(request, dropped),
        store: match is_own {
            true => request.store,
            false => Some(request.store.unwrap_or(false)),
        },
        stream: request.stream,
        extra: Extra::new(request, None),
    };
    serde_json::to_vec(&body)
        .map_err(|_| Error::new(Kind::Internal, "the request cannot be written"))
}

#[derive(Serialize)]
struct Body<'a> {
    model: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    instructions: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tools: Vec<ToolOut<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_choice: Option<ToolChoiceOut<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parallel_tool_calls: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<TextOut<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    input: Vec<Entry<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    include: Vec<Cow<'static, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning: Option<ReasoningOut<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_output_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_p: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_logprobs: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<&'a Json>,
    #[serde(skip_serializing_if = "Option::is_none")]
    service_tier: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    store: Option<bool>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    stream: bool,
    #[serde(flatten)]
    extra: Extra<'a>,
}

/// Without tools the API refuses a choice.
fn tool_choice<'a>(
    request: &'a Request,
    tools: &[ToolOut<'_>],
    dropped: &mut Dropped,
) -> Option<&'a ToolChoice> {
    let choice = request.tool_choice.as_ref()?;
    if request.source == Dialect::Responses || !tools.is_empty() {
        return Some(choice);
    }
    match choice {
        ToolChoice::Auto | ToolChoice::None => {}
        ToolChoice::Required => dropped.note(Feature::ToolChoiceRequired),
        ToolChoice::Named(_) => dropped.note(Feature::ToolChoiceNamed),
        ToolChoice::Allowed { .. } => dropped.note(Feature::ToolChoiceAllowed),
    }
    None
}

fn include(request: &Request, to: &Outgoing<'_>, sampled: bool) -> Vec<Cow<'static, str>> {
    let mut entries: Vec<Cow<'static, str>> = Vec::new();
    if request.source == Dialect::Responses {
        let mut extra = request.extra.iter();
        let own = extra.find(|(name, _)| name == "include");
        let own = own.and_then(|(_, json)| serde_json::from_str::<Vec<String>>(json.as_str()).ok());
        entries.extend(own.unwrap_or_default().into_iter().map(Cow::Owned));
    } else if to.accent.thoughts == Thoughts::Nowhere && can_reason(to.model) {
        entries.push(Cow::Borrowed(INCLUDE_SEALS));
    }
    if request.logprobs.is_some() && sampled {
        entries.push(Cow::Borrowed(INCLUDE_LOGPROBS));
    }
    entries
}

/// Whether a model may think. OpenAI refuses a request that asks for seals of a model which does not.
fn can_reason(model: &str) -> bool {
    Model::of(model).is_none_or(|model| model.reasons())
}

/// The least `max_output_tokens` that OpenAI takes.
const OUTPUT_MIN: u64 = 16;

/// The tiers of OpenAI.
const SERVICE_TIERS: [&str; 5] = ["auto", "default", "flex", "scale", "priority"];

fn service_tier<'a>(request: &'a Request, dropped: &mut Dropped) -> Option<&'a str> {
    let tier = request.service_tier.as_deref()?;
    let is_known = request.source == Dialect::Responses || SERVICE_TIERS.contains(&tier);
    if !is_known {
        dropped.note(Feature::ServiceTier);
    }
    is_known.then_some(tier)
}
