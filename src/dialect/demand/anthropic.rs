//! Anthropic's messages.

use std::borrow::Cow;

use super::{BUDGET_MIN, Demand, Paid, is_nothing, thinking_budget};
use crate::dialect::scan::{elements, members, only, said};

pub fn read<'a>(demand: &mut Demand, body: impl Iterator<Item = (Cow<'a, str>, &'a [u8])>) {
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
            "tools" => tools(demand, raw),
            "output_config" | "output_format" => demand.is_rendered(raw),
            "max_tokens" => demand.limit(raw),
            "thinking" if thinking_budget(raw).is_some() => {
                demand.output_min = BUDGET_MIN + 1;
            }
            "service_tier" => demand.tier(raw),
            // The fast mode has its own price, as has the choice of where it runs.
            name @ ("speed" | "inference_geo") => match &*said(raw) {
                "standard" | "global" | "not_available" => {}
                _ => demand.no_bound(name, Paid::Tier),
            },
            name @ ("mcp_servers" | "container") => demand.no_bound(name, Paid::Tools),
            name @ ("fallbacks" | "fallback_model" | "models") => {
                demand.no_bound(name, Paid::Models);
            }
            "context_management" => context_management(demand, raw),
            _ => {}
        }
    }
}

/// Edits that clear something use less; a summary is an answer of its own.
fn context_management(demand: &mut Demand, raw: &[u8]) {
    let clears =
        |edit: &[u8]| said(only(edit, &["type"]).unwrap_or_default()).starts_with("clear_");
    let is_known = members(raw).all(|(name, edits)| name == "edits" && elements(edits).all(clears));
    if !is_known {
        demand.no_bound("context_management", Paid::Output);
    }
}

fn blocks(demand: &mut Demand, raw: &[u8], path: &str) {
    for (at, block) in elements(raw).enumerate() {
        let path = || format!("{path}[{at}]");
        match &*said(only(block, &["type"]).unwrap_or_default()) {
            "text" | "thinking" | "redacted_thinking" | "tool_reference" => {}
            "search_result" => demand.is_cited(block),
            "tool_use" => demand.is_rendered(block),
            "tool_result" => {
                let contents = members(block).filter(|(name, _)| name == "content");
                for (_, content) in contents {
                    demand.is_rendered(content);
                    blocks(demand, content, &format!("{}.content", path()));
                }
            }
            "image" => {
                let source = only(block, &["source"]).unwrap_or_default();
                if let Some(data) = only(source, &["data"]) {
                    demand.is_no_text(data);
                }
                demand.images += 1;
            }
            "document" => document(demand, block, path),
            _ => demand.part(path(), block, Paid::Media),
        }
    }
}

fn document(demand: &mut Demand, block: &[u8], path: impl Fn() -> String) {
    let source = only(block, &["source"]).unwrap_or_default();
    match &*said(only(source, &["type"]).unwrap_or_default()) {
        "text" => {}
        "content" => {
            for (_, content) in members(source).filter(|(name, _)| name == "content") {
                blocks(demand, content, &format!("{}.source.content", path()));
            }
        }
        // A PDF has as many tokens as its pages have text, and nobody can tell from its bytes.
        _ => return demand.part(path(), block, Paid::Media),
    }
    if only(block, &["citations"]).is_some_and(|raw| !is_nothing(raw)) {
        demand.is_cited(block);
    }
}

fn tools(demand: &mut Demand, raw: &[u8]) {
    /// What the caller runs, though Anthropic describes it.
    const KNOWN: [&str; 4] = ["bash_", "text_editor_", "computer_", "memory_"];
    demand.is_rendered(raw);
    for (index, tool) in elements(raw).enumerate() {
        let kind = members(tool).find(|(name, raw)| name == "type" && !is_nothing(raw));
        match kind.map_or(Cow::Borrowed("custom"), |(_, raw)| said(raw)) {
            kind if kind == "custom" => demand.tools += 1,
            kind if KNOWN.iter().any(|lead| kind.starts_with(lead)) => demand.known_tools += 1,
            _ => demand.no_bound(format!("tools[{index}]"), Paid::Tools),
        }
    }
}
