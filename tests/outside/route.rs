//! `tollgate route`: where a request would go, told without asking anybody.

use std::path::Path;
use std::process::Output;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::{config, run};

/// Providers that nobody could reach.
const FILE: &str = r#"
providers:
  openai: { dialect: openai, base_url: "https://tollgate.test/v1", api_key: k }
  claude: { dialect: anthropic, base_url: "https://tollgate.test", api_key: k }
  home: { dialect: openai, base_url: "http://127.0.0.1:9/v1", lacks: [images, audio] }
models:
  able:
    any_of: [ home/small, { target: openai/gpt-4o, weight: 1000, lacks: [audio, tools] }, { target: home/large, lacks: [] } ]
    hedge: { after: 800ms, at_most: 10% }
  fast: { target: openai/gpt-4.1-mini }
  pool: { any_of: [ openai/gpt-4.1, openai/gpt-4o ], pick: cheapest }
  smart:
    chain:
      - { target: openai/gpt-4, escalate_when: [refusal, truncated] }
      - { any_of: [ claude/claude-sonnet-4-5, openai/gpt-4.1 ], pick: cheapest }
    retry: { attempts: 2 }
    max_output_tokens: 1000
    continue: true
"#;

struct Scene {
    home: TempDir,
}

impl Scene {
    fn new() -> Self {
        let home = TempDir::new().expect("a temporary directory");
        // So that only what is configured here is told.
        let file = config(&format!("defaults: {{}}\n{FILE}"));
        std::fs::write(home.path().join("tollgate.yaml"), file).expect("a file of our own");
        Self { home }
    }

    fn path(&self, name: &str) -> String {
        let path = self.home.path().join(name);
        path.to_str().expect("a plain path").to_owned()
    }

    /// What is said of these lines.
    fn told(&self, flags: &[&str], lines: &[Value]) -> Vec<Value> {
        let lines: Vec<_> = lines.iter().map(Value::to_string).collect();
        let output = self.run(flags, &lines.join("\n"));
        let printed = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        let told = printed
            .lines()
            .map(|line| serde_json::from_str(line).expect("JSON"));
        told.collect()
    }

    fn run(&self, flags: &[&str], lines: &str) -> Output {
        let (file, requests) = (self.path("tollgate.yaml"), self.path("requests.jsonl"));
        std::fs::write(Path::new(&requests), lines).expect("a file of our own");
        let arguments = [&["route", "--config", &file], flags, &[&requests]].concat();
        run(arguments)
    }

    fn explained(&self, flags: &[&str], request: Value) -> Value {
        let flags = [&["--explain"], flags].concat();
        self.told(&flags, &[request]).remove(0)
    }
}

fn chat(model: &str) -> Value {
    json!({"model": model, "messages": [{"role": "user", "content": "Say hello."}]})
}

fn targets(step: &Value) -> Vec<&str> {
    let targets = step["targets"].as_array().expect("a list").iter();
    targets.filter_map(|told| told["target"].as_str()).collect()
}

fn calls(told: &Value) -> Vec<&str> {
    let calls = told["if_all_fail"].as_array().expect("a list").iter();
    calls.filter_map(|call| call["target"].as_str()).collect()
}

#[test]
fn without_explain_it_is_the_target_that_is_asked_first() {
    let told = Scene::new().told(&[], &[chat("fast"), chat("pool"), chat("smart")]);
    let first = ["openai/gpt-4.1-mini", "openai/gpt-4.1", "openai/gpt-4"];
    assert_eq!(told, first.map(|target| json!({ "target": target })));
}

#[test]
fn a_bad_line_is_an_error_and_stops_nothing() {
    let scene = Scene::new();
    let lines = format!("nonsense\n{{\"model\": \"fsat\"}}\n{}\n", chat("fast"));
    let output = scene.run(&[], &lines);
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    let told: Vec<Value> = printed
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    assert!(told[0]["error"].is_string(), "{printed}");
    assert_eq!(
        told[1]["error"],
        "there is no model `fsat`; did you mean `fast`?"
    );
    assert_eq!(told[2]["target"], "openai/gpt-4.1-mini");
}

#[test]
fn a_chain_is_told_with_its_gates_order_times_and_costs() {
    let told = Scene::new().explained(&[], chat("smart"));
    assert_eq!(told["target"], "openai/gpt-4");
    assert_eq!(told["continue"], true);
    let [first, second] = [&told["steps"][0], &told["steps"][1]];
    assert_eq!(first["escalate_when"], json!(["refusal", "truncated"]));
    assert_eq!(first["hold"], "all");
    assert_eq!(second["pick"], "cheapest");
    assert_eq!(
        targets(second),
        ["openai/gpt-4.1", "claude/claude-sonnet-4-5"]
    );
    assert_eq!(
        calls(&told),
        [
            "openai/gpt-4",
            "openai/gpt-4",
            "openai/gpt-4.1",
            "claude/claude-sonnet-4-5",
            "openai/gpt-4.1",
            "claude/claude-sonnet-4-5",
        ]
    );
    let claude = &second["targets"][1];
    assert_eq!(
        (&claude["dialect"], &claude["is_translated"]),
        (&"anthropic".into(), &true.into())
    );
    assert_eq!(claude["timeout_ms"]["total"], 600_000);
    let cost = &claude["cost"];
    // 15 dollars a million tokens of answer.
    let usd = |name: &str| cost[name].as_str().and_then(|usd| usd.parse::<f64>().ok());
    let (expected, worst) = (
        usd("expected_usd").expect("a price"),
        usd("worst_usd").expect("a price"),
    );
    assert!(
        0.0 < expected && expected < worst && worst >= 0.015,
        "{cost}"
    );
    assert_eq!(cost["worst_output_tokens"], 1_000);
}

