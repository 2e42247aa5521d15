//! Requests, read and written.

use serde_json::{Value, json};

use super::super::{carries_with, read_request, write_request};
use super::*;
use crate::dialect::accent::{MaxTokens, Prefill};
use crate::dialect::common::{
    Cache, Content, Dropped, Effort, Format, Function, Json, Outgoing, Part, Reasoning, Role,
    Signature, Source, Thinking, ThinkingBudget, Tool, ToolChoice, Turn,
};

fn read(body: &Value) -> Request {
    read_request(body.to_string().as_bytes()).unwrap()
}

fn refused(body: &Value) -> Error {
    read_request(body.to_string().as_bytes()).unwrap_err()
}

/// The body and what was dropped.
fn sent(request: &Request, accent: &Accent) -> (Value, String) {
    let to = Outgoing {
        model: "target",
        accent,
        is_vertex: false,
        auto_cache: false,
    };
    let carries = |feature| carries_with(accent, feature);
    let mut dropped = Dropped::from(request, Dialect::Chat, carries);
    let body = write_request(request, &to, &mut dropped).unwrap();
    (serde_json::from_slice(&body).unwrap(), dropped.joined())
}

fn message(content: Value) -> Value {
    json!({"model": "m", "messages": [{"role": "user", "content": content}]})
}

fn asked(parts: Vec<Content>) -> Request {
    said(Role::User, parts)
}

fn said(role: Role, parts: Vec<Content>) -> Request {
    let mut request = Request::new(Dialect::Anthropic, "m");
    request.turns.push(Turn {
        role,
        parts: parts.into_iter().map(Part::from).collect(),
        name: None,
    });
    request
}

#[test]
fn a_wrong_field_is_named() {
    for (body, param) in [
        (json!({"model": "m"}), "messages"),
        (json!({"messages": {}}), "messages"),
        (json!({"messages": [{"content": "x"}]}), "messages[0].role"),
        (json!({"messages": [{"role": "robot"}]}), "messages[0].role"),
        (message(json!(7)), "messages[0].content"),
        (
            message(json!([{"text": "x"}])),
            "messages[0].content[0].type",
        ),
        (
            message(json!([{"type": "text", "text": 7}])),
            "messages[0].content[0].text",
        ),
        (
            message(json!([{"type": "image_url"}])),
            "messages[0].content[0].image_url",
        ),
        (
            message(json!([{"type": "input_audio", "input_audio": {"data": "x"}}])),
            "messages[0].content[0].input_audio.format",
        ),
        (
            json!({"messages": [{"role": "tool", "content": "x"}]}),
            "messages[0].tool_call_id",
        ),
        (
            json!({"messages": [{"role": "assistant", "tool_calls": [{"function": {"arguments": 7}}]}]}),
            "messages[0].tool_calls[0].function.arguments",
        ),
        (json!({"messages": [], "temperature": "hot"}), "temperature"),
        (json!({"messages": [], "max_tokens": -1}), "max_tokens"),
        (json!({"messages": [], "stop": [1]}), "stop[0]"),
        (
            json!({"messages": [], "tools": [{"function": {}}]}),
            "tools[0].function.name",
        ),
        (
            json!({"messages": [], "tool_choice": "maybe"}),
            "tool_choice",
        ),
        (
            json!({"messages": [], "tool_choice": {"type": "function"}}),
            "tool_choice.function.name",
        ),
        (
            json!({"messages": [], "response_format": {"type": "json_schema"}}),
            "response_format.json_schema",
        ),
        (
            json!({"messages": [], "reasoning": {"max_tokens": "x"}}),
            "reasoning.max_tokens",
        ),
    ] {
        let error = refused(&body);
        assert_eq!(
            error.param.as_deref(),
            Some(param),
            "{body}: {}",
            error.message
        );
    }
    let twice = br#"{"messages":[],"n":1,"n":2}"#;
    assert_eq!(read_request(twice).unwrap_err().param.as_deref(), Some("n"));
    for broken in [&b"{"[..], b"", b"\xff", b"{\"messages\":[}"] {
        assert_eq!(read_request(broken).unwrap_err().param, None);
    }
}

