//! Targets that are dead, full or unknown: who is left alone for it, and for how long.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tempfile::TempDir;
use tokio::net::TcpSocket;

use super::rows::rows_of;
use crate::harness::{Gateway, config, eventually, replace_file};
use crate::raw::{Request, chat};
use crate::upstream::{COMPLETION, Received, Upstream, healthy_answer, whole};

/// Requests that are made while a target is left alone.
const MEANWHILE: usize = 30;

/// Two providers with pools of both, in either order of preference.
fn two(one: &Upstream, two: &Upstream, health: &str) -> String {
    let (one, two) = (one.address, two.address);
    config(&format!(
        r#"
defaults: {{ retry: {{ attempts: 1 }}, health: {health} }}
providers:
  one: {{ dialect: openai, base_url: "http://{one}/v1", api_key: provider-secret }}
  two: {{ dialect: openai, base_url: "http://{two}/v1", api_key: provider-secret }}
models:
  pool: {{ any_of: [{{ target: one/m, weight: 1000 }}, two/m] }}
  only: {{ target: one/m }}
  other: {{ target: one/other }}
  "one/*": {{}}
"#
    ))
}

/// An upstream that answers well while its switch is on, else with this.
async fn switched(failing: Vec<u8>) -> (Upstream, Arc<AtomicBool>) {
    let is_well = Arc::new(AtomicBool::new(false));
    let switch = is_well.clone();
    let upstream = Upstream::answering(move |request| match switch.load(Ordering::SeqCst) {
        true => healthy_answer(request),
        false => failing.clone(),
    });
    (upstream.await, is_well)
}

