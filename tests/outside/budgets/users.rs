//! A budget of each user: his own, kept like any other, and no more of them than there is room for.

use serde_json::{Value, json};

use super::{Provider, Stage, TOKEN_NANO};
use crate::harness::eventually;
use crate::raw::{Answer, Request};
use crate::state::server::Redis;
use crate::upstream::{Upstream, whole};

/// A thousand tokens for each.
const TEAM: &str = "per_user: { budget: { usd: 0.001, per: month, floor_tokens: 100 } }";

/// Asks for so many tokens in a user's name; in nobody's, where it is empty.
async fn ask(stage: &Stage, user: &str, tokens: u64) -> Answer {
    let mut body = json!({
        "model": "fast", "max_tokens": tokens, "messages": [{"role": "user", "content": "x"}],
    });
    if !user.is_empty() {
        body["user"] = json!(user);
    }
    let request = Request::post("/v1/chat/completions", body.to_string());
    Box::pin(stage.gateway().ask(request)).await
}

/// Anthropic's callers name the user elsewhere.
async fn ask_as_anthropic(stage: &Stage, user: &str, tokens: u64) -> Answer {
    let body = json!({
        "model": "fast", "max_tokens": tokens, "messages": [{"role": "user", "content": "x"}],
        "metadata": {"user_id": user},
    });
    let request = Request::post("/v1/messages", body.to_string());
    Box::pin(stage.gateway().ask(request)).await
}

async fn spends(stage: &Stage, user: &str, tokens: u64) {
    let answer = ask(stage, user, tokens).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.header("x-tollgate-max-tokens"), None);
}

/// Refused because all is spent, with these words.
async fn is_spent(stage: &Stage, user: &str, words: &str) {
    let refused = ask(stage, user, 100).await;
    let error = refused.assert_error(429, "insufficient_quota");
    let message = error["message"].as_str().expect("words");
    assert!(message.contains(words), "{message}");
}

/// What is listed of users.
async fn listed(stage: &Stage, query: &str) -> Vec<Value> {
    let path = format!("/admin/v1/budgets?users=true{query}");
    let mut answer = Box::pin(stage.admin(&path)).await;
    match answer["budgets"].take() {
        Value::Array(budgets) => budgets,
        other => panic!("{other} of {answer}"),
    }
}

async fn standing<const N: usize>(stage: &Stage, user: &str, fields: [&str; N]) -> [String; N] {
    let found = listed(stage, &format!("&team=search&user={user}")).await;
    assert_eq!(found.len(), 1, "{found:?}");
    fields.map(|field| found[0][field].as_str().expect(field).to_owned())
}

#[tokio::test]
async fn each_user_has_a_budget_of_his_own_and_so_have_requests_that_name_none() {
    let provider = Provider::start().await;
    let team = format!("budget: {{ usd: 0.0035, per: day, floor_tokens: 600 }}\n    {TEAM}");
    let stage = Box::pin(Stage::set(&provider, &team, "")).await;
    spends(&stage, "ann", 600).await;
    let shorter = ask(&stage, "ann", 600).await;
    assert_eq!(shorter.header("x-tollgate-max-tokens"), Some("400"));
    is_spent(
        &stage,
        "ann",
        "the budget of the user `ann` of the team `search` is 0.001 USD per month, of which 0 are left",
    )
    .await;
    spends(&stage, "bob", 1_000).await;
    spends(&stage, "", 1_000).await;
    is_spent(
        &stage,
        "",
        "the budget of requests of the team `search` that name no `user` is",
    )
    .await;
    // Another dialect's user is the same one.
    let refused = ask_as_anthropic(&stage, "bob", 100).await;
    assert_eq!(refused.status, 429);
    assert!(
        refused.text().contains("the user `bob`"),
        "{}",
        refused.text()
    );
    let answer = ask_as_anthropic(&stage, "eve", 499).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    // The team's own budget bounds all of them.
    is_spent_of_team(&stage).await;
    assert_eq!(provider.paid_nano(), 3_499 * TOKEN_NANO);

    let listed = listed(&stage, "&limit=2").await;
    let names: Vec<_> = listed.iter().map(|budget| &budget["user"]).collect();
    assert_eq!(names, ["", "ann"]);
    assert_eq!(listed[1]["name"], "user:search/ann|month|UTC");
    assert_eq!(listed[1]["spent_usd"], "0.001");
    let budgets = stage.budgets().await;
    let of_users = budgets
        .as_array()
        .expect("a list")
        .last()
        .expect("the team's users");
    assert_eq!(of_users["name"], "users:search|month|UTC");
    assert_eq!(of_users["per_user"], true);
    assert_eq!(
        (&of_users["users"], &of_users["users_spent"]),
        (&5.into(), &3.into())
    );
    assert_eq!(of_users["others"], false);
    let users = stage
        .gateway()
        .metric("tollgate_budget_users", &[("team", "search")]);
    assert_eq!(users.await, 5.0);
    // No metric names a user.
    let metrics = stage.gateway().ask_admin(Request::get("/metrics")).await;
    assert!(!metrics.text().contains("ann"));
}

