//! Chat completions, plain completions, and Cohere's chat, which is made alike.

use std::borrow::Cow;

use super::{Demand, Paid, is_nothing, is_text};
use crate::dialect::scan::{Glance, elements, members, only, said};

pub fn read<'a>(demand: &mut Demand, body: impl Iterator<Item = (Cow<'a, str>, &'a [u8])>) {
    demand.output_param = "max_completion_tokens";
    for (name, raw) in body {
        match &*name {
            "messages" => messages(demand, raw),
            "tools" => tools(demand, raw),
            "functions" => {
                demand.tools += elements(raw).count() as u64;
                demand.is_rendered(raw);
            }
            "response_format" => demand.is_rendered(raw),
            "max_completion_tokens" | "max_tokens" => demand.limit(raw),
            "n" => demand.count_choices("n", raw),
            "service_tier" => demand.tier(raw),
            "modalities" if elements(raw).any(|kind| kind != b"\"text\"") => {
                demand.no_bound("modalities", Paid::Output);
            }
            name => costly(demand, name),
        }
    }
}

pub fn read_completions<'a>(
    demand: &mut Demand,
    body: impl Iterator<Item = (Cow<'a, str>, &'a [u8])>,
) {
    let mut prompts = 1;
    for (name, raw) in body {
        match &*name {
            "prompt" => {
                let is_many = |first: &&[u8]| matches!(first.first(), Some(b'"' | b'['));
                if elements(raw).next().filter(is_many).is_some() {
                    prompts = elements(raw).count() as u64;
                }
            }
            "max_tokens" => demand.limit(raw),
            // The server writes the best out of several, and all of them are paid for.
            name @ ("n" | "best_of") => demand.count_choices(name, raw),
            "service_tier" => demand.tier(raw),
            name => costly(demand, name),
        }
    }
    demand.choices = demand.choices.saturating_mul(prompts);
}

pub fn read_cohere<'a>(demand: &mut Demand, body: impl Iterator<Item = (Cow<'a, str>, &'a [u8])>) {
    for (name, raw) in body {
        match &*name {
            "messages" => messages(demand, raw),
            "tools" => tools(demand, raw),
            "documents" => {
                demand.is_rendered(raw);
                demand.is_cited(raw);
            }
            "response_format" => demand.is_rendered(raw),
            "max_tokens" => demand.limit(raw),
            name => costly(demand, name),
        }
    }
}

/// A setting that makes the server search, run something, ask another model or tell more than text. Others' beside OpenAI's:
/// OpenRouter's, xAI's, Mistral's, Groq's, Perplexity's, Alibaba's, Azure's.
fn costly(demand: &mut Demand, name: &str) {
    let what = match name {
        "audio" | "prediction" => Paid::Output,
        "web_search_options" | "search_settings" | "search_parameters" | "enable_search"
        | "compound_custom" | "plugins" | "mcp_servers" | "connectors" | "data_sources" => {
            Paid::Tools
        }
        "models" | "fallbacks" | "route" => Paid::Models,
        "preset" => Paid::Stored,
        _ => return,
    };
    demand.no_bound(name, what);
}

fn messages(demand: &mut Demand, raw: &[u8]) {
    if !is_plain(raw) {
        walk(demand, raw);
    }
}

fn walk(demand: &mut Demand, raw: &[u8]) {
    for (index, message) in elements(raw).enumerate() {
        let mut has_result = false;
        for (name, raw) in members(message) {
            match &*name {
                "role" => has_result |= matches!(raw, b"\"tool\"" | b"\"function\""),
                "content" => {
                    for (at, part) in elements(raw).enumerate() {
                        part_of(demand, part, || format!("messages[{index}].content[{at}]"));
                    }
                }
                "tool_calls" | "function_call" => demand.is_rendered(raw),
                "audio" if !is_nothing(raw) => {
                    demand.no_bound(format!("messages[{index}].audio"), Paid::Stored);
                }
                // Pictures that the model made, in OpenRouter's form.
                "images" => {
                    for image in elements(raw) {
                        image_of(demand, image);
                    }
                }
                _ => {}
            }
        }
        if has_result {
            let contents = members(message).filter(|(name, _)| name == "content");
            contents.for_each(|(_, raw)| demand.is_rendered(raw));
        }
    }
}

/// Whether messages say nothing but text, by a glance: each is somebody's turn and its text, in the form that most are sent in.
/// Those need not be walked through.
fn is_plain(messages: &[u8]) -> bool {
    let mut glance = Glance(messages);
    if !glance.sees(b"[") {
        return false;
    }
    while is_plain_turn(&mut glance) {
        if !glance.sees(b",") {
            return glance.sees(b"]");
        }
    }
    false
}

