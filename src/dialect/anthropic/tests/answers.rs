//! Whole answers for callers.

use serde_json::json;

use super::*;
use crate::dialect::anthropic::{read_answer, write_answer};
use crate::dialect::common::{Choice, Citation, Finish, Json, Signature, Thinking};

fn answer(contents: Vec<Content>, finish: Option<Finish>) -> Answer {
    Answer {
        choices: vec![Choice {
            parts: contents.into_iter().map(Into::into).collect(),
            finish,
            ..Choice::default()
        }],
        ..Answer::default()
    }
}

fn shown(answer: &Answer) -> Value {
    let bytes = write_answer(
        answer,
        &Request::new(Dialect::Anthropic, "mine"),
        &context(),
    );
    serde_json::from_slice(&bytes).unwrap()
}

#[test]
fn another_providers_answer_looks_like_anthropics() {
    let seal = Signature {
        origin: Dialect::Gemini,
        value: "abc".into(),
    };
    let sealed_call = Content::ToolCall {
        id: String::new(),
        name: "look".into(),
        arguments: r#"{"a":1}"#.into(),
        signature: Some(seal),
    };
    let citation = Citation {
        url: Some("https://a".into()),
        title: None,
        cited_text: None,
        span: None,
        origin: Dialect::Chat,
        json: Json::empty_object(),
    };
    let cited = Content::Text {
        text: "so".into(),
        citations: vec![citation],
    };
    let thought = Content::Thinking(Thinking {
        text: "hm".into(),
        ..Thinking::default()
    });
    let message = shown(&answer(
        vec![thought, cited, sealed_call, call("b", "{\"cut")],
        Some(Finish::Stop),
    ));
    assert_eq!(
        message["content"],
        json!([
            {"type": "thinking", "thinking": "hm", "signature": ""},
            {"type": "text", "text": "so", "citations": [{"type": "web_search_result_location", "cited_text": "",
             "url": "https://a", "title": null, "encrypted_index": ""}]},
            {"type": "redacted_thinking", "data": "tg1:gemini:abc"},
            {"type": "tool_use", "id": message["content"][3]["id"], "name": "look", "input": {"a": 1}},
            {"type": "tool_use", "id": "b", "name": "look", "input": {}}
        ])
    );
    assert_eq!(
        (&message["id"], &message["model"]),
        (&json!("msg_req_1"), &json!("mine"))
    );
    assert_eq!(message["stop_reason"], "tool_use");
}

#[test]
fn every_end_has_its_reason() {
    for (finish, reason) in [
        (None, "end_turn"),
        (Some(Finish::Stop), "end_turn"),
        (
            Some(Finish::StopSequence(Some("x".into()))),
            "stop_sequence",
        ),
        (Some(Finish::Length), "max_tokens"),
        (Some(Finish::ToolCalls), "tool_use"),
        (Some(Finish::ContentFilter), "refusal"),
        (Some(Finish::Refusal), "refusal"),
        (Some(Finish::Pause), "pause_turn"),
        (Some(Finish::MalformedCall), "end_turn"),
        (Some(Finish::Other("compaction".into())), "compaction"),
        (Some(Finish::Other("RECITATION".into())), "end_turn"),
    ] {
        let message = shown(&answer(vec![text("x")], finish.clone()));
        assert_eq!(message["stop_reason"], reason, "{finish:?}");
        let sequence = if reason == "stop_sequence" {
            json!("x")
        } else {
            Value::Null
        };
        assert_eq!(message["stop_sequence"], sequence);
    }
    let refused = shown(&answer(
        vec![Content::Refusal("no".into())],
        Some(Finish::Stop),
    ));
    assert_eq!(
        (&refused["stop_reason"], &refused["content"][0]["text"]),
        (&json!("refusal"), &json!("no"))
    );
}

#[test]
fn an_answer_that_calls_tools_ends_so() {
    for (block, reason, finish) in [
        ("tool_use", "end_turn", Finish::ToolCalls),
        ("tool_use", "max_tokens", Finish::Length),
        ("server_tool_use", "end_turn", Finish::Stop),
    ] {
        let block = json!({"type": block, "id": "a", "name": "look", "input": {}});
        let whole = json!({"content": [block], "stop_reason": reason}).to_string();
        let answer = read_answer(whole.as_bytes(), &context()).unwrap();
        assert_eq!(answer.choices[0].finish, Some(finish.clone()));
        let events = [
            json!({"type": "message_start", "message": {}}),
            json!({"type": "content_block_start", "index": 0, "content_block": block}),
            json!({"type": "content_block_stop", "index": 0}),
            json!({"type": "message_delta", "delta": {"stop_reason": reason}}),
            json!({"type": "message_stop"}),
        ];
        let stream: String = events.map(|event| format!("data: {event}\n\n")).concat();
        let answer = collected(deltas(stream.as_bytes())).unwrap();
        assert_eq!(answer.choices[0].finish, Some(finish));
    }
}

#[test]
fn what_is_no_message_is_malformed() {
    for body in [
        "",
        "{}",
        "[]",
        "<html>",
        r#"{"content":[{}]}"#,
        r#"{"content":[7]}"#,
        r#"{"content":"hi"}"#,
    ] {
        assert!(read_answer(body.as_bytes(), &context()).is_err(), "{body}");
    }
    let unknown = br#"{"content":[{"type":"new","x":[1]}],"stop_reason":"new","new":1}"#;
    let answer = read_answer(unknown, &context()).unwrap();
    let Content::Opaque { kind, .. } = &answer.choices[0].parts[0].content else {
        panic!("a block of an unknown type was lost");
    };
    assert_eq!(kind, "new");
    assert_eq!(answer.choices[0].finish, Some(Finish::Other("new".into())));
    let empty = read_answer(br#"{"content":[],"stop_reason":"end_turn"}"#, &context()).unwrap();
    assert_eq!(empty.choices.len(), 1);
}
