//! Anthropic's messages, as its SDKs ask for them.

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
pub struct Anthropic;

impl Client for Anthropic {
    fn name(&self) -> &'static str {
        "anthropic"
    }

    fn path(&self, _: &str, _: bool) -> String {
        "/v1/messages".to_owned()
    }

    fn headers(&self, key: &str) -> Vec<(&'static str, String)> {
        vec![
            ("x-api-key", key.to_owned()),
            ("anthropic-version", "2023-06-01".to_owned()),
        ]
    }

    fn request(&self, scenario: Scenario, model: &str, prompt: &str, stream: bool) -> Value {
        let mut messages = vec![json!({"role": "user", "content": prompt})];
        let mut request = json!({"model": model, "max_tokens": scenario.max_tokens()});
        match scenario {
            Scenario::System => request["system"] = json!(SYSTEM),
            Scenario::Stop => request["stop_sequences"] = json!(STOPS),
            Scenario::Image => {
                let source = json!({"type": "base64", "media_type": PIXEL_TYPE, "data": PIXEL});
                messages[0]["content"] = json!([
                    {"type": "text", "text": prompt},
                    {"type": "image", "source": source},
                ]);
            }
            Scenario::Schema => {
                let format = json!({"type": "json_schema", "schema": answer_schema()});
                request["output_config"] = json!({"format": format});
            }
            Scenario::Tools => request["tool_choice"] = json!({"type": "any"}),
            Scenario::Results => messages.extend(past_calls()),
            _ => {}
        }
        if scenario.has_tools() {
            let tool = |(name, description, schema)| json!({"name": name, "description": description, "input_schema": schema});
            request["tools"] = tools().into_iter().map(tool).collect();
        }
        if scenario.has_reasoning() {
            request["thinking"] = json!({"type": "enabled", "budget_tokens": BUDGET});
        }
        if stream {
            request["stream"] = json!(true);
        }
        request["messages"] = messages.into();
        request
    }

    fn go_on(&self, request: &Value, echo: &Value, calls: &[(String, Outcome)]) -> Value {
        let mut request = request.clone();
        let messages = request["messages"].as_array_mut().expect("ours");
        messages.push(json!({"role": "assistant", "content": echo}));
        let results: Value = calls
            .iter()
            .map(|(id, outcome)| result(id, outcome))
            .collect();
        messages.push(json!({"role": "user", "content": results}));
        request
    }

    fn read_whole(&self, body: &[u8]) -> Seen {
        let mut seen = Seen::default();
        let answer = seen.complaints.json("the body", body);
        check_message(&answer, &mut seen.complaints);
        let blocks = seen.complaints.list(&answer, "/content");
        read_blocks(&blocks, &mut seen);
        seen.finish = finish(&answer, &mut seen.complaints);
        seen.usage = Some(usage(&answer["usage"], &mut seen.complaints));
        seen.is_ended = true;
        seen.echo = blocks.into();
        seen
    }

    fn read_stream(&self, body: &[u8]) -> Seen {
        let mut stream = Stream::default();
        for event in sse::events(&String::from_utf8_lossy(body)) {
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
        complaints.is(&body, "/type", "error");
        Failure {
            kind: complaints.text(&body, "/error/type"),
            message: complaints.text(&body, "/error/message"),
            complaints,
        }
    }

    fn word_for(&self, failing: Failing) -> &'static str {
        match failing {
            Failing::RateLimited => "rate_limit_error",
            Failing::ContextTooLong => "invalid_request_error",
            Failing::ServerError => "api_error",
        }
    }

    fn says_tool_failed(&self) -> bool {
        true
    }
}

/// A stream as far as it has been read.
#[derive(Default)]
struct Stream {
    seen: Seen,
    is_begun: bool,
    /// The blocks so far; the input of a tool's is text until the block ends.
    blocks: Vec<Value>,
    /// Is the last of them still open?
    is_open: bool,
    /// The last `message_delta`, and the usage of `message_start` under it.
    last: Value,
    usage: Value,
}

