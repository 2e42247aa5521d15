//! Bedrock's `Converse`, as AWS's SDKs ask for it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::{Client, Failure, Seen};
use crate::pairs::complaints::Complaints;
use crate::pairs::frames;
use crate::pairs::scenario::{
    BUDGET, Failing, Finish, OUTCOMES, Outcome, PIXEL, STOPS, SYSTEM, Scenario, Usage,
    answer_schema, arguments, tools,
};
use crate::raw::Answer;

/// The client.
pub struct Bedrock;

impl Client for Bedrock {
    fn name(&self) -> &'static str {
        "bedrock"
    }

    fn path(&self, model: &str, stream: bool) -> String {
        let model = model.replace('/', "%2F").replace(':', "%3A");
        let verb = if stream {
            "converse-stream"
        } else {
            "converse"
        };
        format!("/model/{model}/{verb}")
    }

    fn request(&self, scenario: Scenario, _: &str, prompt: &str, _: bool) -> Value {
        let mut messages = vec![json!({"role": "user", "content": [{"text": prompt}]})];
        let mut request = json!({"inferenceConfig": {"maxTokens": scenario.max_tokens()}});
        let mut tool_choice = None;
        match scenario {
            Scenario::System => request["system"] = json!([{"text": SYSTEM}]),
            Scenario::Stop => request["inferenceConfig"]["stopSequences"] = json!(STOPS),
            Scenario::Image => {
                let image = json!({"image": {"format": "png", "source": {"bytes": PIXEL}}});
                messages[0]["content"] = json!([{"text": prompt}, image]);
            }
            Scenario::Schema => {
                let schema = json!({"name": "city", "schema": answer_schema().to_string()});
                let format = json!({"type": "json_schema", "structure": {"jsonSchema": schema}});
                request["outputConfig"] = json!({"textFormat": format});
            }
            Scenario::Tools => tool_choice = Some(json!({"any": {}})),
            Scenario::Results => messages.extend(past_calls()),
            _ => {}
        }
        if scenario.has_tools() {
            let tool = |(name, description, schema)| json!({"toolSpec": {"name": name, "description": description, "inputSchema": {"json": schema}}});
            let tools: Value = tools().into_iter().map(tool).collect();
            request["toolConfig"] = json!({"tools": tools});
        }
        if let Some(choice) = tool_choice {
            request["toolConfig"]["toolChoice"] = choice;
        }
        if scenario.has_reasoning() {
            let thinking = json!({"type": "enabled", "budget_tokens": BUDGET});
            request["additionalModelRequestFields"] = json!({"thinking": thinking});
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
        let known = [
            "output",
            "stopReason",
            "usage",
            "metrics",
            "additionalModelResponseFields",
            "serviceTier",
            "trace",
            "performanceConfig",
        ];
        seen.complaints.only("an answer", &answer, &known);
        seen.complaints
            .is(&answer, "/output/message/role", "assistant");
        seen.complaints.number(&answer, "/metrics/latencyMs");
        let blocks = seen.complaints.list(&answer, "/output/message/content");
        read_blocks(&blocks, &mut seen);
        let reason = seen.complaints.text(&answer, "/stopReason");
        seen.finish = finish(&reason, &mut seen.complaints);
        seen.usage = Some(usage(&answer["usage"], &mut seen.complaints));
        seen.is_ended = true;
        seen.echo = blocks.into();
        seen
    }

    fn read_stream(&self, body: &[u8]) -> Seen {
        let mut stream = Stream::default();
        let messages = frames::messages(body, &mut stream.seen.complaints);
        for message in messages {
            if stream.seen.error.is_some() {
                stream.seen.complaints.add("a message after the exception");
            }
            if message.is_exception {
                let is_known = EXCEPTIONS.contains(&message.name.as_str());
                stream
                    .seen
                    .complaints
                    .unless(is_known, || format!("the exception {}", message.name));
                stream.seen.error = Some(stream.seen.complaints.text(&message.json, "/message"));
                continue;
            }
            stream.read(&message.name, &message.json);
        }
        stream.end()
    }

    fn stream_type(&self) -> &'static str {
        "application/vnd.amazon.eventstream"
    }

    fn read_error(&self, answer: &Answer) -> Failure {
        let mut complaints = Complaints::default();
        let body = complaints.json("the error", &answer.body);
        let kind = answer.header("x-amzn-errortype").unwrap_or_default();
        Failure {
            kind: kind.split(':').next().unwrap_or_default().to_owned(),
            message: complaints.text(&body, "/message"),
            complaints,
        }
    }

    fn word_for(&self, failing: Failing) -> &'static str {
        match failing {
            Failing::RateLimited => "ThrottlingException",
            Failing::ContextTooLong => "ValidationException",
            Failing::ServerError => "InternalServerException",
        }
    }

    fn tells_reasoning_tokens(&self) -> bool {
        false
    }

    fn says_tool_failed(&self) -> bool {
        true
    }
}

