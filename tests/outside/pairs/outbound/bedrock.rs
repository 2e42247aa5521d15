//! Bedrock's `Converse`, in front of a model of Anthropic's.

use serde_json::{Value, json};

use super::{Asked, Provider, Reply, SECRET};
use crate::pairs::frames;
use crate::pairs::scenario::{Failing, Finish, Said, USAGE, Usage, halves};
use crate::upstream::Received;

/// The provider.
pub struct Bedrock;

const SEAL: &str = "ErcBCkgICBACGAIiQHtMxpqcMhnwgGUmSDWGoOL9ZHTbDKjWnhbFm0xKzFl0NmXFjQQxjFj5";

const FIELDS: [&str; 11] = [
    "messages",
    "system",
    "inferenceConfig",
    "toolConfig",
    "outputConfig",
    "additionalModelRequestFields",
    "additionalModelResponseFieldPaths",
    "requestMetadata",
    "performanceConfig",
    "guardrailConfig",
    "serviceTier",
];

impl Provider for Bedrock {
    fn name(&self) -> &'static str {
        "bedrock"
    }

    fn yaml(&self, address: &str) -> String {
        format!(
            r#"{{ dialect: bedrock, region: eu-west-1, base_url: "{address}/bedrock", api_key: {SECRET} }}"#
        )
    }

    fn model(&self) -> &'static str {
        "eu.anthropic.claude-sonnet-4-5-20250929-v1:"
    }

    fn read(&self, received: &Received) -> Asked {
        let mut asked = Asked::default();
        asked.check_head(received, "authorization", &format!("Bearer {SECRET}"));
        let body = asked.complaints.json("the body", &received.body);
        let complaints = &mut asked.complaints;
        let place = received
            .path
            .strip_prefix("/bedrock/model/")
            .and_then(|rest| rest.rsplit_once('/'));
        let Some((model, verb)) = place else {
            complaints.add(format!("the path {}", received.path));
            return asked;
        };
        asked.model = model.replace("%3A", ":").replace("%3a", ":");
        asked.stream = verb == "converse-stream";
        complaints.unless(asked.stream || verb == "converse", || {
            format!("the verb {verb}")
        });
        complaints.only("the request", &body, &FIELDS);
        for block in body["system"].as_array().into_iter().flatten() {
            complaints.only("a system block", block, &["text"]);
            asked.system += &complaints.id(block, "/text", "");
        }
        let settings = &body["inferenceConfig"];
        if !settings.is_null() {
            complaints.only(
                "inferenceConfig",
                settings,
                &["maxTokens", "temperature", "topP", "stopSequences"],
            );
        }
        asked.max_tokens = settings["maxTokens"].as_u64();
        let stops = settings["stopSequences"].as_array().into_iter().flatten();
        asked.stops = stops.filter_map(Value::as_str).map(str::to_owned).collect();
        if let Some(format) = body.pointer("/outputConfig/textFormat") {
            complaints.is(format, "/type", "json_schema");
            let schema = complaints.text(format, "/structure/jsonSchema/schema");
            asked.schema = Some(complaints.json("the schema", schema.as_bytes()));
        }
        read_tools(&body["toolConfig"], &mut asked);
        read_thinking(&body, &mut asked);
        read_messages(&body, &mut asked);
        asked
    }

    fn answer(&self, said: &Said, asked: &Asked) -> Reply {
        if let Some(failing) = said.failure {
            let kind = match failing {
                Failing::RateLimited => "ThrottlingException",
                Failing::ContextTooLong => "ValidationException",
                Failing::ServerError => "InternalServerException",
            };
            let kind = format!("{kind}:http://internal.amazon.com/coral/com.amazon.bedrock/");
            let body = json!({"message": self.message(failing)});
            let reply = Reply::whole(failing.status(), &body).with_retry_after();
            return reply.header("x-amzn-errortype", &kind);
        }
        let reason = match said.finish {
            Finish::Stop | Finish::Unknown if !asked.stops.is_empty() => "stop_sequence",
            Finish::Stop | Finish::Unknown => "end_turn",
            Finish::Length => "max_tokens",
            Finish::ToolCalls => "tool_use",
            Finish::Refusal => "content_filtered",
        };
        if asked.stream {
            return self.stream(said, reason);
        }
        let mut blocks = Vec::new();
        if let Some(thought) = said.thought {
            let text = json!({"text": thought, "signature": SEAL});
            blocks.push(json!({"reasoningContent": {"reasoningText": text}}));
        }
        if !said.text.is_empty() {
            blocks.push(json!({"text": said.text}));
        }
        for (number, (name, input)) in said.calls.iter().enumerate() {
            blocks.push(json!({"toolUse": {"toolUseId": self.call_id(number), "name": name, "input": input}}));
        }
        let message = json!({"content": blocks, "role": "assistant"});
        Reply::whole(
            200,
            &json!({"metrics": {"latencyMs": 1402}, "output": {"message": message}, "stopReason": reason, "usage": usage()}),
        )
    }

    fn seal(&self) -> Option<&'static str> {
        Some(SEAL)
    }

    fn message(&self, failing: Failing) -> &'static str {
        match failing {
            Failing::RateLimited => "Too many requests, please wait before trying again.",
            Failing::ContextTooLong => "Input is too long for requested model.",
            Failing::ServerError => {
                "The system encountered an unexpected error during processing. Try your request again."
            }
        }
    }

    fn usage(&self) -> Usage {
        Usage {
            reasoning: 0,
            ..USAGE
        }
    }

    fn call_id(&self, number: usize) -> Option<String> {
        Some(format!("tooluse_aS2bf2IWkc0VLclSrpq8M{number}"))
    }
}

