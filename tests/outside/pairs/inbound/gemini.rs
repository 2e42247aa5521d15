//! Gemini's `generateContent`, as Google's SDKs ask for it.

use serde_json::{Value, json};

use super::{Client, Failure, Seen};
use crate::pairs::complaints::Complaints;
use crate::pairs::scenario::{
    Failing, Finish, OUTCOMES, Outcome, PIXEL, PIXEL_TYPE, STOPS, SYSTEM, Scenario, Usage,
    answer_schema, arguments, tools,
};
use crate::raw::Answer;
use crate::sse;

/// The client.
pub struct Gemini;

impl Client for Gemini {
    fn name(&self) -> &'static str {
        "gemini"
    }

    fn path(&self, model: &str, stream: bool) -> String {
        match stream {
            true => format!("/v1beta/models/{model}:streamGenerateContent?alt=sse"),
            false => format!("/v1beta/models/{model}:generateContent"),
        }
    }

    fn headers(&self, key: &str) -> Vec<(&'static str, String)> {
        vec![("x-goog-api-key", key.to_owned())]
    }

    fn request(&self, scenario: Scenario, _: &str, prompt: &str, _: bool) -> Value {
        let mut contents = vec![json!({"role": "user", "parts": [{"text": prompt}]})];
        let mut request = json!({});
        let mut settings = json!({"maxOutputTokens": scenario.max_tokens()});
        match scenario {
            Scenario::System => request["systemInstruction"] = json!({"parts": [{"text": SYSTEM}]}),
            Scenario::Stop => settings["stopSequences"] = json!(STOPS),
            Scenario::Image => {
                let image = json!({"inlineData": {"mimeType": PIXEL_TYPE, "data": PIXEL}});
                contents[0]["parts"] = json!([{"text": prompt}, image]);
            }
            Scenario::Schema => {
                settings["responseMimeType"] = json!("application/json");
                settings["responseJsonSchema"] = answer_schema();
            }
            Scenario::Tools => {
                request["toolConfig"] = json!({"functionCallingConfig": {"mode": "ANY"}});
            }
            Scenario::Results => contents.extend(past_calls()),
            _ => {}
        }
        if scenario.has_tools() {
            let declared: Value = tools().into_iter().map(declaration).collect();
            request["tools"] = json!([{"functionDeclarations": declared}]);
        }
        if scenario.has_reasoning() {
            settings["thinkingConfig"] = json!({"thinkingLevel": "HIGH", "includeThoughts": true});
        }
        request["contents"] = contents.into();
        request["generationConfig"] = settings;
        request
    }

    fn go_on(&self, request: &Value, echo: &Value, calls: &[(String, Outcome)]) -> Value {
        let mut request = request.clone();
        let contents = request["contents"].as_array_mut().expect("ours");
        contents.push(json!({"role": "model", "parts": echo}));
        let results: Value = calls
            .iter()
            .map(|(id, outcome)| result(id, outcome))
            .collect();
        contents.push(json!({"role": "user", "parts": results}));
        request
    }

    fn read_whole(&self, body: &[u8]) -> Seen {
        let mut seen = Seen {
            echo: json!([]),
            ..Seen::default()
        };
        let answer = seen.complaints.json("the body", body);
        read_piece(&answer, &mut seen);
        seen.complaints
            .unless(seen.is_ended, || "no finish reason".to_owned());
        seen
    }

    fn read_stream(&self, body: &[u8]) -> Seen {
        let mut seen = Seen {
            echo: json!([]),
            ..Seen::default()
        };
        for event in sse::events(&String::from_utf8_lossy(body)) {
            let piece = seen.complaints.json("an event", event.data.as_bytes());
            seen.complaints.unless(seen.error.is_none(), || {
                "a piece after the error".to_owned()
            });
            if piece["error"].is_object() {
                seen.complaints.number(&piece, "/error/code");
                seen.complaints.text(&piece, "/error/status");
                seen.error = Some(seen.complaints.text(&piece, "/error/message"));
                continue;
            }
            seen.complaints
                .equal("an event's name", &event.name, &None::<String>);
            read_piece(&piece, &mut seen);
        }
        seen
    }

    fn read_error(&self, answer: &Answer) -> Failure {
        let mut complaints = Complaints::default();
        let body = complaints.json("the error", &answer.body);
        complaints.is(&body, "/error/code", answer.status);
        Failure {
            kind: complaints.text(&body, "/error/status"),
            message: complaints.text(&body, "/error/message"),
            complaints,
        }
    }

    fn word_for(&self, failing: Failing) -> &'static str {
        match failing {
            Failing::RateLimited => "RESOURCE_EXHAUSTED",
            Failing::ContextTooLong => "INVALID_ARGUMENT",
            Failing::ServerError => "INTERNAL",
        }
    }

    fn says_tool_failed(&self) -> bool {
        true
    }
}

/// A function as the Python SDK declares it: types in upper case.
fn declaration((name, description, mut schema): (&str, &str, Value)) -> Value {
    in_upper_case(&mut schema);
    json!({"name": name, "description": description, "parameters": schema})
}

