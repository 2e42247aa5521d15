//! Citations: where a text block says what it has from where.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::OWN;
use crate::dialect::common::{Citation, Json};

/// Reads one as Anthropic or a caller wrote it.
pub(super) fn read(json: Json, span: Option<(u64, u64)>) -> Citation {
    #[derive(Default, Deserialize)]
    struct Fields {
        url: Option<String>,
        source: Option<String>,
        title: Option<String>,
        document_title: Option<String>,
        cited_text: Option<String>,
    }
    // Of what kind soever it is: what it does not have of these, it does not have.
    let fields: Fields = serde_json::from_str(json.as_str()).unwrap_or_default();
    let is_url = |source: &String| source.starts_with("https:") || source.starts_with("http:");
    Citation {
        url: fields.url.or(fields.source.filter(is_url)),
        title: fields.title.or(fields.document_title),
        cited_text: fields.cited_text,
        span,
        origin: OWN,
        json,
    }
}

/// Writes one for a caller. Another provider's becomes the result of a web search, without the index by which
/// Anthropic would find it again.
pub(super) fn shown(citation: &Citation) -> Cow<'_, Json> {
    #[derive(Serialize)]
    struct WebSearchResult<'a> {
        r#type: &'static str,
        cited_text: &'a str,
        url: &'a str,
        title: Option<&'a str>,
        encrypted_index: &'static str,
    }
    if citation.origin == OWN {
        return Cow::Borrowed(&citation.json);
    }
    Cow::Owned(Json::of(&WebSearchResult {
        r#type: "web_search_result_location",
        cited_text: citation.cited_text.as_deref().unwrap_or_default(),
        url: citation.url.as_deref().unwrap_or_default(),
        title: citation.title.as_deref(),
        encrypted_index: "",
    }))
}

/// Writes one for Anthropic; None if it is not Anthropic's own.
pub(super) fn sent(citation: &Citation) -> Option<&Json> {
    #[derive(Deserialize)]
    struct Index {
        encrypted_index: Option<String>,
    }
    let is_made_here = || {
        let index = serde_json::from_str::<Index>(citation.json.as_str());
        index.is_ok_and(|index| index.encrypted_index.as_deref() == Some(""))
    };
    (citation.origin == OWN && !is_made_here()).then_some(&citation.json)
}