async fn is_spent_of_team(stage: &Stage) {
    let refused = ask(stage, "new", 600).await;
    let error = refused.assert_error(429, "insufficient_quota");
    let message = error["message"].as_str().expect("words");
    assert!(
        message.contains("the budget of the team `search`"),
        "{message}"
    );
}

#[tokio::test]
async fn what_users_have_spent_is_known_to_the_next_process_however_the_last_one_ended() {
    let provider = Provider::start().await;
    let mut stage = Box::pin(Stage::set(&provider, TEAM, "")).await;
    for user in ["ann", "", "a/b|c"] {
        spends(&stage, user, 400).await;
    }
    Box::pin(stage.end()).await;
    Box::pin(stage.start()).await;
    let fields = ["spent_usd", "unknown_usd", "left_usd"];
    let known = ["0.0004", "0", "0.0006"];
    assert_eq!(standing(&stage, "ann", fields).await, known);
    assert_eq!(standing(&stage, "", fields).await, known);
    assert_eq!(standing(&stage, "a%2Fb%7Cc", fields).await, known);
    spends(&stage, "ann", 300).await;
    stage.kill();
    Box::pin(stage.start()).await;
    let [spent, unknown, left] = standing(&stage, "ann", fields).await;
    let usd = |text: &str| text.parse::<f64>().expect("an amount");
    assert!(
        usd(&spent) + usd(&unknown) >= 0.0007 - 1e-12,
        "{spent} and {unknown}"
    );
    assert!(usd(&left) <= 0.0003 + 1e-12, "{left}");
    // What he may have left is less than what is needed, or is given.
    while ask(&stage, "ann", 100).await.status == 200 {}
    let of_others = 800 * TOKEN_NANO;
    assert!(provider.paid_nano() <= 1_000 * TOKEN_NANO + of_others);
    spends(&stage, "bob", 1_000).await;
    is_spent(&stage, "bob", "the user `bob`").await;
}

#[tokio::test]
async fn users_beyond_the_most_share_one_budget_and_that_is_told() {
    let provider = Provider::start().await;
    let team = "per_user: { users_max: 2, budget: { usd: 0.001, per: day, floor_tokens: 100 } }";
    let mut stage = Box::pin(Stage::set(&provider, team, "")).await;
    for user in ["ann", "bob", "eve"] {
        spends(&stage, user, 500).await;
    }
    spends(&stage, "dan", 500).await;
    let others = "all users of the team `search` together who are beyond its `users_max`";
    is_spent(&stage, "eve", others).await;
    is_spent(&stage, "new", others).await;
    spends(&stage, "ann", 500).await;
    let is_it = |line: &Value| {
        line["msg"]
            .as_str()
            .is_some_and(|msg| msg.contains("`users_max`"))
    };
    let warnings = stage.gateway().log_lines().into_iter().filter(is_it);
    assert_eq!(warnings.count(), 1);
    let others = listed(&stage, "").await.swap_remove(0);
    assert_eq!(
        (&others["user"], &others["spent_usd"]),
        (&Value::Null, &"0.001".into())
    );
    // A restart makes no room.
    Box::pin(stage.end()).await;
    Box::pin(stage.start()).await;
    assert_eq!(ask(&stage, "new", 100).await.status, 429);
    spends(&stage, "bob", 500).await;
    assert_eq!(provider.paid_nano(), 3_000 * TOKEN_NANO);
}

