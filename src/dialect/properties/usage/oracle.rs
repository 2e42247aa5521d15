//! What a provider says that an answer cost, found a second time and in another way: by walking its JSON along tables that
//! say which fields make up which part.

use bytes::Bytes;
use serde_json::{Map, Value, json};

use crate::dialect::common::Usage;
use crate::dialect::recorded::Recorded;
use crate::dialect::{Dialect, eventstream};

/// A part is the sum of terms, and a term is the first of these fields that is told. A field is a JSON pointer; behind a
/// `?` stand the modalities that count in a list.
type Part = (&'static str, &'static [&'static [&'static str]]);

/// Reasoning is within the completion, media and cached tokens within the prompt.
const CHAT: &[Part] = &[
    ("input_tokens", &[&["/prompt_tokens"]]),
    ("output_tokens", &[&["/completion_tokens"]]),
    (
        "output_reasoning_tokens",
        &[&["/completion_tokens_details/reasoning_tokens"]],
    ),
    (
        "cache_read_tokens",
        &[&[
            "/prompt_tokens_details/cached_tokens",
            "/prompt_cache_hit_tokens",
            "/cached_tokens",
        ]],
    ),
    (
        "cache_write_tokens",
        &[&["/prompt_tokens_details/cache_write_tokens"]],
    ),
    (
        "input_audio_tokens",
        &[&["/prompt_tokens_details/audio_tokens"]],
    ),
    (
        "input_image_tokens",
        &[&["/prompt_tokens_details/image_tokens"]],
    ),
    (
        "output_audio_tokens",
        &[&["/completion_tokens_details/audio_tokens"]],
    ),
    (
        "output_image_tokens",
        &[&["/completion_tokens_details/image_tokens"]],
    ),
    (
        "web_searches",
        &[&["/server_tool_use_details/web_search_requests"]],
    ),
];

/// Searches are not in `usage`; they are counted among the items.
const RESPONSES: &[Part] = &[
    ("input_tokens", &[&["/input_tokens"]]),
    ("output_tokens", &[&["/output_tokens"]]),
    (
        "output_reasoning_tokens",
        &[&["/output_tokens_details/reasoning_tokens"]],
    ),
    (
        "cache_read_tokens",
        &[&["/input_tokens_details/cached_tokens"]],
    ),
    (
        "cache_write_tokens",
        &[&["/input_tokens_details/cache_write_tokens"]],
    ),
];

/// The cache's tokens stand beside the others.
const ANTHROPIC: &[Part] = &[
    (
        "input_tokens",
        &[
            &["/input_tokens"],
            &["/cache_read_input_tokens"],
            &["/cache_creation_input_tokens"],
        ],
    ),
    ("output_tokens", &[&["/output_tokens"]]),
    (
        "output_reasoning_tokens",
        &[&["/output_tokens_details/thinking_tokens"]],
    ),
    ("cache_read_tokens", &[&["/cache_read_input_tokens"]]),
    ("cache_write_tokens", &[&["/cache_creation_input_tokens"]]),
    (
        "cache_write_5m_tokens",
        &[&["/cache_creation/ephemeral_5m_input_tokens"]],
    ),
    (
        "cache_write_1h_tokens",
        &[&["/cache_creation/ephemeral_1h_input_tokens"]],
    ),
    ("web_searches", &[&["/server_tool_use/web_search_requests"]]),
];

