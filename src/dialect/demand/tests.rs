use bytes::Bytes;
use serde_json::{Value, json};

use super::*;
use crate::dialect::PathFacts;

fn demand(operation: Operation, body: &str) -> Demand {
    let path = PathFacts {
        model: Some("m".to_owned()),
        stream: None,
    };
    let body = Bytes::copy_from_slice(body.as_bytes());
    Incoming::read(operation, body, path).unwrap().demand()
}

fn of(dialect: Dialect, body: &Value) -> Demand {
    demand(Operation::Generate(dialect), &body.to_string())
}

/// What has no bound, with its path.
fn unbounded(dialect: Dialect, body: &Value) -> Vec<(String, Paid)> {
    let parts = of(dialect, body).unbounded.into_iter();
    parts.map(|part| (part.param, part.what)).collect()
}

/// The first turn of a dialect, with these parts.
fn turn(dialect: Dialect, parts: &Value) -> Value {
    match dialect {
        Dialect::Responses => json!({"input": [{"role": "user", "content": parts}]}),
        Dialect::Gemini => json!({"contents": [{"parts": parts}]}),
        _ => json!({"messages": [{"role": "user", "content": parts}]}),
    }
}

#[test]
fn the_answers_limit_is_found_under_every_name() {
    use Dialect::*;
    for (dialect, body, output_max) in [
        (Chat, json!({"max_tokens": 5}), Some(5)),
        (
            Chat,
            json!({"max_tokens": 5, "max_completion_tokens": 7}),
            Some(7),
        ),
        (Chat, json!({"max_tokens": 5.5}), Some(6)),
        (Chat, json!({"max_tokens": null}), None),
        (Chat, json!({"max_tokens": 0}), None),
        (Chat, json!({"max_tokens": -1}), None),
        (Chat, json!({"max_tokens": "many"}), None),
        (Completions, json!({"max_tokens": 5}), Some(5)),
        (Responses, json!({"max_output_tokens": 5}), Some(5)),
        (Responses, json!({"max_tokens": 5}), None),
        (Anthropic, json!({"max_tokens": 5}), Some(5)),
        (
            Gemini,
            json!({"generationConfig": {"maxOutputTokens": 5}}),
            Some(5),
        ),
        (
            Gemini,
            json!({"generation_config": {"max_output_tokens": "5"}}),
            Some(5),
        ),
        (
            Gemini,
            json!({"generationConfig": {"maxOutputTokens": 5, "max_output_tokens": 9}}),
            None,
        ),
        (
            Bedrock,
            json!({"inferenceConfig": {"maxTokens": 5}}),
            Some(5),
        ),
        (Cohere, json!({"max_tokens": 5}), Some(5)),
    ] {
        assert_eq!(of(dialect, &body).output_max, output_max, "{body}");
    }
    // Readers differ in which of two they take.
    let twice = r#"{"inferenceConfig":{"maxTokens":5,"maxTokens":9}}"#;
    let read = demand(Operation::Generate(Bedrock), twice);
    assert_eq!(read.output_max, None);
}

