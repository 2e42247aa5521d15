//! The first five minutes: the command without a file, the line that it prints, and the simulated provider.

use std::net::TcpListener;
use std::process::Command;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::{Gateway, config, tollgate, within};
use crate::raw::{Answer, Request, chat, chat_stream};

#[tokio::test]
async fn the_printed_curl_line_works_when_pasted() {
    // The embedded file has fixed ports: whoever else uses them has the better right.
    let free = |port: u16| TcpListener::bind(("127.0.0.1", port)).is_ok();
    if !free(8080) || !free(8081) {
        println!("skipped: port 8080 or 8081 is taken");
        return;
    }
    let elsewhere = TempDir::new().expect("a temporary directory");
    let mut command = tollgate([]);
    command.current_dir(elsewhere.path());
    let gateway = Gateway::launch(command).await;
    assert_eq!(gateway.address.to_string(), "127.0.0.1:8080");
    let printed = gateway
        .printed("the curl line", |line| line.starts_with("curl "))
        .await;
    let output =
        tokio::task::spawn_blocking(move || Command::new("sh").args(["-c", &printed]).output());
    let output = within("the curl line", output)
        .await
        .expect("no panic")
        .expect("sh runs");
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    let events = crate::sse::events(&text);
    assert!(events.len() > 2, "{text}");
    assert!(events.last().is_some_and(|event| event.is_done()), "{text}");
    assert_eq!(
        gateway.ask(chat("fast")).await.status,
        401,
        "the tests' key is not the demo's"
    );
}

#[tokio::test]
async fn the_simulated_provider_answers_the_same_to_the_same() {
    let gateway = simulated().await;
    let first = gateway.ask(chat("demo/any-name")).await;
    let second = gateway.ask(chat("demo/any-name")).await;
    assert_eq!(first.status, 200, "{}", first.text());
    let text = first.json()["choices"][0]["message"]["content"].clone();
    assert!(text.as_str().is_some_and(|text| !text.is_empty()));
    assert_eq!(second.json()["choices"], first.json()["choices"]);
    assert!(
        first.json()["usage"]["completion_tokens"]
            .as_u64()
            .is_some_and(|tokens| tokens > 0)
    );
    let other = chat("demo/any-name").body;
    let other =
        String::from_utf8_lossy(&other).replace("Say hello.", "What is the capital of Peru?");
    let other = gateway
        .ask(Request::post("/v1/chat/completions", other))
        .await;
    assert_ne!(other.json()["choices"], first.json()["choices"]);

    let events = gateway.ask(chat_stream("demo/any-name")).await.events();
    let (done, chunks) = events.split_last().expect("events");
    assert!(done.is_done());
    let piece = |event: &crate::sse::Event| {
        event.json()["choices"][0]["delta"]["content"]
            .as_str()
            .map(str::to_owned)
    };
    let streamed: String = chunks.iter().filter_map(piece).collect();
    assert_eq!(
        Value::from(streamed),
        text,
        "a stream says what a whole answer says"
    );
}

#[tokio::test]
async fn the_simulated_provider_calls_tools_keeps_schemas_and_embeds() {
    let gateway = simulated().await;
    let parameters = json!({
        "type": "object",
        "properties": { "city": { "type": "string" }, "days": { "type": "integer", "minimum": 1, "maximum": 3 } },
        "required": ["city", "days"],
        "additionalProperties": false,
    });
    let validator = jsonschema::validator_for(&parameters).expect("a schema");
    let messages = json!([{ "role": "user", "content": "The weather in Lima?" }]);
    let function = json!({ "name": "weather", "parameters": parameters });
    let tools = json!([{ "type": "function", "function": function }]);
    let body = json!({ "model": "demo/m", "messages": messages, "tools": tools, "tool_choice": "required" });
    let choice = gateway.ask(post(&body)).await.json()["choices"][0].clone();
    assert_eq!(choice["finish_reason"], "tool_calls", "{choice}");
    let call = &choice["message"]["tool_calls"][0]["function"];
    assert_eq!(call["name"], "weather");
    let arguments: Value =
        serde_json::from_str(call["arguments"].as_str().expect("text")).expect("JSON");
    assert!(validator.is_valid(&arguments), "{arguments}");

    let schema = json!({ "name": "forecast", "strict": true, "schema": parameters });
    let format = json!({ "type": "json_schema", "json_schema": schema });
    let body = json!({ "model": "demo/m", "messages": messages, "response_format": format });
    let answer = gateway.ask(post(&body)).await.json();
    let content = answer["choices"][0]["message"]["content"]
        .as_str()
        .expect("text")
        .to_owned();
    assert!(
        validator.is_valid(&serde_json::from_str(&content).expect("JSON")),
        "{content}"
    );

    let input = |text: &str| {
        Request::post(
            "/v1/embeddings",
            json!({ "model": "demo/e", "input": text }).to_string(),
        )
    };
    let vector = |answer: Answer| {
        answer.json()["data"][0]["embedding"]
            .as_array()
            .expect("numbers")
            .clone()
    };
    let one = vector(gateway.ask(input("one")).await);
    assert!(one.len() > 1 && one.iter().all(Value::is_number));
    assert_eq!(vector(gateway.ask(input("one")).await), one);
    assert_ne!(vector(gateway.ask(input("two")).await), one);
}

#[tokio::test]
async fn reserved_models_misbehave_as_their_names_say() {
    let gateway = simulated().await;
    for status in [400, 404, 429, 500, 503] {
        for request in [
            chat(&format!("demo/error-{status}")),
            chat_stream(&format!("demo/error-{status}")),
        ] {
            let answer = gateway.ask(request).await;
            assert_eq!(answer.status, status, "{}", answer.text());
            assert!(answer.json()["error"]["message"].is_string());
        }
    }
    gateway
        .ask(chat("demo/error-401"))
        .await
        .assert_error(502, "upstream_error");
    assert_eq!(gateway.ask(chat("demo/slow-50")).await.status, 200);
    gateway
        .ask(chat("demo/slow-60000").header("x-tollgate-timeout", "200ms"))
        .await
        .assert_error(504, "upstream_timeout");
    gateway
        .ask(chat("demo/cut"))
        .await
        .assert_error(502, "upstream_error");
    gateway
        .ask(chat("demo/garbage"))
        .await
        .assert_error(502, "upstream_error");
    gateway
        .ask(chat("demo/stall").header("x-tollgate-timeout", "200ms"))
        .await
        .assert_error(504, "upstream_timeout");
    for (model, code) in [
        ("demo/cut", "upstream_error"),
        ("impatient", "upstream_timeout"),
    ] {
        let answer = gateway.ask(chat_stream(model)).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let events = answer.events();
        assert!(events.len() > 1, "it begins well: {events:?}");
        assert_eq!(
            events.last().expect("events").json()["error"]["code"],
            code,
            "{events:?}"
        );
        assert!(!events.iter().any(|event| event.is_done()));
    }
}

async fn simulated() -> Gateway {
    let yaml = r#"
providers:
  demo: { dialect: simulated, first_token: 0ms, tokens_per_second: 1000 }
models:
  "demo/*": {}
  impatient: { target: demo/stall, timeout: { between_tokens: 300ms } }
"#;
    Gateway::start(&config(yaml)).await
}

fn post(body: &Value) -> Request {
    Request::post("/v1/chat/completions", body.to_string())
}