fn is_plain_turn(glance: &mut Glance<'_>) -> bool {
    let is_text_of_role = glance.sees(b"{")
        && glance.sees(b"\"role\"")
        && glance.sees(b":")
        && (glance.sees(b"\"user\"")
            || glance.sees(b"\"assistant\"")
            || glance.sees(b"\"system\"")
            || glance.sees(b"\"developer\""));
    is_text_of_role
        && glance.sees(b",")
        && glance.sees(b"\"content\"")
        && glance.sees(b":")
        && glance.passes_text()
        && glance.sees(b"}")
}

fn part_of(demand: &mut Demand, part: &[u8], path: impl FnOnce() -> String) {
    let kind = only(part, &["type"]).unwrap_or_default();
    match &*said(kind) {
        "text" | "input_text" | "output_text" | "refusal" | "thinking" | "reasoning"
        | "reference" => {}
        "document" => {
            demand.is_rendered(part);
            demand.is_cited(part);
        }
        "image_url" => image_of(demand, part),
        "file" if is_text(only(part, &["file"]).unwrap_or_default()) => {}
        "input_audio" => {
            let audio = only(part, &["input_audio"]).unwrap_or_default();
            let data = match audio.first() {
                Some(b'"') => Some(audio),
                _ => only(audio, &["data"]),
            };
            match data.filter(|data| !data.starts_with(b"\"http")) {
                Some(data) => demand.audio(data),
                None => demand.part(path(), part, Paid::Media),
            }
        }
        _ => demand.part(path(), part, Paid::Media),
    }
}

fn image_of(demand: &mut Demand, part: &[u8]) {
    let image = only(part, &["image_url"]).unwrap_or_default();
    match image.first() {
        Some(b'"') => demand.image_at(Some(image), None),
        _ => demand.image_at(only(image, &["url"]), only(image, &["detail"])),
    }
}

fn tools(demand: &mut Demand, raw: &[u8]) {
    demand.is_rendered(raw);
    for (index, tool) in elements(raw).enumerate() {
        match &*said(only(tool, &["type"]).unwrap_or_default()) {
            "function" | "custom" => demand.tools += 1,
            // Mistral's callers leave the type out.
            "" if members(tool).all(|(name, _)| name == "function") => demand.tools += 1,
            _ => demand.no_bound(format!("tools[{index}]"), Paid::Tools),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn member() -> impl Strategy<Value = &'static str> {
        prop::sample::select(vec![
            r#""role":"user","content":"A \"role\"\\""#,
            r#" "role" : "assistant" , "content":"\u00e9" "#,
            r#""role":"user""#,
            r#""role": "tool""#,
            r#""role":"function""#,
            r#""r\u006fle":"t\u006fol""#,
            r#""content":"Hello, what of \"this\"?\n""#,
            r#""content":"a \"tool\" and {more}""#,
            r#""content":null"#,
            r#""content": [{"type":"text","text":"a"}]"#,
            r#""content":[{"type":"image_url","image_url":{"url":"https://a"}}]"#,
            r#""c\u006fntent":[{"type":"video"}]"#,
            r#""audio":{"id":"a"}"#,
            r#""\u0061udio":{"id":"a"}"#,
            r#""audio":null"#,
            r#""images":[{"image_url":"https://a"}]"#,
            r#""tool_calls":{"a":{"b":1}}"#,
            r#""function_call":{"name":"f","arguments":"{}"}"#,
            r#""name":"é""#,
        ])
    }

    proptest! {
        #[test]
        fn what_is_plain_at_a_glance_demands_nothing(
            messages in prop::collection::vec(prop::collection::vec(member(), 0..4), 0..3),
        ) {
            let messages = messages.iter().map(|members| format!("{{{}}}", members.join(",")));
            let raw = format!("[{}]", messages.collect::<Vec<_>>().join(", "));
            let mut walked = Demand::default();
            walk(&mut walked, raw.as_bytes());
            prop_assert!(!is_plain(raw.as_bytes()) || walked == Demand::default(), "{raw}");
        }
    }

    #[test]
    fn most_conversations_are_plain() {
        let raw =
            br#"[{"role":"system","content":"Be brief.\n"}, { "role": "user", "content": "Hi [\"{n}\"]"} ]"#;
        assert!(is_plain(raw));
        for end in 0..raw.len() {
            assert!(!is_plain(&raw[..end]));
        }
    }
}
