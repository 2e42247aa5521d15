//! A request for the provider.

use std::borrow::Cow;

use serde::Serialize;

use super::additional::Additional;
use super::items::{Items, Message};
use super::marks::Marks;
use super::objects::{Inference, OutputConfig, ServiceTier};
use super::settings::Settings;
use super::tools::{self, ToolConfig, ToolItem};
use super::turns::Turns;
use crate::dialect::Error;
use crate::dialect::bedrock::OWN;
use crate::dialect::bedrock::block::Block;
use crate::dialect::bedrock::family::{Caches, Family};
use crate::dialect::bedrock::wire::{Fields, to_bytes};
use crate::dialect::common::{Cache, Dropped, Format, Json, Outgoing, Request, ToolChoice};

/// Writes the body for a provider. Model and stream stand in the path.
///
/// # Errors
/// None that is known of; every request can be written.
pub fn write_request(
    request: &Request,
    to: &Outgoing<'_>,
    dropped: &mut Dropped,
) -> Result<Vec<u8>, Error> {
    Ok(to_bytes(&body(request, to, dropped)))
}

/// Writes the part of the body that the model reads: what is counted.
pub(in crate::dialect::bedrock) fn write_prompt(
    request: &Request,
    to: &Outgoing<'_>,
    dropped: &mut Dropped,
) -> Json {
    let Body {
        system,
        tool_config,
        messages,
        additional_model_request_fields,
        ..
    } = body(request, to, dropped);
    Json::of(&Body {
        system,
        tool_config,
        messages,
        additional_model_request_fields,
        ..Body::default()
    })
}

/// What is stable stands first.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Body<'a> {
    #[serde(skip_serializing_if = "Items::is_empty")]
    system: Items<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_config: Option<ToolConfig<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    messages: Vec<Message<'a>>,
    #[serde(skip_serializing_if = "Inference::is_empty")]
    inference_config: Inference<'a>,
    #[serde(skip_serializing_if = "Additional::is_empty")]
    additional_model_request_fields: Additional<'a>,
    #[serde(skip_serializing_if = "OutputConfig::is_empty")]
    output_config: OutputConfig<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_metadata: Option<Cow<'a, Json>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    service_tier: Option<ServiceTier<'a>>,
    #[serde(flatten)]
    rest: Fields<'a>,
}

fn body<'a>(request: &'a Request, to: &Outgoing<'_>, dropped: &mut Dropped) -> Body<'a> {
    let family = Family::of(to.model);
    let mut marks = Marks::of(request, &family);
    // Only a Claude can be told to call none of the tools that it is shown.
    let is_shown = request.tool_choice != Some(ToolChoice::None)
        || family.is_of_anthropic()
        || request.source == OWN;
    let mut tools = match is_shown {
        true => tools::write(request, &family, &mut marks, dropped),
        false => Vec::new(),
    };
    let has_tools = !tools.is_empty();
    let turns = Turns::new(request, &family, has_tools, &mut marks, dropped);
    let (mut system, mut messages) = turns.write();
    let is_held_to = matches!(request.format, Format::Schema { .. }) && family.has_schemas;
    if request.source != OWN && !is_held_to {
        let words = request.format.in_words();
        system
            .0
            .extend(words.map(|words| Block::text(words).into()));
    }
    if to.auto_cache && marks.total == 0 && family.caches != Caches::Never {
        system.mark_last();
        if has_tools && matches!(family.caches, Caches::Tools | Caches::Hour) {
            tools.push(ToolItem::CachePoint(Cache::Usual.into()));
        }
        if let Some(last) = messages.last_mut() {
            last.content.mark_last();
        }
    }
    let settings = Settings::fit(request, &family, has_tools, dropped);
    let config = ToolConfig {
        tools,
        tool_choice: settings.tool_choice,
        rest: Fields::kept(request, "toolConfig."),
    };
    let has_config = has_tools || config.tool_choice.is_some() || !config.rest.is_empty();
    Body {
        system,
        tool_config: has_config.then_some(config),
        messages,
        inference_config: settings.inference,
        additional_model_request_fields: settings.additional,
        output_config: settings.output,
        request_metadata: settings.metadata,
        service_tier: settings.service_tier,
        rest: Fields::kept(request, ""),
    }
}
