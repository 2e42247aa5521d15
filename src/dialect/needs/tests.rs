use bytes::Bytes;
use serde_json::{Value, json};

use super::*;
use crate::dialect::common::{Content, Format, Function, Json, Part, Role, Source, Tool, Turn};
use crate::dialect::{Accent, PathFacts};

const OPENAI: Outgoing<'static> = to(&Accent::OPENAI, "m");

const fn to(accent: &'static Accent, model: &'static str) -> Outgoing<'static> {
    Outgoing {
        model,
        accent,
        is_vertex: false,
        auto_cache: false,
    }
}

fn only(part: Feature) -> Needs {
    Needs::those(|other, _| other == part)
}

fn incoming(dialect: Dialect, body: impl Into<Bytes>) -> Incoming {
    let path = PathFacts {
        model: Some("m".to_owned()),
        stream: Some(false),
    };
    Incoming::read(Operation::Generate(dialect), body.into(), path).unwrap()
}

fn needs(dialect: Dialect, body: &Value) -> Needs {
    incoming(dialect, body.to_string()).needs(Needs::all())
}

/// A request that has nothing but a question and this part.
fn with(part: Feature) -> Request {
    let url = |url: &str| Source::Url {
        url: url.to_owned(),
        media_type: None,
    };
    let data = |media_type: &str| Source::Base64 {
        media_type: media_type.to_owned(),
        data: "AAAA".to_owned(),
    };
    let image = |source| Content::Image {
        source,
        detail: None,
    };
    let document = |source| Content::Document {
        source,
        name: Some("report.pdf".to_owned()),
        cite: false,
    };
    let mut request = Request::new(Dialect::Chat, "m");
    request.max_tokens = Some(100);
    let mut parts = vec![Part::text("What is it?")];
    match part {
        Feature::Tools => request.tools.push(Tool::Function(Function {
            name: "look".to_owned(),
            description: None,
            parameters: Some(Json::empty_object()),
            strict: None,
            cache: None,
        })),
        Feature::JsonSchema => {
            request.format = Format::Schema {
                name: Some("answer".to_owned()),
                description: None,
                schema: Json::empty_object(),
                strict: None,
            }
        }
        Feature::ImageUrl => parts.push(image(url("https://example.test/a.png")).into()),
        Feature::ImageData => parts.push(image(data("image/png")).into()),
        Feature::DocumentUrl => parts.push(document(url("https://example.test/a.pdf")).into()),
        Feature::DocumentData => parts.push(document(data("application/pdf")).into()),
        Feature::Audio => parts.push(
            Content::Audio {
                source: data("audio/wav"),
            }
            .into(),
        ),
        other => panic!("{other:?} needs nothing"),
    }
    request.turns.push(Turn {
        role: Role::User,
        parts,
        name: None,
    });
    request
}

#[test]
fn what_a_request_needs_is_found_in_every_dialect() {
    for dialect in Dialect::ALL {
        let lost = Needs::lost(dialect, dialect, &OPENAI);
        for (part, _) in PARTS {
            let is_lost = !(lost & only(part)).is_empty();
            let is_foreign = dialect == Dialect::Bedrock
                && matches!(part, Feature::ImageUrl | Feature::DocumentUrl);
            if is_lost || is_foreign || dialect == Dialect::Completions {
                continue;
            }
            let (body, _) = dialect.write_request(&with(part), &OPENAI).unwrap();
            let found = incoming(dialect, body).needs(Needs::all());
            assert_eq!(found, only(part), "{dialect:?} {part:?}");
        }
    }
}

#[test]
fn what_does_not_reach_a_target_is_known_by_its_dialect() {
    let lost = |dialect| Needs::lost(Dialect::Chat, dialect, &OPENAI);
    assert_eq!(lost(Dialect::Responses), Needs::default());
    assert_eq!(lost(Dialect::Gemini), Needs::default());
    assert_eq!(lost(Dialect::Chat), only(Feature::DocumentUrl));
    assert_eq!(lost(Dialect::Anthropic), only(Feature::Audio));
    let urls = only(Feature::ImageUrl) | only(Feature::DocumentUrl);
    assert_eq!(lost(Dialect::Bedrock), urls);
    assert_eq!(lost(Dialect::Cohere).names(), "documents, audio");
    // Both have S3's URLs.
    let same = Needs::lost(Dialect::Bedrock, Dialect::Bedrock, &OPENAI);
    assert_eq!(same, Needs::default());
}

#[test]
fn a_schema_that_is_told_in_words_is_lost() {
    let schema = only(Feature::JsonSchema);
    for (dialect, model, is_lost) in [
        (Dialect::Anthropic, "claude-3-7-sonnet-latest", true),
        (Dialect::Anthropic, "claude-sonnet-4-5-20250929", false),
        (
            Dialect::Bedrock,
            "us.anthropic.claude-3-haiku-20240307-v1:0",
            true,
        ),
        (Dialect::Bedrock, "meta.llama3-1-8b-instruct-v1:0", true),
        (
            Dialect::Bedrock,
            "eu.anthropic.claude-sonnet-4-5-20250929-v1:0",
            false,
        ),
    ] {
        let lost = Needs::lost(Dialect::Chat, dialect, &to(&Accent::OPENAI, model));
        assert_eq!(!(lost & schema).is_empty(), is_lost, "{model}");
    }
}

#[test]
fn a_question_needs_nothing_whatever_it_is_about() {
    let said = "Why does \"tools\": [] or \"image_url\" with \"input_audio\" and a \"file\" fail? A \"schema\"?";
    let body = json!({"model": "m", "messages": [{"role": "user", "content": said}], "tools": []});
    assert!(Needs::all().may_stand_in(body.to_string().as_bytes()));
    assert_eq!(needs(Dialect::Chat, &body), Needs::default());
}

#[test]
fn tools_that_are_not_to_be_called_are_not_needed() {
    let tools = json!([{"type": "function", "function": {"name": "look"}}]);
    let messages = json!([{"role": "user", "content": "Look."}]);
    let mut body = json!({"model": "m", "messages": messages, "tools": tools});
    assert_eq!(needs(Dialect::Chat, &body), only(Feature::Tools));
    body["tool_choice"] = "none".into();
    assert_eq!(needs(Dialect::Chat, &body), Needs::default());
}

#[test]
fn pictures_in_tool_results_are_seen() {
    let source = json!({"type": "base64", "media_type": "image/png", "data": "AAAA"});
    let result = json!({"type": "tool_result", "tool_use_id": "t", "content": [{"type": "image", "source": source}]});
    let call = json!({"type": "tool_use", "id": "t", "name": "look", "input": {}});
    let body = json!({"model": "m", "max_tokens": 9, "messages": [
        {"role": "user", "content": "Look."},
        {"role": "assistant", "content": [call]},
        {"role": "user", "content": [result]},
    ]});
    assert_eq!(needs(Dialect::Anthropic, &body), only(Feature::ImageData));
}

#[test]
fn only_what_is_asked_about_is_told() {
    let body = json!({"model": "m", "messages": [{"role": "user", "content": [
        {"type": "image_url", "image_url": {"url": "https://example.test/a.png"}},
        {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}},
    ]}]});
    let incoming = incoming(Dialect::Chat, body.to_string());
    let images = Needs::from_iter([Capability::Images]);
    assert_eq!(incoming.needs(images), only(Feature::ImageUrl));
    assert_eq!(incoming.needs(Needs::all()).names(), "images, audio");
    assert_eq!(incoming.needs(Needs::default()), Needs::default());
}
