//! Real traffic.

use serde_json::Value;

use super::*;
use crate::dialect::common::{Content, Finish};
use crate::dialect::recorded::{self, Recorded};

fn recordings(is_stream: bool) -> impl Iterator<Item = &'static Recorded> {
    recorded::all().iter().filter(move |it| {
        it.endpoint.contains("enerateContent") && it.stream == is_stream && it.status == 200
    })
}

#[test]
fn recorded_requests_survive() {
    for recorded in recordings(false).chain(recordings(true)) {
        for is_vertex in [false, true] {
            let to = Outgoing {
                is_vertex,
                ..to(OLD)
            };
            let request = read(&recorded.request);
            let (body, dropped) = written(&request, &to);
            assert_eq!(read(&body), request, "{}", recorded.request);
            assert_eq!(dropped, "", "{}", recorded.request);
            assert_eq!(written(&request, &to).0, body);
        }
    }
}

#[test]
fn recorded_answers_are_read_whole() {
    for recorded in recordings(false) {
        let body = recorded.body();
        let answer = read_answer(&body, &context()).unwrap();
        let json: Value = serde_json::from_slice(&body).unwrap();
        check(
            &answer,
            &json["candidates"][0],
            &[&json],
            &json["usageMetadata"],
        );
        assert_eq!(usage(&body), answer.usage);
        assert_eq!(Value::from(answer.model.as_str()), json["modelVersion"]);

        let request = Request::new(Dialect::Gemini, "asked");
        let rewritten = write_answer(&answer, &request, &context());
        let mut again = read_answer(&rewritten, &context()).unwrap();
        if answer.id.is_empty() {
            assert_eq!(again.id, context().id);
            again.id.clear();
        }
        assert_eq!(again, answer, "{json}");
    }
}

#[test]
fn recorded_streams_are_read_and_written() {
    for recorded in recordings(true) {
        let body = recorded.body();
        let read = deltas(body.chunks(7));
        assert_eq!(read, deltas(std::iter::once(&*body)));
        let ends = read.iter().filter(|delta| **delta == Delta::End);
        assert_eq!(ends.count(), 1);
        assert_eq!(read.last(), Some(&Delta::End));

        let answer = collected(read.clone());
        let events: Vec<Value> = sse::data(&body)
            .map(|data| serde_json::from_slice(data).unwrap())
            .collect();
        let last = events.last().unwrap();
        check(
            &answer,
            &last["candidates"][0],
            &events.iter().collect::<Vec<_>>(),
            &last["usageMetadata"],
        );

        let sse = streamed(Framing::Events, read.clone());
        assert_eq!(collected(deltas(sse.chunks(11))), answer);
        let array = streamed(Framing::Array, read);
        let array: Vec<Value> = serde_json::from_slice(&array).unwrap();
        assert!(array.last().unwrap()["candidates"][0]["finishReason"].is_string());
    }
}

/// Text, calls, thoughts, ending and usage against what the JSON holds.
fn check(answer: &Answer, last: &Value, events: &[&Value], usage: &Value) {
    let parts: Vec<&Value> = events
        .iter()
        .filter_map(|event| event["candidates"][0]["content"]["parts"].as_array())
        .flatten()
        .collect();
    let text = |is_thought: bool| -> String {
        let parts = parts
            .iter()
            .filter(|part| part["thought"].as_bool().unwrap_or(false) == is_thought);
        parts.filter_map(|part| part["text"].as_str()).collect()
    };
    let mut said = String::new();
    let mut thought = String::new();
    let mut calls = Vec::new();
    let mut seals = 0;
    for part in &answer.choices[0].parts {
        match &part.content {
            Content::Text { text, .. } => said.push_str(text),
            Content::Thinking(thinking) => {
                thought.push_str(&thinking.text);
                seals += usize::from(thinking.signature.is_some());
            }
            Content::ToolCall {
                id,
                name,
                arguments,
                signature,
            } => {
                assert!(!id.is_empty());
                seals += usize::from(signature.is_some());
                let arguments: Value = serde_json::from_str(arguments).unwrap();
                calls.push((Value::from(name.as_str()), arguments));
            }
            Content::Opaque { json, .. } => {
                seals += usize::from(json.value()["thoughtSignature"].is_string());
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(said, text(false));
    assert_eq!(thought, text(true));
    let told = parts.iter().map(|part| &part["functionCall"]);
    let told: Vec<_> = told
        .filter(|call| call.is_object())
        .map(|call| (call["name"].clone(), call["args"].clone()))
        .collect();
    assert_eq!(calls, told);
    let told = parts
        .iter()
        .filter(|part| part["thoughtSignature"].is_string());
    assert_eq!(seals, told.count());

    let finish = answer.choices[0].finish.as_ref();
    let expected = match last["finishReason"].as_str().unwrap() {
        "STOP" if calls.is_empty() => Finish::Stop,
        "STOP" => Finish::ToolCalls,
        "MAX_TOKENS" => Finish::Length,
        "MODEL_ARMOR" => Finish::ContentFilter,
        "UNEXPECTED_TOOL_CALL" => Finish::MalformedCall,
        other => panic!("{other}"),
    };
    assert_eq!(finish, Some(&expected));

    let count = |name: &str| usage[name].as_u64().unwrap_or(0);
    let read = answer.usage.unwrap();
    assert_eq!(
        read.input_tokens,
        count("promptTokenCount") + count("toolUsePromptTokenCount")
    );
    assert_eq!(
        read.output_tokens,
        count("candidatesTokenCount") + count("thoughtsTokenCount")
    );
    assert_eq!(read.reasoning_tokens, count("thoughtsTokenCount"));
    assert_eq!(read.cache_read_tokens, count("cachedContentTokenCount"));
    assert_eq!(
        read.input_tokens + read.output_tokens,
        count("totalTokenCount")
    );
}

#[test]
fn recorded_errors_are_read() {
    let failed = recorded::all()
        .iter()
        .filter(|it| it.endpoint.contains("enerateContent") && it.status != 200);
    for recorded in failed {
        let status = http::StatusCode::from_u16(recorded.status).unwrap();
        let error = read_error(status, &recorded.body());
        let kind = match recorded.status {
            404 => crate::dialect::Kind::NotFound,
            _ => crate::dialect::Kind::InvalidRequest,
        };
        assert_eq!(error.kind, kind);
        assert!(!error.message.is_empty());
    }
}
