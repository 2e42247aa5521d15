//! Responses that their provider keeps belong to the team that made them.

use serde_json::{Value, json};

use crate::harness::{Gateway, KEY, config, sha256_hex};
use crate::raw::{Answer, Request};
use crate::upstream::{Received, Upstream, chunk, stream_head, whole};

const OTHER_KEY: &str = "key-of-another-team";

/// A provider that keeps responses, as far as a gateway can tell.
fn keeping(request: &Received) -> Vec<u8> {
    let previous = request.json()["previous_response_id"].clone();
    let response = json!({
        "id": "resp_68af", "object": "response", "status": "completed", "model": "m-1", "previous_response_id": previous,
        "output": [{"type": "message", "id": "msg_1", "role": "assistant", "status": "completed",
            "content": [{"type": "output_text", "text": "resp_68af", "annotations": []}]}],
        "usage": {"input_tokens": 3, "output_tokens": 5, "total_tokens": 8},
    });
    if !request.asks_for_stream() {
        return whole(200, "application/json", &response.to_string());
    }
    let events = ["response.created", "response.completed"].map(|kind| {
        let event = json!({"type": kind, "sequence_number": 0, "response": response});
        chunk(format!("event: {kind}\ndata: {event}\n\n"))
    });
    [stream_head(), events.concat(), chunk("")].concat()
}

async fn start() -> (Gateway, Upstream) {
    let upstream = Upstream::answering(keeping).await;
    let address = upstream.address;
    let other = sha256_hex(OTHER_KEY);
    let text = config(&format!(
        r#"
providers:
  up: {{ dialect: openai, base_url: "http://{address}/v1", api_key: provider-secret, endpoints: [chat, responses] }}
  chats: {{ dialect: openai, base_url: "http://{address}/v1", api_key: provider-secret }}
models: {{ "up/*": {{}}, "chats/*": {{}} }}
"#
    ));
    let text =
        format!("{text}  ads: {{ models: \"*\", keys: [ {{ name: a, sha256: \"{other}\" }} ] }}\n");
    (Gateway::start(&text).await, upstream)
}

fn create(more: Value) -> Request {
    let mut body = json!({"model": "up/m-1", "input": "hello"});
    body.as_object_mut()
        .expect("an object")
        .extend(more.as_object().expect("an object").clone());
    Request::post("/v1/responses", body.to_string())
}

fn by_another_team(request: Request) -> Request {
    request.header("authorization", &format!("Bearer {OTHER_KEY}"))
}

fn delete(id: &str) -> Request {
    let mut request = Request::get(&format!("/v1/responses/{id}"));
    request.method = "DELETE".into();
    request
}

fn id_of(answer: &Answer) -> String {
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()["id"].as_str().expect("an id").to_owned()
}

#[tokio::test]
async fn a_kept_response_is_read_gone_on_from_and_deleted_by_its_team() {
    let (gateway, upstream) = start().await;
    let made = gateway.ask(create(json!({}))).await;
    let id = id_of(&made);
    assert!(id.starts_with("resp_") && id != "resp_68af", "{id}");
    assert_eq!(made.json()["output"][0]["content"][0]["text"], "resp_68af");

    let next = gateway
        .ask(create(json!({"previous_response_id": id})))
        .await;
    assert_eq!(next.json()["previous_response_id"], id);
    let arrived = upstream.received().pop().expect("it arrived");
    assert_eq!(arrived.json()["previous_response_id"], "resp_68af");

    for (request, method) in [
        (
            Request::get(&format!("/v1/responses/{id}?include=x")),
            "GET",
        ),
        (delete(&id), "DELETE"),
    ] {
        let answer = gateway.ask(request).await;
        assert_eq!(id_of(&answer), id);
        let arrived = upstream.received().pop().expect("it arrived");
        assert_eq!(arrived.method, method);
        assert!(
            arrived.path.starts_with("/v1/responses/resp_68af"),
            "{}",
            arrived.path
        );
        assert_eq!(
            arrived.header("authorization"),
            Some("Bearer provider-secret")
        );
    }
}

#[tokio::test]
async fn a_streamed_response_has_the_same_id() {
    let (gateway, _upstream) = start().await;
    let id = id_of(&gateway.ask(create(json!({}))).await);
    let streamed = gateway.ask(create(json!({"stream": true}))).await;
    let ids: Vec<Value> = streamed
        .events()
        .iter()
        .map(|event| {
            serde_json::from_str::<Value>(&event.data).expect("JSON")["response"]["id"].clone()
        })
        .collect();
    assert_eq!(ids, [id.as_str(), id.as_str()]);
}

#[tokio::test]
async fn another_teams_response_is_not_there() {
    let (gateway, upstream) = start().await;
    let id = id_of(&gateway.ask(create(json!({}))).await);
    upstream.forget();
    let tampered = format!("{}A", &id[..id.len() - 1]);
    for request in [
        by_another_team(Request::get(&format!("/v1/responses/{id}"))),
        by_another_team(delete(&id)),
        by_another_team(create(json!({"previous_response_id": id}))),
        create(json!({"previous_response_id": "resp_68af"})),
        create(json!({"previous_response_id": tampered})),
        Request::get("/v1/responses/resp_68af"),
    ] {
        gateway.ask(request).await.assert_error(404, "not_found");
    }
    assert!(upstream.received().is_empty(), "nothing was asked upstream");
}

#[tokio::test]
async fn what_is_kept_nowhere_is_refused_by_name() {
    let (gateway, upstream) = start().await;
    for (request, param) in [
        (
            create(json!({"model": "chats/m-1", "previous_response_id": "resp_1"})),
            "previous_response_id",
        ),
        (
            create(json!({"model": "chats/m-1", "conversation": "conv_1"})),
            "conversation",
        ),
        (
            create(json!({"previous_response_id": 7})),
            "previous_response_id",
        ),
    ] {
        let error = gateway
            .ask(request)
            .await
            .assert_error(400, "invalid_request");
        assert_eq!(error["param"], param);
    }
    assert!(upstream.received().is_empty());
}

#[tokio::test]
async fn of_the_callers_query_only_what_the_provider_knows_goes_on() {
    let (gateway, upstream) = start().await;
    let id = id_of(&gateway.ask(create(json!({}))).await);
    upstream.forget();
    let path = format!("/v1/responses/{id}?key={KEY}&include[]=a.b&x=1");
    let read = gateway.ask(Request::get(&path)).await;
    assert_eq!(read.status, 200, "{}", read.text());
    assert_eq!(
        upstream.only_request().path,
        "/v1/responses/resp_68af?include[]=a.b"
    );
    upstream.forget();
    let path = format!("/v1/responses/{id}?stream=true");
    let refused = gateway.ask(Request::get(&path)).await;
    assert_eq!(
        refused.assert_error(400, "invalid_request")["param"],
        "stream"
    );
    assert!(upstream.received().is_empty());
}
