//! Who lacks what a request needs is not asked, where another can do it.

use serde_json::{Value, json};

use super::Stage;
use crate::raw::Request;

/// Of these, by its name, `gpt-3.5-turbo` is known to call tools, and to lack all else.
const MODELS: &str = r#"
  smart: { chain: [{ target: up/gpt-3.5-turbo }, { target: up/good }] }
  pool: { any_of: [{ target: up/says-todo, weight: 1000, lacks: [tools, images] }, up/good] }
  neither: { any_of: [{ target: up/says-todo, lacks: [images] }, up/gpt-3.5-turbo] }
  trusted: { chain: [{ any_of: [{ target: up/gpt-3.5-turbo, lacks: [] }] }, { target: up/good }] }
  single: { target: up/gpt-3.5-turbo }
  broken: { chain: [{ target: up/gpt-3.5-turbo }, { target: up/dead }] }
"#;

fn chat(model: &str) -> Value {
    json!({"model": model, "messages": [{"role": "user", "content": "What is it?"}]})
}

fn with_image(model: &str) -> Value {
    let mut body = chat(model);
    body["messages"][0]["content"] = json!([
        {"type": "text", "text": "What is it?"},
        {"type": "image_url", "image_url": {"url": "https://example.test/a.png"}},
    ]);
    body
}

fn with_tools(model: &str) -> Value {
    let mut body = chat(model);
    body["tools"] = json!([{"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}]);
    body
}

fn with_schema(model: &str) -> Value {
    let mut body = chat(model);
    let schema = json!({"type": "object", "properties": {}, "additionalProperties": false});
    body["response_format"] =
        json!({"type": "json_schema", "json_schema": {"name": "answer", "schema": schema}});
    body
}

impl Stage {
    /// Whom the upstream was asked for, by a request that was answered well.
    async fn asked_by(&self, path: &str, body: &Value) -> Vec<String> {
        self.upstream.forget();
        let request = Request::post(path, body.to_string());
        let answer = self.gateway.ask(request).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        self.asked()
    }

    async fn asked_by_chat(&self, body: &Value) -> Vec<String> {
        self.asked_by("/v1/chat/completions", body).await
    }
}

#[tokio::test]
async fn a_chain_begins_at_the_step_that_can() {
    let stage = Stage::set(MODELS).await;
    assert_eq!(stage.asked_by_chat(&chat("smart")).await, ["gpt-3.5-turbo"]);
    let tools = with_tools("smart");
    assert_eq!(stage.asked_by_chat(&tools).await, ["gpt-3.5-turbo"]);
    assert_eq!(stage.asked_by_chat(&with_image("smart")).await, ["good"]);
    assert_eq!(stage.asked_by_chat(&with_schema("smart")).await, ["good"]);
}

#[tokio::test]
async fn a_picture_is_seen_in_another_dialect_too() {
    let stage = Stage::set(MODELS).await;
    let source = json!({"type": "base64", "media_type": "image/png", "data": "AAAA"});
    let mut body = chat("smart");
    body["max_tokens"] = 100.into();
    let path = "/v1/messages";
    assert_eq!(stage.asked_by(path, &body).await, ["gpt-3.5-turbo"]);
    body["messages"][0]["content"] = json!([{"type": "image", "source": source}]);
    assert_eq!(stage.asked_by(path, &body).await, ["good"]);
}

#[tokio::test]
async fn of_several_those_are_picked_that_can() {
    let stage = Stage::set(MODELS).await;
    for _ in 0..10 {
        assert_eq!(stage.asked_by_chat(&with_tools("pool")).await, ["good"]);
        assert_eq!(stage.asked_by_chat(&with_image("pool")).await, ["good"]);
    }
    // Nothing is said of schemas, so the weights decide: a thousand to one.
    let mut asked = Vec::new();
    for _ in 0..10 {
        asked.extend(stage.asked_by_chat(&with_schema("pool")).await);
    }
    assert!(asked.contains(&"says-todo".to_owned()), "{asked:?}");
}

#[tokio::test]
async fn where_nobody_can_the_provider_has_the_last_word() {
    let stage = Stage::set(MODELS).await;
    for model in ["neither", "single"] {
        assert_eq!(stage.asked_by_chat(&with_image(model)).await.len(), 1);
    }
}

#[tokio::test]
async fn what_a_file_says_goes_before_what_is_known() {
    let stage = Stage::set(MODELS).await;
    let asked = stage.asked_by_chat(&with_image("trusted")).await;
    assert_eq!(asked, ["gpt-3.5-turbo"]);
}

#[tokio::test]
async fn who_cannot_is_not_asked_when_who_can_fails() {
    let stage = Stage::set(MODELS).await;
    let body = with_image("broken").to_string();
    let answer = stage
        .gateway
        .ask(Request::post("/v1/chat/completions", body))
        .await;
    assert_eq!(answer.status, 500, "{}", answer.text());
    assert!(stage.asked().iter().all(|model| model == "dead"));
}
