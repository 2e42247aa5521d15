//! Cohere's chat, version 2.

use serde_json::{Value, json};

use super::{Asked, Provider, Reply, SECRET, data_url, named_event};
use crate::pairs::scenario::{Failing, Finish, Said, Scenario, USAGE, Usage, halves};
use crate::upstream::Received;

/// The provider.
pub struct Cohere;

const FIELDS: [&str; 19] = [
    "model",
    "messages",
    "stream",
    "tools",
    "tool_choice",
    "strict_tools",
    "response_format",
    "max_tokens",
    "temperature",
    "p",
    "k",
    "seed",
    "stop_sequences",
    "frequency_penalty",
    "presence_penalty",
    "logprobs",
    "thinking",
    "safety_mode",
    "priority",
];

impl Provider for Cohere {
    fn name(&self) -> &'static str {
        "cohere"
    }

    fn yaml(&self, address: &str) -> String {
        format!(r#"{{ dialect: cohere, base_url: "{address}/cohere/v2", api_key: {SECRET} }}"#)
    }

    fn model(&self) -> &'static str {
        "command-a-reasoning-08-2025-"
    }

    fn has(&self, scenario: Scenario) -> bool {
        // A refusal is words like any other.
        scenario != Scenario::Refusal
    }

    fn read(&self, received: &Received) -> Asked {
        let mut asked = Asked::default();
        asked.check_head(received, "authorization", &format!("Bearer {SECRET}"));
        let body = asked.complaints.json("the body", &received.body);
        let complaints = &mut asked.complaints;
        complaints.equal("the path", &received.path.as_str(), &"/cohere/v2/chat");
        complaints.only("the request", &body, &FIELDS);
        asked.model = complaints.text(&body, "/model");
        asked.stream = body["stream"] == true;
        asked.max_tokens = body["max_tokens"].as_u64();
        let stops = body["stop_sequences"].as_array().into_iter().flatten();
        asked.stops = stops.filter_map(Value::as_str).map(str::to_owned).collect();
        complaints.unless(asked.stops.len() <= 5, || "more than five stops".to_owned());
        if let Some(thinking) = body.get("thinking") {
            complaints.only("thinking", thinking, &["type", "token_budget"]);
            asked.thinks = thinking["type"] == "enabled";
            complaints.unless(asked.thinks || thinking["type"] == "disabled", || {
                format!("thinking: {thinking}")
            });
        }
        asked.shows = true;
        if let Some(format) = body
            .get("response_format")
            .filter(|format| format["type"] != "text")
        {
            complaints.only("response_format", format, &["type", "json_schema"]);
            complaints.is(format, "/type", "json_object");
            complaints.unless(body.get("tools").is_none(), || {
                "a format beside tools".to_owned()
            });
            asked.schema = format.get("json_schema").cloned();
        }
        read_tools(&body, &mut asked);
        for message in asked.complaints.list(&body, "/messages") {
            read_message(&message, &mut asked);
        }
        asked.complain_of_open_calls();
        asked
    }

    fn answer(&self, said: &Said, asked: &Asked) -> Reply {
        if let Some(failing) = said.failure {
            let body = json!({"id": "ae1ba6c8-3f5e-4b4a-8a5d-c2f0b5f6f3a1", "message": self.message(failing)});
            return Reply::whole(failing.status(), &body).with_retry_after();
        }
        let reason = match said.finish {
            Finish::Stop | Finish::Refusal | Finish::Unknown if !asked.stops.is_empty() => {
                "STOP_SEQUENCE"
            }
            Finish::Stop | Finish::Refusal | Finish::Unknown => "COMPLETE",
            Finish::Length => "MAX_TOKENS",
            Finish::ToolCalls => "TOOL_CALL",
        };
        if asked.stream {
            return self.stream(said, reason);
        }
        let mut message = json!({"role": "assistant"});
        let mut content = Vec::new();
        if let Some(thought) = said.thought {
            content.push(json!({"type": "thinking", "thinking": thought}));
        }
        if !said.calls.is_empty() {
            message["tool_calls"] = (0..said.calls.len())
                .map(|number| self.call(said, number))
                .collect();
            if !said.text.is_empty() {
                message["tool_plan"] = json!(said.text);
            }
        } else {
            content.push(json!({"type": "text", "text": said.text}));
        }
        if !content.is_empty() {
            message["content"] = content.into();
        }
        Reply::whole(
            200,
            &json!({"id": ID, "finish_reason": reason, "message": message, "usage": usage()}),
        )
    }

    fn seal(&self) -> Option<&'static str> {
        None
    }

    fn message(&self, failing: Failing) -> &'static str {
        match failing {
            Failing::RateLimited => "Please wait and try again later",
            Failing::ContextTooLong => {
                "too many tokens: size limit exceeded by 1000 tokens. Try using shorter or fewer inputs."
            }
            Failing::ServerError => {
                "internal server error, this has been reported to our developers."
            }
        }
    }

    fn plans_calls(&self) -> bool {
        true
    }

    fn usage(&self) -> Usage {
        Usage {
            reasoning: 0,
            ..USAGE
        }
    }

    fn call_id(&self, number: usize) -> Option<String> {
        Some(format!("get_weather_mvsbdckzn3{number}"))
    }
}

const ID: &str = "2db88225-f4e2-47f5-b3f6-3d2d0e4b3a5b";

impl Cohere {
    fn call(&self, said: &Said, number: usize) -> Value {
        let (name, arguments) = &said.calls[number];
        let function = json!({"name": name, "arguments": arguments.to_string()});
        json!({"id": self.call_id(number), "type": "function", "function": function})
    }

