//! Streams, read and written.

use serde_json::Value;

use super::*;
use crate::dialect::common::{Content, Finish, Part, Signature};

fn answer_of(chunks: &[&str]) -> Answer {
    collected(deltas_of(&stream_of(chunks))).unwrap()
}

const STOP: &str = r#"{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#;

#[test]
fn a_cut_stream_has_no_ending() {
    let begun =
        r#"{"id":"1","choices":[{"index":0,"delta":{"content":"hi"},"finish_reason":null}]}"#;
    assert_eq!(collected(deltas_of(&stream_of(&[begun]))), Err(None));
    assert_eq!(collected(deltas_of(b"")), Err(None));
    assert!(
        collected(deltas_of(&stream_of(&[begun, STOP]))).is_ok(),
        "without [DONE]"
    );
    assert!(collected(deltas_of(&stream_of(&[begun, STOP, "[DONE]"]))).is_ok());
    let one_of_two = r#"{"choices":[{"index":1,"delta":{"content":"a"},"finish_reason":"stop"}]}"#;
    assert_eq!(
        collected(deltas_of(&stream_of(&[begun, one_of_two]))),
        Err(None)
    );
}

#[test]
fn an_error_ends_a_stream_with_its_own_words() {
    let begun = r#"{"id":"1","choices":[{"index":0,"delta":{"content":"hi"}}]}"#;
    for (error, words) in [
        (r#"{"error":{"message":"gone","code":502}}"#, "gone"),
        (
            r#"{"error":{"message":"gone","code":502},"choices":[{"index":0,"delta":{"content":""},"finish_reason":"error"}]}"#,
            "gone",
        ),
        (
            r#"{"object":"error","message":"gone","type":"BadRequestError","code":400}"#,
            "gone",
        ),
        (r#"{"error":"gone"}"#, "gone"),
    ] {
        let result = collected(deltas_of(&stream_of(&[begun, error, "[DONE]"])));
        match result {
            Err(Some(error)) => assert_eq!(error.message, words),
            other => panic!("{error}: {other:?}"),
        }
    }
    let event = [
        stream_of(&[begun]),
        b"event: error\ndata: {\"error\":{\"message\":\"no\"}}\n\n".to_vec(),
    ];
    assert!(matches!(
        collected(deltas_of(&event.concat())),
        Err(Some(_))
    ));
}

#[test]
fn azures_first_chunk_begins_nothing() {
    let answer = answer_of(&[
        r#"{"choices":[],"created":0,"id":"","model":"","object":"","prompt_filter_results":[{"prompt_index":0}]}"#,
        r#"{"id":"chatcmpl-1","created":5,"model":"gpt","choices":[{"index":0,"delta":{"content":"hi"},"content_filter_results":{}}]}"#,
        r#"{"id":"chatcmpl-1","created":5,"model":"gpt","choices":[{"index":0,"delta":{},"finish_reason":"content_filter"}]}"#,
        "[DONE]",
    ]);
    assert_eq!(
        (answer.id.as_str(), answer.model.as_str()),
        ("chatcmpl-1", "gpt")
    );
    assert_eq!(answer.choices[0].finish, Some(Finish::ContentFilter));
}

#[test]
fn usage_is_found_wherever_it_stands() {
    let usage = r#"{"prompt_tokens":3,"completion_tokens":4}"#;
    let own = format!(r#"{{"choices":[],"usage":{usage}}}"#);
    let last = format!(
        r#"{{"choices":[{{"index":0,"delta":null,"finish_reason":"stop"}}],"usage":{usage}}}"#
    );
    let groq = format!(
        r#"{{"choices":[{{"index":0,"delta":{{}},"finish_reason":"stop"}}],"x_groq":{{"usage":{usage}}}}}"#
    );
    let moonshot = format!(
        r#"{{"choices":[{{"index":0,"delta":{{}},"finish_reason":"stop","usage":{usage}}}]}}"#
    );
    for chunks in [
        vec![STOP, &own, "[DONE]"],
        vec![&last, "[DONE]"],
        vec![&groq, "[DONE]"],
        vec![&moonshot],
    ] {
        let usage = answer_of(&chunks).usage.unwrap();
        assert_eq!(
            (usage.input_tokens, usage.output_tokens),
            (3, 4),
            "{chunks:?}"
        );
    }
}

/// A chunk with a piece of a call.
fn call(piece: &str) -> String {
    format!(r#"{{"id":"1","choices":[{{"index":0,"delta":{{"tool_calls":[{piece}]}}}}]}}"#)
}

#[test]
fn pieces_of_calls_find_their_call() {
    let cases: &[&[&str]] = &[
        // OpenAI's.
        &[
            r#"{"index":0,"id":"a","type":"function","function":{"name":"f","arguments":""}}"#,
            r#"{"index":0,"function":{"arguments":"{\"x\""}}"#,
            r#"{"index":1,"id":"b","type":"function","function":{"name":"g","arguments":"{}"}}"#,
            r#"{"index":0,"function":{"arguments":":1}"}}"#,
        ],
        // Every call has the index 0.
        &[
            r#"{"index":0,"id":"a","function":{"name":"f","arguments":"{\"x\":1}"}}"#,
            r#"{"index":0,"id":"b","function":{"name":"g","arguments":"{}"}}"#,
        ],
        // No index at all, and pieces without an id.
        &[
            r#"{"id":"a","function":{"name":"f","arguments":"{\"x\""}}"#,
            r#"{"function":{"arguments":":1}"}}"#,
            r#"{"id":"b","function":{"name":"g","arguments":"{}"}}"#,
        ],
        // Id and name in every piece.
        &[
            r#"{"index":0,"id":"a","function":{"name":"f","arguments":"{\"x\""}}"#,
            r#"{"index":0,"id":"a","function":{"name":"f","arguments":":1}"}}"#,
            r#"{"index":1,"id":"b","function":{"name":"g","arguments":"{}"}}"#,
        ],
        // The name comes late.
        &[
            r#"{"index":0,"id":"a","function":{"arguments":"{\"x\""}}"#,
            r#"{"index":0,"function":{"name":"f","arguments":":1}"}}"#,
            r#"{"index":1,"id":"b","function":{"name":"g","arguments":"{}"}}"#,
        ],
    ];
    for pieces in cases {
        let chunks: Vec<String> = pieces.iter().map(|piece| call(piece)).collect();
        let mut chunks: Vec<&str> = chunks.iter().map(String::as_str).collect();
        chunks.extend([STOP, "[DONE]"]);
        let answer = answer_of(&chunks);
        let calls = answer.choices[0]
            .parts
            .iter()
            .map(|part| match &part.content {
                Content::ToolCall {
                    id,
                    name,
                    arguments,
                    ..
                } => (&**id, &**name, &**arguments),
                other => panic!("{other:?}"),
            });
        let calls: Vec<_> = calls.collect();
        assert_eq!(
            calls,
            [("a", "f", r#"{"x":1}"#), ("b", "g", "{}")],
            "{pieces:?}"
        );
        assert_eq!(answer.choices[0].finish, Some(Finish::ToolCalls));
    }
}

#[test]
fn entries_of_thoughts_are_put_together() {
    let answer = answer_of(&[
        r#"{"choices":[{"index":0,"delta":{"reasoning":"a","reasoning_details":[{"type":"reasoning.summary","summary":"a","format":"openai-responses-v1","index":0}]}}]}"#,
        r#"{"choices":[{"index":0,"delta":{"reasoning":"b","reasoning_details":[{"type":"reasoning.summary","summary":"b","format":"openai-responses-v1","index":0}]}}]}"#,
        r#"{"choices":[{"index":0,"delta":{"reasoning_details":[{"type":"reasoning.encrypted","data":"enc","id":"rs_1","format":"openai-responses-v1","index":0}]}}]}"#,
        r#"{"choices":[{"index":0,"delta":{"content":"so"}}]}"#,
        STOP,
    ]);
    let parts: Vec<_> = answer.choices[0]
        .parts
        .iter()
        .map(|part| &part.content)
        .collect();
    let [
        Content::Thinking(summary),
        Content::Thinking(hidden),
        Content::Text { text, .. },
    ] = parts[..]
    else {
        panic!("{parts:?}");
    };
    assert_eq!(summary.text, "ab");
    assert!(hidden.is_redacted && hidden.id.as_deref() == Some("rs_1"));
    assert_eq!(text, "so");
}

/// A stream with everything that a stream may hold, in the common form.
fn everything() -> Vec<Delta> {
    let seal = |value: &str| Signature {
        origin: Dialect::Anthropic,
        value: value.into(),
    };
    let choice = 0;
    vec![
        Delta::Start {
            id: "msg_1".into(),
            model: "claude".into(),
            created: Some(5),
        },
        Delta::Thinking {
            choice,
            text: "h".into(),
        },
        Delta::Thinking {
            choice,
            text: "m".into(),
        },
        Delta::Signature {
            choice,
            signature: seal("one"),
            id: None,
            is_redacted: false,
        },
        Delta::Signature {
            choice,
            signature: seal("two"),
            id: Some("rs_1".into()),
            is_redacted: true,
        },
        Delta::Text {
            choice,
            text: "so".into(),
        },
        Delta::ToolCall {
            choice,
            call: 0,
            id: "a".into(),
            name: "f".into(),
            signature: Some(seal("three")),
        },
        Delta::ToolCall {
            choice,
            call: 1,
            id: "b".into(),
            name: "g".into(),
            signature: None,
        },
        Delta::Arguments {
            choice,
            call: 1,
            json: "{\"x\":".into(),
        },
        Delta::Arguments {
            choice,
            call: 0,
            json: "{}".into(),
        },
        Delta::Arguments {
            choice,
            call: 1,
            json: "1}".into(),
        },
        Delta::Text {
            choice: 1,
            text: "other".into(),
        },
        Delta::Finish {
            choice,
            finish: Finish::ToolCalls,
        },
        Delta::Finish {
            choice: 1,
            finish: Finish::Length,
        },
        Delta::Usage(crate::dialect::Usage {
            input_tokens: 1,
            output_tokens: 2,
            ..Default::default()
        }),
        Delta::End,
    ]
}

#[test]
fn what_is_written_is_read_as_it_was() {
    let mut answer = collected(everything()).unwrap();
    answer.id = "chatcmpl-msg_1".into();
    let again = collected(deltas_of(&written(everything(), &caller()))).unwrap();
    assert_eq!(again, answer);
    let whole = write_answer(&answer, &caller(), &context());
    assert_eq!(read_answer(&whole, &context()).unwrap(), answer);
}

#[test]
fn a_stream_has_exactly_openais_shape() {
    let stream = String::from_utf8(written(everything(), &caller())).unwrap();
    assert!(stream.ends_with("data: [DONE]\n\n"));
    let chunks: Vec<Value> = stream
        .lines()
        .filter_map(|line| serde_json::from_str(line.strip_prefix("data: ")?).ok())
        .collect();
    for chunk in &chunks {
        assert_eq!(chunk["object"], "chat.completion.chunk");
        assert_eq!(chunk["id"], "chatcmpl-msg_1");
        assert_eq!(
            (&chunk["model"], &chunk["created"]),
            (&"claude".into(), &5.into())
        );
        assert!(chunk.as_object().unwrap().contains_key("usage"));
    }
    assert_eq!(chunks[0]["choices"][0]["delta"]["role"], "assistant");
    let last = chunks.last().unwrap();
    assert_eq!(last["choices"], Value::Array(Vec::new()));
    assert_eq!(last["usage"]["total_tokens"], 3);
    for choice in [0, 1] {
        let is_finish = |chunk: &&Value| {
            let first = &chunk["choices"][0];
            first["index"] == choice && first["finish_reason"].is_string()
        };
        assert_eq!(chunks.iter().filter(is_finish).count(), 1);
    }
    let mut incurious = caller();
    incurious.include_usage = false;
    let stream = String::from_utf8(written(everything(), &incurious)).unwrap();
    assert!(!stream.contains("usage"));
}

#[test]
fn a_call_without_arguments_gets_an_empty_object() {
    let deltas = vec![
        Delta::ToolCall {
            choice: 0,
            call: 0,
            id: "a".into(),
            name: "f".into(),
            signature: None,
        },
        Delta::Finish {
            choice: 0,
            finish: Finish::ToolCalls,
        },
        Delta::End,
    ];
    let answer = collected(deltas_of(&written(deltas, &caller()))).unwrap();
    assert!(
        matches!(&answer.choices[0].parts[0].content, Content::ToolCall { arguments, .. } if arguments == "{}")
    );
}

#[test]
fn an_error_is_written_without_an_ending() {
    let error = Error::new(crate::dialect::Kind::Overloaded, "busy");
    let deltas = vec![everything().swap_remove(0), Delta::Error(error)];
    let stream = String::from_utf8(written(deltas, &caller())).unwrap();
    assert!(stream.contains(r#""message":"busy""#));
    assert!(!stream.contains("[DONE]"));
}

#[test]
fn completions_of_a_plain_prompt_are_read_too() {
    let answer = answer_of(&[
        r#"{"id":"cmpl-1","object":"text_completion","choices":[{"text":"h","index":0,"logprobs":null,"finish_reason":null}]}"#,
        r#"{"id":"cmpl-1","object":"text_completion","choices":[{"text":"i","index":0,"finish_reason":"length"}]}"#,
        "[DONE]",
    ]);
    assert_eq!(answer.choices[0].parts, [Part::text("hi")]);
}

#[test]
fn no_bytes_make_it_panic() {
    let seeds = [
        r#"{"choices":[{"index":0,"delta":{"content":[{"type":"thinking","thinking":7}],"tool_calls":[{"index":3}]}}]}"#,
        r#"{"choices":null,"usage":{"prompt_tokens":18446744073709551615,"completion_tokens":18446744073709551615,"completion_tokens_details":{"reasoning_tokens":1}}}"#,
        r#"{"choices":[{"delta":{"reasoning_details":[{}],"images":[{}],"annotations":[7],"audio":{}}}],"created":-1.5}"#,
        "7",
    ];
    for seed in seeds {
        for cut in 0..=seed.len() {
            let mut reader = Reader::new(&context());
            let mut deltas = Vec::new();
            let frame = format!("data: {}\n\n", &seed[..cut]);
            let _ = reader.read(frame.as_bytes(), &mut deltas);
            reader.end(&mut deltas);
            written(deltas, &caller());
        }
    }
}
