//! `prices` and `ledger` in the configuration: prices of one's own, changes of them while requests run, targets without
//! any, and mistakes.

use serde_json::json;
use tempfile::TempDir;

use super::{Stage, configuration, usd};
use crate::harness::{eventually, replace_file, run};
use crate::raw::{Request, chat};
use crate::upstream::{COMPLETION, Received, Upstream, whole};

/// The usage of [`COMPLETION`] at so many pico-dollars a token.
fn cost_of_completion(input: i64, output: i64) -> String {
    usd(9 * input + 4 * output)
}

/// `up` is nobody's whom the catalogue knows.
fn sections(upstream: &Upstream, prices: &str) -> String {
    let address = upstream.address;
    format!(
        r#"
providers:
  up: {{ dialect: openai, base_url: "http://{address}/v1", api_key: k }}
  proxy: {{ dialect: openai, base_url: "http://{address}/v1", api_key: k }}
models: {{ "up/*": {{}}, "proxy/*": {{}} }}
prices: {prices}
"#
    )
}

async fn cost(stage: &Stage, request: Request) -> Option<String> {
    let answer = stage.gateway.ask(request).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.header("x-tollgate-cost-usd").map(str::to_owned)
}

#[tokio::test]
async fn an_override_prices_a_target_a_pattern_or_a_resale() {
    let upstream = Upstream::healthy().await;
    let prices = r#"
  overrides:
    - { target: "*", input: 7, output: 7 }
    - { target: "up/*", input: 1, output: 2 }
    - { target: "up/m-special", input: 3, output: 4 }
    - { target: "proxy/*", as: openai, times: 0.8 }
    - { target: "proxy/gpt-4o", as: openai, input: 0 }"#;
    let stage = Stage::set(&sections(&upstream, prices)).await;
    for (model, input, output) in [
        ("up/m-1", 1_000_000, 2_000_000),
        ("up/m-special", 3_000_000, 4_000_000),
        // The catalogue's 0.15 and 0.6, less a fifth.
        ("proxy/gpt-4o-mini", 120_000, 480_000),
        // What is not said is the catalogue's: 10 for output.
        ("proxy/gpt-4o", 0, 10_000_000),
    ] {
        let expected = cost_of_completion(input, output);
        assert_eq!(cost(&stage, chat(model)).await, Some(expected), "{model}");
    }
    // The narrowest override is meant, and a discount on nothing is no price.
    assert_eq!(cost(&stage, chat("proxy/nobody-s")).await, None);
}

