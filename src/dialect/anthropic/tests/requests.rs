//! Requests: a caller's, read, and those of other dialects, written.

use serde_json::json;

use super::*;
use crate::dialect::anthropic::read_count_request;
use crate::dialect::common::{
    Cache, Effort, Format, Function, Json, Part, Reasoning, Signature, Source, Thinking,
    ThinkingBudget, Tool, ToolChoice,
};

fn read(body: &Value) -> Result<Request, Error> {
    read_request(body.to_string().as_bytes())
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

#[test]
fn what_only_this_dialect_has_comes_back_as_it_was() {
    let body = json!({
        "model": "claude-sonnet-5-5",
        "max_tokens": 100,
        "system": [{"type": "text", "text": "be kind", "cache_control": {"type": "ephemeral", "ttl": "1h"}}],
        "messages": [
            {"role": "user", "content": "hi"},
            {"role": "user", "content": [
                {"type": "image", "source": {"type": "url", "url": "https://a/b.png"}},
                {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "x"},
                 "title": "t", "citations": {"enabled": true}},
                {"type": "document", "source": {"type": "file", "file_id": "file_1"}},
                {"type": "search_result", "source": "s", "title": "t", "content": [{"type": "text", "text": "x"}]},
                {"type": "container_upload", "file_id": "file_2"}]},
            {"role": "assistant", "content": [
                {"type": "thinking", "thinking": "hm", "signature": "c2VhbA=="},
                {"type": "redacted_thinking", "data": "aGlkZGVu"},
                {"type": "text", "text": "so", "citations": [{"type": "char_location", "cited_text": "x",
                 "document_index": 0, "document_title": "t", "start_char_index": 0, "end_char_index": 1}]},
                {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {}},
                {"type": "tool_use", "id": "toolu_1", "name": "look", "input": {"a": 1.0}},
                {"type": "tool_use", "id": "toolu_2", "name": "look", "input": {},
                 "caller": {"type": "code_execution_20260120", "tool_id": "srvtoolu_1"}}]},
            {"role": "user", "effort": "low", "content": [
                {"type": "tool_result", "tool_use_id": "toolu_1", "is_error": true,
                 "content": [{"type": "text", "text": "no"}, {"type": "tool_reference", "tool_name": "look"}],
                 "cache_control": {"type": "ephemeral"}},
                {"type": "tool_result", "tool_use_id": "toolu_2"}]},
            {"role": "system", "content": [{"type": "text", "text": "be brief"}]}],
        "tools": [
            {"name": "look", "description": "looks", "input_schema": {"type": "object"}, "defer_loading": true,
             "strict": false, "cache_control": {"type": "ephemeral"}},
            {"type": "custom", "name": "hear", "input_schema": {"type": "object"}, "input_examples": [{"a": 1.50}]},
            {"type": "web_search_20260209", "name": "web_search", "max_uses": 2}],
        "tool_choice": {"type": "auto", "disable_parallel_tool_use": true},
        "thinking": {"type": "between_tools", "block_binding": {"prefix_mismatch_behavior": "drop_block"}},
        "output_config": {"effort": "xhigh", "task_budget": {"total": 1},
                          "format": {"type": "json_schema", "schema": {"type": "object"}}},
        "metadata": {"user_id": "u", "more": 1},
        "service_tier": "standard_only",
        "stop_sequences": ["\n"], "stream": true, "temperature": 1.0, "top_p": 0.5, "top_k": 3,
        "cache_control": {"type": "ephemeral"},
        "mcp_servers": [{"type": "url", "url": "https://m", "name": "m"}],
        "container": "c", "inference_geo": "us"
    });
    let request = read(&body).unwrap();
    let (sent, dropped) = sent(&request, &to("claude-sonnet-5-5"));
    assert_eq!(dropped, "");
    let mut expected = body;
    // What says the same in another way.
    expected["messages"][0]["content"] = json!([{"type": "text", "text": "hi"}]);
    expected["tools"][1].as_object_mut().unwrap().remove("type");
    assert_eq!(sent, expected);
    assert_eq!(read(&sent).unwrap(), request);
}

