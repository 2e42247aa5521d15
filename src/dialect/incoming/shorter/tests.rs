use bytes::Bytes;

use super::super::PathFacts;
use super::*;
use crate::dialect::Operation;

fn read(dialect: Dialect, body: &'static str) -> Incoming {
    let path = PathFacts {
        model: Some("m".to_owned()),
        stream: None,
    };
    let body = Bytes::from_static(body.as_bytes());
    Incoming::read(Operation::Generate(dialect), body, path).unwrap()
}

/// The body for an answer of 2,000 tokens, at a server that speaks the dialect as its maker does.
fn sent(dialect: Dialect, body: &'static str) -> String {
    let incoming = read(dialect, body);
    let patches = incoming.shortened(2_000, &Accent::OPENAI).unwrap();
    let sent = incoming.body_for("m", false, patches).concat();
    String::from_utf8(sent).unwrap()
}

#[test]
fn only_the_limit_changes() {
    use Dialect::*;
    for (dialect, body, expected) in [
        (
            Chat,
            r#"{ "model":"m", "max_tokens" : 9e3,"x":1.0e+2 , "m":[ "\u00e9" ] }"#,
            r#"{ "model":"m", "max_tokens" : 2000,"x":1.0e+2 , "m":[ "\u00e9" ] }"#,
        ),
        (
            Chat,
            r#"{"model":"m","max_completion_tokens":4000}"#,
            r#"{"model":"m","max_completion_tokens":2000}"#,
        ),
        (
            Chat,
            r#"{"model":"m" }"#,
            r#"{"model":"m" ,"max_completion_tokens":2000}"#,
        ),
        (
            Chat,
            r#"{"model":"m","max_completion_tokens":null}"#,
            r#"{"model":"m","max_completion_tokens":2000}"#,
        ),
        (
            Chat,
            r#"{"model":"m","max_tokens":null}"#,
            r#"{"model":"m","max_tokens":null,"max_completion_tokens":2000}"#,
        ),
        (
            Chat,
            r#"{"model":"m","max\u005ftokens":3000}"#,
            r#"{"model":"m","max\u005ftokens":2000}"#,
        ),
        (
            Completions,
            r#"{"model":"m","prompt":"a"}"#,
            r#"{"model":"m","prompt":"a","max_tokens":2000}"#,
        ),
        (
            Responses,
            r#"{"model":"m","max_output_tokens":-1}"#,
            r#"{"model":"m","max_output_tokens":2000}"#,
        ),
        (
            Cohere,
            r#"{"model":"m","max_tokens":2001}"#,
            r#"{"model":"m","max_tokens":2000}"#,
        ),
        (
            Gemini,
            r#"{"contents":[]}"#,
            r#"{"contents":[],"generationConfig":{"maxOutputTokens":2000}}"#,
        ),
        (
            Gemini,
            r#"{"generationConfig":null,"contents":[]}"#,
            r#"{"generationConfig":{"maxOutputTokens":2000},"contents":[]}"#,
        ),
        (
            Gemini,
            r#"{"generation_config":{ "top_k":1, "max_output_tokens":"9000" },"contents":[]}"#,
            r#"{"generation_config":{ "top_k":1, "max_output_tokens":2000 },"contents":[]}"#,
        ),
        (
            Gemini,
            r#"{"generationConfig":{ },"contents":[]}"#,
            r#"{"generationConfig":{ "maxOutputTokens":2000},"contents":[]}"#,
        ),
        (
            Bedrock,
            r#"{"messages":[],"inferenceConfig":{"temperature":1}}"#,
            r#"{"messages":[],"inferenceConfig":{"temperature":1,"maxTokens":2000}}"#,
        ),
        (
            Bedrock,
            r#"{"inferenceConfig":{"maxTokens":9000},"additionalModelRequestFields":{"thinking":{"type":"enabled","budget_tokens":4000}}}"#,
            r#"{"inferenceConfig":{"maxTokens":2000},"additionalModelRequestFields":{"thinking":{"type":"enabled","budget_tokens":1024}}}"#,
        ),
    ] {
        assert_eq!(sent(dialect, body), expected, "{body}");
    }
}

