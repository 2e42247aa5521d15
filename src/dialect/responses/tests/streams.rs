use serde_json::{Value, json};

use super::*;
use crate::dialect::common::{Citation, Finish, Json, Malformed, Signature, TokenLogprob, Usage};
use crate::dialect::{Error, Kind};

fn request() -> Request {
    Request::new(Dialect::Responses, "m")
}

fn start() -> Delta {
    Delta::Start {
        id: "chatcmpl-1".into(),
        model: "gpt".into(),
        created: Some(5),
    }
}

fn text(text: &str) -> Delta {
    Delta::Text {
        choice: 0,
        text: text.into(),
    }
}

fn thinking(text: &str) -> Delta {
    Delta::Thinking {
        choice: 0,
        text: text.into(),
    }
}

fn call(call: u32, id: &str) -> Delta {
    Delta::ToolCall {
        choice: 0,
        call,
        id: id.into(),
        name: "f".into(),
        signature: None,
    }
}

fn arguments(call: u32, json: &str) -> Delta {
    Delta::Arguments {
        choice: 0,
        call,
        json: json.into(),
    }
}

fn finish(finish: Finish) -> Delta {
    Delta::Finish { choice: 0, finish }
}

fn frames(events: &[Value]) -> Vec<u8> {
    let frames = events.iter().map(|event| format!("data: {event}\n\n"));
    frames.collect::<String>().into_bytes()
}

#[test]
fn a_text_has_every_event() {
    let deltas = [
        start(),
        text("Hel"),
        text("lo"),
        finish(Finish::Stop),
        Delta::Usage(Usage {
            input_tokens: 3,
            output_tokens: 2,
            ..Usage::default()
        }),
        Delta::End,
    ];
    let events = events(&streamed(&deltas, &request()));
    let expected = [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
        "response.output_text.delta",
        "response.output_text.delta",
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ];
    assert_eq!(types(&events), expected);
    for (number, event) in events.iter().enumerate() {
        assert_eq!(event["sequence_number"], number);
    }
    assert_eq!(events[0]["response"]["status"], "in_progress");
    assert_eq!(events[0]["response"]["output"], json!([]));
    assert_eq!(events[4]["logprobs"], json!([]));
    let last = &events[9]["response"];
    assert_eq!(last["id"], events[0]["response"]["id"]);
    assert_eq!(last["output"][0]["content"][0]["text"], "Hello");
    assert_eq!(last["output"][0], events[8]["item"]);
    assert_eq!(last["usage"]["total_tokens"], 5);
}

#[test]
fn calls_may_grow_side_by_side() {
    let deltas = [
        start(),
        call(0, "call_a"),
        call(1, "call_b"),
        arguments(0, "{\"a\""),
        arguments(1, "{}"),
        arguments(0, ":1}"),
        finish(Finish::ToolCalls),
        Delta::End,
    ];
    let ours = streamed(&deltas, &request());
    let events = events(&ours);
    let last = &events.last().unwrap()["response"];
    assert_eq!(last["output"][0]["arguments"], "{\"a\":1}");
    assert_eq!(last["output"][1]["call_id"], "call_b");
    assert!(last["output"][0]["id"].as_str().unwrap().starts_with("fc_"));
    let read = collected(&super::deltas(&ours));
    assert_eq!(read.choices[0].finish, Some(Finish::ToolCalls));
    assert_eq!(read.choices[0].parts, collected(&deltas).choices[0].parts);
}

#[test]
fn a_thought_is_a_summary_with_its_seal() {
    let deltas = [
        start(),
        thinking("Hm"),
        thinking("."),
        Delta::Signature {
            choice: 0,
            signature: Signature {
                origin: Dialect::Anthropic,
                value: "s".into(),
            },
            id: None,
            is_redacted: false,
        },
        text("Yes."),
        finish(Finish::Length),
        Delta::End,
    ];
    let events = events(&streamed(&deltas, &request()));
    let expected = [
        "response.output_item.added",
        "response.reasoning_summary_part.added",
        "response.reasoning_summary_text.delta",
        "response.reasoning_summary_text.delta",
        "response.reasoning_summary_text.done",
        "response.reasoning_summary_part.done",
        "response.output_item.done",
    ];
    assert_eq!(types(&events)[2..9], expected);
    assert_eq!(events[8]["item"]["encrypted_content"], "tg1:anthropic:s");
    assert_eq!(events[8]["item"]["summary"][0]["text"], "Hm.");
    let last = events.last().unwrap();
    assert_eq!(last["type"], "response.incomplete");
    assert_eq!(
        last["response"]["incomplete_details"]["reason"],
        "max_output_tokens"
    );
    assert_eq!(last["response"]["output"][1]["status"], "incomplete");
}

#[test]
fn sources_and_tokens_are_told_as_they_come() {
    let deltas = [
        start(),
        text("ab"),
        Delta::Logprobs {
            choice: 0,
            tokens: vec![TokenLogprob {
                token: "ab".into(),
                logprob: -0.5,
                bytes: None,
                top: Vec::new(),
            }],
        },
        Delta::Citation {
            choice: 0,
            citation: Citation {
                url: Some("https://x.example".into()),
                title: None,
                cited_text: None,
                span: Some((0, 2)),
                origin: Dialect::Gemini,
                json: Json::empty_object(),
            },
        },
        Delta::End,
    ];
    let ours = streamed(&deltas, &request());
    let events = events(&ours);
    assert_eq!(events[5]["logprobs"][0]["token"], "ab");
    assert_eq!(events[6]["type"], "response.output_text.annotation.added");
    assert_eq!(events[6]["annotation_index"], 0);
    let read = collected(&super::deltas(&ours));
    assert_eq!(read.choices[0].logprobs.len(), 1);
}

