//! OpenAI's chat completions, as its SDKs ask for them; thoughts as OpenRouter and DeepSeek show them.

use serde_json::{Map, Value, json};

use super::{Client, Failure, Seen};
use crate::pairs::complaints::Complaints;
use crate::pairs::scenario::{
    Failing, Finish, OUTCOMES, Outcome, PIXEL, PIXEL_TYPE, STOPS, SYSTEM, Scenario, Usage,
    answer_schema, arguments, tools,
};
use crate::raw::Answer;
use crate::sse;

/// The client.
pub struct Chat;

impl Client for Chat {
    fn name(&self) -> &'static str {
        "chat"
    }

    fn path(&self, _: &str, _: bool) -> String {
        "/v1/chat/completions".to_owned()
    }

    fn request(&self, scenario: Scenario, model: &str, prompt: &str, stream: bool) -> Value {
        let mut messages = vec![json!({"role": "user", "content": prompt})];
        let mut request = json!({"model": model, "max_completion_tokens": scenario.max_tokens()});
        match scenario {
            Scenario::System => {
                messages.insert(0, json!({"role": "developer", "content": SYSTEM}));
            }
            Scenario::Stop => request["stop"] = json!(STOPS),
            Scenario::Image => {
                let url = format!("data:{PIXEL_TYPE};base64,{PIXEL}");
                messages[0]["content"] = json!([
                    {"type": "text", "text": prompt},
                    {"type": "image_url", "image_url": {"url": url}},
                ]);
            }
            Scenario::Schema => {
                request["response_format"] = json!({
                    "type": "json_schema",
                    "json_schema": {"name": "city", "schema": answer_schema(), "strict": true},
                });
            }
            Scenario::Tools => request["tool_choice"] = json!("required"),
            Scenario::Results => messages.extend(past_calls()),
            _ => {}
        }
        if scenario.has_tools() {
            request["tools"] = tools().into_iter().map(tool).collect();
        }
        if scenario.has_reasoning() {
            request["reasoning_effort"] = json!("high");
        }
        if stream {
            request["stream"] = json!(true);
            request["stream_options"] = json!({"include_usage": true});
        }
        request["messages"] = messages.into();
        request
    }

    fn go_on(&self, request: &Value, echo: &Value, calls: &[(String, Outcome)]) -> Value {
        let mut request = request.clone();
        let messages = request["messages"].as_array_mut().expect("ours");
        messages.push(echo.clone());
        for (id, outcome) in calls {
            messages.push(json!({"role": "tool", "tool_call_id": id, "content": outcome.text}));
        }
        request
    }

    fn read_whole(&self, body: &[u8]) -> Seen {
        let mut seen = Seen::default();
        let answer = seen.complaints.json("the body", body);
        check_envelope(&answer, "chat.completion", &mut seen.complaints);
        let choices = seen.complaints.list(&answer, "/choices");
        seen.complaints
            .equal("the number of choices", &choices.len(), &1);
        let choice = choices.into_iter().next().unwrap_or_default();
        seen.complaints.is(&choice, "/index", 0);
        let message = choice["message"].clone();
        seen.complaints.is(&message, "/role", "assistant");
        seen.complaints.unless(
            message
                .get("content")
                .is_some_and(|content| content.is_null() || content.is_string()),
            || "the content should be a string or null".to_owned(),
        );
        read_message(&message, &mut seen);
        let reason = seen.complaints.text(&choice, "/finish_reason");
        seen.finish = finish(&reason, &mut seen);
        seen.usage = usage(&answer, &mut seen.complaints);
        seen.is_ended = true;
        seen.echo = message;
        seen
    }

    fn read_stream(&self, body: &[u8]) -> Seen {
        let mut seen = Seen::default();
        let text = String::from_utf8_lossy(body);
        seen.complaints
            .unless(text.is_empty() || text.ends_with("\n\n"), || {
                "the stream ends inside an event".to_owned()
            });
        let mut message = json!({"role": null, "content": null});
        let (mut id, mut reason) = (None, None);
        for event in sse::events(&text) {
            if seen.is_ended || seen.error.is_some() {
                seen.complaints.add("an event after the end");
            }
            if event.is_done() {
                seen.is_ended = true;
                continue;
            }
            let chunk = seen.complaints.json("an event", event.data.as_bytes());
            if chunk.get("error").is_some_and(|error| !error.is_null()) {
                seen.error = Some(seen.complaints.text(&chunk, "/error/message"));
                continue;
            }
            seen.complaints
                .equal("an event's name", &event.name, &None::<String>);
            check_envelope(&chunk, "chat.completion.chunk", &mut seen.complaints);
            let first = id.get_or_insert_with(|| chunk["id"].clone());
            seen.complaints
                .equal("the id of every chunk", &&chunk["id"], &&*first);
            if !chunk["usage"].is_null() {
                let is_second = seen.usage.is_some();
                seen.complaints
                    .unless(!is_second, || "usage twice".to_owned());
                seen.usage = usage(&chunk, &mut seen.complaints);
            }
            let choices = seen.complaints.list(&chunk, "/choices");
            let Some(choice) = choices.first() else {
                let has_usage = chunk["usage"].is_object();
                seen.complaints
                    .unless(has_usage, || "a chunk of nothing".to_owned());
                continue;
            };
            seen.complaints.is(choice, "/index", 0);
            if reason.is_some() {
                let is_empty = choice["delta"].as_object().is_some_and(Map::is_empty);
                seen.complaints
                    .unless(is_empty, || "a delta after the finish".to_owned());
            }
            add(&mut message, &choice["delta"], &mut seen.complaints);
            if let Some(word) = choice["finish_reason"].as_str() {
                reason = Some(word.to_owned());
            }
        }
        // A stream of nothing but an error has no message.
        if reason.is_some() || message["role"].is_string() {
            seen.complaints.is(&message, "/role", "assistant");
        }
        if let Some(calls) = message["tool_calls"].as_array_mut() {
            for call in calls {
                call.as_object_mut().expect("built here").remove("index");
            }
        }
        read_message(&message, &mut seen);
        let is_finished = reason.is_some();
        seen.complaints.unless(is_finished || !seen.is_ended, || {
            "an end without a finish reason".to_owned()
        });
        if let Some(reason) = reason {
            seen.finish = finish(&reason, &mut seen);
        }
        seen.echo = message;
        seen
    }

    fn read_error(&self, answer: &Answer) -> Failure {
        read_error(answer)
    }

    fn word_for(&self, failing: Failing) -> &'static str {
        word_for(failing)
    }
}

