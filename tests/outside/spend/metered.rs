//! `x-tollgate-cost: in-usage` writes a stream's cost into its usage; without it a stream is the provider's to the byte.

use serde_json::{Value, json};

use super::costs::sections;
use super::{Stage, usd};
use crate::raw::Request;
use crate::upstream::{Received, Upstream, chunk, stream_head};

/// What a provider streams to each path. Each says somewhere what looks like a usage and is none, or begins with one that
/// the end repeats.
fn stream(path: &str) -> String {
    let named = |events: &[Value]| -> String {
        let event = |data: &Value| {
            let kind = data["type"].as_str().expect("a type");
            format!("event: {kind}\ndata: {data}\n\n")
        };
        events.iter().map(event).collect()
    };
    let plain = |events: &[Value]| -> String {
        let event = |data: &Value| format!("data: {data}\n\n");
        events.iter().map(event).collect()
    };
    if path.ends_with("/chat/completions") {
        let chunk = |choices: Value, usage: Value| json!({"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "gpt-4o", "choices": choices, "usage": usage});
        let choice = |delta: Value, finish: Value| json!([{"index": 0, "delta": delta, "finish_reason": finish}]);
        // A model may say what looks like a usage.
        let said = json!({"role": "assistant", "content": "\"usage\":{\"x\":1}"});
        let usage = json!({"prompt_tokens": 1000, "completion_tokens": 7, "total_tokens": 1007, "prompt_tokens_details": {"cached_tokens": 400}});
        let chunks = [
            chunk(choice(said, Value::Null), Value::Null),
            chunk(choice(json!({}), "stop".into()), Value::Null),
            chunk(json!([]), usage),
        ];
        return plain(&chunks) + "data: [DONE]\n\n";
    }
    if path.ends_with("/responses") {
        let response = |status: &str, usage: Value| json!({"id": "resp_1", "object": "response", "created_at": 1, "status": status, "model": "gpt-4o", "output": [], "usage": usage, "metadata": {"usage": "message_start"}});
        let usage = json!({"input_tokens": 1000, "input_tokens_details": {"cached_tokens": 400}, "output_tokens": 7, "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": 1007});
        return named(&[
            json!({"type": "response.created", "sequence_number": 0, "response": response("in_progress", Value::Null)}),
            json!({"type": "response.output_text.delta", "sequence_number": 1, "item_id": "msg_1", "output_index": 0, "content_index": 0, "delta": "hello"}),
            json!({"type": "response.completed", "sequence_number": 2, "response": response("completed", usage)}),
        ]);
    }
    if path.ends_with("/messages") {
        let usage =
            json!({"input_tokens": 600, "cache_read_input_tokens": 400, "output_tokens": 1});
        return named(&[
            json!({"type": "message_start", "message": {"id": "msg_1", "type": "message", "role": "assistant", "model": "x", "content": [], "stop_reason": null, "stop_sequence": null, "usage": usage}}),
            json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}),
            json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "hello"}}),
            json!({"type": "content_block_stop", "index": 0}),
            json!({"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": null}, "usage": {"output_tokens": 7}}),
            json!({"type": "message_stop"}),
        ]);
    }
    let part = |text: &str, finish: Value, usage: Value| json!({"candidates": [{"content": {"role": "model", "parts": [{"text": text}, {"functionCall": {"name": "report", "args": {"usage": {"x": 1}}}}]}, "finishReason": finish, "index": 0}], "usageMetadata": usage, "modelVersion": "gemini-2.5-flash"});
    plain(&[
        part(
            "hel",
            Value::Null,
            json!({"promptTokenCount": 1000, "cachedContentTokenCount": 400, "candidatesTokenCount": 3, "totalTokenCount": 1003}),
        ),
        part(
            "lo",
            "STOP".into(),
            json!({"promptTokenCount": 1000, "cachedContentTokenCount": 400, "candidatesTokenCount": 5, "thoughtsTokenCount": 2, "totalTokenCount": 1007}),
        ),
    ])
}

