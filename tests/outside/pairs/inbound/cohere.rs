//! Cohere's chat, version 2, as its SDKs ask for it.

use serde_json::{Value, json};

use super::{Client, Failure, Seen};
use crate::pairs::complaints::Complaints;
use crate::pairs::scenario::{
    BUDGET, Failing, Finish, OUTCOMES, Outcome, PIXEL, PIXEL_TYPE, STOPS, SYSTEM, Scenario, Usage,
    answer_schema, arguments, tools,
};
use crate::raw::Answer;
use crate::sse;

/// The client.
pub struct Cohere;

impl Client for Cohere {
    fn name(&self) -> &'static str {
        "cohere"
    }

    fn path(&self, _: &str, _: bool) -> String {
        "/v2/chat".to_owned()
    }

    fn request(&self, scenario: Scenario, model: &str, prompt: &str, stream: bool) -> Value {
        let mut messages = vec![json!({"role": "user", "content": prompt})];
        let mut request =
            json!({"model": model, "max_tokens": scenario.max_tokens(), "stream": stream});
        match scenario {
            Scenario::System => messages.insert(0, json!({"role": "system", "content": SYSTEM})),
            Scenario::Stop => request["stop_sequences"] = json!(STOPS),
            Scenario::Image => {
                let url = format!("data:{PIXEL_TYPE};base64,{PIXEL}");
                messages[0]["content"] = json!([
                    {"type": "text", "text": prompt},
                    {"type": "image_url", "image_url": {"url": url}},
                ]);
            }
            Scenario::Schema => {
                request["response_format"] =
                    json!({"type": "json_object", "json_schema": answer_schema()});
            }
            Scenario::Tools => request["tool_choice"] = json!("REQUIRED"),
            Scenario::Results => messages.extend(past_calls()),
            _ => {}
        }
        if scenario.has_tools() {
            let tool = |(name, description, schema)| {
                let function =
                    json!({"name": name, "description": description, "parameters": schema});
                json!({"type": "function", "function": function})
            };
            request["tools"] = tools().into_iter().map(tool).collect();
        }
        if scenario.has_reasoning() {
            request["thinking"] = json!({"type": "enabled", "token_budget": BUDGET});
        }
        request["messages"] = messages.into();
        request
    }

    fn go_on(&self, request: &Value, echo: &Value, calls: &[(String, Outcome)]) -> Value {
        let mut request = request.clone();
        let messages = request["messages"].as_array_mut().expect("ours");
        messages.push(echo.clone());
        messages.extend(calls.iter().map(|(id, outcome)| result(id, outcome)));
        request
    }

    fn read_whole(&self, body: &[u8]) -> Seen {
        let mut seen = Seen::default();
        let answer = seen.complaints.json("the body", body);
        seen.complaints.only(
            "an answer",
            &answer,
            &["id", "finish_reason", "message", "usage", "logprobs"],
        );
        seen.complaints.id(&answer, "/id", "");
        let message = answer["message"].clone();
        read_message(&message, &mut seen);
        let reason = seen.complaints.text(&answer, "/finish_reason");
        seen.finish = finish(&reason, &mut seen.complaints);
        seen.usage = usage(&answer["usage"], &mut seen.complaints);
        seen.is_ended = true;
        seen.echo = message;
        seen
    }

    fn read_stream(&self, body: &[u8]) -> Seen {
        let mut stream = Stream {
            message: json!({"role": null}),
            ..Stream::default()
        };
        for event in sse::events(&String::from_utf8_lossy(body)) {
            if event.is_done() {
                let is_last = stream.seen.is_ended;
                stream
                    .seen
                    .complaints
                    .unless(is_last, || "[DONE] before the end".to_owned());
                continue;
            }
            let json = stream
                .seen
                .complaints
                .json("an event", event.data.as_bytes());
            let named = json["type"].as_str().map(str::to_owned);
            stream
                .seen
                .complaints
                .equal("an event's name", &event.name, &named);
            stream.read(&json);
        }
        stream.end()
    }

    fn read_error(&self, answer: &Answer) -> Failure {
        let mut complaints = Complaints::default();
        let body = complaints.json("the error", &answer.body);
        // Cohere has no words for its errors: the status tells.
        Failure {
            kind: answer.status.to_string(),
            message: complaints.text(&body, "/message"),
            complaints,
        }
    }

    fn word_for(&self, failing: Failing) -> &'static str {
        match failing {
            Failing::RateLimited => "429",
            Failing::ContextTooLong => "400",
            Failing::ServerError => "500",
        }
    }

    fn tells_refusals(&self) -> bool {
        false
    }

    fn tells_reasoning_tokens(&self) -> bool {
        false
    }
}

