//! Streams: the provider's, read, and other providers', written.

use super::*;
use crate::dialect::Kind;
use crate::dialect::anthropic::read_answer;
use crate::dialect::common::{Citation, Finish, Json, Signature, Usage};

/// A stream of events, each named for its type.
fn stream(events: &[&str]) -> String {
    events
        .iter()
        .map(|data| format!("event: x\ndata: {data}\n\n"))
        .collect()
}

/// The names and indexes of a stream's events, in short.
fn events(stream: &str) -> Vec<String> {
    let data = stream
        .lines()
        .filter_map(|line| line.strip_prefix("data: "));
    data.map(|data| {
        let event: Value = serde_json::from_str(data).unwrap();
        let name = event["type"].as_str().unwrap();
        let inner = [&event["content_block"]["type"], &event["delta"]["type"]];
        let inner: String = inner.iter().filter_map(|kind| kind.as_str()).collect();
        let index = event["index"].as_u64().map(|index| format!(" {index} "));
        format!("{name}{}{inner}", index.unwrap_or_default())
    })
    .collect()
}

fn arguments(call: u32, json: &str) -> Delta {
    Delta::Arguments {
        choice: 0,
        call,
        json: json.into(),
    }
}

fn tool_call(call: u32) -> Delta {
    Delta::ToolCall {
        choice: 0,
        call,
        id: format!("call_{call}"),
        name: "look".into(),
        signature: None,
    }
}

fn more(text: &str) -> Delta {
    Delta::Text {
        choice: 0,
        text: text.into(),
    }
}

#[test]
fn a_stream_says_what_the_whole_answer_says() {
    let streamed = stream(&[
        r#"{"type":"message_start","message":{"id":"msg_1","model":"m","usage":{"input_tokens":5,"output_tokens":1,"service_tier":"standard"}}}"#,
        r#"{"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":"","signature":""}}"#,
        r#"{"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"hm"}}"#,
        r#"{"type":"content_block_delta","index":0,"delta":{"type":"signature_delta","signature":"c2"}}"#,
        r#"{"type":"content_block_delta","index":0,"delta":{"type":"signature_delta","signature":"Vh"}}"#,
        r#"{"type":"content_block_stop","index":0}"#,
        r#"{"type":"ping"}"#,
        r#"{"type":"content_block_start","index":1,"content_block":{"type":"text","text":"né "}}"#,
        r#"{"type":"content_block_stop","index":1}"#,
        r#"{"type":"content_block_start","index":2,"content_block":{"type":"text","text":"","citations":[]}}"#,
        r#"{"type":"content_block_delta","index":2,"delta":{"type":"citations_delta","citation":{"cited_text":"x"}}}"#,
        r#"{"type":"content_block_delta","index":2,"delta":{"type":"text_delta","text":"ici"}}"#,
        r#"{"type":"content_block_stop","index":2}"#,
        r#"{"type":"content_block_start","index":3,"content_block":{"type":"compaction","content":null}}"#,
        r#"{"type":"content_block_delta","index":3,"delta":{"type":"compaction_delta","content":"short"}}"#,
        r#"{"type":"content_block_stop","index":3}"#,
        r#"{"type":"content_block_start","index":4,"content_block":{"type":"tool_use","id":"a","name":"look","input":{}}}"#,
        r#"{"type":"content_block_delta","index":4,"delta":{"type":"input_json_delta","partial_json":""}}"#,
        r#"{"type":"content_block_stop","index":4}"#,
        r#"{"type":"content_block_start","index":5,"content_block":{"type":"tool_use","id":"b","name":"look","input":{}}}"#,
        r#"{"type":"content_block_delta","index":5,"delta":{"type":"input_json_delta","partial_json":"{\"x\":"}}"#,
        r#"{"type":"content_block_delta","index":5,"delta":{"type":"input_json_delta","partial_json":"1}"}}"#,
        r#"{"type":"content_block_stop","index":5}"#,
        r#"{"type":"message_delta","delta":{"stop_reason":"tool_use","stop_sequence":null},"usage":{"output_tokens":9}}"#,
        r#"{"type":"message_stop"}"#,
    ]);
    let whole = r#"{"id":"msg_1","model":"m","stop_reason":"tool_use","stop_sequence":null,
        "usage":{"input_tokens":5,"output_tokens":9,"service_tier":"standard"},"content":[
        {"type":"thinking","thinking":"hm","signature":"c2Vh"},{"type":"text","text":"né "},
        {"type":"text","text":"ici","citations":[{"cited_text":"x"}]},{"type":"compaction","content":"short"},
        {"type":"tool_use","id":"a","name":"look","input":{}},
        {"type":"tool_use","id":"b","name":"look","input":{"x":1}}]}"#;
    let answer = read_answer(whole.as_bytes(), &context()).unwrap();
    assert_eq!(collected(deltas(streamed.as_bytes())).unwrap(), answer);
    let Content::Text { citations, .. } = &answer.choices[0].parts[1].content else {
        panic!("texts were not put together");
    };
    assert_eq!(citations[0].span, Some((3, 6)));
}

