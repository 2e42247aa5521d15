use super::*;
use crate::dialect::Kind;
use crate::dialect::common::{Citation, Content, Finish, Json, Signature, TokenLogprob, Usage};
use serde_json::{Value, json};

/// A stream of all events that the API's reference names, and the whole answer that says the same.
fn stream() -> String {
    let events = [
        json!({"id": "a1", "type": "message-start", "delta": {"message": {"role": "assistant",
            "content": [], "tool_plan": "", "tool_calls": [], "citations": []}}}),
        json!({"type": "content-start", "index": 0,
            "delta": {"message": {"content": {"type": "thinking", "thinking": ""}}}}),
        json!({"type": "content-delta", "index": 0,
            "delta": {"message": {"content": {"thinking": "I look"}}}}),
        json!({"type": "content-end", "index": 0}),
        json!({"type": "content-start", "index": 1,
            "delta": {"message": {"content": {"type": "text", "text": "It"}}}}),
        json!({"type": "content-delta", "index": 1,
            "delta": {"message": {"content": {"text": " rains"}}},
            "logprobs": {"text": " rains", "token_ids": [5, 6], "logprobs": [-0.25, -0.5]}}),
        json!({"type": "citation-start", "index": 0, "delta": {"message": {"citations": citation()}}}),
        json!({"type": "citation-end", "index": 0}),
        json!({"type": "content-end", "index": 1}),
        json!({"type": "debug", "prompt": "<prompt>"}),
        json!({"type": "tool-plan-delta", "delta": {"message": {"tool_plan": "Now "}}}),
        json!({"type": "tool-plan-delta", "delta": {"message": {"tool_plan": "call."}}}),
        json!({"type": "tool-call-start", "index": 0, "delta": {"message": {"tool_calls":
            {"id": "c1", "type": "function", "function": {"name": "f", "arguments": ""}}}}}),
        json!({"type": "tool-call-delta", "index": 0, "delta": {"message": {"tool_calls":
            {"function": {"arguments": "{\"a\":"}}}}}),
        json!({"type": "tool-call-delta", "index": 0, "delta": {"message": {"tool_calls":
            {"function": {"arguments": "1}"}}}}}),
        json!({"type": "tool-call-end", "index": 0}),
        json!({"type": "tool-call-start", "index": 1, "delta": {"message": {"tool_calls":
            {"id": "c2", "type": "function", "function": {"name": "g", "arguments": "{}"}}}}}),
        json!({"type": "tool-call-end", "index": 1}),
        json!({"type": "message-end", "delta": {"finish_reason": "TOOL_CALL", "usage": usage()}}),
    ];
    let frame = |event: &Value| {
        let kind = event["type"].as_str().unwrap();
        format!("event: {kind}\ndata: {event}\n\n")
    };
    let frames: String = events.iter().map(frame).collect();
    frames + "data: [DONE]\n\n"
}

fn citation() -> Value {
    json!({"start": 3, "end": 8, "text": "rains", "type": "TEXT_CONTENT", "content_index": 1,
        "sources": [{"type": "tool", "id": "w:0", "tool_output": {"content": "Rain, 9C"}}]})
}

fn usage() -> Value {
    json!({"billed_units": {"input_tokens": 5, "output_tokens": 9},
        "tokens": {"input_tokens": 80, "output_tokens": 12}})
}

fn whole() -> String {
    json!({"id": "a1", "finish_reason": "TOOL_CALL", "usage": usage(),
        "message": {"role": "assistant", "tool_plan": "Now call.",
            "content": [{"type": "thinking", "thinking": "I look"}, {"type": "text", "text": "It rains"}],
            "citations": [citation()],
            "tool_calls": [
                {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{\"a\":1}"}},
                {"id": "c2", "type": "function", "function": {"name": "g", "arguments": "{}"}}]},
        "logprobs": [{"text": " rains", "token_ids": [5, 6], "logprobs": [-0.25, -0.5]}]})
    .to_string()
}