fn in_upper_case(schema: &mut Value) {
    if let Some(kind) = schema["type"].as_str() {
        schema["type"] = json!(kind.to_uppercase());
    }
    if let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) {
        properties.values_mut().for_each(in_upper_case);
    }
}

fn past_calls() -> [Value; 2] {
    let called = OUTCOMES.iter().zip(arguments());
    let mut calls: Value = called
        .map(|(outcome, arguments)| json!({"functionCall": {"name": outcome.name, "args": arguments}}))
        .collect();
    // What Google documents for calls that were never sealed: its models refuse them without.
    calls[0]["thoughtSignature"] = json!("skip_thought_signature_validator");
    let results: Value = OUTCOMES.iter().map(|outcome| result("", outcome)).collect();
    [
        json!({"role": "model", "parts": calls}),
        json!({"role": "user", "parts": results}),
    ]
}

fn result(id: &str, outcome: &Outcome) -> Value {
    let field = if outcome.is_error { "error" } else { "result" };
    let mut response = json!({"name": outcome.name, "response": {field: outcome.text}});
    if !id.is_empty() {
        response["id"] = json!(id);
    }
    json!({"functionResponse": response})
}

/// Reads a whole answer or a piece of a stream.
fn read_piece(piece: &Value, seen: &mut Seen) {
    let complaints = &mut seen.complaints;
    complaints.only(
        "an answer",
        piece,
        &[
            "candidates",
            "usageMetadata",
            "modelVersion",
            "responseId",
            "createTime",
            "promptFeedback",
        ],
    );
    complaints.id(piece, "/modelVersion", "");
    complaints.id(piece, "/responseId", "");
    if let Some(usage) = piece.get("usageMetadata") {
        seen.usage = Some(read_usage(usage, complaints));
    }
    let candidates = piece["candidates"].as_array().cloned().unwrap_or_default();
    for candidate in &candidates {
        let known = [
            "content",
            "finishReason",
            "finishMessage",
            "index",
            "safetyRatings",
            "avgLogprobs",
            "logprobsResult",
            "groundingMetadata",
            "citationMetadata",
        ];
        seen.complaints.only("a candidate", candidate, &known);
        let index = candidate
            .get("index")
            .and_then(Value::as_u64)
            .unwrap_or_default();
        seen.complaints.equal("the candidate's index", &index, &0);
        let parts = candidate["content"]["parts"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        if !parts.is_empty() {
            seen.complaints.is(candidate, "/content/role", "model");
            seen.complaints
                .unless(!seen.is_ended, || "parts after the finish".to_owned());
        }
        parts.iter().for_each(|part| read_part(part, seen));
        let Some(reason) = candidate["finishReason"].as_str() else {
            continue;
        };
        seen.complaints
            .unless(!seen.is_ended, || "two finish reasons".to_owned());
        seen.is_ended = true;
        seen.finish = match reason {
            "STOP" if !seen.calls.is_empty() => Finish::ToolCalls,
            "STOP" => Finish::Stop,
            "MAX_TOKENS" => Finish::Length,
            "SAFETY" | "PROHIBITED_CONTENT" | "BLOCKLIST" | "SPII" => Finish::Refusal,
            _ => {
                seen.complaints.add(format!("the finish reason {reason}"));
                Finish::Unknown
            }
        };
    }
}

fn read_part(part: &Value, seen: &mut Seen) {
    let complaints = &mut seen.complaints;
    complaints.only(
        "a part",
        part,
        &["text", "thought", "thoughtSignature", "functionCall"],
    );
    if let Some(seal) = part["thoughtSignature"].as_str() {
        seen.seals.push(seal.to_owned());
        // The field is of bytes: the SDKs refuse what is not base64.
        let is_base64 = seal
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"+/-_=".contains(&byte));
        complaints.unless(is_base64, || {
            format!("a thoughtSignature that is not base64: {seal:?}")
        });
    }
    if let Some(call) = part.get("functionCall") {
        complaints.only("a functionCall", call, &["id", "name", "args"]);
        let name = complaints.id(call, "/name", "");
        complaints.unless(call["args"].is_object(), || {
            "args that are no object".to_owned()
        });
        let id = call["id"].as_str().unwrap_or_default().to_owned();
        seen.calls.push((id, name, call["args"].clone()));
    } else if part["thought"] == true {
        seen.thoughts += part["text"].as_str().unwrap_or_default();
    } else if part.get("text").is_some() {
        seen.text += &complaints.text(part, "/text");
    } else {
        let is_sealed = part.get("thoughtSignature").is_some();
        complaints.unless(is_sealed, || format!("a part of nothing: {part}"));
    }
    if let Some(echo) = seen.echo.as_array_mut() {
        echo.push(part.clone());
    }
}

fn read_usage(usage: &Value, complaints: &mut Complaints) -> Usage {
    let number = |name| usage[name].as_u64().unwrap_or_default();
    let reasoning = number("thoughtsTokenCount");
    let found = Usage {
        input: complaints.number(usage, "/promptTokenCount") + number("toolUsePromptTokenCount"),
        output: number("candidatesTokenCount") + reasoning,
        cached: number("cachedContentTokenCount"),
        reasoning,
    };
    complaints.is(usage, "/totalTokenCount", found.input + found.output);
    found
}
