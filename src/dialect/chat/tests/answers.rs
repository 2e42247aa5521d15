//! Whole answers, read and written.

use serde_json::{Value, json};

use super::*;
use crate::dialect::Usage;
use crate::dialect::common::{
    Choice, Citation, Content, Finish, Json, Part, Reasoning, Signature, Source, Thinking,
};

fn read(message: Value, finish: &str) -> Choice {
    let body = json!({
        "id": "chatcmpl-1", "model": "m", "created": 5,
        "choices": [{"index": 0, "message": message, "finish_reason": finish}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 2},
    });
    let answer = read_answer(body.to_string().as_bytes(), &context()).unwrap();
    answer.choices.into_iter().next().unwrap()
}

fn shown(choice: Choice, request: &Request) -> Value {
    let answer = Answer {
        choices: vec![choice],
        ..Answer::default()
    };
    serde_json::from_slice(&write_answer(&answer, request, &context())).unwrap()
}

fn of(parts: Vec<Content>) -> Choice {
    Choice {
        parts: parts.into_iter().map(Part::from).collect(),
        finish: Some(Finish::Stop),
        logprobs: Vec::new(),
    }
}

#[test]
fn an_answer_has_exactly_openais_shape() {
    let mut choice = of(vec![Part::text("hi").content]);
    choice.finish = Some(Finish::Length);
    let answer = Answer {
        id: "msg_1".into(),
        model: "claude".into(),
        choices: vec![choice],
        usage: Some(Usage {
            input_tokens: 3,
            output_tokens: 2,
            ..Usage::default()
        }),
        ..Answer::default()
    };
    let written = write_answer(&answer, &caller(), &context());
    assert_eq!(
        serde_json::from_slice::<Value>(&written).unwrap(),
        json!({
            "id": "chatcmpl-msg_1", "object": "chat.completion", "created": 1_790_000_000, "model": "claude",
            "choices": [{
                "index": 0, "message": {"role": "assistant", "content": "hi", "refusal": null},
                "logprobs": null, "finish_reason": "length",
            }],
            "usage": {
                "prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5,
                "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
                "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0,
                    "accepted_prediction_tokens": 0, "rejected_prediction_tokens": 0},
            },
        })
    );
    let bare: Value =
        serde_json::from_slice(&write_answer(&Answer::default(), &caller(), &context())).unwrap();
    assert_eq!(bare["id"], "chatcmpl-0123456789abcdef");
    assert_eq!(bare["model"], "asked");
    assert_eq!(bare["usage"], Value::Null);
}