#[test]
fn who_is_left_alone_is_passed_over() {
    let scene = Scene::new();
    let told = scene.explained(&["--closed", "openai/gpt-4"], chat("smart"));
    assert_eq!(told["target"], "openai/gpt-4.1");
    assert_eq!(
        told["steps"][0]["targets"][0]["skipped"],
        "it is left alone"
    );
    let told = scene.explained(&["--closed", "openai/gtp"], chat("smart"));
    assert_eq!(told["error"], "no model leads to a target `openai/gtp`");
}

#[test]
fn what_does_not_fit_a_window_goes_where_it_does() {
    let long = "hello ".repeat(10_000);
    let request = json!({"model": "smart", "messages": [{"role": "user", "content": long}]});
    let told = Scene::new().explained(&[], request);
    assert_eq!(told["target"], "openai/gpt-4.1");
    let skipped = told["steps"][0]["targets"][0]["skipped"].as_str();
    assert!(skipped.is_some_and(|why| why.contains("8192")), "{told}");
}

#[test]
fn what_a_target_cannot_carry_is_named() {
    let mut request = chat("smart");
    request["seed"] = 7.into();
    let told = Scene::new().explained(&[], request);
    let claude = &told["steps"][1]["targets"][1];
    assert_eq!(claude["dropped"], json!(["seed"]), "{claude}");
    assert_eq!(told["steps"][1]["targets"][0]["dropped"], json!([]));
}

#[test]
fn who_lacks_what_is_needed_is_passed_over_and_told() {
    let mut request = chat("able");
    request["messages"][0]["content"] = json!([
        {"type": "text", "text": "What does it say?"},
        {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}},
        {"type": "image_url", "image_url": {"url": "https://tollgate.test/a.png"}},
    ]);
    let told = Scene::new().explained(&[], request);
    assert_eq!(told["target"], "home/large");
    assert!(calls(&told).iter().all(|target| *target == "home/large"));
    let skipped = |target: &str| {
        let targets = told["steps"][0]["targets"].as_array().expect("a list");
        let found = targets.iter().find(|told| told["target"] == target);
        found.expect("the target")["skipped"].clone()
    };
    assert_eq!(
        skipped("home/small"),
        "it lacks what the request needs and another target has: images, audio"
    );
    assert_eq!(
        skipped("openai/gpt-4o"),
        "it lacks what the request needs and another target has: audio"
    );
    assert_eq!(skipped("home/large"), Value::Null);
    // There is nobody else who could be asked beside it.
    let hedge = json!({"after": "800ms", "at_most": 0.1, "target": null});
    assert_eq!(told["hedge"], hedge);
}

#[test]
fn who_is_asked_beside_the_first_is_told() {
    let told = Scene::new().explained(&[], chat("able"));
    assert_eq!(told["target"], "openai/gpt-4o");
    let beside = told["hedge"]["target"].as_str();
    assert!(
        beside.is_some_and(|target| target.starts_with("home/")),
        "{told}"
    );
    let alone = Scene::new().explained(&[], chat("fast"));
    assert_eq!(
        (&alone["hedge"], &alone["continue"]),
        (&Value::Null, &json!(false))
    );
}

#[test]
fn other_dialects_are_asked_at_their_paths() {
    let scene = Scene::new();
    let messages = json!([{"role": "user", "content": "Say hello."}]);
    let body = json!({"model": "smart", "max_tokens": 100, "messages": messages});
    let told = scene.explained(&[], json!({"path": "/v1/messages", "body": body}));
    assert_eq!(told["dialect"], "anthropic");
    assert_eq!(told["steps"][0]["targets"][0]["dialect"], "chat");
    let told = scene.explained(&[], json!({"path": "/v1/models", "body": {}}));
    assert!(told["error"].is_string(), "{told}");
}

#[test]
fn the_same_seed_is_the_same_decision() {
    let scene = Scene::new();
    let at = ["--at", "2026-08-01T12:00:00Z", "--seed", "5"];
    let once = scene.explained(&at, chat("smart"));
    assert_eq!(once, scene.explained(&at, chat("smart")));
}

#[test]
fn a_file_with_a_mistake_is_told_and_nothing_is_answered() {
    let home = TempDir::new().expect("a temporary directory");
    let path = home.path().join("bad.yaml");
    std::fs::write(&path, "listen: 127.0.0.1:0\nmodles: {}\n").expect("a file of our own");
    let path = path.to_str().expect("a plain path");
    let output = run(["route", "--config", path]);
    assert_eq!(output.status.code(), Some(1));
    assert!(output.stdout.is_empty());
    assert!(String::from_utf8_lossy(&output.stderr).contains("did you mean `models`?"));
}
