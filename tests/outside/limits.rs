//! Limits of requests, tokens and concurrency: who is refused, what he is told, and that it is true.

use std::time::Duration;

use tokio::task::JoinSet;

use crate::harness::{ADMIN_TOKEN, Gateway, eventually, replace_file, sha256_hex};
use crate::raw::{Answer, Request, chat, chat_stream};
use crate::upstream::Upstream;

/// A gateway whose team, key, model and provider have these limits (of YAML's flow style, or nothing).
async fn gateway(
    upstream: &Upstream,
    team: &str,
    key: &str,
    model: &str,
    provider: &str,
) -> Gateway {
    Gateway::start(&file(upstream, team, key, model, provider)).await
}

fn file(upstream: &Upstream, team: &str, key: &str, model: &str, provider: &str) -> String {
    let limits = |limits: &str| match limits {
        "" => String::new(),
        limits => format!(", limits: {limits}"),
    };
    format!(
        r#"listen: 127.0.0.1:0
admin: {{ listen: 127.0.0.1:0, token: {ADMIN_TOKEN} }}
providers:
  up: {{ dialect: openai, base_url: "http://{}/v1", api_key: k{} }}
models:
  fast: {{ target: up/m{} }}
  other: {{ target: up/m }}
teams:
  search: {{ models: "*"{}, keys: [ {{ name: prod, sha256: "{}"{} }}, {{ name: second, sha256: "{}" }} ] }}
  ads: {{ models: "*", keys: [ {{ name: ads, sha256: "{}" }} ] }}
"#,
        upstream.address,
        limits(provider),
        limits(model),
        limits(team),
        sha256_hex(crate::harness::KEY),
        limits(key),
        sha256_hex("second"),
        sha256_hex("ads"),
    )
}

fn of(key: &str, request: Request) -> Request {
    request.header("authorization", &format!("Bearer {key}"))
}

/// The seconds of `retry-after`, and the milliseconds of `retry-after-ms`.
fn retry_after(answer: &Answer) -> (u64, u64) {
    let number = |name| {
        answer
            .header(name)
            .and_then(|value| value.parse().ok())
            .expect("a number")
    };
    (number("retry-after"), number("retry-after-ms"))
}

#[tokio::test]
async fn each_limit_refuses_by_its_name_and_says_when_there_is_room() {
    let upstream = Upstream::healthy().await;
    let hourly = "{ rph: 2 }";
    for (at, whose) in [
        "team `search`",
        "key `prod`",
        "model `fast`",
        "provider `up`",
    ]
    .iter()
    .enumerate()
    {
        let mut limits = [""; 4];
        limits[at] = hourly;
        let [team, key, model, provider] = limits;
        let gateway = gateway(&upstream, team, key, model, provider).await;
        for left in ["1", "0"] {
            let answer = gateway.ask(chat("fast")).await;
            assert_eq!(answer.status, 200);
            assert_eq!(answer.header("x-ratelimit-limit-requests"), Some("2"));
            assert_eq!(answer.header("x-ratelimit-remaining-requests"), Some(left));
            assert!(
                answer
                    .header("x-ratelimit-reset-requests")
                    .unwrap()
                    .starts_with("1h0m")
            );
            assert_eq!(answer.header("x-ratelimit-limit-tokens"), None);
        }
        let refused = gateway
            .ask(chat("fast").header("x-request-id", "refused"))
            .await;
        let error = refused.assert_error(429, "rate_limit_exceeded");
        assert_eq!(error["type"], "rate_limit_error");
        let message = error["message"].as_str().unwrap();
        assert!(
            message.contains(whose) && message.contains("2 requests per hour (`rph`)"),
            "{message}"
        );
        assert_eq!(refused.header("x-ratelimit-remaining-requests"), Some("0"));
        assert_eq!(refused.header("x-should-retry"), None);
        let (seconds, milliseconds) = retry_after(&refused);
        assert!((3_500..=3_608).contains(&seconds), "{seconds}");
        assert_eq!(seconds, milliseconds.div_ceil(1_000));
        let line = gateway.request_line("refused").await;
        assert_eq!(
            (&line["error"], &line["attempts"]),
            (&"rate_limit_exceeded".into(), &0.into())
        );
        // Who does not share the limit goes on.
        let free = match at {
            0 => of("ads", chat("fast")),
            1 => of("second", chat("fast")),
            2 => chat("other"),
            _ => continue,
        };
        assert_eq!(gateway.ask(free).await.status, 200, "{whose}");
    }
}

