//! What providers say of their own limits: whoever they would refuse is refused at once, and nobody else.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use chrono::{SecondsFormat, TimeDelta, Utc};

use crate::harness::{Gateway, config, eventually};
use crate::raw::{Answer, Request, chat, chat_stream};
use crate::upstream::{Received, Upstream, healthy_answer, whole};

const MESSAGE: &str = r#"{"id":"msg_1","type":"message","role":"assistant","model":"m","content":[{"type":"text","text":"Hello."}],"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":9,"output_tokens":4}}"#;

/// A healthy answer, of the dialect in which was asked, with these fields.
fn with(request: &Received, fields: &[(&str, String)]) -> Vec<u8> {
    let answer = match request.path.ends_with("/messages") {
        true => whole(200, "application/json", MESSAGE),
        false => healthy_answer(request),
    };
    add(answer, fields)
}

/// An answer with further fields.
fn add(answer: Vec<u8>, fields: &[(&str, String)]) -> Vec<u8> {
    let end = memchr::memmem::find(&answer, b"\r\n").expect("a status line") + 2;
    let (status, rest) = answer.split_at(end);
    let fields = fields
        .iter()
        .map(|(name, value)| format!("{name}: {value}\r\n"));
    let fields: String = fields.collect();
    [status, fields.as_bytes(), rest].concat()
}

/// An upstream that answers by the number of the request, from 1 on.
async fn numbered(answer: impl Fn(u64, &Received) -> Vec<u8> + Clone + Send + 'static) -> Upstream {
    let count = Arc::new(AtomicU64::new(0));
    Upstream::answering(move |request| {
        let number = count.fetch_add(1, Ordering::Relaxed) + 1;
        answer(number, request)
    })
    .await
}

