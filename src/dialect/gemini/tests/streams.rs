//! Streams.

use serde_json::{Value, json};

use super::*;
use crate::dialect::common::{Content, Finish, Part, Signature, Source, Usage};
use crate::dialect::{Error, Kind};

fn events(events: &[Value]) -> Vec<u8> {
    let frames = events.iter().map(|event| format!("data: {event}\r\n\r\n"));
    frames.collect::<String>().into_bytes()
}

fn spoken(parts: Value, finish: Option<&str>) -> Value {
    let mut candidate = json!({"content": {"parts": parts, "role": "model"}});
    if let Some(finish) = finish {
        candidate["finishReason"] = finish.into();
    }
    json!({"candidates": [candidate], "responseId": "r", "modelVersion": "m"})
}

#[test]
fn a_cut_stream_has_no_ending() {
    let cut = events(&[spoken(json!([{"text": "a"}]), None)]);
    let read = deltas(std::iter::once(&*cut));
    assert!(!read.contains(&Delta::End));
    assert!(
        !read
            .iter()
            .any(|delta| matches!(delta, Delta::Finish { .. }))
    );
    let one_of_two = json!({"candidates": [{"index": 0, "finishReason": "STOP"}, {"index": 1}]});
    assert!(!deltas(std::iter::once(&*events(&[one_of_two]))).contains(&Delta::End));
    assert_eq!(deltas(std::iter::empty()), []);
}

#[test]
fn a_refused_prompt_is_a_whole_stream() {
    let blocked = json!({"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": {"promptTokenCount": 4}});
    let answer = collected(deltas(std::iter::once(&*events(&[blocked]))));
    assert_eq!(answer.choices[0].finish, Some(Finish::ContentFilter));
    assert_eq!(answer.usage.map(|usage| usage.input_tokens), Some(4));
}

#[test]
fn an_error_ends_the_stream() {
    let failed = events(&[
        spoken(json!([{"text": "a"}]), Some("STOP")),
        json!({"error": {"code": 503, "message": "overloaded", "status": "UNAVAILABLE"}}),
        spoken(json!([{"text": "b"}]), None),
    ]);
    let read = deltas(std::iter::once(&*failed));
    let Some(Delta::Error(error)) = read.last() else {
        panic!("an error");
    };
    assert_eq!(error.kind, Kind::Overloaded);
    let mut reader = Reader::new(&context());
    for frame in ["data: {", "data: []\n\n", "data: {\"candidates\":1}\n\n"] {
        assert!(
            reader.read(frame.as_bytes(), &mut Vec::new()).is_err(),
            "{frame}"
        );
    }
    for frame in [": ping\n\n", "data: [DONE]\n\n", "event: x\n\n"] {
        assert!(
            reader.read(frame.as_bytes(), &mut Vec::new()).is_ok(),
            "{frame}"
        );
    }
}

#[test]
fn whole_and_streamed_agree() {
    let seal = |parts: Value| parts;
    let whole = spoken(
        seal(json!([
            {"text": "hmm", "thought": true},
            {"text": "Höhe 3", "thoughtSignature": "YQ=="},
            {"functionCall": {"name": "f", "args": {"a": 1.0}}, "thoughtSignature": "Yg=="},
            {"functionCall": {"name": "g"}},
            {"inlineData": {"mimeType": "image/png", "data": "AAAA"}, "thoughtSignature": "Yw=="},
            {"codeExecutionResult": {"outcome": "OUTCOME_OK"}},
            {"text": "end"},
        ])),
        Some("STOP"),
    );
    let streamed = events(&[
        spoken(json!([{"text": "h", "thought": true}]), None),
        spoken(
            json!([{"text": "mm", "thought": true}, {"text": "Höhe"}]),
            None,
        ),
        spoken(json!([{"text": " 3"}]), None),
        spoken(json!([{"text": "", "thoughtSignature": "YQ=="}]), None),
        spoken(
            json!([{"functionCall": {"name": "f", "args": {"a": 1.0}}, "thoughtSignature": "Yg=="}]),
            None,
        ),
        spoken(json!([{"functionCall": {"name": "g"}}]), None),
        spoken(
            json!([{"inlineData": {"mimeType": "image/png", "data": "AAAA"}, "thoughtSignature": "Yw=="}]),
            None,
        ),
        spoken(
            json!([{"codeExecutionResult": {"outcome": "OUTCOME_OK"}}]),
            None,
        ),
        spoken(json!([{"text": "end"}]), Some("STOP")),
    ]);
    let read = deltas(streamed.chunks(5));
    let answer = read_answer(whole.to_string().as_bytes(), &context()).unwrap();
    assert_eq!(collected(read.clone()), answer);
    assert_eq!(answer.choices[0].finish, Some(Finish::ToolCalls));
    // And so does what a caller is shown of it.
    let again = deltas(self::streamed(Framing::Events, read).chunks(9));
    assert_eq!(collected(again), answer);
}

