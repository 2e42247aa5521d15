//! OpenAI's responses.

use std::borrow::Cow;

use super::{Demand, Paid, is_nothing, is_text};
use crate::dialect::scan::{elements, members, only, said};

pub fn read<'a>(demand: &mut Demand, body: impl Iterator<Item = (Cow<'a, str>, &'a [u8])>) {
    demand.output_param = "max_output_tokens";
    for (name, raw) in body {
        match &*name {
            "input" => {
                for (index, item) in elements(raw).enumerate() {
                    item_of(demand, item, index);
                }
            }
            "tools" => tools(demand, raw, "tools"),
            "text" => demand.is_rendered(raw),
            "max_output_tokens" => demand.limit(raw),
            "service_tier" => demand.tier(raw),
            name @ ("previous_response_id" | "conversation" | "prompt") => {
                demand.no_bound(name, Paid::Stored);
            }
            // It makes a summary, which is an answer of its own.
            "context_management" => demand.no_bound("context_management", Paid::Output),
            "modalities" if elements(raw).any(|kind| kind != b"\"text\"") => {
                demand.no_bound("modalities", Paid::Output);
            }
            name @ ("plugins" | "search_parameters" | "web_search_options") => {
                demand.no_bound(name, Paid::Tools);
            }
            name @ ("models" | "route" | "fallbacks") => demand.no_bound(name, Paid::Models),
            _ => {}
        }
    }
}

fn item_of(demand: &mut Demand, item: &[u8], index: usize) {
    let path = || format!("input[{index}]");
    let kind = only(item, &["type"]).map_or(Cow::Borrowed("message"), said);
    match &*kind {
        "message" => parts(demand, item, &["content"], index),
        "function_call" | "custom_tool_call" => demand.is_rendered(item),
        "function_call_output" | "custom_tool_call_output" => {
            demand.is_rendered(item);
            parts(demand, item, &["output"], index);
        }
        // A thought stands in its seal or in words; else it is looked up by its id.
        "reasoning" => {
            let is_there = |name| only(item, &[name]).is_some_and(|raw| !is_nothing(raw));
            if is_there("id") && !is_there("encrypted_content") && !is_there("content") {
                demand.no_bound(path(), Paid::Stored);
            }
        }
        // Tools that are added on the way, or were found by a search.
        "additional_tools" | "tool_search_output" => {
            let list = only(item, &["tools"]).unwrap_or_default();
            tools(demand, list, &format!("input[{index}].tools"));
        }
        "tool_search_call" | "compaction" => demand.is_rendered(item),
        _ => demand.part(path(), item, Paid::Stored),
    }
}

fn parts(demand: &mut Demand, item: &[u8], names: &[&str], index: usize) {
    for (name, raw) in members(item).filter(|(name, _)| names.contains(&&**name)) {
        for (at, part) in elements(raw).enumerate() {
            let kind = only(part, &["type"]).unwrap_or_default();
            match &*said(kind) {
                "input_text" | "output_text" | "text" | "refusal" | "summary_text"
                | "reasoning_text" => {}
                "input_image" => {
                    demand.image_at(only(part, &["image_url"]), only(part, &["detail"]));
                }
                "input_file" if is_text(part) => {}
                _ => demand.part(format!("input[{index}].{name}[{at}]"), part, Paid::Media),
            }
        }
    }
}

fn tools(demand: &mut Demand, raw: &[u8], path: &str) {
    demand.is_rendered(raw);
    for (index, tool) in elements(raw).enumerate() {
        match &*said(only(tool, &["type"]).unwrap_or_default()) {
            "function" | "custom" => demand.tools += 1,
            // Described by the provider, run by the caller.
            "local_shell" | "apply_patch" => demand.known_tools += 1,
            _ => demand.no_bound(format!("{path}[{index}]"), Paid::Tools),
        }
    }
}
