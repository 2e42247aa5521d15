//! Requests of other dialects, written.

use serde_json::json;

use super::*;
use crate::dialect::common::{
    Cache, Content, Effort, Format, Function, Json, Part, Reasoning, Role, Signature, Source,
    Thinking, ThinkingBudget, Tool, ToolChoice, Turn,
};

fn turn(role: Role, parts: Vec<Part>) -> Turn {
    Turn {
        role,
        parts,
        name: None,
    }
}

fn foreign() -> Request {
    let mut request = Request::new(Dialect::Chat, "smart");
    request.turns.push(turn(Role::User, vec![Part::text("hi")]));
    request
}

fn function(name: &str) -> Tool {
    Tool::Function(Function {
        name: name.to_owned(),
        description: None,
        parameters: None,
        strict: None,
        cache: None,
    })
}

fn call(id: &str) -> Part {
    Part::from(Content::ToolCall {
        id: id.to_owned(),
        name: "look".to_owned(),
        arguments: r#"{"at":1}"#.to_owned(),
        signature: None,
    })
}

fn result(id: &str, parts: Vec<Part>) -> Part {
    Part::from(Content::ToolResult {
        id: id.to_owned(),
        name: None,
        parts,
        is_error: false,
    })
}

fn reasoning(effort: Option<Effort>, budget: Option<ThinkingBudget>) -> Option<Reasoning> {
    Some(Reasoning {
        effort,
        budget,
        show: None,
    })
}

#[test]
fn another_dialects_conversation_becomes_one_that_converse_takes() {
    let mut request = foreign();
    request.tools.push(function("look"));
    let image = |media_type: &str| {
        Part::from(Content::Image {
            source: Source::Base64 {
                media_type: media_type.into(),
                data: "aaaa".into(),
            },
            detail: None,
        })
    };
    request.turns = vec![
        turn(Role::System, vec![Part::text("Be brief.")]),
        turn(Role::Developer, vec![Part::text("Be kind.")]),
        turn(Role::Assistant, vec![Part::text("Hello."), Part::text(" ")]),
        turn(
            Role::User,
            vec![Part::text("one"), image("image/jpg"), image("image/bmp")],
        ),
        turn(Role::User, vec![Part::text("two")]),
        turn(Role::System, vec![Part::text("Be quick.")]),
        turn(Role::Assistant, vec![call("a b"), call("c")]),
        turn(Role::User, vec![Part::text("three"), result("a b", vec![])]),
        turn(
            Role::User,
            vec![result("c", vec![Part::text("seen"), image("image/png")])],
        ),
    ];
    let (body, dropped) = written(&request, NOVA);
    assert_eq!(dropped, "image_url");
    let id = body["messages"][3]["content"][0]["toolUse"]["toolUseId"].clone();
    assert!(id.as_str().is_some_and(|id| id.starts_with("call_")));
    let jpeg = json!({"image": {"format": "jpeg", "source": {"bytes": "aaaa"}}});
    let png = json!({"image": {"format": "png", "source": {"bytes": "aaaa"}}});
    assert_eq!(
        body,
        json!({
            "system": [{"text": "Be brief."}, {"text": "Be kind."}],
            "toolConfig": {"tools": [{"toolSpec": {"name": "look",
                "inputSchema": {"json": {"type": "object", "properties": {}}}}}]},
            "messages": [
                {"role": "user", "content": [{"text": "."}]},
                {"role": "assistant", "content": [{"text": "Hello."}]},
                {"role": "user", "content": [
                    {"text": "one"}, jpeg, {"text": "two"}, {"text": "<system>\nBe quick.\n</system>"}]},
                {"role": "assistant", "content": [
                    {"toolUse": {"toolUseId": id, "name": "look", "input": {"at": 1}}},
                    {"toolUse": {"toolUseId": "c", "name": "look", "input": {"at": 1}}}]},
                {"role": "user", "content": [
                    {"toolResult": {"toolUseId": id, "content": [{"text": "(empty)"}]}},
                    {"toolResult": {"toolUseId": "c", "content": [{"text": "seen"}, png]}},
                    {"text": "three"}]},
            ],
        })
    );
}

