//! Anthropic's messages.

use serde_json::{Value, json};

use super::{Asked, Provider, Reply, SECRET, named_event};
use crate::pairs::complaints::Complaints;
use crate::pairs::scenario::{Failing, Finish, Said, USAGE, halves};
use crate::upstream::Received;

/// The provider.
pub struct Anthropic;

const SEAL: &str = "EpADCokBCA8YAipAsfSSBF77IhHThF+yK0LNwHzSguDmsvUMcSp+NjZU1QHvv7nI1EJ/2D4F";

const FIELDS: [&str; 15] = [
    "model",
    "max_tokens",
    "messages",
    "system",
    "tools",
    "tool_choice",
    "stop_sequences",
    "stream",
    "thinking",
    "output_config",
    "temperature",
    "top_p",
    "top_k",
    "metadata",
    "service_tier",
];

impl Provider for Anthropic {
    fn name(&self) -> &'static str {
        "anthropic"
    }

    fn yaml(&self, address: &str) -> String {
        format!(
            r#"{{ dialect: anthropic, base_url: "{address}/anthropic/v1", api_key: {SECRET} }}"#
        )
    }

    fn model(&self) -> &'static str {
        "claude-sonnet-4-5-"
    }

    fn read(&self, received: &Received) -> Asked {
        let mut asked = Asked::default();
        asked.check_head(received, "x-api-key", SECRET);
        let version = received.header("anthropic-version");
        asked
            .complaints
            .equal("anthropic-version", &version, &Some("2023-06-01"));
        let body = asked.complaints.json("the body", &received.body);
        let complaints = &mut asked.complaints;
        complaints.equal(
            "the path",
            &received.path.as_str(),
            &"/anthropic/v1/messages",
        );
        complaints.only("the request", &body, &FIELDS);
        asked.model = complaints.text(&body, "/model");
        asked.stream = body["stream"] == true;
        asked.max_tokens = Some(complaints.number(&body, "/max_tokens"));
        let stops = body["stop_sequences"].as_array().into_iter().flatten();
        asked.stops = stops.filter_map(Value::as_str).map(str::to_owned).collect();
        let is_blank = |stop: &String| stop.trim().is_empty();
        complaints.unless(!asked.stops.iter().any(is_blank), || {
            "a blank stop sequence".to_owned()
        });
        asked.system = match &body["system"] {
            Value::Array(_) => complaints
                .list(&body, "/system")
                .iter()
                .map(|block| complaints.id(block, "/text", ""))
                .collect(),
            system => system.as_str().unwrap_or_default().to_owned(),
        };
        read_output(&body["output_config"], &mut asked);
        read_tools(&body, &mut asked);
        read_thinking(&body, &mut asked);
        read_messages(&body, &mut asked);
        asked
    }

    fn answer(&self, said: &Said, asked: &Asked) -> Reply {
        if let Some(failing) = said.failure {
            let kind = match failing {
                Failing::RateLimited => "rate_limit_error",
                Failing::ContextTooLong => "invalid_request_error",
                Failing::ServerError => "api_error",
            };
            let error = json!({"type": kind, "message": self.message(failing)});
            let body = json!({"type": "error", "error": error, "request_id": "req_011CdufXo8Y2LVfY2veyuQWG"});
            return Reply::whole(failing.status(), &body).with_retry_after();
        }
        let reason = match said.finish {
            Finish::Stop | Finish::Unknown if !asked.stops.is_empty() => "stop_sequence",
            Finish::Stop | Finish::Unknown => "end_turn",
            Finish::Length => "max_tokens",
            Finish::ToolCalls => "tool_use",
            Finish::Refusal => "refusal",
        };
        let stop = asked.stops.first();
        let mut message = json!({
            "model": asked.model,
            "id": "msg_01Uci5XphDTKTswCz4QkbNb5",
            "type": "message",
            "role": "assistant",
            "content": self.blocks(said),
            "stop_reason": reason,
            "stop_sequence": stop,
            "stop_details": null,
            "usage": usage(),
        });
        match asked.stream {
            false => Reply::whole(200, &message),
            true => stream(&mut message, said),
        }
    }

    fn seal(&self) -> Option<&'static str> {
        Some(SEAL)
    }

    fn message(&self, failing: Failing) -> &'static str {
        match failing {
            Failing::RateLimited => {
                "This request would exceed your organization's rate limit of 50 requests per minute."
            }
            Failing::ContextTooLong => "prompt is too long: 209000 tokens > 200000 maximum",
            Failing::ServerError => "Internal server error",
        }
    }

    fn call_id(&self, number: usize) -> Option<String> {
        Some(format!("toolu_01DgsKYsJWQfJxubLmaKLE{number}"))
    }
}

