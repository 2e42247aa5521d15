use serde_json::json;

use super::*;
use crate::dialect::common::{
    Cache, Effort, Feature, Format, Function, Json, Part, Reasoning, Role, Signature, Source,
    Thinking, Tool, ToolChoice, Turn,
};

fn turn(role: Role, parts: Vec<Part>) -> Turn {
    Turn {
        role,
        parts,
        name: None,
    }
}

fn from(source: Dialect, turns: Vec<Turn>) -> Request {
    let mut request = Request::new(source, "gpt-5");
    request.turns = turns;
    request
}

#[test]
fn every_field_comes_back() {
    let body = json!({
        "model": "gpt-5",
        "instructions": "Be brief.",
        "tools": [
            {"type": "function", "name": "f", "description": "d",
             "parameters": {"type": "object", "properties": {}}, "strict": true},
            {"type": "function", "name": "g", "parameters": null},
            {"type": "web_search", "search_context_size": "low"}
        ],
        "tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "f"}]},
        "parallel_tool_calls": false,
        "text": {"format": {"type": "json_schema", "name": "s", "schema": {"type": "object"}, "strict": false},
                 "verbosity": "low"},
        "input": [
            {"type": "message", "role": "developer", "content": "Mind the gap."},
            {"type": "message", "role": "user", "content": [
                {"type": "input_text", "text": "Look", "prompt_cache_breakpoint": {"mode": "explicit"}},
                {"type": "input_image", "image_url": "data:image/png;base64,AA==", "detail": "low"},
                {"type": "input_image", "image_url": "https://x.example/i.png"},
                {"type": "input_image", "file_id": "file-1"},
                {"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,AA=="},
                {"type": "input_file", "file_url": "https://x.example/a.pdf"},
                {"type": "input_file", "file_id": "file-2"},
                {"type": "input_audio", "input_audio": {"data": "AA==", "format": "wav"}},
                {"type": "computer_screenshot", "image_url": "https://x.example/s.png"}
            ]},
            {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "Hm."}],
             "encrypted_content": "gAAA"},
            {"type": "message", "role": "assistant", "content": [
                {"type": "output_text", "text": "See", "annotations": [
                    {"type": "url_citation", "url": "https://x.example", "title": "X", "start_index": 0, "end_index": 3}]},
                {"type": "refusal", "refusal": "No."}
            ]},
            {"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {"type": "search", "query": "q"}},
            {"type": "function_call", "call_id": "call_1", "name": "f", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "call_1", "output": "ok"},
            {"type": "function_call_output", "call_id": "call_2", "output": [
                {"type": "input_image", "image_url": "https://x.example/o.png"}]},
            {"type": "custom_tool_call", "call_id": "call_3", "name": "sh", "input": "ls"},
            {"type": "custom_tool_call_output", "call_id": "call_3", "output": "a"},
            {"type": "item_reference", "id": "msg_1"}
        ],
        "include": ["reasoning.encrypted_content", "message.output_text.logprobs"],
        "reasoning": {"effort": "xhigh", "summary": "detailed", "context": "all_turns"},
        "max_output_tokens": 100,
        "temperature": 0.5,
        "top_p": 0.9,
        "top_logprobs": 3,
        "user": "u",
        "metadata": {"a": "b"},
        "service_tier": "flex",
        "store": true,
        "stream": true,
        "previous_response_id": "resp_1",
        "truncation": "auto",
        "stream_options": {"include_obfuscation": false}
    });
    let request = read(&body);
    assert_eq!(request.max_tokens, Some(100));
    assert_eq!(request.logprobs, Some(3));
    assert_eq!(request.turns[0].role, Role::System);
    let (again, dropped) = written(&request);
    assert_eq!(again, body);
    assert!(dropped.is_empty());
}

