//! What callers and providers are told besides the conversation.

use serde_json::{Value, json};

use super::*;
use crate::dialect::common::{
    Effort, Feature, Format, Function, Json, Reasoning, Role, ThinkingBudget, Tool, ToolChoice,
};

#[test]
fn settings_are_said_in_googles_words() {
    let schema =
        Json::parse(r#"{"type": "object", "properties": {"b": {}, "a": {"const": 1e2}}}"#).unwrap();
    let mut request = Request::new(Dialect::Chat, "m");
    request.turns = vec![turn(Role::User, vec![said("a")])];
    request.tools = vec![Tool::Function(Function {
        name: "f".into(),
        description: None,
        parameters: Some(schema.clone()),
        strict: Some(true),
        cache: None,
    })];
    request.format = Format::Schema {
        name: Some("s".into()),
        description: None,
        schema: schema.clone(),
        strict: Some(true),
    };
    request.reasoning = Some(Reasoning {
        effort: Some(Effort::High),
        budget: None,
        show: Some(true),
    });
    request.seed = Some(i64::MAX);
    request.stop = (0..6).map(|number| number.to_string()).collect();
    request.service_tier = Some("flex".into());
    request.metadata = Some(Json::parse(r#"{"team":"search","Bad":"x"}"#).unwrap());
    request.user = Some("u".into());
    let mut dropped = Dropped::from(&request, Dialect::Gemini, carries);
    let body = write_request(&request, &to(NEW), &mut dropped).unwrap();
    let text = String::from_utf8(body.clone()).unwrap();
    assert_eq!(text.matches(schema.as_str()).count(), 2, "bytes are kept");
    let body: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(
        body["toolConfig"]["functionCallingConfig"],
        json!({"mode": "VALIDATED"})
    );
    let config = &body["generationConfig"];
    assert_eq!(
        config["thinkingConfig"],
        json!({"includeThoughts": true, "thinkingLevel": "HIGH"})
    );
    assert_eq!(config["responseMimeType"], "application/json");
    assert_eq!(config["stopSequences"].as_array().unwrap().len(), 5);
    assert!(config["seed"].as_i64().unwrap() <= i64::from(i32::MAX));
    assert_eq!(body["serviceTier"], "flex");
    assert_eq!(dropped.joined(), "user,stop,metadata");

    let vertex = Outgoing {
        is_vertex: true,
        ..to(OLD)
    };
    let (body, dropped) = written(&request, &vertex);
    assert_eq!(body["labels"], json!({"team": "search"}));
    assert_eq!(
        body["generationConfig"]["thinkingConfig"]["thinkingBudget"],
        24_576
    );
    assert_eq!(dropped, "user,stop,metadata");
}

#[test]
fn tool_choices_survive() {
    let names = || vec!["f".to_owned(), "g".to_owned()];
    for choice in [
        ToolChoice::Auto,
        ToolChoice::None,
        ToolChoice::Required,
        ToolChoice::Named("f".into()),
        ToolChoice::Allowed {
            names: names(),
            required: true,
        },
        ToolChoice::Allowed {
            names: names(),
            required: false,
        },
    ] {
        let mut request = read(&json!({"contents": [{"parts": [{"text": "a"}]}]}));
        request.tool_choice = Some(choice);
        assert_eq!(read(&written(&request, &to(OLD)).0), request);
    }
    let validated = read(&json!({
        "contents": [{"parts": [{"text": "a"}]}],
        "toolConfig": {"functionCallingConfig": {"mode": "VALIDATED", "streamFunctionCallArguments": true}},
    }));
    let (body, _) = written(&validated, &to(OLD));
    assert_eq!(
        body["toolConfig"]["functionCallingConfig"],
        json!({"mode": "VALIDATED", "streamFunctionCallArguments": true})
    );
}

#[test]
fn tokens_are_counted_where_they_are_asked_for() {
    let whole = json!({
        "systemInstruction": {"parts": [{"text": "s"}]},
        "tools": [{"functionDeclarations": [{"name": "f"}]}],
        "contents": [{"role": "user", "parts": [{"text": "a"}]}],
        "generationConfig": {"temperature": 0.5},
        "safetySettings": [],
    });
    let mut asked = whole.clone();
    asked["model"] = "models/m".into();
    let asked = json!({ "generateContentRequest": asked });
    let request = read_count_request(asked.to_string().as_bytes(), "m").unwrap();
    assert_eq!(request, {
        let mut request = read(&whole);
        request.model = "m".into();
        request
    });
    let written = |is_vertex| -> Value {
        let to = Outgoing {
            is_vertex,
            ..to("m")
        };
        let body = write_count_request(&request, &to, &mut Dropped::default()).unwrap();
        serde_json::from_slice(&body).unwrap()
    };
    assert_eq!(written(false), asked);
    let mut vertex = whole.clone();
    vertex
        .as_object_mut()
        .unwrap()
        .shift_remove("safetySettings");
    assert_eq!(written(true), vertex);
    let alone = json!({"contents": [{"parts": [{"text": "a"}]}]});
    assert!(read_count_request(alone.to_string().as_bytes(), "m").is_ok());
    assert_eq!(read_count_answer(&write_count_answer(31)), Ok(31));
    assert_eq!(read_count_answer(b"{}"), Ok(0));
    assert!(read_count_answer(b"[").is_err());
}

#[test]
fn a_budget_of_anothers_is_a_level_here() {
    let mut request = Request::new(Dialect::Anthropic, "m");
    request.turns = vec![turn(Role::User, vec![said("a")])];
    request.reasoning = Some(Reasoning {
        effort: None,
        budget: Some(ThinkingBudget::Tokens(2_000)),
        show: None,
    });
    let (body, dropped) = written(&request, &to(NEW));
    assert_eq!(
        body["generationConfig"]["thinkingConfig"],
        json!({"thinkingLevel": "LOW", "includeThoughts": true}),
        "Anthropic's callers see thoughts unasked"
    );
    assert_eq!(dropped, "");
    let (_, dropped) = written(&request, &to("gemini-2.0-flash"));
    assert_eq!(dropped, Feature::Reasoning.field(Dialect::Anthropic));
}
