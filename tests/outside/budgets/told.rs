//! What operators and webhooks hear of budgets.

use serde_json::Value;

use super::{Provider, Stage};
use crate::harness::eventually;
use crate::upstream::{Upstream, whole};

#[tokio::test]
async fn each_share_is_told_once_in_the_log_the_metrics_and_to_the_webhook() {
    let provider = Provider::start().await;
    let hook = Upstream::answering(|_| whole(204, "text/plain", "")).await;
    let team = format!(
        "budget: {{ usd: 0.001, per: month, floor_tokens: 1, alert_at: [0.5, 0.8, 1], webhook: {{ url: \"http://{}/hook?token=hidden\", secret: whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw }} }}",
        hook.address
    );
    let mut stage = Stage::set(&provider, &team, "").await;
    for tokens in [499, 1, 1, 400, 99] {
        assert_eq!(stage.ask("fast", tokens).await.status, 200);
    }
    let posted = eventually("three alerts", async || {
        let received = hook.received();
        (received.len() == 3).then_some(received)
    });
    let thresholds: Vec<Value> = posted
        .await
        .iter()
        .map(|post| {
            assert!(
                post.header("webhook-signature")
                    .is_some_and(|signature| signature.starts_with("v1,"))
            );
            let alert = post.json();
            assert_eq!(alert["type"], "budget.threshold_reached");
            assert_eq!(alert["data"]["team"], "search");
            alert["data"]["threshold"].clone()
        })
        .collect();
    assert_eq!(thresholds.len(), 3, "{thresholds:?}");
    let lines: Vec<Value> = stage
        .gateway()
        .log_lines()
        .into_iter()
        .filter(|line| line["msg"] == "budget threshold reached")
        .collect();
    let told: Vec<_> = lines
        .iter()
        .map(|line| line["threshold"].as_str().unwrap())
        .collect();
    assert_eq!(told, ["0.5", "0.8", "1"]);
    assert_eq!(lines[0]["spent_usd"], "0.0005");
    assert!(!stage.gateway().log_text().contains("hidden"));
    let labels = [
        ("team", "search"),
        ("key", ""),
        ("model", ""),
        ("per", "month"),
    ];
    assert_eq!(
        stage
            .gateway()
            .metric("tollgate_budget_alerts_total", &[("team", "search")])
            .await,
        3.0
    );
    assert_eq!(
        stage
            .gateway()
            .metric("tollgate_budget_spent_usd", &labels)
            .await,
        0.001
    );
    assert_eq!(
        stage
            .gateway()
            .metric("tollgate_budget_limit_usd", &labels)
            .await,
        0.001
    );
    // The next process does not tell them again.
    stage.end().await;
    stage.start().await;
    stage
        .ask("fast", 1)
        .await
        .assert_error(429, "insufficient_quota");
    assert!(
        !stage
            .gateway()
            .log_text()
            .contains("budget threshold reached")
    );
}

#[tokio::test]
async fn a_budget_that_only_tells_refuses_nothing() {
    let provider = Provider::start().await;
    let stage = Stage::set(
        &provider,
        "budget: { usd: 0.0001, per: month, when_spent: alert }",
        "",
    )
    .await;
    for _ in 0..3 {
        assert_eq!(stage.ask("fast", 100).await.status, 200);
    }
    assert_eq!(stage.ask("free", 100).await.status, 200);
    let line = stage
        .gateway()
        .log_line("the alert", |line| {
            line["msg"] == "budget threshold reached"
        })
        .await;
    assert_eq!(line["threshold"], "1");
    let standing = &stage.budgets().await[0];
    assert_eq!(
        (&standing["spent_usd"], &standing["when_spent"]),
        (&"0.0003".into(), &"alert".into())
    );
}
