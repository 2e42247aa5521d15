//! Reading the ledger: `tollgate spend` and `GET /admin/v1/spend`, and what of callers' own words is kept.

use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use tollgate::dialect::Usage;
use tollgate::spend::Usd;

use super::month::{DAY_MS, MARCH, open, row};
use super::{Stage, spent};
use crate::harness::{ADMIN_TOKEN, ask, run, tollgate};
use crate::raw::{Answer, Request};
use crate::upstream::Upstream;

const DEMO: &str = "providers: { demo: { dialect: simulated } }\nmodels: { \"demo/*\": {} }\n";

/// A ledger of four attempts on two days of March 2026, and how the command line names it.
fn ledger() -> (TempDir, String) {
    let home = TempDir::new().expect("a temporary directory");
    let (ledger, url) = open(&home);
    let usage = |input_tokens, output_tokens| Usage {
        input_tokens,
        output_tokens,
        ..Usage::default()
    };
    let usd = |pico: i128| Some(Usd::from_pico(pico));
    let second = MARCH + DAY_MS;
    let mut rows = [
        row(
            MARCH,
            "search",
            "openai/a",
            usage(10, 1),
            usd(1_000_000_000_001),
        ),
        row(
            MARCH,
            "search",
            "claude/b",
            usage(20, 2),
            usd(2_000_000_000_000),
        ),
        row(second, "ads", "openai/a", usage(40, 4), usd(5)),
        row(second - 1, "ads", "openai/a", usage(80, 8), None),
    ];
    rows[1].model = "smart";
    rows[2].key = "dev";
    rows[2].estimated = true;
    rows[3].status = 429;
    for row in rows {
        ledger.push(&row);
    }
    assert!(ledger.close(Duration::from_secs(60)));
    (home, url)
}

/// Labels and costs of a report's lines.
fn lines(report: &Value, by: &[&str]) -> Vec<String> {
    let groups = report["groups"].as_array().expect("groups");
    let line = |group: &Value| {
        let labels = by.iter().chain(&["cost_usd"]);
        let labels: Vec<_> = labels
            .map(|name| group[name].as_str().expect("a string"))
            .collect();
        labels.join(" ")
    };
    groups.iter().map(line).collect()
}

#[test]
fn a_report_is_grouped_by_whatever_is_asked_for_and_filtered() {
    let (_home, url) = ledger();
    for (by, more, expected) in [
        (
            &["team"][..],
            &[][..],
            &["search 3.000000000001", "ads 0.000000000005"][..],
        ),
        (
            &["key"],
            &[],
            &["prod 3.000000000001", "dev 0.000000000005"],
        ),
        (&["model"], &[], &["smart 2", "fast 1.000000000006"]),
        (&["target"], &[], &["claude/b 2", "openai/a 1.000000000006"]),
        (
            &["day"],
            &[],
            &["2026-03-01 3.000000000001", "2026-03-02 0.000000000005"],
        ),
        (
            &["day", "team"],
            &[],
            &[
                "2026-03-01 search 3.000000000001",
                "2026-03-01 ads 0",
                "2026-03-02 ads 0.000000000005",
            ],
        ),
        (&["team"], &["--team", "ads"], &["ads 0.000000000005"]),
        (&["team"], &["--key", "dev"], &["ads 0.000000000005"]),
        (&["team"], &["--model", "smart"], &["search 2"]),
        (
            &["team"],
            &["--target", "openai/a"],
            &["search 1.000000000001", "ads 0.000000000005"],
        ),
        (
            &["team"],
            &["--since", "2026-03-02"],
            &["ads 0.000000000005"],
        ),
        (
            &["team"],
            &["--until", "2026-03-02"],
            &["search 3.000000000001", "ads 0"],
        ),
        (
            &["team"],
            &["--since", "2026-03-02", "--until", "2026-03-02"],
            &[],
        ),
        (&["team"], &["--team", "search' OR '1'='1"], &[]),
        (&["team"], &["--since", "today"], &[]),
    ] {
        let by_all = by.join(",");
        let arguments = [&["--by", &by_all], more].concat();
        let told = spent(&url, &arguments);
        assert_eq!(lines(&told, by), expected, "{arguments:?}: {told}");
    }
    let total = &spent(&url, &[])["total"];
    assert_eq!(
        *total,
        json!({"cost_usd": "3.000000000006", "savings_usd": "0", "requests": 4, "attempts": 4, "errors": 1, "estimated": 1,
            "unpriced": 1, "cache_hits": 0, "corrections": 0, "usage": {"input_tokens": 150, "output_tokens": 15}})
    );
}

/// What `tollgate spend` prints of all time.
fn printed(url: &str, more: &[&str]) -> String {
    let arguments = ["spend", "--ledger", url, "--since", "all"];
    let output = run(arguments.iter().chain(more).copied());
    assert!(output.status.success(), "{more:?}: {output:?}");
    String::from_utf8(output.stdout).expect("UTF-8")
}

