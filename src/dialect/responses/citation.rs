//! Annotations of a text: citations of pages and files.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::dialect::Dialect;
use crate::dialect::common::{Citation, Json};

/// Reads an annotation of a text that stands `base` characters into its part.
pub fn read(raw: &RawValue, base: u64) -> Citation {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Annotation {
        url: Option<String>,
        title: Option<String>,
        filename: Option<String>,
        start_index: Option<u64>,
        end_index: Option<u64>,
    }
    // A kind of annotation that has these names for other things is carried all the same.
    let annotation: Annotation = serde_json::from_str(raw.get()).unwrap_or_default();
    let span = annotation.start_index.zip(annotation.end_index);
    let mut citation = Citation {
        url: annotation.url,
        title: annotation.title.or(annotation.filename),
        cited_text: None,
        span,
        origin: Dialect::Responses,
        json: Json::of(&raw),
    };
    shift(&mut citation, base);
    citation
}

/// Moves a citation by `base` characters: its text was joined to one before it.
pub fn shift(citation: &mut Citation, base: u64) {
    let Some((start, end)) = citation.span.filter(|_| base > 0) else {
        return;
    };
    let (start, end) = (start.saturating_add(base), end.saturating_add(base));
    citation.span = Some((start, end));
    if citation.origin == Dialect::Responses {
        let mut json = citation.json.value();
        json["start_index"] = start.into();
        json["end_index"] = end.into();
        citation.json = Json::of(&json);
    }
}

/// The annotation that says the same; None if there is no URL. `at` stands in where the span is unknown.
pub fn annotation(citation: &Citation, at: u64) -> Option<Cow<'_, Json>> {
    if citation.origin == Dialect::Responses {
        return Some(Cow::Borrowed(&citation.json));
    }
    let url = citation.url.as_deref()?;
    let (start, end) = citation.span.unwrap_or((at, at));
    Some(Cow::Owned(Json::of(&UrlCitation {
        kind: "url_citation",
        start_index: start,
        end_index: end,
        url,
        title: citation.title.as_deref().unwrap_or(url),
    })))
}

/// The annotation for a caller, which may also name a document without a URL.
pub fn shown(citation: &Citation, at: u64) -> Option<Json> {
    if let Some(annotation) = annotation(citation, at) {
        return Some(annotation.into_owned());
    }
    let filename = citation.title.as_deref()?;
    Some(Json::of(&FileCitation {
        kind: "file_citation",
        file_id: "",
        filename,
        index: citation.span.map_or(at, |(_, end)| end),
    }))
}

#[derive(Serialize)]
struct UrlCitation<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    start_index: u64,
    end_index: u64,
    url: &'a str,
    title: &'a str,
}

#[derive(Serialize)]
struct FileCitation<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    file_id: &'static str,
    filename: &'a str,
    index: u64,
}
