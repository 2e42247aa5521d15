//! OpenAI's responses.

use serde_json::{Value, json};

use super::{Asked, Provider, Reply, SECRET, data_url, named_event};
use crate::pairs::scenario::{Failing, Finish, Said, USAGE, halves};
use crate::upstream::Received;

/// The provider.
pub struct Responses;

const SEAL: &str =
    "gAAAAABqbL8mODLU9PO2UQqJIZ79PRjyP9F7lkXrdUd0aBuYLpB4CzIl_WPlKRpDzp3bViAgd7SQEHLCq96NEQ==";

const FIELDS: [&str; 20] = [
    "model",
    "input",
    "instructions",
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "text",
    "reasoning",
    "max_output_tokens",
    "temperature",
    "top_p",
    "stream",
    "store",
    "include",
    "metadata",
    "user",
    "truncation",
    "service_tier",
    "prompt_cache_key",
    "safety_identifier",
];

impl Provider for Responses {
    fn name(&self) -> &'static str {
        "responses"
    }

    /// As Azure serves it: at an address of its own, yet known to be OpenAI's.
    fn yaml(&self, address: &str) -> String {
        format!(
            r#"{{ dialect: openai, azure: {{ api_version: "2024-10-21" }}, base_url: "{address}/responses", api_key: {SECRET}, endpoints: [responses] }}"#
        )
    }

    fn model(&self) -> &'static str {
        "gpt-5-mini-"
    }

    fn read(&self, received: &Received) -> Asked {
        let mut asked = Asked::default();
        match received.header("api-key") {
            Some(_) => asked.check_head(received, "api-key", SECRET),
            None => asked.check_head(received, "authorization", &format!("Bearer {SECRET}")),
        }
        let body = asked.complaints.json("the body", &received.body);
        let complaints = &mut asked.complaints;
        let paths = ["/responses/openai/v1/responses", "/responses/v1/responses"];
        complaints.unless(paths.contains(&received.path.as_str()), || {
            format!("the path {}", received.path)
        });
        complaints.only("the request", &body, &FIELDS);
        asked.model = complaints.text(&body, "/model");
        asked.stream = body["stream"] == true;
        asked.max_tokens = body["max_output_tokens"].as_u64();
        complaints.unless(asked.max_tokens.is_none_or(|most| most >= 16), || {
            "fewer than 16 tokens".to_owned()
        });
        asked.system = body["instructions"].as_str().unwrap_or_default().to_owned();
        if let Some(reasoning) = body
            .get("reasoning")
            .filter(|reasoning| !reasoning.is_null())
        {
            complaints.only("reasoning", reasoning, &["effort", "summary"]);
            asked.thinks = reasoning["effort"]
                .as_str()
                .is_some_and(|effort| effort != "none");
            asked.shows = reasoning["summary"].is_string();
        }
        if let Some(format) = body
            .pointer("/text/format")
            .filter(|format| format["type"] != "text")
        {
            complaints.only(
                "the format",
                format,
                &["type", "name", "description", "schema", "strict"],
            );
            complaints.is(format, "/type", "json_schema");
            complaints.id(format, "/name", "");
            asked.schema = Some(format["schema"].clone());
        }
        read_tools(&body, &mut asked);
        let include = body["include"].as_array().into_iter().flatten();
        let wants_seals = include
            .into_iter()
            .any(|what| what == "reasoning.encrypted_content");
        // Without, there is nothing to bring back.
        asked.complaints.unless(wants_seals || !asked.thinks, || {
            "thoughts without their seals".to_owned()
        });
        match &body["input"] {
            Value::String(text) => asked.say("user", text),
            _ => {
                let items = asked.complaints.list(&body, "/input");
                items.iter().for_each(|item| read_item(item, &mut asked));
            }
        }
        asked.complain_of_open_calls();
        asked
    }

    fn answer(&self, said: &Said, asked: &Asked) -> Reply {
        if let Some(failing) = said.failure {
            let (kind, code) = match failing {
                Failing::RateLimited => ("tokens", json!("rate_limit_exceeded")),
                Failing::ContextTooLong => {
                    ("invalid_request_error", json!("context_length_exceeded"))
                }
                Failing::ServerError => ("server_error", Value::Null),
            };
            let error = json!({"message": self.message(failing), "type": kind, "param": null, "code": code});
            return Reply::whole(failing.status(), &json!({"error": error})).with_retry_after();
        }
        let items = self.items(said, asked);
        let response = response(asked, said, &items);
        match asked.stream {
            false => Reply::whole(200, &response),
            true => stream(response, items, said),
        }
    }

    fn seal(&self) -> Option<&'static str> {
        Some(SEAL)
    }

    fn message(&self, failing: Failing) -> &'static str {
        match failing {
            Failing::RateLimited => {
                "Rate limit reached for gpt-5-mini on tokens per min. Please try again in 7s."
            }
            Failing::ContextTooLong => {
                "Your input exceeds the context window of this model. Please adjust your input and try again."
            }
            Failing::ServerError => {
                "An error occurred while processing your request. You can retry your request."
            }
        }
    }

    fn takes_stops(&self) -> bool {
        false
    }

    fn call_id(&self, number: usize) -> Option<String> {
        Some(format!("call_CeXueyTqEJ1rgm84BHSwNP{number}"))
    }
}

