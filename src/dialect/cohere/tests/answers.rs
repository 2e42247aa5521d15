use super::*;
use crate::dialect::Kind;
use crate::dialect::common::{
    Choice, Citation, Content, Finish, Json, Part, Signature, Thinking, Usage,
};
use http::StatusCode;
use serde_json::json;

#[test]
fn what_is_billed_is_the_usage() {
    for (usage, wanted) in [
        // Cohere's own part of the prompt is cached, and not paid for.
        (
            json!({"billed_units": {"input_tokens": 45.0, "output_tokens": 29},
                "tokens": {"input_tokens": 1469, "output_tokens": 42}, "cached_tokens": 1024}),
            (45, 29, 0),
        ),
        (
            json!({"billed_units": {"search_units": 1},
                "tokens": {"input_tokens": 10, "output_tokens": 2}, "cached_tokens": 4}),
            (10, 2, 4),
        ),
    ] {
        let body = json!({"id": "a", "message": {"role": "assistant"}, "usage": usage}).to_string();
        let (input_tokens, output_tokens, cache_read_tokens) = wanted;
        let wanted = Usage {
            input_tokens,
            output_tokens,
            cache_read_tokens,
            ..Usage::default()
        };
        assert_eq!(super::usage(body.as_bytes()), Some(wanted));
        let answer = read_answer(body.as_bytes(), &context()).unwrap();
        assert_eq!(answer.usage, Some(wanted));
    }
    assert_eq!(super::usage(b"{}"), None);
    assert_eq!(super::usage(b"<html>"), None);
}

