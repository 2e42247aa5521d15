//! A budget is never exceeded, and all of it may be spent.

use std::sync::Arc;

use tokio::task::JoinSet;

use super::{Provider, Stage, TOKEN_NANO, request};
use crate::harness::eventually;
use crate::raw::Request;

#[tokio::test]
async fn a_budget_is_spent_to_the_last_token_and_not_exceeded() {
    let provider = Provider::start().await;
    let stage = Stage::set(
        &provider,
        "budget: { usd: 0.001, per: month, floor_tokens: 10 }",
        "",
    )
    .await;
    // 1,000 tokens in all.
    for _ in 0..3 {
        let answer = stage.ask("fast", 300).await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("x-tollgate-cost-usd"), Some("0.0003"));
        assert_eq!(answer.header("x-tollgate-max-tokens"), None);
    }
    let shorter = stage.ask("fast", 300).await;
    assert_eq!(shorter.status, 200);
    assert_eq!(shorter.header("x-tollgate-max-tokens"), Some("100"));
    assert_eq!(provider.paid_nano(), 1_000 * TOKEN_NANO);
    let refused = stage.ask("fast", 300).await;
    let error = refused.assert_error(429, "insufficient_quota");
    assert_eq!(error["type"], "insufficient_quota");
    let message = error["message"].as_str().unwrap();
    assert!(
        message.contains("the team `search` is 0.001 USD per month, of which 0 are left"),
        "{message}"
    );
    assert!(message.contains("renewed at 20"), "{message}");
    assert_eq!(refused.header("x-should-retry"), Some("false"));
    assert_eq!(refused.header("retry-after"), None);
    // Others have their own money.
    let other = request("fast", 300).header("authorization", "Bearer ads");
    assert_eq!(stage.gateway().ask(other).await.status, 200);
    let standing = &stage.budgets().await[0];
    assert_eq!(standing["spent_usd"], "0.001");
    assert_eq!(
        (&standing["left_usd"], &standing["reserved_usd"]),
        (&"0".into(), &"0".into())
    );
}

#[tokio::test]
async fn many_at_once_do_not_exceed_it() {
    let provider = Provider::writing(|allowed| allowed * 3 / 4).await;
    let team = "budget: { usd: 0.02, per: day, wait: 20s, floor_tokens: 1000000 }";
    let stage = Arc::new(Stage::set(&provider, team, "").await);
    let mut asking = JoinSet::new();
    for n in 0..200_u64 {
        let stage = stage.clone();
        asking.spawn(async move {
            let answer = stage.ask("fast", 100 + 17 * n % 100).await;
            if answer.status == 429 {
                answer.assert_error(429, "insufficient_quota");
            }
            answer.status
        });
    }
    let statuses = asking.join_all().await;
    assert!(
        statuses.iter().all(|status| [200, 429].contains(status)),
        "{statuses:?}"
    );
    assert!(statuses.contains(&429));
    let budget = 20_000 * TOKEN_NANO;
    let paid = provider.paid_nano();
    assert!(paid <= budget, "{paid} of {budget}");
    // Nobody was refused while there was room for him.
    assert!(paid > budget - 200 * TOKEN_NANO, "{paid} of {budget}");
}

#[tokio::test]
async fn the_narrowest_of_several_budgets_counts() {
    let provider = Provider::start().await;
    let team = "budget: [ { usd: 0.001, per: day }, { usd: 1, per: total } ]\n    per_model: { other: { budget: { usd: 0.0002, per: week } } }";
    let stage = Stage::set(
        &provider,
        team,
        ", budget: { usd: 0.0005, per: month, floor_tokens: 100 }",
    )
    .await;
    assert_eq!(stage.ask("other", 200).await.status, 200);
    let refused = stage
        .ask("other", 200)
        .await
        .assert_error(429, "insufficient_quota");
    assert!(
        refused["message"]
            .as_str()
            .unwrap()
            .contains("for the model `other`"),
        "{refused}"
    );
    assert_eq!(stage.ask("fast", 300).await.status, 200);
    let refused = stage
        .ask("fast", 300)
        .await
        .assert_error(429, "insufficient_quota");
    assert!(
        refused["message"]
            .as_str()
            .unwrap()
            .contains("the key `prod`"),
        "{refused}"
    );
    let second = |tokens| request("fast", tokens).header("authorization", "Bearer second");
    assert_eq!(stage.gateway().ask(second(500)).await.status, 200);
    let refused = stage
        .gateway()
        .ask(second(500))
        .await
        .assert_error(429, "insufficient_quota");
    assert!(
        refused["message"].as_str().unwrap().contains("per day"),
        "{refused}"
    );
    assert_eq!(provider.paid_nano(), 1_000 * TOKEN_NANO);
}

#[tokio::test]
async fn what_has_no_bound_is_refused_unless_it_is_allowed() {
    let provider = Provider::start().await;
    let stage = Stage::set(&provider, "budget: { usd: 1, per: day }", "").await;
    let refused = stage
        .ask("free", 10)
        .await
        .assert_error(403, "model_not_priced");
    assert!(
        refused["message"]
            .as_str()
            .unwrap()
            .contains("never exceeded"),
        "{refused}"
    );
    let endless = || {
        let body = r#"{"model":"fast","messages":[{"role":"user","content":"x"}]}"#;
        Request::post("/v1/chat/completions", body)
    };
    let refused = stage
        .gateway()
        .ask(endless())
        .await
        .assert_error(400, "invalid_request");
    assert_eq!(refused["param"], "max_completion_tokens");
    let searching = || {
        let body = r#"{"model":"fast","max_tokens":9,"web_search_options":{},"messages":[{"role":"user","content":"x"}]}"#;
        Request::post("/v1/chat/completions", body)
    };
    let refused = stage
        .gateway()
        .ask(searching())
        .await
        .assert_error(400, "invalid_request");
    assert_eq!(refused["param"], "web_search_options");
    assert_eq!(provider.paid_nano(), 0);

    stage.write(
        &provider,
        "budget: { usd: 1, per: day, allow: [tools] }",
        "",
    );
    stage.gateway().signal("HUP");
    let allowed = eventually("the new budget", async || {
        (stage.gateway().ask(searching()).await.status == 200).then_some(())
    });
    allowed.await;
}