impl Responses {
    fn items(&self, said: &Said, asked: &Asked) -> Vec<Value> {
        let mut items = Vec::new();
        if let Some(thought) = said.thought {
            let summary = match asked.shows {
                true => json!([{"type": "summary_text", "text": thought}]),
                false => json!([]),
            };
            items.push(json!({"id": "rs_0c0e7c2781205396006a6cbf1ef6a08190", "type": "reasoning", "summary": summary, "encrypted_content": SEAL}));
        }
        if !said.text.is_empty() {
            let part = match said.finish {
                Finish::Refusal => json!({"type": "refusal", "refusal": said.text}),
                _ => {
                    json!({"type": "output_text", "text": said.text, "annotations": [], "logprobs": []})
                }
            };
            let status = if said.finish == Finish::Length {
                "incomplete"
            } else {
                "completed"
            };
            items.push(json!({"id": "msg_05ed6c8b322854d8006a024b554efc8196", "type": "message", "status": status, "role": "assistant", "content": [part]}));
        }
        for (number, (name, arguments)) in said.calls.iter().enumerate() {
            items.push(json!({
                "id": format!("fc_060f468708eb0ff90069f3e2f2bb0081{number}"), "type": "function_call", "status": "completed",
                "arguments": arguments.to_string(), "call_id": self.call_id(number), "name": name,
            }));
        }
        items
    }
}

fn response(asked: &Asked, said: &Said, items: &[Value]) -> Value {
    let (status, details) = match said.finish {
        Finish::Length => ("incomplete", json!({"reason": "max_output_tokens"})),
        _ => ("completed", Value::Null),
    };
    json!({
        "id": "resp_05ed6c8b322854d8006a024b54fb288196",
        "object": "response",
        "created_at": 1_778_535_253,
        "status": status,
        "background": false,
        "error": null,
        "incomplete_details": details,
        "instructions": null,
        "max_output_tokens": asked.max_tokens,
        "model": asked.model,
        "output": items,
        "parallel_tool_calls": true,
        "previous_response_id": null,
        "reasoning": {"effort": null, "summary": null},
        "store": true,
        "temperature": 1.0,
        "text": {"format": {"type": "text"}, "verbosity": "medium"},
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "truncation": "disabled",
        "usage": {
            "input_tokens": USAGE.input,
            "input_tokens_details": {"cached_tokens": USAGE.cached},
            "output_tokens": USAGE.output,
            "output_tokens_details": {"reasoning_tokens": USAGE.reasoning},
            "total_tokens": USAGE.input + USAGE.output,
        },
        "user": null,
        "metadata": {},
    })
}