/// A name, a request for a stream, and the names of the usage in the event that tells it.
fn requests() -> [(&'static str, Request, &'static [&'static str]); 4] {
    let messages = json!([{"role": "user", "content": "Say hello."}]);
    let post = |path: &str, body: Value| Request::post(path, body.to_string());
    [
        (
            "chat",
            post(
                "/v1/chat/completions",
                json!({"model": "openai/gpt-4o", "stream": true, "stream_options": {"include_usage": true}, "messages": messages}),
            ),
            &["usage"],
        ),
        (
            "responses",
            post(
                "/v1/responses",
                json!({"model": "openai/gpt-4o", "stream": true, "store": false, "input": "Say hello."}),
            ),
            &["response", "usage"],
        ),
        (
            "anthropic",
            post(
                "/v1/messages",
                json!({"model": "claude/claude-x", "stream": true, "max_tokens": 9, "messages": messages}),
            ),
            &["usage"],
        ),
        (
            "gemini",
            post(
                "/v1beta/models/gemini%2Fgemini-x:streamGenerateContent?alt=sse",
                json!({"contents": [{"role": "user", "parts": [{"text": "Say hello."}]}]}),
            ),
            &["usageMetadata"],
        ),
    ]
}

const PRICES: &str =
    r#"prices: { overrides: [ { target: "*", input: 1, cache_read: 0.1, output: 10 } ] }"#;
/// 600 tokens at 1, 400 at 0.1 and 7 at 10 dollars a million, in pico-dollars.
const COST: i64 = 600_000_000 + 40_000_000 + 70_000_000;

async fn set() -> (Stage, Upstream) {
    let upstream = Upstream::answering(|request: &Received| {
        let path = request.path.split('?').next().unwrap_or_default();
        [stream_head(), chunk(stream(path)), chunk("")].concat()
    })
    .await;
    let stage = Stage::set(&(sections(&upstream) + PRICES)).await;
    (stage, upstream)
}

/// The text with the provider's own id of a response, which the gateway seals to its caller's team.
fn own_ids(text: &str) -> String {
    let sealed = text.split('"').find(|word| word.starts_with("resp_"));
    sealed.map_or_else(|| text.to_owned(), |sealed| text.replace(sealed, "resp_1"))
}

#[tokio::test]
async fn a_stream_whose_caller_does_not_ask_for_its_cost_is_the_providers_to_the_byte() {
    let (stage, upstream) = set().await;
    for (name, request, _) in requests() {
        for request in [
            request.clone(),
            request.header("x-tollgate-cost", "somewhere"),
        ] {
            let answer = stage.gateway.ask(request).await;
            let asked = upstream.received().pop().expect("it arrived").path;
            let path = asked.split('?').next().unwrap_or_default();
            assert_eq!(own_ids(answer.text()), stream(path), "{name}");
        }
    }
}

#[tokio::test]
async fn a_stream_whose_caller_asks_for_it_gains_its_cost_in_its_usage_and_nothing_else() {
    let (stage, upstream) = set().await;
    for (name, request, place) in requests() {
        let request = request
            .header("x-tollgate-cost", "in-usage")
            .header("x-request-id", name);
        let answer = stage.gateway.ask(request).await;
        let asked = upstream.received().pop().expect("it arrived").path;
        let path = asked.split('?').next().unwrap_or_default();
        let expected = crate::sse::events(&stream(path));
        let events = crate::sse::events(&own_ids(answer.text()));
        assert_eq!(events.len(), expected.len(), "{name}: {}", answer.text());
        let mut costs = Vec::new();
        for (event, expected) in events.iter().zip(&expected) {
            let mut json = event.json();
            let usage = place
                .iter()
                .try_fold(&mut json, |at, name| at.get_mut(name));
            let cost = usage
                .and_then(Value::as_object_mut)
                .and_then(|usage| usage.shift_remove("cost"));
            match cost {
                Some(cost) => {
                    assert_eq!(json, expected.json(), "{name}");
                    costs.push(cost);
                }
                None => assert_eq!(event, expected, "{name}"),
            }
        }
        // As text, because a reader of JSON makes a float of it.
        let last = format!(r#""cost":{}"#, usd(COST));
        assert!(answer.text().contains(&last), "{name}: {}", answer.text());
        let row = stage.row(name).await;
        assert_eq!(row.cost, Some(COST), "{name}");
        assert!(row.stream && !row.estimated, "{name}");
        let line = stage.gateway.request_line(name).await;
        assert_eq!(line["cost_usd"], usd(COST), "{line}");
        let told = if name == "gemini" { 2 } else { 1 };
        assert_eq!(costs.len(), told, "{name}: {}", answer.text());
        assert_eq!(
            costs.last().and_then(Value::as_f64),
            Some(COST as f64 / 1e12)
        );
    }
}