impl Stream {
    fn read(&mut self, event: &Value) {
        let complaints = &mut self.seen.complaints;
        let kind = complaints.text(event, "/type");
        if self.seen.is_ended || self.seen.error.is_some() {
            complaints.add(format!("{kind} after the end"));
        }
        complaints.unless(
            self.is_begun || matches!(&*kind, "message_start" | "ping" | "error"),
            || format!("{kind} before message_start"),
        );
        match kind.as_str() {
            "ping" => {}
            "error" => {
                complaints.text(event, "/error/type");
                self.seen.error = Some(complaints.text(event, "/error/message"));
            }
            "message_start" => {
                complaints.unless(!self.is_begun, || "message_start twice".to_owned());
                self.is_begun = true;
                check_message(&event["message"], complaints);
                complaints.is(event, "/message/content", json!([]));
                complaints.is(event, "/message/stop_reason", Value::Null);
                complaints.number(event, "/message/usage/input_tokens");
                complaints.number(event, "/message/usage/output_tokens");
                self.usage = event["message"]["usage"].clone();
            }
            "content_block_start" => {
                complaints.unless(!self.is_open, || "a block inside a block".to_owned());
                complaints.is(event, "/index", self.blocks.len());
                let is_late = !self.last.is_null();
                complaints.unless(!is_late, || "a block after message_delta".to_owned());
                self.is_open = true;
                self.start(event["content_block"].clone());
            }
            "content_block_delta" => {
                complaints.unless(self.is_open, || "a delta outside a block".to_owned());
                complaints.is(event, "/index", self.blocks.len().saturating_sub(1));
                self.add(&event["delta"]);
            }
            "content_block_stop" => {
                complaints.unless(self.is_open, || "the end of no block".to_owned());
                complaints.is(event, "/index", self.blocks.len().saturating_sub(1));
                self.is_open = false;
                self.stop();
            }
            "message_delta" => {
                complaints.unless(!self.is_open, || "message_delta inside a block".to_owned());
                complaints.number(event, "/usage/output_tokens");
                for (name, value) in event["usage"].as_object().into_iter().flatten() {
                    self.usage[name] = value.clone();
                }
                self.last = event["delta"].clone();
            }
            "message_stop" => {
                let is_told = self.last["stop_reason"].is_string();
                complaints.unless(is_told, || "message_stop without a stop reason".to_owned());
                self.seen.is_ended = true;
            }
            _ => complaints.add(format!("an event of type {kind}")),
        }
    }

    fn start(&mut self, mut block: Value) {
        let complaints = &mut self.seen.complaints;
        match block["type"].as_str() {
            Some("text") => complaints.is(&block, "/text", ""),
            Some("thinking") => complaints.is(&block, "/thinking", ""),
            Some("tool_use") => {
                complaints.is(&block, "/input", json!({}));
                block["input"] = json!("");
            }
            _ => {}
        }
        self.blocks.push(block);
    }

    fn add(&mut self, delta: &Value) {
        let Some(block) = self.blocks.last_mut() else {
            return;
        };
        let (of, field) = match delta["type"].as_str() {
            Some("text_delta") => ("text", "text"),
            Some("thinking_delta") => ("thinking", "thinking"),
            Some("signature_delta") => ("thinking", "signature"),
            Some("input_json_delta") => ("tool_use", "input"),
            Some("citations_delta") => return,
            other => {
                return self
                    .seen
                    .complaints
                    .add(format!("a delta of type {other:?}"));
            }
        };
        self.seen.complaints.is(block, "/type", of);
        let source = if field == "input" {
            "/partial_json"
        } else {
            &format!("/{field}")
        };
        let text = self.seen.complaints.text(delta, source);
        block[field] = json!([block[field].as_str().unwrap_or_default(), &text].concat());
    }

    fn stop(&mut self) {
        let Some(block) = self
            .blocks
            .last_mut()
            .filter(|block| block["type"] == "tool_use")
        else {
            return;
        };
        let input = block["input"].as_str().unwrap_or_default().to_owned();
        block["input"] = match input.as_str() {
            "" => json!({}),
            input => self.seen.complaints.json("the input", input.as_bytes()),
        };
    }

