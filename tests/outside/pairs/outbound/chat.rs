//! A server that speaks OpenAI's chat completions and shows thoughts, as DeepSeek's does.

use serde_json::{Value, json};

use super::{Asked, Provider, Reply, SECRET, data_event, data_url};
use crate::pairs::scenario::{Failing, Finish, Said, USAGE, halves};
use crate::upstream::Received;

/// The server.
pub struct Chat;

const FIELDS: [&str; 19] = [
    "model",
    "messages",
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "response_format",
    "reasoning_effort",
    "max_tokens",
    "max_completion_tokens",
    "temperature",
    "top_p",
    "stop",
    "stream",
    "stream_options",
    "seed",
    "n",
    "user",
    "metadata",
    "store",
];

impl Provider for Chat {
    fn name(&self) -> &'static str {
        "chat"
    }

    fn yaml(&self, address: &str) -> String {
        format!(
            r#"{{ dialect: openai, base_url: "{address}/chat/v1", api_key: {SECRET}, endpoints: [chat] }}"#
        )
    }

    fn model(&self) -> &'static str {
        "deepseek-chat-"
    }

    fn read(&self, received: &Received) -> Asked {
        let mut asked = Asked::default();
        asked.check_head(received, "authorization", &format!("Bearer {SECRET}"));
        let body = asked.complaints.json("the body", &received.body);
        let complaints = &mut asked.complaints;
        complaints.equal(
            "the path",
            &received.path.as_str(),
            &"/chat/v1/chat/completions",
        );
        complaints.only("the request", &body, &FIELDS);
        asked.model = complaints.text(&body, "/model");
        asked.stream = body["stream"] == true;
        if body.get("stream_options").is_some() {
            complaints.unless(asked.stream, || {
                "stream_options without a stream".to_owned()
            });
        }
        let limits = ["max_tokens", "max_completion_tokens"].map(|name| body[name].as_u64());
        complaints.unless(limits[0].is_none() || limits[1].is_none(), || {
            "two limits".to_owned()
        });
        asked.max_tokens = limits[0].or(limits[1]);
        asked.thinks = body["reasoning_effort"]
            .as_str()
            .is_some_and(|effort| effort != "none");
        asked.shows = true;
        asked.stops = strings(&body["stop"]);
        complaints.unless(asked.stops.len() <= 4, || "more than four stops".to_owned());
        read_format(&body["response_format"], &mut asked);
        read_tools(&body, &mut asked);
        for message in asked.complaints.list(&body, "/messages") {
            read_message(&message, &mut asked);
        }
        asked.complain_of_open_calls();
        asked
    }

    fn answer(&self, said: &Said, asked: &Asked) -> Reply {
        if let Some(failing) = said.failure {
            let (kind, code) = match failing {
                Failing::RateLimited => ("requests", json!("rate_limit_exceeded")),
                Failing::ContextTooLong => {
                    ("invalid_request_error", json!("context_length_exceeded"))
                }
                Failing::ServerError => ("server_error", Value::Null),
            };
            let error = json!({"message": self.message(failing), "type": kind, "param": null, "code": code});
            return Reply::whole(failing.status(), &json!({"error": error})).with_retry_after();
        }
        let reason = match said.finish {
            Finish::Length => "length",
            Finish::ToolCalls => "tool_calls",
            Finish::Stop | Finish::Refusal | Finish::Unknown => "stop",
        };
        if asked.stream {
            return self.stream(said, reason);
        }
        let mut message =
            json!({"role": "assistant", "content": said.text, "refusal": null, "annotations": []});
        if said.finish == Finish::Refusal {
            message["content"] = Value::Null;
            message["refusal"] = json!(said.text);
        }
        if let Some(thought) = said.thought {
            message["reasoning_content"] = json!(thought);
        }
        if !said.calls.is_empty() {
            message["content"] = (!said.text.is_empty()).then_some(said.text).into();
            message["tool_calls"] = (0..said.calls.len())
                .map(|number| self.call(said, number))
                .collect();
        }
        Reply::whole(
            200,
            &json!({
                "id": "chatcmpl-Dyln9x0m6SZi5esRfU7vKKMeY9xzP",
                "object": "chat.completion",
                "created": 1_783_375_763,
                "model": asked.model,
                "choices": [{"index": 0, "message": message, "logprobs": null, "finish_reason": reason}],
                "usage": usage(),
                "service_tier": "default",
                "system_fingerprint": "fp_f38e8ce955",
            }),
        )
    }

    fn seal(&self) -> Option<&'static str> {
        None
    }

    fn message(&self, failing: Failing) -> &'static str {
        match failing {
            Failing::RateLimited => "Rate limit reached for requests. Please try again in 7s.",
            Failing::ContextTooLong => {
                "This model's maximum context length is 8192 tokens. However, your messages resulted in 9000 tokens."
            }
            Failing::ServerError => {
                "The server had an error while processing your request. Sorry about that!"
            }
        }
    }

    fn call_id(&self, number: usize) -> Option<String> {
        Some(format!("call_J3ajtA7qivswzXp8A9sJ7fo{number}"))
    }
}

