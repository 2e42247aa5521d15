//! Gemini's `generateContent`.

use serde_json::{Value, json};

use super::{Asked, Provider, Reply, SECRET, data_event};
use crate::pairs::scenario::{Failing, Finish, Said, USAGE, halves};
use crate::upstream::Received;

/// The provider.
pub struct Gemini;

const SEAL: &str = "EpYSCpMSCAISjhIBDDnWx+meFE0lq4hrGQYuMZoLV/gi/Nj+DoiDjg==";

/// What Google documents to stand for a seal that was never there, of a call that another model made.
const NO_SEAL: [&str; 2] = [
    "skip_thought_signature_validator",
    "context_engineering_is_the_way_to_go",
];

const SETTINGS: [&str; 17] = [
    "maxOutputTokens",
    "temperature",
    "topP",
    "topK",
    "stopSequences",
    "responseMimeType",
    "responseSchema",
    "responseJsonSchema",
    "thinkingConfig",
    "seed",
    "candidateCount",
    "presencePenalty",
    "frequencyPenalty",
    "responseLogprobs",
    "logprobs",
    "responseModalities",
    "mediaResolution",
];

impl Provider for Gemini {
    fn name(&self) -> &'static str {
        "gemini"
    }

    fn yaml(&self, address: &str) -> String {
        format!(r#"{{ dialect: gemini, base_url: "{address}/gemini/v1beta", api_key: {SECRET} }}"#)
    }

    fn model(&self) -> &'static str {
        "gemini-3-flash-preview-"
    }

    fn read(&self, received: &Received) -> Asked {
        let mut asked = Asked::default();
        asked.check_head(received, "x-goog-api-key", SECRET);
        let body = asked.complaints.json("the body", &received.body);
        let complaints = &mut asked.complaints;
        let place = received
            .path
            .strip_prefix("/gemini/v1beta/models/")
            .and_then(|rest| rest.split_once(':'));
        let Some((model, verb)) = place else {
            complaints.add(format!("the path {}", received.path));
            return asked;
        };
        asked.model = model.to_owned();
        asked.stream = verb == "streamGenerateContent?alt=sse";
        complaints.unless(asked.stream || verb == "generateContent", || {
            format!("the verb {verb}")
        });
        let known = [
            "contents",
            "systemInstruction",
            "tools",
            "toolConfig",
            "generationConfig",
            "safetySettings",
            "cachedContent",
            "labels",
            "serviceTier",
            "store",
        ];
        complaints.only("the request", &body, &known);
        for part in body["systemInstruction"]["parts"]
            .as_array()
            .into_iter()
            .flatten()
        {
            asked.system += &complaints.text(part, "/text");
        }
        read_settings(&body["generationConfig"], &mut asked);
        read_tools(&body, &mut asked);
        read_contents(&body, &mut asked);
        asked
    }

    fn answer(&self, said: &Said, asked: &Asked) -> Reply {
        if let Some(failing) = said.failure {
            let status = match failing {
                Failing::RateLimited => "RESOURCE_EXHAUSTED",
                Failing::ContextTooLong => "INVALID_ARGUMENT",
                Failing::ServerError => "INTERNAL",
            };
            let error = json!({"code": failing.status(), "message": self.message(failing), "status": status});
            return Reply::whole(failing.status(), &json!({"error": error})).with_retry_after();
        }
        let reason = match said.finish {
            Finish::Length => "MAX_TOKENS",
            Finish::Refusal => "SAFETY",
            _ => "STOP",
        };
        let thought = said.thought.filter(|_| asked.shows);
        if !asked.stream {
            let mut parts: Vec<Value> = thought
                .map(|text| json!({"text": text, "thought": true}))
                .into_iter()
                .collect();
            let text = (!said.text.is_empty() && said.finish != Finish::Refusal)
                .then(|| json!({"text": said.text}));
            parts.extend(text);
            parts.extend(calls(said));
            if said.thought.is_some() && said.calls.is_empty() {
                parts.last_mut().expect("words")["thoughtSignature"] = json!(SEAL);
            }
            return Reply::whole(200, &piece(parts, Some(reason)));
        }
        let mut pieces = Vec::new();
        let cut = |text: &str| halves(text).map(str::to_owned);
        for half in thought.map(cut).into_iter().flatten() {
            pieces.push(piece(vec![json!({"text": half, "thought": true})], None));
        }
        if !said.text.is_empty() && said.finish != Finish::Refusal {
            pieces.extend(cut(said.text).map(|half| piece(vec![json!({"text": half})], None)));
        }
        pieces.extend(calls(said).into_iter().map(|call| piece(vec![call], None)));
        // The seal on words comes at the end, on a part without words.
        let last = match said.thought.is_some() && said.calls.is_empty() {
            true => json!({"text": "", "thoughtSignature": SEAL}),
            false => json!({"text": ""}),
        };
        let last = if said.finish == Finish::Refusal {
            Vec::new()
        } else {
            vec![last]
        };
        pieces.push(piece(last, Some(reason)));
        Reply::stream(
            "text/event-stream",
            pieces.iter().map(data_event).collect(),
            said.is_cut,
        )
    }

    fn seal(&self) -> Option<&'static str> {
        Some(SEAL)
    }

    fn message(&self, failing: Failing) -> &'static str {
        match failing {
            Failing::RateLimited => "Resource has been exhausted (e.g. check quota).",
            Failing::ContextTooLong => {
                "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576)."
            }
            Failing::ServerError => {
                "An internal error has occurred. Please retry or report in https://developers.generativeai.google/guide/troubleshooting"
            }
        }
    }

    fn refusal(&self) -> &'static str {
        ""
    }

    fn call_id(&self, _: usize) -> Option<String> {
        None
    }
}