/// The members of `ConverseStreamOutput` that are exceptions.
const EXCEPTIONS: [&str; 5] = [
    "internalServerException",
    "modelStreamErrorException",
    "serviceUnavailableException",
    "throttlingException",
    "validationException",
];

/// A stream as far as it has been read.
#[derive(Default)]
struct Stream {
    seen: Seen,
    is_begun: bool,
    is_stopped: bool,
    /// The blocks so far; the input of a tool's is text until the block ends.
    blocks: Vec<Value>,
    is_open: bool,
}

impl Stream {
    fn read(&mut self, name: &str, json: &Value) {
        let complaints = &mut self.seen.complaints;
        complaints.unless(self.is_begun == (name != "messageStart"), || {
            format!("{name} at the wrong place")
        });
        if self.is_stopped {
            let is_last = name == "metadata" && !self.seen.is_ended;
            complaints.unless(is_last, || format!("{name} after the stop"));
        }
        match name {
            "messageStart" => {
                self.is_begun = true;
                complaints.is(json, "/role", "assistant");
            }
            "contentBlockStart" => {
                complaints.unless(!self.is_open, || "a block inside a block".to_owned());
                complaints.is(json, "/contentBlockIndex", self.blocks.len());
                // Only tools' blocks are started in so many words.
                let mut block = json["start"].clone();
                complaints.only("a start", &block, &["toolUse"]);
                complaints.only(
                    "a tool's start",
                    &block["toolUse"],
                    &["toolUseId", "name", "type"],
                );
                block["toolUse"]["input"] = json!("");
                self.blocks.push(block);
                self.is_open = true;
            }
            "contentBlockDelta" => self.add(json),
            "contentBlockStop" => {
                complaints.unless(self.is_open, || "the end of no block".to_owned());
                complaints.is(
                    json,
                    "/contentBlockIndex",
                    self.blocks.len().saturating_sub(1),
                );
                self.is_open = false;
                self.stop();
            }
            "messageStop" => {
                complaints.unless(!self.is_open, || "a stop inside a block".to_owned());
                let reason = complaints.text(json, "/stopReason");
                self.seen.finish = finish(&reason, complaints);
                self.is_stopped = true;
            }
            "metadata" => {
                complaints.unless(self.is_stopped, || "metadata before the stop".to_owned());
                complaints.number(json, "/metrics/latencyMs");
                self.seen.usage = Some(usage(&json["usage"], complaints));
                self.seen.is_ended = self.is_stopped;
            }
            _ => complaints.add(format!("an event of type {name}")),
        }
    }

    fn add(&mut self, json: &Value) {
        let complaints = &mut self.seen.complaints;
        let delta = &json["delta"];
        if !self.is_open {
            self.is_open = true;
            complaints.unless(delta.get("toolUse").is_none(), || {
                "a tool's block that was not started".to_owned()
            });
            self.blocks.push(json!({}));
        }
        complaints.is(json, "/contentBlockIndex", self.blocks.len() - 1);
        if delta.get("citation").is_some() {
            return;
        }
        let block = self.blocks.last_mut().expect("just made");
        let places: &[(&str, &str)] = &[
            ("/text", "/text"),
            ("/toolUse/input", "/toolUse/input"),
            (
                "/reasoningContent/text",
                "/reasoningContent/reasoningText/text",
            ),
            (
                "/reasoningContent/signature",
                "/reasoningContent/reasoningText/signature",
            ),
            (
                "/reasoningContent/redactedContent",
                "/reasoningContent/redactedContent",
            ),
        ];
        let found = places
            .iter()
            .find(|(source, _)| delta.pointer(source).is_some());
        let Some((source, place)) = found else {
            return complaints.add(format!("the delta {delta}"));
        };
        let text = complaints.text(delta, source);
        let mut at = block;
        for name in place.split('/').skip(1) {
            at = &mut at[name];
        }
        *at = json!([at.as_str().unwrap_or_default(), &text].concat());
        let kinds = self
            .blocks
            .last()
            .and_then(Value::as_object)
            .map_or(0, serde_json::Map::len);
        self.seen
            .complaints
            .unless(kinds == 1, || "a block of two kinds".to_owned());
    }