#[test]
fn foreign_targets_hear_of_what_they_cannot_hold() {
    let body = json!({
        "model": "m", "max_tokens": 1, "messages": [{"role": "user", "content": "hi"}],
        "tools": [{"name": "a", "input_schema": {}, "defer_loading": true},
                  {"name": "b", "input_schema": {}, "defer_loading": false}],
        "thinking": {"type": "adaptive", "display": "full"}, "speed": "fast"
    });
    let request = read(&body).unwrap();
    let dropped = Dropped::from(&request, Dialect::Chat, |_| {
        crate::dialect::common::Carry::Whole
    });
    assert_eq!(
        dropped.joined(),
        "tools.defer_loading,thinking.display,speed"
    );
}

#[test]
fn a_bad_field_is_named() {
    let with = |field: &str, value: Value| {
        let mut body =
            json!({"model": "m", "max_tokens": 1, "messages": [{"role": "user", "content": "hi"}]});
        body[field] = value;
        body
    };
    let block = |block: Value| with("messages", json!([{"role": "user", "content": [block]}]));
    for (body, param) in [
        (with("max_tokens", Value::Null), "max_tokens"),
        (with("model", json!(7)), "model"),
        (with("messages", json!([])), "messages"),
        (with("messages", json!({})), "messages"),
        (
            with("messages", json!([{"role": "tool", "content": ""}])),
            "messages[0].role",
        ),
        (
            with("messages", json!([{"role": "user"}])),
            "messages[0].content",
        ),
        (block(json!("hi")), "messages[0].content[0]"),
        (block(json!({"text": "hi"})), "messages[0].content[0].type"),
        (
            block(json!({"type": "text"})),
            "messages[0].content[0].text",
        ),
        (
            block(json!({"type": "text", "text": 7})),
            "messages[0].content[0].text",
        ),
        (
            block(
                json!({"type": "text", "text": "", "cache_control": {"type": "ephemeral", "ttl": "2h"}}),
            ),
            "messages[0].content[0].cache_control",
        ),
        (
            block(json!({"type": "image", "source": {"type": "base64", "data": ""}})),
            "messages[0].content[0].source.media_type",
        ),
        (
            block(
                json!({"type": "tool_result", "tool_use_id": "a", "content": [{"type": "text"}]}),
            ),
            "messages[0].content[0].content[0].text",
        ),
        (
            with("system", json!([{"type": "text", "text": []}])),
            "system[0].text",
        ),
        (
            with("tools", json!([{"input_schema": {}}])),
            "tools[0].name",
        ),
        (
            with("tool_choice", json!({"type": "some"})),
            "tool_choice.type",
        ),
        (with("tool_choice", json!("auto")), "tool_choice"),
        (
            with("thinking", json!({"type": "enabled"})),
            "thinking.budget_tokens",
        ),
        (
            with("output_config", json!({"effort": "huge"})),
            "output_config.effort",
        ),
        (
            with("output_config", json!({"format": {"type": "xml"}})),
            "output_config.format.type",
        ),
        (with("temperature", json!("hot")), "temperature"),
    ] {
        let error = read(&body).unwrap_err();
        assert_eq!(error.param.as_deref(), Some(param), "{body}");
        assert!(error.message.contains(param), "{}", error.message);
    }
    let no_limit = json!({"model": "m", "messages": [{"role": "user", "content": "hi"}]});
    assert_eq!(
        read(&no_limit).unwrap_err().message,
        "the field `max_tokens` is missing"
    );
    assert!(read_count_request(no_limit.to_string().as_bytes()).is_ok());
    assert!(read_request(b"\xff").is_err() && read_request(b"[1").is_err());
}