fn stream(response: Value, items: Vec<Value>, said: &Said) -> Reply {
    let mut begun = response.clone();
    begun["status"] = json!("in_progress");
    begun["output"] = json!([]);
    begun["usage"] = Value::Null;
    begun["incomplete_details"] = Value::Null;
    let mut events = vec![
        json!({"type": "response.created", "response": begun}),
        json!({"type": "response.in_progress", "response": begun}),
    ];
    for (index, item) in items.iter().enumerate() {
        let mut at = |mut event: Value| {
            event["output_index"] = json!(index);
            if event.get("item").is_none() {
                event["item_id"] = item["id"].clone();
            }
            events.push(event);
        };
        let mut added = item.clone();
        match item["type"].as_str() {
            Some("reasoning") => {
                added["summary"] = json!([]);
                added["encrypted_content"] = json!("gAAAAABunfinished");
                at(json!({"type": "response.output_item.added", "item": added}));
                for (number, part) in item["summary"].as_array().into_iter().flatten().enumerate() {
                    parts(
                        "response.reasoning_summary_part",
                        "response.reasoning_summary_text",
                        ("summary_index", number),
                        part,
                        &mut at,
                    );
                }
            }
            Some("message") => {
                added["content"] = json!([]);
                added["status"] = json!("in_progress");
                at(json!({"type": "response.output_item.added", "item": added}));
                let part = &item["content"][0];
                let text = if part["type"] == "refusal" {
                    "response.refusal"
                } else {
                    "response.output_text"
                };
                parts(
                    "response.content_part",
                    text,
                    ("content_index", 0),
                    part,
                    &mut at,
                );
            }
            _ => {
                let arguments = item["arguments"].as_str().expect("ours");
                added["arguments"] = json!("");
                added["status"] = json!("in_progress");
                at(json!({"type": "response.output_item.added", "item": added}));
                for half in halves(arguments) {
                    at(
                        json!({"type": "response.function_call_arguments.delta", "delta": half, "obfuscation": "AjHRfe"}),
                    );
                }
                at(
                    json!({"type": "response.function_call_arguments.done", "arguments": arguments}),
                );
            }
        }
        at(json!({"type": "response.output_item.done", "item": item}));
    }
    let status = response["status"].as_str().expect("ours");
    events.push(json!({"type": format!("response.{status}"), "response": response}));
    let numbered = events.iter_mut().enumerate().map(|(number, event)| {
        event["sequence_number"] = json!(number);
        named_event(event)
    });
    Reply::stream(
        "text/event-stream; charset=utf-8",
        numbered.collect(),
        said.is_cut,
    )
}

/// The events of one part of an item.
fn parts(
    part_name: &str,
    text_name: &str,
    (index_name, index): (&str, usize),
    part: &Value,
    at: &mut impl FnMut(Value),
) {
    let field = if part["type"] == "refusal" {
        "refusal"
    } else {
        "text"
    };
    let text = part[field].as_str().expect("ours");
    let mut empty = part.clone();
    empty[field] = json!("");
    at(json!({"type": format!("{part_name}.added"), index_name: index, "part": empty}));
    for half in halves(text) {
        at(json!({"type": format!("{text_name}.delta"), index_name: index, "delta": half}));
    }
    at(json!({"type": format!("{text_name}.done"), index_name: index, field: text}));
    at(json!({"type": format!("{part_name}.done"), index_name: index, "part": part}));
}