#[test]
fn no_message_of_an_error_quotes_content() {
    let error = refused(&json!({"messages": [], "temperature": "my secret"}));
    assert!(!error.message.contains("secret"), "{}", error.message);
    assert!(error.message.contains("must be"), "{}", error.message);
}

#[test]
fn parts_of_every_kind_are_read() {
    let request = read(&message(json!([
        {"type": "text", "text": "look", "cache_control": {"type": "ephemeral", "ttl": "1h"}},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk=", "detail": "low"}},
        {"type": "image_url", "image_url": "https://example.com/a.png"},
        {"type": "input_audio", "input_audio": {"data": "aGk=", "format": "wav"}},
        {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,aGk="}},
        {"type": "file", "file": {"file_id": "file-1"}},
        {"type": "video_url", "video_url": {"url": "https://example.com/a.mp4"}},
        {"type": "hologram", "hologram": {"z": 1}},
    ])));
    let parts = &request.turns[0].parts;
    assert_eq!(parts[0].cache, Some(Cache::Hour));
    let base64 = |media_type: &str| Source::Base64 {
        media_type: media_type.into(),
        data: "aGk=".into(),
    };
    let url = |url: &str| Source::Url {
        url: url.into(),
        media_type: None,
    };
    let expected = [
        Content::Image {
            source: base64("image/png"),
            detail: Some("low".into()),
        },
        Content::Image {
            source: url("https://example.com/a.png"),
            detail: None,
        },
        Content::Audio {
            source: base64("audio/wav"),
        },
        Content::Document {
            source: base64("application/pdf"),
            name: Some("a.pdf".into()),
            cite: false,
        },
        Content::Document {
            source: Source::File {
                dialect: Dialect::Chat,
                id: "file-1".into(),
            },
            name: None,
            cite: false,
        },
        Content::Video {
            source: url("https://example.com/a.mp4"),
        },
    ];
    for (part, content) in parts[1..].iter().zip(&expected) {
        assert_eq!(part.content, *content);
    }
    assert!(matches!(&parts[7].content, Content::Opaque { kind, .. } if kind == "hologram"));
}

#[test]
fn a_callers_own_fields_come_back() {
    let body = json!({
        "model": "target",
        "messages": [
            {"role": "developer", "content": "be brief"},
            {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}], "name": "ann"},
            {"role": "assistant", "content": "c", "tool_calls": [
                {"id": "call.1", "type": "function", "function": {"name": "f", "arguments": "{\"x\": 1.0}"}},
                {"id": "call_2", "type": "custom", "custom": {"name": "g", "input": "SELECT"}},
            ], "audio": {"id": "audio_1"}},
            {"role": "tool", "tool_call_id": "call.1", "content": "1"},
            {"role": "tool", "tool_call_id": "call_2", "content": "2"},
        ],
        "tools": [
            {"type": "function", "function": {"name": "f", "strict": true, "parameters": {"type": "object", "properties": {}}}},
            {"type": "custom", "custom": {"name": "g"}},
        ],
        "tool_choice": {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [{"type": "function", "function": {"name": "f"}}]}},
        "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "object"}, "strict": true}},
        "reasoning_effort": "high",
        "max_completion_tokens": 9, "temperature": 0.5, "top_p": 0.9, "stop": ["a", "b", "c", "d", "e"],
        "seed": 3, "n": 2, "logprobs": true, "top_logprobs": 2, "presence_penalty": 0.1, "frequency_penalty": 0.2,
        "logit_bias": {"5": -100}, "user": "u", "metadata": {"k": "v"}, "service_tier": "flex", "store": true,
        "verbosity": "low", "stream": true, "stream_options": {"include_usage": true, "include_obfuscation": false},
        "modalities": ["text"], "prediction": {"type": "content", "content": "x"}, "web_search_options": {},
    });
    let request = read(&body);
    let (sent, dropped) = sent(&request, &Accent::OPENAI);
    assert_eq!(dropped, "");
    for (name, value) in body.as_object().unwrap() {
        if name != "messages" {
            assert_eq!(sent[name], *value, "{name}");
        }
    }
    assert_eq!(sent["messages"], body["messages"]);
    let mut again = read(&sent);
    again.model = request.model.clone();
    assert_eq!(again, request);
}