/// What is left of the requests of an hour in which there are so many.
fn openai(limit: u64, used: u64) -> [(&'static str, String); 3] {
    [
        ("x-ratelimit-limit-requests", limit.to_string()),
        (
            "x-ratelimit-remaining-requests",
            limit.saturating_sub(used).to_string(),
        ),
        ("x-ratelimit-reset-requests", "1h0m0s".to_owned()),
    ]
}

fn anthropic(limit: u64, used: u64) -> [(&'static str, String); 3] {
    let reset = Utc::now() + TimeDelta::hours(1);
    [
        ("anthropic-ratelimit-requests-limit", limit.to_string()),
        (
            "anthropic-ratelimit-requests-remaining",
            limit.saturating_sub(used).to_string(),
        ),
        (
            "anthropic-ratelimit-requests-reset",
            reset.to_rfc3339_opts(SecondsFormat::Secs, true),
        ),
    ]
}

/// The upstream as the provider `up`, by `up/*` and as the model `fast`.
fn file(upstream: &Upstream, dialect: &str, limits: &str) -> String {
    config(&format!(
        r#"
providers:
  up: {{ dialect: {dialect}, base_url: "http://{}/v1", api_key: k{limits} }}
models:
  fast: {{ target: up/m }}
  "up/*": {{}}
"#,
        upstream.address
    ))
}

fn message(model: &str) -> Request {
    let body = format!(
        r#"{{"model":"{model}","max_tokens":9,"messages":[{{"role":"user","content":"Say hello."}}]}}"#
    );
    Request::post("/v1/messages", body)
}

/// The milliseconds after which is room.
fn wait(refused: &Answer) -> u64 {
    let number = |name| refused.header(name)?.parse::<u64>().ok();
    let (seconds, milliseconds) = (number("retry-after"), number("retry-after-ms"));
    let milliseconds = milliseconds.expect("a number");
    assert_eq!(seconds, Some(milliseconds.div_ceil(1_000)));
    milliseconds
}

#[tokio::test]
async fn what_a_provider_would_refuse_is_not_sent() {
    for dialect in ["openai", "anthropic"] {
        let answer = move |number, request: &Received| match dialect {
            "openai" => with(request, &openai(2, number)),
            _ => with(request, &anthropic(2, number)),
        };
        let upstream = numbered(answer).await;
        let gateway = Gateway::start(&file(&upstream, dialect, "")).await;
        assert_eq!(gateway.ask(chat("fast")).await.status, 200);
        // One who names the target takes of the same.
        assert_eq!(gateway.ask(message("up/m")).await.status, 200);

        let refused = gateway.ask(chat("fast")).await;
        let error = refused.assert_error(429, "rate_limit_exceeded");
        assert_eq!(error["type"], "rate_limit_error");
        let text = error["message"].as_str().expect("a message");
        for word in ["provider `up` says", "2 requests", "`m`"] {
            assert!(text.contains(word), "{text}");
        }
        assert!((1..=60_000).contains(&wait(&refused)));
        assert_eq!(refused.header("x-should-retry"), None);
        let refused = gateway.ask(message("up/m")).await;
        assert_eq!(refused.status, 429);
        assert_eq!(refused.json()["error"]["type"], "rate_limit_error");
        assert_eq!(gateway.ask(chat_stream("fast")).await.status, 429);
        assert_eq!(upstream.received().len(), 2, "{dialect}");
    }
}

#[tokio::test]
async fn operators_see_what_a_provider_says_and_a_reload_forgets_nothing() {
    let upstream = numbered(|number, request| with(request, &openai(1, number))).await;
    let gateway = Gateway::start(&file(&upstream, "openai", "")).await;
    assert_eq!(gateway.ask(chat("fast")).await.status, 200);
    let refused = chat("fast").header("x-request-id", "refused");
    assert_eq!(gateway.ask(refused).await.status, 429);
    let line = gateway.request_line("refused").await;
    assert_eq!(
        (&line["error"], &line["attempts"]),
        (&"rate_limit_exceeded".into(), &0.into())
    );
    let labels = [("provider", "up"), ("model", "m"), ("unit", "requests")];
    for (metric, labels, expected) in [
        ("tollgate_provider_ratelimit_limit", &labels[..], 1.0),
        ("tollgate_provider_ratelimit_remaining", &labels, 0.0),
        (
            "tollgate_requests_total",
            &[("model", "fast"), ("status", "429")],
            1.0,
        ),
    ] {
        let is_it = |value| value == expected;
        gateway.metric_becomes(metric, labels, is_it).await;
    }
    let reloaded = gateway.ask_admin(Request::post("/admin/v1/reload", ""));
    assert_eq!(reloaded.await.json()["result"], "success");
    assert_eq!(gateway.ask(chat("fast")).await.status, 429);
    assert_eq!(upstream.received().len(), 1);
    // Another model has limits of its own.
    assert_eq!(gateway.ask(chat("up/other")).await.status, 200);
}

#[tokio::test]
async fn a_burst_is_not_sent_beyond_what_is_left() {
    let upstream = numbered(|number, request| match number {
        1 => with(request, &openai(5, 1)),
        _ => with(request, &[]),
    })
    .await;
    let gateway = Gateway::start(&file(&upstream, "openai", "")).await;
    assert_eq!(gateway.ask(chat("fast")).await.status, 200);
    let asking: tokio::task::JoinSet<u16> = (0..20)
        .map(|n| {
            let address = gateway.address;
            let request = if n % 2 == 0 {
                chat("fast")
            } else {
                chat_stream("fast")
            };
            async move { crate::harness::ask(address, request).await.status }
        })
        .collect();
    let statuses = asking.join_all().await;
    let refused = statuses.iter().filter(|status| **status == 429).count();
    assert_eq!(refused, 16, "{statuses:?}");
    assert_eq!(upstream.received().len(), 5);
}

#[tokio::test]
async fn tokens_are_limited_too() {
    // So late that not one token comes back in the meantime.
    let left = |kind: &'static str, remaining: u64| {
        [
            (
                format!("anthropic-ratelimit-{kind}-limit"),
                50_000.to_string(),
            ),
            (
                format!("anthropic-ratelimit-{kind}-remaining"),
                remaining.to_string(),
            ),
            (
                format!("anthropic-ratelimit-{kind}-reset"),
                (Utc::now() + TimeDelta::hours(20_000)).to_rfc3339(),
            ),
        ]
    };
    for (kind, words) in [
        ("tokens", "50000 tokens"),
        ("input-tokens", "50000 input tokens"),
    ] {
        let upstream = numbered(move |number, request| {
            let fields = left(kind, if number < 3 { 20_000 } else { 0 });
            let fields = fields
                .each_ref()
                .map(|(name, value)| (name.as_str(), value.clone()));
            with(request, &fields)
        });
        let upstream = upstream.await;
        let gateway = Gateway::start(&file(&upstream, "anthropic", "")).await;
        for _ in 0..3 {
            assert_eq!(gateway.ask(message("fast")).await.status, 200);
        }
        let error = gateway.ask(chat("fast")).await;
        let error = error.assert_error(429, "rate_limit_exceeded");
        let text = error["message"].as_str().expect("a message");
        assert!(text.contains(words), "{text}");
        assert_eq!(upstream.received().len(), 3);
    }
}

#[tokio::test]
async fn who_waits_as_told_is_sent() {
    let upstream = numbered(|_, request| {
        let fields = [
            ("x-ratelimit-limit-requests", "1".to_owned()),
            ("x-ratelimit-remaining-requests", "0".to_owned()),
            ("x-ratelimit-reset-requests", "1".to_owned()),
        ];
        with(request, &fields)
    })
    .await;
    let gateway = Gateway::start(&file(&upstream, "openai", "")).await;
    for _ in 0..3 {
        let refused = eventually("a refusal", async || {
            let answer = gateway.ask(chat("fast")).await;
            (answer.status == 429).then_some(answer)
        });
        let delay = wait(&refused.await);
        assert!(delay <= 1_000, "{delay}");
        upstream.forget();
        tokio::time::sleep(Duration::from_millis(delay)).await;
        assert_eq!(gateway.ask(chat("fast")).await.status, 200);
        assert_eq!(upstream.received().len(), 1);
    }
}

#[tokio::test]
async fn who_is_refused_by_the_provider_is_not_sent_before_it_said() {
    for (dialect, status, code, kind) in [
        ("openai", 429, "rate_limit_exceeded", "rate_limit_error"),
        ("anthropic", 529, "overloaded", "overloaded_error"),
        ("anthropic", 503, "overloaded", "overloaded_error"),
    ] {
        let upstream = numbered(move |number, request| {
            let body = r#"{"type":"error","error":{"type":"busy","message":"busy"}}"#;
            let refusal = whole(status, "application/json", body);
            match number {
                1 => add(refusal, &[("retry-after", "50".to_owned())]),
                2 => add(refusal, &[("retry-after-ms", "200".to_owned())]),
                _ => with(request, &[]),
            }
        })
        .await;
        let gateway = Gateway::start(&file(&upstream, dialect, "")).await;
        let own = gateway.ask(chat("fast")).await;
        assert_eq!(
            (own.status, own.header("retry-after")),
            (status, Some("50"))
        );
        for _ in 0..3 {
            let refused = gateway.ask(chat("fast")).await;
            let error = refused.assert_error(status, code);
            let text = error["message"].as_str().expect("a message");
            let told = format!("`m` with status {status}");
            assert!(text.contains("`up`") && text.contains(&told), "{text}");
            assert!((1..=50_000).contains(&wait(&refused)));
            let refused = gateway.ask(message("fast")).await;
            assert_eq!(refused.status, status);
            assert_eq!(refused.json()["error"]["type"], kind);
        }
        assert_eq!(upstream.received().len(), 1);
        // Another model is not closed by that, but by its own; and is asked again when it said.
        assert_eq!(gateway.ask(chat("up/other")).await.status, status);
        eventually("an answer", async || {
            (gateway.ask(chat("up/other")).await.status == 200).then_some(())
        })
        .await;
        assert_eq!(upstream.received().len(), 3);
    }
}

#[tokio::test]
async fn who_does_not_learn_sends_everything() {
    let upstream = numbered(|number, request| match number {
        1 => with(request, &openai(1, 1)),
        _ => {
            let fields = [("retry-after", "17".to_owned())];
            add(whole(429, "application/json", "{}"), &fields)
        }
    })
    .await;
    let limits = ", limits: { learn: false }";
    let gateway = Gateway::start(&file(&upstream, "openai", limits)).await;
    assert_eq!(gateway.ask(chat("fast")).await.status, 200);
    for _ in 0..3 {
        assert_eq!(gateway.ask(chat("fast")).await.text(), "{}");
    }
    assert_eq!(upstream.received().len(), 4);
    let metric = gateway.metric("tollgate_provider_ratelimit_limit", &[]);
    assert_eq!(metric.await, 0.0);
}

#[tokio::test]
async fn a_refusal_takes_nothing_from_the_callers_own_limits() {
    let upstream = numbered(|number, request| with(request, &openai(1, number))).await;
    let team = "models: \"*\"\n";
    let limited = format!("{team}    limits: {{ rpd: 10 }}\n");
    let text = file(&upstream, "openai", "").replace(team, &limited);
    let gateway = Gateway::start(&text).await;
    assert_eq!(gateway.ask(chat("fast")).await.status, 200);
    for _ in 0..3 {
        let refused = gateway.ask(chat("fast")).await;
        refused.assert_error(429, "rate_limit_exceeded");
    }
    let other = gateway.ask(chat("up/other")).await;
    assert_eq!(other.status, 200);
    assert_eq!(other.header("x-ratelimit-remaining-requests"), Some("8"));
}

#[tokio::test]
async fn what_is_never_sent_takes_nothing() {
    let upstream = numbered(|number, request| with(request, &openai(2, number))).await;
    let gateway = Gateway::start(&file(&upstream, "openai", "")).await;
    assert_eq!(gateway.ask(chat("fast")).await.status, 200);
    for _ in 0..3 {
        let mistaken = chat("fast").header("x-tollgate-timeout", "soon");
        assert_eq!(gateway.ask(mistaken).await.status, 400);
    }
    assert_eq!(gateway.ask(chat("fast")).await.status, 200);
    assert_eq!(gateway.ask(chat("fast")).await.status, 429);
}
