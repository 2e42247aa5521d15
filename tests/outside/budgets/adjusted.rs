//! What operators add to budgets: at once, through crashes, and wherever else the budget is drawn on.

use serde_json::{Value, json};

use super::{Provider, Stage, TOKEN_NANO};
use crate::harness::{ask, eventually, replace_file};
use crate::raw::{Answer, Request};
use crate::state::server::Redis;

const NAME: &str = "team:search%7Cmonth%7CEurope%2FBerlin";

/// A thousand tokens.
const TEAM: &str = "budget: { usd: 0.001, per: month, timezone: Europe/Berlin, floor_tokens: 100 }";

async fn raise(stage: &Stage, usd: &str) -> Answer {
    let body = json!({"add_usd": usd, "by": "jane@example.com", "why": "launch week"});
    adjust(stage, "raise", &body).await
}

async fn reset(stage: &Stage) -> Answer {
    let body = json!({"by": "jane@example.com", "why": "a runaway job"});
    adjust(stage, "reset", &body).await
}

async fn adjust(stage: &Stage, action: &str, body: &Value) -> Answer {
    let path = format!("/admin/v1/budgets/{NAME}/{action}");
    let request = Request::post(&path, body.to_string());
    Box::pin(stage.gateway().ask_admin(request)).await
}

/// What is said of the team's budget in these fields.
async fn standing<const N: usize>(stage: &Stage, fields: [&str; N]) -> [String; N] {
    let budgets = Box::pin(stage.budgets()).await;
    fields.map(|field| budgets[0][field].as_str().expect(field).to_owned())
}

// Boxed, here and above: all that a test awaits lies on its stack.
async fn chat(stage: &Stage, tokens: u64) -> Answer {
    Box::pin(stage.ask("fast", tokens)).await
}

/// Ends in good order, and begins again.
async fn restart(stage: &mut Stage) {
    Box::pin(stage.end()).await;
    Box::pin(stage.start()).await;
}

/// By a replica that may not have heard yet that what another one holds is spent.
async fn is_refused(stage: &Stage) {
    assert_eq!(chat(stage, 100).await.status, 429);
}

async fn is_spent(stage: &Stage) {
    let refused = chat(stage, 100).await;
    refused.assert_error(429, "insufficient_quota");
}

#[tokio::test]
async fn a_raise_lets_callers_in_at_once_and_survives_a_crash_and_a_reload() {
    let provider = Provider::start().await;
    let mut stage = Box::pin(Stage::set(&provider, TEAM, "")).await;
    assert_eq!(chat(&stage, 1_000).await.status, 200);
    is_spent(&stage).await;
    let raised = raise(&stage, "0.0004").await;
    assert_eq!(raised.status, 200, "{}", raised.text());
    let raised = raised.json();
    assert_eq!(raised["name"], "team:search|month|Europe/Berlin");
    assert_eq!(raised["adjusted_before_usd"], "0");
    assert_eq!(raised["adjusted_usd"], "0.0004");
    assert_eq!(raised["left_usd"], "0.0004");
    assert_eq!(
        (&raised["durable"], &raised["shared"]),
        (&true.into(), &Value::Null)
    );
    assert_eq!(chat(&stage, 200).await.status, 200);
    let is_it = |line: &Value| line["msg"] == "budget raised";
    let line = stage.gateway().log_line("the raise", is_it).await;
    let told = [
        ("budget", "team:search|month|Europe/Berlin"),
        ("by", "jane@example.com"),
        ("why", "launch week"),
        ("limit_before_usd", "0.001"),
        ("limit_usd", "0.0014"),
        ("left_before_usd", "0"),
        ("left_usd", "0.0004"),
    ];
    for (field, value) in told {
        assert_eq!(line[field], value, "{line}");
    }
    let labels = [("team", "search"), ("key", "")];
    let limit = stage
        .gateway()
        .metric("tollgate_budget_limit_usd", &labels)
        .await;
    assert_eq!(limit, 0.0014);

    restart(&mut stage).await;
    let fields = ["limit_usd", "adjusted_usd", "spent_usd", "left_usd"];
    let known = ["0.001", "0.0004", "0.0012", "0.0002"];
    assert_eq!(standing(&stage, fields).await, known);
    assert_eq!(raise(&stage, "0.0001").await.status, 200);
    // It was durable before the answer; what the portion held besides is unknown from here on, if anything.
    stage.kill();
    Box::pin(stage.start()).await;
    assert_eq!(standing(&stage, ["adjusted_usd"]).await, ["0.0005"]);
    assert_eq!(chat(&stage, 300).await.status, 200);
    is_spent(&stage).await;
    assert_eq!(provider.paid_nano(), 1_500 * TOKEN_NANO);

    let smaller = TEAM.replace("0.001", "0.0015");
    stage.write(&provider, &smaller, "");
    stage.gateway().signal("HUP");
    eventually("the new limit", async || {
        (standing(&stage, ["limit_usd"]).await == ["0.0015"]).then_some(())
    })
    .await;
    assert_eq!(chat(&stage, 500).await.status, 200);
    is_spent(&stage).await;
    assert_eq!(standing(&stage, ["adjusted_usd"]).await, ["0.0005"]);
    assert_eq!(provider.paid_nano(), 2_000 * TOKEN_NANO);
}

