//! Providers with several keys: requests are shared out among them, and a key that is of no use does not stop the others.

use serde_json::json;

use crate::harness::{Gateway, config, run};
use crate::raw::{Request, chat};
use crate::upstream::{Received, Upstream, healthy_answer, whole};

/// The model `fast` of a provider with these keys.
fn file(upstream: &Upstream, keys: &str) -> String {
    let address = upstream.address;
    config(&format!(
        r#"
providers:
  up: {{ dialect: openai, base_url: "http://{address}/v1", api_keys: [{keys}], endpoints: [chat, responses] }}
models:
  fast: {{ target: up/m }}
defaults: {{ retry: {{ backoff: 1ms..2ms }} }}
"#
    ))
}

fn key_of(request: &Received) -> String {
    let field = request.header("authorization").expect("a key");
    field.trim_start_matches("Bearer ").to_owned()
}

fn calls_with(upstream: &Upstream, key: &str) -> usize {
    let received = upstream.received();
    received.iter().filter(|it| key_of(it) == key).count()
}

/// An error with this status for `bad`, and a healthy answer for all others.
fn but_for(status: u16, request: &Received) -> Vec<u8> {
    match key_of(request).as_str() {
        "bad" => whole(
            status,
            "application/json",
            r#"{"error":{"message":"No.","type":"x","code":"x"}}"#,
        ),
        _ => healthy_answer(request),
    }
}

#[tokio::test]
async fn requests_are_shared_out_among_the_keys() {
    let upstream = Upstream::healthy().await;
    let gateway = Gateway::start(&file(&upstream, "one, two, three")).await;
    for _ in 0..90 {
        let answer = gateway.ask(chat("fast")).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(answer.header("x-tollgate-model"), Some("up/m"));
    }
    // Each third is missed by more than this once in a million runs.
    for key in ["one", "two", "three"] {
        assert!((8..=60).contains(&calls_with(&upstream, key)), "{key}");
    }
}

#[tokio::test]
async fn a_key_that_is_refused_or_has_no_quota_is_left_alone_while_the_others_go_on() {
    for status in [401, 402, 403, 429] {
        let upstream = Upstream::answering(move |request| but_for(status, request)).await;
        let gateway = Gateway::start(&file(&upstream, "bad, good")).await;
        for _ in 0..60 {
            let answer = gateway.ask(chat("fast")).await;
            assert_eq!(answer.status, 200, "{}", answer.text());
        }
        // Of sixty requests half would be its own; it is asked again only after a pause.
        let calls = calls_with(&upstream, "bad");
        assert!((1..=12).contains(&calls), "{status}: {calls} calls");
        if status != 429 {
            let is_refused = |line: &serde_json::Value| {
                line["msg"] == "the provider refused our credential" && line["key"] == "1"
            };
            gateway.log_line("which key was refused", is_refused).await;
        }
    }
}

#[tokio::test]
async fn a_target_that_fails_is_not_called_more_often_because_there_are_more_keys() {
    let failing = |_: &Received| whole(500, "application/json", r#"{"error":{"message":"No."}}"#);
    let upstream = Upstream::answering(failing).await;
    let gateway = Gateway::start(&file(&upstream, "one, two, three, four")).await;
    let answer = gateway.ask(chat("fast")).await;
    assert_eq!(answer.status, 500, "{}", answer.text());
    assert_eq!(answer.header("x-tollgate-attempts"), Some("2"));
    assert_eq!(upstream.received().len(), 2);
}

#[tokio::test]
async fn a_kept_response_is_gone_on_from_and_read_with_the_key_that_made_it() {
    let keeping = |request: &Received| {
        let response = json!({
            "id": "resp_68af", "object": "response", "status": "completed", "model": "m",
            "output": [{"type": "message", "id": "msg_1", "role": "assistant", "status": "completed",
                "content": [{"type": "output_text", "text": "Yes.", "annotations": []}]}],
            "usage": {"input_tokens": 3, "output_tokens": 5, "total_tokens": 8},
            "key": key_of(request),
        });
        whole(200, "application/json", &response.to_string())
    };
    let upstream = Upstream::answering(keeping).await;
    let gateway = Gateway::start(&file(&upstream, "one, two, three")).await;
    let create = |previous: Option<&str>| {
        let body = json!({"model": "fast", "input": "hello", "previous_response_id": previous});
        Request::post("/v1/responses", body.to_string())
    };
    for _ in 0..12 {
        let made = gateway.ask(create(None)).await;
        assert_eq!(made.status, 200, "{}", made.text());
        let made = made.json();
        let id = made["id"].as_str().expect("an id");
        let next = gateway.ask(create(Some(id))).await;
        assert_eq!(next.json()["key"], made["key"], "{}", next.text());
        let read = gateway
            .ask(Request::get(&format!("/v1/responses/{id}")))
            .await;
        assert_eq!(read.json()["key"], made["key"], "{}", read.text());
    }
}

#[test]
fn mistakes_in_a_list_of_keys_are_told() {
    let eleven = (0..11)
        .map(|key| format!("k{key}"))
        .collect::<Vec<_>>()
        .join(", ");
    let cases = [
        ("api_keys: []", "`api_keys` holds one key to 10"),
        (
            &format!("api_keys: [{eleven}]"),
            "`api_keys` holds one key to 10",
        ),
        ("api_keys: [a, b, a]", "this key is in the list already"),
        (
            "api_key: a, api_keys: [b]",
            "`api_key` and `api_keys` stand beside each other",
        ),
        (
            r#"api_keys: [a, "b\n"]"#,
            "`api_keys` holds a character that no HTTP header may",
        ),
    ];
    for (fields, problem) in cases {
        let file = tempfile::NamedTempFile::new().expect("a file");
        let text = config(&format!(
            "providers: {{ up: {{ dialect: openai, {fields} }} }}\nmodels: {{ fast: {{ target: up/m }} }}\n"
        ));
        std::fs::write(file.path(), text).expect("a file of our own");
        let output = run(["check", file.path().to_str().expect("plain")]);
        let printed = String::from_utf8_lossy(&output.stdout).into_owned()
            + &String::from_utf8_lossy(&output.stderr);
        assert!(printed.contains(problem), "{fields}: {printed}");
        assert!(printed.contains("1 error, "), "{fields}: {printed}");
    }
}