#[test]
fn an_error_is_the_last_event() {
    let error = Error::new(Kind::Overloaded, "busy");
    let deltas = [
        start(),
        text("a"),
        Delta::Error(error),
        text("b"),
        Delta::End,
    ];
    let ours = streamed(&deltas, &request());
    let events = events(&ours);
    let last = events.last().unwrap();
    assert_eq!(
        (&last["type"], &last["message"]),
        (&json!("error"), &json!("busy"))
    );
    assert_eq!(last["sequence_number"], events.len() - 1);
    assert!(!types(&events).contains(&"response.completed"));
    let read = super::deltas(&ours);
    assert!(matches!(read.last(), Some(Delta::Error(error)) if error.kind == Kind::Overloaded));
}

#[test]
fn a_cut_stream_has_no_ending() {
    let deltas = [start(), text("a"), finish(Finish::Stop)];
    let ours = streamed(&deltas, &request());
    assert!(!types(&events(&ours)).contains(&"response.completed"));
    assert!(!super::deltas(&ours).contains(&Delta::End));
}

#[test]
fn providers_tell_errors_in_several_ways() {
    let cases = [
        json!({"type": "error", "code": "rate_limit_exceeded", "message": "m", "param": null}),
        json!({"type": "error", "sequence_number": 2, "error": {
            "type": "too_many_requests", "code": "too_many_requests", "message": "m"}}),
        json!({"error": {"type": "rate_limit_error", "message": "m"}}),
        json!({"type": "response.failed", "response": {"id": "r", "status": "failed",
            "error": {"code": "rate_limit_exceeded", "message": "m"}}}),
    ];
    for event in cases {
        let read = deltas(&frames(&[event.clone(), event.clone()]));
        let [Delta::Error(error)] = &read[..] else {
            panic!("{event}: {read:?}");
        };
        assert_eq!(
            (error.kind, error.message.as_str()),
            (Kind::RateLimited, "m"),
            "{event}"
        );
    }
}

#[test]
fn what_a_server_left_out_before_is_read_at_the_end() {
    let message = json!({"type": "message", "id": "m", "role": "assistant", "content": [
        {"type": "output_text", "text": "Hello", "annotations": []}]});
    let call = json!({"type": "function_call", "id": "fc", "call_id": "c", "name": "f", "arguments": "{}"});
    let completed = json!({"type": "response.completed", "response": {
        "id": "r", "status": "completed", "output": [message, call]}});
    let added = |index: u64, item: &Value| json!({"type": "response.output_item.added", "output_index": index, "item": item});
    let done = |index: u64, item: &Value| json!({"type": "response.output_item.done", "output_index": index, "item": item});
    let empty = json!({"type": "message", "id": "m", "role": "assistant", "content": []});
    let delta = json!({"type": "response.output_text.delta", "output_index": 0, "content_index": 0, "delta": "Hel"});
    let unknown = json!({"type": "response.new", "delta": {"a": 1}, "message": 7});
    let streams = [
        vec![completed.clone()],
        vec![
            added(0, &empty),
            delta.clone(),
            unknown,
            done(0, &message),
            done(1, &call),
            completed.clone(),
        ],
        vec![delta, done(0, &message), added(1, &call), completed],
    ];
    let expected = collected(&deltas(&frames(&streams[0])));
    assert_eq!(expected.choices[0].parts.len(), 2);
    for stream in &streams {
        let read = collected(&deltas(&frames(stream)));
        assert_eq!(read.choices, expected.choices);
    }
}

#[test]
fn what_is_no_event_is_refused() {
    let mut reader = Reader::new(&context());
    let mut out = Vec::new();
    let mut read = |frame: &[u8]| reader.read(frame, &mut out);
    assert_eq!(read(b": ping\n\n"), Ok(()));
    assert_eq!(read(b"data: [DONE]\n\n"), Ok(()));
    assert!(matches!(read(b"data: <html>\n\n"), Err(Malformed(_))));
    assert!(matches!(read(b"data: {}\n\n"), Err(Malformed(_))));
    assert!(matches!(
        read(b"data: {\"type\":\"response.output_text.delta\"}\n\n"),
        Err(Malformed(_))
    ));
    assert!(out.is_empty());
}

#[test]
fn no_bytes_make_a_reader_panic() {
    let whole = streamed(
        &[
            start(),
            thinking("é"),
            text("é\n"),
            call(0, "c"),
            finish(Finish::ToolCalls),
            Delta::End,
        ],
        &request(),
    );
    for cut in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[cut] = bytes[cut].wrapping_add(1);
        let mut reader = Reader::new(&context());
        let mut out = Vec::new();
        for frame in sse::each(bytes::Bytes::from(bytes)) {
            let _ = reader.read(&frame, &mut out);
        }
        reader.end(&mut out);
    }
}