#[test]
fn calls_without_ids_or_arguments_get_them() {
    let choice = read(
        json!({"content": null, "tool_calls": [
            {"function": {"name": "f"}}, {"function": {"name": "g", "arguments": {"x": 1}}}]}),
        "stop",
    );
    assert_eq!(choice.finish, Some(Finish::ToolCalls));
    let calls = choice.parts.iter().map(|part| match &part.content {
        Content::ToolCall { id, arguments, .. } => (id.clone(), arguments.clone()),
        other => panic!("{other:?}"),
    });
    let calls: Vec<_> = calls.collect();
    assert!(!calls[0].0.is_empty() && calls[0].0 != calls[1].0);
    assert_eq!(calls[1].1, r#"{"x":1}"#);
    let written = shown(choice, &caller());
    let message = &written["choices"][0]["message"];
    assert_eq!(message["content"], Value::Null);
    assert_eq!(message["tool_calls"][0]["function"]["arguments"], "{}");
}

#[test]
fn a_refusal_ends_as_at_openai() {
    let choice = read(json!({"content": null, "refusal": "no"}), "stop");
    assert_eq!(choice.finish, Some(Finish::Refusal));
    let written = shown(choice, &caller());
    assert_eq!(written["choices"][0]["message"]["refusal"], "no");
    assert_eq!(written["choices"][0]["finish_reason"], "stop");
    let mut wordless = of(Vec::new());
    wordless.finish = Some(Finish::Refusal);
    let written = shown(wordless, &caller());
    assert_eq!(written["choices"][0]["finish_reason"], "content_filter");
}

#[test]
fn thoughts_are_shown_with_their_seals_unless_unwanted() {
    let sealed = Content::Thinking(Thinking {
        text: "hm".into(),
        signature: Some(Signature {
            origin: Dialect::Anthropic,
            value: "sig".into(),
        }),
        ..Thinking::default()
    });
    let written = shown(of(vec![sealed.clone()]), &caller());
    let message = &written["choices"][0]["message"];
    assert_eq!(message["reasoning_content"], "hm");
    assert_eq!(
        message["reasoning_details"],
        json!([{"type": "reasoning.text", "text": "hm", "signature": "tg1:anthropic:sig",
            "format": "anthropic-claude-v1", "index": 0}])
    );
    let mut discreet = caller();
    discreet.reasoning = Some(Reasoning {
        show: Some(false),
        ..Reasoning::default()
    });
    let written = shown(of(vec![sealed]), &discreet);
    let message = &written["choices"][0]["message"];
    assert_eq!(message["reasoning_content"], Value::Null);
    assert_eq!(message["reasoning_details"][0]["text"], Value::Null);
    assert_eq!(
        message["reasoning_details"][0]["signature"],
        "tg1:anthropic:sig"
    );
}

#[test]
fn citations_are_counted_from_the_answers_beginning() {
    let citation = Citation {
        url: Some("https://example.com".into()),
        title: Some("Example".into()),
        cited_text: None,
        span: Some((0, 2)),
        origin: Dialect::Anthropic,
        json: Json::empty_object(),
    };
    let choice = of(vec![
        Part::text("é, ").content,
        Content::Text {
            text: "so".into(),
            citations: vec![citation],
        },
    ]);
    let written = shown(choice, &caller());
    let message = &written["choices"][0]["message"];
    assert_eq!(message["content"], "é, so");
    assert_eq!(
        message["annotations"][0]["url_citation"],
        json!({"url": "https://example.com", "title": "Example", "start_index": 3, "end_index": 5})
    );
}

#[test]
fn what_else_a_message_holds_comes_back() {
    let message = json!({
        "role": "assistant", "content": "see", "refusal": null,
        "images": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}}],
        "annotations": [{"type": "url_citation", "url_citation": {"url": "u", "title": "t", "start_index": 0, "end_index": 0}}],
        "audio": {"id": "audio_1", "expires_at": 9, "data": "aGk=", "transcript": "hi"},
        "executed_tools": [{"index": 0, "type": "search"}],
        "tool_calls": [{"id": "c", "type": "custom", "custom": {"name": "sql", "input": "SELECT"}}],
    });
    let choice = read(message.clone(), "stop");
    let is_image = |part: &Part| {
        matches!(
            part.content,
            Content::Image {
                source: Source::Base64 { .. },
                ..
            }
        )
    };
    assert!(choice.parts.iter().any(is_image));
    let written = shown(choice, &caller());
    assert_eq!(written["choices"][0]["message"], message);
}

#[test]
fn mistrals_lists_are_read() {
    let choice = read(
        json!({"content": [
            {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]},
            {"type": "text", "text": "so"},
            {"type": "reference", "reference_ids": [1]},
        ]}),
        "stop",
    );
    assert!(
        matches!(&choice.parts[0].content, Content::Thinking(thinking) if thinking.text == "hm")
    );
    assert_eq!(choice.parts[1], Part::text("so"));
    assert!(
        matches!(&choice.parts[2].content, Content::Opaque { kind, .. } if kind == "reference")
    );
}

#[test]
fn log_probabilities_come_back() {
    let body = json!({"choices": [{"message": {"content": "a"}, "finish_reason": "stop", "logprobs": {"content": [
        {"token": "a", "logprob": -0.25, "bytes": [97], "top_logprobs": [{"token": "b", "logprob": -2.0, "bytes": null}]}],
        "refusal": null}}]});
    let answer = read_answer(body.to_string().as_bytes(), &context()).unwrap();
    assert_eq!(answer.choices[0].logprobs[0].top[0].token, "b");
    let written = shown(answer.choices[0].clone(), &caller());
    assert_eq!(
        written["choices"][0]["logprobs"],
        body["choices"][0]["logprobs"]
    );
}

#[test]
fn what_is_no_answer_is_malformed() {
    for body in [
        &b""[..],
        b"<html>",
        b"{}",
        b"[]",
        br#"{"choices":7}"#,
        br#"{"error":{}}"#,
    ] {
        assert!(read_answer(body, &context()).is_err());
    }
    let huge = br#"{"choices":[{"index":4000000000,"message":{}}]}"#;
    assert!(read_answer(huge, &context()).is_err());
}