#[test]
fn legacy_functions_are_tools() {
    let request = read(&json!({
        "messages": [
            {"role": "assistant", "content": null, "function_call": {"name": "f", "arguments": "{}"}},
            {"role": "function", "name": "f", "content": "1"},
        ],
        "functions": [{"name": "f"}],
        "function_call": {"name": "f"},
    }));
    assert_eq!(request.functions().count(), 1);
    assert_eq!(request.tool_choice, Some(ToolChoice::Named("f".into())));
    let (Content::ToolCall { id: call, .. }, Content::ToolResult { id: result, .. }) = (
        &request.turns[0].parts[0].content,
        &request.turns[1].parts[0].content,
    ) else {
        panic!("{request:?}");
    };
    assert_eq!(call, result);
}

#[test]
fn thoughts_and_seals_are_read_back() {
    let request = read(&json!({"messages": [{
        "role": "assistant",
        "content": "so",
        "reasoning_content": "ignored where entries tell all",
        "reasoning_details": [
            {"type": "reasoning.text", "text": "a", "signature": "tg1:anthropic:sig", "format": "anthropic-claude-v1", "index": 0},
            {"type": "reasoning.encrypted", "data": "tg1:responses:enc", "id": "rs_1", "index": 1},
        ],
        "tool_calls": [{"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"},
            "extra_content": {"google": {"thought_signature": "gem"}}}],
    }]}));
    let parts = &request.turns[0].parts;
    let seal = |origin, value: &str| {
        Some(Signature {
            origin,
            value: value.into(),
        })
    };
    let thoughts = [
        Thinking {
            text: "a".into(),
            signature: seal(Dialect::Anthropic, "sig"),
            id: None,
            is_redacted: false,
        },
        Thinking {
            text: String::new(),
            signature: seal(Dialect::Responses, "enc"),
            id: Some("rs_1".into()),
            is_redacted: true,
        },
    ];
    for (part, thinking) in parts.iter().zip(thoughts) {
        assert_eq!(part.content, Content::Thinking(thinking));
    }
    assert!(matches!(
        &parts[3].content,
        Content::ToolCall { signature, .. } if *signature == seal(Dialect::Gemini, "gem")
    ));
    let (google, dropped) = sent(&request, &GOOGLE);
    let call = &google["messages"][0]["tool_calls"][0];
    assert_eq!(call["extra_content"]["google"]["thought_signature"], "gem");
    assert_eq!(dropped, "reasoning_content,reasoning_details");
    let (openai, dropped) = sent(&request, &Accent::OPENAI);
    assert_eq!(
        openai["messages"][0],
        json!({"role": "assistant", "content": "so", "tool_calls": [
            {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]})
    );
    assert_eq!(dropped, "reasoning_details,reasoning_content");
}

#[test]
fn thoughts_go_where_the_server_wants_them() {
    let thought = |text: &str, signature| {
        Content::Thinking(Thinking {
            text: text.into(),
            signature,
            ..Thinking::default()
        })
    };
    let own = Signature {
        origin: Dialect::Chat,
        value: "anthropic-claude-v1:sig".into(),
    };
    let foreign = Signature {
        origin: Dialect::Anthropic,
        value: "sig".into(),
    };
    let request = said(
        Role::Assistant,
        vec![
            thought("a", Some(own)),
            thought("b", Some(foreign)),
            thought("c", None),
            Part::text("so").content,
        ],
    );
    let with = |thoughts| Accent {
        thoughts,
        ..Accent::OTHER
    };
    let (body, _) = sent(&request, &with(Thoughts::ReasoningContent));
    assert_eq!(body["messages"][0]["reasoning_content"], "abc");
    let (body, _) = sent(&request, &with(Thoughts::Reasoning));
    assert_eq!(body["messages"][0]["reasoning"], "abc");
    let (body, dropped) = sent(&request, &ROUTER);
    assert_eq!(
        body["messages"][0]["reasoning_details"],
        json!([
            {"type": "reasoning.text", "text": "a", "signature": "sig", "format": "anthropic-claude-v1", "index": 0},
            {"type": "reasoning.text", "text": "c", "index": 1},
        ])
    );
    assert_eq!(dropped, "thinking,signature");
}

fn result(parts: Vec<Part>, is_error: bool) -> Content {
    Content::ToolResult {
        id: "toolu_1".into(),
        name: None,
        parts,
        is_error,
    }
}