impl Bedrock {
    fn stream(&self, said: &Said, reason: &str) -> Reply {
        let mut events = vec![("messageStart", json!({"p": "abcde", "role": "assistant"}))];
        let mut index = 0;
        let mut block = |start: Option<Value>, deltas: Vec<Value>| {
            if let Some(start) = start {
                events.push((
                    "contentBlockStart",
                    json!({"contentBlockIndex": index, "start": start, "p": "ab"}),
                ));
            }
            for delta in deltas {
                events.push((
                    "contentBlockDelta",
                    json!({"contentBlockIndex": index, "delta": delta, "p": "abcdef"}),
                ));
            }
            events.push((
                "contentBlockStop",
                json!({"contentBlockIndex": index, "p": "abc"}),
            ));
            index += 1;
        };
        if let Some(thought) = said.thought {
            let mut deltas = halves(thought)
                .map(|half| json!({"reasoningContent": {"text": half}}))
                .to_vec();
            deltas.push(json!({"reasoningContent": {"signature": SEAL}}));
            block(None, deltas);
        }
        if !said.text.is_empty() {
            block(
                None,
                halves(said.text).map(|half| json!({"text": half})).to_vec(),
            );
        }
        for (number, (name, input)) in said.calls.iter().enumerate() {
            let start = json!({"toolUse": {"toolUseId": self.call_id(number), "name": name}});
            let deltas = halves(&input.to_string()).map(|half| json!({"toolUse": {"input": half}}));
            block(Some(start), deltas.to_vec());
        }
        events.push((
            "messageStop",
            json!({"p": "abcdefgh", "stopReason": reason}),
        ));
        events.push((
            "metadata",
            json!({"metrics": {"latencyMs": 223}, "p": "abc", "usage": usage()}),
        ));
        let frames = events.iter().map(|(name, json)| frames::event(name, json));
        Reply::stream(
            "application/vnd.amazon.eventstream",
            frames.collect(),
            said.is_cut,
        )
    }
}

fn usage() -> Value {
    json!({
        "inputTokens": USAGE.input - USAGE.cached,
        "outputTokens": USAGE.output,
        "totalTokens": USAGE.input + USAGE.output,
        "cacheReadInputTokens": USAGE.cached,
        "cacheReadInputTokenCount": USAGE.cached,
        "cacheWriteInputTokens": 0,
        "cacheWriteInputTokenCount": 0,
        "serverToolUsage": {},
    })
}

fn read_tools(config: &Value, asked: &mut Asked) {
    let complaints = &mut asked.complaints;
    asked.tool_choice = "auto".to_owned();
    if config.is_null() {
        return;
    }
    complaints.only("toolConfig", config, &["tools", "toolChoice"]);
    let tools = complaints.list(config, "/tools");
    complaints.unless(!tools.is_empty(), || {
        "a toolConfig without tools".to_owned()
    });
    for tool in &tools {
        complaints.only("a tool", tool, &["toolSpec"]);
        complaints.only(
            "a toolSpec",
            &tool["toolSpec"],
            &["name", "description", "inputSchema", "strict"],
        );
        let name = complaints.id(tool, "/toolSpec/name", "");
        let description = complaints.id(tool, "/toolSpec/description", "");
        let schema = tool["toolSpec"]["inputSchema"]["json"].clone();
        complaints.is(&schema, "/type", "object");
        asked.tools.push((name, description, schema));
    }
    if let Some(choice) = config.get("toolChoice").and_then(Value::as_object) {
        let names: Vec<&str> = choice.keys().map(String::as_str).collect();
        asked.tool_choice = match names.as_slice() {
            ["auto"] => "auto".to_owned(),
            ["any"] => "required".to_owned(),
            other => other.join("+"),
        };
    }
}

