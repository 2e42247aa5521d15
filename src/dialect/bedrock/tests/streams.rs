//! Streams, read and written.

use serde_json::json;

use super::*;
use crate::dialect::Kind;
use crate::dialect::bedrock::{error_event, read_answer};
use crate::dialect::common::{Content, Finish, Signature, Usage};

fn pieces() -> Vec<(&'static str, Value)> {
    let delta = |index: u32, delta: Value| {
        (
            "contentBlockDelta",
            json!({"contentBlockIndex": index, "delta": delta, "p": "abc"}),
        )
    };
    let start = |index: u32, start: Value| {
        (
            "contentBlockStart",
            json!({"contentBlockIndex": index, "start": start}),
        )
    };
    let stop = |index: u32| ("contentBlockStop", json!({"contentBlockIndex": index}));
    vec![
        ("messageStart", json!({"role": "assistant"})),
        delta(0, json!({"reasoningContent": {"text": "h"}})),
        delta(0, json!({"reasoningContent": {"text": "m"}})),
        delta(0, json!({"reasoningContent": {"signature": "si"}})),
        delta(0, json!({"reasoningContent": {"signature": "g"}})),
        stop(0),
        delta(
            1,
            json!({"reasoningContent": {"redactedContent": "RXU4RQ=="}}),
        ),
        stop(1),
        delta(2, json!({"text": "It says "})),
        stop(2),
        delta(3, json!({"citation": {"title": "A"}})),
        delta(3, json!({"text": "né"})),
        stop(3),
        delta(4, json!({"text": "."})),
        stop(4),
        start(
            5,
            json!({"toolUse": {"toolUseId": "s", "name": "nova_code_interpreter", "type": "server_tool_use"}}),
        ),
        delta(5, json!({"toolUse": {"input": "{\"x\":"}})),
        delta(5, json!({"toolUse": {"input": "1}"}})),
        stop(5),
        start(
            6,
            json!({"toolResult": {"toolUseId": "s", "type": "nova_code_interpreter_result", "status": "success"}}),
        ),
        delta(6, json!({"toolResult": [{"json": {"y": 2}}]})),
        stop(6),
        start(7, json!({"toolUse": {"toolUseId": "a", "name": "look"}})),
        delta(7, json!({"toolUse": {"input": "{\"at\""}})),
        delta(7, json!({"toolUse": {"input": ":1}"}})),
        stop(7),
        start(8, json!({"toolUse": {"toolUseId": "b", "name": "rest"}})),
        stop(8),
        start(9, json!({"image": {"format": "png"}})),
        delta(9, json!({"image": {"source": {"bytes": "aaaa"}}})),
        stop(9),
        ("future", json!({})),
        (
            "messageStop",
            json!({"stopReason": "stop_sequence", "additionalModelResponseFields": {"stop_sequence": "end"}}),
        ),
        (
            "metadata",
            json!({"usage": {"inputTokens": 1, "outputTokens": 2, "totalTokens": 3},
            "metrics": {"latencyMs": 5}, "serviceTier": {"type": "flex"}}),
        ),
    ]
}

fn whole() -> Value {
    json!({
        "output": {"message": {"role": "assistant", "content": [
            {"reasoningContent": {"reasoningText": {"text": "hm", "signature": "sig"}}},
            {"reasoningContent": {"redactedContent": "RXU4RQ=="}},
            {"text": "It says "},
            {"citationsContent": {"content": [{"text": "né"}], "citations": [{"title": "A"}]}},
            {"text": "."},
            {"toolUse": {"toolUseId": "s", "name": "nova_code_interpreter", "type": "server_tool_use", "input": {"x": 1}}},
            {"toolResult": {"toolUseId": "s", "type": "nova_code_interpreter_result", "status": "success",
                "content": [{"json": {"y": 2}}]}},
            {"toolUse": {"toolUseId": "a", "name": "look", "input": {"at":1}}},
            {"toolUse": {"toolUseId": "b", "name": "rest", "input": {}}},
            {"image": {"format": "png", "source": {"bytes": "aaaa"}}},
        ]}},
        "stopReason": "stop_sequence",
        "additionalModelResponseFields": {"stop_sequence": "end"},
        "usage": {"inputTokens": 1, "outputTokens": 2, "totalTokens": 3},
        "serviceTier": {"type": "flex"},
    })
}

#[test]
fn a_stream_says_what_the_whole_answer_says() {
    let streamed = collected(deltas_of(&stream_from(&pieces()))).unwrap();
    let mut whole = read_answer(whole().to_string().as_bytes(), &context()).unwrap();
    assert_eq!(streamed, whole);
    let mut again = collected(deltas_of(&stream_of(deltas_of(&stream_from(&pieces()))))).unwrap();
    // Which text it was has no place in a stream, nor what part of the text before it a source is for.
    again.choices[0].finish = Some(Finish::StopSequence(Some("end".into())));
    for answer in [&mut again, &mut whole] {
        if let Content::Text { citations, .. } = &mut answer.choices[0].parts[2].content {
            citations[0].span = None;
        }
    }
    assert_eq!(again, whole);
}

#[test]
fn a_cut_stream_has_no_ending() {
    let pieces = pieces();
    for length in 0..pieces.len() - 2 {
        let deltas = deltas_of(&stream_from(&pieces[..length]));
        assert!(!deltas.contains(&Delta::End), "{length}");
        assert_eq!(collected(deltas), Err(None));
    }
    let without_metadata = deltas_of(&stream_from(&pieces[..pieces.len() - 1]));
    assert_eq!(without_metadata.last(), Some(&Delta::End));
}