#[tokio::test]
async fn a_catalogue_of_ones_own_is_read_again_when_it_changes_and_old_rows_keep_their_price() {
    let upstream = Upstream::healthy().await;
    let home = TempDir::new().expect("a temporary directory");
    let file = home.path().join("my-prices.json");
    let catalogue = |input: u32, output: u32| {
        let models = json!([{"id": "m", "match": {"starts_with": "m-"}, "prices": [{"input": input, "output": output}]}]);
        json!({"date": "2026-11-01", "source": "our contract", "providers": [
            {"id": "mine", "name": "Mine", "api": "http://127\\.0\\.0\\.1", "models": models}]})
        .to_string()
    };
    replace_file(&file, &catalogue(1, 2));
    let yaml = sections(&upstream, r#"{ catalogue: "HOME/my-prices.json" }"#);
    let stage = Stage::set_in(home, &yaml).await;
    let old = cost_of_completion(1_000_000, 2_000_000);
    let request = chat("up/m-1").header("x-request-id", "before");
    assert_eq!(cost(&stage, request).await, Some(old.clone()));
    // The catalogue of one's own is all there is.
    assert_eq!(cost(&stage, chat("up/gpt-4o")).await, None);

    replace_file(&file, &catalogue(5, 6));
    let new = cost_of_completion(5_000_000, 6_000_000);
    eventually("the changed price", async || {
        (cost(&stage, chat("up/m-1")).await.as_ref() == Some(&new)).then_some(())
    })
    .await;
    let request = chat("up/m-1").header("x-request-id", "behind");
    assert_eq!(cost(&stage, request).await, Some(new.clone()));

    let (before, behind) = (stage.row("before").await, stage.row("behind").await);
    assert_eq!(before.cost.map(usd), Some(old));
    assert_eq!(behind.cost.map(usd), Some(new));
    let named = |id: &Option<String>| id.as_deref().is_some_and(|id| id.starts_with("mine/m#"));
    assert!(
        named(&before.price_id) && named(&behind.price_id),
        "{before:?} {behind:?}"
    );
    assert_ne!(before.price_id, behind.price_id);
    let ledger = rusqlite::Connection::open(stage.path("ledger.db")).expect("a ledger");
    for (id, figures) in [
        (
            &before.price_id,
            r#"[{"above":0,"input":"1","output":"2"}]"#,
        ),
        (
            &behind.price_id,
            r#"[{"above":0,"input":"5","output":"6"}]"#,
        ),
    ] {
        let found: String = ledger
            .query_row("SELECT json FROM prices WHERE id = ?1", [id], |row| {
                row.get(0)
            })
            .expect("the price");
        assert_eq!(found, figures);
    }

    // One that cannot be read changes nothing.
    replace_file(&file, "{");
    stage
        .gateway
        .metric_becomes(
            "tollgate_config_reloads_total",
            &[("result", "failure")],
            |count| count >= 1.0,
        )
        .await;
    let still = cost_of_completion(5_000_000, 6_000_000);
    assert_eq!(cost(&stage, chat("up/m-1")).await, Some(still));
}

#[tokio::test]
async fn a_changed_override_takes_effect_without_a_restart() {
    let upstream = Upstream::healthy().await;
    let with = |input: u32| {
        let prices =
            format!(r#"{{ overrides: [ {{ target: "up/*", input: {input}, output: 0 }} ] }}"#);
        sections(&upstream, &prices)
    };
    let stage = Stage::set(&with(1)).await;
    let request = chat("up/m-1").header("x-request-id", "before");
    let old = cost_of_completion(1_000_000, 0);
    assert_eq!(cost(&stage, request).await, Some(old.clone()));
    stage.row("before").await;
    let text = configuration(stage.home.path(), &with(5));
    replace_file(&stage.path("tollgate.yaml"), &text);
    let mut reload = Request::get("/admin/v1/reload");
    reload.method = "POST".to_owned();
    let answer = stage.gateway.ask_admin(reload).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let request = chat("up/m-1").header("x-request-id", "behind");
    let new = cost_of_completion(5_000_000, 0);
    assert_eq!(cost(&stage, request).await, Some(new.clone()));
    stage.row("behind").await;
    let rows = stage.end().await;
    let costs: Vec<_> = rows.iter().map(|row| row.cost.map(usd)).collect();
    assert_eq!(costs, [Some(old), Some(new)]);
    assert_ne!(rows[0].price_id, rows[1].price_id);
}

#[tokio::test]
async fn unknown_reject_refuses_what_has_no_price_in_the_callers_dialect_before_any_call() {
    let upstream = Upstream::healthy().await;
    let prices =
        r#"{ unknown: reject, overrides: [ { target: "up/m-priced", input: 1, output: 1 } ] }"#;
    let stage = Stage::set(&sections(&upstream, prices)).await;
    let error = stage.gateway.ask(chat("up/m-1")).await;
    let error = error.assert_error(403, "model_not_priced");
    assert_eq!(
        (&error["type"], &error["param"]),
        (&"permission_error".into(), &"model".into())
    );
    let body = r#"{"model":"up/m-1","max_tokens":9,"messages":[{"role":"user","content":"x"}]}"#;
    let answer = stage.gateway.ask(Request::post("/v1/messages", body)).await;
    assert_eq!(answer.status, 403, "{}", answer.text());
    let told = answer.json();
    assert_eq!(
        (&told["type"], &told["error"]["type"]),
        (&"error".into(), &"permission_error".into())
    );
    let path = "/v1beta/models/up%2Fm-1:generateContent";
    let body = r#"{"contents":[{"role":"user","parts":[{"text":"x"}]}]}"#;
    let answer = stage.gateway.ask(Request::post(path, body)).await;
    assert_eq!(answer.status, 403, "{}", answer.text());
    assert_eq!(answer.json()["error"]["status"], "PERMISSION_DENIED");
    assert!(upstream.received().is_empty(), "{:?}", upstream.received());

    assert_eq!(stage.gateway.ask(chat("up/m-priced")).await.status, 200);
    let rows = stage.end().await;
    assert_eq!(rows.len(), 1, "what was never called is no row: {rows:?}");
}

#[tokio::test]
async fn unknown_meter_counts_what_has_no_price_and_warns_of_it_once() {
    let upstream = Upstream::healthy().await;
    let stage = Stage::set(&sections(&upstream, "{ unknown: meter }")).await;
    for id in ["first", "second", "third"] {
        let request = chat("up/m-1").header("x-request-id", id);
        assert_eq!(stage.gateway.ask(request).await.text(), COMPLETION);
    }
    for id in ["first", "second", "third"] {
        let row = stage.row(id).await;
        assert_eq!((row.input, row.output, row.cost), (9, 4, None), "{row:?}");
    }
    let gateway = &stage.gateway;
    for (name, labels, count) in [
        (
            "tollgate_unpriced_answers_total",
            [("model", "up/m-1"), ("target", "up/m-1")],
            3.0,
        ),
        (
            "tollgate_tokens_total",
            [("team", "search"), ("type", "input")],
            27.0,
        ),
    ] {
        let counted = gateway.metric(name, &labels).await;
        assert_eq!(counted, count, "{name}");
    }
    let is_warning = |line: &serde_json::Value| {
        let text = line["msg"].as_str().unwrap_or_default();
        text.contains("`up/m-1` has no price")
    };
    let warning = gateway.log_line("the warning", is_warning).await;
    assert_eq!(warning["level"], "warn", "{warning}");
    let lines = gateway.log_lines();
    assert_eq!(lines.iter().filter(|line| is_warning(line)).count(), 1);
    assert_eq!(stage.spent(&[])["total"]["unpriced"], 3);
}

#[tokio::test]
async fn a_price_per_request_is_paid_for_each_answer() {
    let upstream =
        Upstream::answering(|_: &Received| whole(200, "application/json", COMPLETION)).await;
    let prices = r#"{ overrides: [ { target: "up/*", input: 1, output: 1, requests: 5000 } ] }"#;
    let stage = Stage::set(&sections(&upstream, prices)).await;
    // 13 tokens at a dollar a million, and a request at 5000 a million.
    let expected = usd(13_000_000 + 5_000_000_000);
    assert_eq!(cost(&stage, chat("up/m-1")).await, Some(expected));
}

#[test]
fn check_reports_every_mistake_in_prices_and_ledger_where_it_stands() {
    const MISTAKES: &str = r#"listen: 127.0.0.1:0
providers:
  up: { dialect: openai, base_url: "http://127.0.0.1:1/v1", api_key: k }
models:
  "up/*": {}
prices:
  catalogue: no-such-folder/my-prices.json
  overrides:
    - { target: "upp/*", input: 1 }
    - { target: "up/*", as: opnai }
    - { target: "up/*", input: 2 }
    - { target: "*/*", input: 2 }
    - { target: gpt-4o, input: 2 }
ledger:
  url: "mysql://me:hunter2@db/spend"
  commit_every: 11s
  keep: 1h
"#;
    let output = check(MISTAKES);
    for (place, message, help) in [
        ("7:14", "cannot read the catalogue", None),
        (
            "9:17",
            "there is no provider `upp`",
            Some("did you mean `up`?"),
        ),
        (
            "10:29",
            "the catalogue knows no provider `opnai`",
            Some("did you mean `openai`?"),
        ),
        ("11:17", "`up/*` has a price already", None),
        ("12:17", "a target may hold one `*`", None),
        (
            "13:17",
            "`gpt-4o` is no target",
            Some("it has the form provider/model-name"),
        ),
        ("15:8", "a ledger is `sqlite:PATH`", None),
        ("16:17", "`commit_every` is from `1ms` to `10s`", None),
        ("17:9", "`keep` is at least `1d`", Some("kept for ever")),
    ] {
        assert_reported(&output, place, message, help);
    }
    assert!(output.ends_with("9 errors, 0 warnings\n"), "{output}");
    assert!(!output.contains("hunter2"), "{output}");

    // What is of the wrong kind is told among the others.
    let output = check(
        &MISTAKES
            .replace("input: 1 }", "input: -1 }")
            .replace("as: opnai", "ass: openai")
            .replace("  catalogue:", "  unknown: refuse\n  catalogue:"),
    );
    for (place, message, help) in [
        ("7:12", "must be `meter` or `reject`, not `refuse`", None),
        (
            "10:33",
            "must be a number from 0 to 18446744, not `-1`",
            None,
        ),
        ("11:25", "unknown field `ass`", Some("did you mean `as`?")),
    ] {
        assert_reported(&output, place, message, help);
    }
}

/// What `tollgate check` prints of a file that it refuses.
fn check(text: &str) -> String {
    let home = TempDir::new().expect("a temporary directory");
    let file = home.path().join("wrong.yaml");
    std::fs::write(&file, text).expect("a file in the test's own directory");
    let output = run(["check", file.to_str().expect("a plain path")]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    String::from_utf8(output.stdout).expect("UTF-8")
}

#[track_caller]
fn assert_reported(output: &str, place: &str, message: &str, help: Option<&str>) {
    let place = format!("wrong.yaml:{place}: error: ");
    let at = output.find(&place);
    let at = at.unwrap_or_else(|| panic!("nothing at {place} in\n{output}"));
    let report = &output[at + place.len()..];
    let report = report.split("error: ").next().unwrap_or_default();
    assert!(report.contains(message), "{message}: {report}");
    if let Some(help) = help {
        let told = report
            .lines()
            .filter_map(|line| line.strip_prefix("help: "));
        assert!(told.into_iter().any(|told| told.contains(help)), "{report}");
    }
}