#[test]
fn an_error_ends_a_stream() {
    let start = r#"{"type":"message_start","message":{"id":"msg_1","model":"m"}}"#;
    let failed = r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#;
    let stop = r#"{"type":"message_stop"}"#;
    let pieces = deltas(stream(&[start, failed, stop]).as_bytes());
    assert_eq!(pieces.len(), 2);
    let error = collected(pieces).unwrap_err().unwrap();
    assert_eq!(
        (error.kind, error.status().as_u16()),
        (Kind::Overloaded, 529)
    );
    assert!(
        Reader::new(&context())
            .read(b"data: <html>\n\n", &mut Vec::new())
            .is_err()
    );
    let cut = deltas(stream(&[start]).as_bytes());
    assert_eq!(collected(cut), Err(None));
}

#[test]
fn blocks_come_one_behind_the_other() {
    let seal = |origin| Signature {
        origin,
        value: "s".into(),
    };
    let signed = |origin, is_redacted| Delta::Signature {
        choice: 0,
        signature: seal(origin),
        id: None,
        is_redacted,
    };
    let out = written(vec![
        Delta::Start {
            id: "x".into(),
            model: String::new(),
            created: None,
        },
        Delta::Thinking {
            choice: 0,
            text: "hm".into(),
        },
        signed(Dialect::Responses, false),
        signed(Dialect::Anthropic, true),
        more("so"),
        more(", "),
        tool_call(0),
        arguments(0, "{\"x\""),
        tool_call(1),
        arguments(1, "{}"),
        more("after"),
        arguments(0, ":1}"),
        Delta::Text {
            choice: 1,
            text: "of another choice".into(),
        },
        Delta::Finish {
            choice: 0,
            finish: Finish::Stop,
        },
        Delta::Usage(Usage {
            input_tokens: 9,
            cache_read_tokens: 4,
            output_tokens: 3,
            ..Usage::default()
        }),
        Delta::End,
        Delta::End,
    ]);
    assert_eq!(
        events(&out),
        [
            "message_start",
            "content_block_start 0 thinking",
            "content_block_delta 0 thinking_delta",
            "content_block_delta 0 signature_delta",
            "content_block_stop 0 ",
            "content_block_start 1 redacted_thinking",
            "content_block_stop 1 ",
            "content_block_start 2 text",
            "content_block_delta 2 text_delta",
            "content_block_delta 2 text_delta",
            "content_block_stop 2 ",
            "content_block_start 3 tool_use",
            "content_block_delta 3 input_json_delta",
            "content_block_delta 3 input_json_delta",
            "content_block_stop 3 ",
            "content_block_start 4 tool_use",
            "content_block_delta 4 input_json_delta",
            "content_block_stop 4 ",
            "content_block_start 5 text",
            "content_block_delta 5 text_delta",
            "content_block_stop 5 ",
            "message_delta",
            "message_stop",
        ]
    );
    assert!(out.contains(r#""signature":"tg1:responses:s""#));
    assert!(out.contains(r#""stop_reason":"tool_use""#));
    assert!(out.contains(r#""input_tokens":5"#));
}

#[test]
fn calls_that_never_become_whole_are_written_at_the_end() {
    let out = written(vec![
        tool_call(0),
        tool_call(1),
        arguments(1, "{\"y\":"),
        arguments(0, "{\"x\":"),
        arguments(1, "2}"),
        Delta::Finish {
            choice: 0,
            finish: Finish::Length,
        },
        Delta::End,
    ]);
    let answer = collected(deltas(out.as_bytes())).unwrap();
    let parts = answer.choices[0].parts.iter();
    let calls: Vec<_> = parts
        .filter_map(|part| match &part.content {
            Content::ToolCall { id, arguments, .. } => Some((id.as_str(), arguments.as_str())),
            _ => None,
        })
        .collect();
    assert_eq!(calls, [("call_0", "{\"x\":"), ("call_1", "{\"y\":2}")]);
    assert_eq!(answer.choices[0].finish, Some(Finish::Length));
}

#[test]
fn a_sealed_call_and_a_cited_text_come_back() {
    let signature = Some(Signature {
        origin: Dialect::Gemini,
        value: "abc".into(),
    });
    let citation = Citation {
        url: Some("https://a".into()),
        title: Some("t".into()),
        cited_text: None,
        span: None,
        origin: Dialect::Gemini,
        json: Json::empty_object(),
    };
    let out = written(vec![
        more("so"),
        Delta::Citation {
            choice: 0,
            citation,
        },
        more("and"),
        Delta::ToolCall {
            choice: 0,
            call: 0,
            id: "a".into(),
            name: "look".into(),
            signature,
        },
        Delta::End,
    ]);
    assert_eq!(
        events(&out)
            .iter()
            .filter(|event| event.starts_with("content_block_start"))
            .count(),
        4
    );
    assert!(out.contains(r#""data":"tg1:gemini:abc""#));
    assert!(out.contains(r#""url":"https://a","title":"t""#));
    assert!(out.ends_with("data: {\"type\":\"message_stop\"}\n\n"));
}

#[test]
fn an_error_of_ours_is_the_last_event() {
    let error = Error::new(Kind::UpstreamTimeout, "too slow");
    let out = written(vec![
        more("so"),
        Delta::Error(error),
        more("late"),
        Delta::End,
    ]);
    assert!(out.ends_with("event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"timeout_error\",\"message\":\"too slow\"}}\n\n"));
}
