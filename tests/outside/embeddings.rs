//! Embeddings in OpenAI's form, of targets that have their own.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use crate::harness::{Gateway, config};
use crate::raw::{Answer, Request};
use crate::upstream::{Received, Upstream, whole};

/// A target, and the path that it is asked at for one text and for two.
const TARGETS: [(&str, &str, &str); 6] = [
    (
        "gemini/gemini-embedding-001",
        "/v1beta/models/gemini-embedding-001:batchEmbedContents",
        "/v1beta/models/gemini-embedding-001:batchEmbedContents",
    ),
    (
        "vertex/gemini-embedding-2",
        "/v1/projects/p/locations/l/publishers/google/models/gemini-embedding-2:embedContent",
        "/v1/projects/p/locations/l/publishers/google/models/gemini-embedding-2:batchEmbedContents",
    ),
    (
        "vertex/text-embedding-005",
        "/v1/projects/p/locations/l/publishers/google/models/text-embedding-005:predict",
        "/v1/projects/p/locations/l/publishers/google/models/text-embedding-005:predict",
    ),
    ("cohere/embed-v4.0", "/v2/embed", "/v2/embed"),
    (
        "bedrock/amazon.titan-embed-text-v2:0",
        "/model/amazon.titan-embed-text-v2%3A0/invoke",
        "/model/amazon.titan-embed-text-v2%3A0/invoke",
    ),
    (
        "bedrock/cohere.embed-english-v3",
        "/model/cohere.embed-english-v3/invoke",
        "/model/cohere.embed-english-v3/invoke",
    ),
];

/// The text `n` is embedded as `[n, 0.5]`, and costs a token a character. The text `busy` is refused.
fn embedding(request: &Received) -> Vec<u8> {
    let body = request.json();
    let texts = texts(&body);
    if texts.contains(&"busy") {
        let error = json!({"message": "slow down", "error": {"code": 429, "message": "slow down", "status": "RESOURCE_EXHAUSTED"}});
        return whole(429, "application/json", &error.to_string());
    }
    let vector = |text: &&str| json!([text.parse::<f64>().expect("a number"), 0.5]);
    let vectors: Vec<Value> = texts.iter().map(vector).collect();
    let values = |vector: &Value| json!({"values": vector});
    let tokens: usize = texts.iter().map(|text| text.len()).sum();
    let answer = match request.path.rsplit(['/', ':']).next().expect("a verb") {
        "batchEmbedContents" => {
            let embeddings: Vec<_> = vectors.iter().map(values).collect();
            json!({"embeddings": embeddings, "usageMetadata": {"promptTokenCount": tokens}})
        }
        "embedContent" => {
            json!({"embedding": values(&vectors[0]), "usageMetadata": {"promptTokenCount": tokens}})
        }
        "predict" => {
            let counted = texts.iter().zip(&vectors).map(|(text, vector)| {
                json!({"embeddings": {"values": vector, "statistics": {"token_count": text.len()}}})
            });
            json!({"predictions": counted.collect::<Vec<_>>()})
        }
        "embed" => {
            json!({"embeddings": {"float": vectors}, "meta": {"billed_units": {"input_tokens": tokens}}})
        }
        _ if body.get("inputText").is_some() => {
            json!({"embedding": vectors[0], "inputTextTokenCount": tokens})
        }
        _ => {
            let body = json!({"embeddings": {"float": vectors}}).to_string();
            let head = format!(
                "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nx-amzn-bedrock-input-token-count: {tokens}\r\ncontent-length: {}\r\n\r\n",
                body.len()
            );
            return [head, body].concat().into_bytes();
        }
    };
    whole(200, "application/json", &answer.to_string())
}

/// The texts of a request in anybody's form.
fn texts(body: &Value) -> Vec<&str> {
    let list = |name: &str| body[name].as_array().into_iter().flatten();
    let batch = list("requests").map(|it| &it["content"]["parts"][0]["text"]);
    let single = std::iter::once(&body["content"]["parts"][0]["text"]);
    let instances = list("instances").map(|it| &it["content"]);
    let titan = std::iter::once(&body["inputText"]);
    let all = batch
        .chain(single)
        .chain(instances)
        .chain(list("texts"))
        .chain(titan);
    all.filter_map(Value::as_str).collect()
}