#[test]
fn a_stream_says_what_the_whole_answer_says() {
    let streamed = collected(deltas(&stream())).unwrap();
    assert_eq!(
        streamed,
        read_answer(whole().as_bytes(), &context()).unwrap()
    );
    let choice = &streamed.choices[0];
    assert_eq!(choice.finish, Some(Finish::ToolCalls));
    assert_eq!(choice.logprobs[0].logprob, -0.75);
    let Content::Text { citations, .. } = &choice.parts[1].content else {
        panic!("no text");
    };
    assert_eq!(citations[0].cited_text.as_deref(), Some("Rain, 9C"));
}

#[test]
fn a_written_stream_says_what_was_read() {
    let read = deltas(&stream());
    let again = written(read.clone());
    assert_eq!(collected(deltas(&again)).unwrap(), collected(read).unwrap());
    let ends = deltas(&again)
        .iter()
        .filter(|delta| **delta == Delta::End)
        .count();
    assert_eq!(ends, 1);
    check_order(&again);
}

/// Checks that blocks and calls begin, grow and end one after the other, with their own indexes.
fn check_order(stream: &str) {
    let mut open: Option<(String, u64)> = None;
    let mut next = std::collections::HashMap::new();
    for frame in frames(stream) {
        let data = crate::dialect::sse::data(frame).next().unwrap();
        if data == b"[DONE]" {
            continue;
        }
        let event: Value = serde_json::from_slice(data).unwrap();
        let kind = event["type"].as_str().unwrap();
        assert_eq!(crate::dialect::sse::event(frame), Some(kind.as_bytes()));
        let Some(index) = event["index"].as_u64() else {
            assert!(open.is_none(), "{kind}");
            continue;
        };
        if kind.starts_with("citation") {
            continue;
        }
        let (name, step) = kind.rsplit_once('-').unwrap();
        let wanted = (name.to_owned(), index);
        match step {
            "start" => {
                assert!(open.replace(wanted).is_none());
                let next = next.entry(name.to_owned()).or_insert(0);
                assert_eq!(*next, index);
                *next += 1;
            }
            "delta" => assert_eq!(open, Some(wanted)),
            _ => assert_eq!(open.take(), Some(wanted)),
        }
    }
    assert!(open.is_none());
}

fn call(call: u32) -> Delta {
    Delta::ToolCall {
        choice: 0,
        call,
        id: format!("c{call}"),
        name: "f".to_owned(),
        signature: None,
    }
}

fn arguments(call: u32, json: &str) -> Delta {
    Delta::Arguments {
        choice: 0,
        call,
        json: json.to_owned(),
    }
}

fn text(text: &str) -> Delta {
    Delta::Text {
        choice: 0,
        text: text.to_owned(),
    }
}

const FINISH: Delta = Delta::Finish {
    choice: 0,
    finish: Finish::Stop,
};

#[test]
fn calls_that_interleave_are_written_one_after_the_other() {
    let pieces = vec![
        text("a"),
        call(0),
        call(1),
        arguments(1, "{\"b\":"),
        arguments(0, "{}"),
        call(2),
        arguments(1, "2}"),
        FINISH,
        Delta::End,
    ];
    let stream = written(pieces.clone());
    check_order(&stream);
    let answer = collected(deltas(&stream)).unwrap();
    let arguments: Vec<_> = answer.choices[0]
        .parts
        .iter()
        .filter_map(|part| match &part.content {
            Content::ToolCall { arguments, .. } => Some(arguments.as_str()),
            _ => None,
        })
        .collect();
    assert_eq!(arguments, ["{}", "{\"b\":2}", "{}"]);
}

