//! Gates that ask models: what that costs is the request's, too.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rusqlite::{Connection, OpenFlags};
use serde_json::json;
use tempfile::TempDir;

use super::provider::{GOOD, TOKENS};
use super::{Stage, configuration, provider};
use crate::harness::{Gateway, config, eventually};
use crate::raw::{chat, chat_stream};
use crate::upstream::{Received, Upstream, whole};

/// What an answer costs, in pico-dollars: a dollar for a million tokens.
const ANSWER_PICO: u64 = TOKENS * 1_000_000;

#[tokio::test]
async fn what_a_judge_and_an_agreement_cost_is_booked_and_told() {
    let upstream = Upstream::answering(provider::answer).await;
    let home = TempDir::new().expect("a temporary directory");
    let ledger = home.path().join("tollgate.db");
    let text = configuration(
        &upstream,
        r#"
  strict: { target: up/scores-low }
  mild: { target: up/scores-high }
  dead: { target: up/dead }
  low: { chain: [{ target: up/says-todo, escalate_when: [{ judge: { model: strict, question: "Is it said?" } }] }, { target: up/good }] }
  high: { chain: [{ target: up/says-todo, escalate_when: [{ judge: { model: mild, question: "Is it said?" } }] }, { target: up/good }] }
  none: { chain: [{ target: up/says-todo, escalate_when: [{ judge: { model: dead, question: "Is it said?" } }] }, { target: up/good }] }
  same: { chain: [{ target: up/says-todo, escalate_when: [{ agreement: { samples: 3, of: 1 } }] }, { target: up/good }] }
"#,
    );
    let text = format!("ledger: \"sqlite:{}\"\n{text}", ledger.display());
    let gateway = Gateway::start(&text).await;
    let todo = "The answer is TODO.";
    for (model, said, paid, route) in [
        (
            "low",
            GOOD,
            3,
            "up/says-todo;judge, up/scores-low;judge, up/good;ok",
        ),
        ("high", todo, 2, "up/says-todo;ok, up/scores-high;judge"),
        ("none", todo, 1, "up/says-todo;ok, up/dead;500"),
        (
            "same",
            todo,
            3,
            "up/says-todo;ok, up/says-todo;agreement, up/says-todo;agreement",
        ),
    ] {
        for request in [chat(model), chat_stream(model)] {
            let answer = gateway.ask(request).await;
            let shown = format!("{model}: {}", answer.text());
            assert_eq!(answer.status, 200, "{shown}");
            assert_eq!(answer.header("x-tollgate-route"), Some(route), "{shown}");
            assert!(answer.text().contains(said), "{shown}");
            let id = answer.header("x-request-id").expect("an id");
            let attempts = route.split(", ").count() as u64;
            let pico = paid * ANSWER_PICO;
            let booked = eventually("the rows of the request", async || {
                booked(&ledger, id).filter(|(rows, _)| *rows == attempts)
            });
            assert_eq!(booked.await, (attempts, pico), "{shown}");
            if let Some(told) = answer.header("x-tollgate-cost-usd") {
                let told: f64 = told.parse().expect("a number");
                assert_eq!((told * 1e12).round(), pico as f64, "{shown}");
            } else {
                assert!(
                    answer.text().contains("[DONE]"),
                    "only a stream does not tell: {shown}"
                );
            }
        }
    }
}

#[tokio::test]
async fn a_step_that_says_something_else_each_time_is_not_believed() {
    let counted = Arc::new(AtomicU64::new(0));
    let upstream = Upstream::answering(move |request: &Received| {
        if request.model() == "good" {
            return provider::answer(request);
        }
        let text = format!("It is {}.", counted.fetch_add(1, Ordering::SeqCst));
        let body = json!({
            "id": "c", "object": "chat.completion", "created": 1, "model": "m",
            "choices": [{
                "index": 0, "message": {"role": "assistant", "content": text},
                "finish_reason": "stop",
            }],
        });
        whole(200, "application/json", &body.to_string())
    })
    .await;
    let gates = "[{ agreement: { samples: 3, of: 0.6 } }]";
    let models = format!(
        "  m: {{ chain: [{{ target: up/guesses, escalate_when: {gates} }}, {{ target: up/good }}] }}\n"
    );
    let stage = Stage::before(upstream, &models).await;
    let answer = stage.gateway.ask(chat("m")).await;
    assert_eq!(
        answer.header("x-tollgate-route"),
        Some("up/guesses;agreement, up/guesses;agreement, up/guesses;agreement, up/good;ok")
    );
    assert!(answer.text().contains(GOOD), "{}", answer.text());
}

#[tokio::test]
async fn a_judge_takes_its_own_tokens_from_its_providers_limit() {
    let upstream = Upstream::answering(|request: &Received| {
        if request.model() != "long" {
            return provider::answer(request);
        }
        let body = json!({
            "id": "c", "object": "chat.completion", "created": 1, "model": "m",
            "choices": [{
                "index": 0, "message": {"role": "assistant", "content": "A long story."},
                "finish_reason": "stop",
            }],
            "usage": {"prompt_tokens": 10, "completion_tokens": 5_000, "total_tokens": 5_010},
        });
        whole(200, "application/json", &body.to_string())
    })
    .await;
    let address = upstream.address;
    let text = config(&format!(
        r#"
providers:
  up: {{ dialect: openai, base_url: "http://{address}/v1", api_key: k, endpoints: [chat] }}
  court: {{ dialect: openai, base_url: "http://{address}/v1", api_key: k, endpoints: [chat], limits: {{ tpm: 2000 }} }}
models:
  strict: {{ target: court/scores-high }}
  m:
    limits: {{ tpm: 1000000 }}
    chain:
      - {{ target: up/long, escalate_when: [{{ judge: {{ model: strict, question: "Is it told?" }} }}] }}
      - {{ target: up/good }}
"#
    ));
    let gateway = Gateway::start(&text).await;
    // From the second on it is known what either answers: 5,000 tokens would not fit, ten do.
    for _ in 0..5 {
        let answer = gateway.ask(chat("m")).await;
        assert_eq!(
            answer.header("x-tollgate-route"),
            Some("up/long;ok, court/scores-high;judge"),
            "{}",
            answer.text()
        );
    }
}

/// How many rows a request has, and what they cost.
fn booked(ledger: &std::path::Path, request_id: &str) -> Option<(u64, u64)> {
    const ROWS: &str = "SELECT count(*), coalesce(sum(cost_micro * 1000000 + cost_pico), 0) FROM attempts WHERE request_id = ?1";
    let connection = Connection::open_with_flags(ledger, OpenFlags::SQLITE_OPEN_READ_ONLY).ok()?;
    let row = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?));
    connection.query_row(ROWS, [request_id], row).ok()
}
