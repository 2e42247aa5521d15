//! Media: their formats, and the names of documents.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

/// Words of Converse for formats and the media types that they stand for; of several, the first is written.
type Formats = [(&'static str, &'static str)];

const IMAGES: &Formats = &[
    ("png", "image/png"),
    ("jpeg", "image/jpeg"),
    ("jpeg", "image/jpg"),
    ("gif", "image/gif"),
    ("webp", "image/webp"),
];

const DOCUMENTS: &Formats = &[
    ("pdf", "application/pdf"),
    ("csv", "text/csv"),
    ("doc", "application/msword"),
    (
        "docx",
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    ),
    ("xls", "application/vnd.ms-excel"),
    (
        "xlsx",
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    ),
    ("html", "text/html"),
    ("txt", "text/plain"),
    ("md", "text/markdown"),
    ("md", "text/x-markdown"),
];

const VIDEOS: &Formats = &[
    ("mp4", "video/mp4"),
    ("mov", "video/quicktime"),
    ("mkv", "video/x-matroska"),
    ("mkv", "video/matroska"),
    ("webm", "video/webm"),
    ("flv", "video/x-flv"),
    ("mpeg", "video/mpeg"),
    ("mpg", "video/mpg"),
    ("wmv", "video/x-ms-wmv"),
    ("wmv", "video/wmv"),
    ("three_gp", "video/3gpp"),
];

const AUDIOS: &Formats = &[
    ("mp3", "audio/mp3"),
    ("wav", "audio/wav"),
    ("wav", "audio/x-wav"),
    ("wav", "audio/wave"),
    ("mpeg", "audio/mpeg"),
    ("mp4", "audio/mp4"),
    ("m4a", "audio/m4a"),
    ("m4a", "audio/x-m4a"),
    ("aac", "audio/aac"),
    ("x-aac", "audio/x-aac"),
    ("flac", "audio/flac"),
    ("flac", "audio/x-flac"),
    ("ogg", "audio/ogg"),
    ("opus", "audio/opus"),
    ("webm", "audio/webm"),
    ("pcm", "audio/pcm"),
    ("mpga", "audio/mpga"),
    ("mka", "audio/x-matroska"),
    ("mkv", "audio/mkv"),
];

/// What a medium is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Medium {
    Image,
    Document,
    Video,
    Audio,
}

impl Medium {
    /// The word for `media_type`, parameters set aside; None if Converse has none.
    pub fn format(self, media_type: &str) -> Option<&'static str> {
        let bare = media_type
            .split(';')
            .next()
            .unwrap_or_default()
            .trim_ascii();
        let mut formats = self.formats().iter();
        let known = formats.find(|(_, known)| known.eq_ignore_ascii_case(bare));
        known.map(|(format, _)| *format)
    }

    /// The word for the file at `url`, by the end of its name.
    pub fn format_of_file(self, url: &str) -> Option<&'static str> {
        let (_, end) = url.rsplit_once('.')?;
        let end = match end.to_ascii_lowercase().as_str() {
            "jpg" => "jpeg",
            "htm" => "html",
            "3gp" => "three_gp",
            _ => end,
        };
        let mut formats = self.formats().iter();
        let known = formats.find(|(format, _)| format.eq_ignore_ascii_case(end));
        known.map(|(format, _)| *format)
    }

    /// The media type that `format` stands for.
    pub fn media_type(self, format: &str) -> Cow<'static, str> {
        let mut formats = self.formats().iter();
        if let Some((_, media_type)) = formats.find(|(known, _)| *known == format) {
            return Cow::Borrowed(media_type);
        }
        let class = match self {
            Self::Image => "image/",
            Self::Document => "application/",
            Self::Video => "video/",
            Self::Audio => "audio/",
        };
        Cow::Owned([class, format].concat())
    }

    const fn formats(self) -> &'static Formats {
        match self {
            Self::Image => IMAGES,
            Self::Document => DOCUMENTS,
            Self::Video => VIDEOS,
            Self::Audio => AUDIOS,
        }
    }
}

/// The longest name of a document, in characters.
const NAME_MAX: usize = 200;

/// What a document without a name is called.
const NAMELESS: &str = "Document";

/// Gives the documents of one conversation names that Converse takes, each once. The names depend on what stands before
/// only, so a longer conversation begins with the same.
#[derive(Debug, Default)]
pub(super) struct Names {
    given: HashSet<String>,
    /// The last number behind each name, so that a thousand of one name are not counted a thousand times.
    numbers: HashMap<String, u32>,
}

impl Names {
    /// A name as near to `name` as may be.
    pub fn next(&mut self, name: Option<&str>) -> String {
        let base = fitted(name.unwrap_or_default());
        let mut name = base.clone();
        let number = self.numbers.entry(base.clone()).or_insert(1);
        while !self.given.insert(name.clone()) {
            *number += 1;
            let suffix = format!(" {number}");
            let length = base.len().min(NAME_MAX - suffix.len());
            name = [&base[..length], &suffix].concat();
        }
        name
    }
}

/// `name` in ASCII letters, digits, hyphens, brackets and single spaces; what is none of them is a hyphen.
fn fitted(name: &str) -> String {
    let mut fitted = String::with_capacity(name.len().min(NAME_MAX));
    for char in name.chars() {
        if fitted.len() == NAME_MAX {
            break;
        }
        let char = match char {
            'a'..='z' | 'A'..='Z' | '0'..='9' | '(' | ')' | '[' | ']' => char,
            _ if char.is_whitespace() => ' ',
            _ => '-',
        };
        let is_repeated = matches!(char, ' ' | '-') && fitted.ends_with(char);
        if !is_repeated {
            fitted.push(char);
        }
    }
    let trimmed = fitted.trim_matches([' ', '-']);
    match trimmed.is_empty() {
        true => NAMELESS.to_owned(),
        false => trimmed.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_and_media_types_stand_for_each_other() {
        for medium in [
            Medium::Image,
            Medium::Document,
            Medium::Video,
            Medium::Audio,
        ] {
            for (format, media_type) in medium.formats() {
                assert_eq!(medium.format(media_type), Some(*format));
                let written = medium.media_type(format);
                assert_eq!(medium.format(&written), Some(*format));
            }
        }
        assert_eq!(Medium::Image.format("image/bmp"), None);
        assert_eq!(
            Medium::Document.format("Text/Plain; charset=utf-8"),
            Some("txt")
        );
        assert_eq!(
            Medium::Image.format_of_file("s3://bucket/a.b/kiwi.JPG"),
            Some("jpeg")
        );
        assert_eq!(Medium::Image.format_of_file("s3://bucket/kiwi"), None);
        assert_eq!(Medium::Image.media_type("bmp"), "image/bmp");
    }

    #[test]
    fn documents_have_names_that_converse_takes_and_each_its_own() {
        let mut names = Names::default();
        let long = "x".repeat(300);
        for (asked, given) in [
            (None, "Document"),
            (Some("Q3 report.pdf"), "Q3 report-pdf"),
            (Some("Q3  report_pdf"), "Q3 report-pdf 2"),
            (Some("отчёт"), "Document 2"),
            (Some("[a] (b)"), "[a] (b)"),
            (None, "Document 3"),
            (Some(&long), &long[..200]),
            (Some(&long), &format!("{} 2", &long[..198])),
        ] {
            assert_eq!(names.next(asked), given);
        }
    }
}
