//! Azure OpenAI on either side: its client's paths, and its servers' paths and credential.

use crate::harness::{Gateway, KEY, config};
use crate::raw::{Request, chat, chat_stream};
use crate::upstream::{COMPLETION, FRAMES, Upstream};

#[tokio::test]
async fn azures_client_names_the_model_in_the_path() {
    let upstream = Upstream::healthy().await;
    let gateway = Gateway::start(&config(&upstream.as_provider("up"))).await;
    for deployment in ["up/m-1", "up%2Fm-1"] {
        for operation in ["chat/completions", "completions", "embeddings"] {
            upstream.forget();
            let path =
                format!("/openai/deployments/{deployment}/{operation}?api-version=2024-10-21");
            let body = r#"{"messages":[],"temperature":1.0}"#;
            let request = Request::post(&path, body)
                .without("authorization")
                .header("api-key", KEY);
            let answer = gateway.ask(request).await;
            assert_eq!(answer.text(), COMPLETION, "{path}");
            let arrived = upstream.only_request();
            assert_eq!(arrived.path, format!("/v1/{operation}"));
            assert_eq!(arrived.model(), "m-1");
            assert!(
                String::from_utf8_lossy(&arrived.body)
                    .contains(r#""messages":[],"temperature":1.0"#)
            );
        }
    }
    let path = "/openai/deployments/nope/chat/completions?api-version=2024-10-21";
    gateway
        .ask(Request::post(path, r#"{"messages":[]}"#))
        .await
        .assert_error(404, "model_not_found");
}

#[tokio::test]
async fn an_azure_provider_is_asked_by_its_own_paths() {
    let upstream = Upstream::healthy().await;
    let address = upstream.address;
    let gateway = Gateway::start(&config(&format!(
        r#"
providers:
  azure: {{ dialect: openai, azure: {{ api_version: "2024-10-21" }}, base_url: "http://{address}", api_key: azure-secret }}
models:
  fast: {{ target: azure/gpt-5-mini }}
"#
    )))
    .await;
    let embeddings = Request::post("/v1/embeddings", r#"{"model":"fast","input":"x"}"#);
    for (request, operation, expected) in [
        (chat("fast"), "chat/completions", COMPLETION.to_owned()),
        (chat_stream("fast"), "chat/completions", FRAMES.concat()),
        (embeddings, "embeddings", COMPLETION.to_owned()),
    ] {
        upstream.forget();
        let answer = gateway.ask(request).await;
        assert_eq!(answer.text(), expected);
        let arrived = upstream.only_request();
        assert_eq!(
            arrived.path,
            format!("/openai/deployments/gpt-5-mini/{operation}?api-version=2024-10-21")
        );
        assert_eq!(arrived.header("api-key"), Some("azure-secret"));
        assert_eq!(arrived.header("authorization"), None);
    }
}
