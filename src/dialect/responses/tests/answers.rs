use http::StatusCode;
use serde_json::{Value, json};

use super::*;
use crate::dialect::common::{Choice, Citation, Finish, Json, Part, TokenLogprob};
use crate::dialect::{Error, Kind};

fn answer(parts: Vec<Part>, finish: Finish) -> Answer {
    Answer {
        id: "msg_01".into(),
        model: "claude".into(),
        created: None,
        choices: vec![Choice {
            parts,
            finish: Some(finish),
            logprobs: Vec::new(),
        }],
        usage: None,
        service_tier: None,
    }
}

fn shown(answer: &Answer) -> Value {
    let body = write_answer(answer, &Request::new(Dialect::Responses, "m"), &context());
    serde_json::from_slice(&body).unwrap()
}

#[test]
fn endings_say_whether_an_answer_is_whole() {
    let text = vec![Part::text("a")];
    let refusal = vec![Part::from(Content::Refusal("no".into()))];
    let cases = [
        (&text, Finish::Stop, "completed", None),
        (&text, Finish::StopSequence(None), "completed", None),
        (
            &text,
            Finish::Length,
            "incomplete",
            Some("max_output_tokens"),
        ),
        (
            &text,
            Finish::ContentFilter,
            "incomplete",
            Some("content_filter"),
        ),
        (&text, Finish::Refusal, "incomplete", Some("content_filter")),
        (&refusal, Finish::Refusal, "completed", None),
        (&text, Finish::Pause, "incomplete", Some("pause_turn")),
        (
            &text,
            Finish::MalformedCall,
            "incomplete",
            Some("malformed_function_call"),
        ),
        (
            &text,
            Finish::Other("odd".into()),
            "incomplete",
            Some("odd"),
        ),
    ];
    for (parts, finish, status, reason) in cases {
        let body = shown(&answer(parts.clone(), finish.clone()));
        assert_eq!(body["status"], status, "{finish:?}");
        assert_eq!(body["incomplete_details"]["reason"].as_str(), reason);
        assert_eq!(body["output"][0]["status"], status);
    }
}

#[test]
fn an_answer_repeats_its_request() {
    let request = read(&json!({
        "model": "m", "instructions": "I", "input": "hi", "temperature": 0.5,
        "tools": [{"type": "function", "name": "f", "parameters": {"type": "object"}}],
        "tool_choice": {"type": "function", "name": "f"},
        "metadata": {"a": "b"}, "prompt_cache_key": "k", "max_output_tokens": 9
    }));
    let body = write_answer(&answer(vec![], Finish::Stop), &request, &context());
    let body: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(body["id"], "resp_msg_01");
    assert_eq!(body["created_at"], 1_700_000_000);
    assert_eq!(body["model"], "claude");
    assert_eq!(body["instructions"], "I");
    assert_eq!(body["temperature"], 0.5);
    assert_eq!(body["tool_choice"]["name"], "f");
    assert_eq!(body["tools"][0]["strict"], false);
    assert_eq!(body["metadata"]["a"], "b");
    assert_eq!(body["prompt_cache_key"], "k");
    assert_eq!(body["max_output_tokens"], 9);
    assert_eq!(body["text"]["format"]["type"], "text");
    assert_eq!(body["output"], json!([]));
}

#[test]
fn ids_are_valid_and_always_the_same() {
    let mut answer = answer(vec![Part::text("a")], Finish::Stop);
    for id in ["", "resp_1", "chatcmpl-AbC", "a/b=", &"x".repeat(100)] {
        answer.id = id.into();
        let (first, second) = (shown(&answer), shown(&answer));
        assert_eq!(first, second);
        for id in [&first["id"], &first["output"][0]["id"]] {
            let id = id.as_str().unwrap();
            assert!(id.len() <= 64 && id.starts_with(['r', 'm']), "{id}");
        }
    }
}

#[test]
fn sources_become_annotations() {
    let cite = |url: Option<&str>, span| Citation {
        url: url.map(Into::into),
        title: Some("T".into()),
        cited_text: None,
        span,
        origin: Dialect::Anthropic,
        json: Json::empty_object(),
    };
    let text = |text: &str, citation| {
        Part::from(Content::Text {
            text: text.into(),
            citations: vec![citation],
        })
    };
    let parts = vec![
        text("é1", cite(Some("https://x.example"), Some((0, 2)))),
        text("2", cite(Some("https://y.example"), Some((0, 1)))),
        text("3", cite(None, None)),
    ];
    let body = shown(&answer(parts, Finish::Stop));
    let part = &body["output"][0]["content"][0];
    assert_eq!(part["text"], "é123");
    let expected = json!([
        {"type": "url_citation", "url": "https://x.example", "title": "T", "start_index": 0, "end_index": 2},
        {"type": "url_citation", "url": "https://y.example", "title": "T", "start_index": 2, "end_index": 3},
        {"type": "file_citation", "file_id": "", "filename": "T", "index": 4}
    ]);
    assert_eq!(part["annotations"], expected);
}