impl Chat {
    fn call(&self, said: &Said, number: usize) -> Value {
        let (name, arguments) = &said.calls[number];
        let function = json!({"name": name, "arguments": arguments.to_string()});
        json!({"id": self.call_id(number), "type": "function", "function": function})
    }

    /// The arguments of parallel calls come by turns: some servers do so, and the dialect allows it.
    fn stream(&self, said: &Said, reason: &str) -> Reply {
        let mut deltas = vec![json!({"role": "assistant", "content": "", "refusal": null})];
        let texts = |field: &str, text: &str| halves(text).map(|half| json!({field: half}));
        if let Some(thought) = said.thought {
            deltas.extend(texts("reasoning_content", thought));
        }
        if !said.text.is_empty() {
            let field = if said.finish == Finish::Refusal {
                "refusal"
            } else {
                "content"
            };
            deltas.extend(texts(field, said.text));
        }
        for number in 0..said.calls.len() {
            let mut call = self.call(said, number);
            call["index"] = json!(number);
            call["function"]["arguments"] = json!("");
            deltas.push(json!({"tool_calls": [call]}));
        }
        for half in 0..2 {
            for (index, (_, arguments)) in said.calls.iter().enumerate() {
                let arguments = halves(&arguments.to_string())[half].to_owned();
                let call = json!({"index": index, "function": {"arguments": arguments}});
                deltas.push(json!({"tool_calls": [call]}));
            }
        }
        let choices = deltas.into_iter().map(
            |delta| json!([{"index": 0, "delta": delta, "logprobs": null, "finish_reason": null}]),
        );
        let last = json!([{"index": 0, "delta": {}, "logprobs": null, "finish_reason": reason}]);
        let mut events: Vec<Vec<u8>> = choices
            .chain([last])
            .map(|choices| data_event(&chunk(choices, Value::Null)))
            .collect();
        events.push(data_event(&chunk(json!([]), usage())));
        events.push(b"data: [DONE]\n\n".to_vec());
        Reply::stream("text/event-stream", events, said.is_cut)
    }
}

fn chunk(choices: Value, usage: Value) -> Value {
    json!({
        "id": "chatcmpl-C1KMJC4uUHgeJ4A0e8jM8wufrmdxX",
        "object": "chat.completion.chunk",
        "created": 1_754_432_623,
        "model": "deepseek-chat",
        "service_tier": "default",
        "choices": choices,
        "usage": usage,
        "obfuscation": "u17",
    })
}

