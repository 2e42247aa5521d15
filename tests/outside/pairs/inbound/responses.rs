//! OpenAI's responses, as its SDKs ask for them.

use serde_json::{Value, json};

use super::{Client, Failure, Seen, chat};
use crate::pairs::complaints::Complaints;
use crate::pairs::scenario::{
    Failing, Finish, OUTCOMES, Outcome, PIXEL, PIXEL_TYPE, SYSTEM, Scenario, Usage, answer_schema,
    arguments, tools,
};
use crate::raw::Answer;
use crate::sse;

/// The client.
pub struct Responses;

impl Client for Responses {
    fn name(&self) -> &'static str {
        "responses"
    }

    fn path(&self, _: &str, _: bool) -> String {
        "/v1/responses".to_owned()
    }

    fn request(&self, scenario: Scenario, model: &str, prompt: &str, stream: bool) -> Value {
        let mut input = vec![json!({"role": "user", "content": prompt})];
        let mut request = json!({"model": model, "max_output_tokens": scenario.max_tokens()});
        match scenario {
            Scenario::System => request["instructions"] = json!(SYSTEM),
            Scenario::Image => {
                let url = format!("data:{PIXEL_TYPE};base64,{PIXEL}");
                input[0]["content"] = json!([
                    {"type": "input_text", "text": prompt},
                    {"type": "input_image", "image_url": url, "detail": "auto"},
                ]);
            }
            Scenario::Schema => {
                let format = json!({"type": "json_schema", "name": "city", "schema": answer_schema(), "strict": true});
                request["text"] = json!({"format": format});
            }
            Scenario::Tools => request["tool_choice"] = json!("required"),
            Scenario::Results => input.extend(past_calls()),
            _ => {}
        }
        if scenario.has_tools() {
            request["tools"] = tools().into_iter().map(tool).collect();
        }
        if scenario.has_reasoning() {
            request["reasoning"] = json!({"effort": "high", "summary": "auto"});
            request["include"] = json!(["reasoning.encrypted_content"]);
            request["store"] = json!(false);
        }
        if stream {
            request["stream"] = json!(true);
        }
        request["input"] = input.into();
        request
    }

    fn go_on(&self, request: &Value, echo: &Value, calls: &[(String, Outcome)]) -> Value {
        let mut request = request.clone();
        let input = request["input"].as_array_mut().expect("ours");
        input.extend(echo.as_array().into_iter().flatten().cloned());
        input.extend(calls.iter().map(|(id, outcome)| output(id, outcome)));
        request
    }

    fn read_whole(&self, body: &[u8]) -> Seen {
        let mut seen = Seen::default();
        let answer = seen.complaints.json("the body", body);
        read_response(&answer, &mut seen);
        seen.is_ended = true;
        seen
    }

    fn read_stream(&self, body: &[u8]) -> Seen {
        let mut stream = Stream::default();
        let events = sse::events(&String::from_utf8_lossy(body));
        for (number, event) in events.iter().enumerate() {
            let json = stream
                .seen
                .complaints
                .json("an event", event.data.as_bytes());
            let named = json["type"].as_str().map(str::to_owned);
            let complaints = &mut stream.seen.complaints;
            complaints.equal("an event's name", &event.name, &named);
            // OpenAI's own error events are not numbered everywhere.
            if named.as_deref() != Some("error") {
                complaints.is(&json, "/sequence_number", number);
            }
            stream.read(&json);
        }
        stream.end()
    }

    fn read_error(&self, answer: &Answer) -> Failure {
        chat::read_error(answer)
    }

    fn word_for(&self, failing: Failing) -> &'static str {
        chat::word_for(failing)
    }
}

/// A stream as far as it has been read.
#[derive(Default)]
struct Stream {
    seen: Seen,
    count: usize,
    /// The items so far, put together of their deltas, and as they are when they are done.
    items: Vec<Item>,
}

