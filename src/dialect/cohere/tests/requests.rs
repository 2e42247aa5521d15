use super::*;
use crate::dialect::common::{
    Citation, Content, Feature, Format, Function, Json, Part, Reasoning, Role, Signature, Source,
    Thinking, ThinkingBudget, Tool, ToolChoice, Turn,
};
use serde_json::json;

/// All that the API's reference names, but for `schema`, the older name of `json_schema`.
const EVERYTHING: &str = r#"{
    "model": "command-a",
    "tools": [
        {"type": "function", "function": {"name": "tide", "description": "When it turns",
            "parameters": {"type": "object", "properties": {"port": {"type": "string"}}}}},
        {"type": "function", "function": {"name": "moon", "parameters": {}}}
    ],
    "strict_tools": true,
    "tool_choice": "REQUIRED",
    "response_format": {"type": "json_object", "json_schema": {"type": "object", "x": 1.50}},
    "thinking": {"type": "enabled", "token_budget": 512},
    "messages": [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": [
            {"type": "text", "text": "What does it show?"},
            {"type": "image_url", "image_url": {"url": "https://example.com/a.png", "detail": "low"}},
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}
        ]},
        {"role": "assistant", "content": [
            {"type": "thinking", "thinking": "A harbour."},
            {"type": "text", "text": "A harbour at noon."}
        ], "citations": [
            {"start": 2, "end": 9, "text": "harbour", "content_index": 1, "type": "TEXT_CONTENT",
             "sources": [{"type": "document", "id": "d1", "document": {"title": "Ports", "snippet": "A list"}}]},
            {"start": 0, "end": 1, "text": "A", "type": "PLAN", "sources": []}
        ]},
        {"role": "user", "content": "And the tide?"},
        {"role": "assistant", "tool_plan": "I look it up.", "tool_calls": [
            {"id": "tide_1", "type": "function", "function": {"name": "tide", "arguments": "{\"port\": \"Kiel\"}"}},
            {"id": "moon_1", "type": "function", "function": {"name": "moon", "arguments": "{}"}}
        ]},
        {"role": "tool", "tool_call_id": "tide_1", "content": "12:40"},
        {"role": "tool", "tool_call_id": "moon_1", "content": [
            {"type": "text", "text": "full"}, {"type": "text", "text": "rising"}
        ]},
        {"role": "user", "content": [{"type": "riddle", "n": 1.0}]}
    ],
    "max_tokens": 100,
    "temperature": 0.5,
    "p": 0.9,
    "k": 40,
    "stop_sequences": ["END"],
    "seed": 7,
    "logprobs": true,
    "presence_penalty": 0.25,
    "frequency_penalty": 0.5,
    "stream": true,
    "documents": ["plain", {"id": "d1", "data": {"text": "A list"}}],
    "citation_options": {"mode": "FAST"},
    "safety_mode": "STRICT",
    "priority": 3
}"#;

#[test]
fn a_request_of_our_own_dialect_comes_through_whole() {
    let request = read(EVERYTHING);
    let (body, dropped) = sent(&request).unwrap();
    assert!(dropped.is_empty(), "{}", dropped.joined());
    let wanted: serde_json::Value = serde_json::from_str(EVERYTHING).unwrap();
    for (name, value) in wanted.as_object().unwrap() {
        assert_eq!(&body[name], value, "{name}");
    }
    assert_eq!(read(&body.to_string()), request);
}

#[test]
fn a_request_is_read_into_its_parts() {
    let request = read(EVERYTHING);
    let roles: Vec<_> = request.turns.iter().map(|turn| turn.role).collect();
    use Role::{Assistant, System, User};
    assert_eq!(
        roles,
        [System, User, Assistant, User, Assistant, User, User]
    );
    let results = &request.turns[5].parts;
    assert!(matches!(&results[1].content,
        Content::ToolResult { id, parts, .. } if id == "moon_1" && parts.len() == 2));
    assert_eq!(request.top_p, Some(0.9));
    assert_eq!(request.logprobs, Some(0));
    let names: Vec<_> = request
        .extra
        .iter()
        .map(|(name, _)| name.as_str())
        .collect();
    assert_eq!(
        names,
        ["documents", "citation_options", "safety_mode", "priority"]
    );
    let Content::Text { citations, .. } = &request.turns[2].parts[1].content else {
        panic!("no text");
    };
    assert_eq!(citations[0].title.as_deref(), Some("Ports"));
    assert_eq!(citations[0].span, Some((2, 9)));

    let older = read(
        r#"{"messages":[],"k":0,"seed":18446744073709551615,
            "response_format":{"type":"json_object","schema":{"a":1}}}"#,
    );
    assert!(matches!(older.format, Format::Schema { .. }));
    assert_eq!(older.top_k, None);
    assert_eq!(older.extra[0].0, "seed");
}

