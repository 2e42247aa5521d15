//! Bedrock's `converse`.

use std::borrow::Cow;

use super::{BUDGET_MIN, Demand, Paid, is_nothing, thinking_budget};
use crate::dialect::scan::{elements, members, only, said};

/// Names under which a model's own fields limit its answer beside `inferenceConfig`.
const LIMITS: [&str; 6] = [
    "max_tokens",
    "maxTokens",
    "max_new_tokens",
    "max_gen_len",
    "max_completion_tokens",
    "maxTokenCount",
];

pub fn read<'a>(demand: &mut Demand, body: impl Iterator<Item = (Cow<'a, str>, &'a [u8])>) {
    demand.output_param = "inferenceConfig.maxTokens";
    demand.tier_param = "serviceTier";
    for (name, raw) in body {
        match &*name {
            "messages" => {
                for (index, message) in elements(raw).enumerate() {
                    let contents = members(message).filter(|(name, _)| name == "content");
                    for (_, content) in contents {
                        blocks(demand, content, &format!("messages[{index}].content"));
                    }
                }
            }
            "system" => blocks(demand, raw, "system"),
            "toolConfig" => tools(demand, raw),
            "outputConfig" => demand.is_rendered(raw),
            "inferenceConfig" => {
                if let Some(limit) = only(raw, &["maxTokens"]) {
                    demand.limit(limit);
                }
            }
            "serviceTier" => demand.tier(only(raw, &["type"]).unwrap_or_default()),
            "performanceConfig" if only(raw, &["latency"]) != Some(b"\"standard\"") => {
                demand.no_bound("performanceConfig", Paid::Tier);
            }
            "additionalModelRequestFields" => additional(demand, raw),
            "promptVariables" => demand.no_bound("promptVariables", Paid::Stored),
            _ => {}
        }
    }
}

fn blocks(demand: &mut Demand, raw: &[u8], path: &str) {
    for (at, block) in elements(raw).enumerate() {
        for (name, value) in members(block).filter(|(_, raw)| !is_nothing(raw)) {
            let path = || format!("{path}[{at}].{name}");
            match &*name {
                "text" | "reasoningContent" | "cachePoint" | "json" => demand.is_rendered(value),
                "toolUse" => demand.is_rendered(value),
                "citationsContent" | "searchResult" => demand.is_cited(value),
                "toolResult" => {
                    demand.is_rendered(value);
                    for (_, content) in members(value).filter(|(name, _)| name == "content") {
                        blocks(demand, content, &format!("{}.content", path()));
                    }
                }
                "guardContent" => match only(value, &["image"]) {
                    None => {}
                    Some(image) => picture(demand, image),
                },
                "image" => picture(demand, value),
                // Base64 is longer than the text that it is.
                "document" if is_text(value) => {
                    demand.is_rendered(value);
                    if only(value, &["citations"]).is_some() {
                        demand.is_cited(value);
                    }
                }
                _ => demand.part(path(), value, Paid::Media),
            }
        }
    }
}

fn is_text(document: &[u8]) -> bool {
    let source = only(document, &["source"]).unwrap_or_default();
    let format = only(document, &["format"]).unwrap_or_default();
    match (only(source, &["bytes"]), only(source, &["text"])) {
        (Some(_), None) => matches!(format, b"\"txt\"" | b"\"md\""),
        (None, Some(_)) => true,
        _ => false,
    }
}

fn picture(demand: &mut Demand, image: &[u8]) {
    let source = only(image, &["source"]).unwrap_or_default();
    if let Some(bytes) = only(source, &["bytes"]) {
        demand.is_no_text(bytes);
    }
    demand.images += 1;
}

fn tools(demand: &mut Demand, raw: &[u8]) {
    demand.is_rendered(raw);
    for (_, raw) in members(raw).filter(|(name, _)| name == "tools") {
        for (index, tool) in elements(raw).enumerate() {
            for (name, _) in members(tool) {
                match &*name {
                    "toolSpec" => demand.tools += 1,
                    "cachePoint" => {}
                    _ => demand.no_bound(format!("toolConfig.tools[{index}].{name}"), Paid::Tools),
                }
            }
        }
    }
}

/// What goes to the model as it is.
fn additional(demand: &mut Demand, raw: &[u8]) {
    demand.is_rendered(raw);
    for (name, raw) in members(raw).filter(|(_, raw)| !is_nothing(raw)) {
        let path = || format!("additionalModelRequestFields.{name}");
        match &*name {
            "tools" | "mcp_servers" | "container" => demand.no_bound(path(), Paid::Tools),
            "context_management" => demand.no_bound(path(), Paid::Output),
            "speed" | "inference_geo" | "service_tier"
                if !matches!(
                    &*said(raw),
                    "standard" | "global" | "auto" | "standard_only"
                ) =>
            {
                demand.no_bound(path(), Paid::Tier);
            }
            "thinking" | "reasoning_config" if thinking_budget(raw).is_some() => {
                demand.output_min = BUDGET_MIN + 1;
            }
            name => {
                // Nova has them in an object of its own.
                let nested = members(raw).filter(|_| name == "inferenceConfig");
                let names = nested.map(|(name, _)| name).chain([Cow::Borrowed(name)]);
                if names.into_iter().any(|name| LIMITS.contains(&&*name)) {
                    demand.no_bound(path(), Paid::Output);
                }
            }
        }
    }
}