fn calls(said: &Said) -> Vec<Value> {
    let call = |(number, (name, args)): (usize, &(&str, Value))| {
        let mut part = json!({"functionCall": {"name": name, "args": args}});
        // Of parallel calls only the first is sealed.
        if said.thought.is_some() && number == 0 {
            part["thoughtSignature"] = json!(SEAL);
        }
        part
    };
    said.calls.iter().enumerate().map(call).collect()
}

fn piece(parts: Vec<Value>, reason: Option<&str>) -> Value {
    let mut candidate = json!({"index": 0});
    if !parts.is_empty() {
        candidate["content"] = json!({"parts": parts, "role": "model"});
    }
    if let Some(reason) = reason {
        candidate["finishReason"] = json!(reason);
    }
    json!({
        "candidates": [candidate],
        "usageMetadata": {
            "promptTokenCount": USAGE.input,
            "cachedContentTokenCount": USAGE.cached,
            "candidatesTokenCount": USAGE.output - USAGE.reasoning,
            "thoughtsTokenCount": USAGE.reasoning,
            "totalTokenCount": USAGE.input + USAGE.output,
            "promptTokensDetails": [{"modality": "TEXT", "tokenCount": USAGE.input}],
            "serviceTier": "standard",
        },
        "modelVersion": "gemini-3-flash-preview",
        "responseId": "J3dHapyWENS3g8UPyrefuAE",
    })
}

fn read_settings(settings: &Value, asked: &mut Asked) {
    if settings.is_null() {
        return;
    }
    let complaints = &mut asked.complaints;
    complaints.only("generationConfig", settings, &SETTINGS);
    asked.max_tokens = settings["maxOutputTokens"].as_u64();
    let stops = settings["stopSequences"].as_array().into_iter().flatten();
    asked.stops = stops.filter_map(Value::as_str).map(str::to_owned).collect();
    let schema = settings
        .get("responseJsonSchema")
        .or(settings.get("responseSchema"));
    if let Some(schema) = schema {
        complaints.is(settings, "/responseMimeType", "application/json");
        asked.schema = Some(plain(schema.clone()));
    }
    let Some(thinking) = settings.get("thinkingConfig") else {
        return;
    };
    complaints.only(
        "thinkingConfig",
        thinking,
        &["thinkingLevel", "thinkingBudget", "includeThoughts"],
    );
    let level = thinking["thinkingLevel"].as_str().map(str::to_lowercase);
    let budget = thinking["thinkingBudget"].as_i64();
    complaints.unless(level.is_none() || budget.is_none(), || {
        "both a level and a budget".to_owned()
    });
    let levels = ["minimal", "low", "medium", "high"];
    complaints.unless(
        level.as_deref().is_none_or(|level| levels.contains(&level)),
        || format!("the level {level:?}"),
    );
    asked.thinks = level.is_some() || budget.is_some_and(|budget| budget != 0);
    asked.shows = thinking["includeThoughts"] == true;
}

fn read_tools(body: &Value, asked: &mut Asked) {
    let complaints = &mut asked.complaints;
    for tool in body["tools"].as_array().into_iter().flatten() {
        complaints.only("a tool", tool, &["functionDeclarations"]);
        for declared in complaints.list(tool, "/functionDeclarations") {
            let known = ["name", "description", "parameters", "parametersJsonSchema"];
            complaints.only("a declaration", &declared, &known);
            let name = complaints.id(&declared, "/name", "");
            let description = complaints.text(&declared, "/description");
            let schema = declared
                .get("parametersJsonSchema")
                .or(declared.get("parameters"));
            let schema = plain(schema.cloned().unwrap_or_default());
            asked.tools.push((name, description, schema));
        }
    }
    let calling = &body["toolConfig"]["functionCallingConfig"];
    asked.tool_choice = match calling["mode"].as_str() {
        None | Some("AUTO" | "VALIDATED") => "auto".to_owned(),
        Some("ANY") => "required".to_owned(),
        Some(other) => other.to_lowercase(),
    };
}

