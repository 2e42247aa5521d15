//! Whole answers.

use serde_json::{Value, json};

use super::*;
use crate::dialect::common::{
    Choice, Citation, Content, Finish, Json, Part, Signature, Thinking, TokenLogprob, Usage,
};

fn answered(candidate: &Value) -> Answer {
    let body = json!({"candidates": [candidate], "modelVersion": "m", "responseId": "r"});
    read_answer(body.to_string().as_bytes(), &context()).expect("an answer")
}

fn shown(answer: &Answer) -> Value {
    let request = Request::new(Dialect::Gemini, "asked");
    serde_json::from_slice(&write_answer(answer, &request, &context())).expect("JSON")
}

#[test]
fn reasons_are_told_apart() {
    for (reason, expected, again) in [
        ("STOP", Finish::Stop, "STOP"),
        ("MAX_TOKENS", Finish::Length, "MAX_TOKENS"),
        ("RECITATION", Finish::ContentFilter, "SAFETY"),
        (
            "UNEXPECTED_TOOL_CALL",
            Finish::MalformedCall,
            "MALFORMED_FUNCTION_CALL",
        ),
        (
            "TOO_MANY_TOOL_CALLS",
            Finish::Other("TOO_MANY_TOOL_CALLS".into()),
            "TOO_MANY_TOOL_CALLS",
        ),
    ] {
        let answer = answered(&json!({"finishReason": reason}));
        assert_eq!(answer.choices[0].finish, Some(expected));
        assert_eq!(shown(&answer)["candidates"][0]["finishReason"], again);
    }
    let called = answered(&json!({
        "content": {"parts": [{"functionCall": {"name": "f"}}]},
        "finishReason": "STOP",
    }));
    assert_eq!(called.choices[0].finish, Some(Finish::ToolCalls));
    let blocked = br#"{"promptFeedback":{"blockReason":"PROHIBITED_CONTENT"},"usageMetadata":{"promptTokenCount":3}}"#;
    let blocked = read_answer(blocked, &context()).unwrap();
    assert_eq!(blocked.choices.len(), 1);
    assert_eq!(blocked.choices[0].finish, Some(Finish::ContentFilter));
}

#[test]
fn what_is_no_answer_is_refused() {
    for body in [
        "",
        "[]",
        "{}",
        r#"{"usageMetadata":{}}"#,
        r#"{"error":{"code":500,"message":"x"}}"#,
        r#"{"candidates":{}}"#,
        r#"{"candidates":[{"content":{"parts":[{"text":1}]}}]}"#,
    ] {
        assert!(read_answer(body.as_bytes(), &context()).is_err(), "{body}");
    }
    let cut = Json::of(&json!({"candidates": [{"content": {"parts": [{"text": "secret"}]}}]}));
    let cut = read_answer(&cut.as_str().as_bytes()[..50], &context()).unwrap_err();
    assert!(!cut.to_string().contains("secret"));
}

#[test]
fn a_foreign_answer_comes_back_as_it_was() {
    let signature = |origin| Signature {
        origin,
        value: "v+/=".into(),
    };
    let parts = vec![
        Part::from(Content::Thinking(Thinking {
            text: "hm".into(),
            signature: Some(signature(Dialect::Anthropic)),
            ..Thinking::default()
        })),
        Part::from(Content::Thinking(Thinking {
            text: String::new(),
            signature: Some(signature(Dialect::Anthropic)),
            id: None,
            is_redacted: true,
        })),
        Part::from(Content::Thinking(Thinking {
            text: "so".into(),
            signature: Some(signature(Dialect::Responses)),
            id: Some("rs_1".into()),
            is_redacted: false,
        })),
        Part::text("text"),
        Part::from(Content::ToolCall {
            id: "toolu_1".into(),
            name: "f".into(),
            arguments: r#"{"a":1.0}"#.into(),
            signature: Some(signature(Dialect::Chat)),
        }),
    ];
    let answer = Answer {
        id: "msg_1".into(),
        model: "claude".into(),
        choices: vec![Choice {
            parts: parts.clone(),
            finish: Some(Finish::ToolCalls),
            logprobs: Vec::new(),
        }],
        usage: Some(Usage {
            input_tokens: 10,
            output_tokens: 8,
            cache_read_tokens: 4,
            reasoning_tokens: 3,
            output_image_tokens: 2,
            ..Usage::default()
        }),
        service_tier: Some("default".into()),
        ..Answer::default()
    };
    let json = shown(&answer);
    assert_eq!(
        json["usageMetadata"],
        json!({"promptTokenCount": 10, "cachedContentTokenCount": 4, "candidatesTokenCount": 5, "thoughtsTokenCount": 3, "totalTokenCount": 18,
            "candidatesTokensDetails": [{"modality": "IMAGE", "tokenCount": 2}], "serviceTier": "standard"})
    );
    let history =
        json!({"contents": [{"parts": [{"text": "a"}]}, json["candidates"][0]["content"]]});
    assert_eq!(read(&history).turns[1].parts, parts);
    let body = json.to_string();
    assert_eq!(usage(body.as_bytes()), answer.usage);
    assert_eq!(json["responseId"], "msg_1");
    assert_eq!(json["modelVersion"], "claude");
}

