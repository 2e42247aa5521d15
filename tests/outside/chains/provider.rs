//! A provider of OpenAI's dialect whose models have names that say what they answer.

use serde_json::{Value, json};

use crate::upstream::{Received, chunk, stream_head, whole};

/// What a good model says.
pub const GOOD: &str = "Forty-two.";

/// How likely the tokens of a model are that is not sure.
pub const UNLIKELY: f64 = -5.25;

/// Tokens that each answer is billed for.
pub const TOKENS: u64 = 10;

/// What a model answers.
pub struct Said {
    text: &'static str,
    finish: &'static str,
    logprob: Option<f64>,
    /// A tool by its name, and the arguments.
    call: Option<(&'static str, &'static str)>,
}

/// What the model of this name says; None if it fails.
pub fn said(model: &str) -> Option<Said> {
    let usual = |text| Said {
        text,
        finish: "stop",
        logprob: None,
        call: None,
    };
    Some(match model {
        "good" | "gpt-4.1" => usual(GOOD),
        "refuses" => usual("I'm sorry, but I can't help with that."),
        "says-nothing" => usual(" "),
        "is-cut" => Said {
            finish: "length",
            ..usual("The answer to it all is")
        },
        "writes-no-json" => usual("{\"n\": 1"),
        "is-unsure" => Said {
            logprob: Some(UNLIKELY),
            ..usual("Fifty, perhaps.")
        },
        "calls-another" => Said {
            finish: "tool_calls",
            call: Some(("wether", "{\"city\":\"Kiel\"}")),
            ..usual("")
        },
        "says-todo" | "gpt-3.5-turbo" => usual("The answer is TODO."),
        "scores-low" => usual("{\"score\": 0.1}"),
        "scores-high" => usual("{\"score\": 0.9}"),
        _ => return None,
    })
}

/// What the provider answers.
pub fn answer(request: &Received) -> Vec<u8> {
    const TOO_LONG: &str = r#"{"error":{"message":"This model's maximum context length is 8192 tokens.","type":"invalid_request_error","param":"messages","code":"context_length_exceeded"}}"#;
    let model = request.model();
    if model == "gpt-4" {
        return whole(400, "application/json", TOO_LONG);
    }
    match said(&model) {
        Some(said) => said.to(request),
        None => whole(500, "application/json", r#"{"error":{"message":"dead"}}"#),
    }
}

/// A frame of a stream with this word.
pub fn word(word: &str) -> Vec<u8> {
    frame(&json!({"content": word}), Value::Null, None)
}

/// How a stream ends.
pub fn ending() -> Vec<u8> {
    let finish = frame(&json!({}), "stop".into(), None);
    [finish, chunk("data: [DONE]\n\n"), chunk("")].concat()
}

fn frame(delta: &Value, finish: Value, logprobs: Option<Value>) -> Vec<u8> {
    let mut choice = json!({"index": 0, "delta": delta, "finish_reason": finish});
    if let Some(logprobs) = logprobs {
        choice["logprobs"] = logprobs;
    }
    let event = json!({
        "id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m",
        "choices": [choice],
    });
    chunk(format!("data: {event}\n\n"))
}

// === impl Said ===

impl Said {
    fn to(&self, request: &Received) -> Vec<u8> {
        let asked = request.json();
        let logprob = self.logprob.filter(|_| asked["logprobs"] == true);
        let logprobs = logprob.map(|logprob| {
            let token =
                json!({"token": self.text, "logprob": logprob, "bytes": null, "top_logprobs": []});
            json!({"content": [token], "refusal": null})
        });
        let call = self.call.map(|(name, arguments)| {
            let function = json!({"name": name, "arguments": arguments});
            json!([{"index": 0, "id": "call-1", "type": "function", "function": function}])
        });
        let usage = json!({
            "prompt_tokens": 5, "completion_tokens": TOKENS, "total_tokens": TOKENS + 5,
        });
        let mut message = json!({"role": "assistant", "content": self.text});
        if let Some(call) = call {
            message["tool_calls"] = call;
        }
        if !request.asks_for_stream() {
            let body = json!({
                "id": "c", "object": "chat.completion", "created": 1, "model": "m", "usage": usage,
                "choices": [{
                    "index": 0, "message": message, "logprobs": logprobs,
                    "finish_reason": self.finish,
                }],
            });
            return whole(200, "application/json", &body.to_string());
        }
        let last = json!({
            "id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m",
            "choices": [], "usage": usage,
        });
        [
            stream_head(),
            frame(&message, Value::Null, logprobs),
            frame(&json!({}), self.finish.into(), None),
            chunk(format!("data: {last}\n\n")),
            chunk("data: [DONE]\n\n"),
            chunk(""),
        ]
        .concat()
    }
}
