//! Requests of callers, read, and written as they came.

use serde_json::json;

use super::*;
use crate::dialect::common::{
    Cache, Content, Effort, Format, Part, Reasoning, Signature, Source, Thinking, ThinkingBudget,
    ToolChoice,
};

fn reasoning(effort: Option<Effort>, budget: Option<ThinkingBudget>) -> Option<Reasoning> {
    Some(Reasoning {
        effort,
        budget,
        show: None,
    })
}

/// All that a caller of this dialect can say.
fn all() -> Value {
    json!({
        "system": [
            {"text": "Be brief."},
            {"guardContent": {"text": {"text": "guarded", "qualifiers": ["query"]}}},
            {"cachePoint": {"type": "default", "ttl": "1h"}},
        ],
        "toolConfig": {
            "tools": [
                {"toolSpec": {"name": "look", "description": "Looks.", "strict": true, "futureField": 1,
                    "inputSchema": {"json": {"type": "object", "properties": {}}}}},
                {"cachePoint": {"type": "default"}},
                {"systemTool": {"name": "nova_grounding"}},
                {"cachePoint": {"type": "default"}},
            ],
            "toolChoice": {"tool": {"name": "look"}},
        },
        "messages": [
            {"role": "user", "content": [
                {"cachePoint": {"type": "default"}},
                {"text": "one"},
                {"image": {"format": "png", "source": {"bytes": "aaaa"}}},
                {"image": {"format": "jpeg", "source": {"s3Location": {"uri": "s3://b/k.jpg", "bucketOwner": "123456789012"}}}},
                {"document": {"format": "pdf", "name": "A (1)", "source": {"bytes": "bbbb"}, "context": "why",
                    "citations": {"enabled": true}}},
                {"cachePoint": {"type": "default"}},
                {"document": {"name": "B", "format": "txt", "source": {"text": "plain"}}},
                {"document": {"name": "C", "format": "md", "source": {"text": "# plain"}}},
                {"document": {"name": "D", "source": {"content": [{"text": "x"}, {"text": "y"}]}}},
                {"video": {"format": "mp4", "source": {"s3Location": {"uri": "s3://b/v.mp4"}}}},
                {"audio": {"format": "wav", "source": {"bytes": "cccc"}}},
                {"searchResult": {"source": "s", "title": "t", "content": [{"text": "x"}]}},
            ]},
            {"role": "assistant", "content": [
                {"reasoningContent": {"reasoningText": {"text": "hm", "signature": "sig"}}},
                {"reasoningContent": {"redactedContent": "RXU4RQ=="}},
                {"citationsContent": {"content": [{"text": "cited"}],
                    "citations": [{"title": "A", "location": {"documentChar": {"documentIndex": 0, "start": 0, "end": 4}}}]}},
                {"toolUse": {"toolUseId": "server", "name": "nova_code_interpreter", "input": {}, "type": "server_tool_use"}},
                {"toolResult": {"toolUseId": "server", "content": [{"json": {"a": 1}}], "type": "nova_code_interpreter_result"}},
                {"toolUse": {"toolUseId": "t:1", "name": "look", "input": {"b": 1.0e2, "a": "x"}}},
            ]},
            {"role": "user", "content": [
                {"toolResult": {"toolUseId": "t:1", "status": "error", "content": [
                    {"text": "no"}, {"image": {"format": "gif", "source": {"bytes": "dddd"}}},
                ]}},
                {"guardContent": {"text": {"text": "guarded"}}},
                {"futureBlock": {"x": 1}},
            ]},
            {"role": "system", "content": [{"toolRemoval": {"tool": {"name": "look"}}}]},
        ],
        "inferenceConfig": {"maxTokens": 100, "temperature": 0.5, "topP": 0.9, "stopSequences": ["end"]},
        "additionalModelRequestFields": {
            "top_k": 20,
            "thinking": {"type": "enabled", "budget_tokens": 1024, "future": true},
            "output_config": {"effort": "high", "future": {}},
            "anthropic_beta": ["x"],
        },
        "outputConfig": {"textFormat": {"type": "json_schema", "structure": {"jsonSchema": {
            "schema": "{\"type\": \"object\"}", "name": "S", "description": "d"}}}},
        "requestMetadata": {"team": "search"},
        "serviceTier": {"type": "flex"},
        "additionalModelResponseFieldPaths": ["/stop_sequence"],
        "guardrailConfig": {"guardrailIdentifier": "g", "guardrailVersion": "1"},
        "performanceConfig": {"latency": "optimized"},
        "promptVariables": {"v": {"text": "x"}},
    })
}