impl Anthropic {
    fn blocks(&self, said: &Said) -> Vec<Value> {
        let mut blocks = Vec::new();
        if let Some(thought) = said.thought {
            blocks.push(json!({"type": "thinking", "thinking": thought, "signature": SEAL}));
        }
        if !said.text.is_empty() {
            blocks.push(json!({"type": "text", "text": said.text}));
        }
        for (number, (name, input)) in said.calls.iter().enumerate() {
            blocks.push(json!({"type": "tool_use", "id": self.call_id(number), "name": name, "input": input}));
        }
        blocks
    }
}

fn stream(message: &mut Value, said: &Said) -> Reply {
    let blocks = message["content"].take();
    message["content"] = json!([]);
    let reason = message["stop_reason"].take();
    let stop = message["stop_sequence"].take();
    message["usage"]["output_tokens"] = json!(2);
    let mut events = vec![json!({"type": "message_start", "message": message})];
    for (index, block) in blocks.as_array().into_iter().flatten().enumerate() {
        let mut begun = block.clone();
        let mut deltas = Vec::new();
        let mut cut = |kind: &str, field: &str, text: &str| {
            deltas.extend(halves(text).map(|half| json!({"type": kind, field: half})));
        };
        match block["type"].as_str() {
            Some("text") => {
                cut("text_delta", "text", block["text"].as_str().expect("ours"));
                begun["text"] = json!("");
            }
            Some("thinking") => {
                cut(
                    "thinking_delta",
                    "thinking",
                    block["thinking"].as_str().expect("ours"),
                );
                deltas.push(json!({"type": "signature_delta", "signature": SEAL}));
                begun["thinking"] = json!("");
                begun["signature"] = json!("");
            }
            _ => {
                cut("input_json_delta", "partial_json", "");
                cut(
                    "input_json_delta",
                    "partial_json",
                    &block["input"].to_string(),
                );
                begun["input"] = json!({});
            }
        }
        events.push(json!({"type": "content_block_start", "index": index, "content_block": begun}));
        events.extend(
            deltas.into_iter().map(
                |delta| json!({"type": "content_block_delta", "index": index, "delta": delta}),
            ),
        );
        events.push(json!({"type": "content_block_stop", "index": index}));
    }
    let delta = json!({"stop_reason": reason, "stop_sequence": stop, "stop_details": null});
    events.push(json!({"type": "message_delta", "delta": delta, "usage": usage()}));
    events.push(json!({"type": "message_stop"}));
    let mut events: Vec<Vec<u8>> = events.iter().map(named_event).collect();
    let ping = named_event(&json!({"type": "ping"}));
    events[1].extend(ping);
    Reply::stream("text/event-stream; charset=utf-8", events, said.is_cut)
}

fn usage() -> Value {
    json!({
        "input_tokens": USAGE.input - USAGE.cached,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": USAGE.cached,
        "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0},
        "output_tokens": USAGE.output,
        "output_tokens_details": {"thinking_tokens": USAGE.reasoning},
        "service_tier": "standard",
    })
}

fn read_output(output: &Value, asked: &mut Asked) {
    if output.is_null() {
        return;
    }
    asked
        .complaints
        .only("output_config", output, &["format", "effort"]);
    if let Some(format) = output.get("format") {
        asked
            .complaints
            .only("the format", format, &["type", "schema"]);
        asked.complaints.is(format, "/type", "json_schema");
        asked
            .complaints
            .is(format, "/schema/additionalProperties", false);
        asked.schema = Some(format["schema"].clone());
    }
}

fn read_tools(body: &Value, asked: &mut Asked) {
    for tool in body["tools"].as_array().into_iter().flatten() {
        let complaints = &mut asked.complaints;
        complaints.only(
            "a tool",
            tool,
            &[
                "name",
                "description",
                "input_schema",
                "type",
                "strict",
                "cache_control",
            ],
        );
        complaints.is(tool, "/input_schema/type", "object");
        let name = complaints.id(tool, "/name", "");
        let description = complaints.text(tool, "/description");
        asked
            .tools
            .push((name, description, tool["input_schema"].clone()));
    }
    let choice = &body["tool_choice"];
    asked.tool_choice = match choice["type"].as_str() {
        None | Some("auto") => "auto".to_owned(),
        Some("any") => "required".to_owned(),
        Some(other) => other.to_owned(),
    };
    asked
        .complaints
        .unless(choice.is_null() || !asked.tools.is_empty(), || {
            "tool_choice without tools".to_owned()
        });
}

fn read_thinking(body: &Value, asked: &mut Asked) {
    let thinking = &body["thinking"];
    let complaints = &mut asked.complaints;
    match thinking["type"].as_str() {
        None | Some("disabled") => return,
        Some("enabled") => {
            let budget = complaints.number(thinking, "/budget_tokens");
            let is_fit = budget >= 1024 && asked.max_tokens.is_some_and(|most| budget < most);
            complaints.unless(is_fit, || {
                format!("a budget of {budget} within {:?}", asked.max_tokens)
            });
        }
        Some("adaptive") => {}
        Some(other) => complaints.add(format!("thinking of type {other}")),
    }
    asked.thinks = true;
    asked.shows = thinking["display"] != "omitted";
    complaints.unless(asked.tool_choice != "required", || {
        "a forced call of a thinking model".to_owned()
    });
    complaints.unless(
        body.get("temperature")
            .is_none_or(|value| *value == json!(1)),
        || "temperature of a thinking model".to_owned(),
    );
    complaints.unless(body.get("top_k").is_none(), || {
        "top_k of a thinking model".to_owned()
    });
}