#[tokio::test]
async fn a_reset_forgives_what_was_spent() {
    let provider = Provider::start().await;
    let mut stage = Box::pin(Stage::set(&provider, TEAM, "")).await;
    for life in 1..=3 {
        assert_eq!(chat(&stage, 1_000).await.status, 200);
        is_spent(&stage).await;
        let answer = reset(&stage).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let reset = answer.json();
        assert_eq!(reset["left_usd"], "0.001");
        let spent = format!("0.00{life}");
        assert_eq!(
            (&reset["adjusted_usd"], &reset["spent_usd"]),
            (&spent.as_str().into(), &spent.as_str().into())
        );
        restart(&mut stage).await;
        assert_eq!(standing(&stage, ["left_usd"]).await, ["0.001"]);
    }
    assert_eq!(chat(&stage, 1_000).await.status, 200);
    is_spent(&stage).await;
    assert_eq!(provider.paid_nano(), 4_000 * TOKEN_NANO);
}

#[tokio::test]
async fn what_is_wrong_with_an_adjustment_is_told() {
    let provider = Provider::start().await;
    let stage = Box::pin(Stage::set(&provider, TEAM, "")).await;
    let message = |answer: &Answer| answer.json()["error"]["message"].to_string();
    for (action, body, part) in [
        ("raise", json!({"by": "a", "why": "b"}), "`add_usd`"),
        ("raise", json!({"add_usd": "1", "by": "a"}), "`why`"),
        (
            "raise",
            json!({"add_usd": "1", "by": "", "why": "b"}),
            "`by`",
        ),
        ("reset", json!({"by": "a", "why": "b".repeat(201)}), "`why`"),
        (
            "reset",
            json!({"by": "a", "why": "b".repeat(20_000)}),
            "16384 bytes",
        ),
        ("reset", json!([1]), "body"),
    ] {
        let refused = adjust(&stage, action, &body).await;
        assert_eq!(refused.status, 400, "{body}");
        assert!(message(&refused).contains(part), "{}", message(&refused));
    }
    let body = json!({"add_usd": 9_000_000, "by": "a", "why": "b"});
    let refused = adjust(&stage, "raise", &body).await;
    assert_eq!(refused.status, 409);
    assert!(message(&refused).contains("9000000 USD"));

    let body = json!({"add_usd": 1, "by": "a", "why": "b"}).to_string();
    let unknown = "/admin/v1/budgets/team:serch%7Cmonth%7CEurope%2FBerlin/raise";
    let refused = stage
        .gateway()
        .ask_admin(Request::post(unknown, body.clone()))
        .await;
    assert_eq!(refused.status, 404);
    let near = "did you mean `team:search|month|Europe/Berlin`?";
    assert!(message(&refused).contains(near), "{}", message(&refused));
    let path = format!("/admin/v1/budgets/{NAME}/raise");
    let foreign = Request::post(&path, body.clone()).header("authorization", "Bearer other");
    assert_eq!(ask(stage.gateway().admin, foreign).await.status, 401);
    assert_eq!(standing(&stage, ["adjusted_usd"]).await, ["0"]);

    // Without a token in the configuration nobody may.
    let file = stage.home.path().join("tollgate.yaml");
    let text = std::fs::read_to_string(&file).expect("the test's own file");
    let token = format!(", token: {}", crate::harness::ADMIN_TOKEN);
    replace_file(&file, &text.replace(&token, ""));
    stage.gateway().signal("HUP");
    eventually("nobody to be let in", async || {
        let request = Request::post(&path, body.clone());
        (stage.gateway().ask_admin(request).await.status == 403).then_some(())
    })
    .await;
}