#[test]
fn a_call_that_is_no_object_is_malformed() {
    let ended_by = |finish| Answer {
        choices: vec![Choice {
            parts: vec![Part::from(Content::ToolCall {
                id: "1".into(),
                name: "f".into(),
                arguments: r#"{"a": "#.into(),
                signature: None,
            })],
            finish: Some(finish),
            logprobs: Vec::new(),
        }],
        ..Answer::default()
    };
    let cut = shown(&ended_by(Finish::Length));
    assert_eq!(cut["candidates"][0]["finishReason"], "MAX_TOKENS");
    let json = shown(&ended_by(Finish::ToolCalls));
    assert_eq!(
        json["candidates"][0]["finishReason"],
        "MALFORMED_FUNCTION_CALL"
    );
    assert_eq!(json["candidates"][0]["content"]["parts"], json!([]));
    assert_eq!(json["responseId"], context().id);
    assert_eq!(json["modelVersion"], "asked");
}

#[test]
fn sources_are_shown_in_either_direction() {
    let grounding = json!({
        "groundingChunks": [{"web": {"uri": "https://a", "title": "A"}}],
        "groundingSupports": [{"segment": {"startIndex": 0, "endIndex": 5, "text": "Höhe"}, "groundingChunkIndices": [0]}],
        "searchEntryPoint": {"renderedContent": "<div>"},
    });
    let answer = answered(&json!({
        "content": {"parts": [{"text": "Höhe 3"}]},
        "finishReason": "STOP",
        "groundingMetadata": grounding,
    }));
    let Content::Text { citations, .. } = &answer.choices[0].parts[0].content else {
        panic!("a text");
    };
    assert_eq!(citations[0].span, Some((0, 4)));
    assert_eq!(
        shown(&answer)["candidates"][0]["groundingMetadata"],
        grounding
    );

    let foreign = Answer {
        choices: vec![Choice {
            parts: vec![Part::from(Content::Text {
                text: "Höhe 3".into(),
                citations: vec![Citation {
                    origin: Dialect::Anthropic,
                    json: Json::empty_object(),
                    ..citations[0].clone()
                }],
            })],
            ..Choice::default()
        }],
        ..Answer::default()
    };
    assert_eq!(
        shown(&foreign)["candidates"][0]["groundingMetadata"],
        json!({"groundingChunks": grounding["groundingChunks"], "groundingSupports": grounding["groundingSupports"]})
    );
}

#[test]
fn log_probabilities_survive() {
    let token = |token: &str, logprob| TokenLogprob {
        token: token.into(),
        logprob,
        bytes: None,
        top: Vec::new(),
    };
    let answer = Answer {
        id: "r".into(),
        model: "m".into(),
        choices: vec![Choice {
            parts: vec![Part::text("ab")],
            finish: Some(Finish::Stop),
            logprobs: vec![
                TokenLogprob {
                    top: vec![token("a", -0.1), token("x", -2.5)],
                    ..token("a", -0.1)
                },
                TokenLogprob {
                    top: vec![token("b", -0.2)],
                    ..token("b", -0.2)
                },
            ],
        }],
        ..Answer::default()
    };
    let again = read_answer(shown(&answer).to_string().as_bytes(), &context()).unwrap();
    assert_eq!(again, answer);
}

#[test]
fn models_are_listed_in_googles_shape() {
    let list: Value = serde_json::from_slice(&model_list(["a", "b/c"].into_iter())).unwrap();
    assert_eq!(list["models"][1]["name"], "models/b/c");
    let one: Value = serde_json::from_slice(&model("a")).unwrap();
    assert_eq!(one, list["models"][0]);
}