fn read_tools(body: &Value, asked: &mut Asked) {
    let complaints = &mut asked.complaints;
    for tool in body["tools"].as_array().into_iter().flatten() {
        complaints.is(tool, "/type", "function");
        complaints.only(
            "a tool",
            tool,
            &["type", "name", "description", "parameters", "strict"],
        );
        complaints.is(tool, "/parameters/type", "object");
        let name = complaints.id(tool, "/name", "");
        let description = complaints.text(tool, "/description");
        asked
            .tools
            .push((name, description, tool["parameters"].clone()));
        // Unless told otherwise, arguments are held to a schema that must then be of the strict kind.
        complaints.is(tool, "/strict", false);
    }
    asked.tool_choice = match &body["tool_choice"] {
        Value::Null => "auto".to_owned(),
        Value::String(choice) => choice.clone(),
        other => other.to_string(),
    };
    let is_alone = asked.tool_choice != "auto" && asked.tools.is_empty();
    complaints.unless(!is_alone, || "tool_choice without tools".to_owned());
}

fn read_item(item: &Value, asked: &mut Asked) {
    let kind = item["type"].as_str().unwrap_or("message");
    let complaints = &mut asked.complaints;
    match kind {
        "message" => read_message(item, asked),
        "function_call" => {
            complaints.only(
                "a call",
                item,
                &["type", "id", "call_id", "name", "arguments", "status"],
            );
            if item.get("id").is_some() {
                complaints.id(item, "/id", "fc_");
            }
            let id = complaints.id(item, "/call_id", "");
            complaints.unless(id.len() <= 64, || format!("the long call id {id}"));
            let name = complaints.id(item, "/name", "");
            let arguments = complaints.text(item, "/arguments");
            let arguments = complaints.json("arguments", arguments.as_bytes());
            asked.calls.push((id, name, arguments));
        }
        "function_call_output" => {
            complaints.only(
                "an output",
                item,
                &["type", "id", "call_id", "output", "status"],
            );
            let id = complaints.text(item, "/call_id");
            let text = match &item["output"] {
                Value::Array(parts) => parts
                    .iter()
                    .map(|part| complaints.id(part, "/text", ""))
                    .collect(),
                _ => complaints.text(item, "/output"),
            };
            let (text, is_error) = Asked::told_failure(&text);
            asked.result(&id, text, is_error);
        }
        "reasoning" => {
            complaints.only(
                "a thought",
                item,
                &[
                    "type",
                    "id",
                    "summary",
                    "content",
                    "encrypted_content",
                    "status",
                ],
            );
            complaints.list(item, "/summary");
            // Only who keeps answers at OpenAI needs the id.
            if item.get("id").is_some() {
                complaints.id(item, "/id", "rs_");
            }
            let seal = complaints.text(item, "/encrypted_content");
            complaints.equal("the seal on a thought", &seal.as_str(), &SEAL);
            asked.seals.push(seal);
        }
        _ => complaints.add(format!("an item of type {kind}")),
    }
}

fn read_message(item: &Value, asked: &mut Asked) {
    asked.complaints.only(
        "a message",
        item,
        &["type", "id", "role", "content", "status", "phase"],
    );
    let role = asked.complaints.text(item, "/role");
    let is_answer = role == "assistant";
    let mut text = item["content"].as_str().unwrap_or_default().to_owned();
    for part in item["content"].as_array().into_iter().flatten() {
        match (part["type"].as_str(), is_answer) {
            (Some("input_text"), false) | (Some("output_text"), true) => {
                text += &asked.complaints.text(part, "/text");
            }
            (Some("input_image"), false) => {
                let url = asked.complaints.text(part, "/image_url");
                match data_url(&url) {
                    Some(image) => asked.images.push(image),
                    None => asked.complaints.add("an image that is no data URL"),
                }
            }
            (other, _) => asked
                .complaints
                .add(format!("a part of type {other:?} from the {role}")),
        }
    }
    match role.as_str() {
        "user" => asked.say("user", &text),
        "assistant" => asked.say("assistant", &text),
        "system" | "developer" => asked.system += &text,
        _ => asked
            .complaints
            .add(format!("a message of the role {role:?}")),
    }
}