#[test]
fn a_caller_of_bedrocks_own_loses_nothing() {
    let mut all = all();
    let request = read(&all).unwrap();
    for model in [
        CLAUDE_4_5,
        "arn:aws:bedrock:us-east-1:1:application-inference-profile/x",
    ] {
        let (body, dropped) = written(&request, model);
        assert_eq!(dropped, "");
        // A text without a format is plain.
        let plain = &mut all["messages"][0]["content"][6]["document"];
        plain["format"] = json!("txt");
        assert_eq!(body, all);
        assert_eq!(read(&body).unwrap(), request);
    }
}

#[test]
fn what_bedrock_says_is_read() {
    let request = read(&all()).unwrap();
    assert_eq!(request.max_tokens, Some(100));
    assert_eq!(request.top_k, Some(20));
    assert_eq!(request.stop, ["end"]);
    assert_eq!(request.service_tier.as_deref(), Some("flex"));
    let expected = reasoning(Some(Effort::High), Some(ThinkingBudget::Tokens(1024)));
    assert_eq!(request.reasoning, expected);
    assert_eq!(request.tool_choice, Some(ToolChoice::Named("look".into())));
    assert!(matches!(&request.format, Format::Schema { name: Some(name), .. } if name == "S"));
    assert_eq!(request.turns[0].parts[1].cache, Some(Cache::Hour));
    let parts = &request.turns[1].parts;
    assert_eq!(
        parts[2].content,
        Content::Image {
            source: Source::Base64 {
                media_type: "image/png".into(),
                data: "aaaa".into()
            },
            detail: None,
        }
    );
    assert!(matches!(&parts[5], Part {
        content: Content::Document { name: Some(name), cite: true, .. },
        cache: Some(Cache::Usual),
    } if name == "A (1)"));
    let thoughts = &request.turns[2].parts;
    let redacted = Signature {
        origin: Dialect::Anthropic,
        value: "Eu8E".into(),
    };
    assert!(matches!(&thoughts[1].content, Content::Thinking(Thinking {
        signature: Some(seal), is_redacted: true, ..
    }) if *seal == redacted));
    let names: Vec<_> = request
        .extra
        .iter()
        .map(|(name, _)| name.as_str())
        .collect();
    assert_eq!(
        names,
        [
            "toolConfig.tools[0].futureField",
            "additionalModelRequestFields.thinking.future",
            "additionalModelRequestFields.output_config.future",
            "additionalModelRequestFields.anthropic_beta",
            "additionalModelResponseFieldPaths",
            "guardrailConfig",
            "performanceConfig",
            "promptVariables",
        ]
    );
}

#[test]
fn models_own_fields_are_read_and_written_in_each_familys_words() {
    for (model, fields, asked) in [
        (
            "us.amazon.nova-2-lite-v1:0",
            json!({"reasoningConfig": {"type": "enabled", "maxReasoningEffort": "low"}}),
            reasoning(Some(Effort::Low), None),
        ),
        (
            "us.amazon.nova-2-lite-v1:0",
            json!({"reasoningConfig": {"type": "disabled"}}),
            reasoning(Some(Effort::None), None),
        ),
        (
            "openai.gpt-oss-20b-1:0",
            json!({"reasoning_effort": "high"}),
            reasoning(Some(Effort::High), None),
        ),
        (
            "openai.gpt-6-luna",
            json!({"reasoning": {"effort": "none", "x": 1}}),
            reasoning(Some(Effort::None), None),
        ),
        (
            "qwen.qwen3-32b-v1:0",
            json!({"reasoning_config": "medium"}),
            reasoning(Some(Effort::Medium), None),
        ),
        (
            CLAUDE_4_5,
            json!({"thinking": {"type": "adaptive"}}),
            reasoning(None, Some(ThinkingBudget::Dynamic)),
        ),
        (
            CLAUDE_4_5,
            json!({"thinking": {"type": "disabled"}}),
            reasoning(None, Some(ThinkingBudget::Off)),
        ),
        (CLAUDE_4_5, json!({"thinking": {"type": "novel"}}), None),
        (
            CLAUDE_4_5,
            json!({"top_k": "many", "reasoning_effort": "novel", "thinking": 7}),
            None,
        ),
        (CLAUDE_4_5, json!({"tool_choice": {"type": "novel"}}), None),
    ] {
        let body = json!({"additionalModelRequestFields": fields, "messages": []});
        let request = read(&body).unwrap();
        assert_eq!(request.reasoning, asked, "{fields}");
        let (body, dropped) = written(&request, model);
        assert_eq!(
            (&body["additionalModelRequestFields"], dropped.as_str()),
            (&fields, "")
        );
    }
    let odd =
        json!({"additionalModelRequestFields": [1], "messages": [{"role": "user", "content": []}]});
    let (body, _) = written(&read(&odd).unwrap(), CLAUDE_4_5);
    assert_eq!(body, odd);
}