/// Reads OpenAI's envelope; the kind is its `code` or, where that is null, its `type`.
pub fn read_error(answer: &Answer) -> Failure {
    let mut complaints = Complaints::default();
    let body = complaints.json("the error", &answer.body);
    let message = complaints.text(&body, "/error/message");
    let kind = complaints.text(&body, "/error/type");
    let kind = body["error"]["code"].as_str().map_or(kind, str::to_owned);
    Failure {
        kind,
        message,
        complaints,
    }
}

/// OpenAI's `code` of an error.
pub const fn word_for(failing: Failing) -> &'static str {
    match failing {
        Failing::RateLimited => "rate_limit_exceeded",
        Failing::ContextTooLong => "context_length_exceeded",
        Failing::ServerError => "provider_error|server_error",
    }
}

fn tool((name, description, schema): (&str, &str, Value)) -> Value {
    let function = json!({"name": name, "description": description, "parameters": schema});
    json!({"type": "function", "function": function})
}

fn past_calls() -> Vec<Value> {
    const IDS: [&str; 2] = [
        "call_8tbBq2ZgE1hGkWcYvQyD0m4x",
        "call_Wv0cX3yq6dLr5bJfH2uN7sKa",
    ];
    let called = IDS.iter().zip(OUTCOMES).zip(arguments());
    let calls: Value = called
        .map(|((id, outcome), arguments)| {
            let function = json!({"name": outcome.name, "arguments": arguments.to_string()});
            json!({"id": id, "type": "function", "function": function})
        })
        .collect();
    let mut messages = vec![json!({"role": "assistant", "content": null, "tool_calls": calls})];
    messages.extend(
        IDS.iter().zip(OUTCOMES).map(
            |(id, outcome)| json!({"role": "tool", "tool_call_id": id, "content": outcome.text}),
        ),
    );
    messages
}

fn check_envelope(answer: &Value, object: &str, complaints: &mut Complaints) {
    complaints.is(answer, "/object", object);
    complaints.id(answer, "/id", "chatcmpl-");
    complaints.number(answer, "/created");
    complaints.id(answer, "/model", "");
}

