//! One part of a turn, as a provider is told it.

use serde::Serialize;
use serde_json::value::RawValue;

use crate::dialect::Dialect;
use crate::dialect::common::{Content, Dropped, Feature, Json, Outgoing, Part, Source};
use crate::dialect::gemini::media::{self, Guess, Kind};
use crate::dialect::gemini::wire::{self, Many, Raw, Text};

/// A part, or one of Google's own that was carried.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Piece<'a> {
    /// Made here.
    Part(Box<wire::Part<'a>>),
    /// As the caller wrote it.
    Carried(&'a Json),
}

impl<'a> From<wire::Part<'a>> for Piece<'a> {
    fn from(part: wire::Part<'a>) -> Self {
        Self::Part(Box::new(part))
    }
}

/// A text.
pub fn text(text: &str) -> wire::Part<'_> {
    wire::Part {
        text: Some(text.into()),
        ..wire::Part::default()
    }
}

/// What the parts of a request have in common.
#[derive(Clone, Copy)]
pub struct Manner {
    /// The caller speaks Google's dialect, too: its words are left as they are.
    pub is_own: bool,
    /// See [`crate::dialect::gemini::thinking::is_third_generation`].
    pub is_third: bool,
    /// Whether it goes to Vertex.
    pub is_vertex: bool,
}

impl Manner {
    /// That of a request from `source`.
    pub fn of(source: Dialect, to: &Outgoing<'_>) -> Self {
        Self {
            is_own: source == Dialect::Gemini,
            is_third: crate::dialect::gemini::thinking::is_third_generation(to.model),
            is_vertex: to.is_vertex,
        }
    }

    /// A picture, document, recording or film. None for another content, and for what is lost.
    pub fn medium<'a>(self, content: &'a Content, dropped: &mut Dropped) -> Option<wire::Part<'a>> {
        let (kind, source, name) = medium_of(content)?;
        // Google AI has no such field.
        let named = name.filter(|_| self.is_vertex || self.is_own);
        if name != named {
            dropped.note(match source {
                Source::Base64 { .. } => Feature::DocumentData,
                Source::Text(_) => Feature::DocumentText,
                Source::Url { .. } | Source::File { .. } => Feature::DocumentUrl,
            });
        }
        let guess = match (self.is_own, self.is_vertex) {
            (true, _) => Guess::Nothing,
            (false, false) => Guess::ByName,
            (false, true) => Guess::Anything,
        };
        let Some(mut part) = media::part(kind, source, named, guess) else {
            dropped.note(Feature::UploadedFile);
            return None;
        };
        if let Content::Image {
            detail: Some(detail),
            ..
        } = content
            && detail != "auto"
        {
            let level = LEVELS.iter().find(|(name, _)| name == detail);
            match level.filter(|_| self.is_own || self.is_third) {
                Some((_, level)) => {
                    part.media_resolution = Some(wire::MediaResolution {
                        level: Some(Text::from(*level)),
                        rest: Vec::new(),
                    });
                }
                None => dropped.note(Feature::ImageDetail),
            }
        }
        Some(part)
    }

    /// A tool's result, and the media of it that must stand behind it.
    pub fn result<'a>(
        self,
        (id, name): (&'a str, &'a str),
        parts: &'a [Part],
        is_error: bool,
        dropped: &mut Dropped,
    ) -> (wire::Part<'a>, Vec<wire::Part<'a>>) {
        let mut inside = Vec::new();
        let mut behind = Vec::new();
        let mut texts = Vec::new();
        for part in parts {
            match &part.content {
                Content::Text { text, .. } | Content::Refusal(text) => texts.push(text.as_str()),
                Content::Opaque { dialect, json, .. } if *dialect == Dialect::Gemini => {
                    inside.extend(serde_json::from_str::<wire::Part<'_>>(json.as_str()).ok());
                }
                content => {
                    let is_inside = self.is_own || (self.is_third && fits_in_result(content));
                    let list = match is_inside {
                        true => &mut inside,
                        false => &mut behind,
                    };
                    list.extend(self.medium(content, dropped));
                }
            }
        }
        let response = wire::FunctionResponse {
            id: Some(id.into()),
            name: Some(name.into()),
            response: Some(Raw::Made(response(&texts, is_error))),
            parts: (!inside.is_empty()).then_some(Many(inside)),
            rest: Vec::new(),
        };
        let part = wire::Part {
            function_response: Some(response),
            ..wire::Part::default()
        };
        (part, behind)
    }
}