#[tokio::test]
async fn without_a_ledger_it_holds_for_the_life_of_the_process_and_says_so() {
    let provider = Provider::start().await;
    let mut stage = Stage::new(None, "");
    stage.write(&provider, TEAM, "");
    let file = stage.home.path().join("tollgate.yaml");
    let text = std::fs::read_to_string(&file).expect("the test's own file");
    let ledger = format!("{{ url: \"{}\", commit_every: 20ms }}", stage.ledger);
    replace_file(&file, &text.replace(&ledger, "off"));
    Box::pin(stage.start()).await;
    let raised = raise(&stage, "0.001").await.json();
    assert_eq!(raised["durable"], false);
    assert_eq!(chat(&stage, 2_000).await.status, 200);
    is_spent(&stage).await;
    assert_eq!(provider.paid_nano(), 2_000 * TOKEN_NANO);
}

#[tokio::test]
async fn replicas_hear_of_it_and_tell_redis_again_when_it_has_lost_its_data() {
    let provider = Provider::start().await;
    let mut redis = Redis::durable();
    let more = format!("state: {{ url: \"{}\" }}", redis.url());
    let mut replicas = Vec::new();
    for _ in 0..2 {
        let mut stage = Stage::new(None, &more);
        stage.write(&provider, TEAM, "");
        Box::pin(stage.start()).await;
        replicas.push(stage);
    }
    let are_ready = async |replicas: &[Stage]| {
        for stage in replicas {
            eventually("a replica that is ready", async || {
                let ready = stage.gateway().ask_admin(Request::get("/readyz")).await;
                (ready.status == 200).then_some(())
            })
            .await;
        }
    };
    are_ready(&replicas).await;
    let is_adjusted = async |stage: &Stage, usd: &str| {
        eventually("the other replica to know", async || {
            (standing(stage, ["adjusted_usd"]).await == [usd]).then_some(())
        })
        .await;
    };
    let spends = async |stage: &Stage, tokens: u64| {
        eventually("the money", async || {
            let answer = chat(stage, tokens).await;
            let is_whole = answer.header("x-tollgate-max-tokens").is_none();
            assert!(is_whole || answer.status != 200, "{}", answer.text());
            (answer.status == 200).then_some(())
        })
        .await;
    };
    spends(&replicas[0], 1_000).await;
    is_refused(&replicas[1]).await;
    let raised = raise(&replicas[0], "0.0005").await.json();
    assert_eq!(
        (&raised["durable"], &raised["shared"]),
        (&true.into(), &true.into())
    );
    is_adjusted(&replicas[1], "0.0005").await;
    spends(&replicas[1], 500).await;
    is_refused(&replicas[0]).await;

    // A replica that was away hears of it when it is back, and one that knows tells a Redis that has forgotten.
    Box::pin(replicas[1].end()).await;
    assert_eq!(raise(&replicas[0], "0.0003").await.status, 200);
    Box::pin(replicas[1].start()).await;
    is_adjusted(&replicas[1], "0.0008").await;
    redis.restart_empty();
    let key = "tollgate:{adjust:team:search|month|Europe/Berlin|";
    eventually("Redis to know again", async || {
        let keys = redis.command(&["KEYS", "tollgate:*"]);
        keys.contains(key).then_some(())
    })
    .await;
    are_ready(&replicas).await;
    spends(&replicas[1], 300).await;
    is_refused(&replicas[0]).await;
    is_refused(&replicas[1]).await;
    assert_eq!(provider.paid_nano(), 1_800 * TOKEN_NANO);

    // All that both have spent is forgiven, once both have told it.
    eventually("a reset of all of it", async || {
        let answer = reset(&replicas[0]).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        (answer.json()["adjusted_usd"] == "0.0026").then_some(())
    })
    .await;
    is_adjusted(&replicas[1], "0.0026").await;
    spends(&replicas[1], 1_800).await;
    is_refused(&replicas[0]).await;
    assert_eq!(provider.paid_nano(), 3_600 * TOKEN_NANO);
}