#[test]
fn a_tools_document_is_a_text_for_any_model() {
    let content = |document: &str| {
        let body = format!(
            r#"{{"messages":[{{"role":"tool","tool_call_id":"c","content":[{{"type":"document","document":{document}}}]}}]}}"#
        );
        let request = read(&body);
        let Content::ToolResult { parts, .. } = &request.turns[0].parts[0].content else {
            panic!("no result");
        };
        parts[0].clone()
    };
    assert_eq!(content(r#"{"data":{"text":"rain"}}"#), Part::text("rain"));
    let several = r#"{"id":"1","data":{"text":"rain"}}"#;
    assert_eq!(content(several), Part::text(several));
}

#[test]
fn what_is_wrong_in_a_request_is_named() {
    for (body, param) in [
        (r#"{"model":"m"}"#, "messages"),
        (r#"{"messages":{}}"#, "messages"),
        (r#"{"messages":[{"content":"x"}]}"#, "messages[0].role"),
        (
            r#"{"messages":[{"role":"king","content":"x"}]}"#,
            "messages[0].role",
        ),
        (r#"{"messages":[{"role":"user"}]}"#, "messages[0].content"),
        (
            r#"{"messages":[{"role":"user","content":7}]}"#,
            "messages[0].content",
        ),
        (
            r#"{"messages":[{"role":"user","content":[{"text":"x"}]}]}"#,
            "messages[0].content[0].type",
        ),
        (
            r#"{"messages":[{"role":"user","content":[{"type":"text","text":7}]}]}"#,
            "messages[0].content[0].text",
        ),
        (
            r#"{"messages":[{"role":"user","content":[{"type":"image_url"}]}]}"#,
            "messages[0].content[0].image_url",
        ),
        (
            r#"{"messages":[{"role":"tool","content":"x"}]}"#,
            "messages[0].tool_call_id",
        ),
        (
            r#"{"messages":[{"role":"assistant","tool_calls":[{"function":{"arguments":{}}}]}]}"#,
            "messages[0].tool_calls[0].function.arguments",
        ),
        (
            r#"{"messages":[],"tools":[{"type":"function"}]}"#,
            "tools[0].function",
        ),
        (
            r#"{"messages":[],"tools":[{"type":"function","function":{}}]}"#,
            "tools[0].function.name",
        ),
        (r#"{"messages":[],"tool_choice":"ANY"}"#, "tool_choice"),
        (
            r#"{"messages":[],"thinking":{"type":"deep"}}"#,
            "thinking.type",
        ),
        (
            r#"{"messages":[],"response_format":{"type":"xml"}}"#,
            "response_format.type",
        ),
        (r#"{"messages":[],"temperature":"hot"}"#, "temperature"),
        (r#"{"messages":[],"max_tokens":-1}"#, "max_tokens"),
        (
            r#"{"messages":[],"stop_sequences":[1]}"#,
            "stop_sequences[0]",
        ),
    ] {
        let error = read_request(body.as_bytes()).unwrap_err();
        assert_eq!(error.param.as_deref(), Some(param), "{body}");
    }
    assert!(read_request(b"{\"messages\":\xff}").is_err());
    assert!(read_request(b"[]").is_err());
}

fn turn(role: Role, parts: Vec<Part>) -> Turn {
    Turn {
        role,
        parts,
        name: None,
    }
}

fn function(name: &str, strict: Option<bool>) -> Tool {
    Tool::Function(Function {
        name: name.to_owned(),
        description: None,
        parameters: None,
        strict,
        cache: None,
    })
}

#[test]
fn what_cohere_cannot_be_told_is_shown_instead() {
    let mut request = Request::new(Dialect::Chat, "m");
    request.tools = vec![function("a", Some(true)), function("b", None)];
    request.tool_choice = Some(ToolChoice::Named("b".to_owned()));
    request.turns = vec![
        turn(Role::Developer, vec![Part::text("Be kind.")]),
        turn(
            Role::User,
            vec![
                Part::text("And this?"),
                Content::ToolResult {
                    id: "c1".to_owned(),
                    name: None,
                    parts: vec![
                        Part::text("no such file"),
                        Content::Image {
                            source: Source::Base64 {
                                media_type: "image/png".to_owned(),
                                data: "AAAA".to_owned(),
                            },
                            detail: None,
                        }
                        .into(),
                    ],
                    is_error: true,
                }
                .into(),
                Content::Document {
                    source: Source::Text("Once".to_owned()),
                    name: Some("Tale".to_owned()),
                    cite: false,
                }
                .into(),
            ],
        ),
    ];
    let (body, dropped) = sent(&request).unwrap();
    assert!(dropped.is_empty(), "{}", dropped.joined());
    assert_eq!(body["tool_choice"], "REQUIRED");
    assert_eq!(
        body["tools"],
        json!([{"type": "function", "function": {"name": "b",
            "parameters": {"type": "object", "properties": {}}}}])
    );
    assert_eq!(
        body["messages"],
        json!([
            {"role": "system", "content": "Be kind."},
            {"role": "tool", "tool_call_id": "c1", "content": "Error: no such file"},
            {"role": "user", "content": [
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
                {"type": "text", "text": "And this?"},
                {"type": "text", "text": "Tale\n\nOnce"},
            ]},
        ])
    );
    request.tool_choice = Some(ToolChoice::Named("c".to_owned()));
    assert_eq!(
        sent(&request).unwrap_err().param.as_deref(),
        Some("tool_choice")
    );
}

#[test]
fn what_is_lost_of_a_request_is_told() {
    let seal = |origin| Signature {
        origin,
        value: "s".to_owned(),
    };
    let mut request = Request::new(Dialect::Chat, "m");
    request.tools = vec![function("a", Some(true)), function("b", None)];
    request.temperature = Some(1.5);
    request.top_p = Some(1.0);
    request.top_k = Some(1000);
    request.stop = (0..6).map(|number| number.to_string()).collect();
    request.seed = Some(-1);
    request.logprobs = Some(3);
    request.presence_penalty = Some(-1.0);
    request.frequency_penalty = Some(2.0);
    request.user = Some("u".to_owned());
    request.reasoning = Some(Reasoning {
        budget: Some(ThinkingBudget::Off),
        ..Reasoning::default()
    });
    request.turns = vec![turn(
        Role::Assistant,
        vec![
            Content::Thinking(Thinking {
                text: "Hm.".to_owned(),
                signature: Some(seal(Dialect::Anthropic)),
                ..Thinking::default()
            })
            .into(),
            Content::Text {
                text: "Yes.".to_owned(),
                citations: vec![Citation {
                    url: Some("https://example.com".to_owned()),
                    title: None,
                    cited_text: None,
                    span: None,
                    origin: Dialect::Anthropic,
                    json: Json::empty_object(),
                }],
            }
            .into(),
            Content::Image {
                source: Source::Url {
                    url: "gs://bucket/a.png".to_owned(),
                    media_type: None,
                },
                detail: None,
            }
            .into(),
        ],
    )];
    let (body, dropped) = sent(&request).unwrap();
    let names: Vec<_> = dropped.names().collect();
    for feature in [
        Feature::ToolStrict,
        Feature::Temperature,
        Feature::TopP,
        Feature::TopK,
        Feature::Stop,
        Feature::Seed,
        Feature::Logprobs,
        Feature::PresencePenalty,
        Feature::FrequencyPenalty,
        Feature::User,
        Feature::Thinking,
        Feature::Signature,
        Feature::Citations,
        Feature::ImageUrl,
    ] {
        assert!(names.contains(&feature.field(Dialect::Chat)), "{feature:?}");
    }
    assert_eq!(
        body,
        json!({"model": "command-a",
            "tools": [
                {"type": "function", "function": {"name": "a",
                    "parameters": {"type": "object", "properties": {}}}},
                {"type": "function", "function": {"name": "b",
                    "parameters": {"type": "object", "properties": {}}}}],
            "thinking": {"type": "disabled"},
            "messages": [{"role": "assistant", "content": "Yes."}],
            "temperature": 1.0, "p": 0.99, "k": 500, "stop_sequences": ["0", "1", "2", "3", "4"],
            "logprobs": true, "presence_penalty": 0.0, "frequency_penalty": 1.0})
    );
}

#[test]
fn a_conversation_that_goes_on_begins_with_the_same_bytes() {
    let mut request = read(EVERYTHING);
    let turns = std::mem::take(&mut request.turns);
    let mut before = String::new();
    for turn in turns {
        request.turns.push(turn);
        let (body, _) = sent(&request).unwrap();
        let messages = body["messages"].to_string();
        assert!(messages.starts_with(before.trim_end_matches(']')));
        before = messages;
    }
}

#[test]
fn a_seal_comes_back_from_a_cohere_client() {
    let seal = Signature {
        origin: Dialect::Anthropic,
        value: "abc".to_owned(),
    };
    let shown = seal.shown_to(Dialect::Cohere);
    let body = json!({"messages": [{"role": "assistant",
        "content": [{"type": "thinking", "thinking": "Hm.", "signature": shown}],
        "tool_calls": [{"id": "c", "type": "function", "signature": shown,
            "function": {"name": "f", "arguments": "{}"}}]}]});
    let parts = read(&body.to_string()).turns.remove(0).parts;
    let Content::Thinking(thinking) = &parts[0].content else {
        panic!("no thought");
    };
    assert_eq!(thinking.signature, Some(seal.clone()));
    assert!(matches!(&parts[1].content,
        Content::ToolCall { signature, .. } if *signature == Some(seal)));
}