async fn start() -> (Gateway, Upstream) {
    let upstream = Upstream::answering(embedding).await;
    let address = upstream.address;
    let text = config(&format!(
        r#"
providers:
  gemini: {{ dialect: gemini, base_url: "http://{address}/v1beta", api_key: k }}
  vertex: {{ dialect: gemini, vertex: {{ project: p, location: l }}, base_url: "http://{address}/v1", api_key: k }}
  cohere: {{ dialect: cohere, base_url: "http://{address}/v2", api_key: k }}
  bedrock: {{ dialect: bedrock, region: eu-west-1, base_url: "http://{address}", api_key: k }}
  claude: {{ dialect: anthropic, base_url: "http://{address}/v1", api_key: k }}
models:
  "gemini/*": {{}}
  "vertex/*": {{}}
  "cohere/*": {{}}
  "bedrock/*": {{}}
  "claude/*": {{}}
  picky: {{ target: gemini/gemini-embedding-001, strict: true }}
"#
    ));
    (Gateway::start(&text).await, upstream)
}

fn embed(model: &str, input: Value) -> Request {
    let body = json!({"model": model, "input": input});
    Request::post("/v1/embeddings", body.to_string())
}

/// The first number of each embedding, which tells its text.
fn numbers(answer: &Answer) -> Vec<f64> {
    assert_eq!(answer.status, 200, "{}", answer.text());
    let body = answer.json();
    let data = body["data"].as_array().expect("a list").iter().enumerate();
    data.map(|(index, entry)| {
        assert_eq!(entry["index"], index);
        assert_eq!(entry["embedding"][1], 0.5);
        entry["embedding"][0].as_f64().expect("a number")
    })
    .collect()
}

#[tokio::test]
async fn every_target_embeds_texts_in_their_order() {
    let (gateway, upstream) = start().await;
    for (model, path_of_one, path_of_two) in TARGETS {
        let one = gateway.ask(embed(model, json!("7"))).await;
        assert_eq!(numbers(&one), [7.0], "{model}");
        assert_eq!(upstream.received()[0].path, path_of_one);
        upstream.forget();
        let two = gateway.ask(embed(model, json!(["12", "345"]))).await;
        assert_eq!(numbers(&two), [12.0, 345.0], "{model}");
        assert_eq!(upstream.received()[0].path, path_of_two);
        upstream.forget();
        assert_eq!(
            two.json()["usage"],
            json!({"prompt_tokens": 5, "total_tokens": 5}),
            "{model}"
        );
        assert_eq!(two.header("x-tollgate-model"), Some(model));
    }
}

#[tokio::test]
async fn many_texts_are_embedded_by_as_many_calls_as_the_target_needs() {
    let (gateway, upstream) = start().await;
    let texts: Vec<_> = (0..250).map(|number| number.to_string()).collect();
    let expected: Vec<_> = (0..250).map(f64::from).collect();
    for (model, calls) in [
        ("gemini/gemini-embedding-001", 3),
        ("cohere/embed-v4.0", 3),
        ("bedrock/amazon.titan-embed-text-v2:0", 250),
    ] {
        let answer = gateway.ask(embed(model, json!(texts))).await;
        assert_eq!(numbers(&answer), expected, "{model}");
        assert_eq!(upstream.received().len(), calls, "{model}");
        upstream.forget();
    }
}

#[tokio::test]
async fn one_refused_call_refuses_them_all() {
    let (gateway, _upstream) = start().await;
    for (model, ..) in TARGETS {
        let mut texts = vec!["1"; 120];
        texts[110] = "busy";
        let answer = gateway.ask(embed(model, json!(texts))).await;
        answer.assert_error(429, "rate_limit_exceeded");
    }
}

#[tokio::test]
async fn what_a_target_cannot_embed_is_told() {
    let (gateway, _upstream) = start().await;
    let coded = json!({"model": "cohere/embed-v4.0", "input": "3", "encoding_format": "base64", "user": "u"});
    let answer = gateway
        .ask(Request::post("/v1/embeddings", coded.to_string()))
        .await;
    assert_eq!(answer.header("x-tollgate-dropped"), Some("user"));
    let bytes = BASE64_STANDARD.decode(
        answer.json()["data"][0]["embedding"]
            .as_str()
            .expect("base64"),
    );
    let expected = [3_f32.to_le_bytes(), 0.5_f32.to_le_bytes()].concat();
    assert_eq!(bytes.expect("base64"), expected);

    let picky = json!({"model": "picky", "input": "3", "user": "u"});
    let answer = gateway
        .ask(Request::post("/v1/embeddings", picky.to_string()))
        .await;
    assert_eq!(answer.assert_error(400, "invalid_request")["param"], "user");
    let answer = gateway.ask(embed("picky", json!([1, 2]))).await;
    assert_eq!(
        answer.assert_error(400, "invalid_request")["param"],
        "input"
    );
    let answer = gateway.ask(embed("claude/claude-x", json!("1"))).await;
    assert_eq!(
        answer.assert_error(400, "invalid_request")["param"],
        "model"
    );
}