#[tokio::test]
async fn operators_raise_a_users_budget_and_change_that_of_all() {
    let provider = Provider::start().await;
    let mut stage = Box::pin(Stage::set(&provider, TEAM, "")).await;
    spends(&stage, "ann/1", 1_000).await;
    spends(&stage, "bob", 400).await;
    is_spent(&stage, "ann/1", "`ann/1`").await;
    let path = "/admin/v1/budgets/user:search%2Fann%2F1%7Cmonth%7CUTC/raise";
    let body = json!({"add_usd": "0.0005", "by": "jane", "why": "launch"}).to_string();
    let raised = stage
        .gateway()
        .ask_admin(Request::post(path, body.clone()))
        .await;
    assert_eq!(raised.status, 200, "{}", raised.text());
    assert_eq!(raised.json()["left_usd"], "0.0005");
    spends(&stage, "ann/1", 500).await;
    is_spent(&stage, "ann/1", "0.0005 more in this window").await;
    let unknown = path.replace("ann", "nobody");
    let refused = stage
        .gateway()
        .ask_admin(Request::post(&unknown, body))
        .await;
    assert_eq!(refused.status, 404);
    assert!(refused.text().contains("users=true"), "{}", refused.text());
    Box::pin(stage.end()).await;
    Box::pin(stage.start()).await;
    let fields = ["spent_usd", "adjusted_usd", "left_usd"];
    assert_eq!(
        standing(&stage, "ann%2F1", fields).await,
        ["0.0015", "0.0005", "0"]
    );

    // A reload lowers the amount and keeps what was spent.
    stage.write(&provider, &TEAM.replace("0.001", "0.0005"), "");
    stage.gateway().signal("HUP");
    eventually("the new amount", async || {
        let [limit] = standing(&stage, "bob", ["limit_usd"]).await;
        (limit == "0.0005").then_some(())
    })
    .await;
    let shorter = ask(&stage, "bob", 300).await;
    assert_eq!(shorter.header("x-tollgate-max-tokens"), Some("100"));
    is_spent(&stage, "bob", "0.0005 USD per month, of which 0 are left").await;
    assert_eq!(provider.paid_nano(), 2_000 * TOKEN_NANO);
    let wrong = Box::pin(stage.admin("/admin/v1/budgets?users=true&limit=0")).await;
    assert!(
        wrong["error"]["message"].to_string().contains("1 to 1000"),
        "{wrong}"
    );
}

#[tokio::test]
async fn what_is_told_of_a_users_budget_names_him() {
    let provider = Provider::start().await;
    let hook = Upstream::answering(|_| whole(204, "text/plain", "")).await;
    let team = format!(
        "per_user: {{ budget: {{ usd: 0.001, per: day, when_spent: alert, alert_at: [0.5], webhook: \"http://{}/hook\" }} }}",
        hook.address
    );
    let mut stage = Box::pin(Stage::set(&provider, &team, "")).await;
    spends(&stage, "ann", 400).await;
    spends(&stage, "bob", 499).await;
    spends(&stage, "ann", 100).await;
    let posted = eventually("an alert", async || hook.received().into_iter().next()).await;
    let data = posted.json()["data"].take();
    assert_eq!(
        (&data["user"], &data["team"]),
        (&"ann".into(), &"search".into())
    );
    assert_eq!(data["budget"], "user:search/ann|day|UTC");
    let is_it = |line: &Value| line["msg"] == "budget threshold reached";
    let line = stage.gateway().log_line("the alert", is_it).await;
    assert_eq!(line["user"], "ann");
    let alerts = stage
        .gateway()
        .metric("tollgate_budget_alerts_total", &[("team", "search")]);
    assert_eq!(alerts.await, 1.0);
    // A budget that refuses nothing is known after a restart, too.
    Box::pin(stage.end()).await;
    Box::pin(stage.start()).await;
    assert_eq!(standing(&stage, "bob", ["spent_usd"]).await, ["0.000499"]);
}