#[test]
fn media_of_tools_follow_behind_all_results() {
    let image = || {
        Part::from(Content::Image {
            source: Source::Base64 {
                media_type: "image/png".into(),
                data: "aGk=".into(),
            },
            detail: None,
        })
    };
    let request = asked(vec![
        result(vec![Part::text("seen"), image()], false),
        result(vec![image()], false),
        result(vec![Part::text("no such file")], true),
        Part::text("go on").content,
    ]);
    let (body, dropped) = sent(&request, &Accent::OPENAI);
    let messages = body["messages"].as_array().unwrap();
    let roles: Vec<_> = messages.iter().map(|message| &message["role"]).collect();
    assert_eq!(roles, ["tool", "tool", "tool", "user"]);
    assert_eq!(messages[0]["content"], "seen");
    assert_ne!(messages[1]["content"], "");
    assert_eq!(messages[2]["content"], "Error: no such file");
    let kinds = messages[3]["content"].as_array().unwrap().iter();
    let kinds: Vec<_> = kinds.map(|part| part["type"].clone()).collect();
    assert_eq!(kinds, ["text", "image_url", "text", "image_url", "text"]);
    assert_eq!(dropped, "");
}

#[test]
fn call_ids_fit_the_server_and_stay_the_same() {
    const MISTRAL: Accent = Accent {
        has_short_call_ids: true,
        ..Accent::OTHER
    };
    let request = asked(vec![result(vec![Part::text("1")], false)]);
    let call = said(
        Role::Assistant,
        vec![Content::ToolCall {
            id: "toolu_1".into(),
            name: "f".into(),
            arguments: String::new(),
            signature: None,
        }],
    );
    let (result, _) = sent(&request, &MISTRAL);
    let (call, _) = sent(&call, &MISTRAL);
    let id = result["messages"][0]["tool_call_id"].as_str().unwrap();
    assert_eq!(id, call["messages"][0]["tool_calls"][0]["id"]);
    assert_eq!(id.len(), 9);
    assert!(id.bytes().all(|byte| byte.is_ascii_alphanumeric()));
    let function = &call["messages"][0]["tool_calls"][0]["function"];
    assert_eq!(function["arguments"], "{}");
    let (plain, _) = sent(&request, &Accent::OPENAI);
    assert_eq!(plain["messages"][0]["tool_call_id"], "toolu_1");
}

#[test]
fn what_openai_bounds_is_cut_and_told() {
    let mut request = asked(vec![Part::text("hi").content]);
    request.stop = ["1", "2", "3", "4", "5"].map(String::from).to_vec();
    request.logprobs = Some(50);
    request.metadata = Some(Json::of(&json!({"k": "v"})));
    request.service_tier = Some("standard_only".into());
    let (body, dropped) = sent(&request, &Accent::OPENAI);
    assert_eq!(body["stop"], json!(["1", "2", "3", "4"]));
    assert_eq!(body["top_logprobs"], 20);
    assert_eq!(body["metadata"], Value::Null);
    assert_eq!(body["service_tier"], Value::Null);
    assert_eq!(dropped, "stop_sequences,logprobs,metadata,service_tier");
}

#[test]
fn documents_are_pdf_or_text() {
    let document = |source| Content::Document {
        source,
        name: Some("a".into()),
        cite: false,
    };
    let base64 = |media_type: &str| Source::Base64 {
        media_type: media_type.into(),
        data: "aGk=".into(),
    };
    let request = asked(vec![
        document(base64("application/pdf")),
        document(base64("text/plain")),
        document(Source::Text("hi".into())),
        document(base64("application/zip")),
        document(Source::Url {
            url: "https://example.com/a.pdf".into(),
            media_type: None,
        }),
    ]);
    let (body, dropped) = sent(&request, &Accent::OPENAI);
    let text = json!({"type": "text", "text": "a\n\nhi"});
    assert_eq!(
        body["messages"][0]["content"],
        json!([
            {"type": "file", "file": {"filename": "a", "file_data": "data:application/pdf;base64,aGk="}},
            text, text,
        ])
    );
    assert_eq!(dropped, "document");
}