#[tokio::test]
async fn a_refusal_comes_in_the_callers_dialect() {
    let upstream = Upstream::healthy().await;
    let gateway = gateway(&upstream, "{ rpd: 1 }", "", "", "").await;
    assert_eq!(gateway.ask(chat("fast")).await.status, 200);
    let body = r#"{"model":"fast","max_tokens":9,"messages":[{"role":"user","content":"x"}]}"#;
    let refused = gateway.ask(Request::post("/v1/messages", body)).await;
    assert_eq!(refused.status, 429);
    assert_eq!(refused.json()["error"]["type"], "rate_limit_error");
    let body = r#"{"contents":[{"role":"user","parts":[{"text":"x"}]}]}"#;
    let refused = gateway
        .ask(Request::post("/v1beta/models/fast:generateContent", body))
        .await;
    assert_eq!(refused.json()["error"]["status"], "RESOURCE_EXHAUSTED");
    assert!(retry_after(&refused).0 > 86_000);
}

#[tokio::test]
async fn who_waits_as_told_gets_in() {
    let upstream = Upstream::healthy().await;
    let gateway = gateway(&upstream, "{ rps: 3 }", "", "", "").await;
    for _ in 0..3 {
        let mut refused = None;
        for _ in 0..20 {
            let answer = gateway.ask(chat("fast")).await;
            if answer.status == 429 {
                refused = Some(answer);
                break;
            }
        }
        let (_, milliseconds) =
            retry_after(&refused.expect("twenty at once are more than three a second"));
        tokio::time::sleep(Duration::from_millis(milliseconds)).await;
        assert_eq!(gateway.ask(chat("fast")).await.status, 200);
    }
}

#[tokio::test]
async fn what_is_offered_beyond_a_limit_is_refused_and_what_is_within_it_answered() {
    let upstream = Upstream::healthy().await;
    let gateway = std::sync::Arc::new(gateway(&upstream, "{ rps: 50 }", "", "", "").await);
    let mut asking = JoinSet::new();
    for n in 0..300_u64 {
        let gateway = gateway.clone();
        asking.spawn(async move {
            tokio::time::sleep(Duration::from_millis(10 * n)).await;
            gateway.ask(chat("fast")).await.status
        });
    }
    let statuses = asking.join_all().await;
    let admitted = statuses.iter().filter(|status| **status == 200).count();
    let refused = statuses.iter().filter(|status| **status == 429).count();
    assert_eq!(admitted + refused, 300);
    // Three seconds touch four windows at most; how many less than three there are depends on the machine.
    assert!((100..=200).contains(&admitted), "{admitted}");
}

#[tokio::test]
async fn tokens_are_settled_by_what_was_used() {
    // 24 tokens each, as the upstream says.
    let upstream = Upstream::healthy().await;
    let gateway = gateway(&upstream, "{ tpd: 1000 }", "", "", "").await;
    let answer = gateway.ask(chat("fast")).await.json();
    let tokens = |kind: &str| answer["usage"][kind].as_i64().unwrap();
    let (input, output) = (tokens("prompt_tokens"), tokens("completion_tokens"));
    let used = input + output;
    // The next one finds those before it settled.
    let settled = async |asked: i64| {
        eventually("all to be settled", async || {
            let labels = [("type", "input")];
            let counted = gateway.metric("tollgate_tokens_total", &labels).await;
            (counted >= (asked * input) as f64).then_some(())
        })
        .await;
    };
    settled(1).await;
    let mut last = 1_000;
    for asked in 2..1_000 {
        let answer = gateway.ask(chat("fast")).await;
        if answer.status == 429 {
            let error = answer.assert_error(429, "rate_limit_exceeded");
            assert!(
                error["message"]
                    .as_str()
                    .unwrap()
                    .contains("1000 tokens per day (`tpd`)")
            );
            assert!(
                1_000 - (asked - 1) * used < used,
                "refused early: {asked} of {used} tokens"
            );
            return;
        }
        let left = answer
            .header("x-ratelimit-remaining-tokens")
            .unwrap()
            .parse()
            .unwrap();
        assert!(left < last, "{left}");
        last = left;
        settled(asked).await;
    }
    panic!("never refused");
}