#[test]
fn documents_are_named_and_have_a_text_beside_them() {
    let document = |source, name: Option<&str>| {
        Part::from(Content::Document {
            source,
            name: name.map(str::to_owned),
            cite: true,
        })
    };
    let mut request = foreign();
    let pdf = Source::Base64 {
        media_type: "application/pdf".into(),
        data: "aaaa".into(),
    };
    request.turns[0].parts = vec![
        document(pdf, Some("a.pdf")),
        document(Source::Text("plain".into()), Some("a_pdf")),
        document(
            Source::Url {
                url: "https://x/y.pdf".into(),
                media_type: None,
            },
            None,
        ),
        document(
            Source::Url {
                url: "s3://x/y.csv".into(),
                media_type: None,
            },
            None,
        ),
    ];
    let (body, dropped) = written(&request, NOVA);
    assert_eq!(dropped, "citations,file");
    assert_eq!(
        body["messages"][0]["content"],
        json!([
            {"document": {"format": "pdf", "source": {"bytes": "aaaa"}, "name": "a-pdf"}},
            {"document": {"format": "txt", "source": {"bytes": "cGxhaW4="}, "name": "a-pdf 2"}},
            {"document": {"format": "csv", "source": {"s3Location": {"uri": "s3://x/y.csv"}}, "name": "Document"}},
            {"text": "."},
        ])
    );
    let (body, dropped) = written(&request, CLAUDE_4_5);
    assert_eq!(dropped, "file");
    assert_eq!(
        body["messages"][0]["content"][0]["document"]["citations"],
        json!({"enabled": true})
    );
}

#[test]
fn a_longer_conversation_begins_with_the_same_bytes() {
    let mut request = foreign();
    request.tools.push(function("look"));
    let document = Part::from(Content::Document {
        source: Source::Text("x".into()),
        name: None,
        cite: false,
    });
    let mut last = Vec::new();
    for number in 0..4 {
        let body =
            super::super::write_request(&request, &to(NOVA), &mut Dropped::default()).unwrap();
        assert!(body.starts_with(&last));
        assert!(body.ends_with(b"]}"));
        last = body[..body.len() - 2].to_vec();
        request
            .turns
            .push(turn(Role::Assistant, vec![call(&number.to_string())]));
        request.turns.push(turn(
            Role::User,
            vec![
                result(&number.to_string(), vec![document.clone()]),
                document.clone(),
            ],
        ));
    }
}

#[test]
fn thoughts_go_back_under_anthropics_seal_and_to_claude() {
    let thought = |text: &str, origin: Option<Dialect>, is_redacted| {
        Part::from(Content::Thinking(Thinking {
            text: text.to_owned(),
            signature: origin.map(|origin| Signature {
                origin,
                value: "Eu8E".into(),
            }),
            id: None,
            is_redacted,
        }))
    };
    let mut request = foreign();
    request.turns.push(turn(
        Role::Assistant,
        vec![
            thought("a", Some(Dialect::Anthropic), false),
            thought("", Some(Dialect::Anthropic), true),
            thought("b", Some(Dialect::Gemini), false),
            thought("c", None, false),
            Part::text("so"),
        ],
    ));
    request
        .turns
        .push(turn(Role::User, vec![Part::text("go on")]));
    let (body, dropped) = written(&request, CLAUDE_4_5);
    assert_eq!(
        body["messages"][1]["content"],
        json!([
            {"reasoningContent": {"reasoningText": {"text": "a", "signature": "Eu8E"}}},
            {"reasoningContent": {"redactedContent": "RXU4RQ=="}},
            {"text": "so"},
        ])
    );
    assert_eq!(dropped, "reasoning_content,reasoning_details");
    let (body, dropped) = written(&request, NOVA);
    assert_eq!(body["messages"][1]["content"], json!([{"text": "so"}]));
    assert_eq!(dropped, "reasoning_content,reasoning_details");
    request.turns[1].parts.truncate(2);
    let (body, dropped) = written(&request, CLAUDE_4_5);
    assert_eq!(body["messages"].as_array().unwrap().len(), 1, "{body}");
    assert_eq!(dropped, "reasoning_content");
}