const LEVELS: &[(&str, &str)] = &[
    ("low", "MEDIA_RESOLUTION_LOW"),
    ("medium", "MEDIA_RESOLUTION_MEDIUM"),
    ("high", "MEDIA_RESOLUTION_HIGH"),
    ("ultra_high", "MEDIA_RESOLUTION_ULTRA_HIGH"),
];

fn medium_of(content: &Content) -> Option<(Kind, &Source, Option<&str>)> {
    Some(match content {
        Content::Image { source, .. } => (Kind::Image, source, None),
        Content::Audio { source } => (Kind::Audio, source, None),
        Content::Video { source } => (Kind::Video, source, None),
        Content::Document { source, name, .. } => (Kind::Document, source, name.as_deref()),
        _ => return None,
    })
}

/// Whether Gemini 3 takes it within a function's response.
fn fits_in_result(content: &Content) -> bool {
    const TYPES: [&str; 5] = [
        "image/png",
        "image/jpeg",
        "image/webp",
        "application/pdf",
        "text/plain",
    ];
    match medium_of(content) {
        Some((_, Source::Base64 { media_type, .. }, _)) => TYPES.contains(&media_type.as_str()),
        Some((_, Source::Text(_) | Source::File { .. }, _)) => true,
        _ => false,
    }
}

/// A call of the model's.
pub fn call<'a>(id: &'a str, name: &'a str, arguments: &'a str) -> wire::Part<'a> {
    let args = match serde_json::from_str::<&RawValue>(arguments) {
        Ok(args) if args.get().starts_with('{') => Raw::Read(args),
        _ if arguments.trim().is_empty() => Raw::Made(Json::empty_object()),
        // It was cut: what there is of it, as the object that Google demands.
        _ => Raw::Made(Json::of(&serde_json::json!({ "arguments": arguments }))),
    };
    wire::Part {
        function_call: Some(wire::FunctionCall {
            id: Some(id.into()),
            name: Some(name.into()),
            args: Some(args),
            ..wire::FunctionCall::default()
        }),
        ..wire::Part::default()
    }
}

/// The object that says what a tool said: its own, if it is one, or else one of Google's two members.
fn response(texts: &[&str], is_error: bool) -> Json {
    #[derive(Serialize)]
    #[serde(rename_all = "lowercase")]
    enum Member<'a> {
        Output(Said<'a>),
        Error(Said<'a>),
    }

    #[derive(Serialize)]
    #[serde(untagged)]
    enum Said<'a> {
        Json(&'a RawValue),
        Text(&'a str),
    }

    if texts.is_empty() && !is_error {
        return Json::empty_object();
    }
    let joined = texts.join("\n");
    let structure = Some(joined.trim_start())
        .filter(|text| text.starts_with(['{', '[']))
        .and_then(|text| serde_json::from_str::<&RawValue>(text).ok());
    let said = match structure {
        Some(raw) if !is_error && is_plain(raw.get()) => return Json::of(&raw),
        Some(raw) => Said::Json(raw),
        None => Said::Text(&joined),
    };
    Json::of(&match is_error {
        true => Member::Error(said),
        false => Member::Output(said),
    })
}

/// Whether it is an object that is not one of Google's two members already.
fn is_plain(json: &str) -> bool {
    let members: Option<std::collections::BTreeMap<Text<'_>, serde::de::IgnoredAny>> =
        serde_json::from_str(json).ok();
    members.is_some_and(|members| {
        let mut names = members.keys();
        members.len() != 1 || !names.any(|name| matches!(&**name, "output" | "error"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_response_is_an_object() {
        for (text, is_error, expected) in [
            ("sunny", false, r#"{"output":"sunny"}"#),
            ("42", false, r#"{"output":"42"}"#),
            ("[1, 2]", false, r#"{"output":[1, 2]}"#),
            (r#"{"t": 1.0}"#, false, r#"{"t": 1.0}"#),
            (r#"{"error":"x"}"#, false, r#"{"output":{"error":"x"}}"#),
            ("{no", false, r#"{"output":"{no"}"#),
            ("boom", true, r#"{"error":"boom"}"#),
            (r#"{"t":1}"#, true, r#"{"error":{"t":1}}"#),
        ] {
            assert_eq!(response(&[text], is_error).as_str(), expected);
        }
        assert_eq!(response(&[], false).as_str(), "{}");
        assert_eq!(response(&[], true).as_str(), r#"{"error":""}"#);
    }
}
