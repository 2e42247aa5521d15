//! Each gate in a real chain, for whole answers and streams, in several dialects.

use serde_json::{Value, json};

use super::Stage;
use super::provider::{GOOD, UNLIKELY};
use crate::raw::Request;

/// The gates, each with a model whose answers do not pass it and a part of what that says.
const CASES: [(&str, &str, &str); 7] = [
    ("refusal", "refuses", "sorry"),
    ("empty", "says-nothing", "says-nothing"),
    ("truncated", "is-cut", "The answer to it all"),
    ("invalid_json", "writes-no-json", "{\\\"n\\\": 1"),
    ("invalid_tool_call", "calls-another", "wether"),
    ("logprob_below", "is-unsure", "Fifty"),
    ("matches", "says-todo", "TODO"),
];

/// In whose words a caller asks.
#[derive(Clone, Copy, Debug)]
enum Words {
    Chat,
    Responses,
    Anthropic,
}

#[tokio::test]
async fn an_answer_that_does_not_pass_a_gate_is_not_the_callers() {
    let models: String = CASES
        .iter()
        .map(|(gate, model, _)| chain(gate, model))
        .collect();
    let stage = Stage::set(&models).await;
    for (gate, model, said) in CASES {
        for words in [Words::Chat, Words::Responses, Words::Anthropic] {
            if gate == "invalid_json" && matches!(words, Words::Anthropic) {
                continue;
            }
            for stream in [false, true] {
                stage.upstream.forget();
                let answer = stage.gateway.ask(words.request(gate, stream)).await;
                let shown = format!("{gate} {words:?} {stream}: {}", answer.text());
                assert_eq!(answer.status, 200, "{shown}");
                let route = format!("up/{model};{gate}, up/good;ok");
                assert_eq!(answer.header("x-tollgate-route"), Some(&*route), "{shown}");
                assert_eq!(answer.header("x-tollgate-attempts"), Some("2"), "{shown}");
                assert_eq!(
                    answer.header("x-tollgate-model"),
                    Some("up/good"),
                    "{shown}"
                );
                assert!(answer.text().contains(GOOD), "{shown}");
                assert!(!answer.text().contains(said), "{shown}");
                assert!(!stream || words.is_ended(answer.text()), "{shown}");
                assert_eq!(stage.asked(), [model, "good"], "{shown}");
                let asked = &stage.upstream.received()[0].json()["logprobs"];
                assert_eq!(*asked == true, gate == "logprob_below", "{shown}");
            }
        }
    }
}

#[tokio::test]
async fn log_probabilities_that_only_a_gate_asked_for_are_not_the_callers() {
    let gate = r#"[{ logprob_below: -9 }]"#;
    let models = format!(
        "  m: {{ chain: [{{ target: up/is-unsure, escalate_when: {gate} }}, {{ target: up/good }}] }}\n"
    );
    let stage = Stage::set(&models).await;
    let unlikely = UNLIKELY.to_string();
    for stream in [false, true] {
        for asks_itself in [false, true] {
            let mut body = json!({
                "model": "m", "stream": stream,
                "messages": [{"role": "user", "content": "How much?"}],
            });
            if asks_itself {
                body["logprobs"] = true.into();
            }
            let request = Request::post("/v1/chat/completions", body.to_string());
            let answer = stage.gateway.ask(request).await;
            assert_eq!(answer.header("x-tollgate-route"), Some("up/is-unsure;ok"));
            assert!(answer.text().contains("Fifty"), "{}", answer.text());
            assert_eq!(
                answer.text().contains(&unlikely),
                asks_itself,
                "{}",
                answer.text()
            );
        }
    }
    let received = stage.upstream.received();
    assert!(
        received
            .iter()
            .all(|request| request.json()["logprobs"] == true)
    );
}

fn chain(gate: &str, model: &str) -> String {
    let when = match gate {
        "logprob_below" => "{ logprob_below: -0.8 }",
        "matches" => "{ matches: TODO }",
        word => word,
    };
    format!(
        "  {gate}: {{ chain: [{{ target: up/{model}, escalate_when: [{when}] }}, {{ target: up/good }}] }}\n"
    )
}

// === impl Words ===

impl Words {
    /// A request to the chain of this gate, with what the gate goes by.
    fn request(self, gate: &str, stream: bool) -> Request {
        let schema = json!({
            "type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"],
            "additionalProperties": false,
        });
        let question = "How much is it?";
        let turns = json!([{"role": "user", "content": question}]);
        let (path, mut body) = match self {
            Self::Chat => ("/v1/chat/completions", json!({"messages": turns})),
            Self::Responses => ("/v1/responses", json!({"input": question, "store": false})),
            Self::Anthropic => (
                "/v1/messages",
                json!({"messages": turns, "max_tokens": 100}),
            ),
        };
        body["model"] = gate.into();
        body["stream"] = stream.into();
        if gate == "invalid_json" {
            let (place, format) = self.json_format(schema.clone());
            body[place] = format;
        }
        if gate == "invalid_tool_call" {
            body["tools"] = json!([self.tool(schema)]);
        }
        Request::post(path, body.to_string())
    }

    fn json_format(self, schema: Value) -> (&'static str, Value) {
        let named = json!({"name": "count", "schema": schema, "strict": true});
        match self {
            Self::Responses => {
                let mut format = named;
                format["type"] = "json_schema".into();
                ("text", json!({"format": format}))
            }
            _ => (
                "response_format",
                json!({"type": "json_schema", "json_schema": named}),
            ),
        }
    }

    fn tool(self, schema: Value) -> Value {
        match self {
            Self::Chat => {
                json!({"type": "function", "function": {"name": "weather", "parameters": schema}})
            }
            Self::Responses => {
                json!({"type": "function", "name": "weather", "parameters": schema, "strict": false})
            }
            Self::Anthropic => json!({"name": "weather", "input_schema": schema}),
        }
    }

    /// Whether a stream has its ending.
    fn is_ended(self, text: &str) -> bool {
        let ending = match self {
            Self::Chat => "data: [DONE]\n\n",
            Self::Responses => "event: response.completed\n",
            Self::Anthropic => "event: message_stop\n",
        };
        text.matches(ending).count() == 1
    }
}