#[test]
fn calls_are_told_in_words_where_no_tools_are_sent() {
    let mut request = foreign();
    request.turns.push(turn(Role::Assistant, vec![call("a")]));
    request.turns.push(turn(
        Role::User,
        vec![result("a", vec![Part::text("seen")])],
    ));
    let expected = json!([
        {"role": "user", "content": [{"text": "hi"}]},
        {"role": "assistant", "content": [{"text": "[Call a of the tool look: {\"at\":1}]"}]},
        {"role": "user", "content": [{"text": "[Result of the call a:]"}, {"text": "seen"}]},
    ]);
    let (body, dropped) = written(&request, CLAUDE_4_5);
    assert_eq!((&body["messages"], dropped.as_str()), (&expected, ""));
    assert!(body["toolConfig"].is_null());
    request.tools.push(function("look"));
    request.tool_choice = Some(ToolChoice::None);
    let (body, dropped) = written(&request, NOVA);
    assert_eq!((&body["messages"], dropped.as_str()), (&expected, ""));
    assert!(body["toolConfig"].is_null());
    let (body, _) = written(&request, CLAUDE_4_5);
    assert_eq!(
        body["additionalModelRequestFields"],
        json!({"tool_choice": {"type": "none"}})
    );
    assert!(body["messages"][1]["content"][0]["toolUse"].is_object());
}

#[test]
fn choices_are_fitted_to_the_family() {
    let allowed = |names: &[&str], required| ToolChoice::Allowed {
        names: names.iter().map(|name| (*name).to_owned()).collect(),
        required,
    };
    let meta = "us.meta.llama3-3-70b-instruct-v1:0";
    let mistral = "mistral.mistral-large-2407-v1:0";
    let look = || ToolChoice::Named("look".into());
    let named = json!({"tool": {"name": "look"}});
    for (model, choice, sent, lost) in [
        (NOVA, ToolChoice::Auto, json!(null), ""),
        (NOVA, ToolChoice::Required, json!({"any": {}}), ""),
        (NOVA, look(), named.clone(), ""),
        (NOVA, allowed(&["look"], true), named.clone(), ""),
        (
            NOVA,
            allowed(&["look", "x"], true),
            json!({"any": {}}),
            "tool_choice",
        ),
        (
            NOVA,
            allowed(&["look", "x"], false),
            json!(null),
            "tool_choice",
        ),
        (mistral, ToolChoice::Required, json!({"any": {}}), ""),
        (mistral, look(), json!({"any": {}}), "tool_choice"),
        (meta, look(), json!(null), "tool_choice"),
        (
            "anthropic.claude-opus-5-5",
            look(),
            json!(null),
            "tool_choice",
        ),
    ] {
        let mut request = foreign();
        request.tools.push(function("look"));
        request.tool_choice = Some(choice.clone());
        let (body, dropped) = written(&request, model);
        assert_eq!(body["toolConfig"]["toolChoice"], sent, "{model} {choice:?}");
        assert_eq!(dropped, lost, "{model} {choice:?}");
        request.tools.clear();
        assert!(written(&request, model).0["toolConfig"].is_null());
    }
    let mut request = foreign();
    request.tools.push(function("look"));
    request.parallel_tool_calls = Some(false);
    request.tool_choice = Some(look());
    let (body, dropped) = written(&request, CLAUDE_4_5);
    assert_eq!(dropped, "");
    assert!(body["toolConfig"]["toolChoice"].is_null());
    let choice = json!({"type": "tool", "name": "look", "disable_parallel_tool_use": true});
    assert_eq!(body["additionalModelRequestFields"]["tool_choice"], choice);
    assert_eq!(written(&request, NOVA).1, "parallel_tool_calls");
}

