//! Callers' requests, and those to providers.

use serde_json::{Value, json};

use super::*;
use crate::dialect::common::{Carry, Signature, Source, Thinking, ToolChoice};

fn call(id: &str, name: &str, signature: Option<Signature>) -> Content {
    Content::ToolCall {
        id: id.into(),
        name: name.into(),
        arguments: r#"{"a": 1.0}"#.into(),
        signature,
    }
}

fn result(id: &str, parts: Vec<Part>) -> Content {
    Content::ToolResult {
        id: id.into(),
        name: None,
        parts,
        is_error: false,
    }
}

fn seal(origin: Dialect) -> Signature {
    Signature {
        origin,
        value: "c2VhbA==".into(),
    }
}

fn picture(media_type: &str) -> Content {
    Content::Image {
        source: Source::Base64 {
            media_type: media_type.into(),
            data: "AAAA".into(),
        },
        detail: None,
    }
}

#[test]
fn both_spellings_are_read_alike() {
    let camel = json!({
        "systemInstruction": {"parts": [{"text": "s"}]},
        "contents": [{"role": "user", "parts": [{"inlineData": {"mimeType": "image/png", "data": "a-b_"}}]}],
        "tools": [{"functionDeclarations": [{"name": "f", "parametersJsonSchema": {"type": "object"}}]}, {"googleSearch": {}}],
        "toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["f"]}, "retrievalConfig": {"languageCode": "de"}},
        "generationConfig": {"topK": 40, "maxOutputTokens": 9, "stopSequences": ["x"], "responseLogprobs": true, "logprobs": 2,
            "thinkingConfig": {"thinkingBudget": -1, "includeThoughts": true}, "mediaResolution": "MEDIA_RESOLUTION_LOW"},
        "safetySettings": [{"category": "c"}],
        "serviceTier": "STANDARD",
        "labels": {"a": "b"},
    });
    let snake = json!({
        "system_instruction": {"parts": {"text": "s"}},
        "contents": {"role": "USER", "parts": [{"inline_data": {"mime_type": "image/png", "data": "a+b/"}}]},
        "tools": [{"function_declarations": [{"name": "f", "parameters": {"type": "OBJECT"}}]}, {"googleSearch": {}}],
        "tool_config": {"function_calling_config": {"mode": "any", "allowed_function_names": ["f"]}, "retrieval_config": {"languageCode": "de"}},
        "generation_config": {"top_k": 40.0, "max_output_tokens": "9", "stop_sequences": ["x"], "response_logprobs": true, "logprobs": 2,
            "thinking_config": {"thinking_budget": -1, "include_thoughts": true}, "media_resolution": "MEDIA_RESOLUTION_LOW"},
        "safety_settings": [{"category": "c"}],
        "service_tier": "standard",
        "labels": {"a": "b"},
    });
    let request = read(&camel);
    assert_eq!(request, read(&snake));
    assert_eq!(request.tool_choice, Some(ToolChoice::Named("f".into())));
    assert_eq!(request.top_k, Some(40));
    assert_eq!(request.logprobs, Some(2));
    assert_eq!(request.service_tier.as_deref(), Some("default"));
    let names: Vec<_> = request
        .extra
        .iter()
        .map(|(name, _)| name.as_str())
        .collect();
    assert_eq!(
        names,
        [
            "toolConfig.retrievalConfig",
            "generationConfig.mediaResolution",
            "safetySettings"
        ]
    );

    let (body, dropped) = written(&request, &to(OLD));
    assert_eq!(dropped, "");
    assert_eq!(read(&body), request);
    assert_eq!(body["toolConfig"], camel["toolConfig"]);
    assert_eq!(
        body["generationConfig"]["mediaResolution"],
        "MEDIA_RESOLUTION_LOW"
    );
    assert_eq!(body["serviceTier"], "standard");
}

