//! What a whole answer is said to have cost: to the caller, in the log, in the ledger and on the metrics.

use std::io::Write;
use std::process::Stdio;

use serde_json::{Value, json};

use super::{Stage, usd};
use crate::harness::tollgate;
use crate::raw::{Answer, Request, chat};
use crate::upstream::{Received, Upstream, whole};

/// A dialect, as its callers ask and its provider answers.
pub(super) struct Case {
    pub name: &'static str,
    /// How `tollgate price` is asked.
    pub seller: (&'static str, &'static str),
    pub target: &'static str,
    /// The end of the provider's path.
    pub path: &'static str,
    pub request: Request,
    pub answer: Value,
    /// Input, output, read from the cache.
    pub tokens: (i64, i64, i64),
}

/// The dialects' whole answers, all with something read from the provider's cache where the dialect has words for that.
pub(super) fn cases() -> Vec<Case> {
    let hello = json!([{"role": "user", "content": "Say hello."}]);
    let case = |name, seller, target, path, at: &str, request: Value, answer, tokens| Case {
        name,
        seller,
        target,
        path,
        request: Request::post(at, request.to_string()),
        answer,
        tokens,
    };
    vec![
        case(
            "chat",
            ("openai", "chat"),
            "openai/gpt-4o",
            "/chat/completions",
            "/v1/chat/completions",
            json!({"model": "openai/gpt-4o", "messages": hello}),
            json!({"id": "c", "object": "chat.completion", "created": 1, "model": "gpt-4o", "choices": [
                {"index": 0, "message": {"role": "assistant", "content": "hello"}, "finish_reason": "stop"}],
                "usage": {"prompt_tokens": 1000, "completion_tokens": 7, "total_tokens": 1007,
                    "prompt_tokens_details": {"cached_tokens": 400}}}),
            (1000, 7, 400),
        ),
        case(
            "responses",
            ("openai", "responses"),
            "openai/gpt-4o",
            "/responses",
            "/v1/responses",
            json!({"model": "openai/gpt-4o", "input": "Say hello.", "store": false}),
            json!({"id": "resp_1", "object": "response", "created_at": 1, "status": "completed", "model": "gpt-4o", "output": [
                {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed",
                    "content": [{"type": "output_text", "text": "hello", "annotations": []}]}],
                "usage": {"input_tokens": 1000, "input_tokens_details": {"cached_tokens": 400}, "output_tokens": 7,
                    "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": 1007}}),
            (1000, 7, 400),
        ),
        case(
            "anthropic",
            ("anthropic", "default"),
            "claude/claude-sonnet-4-5",
            "/messages",
            "/v1/messages",
            json!({"model": "claude/claude-sonnet-4-5", "max_tokens": 9, "messages": hello}),
            json!({"id": "msg_1", "type": "message", "role": "assistant", "model": "claude-sonnet-4-5",
                "content": [{"type": "text", "text": "hello"}], "stop_reason": "end_turn", "stop_sequence": null,
                "usage": {"input_tokens": 600, "cache_read_input_tokens": 400, "cache_creation_input_tokens": 200,
                    "output_tokens": 7}}),
            (1200, 7, 400),
        ),
        case(
            "gemini",
            ("google", "default"),
            "gemini/gemini-2.5-flash",
            ":generateContent",
            "/v1beta/models/gemini%2Fgemini-2.5-flash:generateContent",
            json!({"contents": [{"role": "user", "parts": [{"text": "Say hello."}]}]}),
            json!({"candidates": [{"content": {"role": "model", "parts": [{"text": "hello"}]}, "finishReason": "STOP", "index": 0}],
                "usageMetadata": {"promptTokenCount": 1000, "cachedContentTokenCount": 400, "candidatesTokenCount": 5,
                    "thoughtsTokenCount": 2, "totalTokenCount": 1007}, "modelVersion": "gemini-2.5-flash"}),
            (1000, 7, 400),
        ),
        case(
            "bedrock",
            ("aws", "default"),
            "bedrock/amazon.nova-lite-v1:0",
            "/converse",
            "/model/bedrock%2Famazon.nova-lite-v1%3A0/converse",
            json!({"messages": [{"role": "user", "content": [{"text": "Say hello."}]}]}),
            json!({"output": {"message": {"role": "assistant", "content": [{"text": "hello"}]}}, "stopReason": "end_turn",
                "usage": {"inputTokens": 600, "cacheReadInputTokens": 400, "outputTokens": 7, "totalTokens": 1007},
                "metrics": {"latencyMs": 9}}),
            (1000, 7, 400),
        ),
        case(
            "cohere",
            ("cohere", "default"),
            "cohere/command-r7b-12-2024",
            "/chat",
            "/v2/chat",
            json!({"model": "cohere/command-r7b-12-2024", "messages": hello}),
            json!({"id": "c", "finish_reason": "COMPLETE", "message": {"role": "assistant", "content": [{"type": "text", "text": "hello"}]},
                "usage": {"billed_units": {"input_tokens": 1000, "output_tokens": 7}, "tokens": {"input_tokens": 1000, "output_tokens": 7}}}),
            (1000, 7, 0),
        ),
    ]
}