fn usage() -> Value {
    json!({
        "prompt_tokens": USAGE.input,
        "completion_tokens": USAGE.output,
        "total_tokens": USAGE.input + USAGE.output,
        "prompt_tokens_details": {"cached_tokens": USAGE.cached, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": USAGE.reasoning, "audio_tokens": 0},
    })
}

fn read_format(format: &Value, asked: &mut Asked) {
    match format["type"].as_str() {
        None | Some("text") => {}
        Some("json_schema") => {
            let complaints = &mut asked.complaints;
            complaints.only(
                "json_schema",
                &format["json_schema"],
                &["name", "description", "schema", "strict"],
            );
            complaints.id(format, "/json_schema/name", "");
            asked.schema = Some(format["json_schema"]["schema"].clone());
        }
        Some(other) => asked.complaints.add(format!("the response format {other}")),
    }
}

fn read_tools(body: &Value, asked: &mut Asked) {
    let complaints = &mut asked.complaints;
    for tool in body["tools"].as_array().into_iter().flatten() {
        complaints.is(tool, "/type", "function");
        complaints.only(
            "a function",
            &tool["function"],
            &["name", "description", "parameters", "strict"],
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
        Value::String(choice) => choice.clone(),
        other => other.to_string(),
    };
    let is_alone = body.get("tool_choice").is_some() && asked.tools.is_empty();
    complaints.unless(!is_alone, || "tool_choice without tools".to_owned());
}

fn read_message(message: &Value, asked: &mut Asked) {
    let role = asked.complaints.text(message, "/role");
    if role != "tool" {
        asked.complain_of_open_calls();
    }
    let known: &[&str] = match role.as_str() {
        "system" | "developer" | "user" => &["role", "content", "name"],
        "tool" => &["role", "content", "tool_call_id"],
        "assistant" => &[
            "role",
            "content",
            "refusal",
            "name",
            "tool_calls",
            "reasoning_content",
            "annotations",
        ],
        other => {
            return asked
                .complaints
                .add(format!("a message of the role {other:?}"));
        }
    };
    asked.complaints.only("a message", message, known);
    let text = read_content(&message["content"], asked);
    match role.as_str() {
        "system" | "developer" => asked.system += &text,
        "user" => {
            asked
                .complaints
                .unless(!text.is_empty(), || "a user who says nothing".to_owned());
            asked.say("user", &text);
        }
        "tool" => {
            let id = asked.complaints.id(message, "/tool_call_id", "");
            let (text, is_error) = Asked::told_failure(&text);
            asked.result(&id, text, is_error);
        }
        _ => read_answer(message, &text, asked),
    }
}

fn read_answer(message: &Value, text: &str, asked: &mut Asked) {
    if !text.is_empty() {
        asked.say("assistant", text);
    }
    let calls = message["tool_calls"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    asked.complaints.unless(
        !calls.is_empty() || message["content"].is_string() || message["content"].is_array(),
        || "an assistant who says and calls nothing".to_owned(),
    );
    for call in &calls {
        asked.complaints.is(call, "/type", "function");
        let id = asked.complaints.id(call, "/id", "");
        let name = asked.complaints.id(call, "/function/name", "");
        let arguments = asked.complaints.text(call, "/function/arguments");
        let arguments = asked.complaints.json("arguments", arguments.as_bytes());
        asked.calls.push((id, name, arguments));
    }
}

fn read_content(content: &Value, asked: &mut Asked) -> String {
    let mut text = content.as_str().unwrap_or_default().to_owned();
    for part in content.as_array().into_iter().flatten() {
        match part["type"].as_str() {
            Some("text") => text += &asked.complaints.text(part, "/text"),
            Some("image_url") => {
                let url = asked.complaints.text(part, "/image_url/url");
                match data_url(&url) {
                    Some(image) => asked.images.push(image),
                    None => asked.complaints.add("an image that is no data URL"),
                }
            }
            other => asked.complaints.add(format!("a part of type {other:?}")),
        }
    }
    text
}

fn strings(value: &Value) -> Vec<String> {
    let one = value.as_str().into_iter();
    let several = value
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str);
    one.chain(several).map(str::to_owned).collect()
}