#[tokio::test]
async fn no_more_run_at_once_than_may_and_a_queue_waits_its_turn() {
    let (upstream, finish) = Upstream::pacing().await;
    let gateway = gateway(
        &upstream,
        "",
        "{ concurrency: 2, queue: { max: 1, wait: 30s } }",
        "",
        "",
    )
    .await;
    let mut running = Vec::new();
    for _ in 0..2 {
        let mut connection = gateway.connect().await;
        connection
            .send(chat_stream("fast").bytes())
            .await
            .expect("sent");
        assert_eq!(connection.head().await.expect("a head").status, 200);
        running.push(connection);
    }
    // Of two more the queue has room for one; the other is refused.
    let (mut one, mut other) = (
        Box::pin(gateway.ask(chat("fast"))),
        Box::pin(gateway.ask(chat("fast"))),
    );
    let (refused, waiting) = tokio::select! {
        refused = &mut one => (refused, other),
        refused = &mut other => (refused, one),
    };
    let error = refused.assert_error(429, "rate_limit_exceeded");
    assert!(
        error["message"]
            .as_str()
            .unwrap()
            .contains("2 requests running at once (`concurrency`)")
    );
    assert_eq!(retry_after(&refused).0, 1);
    // Who leaves makes room, and so does who is answered.
    drop(running.pop());
    assert_eq!(waiting.await.status, 200);
    finish.send_replace(true);
    for mut connection in running {
        while connection.piece().await.expect("a piece").is_some() {}
    }
    let all = eventually("room for two", async || {
        (gateway.ask(chat("fast")).await.status == 200).then_some(())
    });
    all.await;
}

/// Every ending gives its slot back.
#[tokio::test]
async fn no_ending_leaks_a_slot() {
    let models = ["ok", "error-500", "cut", "garbage", "stall", "slow-30"];
    let gateway = Gateway::start(&format!(
        r#"listen: 127.0.0.1:0
admin: {{ listen: 127.0.0.1:0, token: {ADMIN_TOKEN} }}
providers: {{ demo: {{ dialect: simulated, first_token: 1ms, tokens_per_second: 2000 }} }}
models: {{ "demo/*": {{ timeout: {{ first_token: 100ms, between_tokens: 100ms, total: 300ms }} }} }}
teams:
  search: {{ models: "*", limits: {{ concurrency: 6, queue: {{ max: 1000, wait: 60s }} }}, keys: [ {{ name: prod, sha256: "{}" }} ] }}
"#,
        sha256_hex(crate::harness::KEY)
    ))
    .await;
    let gateway = std::sync::Arc::new(gateway);
    let mut asking = JoinSet::new();
    for n in 0..300_u64 {
        let gateway = gateway.clone();
        asking.spawn(async move {
            let model = format!("demo/{}", models[n as usize % models.len()]);
            let request = if n % 2 == 0 {
                chat(&model)
            } else {
                chat_stream(&model)
            };
            let asked = gateway.ask(request.header("x-tollgate-timeout", "250ms"));
            // A third leave before they are answered.
            let patience = if n % 3 == 0 { 5 * (n % 40) } else { 60_000 };
            let _ = tokio::time::timeout(Duration::from_millis(patience), asked).await;
        });
    }
    asking.join_all().await;
    eventually("all six slots", async || {
        let mut asking = JoinSet::new();
        for _ in 0..6 {
            let gateway = gateway.clone();
            asking.spawn(async move { gateway.ask(chat("demo/ok")).await.status });
        }
        let statuses = asking.join_all().await;
        statuses.iter().all(|status| *status == 200).then_some(())
    })
    .await;
    assert_eq!(gateway.metric("tollgate_panics_total", &[]).await, 0.0);
}

#[tokio::test]
async fn counts_live_on_across_a_reload() {
    let upstream = Upstream::healthy().await;
    let gateway = gateway(&upstream, "{ rpd: 2 }", "", "", "").await;
    assert_eq!(gateway.ask(chat("fast")).await.status, 200);
    assert_eq!(gateway.ask(chat("fast")).await.status, 200);
    replace_file(
        &gateway.config_path(),
        &file(&upstream, "{ rpd: 3 }", "", "", ""),
    );
    gateway.signal("HUP");
    let answer = eventually("the new limit", async || {
        let answer = gateway.ask(chat("fast")).await;
        (answer.status == 200).then_some(answer)
    });
    let answer = answer.await;
    assert_eq!(answer.header("x-ratelimit-limit-requests"), Some("3"));
    assert_eq!(answer.header("x-ratelimit-remaining-requests"), Some("0"));
    assert_eq!(gateway.ask(chat("fast")).await.status, 429);
}