#[test]
fn a_fault_is_named_by_its_path() {
    for (body, param) in [
        (json!({}), Some("contents")),
        (json!({"contents": []}), Some("contents")),
        (
            json!({"contents": [{"role": "bot", "parts": [{"text": "a"}]}]}),
            Some("contents[0].role"),
        ),
        (
            json!({"contents": [{"parts": [{"text": "a"}, {"text": 7}]}]}),
            Some("contents[0].parts[1].text"),
        ),
        (
            json!({"contents": [{"parts": [{}]}]}),
            Some("contents[0].parts[0]"),
        ),
        (
            json!({"contents": [{"parts": [{"functionCall": {}}]}]}),
            Some("contents[0].parts[0].functionCall.name"),
        ),
        (
            json!({"contents": [{"parts": [{"functionResponse": {"name": "f", "response": 1}}]}]}),
            Some("contents[0].parts[0].functionResponse.response"),
        ),
        (
            json!({"contents": [{"parts": [{"text": "a"}]}], "generation_config": {"maxOutputTokens": -1}}),
            Some("generation_config.maxOutputTokens"),
        ),
        (
            json!({"contents": [{"parts": [{"text": "a"}]}], "toolConfig": {"functionCallingConfig": {"mode": "SOME"}}}),
            Some("toolConfig.functionCallingConfig.mode"),
        ),
        (json!([]), None),
    ] {
        let error = read_request(body.to_string().as_bytes(), OLD, false).unwrap_err();
        assert_eq!(error.param.as_deref(), param, "{body}");
    }
    for body in ["", "{", "{} {}", "\"\\ud800\""] {
        assert!(read_request(body.as_bytes(), OLD, false).is_err());
    }
}