#[test]
fn a_writer_ends_a_stream_only_when_it_is_told_to() {
    let text = |text: &str| Delta::Text {
        choice: 0,
        text: text.into(),
    };
    let usage = Usage {
        input_tokens: 3,
        output_tokens: 1,
        ..Usage::default()
    };
    let deltas = vec![
        Delta::Start {
            id: "x".into(),
            model: "m".into(),
            created: None,
        },
        text("a"),
        Delta::Text {
            choice: 1,
            text: "other".into(),
        },
        Delta::Finish {
            choice: 0,
            finish: Finish::Length,
        },
        Delta::Usage(usage),
    ];
    let names = |stream: &[u8]| {
        events_of(stream)
            .into_iter()
            .map(|(name, _)| name)
            .collect::<Vec<_>>()
    };
    let begun = ["messageStart", "contentBlockDelta", "contentBlockStop"];
    assert_eq!(names(&stream_of(deltas.clone())), begun);
    let ended = stream_of([deltas.clone(), vec![Delta::End, text("late"), Delta::End]].concat());
    assert_eq!(
        names(&ended),
        [&begun[..], &["messageStop", "metadata"]].concat()
    );
    let events = events_of(&ended);
    assert_eq!(events[3].1, json!({"stopReason": "max_tokens"}));
    assert_eq!(
        events[4].1["usage"],
        json!({"inputTokens": 3, "outputTokens": 1, "totalTokens": 4})
    );
    let error = Error::new(Kind::Overloaded, "busy");
    let failed = stream_of([deltas, vec![Delta::Error(error.clone()), Delta::End]].concat());
    assert_eq!(
        names(&failed),
        [&begun[..], &["serviceUnavailableException"]].concat()
    );
    assert!(failed.ends_with(&error_event(&error)));
}

#[test]
fn blocks_are_numbered_one_after_the_other_however_calls_arrive() {
    let call = |call| Delta::ToolCall {
        choice: 0,
        call,
        id: String::new(),
        name: "look".into(),
        signature: (call == 1).then(|| Signature {
            origin: Dialect::Gemini,
            value: "seal".into(),
        }),
    };
    let arguments = |call, json: &str| Delta::Arguments {
        choice: 0,
        call,
        json: json.into(),
    };
    let stream = stream_of(vec![
        Delta::Thinking {
            choice: 0,
            text: "hm".into(),
        },
        Delta::Text {
            choice: 0,
            text: "so".into(),
        },
        call(0),
        call(1),
        arguments(0, "{\"a\":"),
        arguments(1, "{}"),
        arguments(0, "1}"),
        Delta::Finish {
            choice: 0,
            finish: Finish::Stop,
        },
        Delta::End,
    ]);
    let mut open = None;
    let mut next = 0;
    for (name, event) in events_of(&stream) {
        let index = event["contentBlockIndex"].as_u64();
        match name.as_str() {
            "contentBlockStart" => assert_eq!((open.replace(next), index), (None, Some(next))),
            "contentBlockDelta" => {
                assert_eq!(index, Some(next));
                open = Some(next);
            }
            "contentBlockStop" => {
                assert_eq!((open.take(), index), (Some(next), Some(next)));
                next += 1;
            }
            "messageStop" => assert_eq!(event, json!({"stopReason": "tool_use"})),
            _ => assert!(open.is_none()),
        }
    }
    assert_eq!(next, 5);
    let answer = collected(deltas_of(&stream)).unwrap();
    let calls = answer.choices[0]
        .parts
        .iter()
        .filter_map(|part| match &part.content {
            Content::ToolCall { id, arguments, .. } => Some((id, arguments.as_str())),
            _ => None,
        });
    let calls: Vec<_> = calls.collect();
    assert_eq!((calls[0].1, calls[1].1), ("{\"a\":1}", "{}"));
    assert_ne!(calls[0].0, calls[1].0);
}

#[test]
fn an_exception_is_the_last_that_is_read() {
    let mut stream = stream_from(&pieces()[..9]);
    let headers = [
        (":exception-type", "throttlingException"),
        (":message-type", "exception"),
    ];
    eventstream::write(&mut stream, &headers, |out| {
        out.extend_from_slice(br#"{"message":"slow down"}"#)
    });
    let headers = [
        (":error-code", "InternalFailure"),
        (":error-message", "x"),
        (":message-type", "error"),
    ];
    eventstream::write(&mut stream, &headers, |_| {});
    stream.extend(stream_from(&pieces()[32..]));
    let error = collected(deltas_of(&stream)).unwrap_err().unwrap();
    assert_eq!(
        (error.kind, error.message.as_str()),
        (Kind::RateLimited, "slow down")
    );
}

#[test]
fn a_frame_of_another_kind_is_malformed() {
    let mut reader = Reader::new(&context());
    let mut out = Vec::new();
    assert!(reader.read(b"data: {}\n\n", &mut out).is_err());
    let odd = stream_from(&[("contentBlockDelta", json!({"delta": {"text": ["secret"]}}))]);
    let malformed = reader.read(&odd, &mut out).unwrap_err();
    assert!(!malformed.0.contains("secret"));
}