#[test]
fn reasoning_is_fitted_to_the_family() {
    let tokens = |tokens| reasoning(None, Some(ThinkingBudget::Tokens(tokens)));
    let effort = |effort| reasoning(Some(effort), None);
    let opus = "global.anthropic.claude-opus-4-8";
    let nova_2 = "us.amazon.nova-2-lite-v1:0";
    for (model, asked, max_tokens, sent, lost) in [
        (
            CLAUDE_4_5,
            tokens(4_000),
            None,
            json!({"thinking": {"type": "enabled", "budget_tokens": 4000}}),
            "",
        ),
        (
            CLAUDE_4_5,
            effort(Effort::Low),
            None,
            json!({"thinking": {"type": "enabled", "budget_tokens": 1024}}),
            "",
        ),
        (
            CLAUDE_4_5,
            tokens(4_000),
            Some(2_000),
            json!({"thinking": {"type": "enabled", "budget_tokens": 1500}}),
            "reasoning_effort",
        ),
        (
            CLAUDE_4_5,
            tokens(4_000),
            Some(1_000),
            json!(null),
            "reasoning_effort",
        ),
        // The budget is within the limit as it is sent.
        (
            CLAUDE_4_5,
            tokens(100_000),
            Some(200_000),
            json!({"thinking": {"type": "enabled", "budget_tokens": 48_000}}),
            "reasoning_effort,max_tokens",
        ),
        (CLAUDE_4_5, effort(Effort::None), None, json!(null), ""),
        (
            opus,
            effort(Effort::XHigh),
            None,
            json!({"thinking": {"type": "adaptive"}, "output_config": {"effort": "xhigh"}}),
            "",
        ),
        (
            opus,
            reasoning(None, Some(ThinkingBudget::Dynamic)),
            None,
            json!({"thinking": {"type": "adaptive"}}),
            "",
        ),
        (
            "anthropic.claude-sonnet-5",
            effort(Effort::None),
            None,
            json!({"thinking": {"type": "disabled"}}),
            "",
        ),
        (
            "anthropic.claude-3-haiku-20240307-v1:0",
            effort(Effort::Low),
            None,
            json!(null),
            "reasoning_effort",
        ),
        (
            nova_2,
            effort(Effort::Minimal),
            Some(10),
            json!({"reasoningConfig": {"type": "enabled", "maxReasoningEffort": "low"}}),
            "",
        ),
        (
            nova_2,
            effort(Effort::Max),
            None,
            json!({"reasoningConfig": {"type": "enabled", "maxReasoningEffort": "high"}}),
            "",
        ),
        (
            nova_2,
            effort(Effort::High),
            Some(10),
            json!({"reasoningConfig": {"type": "enabled", "maxReasoningEffort": "medium"}}),
            "reasoning_effort",
        ),
        (
            nova_2,
            effort(Effort::None),
            None,
            json!({"reasoningConfig": {"type": "disabled"}}),
            "",
        ),
        (
            "openai.gpt-oss-120b-1:0",
            tokens(30_000),
            None,
            json!({"reasoning_effort": "high"}),
            "",
        ),
        (
            "openai.gpt-oss-120b-1:0",
            effort(Effort::None),
            None,
            json!({"reasoning_effort": "low"}),
            "reasoning_effort",
        ),
        (
            "openai.gpt-6-sol",
            effort(Effort::Minimal),
            None,
            json!({"reasoning": {"effort": "low"}}),
            "",
        ),
        (
            "moonshot.kimi-k2-thinking",
            effort(Effort::Medium),
            None,
            json!({"reasoning_effort": "medium"}),
            "",
        ),
        (
            "us.meta.llama4-scout-17b-instruct-v1:0",
            effort(Effort::Low),
            None,
            json!(null),
            "reasoning_effort",
        ),
        (
            "us.meta.llama4-scout-17b-instruct-v1:0",
            effort(Effort::None),
            None,
            json!(null),
            "",
        ),
    ] {
        let mut request = foreign();
        request.reasoning = asked.clone();
        request.max_tokens = max_tokens;
        let (body, dropped) = written(&request, model);
        assert_eq!(
            body["additionalModelRequestFields"], sent,
            "{model} {asked:?}"
        );
        assert_eq!(dropped, lost, "{model} {asked:?}");
    }
}