fn with_tools() -> Request {
    let mut request = asked(vec![Part::text("hi").content]);
    request.tools = ["f", "g"]
        .map(|name| {
            Tool::Function(Function {
                name: name.into(),
                description: None,
                parameters: None,
                strict: None,
                cache: Some(Cache::Usual),
            })
        })
        .to_vec();
    request
}

#[test]
fn a_choice_of_tools_that_is_not_known_becomes_a_list_of_those() {
    const PLAIN: Accent = Accent {
        lacks: &[Feature::ToolChoiceAllowed, Feature::ToolChoiceNamed],
        ..Accent::OTHER
    };
    let mut request = with_tools();
    for (choice, word) in [
        (ToolChoice::Named("g".into()), json!("required")),
        (
            ToolChoice::Allowed {
                names: vec!["g".into()],
                required: false,
            },
            Value::Null,
        ),
    ] {
        request.tool_choice = Some(choice);
        let (body, dropped) = sent(&request, &PLAIN);
        assert_eq!(body["tools"].as_array().unwrap().len(), 1);
        assert_eq!(body["tools"][0]["function"]["name"], "g");
        assert_eq!(body["tool_choice"], word);
        assert_eq!(dropped, "");
        let (body, _) = sent(&request, &Accent::OPENAI);
        assert_eq!(body["tools"].as_array().unwrap().len(), 2);
    }
}

#[test]
fn marks_for_the_cache_go_to_who_knows_them() {
    let request = with_tools();
    let (body, dropped) = sent(&request, &ROUTER);
    let mark = json!({"type": "ephemeral"});
    assert_eq!(body["tools"][0]["cache_control"], mark);
    assert_eq!(dropped, "");
    let (body, dropped) = sent(&request, &Accent::OPENAI);
    assert_eq!(body["tools"][0]["cache_control"], Value::Null);
    assert_eq!(dropped, "");
    let marked =
        json!([{"type": "text", "text": "a", "prompt_cache_breakpoint": {"mode": "explicit"}}]);
    let (body, _) = sent(&read(&message(marked.clone())), &Accent::OPENAI);
    assert_eq!(body["messages"][0]["content"], marked);
}

#[test]
fn a_mark_of_a_message_is_one_of_its_end() {
    let mark = json!({"type": "ephemeral"});
    let request = read(&json!({"messages": [
        {"role": "system", "content": "a", "cache_control": mark},
        {"role": "tool", "tool_call_id": "1", "content": "b", "cache_control": mark},
    ]}));
    for turn in &request.turns {
        assert_eq!(turn.parts[0].cache, Some(Cache::Usual));
    }
    let (body, _) = sent(&request, &ROUTER);
    for message in body["messages"].as_array().unwrap() {
        assert_eq!(message["content"][0]["cache_control"], mark);
    }
}