#[test]
fn responses_find_their_calls() {
    let request = read(&json!({"contents": [
        {"role": "user", "parts": [{"text": "a"}]},
        {"role": "model", "parts": [{"functionCall": {"name": "f"}}, {"functionCall": {"name": "g"}}, {"functionCall": {"name": "f", "id": "own"}}]},
        {"role": "function", "parts": [
            {"functionResponse": {"name": "g", "response": {"output": "G"}}},
            {"functionResponse": {"id": "own", "name": "f", "response": {"error": "F2"}}},
            {"functionResponse": {"name": "f", "response": {"result": 1.0}}},
        ]},
    ]}));
    let ids: Vec<_> = request.turns[1]
        .parts
        .iter()
        .map(|part| match &part.content {
            Content::ToolCall { id, .. } => id.clone(),
            other => panic!("{other:?}"),
        })
        .collect();
    let results: Vec<_> = request.turns[2]
        .parts
        .iter()
        .map(|part| match &part.content {
            Content::ToolResult {
                id,
                parts,
                is_error,
                ..
            } => (id.clone(), parts[0].clone(), *is_error),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(
        results,
        [
            (ids[1].clone(), Part::text("G"), false),
            ("own".into(), Part::text("F2"), true),
            (ids[0].clone(), Part::text(r#"{"result":1.0}"#), false),
        ]
    );
}

#[test]
fn pieces_of_a_stream_are_one_turn_again() {
    let foreign = seal::Seal {
        signature: seal(Dialect::Anthropic),
        id: None,
        is_redacted: false,
    };
    let request = read(&json!({"contents": [
        {"role": "user", "parts": [{"text": "a"}]},
        {"role": "model", "parts": [{"text": "I ", "thought": true}]},
        {"role": "model", "parts": [{"text": "think", "thought": true}]},
        {"role": "model", "parts": [{"text": "", "thought": true, "thoughtSignature": foreign.shown()}]},
        {"role": "model", "parts": [{"text": "So "}]},
        {"role": "model", "parts": [{"text": "it is."}]},
        {"role": "model", "parts": [{"text": "", "thoughtSignature": "R2Vt"}]},
        {"role": "model", "parts": [{"text": ""}]},
    ]}));
    assert_eq!(request.turns.len(), 2);
    let thinking = |text: &str, signature| {
        Part::from(Content::Thinking(Thinking {
            text: text.into(),
            signature: Some(signature),
            ..Thinking::default()
        }))
    };
    let own = Signature {
        origin: Dialect::Gemini,
        value: "R2Vt".into(),
    };
    assert_eq!(
        request.turns[1].parts,
        [
            thinking("I think", seal(Dialect::Anthropic)),
            Part::text("So it is."),
            thinking("", own),
        ]
    );
    let (body, dropped) = written(&request, &to(OLD));
    assert_eq!(
        body["contents"][1]["parts"],
        json!([{"text": "So it is.", "thoughtSignature": "R2Vt"}])
    );
    assert_eq!(dropped, "thoughtSignature,thought");
}

#[test]
fn a_foreign_history_fits_googles_order() {
    let mut request = Request::new(Dialect::Chat, "m");
    request.turns = vec![
        turn(Role::System, vec![said("be brief")]),
        turn(Role::Developer, vec![said("be kind")]),
        turn(Role::User, vec![said("hello")]),
        turn(Role::Assistant, vec![said("wait")]),
        turn(
            Role::Assistant,
            vec![call("1", "f", None), call("2", "g", None)],
        ),
        turn(
            Role::User,
            vec![result(
                "1",
                vec![Part::text("one"), picture("image/png").into()],
            )],
        ),
        turn(
            Role::User,
            vec![result("2", vec![Part::text(r#"{"t": 1.0}"#)])],
        ),
        turn(Role::User, vec![said("and?")]),
        turn(Role::System, vec![said("now")]),
    ];
    let contents = |model| {
        let (body, dropped) = written(&request, &to(model));
        assert_eq!(dropped, "");
        assert_eq!(
            body["systemInstruction"],
            json!({"parts": [{"text": "be brief"}, {"text": "be kind"}]})
        );
        body["contents"].clone()
    };
    let call = |id, name| json!({"functionCall": {"id": id, "name": name, "args": {"a": 1.0}}});
    let picture = json!({"inlineData": {"mimeType": "image/png", "data": "AAAA"}});
    assert_eq!(
        contents(OLD),
        json!([
            {"role": "user", "parts": [{"text": "hello"}]},
            {"role": "model", "parts": [{"text": "wait"}, call("1", "f"), call("2", "g")]},
            {"role": "user", "parts": [
                {"functionResponse": {"id": "1", "name": "f", "response": {"output": "one"}}},
                {"functionResponse": {"id": "2", "name": "g", "response": {"t": 1.0}}},
            ]},
            {"role": "user", "parts": [picture]},
            {"role": "user", "parts": [{"text": "and?"}]},
            {"role": "user", "parts": [{"text": "now"}]},
        ])
    );
    let new = contents(NEW);
    assert_eq!(new[1]["parts"][1]["thoughtSignature"], seal::UNCHECKED);
    assert_eq!(new[1]["parts"][2]["thoughtSignature"], Value::Null);
    assert_eq!(
        new[2]["parts"][0]["functionResponse"]["parts"],
        json!([picture])
    );
    assert_eq!(new.as_array().unwrap().len(), 5);
}

#[test]
fn a_conversation_that_grows_keeps_its_beginning() {
    let mut request = Request::new(Dialect::Anthropic, "m");
    request.turns = vec![
        turn(Role::User, vec![said("a")]),
        turn(
            Role::Assistant,
            vec![call("1", "f", Some(seal(Dialect::Gemini)))],
        ),
        turn(
            Role::User,
            vec![result("1", vec![picture("image/gif").into()]), said("b")],
        ),
        turn(Role::Assistant, vec![said("c")]),
        turn(Role::User, vec![said("d")]),
    ];
    let contents = |turns: usize| {
        let mut request = request.clone();
        request.turns.truncate(turns);
        let mut dropped = Dropped::default();
        let body = write_request(&request, &to(NEW), &mut dropped).unwrap();
        let body = String::from_utf8(body).unwrap();
        let (contents, _) = body.split_once(r#"],"generationConfig""#).unwrap();
        contents.to_owned()
    };
    for turns in 1..request.turns.len() {
        assert!(contents(turns + 1).starts_with(&contents(turns)));
    }
}

#[test]
fn only_geminis_thoughts_go_to_gemini() {
    let thought = |text: &str, signature| {
        Content::Thinking(Thinking {
            text: text.into(),
            signature,
            ..Thinking::default()
        })
    };
    let mut request = Request::new(Dialect::Anthropic, "m");
    request.turns = vec![
        turn(Role::User, vec![said("a")]),
        turn(
            Role::Assistant,
            vec![
                thought("mine", Some(seal(Dialect::Gemini))),
                thought("yours", Some(seal(Dialect::Anthropic))),
                thought("bare", None),
                said("b"),
                thought("", Some(seal(Dialect::Gemini))),
                call("1", "f", Some(seal(Dialect::Chat))),
            ],
        ),
    ];
    let (body, dropped) = written(&request, &to(NEW));
    assert_eq!(
        body["contents"][1]["parts"],
        json!([
            {"text": "mine", "thought": true, "thoughtSignature": "c2VhbA=="},
            {"text": "b", "thoughtSignature": "c2VhbA=="},
            {"functionCall": {"id": "1", "name": "f", "args": {"a": 1.0}}, "thoughtSignature": seal::UNCHECKED},
        ])
    );
    assert_eq!(dropped, "signature,thinking");
}

#[test]
fn media_are_carried_or_told() {
    let file = |dialect| Source::File {
        dialect,
        id: "file_1".into(),
    };
    let url = |url: &str| Source::Url {
        url: url.into(),
        media_type: None,
    };
    let mut request = Request::new(Dialect::Chat, "m");
    request.turns = vec![turn(
        Role::User,
        vec![
            Content::Image {
                source: url("https://a/b.webp"),
                detail: Some("low".into()),
            },
            Content::Image {
                source: file(Dialect::Chat),
                detail: None,
            },
            Content::Document {
                source: Source::Text("hé".into()),
                name: None,
                cite: false,
            },
            Content::Audio {
                source: url("gs://a/b"),
            },
        ],
    )];
    let (body, dropped) = written(&request, &to(NEW));
    assert_eq!(
        body["contents"][0]["parts"],
        json!([
            {"fileData": {"mimeType": "image/webp", "fileUri": "https://a/b.webp"}, "mediaResolution": {"level": "MEDIA_RESOLUTION_LOW"}},
            {"inlineData": {"mimeType": "text/plain", "data": "aMOp"}},
            {"fileData": {"fileUri": "gs://a/b"}},
        ])
    );
    assert_eq!(dropped, "file_id");
    let (body, dropped) = written(
        &request,
        &Outgoing {
            is_vertex: true,
            ..to(OLD)
        },
    );
    assert_eq!(
        body["contents"][0]["parts"][2]["fileData"]["mimeType"],
        "audio/mpeg"
    );
    assert_eq!(dropped, "detail,file_id");
}

#[test]
fn what_only_google_knows_is_carried_whole() {
    let parts = json!([
        {"executableCode": {"id": "1", "language": "PYTHON", "code": "x"}, "thoughtSignature": "YQ=="},
        {"fileData": {"fileUri": "https://youtu.be/x", "mimeType": "video/mp4"}, "videoMetadata": {"fps": 5}},
        {"text": "a", "partMetadata": {"b": 1}},
    ]);
    let request = read(&json!({"contents": [{"role": "user", "parts": parts}]}));
    let (body, dropped) = written(&request, &to(OLD));
    assert_eq!(body["contents"][0]["parts"][0], parts[0]);
    assert_eq!(body["contents"][0]["parts"][1], parts[1]);
    assert_eq!(body["contents"][0]["parts"][2], json!({"text": "a"}));
    assert_eq!(dropped, "contents.parts.partMetadata");
    assert_eq!(
        Dropped::from(&request, Dialect::Chat, |_| Carry::Whole).joined(),
        "contents.parts.partMetadata,executableCode,videoMetadata"
    );
}

#[test]
fn instructions_alone_are_asked_as_a_question() {
    let mut request = Request::new(Dialect::Chat, "m");
    let mut dropped = Dropped::default();
    assert!(write_request(&request, &to(OLD), &mut dropped).is_err());
    request.turns = vec![turn(Role::System, vec![said("go")])];
    let (body, _) = written(&request, &to(OLD));
    assert_eq!(
        body["contents"],
        json!([{"role": "user", "parts": [{"text": "go"}]}])
    );
    assert_eq!(body.get("systemInstruction"), None);
}