#[test]
fn what_only_others_say_has_its_place() {
    let stream = written(vec![
        Delta::Signature {
            choice: 0,
            signature: Signature {
                origin: Dialect::Gemini,
                value: "s".to_owned(),
            },
            id: Some("rs_1".to_owned()),
            is_redacted: true,
        },
        Delta::Logprobs {
            choice: 0,
            tokens: vec![TokenLogprob {
                token: "Hi".to_owned(),
                logprob: -1.0,
                bytes: None,
                top: Vec::new(),
            }],
        },
        text("Hi"),
        Delta::Citation {
            choice: 0,
            citation: Citation {
                url: None,
                title: Some("T".to_owned()),
                cited_text: None,
                span: None,
                origin: Dialect::Anthropic,
                json: Json::empty_object(),
            },
        },
        Delta::Text {
            choice: 1,
            text: "another".to_owned(),
        },
        call(0),
        text("and"),
        FINISH,
        Delta::Usage(Usage {
            input_tokens: 3,
            ..Usage::default()
        }),
        Delta::End,
        text("too late"),
    ]);
    check_order(&stream);
    assert!(stream.contains(r#""signature":"tg1:gemini:s","id":"rs_1","redacted":true"#));
    assert!(stream.contains(r#""start":0,"end":2,"text":"Hi""#));
    assert!(stream.contains(r#""id":"request-1""#));
    assert!(!stream.contains("another") && !stream.contains("too late"));
    let answer = collected(deltas(&stream)).unwrap();
    let Content::Thinking(thinking) = &answer.choices[0].parts[0].content else {
        panic!("no thought");
    };
    assert!(thinking.is_redacted);
    assert_eq!(thinking.id.as_deref(), Some("rs_1"));
    assert_eq!(answer.choices[0].logprobs.len(), 1);
    assert_eq!(answer.usage.unwrap().input_tokens, 3);
}

#[test]
fn a_cut_stream_has_no_ending() {
    let stream = stream();
    let frames: Vec<_> = frames(&stream).collect();
    for length in 0..frames.len() - 2 {
        let cut = frames[..length].concat();
        let read = deltas(std::str::from_utf8(&cut).unwrap());
        assert!(!read.contains(&Delta::End));
        assert_eq!(collected(read.clone()), Err(None));
        assert!(!written(read).contains("message-end"));
    }
}

#[test]
fn an_error_ends_a_stream_and_nothing_follows() {
    let failed =
        r#"{"type":"message-end","delta":{"finish_reason":"ERROR","error":"too many tokens"}}"#;
    for (data, kind) in [
        (failed, Kind::ContextTooLong),
        (
            r#"{"type":"message-end","delta":{"error":"oops"}}"#,
            Kind::ProviderFailed,
        ),
        (
            r#"{"type":"message-end","delta":{"finish_reason":"TIMEOUT"}}"#,
            Kind::UpstreamTimeout,
        ),
        (
            r#"{"message":"internal server error"}"#,
            Kind::ProviderFailed,
        ),
    ] {
        let read = deltas(&format!("data: {data}\n\ndata: {failed}\n\n"));
        let Some(Delta::Error(error)) = read.last() else {
            panic!("{read:?}");
        };
        assert_eq!(error.kind, kind, "{data}");
        let errors = read
            .iter()
            .filter(|delta| matches!(delta, Delta::Error(_)))
            .count();
        assert_eq!(errors, 1);
        let again = written(read.clone());
        assert!(!again.contains("[DONE]"));
        let error = collected(deltas(&again)).unwrap_err().unwrap();
        assert_eq!(Some(&Delta::Error(error)), read.last());
    }
}

#[test]
fn no_bytes_break_the_reader() {
    let stream = stream();
    for frame in frames(&stream) {
        for end in 0..frame.len() {
            let mut reader = Reader::new(&context());
            let mut out = Vec::new();
            let _ = reader.read(&[&frame[..end], b"\n\n"].concat(), &mut out);
        }
    }
    for data in [
        "7",
        "null",
        r#"{"type":"tool-call-delta","index":9,"delta":{"message":{"tool_calls":{}}}}"#,
    ] {
        let mut reader = Reader::new(&context());
        let _ = reader.read(format!("data: {data}\n\n").as_bytes(), &mut Vec::new());
    }
}