struct Item {
    so_far: Value,
    done: Option<Value>,
}

impl Stream {
    fn read(&mut self, event: &Value) {
        let complaints = &mut self.seen.complaints;
        let kind = complaints.text(event, "/type");
        if self.seen.is_ended || self.seen.error.is_some() {
            complaints.add(format!("{kind} after the end"));
        }
        match self.count {
            0 => complaints.unless(matches!(&*kind, "response.created" | "error"), || {
                format!("{kind} as the first event")
            }),
            _ => complaints.unless(kind != "response.created", || "created twice".to_owned()),
        }
        self.count += 1;
        match kind.as_str() {
            "error" => {
                let place = if event["error"].is_object() {
                    "/error/message"
                } else {
                    "/message"
                };
                self.seen.error = Some(complaints.text(event, place));
            }
            "response.failed" => {
                complaints.is(event, "/response/status", "failed");
                self.seen.error = Some(complaints.text(event, "/response/error/message"));
            }
            "response.created" | "response.in_progress" => {
                complaints.is(event, "/response/status", "in_progress");
                complaints.is(event, "/response/output", json!([]));
                complaints.id(event, "/response/id", "resp_");
            }
            "response.completed" | "response.incomplete" => {
                let done: Vec<Value> = self
                    .items
                    .iter()
                    .filter_map(|item| item.done.clone())
                    .collect();
                complaints.equal("the items that are done", &done.len(), &self.items.len());
                let status = kind.trim_start_matches("response.");
                complaints.is(event, "/response/status", status);
                complaints.is(event, "/response/output", done);
                self.seen.is_ended = true;
                read_response(&event["response"], &mut self.seen);
            }
            "response.output_item.added" => {
                // Only calls are told apart by clients when they come by turns.
                let is_call = |item: &Value| item["type"] == "function_call";
                let mut open = self.items.iter().filter(|item| item.done.is_none());
                let is_alone = open.all(|item| is_call(&item.so_far) && is_call(&event["item"]));
                complaints.unless(is_alone, || "an item inside an item".to_owned());
                complaints.is(event, "/output_index", self.items.len());
                if event["item"]["type"] != "reasoning" {
                    complaints.is(event, "/item/status", "in_progress");
                }
                self.items.push(Item {
                    so_far: event["item"].clone(),
                    done: None,
                });
            }
            "response.output_item.done" => self.finish_item(event),
            _ => self.read_inside(&kind, event),
        }
    }

    /// An event inside an item.
    fn read_inside(&mut self, kind: &str, event: &Value) {
        let complaints = &mut self.seen.complaints;
        let Some(item) = open(&mut self.items, event) else {
            return complaints.add(format!("{kind} outside an item"));
        };
        let item = &mut item.so_far;
        complaints.is(event, "/item_id", item["id"].clone());
        let place = match kind.contains("summary") {
            true => ("summary", "summary_index"),
            false => ("content", "content_index"),
        };
        let part = |complaints: &mut Complaints| -> Option<Value> {
            let index = complaints.number(event, &format!("/{}", place.1)) as usize;
            let found = item[place.0].get(index).cloned();
            complaints.unless(found.is_some(), || format!("{kind} outside a part"));
            found
        };
        match kind {
            "response.function_call_arguments.delta" => {
                let delta = complaints.text(event, "/delta");
                item["arguments"] = joined(&item["arguments"], &delta);
            }
            "response.function_call_arguments.done" => {
                complaints.is(event, "/arguments", item["arguments"].clone());
            }
            "response.content_part.added" | "response.reasoning_summary_part.added" => {
                if !item[place.0].is_array() {
                    item[place.0] = json!([]);
                }
                let parts = item[place.0].as_array_mut().expect("just made");
                complaints.is(event, &format!("/{}", place.1), parts.len());
                let mut part = event["part"].clone();
                let field = text_field(&part);
                complaints.is(&part, &format!("/{field}"), "");
                part[field] = json!("");
                parts.push(part);
            }
            "response.content_part.done" | "response.reasoning_summary_part.done" => {
                if let Some(part) = part(complaints) {
                    let field = text_field(&part);
                    complaints.is(&event["part"], &format!("/{field}"), part[field].clone());
                }
            }
            "response.output_text.delta"
            | "response.refusal.delta"
            | "response.reasoning_text.delta"
            | "response.reasoning_summary_text.delta" => {
                let delta = complaints.text(event, "/delta");
                let Some(mut part) = part(complaints) else {
                    return;
                };
                let field = text_field(&part);
                part[field] = joined(&part[field], &delta);
                let index = event[place.1].as_u64().unwrap_or_default() as usize;
                item[place.0][index] = part;
            }
            "response.output_text.done"
            | "response.refusal.done"
            | "response.reasoning_text.done"
            | "response.reasoning_summary_text.done" => {
                let Some(part) = part(complaints) else { return };
                let field = text_field(&part);
                complaints.is(event, &format!("/{field}"), part[field].clone());
            }
            "response.output_text.annotation.added" => {}
            _ => complaints.add(format!("an event of type {kind}")),
        }
    }