    fn stream(&self, said: &Said, reason: &str) -> Reply {
        let mut events = Vec::new();
        let mut push = |kind: &str, index: Option<usize>, message: Option<Value>| {
            let mut event = json!({"type": kind});
            if let Some(index) = index {
                event["index"] = json!(index);
            }
            if let Some(message) = message {
                event["delta"] = json!({"message": message});
            }
            events.push(event);
        };
        let begun = json!({"role": "assistant", "content": [], "tool_plan": "", "tool_calls": [], "citations": []});
        push("message-start", None, Some(begun));
        let thought = said.thought.map(|text| ("thinking", text));
        let words = said.calls.is_empty().then_some(("text", said.text));
        for (index, (kind, text)) in thought.into_iter().chain(words).enumerate() {
            push(
                "content-start",
                Some(index),
                Some(json!({"content": {"type": kind, kind: ""}})),
            );
            for half in halves(text) {
                push(
                    "content-delta",
                    Some(index),
                    Some(json!({"content": {kind: half}})),
                );
            }
            push("content-end", Some(index), None);
        }
        if !said.calls.is_empty() && !said.text.is_empty() {
            for half in halves(said.text) {
                push("tool-plan-delta", None, Some(json!({"tool_plan": half})));
            }
        }
        for (index, (_, arguments)) in said.calls.iter().enumerate() {
            let mut call = self.call(said, index);
            call["function"]["arguments"] = json!("");
            push(
                "tool-call-start",
                Some(index),
                Some(json!({"tool_calls": call})),
            );
            for half in halves(&arguments.to_string()) {
                let call = json!({"function": {"arguments": half}});
                push(
                    "tool-call-delta",
                    Some(index),
                    Some(json!({"tool_calls": call})),
                );
            }
            push("tool-call-end", Some(index), None);
        }
        events[0]["id"] = json!(ID);
        events.push(json!({"type": "message-end", "id": ID, "delta": {"finish_reason": reason, "usage": usage()}}));
        let mut pieces: Vec<Vec<u8>> = events.iter().map(named_event).collect();
        pieces.push(b"data: [DONE]\n\n".to_vec());
        Reply::stream("text/event-stream", pieces, said.is_cut)
    }
}

fn usage() -> Value {
    let tokens = json!({"input_tokens": USAGE.input, "output_tokens": USAGE.output});
    json!({"billed_units": tokens, "tokens": tokens, "cached_tokens": USAGE.cached})
}

fn read_tools(body: &Value, asked: &mut Asked) {
    let complaints = &mut asked.complaints;
    for tool in body["tools"].as_array().into_iter().flatten() {
        complaints.is(tool, "/type", "function");
        complaints.only(
            "a function",
            &tool["function"],
            &["name", "description", "parameters"],
        );
        complaints.is(tool, "/function/parameters/type", "object");
        let name = complaints.id(tool, "/function/name", "");
        let description = complaints.text(tool, "/function/description");
        asked
            .tools
            .push((name, description, tool["function"]["parameters"].clone()));
    }
    asked.tool_choice = match &body["tool_choice"] {
        Value::Null => "auto".to_owned(),
        Value::String(choice) if choice == "REQUIRED" => "required".to_owned(),
        Value::String(choice) if choice == "NONE" => "none".to_owned(),
        other => other.to_string(),
    };
}

fn read_message(message: &Value, asked: &mut Asked) {
    let role = asked.complaints.text(message, "/role");
    if role != "tool" {
        asked.complain_of_open_calls();
    }
    let known: &[&str] = match role.as_str() {
        "system" | "user" => &["role", "content"],
        "tool" => &["role", "content", "tool_call_id"],
        "assistant" => &["role", "content", "tool_calls", "tool_plan", "citations"],
        other => {
            return asked
                .complaints
                .add(format!("a message of the role {other:?}"));
        }
    };
    asked.complaints.only("a message", message, known);
    let text = read_content(&role, &message["content"], asked);
    match role.as_str() {
        "system" => asked.system += &text,
        "user" => asked.say("user", &text),
        "tool" => {
            let id = asked.complaints.id(message, "/tool_call_id", "");
            let (text, is_error) = Asked::told_failure(&text);
            asked.result(&id, text, is_error);
        }
        _ => {
            if !text.is_empty() {
                asked.say("assistant", &text);
            }
            for call in message["tool_calls"].as_array().into_iter().flatten() {
                asked.complaints.is(call, "/type", "function");
                let id = asked.complaints.id(call, "/id", "");
                let name = asked.complaints.id(call, "/function/name", "");
                let arguments = asked.complaints.text(call, "/function/arguments");
                let arguments = asked.complaints.json("arguments", arguments.as_bytes());
                asked.calls.push((id, name, arguments));
            }
        }
    }
}

fn read_content(role: &str, content: &Value, asked: &mut Asked) -> String {
    let mut text = content.as_str().unwrap_or_default().to_owned();
    for part in content.as_array().into_iter().flatten() {
        match (part["type"].as_str(), role) {
            (Some("text"), _) => text += &asked.complaints.text(part, "/text"),
            (Some("thinking"), "assistant") => drop(asked.complaints.text(part, "/thinking")),
            (Some("document"), "tool") => {
                let data = &part["document"]["data"];
                text += &data.as_str().map_or(data.to_string(), str::to_owned);
            }
            (Some("image_url"), "user") => {
                let url = asked.complaints.text(part, "/image_url/url");
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
    text
}