#[test]
fn citations_of_a_second_message_count_from_the_first() {
    let cited = json!({"type": "url_citation", "url": "https://x.example", "title": "X",
                       "start_index": 0, "end_index": 1});
    let message = |text: &str, annotations: Value| {
        json!({"type": "message", "id": "msg", "role": "assistant", "status": "completed",
               "content": [{"type": "output_text", "text": text, "annotations": annotations}]})
    };
    let body = json!({"id": "resp_1", "status": "completed",
                      "output": [message("äb", json!([])), message("c", json!([cited]))]});
    let answer = read_answer(body.to_string().as_bytes(), &context()).unwrap();
    let Content::Text { text, citations } = &answer.choices[0].parts[0].content else {
        panic!("no text");
    };
    assert_eq!((text.as_str(), citations[0].span), ("äbc", Some((2, 3))));
    assert_eq!(citations[0].json.value()["start_index"], 2);
}

#[test]
fn log_probabilities_are_told() {
    let mut answer = answer(vec![Part::text("ab")], Finish::Stop);
    answer.choices[0].logprobs = vec![TokenLogprob {
        token: "ab".into(),
        logprob: -0.5,
        bytes: None,
        top: Vec::new(),
    }];
    let body = shown(&answer);
    let expected = json!([{"token": "ab", "bytes": [97, 98], "logprob": -0.5, "top_logprobs": []}]);
    assert_eq!(body["output"][0]["content"][0]["logprobs"], expected);
}

#[test]
fn a_failed_answer_is_an_error() {
    let failed = |code: &str| {
        let body = json!({"id": "resp_1", "status": "failed", "output": [],
                          "error": {"code": code, "message": "m"}});
        failure(body.to_string().as_bytes()).unwrap().kind
    };
    assert_eq!(failed("rate_limit_exceeded"), Kind::RateLimited);
    assert_eq!(failed("server_error"), Kind::ProviderFailed);
    assert_eq!(failed("invalid_prompt"), Kind::ContentFiltered);
    assert_eq!(failed("image_too_large"), Kind::InvalidRequest);
    assert_eq!(failed("new"), Kind::ProviderFailed);
}

#[test]
fn errors_of_providers_are_told_apart() {
    let read = |status: u16, body: &str| {
        let status = StatusCode::from_u16(status).unwrap();
        read_error(status, body.as_bytes())
    };
    let cases = [
        (
            429,
            r#"{"error":{"message":"m","type":"insufficient_quota","param":null,"code":"insufficient_quota"}}"#,
            Kind::QuotaSpent,
        ),
        (
            429,
            r#"{"error":{"message":"m","type":"requests","param":null,"code":"rate_limit_exceeded"}}"#,
            Kind::RateLimited,
        ),
        (
            400,
            r#"{"error":{"message":"m","type":"invalid_request_error","param":"input","code":"context_length_exceeded"}}"#,
            Kind::ContextTooLong,
        ),
        (
            400,
            r#"{"error":{"message":"m","type":null,"param":"prompt","code":"content_filter","status":400}}"#,
            Kind::ContentFiltered,
        ),
        (
            400,
            r#"{"error":{"message":"m","type":"invalid_request_error","code":null}}"#,
            Kind::InvalidRequest,
        ),
        (
            500,
            r#"{"error":{"message":"m","type":"server_error","code":null}}"#,
            Kind::ProviderFailed,
        ),
        (
            404,
            r#"{"error":{"message":"m","code":404}}"#,
            Kind::NotFound,
        ),
        (503, r#"{"error":"m"}"#, Kind::Overloaded),
        (400, r#"{"detail":"m"}"#, Kind::InvalidRequest),
    ];
    for (status, body, kind) in cases {
        let error = read(status, body);
        assert_eq!((error.kind, error.message.as_str()), (kind, "m"), "{body}");
        assert_eq!(error.status().as_u16(), status);
    }
    assert!(read(502, "<html>").message.contains("502"));
}

#[test]
fn an_error_is_written_as_the_sdks_read_it() {
    let error = Error::invalid("input", "no");
    let body: Value = serde_json::from_slice(&error_body(&error)).unwrap();
    let told = json!({"message": "no", "type": "invalid_request_error", "param": "input",
                      "code": "invalid_request"});
    assert_eq!(body, json!({ "error": told }));
    let event = events(&error_event(&error)).pop().unwrap();
    let expected = json!({"type": "error", "code": "invalid_request", "message": "no",
                          "param": "input", "error": told, "sequence_number": 0});
    assert_eq!(event, expected);
}

#[test]
fn what_is_no_answer_is_refused_without_a_word_of_it() {
    for body in [
        &b""[..],
        b"<html>",
        b"[]",
        b"{\"output\":\"secret\"}",
        b"{\"output\":[{\"type\":7}]}",
    ] {
        let malformed = read_answer(body, &context()).unwrap_err();
        assert!(!malformed.0.contains("secret"));
    }
}