#[test]
fn a_forced_call_is_made_without_a_claudes_thinking() {
    let effort = |effort| reasoning(Some(effort), None);
    let off = json!({"thinking": {"type": "disabled"}});
    for (model, asked, sent, lost) in [
        (
            CLAUDE_4_5,
            effort(Effort::High),
            json!(null),
            "reasoning_effort",
        ),
        (
            "anthropic.claude-opus-4-8",
            effort(Effort::High),
            json!(null),
            "reasoning_effort",
        ),
        (
            "anthropic.claude-sonnet-5",
            effort(Effort::High),
            off.clone(),
            "reasoning_effort",
        ),
        (
            "anthropic.claude-sonnet-5",
            effort(Effort::None),
            off.clone(),
            "",
        ),
        ("anthropic.claude-sonnet-5", None, off, ""),
        (CLAUDE_4_5, None, json!(null), ""),
        (
            "us.amazon.nova-2-lite-v1:0",
            effort(Effort::Low),
            json!({"reasoningConfig": {"type": "enabled", "maxReasoningEffort": "low"}}),
            "",
        ),
    ] {
        let mut request = foreign();
        request.tools.push(function("look"));
        request.tool_choice = Some(ToolChoice::Required);
        request.reasoning = asked.clone();
        let (body, dropped) = written(&request, model);
        assert_eq!(
            body["additionalModelRequestFields"], sent,
            "{model} {asked:?}"
        );
        assert_eq!(body["toolConfig"]["toolChoice"], json!({"any": {}}));
        assert_eq!(dropped, lost, "{model} {asked:?}");
    }
}

#[test]
fn a_limit_is_set_where_converse_would_set_a_lower_one() {
    for (model, asked, sent, lost) in [
        (CLAUDE_4_5, None, json!(64_000), ""),
        (CLAUDE_4_5, Some(100), json!(100), ""),
        (CLAUDE_4_5, Some(64_001), json!(64_000), "max_tokens"),
        (NOVA, None, json!(null), ""),
        (NOVA, Some(64_001), json!(64_001), ""),
    ] {
        let mut request = foreign();
        request.max_tokens = asked;
        let (body, dropped) = written(&request, model);
        assert_eq!(body["inferenceConfig"]["maxTokens"], sent, "{model}");
        assert_eq!(dropped, lost, "{model} {asked:?}");
    }
    let (body, _) = written(&caller(), CLAUDE_4_5);
    assert!(body["inferenceConfig"].is_null());
}

#[test]
fn schemas_that_are_enforced_are_as_a_claude_takes_them() {
    let asked = r#"{"type":"object","properties":{"maximum":{"type":"integer","maximum":9}}}"#;
    let taken = r#"{"type":"object","properties":{"maximum":{"type":"integer"}},"additionalProperties":false}"#;
    let qwen = "qwen.qwen3-32b-v1:0";
    for (source, model, schema, lost) in [
        (Dialect::Chat, CLAUDE_4_5, taken, "strict,response_format"),
        (Dialect::Chat, qwen, asked, ""),
        (Dialect::Bedrock, CLAUDE_4_5, asked, ""),
    ] {
        let mut request = foreign();
        request.source = source;
        let parameters = Json::parse(asked).unwrap();
        request.format = Format::Schema {
            name: None,
            description: None,
            schema: parameters.clone(),
            strict: Some(true),
        };
        request.tools.push(Tool::Function(Function {
            name: "look".into(),
            description: None,
            parameters: Some(parameters),
            strict: Some(true),
            cache: None,
        }));
        let (body, dropped) = written(&request, model);
        let format = &body["outputConfig"]["textFormat"]["structure"]["jsonSchema"];
        assert_eq!(format["schema"], schema, "{model}");
        let tool = &body["toolConfig"]["tools"][0]["toolSpec"];
        assert_eq!(tool["inputSchema"]["json"].to_string(), schema, "{model}");
        assert_eq!(dropped, lost, "{model}");
        assert!(body["system"].is_null());
    }
}

