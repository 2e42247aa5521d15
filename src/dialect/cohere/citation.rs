//! Citations: parts of an answer, and the documents and tool results that support them.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::wire::Count;
use crate::dialect::Dialect;
use crate::dialect::common::{Citation, Content, Json};

/// What a citation is called that supports no text of the answer, but a thought or a plan.
pub(super) const KIND: &str = "citation";

#[derive(Deserialize)]
struct Fields {
    start: Option<Count>,
    end: Option<Count>,
    #[serde(default)]
    sources: Vec<Source>,
    content_index: Option<Count>,
    #[serde(rename = "type")]
    kind: Option<String>,
}

#[derive(Deserialize)]
struct Source {
    id: Option<String>,
    document: Option<Map<String, Value>>,
    tool_output: Option<Map<String, Value>>,
}

/// A citation and the content block that it belongs to.
pub(super) enum Read {
    OfText {
        citation: Citation,
        block: Option<u64>,
    },
    /// Of something that takes no citations in the common form.
    OfOther(Content),
}

/// Reads a citation. The first of its sources stands for all; the rest is in its JSON.
pub(super) fn read(raw: &RawValue) -> Result<Read, serde_json::Error> {
    let fields: Fields = serde_json::from_str(raw.get())?;
    let json = Json::parse(raw.get())?;
    if fields.kind.is_some_and(|kind| kind != "TEXT_CONTENT") {
        return Ok(Read::OfOther(Content::Opaque {
            dialect: Dialect::Cohere,
            kind: KIND.to_owned(),
            json,
        }));
    }
    let source = fields.sources.into_iter().next();
    let (id, document) = match source {
        Some(source) => (source.id, source.document.or(source.tool_output)),
        None => (None, None),
    };
    let document = document.unwrap_or_default();
    let text = |names: &[&str]| {
        let value = names.iter().find_map(|name| document.get(*name)?.as_str());
        value.map(str::to_owned)
    };
    let citation = Citation {
        url: text(&["url"]),
        title: text(&["title"]).or(id),
        cited_text: text(&["snippet", "text", "content"]),
        span: fields
            .start
            .zip(fields.end)
            .map(|(start, end)| (start.0, end.0)),
        origin: Dialect::Cohere,
        json,
    };
    let block = fields.content_index.map(|index| index.0);
    Ok(Read::OfText { citation, block })
}

/// Writes a citation for a caller. `text` is that of the content block, as far as it is written.
pub(super) fn written(citation: &Citation, text: &str, block: usize) -> Json {
    if citation.origin == Dialect::Cohere {
        return citation.json.clone();
    }
    let (start, end) = citation
        .span
        .unwrap_or_else(|| (0, text.chars().count() as u64));
    let first = usize::try_from(start).unwrap_or(usize::MAX);
    let length = usize::try_from(end.saturating_sub(start)).unwrap_or(usize::MAX);
    let document = Document {
        title: citation.title.as_deref(),
        url: citation.url.as_deref(),
        snippet: citation.cited_text.as_deref(),
    };
    Json::of(&Written {
        start,
        end,
        text: text.chars().skip(first).take(length).collect(),
        sources: [WrittenSource {
            kind: "document",
            id: document.url.or(document.title).unwrap_or_default(),
            document,
        }],
        content_index: block,
        kind: "TEXT_CONTENT",
    })
}

#[derive(Serialize)]
struct Written<'a> {
    start: u64,
    end: u64,
    text: String,
    sources: [WrittenSource<'a>; 1],
    content_index: usize,
    #[serde(rename = "type")]
    kind: &'static str,
}

#[derive(Serialize)]
struct WrittenSource<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    id: &'a str,
    document: Document<'a>,
}

#[derive(Serialize)]
struct Document<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    snippet: Option<&'a str>,
}