#[test]
fn answers_are_counted() {
    use Dialect::*;
    for (dialect, body, choices) in [
        (Chat, json!({}), 1),
        (Chat, json!({"n": 3}), 3),
        (Chat, json!({"n": null}), 1),
        (Completions, json!({"n": 2, "best_of": 4}), 4),
        (Completions, json!({"prompt": ["a", "b"], "n": 2}), 4),
        (Completions, json!({"prompt": [1, 2, 3], "n": 2}), 2),
        (Completions, json!({"prompt": [[1], [2, 3]]}), 2),
        (
            Gemini,
            json!({"generationConfig": {"candidateCount": 3}}),
            3,
        ),
        (Anthropic, json!({"n": 3}), 1),
    ] {
        assert_eq!(of(dialect, &body).choices, choices, "{body}");
    }
    let several = [("n".to_owned(), Paid::Output)];
    assert_eq!(unbounded(Chat, &json!({"n": "three"})), several);
    let counted = demand(Operation::CountTokens(Anthropic), r#"{"messages":[]}"#);
    assert!(counted.is_free && counted.choices == 0);
    let embedded = demand(Operation::Embed(Chat), r#"{"input":[1,2,3]}"#);
    assert!(!embedded.is_free && embedded.choices == 0 && embedded.text_tokens >= 3);
}

#[test]
fn no_spelling_of_a_text_has_fewer_tokens_than_bytes() {
    // Escapes are never shorter than what they say.
    for (raw, text) in [
        (r#""\u00e9""#, "é"),
        (r#""\ud83d\ude00""#, "😀"),
        (r#""\n\"\\""#, "\n\"\\"),
        (r#""漢""#, "漢"),
    ] {
        let body = format!(r#"{{"messages":[{{"role":"user","content":{raw}}}]}}"#);
        let read = demand(Operation::Generate(Dialect::Chat), &body);
        assert!(read.text_tokens >= text.len() as u64);
        assert_eq!(read.text_tokens, body.len() as u64);
    }
    // What a provider writes anew can grow.
    let schema =
        json!({"type": "function", "function": {"name": "é", "parameters": {"a": [1, 2]}}});
    let body = json!({"tools": [schema]}).to_string();
    let read = demand(Operation::Generate(Dialect::Chat), &body);
    let pretty = "\\u00e9".len() + serde_json::to_string_pretty(&schema).unwrap().len();
    assert!(read.text_tokens >= pretty as u64 / 2 && read.text_tokens > body.len() as u64);
    assert_eq!(read.tools, 1);
}

#[test]
fn what_a_tokenizer_writes_out_is_counted_written_out() {
    // Each with the bytes of its compatible form.
    for (raw, bytes) in [
        ("ﷺ", 33),
        ("\\ufdfa", 33),
        ("\\uFDFB", 15),
        ("㌖", 18),
        ("\\u3316", 18),
        ("ﬃ", 3),
        ("ﱞ", 5),
    ] {
        let body = format!(r#"{{"messages":[{{"role":"user","content":"{raw}"}}]}}"#);
        let read = demand(Operation::Generate(Dialect::Chat), &body);
        let around = body.len() - raw.len();
        assert!(read.text_tokens >= (around + bytes) as u64, "{raw}");
    }
}

#[test]
fn media_are_counted_and_are_no_text() {
    use Dialect::*;
    let data = "A".repeat(4_000);
    let url = format!("data:image/png;base64,{data}");
    let image = |dialect| match dialect {
        Chat => json!({"type": "image_url", "image_url": {"url": url}}),
        Cohere => json!({"type": "image_url", "image_url": url}),
        Responses => json!({"type": "input_image", "image_url": url}),
        Anthropic => json!({"type": "image", "source":
            {"type": "base64", "media_type": "image/png", "data": data}}),
        Gemini => json!({"inline_data": {"mime_type": "image/png", "data": data}}),
        _ => json!({"image": {"format": "png", "source": {"bytes": data}}}),
    };
    for dialect in [Chat, Cohere, Responses, Anthropic, Gemini, Bedrock] {
        let read = of(
            dialect,
            &turn(dialect, &json!([image(dialect), image(dialect)])),
        );
        assert_eq!((read.images, read.small_images), (2, 0), "{dialect:?}");
        assert!(read.text_tokens < 1_000, "{dialect:?}");
        assert_eq!(read.unbounded, []);
    }
    let low =
        json!([{"type": "image_url", "image_url": {"url": "https://a/b.png", "detail": "low"}}]);
    let read = of(Chat, &turn(Chat, &low));
    assert_eq!((read.images, read.small_images), (0, 1));
    for (dialect, part) in [
        (
            Chat,
            json!({"type": "input_audio", "input_audio": {"format": "mp3", "data": data}}),
        ),
        (
            Gemini,
            json!({"inlineData": {"mimeType": "audio/mp3", "data": data}}),
        ),
    ] {
        let read = of(dialect, &turn(dialect, &json!([part])));
        assert_eq!(read.audio_bytes, 3_000, "{dialect:?}");
        assert!(read.text_tokens < 1_000);
    }
    // Results of tools hold pictures, too.
    let result =
        json!([{"type": "tool_result", "tool_use_id": "a", "content": [image(Anthropic)]}]);
    assert_eq!(of(Anthropic, &turn(Anthropic, &result)).images, 1);
}

/// What a model reads as text counts as text, whatever it looks like.
#[test]
fn what_only_looks_like_a_medium_is_text() {
    let url = format!("data:image/png;base64,{}", "A".repeat(4_000));
    let image = json!({"type": "image_url", "image_url": {"url": url}});
    for body in [
        json!({"tools": [{"type": "function", "function": {"name": "a", "parameters": image}}]}),
        json!({"messages": [{"role": "user", "content": url}]}),
        json!({"messages": [{"role": "user", "content": [{"type": "text", "text": url}]}]}),
        json!({"metadata": image}),
    ] {
        let read = of(Dialect::Chat, &body);
        assert!(read.text_tokens >= body.to_string().len() as u64, "{body}");
        assert_eq!(read.images, 0);
    }
    let call = json!([{"type": "tool_use", "id": "a", "name": "a", "input":
        {"type": "image", "source": {"data": url}}}]);
    let body = turn(Dialect::Anthropic, &call);
    let read = of(Dialect::Anthropic, &body);
    assert!(read.text_tokens >= body.to_string().len() as u64);
}

#[test]
fn what_has_no_bound_is_named() {
    use Dialect::*;
    use Paid::*;
    for (dialect, body, param, what) in [
        (
            Chat,
            json!({"tools": [{"type": "function", "function": {}}, {"type": "web_search"}]}),
            "tools[1]",
            Tools,
        ),
        (
            Chat,
            json!({"web_search_options": {}}),
            "web_search_options",
            Tools,
        ),
        (
            Chat,
            json!({"modalities": ["text", "audio"]}),
            "modalities",
            Output,
        ),
        (
            Chat,
            json!({"prediction": {"type": "content", "content": "a"}}),
            "prediction",
            Output,
        ),
        (Chat, json!({"models": ["a", "b"]}), "models", Models),
        (Chat, json!({"service_tier": "turbo"}), "service_tier", Tier),
        (
            Chat,
            turn(
                Chat,
                &json!([{"type": "text", "text": "a"}, {"type": "file", "file": {"file_id": "f"}}]),
            ),
            "messages[0].content[1]",
            Media,
        ),
        (
            Chat,
            turn(
                Chat,
                &json!([{"type": "video_url", "video_url": {"url": "a"}}]),
            ),
            "messages[0].content[0]",
            Media,
        ),
        (
            Chat,
            json!({"messages": [{"role": "assistant", "audio": {"id": "a"}}]}),
            "messages[0].audio",
            Stored,
        ),
        (
            Responses,
            json!({"tools": [{"type": "code_interpreter"}]}),
            "tools[0]",
            Tools,
        ),
        (
            Responses,
            json!({"tools": [{"type": "mcp"}]}),
            "tools[0]",
            Tools,
        ),
        (
            Responses,
            json!({"conversation": "c"}),
            "conversation",
            Stored,
        ),
        (
            Responses,
            json!({"previous_response_id": "r"}),
            "previous_response_id",
            Stored,
        ),
        (
            Responses,
            json!({"input": [{"type": "item_reference", "id": "i"}]}),
            "input[0]",
            Stored,
        ),
        (
            Responses,
            json!({"input": [{"type": "reasoning", "id": "i", "summary": []}]}),
            "input[0]",
            Stored,
        ),
        (
            Responses,
            turn(Responses, &json!([{"type": "input_file", "file_url": "a"}])),
            "input[0].content[0]",
            Media,
        ),
        (
            Anthropic,
            json!({"tools": [{"type": "web_search_20250305", "name": "web_search"}]}),
            "tools[0]",
            Tools,
        ),
        (
            Anthropic,
            json!({"mcp_servers": [{}]}),
            "mcp_servers",
            Tools,
        ),
        (Anthropic, json!({"speed": "fast"}), "speed", Tier),
        (
            Anthropic,
            json!({"inference_geo": "us"}),
            "inference_geo",
            Tier,
        ),
        (
            Anthropic,
            json!({"context_management": {"edits": [{"type": "compact_20260112"}]}}),
            "context_management",
            Output,
        ),
        (
            Anthropic,
            turn(
                Anthropic,
                &json!([{"type": "document", "source": {"type": "base64", "data": "a"}}]),
            ),
            "messages[0].content[0]",
            Media,
        ),
        (
            Anthropic,
            turn(
                Anthropic,
                &json!([{"type": "container_upload", "file_id": "f"}]),
            ),
            "messages[0].content[0]",
            Media,
        ),
        (
            Gemini,
            json!({"tools": [{"googleSearch": {}}]}),
            "tools[0].googleSearch",
            Tools,
        ),
        (
            Gemini,
            json!({"tools": [{"function_declarations": [{}]}, {"url_context": {}}]}),
            "tools[1].url_context",
            Tools,
        ),
        (
            Gemini,
            json!({"cached_content": "c"}),
            "cached_content",
            Stored,
        ),
        (
            Gemini,
            json!({"generationConfig": {"responseModalities": ["TEXT", "IMAGE"]}}),
            "generationConfig.responseModalities",
            Output,
        ),
        (
            Gemini,
            turn(
                Gemini,
                &json!([{"fileData": {"mimeType": "video/mp4", "fileUri": "f"}}]),
            ),
            "contents[0].parts[0]",
            Media,
        ),
        (
            Gemini,
            turn(
                Gemini,
                &json!([{"inlineData": {"mimeType": "application/pdf", "data": "a"}}]),
            ),
            "contents[0].parts[0]",
            Media,
        ),
        (
            Bedrock,
            json!({"toolConfig": {"tools": [{"systemTool": {"name": "nova_grounding"}}]}}),
            "toolConfig.tools[0].systemTool",
            Tools,
        ),
        (
            Bedrock,
            json!({"performanceConfig": {"latency": "optimized"}}),
            "performanceConfig",
            Tier,
        ),
        (
            Bedrock,
            json!({"additionalModelRequestFields": {"max_tokens": 9}}),
            "additionalModelRequestFields.max_tokens",
            Output,
        ),
        (
            Bedrock,
            json!({"additionalModelRequestFields": {"inferenceConfig": {"maxTokens": 9}}}),
            "additionalModelRequestFields.inferenceConfig",
            Output,
        ),
        (
            Bedrock,
            turn(Bedrock, &json!([{"document": {"source": {"bytes": "a"}}}])),
            "messages[0].content[0].document",
            Media,
        ),
        (
            Cohere,
            json!({"connectors": [{"id": "web-search"}]}),
            "connectors",
            Tools,
        ),
    ] {
        assert_eq!(
            unbounded(dialect, &body),
            [(param.to_owned(), what)],
            "{body}"
        );
    }
}

#[test]
fn what_asks_for_nothing_costs_nothing() {
    for (dialect, body) in [
        (
            Dialect::Chat,
            json!({"web_search_options": null, "plugins": [], "enable_search": false, "modalities": ["text"]}),
        ),
        (
            Dialect::Chat,
            json!({"tools": [{"function": {"name": "a"}}], "service_tier": "auto"}),
        ),
        (
            Dialect::Responses,
            json!({"previous_response_id": null, "tools": [], "store": true}),
        ),
        (
            Dialect::Anthropic,
            json!({"container": null, "speed": "standard", "service_tier": "standard_only",
            "context_management": {"edits": [{"type": "clear_tool_uses_20250919"}]}}),
        ),
        (
            Dialect::Gemini,
            json!({"tools": [{"googleSearch": null}], "generationConfig": {"responseModalities": ["Text"]}}),
        ),
        (
            Dialect::Bedrock,
            json!({"additionalModelRequestFields": {"inferenceConfig": {"topK": 1}, "thinking": {"type": "adaptive"}}}),
        ),
    ] {
        assert_eq!(unbounded(dialect, &body), [], "{body}");
    }
}

#[test]
fn tiers_and_caches_are_seen() {
    use Dialect::*;
    for (dialect, body, tier) in [
        (Chat, json!({"service_tier": "priority"}), Tier::Priority),
        (Responses, json!({"service_tier": "flex"}), Tier::Flex),
        (
            Responses,
            json!({"service_tier": "default"}),
            Tier::Standard,
        ),
        (Gemini, json!({"serviceTier": "PRIORITY"}), Tier::Priority),
        (
            Bedrock,
            json!({"serviceTier": {"type": "priority"}}),
            Tier::Priority,
        ),
    ] {
        assert_eq!(of(dialect, &body).tier, tier, "{body}");
    }
    for (mark, is_hour) in [
        (r#"{"type":"ephemeral"}"#, false),
        (r#"{"type":"ephemeral","ttl":"5m"}"#, false),
        (r#"{"type":"ephemeral","ttl":"1h"}"#, true),
        (r#"{"type":"ephemeral","ttl":"\u0031h"}"#, true),
        (r#"{"type":"ephemeral","ttl":"1\u0068"}"#, true),
    ] {
        let body = format!(r#"{{"messages":[],"cache_control":{mark}}}"#);
        let read = demand(Operation::Generate(Anthropic), &body);
        assert_eq!(read.caches_for_an_hour, is_hour, "{mark}");
    }
}

#[test]
fn a_name_that_is_escaped_or_repeated_hides_nothing() {
    let escaped = r#"{"\u0074ools":[{"t\u0079pe":"web\u005fsearch"}]}"#;
    let read = demand(Operation::Generate(Dialect::Chat), escaped);
    assert_eq!(read.unbounded[0].what, Paid::Tools);
    for part in [
        r#"{"type":"text","type":"image_url","image_url":"a"}"#,
        r#"{"type":"image_url","type":"text","text":"a"}"#,
        r#"{"text":"a"}"#,
    ] {
        let body = format!(r#"{{"messages":[{{"content":[{part}]}}]}}"#);
        let read = demand(Operation::Generate(Dialect::Chat), &body);
        assert_eq!(read.unbounded.len(), 1, "{part}");
    }
}

/// `cargo test --release how_fast -- --ignored --nocapture`
#[test]
#[ignore = "tells times"]
fn how_fast_a_demand_is_read() {
    for (name, content) in [
        ("2 KiB of text", json!("Words and words. ".repeat(110))),
        (
            "a picture of 1 MiB",
            json!([{"type": "image_url", "image_url":
                {"url": format!("data:image/png;base64,{}", "A".repeat(1 << 20))}}]),
        ),
    ] {
        let body = json!({"model": "m", "max_tokens": 100, "messages": [
            {"role": "system", "content": "You help."}, {"role": "user", "content": content}]});
        let body = Bytes::from(body.to_string());
        let operation = Operation::Generate(Dialect::Chat);
        let incoming = Incoming::read(operation, body, PathFacts::default()).unwrap();
        const TIMES: u32 = 20_000;
        let start = std::time::Instant::now();
        for _ in 0..TIMES {
            std::hint::black_box(std::hint::black_box(&incoming).demand());
        }
        println!("{name}: {:?}", start.elapsed() / TIMES);
    }
}
