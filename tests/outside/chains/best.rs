//! The best answer so far, where nobody does better: because the later step fails, or costs more than there is.

use std::sync::Arc;

use serde_json::json;
use tokio::task::JoinSet;

use super::provider::{self, GOOD, TOKENS};
use super::{Stage, configuration};
use crate::harness::Gateway;
use crate::raw::{Request, chat, chat_stream};
use crate::upstream::Upstream;

/// Requests at once under a budget that does not last for all.
const MANY: usize = 80;

/// Answers that the budget lasts for.
const AFFORDABLE: usize = 100;

#[tokio::test]
async fn an_answer_that_did_not_pass_is_the_callers_when_the_next_step_fails() {
    let stage = Stage::set(
        "  m: { chain: [{ target: up/refuses, escalate_when: [refusal] }, { target: up/dead }] }\n",
    )
    .await;
    for request in [chat("m"), chat_stream("m")] {
        let answer = stage.gateway.ask(request).await;
        assert_eq!(answer.status, 200);
        assert_eq!(
            answer.header("x-tollgate-route"),
            Some("up/refuses;refusal, up/dead;500")
        );
        assert_eq!(answer.header("x-tollgate-model"), Some("up/refuses"));
        assert_eq!(
            answer.text().matches("sorry").count(),
            1,
            "{}",
            answer.text()
        );
    }
}

#[tokio::test]
async fn a_step_that_fails_is_passed_over_without_being_judged() {
    let stage = Stage::set(
        "  m: { chain: [{ target: up/dead, escalate_when: [default] }, { target: up/good }] }\n",
    )
    .await;
    for request in [chat("m"), chat_stream("m")] {
        let answer = stage.gateway.ask(request).await;
        assert_eq!(
            answer.header("x-tollgate-route"),
            Some("up/dead;500, up/good;ok")
        );
        assert_eq!(answer.text().matches(GOOD).count(), 1, "{}", answer.text());
    }
}

#[tokio::test]
async fn a_step_that_does_not_fit_a_hard_budget_leaves_the_answer_before_it() {
    let upstream = Upstream::answering(provider::answer).await;
    let models =
        "  m: { chain: [{ target: up/refuses, escalate_when: [refusal] }, { target: up/dear }] }\n";
    let text = budgeted(&configuration(&upstream, models), "usd: 0.01, per: day");
    let text = text.replace(
        "overrides: [",
        "overrides: [{ target: up/dear, input: 0, output: 1000 }, ",
    );
    let gateway = Gateway::start(&text).await;
    for stream in [false, true] {
        let answer = gateway.ask(limited("m", 100, stream)).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(
            answer.header("x-tollgate-route"),
            Some("up/refuses;refusal")
        );
        assert!(answer.text().contains("sorry"), "{}", answer.text());
    }
    assert_eq!(upstream.received().len(), 2);
}

#[tokio::test]
async fn chains_never_exceed_a_hard_budget() {
    let upstream = Upstream::answering(provider::answer).await;
    let models =
        "  m: { chain: [{ target: up/refuses, escalate_when: [refusal] }, { target: up/good }] }\n";
    let text = configuration(&upstream, models);
    let text = budgeted(&text, "usd: 0.001, per: month, floor_tokens: 10");
    let gateway = Arc::new(Gateway::start(&text).await);
    let mut asking = JoinSet::new();
    for at in 0..MANY {
        let gateway = gateway.clone();
        asking.spawn(async move {
            let answer = gateway.ask(limited("m", TOKENS, at % 2 == 0)).await;
            assert!([200, 429].contains(&answer.status), "{}", answer.text());
        });
    }
    while let Some(asked) = asking.join_next().await {
        asked.expect("no caller panics");
    }
    let answers = upstream.received().len();
    assert!(
        (AFFORDABLE / 2..=AFFORDABLE).contains(&answers),
        "{answers} answers"
    );
}

#[tokio::test]
async fn what_is_too_long_for_one_target_goes_to_one_with_a_larger_window() {
    let stage = Stage::set(
        "  m: { any_of: [{ target: up/gpt-4, weight: 1000000 }, { target: up/gpt-4.1 }] }\n",
    )
    .await;
    for request in [chat("m"), chat_stream("m")] {
        let answer = stage.gateway.ask(request).await;
        assert_eq!(
            answer.header("x-tollgate-route"),
            Some("up/gpt-4;400, up/gpt-4.1;ok"),
            "{}",
            answer.text()
        );
    }
}

/// The configuration with a budget for its team.
fn budgeted(text: &str, budget: &str) -> String {
    text.replace(
        "  search:\n",
        &format!("  search:\n    budget: {{ {budget} }}\n"),
    )
}

fn limited(model: &str, max_tokens: u64, stream: bool) -> Request {
    let body = json!({
        "model": model, "stream": stream, "max_tokens": max_tokens,
        "messages": [{"role": "user", "content": "How much?"}],
    });
    Request::post("/v1/chat/completions", body.to_string())
}
