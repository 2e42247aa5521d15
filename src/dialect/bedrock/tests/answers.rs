//! Whole answers.

use serde_json::json;

use super::*;
use crate::dialect::bedrock::{read_answer, write_answer};
use crate::dialect::common::{
    Choice, Citation, Content, Finish, Json, Part, Signature, Thinking, Usage,
};

#[test]
fn every_kind_of_block_is_read_and_written() {
    let body = json!({
        "output": {"message": {"role": "assistant", "content": [
            {"reasoningContent": {"reasoningText": {"text": "hm", "signature": "sig"}}},
            {"reasoningContent": {"redactedContent": "RXU4RQ=="}},
            {"text": "It says "},
            {"citationsContent": {"content": [{"text": "né"}], "citations": [{"title": "A",
                "sourceContent": [{"text": "words"}], "location": {"web": {"url": "https://x"}}}]}},
            {"text": "."},
            {"image": {"format": "png", "source": {"bytes": "aaaa"}}},
            {"toolUse": {"toolUseId": "server", "name": "nova_code_interpreter", "input": {}, "type": "server_tool_use"}},
            {"toolUse": {"toolUseId": "a", "name": "look", "input": {"at": 1}}},
            {"future": {"x": 1}},
        ]}},
        "stopReason": "tool_use",
        "usage": {"inputTokens": 1, "outputTokens": 2, "totalTokens": 3},
        "metrics": {"latencyMs": 0},
        "serviceTier": {"type": "flex"},
    });
    let answer = read_answer(body.to_string().as_bytes(), &context()).unwrap();
    let parts = &answer.choices[0].parts;
    let Content::Text { text, citations } = &parts[2].content else {
        panic!("a text");
    };
    assert_eq!(text, "It says né.");
    assert_eq!(citations[0].span, Some((8, 10)));
    assert_eq!(citations[0].url.as_deref(), Some("https://x"));
    assert_eq!(citations[0].cited_text.as_deref(), Some("words"));
    assert_eq!(answer.service_tier.as_deref(), Some("flex"));
    let shown = write_answer(&answer, &caller(), &context());
    assert_eq!(serde_json::from_slice::<Value>(&shown).unwrap(), body);
}

#[test]
fn another_dialects_answer_is_valid_here() {
    let signature = |origin| Signature {
        origin,
        value: "seal".into(),
    };
    let citation = Citation {
        url: Some("https://x".into()),
        title: None,
        cited_text: None,
        span: None,
        origin: Dialect::Chat,
        json: Json::empty_object(),
    };
    let call = |id: &str, arguments: &str, signature| {
        Part::from(Content::ToolCall {
            id: id.into(),
            name: "look".into(),
            arguments: arguments.into(),
            signature,
        })
    };
    let answer = Answer {
        choices: vec![Choice {
            parts: vec![
                Part::from(Content::Thinking(Thinking {
                    text: "hm".into(),
                    signature: Some(signature(Dialect::Gemini)),
                    id: None,
                    is_redacted: false,
                })),
                Part::from(Content::Text {
                    text: "so".into(),
                    citations: vec![citation],
                }),
                Part::from(Content::Refusal("no".into())),
                call("", "", Some(signature(Dialect::Gemini))),
                call("a b", "{\"cut", None),
            ],
            finish: Some(Finish::Stop),
            logprobs: Vec::new(),
        }],
        usage: Some(Usage {
            input_tokens: 9,
            output_tokens: 1,
            cache_read_tokens: 5,
            ..Usage::default()
        }),
        ..Answer::default()
    };
    let shown = write_answer(&answer, &caller(), &context());
    let shown: Value = serde_json::from_slice(&shown).unwrap();
    let content = shown["output"]["message"]["content"].as_array().unwrap();
    assert_eq!(
        content[0]["reasoningContent"]["reasoningText"]["signature"],
        "tg1:gemini:seal"
    );
    assert_eq!(
        content[1]["citationsContent"]["citations"][0]["location"]["web"]["url"],
        "https://x"
    );
    assert_eq!(content[2], json!({"text": "no"}));
    assert_eq!(
        content[3]["reasoningContent"]["redactedContent"],
        "dGcxOmdlbWluaTpzZWFs"
    );
    for call in [&content[4], &content[5]] {
        let id = call["toolUse"]["toolUseId"].as_str().unwrap();
        assert!(id.starts_with("call_") && id.len() <= 64);
        assert_eq!(call["toolUse"]["input"], json!({}));
    }
    assert_eq!(shown["stopReason"], "tool_use");
    assert_eq!(
        shown["usage"],
        json!({"inputTokens": 4, "outputTokens": 1, "totalTokens": 10,
        "cacheReadInputTokens": 5, "cacheWriteInputTokens": 0})
    );
}

#[test]
fn an_answer_that_calls_tools_ends_so() {
    for (kind, reason, finish) in [
        ("tool_use", "end_turn", Finish::ToolCalls),
        ("tool_use", "max_tokens", Finish::Length),
        ("server_tool_use", "end_turn", Finish::Stop),
    ] {
        let block = json!({"toolUseId": "a", "name": "look", "type": kind, "input": {}});
        let whole = json!({"output": {"message": {"content": [{"toolUse": block}]}},
            "stopReason": reason});
        let answer = read_answer(whole.to_string().as_bytes(), &context()).unwrap();
        assert_eq!(answer.choices[0].finish, Some(finish.clone()));
        let stream = stream_from(&[
            ("messageStart", json!({"role": "assistant"})),
            (
                "contentBlockStart",
                json!({"contentBlockIndex": 0, "start": {"toolUse": block}}),
            ),
            ("contentBlockStop", json!({"contentBlockIndex": 0})),
            ("messageStop", json!({"stopReason": reason})),
            ("metadata", json!({})),
        ]);
        let answer = collected(deltas_of(&stream)).unwrap();
        assert_eq!(answer.choices[0].finish, Some(finish));
    }
}

#[test]
fn what_is_no_answer_is_malformed() {
    for body in [
        "",
        "{}",
        "[]",
        r#"{"output":7}"#,
        r#"{"message":"no"}"#,
        r#"{"output":{"message":{"content":["secret"]}}}"#,
    ] {
        let malformed = read_answer(body.as_bytes(), &context()).unwrap_err();
        assert!(!malformed.0.contains("secret"), "{malformed}");
    }
    let empty = read_answer(br#"{"output":{}}"#, &context()).unwrap();
    assert_eq!(empty.choices.len(), 1);
    assert_eq!(empty.choices[0].finish, None);
}
