//! Tools whose names the target would refuse keep them for the caller.

use serde_json::{Value, json};

use crate::harness::{Gateway, config};
use crate::raw::Request;
use crate::upstream::{Received, Upstream, chunk, stream_head, whole};

/// A model that calls the first tool that it is shown, unless its name is one that OpenAI refuses.
fn calling(request: &Received) -> Vec<u8> {
    let body = request.json();
    let name = body["tools"][0]["function"]["name"]
        .as_str()
        .unwrap_or_default();
    let is_fit = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
    if name.len() > 64 || !name.bytes().all(is_fit) {
        return whole(
            400,
            "application/json",
            r#"{"error":{"message":"string too long"}}"#,
        );
    }
    let call = json!({"index": 0, "id": "call_1", "type": "function", "function": {"name": name, "arguments": "{}"}});
    let said = json!({"role": "assistant", "content": null, "tool_calls": [call]});
    if !request.asks_for_stream() {
        let choice = json!({"index": 0, "message": said, "finish_reason": "tool_calls"});
        let answer = json!({"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice]});
        return whole(200, "application/json", &answer.to_string());
    }
    let frame = |delta: Value, finish: Value| {
        let choice = json!({"index": 0, "delta": delta, "finish_reason": finish});
        let event = json!({"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]});
        chunk(format!("data: {event}\n\n"))
    };
    let frames = [
        frame(said, Value::Null),
        frame(json!({}), json!("tool_calls")),
    ]
    .concat();
    [stream_head(), frames, chunk("data: [DONE]\n\n"), chunk("")].concat()
}

#[tokio::test]
async fn a_tools_own_name_comes_back() {
    let upstream = Upstream::answering(calling).await;
    let gateway = Gateway::start(&config(&upstream.as_provider("up"))).await;
    let name = format!("mcp__{}", "a".repeat(90));
    for stream in [false, true] {
        let body = json!({"model": "up/m", "max_tokens": 9, "stream": stream,
            "messages": [{"role": "user", "content": "x"}],
            "tools": [{"name": name, "input_schema": {"type": "object", "properties": {}}}],
            "tool_choice": {"type": "tool", "name": name}});
        let answer = gateway
            .ask(Request::post("/v1/messages", body.to_string()))
            .await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(answer.header("x-tollgate-dropped"), None);
        let told = format!(r#""name":"{name}""#);
        assert!(answer.text().contains(&told), "{}", answer.text());
    }
    let sent: Vec<_> = upstream.received().iter().map(Received::json).collect();
    assert_eq!(
        sent[0]["tools"][0]["function"]["name"],
        sent[1]["tool_choice"]["function"]["name"]
    );
}
