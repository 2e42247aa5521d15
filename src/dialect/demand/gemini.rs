//! Gemini's `generateContent`. As in all of Google's JSON, a field may be written `inlineData` or `inline_data`.

use std::borrow::Cow;

use super::{Demand, Paid, is_nothing};
use crate::dialect::scan::{elements, members, only, said};

pub fn read<'a>(demand: &mut Demand, body: impl Iterator<Item = (Cow<'a, str>, &'a [u8])>) {
    demand.output_param = "generationConfig.maxOutputTokens";
    demand.tier_param = "serviceTier";
    for (name, raw) in body {
        match &*name {
            "contents" => contents(demand, raw),
            "systemInstruction" | "system_instruction" => content(demand, raw, &name),
            "tools" => tools(demand, raw),
            "generationConfig" | "generation_config" => config(demand, raw),
            "serviceTier" | "service_tier" => demand.tier(raw),
            "cachedContent" | "cached_content" => demand.no_bound(name, Paid::Stored),
            _ => {}
        }
    }
}

fn contents(demand: &mut Demand, raw: &[u8]) {
    if raw.starts_with(b"{") {
        return content(demand, raw, "contents");
    }
    for (index, raw) in elements(raw).enumerate() {
        content(demand, raw, &format!("contents[{index}]"));
    }
}

fn content(demand: &mut Demand, raw: &[u8], path: &str) {
    for (_, raw) in members(raw).filter(|(name, _)| name == "parts") {
        if raw.starts_with(b"{") {
            part(demand, raw, || format!("{path}.parts"));
        }
        for (at, raw) in elements(raw).enumerate() {
            part(demand, raw, || format!("{path}.parts[{at}]"));
        }
    }
}

fn part(demand: &mut Demand, raw: &[u8], path: impl Fn() -> String) {
    for (name, value) in members(raw).filter(|(_, raw)| !is_nothing(raw)) {
        match &*name {
            "text" | "thought" | "thoughtSignature" | "thought_signature" | "videoMetadata"
            | "video_metadata" | "mediaResolution" | "media_resolution" => {}
            "functionCall" | "function_call" => demand.is_rendered(value),
            "functionResponse" | "function_response" => {
                demand.is_rendered(value);
                content(demand, value, &format!("{}.{name}", path()));
            }
            "executableCode"
            | "executable_code"
            | "codeExecutionResult"
            | "code_execution_result" => demand.is_rendered(value),
            "inlineData" | "inline_data" => {
                let kind = only(value, &["mimeType", "mime_type"]).map(said);
                let kind = kind.as_deref().and_then(|kind| kind.split('/').next());
                let data = only(value, &["data"]);
                match (kind, data) {
                    (Some("image"), Some(data)) => {
                        demand.is_no_text(data);
                        demand.images += 1;
                    }
                    (Some("audio"), Some(data)) => demand.audio(data),
                    // Text has fewer bytes than its base64.
                    (Some("text"), Some(_)) => {}
                    _ => demand.part(path(), value, Paid::Media),
                }
            }
            "fileData" | "file_data" => {
                let kind = only(value, &["mimeType", "mime_type"]).map(said);
                match kind.is_some_and(|kind| kind.starts_with("image/")) {
                    true => demand.images += 1,
                    false => demand.no_bound(path(), Paid::Media),
                }
            }
            _ => demand.part(path(), value, Paid::Media),
        }
    }
}

fn config(demand: &mut Demand, raw: &[u8]) {
    demand.is_rendered(raw);
    if let Some(limit) = only(raw, &["maxOutputTokens", "max_output_tokens"]) {
        demand.limit(limit);
    }
    for (name, raw) in members(raw).filter(|(_, raw)| !is_nothing(raw)) {
        let path = || format!("generationConfig.{name}");
        match &*name {
            "candidateCount" | "candidate_count" => demand.count_choices(&path(), raw),
            "responseModalities" | "response_modalities" => {
                let is_text = |kind: &[u8]| said(kind).eq_ignore_ascii_case("text");
                if !elements(raw).all(is_text) {
                    demand.no_bound(path(), Paid::Output);
                }
            }
            "speechConfig" | "speech_config" | "imageConfig" | "image_config" => {
                demand.no_bound(path(), Paid::Output);
            }
            _ => {}
        }
    }
}

fn tools(demand: &mut Demand, raw: &[u8]) {
    demand.is_rendered(raw);
    let one = raw.starts_with(b"{").then_some(raw);
    for (index, tool) in elements(raw).chain(one).enumerate() {
        for (name, raw) in members(tool).filter(|(_, raw)| !is_nothing(raw)) {
            match &*name {
                "functionDeclarations" | "function_declarations" => {
                    demand.tools += elements(raw).count().max(1) as u64;
                }
                name => demand.no_bound(format!("tools[{index}].{name}"), Paid::Tools),
            }
        }
    }
}