#[test]
fn json_that_no_model_is_held_to_is_asked_for_in_words() {
    let mut request = foreign();
    request.format = Format::Json;
    request
        .turns
        .insert(0, turn(Role::System, vec![Part::text("Be brief.")]));
    let (body, dropped) = written(&request, CLAUDE_4_5);
    assert_eq!(
        body["system"],
        json!([{"text": "Be brief."}, {"text": "Answer with nothing but a JSON object."}])
    );
    assert_eq!(dropped, "response_format");
    let (body, _) = written(
        &Request {
            source: Dialect::Bedrock,
            ..request
        },
        CLAUDE_4_5,
    );
    assert_eq!(body["system"], json!([{"text": "Be brief."}]));
}

#[test]
fn what_a_claude_said_last_ends_in_no_space() {
    for (source, model, said) in [
        (Dialect::Chat, CLAUDE_4_5, "Title:"),
        (Dialect::Chat, NOVA, "Title: \n"),
        (Dialect::Bedrock, CLAUDE_4_5, "Title: \n"),
    ] {
        let mut request = foreign();
        request.source = source;
        request
            .turns
            .push(turn(Role::Assistant, vec![Part::text("Title: \n")]));
        let (body, _) = written(&request, model);
        assert_eq!(body["messages"][1]["content"][0]["text"], said, "{model}");
    }
}