#[test]
fn instructions_are_the_first_turn() {
    let cases = [
        (json!({"instructions": "I", "input": "hi"}), Some("I")),
        (
            json!({"input": [{"role": "system", "content": "I"}, {"role": "user", "content": "hi"}]}),
            Some("I"),
        ),
        // A request needs some input.
        (json!({"instructions": "I", "input": []}), None),
        (
            json!({"input": [{"role": "developer", "content": "I"}, {"role": "user", "content": "hi"}]}),
            None,
        ),
    ];
    for (mut body, instructions) in cases {
        body["model"] = "m".into();
        let request = read(&body);
        let again = written(&request).0;
        assert_eq!(again["instructions"].as_str(), instructions, "{body}");
        assert!(!again["input"].as_array().unwrap().is_empty());
        assert_eq!(read(&again), request);
    }
}

#[test]
fn any_json_is_asked_for_in_the_input() {
    let mut request = from(
        Dialect::Chat,
        vec![
            turn(Role::System, vec![Part::text("Answer in JSON.")]),
            turn(Role::User, vec![Part::text("hi")]),
        ],
    );
    assert_eq!(written(&request).0["instructions"], "Answer in JSON.");
    request.format = Format::Json;
    let body = written(&request).0;
    assert_eq!(body.get("instructions"), None);
    assert_eq!(body["input"][0]["role"], "system");
}