#[test]
fn a_report_is_a_table_csv_or_focus() {
    let (_home, url) = ledger();
    let table = printed(&url, &[]);
    let lines: Vec<&str> = table.lines().collect();
    assert_eq!(lines.len(), 4, "a head, two teams and the total: {table}");
    assert!(
        lines[0].starts_with("team") && lines[3].starts_with("total"),
        "{table}"
    );
    assert!(
        lines[1].starts_with("search") && lines[1].contains("$3.00"),
        "{table}"
    );
    assert!(
        table.is_ascii() && !table.contains('\u{1b}'),
        "no bars and no colours where nobody looks: {table}"
    );

    let csv = printed(&url, &["--csv", "--by", "day,team"]);
    let lines: Vec<&str> = csv.split("\r\n").collect();
    assert!(
        lines[0].starts_with("day,team,cost_usd,savings_usd,requests,"),
        "{csv}"
    );
    assert!(
        lines[1].starts_with("2026-03-01,search,3.000000000001,0,2,"),
        "{csv}"
    );
    assert_eq!(lines.len(), 3 + 2, "{csv}");

    let focus = printed(&url, &["--focus"]);
    let lines: Vec<&str> = focus.trim_end().split("\r\n").collect();
    assert!(
        lines[0].starts_with("BilledCost,BillingAccountId,"),
        "{focus}"
    );
    assert_eq!(
        lines.len(),
        1 + 4,
        "a charge for each day, team, key, model and target: {focus}"
    );
    let costs = lines[1..]
        .iter()
        .map(|line| line.split(',').next().expect("a field"));
    let costs: Vec<&str> = costs.collect();
    assert_eq!(
        costs,
        ["2", "1.000000000001", "0", "0.000000000005"],
        "{focus}"
    );
}

#[test]
fn the_ledger_is_named_by_itself_or_by_a_configuration_and_a_missing_one_is_an_error() {
    let (home, url) = ledger();
    let file = home.path().join("tollgate.yaml");
    let yaml = format!("listen: 127.0.0.1:0\nledger: \"{url}\"\n");
    let named = |yaml: &str| {
        std::fs::write(&file, yaml).expect("a file in the test's own directory");
        let file = file.to_str().expect("a plain path");
        run(["spend", "--config", file, "--since", "all", "--json"])
    };
    let output = named(&yaml);
    assert!(output.status.success(), "{output:?}");
    let told: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(told, spent(&url, &[]));
    // Whoever reads the ledger need not have the providers' secrets.
    let secret =
        "providers: { p: { dialect: openai, api_key: \"${TOLLGATE_TEST_NO_SUCH_SECRET}\" } }\n";
    let output = named(&[&yaml, secret].concat());
    assert!(output.status.success(), "{output:?}");
    // The file of that name in the current folder needs not be named.
    let output = tollgate(["spend", "--since", "all", "--json"])
        .current_dir(home.path())
        .output()
        .expect("the binary runs");
    assert_eq!(
        serde_json::from_slice::<Value>(&output.stdout).ok(),
        Some(told)
    );

    let missing = home.path().join("missing.db");
    let missing_url = format!("sqlite:{}", missing.display());
    for (output, code, words) in [
        (named("listen: 127.0.0.1:0\n"), 1, "has no ledger"),
        (
            named(&yaml.replace("listen", "lisetn")),
            1,
            "did you mean `listen`?",
        ),
        (run(["spend", "--ledger", &missing_url]), 1, "missing.db"),
        (run(["spend", "--ledger", "mysql://x"]), 1, "sqlite:PATH"),
        (
            run(["spend", "--ledger", &url, "--since", "yesterday"]),
            1,
            "--since `yesterday`",
        ),
        (
            run(["spend", "--ledger", &url, "--by", "teams"]),
            2,
            "one of team, key, model, target, day",
        ),
        (
            run(["spend", "--ledger", &url, "--json", "--csv"]),
            2,
            "cannot be used with",
        ),
    ] {
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{told}");
        assert!(told.contains(words), "{words}: {told}");
        assert!(output.stdout.is_empty(), "{output:?}");
    }
    assert!(!missing.exists(), "reading makes no ledger");
}