/// Two replicas, and the Redis that they share.
async fn two_replicas(provider: &Provider) -> (Vec<Stage>, Redis) {
    let redis = Redis::durable();
    let more = format!("state: {{ url: \"{}\" }}", redis.url());
    let team = TEAM.replace("floor_tokens", "wait: 0s, floor_tokens");
    let mut replicas = Vec::new();
    for _ in 0..2 {
        let mut stage = Stage::new(None, &more);
        stage.write(provider, &team, "");
        Box::pin(stage.start()).await;
        replicas.push(stage);
    }
    are_ready(&replicas).await;
    (replicas, redis)
}

#[tokio::test]
async fn replicas_have_one_budget_of_each_user() {
    let provider = Provider::start().await;
    let (mut replicas, mut redis) = Box::pin(two_replicas(&provider)).await;
    // Each may hold a little for requests to come, so not all of it is to be had at the other one at once.
    let spend_all = async |replicas: &[Stage], user: &str| {
        eventually("all to be spent", async || {
            for stage in replicas {
                let answer = ask(stage, user, 100).await;
                if answer.status == 429 && answer.text().contains("insufficient_quota") {
                    return Some(());
                }
            }
            None
        })
        .await;
    };
    spend_all(&replicas, "ann").await;
    assert!(provider.paid_nano() <= 1_000 * TOKEN_NANO);
    assert!(
        provider.paid_nano() > 900 * TOKEN_NANO,
        "{}",
        provider.paid_nano()
    );
    // What one has spent for a user the other one does not spend again: not after a restart, …
    spends(&replicas[0], "bob", 900).await;
    Box::pin(replicas[0].end()).await;
    Box::pin(replicas[0].start()).await;
    are_ready(&replicas).await;
    assert_eq!(
        ask(&replicas[1], "bob", 200)
            .await
            .header("x-tollgate-max-tokens"),
        Some("100")
    );
    // … nor when Redis has forgotten it, nor when one has died besides.
    spends(&replicas[0], "eve", 600).await;
    redis.restart_empty();
    are_ready(&replicas).await;
    spends(&replicas[1], "dan", 600).await;
    replicas[1].kill();
    let before = provider.paid_nano();
    // What the dead one holds of them may stay reserved for it.
    for user in ["eve", "dan"] {
        while ask(&replicas[0], user, 100).await.status == 200 {}
    }
    Box::pin(replicas[1].start()).await;
    are_ready(&replicas).await;
    for stage in &replicas {
        for user in ["ann", "bob", "eve", "dan"] {
            assert_eq!(ask(stage, user, 101).await.status, 429, "{user}");
        }
    }
    let since = provider.paid_nano() - before;
    assert!(since <= 800 * TOKEN_NANO, "{since}");
}

#[tokio::test]
async fn what_only_a_dead_replica_knows_of_users_is_waited_for() {
    let provider = Provider::start().await;
    let (mut replicas, mut redis) = Box::pin(two_replicas(&provider)).await;
    spends(&replicas[1], "ann", 950).await;
    replicas[1].kill();
    redis.restart_empty();
    eventually("the other one to wait", async || {
        let gateway = replicas[0].gateway();
        let unready = gateway.ask_admin(Request::get("/readyz")).await;
        let text = unready.text();
        text.contains("have not told what they hold").then_some(())
    })
    .await;
    assert_ne!(ask(&replicas[0], "ann", 200).await.status, 200);
    Box::pin(replicas[1].start()).await;
    are_ready(&replicas).await;
    assert_ne!(ask(&replicas[0], "ann", 101).await.status, 200);
    spends(&replicas[0], "bob", 900).await;
}

async fn are_ready(replicas: &[Stage]) {
    for stage in replicas {
        eventually("a replica that is ready", async || {
            let ready = stage.gateway().ask_admin(Request::get("/readyz")).await;
            (ready.status == 200).then_some(())
        })
        .await;
    }
}