#[test]
fn a_bad_field_is_named() {
    for (body, param) in [
        (json!({"messages": 7}), "messages"),
        (json!({"messages": [{"content": []}]}), "messages[0].role"),
        (
            json!({"messages": [{"role": "tool", "content": []}]}),
            "messages[0].role",
        ),
        (
            json!({"messages": [{"role": "user", "content": "hi"}]}),
            "messages[0].content",
        ),
        (
            json!({"messages": [{"role": "user", "content": [{}]}]}),
            "messages[0].content[0]",
        ),
        (
            json!({"messages": [{"role": "user", "content": [{"text": 1}]}]}),
            "messages[0].content[0].text",
        ),
        (
            json!({"messages": [{"role": "user", "content": [{"image": {"format": "png"}}]}]}),
            "messages[0].content[0].image.source",
        ),
        (
            json!({"messages": [{"role": "user", "content": [{"toolResult": {"toolUseId": "a", "content": [{"text": []}]}}]}]}),
            "messages[0].content[0].toolResult.content[0].text",
        ),
        (json!({"system": "hi"}), "system"),
        (json!({"system": [{"text": null}]}), "system[0]"),
        (
            json!({"inferenceConfig": {"maxTokens": -1}}),
            "inferenceConfig.maxTokens",
        ),
        (
            json!({"inferenceConfig": {"temperature": "hot"}}),
            "inferenceConfig.temperature",
        ),
        (
            json!({"toolConfig": {"tools": [{"cachePoint": {"type": "default"}}, {"toolSpec": {}}]}}),
            "toolConfig.tools[1].toolSpec.name",
        ),
        (
            json!({"toolConfig": {"toolChoice": {"tool": {}}}}),
            "toolConfig.toolChoice.tool.name",
        ),
        (
            json!({"outputConfig": {"textFormat": {"type": "json_schema", "structure": {"jsonSchema": {"schema": "{"}}}}}),
            "outputConfig.textFormat.structure.jsonSchema.schema",
        ),
        (json!({"requestMetadata": {"a": 1}}), "requestMetadata.a"),
        (json!({"serviceTier": {}}), "serviceTier.type"),
    ] {
        let error = read(&body).unwrap_err();
        assert_eq!(
            error.param.as_deref(),
            Some(param),
            "{body}: {}",
            error.message
        );
    }
    for body in [&b"{"[..], b"", b"\xff", b"[]", b"null"] {
        assert!(super::super::read_request(body, "m", false).is_err());
    }
}

#[test]
fn a_foreign_seal_on_a_call_comes_back_through_a_client_of_bedrocks() {
    let request = read(&json!({"messages": [{"role": "assistant", "content": [
        {"reasoningContent": {"redactedContent": super::super::wire::blob("tg1:gemini:seal")}},
        {"toolUse": {"toolUseId": "a", "name": "look", "input": {}}},
    ]}]}))
    .unwrap();
    let [part] = &request.turns[0].parts[..] else {
        panic!("one call");
    };
    let seal = Signature {
        origin: Dialect::Gemini,
        value: "seal".into(),
    };
    assert!(
        matches!(&part.content, Content::ToolCall { signature: Some(found), .. } if *found == seal)
    );
}