    fn end(mut self) -> Seen {
        // What was open when the stream was cut is no block yet.
        if self.is_open {
            self.blocks.retain(|block| block["type"] != "tool_use");
        }
        read_blocks(&self.blocks, &mut self.seen);
        if self.seen.is_ended {
            self.seen.finish = finish(&self.last, &mut self.seen.complaints);
            self.seen.usage = Some(usage(&self.usage, &mut self.seen.complaints));
        }
        self.seen.echo = self.blocks.into();
        self.seen
    }
}

fn past_calls() -> [Value; 2] {
    const IDS: [&str; 2] = [
        "toolu_01T1x1fJ34qAmk2tNTrN7Up6",
        "toolu_01Q9mNvXo7cYz5bKd3aRhE8w",
    ];
    let called = IDS.iter().zip(OUTCOMES).zip(arguments());
    let calls: Value = called
        .map(|((id, outcome), arguments)| {
            json!({"type": "tool_use", "id": id, "name": outcome.name, "input": arguments})
        })
        .collect();
    let results: Value = IDS
        .iter()
        .zip(OUTCOMES)
        .map(|(id, outcome)| result(id, &outcome))
        .collect();
    [
        json!({"role": "assistant", "content": calls}),
        json!({"role": "user", "content": results}),
    ]
}

fn result(id: &str, outcome: &Outcome) -> Value {
    let mut result = json!({"type": "tool_result", "tool_use_id": id, "content": outcome.text});
    if outcome.is_error {
        result["is_error"] = json!(true);
    }
    result
}

fn check_message(message: &Value, complaints: &mut Complaints) {
    complaints.is(message, "/type", "message");
    complaints.is(message, "/role", "assistant");
    complaints.id(message, "/id", "msg_");
    complaints.id(message, "/model", "");
}

fn read_blocks(blocks: &[Value], seen: &mut Seen) {
    for block in blocks {
        let kind = seen.complaints.text(block, "/type");
        match kind.as_str() {
            "text" => seen.text += &seen.complaints.text(block, "/text"),
            "thinking" => {
                seen.thoughts += &seen.complaints.text(block, "/thinking");
                let seal = block["signature"].as_str().filter(|seal| !seal.is_empty());
                seen.seals.extend(seal.map(str::to_owned));
            }
            "redacted_thinking" => {
                let seal = seen.complaints.id(block, "/data", "");
                seen.seals.push(seal);
            }
            "tool_use" => {
                let id = seen.complaints.id(block, "/id", "");
                let is_fit = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
                seen.complaints
                    .unless(id.bytes().all(is_fit), || format!("the call's id {id:?}"));
                let name = seen.complaints.id(block, "/name", "");
                let input = block["input"].clone();
                seen.complaints.unless(input.is_object(), || {
                    "an input that is no object".to_owned()
                });
                seen.calls.push((id, name, input));
            }
            _ => seen.complaints.add(format!("a block of type {kind}")),
        }
    }
}

fn finish(message: &Value, complaints: &mut Complaints) -> Finish {
    match complaints.text(message, "/stop_reason").as_str() {
        "end_turn" => Finish::Stop,
        "stop_sequence" => Finish::Stop,
        "max_tokens" | "model_context_window_exceeded" => Finish::Length,
        "tool_use" => Finish::ToolCalls,
        "refusal" => Finish::Refusal,
        other => {
            complaints.add(format!("the stop reason {other}"));
            Finish::Unknown
        }
    }
}

fn usage(usage: &Value, complaints: &mut Complaints) -> Usage {
    let number = |name| usage[name].as_u64().unwrap_or_default();
    let cached = number("cache_read_input_tokens");
    let fresh = complaints.number(usage, "/input_tokens");
    Usage {
        input: fresh + cached + number("cache_creation_input_tokens"),
        output: complaints.number(usage, "/output_tokens"),
        cached,
        reasoning: usage["output_tokens_details"]["thinking_tokens"]
            .as_u64()
            .unwrap_or_default(),
    }
}