#[tokio::test]
async fn a_model_may_limit_its_answers() {
    let provider = Provider::start().await;
    let stage = Stage::set(&provider, "", "").await;
    let answer = stage.ask("short", 300).await;
    assert_eq!(answer.header("x-tollgate-max-tokens"), Some("70"));
    assert_eq!(answer.json()["usage"]["completion_tokens"], 70);
    let answer = stage.ask("short", 30).await;
    assert_eq!(answer.header("x-tollgate-max-tokens"), None);
    assert_eq!(answer.json()["usage"]["completion_tokens"], 30);
}

#[tokio::test]
async fn what_is_reserved_by_others_is_waited_for_and_told_apart_from_what_is_spent() {
    let provider = Provider::start().await;
    let stage = Stage::set(
        &provider,
        "budget: { usd: 0.001, per: day, wait: 0s, floor_tokens: 800 }",
        "",
    )
    .await;
    // A caller that has not finished: it holds 800 of 1,000 tokens.
    let (slow, finish) = crate::upstream::Upstream::pacing().await;
    stage.lead_to(&slow).await;
    let mut running = stage.gateway().connect().await;
    let body = r#"{"model":"fast","max_tokens":800,"stream":true,"messages":[{"role":"user","content":"x"}]}"#;
    running
        .send(Request::post("/v1/chat/completions", body).bytes())
        .await
        .expect("sent");
    assert_eq!(running.head().await.expect("a head").status, 200);
    let refused = stage.ask("fast", 800).await;
    refused.assert_error(429, "rate_limit_exceeded");
    assert_eq!(refused.header("retry-after"), Some("1"));
    assert_eq!(refused.header("x-should-retry"), None);
    stage
        .ask("fast", 1_001)
        .await
        .assert_error(429, "rate_limit_exceeded");
    finish.send_replace(true);
    while running.piece().await.expect("a piece").is_some() {}
    let all = eventually("the money back", async || {
        (stage.budgets().await[0]["reserved_usd"] == "0").then_some(())
    });
    all.await;
}

#[tokio::test]
async fn a_reload_changes_the_amount_and_keeps_what_was_spent() {
    let provider = Provider::start().await;
    let stage = Stage::set(
        &provider,
        "budget: { usd: 0.001, per: day, floor_tokens: 500 }",
        "",
    )
    .await;
    assert_eq!(stage.ask("fast", 500).await.status, 200);
    assert_eq!(stage.ask("fast", 500).await.status, 200);
    stage
        .ask("fast", 500)
        .await
        .assert_error(429, "insufficient_quota");
    stage.write(
        &provider,
        "budget: { usd: 0.0015, per: day, floor_tokens: 500 }",
        "",
    );
    stage.gateway().signal("HUP");
    eventually("more money", async || {
        (stage.ask("fast", 500).await.status == 200).then_some(())
    })
    .await;
    stage
        .ask("fast", 500)
        .await
        .assert_error(429, "insufficient_quota");
    stage.write(&provider, "budget: { usd: 0.0001, per: day }", "");
    stage.gateway().signal("HUP");
    let lowered = eventually("less money", async || {
        let budget = stage.budgets().await[0].take();
        (budget["limit_usd"] == "0.0001").then_some(budget)
    });
    let lowered = lowered.await;
    assert_eq!(
        (&lowered["spent_usd"], &lowered["left_usd"]),
        (&"0.0015".into(), &"0".into())
    );
    assert_eq!(provider.paid_nano(), 1_500 * TOKEN_NANO);
}

#[tokio::test]
async fn a_stream_that_ignores_its_limit_is_stopped_and_paid_for() {
    let provider = Provider::start().await;
    let stage = Stage::set(&provider, "budget: { usd: 0.001, per: day }", "").await;
    // A token every 20 ms, for ever.
    let (endless, _goes_on) = crate::upstream::Upstream::pacing().await;
    stage.lead_to(&endless).await;
    let body = r#"{"model":"fast","max_tokens":20,"stream":true,"messages":[{"role":"user","content":"x"}]}"#;
    let request = Request::post("/v1/chat/completions", body).header("x-request-id", "endless");
    let answer = stage.gateway().ask(request).await;
    let events = answer.events();
    let last: serde_json::Value = serde_json::from_str(&events.last().unwrap().data).unwrap();
    assert_eq!(last["error"]["code"], "upstream_error");
    assert!(
        last["error"]["message"]
            .as_str()
            .unwrap()
            .contains("longer than it was limited to"),
        "{last}"
    );
    assert!((20..40).contains(&events.len()), "{}", events.len());
    let settled = eventually("what it cost", async || {
        let budget = stage.budgets().await[0].take();
        (budget["reserved_usd"] == "0" && budget["spent_usd"] != "0").then_some(budget)
    });
    settled.await;
}