fn read_message(message: &Value, seen: &mut Seen) {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    seen.text = text(&message["content"]);
    seen.refusal = text(&message["refusal"]);
    seen.thoughts = text(&message["reasoning_content"]);
    let details = message["reasoning_details"].as_array().cloned();
    for detail in details.unwrap_or_default() {
        let kind = seen.complaints.text(&detail, "/type");
        let field = match kind.as_str() {
            "reasoning.text" => "signature",
            "reasoning.encrypted" => "data",
            "reasoning.summary" => continue,
            _ => {
                seen.complaints
                    .add(format!("a reasoning detail of type {kind}"));
                continue;
            }
        };
        seen.seals.extend(detail[field].as_str().map(str::to_owned));
    }
    let calls = message["tool_calls"].as_array().cloned();
    for call in calls.unwrap_or_default() {
        seen.complaints.is(&call, "/type", "function");
        let id = seen.complaints.id(&call, "/id", "");
        let name = seen.complaints.id(&call, "/function/name", "");
        let arguments = seen.complaints.text(&call, "/function/arguments");
        let arguments = seen.complaints.json("the arguments", arguments.as_bytes());
        seen.calls.push((id, name, arguments));
    }
}

/// Adds a delta to the message so far, as OpenAI's SDKs do.
fn add(message: &mut Value, delta: &Value, complaints: &mut Complaints) {
    let Some(delta) = delta.as_object() else {
        return complaints.add("a choice without a delta");
    };
    for (name, value) in delta {
        match (name.as_str(), value) {
            (_, Value::Null) => {}
            ("role", role) => message["role"] = role.clone(),
            ("content" | "refusal" | "reasoning_content" | "reasoning", Value::String(text)) => {
                append(&mut message[name], text);
            }
            ("tool_calls", Value::Array(calls)) => {
                for call in calls {
                    add_call(message, call, complaints);
                }
            }
            ("reasoning_details", Value::Array(details)) => {
                for detail in details {
                    add_detail(message, detail);
                }
            }
            ("annotations", _) => {}
            _ => complaints.add(format!("a delta with the field {name}: {value}")),
        }
    }
}

fn add_call(message: &mut Value, call: &Value, complaints: &mut Complaints) {
    if !message["tool_calls"].is_array() {
        message["tool_calls"] = json!([]);
    }
    let calls = message["tool_calls"].as_array_mut().expect("just made");
    let index = complaints.number(call, "/index");
    let Some(begun) = calls.iter_mut().find(|begun| begun["index"] == index) else {
        complaints.equal("the index of the next call", &index, &(calls.len() as u64));
        calls.push(call.clone());
        return;
    };
    let is_same = call
        .get("id")
        .is_none_or(|id| id.is_null() || *id == begun["id"]);
    complaints.unless(is_same, || "a call changes its id".to_owned());
    let arguments = call.pointer("/function/arguments").and_then(Value::as_str);
    append(
        &mut begun["function"]["arguments"],
        arguments.unwrap_or_default(),
    );
}

/// Details are put together by their index, as OpenRouter asks of its clients.
fn add_detail(message: &mut Value, detail: &Value) {
    if !message["reasoning_details"].is_array() {
        message["reasoning_details"] = json!([]);
    }
    let details = message["reasoning_details"]
        .as_array_mut()
        .expect("just made");
    let is_same =
        |begun: &&mut Value| begun["index"] == detail["index"] && begun["type"] == detail["type"];
    let Some(begun) = details.iter_mut().find(is_same) else {
        return details.push(detail.clone());
    };
    for (name, value) in detail.as_object().into_iter().flatten() {
        match (name.as_str(), value) {
            (_, Value::Null) => {}
            ("text" | "summary" | "data", Value::String(text)) => append(&mut begun[name], text),
            _ => begun[name] = value.clone(),
        }
    }
}

fn append(so_far: &mut Value, text: &str) {
    *so_far = json!([so_far.as_str().unwrap_or_default(), text].concat());
}

fn finish(reason: &str, seen: &mut Seen) -> Finish {
    match reason {
        "stop" if !seen.refusal.is_empty() => Finish::Refusal,
        "stop" => Finish::Stop,
        "length" => Finish::Length,
        "tool_calls" => Finish::ToolCalls,
        "content_filter" => Finish::Refusal,
        _ => {
            seen.complaints.add(format!("the finish reason {reason}"));
            Finish::Unknown
        }
    }
}

/// Reads OpenAI's `usage` of chat and completions.
pub fn usage(answer: &Value, complaints: &mut Complaints) -> Option<Usage> {
    let usage = answer.get("usage").filter(|usage| !usage.is_null())?;
    let input = complaints.number(usage, "/prompt_tokens");
    let output = complaints.number(usage, "/completion_tokens");
    complaints.is(usage, "/total_tokens", input + output);
    let detail = |pointer| {
        usage
            .pointer(pointer)
            .and_then(Value::as_u64)
            .unwrap_or_default()
    };
    Some(Usage {
        input,
        output,
        cached: detail("/prompt_tokens_details/cached_tokens"),
        reasoning: detail("/completion_tokens_details/reasoning_tokens"),
    })
}
