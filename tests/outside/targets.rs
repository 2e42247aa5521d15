//! How targets fare, as operators see it: `/admin/v1/targets`, metrics and the log.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::Value;

use crate::harness::{Gateway, config};
use crate::raw::{Request, chat};
use crate::upstream::{Upstream, healthy_answer, whole};

/// A gateway whose model `both` asks `first/m` and then `second/m`, and `alone` the first only. A circuit opens at the second
/// failure, for long.
async fn gateway(first: &Upstream, second: &Upstream) -> Gateway {
    let (first, second) = (first.address, second.address);
    Gateway::start(&config(&format!(
        r#"
defaults: {{ retry: {{ attempts: 1 }}, health: {{ open_after: 2, probe_every: 1h }} }}
providers:
  first: {{ dialect: openai, base_url: "http://{first}/v1", api_key: k }}
  second: {{ dialect: openai, base_url: "http://{second}/v1", api_key: k }}
models:
  both: {{ chain: [ {{ target: first/m }}, {{ target: second/m }} ] }}
  alone: {{ target: first/m }}
  "first/*": {{}}
"#
    )))
    .await
}

async fn failing() -> Upstream {
    Upstream::answering(|_| whole(500, "application/json", r#"{"error":{"message":"down"}}"#)).await
}

/// What is told of a target.
async fn told(gateway: &Gateway, target: &str) -> Value {
    let answer = gateway.ask_admin(Request::get("/admin/v1/targets")).await;
    assert_eq!(answer.status, 200);
    let all = answer.json();
    let mut targets = all["targets"].as_array().expect("a list").iter();
    let found = targets.find(|told| told["target"] == target);
    found.cloned().unwrap_or_else(|| panic!("{target}: {all}"))
}

#[tokio::test]
async fn a_circuit_that_opens_is_seen_everywhere_and_can_be_reset() {
    let (first, second) = (failing().await, Upstream::healthy().await);
    let gateway = gateway(&first, &second).await;
    let before = told(&gateway, "first/m").await;
    assert_eq!(before["circuit"], "closed");
    assert_eq!(
        before["models"],
        serde_json::json!(["both", "alone", "first/*"])
    );

    for _ in 0..3 {
        assert_eq!(gateway.ask(chat("both")).await.status, 200);
    }
    assert_eq!(first.received().len(), 2);
    let open = told(&gateway, "first/m").await;
    assert_eq!(open["circuit"], "open", "{open}");
    assert_eq!(
        (&open["why"], &open["opened_total"]),
        (&"failing".into(), &1.into())
    );
    let line = |line: &Value| line["msg"] == "circuit opened" && line["target"] == "first/m";
    let opened = gateway.log_line("a word of the circuit", line).await;
    assert_eq!(
        (&opened["level"], &opened["why"]),
        (&"warn".into(), &"status".into())
    );
    for (name, labels, value) in [
        (
            "tollgate_target_circuit_state",
            &[("target", "first/m")][..],
            2.0,
        ),
        ("tollgate_target_healthy", &[("target", "first/m")], 0.0),
        ("tollgate_target_healthy", &[("target", "second/m")], 1.0),
        ("tollgate_target_in_flight", &[("target", "second/m")], 0.0),
        (
            "tollgate_target_opened_total",
            &[("target", "first/m")],
            1.0,
        ),
        (
            "tollgate_attempts_total",
            &[("target", "first/m"), ("outcome", "500")],
            2.0,
        ),
        (
            "tollgate_attempts_total",
            &[("target", "second/m"), ("outcome", "ok")],
            3.0,
        ),
        (
            "tollgate_fallbacks_total",
            &[("model", "both"), ("reason", "500")],
            2.0,
        ),
    ] {
        gateway
            .metric_becomes(name, labels, |found| found == value)
            .await;
    }

    let reset = Request::post("/admin/v1/targets/first%2Fm/reset", "");
    assert_eq!(gateway.ask_admin(reset).await.status, 200);
    assert_eq!(told(&gateway, "first/m").await["circuit"], "closed");
    assert_eq!(gateway.ask(chat("both")).await.status, 200);
    assert_eq!(first.received().len(), 3);
}

#[tokio::test]
async fn targets_of_patterns_are_listed_once_asked_for_and_have_no_metrics() {
    let (first, second) = (Upstream::healthy().await, Upstream::healthy().await);
    let gateway = gateway(&first, &second).await;
    assert_eq!(gateway.ask(chat("first/other")).await.status, 200);
    let listed = told(&gateway, "first/other").await;
    assert_eq!(listed["models"], serde_json::json!(["first/*"]));
    let metrics = gateway.ask_admin(Request::get("/metrics")).await;
    let mut lines = metrics.text().lines();
    assert!(!lines.any(|line| line.contains("tollgate_target") && line.contains("first/other")));
}

#[tokio::test]
async fn a_target_that_is_not_there_cannot_be_reset_and_the_nearest_is_named() {
    let (first, second) = (Upstream::healthy().await, Upstream::healthy().await);
    let gateway = gateway(&first, &second).await;
    let reset = Request::post("/admin/v1/targets/frist%2Fm/reset", "");
    let answer = gateway.ask_admin(reset).await;
    assert_eq!(answer.status, 404);
    assert!(answer.text().contains("`first/m`"), "{}", answer.text());
    let stranger = Request::get("/admin/v1/targets").header("authorization", "Bearer nobody");
    let answer = crate::harness::ask(gateway.admin, stranger).await;
    assert_eq!(answer.status, 401);
}

/// The only target is waited for as it says, and then asked once more.
#[tokio::test]
async fn who_is_told_to_come_again_comes_again() {
    let calls = Arc::new(AtomicUsize::new(0));
    let upstream = Upstream::answering(move |request| {
        if calls.fetch_add(1, Ordering::Relaxed) > 0 {
            return healthy_answer(request);
        }
        let answer = whole(
            429,
            "application/json",
            r#"{"error":{"message":"slow down"}}"#,
        );
        let answer = String::from_utf8(answer).expect("text");
        answer
            .replacen("\r\n", "\r\nretry-after: 1\r\n", 1)
            .into_bytes()
    })
    .await;
    let address = upstream.address;
    let gateway = Gateway::start(&config(&format!(
        r#"
defaults: {{}}
providers:
  up: {{ dialect: openai, base_url: "http://{address}/v1", api_key: k }}
models:
  fast: {{ target: up/m }}
"#
    )))
    .await;
    let answer = gateway.ask(chat("fast")).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(upstream.received().len(), 2);
    assert_eq!(answer.header("x-tollgate-route"), Some("up/m;429, up/m;ok"));
}