/// A schema with its types in lower case.
fn plain(mut schema: Value) -> Value {
    if let Some(kind) = schema["type"].as_str() {
        schema["type"] = json!(kind.to_lowercase());
    }
    if let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) {
        properties
            .values_mut()
            .for_each(|property| *property = plain(property.take()));
    }
    schema
}

fn read_contents(body: &Value, asked: &mut Asked) {
    let mut open: Vec<(String, Value)> = Vec::new();
    for content in asked.complaints.list(body, "/contents") {
        asked
            .complaints
            .only("a content", &content, &["role", "parts"]);
        let role = match content["role"].as_str() {
            Some("user") => "user",
            Some("model") => "assistant",
            other => {
                return asked
                    .complaints
                    .add(format!("a content of the role {other:?}"));
            }
        };
        let parts = asked.complaints.list(&content, "/parts");
        asked
            .complaints
            .unless(!parts.is_empty(), || "a content of nothing".to_owned());
        let called = parts
            .iter()
            .filter(|part| part.get("functionCall").is_some());
        let answered = parts
            .iter()
            .filter(|part| part.get("functionResponse").is_some())
            .count();
        asked.complaints.equal(
            "the number of results right behind the calls",
            &answered,
            &open.len(),
        );
        // A model that thinks refuses its calls without their seal.
        if let Some(first) = called.clone().next() {
            let is_sealed = first["thoughtSignature"].is_string();
            asked
                .complaints
                .unless(is_sealed, || "a call without its seal".to_owned());
        }
        for part in &parts {
            read_part(role, part, &mut open, asked);
        }
        asked
            .complaints
            .unless(role == "assistant" || open.is_empty(), || {
                "calls without results".to_owned()
            });
    }
}

fn read_part(role: &'static str, part: &Value, open: &mut Vec<(String, Value)>, asked: &mut Asked) {
    let complaints = &mut asked.complaints;
    complaints.only(
        "a part",
        part,
        &[
            "text",
            "thought",
            "thoughtSignature",
            "inlineData",
            "functionCall",
            "functionResponse",
        ],
    );
    if let Some(seal) = part["thoughtSignature"]
        .as_str()
        .filter(|seal| !NO_SEAL.contains(seal))
    {
        complaints.equal("the seal on a part", &seal, &SEAL);
        asked.seals.push(seal.to_owned());
    }
    if let Some(image) = part.get("inlineData") {
        complaints.only("inlineData", image, &["mimeType", "data"]);
        let media_type = complaints.text(image, "/mimeType");
        let data = complaints.text(image, "/data");
        asked.images.push((media_type, data));
    } else if let Some(call) = part.get("functionCall") {
        complaints.only("a functionCall", call, &["id", "name", "args"]);
        complaints.unless(role == "assistant", || "a call from the user".to_owned());
        let name = complaints.id(call, "/name", "");
        complaints.unless(call["args"].is_object(), || {
            "args that are no object".to_owned()
        });
        // The dialect pairs by id where there is one, and else by name.
        let id = call["id"]
            .as_str()
            .map_or(format!("call-{}", asked.calls.len()), str::to_owned);
        open.push((id.clone(), call.clone()));
        asked.calls.push((id, name, call["args"].clone()));
    } else if let Some(result) = part.get("functionResponse") {
        complaints.only("a functionResponse", result, &["id", "name", "response"]);
        complaints.unless(role == "user", || "a result from the model".to_owned());
        let name = complaints.id(result, "/name", "");
        let is_its =
            |(_, call): &(String, Value)| call["id"] == result["id"] && call["name"] == name;
        let Some(place) = open.iter().position(is_its) else {
            return complaints.add(format!("the result of no call: {result}"));
        };
        let (id, _) = open.remove(place);
        let response = result["response"].clone();
        complaints.unless(response.is_object(), || {
            "a response that is no object".to_owned()
        });
        let error = response["error"].as_str().map(str::to_owned);
        let is_error = error.is_some();
        asked.result(&id, error.unwrap_or(response.to_string()), is_error);
    } else if part["thought"] != true {
        let text = complaints.text(part, "/text");
        asked.say(role, &text);
    }
}