/// A stream as far as it has been read.
#[derive(Default)]
struct Stream {
    seen: Seen,
    is_begun: bool,
    message: Value,
    contents: Vec<Value>,
    calls: Vec<Value>,
    /// Which of the two lists the open part stands in: `content`, `tool-call`.
    open: Option<&'static str>,
}

impl Stream {
    fn read(&mut self, event: &Value) {
        let complaints = &mut self.seen.complaints;
        let kind = complaints.text(event, "/type");
        if self.seen.is_ended || self.seen.error.is_some() {
            complaints.add(format!("{kind} after the end"));
        }
        if kind == "error" {
            self.seen.error = Some(complaints.text(event, "/message"));
            return;
        }
        // A stream that fails at once has nothing but its end.
        let is_error = event["delta"]["error"].is_string();
        complaints.unless(
            self.is_begun == (kind != "message-start") || is_error,
            || format!("{kind} at the wrong place"),
        );
        match kind.as_str() {
            "message-start" => {
                self.is_begun = true;
                complaints.id(event, "/id", "");
                complaints.is(event, "/delta/message/role", "assistant");
                self.message["role"] = event["delta"]["message"]["role"].clone();
            }
            "content-start" | "tool-call-start" => self.start(&kind, event),
            "content-delta" => {
                complaints.equal("the open part", &self.open, &Some("content"));
                complaints.is(event, "/index", self.contents.len().saturating_sub(1));
                let Some(part) = self.contents.last_mut() else {
                    return;
                };
                let field = if part["type"] == "thinking" {
                    "thinking"
                } else {
                    "text"
                };
                let content = &event["delta"]["message"]["content"];
                let is_told = content[field].is_string() || content["signature"].is_string();
                complaints.unless(is_told, || format!("a content-delta of nothing: {event}"));
                for (name, value) in content.as_object().into_iter().flatten() {
                    match value.as_str().filter(|_| name == field) {
                        Some(text) => append(&mut part[field], text),
                        // The SDKs keep members that they do not know.
                        None => part[name] = value.clone(),
                    }
                }
            }
            "tool-plan-delta" => {
                let text = complaints.text(event, "/delta/message/tool_plan");
                append(&mut self.message["tool_plan"], &text);
            }
            "tool-call-delta" => {
                complaints.equal("the open part", &self.open, &Some("tool-call"));
                complaints.is(event, "/index", self.calls.len().saturating_sub(1));
                let Some(call) = self.calls.last_mut() else {
                    return;
                };
                let text = complaints.text(event, "/delta/message/tool_calls/function/arguments");
                append(&mut call["function"]["arguments"], &text);
            }
            "content-end" | "tool-call-end" => {
                let of = kind.trim_end_matches("-end");
                complaints.equal("the open part", &self.open, &Some(of));
                let count = if of == "content" {
                    self.contents.len()
                } else {
                    self.calls.len()
                };
                complaints.is(event, "/index", count.saturating_sub(1));
                self.open = None;
            }
            "citation-start" | "citation-end" => {}
            "message-end" if is_error => {
                self.seen.error = event["delta"]["error"].as_str().map(str::to_owned);
            }
            "message-end" => {
                complaints.equal("the open part", &self.open, &None);
                let reason = complaints.text(event, "/delta/finish_reason");
                self.seen.finish = finish(&reason, complaints);
                self.seen.usage = usage(&event["delta"]["usage"], complaints);
                self.seen.is_ended = true;
            }
            _ => complaints.add(format!("an event of type {kind}")),
        }
    }