/// One provider a dialect, all at one upstream.
pub(super) fn sections(upstream: &Upstream) -> String {
    let address = upstream.address;
    format!(
        r#"
providers:
  openai: {{ dialect: openai, base_url: "http://{address}/v1", api_key: k, endpoints: [chat, responses] }}
  claude: {{ dialect: anthropic, base_url: "http://{address}/v1", api_key: k }}
  gemini: {{ dialect: gemini, base_url: "http://{address}/v1beta", api_key: k }}
  bedrock: {{ dialect: bedrock, region: us-east-1, base_url: "http://{address}", api_key: k }}
  cohere: {{ dialect: cohere, base_url: "http://{address}/v2", api_key: k }}
models: {{ "openai/*": {{}}, "claude/*": {{}}, "gemini/*": {{}}, "bedrock/*": {{}}, "cohere/*": {{}} }}
"#
    )
}

fn answer(request: &Received) -> Vec<u8> {
    let path = request.path.split('?').next().unwrap_or_default();
    let all = cases();
    // The longest ending is meant: `/chat` is Cohere's.
    let fitting = all.iter().filter(|case| path.ends_with(case.path));
    let case = fitting
        .max_by_key(|case| case.path.len())
        .expect("a known path");
    whole(200, "application/json", &case.answer.to_string())
}

/// What `tollgate price` says of an answer.
fn priced(case: &Case, body: &[u8]) -> Value {
    let (provider, api) = case.seller;
    let (_, model) = case.target.split_once('/').expect("a target");
    let body: Value = serde_json::from_slice(body).expect("JSON");
    let line = json!({"provider": provider, "api": api, "model": model, "body": body});
    let mut child = tollgate(["price"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the binary runs");
    let mut stdin = child.stdin.take().expect("piped");
    writeln!(stdin, "{line}").expect("it reads");
    drop(stdin);
    let output = child.wait_with_output().expect("it ends");
    serde_json::from_slice(&output.stdout).expect("JSON")
}

fn told(answer: &Answer) -> &str {
    let field = answer.header("x-tollgate-cost-usd");
    field.unwrap_or_else(|| panic!("no cost: {:?}", answer.headers))
}

#[tokio::test]
async fn a_whole_answers_cost_is_what_tollgate_price_says_of_its_body() {
    let upstream = Upstream::answering(answer).await;
    let stage = Stage::set(&sections(&upstream)).await;
    let mut sum = 0;
    let mut tokens = [0; 3];
    for case in cases() {
        let name = case.name;
        let request = case.request.clone().header("x-request-id", name);
        let answer = stage.gateway.ask(request).await;
        assert_eq!(answer.status, 200, "{name}: {}", answer.text());
        let priced = priced(&case, &answer.body);
        assert_eq!(told(&answer), priced["usd"], "{name}: {priced}");

        let row = stage.row(name).await;
        let (input, output, cached) = case.tokens;
        assert_eq!(
            (row.input, row.output, row.cache_read),
            (input, output, cached),
            "{name}"
        );
        assert!(!row.estimated, "{name}");
        let cost = row.cost.expect("a price");
        assert_eq!(told(&answer), usd(cost), "{name}");
        let line = stage.gateway.request_line(name).await;
        assert_eq!(line["cost_usd"], told(&answer), "{name}: {line}");
        assert_eq!(
            (&line["input_tokens"], &line["output_tokens"]),
            (&input.into(), &output.into()),
            "{line}"
        );
        sum += cost;
        tokens = [tokens[0] + input, tokens[1] + output, tokens[2] + cached];
    }
    let gateway = &stage.gateway;
    let spend = gateway
        .metric("tollgate_spend_usd_total", &[("team", "search")])
        .await;
    assert!((spend - sum as f64 / 1e12).abs() < 1e-12, "{spend} {sum}");
    for (kind, tokens) in ["input", "output", "cache_read"].iter().zip(tokens) {
        let counted = gateway
            .metric("tollgate_tokens_total", &[("type", kind)])
            .await;
        assert_eq!(counted, tokens as f64, "{kind}");
    }
    assert_eq!(stage.spent(&[])["total"]["cost_usd"], usd(sum));
}

#[tokio::test]
async fn cached_tokens_are_billed_once_whether_the_provider_counts_them_inside_or_beside() {
    let upstream = Upstream::answering(answer).await;
    let prices = r#"prices: { overrides: [ { target: "*", input: 1, cache_read: 0.1, cache_write: 1.25, output: 10 } ] }"#;
    let stage = Stage::set(&(sections(&upstream) + prices)).await;
    for case in cases() {
        let answer = stage.gateway.ask(case.request).await;
        // In millionths: 600 fresh, 400 cached, 7 of output; Anthropic's 200 written to the cache besides.
        let expected = match case.name {
            "anthropic" => 600_000_000 + 400 * 100_000 + 200 * 1_250_000 + 70_000_000,
            "cohere" => 1_000_000_000 + 70_000_000,
            _ => 600_000_000 + 400 * 100_000 + 70_000_000,
        };
        assert_eq!(told(&answer), usd(expected), "{}", case.name);
    }
}

#[tokio::test]
async fn where_a_target_has_no_price_no_cost_is_told() {
    let upstream = Upstream::answering(answer).await;
    let stage = Stage::set(&sections(&upstream)).await;
    let request = chat("openai/nobody-s-model").header("x-request-id", "unpriced");
    let answer = stage.gateway.ask(request).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.header("x-tollgate-cost-usd"), None);
    let line = stage.gateway.request_line("unpriced").await;
    assert!(line["cost_usd"].is_null(), "{line}");
    let row = stage.row("unpriced").await;
    assert_eq!((row.input, row.cost, row.price_id), (1000, None, None));
}
