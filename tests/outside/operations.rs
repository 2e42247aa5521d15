//! What operators see: metrics, probes, the log, the configuration in force; and what nobody may see.

use crate::harness::{ADMIN_TOKEN, Gateway, KEY, ask, config, sha256_hex};
use crate::raw::{Request, chat, chat_stream};
use crate::upstream::{COMPLETION, Upstream};

#[tokio::test]
async fn each_request_leaves_one_log_line_with_everything_but_its_content() {
    let upstream = Upstream::healthy().await;
    let gateway = Gateway::start(&config(&upstream.as_provider("up"))).await;
    gateway
        .ask(chat("up/m-1").header("x-request-id", "whole"))
        .await;
    gateway
        .ask(chat_stream("up/m-1").header("x-request-id", "streamed"))
        .await;
    gateway
        .ask(chat("nope").header("x-request-id", "refused"))
        .await;
    gateway
        .ask(
            chat("up/m-1")
                .without("authorization")
                .header("x-request-id", "anonymous"),
        )
        .await;

    let whole = gateway.request_line("whole").await;
    let fields = [
        "ts",
        "level",
        "msg",
        "request_id",
        "team",
        "key",
        "model",
        "target",
        "status",
        "attempts",
        "input_tokens",
        "output_tokens",
        "cost_usd",
        "duration_ms",
        "error",
    ];
    for id in ["whole", "streamed", "refused", "anonymous"] {
        let line = gateway.request_line(id).await;
        let missing: Vec<_> = fields
            .iter()
            .filter(|field| line.get(field).is_none())
            .collect();
        assert!(missing.is_empty(), "{missing:?} in {line}");
        assert!(
            line["duration_ms"].is_number() && line["ts"].is_string(),
            "{line}"
        );
    }
    for (field, value) in [
        ("team", "search"),
        ("key", "prod"),
        ("model", "up/m-1"),
        ("target", "up/m-1"),
    ] {
        assert_eq!(whole[field], value, "{whole}");
    }
    for (field, value) in [
        ("status", 200),
        ("attempts", 1),
        ("input_tokens", 9),
        ("output_tokens", 4),
    ] {
        assert_eq!(whole[field], value, "{whole}");
    }
    assert!(
        whole["error"].is_null() && whole["cost_usd"].is_null(),
        "{whole}"
    );
    let refused = gateway.request_line("refused").await;
    assert_eq!(
        (&refused["status"], &refused["error"]),
        (&404.into(), &"model_not_found".into()),
        "{refused}"
    );
    let anonymous = gateway.request_line("anonymous").await;
    assert_eq!(
        (&anonymous["status"], &anonymous["error"]),
        (&401.into(), &"invalid_api_key".into()),
        "{anonymous}"
    );
    assert!(
        anonymous["team"].is_null() && anonymous["key"].is_null(),
        "{anonymous}"
    );

    let lines = gateway
        .log_lines()
        .into_iter()
        .filter(|line| line["msg"] == "request")
        .count();
    assert_eq!(lines, 4, "one a request");
    let text = gateway.log_text();
    for secret in [
        KEY,
        "provider-secret",
        ADMIN_TOKEN,
        "Say hello",
        "Caf",
        &sha256_hex(KEY),
    ] {
        assert!(!text.contains(secret), "{secret:?} in {text}");
    }
}

#[tokio::test]
async fn metrics_count_requests_by_team_model_target_and_status() {
    let upstream = Upstream::healthy().await;
    let gateway = Gateway::start(&config(&upstream.as_provider("up"))).await;
    for _ in 0..3 {
        assert_eq!(gateway.ask(chat("up/m-1")).await.text(), COMPLETION);
    }
    for number in 0..500 {
        gateway
            .ask(chat(&format!("made-up-{number}")))
            .await
            .assert_error(404, "model_not_found");
    }
    let served = [("team", "search"), ("target", "up/m-1"), ("status", "200")];
    gateway
        .metric_becomes("tollgate_requests_total", &served, |count| count == 3.0)
        .await;
    gateway
        .metric_becomes("tollgate_requests_total", &[("status", "404")], |count| {
            count == 500.0
        })
        .await;
    let counted = gateway
        .metric(
            "tollgate_request_duration_seconds_count",
            &[("target", "up/m-1")],
        )
        .await;
    assert_eq!(counted, 3.0);
    assert!(gateway.metric("process_resident_memory_bytes", &[]).await > 1e6);
    assert!(gateway.metric("process_open_fds", &[]).await > 3.0);
    assert_eq!(
        gateway
            .metric("tollgate_log_lines_dropped_total", &[])
            .await,
        0.0
    );
    let scraped = ask(gateway.admin, Request::get("/metrics")).await;
    assert!(
        scraped
            .header("content-type")
            .is_some_and(|value| value.starts_with("text/plain"))
    );
    assert!(
        !scraped.text().contains("made-up-"),
        "a label that callers choose grows without bound"
    );
    assert!(!scraped.text().contains(KEY));
}

#[tokio::test]
async fn the_configuration_in_force_is_shown_without_its_secrets() {
    let upstream = Upstream::healthy().await;
    let gateway = Gateway::start(&config(&upstream.as_provider("up"))).await;
    let answer = gateway.ask_admin(Request::get("/admin/v1/config")).await;
    assert_eq!(answer.status, 200);
    let yaml: serde_json::Value = serde_yaml::from_str(answer.text()).expect("YAML");
    assert_eq!(
        yaml["providers"]["up"]["dialect"],
        "openai",
        "{}",
        answer.text()
    );
    for secret in ["provider-secret", ADMIN_TOKEN] {
        assert!(!answer.text().contains(secret), "{}", answer.text());
    }
    assert_eq!(
        ask(gateway.admin, Request::get("/admin/v1/config"))
            .await
            .status,
        401
    );
}

#[tokio::test]
async fn each_plane_serves_its_own_paths_only() {
    let upstream = Upstream::healthy().await;
    let gateway = Gateway::start(&config(&upstream.as_provider("up"))).await;
    for path in ["/healthz", "/readyz", "/metrics"] {
        assert_eq!(
            ask(gateway.admin, Request::get(path).without("authorization"))
                .await
                .status,
            200,
            "{path}"
        );
    }
    for path in ["/metrics", "/admin/v1/config", "/readyz"] {
        gateway
            .ask(Request::get(path))
            .await
            .assert_error(404, "unknown_endpoint");
    }
    assert_eq!(gateway.ask_admin(chat("up/m-1")).await.status, 404);
}

#[tokio::test]
async fn a_stream_that_breaks_off_is_counted_though_its_status_was_200() {
    let providers =
        "providers: { demo: { dialect: simulated } }\nmodels: { cut: { target: demo/cut } }";
    let gateway = Gateway::start(&config(providers)).await;
    let answer = gateway.ask(chat_stream("cut")).await;
    assert_eq!(answer.status, 200);
    let broken = [
        ("model", "cut"),
        ("target", "demo/cut"),
        ("error", "upstream_error"),
    ];
    gateway
        .metric_becomes("tollgate_stream_errors_total", &broken, |count| {
            count == 1.0
        })
        .await;
}