#[test]
fn settings_are_fitted_to_the_family() {
    let mut request = foreign();
    request.max_tokens = Some(4_096);
    request.temperature = Some(1.5);
    request.top_p = Some(0.9);
    request.top_k = Some(40);
    request.stop = vec!["end".into(), " ".into()];
    request.service_tier = Some("auto".into());
    request.metadata = Some(Json::parse(r#"{"team":"search","bad":"\u00e9"}"#).unwrap());
    request.seed = Some(1);
    request.format = Format::Schema {
        name: Some("S".into()),
        description: None,
        schema: Json::parse(r#"{"type": "object"}"#).unwrap(),
        strict: Some(true),
    };
    let (body, dropped) = written(&request, NOVA);
    assert_eq!(dropped, "seed,temperature,stop,response_format,metadata");
    assert_eq!(
        body,
        json!({
            "system": [{"text": "Answer with nothing but JSON that fits this JSON Schema:\n{\"type\": \"object\"}"}],
            "messages": [{"role": "user", "content": [{"text": "hi"}]}],
            "inferenceConfig": {"maxTokens": 4096, "temperature": 1.0, "topP": 0.9, "stopSequences": ["end"]},
            "additionalModelRequestFields": {"inferenceConfig": {"topK": 40}},
            "requestMetadata": {"team": "search"},
        })
    );
    let (body, dropped) = written(&request, CLAUDE_4_5);
    assert_eq!(dropped, "seed,temperature,top_p,stop,metadata");
    assert_eq!(body["additionalModelRequestFields"], json!({"top_k": 40}));
    assert_eq!(
        body["inferenceConfig"],
        json!({"maxTokens": 4096, "temperature": 1.0, "stopSequences": ["end"]})
    );
    assert_eq!(
        body["outputConfig"],
        json!({"textFormat": {"type": "json_schema", "structure": {"jsonSchema":
        {"schema": "{\"type\":\"object\",\"additionalProperties\":false}", "name": "S"}}}})
    );
    request.reasoning = reasoning(Some(Effort::High), None);
    let (body, dropped) = written(&request, "anthropic.claude-opus-4-8");
    assert_eq!(dropped, "seed,top_k,temperature,top_p,stop,metadata");
    assert_eq!(
        body["inferenceConfig"],
        json!({"maxTokens": 4096, "stopSequences": ["end"]})
    );
    let (_, dropped) = written(&request, "us.meta.llama3-3-70b-instruct-v1:0");
    assert_eq!(
        dropped,
        "seed,reasoning_effort,top_k,temperature,stop,response_format,metadata"
    );
}

#[test]
fn cache_marks_are_those_that_the_family_takes() {
    let marked = |text: &str, cache| Part {
        cache: Some(cache),
        ..Part::text(text)
    };
    let mut request = foreign();
    let Tool::Function(mut look) = function("look") else {
        panic!("a function");
    };
    look.cache = Some(Cache::Usual);
    request.tools.push(Tool::Function(look));
    let parts = (0..5).map(|number| marked(&number.to_string(), Cache::Hour));
    request.turns[0].parts = parts.collect();
    let points = |model: &str| {
        let (body, dropped) = written(&request, model);
        let text = body.to_string();
        (
            text.matches("cachePoint").count(),
            text.matches(r#""ttl":"1h""#).count(),
            dropped,
        )
    };
    assert_eq!(points(CLAUDE_4_5), (4, 3, "cache_control".into()));
    assert_eq!(
        points("anthropic.claude-3-7-sonnet-20250219-v1:0"),
        (4, 0, "cache_control".into())
    );
    assert_eq!(points(NOVA), (3, 0, "cache_control".into()));
    assert_eq!(
        points("qwen.qwen3-32b-v1:0"),
        (0, 0, "cache_control".into())
    );

    let mut request = foreign();
    request.tools.push(function("look"));
    request
        .turns
        .insert(0, turn(Role::System, vec![Part::text("Be brief.")]));
    let auto = |model: &str| {
        let to = Outgoing {
            auto_cache: true,
            ..to(model)
        };
        let body = super::super::write_request(&request, &to, &mut Dropped::default()).unwrap();
        String::from_utf8(body)
            .unwrap()
            .matches("cachePoint")
            .count()
    };
    assert_eq!(
        (auto(CLAUDE_4_5), auto(NOVA), auto("qwen.qwen3-32b-v1:0")),
        (3, 2, 0)
    );
}

#[test]
fn arguments_that_are_no_object_become_one() {
    let mut request = foreign();
    request.tools.push(function("look"));
    for (arguments, input) in [
        ("{", json!({"arguments": "{"})),
        ("[1]", json!({"arguments": "[1]"})),
        (" null ", json!({})),
        ("", json!({})),
        (r#"{"a":1}"#, json!({"a": 1})),
    ] {
        let call = Content::ToolCall {
            id: "a".into(),
            name: "look".into(),
            arguments: arguments.into(),
            signature: None,
        };
        request.turns.truncate(1);
        request
            .turns
            .push(turn(Role::Assistant, vec![Part::from(call)]));
        let (body, dropped) = written(&request, NOVA);
        let call = &body["messages"][1]["content"][0]["toolUse"];
        assert_eq!(call["input"], input);
        assert_eq!(dropped, "");
    }
}

#[test]
fn ids_are_those_that_the_model_takes() {
    let mut request = foreign();
    request.tools.push(function("look"));
    let parts = ["functions.look:0", "a b"].map(call);
    request.turns.push(turn(Role::Assistant, parts.to_vec()));
    let ids = |model: &str| {
        let (body, _) = written(&request, model);
        [0, 1].map(|at| {
            let id = &body["messages"][1]["content"][at]["toolUse"]["toolUseId"];
            id.as_str().unwrap().to_owned()
        })
    };
    let [kimi, foreign] = ids("moonshot.kimi-k2-thinking");
    assert_eq!(kimi, "functions.look:0");
    assert!(foreign.starts_with("call_"));
    assert!(ids(CLAUDE_4_5).iter().all(|id| id.starts_with("call_")));
}