/// Tools' tokens stand beside the prompt's, thoughts beside the candidates'; what is cached is within the prompt.
const GEMINI: &[Part] = &[
    (
        "input_tokens",
        &[&["/promptTokenCount"], &["/toolUsePromptTokenCount"]],
    ),
    (
        "output_tokens",
        &[&["/candidatesTokenCount"], &["/thoughtsTokenCount"]],
    ),
    ("output_reasoning_tokens", &[&["/thoughtsTokenCount"]]),
    ("cache_read_tokens", &[&["/cachedContentTokenCount"]]),
    (
        "input_text_tokens",
        &[
            &["/promptTokensDetails?TEXT", "/promptTokenDetails?TEXT"],
            &["/toolUsePromptTokensDetails?TEXT"],
        ],
    ),
    (
        "input_audio_tokens",
        &[
            &["/promptTokensDetails?AUDIO"],
            &["/toolUsePromptTokensDetails?AUDIO"],
        ],
    ),
    (
        "input_image_tokens",
        &[
            &["/promptTokensDetails?IMAGE DOCUMENT"],
            &["/toolUsePromptTokensDetails?IMAGE DOCUMENT"],
        ],
    ),
    (
        "input_video_tokens",
        &[
            &["/promptTokensDetails?VIDEO"],
            &["/toolUsePromptTokensDetails?VIDEO"],
        ],
    ),
    ("input_tool_tokens", &[&["/toolUsePromptTokenCount"]]),
    (
        "input_text_tool_tokens",
        &[&["/toolUsePromptTokensDetails?TEXT"]],
    ),
    (
        "input_audio_tool_tokens",
        &[&["/toolUsePromptTokensDetails?AUDIO"]],
    ),
    (
        "input_image_tool_tokens",
        &[&["/toolUsePromptTokensDetails?IMAGE DOCUMENT"]],
    ),
    (
        "input_video_tool_tokens",
        &[&["/toolUsePromptTokensDetails?VIDEO"]],
    ),
    ("cache_text_read_tokens", &[&["/cacheTokensDetails?TEXT"]]),
    ("cache_audio_read_tokens", &[&["/cacheTokensDetails?AUDIO"]]),
    (
        "cache_image_read_tokens",
        &[&["/cacheTokensDetails?IMAGE DOCUMENT"]],
    ),
    ("cache_video_read_tokens", &[&["/cacheTokensDetails?VIDEO"]]),
    ("output_text_tokens", &[&["/candidatesTokensDetails?TEXT"]]),
    (
        "output_audio_tokens",
        &[&["/candidatesTokensDetails?AUDIO"]],
    ),
    (
        "output_image_tokens",
        &[&["/candidatesTokensDetails?IMAGE"]],
    ),
    (
        "output_video_tokens",
        &[&["/candidatesTokensDetails?VIDEO"]],
    ),
];

/// The cache's tokens stand beside the others.
const BEDROCK: &[Part] = &[
    (
        "input_tokens",
        &[
            &["/inputTokens"],
            &["/cacheReadInputTokens"],
            &["/cacheWriteInputTokens"],
        ],
    ),
    ("output_tokens", &[&["/outputTokens"]]),
    ("cache_read_tokens", &[&["/cacheReadInputTokens"]]),
    ("cache_write_tokens", &[&["/cacheWriteInputTokens"]]),
    ("cache_write_5m_tokens", &[&["/cacheDetails?5m"]]),
    ("cache_write_1h_tokens", &[&["/cacheDetails?1h"]]),
];

/// Only what is billed counts. Cached tokens count where they are of the same prompt, which no recording has.
const COHERE: &[Part] = &[
    ("input_tokens", &[&["/billed_units/input_tokens"]]),
    ("output_tokens", &[&["/billed_units/output_tokens"]]),
    ("images", &[&["/billed_units/images"]]),
];

const COHERE_EMBEDDING: &[Part] = &[
    (
        "input_tokens",
        &[
            &["/billed_units/input_tokens"],
            &["/billed_units/image_tokens"],
        ],
    ),
    ("input_image_tokens", &[&["/billed_units/image_tokens"]]),
    ("images", &[&["/billed_units/images"]]),
];

/// The answer of a Titan model is itself what tells.
const TITAN: &[Part] = &[("input_tokens", &[&["/inputTextTokenCount"]])];

/// How a recording's answer is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// As text for a caller.
    Answer(Dialect),
    /// Forwarded without a look at what it says: only its usage is read.
    Forwarded(Dialect),
    /// As embeddings of so many texts.
    Embeddings(Dialect, usize),
}

/// What an answer told, and what it means.
pub struct Told {
    /// The provider's own object.
    pub object: Value,
    /// What it means.
    pub usage: Usage,
}

/// The way that a recording belongs to; None if it is no answer of a model.
pub fn way(recorded: &Recorded, body: &Value) -> Option<Way> {
    let path = recorded.endpoint.as_str();
    let verb = path.rsplit(['/', ':']).next().unwrap_or_default();
    let vectors = || body["embeddings"].as_array().map_or(1, Vec::len);
    Some(match verb {
        "completions" => Way::Answer(Dialect::Chat),
        "responses" => Way::Answer(Dialect::Responses),
        "compact" => Way::Forwarded(Dialect::Responses),
        "messages" => Way::Answer(Dialect::Anthropic),
        "generateContent" | "streamGenerateContent" => Way::Answer(Dialect::Gemini),
        "embedContent" | "batchEmbedContents" => Way::Embeddings(Dialect::Gemini, vectors()),
        "converse" | "converse-stream" => Way::Answer(Dialect::Bedrock),
        "invoke" if body["content"].is_array() => Way::Answer(Dialect::Anthropic),
        "invoke" => Way::Embeddings(Dialect::Bedrock, vectors()),
        "chat" => Way::Answer(Dialect::Cohere),
        "embed" => {
            let texts = body["embeddings"]["float"].as_array().map_or(0, Vec::len);
            Way::Embeddings(Dialect::Cohere, texts)
        }
        _ => return None,
    })
}

