//! What an answer cites: `groundingMetadata` and `citationMetadata`.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::dialect::Dialect;
use crate::dialect::common::{Citation, Json};

/// The citations in `groundingMetadata` for `text`.
pub fn grounded(metadata: &str, text: &str) -> Vec<Citation> {
    let metadata: Grounding<'_> = serde_json::from_str(metadata).unwrap_or_default();
    let chunks: Vec<Citation> = metadata
        .grounding_chunks
        .iter()
        .map(|raw| cited(raw))
        .collect();
    let mut is_used = vec![false; chunks.len()];
    let mut citations = Vec::new();
    for support in &metadata.grounding_supports {
        let span = support.segment.span(text);
        for index in &support.grounding_chunk_indices {
            let index = usize::try_from(*index).unwrap_or(usize::MAX);
            if let (Some(chunk), Some(is_used)) = (chunks.get(index), is_used.get_mut(index)) {
                *is_used = true;
                let mut citation = chunk.clone();
                citation.span = span;
                citations.push(citation);
            }
        }
    }
    let unused = chunks
        .into_iter()
        .zip(is_used)
        .filter(|(_, is_used)| !is_used);
    citations.extend(unused.map(|(chunk, _)| chunk));
    citations
}

/// The citations in `citationMetadata` for `text`.
pub fn quoted(metadata: &str, text: &str) -> Vec<Citation> {
    let metadata: Quotes<'_> = serde_json::from_str(metadata).unwrap_or_default();
    let quotes = metadata.citations.into_iter();
    quotes
        .map(|raw| {
            let quote: Quote = serde_json::from_str(raw.get()).unwrap_or_default();
            let segment = Segment {
                start_index: quote.start_index,
                end_index: quote.end_index,
                text: None,
            };
            Citation {
                url: quote.uri,
                title: quote.title,
                cited_text: None,
                span: segment.span(text),
                origin: Dialect::Gemini,
                json: Json::of(&raw),
            }
        })
        .collect()
}

fn cited(raw: &RawValue) -> Citation {
    let chunk: Chunk = serde_json::from_str(raw.get()).unwrap_or_default();
    let source = chunk.web.or(chunk.retrieved_context).or(chunk.maps);
    let source = source.or(chunk.image).unwrap_or_default();
    Citation {
        url: source.uri.or(source.source_uri),
        title: source.title,
        cited_text: source.text,
        span: None,
        origin: Dialect::Gemini,
        json: Json::of(&raw),
    }
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default, bound(deserialize = "'de: 'a"))]
struct Grounding<'a> {
    grounding_chunks: Vec<&'a RawValue>,
    grounding_supports: Vec<Support>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Support {
    segment: Segment,
    grounding_chunk_indices: Vec<u64>,
}

/// A piece of the answer's text. Indexes are in bytes.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Segment {
    start_index: u64,
    end_index: u64,
    text: Option<String>,
}

impl Segment {
    /// Where it is in `text`, in characters. Google's indexes are believed only where its text is there, too.
    fn span(&self, text: &str) -> Option<(u64, u64)> {
        let start = usize::try_from(self.start_index).ok()?;
        let end = usize::try_from(self.end_index).ok()?;
        let there = text.get(start..end).filter(|there| !there.is_empty());
        let bytes = match (there, &self.text) {
            (Some(there), Some(said)) if there != said => self.found(text)?,
            (Some(_), _) => start..end,
            (None, _) => self.found(text)?,
        };
        let characters = |text: &str| text.chars().count() as u64;
        let before = characters(&text[..bytes.start]);
        Some((before, before + characters(&text[bytes])))
    }