#[test]
fn sources_stand_with_their_text() {
    let grounding = json!({
        "groundingChunks": [{"web": {"uri": "https://a"}}],
        "groundingSupports": [{"segment": {"endIndex": 5, "text": "Höhe"}, "groundingChunkIndices": [0]}],
    });
    let mut first = spoken(json!([{"text": "Hö"}]), None);
    let mut last = spoken(
        json!([{"text": "", "thoughtSignature": "YQ=="}]),
        Some("STOP"),
    );
    first["candidates"][0]["groundingMetadata"] = json!({});
    last["candidates"][0]["groundingMetadata"] = grounding;
    let stream = events(&[first, spoken(json!([{"text": "he"}]), None), last]);
    let answer = collected(deltas(stream.chunks(5)));
    let kinds: Vec<_> = answer.choices[0]
        .parts
        .iter()
        .map(|part| match &part.content {
            Content::Text { citations, .. } => ("text", citations.len()),
            Content::Thinking(_) => ("seal", 0),
            Content::Opaque { .. } => ("metadata", 0),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(kinds, [("text", 1), ("seal", 0), ("metadata", 0)]);
}

#[test]
fn streamed_arguments_are_put_together() {
    let stream = events(&[
        spoken(
            json!([{"functionCall": {"name": "f", "willContinue": true}, "thoughtSignature": "YQ=="}]),
            None,
        ),
        spoken(
            json!([{"functionCall": {"partialArgs": [{"jsonPath": "$.city", "stringValue": "Par", "willContinue": true}], "willContinue": true}}]),
            None,
        ),
        spoken(
            json!([{"functionCall": {"partialArgs": [{"jsonPath": "$.city", "stringValue": "is"}], "willContinue": true}}]),
            None,
        ),
        spoken(json!([{"functionCall": {}}]), None),
        spoken(
            json!([{"functionCall": {"name": "g", "args": {}}}]),
            Some("STOP"),
        ),
    ]);
    let answer = collected(deltas(stream.chunks(5)));
    let calls: Vec<_> = answer.choices[0]
        .parts
        .iter()
        .map(|part| match &part.content {
            Content::ToolCall {
                name, arguments, ..
            } => (name.as_str(), arguments.as_str()),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(calls, [("f", r#"{"city":"Paris"}"#), ("g", "{}")]);
}

fn foreign() -> Vec<Delta> {
    let call = |call: u32, name: &str| Delta::ToolCall {
        choice: 0,
        call,
        id: format!("toolu_{call}"),
        name: name.into(),
        signature: None,
    };
    let arguments = |call, json: &str| Delta::Arguments {
        choice: 0,
        call,
        json: json.into(),
    };
    vec![
        Delta::Start {
            id: "msg_1".into(),
            model: "claude".into(),
            created: None,
        },
        Delta::Thinking {
            choice: 0,
            text: "hm".into(),
        },
        Delta::Signature {
            choice: 0,
            signature: Signature {
                origin: Dialect::Anthropic,
                value: "s".into(),
            },
            id: None,
            is_redacted: false,
        },
        Delta::Text {
            choice: 0,
            text: "a".into(),
        },
        call(0, "f"),
        call(1, "g"),
        arguments(1, r#"{"b":"#),
        arguments(0, r#"{"a":"#),
        arguments(1, "2}"),
        arguments(0, "1}"),
        Delta::Image {
            choice: 1,
            source: Source::Base64 {
                media_type: "image/png".into(),
                data: "AAAA".into(),
            },
        },
        Delta::Finish {
            choice: 1,
            finish: Finish::Stop,
        },
        Delta::Finish {
            choice: 0,
            finish: Finish::ToolCalls,
        },
        Delta::Usage(Usage {
            input_tokens: 3,
            output_tokens: 4,
            ..Usage::default()
        }),
        Delta::End,
    ]
}

#[test]
fn calls_wait_for_their_arguments() {
    let array = streamed(Framing::Array, foreign());
    let events: Vec<Value> = serde_json::from_slice(&array).unwrap();
    let calls: Vec<&Value> = events
        .iter()
        .map(|event| &event["candidates"][0]["content"]["parts"][0]["functionCall"])
        .filter(|call| call.is_object())
        .collect();
    assert_eq!(
        calls,
        [
            &json!({"id": "toolu_0", "name": "f", "args": {"a": 1}}),
            &json!({"id": "toolu_1", "name": "g", "args": {"b": 2}}),
        ]
    );
    let with_reason = events
        .iter()
        .filter(|event| event["candidates"][0].get("finishReason").is_some());
    assert_eq!(with_reason.count(), 1);
    let last = events.last().unwrap();
    assert_eq!(last["candidates"].as_array().unwrap().len(), 2);
    assert_eq!(last["usageMetadata"]["totalTokenCount"], 7);
}

#[test]
fn a_callers_pieces_are_the_answer_again() {
    let sse = streamed(Framing::Events, foreign());
    let parts: Vec<Value> = sse::data(&sse)
        .map(|data| serde_json::from_slice::<Value>(data).unwrap())
        .filter(|event| event["candidates"][0]["index"] == 0)
        .map(|event| event["candidates"][0]["content"].clone())
        .collect();
    let mut contents = vec![json!({"role": "user", "parts": [{"text": "q"}]})];
    contents.extend(parts);
    let turns = read(&json!({ "contents": contents })).turns;
    let expected = collected(foreign()).choices[0].parts.clone();
    assert_eq!(turns[1].parts, expected);
}

#[test]
fn only_an_end_ends_a_callers_stream() {
    let mut cut = foreign();
    cut.pop();
    let text = String::from_utf8(streamed(Framing::Events, cut.clone())).unwrap();
    assert!(!text.contains("finishReason"));
    cut.push(Delta::Error(Error::new(Kind::Upstream, "gone")));
    cut.push(Delta::End);
    let text = String::from_utf8(streamed(Framing::Events, cut.clone())).unwrap();
    assert!(!text.contains("finishReason"));
    let last = text.trim_end().rsplit("\r\n\r\n").next().unwrap();
    assert!(last.starts_with(r#"data: {"error":{"code":502,"#), "{last}");
    let array: Vec<Value> = serde_json::from_slice(&streamed(Framing::Array, cut)).unwrap();
    assert_eq!(array.last().unwrap()["error"]["status"], "UNAVAILABLE");
    let at_once = streamed(
        Framing::Array,
        vec![Delta::Error(Error::new(Kind::Internal, "x"))],
    );
    assert!(serde_json::from_slice::<Vec<Value>>(&at_once).is_ok());
    let nothing = streamed(Framing::Array, vec![Delta::End]);
    let nothing: Vec<Value> = serde_json::from_slice(&nothing).unwrap();
    assert_eq!(nothing[0]["candidates"][0]["finishReason"], "STOP");
}

#[test]
fn a_call_cut_short_is_malformed() {
    let mut cut = foreign();
    cut.retain(|delta| !matches!(delta, Delta::Arguments { json, .. } if json == "2}"));
    let events: Vec<Value> = serde_json::from_slice(&streamed(Framing::Array, cut)).unwrap();
    let last = &events.last().unwrap()["candidates"];
    let reasons: Vec<_> = last
        .as_array()
        .unwrap()
        .iter()
        .map(|candidate| candidate["finishReason"].as_str().unwrap())
        .collect();
    assert_eq!(reasons, ["MALFORMED_FUNCTION_CALL", "STOP"]);
}

#[test]
fn redacted_thoughts_and_hidden_seals_stay_apart() {
    let seal = |is_redacted| Delta::Signature {
        choice: 0,
        signature: Signature {
            origin: Dialect::Anthropic,
            value: "s".into(),
        },
        id: None,
        is_redacted,
    };
    let told = vec![seal(true), seal(true), seal(false), Delta::End];
    let sse = streamed(Framing::Events, told.clone());
    let parts: Vec<Value> = sse::data(&sse)
        .map(|data| serde_json::from_slice::<Value>(data).unwrap())
        .map(|event| event["candidates"][0]["content"].clone())
        .collect();
    let read = read(&json!({ "contents": parts })).turns;
    let expected: Vec<Part> = collected(told).choices[0].parts.clone();
    assert_eq!(read[0].parts, expected);
}

#[test]
fn no_bytes_make_a_reader_panic() {
    let body = json!({
        "systemInstruction": {"parts": [{"text": "s"}]},
        "contents": [{"role": "model", "parts": [
            {"text": "ü", "thought": true, "thoughtSignature": "dGcxOmFudGhyb3BpYzpFcVFCKy89PQ=="},
            {"functionCall": {"name": "f", "partialArgs": [{"jsonPath": "$.a['b'][0]", "stringValue": "c"}]}},
            {"functionResponse": {"name": "f", "response": {"output": "d"}}},
            {"inlineData": {"mimeType": "text/plain", "data": "aMOp"}},
        ]}],
        "candidates": [{
            "content": {"parts": [{"text": "ü"}, {"functionCall": {"name": "f", "partialArgs": [{"jsonPath": "$.a['b'][0]"}]}}]},
            "groundingMetadata": {"groundingChunks": [{"web": {}}], "groundingSupports": [{"segment": {"endIndex": 1}, "groundingChunkIndices": [0]}]},
            "finishReason": "STOP",
        }],
        "createTime": "2026-07-22T23:37:37Z",
        "error": null,
    });
    let whole = body.to_string().into_bytes();
    for place in 0..whole.len() {
        for byte in [
            None,
            Some(b'"'),
            Some(b'0'),
            Some(b'['),
            Some(b'}'),
            Some(0xff),
        ] {
            let mut bytes = whole.clone();
            match byte {
                None => bytes.truncate(place),
                Some(byte) => bytes[place] = byte,
            }
            let _ = read_request(&bytes, OLD, true);
            let _ = read_count_request(&bytes, OLD);
            let _ = read_answer(&bytes, &context());
            let _ = read_embedding_answer(&bytes, 1);
            let _ = read_error(http::StatusCode::BAD_REQUEST, &bytes);
            let _ = usage(&bytes);
        }
    }
}