#[test]
fn what_the_model_made_without_a_pause_is_one_turn() {
    let request = read(&json!({"model": "m", "input": [
        {"role": "user", "content": "hi"},
        {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "s"},
        {"role": "assistant", "content": "I look."},
        {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"},
        {"type": "function_call", "call_id": "c2", "name": "f", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c1", "output": "1"},
        {"type": "function_call_output", "call_id": "c2", "output": "2"},
        {"role": "user", "content": "and?"}
    ]}));
    let shape: Vec<_> = request
        .turns
        .iter()
        .map(|turn| (turn.role, turn.parts.len()))
        .collect();
    let expected = [
        (Role::User, 1),
        (Role::Assistant, 4),
        (Role::User, 2),
        (Role::User, 1),
    ];
    assert_eq!(shape, expected);
}

#[test]
fn a_bad_field_is_named() {
    let cases = [
        (json!({}), "model"),
        (json!({"model": 1}), "model"),
        (json!({"model": "m", "input": 7}), "input"),
        (json!({"model": "m", "input": [7]}), "input[0]"),
        (json!({"model": "m", "input": [{}]}), "input[0].type"),
        (
            json!({"model": "m", "input": [{"role": "tool", "content": ""}]}),
            "input[0].role",
        ),
        (
            json!({"model": "m", "input": [{"role": "user"}]}),
            "input[0].content",
        ),
        (
            json!({"model": "m", "input": [{"role": "user", "content": [{"type": "input_text", "text": 7}]}]}),
            "input[0].content[0].text",
        ),
        (
            json!({"model": "m", "input": [{"role": "user", "content": [{"type": "input_image"}]}]}),
            "input[0].content[0].image_url",
        ),
        (
            json!({"model": "m", "input": [{"type": "function_call", "name": "f", "arguments": "{}"}]}),
            "input[0].call_id",
        ),
        (
            json!({"model": "m", "input": [{"type": "reasoning", "summary": [{"type": "summary_text"}]}]}),
            "input[0].summary[0].text",
        ),
        (
            json!({"model": "m", "tools": [{"type": "function"}]}),
            "tools[0].name",
        ),
        (
            json!({"model": "m", "tools": [{"type": "function", "name": "f", "parameters": []}]}),
            "tools[0].parameters",
        ),
        (json!({"model": "m", "tool_choice": "any"}), "tool_choice"),
        (
            json!({"model": "m", "text": {"format": {"type": "xml"}}}),
            "text.format.type",
        ),
        (
            json!({"model": "m", "text": {"format": {"type": "json_schema"}}}),
            "text.format.schema",
        ),
        (
            json!({"model": "m", "max_output_tokens": -1}),
            "max_output_tokens",
        ),
        (json!({"model": "m", "temperature": "hot"}), "temperature"),
        (json!({"model": "m", "stream": "yes"}), "stream"),
        (json!({"model": "m", "include": "all"}), "include"),
    ];
    for (body, param) in cases {
        let error = read_request(body.to_string().as_bytes()).unwrap_err();
        assert_eq!(
            error.param.as_deref(),
            Some(param),
            "{body}: {}",
            error.message
        );
    }
    assert!(read_request(b"[]").is_err());
    assert!(read_request(b"{\"model\":").is_err());
}

#[test]
fn a_request_of_another_dialect_is_answered_without_a_memory() {
    let mut request = from(
        Dialect::Chat,
        vec![turn(Role::User, vec![Part::text("hi")])],
    );
    request.tools.push(Tool::Function(Function {
        name: "f".into(),
        description: None,
        parameters: None,
        strict: None,
        cache: None,
    }));
    request.tool_choice = Some(ToolChoice::Required);
    request.stop.push("x".into());
    let (body, dropped) = written(&request);
    let expected = json!({
        "model": "gpt-5",
        "tools": [{"type": "function", "name": "f",
                   "parameters": {"type": "object", "properties": {}}, "strict": false}],
        "tool_choice": "required",
        "input": [{"type": "message", "role": "user", "content": "hi"}],
        "include": ["reasoning.encrypted_content"],
        "store": false
    });
    assert_eq!(body, expected);
    assert_eq!(dropped.joined(), "stop");

    request.store = Some(true);
    let (body, _) = written_to(&request, "gpt-4o-mini", &Accent::OPENAI);
    assert_eq!(body["store"], true);
    assert_eq!(
        body.get("include"),
        None,
        "a model that cannot think has no seals"
    );
}

#[test]
fn a_choice_without_tools_is_not_written() {
    let mut request = from(
        Dialect::Anthropic,
        vec![turn(Role::User, vec![Part::text("hi")])],
    );
    request.tool_choice = Some(ToolChoice::Auto);
    request.tools.push(Tool::Hosted {
        dialect: Dialect::Anthropic,
        kind: "web_search_20250305".into(),
        json: Json::empty_object(),
    });
    let (body, dropped) = written(&request);
    assert_eq!((body.get("tools"), body.get("tool_choice")), (None, None));
    assert_eq!(dropped.joined(), "tools.web_search_20250305");
}

#[test]
fn only_thoughts_that_openai_sealed_go_back_to_it() {
    let thought = |origin, id: Option<&str>| {
        Part::from(Content::Thinking(Thinking {
            text: "Hm.".into(),
            signature: Some(Signature {
                origin,
                value: "s".into(),
            }),
            id: id.map(Into::into),
            is_redacted: false,
        }))
    };
    let unsealed = Part::from(Content::Thinking(Thinking {
        text: "Ah.".into(),
        ..Thinking::default()
    }));
    let own = thought(Dialect::Responses, Some("rs_1"));
    let foreign = thought(Dialect::Anthropic, None);
    let said = vec![own, foreign, unsealed, Part::text("Yes.")];
    let request = from(Dialect::Anthropic, vec![turn(Role::Assistant, said)]);
    let (body, dropped) = written(&request);
    let expected = json!([
        {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "Hm."}],
         "encrypted_content": "s"},
        {"type": "message", "role": "assistant", "content": "Yes."}
    ]);
    assert_eq!(body["input"], expected);
    assert_eq!(dropped.joined(), "signature,thinking");

    // A server that seals nothing takes thoughts as they are.
    let (body, _) = written_to(&request, "m", &Accent::OTHER);
    let plain = json!({"type": "reasoning", "id": "rs_0_2", "summary": [],
                       "content": [{"type": "reasoning_text", "text": "Ah."}]});
    assert_eq!(body["input"][2], plain);
}