#[test]
fn a_limit_that_is_low_enough_stays() {
    for (dialect, body) in [
        (Dialect::Chat, r#"{"model":"m","max_tokens":2000}"#),
        (
            Dialect::Gemini,
            r#"{"generationConfig":{"maxOutputTokens":1}}"#,
        ),
        (Dialect::Bedrock, r#"{"inferenceConfig":{"maxTokens":20}}"#),
        (
            Dialect::Anthropic,
            r#"{"model":"m","max_tokens":1999,"thinking":{"type":"enabled","budget_tokens":1500}}"#,
        ),
        // For the provider to refuse.
        (Dialect::Gemini, "{}"),
    ] {
        assert_eq!(sent(dialect, body), body);
    }
}

#[test]
fn a_server_is_told_in_its_own_words() {
    let body = r#"{"model":"m","max_completion_tokens":null}"#;
    let incoming = read(Dialect::Chat, body);
    let patches = incoming.shortened(50, &Accent::OTHER).unwrap();
    assert_eq!(
        incoming.body_for("m", false, patches).concat(),
        br#"{"model":"m","max_completion_tokens":null,"max_tokens":50}"#
    );
}

#[test]
fn a_budget_for_thinking_stays_below_the_limit() {
    let body =
        r#"{"model":"m","max_tokens":9000,"thinking":{"type":"enabled", "budget_tokens": 8000}}"#;
    for (output_max, sent) in [
        (9_000, body.to_owned()),
        (8_001, body.replace("9000", "8001")),
        (6_000, body.replace("9000", "6000").replace("8000", "3000")),
        (1_025, body.replace("9000", "1025").replace("8000", "1024")),
    ] {
        let incoming = read(Dialect::Anthropic, body);
        let patches = incoming.shortened(output_max, &Accent::OPENAI).unwrap();
        let written = incoming.body_for("m", false, patches).concat();
        assert_eq!(written, sent.as_bytes());
    }
    let incoming = read(Dialect::Anthropic, body);
    assert_eq!(incoming.demand().output_min, 1_025);
    let error = incoming.shortened(1_024, &Accent::OPENAI).unwrap_err();
    assert_eq!(error.param.as_deref(), Some("thinking.budget_tokens"));
}

#[test]
fn it_goes_with_every_other_change() {
    let body = r#"{"anthropic_version":"v","model":"m"}"#;
    let incoming = read(Dialect::Anthropic, body);
    let patches = || incoming.shortened(9, &Accent::OPENAI).unwrap();
    let text = |pieces: Vec<Bytes>| String::from_utf8(pieces.concat()).unwrap();
    assert_eq!(
        text(incoming.body_for_vertex(patches())),
        r#"{"anthropic_version":"v","max_tokens":9}"#
    );
    assert_eq!(
        text(incoming.body_with_mark("n", patches()).unwrap()),
        r#"{"anthropic_version":"v","model":"n","cache_control":{"type":"ephemeral"},"max_tokens":9}"#
    );
    let incoming = read(
        Dialect::Responses,
        r#"{"previous_response_id":"r","input":"a"}"#,
    );
    let patches = incoming.shortened(9, &Accent::OPENAI).unwrap();
    assert_eq!(
        text(incoming.body_going_on("n", "s", patches)),
        r#"{"previous_response_id":"s","input":"a","model":"n","max_output_tokens":9}"#
    );
}

/// All of a recorded request but its limits, as it is and shortened.
#[test]
fn of_a_recorded_request_nothing_else_changes() {
    use serde_json::Value;

    use crate::dialect::recorded;

    fn without_limits(mut body: Value) -> Value {
        for place in ["", "/generationConfig", "/inferenceConfig"] {
            let object = body.pointer_mut(place).and_then(Value::as_object_mut);
            if let Some(object) = object {
                object.retain(|name, _| !name.to_lowercase().contains("tokens"));
            }
        }
        let is_new = |name: &str, body: &Value| body[name] == serde_json::json!({});
        for name in ["generationConfig", "inferenceConfig"] {
            if is_new(name, &body) {
                body.as_object_mut().unwrap().remove(name);
            }
        }
        let budgets = ["/thinking", "/additionalModelRequestFields/thinking"];
        for place in budgets {
            if let Some(budget) = body.pointer_mut(&format!("{place}/budget_tokens")) {
                *budget = 0.into();
            }
        }
        body
    }

    let mut count = 0;
    for one in recorded::all() {
        let path = one.endpoint.as_str();
        let ends = [
            ("/chat/completions", Dialect::Chat),
            ("/responses", Dialect::Responses),
            ("/messages", Dialect::Anthropic),
            ("enerateContent", Dialect::Gemini),
            ("/converse", Dialect::Bedrock),
            ("/v2/chat", Dialect::Cohere),
        ];
        let Some((_, dialect)) = ends.into_iter().find(|(end, _)| path.ends_with(end)) else {
            continue;
        };
        // Answers that are fetched later are asked for without a body.
        if !one.request.is_object() {
            continue;
        }
        let operation = Operation::Generate(dialect);
        let facts = PathFacts {
            model: (!operation.has_model_in_body()).then(|| "m".to_owned()),
            stream: None,
        };
        let body = Bytes::from(one.request.to_string());
        let incoming = Incoming::read(operation, body, facts.clone()).unwrap();
        for accent in [&Accent::OPENAI, &Accent::OTHER] {
            let patches = incoming.shortened(1_030, accent).unwrap();
            let written = incoming.body_for("m", false, patches).concat();
            let sent: Value = serde_json::from_slice(&written).unwrap();
            let mut came = one.request.clone();
            if operation.has_model_in_body() {
                came["model"] = "m".into();
            }
            assert_eq!(without_limits(sent), without_limits(came));
            let again = Incoming::read(operation, written.into(), facts.clone()).unwrap();
            let output_max = again.demand().output_max;
            assert!(output_max.is_some_and(|max| max <= 1_030), "{path}");
        }
        count += 1;
    }
    eprintln!("{count} shortened");
}
