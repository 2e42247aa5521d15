//! What chains save, and what budgets make of it.

use std::path::Path;

use rusqlite::{Connection, OpenFlags};
use serde_json::json;
use tempfile::TempDir;

use super::provider::{self, GOOD, TOKENS};
use crate::harness::{Gateway, config, eventually};
use crate::raw::{Request, chat, chat_stream};
use crate::upstream::Upstream;

/// What the tokens of an answer cost at a dollar for a million of them, in pico-dollars.
const ANSWER_PICO: i64 = TOKENS as i64 * 1_000_000;

const GATES: &str = "escalate_when: [{ matches: TODO }]";

async fn gateway(ledger: &Path, models: &str, team: &str) -> (Upstream, Gateway) {
    let upstream = Upstream::answering(provider::answer).await;
    let text = config(&format!(
        r#"
providers:
  up: {{ dialect: openai, base_url: "http://{}/v1", api_key: provider-secret, endpoints: [chat] }}
prices: {{ overrides: [{{ target: up/good, input: 0, output: 5 }}, {{ target: "up/*", input: 0, output: 1 }}] }}
models:
{models}
ledger: "sqlite:{}"
"#,
        upstream.address,
        ledger.display()
    ));
    let all = "    models: \"*\"\n";
    let text = text.replacen(all, &format!("{all}    {team}\n"), 1);
    let gateway = Gateway::start(&text).await;
    (upstream, gateway)
}

#[tokio::test]
async fn the_ledger_says_what_a_chain_has_saved_after_all_that_it_asked_for_nothing() {
    let home = TempDir::new().expect("a temporary directory");
    let ledger = home.path().join("tollgate.db");
    let models = format!(
        r#"
  judge: {{ target: up/scores-high }}
  does: {{ chain: [{{ target: up/is-unsure, {GATES} }}, {{ target: up/good }}] }}
  does-not: {{ chain: [{{ target: up/says-todo, {GATES} }}, {{ target: up/good }}] }}
  is-asked: {{ chain: [{{ target: up/is-unsure, escalate_when: [{{ judge: {{ model: judge, question: "Is it so?" }} }}] }}, {{ target: up/good }}] }}
  fails: {{ chain: [{{ target: up/dead, {GATES} }}, {{ target: up/good }}] }}
  alone: {{ target: up/good }}
"#
    );
    let (_upstream, gateway) = gateway(&ledger, &models, "").await;
    for (model, expected) in [
        ("does", &[4][..]),
        ("does-not", &[-1, 0]),
        ("is-asked", &[4, -1]),
        ("fails", &[0, 0]),
        ("alone", &[0]),
    ] {
        let expected: Vec<_> = expected.iter().map(|saved| saved * ANSWER_PICO).collect();
        for request in [chat(model), chat_stream(model)] {
            let answer = gateway.ask(request).await;
            assert_eq!(answer.status, 200, "{model}: {}", answer.text());
            let id = answer.header("x-request-id").expect("an id");
            let saved = eventually("the rows of the request", async || {
                saved(&ledger, id).filter(|saved| saved.len() == expected.len())
            });
            assert_eq!(saved.await, expected, "{model}");
        }
    }
}

#[tokio::test]
async fn a_user_whose_own_budget_is_spent_goes_on_with_the_cheapest() {
    let home = TempDir::new().expect("a temporary directory");
    let ledger = home.path().join("tollgate.db");
    let models =
        format!("  m: {{ chain: [{{ target: up/says-todo, {GATES} }}, {{ target: up/good }}] }}\n");
    let team = "per_user: { budget: { usd: 0.00006, per: day, when_spent: cheapest } }";
    let (_upstream, gateway) = gateway(&ledger, &models, team).await;
    let ask = async |user: &str| {
        let messages = json!([{"role": "user", "content": "Say hello."}]);
        let body = json!({"model": "m", "user": user, "messages": messages});
        let asking = Request::post("/v1/chat/completions", body.to_string());
        let answer = gateway.ask(asking).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.text().to_owned()
    };
    assert!(ask("ann").await.contains(GOOD));
    // It cost 60 of her 60 micro-dollars, as soon as that is settled.
    eventually("the budget of one user to be spent", async || {
        ask("ann").await.contains("TODO").then_some(())
    })
    .await;
    assert!(ask("bob").await.contains(GOOD), "his own is not");
}

/// What each attempt of a request saved, in pico-dollars.
fn saved(ledger: &Path, request_id: &str) -> Option<Vec<i64>> {
    const SAVED: &str = "SELECT savings_micro * 1000000 + savings_pico FROM attempts WHERE request_id = ?1 ORDER BY attempt";
    let connection = Connection::open_with_flags(ledger, OpenFlags::SQLITE_OPEN_READ_ONLY).ok()?;
    let mut statement = connection.prepare(SAVED).ok()?;
    let rows = statement.query_map([request_id], |row| row.get(0)).ok()?;
    rows.collect::<Result<_, _>>().ok()
}