#[test]
fn a_schema_that_is_not_enforced_is_told() {
    const PLAIN: Accent = Accent {
        has_json_schema: false,
        ..Accent::OTHER
    };
    let mut request = asked(vec![Part::text("hi").content]);
    request.format = Format::Schema {
        name: Some("a b".into()),
        description: None,
        schema: Json::of(&json!({"type": "object"})),
        strict: None,
    };
    let (body, dropped) = sent(&request, &PLAIN);
    assert_eq!(body["response_format"], json!({"type": "json_object"}));
    let told = body["messages"][0]["content"].as_str().unwrap();
    assert!(told.contains(r#"{"type":"object"}"#));
    assert_eq!(dropped, "output_config.format");
    let (body, _) = sent(&request, &Accent::OPENAI);
    assert_eq!(body["response_format"]["json_schema"]["name"], "a_b");
}

#[test]
fn an_effort_is_said_in_the_servers_words() {
    let with = |effort| Accent {
        effort,
        ..Accent::OTHER
    };
    let budget = Reasoning {
        budget: Some(ThinkingBudget::Tokens(2_000)),
        show: Some(true),
        ..Reasoning::default()
    };
    let off = Reasoning {
        effort: Some(Effort::None),
        ..Reasoning::default()
    };
    for (field, name, little, none) in [
        (
            EffortField::ReasoningEffort,
            "reasoning_effort",
            json!("low"),
            json!("none"),
        ),
        (
            EffortField::Reasoning,
            "reasoning",
            json!({"max_tokens": 2000, "exclude": false}),
            json!({"effort": "none"}),
        ),
        (
            EffortField::Thinking,
            "thinking",
            json!({"type": "enabled"}),
            json!({"type": "disabled"}),
        ),
        (
            EffortField::Nowhere,
            "reasoning_effort",
            Value::Null,
            Value::Null,
        ),
    ] {
        let mut request = asked(vec![Part::text("hi").content]);
        request.reasoning = Some(budget.clone());
        assert_eq!(sent(&request, &with(field)).0[name], little);
        request.reasoning = Some(off.clone());
        assert_eq!(sent(&request, &with(field)).0[name], none);
    }
}

#[test]
fn streams_are_asked_for_their_usage_where_that_may_be_asked() {
    let mut request = asked(vec![Part::text("hi").content]);
    request.stream = true;
    request.max_tokens = Some(5);
    for has_stream_options in [true, false] {
        let accent = Accent {
            has_stream_options,
            max_tokens: MaxTokens::Plain,
            ..Accent::OPENAI
        };
        let (body, _) = sent(&request, &accent);
        assert_eq!(body["stream"], true);
        assert_eq!(body["max_tokens"], 5);
        assert_eq!(
            body["stream_options"]["include_usage"] == true,
            has_stream_options
        );
    }
}

#[test]
fn a_longer_conversation_begins_with_the_same_bytes() {
    let mut request = asked(vec![Part::text("hi").content]);
    request.turns.insert(
        0,
        Turn {
            role: Role::System,
            parts: vec![Part::text("a"), Part::text("b")],
            name: None,
        },
    );
    let text = |request: &Request| {
        let (body, _) = sent(request, &Accent::OTHER);
        body["messages"].to_string()
    };
    let short = text(&request);
    assert!(short.contains(r#""a\n\nb""#), "lists of text become one");
    request.turns.push(Turn {
        role: Role::Assistant,
        parts: vec![Part::text("hello")],
        name: None,
    });
    let long = text(&request);
    assert!(long.starts_with(short.trim_end_matches(']')));
}

#[test]
fn a_foreign_user_is_no_longer_than_openai_takes() {
    let mut request = asked(vec![Content::Refusal("hello".to_owned())]);
    for (user, is_kept) in [("short".to_owned(), true), ("u".repeat(200), false)] {
        request.user = Some(user.clone());
        let (body, dropped) = sent(&request, &Accent::OPENAI);
        let sent = body["user"].as_str().unwrap();
        assert!(sent.len() <= 64);
        assert_eq!(sent == user, is_kept);
        assert_eq!(dropped, "");
    }
}

#[test]
fn each_server_is_told_in_its_own_words_to_go_on_with_an_answer() {
    let mut request = asked(vec![Part::text("hi").content]);
    request.turns.push(Turn {
        role: Role::Assistant,
        parts: vec![Part::text("So")],
        name: None,
    });
    let begun = request.clone().begun();
    let with = |prefill| Accent {
        prefill,
        ..Accent::OTHER
    };
    for (prefill, of_message, of_request) in [
        (None, "", "continue_final_message"),
        (Some(Prefill::FinalMessage), "", "continue_final_message"),
        (Some(Prefill::Prefix), "prefix", ""),
        (Some(Prefill::BetaPrefix), "prefix", ""),
        (Some(Prefill::Partial), "partial", ""),
        (Some(Prefill::Untold), "", ""),
    ] {
        let (usual, _) = sent(&request, &with(prefill));
        let (mut body, _) = sent(&begun, &with(prefill));
        if !of_message.is_empty() {
            let mut messages = body["messages"].as_array_mut().unwrap().iter_mut();
            let last = messages.next_back().unwrap().as_object_mut().unwrap();
            assert_eq!(last.remove(of_message), Some(true.into()), "{prefill:?}");
        }
        let body = body.as_object_mut().unwrap();
        if !of_request.is_empty() {
            assert_eq!(body.remove(of_request), Some(true.into()), "{prefill:?}");
            let prompt = body.remove("add_generation_prompt");
            assert_eq!(prompt, Some(false.into()), "{prefill:?}");
        }
        assert_eq!(Some(&*body), usual.as_object(), "{prefill:?}");
    }
}
