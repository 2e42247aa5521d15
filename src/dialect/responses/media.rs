//! Where pictures, documents and recordings are: `data:` URLs, other URLs, and ids of files.

use crate::dialect::Dialect;
use crate::dialect::common::Source;

/// What a URL, maybe a `data:` one, points to.
pub fn from_url(url: &str) -> Source {
    let data = url.strip_prefix("data:").and_then(|rest| {
        let (kind, data) = rest.split_once(',')?;
        Some((kind.strip_suffix(";base64")?, data))
    });
    match data {
        Some((kind, data)) => Source::Base64 {
            // Parameters, such as a charset, are not part of the type's name.
            media_type: kind.split(';').next().unwrap_or_default().to_owned(),
            data: data.to_owned(),
        },
        None => Source::Url {
            url: url.to_owned(),
            media_type: None,
        },
    }
}

/// A document's data: a `data:` URL or bare base64, whose type the file's name tells.
pub fn from_file_data(data: &str, name: Option<&str>) -> Source {
    if data.starts_with("data:") {
        return from_url(data);
    }
    Source::Base64 {
        media_type: type_of_name(name).to_owned(),
        data: data.to_owned(),
    }
}

/// The `data:` URL.
pub fn data_url(media_type: &str, data: &str) -> String {
    ["data:", media_type, ";base64,", data].concat()
}

/// Whether OpenAI's servers can fetch it, or find the data in it.
pub fn is_fetchable(url: &str) -> bool {
    ["https:", "http:", "data:"]
        .iter()
        .any(|scheme| url.starts_with(scheme))
}

/// The id of a file at OpenAI, which both of its dialects may name.
pub fn file_id(dialect: Dialect, id: &str) -> Option<&str> {
    matches!(dialect, Dialect::Chat | Dialect::Responses).then_some(id)
}

/// `input_audio`'s word for a media type.
pub fn audio_format(media_type: &str) -> Option<&'static str> {
    match media_type {
        "audio/wav" | "audio/x-wav" | "audio/wave" | "audio/vnd.wave" => Some("wav"),
        "audio/mp3" | "audio/mpeg" => Some("mp3"),
        _ => None,
    }
}

/// A name for a document that has none, which tells its type.
pub fn name_of_type(media_type: &str) -> &'static str {
    let mut types = TYPES.iter();
    let known = types.find(|(_, name, _)| *name == media_type);
    known.map_or("document.pdf", |(_, _, document)| document)
}

fn type_of_name(name: Option<&str>) -> &'static str {
    let ending = name
        .and_then(|name| name.rsplit_once('.'))
        .map(|(_, ending)| ending.to_ascii_lowercase());
    let mut types = TYPES.iter();
    let known = types.find(|(known, ..)| ending.as_deref() == Some(known));
    known.map_or("application/pdf", |(_, media_type, _)| media_type)
}

/// Endings of names, media types, and names for documents without one.
const TYPES: &[(&str, &str, &str)] = &[
    ("pdf", "application/pdf", "document.pdf"),
    ("txt", "text/plain", "document.txt"),
    ("md", "text/markdown", "document.md"),
    ("csv", "text/csv", "document.csv"),
    ("html", "text/html", "document.html"),
    ("xml", "text/xml", "document.xml"),
    ("json", "application/json", "document.json"),
    ("doc", "application/msword", "document.doc"),
    (
        "docx",
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        "document.docx",
    ),
    ("xls", "application/vnd.ms-excel", "document.xls"),
    (
        "xlsx",
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        "document.xlsx",
    ),
];