#[test]
fn an_answer_that_calls_tools_ends_so() {
    let call =
        json!({"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}});
    for (calls, reason, finish) in [
        (vec![call.clone()], "COMPLETE", Finish::ToolCalls),
        (vec![call], "MAX_TOKENS", Finish::Length),
        (Vec::new(), "COMPLETE", Finish::Stop),
    ] {
        let whole = json!({"id": "a", "finish_reason": reason,
            "message": {"role": "assistant", "tool_calls": calls}});
        let answer = read_answer(whole.to_string().as_bytes(), &context()).unwrap();
        assert_eq!(answer.choices[0].finish, Some(finish.clone()));
        let start = json!({"id": "a", "type": "message-start", "delta": {"message": {}}});
        let calls = calls.iter().map(|call| {
            json!({"type": "tool-call-start", "index": 0,
                "delta": {"message": {"tool_calls": call}}})
        });
        let end = json!({"type": "message-end", "delta": {"finish_reason": reason}});
        let events = std::iter::once(start).chain(calls).chain([end]);
        let stream: String = events.map(|event| format!("data: {event}\n\n")).collect();
        let answer = collected(deltas(&stream)).unwrap();
        assert_eq!(answer.choices[0].finish, Some(finish));
    }
}

fn foreign_answer() -> Answer {
    let thinking = Thinking {
        text: "Hm.".to_owned(),
        signature: Some(Signature {
            origin: Dialect::Anthropic,
            value: "abc".to_owned(),
        }),
        ..Thinking::default()
    };
    let call = |id: &str, arguments: &str| {
        Part::from(Content::ToolCall {
            id: id.to_owned(),
            name: "f".to_owned(),
            arguments: arguments.to_owned(),
            signature: None,
        })
    };
    Answer {
        choices: vec![Choice {
            parts: vec![
                Content::Thinking(thinking).into(),
                Content::Text {
                    text: "Grüße aus Kiel".to_owned(),
                    citations: vec![Citation {
                        url: Some("https://example.com".to_owned()),
                        title: Some("Kiel".to_owned()),
                        cited_text: Some("A town.".to_owned()),
                        span: Some((10, 14)),
                        origin: Dialect::Anthropic,
                        json: Json::empty_object(),
                    }],
                }
                .into(),
                call("c1", ""),
                call("c2", "{\"a\":1}"),
            ],
            finish: Some(Finish::ToolCalls),
            logprobs: Vec::new(),
        }],
        usage: Some(Usage {
            input_tokens: 9,
            output_tokens: 4,
            cache_read_tokens: 3,
            reasoning_tokens: 1,
            ..Usage::default()
        }),
        ..Answer::default()
    }
}

#[test]
fn another_providers_answer_is_one_of_coheres() {
    let request = Request::new(Dialect::Cohere, "m");
    let body = write_answer(&foreign_answer(), &request, &context());
    let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(
        body,
        json!({"id": "request-1", "finish_reason": "TOOL_CALL",
            "message": {"role": "assistant",
                "content": [
                    {"type": "thinking", "thinking": "Hm.", "signature": "tg1:anthropic:abc"},
                    {"type": "text", "text": "Grüße aus Kiel"}],
                "tool_calls": [
                    {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}},
                    {"id": "c2", "type": "function", "function": {"name": "f", "arguments": "{\"a\":1}"}}],
                "citations": [{"start": 10, "end": 14, "text": "Kiel", "content_index": 1,
                    "type": "TEXT_CONTENT", "sources": [{"type": "document", "id": "https://example.com",
                        "document": {"title": "Kiel", "url": "https://example.com", "snippet": "A town."}}]}]},
            "usage": {"billed_units": {"input_tokens": 9, "output_tokens": 4},
                "tokens": {"input_tokens": 9, "output_tokens": 4}, "cached_tokens": 3}})
    );
}

#[test]
fn an_answer_that_was_given_up_is_an_error() {
    for (body, kind) in [
        (r#"{"finish_reason":"ERROR"}"#, Some(Kind::ProviderFailed)),
        (
            r#"{"finish_reason":"TIMEOUT"}"#,
            Some(Kind::UpstreamTimeout),
        ),
        (r#"{"finish_reason":"COMPLETE"}"#, None),
        ("{}", None),
    ] {
        assert_eq!(
            failure(body.as_bytes()).map(|error| error.kind),
            kind,
            "{body}"
        );
    }
}

#[test]
fn an_error_says_what_kind_it_is() {
    for (status, message, kind) in [
        (
            400,
            "invalid request: message must not be empty",
            Kind::InvalidRequest,
        ),
        (
            400,
            "too many tokens: size limit exceeded by 11 tokens",
            Kind::ContextTooLong,
        ),
        (401, "invalid api token", Kind::InvalidApiKey),
        (404, "model 'x' not found", Kind::NotFound),
        (422, "bad", Kind::InvalidRequest),
        (429, "past the per minute request limit", Kind::RateLimited),
        (
            429,
            "a Trial key is limited to 1000 API calls / month",
            Kind::QuotaSpent,
        ),
        (498, "a blocked word", Kind::ContentFiltered),
        (499, "cancelled", Kind::ProviderFailed),
        (500, "internal", Kind::ProviderFailed),
        (503, "busy", Kind::Overloaded),
        (504, "late", Kind::UpstreamTimeout),
    ] {
        let status = StatusCode::from_u16(status).unwrap();
        let body = json!({"id": "1", "message": message}).to_string();
        let error = read_error(status, body.as_bytes());
        assert_eq!((error.kind, error.message.as_str()), (kind, message));
        assert_eq!(error.status(), status);
        let written: serde_json::Value = serde_json::from_slice(&error_body(&error)).unwrap();
        assert_eq!(written, json!({"message": message}));
    }
    let error = read_error(StatusCode::BAD_GATEWAY, b"<html>");
    assert_eq!(error.message, "Cohere answered 502: Bad Gateway");
}

#[test]
fn a_broken_answer_is_malformed() {
    for body in ["", "{}", "[]", r#"{"message":{"content":[{"type":7}]}}"#] {
        assert!(read_answer(body.as_bytes(), &context()).is_err(), "{body}");
    }
    let odd = br#"{"message":{"content":[{"type":"riddle","x":1}],"new":{}},"newer":1}"#;
    let answer = read_answer(odd, &context()).unwrap();
    assert!(matches!(
        answer.choices[0].parts[0].content,
        Content::Opaque { .. }
    ));
}

#[test]
fn floats_without_their_type_are_embeddings_too() {
    let body = br#"{"embeddings":[[0.5,-1.0]],"response_type":"embeddings_floats"}"#;
    let (vectors, usage) = read_embedding_answer(body, 1).unwrap();
    assert_eq!((vectors, usage), (vec![vec![0.5, -1.0]], None));
    assert!(read_embedding_answer(br#"{"embeddings":{"int8":[[1]]}}"#, 1).is_err());
    assert!(read_embedding_answer(body, 2).is_err());
    let body = write_embedding_request(&["a"], "m", Some(256), None, None);
    let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(
        body,
        json!({"model": "m", "texts": ["a"], "input_type": "search_document",
            "embedding_types": ["float"], "output_dimension": 256, "truncate": "NONE"})
    );
}
