//! Media in messages: data URLs, and the names of formats.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use crate::dialect::common::Source;

/// Where a medium is by its URL, which may hold it: `data:image/png;base64,…`.
pub(super) fn source_of_url(url: String) -> Source {
    match data_url(&url) {
        Some((media_type, data)) => Source::Base64 {
            media_type: media_type.to_owned(),
            data: data.to_owned(),
        },
        None => Source::Url {
            url,
            media_type: None,
        },
    }
}

/// The media type and the base64 of a data URL.
pub(super) fn data_url(url: &str) -> Option<(&str, &str)> {
    let (head, data) = url.strip_prefix("data:")?.split_once(',')?;
    let head = head.strip_suffix(";base64")?;
    // Parameters, such as `charset`, say nothing that a provider asks for.
    let media_type = head.split(';').next().unwrap_or(head);
    Some((media_type, data))
}

/// A URL that holds the medium.
pub(super) fn written_data_url(media_type: &str, data: &str) -> String {
    ["data:", media_type, ";base64,", data].concat()
}

/// The media type of `input_audio.format`.
pub(super) fn audio_type(format: &str) -> String {
    ["audio/", format].concat()
}

/// `input_audio.format` of a media type.
pub(super) fn audio_format(media_type: &str) -> &str {
    let subtype = media_type.strip_prefix("audio/").unwrap_or(media_type);
    match subtype {
        "x-wav" | "wave" | "vnd.wave" => "wav",
        "mpeg" | "x-mp3" | "mpeg3" => "mp3",
        other => other,
    }
}

/// The text of a document in base64 whose media type says that it is text.
pub(super) fn text_of(media_type: &str, data: &str) -> Option<String> {
    let is_text = media_type.starts_with("text/")
        || matches!(
            media_type,
            "application/json" | "application/xml" | "application/yaml"
        );
    if !is_text {
        return None;
    }
    let bytes = BASE64_STANDARD.decode(data).ok()?;
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_data_url_is_taken_apart() {
        let png = "data:image/png;base64,aGk=";
        assert_eq!(data_url(png), Some(("image/png", "aGk=")));
        assert_eq!(written_data_url("image/png", "aGk="), png);
        let text = "data:text/plain;charset=utf-8;base64,aGk=";
        assert_eq!(data_url(text), Some(("text/plain", "aGk=")));
        for other in ["https://example.com/a,b", "data:image/png,raw", "data:"] {
            assert_eq!(data_url(other), None);
        }
    }

    #[test]
    fn text_is_taken_out_of_base64() {
        assert_eq!(text_of("text/plain", "aGk="), Some("hi".into()));
        assert_eq!(text_of("application/pdf", "aGk="), None);
        assert_eq!(text_of("text/plain", "%"), None);
    }
}