    fn stop(&mut self) {
        let Some(input) = self
            .blocks
            .last_mut()
            .and_then(|block| block.pointer_mut("/toolUse/input"))
        else {
            return;
        };
        let text = input.as_str().unwrap_or_default().to_owned();
        *input = match text.as_str() {
            "" => json!({}),
            text => self.seen.complaints.json("the input", text.as_bytes()),
        };
    }

    fn end(mut self) -> Seen {
        if self.is_open {
            self.blocks.retain(|block| block.get("toolUse").is_none());
        }
        read_blocks(&self.blocks, &mut self.seen);
        self.seen.echo = self.blocks.into();
        self.seen
    }
}

fn past_calls() -> [Value; 2] {
    const IDS: [&str; 2] = [
        "tooluse_lAG_zP8QRHmSYOwZzzaCqA",
        "tooluse_8SyUlWO9h4mwwYwp4KfTqn",
    ];
    let called = IDS.iter().zip(OUTCOMES).zip(arguments());
    let calls: Value = called
        .map(|((id, outcome), arguments)| {
            json!({"toolUse": {"toolUseId": id, "name": outcome.name, "input": arguments}})
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
    let status = if outcome.is_error { "error" } else { "success" };
    let content = json!([{"text": outcome.text}]);
    json!({"toolResult": {"toolUseId": id, "content": content, "status": status}})
}

fn read_blocks(blocks: &[Value], seen: &mut Seen) {
    for block in blocks {
        let complaints = &mut seen.complaints;
        complaints.only(
            "a block",
            block,
            &["text", "toolUse", "reasoningContent", "citationsContent"],
        );
        if block.get("text").is_some() {
            seen.text += &complaints.text(block, "/text");
        } else if let Some(cited) = block.get("citationsContent") {
            complaints.list(cited, "/citations");
            for part in complaints.list(cited, "/content") {
                seen.text += &complaints.text(&part, "/text");
            }
        } else if block["toolUse"]["type"] == "server_tool_use" {
            // The model has had its answer already.
        } else if let Some(call) = block.get("toolUse") {
            complaints.only("a toolUse", call, &["toolUseId", "name", "input", "type"]);
            let id = complaints.id(call, "/toolUseId", "");
            let is_fit = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
            complaints.unless(id.len() <= 64 && id.bytes().all(is_fit), || {
                format!("the call's id {id:?}")
            });
            let name = complaints.id(call, "/name", "");
            complaints.unless(call["input"].is_object(), || {
                "an input that is no object".to_owned()
            });
            seen.calls.push((id, name, call["input"].clone()));
        } else if let Some(thought) = block.get("reasoningContent") {
            complaints.only("a thought", thought, &["reasoningText", "redactedContent"]);
            let text = |pointer| thought.pointer(pointer).and_then(Value::as_str);
            seen.thoughts += text("/reasoningText/text").unwrap_or_default();
            let seal = text("/reasoningText/signature").or(text("/redactedContent"));
            if let Some(hidden) = text("/redactedContent") {
                // The SDKs decode it, and refuse what is no base64.
                complaints.unless(STANDARD.decode(hidden).is_ok(), || {
                    format!("redactedContent that is not base64: {hidden:?}")
                });
            }
            seen.seals.extend(seal.map(str::to_owned));
        }
    }
}

fn finish(reason: &str, complaints: &mut Complaints) -> Finish {
    match reason {
        "end_turn" | "stop_sequence" => Finish::Stop,
        "max_tokens" | "model_context_window_exceeded" => Finish::Length,
        "tool_use" => Finish::ToolCalls,
        "content_filtered" | "guardrail_intervened" => Finish::Refusal,
        "malformed_tool_use" | "malformed_model_output" => Finish::Unknown,
        _ => {
            complaints.add(format!("the stop reason {reason}"));
            Finish::Unknown
        }
    }
}

fn usage(usage: &Value, complaints: &mut Complaints) -> Usage {
    let number = |name| usage[name].as_u64().unwrap_or_default();
    let cached = number("cacheReadInputTokens");
    let found = Usage {
        input: complaints.number(usage, "/inputTokens") + cached + number("cacheWriteInputTokens"),
        output: complaints.number(usage, "/outputTokens"),
        cached,
        reasoning: 0,
    };
    complaints.is(usage, "/totalTokens", found.input + found.output);
    found
}
