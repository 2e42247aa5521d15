//! Pictures, documents, recordings and films: `inlineData` and `fileData`.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::wire;
use crate::dialect::Dialect;
use crate::dialect::common::{Content, Source};

/// What a medium is to the common form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A picture.
    Image,
    /// A recording.
    Audio,
    /// A film.
    Video,
    /// Anything else.
    Document,
}

impl Kind {
    /// By the media type.
    pub fn of_type(media_type: &str) -> Self {
        match media_type.split_once('/') {
            Some(("image", _)) => Self::Image,
            Some(("audio", _)) => Self::Audio,
            Some(("video", _)) => Self::Video,
            _ => Self::Document,
        }
    }

    fn of_url(url: &str) -> Self {
        let is_film = ["://www.youtube.com/", "://m.youtube.com/", "://youtu.be/"]
            .iter()
            .any(|host| url.contains(host));
        match is_film {
            true => Self::Video,
            false => type_by_name(url).map_or(Self::Document, Self::of_type),
        }
    }

    /// What Vertex, which demands a media type, is told where nobody knows it.
    pub const fn usual_type(self) -> &'static str {
        match self {
            Self::Image => "image/jpeg",
            Self::Audio => "audio/mpeg",
            Self::Video => "video/mp4",
            Self::Document => "application/pdf",
        }
    }
}

/// `inlineData` in the common form.
pub fn inline(blob: wire::Blob<'_>) -> Content {
    let media_type = blob.mime_type.map(|text| text.owned()).unwrap_or_default();
    let data = blob.data.map(|text| standard(text.0)).unwrap_or_default();
    let name = blob.display_name.map(|name| name.owned());
    let kind = Kind::of_type(&media_type);
    if media_type == "text/plain"
        && let Ok(bytes) = STANDARD.decode(&data)
        && let Ok(text) = String::from_utf8(bytes)
    {
        return content(kind, Source::Text(text), name);
    }
    content(kind, Source::Base64 { media_type, data }, name)
}

/// `fileData` in the common form.
pub fn file(file: wire::FileData<'_>) -> Content {
    let url = file.file_uri.map(|text| text.owned()).unwrap_or_default();
    let media_type = file.mime_type.map(|text| text.owned());
    let name = file.display_name.map(|name| name.owned());
    let kind = match &media_type {
        Some(media_type) => Kind::of_type(media_type),
        None => Kind::of_url(&url),
    };
    let source = match (is_uploaded(&url), media_type) {
        // The type belongs to the id: without it the file is another one to Google.
        (true, Some(media_type)) => Source::File {
            dialect: Dialect::Gemini,
            id: [&url, "#", &media_type].concat(),
        },
        (true, None) => Source::File {
            dialect: Dialect::Gemini,
            id: url,
        },
        (false, media_type) => Source::Url { url, media_type },
    };
    content(kind, source, name)
}

fn content(kind: Kind, source: Source, name: Option<String>) -> Content {
    match kind {
        Kind::Image => Content::Image {
            source,
            detail: None,
        },
        Kind::Audio => Content::Audio { source },
        Kind::Video => Content::Video { source },
        Kind::Document => Content::Document {
            source,
            name,
            cite: false,
        },
    }
}

/// Whether `url` is a file that was uploaded to Google's files API.
fn is_uploaded(url: &str) -> bool {
    url.starts_with("https://generativelanguage.googleapis.com/") || url.starts_with("files/")
}

/// Google's SDK for Python writes the URL-safe alphabet.
fn standard(data: Cow<'_, str>) -> String {
    match memchr::memchr2(b'-', b'_', data.as_bytes()) {
        None => data.into_owned(),
        Some(_) => data.replace('-', "+").replace('_', "/"),
    }
}