#[test]
fn seals_of_others_come_back_through_a_caller_of_this_dialect() {
    let seal = |origin| Signature {
        origin,
        value: "s".into(),
    };
    let part = |is_redacted, origin| {
        Content::Thinking(Thinking {
            text: String::new(),
            signature: Some(seal(origin)),
            id: None,
            is_redacted,
        })
    };
    let call = Content::ToolCall {
        id: "call_1".into(),
        name: "f".into(),
        arguments: "{}".into(),
        signature: Some(seal(Dialect::Gemini)),
    };
    let parts = vec![
        Part::from(part(true, Dialect::Anthropic)),
        Part::from(part(false, Dialect::Anthropic)),
        Part::from(call),
    ];
    let mut answer = Answer::default();
    answer.choices.push(crate::dialect::common::Choice {
        parts: parts.clone(),
        ..Default::default()
    });
    let request = Request::new(Dialect::Responses, "m");
    let body = write_answer(&answer, &request, &context());
    let body: serde_json::Value = serde_json::from_slice(&body).unwrap();

    let again = read(&json!({"model": "m", "input": body["output"]}));
    let mut turns = again.turns;
    for part in &mut turns[0].parts {
        if let Content::Thinking(thinking) = &mut part.content {
            thinking.id = None;
        }
    }
    assert_eq!(turns, [turn(Role::Assistant, parts)]);
}

#[test]
fn what_is_lost_is_noted() {
    let image = |source| {
        Part::from(Content::Image {
            source,
            detail: None,
        })
    };
    let url = |url: &str| Source::Url {
        url: url.into(),
        media_type: None,
    };
    let cached = Part {
        cache: Some(Cache::Usual),
        ..Part::text("a")
    };
    let audio = Part::from(Content::Audio {
        source: Source::Base64 {
            media_type: "audio/ogg".into(),
            data: String::new(),
        },
    });
    let file = Source::File {
        dialect: Dialect::Anthropic,
        id: "file_1".into(),
    };
    let result = Part::from(Content::ToolResult {
        id: "c".into(),
        name: None,
        parts: vec![audio.clone()],
        is_error: false,
    });
    let cases = [
        (image(url("gs://b/i.png")), Role::User, Feature::ImageUrl),
        (
            image(url("https://x.example")),
            Role::Assistant,
            Feature::ImageUrl,
        ),
        (image(file), Role::User, Feature::UploadedFile),
        (cached, Role::User, Feature::CacheControl),
        (audio, Role::User, Feature::Audio),
        (result, Role::User, Feature::ToolResultMedia),
    ];
    for (part, role, feature) in cases {
        let request = from(Dialect::Gemini, vec![turn(role, vec![part])]);
        let (_, dropped) = written(&request);
        assert_eq!(
            dropped.joined(),
            feature.field(Dialect::Gemini),
            "{feature:?}"
        );
    }
}

#[test]
fn efforts_budgets_and_summaries() {
    let mut request = from(
        Dialect::Anthropic,
        vec![turn(Role::User, vec![Part::text("hi")])],
    );
    request.reasoning = Some(Reasoning {
        budget: Some(Effort::High.budget()),
        show: Some(true),
        ..Reasoning::default()
    });
    let (body, dropped) = written(&request);
    assert_eq!(
        body["reasoning"],
        json!({"effort": "high", "summary": "auto"})
    );
    assert!(dropped.is_empty());
}

#[test]
fn a_turn_more_leaves_the_bytes_before_it() {
    let mut request = from(
        Dialect::Chat,
        vec![
            turn(Role::System, vec![Part::text("s")]),
            turn(Role::User, vec![Part::text("hi")]),
        ],
    );
    let input = |request: &Request| written(request).0["input"].to_string();
    let before = input(&request);
    request
        .turns
        .push(turn(Role::Assistant, vec![Part::text("ho")]));
    let after = input(&request);
    assert!(after.starts_with(before.trim_end_matches(']')));
    assert_eq!(input(&request), after);
}