    fn start(&mut self, kind: &str, event: &Value) {
        let complaints = &mut self.seen.complaints;
        complaints.equal("the open part", &self.open, &None);
        let (of, pointer, list) = match kind {
            "content-start" => ("content", "/delta/message/content", &mut self.contents),
            _ => ("tool-call", "/delta/message/tool_calls", &mut self.calls),
        };
        complaints.is(event, "/index", list.len());
        list.push(event.pointer(pointer).cloned().unwrap_or_default());
        self.open = Some(of);
    }

    fn end(mut self) -> Seen {
        if self.open == Some("tool-call") {
            self.calls.pop();
        }
        if !self.contents.is_empty() {
            self.message["content"] = self.contents.into();
        }
        if !self.calls.is_empty() {
            self.message["tool_calls"] = self.calls.into();
        }
        if self.is_begun {
            read_message(&self.message, &mut self.seen);
        }
        self.seen.echo = self.message;
        self.seen
    }
}

fn append(so_far: &mut Value, text: &str) {
    *so_far = json!([so_far.as_str().unwrap_or_default(), text].concat());
}

fn past_calls() -> Vec<Value> {
    const IDS: [&str; 2] = ["get_weather_9gpb31r7h7mj", "get_time_0wyn2fj40mbh"];
    let called = IDS.iter().zip(OUTCOMES).zip(arguments());
    let calls: Value = called
        .map(|((id, outcome), arguments)| {
            let function = json!({"name": outcome.name, "arguments": arguments.to_string()});
            json!({"id": id, "type": "function", "function": function})
        })
        .collect();
    let mut messages = vec![json!({"role": "assistant", "tool_calls": calls})];
    messages.extend(
        IDS.iter()
            .zip(OUTCOMES)
            .map(|(id, outcome)| result(id, &outcome)),
    );
    messages
}

fn result(id: &str, outcome: &Outcome) -> Value {
    json!({"role": "tool", "tool_call_id": id, "content": outcome.text})
}

fn read_message(message: &Value, seen: &mut Seen) {
    let complaints = &mut seen.complaints;
    complaints.only(
        "a message",
        message,
        &["role", "content", "tool_calls", "tool_plan", "citations"],
    );
    complaints.is(message, "/role", "assistant");
    for part in message["content"].as_array().into_iter().flatten() {
        match part["type"].as_str() {
            Some("text") => seen.text += &complaints.text(part, "/text"),
            Some("thinking") => {
                seen.thoughts += &complaints.text(part, "/thinking");
                seen.seals
                    .extend(part["signature"].as_str().map(str::to_owned));
            }
            other => complaints.add(format!("a content of type {other:?}")),
        }
    }
    // Cohere's documentation calls it a chain of thought.
    seen.thoughts += message["tool_plan"].as_str().unwrap_or_default();
    for call in message["tool_calls"].as_array().into_iter().flatten() {
        complaints.is(call, "/type", "function");
        let id = complaints.id(call, "/id", "");
        let name = complaints.id(call, "/function/name", "");
        let arguments = complaints.text(call, "/function/arguments");
        let arguments = complaints.json("the arguments", arguments.as_bytes());
        seen.calls.push((id, name, arguments));
    }
}

fn finish(reason: &str, complaints: &mut Complaints) -> Finish {
    match reason {
        "COMPLETE" | "STOP_SEQUENCE" => Finish::Stop,
        "MAX_TOKENS" => Finish::Length,
        "TOOL_CALL" => Finish::ToolCalls,
        "ERROR" => Finish::Refusal,
        _ => {
            complaints.add(format!("the finish reason {reason}"));
            Finish::Unknown
        }
    }
}

fn usage(usage: &Value, complaints: &mut Complaints) -> Option<Usage> {
    if usage.is_null() {
        return None;
    }
    complaints.only(
        "the usage",
        usage,
        &["billed_units", "tokens", "cached_tokens"],
    );
    // `tokens` counts what Cohere adds to a prompt, too, and so does `cached_tokens`: nobody pays for that.
    let input = complaints.number(usage, "/billed_units/input_tokens");
    let is_all_billed = complaints.number(usage, "/tokens/input_tokens") == input;
    let cached = usage["cached_tokens"].as_u64().unwrap_or_default();
    Some(Usage {
        input,
        output: complaints.number(usage, "/billed_units/output_tokens"),
        cached: if is_all_billed { cached } else { 0 },
        reasoning: 0,
    })
}