    fn found(&self, text: &str) -> Option<std::ops::Range<usize>> {
        let said = self.text.as_deref().filter(|said| !said.is_empty())?;
        let start = text.find(said)?;
        Some(start..start + said.len())
    }
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Chunk {
    web: Option<Source>,
    retrieved_context: Option<Source>,
    maps: Option<Source>,
    image: Option<Source>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Source {
    uri: Option<String>,
    source_uri: Option<String>,
    title: Option<String>,
    text: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
struct Quotes<'a> {
    #[serde(alias = "citationSources")]
    citations: Vec<&'a RawValue>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Quote {
    start_index: u64,
    end_index: u64,
    uri: Option<String>,
    title: Option<String>,
}

/// `groundingMetadata` made of citations, for a caller.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Sources {
    grounding_chunks: Vec<Json>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    grounding_supports: Vec<SupportOut>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct SupportOut {
    segment: SegmentOut,
    grounding_chunk_indices: [usize; 1],
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct SegmentOut {
    start_index: usize,
    end_index: usize,
    text: String,
}

impl Sources {
    /// Adds a source that `text` cites.
    pub fn add(&mut self, citation: &Citation, text: &str) {
        let chunk = match citation.origin == Dialect::Gemini && citation.json.is_object() {
            true => citation.json.clone(),
            false => made(citation),
        };
        let known = self
            .grounding_chunks
            .iter()
            .position(|known| known.as_str() == chunk.as_str());
        let index = known.unwrap_or_else(|| {
            self.grounding_chunks.push(chunk);
            self.grounding_chunks.len() - 1
        });
        let Some((start, end)) = citation.span else {
            return;
        };
        let place = |character: u64| {
            let character = usize::try_from(character).ok()?;
            let ends = text.char_indices().map(|(at, _)| at).chain([text.len()]);
            ends.into_iter().nth(character)
        };
        if let (Some(start), Some(end)) = (place(start), place(end))
            && let Some(said) = text.get(start..end)
        {
            self.grounding_supports.push(SupportOut {
                segment: SegmentOut {
                    start_index: start,
                    end_index: end,
                    text: said.to_owned(),
                },
                grounding_chunk_indices: [index],
            });
        }
    }

    /// The metadata, if anything is cited.
    pub fn json(&self) -> Option<Json> {
        (!self.grounding_chunks.is_empty()).then(|| Json::of(self))
    }
}

fn made(citation: &Citation) -> Json {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    enum Made<'a> {
        Web(Fields<'a>),
        RetrievedContext(Fields<'a>),
    }

    #[derive(Serialize)]
    struct Fields<'a> {
        #[serde(skip_serializing_if = "Option::is_none")]
        uri: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        title: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        text: Option<&'a str>,
    }

    let fields = Fields {
        uri: citation.url.as_deref(),
        title: citation.title.as_deref(),
        text: citation.cited_text.as_deref(),
    };
    // A page of the web has no text in Google's form.
    Json::of(
        &match citation.url.is_some() && citation.cited_text.is_none() {
            true => Made::Web(fields),
            false => Made::RetrievedContext(fields),
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_counted_in_characters() {
        let metadata = r#"{"groundingChunks":[{"web":{"uri":"https://a","title":"A"}},{"web":{"uri":"https://b"}}],
            "groundingSupports":[{"segment":{"startIndex":4,"endIndex":9,"text":"été."},"groundingChunkIndices":[0,9]}]}"#;
        // Google's indexes are off here, so the text is looked for.
        let citations = grounded(metadata, "L’été. Fin.");
        assert_eq!(citations.len(), 2);
        assert_eq!(citations[0].url.as_deref(), Some("https://a"));
        assert_eq!(citations[0].span, Some((2, 6)));
        assert_eq!(citations[1].span, None);
    }

    #[test]
    fn citations_become_grounding_and_back() {
        let text = "Über Köln.";
        let citation = Citation {
            url: Some("https://k".into()),
            title: Some("K".into()),
            cited_text: None,
            span: Some((5, 9)),
            origin: Dialect::Responses,
            json: Json::empty_object(),
        };
        let mut sources = Sources::default();
        sources.add(&citation, text);
        sources.add(&citation, text);
        let json = sources.json().unwrap();
        let read = grounded(json.as_str(), text);
        assert_eq!(read.len(), 2);
        assert_eq!(read[0].span, Some((5, 9)));
        assert_eq!(read[0].url, citation.url);
        assert_eq!(read[0].title, citation.title);
    }
}