/// The JSON of a recording's answer: one of a whole answer, one an event of a stream.
pub fn events(recorded: &Recorded) -> Vec<Value> {
    let body = recorded.body();
    if let Ok(whole) = serde_json::from_slice(&body) {
        return vec![whole];
    }
    if recorded.endpoint.ends_with("/converse-stream") {
        let frames = eventstream::each(Bytes::from(body));
        return frames
            .filter_map(|frame| {
                let message = eventstream::Message::parse(&frame).expect("a recorded frame");
                serde_json::from_slice(message.payload).ok()
            })
            .collect();
    }
    let text = String::from_utf8(body).expect("recorded text");
    let data = text.lines().filter_map(|line| line.strip_prefix("data:"));
    data.filter_map(|data| serde_json::from_str(data.trim()).ok())
        .collect()
}

/// Whether anything in an answer looks like a count of what it cost, whether or not it is known where it should stand.
/// Bedrock's guardrails have units of their own, which stand beside the answer's.
pub fn carries_usage(value: &Value) -> bool {
    match value {
        Value::Object(object) => object.iter().any(|(name, value)| match name.as_str() {
            "usage" | "usageMetadata" | "billed_units" => has_number(value),
            "inputTextTokenCount" => true,
            _ => carries_usage(value),
        }),
        Value::Array(list) => list.iter().any(carries_usage),
        _ => false,
    }
}

fn has_number(value: &Value) -> bool {
    match value {
        Value::Object(object) => object.values().any(has_number),
        value => value.is_number(),
    }
}

/// What the events of an answer tell together.
pub fn told(way: Way, events: &[Value]) -> Option<Told> {
    let (Way::Answer(dialect) | Way::Forwarded(dialect) | Way::Embeddings(dialect, _)) = way;
    let is_embedding = matches!(way, Way::Embeddings(..));
    let table = match dialect {
        Dialect::Chat | Dialect::Completions => CHAT,
        Dialect::Responses => RESPONSES,
        Dialect::Anthropic => ANTHROPIC,
        Dialect::Gemini => GEMINI,
        Dialect::Bedrock if is_embedding => TITAN,
        Dialect::Bedrock => BEDROCK,
        Dialect::Cohere if is_embedding => COHERE_EMBEDDING,
        Dialect::Cohere => COHERE,
    };
    let places: &[&str] = match dialect {
        Dialect::Gemini => &["/usageMetadata"],
        Dialect::Bedrock if is_embedding => &[""],
        Dialect::Cohere if is_embedding => &["/meta"],
        Dialect::Cohere => &["/usage", "/delta/usage"],
        Dialect::Responses => &["/usage", "/response/usage"],
        Dialect::Anthropic => &["/usage", "/message/usage"],
        _ => &["/usage"],
    };
    let mut found = events
        .iter()
        .flat_map(|event| places.iter().filter_map(|place| event.pointer(place)))
        .filter_map(Value::as_object);
    // Anthropic's later words stand in the place of the earlier ones, field by field; all others say all of it again.
    let object = match dialect {
        Dialect::Anthropic => found.cloned().reduce(merged)?,
        _ => found.next_back()?.clone(),
    };
    let object = Value::Object(object);
    let mut usage = sums(table, &object);
    if dialect == Dialect::Responses {
        usage.web_searches = searches(events);
    }
    if is_embedding && dialect == Dialect::Bedrock && object["inputTextTokenCount"].is_null() {
        return None;
    }
    Some(Told { object, usage })
}

fn merged(mut all: Map<String, Value>, later: Map<String, Value>) -> Map<String, Value> {
    all.extend(later.into_iter().filter(|(_, value)| !value.is_null()));
    all
}

fn sums(table: &[Part], object: &Value) -> Usage {
    let mut parts = [0; Usage::PARTS];
    for (name, terms) in table {
        let at = Usage::NAMES.iter().position(|known| known == name);
        let terms = terms.iter().map(|fields| {
            let told = fields.iter().find_map(|field| count(object, field));
            told.unwrap_or(0)
        });
        parts[at.expect("a part's name")] = terms.sum();
    }
    Usage::from_parts(parts)
}