/// The part that holds `source`. None for a file that is not at Google.
pub fn part<'a>(
    kind: Kind,
    source: &'a Source,
    name: Option<&'a str>,
    guess: Guess,
) -> Option<wire::Part<'a>> {
    let display_name = name.map(wire::Text::from);
    let (uri, media_type) = match source {
        Source::Base64 { media_type, data } => {
            // Common, accepted by OpenAI, and refused here.
            let media_type = match media_type.eq_ignore_ascii_case("image/jpg") {
                true => "image/jpeg",
                false => media_type,
            };
            return Some(blob(media_type, data.as_str().into(), display_name));
        }
        Source::Text(text) => {
            let data = STANDARD.encode(text);
            return Some(blob("text/plain", data.into(), display_name));
        }
        Source::Url { url, media_type } => (url.as_str(), media_type.as_deref()),
        Source::File {
            dialect: Dialect::Gemini,
            id,
        } => match id.split_once('#') {
            Some((url, media_type)) => (url, Some(media_type)),
            None => (id.as_str(), None),
        },
        Source::File { .. } => return None,
    };
    let guessed = match guess {
        Guess::Nothing => None,
        Guess::ByName => type_by_name(uri),
        Guess::Anything => Some(type_by_name(uri).unwrap_or(kind.usual_type())),
    };
    Some(wire::Part {
        file_data: Some(wire::FileData {
            mime_type: media_type.or(guessed).map(wire::Text::from),
            display_name,
            file_uri: Some(uri.into()),
            rest: Vec::new(),
        }),
        ..wire::Part::default()
    })
}

/// How far the media type of a file is guessed where nobody tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guess {
    /// The caller left it out in Google's own dialect.
    Nothing,
    /// Google AI finds it out by itself.
    ByName,
    /// Vertex refuses a file without.
    Anything,
}

fn blob<'a>(
    media_type: &'a str,
    data: wire::Text<'a>,
    display_name: Option<wire::Text<'a>>,
) -> wire::Part<'a> {
    wire::Part {
        inline_data: Some(wire::Blob {
            mime_type: Some(media_type.into()),
            display_name,
            data: Some(data),
            rest: Vec::new(),
        }),
        ..wire::Part::default()
    }
}

fn type_by_name(url: &str) -> Option<&'static str> {
    let path = url.split(['?', '#']).next().unwrap_or(url);
    let (_, ending) = path.rsplit_once('.')?;
    let known = TYPES
        .iter()
        .find(|(name, _)| ending.eq_ignore_ascii_case(name));
    known.map(|(_, media_type)| *media_type)
}

const TYPES: &[(&str, &str)] = &[
    ("png", "image/png"),
    ("jpg", "image/jpeg"),
    ("jpeg", "image/jpeg"),
    ("webp", "image/webp"),
    ("gif", "image/gif"),
    ("heic", "image/heic"),
    ("heif", "image/heif"),
    ("pdf", "application/pdf"),
    ("txt", "text/plain"),
    ("md", "text/markdown"),
    ("html", "text/html"),
    ("csv", "text/csv"),
    ("json", "application/json"),
    ("mp3", "audio/mpeg"),
    ("wav", "audio/wav"),
    ("ogg", "audio/ogg"),
    ("flac", "audio/flac"),
    ("aac", "audio/aac"),
    ("m4a", "audio/mp4"),
    ("mp4", "video/mp4"),
    ("mov", "video/quicktime"),
    ("webm", "video/webm"),
    ("mpeg", "video/mpeg"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_known_by_its_type_or_its_name() {
        let kind = |uri: &str| {
            file(wire::FileData {
                file_uri: Some(uri.into()),
                ..wire::FileData::default()
            })
        };
        assert!(matches!(kind("https://a/b.PNG?x=1"), Content::Image { .. }));
        assert!(matches!(
            kind("https://www.youtube.com/watch?v=1"),
            Content::Video { .. }
        ));
        assert!(matches!(kind("gs://a/b.mp3"), Content::Audio { .. }));
        assert!(matches!(kind("https://a/b"), Content::Document { .. }));
    }

    #[test]
    fn base64_is_of_the_standard_alphabet() {
        let blob = |mime: &'static str, data: &'static str| wire::Blob {
            mime_type: Some(mime.into()),
            data: Some(data.into()),
            ..wire::Blob::default()
        };
        let Content::Image {
            source: Source::Base64 { data, .. },
            ..
        } = inline(blob("image/png", "a-b_"))
        else {
            panic!("an image");
        };
        assert_eq!(data, "a+b/");
        let Content::Document { source, .. } = inline(blob("text/plain", "aMOp")) else {
            panic!("a document");
        };
        assert_eq!(source, Source::Text("hé".into()));
    }
}
