//! Errors come in the caller's own envelope, so that its SDK raises its own typed exception.

use serde_json::{Value, json};

use crate::harness::{Gateway, config};
use crate::raw::{Answer, Request};

/// A dialect, and a request to the model `MODEL` in it.
const CALLERS: [(&str, &str, &str); 8] = [
    (
        "chat",
        "/v1/chat/completions",
        r#"{"model":"MODEL","messages":[{"role":"user","content":"x"}]}"#,
    ),
    (
        "chat",
        "/v1/completions",
        r#"{"model":"MODEL","prompt":"x"}"#,
    ),
    ("chat", "/v1/responses", r#"{"model":"MODEL","input":"x"}"#),
    (
        "anthropic",
        "/v1/messages",
        r#"{"model":"MODEL","max_tokens":9,"messages":[{"role":"user","content":"x"}]}"#,
    ),
    (
        "anthropic",
        "/v1/messages/count_tokens",
        r#"{"model":"MODEL","messages":[{"role":"user","content":"x"}]}"#,
    ),
    (
        "gemini",
        "/v1beta/models/MODEL:generateContent",
        r#"{"contents":[{"parts":[{"text":"x"}]}]}"#,
    ),
    (
        "bedrock",
        "/model/MODEL/converse",
        r#"{"messages":[{"role":"user","content":[{"text":"x"}]}]}"#,
    ),
    (
        "cohere",
        "/v2/chat",
        r#"{"model":"MODEL","messages":[{"role":"user","content":"x"}]}"#,
    ),
];

/// What an error must say: its status, and its words in OpenAI's, Anthropic's, Gemini's and Bedrock's dialect.
struct Expected {
    status: u16,
    code: &'static str,
    kind: &'static str,
    anthropic: &'static str,
    gemini: &'static str,
    bedrock: &'static str,
}

const UNKNOWN_KEY: Expected = Expected {
    status: 401,
    code: "invalid_api_key",
    kind: "invalid_request_error",
    anthropic: "authentication_error",
    gemini: "UNAUTHENTICATED",
    bedrock: "AccessDeniedException",
};

const UNKNOWN_MODEL: Expected = Expected {
    status: 404,
    code: "model_not_found",
    kind: "invalid_request_error",
    anthropic: "not_found_error",
    gemini: "NOT_FOUND",
    bedrock: "ResourceNotFoundException",
};

const BAD_JSON: Expected = Expected {
    status: 400,
    code: "invalid_request",
    kind: "invalid_request_error",
    anthropic: "invalid_request_error",
    gemini: "INVALID_ARGUMENT",
    bedrock: "ValidationException",
};

const UNREACHABLE: Expected = Expected {
    status: 502,
    code: "upstream_error",
    kind: "server_error",
    anthropic: "api_error",
    gemini: "UNAVAILABLE",
    bedrock: "",
};

fn check(dialect: &str, answer: &Answer, expected: &Expected) {
    let Expected {
        status,
        code,
        kind,
        anthropic,
        gemini,
        bedrock,
    } = expected;
    assert_eq!(answer.status, *status, "{dialect}: {}", answer.text());
    assert_eq!(answer.header("content-type"), Some("application/json"));
    let body = answer.json();
    let told = |value: &Value| {
        assert!(
            value.as_str().is_some_and(|text| !text.is_empty()),
            "{body}"
        )
    };
    match dialect {
        "chat" => {
            assert_eq!(
                (&body["error"]["code"], &body["error"]["type"]),
                (&json!(code), &json!(kind))
            );
            told(&body["error"]["message"]);
        }
        "anthropic" => {
            assert_eq!(
                (&body["type"], &body["error"]["type"]),
                (&json!("error"), &json!(anthropic))
            );
            told(&body["error"]["message"]);
        }
        "gemini" => {
            assert_eq!(body["error"]["status"], *gemini, "{body}");
            assert_eq!(body["error"]["code"], *status);
            told(&body["error"]["message"]);
        }
        "bedrock" => {
            let told_kind = answer.header("x-amzn-errortype").unwrap_or_default();
            assert!(
                !told_kind.is_empty() && (bedrock.is_empty() || told_kind == *bedrock),
                "{told_kind}"
            );
            told(&body["message"]);
        }
        _ => told(&body["message"]),
    }
}

fn request((_, path, body): (&str, &str, &str), model: &str) -> Request {
    Request::post(&path.replace("MODEL", model), body.replace("MODEL", model))
}

#[tokio::test]
async fn every_dialect_has_its_own_envelope() {
    let gateway = Gateway::start(&config(
        r#"
providers:
  gone: { dialect: openai, base_url: "http://127.0.0.1:1/v1" }
models: { "gone/*": {} }
"#,
    ))
    .await;
    for caller in CALLERS {
        let (dialect, path, body) = caller;
        let unknown = request(caller, "gone/m").header("authorization", "Bearer nobody");
        check(dialect, &gateway.ask(unknown).await, &UNKNOWN_KEY);
        check(
            dialect,
            &gateway.ask(request(caller, "nope")).await,
            &UNKNOWN_MODEL,
        );
        let cut = request((dialect, path, &body[..body.len() - 1]), "gone/m");
        check(dialect, &gateway.ask(cut).await, &BAD_JSON);
        let is_answered_here = path.ends_with("count_tokens");
        if !is_answered_here {
            check(
                dialect,
                &gateway.ask(request(caller, "gone/m")).await,
                &UNREACHABLE,
            );
        }
    }
}

#[tokio::test]
async fn the_models_are_listed_in_the_callers_shape() {
    let gateway = Gateway::start(&config(
        "providers: { demo: { dialect: simulated } }\nmodels: { fast: { target: demo/x }, smart: { target: demo/y } }",
    ))
    .await;
    let ids = |list: &Value, name: &str| -> Vec<String> {
        let list = list.as_array().expect("a list").iter();
        list.map(|model| model[name].as_str().expect("a name").to_owned())
            .collect()
    };
    let openai = gateway.ask(Request::get("/v1/models")).await.json();
    assert_eq!(ids(&openai["data"], "id"), ["fast", "smart"]);
    let versioned = Request::get("/v1/models").header("anthropic-version", "2023-06-01");
    let anthropic = gateway.ask(versioned).await.json();
    assert_eq!(ids(&anthropic["data"], "id"), ["fast", "smart"]);
    assert_eq!(anthropic["has_more"], false);
    let gemini = gateway.ask(Request::get("/v1beta/models")).await.json();
    assert_eq!(
        ids(&gemini["models"], "name"),
        ["models/fast", "models/smart"]
    );
    let one = gateway
        .ask(Request::get("/v1beta/models/fast"))
        .await
        .json();
    assert_eq!(one["name"], "models/fast");
    let nothing = gateway.ask(Request::get("/v1beta/models/nope")).await;
    check("gemini", &nothing, &UNKNOWN_MODEL);
}