fn count(object: &Value, field: &str) -> Option<u64> {
    let Some((list, kinds)) = field.split_once('?') else {
        return object.pointer(field)?.as_u64();
    };
    let details = object.pointer(list)?.as_array()?.iter();
    let counts = details.filter_map(|detail| {
        let kind = detail.get("modality").or(detail.get("ttl"))?.as_str()?;
        let tokens = detail.get("tokenCount").or(detail.get("inputTokens"))?;
        kinds
            .split(' ')
            .any(|it| it == kind)
            .then(|| tokens.as_u64())?
    });
    Some(counts.sum())
}

/// Searches among the items of the last answer that has some.
fn searches(events: &[Value]) -> u64 {
    let outputs = events
        .iter()
        .flat_map(|event| [&event["output"], &event["response"]["output"]]);
    let items = outputs.filter_map(Value::as_array).next_back();
    let is_search = |item: &&Value| {
        let action = &item["action"]["type"];
        item["type"] == "web_search_call" && (action.is_null() || action == "search")
    };
    items.map_or(0, |items| items.iter().filter(is_search).count() as u64)
}

/// A whole answer that tells `object`, and nothing else.
pub fn whole(dialect: Dialect, object: &Value, output: &Value) -> Value {
    match dialect {
        Dialect::Gemini => json!({"usageMetadata": object, "candidates": [
            {"content": {"parts": [{"text": "a"}]}, "finishReason": "STOP"}]}),
        Dialect::Responses => {
            json!({"id": "r", "status": "completed", "output": output, "usage": object})
        }
        Dialect::Anthropic => json!({"id": "m", "content": [], "usage": object}),
        Dialect::Bedrock => json!({"output": {"message": {"role": "assistant", "content": []}},
            "stopReason": "end_turn", "usage": object}),
        Dialect::Cohere => json!({"id": "c", "finish_reason": "COMPLETE",
            "message": {"role": "assistant", "content": []}, "usage": object}),
        Dialect::Chat | Dialect::Completions => json!({"id": "c", "usage": object,
            "choices": [{"index": 0, "message": {"content": "a"}, "finish_reason": "stop"}]}),
    }
}

/// A stream that tells `object`, and little else.
pub fn stream(dialect: Dialect, object: &Value, output: &Value) -> Vec<u8> {
    let events = match dialect {
        Dialect::Gemini => vec![whole(dialect, object, output)],
        Dialect::Responses => vec![
            json!({"type": "response.created", "response": {"id": "r", "output": []}}),
            json!({"type": "response.completed", "response": whole(dialect, object, output)}),
        ],
        Dialect::Anthropic => {
            let mut first = object.clone();
            first["output_tokens"] = 1.into();
            vec![
                json!({"type": "message_start", "message": {"id": "m", "usage": first}}),
                json!({"type": "message_delta", "delta": {"stop_reason": "end_turn"},
                    "usage": {"output_tokens": object["output_tokens"],
                        "server_tool_use": object["server_tool_use"]}}),
                json!({"type": "message_stop"}),
            ]
        }
        Dialect::Bedrock => {
            let mut stream = Vec::new();
            for (kind, payload) in [
                ("messageStart", json!({"role": "assistant"})),
                ("messageStop", json!({"stopReason": "end_turn"})),
                ("metadata", json!({"usage": object})),
            ] {
                let headers = [(":event-type", kind), (":message-type", "event")];
                eventstream::write(&mut stream, &headers, |out| {
                    out.extend_from_slice(payload.to_string().as_bytes());
                });
            }
            return stream;
        }
        Dialect::Cohere => vec![
            json!({"type": "message-start", "id": "c"}),
            json!({"type": "message-end", "delta": {"finish_reason": "COMPLETE", "usage": object}}),
        ],
        Dialect::Chat | Dialect::Completions => vec![
            json!({"choices": [{"index": 0, "delta": {"content": "a"}}], "usage": null}),
            json!({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}),
            json!({"choices": [], "usage": object}),
        ],
    };
    let events = events.iter().map(|event| match event["type"].as_str() {
        Some(kind) => format!("event: {kind}\ndata: {event}\n\n"),
        None => format!("data: {event}\n\n"),
    });
    let mut text: String = events.collect();
    if matches!(dialect, Dialect::Chat | Dialect::Completions) {
        text.push_str("data: [DONE]\n\n");
    }
    text.into_bytes()
}