    fn finish_item(&mut self, event: &Value) {
        let complaints = &mut self.seen.complaints;
        let Some(Item { so_far, done }) = open(&mut self.items, event) else {
            return complaints.add("the end of no item");
        };
        let item = &event["item"];
        for field in ["/id", "/type", "/call_id", "/name", "/arguments"] {
            if let Some(begun) = so_far.pointer(field) {
                complaints.is(item, field, begun.clone());
            }
        }
        for list in ["content", "summary"] {
            let texts = |item: &Value| -> Vec<Value> {
                let parts = item[list].as_array().cloned().unwrap_or_default();
                parts
                    .iter()
                    .map(|part| part[text_field(part)].clone())
                    .collect()
            };
            complaints.equal(list, &texts(item), &texts(so_far));
        }
        *done = Some(item.clone());
    }

    fn end(mut self) -> Seen {
        if self.seen.is_ended {
            return self.seen;
        }
        for item in &self.items {
            match &item.done {
                Some(done) => read_items(std::slice::from_ref(done), &mut self.seen),
                None => {
                    for part in item.so_far["content"].as_array().into_iter().flatten() {
                        self.seen.text += part["text"].as_str().unwrap_or_default();
                    }
                }
            }
        }
        self.seen
    }
}

/// The item that an event is about, if it is not yet done.
fn open<'a>(items: &'a mut [Item], event: &Value) -> Option<&'a mut Item> {
    let index = event["output_index"].as_u64()? as usize;
    items.get_mut(index).filter(|item| item.done.is_none())
}

fn text_field(part: &Value) -> &'static str {
    if part["type"] == "refusal" {
        "refusal"
    } else {
        "text"
    }
}

fn joined(so_far: &Value, text: &str) -> Value {
    json!([so_far.as_str().unwrap_or_default(), text].concat())
}

fn tool((name, description, schema): (&str, &str, Value)) -> Value {
    json!({"type": "function", "name": name, "description": description, "parameters": schema, "strict": false})
}

fn past_calls() -> Vec<Value> {
    const IDS: [&str; 2] = [
        "call_CeXueyTqEJ1rgm84BHSwNPz8",
        "call_J3ajtA7qivswzXp8A9sJ7foO",
    ];
    let called = IDS.iter().zip(OUTCOMES).zip(arguments());
    let calls = called.map(|((id, outcome), arguments)| {
        json!({"type": "function_call", "call_id": id, "name": outcome.name, "arguments": arguments.to_string()})
    });
    let outputs = IDS
        .iter()
        .zip(OUTCOMES)
        .map(|(id, outcome)| output(id, &outcome));
    calls.chain(outputs).collect()
}