fn read_messages(body: &Value, asked: &mut Asked) {
    let messages = asked.complaints.list(body, "/messages");
    if let Some(first) = messages.first() {
        asked.complaints.is(first, "/role", "user");
    }
    for (number, message) in messages.iter().enumerate() {
        asked
            .complaints
            .only("a message", message, &["role", "content"]);
        let role = match asked.complaints.text(message, "/role").as_str() {
            "user" => "user",
            "assistant" => "assistant",
            other => {
                return asked
                    .complaints
                    .add(format!("a message of the role {other:?}"));
            }
        };
        let blocks = match &message["content"] {
            Value::String(text) => vec![json!({"type": "text", "text": text})],
            content => content.as_array().cloned().unwrap_or_default(),
        };
        asked
            .complaints
            .unless(!blocks.is_empty(), || "a message of nothing".to_owned());
        check_order(role, &blocks, asked, number + 1 == messages.len());
        for block in &blocks {
            read_block(role, block, asked);
        }
        if role == "user" {
            asked.complain_of_open_calls();
        }
    }
}

/// Results come first, and a thinking model's calls behind its sealed thought.
fn check_order(role: &str, blocks: &[Value], asked: &mut Asked, is_last: bool) {
    let is = |block: &Value, kind: &str| block["type"] == kind;
    let complaints = &mut asked.complaints;
    complaints.unless(!is_last || role == "user", || {
        "the model's own words at the end".to_owned()
    });
    if role == "user" {
        let behind = blocks.iter().skip_while(|block| is(block, "tool_result"));
        let is_fine = !behind.into_iter().any(|block| is(block, "tool_result"));
        complaints.unless(is_fine, || "a result behind other blocks".to_owned());
    } else if asked.thinks && blocks.iter().any(|block| is(block, "tool_use")) {
        // Thinking may be switched on in the middle of a conversation only where the history has no calls.
        let is_fine = blocks
            .first()
            .is_some_and(|block| is(block, "thinking") || is(block, "redacted_thinking"));
        complaints.unless(is_fine, || {
            "a call without the thought before it".to_owned()
        });
    }
}

fn read_block(role: &'static str, block: &Value, asked: &mut Asked) {
    let kind = asked.complaints.text(block, "/type");
    match (role, kind.as_str()) {
        (_, "text") => {
            let text = asked.complaints.text(block, "/text");
            asked
                .complaints
                .unless(!text.trim().is_empty(), || "a blank text".to_owned());
            asked.say(role, &text);
        }
        ("user", "image") => {
            asked.complaints.is(block, "/source/type", "base64");
            let media_type = asked.complaints.text(block, "/source/media_type");
            let data = asked.complaints.text(block, "/source/data");
            asked.images.push((media_type, data));
        }
        ("user", "tool_result") => {
            asked.complaints.only(
                "a result",
                block,
                &[
                    "type",
                    "tool_use_id",
                    "content",
                    "is_error",
                    "cache_control",
                ],
            );
            let id = asked.complaints.text(block, "/tool_use_id");
            let text = result_text(&block["content"], &mut asked.complaints);
            asked.result(&id, text, block["is_error"] == true);
        }
        ("assistant", "tool_use") => {
            asked.complaints.only(
                "a call",
                block,
                &["type", "id", "name", "input", "cache_control"],
            );
            let id = asked.complaints.text(block, "/id");
            let is_fit = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
            let is_fit = !id.is_empty() && id.bytes().all(is_fit);
            asked
                .complaints
                .unless(is_fit, || format!("the call's id {id:?}"));
            let name = asked.complaints.id(block, "/name", "");
            asked.complaints.unless(block["input"].is_object(), || {
                "an input that is no object".to_owned()
            });
            asked.calls.push((id, name, block["input"].clone()));
        }
        ("assistant", "thinking") => {
            asked
                .complaints
                .only("a thought", block, &["type", "thinking", "signature"]);
            asked.complaints.text(block, "/thinking");
            let seal = asked.complaints.text(block, "/signature");
            asked
                .complaints
                .equal("the seal on a thought", &seal.as_str(), &SEAL);
            asked.seals.push(seal);
        }
        _ => asked
            .complaints
            .add(format!("a block of type {kind} from the {role}")),
    }
}

fn result_text(content: &Value, complaints: &mut Complaints) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        _ => content
            .as_array()
            .into_iter()
            .flatten()
            .map(|block| complaints.id(block, "/text", ""))
            .collect(),
    }
}