fn read_thinking(body: &Value, asked: &mut Asked) {
    let complaints = &mut asked.complaints;
    let more = &body["additionalModelRequestFields"];
    let thinking = &more["thinking"];
    match thinking["type"].as_str() {
        None | Some("disabled") => return,
        Some("enabled") => {
            let budget = complaints.number(thinking, "/budget_tokens");
            let is_fit = budget >= 1024 && asked.max_tokens.is_none_or(|most| budget < most);
            complaints.unless(is_fit, || {
                format!("a budget of {budget} within {:?}", asked.max_tokens)
            });
        }
        Some("adaptive") => {}
        Some(other) => complaints.add(format!("thinking of type {other}")),
    }
    asked.thinks = true;
    asked.shows = true;
    complaints.unless(asked.tool_choice != "required", || {
        "a forced call of a thinking model".to_owned()
    });
}

fn read_messages(body: &Value, asked: &mut Asked) {
    let mut last = "assistant";
    for message in asked.complaints.list(body, "/messages") {
        asked
            .complaints
            .only("a message", &message, &["role", "content"]);
        let role = match message["role"].as_str() {
            Some("user") => "user",
            Some("assistant") => "assistant",
            other => {
                return asked
                    .complaints
                    .add(format!("a message of the role {other:?}"));
            }
        };
        asked.complaints.unless(role != last, || {
            format!("two messages of the {role} in a row")
        });
        last = role;
        let blocks = asked.complaints.list(&message, "/content");
        asked
            .complaints
            .unless(!blocks.is_empty(), || "a message of nothing".to_owned());
        if role == "assistant"
            && asked.thinks
            && blocks.iter().any(|block| block.get("toolUse").is_some())
        {
            let is_fine = blocks
                .first()
                .is_some_and(|block| block.get("reasoningContent").is_some());
            asked.complaints.unless(is_fine, || {
                "a call without the thought before it".to_owned()
            });
        }
        for block in &blocks {
            read_block(role, block, asked);
        }
        if role == "user" {
            asked.complain_of_open_calls();
        }
    }
    asked.complaints.unless(last == "user", || {
        "the model's own words at the end".to_owned()
    });
    let has_config = !asked.tools.is_empty() || asked.calls.is_empty();
    asked
        .complaints
        .unless(has_config, || "calls without a toolConfig".to_owned());
}

fn read_block(role: &'static str, block: &Value, asked: &mut Asked) {
    let complaints = &mut asked.complaints;
    let known: &[&str] = match role {
        "user" => &["text", "image", "toolResult"],
        _ => &["text", "toolUse", "reasoningContent"],
    };
    complaints.only("a block", block, known);
    let kinds = block.as_object().map_or(0, serde_json::Map::len);
    complaints.equal("the kinds of a block", &kinds, &1);
    if block.get("text").is_some() {
        let text = complaints.text(block, "/text");
        complaints.unless(!text.trim().is_empty(), || "a blank text".to_owned());
        asked.say(role, &text);
    } else if let Some(image) = block.get("image") {
        let format = complaints.text(image, "/format");
        let data = complaints.text(image, "/source/bytes");
        asked.images.push((format!("image/{format}"), data));
    } else if let Some(call) = block.get("toolUse") {
        complaints.only("a toolUse", call, &["toolUseId", "name", "input"]);
        let id = complaints.text(call, "/toolUseId");
        let is_fit = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
        let is_fit = (1..=64).contains(&id.len()) && id.bytes().all(is_fit);
        complaints.unless(is_fit, || format!("the call's id {id:?}"));
        let name = complaints.id(call, "/name", "");
        complaints.unless(call["input"].is_object(), || {
            "an input that is no object".to_owned()
        });
        asked.calls.push((id, name, call["input"].clone()));
    } else if let Some(result) = block.get("toolResult") {
        complaints.only("a toolResult", result, &["toolUseId", "content", "status"]);
        let id = complaints.text(result, "/toolUseId");
        let mut text = String::new();
        for part in complaints.list(result, "/content") {
            complaints.only("a result's part", &part, &["text", "json"]);
            text += &part["text"]
                .as_str()
                .map_or(part["json"].to_string(), str::to_owned);
        }
        asked.result(&id, text, result["status"] == "error");
    } else if let Some(thought) = block.get("reasoningContent") {
        complaints.only("a thought", thought, &["reasoningText", "redactedContent"]);
        complaints.text(thought, "/reasoningText/text");
        let seal = complaints.text(thought, "/reasoningText/signature");
        complaints.equal("the seal on a thought", &seal.as_str(), &SEAL);
        asked.seals.push(seal);
    }
}