fn output(id: &str, outcome: &Outcome) -> Value {
    json!({"type": "function_call_output", "call_id": id, "output": outcome.text})
}

fn read_response(response: &Value, seen: &mut Seen) {
    let complaints = &mut seen.complaints;
    complaints.is(response, "/object", "response");
    complaints.id(response, "/id", "resp_");
    complaints.id(response, "/model", "");
    complaints.number(response, "/created_at");
    complaints.is(response, "/error", Value::Null);
    // The SDKs' types require these.
    for field in [
        "instructions",
        "metadata",
        "parallel_tool_calls",
        "temperature",
        "tool_choice",
        "tools",
        "top_p",
    ] {
        complaints.unless(response.get(field).is_some(), || {
            format!("a response without {field}")
        });
    }
    let output = complaints.list(response, "/output");
    seen.usage = usage(&response["usage"], complaints);
    read_items(&output, seen);
    let complaints = &mut seen.complaints;
    let status = complaints.text(response, "/status");
    let reason = response["incomplete_details"]["reason"]
        .as_str()
        .unwrap_or_default();
    seen.finish = match (status.as_str(), reason) {
        ("completed", "") if !seen.calls.is_empty() => Finish::ToolCalls,
        ("completed", "") if !seen.refusal.is_empty() => Finish::Refusal,
        ("completed", "") => Finish::Stop,
        ("incomplete", "max_output_tokens") => Finish::Length,
        ("incomplete", "content_filter") => Finish::Refusal,
        _ => {
            complaints.add(format!("the status {status} {reason}"));
            Finish::Unknown
        }
    };
    seen.echo = output.into();
}

fn read_items(items: &[Value], seen: &mut Seen) {
    for item in items {
        let complaints = &mut seen.complaints;
        let kind = complaints.text(item, "/type");
        match kind.as_str() {
            "message" => {
                complaints.id(item, "/id", "msg_");
                complaints.is(item, "/role", "assistant");
                let status = complaints.text(item, "/status");
                complaints.unless(matches!(&*status, "completed" | "incomplete"), || {
                    format!("a message that is {status}")
                });
                for part in complaints.list(item, "/content") {
                    if part["type"] == "refusal" {
                        seen.refusal += &complaints.text(&part, "/refusal");
                        continue;
                    }
                    complaints.is(&part, "/type", "output_text");
                    complaints.list(&part, "/annotations");
                    seen.text += &complaints.text(&part, "/text");
                }
            }
            "reasoning" => {
                complaints.id(item, "/id", "rs_");
                for part in complaints.list(item, "/summary") {
                    complaints.is(&part, "/type", "summary_text");
                    seen.thoughts += &complaints.text(&part, "/text");
                }
                for part in item["content"].as_array().into_iter().flatten() {
                    complaints.is(part, "/type", "reasoning_text");
                    seen.thoughts += &complaints.text(part, "/text");
                }
                seen.seals
                    .extend(item["encrypted_content"].as_str().map(str::to_owned));
            }
            "function_call" => {
                complaints.id(item, "/id", "fc_");
                let id = complaints.id(item, "/call_id", "");
                let name = complaints.id(item, "/name", "");
                let arguments = complaints.text(item, "/arguments");
                let arguments = complaints.json("the arguments", arguments.as_bytes());
                seen.calls.push((id, name, arguments));
            }
            _ => complaints.add(format!("an item of type {kind}")),
        }
    }
}

fn usage(usage: &Value, complaints: &mut Complaints) -> Option<Usage> {
    if usage.is_null() {
        return None;
    }
    let input = complaints.number(usage, "/input_tokens");
    let output = complaints.number(usage, "/output_tokens");
    complaints.is(usage, "/total_tokens", input + output);
    Some(Usage {
        input,
        output,
        cached: complaints.number(usage, "/input_tokens_details/cached_tokens"),
        reasoning: complaints.number(usage, "/output_tokens_details/reasoning_tokens"),
    })
}