#[test]
fn turns_of_other_dialects_stand_as_anthropic_wants_them() {
    let mut request = Request::new(Dialect::Chat, "m");
    request.turns = vec![
        turn(Role::System, vec![text("be kind")]),
        turn(Role::Developer, vec![text("be brief")]),
        turn(Role::Assistant, vec![text("hello"), text(" ")]),
        turn(Role::User, vec![text("hi")]),
        turn(
            Role::Assistant,
            vec![call("call:1", ""), call("b", r#"{"x": 1}"#)],
        ),
        turn(Role::Developer, vec![text("now")]),
        turn(Role::User, vec![result("call:1")]),
        turn(Role::User, vec![result("b"), text("and?")]),
    ];
    let (sent, dropped) = sent(&request, &to("claude-opus-4-8"));
    assert_eq!(dropped, "");
    assert_eq!(
        sent["system"],
        json!([{"type": "text", "text": "be kind"}, {"type": "text", "text": "be brief"}])
    );
    let id = sent["messages"][3]["content"][0]["id"].clone();
    assert_ne!(id, "call:1");
    assert_eq!(
        sent["messages"],
        json!([
            {"role": "user", "content": [{"type": "text", "text": "."}]},
            {"role": "assistant", "content": [{"type": "text", "text": "hello"}]},
            {"role": "user", "content": [{"type": "text", "text": "hi"}]},
            {"role": "assistant", "content": [
                {"type": "tool_use", "id": id, "name": "look", "input": {}},
                {"type": "tool_use", "id": "b", "name": "look", "input": {"x": 1}}]},
            {"role": "user", "content": [
                {"type": "tool_result", "tool_use_id": id, "content": "42"},
                {"type": "tool_result", "tool_use_id": "b", "content": "42"},
                {"type": "text", "text": "<system>\nnow\n</system>"},
                {"type": "text", "text": "and?"}]}
        ])
    );
    assert_eq!(sent["max_tokens"], 128_000);
}

#[test]
fn further_turns_leave_those_before_them_as_they_are() {
    let mut request = foreign(Dialect::Responses);
    request
        .turns
        .insert(0, turn(Role::System, vec![text("be kind")]));
    let body = |request: &Request| {
        let bytes =
            write_request(request, &to("claude-opus-4-8"), &mut Dropped::default()).unwrap();
        String::from_utf8(bytes).unwrap()
    };
    let before = body(&request);
    request
        .turns
        .push(turn(Role::Assistant, vec![call("a", "{}")]));
    request.turns.push(turn(Role::User, vec![result("a")]));
    request.turns.push(turn(Role::Developer, vec![text("now")]));
    let after = body(&request);
    let end = before.find("}],\"max_tokens\"").unwrap();
    assert_eq!(before[..end], after[..end]);
    assert_eq!(after, body(&request));
}

#[test]
fn arguments_become_an_object() {
    for (arguments, input) in [
        ("[]", json!({"arguments": "[]"})),
        (r#"{"a": "#, json!({"arguments": r#"{"a": "#})),
        ("null", json!({})),
        ("", json!({})),
        (r#"{"a":1}"#, json!({"a": 1})),
    ] {
        let mut request = foreign(Dialect::Chat);
        request
            .turns
            .push(turn(Role::Assistant, vec![call("call_7", arguments)]));
        let (body, dropped) = sent(&request, &to("m"));
        assert_eq!(body["messages"][1]["content"][0]["input"], input);
        assert_eq!(dropped, "");
    }
}

#[test]
fn a_user_is_sent_as_no_address() {
    let mut request = foreign(Dialect::Chat);
    for (user, is_kept) in [
        ("u-1", true),
        ("1234", true),
        ("jane@example.org", false),
        ("+41 (44) 123-45-67", false),
        (&"u".repeat(257), false),
    ] {
        request.user = Some(user.to_owned());
        let (body, _) = sent(&request, &to("claude-sonnet-4-5"));
        let sent = body["metadata"]["user_id"].as_str().unwrap();
        assert_eq!(sent == user, is_kept, "{sent}");
        assert!(!sent.contains('@') && sent.len() <= 256);
    }
}

#[test]
fn a_forced_call_is_made_without_thinking() {
    let mut request = foreign(Dialect::Chat);
    request.tools.push(function("look"));
    request.tool_choice = Some(ToolChoice::Required);
    for (model, asked, thinking, lost) in [
        ("claude-opus-4-6", true, Value::Null, "reasoning_effort"),
        ("claude-sonnet-4-5", true, Value::Null, "reasoning_effort"),
        (
            "claude-sonnet-5",
            true,
            json!({"type": "disabled"}),
            "reasoning_effort",
        ),
        ("claude-sonnet-5", false, json!({"type": "disabled"}), ""),
        ("claude-opus-4-6", false, Value::Null, ""),
    ] {
        request.reasoning = asked.then(|| Reasoning {
            effort: Some(Effort::High),
            ..Reasoning::default()
        });
        let (body, dropped) = sent(&request, &to(model));
        assert_eq!(body["thinking"], thinking, "{model}");
        assert_eq!(body["tool_choice"]["type"], "any", "{model}");
        assert_eq!(dropped, lost, "{model}");
    }
}

#[test]
fn what_the_model_said_last_ends_in_no_space() {
    for (caller, said, content) in [
        (Dialect::Chat, "Title: \n", json!("Title:")),
        (Dialect::Chat, "Title:\u{a0}", json!("Title:")),
        (Dialect::Chat, "\u{a0}", Value::Null),
        (Dialect::Anthropic, "Title: ", json!("Title: ")),
    ] {
        let mut request = foreign(caller);
        request.turns.push(turn(Role::Assistant, vec![text(said)]));
        let (body, _) = sent(&request, &to("claude-sonnet-4-5"));
        assert_eq!(body["messages"][1]["content"][0]["text"], content);
    }
}

#[test]
fn json_that_no_model_is_held_to_is_asked_for_in_words() {
    let mut request = foreign(Dialect::Chat);
    request.format = Format::Json;
    let (body, dropped) = sent(&request, &to("claude-sonnet-4-5"));
    assert_eq!(body["system"], "Answer with nothing but a JSON object.");
    assert_eq!(dropped, "response_format");
}

#[test]
fn a_picture_of_a_common_misnomer_is_a_jpeg() {
    for (caller, said, media_type) in [
        (Dialect::Chat, "image/jpg", "image/jpeg"),
        (Dialect::Chat, "Image/JPG", "image/jpeg"),
        (Dialect::Chat, "image/png", "image/png"),
        (Dialect::Anthropic, "image/jpg", "image/jpg"),
    ] {
        let source = Source::Base64 {
            media_type: said.into(),
            data: "AA==".into(),
        };
        let detail = None;
        let mut request = foreign(caller);
        request.turns[0] = turn(Role::User, vec![Content::Image { source, detail }]);
        let (body, _) = sent(&request, &to("claude-sonnet-4-5"));
        let source = &body["messages"][0]["content"][0]["source"];
        assert_eq!(source["media_type"], media_type, "{body}");
    }
}

#[test]
fn media_go_where_they_may() {
    let image = |source| Content::Image {
        source,
        detail: None,
    };
    let document = |source| Content::Document {
        source,
        name: Some("n".into()),
        cite: true,
    };
    let url = |url: &str| Source::Url {
        url: url.into(),
        media_type: None,
    };
    let data = |media_type: &str| Source::Base64 {
        media_type: media_type.into(),
        data: "aGk=".into(),
    };
    let file = |dialect| Source::File {
        dialect,
        id: "f".into(),
    };
    let cited = json!({"enabled": true});
    let as_text = json!({"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "hi"}, "title": "n", "citations": cited});
    for (content, block, lost) in [
        (
            image(data("image/png")),
            json!({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "aGk="}}),
            "",
        ),
        (
            image(url("https://a/b")),
            json!({"type": "image", "source": {"type": "url", "url": "https://a/b"}}),
            "",
        ),
        (image(url("gs://a/b")), Value::Null, "image_url"),
        (
            image(file(Dialect::Anthropic)),
            json!({"type": "image", "source": {"type": "file", "file_id": "f"}}),
            "",
        ),
        (image(file(Dialect::Responses)), Value::Null, "file_id"),
        (
            document(data("application/pdf")),
            json!({"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "aGk="}, "title": "n", "citations": cited}),
            "",
        ),
        (document(data("text/csv")), as_text.clone(), ""),
        (document(Source::Text("hi".into())), as_text, ""),
        (
            Content::Audio {
                source: data("audio/wav"),
            },
            Value::Null,
            "input_audio",
        ),
        (
            Content::Video {
                source: file(Dialect::Gemini),
            },
            Value::Null,
            "file_id",
        ),
    ] {
        let mut request = foreign(Dialect::Chat);
        request.turns[0].parts.push(content.clone().into());
        let (sent, dropped) = sent(&request, &to("claude-opus-4-8"));
        assert_eq!(sent["messages"][0]["content"][1], block, "{content:?}");
        assert_eq!(dropped, lost, "{content:?}");
    }
}

#[test]
fn only_anthropics_seals_go_back_to_anthropic() {
    let thought = |origin| {
        Content::Thinking(Thinking {
            text: "hm".into(),
            signature: Some(Signature {
                origin,
                value: "s".into(),
            }),
            ..Thinking::default()
        })
    };
    let mut request = foreign(Dialect::Chat);
    request.turns.push(turn(
        Role::Assistant,
        vec![
            thought(Dialect::Gemini),
            thought(Dialect::Anthropic),
            text("so"),
        ],
    ));
    let (sent, dropped) = sent(&request, &to("claude-opus-4-8"));
    assert_eq!(dropped, "reasoning_content,reasoning_details");
    assert_eq!(
        sent["messages"][1]["content"],
        json!([{"type": "thinking", "thinking": "hm", "signature": "s"}, {"type": "text", "text": "so"}])
    );
}

#[test]
fn a_calls_seal_is_taken_from_before_it() {
    let body = json!({"model": "m", "max_tokens": 1, "messages": [{"role": "assistant", "content": [
        {"type": "redacted_thinking", "data": "tg1:gemini:abc"},
        {"type": "tool_use", "id": "a", "name": "look", "input": {}},
        {"type": "thinking", "thinking": "hm", "signature": ""}]}]});
    let request = read(&body).unwrap();
    let seal = Signature {
        origin: Dialect::Gemini,
        value: "abc".into(),
    };
    assert_eq!(
        request.turns[0].parts,
        [
            Part::from(Content::ToolCall {
                id: "a".into(),
                name: "look".into(),
                arguments: "{}".into(),
                signature: Some(seal)
            }),
            Part::from(Content::Thinking(Thinking {
                text: "hm".into(),
                ..Thinking::default()
            })),
        ]
    );
}

#[test]
fn thinking_is_asked_for_as_the_model_knows_it() {
    let effort = |effort| Reasoning {
        effort: Some(effort),
        ..Reasoning::default()
    };
    let budget = |tokens| Reasoning {
        budget: Some(ThinkingBudget::Tokens(tokens)),
        ..Reasoning::default()
    };
    let adaptive = json!({"type": "adaptive"});
    let enabled = |tokens: u64| json!({"type": "enabled", "budget_tokens": tokens});
    let no = Value::Null;
    for (model, reasoning, limit, thinking, word, lost) in [
        (
            "claude-3-5-haiku-latest",
            effort(Effort::High),
            None,
            no.clone(),
            no.clone(),
            "reasoning_effort",
        ),
        (
            "claude-sonnet-4-5",
            effort(Effort::High),
            None,
            enabled(24_576),
            no.clone(),
            "",
        ),
        (
            "claude-sonnet-4-5",
            effort(Effort::High),
            Some(8_000),
            enabled(6_000),
            no.clone(),
            "",
        ),
        (
            "claude-sonnet-4-5",
            budget(9_000),
            Some(8_000),
            enabled(6_000),
            no.clone(),
            "reasoning_effort",
        ),
        (
            "claude-sonnet-4-5",
            budget(100),
            Some(1_200),
            enabled(1_024),
            no.clone(),
            "",
        ),
        (
            "claude-sonnet-4-5",
            budget(2_000),
            Some(1_024),
            no.clone(),
            no.clone(),
            "reasoning_effort",
        ),
        (
            "claude-sonnet-4-5",
            effort(Effort::None),
            None,
            no.clone(),
            no.clone(),
            "",
        ),
        (
            "claude-opus-4-6",
            budget(2_000),
            None,
            enabled(2_000),
            no.clone(),
            "",
        ),
        (
            "claude-opus-4-6",
            effort(Effort::XHigh),
            None,
            adaptive.clone(),
            json!("max"),
            "",
        ),
        (
            "claude-opus-4-8",
            budget(9_000),
            None,
            adaptive.clone(),
            json!("medium"),
            "",
        ),
        (
            "claude-opus-4-8",
            effort(Effort::Minimal),
            None,
            adaptive.clone(),
            json!("low"),
            "",
        ),
        (
            "claude-opus-5",
            effort(Effort::None),
            None,
            json!({"type": "disabled"}),
            no.clone(),
            "",
        ),
        (
            "claude-sonnet-5-5",
            effort(Effort::None),
            None,
            json!({"type": "between_tools"}),
            no.clone(),
            "",
        ),
        (
            "claude-fable-5",
            effort(Effort::None),
            None,
            no.clone(),
            json!("low"),
            "reasoning_effort",
        ),
    ] {
        let mut request = foreign(Dialect::Chat);
        request.reasoning = Some(reasoning.clone());
        request.max_tokens = limit;
        let (sent, dropped) = sent(&request, &to(model));
        assert_eq!(sent["thinking"], thinking, "{model} {reasoning:?}");
        assert_eq!(
            sent["output_config"]["effort"], word,
            "{model} {reasoning:?}"
        );
        assert_eq!(dropped, lost, "{model} {reasoning:?}");
    }
}

#[test]
fn what_cannot_stand_beside_thinking_is_left_out() {
    let mut request = foreign(Dialect::Gemini);
    request.temperature = Some(0.5);
    request.top_p = Some(0.9);
    request.top_k = Some(4);
    request.stop = vec![" ".into(), "END".into()];
    let lost = |model: &str, request: &Request| {
        let (body, dropped) = sent(request, &to(model));
        (body, dropped.replace("generationConfig.", ""))
    };
    let (body, dropped) = lost("claude-sonnet-4-0", &request);
    assert_eq!(
        (&body["temperature"], &body["top_p"], &body["top_k"]),
        (&json!(0.5), &json!(0.9), &json!(4))
    );
    assert_eq!(
        (&body["stop_sequences"], dropped.as_str()),
        (&json!(["END"]), "stopSequences")
    );
    assert_eq!(lost("claude-sonnet-4-5", &request).1, "topP,stopSequences");
    assert_eq!(
        lost("claude-opus-4-8", &request).1,
        "temperature,topP,topK,stopSequences"
    );
    request.temperature = Some(1.7);
    request.max_tokens = Some(99_999);
    let (body, dropped) = lost("claude-sonnet-4-0", &request);
    assert_eq!(
        (&body["temperature"], &body["max_tokens"]),
        (&json!(1.0), &json!(64_000))
    );
    assert_eq!(dropped, "maxOutputTokens,temperature,stopSequences");

    request.reasoning = Some(Reasoning {
        effort: Some(Effort::Low),
        ..Reasoning::default()
    });
    assert_eq!(
        lost("claude-sonnet-4-0", &request).1,
        "maxOutputTokens,temperature,topP,topK,stopSequences"
    );
    request.tools.push(function("look"));
    request.tool_choice = Some(ToolChoice::Required);
    let (body, dropped) = lost("claude-sonnet-4-0", &request);
    assert_eq!(
        (&body["thinking"], &body["tool_choice"]["type"]),
        (&Value::Null, &json!("any"))
    );
    assert_eq!(
        dropped,
        "maxOutputTokens,thinkingConfig,temperature,stopSequences"
    );
    let (body, dropped) = lost("claude-opus-5-5", &request);
    assert_eq!(body["tool_choice"]["type"], "auto");
    assert!(dropped.starts_with("toolConfig,"));
}

#[test]
fn calls_that_began_without_a_thought_go_on_without() {
    let mut request = foreign(Dialect::Chat);
    request.reasoning = Some(Reasoning {
        effort: Some(Effort::Low),
        ..Reasoning::default()
    });
    request
        .turns
        .push(turn(Role::Assistant, vec![call("a", "{}")]));
    request.turns.push(turn(Role::User, vec![result("a")]));
    assert_eq!(
        sent(&request, &to("claude-sonnet-4-5")).0["thinking"],
        Value::Null
    );
    assert_eq!(
        sent(&request, &to("claude-opus-4-6")).0["thinking"]["type"],
        "adaptive"
    );
    let seal = Signature {
        origin: Dialect::Anthropic,
        value: "s".into(),
    };
    let thought = Thinking {
        signature: Some(seal),
        ..Thinking::default()
    };
    request.turns[1]
        .parts
        .insert(0, Content::Thinking(thought).into());
    assert_eq!(
        sent(&request, &to("claude-sonnet-4-5")).0["thinking"]["type"],
        "enabled"
    );
}

#[test]
fn tool_choices_and_schemas_take_anthropics_form() {
    let mut request = foreign(Dialect::Chat);
    request.tools.push(function("look"));
    request.tools.push(Tool::Function(Function {
        name: "hear".into(),
        description: Some("hears".into()),
        parameters: Some(Json::parse(r#"{ "properties":{"n":{}}}"#).unwrap()),
        strict: Some(true),
        cache: None,
    }));
    request.format = Format::Schema {
        name: Some("n".into()),
        description: None,
        schema: Json::empty_object(),
        strict: Some(true),
    };
    request.parallel_tool_calls = Some(false);
    let bytes = write_request(&request, &to("claude-sonnet-4-5"), &mut Dropped::default()).unwrap();
    let body = String::from_utf8(bytes).unwrap();
    for part in [
        r#"{"name":"look","input_schema":{"type":"object","properties":{}}}"#,
        r#"{"name":"hear","description":"hears","input_schema":{"type":"object","properties":{"n":{}},"additionalProperties":false},"strict":true}"#,
        r#""tool_choice":{"type":"auto","disable_parallel_tool_use":true}"#,
        r#""output_config":{"format":{"type":"json_schema","schema":{}}}"#,
    ] {
        assert!(body.contains(part), "{body}");
    }
    let (body, dropped) = sent(&request, &to("claude-sonnet-4-0"));
    assert_eq!(
        (&body["tools"][1]["strict"], &body["output_config"]),
        (&Value::Null, &Value::Null)
    );
    assert_eq!(dropped, "strict,response_format");
    for (choice, expected, lost) in [
        (ToolChoice::None, json!({"type": "none"}), ""),
        (
            ToolChoice::Named("look".into()),
            json!({"type": "tool", "name": "look", "disable_parallel_tool_use": true}),
            "",
        ),
        (
            ToolChoice::Allowed {
                names: vec!["look".into()],
                required: true,
            },
            json!({"type": "tool", "name": "look", "disable_parallel_tool_use": true}),
            "",
        ),
        (
            ToolChoice::Allowed {
                names: vec!["look".into()],
                required: false,
            },
            json!({"type": "auto", "disable_parallel_tool_use": true}),
            "tool_choice",
        ),
    ] {
        request.tool_choice = Some(choice);
        let (body, dropped) = sent(&request, &to("claude-sonnet-4-5"));
        assert_eq!((&body["tool_choice"], dropped.as_str()), (&expected, lost));
    }
}

#[test]
fn schemas_that_are_enforced_are_as_a_claude_takes_them() {
    let asked = r#"{"type":"object","properties":{"maximum":{"type":"integer","maximum":9}}}"#;
    let taken = r#"{"type":"object","properties":{"maximum":{"type":"integer"}},"additionalProperties":false}"#;
    for (caller, strict, of_tool, of_format, lost) in [
        (
            Dialect::Chat,
            Some(true),
            taken,
            taken,
            "strict,response_format",
        ),
        (Dialect::Chat, None, asked, taken, "response_format"),
        (Dialect::Anthropic, Some(true), asked, asked, ""),
    ] {
        let mut request = foreign(caller);
        let schema = Json::parse(asked).unwrap();
        request.tools.push(Tool::Function(Function {
            name: "look".into(),
            description: None,
            parameters: Some(schema.clone()),
            strict,
            cache: None,
        }));
        request.format = Format::Schema {
            name: None,
            description: None,
            schema,
            strict: None,
        };
        let (body, dropped) = sent(&request, &to("claude-sonnet-4-5"));
        assert_eq!(body["tools"][0]["input_schema"].to_string(), of_tool);
        let format = &body["output_config"]["format"];
        assert_eq!(format["schema"].to_string(), of_format);
        assert_eq!(dropped, lost);
        assert!(body["system"].is_null());
    }
}

#[test]
fn vertex_names_its_version_in_place_of_the_model() {
    let mut request = foreign(Dialect::Chat);
    request.stream = true;
    let vertex = Outgoing {
        is_vertex: true,
        auto_cache: true,
        ..to("claude-opus-4-8")
    };
    let (sent, _) = sent(&request, &vertex);
    assert_eq!(sent["anthropic_version"], "vertex-2023-10-16");
    assert_eq!(
        (&sent["model"], &sent["stream"]),
        (&Value::Null, &json!(true))
    );
    assert_eq!(
        sent["messages"][0]["content"][0]["cache_control"]["type"],
        "ephemeral"
    );
}

#[test]
fn cache_marks_are_four_at_most_and_set_where_none_are() {
    let automatic = Outgoing {
        auto_cache: true,
        ..to("claude-opus-4-8")
    };
    let mut request = foreign(Dialect::Chat);
    assert_eq!(
        sent(&request, &automatic).0["cache_control"],
        json!({"type": "ephemeral"})
    );
    let marked = |at: usize| Part {
        cache: Some(Cache::Hour),
        ..Part::text(at.to_string())
    };
    request.turns[0].parts = (0..6).map(marked).collect();
    let (sent, dropped) = sent(&request, &automatic);
    assert_eq!(sent["cache_control"], Value::Null);
    let blocks = sent["messages"][0]["content"].as_array().unwrap();
    let kept: Vec<_> = blocks
        .iter()
        .filter(|block| block["cache_control"]["ttl"] == "1h")
        .map(|block| &block["text"])
        .collect();
    assert_eq!(kept, ["0", "3", "4", "5"]);
    assert_eq!(dropped, "cache_control");
}
