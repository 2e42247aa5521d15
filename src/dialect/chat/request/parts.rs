//! Content parts of a caller's message, read.

use std::borrow::Cow;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use crate::dialect::chat::wire::{CacheControl, lenient_text};
use crate::dialect::chat::{MESSAGE_FIELD, media};
use crate::dialect::common::{Cache, Content, Part, Source, Thinking};
use crate::dialect::field::{missing, parse};
use crate::dialect::{Dialect, Error};

/// Where a message or one of its parts stands in the body.
#[derive(Clone, Copy)]
pub(super) struct Place {
    message: usize,
    part: Option<usize>,
}

impl Place {
    pub(super) const fn of(message: usize) -> Self {
        Self {
            message,
            part: None,
        }
    }

    pub(super) const fn part(self, part: usize) -> Self {
        Self {
            part: Some(part),
            ..self
        }
    }

    fn path(self) -> String {
        match self.part {
            None => format!("messages[{}]", self.message),
            Some(part) => format!("messages[{}].content[{part}]", self.message),
        }
    }

    /// The path of a field there.
    pub(super) fn field(self, name: &str) -> String {
        [&self.path(), ".", name].concat()
    }

    pub(super) fn missing(self, name: &str) -> Error {
        missing(&self.field(name))
    }

    pub(super) fn invalid(self, name: &str, must: &str) -> Error {
        let field = self.field(name);
        let message = format!("`{field}` {must}");
        Error::invalid(&field, message)
    }
}

/// The fields of all parts that are known.
#[derive(Deserialize)]
struct Fields {
    text: Option<String>,
    refusal: Option<String>,
    image_url: Option<Link>,
    video_url: Option<Link>,
    audio_url: Option<Link>,
    document_url: Option<Link>,
    document_name: Option<String>,
    input_audio: Option<AudioFields>,
    file: Option<FileFields>,
    thinking: Option<Vec<ThinkingText>>,
    cache_control: Option<CacheControl>,
    prompt_cache_breakpoint: Option<IgnoredAny>,
}

/// A URL, with or without an object around it.
#[derive(Deserialize)]
#[serde(untagged)]
enum Link {
    Url(String),
    Object { url: String, detail: Option<String> },
}

#[derive(Deserialize)]
struct AudioFields {
    data: String,
    format: String,
}

#[derive(Deserialize)]
struct FileFields {
    file_data: Option<String>,
    file_id: Option<String>,
    filename: Option<String>,
}

#[derive(Deserialize)]
struct ThinkingText {
    text: Option<String>,
}

/// Reads a part; None where it says nothing.
pub(super) fn read(raw: &RawValue, place: Place) -> Result<Option<Part>, Error> {
    #[derive(Deserialize)]
    struct Kind<'a> {
        #[serde(rename = "type", borrow, deserialize_with = "lenient_text", default)]
        kind: Cow<'a, str>,
    }
    let path = place.path();
    let json = raw.get();
    // Which a list could else pass for.
    if !json.starts_with('{') {
        return Err(Error::invalid(&path, format!("`{path}` must be an object")));
    }
    let Kind { kind } = parse(json, &path)?;
    if kind.is_empty() {
        return Err(place.missing("type"));
    }
    if [MESSAGE_FIELD, "tool_calls."]
        .iter()
        .any(|lead| kind.starts_with(lead))
    {
        return Err(place.invalid("type", "is not a type of content"));
    }
    if !KINDS.contains(&&*kind) {
        return Ok(Some(opaque(raw, &kind)?.into()));
    }
    let mut fields: Fields = parse(json, &path)?;
    let mark = fields.cache_control.take().map(Cache::from);
    let cache = mark.or(fields.prompt_cache_breakpoint.map(|_| Cache::Usual));
    let content = fields.read(&kind, raw, place)?;
    Ok(content.map(|content| Part { content, cache }))
}

const KINDS: &[&str] = &[
    "text",
    "refusal",
    "image_url",
    "input_audio",
    "audio_url",
    "video_url",
    "document_url",
    "file",
    "thinking",
];

impl Fields {
    fn read(self, kind: &str, raw: &RawValue, place: Place) -> Result<Option<Content>, Error> {
        Ok(Some(match kind {
            "text" => match self.text {
                Some(text) if text.is_empty() => return Ok(None),
                Some(text) => Part::text(text).content,
                None => return Err(place.missing("text")),
            },
            "refusal" => Content::Refusal(self.refusal.ok_or_else(|| place.missing("refusal"))?),
            "image_url" => {
                let link = self.image_url.ok_or_else(|| place.missing("image_url"))?;
                let (url, detail) = link.parts();
                let source = media::source_of_url(url);
                Content::Image { source, detail }
            }
            "input_audio" => {
                let audio = self
                    .input_audio
                    .ok_or_else(|| place.missing("input_audio"))?;
                let source = Source::Base64 {
                    media_type: media::audio_type(&audio.format),
                    data: audio.data,
                };
                Content::Audio { source }
            }
            "audio_url" => {
                let link = self.audio_url.ok_or_else(|| place.missing("audio_url"))?;
                let source = media::source_of_url(link.parts().0);
                Content::Audio { source }
            }
            "video_url" => {
                let link = self.video_url.ok_or_else(|| place.missing("video_url"))?;
                let source = media::source_of_url(link.parts().0);
                Content::Video { source }
            }
            "document_url" => {
                let link = self
                    .document_url
                    .ok_or_else(|| place.missing("document_url"))?;
                Content::Document {
                    source: media::source_of_url(link.parts().0),
                    name: self.document_name,
                    cite: false,
                }
            }
            "file" => self
                .file
                .ok_or_else(|| place.missing("file"))?
                .read(place)?,
            "thinking" => {
                let texts = self.thinking.into_iter().flatten();
                Content::Thinking(Thinking {
                    text: texts.filter_map(|chunk| chunk.text).collect(),
                    ..Thinking::default()
                })
            }
            _ => opaque(raw, kind)?,
        }))
    }
}

impl Link {
    fn parts(self) -> (String, Option<String>) {
        match self {
            Self::Url(url) => (url, None),
            Self::Object { url, detail } => (url, detail),
        }
    }
}

impl FileFields {
    /// `file_data` is a data URL at OpenAI, where a few take the bare base64 for a PDF's; at OpenRouter it may be any URL.
    fn read(self, place: Place) -> Result<Content, Error> {
        let source = match (self.file_data, self.file_id) {
            (Some(data), _) if data.contains(':') => media::source_of_url(data),
            (Some(data), _) => Source::Base64 {
                media_type: "application/pdf".to_owned(),
                data,
            },
            (None, Some(id)) => Source::File {
                dialect: Dialect::Chat,
                id,
            },
            (None, None) => return Err(place.missing("file.file_data")),
        };
        Ok(Content::Document {
            source,
            name: self.filename,
            cite: false,
        })
    }
}

fn opaque(raw: &RawValue, kind: &str) -> Result<Content, Error> {
    Ok(Content::Opaque {
        dialect: Dialect::Chat,
        kind: kind.to_owned(),
        json: parse(raw.get(), "")?,
    })
}
