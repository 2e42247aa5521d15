//! A shared state: what operators see of it while it comes and goes.

#[allow(dead_code)] // the store's own tests use the rest
#[path = "../../src/access/state/tests/server.rs"]
pub mod server;

use serde_json::Value;

use crate::harness::{Gateway, ask, config, eventually, replace_file};
use crate::raw::Request;
use crate::state::server::{Redis, free_port};

/// A file with this `state`.
fn file(state: &str) -> String {
    let demo = "providers: { demo: { dialect: simulated } }\nmodels: { fast: { target: demo/x } }";
    config(&format!("state: {state}\n{demo}"))
}

async fn gateway(state: &str) -> Gateway {
    Gateway::start(&file(state)).await
}

/// What `/readyz` says.
async fn readiness(gateway: &Gateway) -> (u16, String) {
    let ready = ask(gateway.admin, Request::get("/readyz")).await;
    (ready.status, ready.text().to_owned())
}

async fn becomes_ready(gateway: &Gateway) {
    eventually("/readyz to say 200", async || {
        (readiness(gateway).await.0 == 200).then_some(())
    })
    .await;
}

async fn becomes_unready(gateway: &Gateway) {
    eventually("/readyz to say 503", async || {
        let (status, text) = readiness(gateway).await;
        let is_told = text.starts_with("state store unreachable: ");
        (status == 503 && is_told).then_some(())
    })
    .await;
}

/// The names of the replicas that a gateway knows, its own first.
async fn replicas(gateway: &Gateway) -> Vec<String> {
    let answer = gateway.ask_admin(Request::get("/admin/v1/replicas")).await;
    let answer = answer.json();
    let mut replicas = answer["replicas"].as_array().expect("a list").clone();
    replicas.sort_by_key(|replica| replica["is_self"] != Value::Bool(true));
    let name = |replica: &Value| replica["name"].as_str().expect("a name").to_owned();
    replicas.iter().map(name).collect()
}

async fn become_known(gateway: &Gateway, count: usize) -> Vec<String> {
    eventually("as many replicas", async || {
        let names = replicas(gateway).await;
        (names.len() == count).then_some(names)
    })
    .await
}

async fn forget(gateway: &Gateway, name: &str) -> u16 {
    let request = Request {
        method: "DELETE".to_owned(),
        ..Request::get(&format!("/admin/v1/replicas/{name}"))
    };
    gateway.ask_admin(request).await.status
}

#[tokio::test]
async fn a_state_that_comes_and_goes_is_seen_by_operators() {
    let mut redis = Redis::start();
    redis.kill();
    let gateway = gateway(&format!("redis://127.0.0.1:{}", redis.port)).await;
    becomes_unready(&gateway).await;
    let is_it = |line: &Value| line["msg"] == "state store not reached";
    let line = gateway.log_line("the reason", is_it).await;
    let error = line["error"].as_str().unwrap_or_default();
    assert!(error.contains("Connection refused"), "{line}");
    assert_eq!(gateway.metric("tollgate_state_up", &[]).await, 0.0);
    redis.restart();
    becomes_ready(&gateway).await;
    assert_eq!(gateway.metric("tollgate_state_up", &[]).await, 1.0);
    redis.kill();
    becomes_unready(&gateway).await;
    let lost = |line: &Value| line["msg"] == "state store lost";
    gateway.log_line("the loss", lost).await;
}

#[tokio::test]
async fn a_gateway_that_goes_on_by_itself_is_ready_without_redis() {
    let port = free_port();
    let state = format!("{{ url: 'redis://127.0.0.1:{port}', when_store_lost: local }}");
    let gateway = gateway(&state).await;
    let is_it = |line: &Value| line["msg"] == "state store not reached";
    gateway.log_line("the reason", is_it).await;
    assert_eq!(readiness(&gateway).await.0, 200);
}

#[tokio::test]
async fn a_wrong_password_is_told_and_never_shown() {
    let redis = Redis::with(&["--requirepass", "correct"]);
    let gateway = gateway(&format!("redis://:hunter2@127.0.0.1:{}", redis.port)).await;
    eventually("the reason", async || {
        readiness(&gateway)
            .await
            .1
            .contains("WRONGPASS")
            .then_some(())
    })
    .await;
    let shown = gateway.ask_admin(Request::get("/admin/v1/config")).await;
    assert!(shown.text().contains("state: \"***\""), "{}", shown.text());
    assert!(!gateway.log_text().contains("hunter2"));
}

#[tokio::test]
async fn replicas_are_listed_and_leave_when_they_end() {
    let redis = Redis::start();
    let [first, mut second, mut third] = [
        gateway(&redis.url()).await,
        gateway(&redis.url()).await,
        gateway(&redis.url()).await,
    ];
    become_known(&first, 3).await;
    second.signal("TERM");
    assert!(second.exit().await.success());
    let names = become_known(&first, 2).await;
    third.kill();
    // It may live.
    assert_eq!(forget(&first, &names[1]).await, 409);
    let value = "1,1,1,,";
    redis.command(&["HSET", "tollgate:{members}", &names[1], value]);
    // So long ago that Redis forgets it by itself.
    become_known(&first, 1).await;
    assert_eq!(forget(&first, &names[1]).await, 404);
    assert_eq!(forget(&first, "nobody").await, 404);
    assert_eq!(forget(&first, &"x".repeat(129)).await, 400);
}

#[tokio::test]
async fn another_state_needs_a_restart() {
    let redis = Redis::start();
    let gateway = gateway(&redis.url()).await;
    becomes_ready(&gateway).await;
    let other = file(&format!("{}/1", redis.url()));
    replace_file(&gateway.config_path(), &other);
    let reload = Request::post("/admin/v1/reload", "");
    let answer = gateway.ask_admin(reload).await.json();
    let needs_restart = answer["needs_restart"].as_array().cloned();
    // The file may have been put in force by itself a moment before.
    let is_told = needs_restart.is_some_and(|list| list.contains(&Value::from("state")));
    let is_it = |line: &Value| {
        let needs_restart = line["needs_restart"].as_str().unwrap_or_default();
        line["msg"] == "config reloaded" && needs_restart.contains("state")
    };
    if !is_told {
        gateway.log_line("the restart that is needed", is_it).await;
    }
}