#[tokio::test]
async fn operators_read_the_same_by_http() {
    let (home, url) = ledger();
    let stage = Stage::set_in(home, DEMO).await;
    for (query, arguments) in [
        ("since=all", &[][..]),
        ("since=all&by=day,target", &["--by", "day,target"]),
        (
            "since=2026-03-01&until=2026-03-02&team=search&key=prod&model=smart&target=claude%2Fb",
            &[
                "--since",
                "2026-03-01",
                "--until",
                "2026-03-02",
                "--team",
                "search",
            ],
        ),
    ] {
        let answer = stage.gateway.ask_admin(get(query)).await;
        assert_eq!(answer.status, 200, "{query}: {}", answer.text());
        assert_eq!(answer.header("content-type"), Some("application/json"));
        let told = answer.json();
        match query.contains("model=") {
            true => assert_eq!(told["total"]["cost_usd"], "2"),
            false => assert_eq!(told, spent(&url, arguments), "{query}"),
        }
    }
    let csv = stage.gateway.ask_admin(get("since=all&format=csv")).await;
    assert_eq!(csv.text(), printed(&url, &["--csv"]));
    let focus = stage.gateway.ask_admin(get("since=all&format=focus")).await;
    assert_eq!(focus.text(), printed(&url, &["--focus"]));

    for (query, named) in [
        ("by=teams", "by=teams"),
        ("since=yesterday", "since=yesterday"),
        ("until=2026-02-30", "until=2026-02-30"),
        ("format=xml", "format=xml"),
        ("sicne=all", "`sicne`"),
    ] {
        let answer = stage.gateway.ask_admin(get(query)).await;
        assert_eq!(answer.status, 400, "{query}: {}", answer.text());
        assert!(answer.text().contains(named), "{query}: {}", answer.text());
    }
}

#[tokio::test]
async fn what_was_spent_is_told_to_nobody_without_the_token() {
    let (home, _url) = ledger();
    let stage = Stage::set_in(home, DEMO).await;
    let anonymous = |answer: &Answer| !answer.text().contains("search");
    for request in [
        get("since=all").without("authorization"),
        get("since=all"),
        get("since=all").header("authorization", "Bearer wrong"),
    ] {
        let answer = ask(stage.gateway.admin, request).await;
        assert_eq!(answer.status, 401, "{}", answer.text());
        assert!(anonymous(&answer), "{}", answer.text());
    }
    let file = stage.path("tollgate.yaml");
    let text = std::fs::read_to_string(&file).expect("the configuration");
    let without = text.replace(&format!(", token: {ADMIN_TOKEN}"), "");
    std::fs::write(&file, without).expect("a file in the test's own directory");
    let gateway = crate::harness::Gateway::start_at(&file, &[]).await;
    let answer = gateway.ask_admin(get("since=all")).await;
    assert_eq!(answer.status, 403, "{}", answer.text());
    assert!(anonymous(&answer), "{}", answer.text());
}

fn get(query: &str) -> Request {
    Request::get(&format!("/admin/v1/spend?{query}"))
}

#[tokio::test]
async fn a_callers_user_and_metadata_are_kept_up_to_their_bounds() {
    let upstream = Upstream::healthy().await;
    let stage = Stage::set(&upstream.as_provider("up")).await;
    // Three bytes a character: 256 is in the middle of one.
    let user = "界".repeat(100);
    let long: serde_json::Map<String, Value> = (0..100)
        .map(|number| (format!("name-{number:02}"), "x".repeat(90).into()))
        .collect();
    for (id, tags) in [
        (
            "short",
            json!({"user": "u-1", "metadata": {"feature": "ask \"it\""}}),
        ),
        ("long", json!({"user": user, "metadata": long})),
        ("none", json!({})),
        ("null", json!({"user": null, "metadata": null})),
    ] {
        let mut body = json!({"model": "up/m-1", "messages": [{"role": "user", "content": "x"}]});
        let more = tags.as_object().expect("an object").clone();
        body.as_object_mut().expect("an object").extend(more);
        let request = Request::post("/v1/chat/completions", body.to_string());
        let answer = stage.gateway.ask(request.header("x-request-id", id)).await;
        assert_eq!(answer.status, 200, "{id}: {}", answer.text());
    }
    let short = stage.row("short").await;
    assert_eq!(short.end_user, "u-1");
    assert_eq!(short.metadata, r#"{"feature":"ask \"it\""}"#);
    let kept = stage.row("long").await;
    assert_eq!(kept.end_user, "界".repeat(85), "255 of 256 bytes");
    assert!(
        (3_900..=4_096).contains(&kept.metadata.len()),
        "{}",
        kept.metadata.len()
    );
    let members: serde_json::Map<String, Value> =
        serde_json::from_str(&kept.metadata).expect("JSON still");
    assert!(
        members
            .iter()
            .all(|(name, value)| long.get(name) == Some(value))
    );
    // Anthropic's callers say it elsewhere.
    let body = json!({
        "model": "up/m-1", "max_tokens": 9, "messages": [{"role": "user", "content": "x"}],
        "metadata": {"user_id": "u-2"},
    });
    let request = Request::post("/v1/messages", body.to_string());
    let answer = stage
        .gateway
        .ask(request.header("x-request-id", "claude"))
        .await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(stage.row("claude").await.end_user, "u-2");
    for id in ["none", "null"] {
        let row = stage.row(id).await;
        assert_eq!((row.end_user, row.metadata), Default::default(), "{id}");
    }
    assert!(!stage.gateway.log_text().contains("u-1"), "not in the log");
}