fn error(status: u16) -> Vec<u8> {
    whole(status, "application/json", r#"{"error":{"message":"no"}}"#)
}

fn full(retry_after: &str) -> Vec<u8> {
    format!("HTTP/1.1 429 Full\r\ncontent-type: application/json\r\nretry-after: {retry_after}\r\ncontent-length: 2\r\n\r\n{{}}").into_bytes()
}

#[tokio::test]
async fn an_open_circuit_lets_nothing_through_but_probes_and_the_target_is_found_again() {
    let (dead, is_well) = switched(error(500)).await;
    let alive = Upstream::healthy().await;
    let text = two(&dead, &alive, "{ open_after: 3, probe_every: 500ms }");
    let gateway = Gateway::start(&text).await;

    let began = std::time::Instant::now();
    eventually("an open circuit", async || {
        assert_eq!(gateway.ask(chat("pool")).await.status, 200);
        (dead.received().len() >= 3).then_some(())
    })
    .await;
    let calls = dead.received().len();
    for _ in 0..MEANWHILE {
        let answer = gateway.ask(chat("pool")).await;
        assert_eq!((answer.status, answer.text()), (200, COMPLETION));
    }
    let probes = began.elapsed().as_millis() as usize / 500 + 1;
    let meanwhile = dead.received().len() - calls;
    assert!(
        meanwhile <= probes,
        "{meanwhile} calls, at most {probes} of them probes"
    );

    is_well.store(true, Ordering::SeqCst);
    dead.forget();
    let route = eventually("an answer of the target that is well again", async || {
        let answer = gateway.ask(chat("pool")).await;
        let route = answer
            .header("x-tollgate-route")
            .unwrap_or_default()
            .to_owned();
        route.starts_with("one/m").then_some(route)
    });
    assert_eq!(route.await, "one/m;ok");
    assert_eq!(dead.received().len(), 1, "the first probe finds out");
}

#[tokio::test]
async fn a_request_waits_for_a_full_target_when_all_others_have_failed() {
    let refusals = Arc::new(AtomicUsize::new(0));
    let counted = refusals.clone();
    let full = Upstream::answering(move |request: &Received| {
        match counted.fetch_add(1, Ordering::SeqCst) {
            0 => full("1"),
            _ => healthy_answer(request),
        }
    })
    .await;
    let dead = Upstream::answering(|_| error(500)).await;
    let text = two(&full, &dead, "{ open_after: 100 }");
    let text = text.replace("attempts: 1", "attempts: 2, backoff: 1ms..2ms");
    let gateway = Gateway::start(&text).await;
    let answer = gateway.ask(chat("pool")).await;
    assert_eq!((answer.status, answer.text()), (200, COMPLETION));
    let route = answer.header("x-tollgate-route").expect("a route");
    assert!(route.ends_with("two/m;500, one/m;ok"), "{route}");
    assert_eq!((full.received().len(), dead.received().len()), (2, 2));
}

#[tokio::test]
async fn when_every_circuit_is_open_callers_are_told_when_to_come_again() {
    let (one, two) = (
        Upstream::answering(|_| error(500)).await,
        Upstream::answering(|_| error(500)).await,
    );
    let text = self::two(&one, &two, "{ open_after: 3, probe_every: 1m }");
    let gateway = Gateway::start(&text).await;
    for _ in 0..3 {
        gateway
            .ask(chat("pool"))
            .await
            .assert_error(502, "upstream_error");
    }
    let answer = gateway.ask(chat("pool")).await;
    answer.assert_error(503, "no_healthy_target");
    let after = answer.header("retry-after").expect("a time");
    assert!((1..=60).contains(&after.parse().unwrap_or(0)), "{after}");
    assert_eq!((one.received().len(), two.received().len()), (3, 3));
}

#[tokio::test]
async fn what_a_full_target_has_said_is_told_to_the_next_without_a_call() {
    let full = Upstream::answering(|_| full("30")).await;
    let other = Upstream::healthy().await;
    let gateway = Gateway::start(&two(&full, &other, "{ open_after: 3 }")).await;
    for _ in 0..3 {
        let answer = gateway.ask(chat("only")).await;
        let after = answer
            .header("retry-after")
            .and_then(|after| after.parse().ok());
        assert_eq!(answer.status, 429, "{}", answer.text());
        assert!(
            after.is_some_and(|after: u64| (20..=30).contains(&after)),
            "{after:?}"
        );
    }
    let answer = gateway.ask(chat("pool")).await;
    assert_eq!(answer.header("x-tollgate-route"), Some("two/m;ok"));
    assert_eq!(full.received().len(), 1);
}

#[tokio::test]
async fn a_refused_credential_benches_all_that_are_called_with_it_and_nobody_else() {
    let refusing = Upstream::answering(|_| error(401)).await;
    let other = Upstream::healthy().await;
    let gateway = Gateway::start(&two(&refusing, &other, "{ open_after: 3 }")).await;
    gateway
        .ask(chat("only"))
        .await
        .assert_error(502, "upstream_error");
    gateway
        .ask(chat("other"))
        .await
        .assert_error(503, "no_healthy_target");
    let answer = gateway.ask(chat("pool")).await;
    assert_eq!(answer.header("x-tollgate-route"), Some("two/m;ok"));
    assert_eq!(refusing.only_request().model(), "m");
}

#[tokio::test]
async fn names_that_callers_make_up_bench_no_model_that_there_is() {
    let upstream = Upstream::answering(|request| match request.model().as_str() {
        "m" => healthy_answer(request),
        _ => error(404),
    })
    .await;
    let other = Upstream::healthy().await;
    let gateway = Gateway::start(&two(&upstream, &other, "{ open_after: 3 }")).await;
    for number in 0..10 {
        let made_up = gateway
            .ask(chat(&format!("one/made-up-{}", number % 2)))
            .await;
        assert!([404, 503].contains(&made_up.status), "{}", made_up.text());
        assert_eq!(gateway.ask(chat("only")).await.status, 200);
    }
}

#[tokio::test]
async fn an_open_circuit_stays_open_across_a_reload() {
    let dead = Upstream::answering(|_| error(500)).await;
    let other = Upstream::healthy().await;
    let text = two(&dead, &other, "{ open_after: 3, probe_every: 1m }");
    let gateway = Gateway::start(&text).await;
    for _ in 0..3 {
        assert_eq!(gateway.ask(chat("only")).await.status, 500);
    }
    let text = text.replace("weight: 1000", "weight: 999");
    replace_file(&gateway.config_path(), &text);
    let reload = Request::post("/admin/v1/reload", "").without("content-type");
    let reloaded = gateway.ask_admin(reload).await;
    assert_eq!(reloaded.json()["result"], "success", "{}", reloaded.text());
    gateway
        .ask(chat("only"))
        .await
        .assert_error(503, "no_healthy_target");
    assert_eq!(dead.received().len(), 3);
}

#[tokio::test]
async fn an_attempt_that_got_nowhere_is_booked_and_free() {
    // Bound but not listening: the port is ours, and the kernel refuses connections to it.
    let refusing = TcpSocket::new_v4().expect("a socket");
    refusing
        .bind("127.0.0.1:0".parse().expect("an address"))
        .expect("a free port");
    let alive = Upstream::healthy().await;
    let home = TempDir::new().expect("a temporary directory");
    let ledger = home.path().join("tollgate.db");
    let (refused, alive) = (
        refusing.local_addr().expect("a bound socket"),
        alive.address,
    );
    let mut gateway = Gateway::start(&config(&format!(
        r#"
ledger: "sqlite:{}"
providers:
  one: {{ dialect: openai, base_url: "http://{refused}/v1", api_key: provider-secret }}
  two: {{ dialect: openai, base_url: "http://{alive}/v1", api_key: provider-secret }}
models:
  pool: {{ chain: [{{ target: one/m }}, {{ target: two/m }}] }}
prices: {{ overrides: [{{ target: "*/m", input: 1, output: 1 }}] }}
"#,
        ledger.display()
    )))
    .await;
    let answer = gateway.ask(chat("pool")).await;
    assert_eq!(
        answer.header("x-tollgate-route"),
        Some("one/m;connect, two/m;ok")
    );
    let id = answer.header("x-request-id").expect("an id");
    gateway.signal("TERM");
    assert_eq!(gateway.exit().await.code(), Some(0));
    let rows = rows_of(&ledger).remove(id).expect("rows");
    let booked: Vec<_> = rows
        .iter()
        .map(|row| (&*row.target, row.cost_micro))
        .collect();
    assert_eq!(booked, [("one/m", Some(0)), ("two/m", Some(13))]);
}
