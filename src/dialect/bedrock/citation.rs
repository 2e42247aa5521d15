//! Citations: where a text says what it has from where.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::OWN;
use crate::dialect::common::{Citation, Json};

/// Reads one as Bedrock or a caller wrote it, for `span` of the text.
pub(super) fn read(json: Json, span: Option<(u64, u64)>) -> Citation {
    #[derive(Default, Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Fields {
        title: Option<String>,
        source: Option<String>,
        #[serde(default)]
        source_content: Vec<Quote>,
        location: Option<Location>,
    }
    #[derive(Deserialize)]
    struct Quote {
        #[serde(default)]
        text: String,
    }
    #[derive(Deserialize)]
    struct Location {
        web: Option<Web>,
    }
    #[derive(Deserialize)]
    struct Web {
        url: Option<String>,
    }
    // Of what kind soever it is: what it does not have of these, it does not have.
    let fields: Fields = serde_json::from_str(json.as_str()).unwrap_or_default();
    let web = fields.location.and_then(|location| location.web);
    let is_url = |source: &String| source.starts_with("https:") || source.starts_with("http:");
    let quotes: Vec<_> = fields
        .source_content
        .into_iter()
        .map(|quote| quote.text)
        .collect();
    Citation {
        url: web.and_then(|web| web.url).or(fields.source.filter(is_url)),
        title: fields.title,
        cited_text: (!quotes.is_empty()).then(|| quotes.join("\n")),
        span,
        origin: OWN,
        json,
    }
}

/// Writes one for a caller. Another provider's is told in Bedrock's words.
pub(super) fn shown(citation: &Citation) -> Cow<'_, Json> {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Shown<'a> {
        #[serde(skip_serializing_if = "Option::is_none")]
        title: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        source_content: Option<[Quote<'a>; 1]>,
        #[serde(skip_serializing_if = "Option::is_none")]
        location: Option<Location<'a>>,
    }
    #[derive(Serialize)]
    struct Quote<'a> {
        text: &'a str,
    }
    #[derive(Serialize)]
    struct Location<'a> {
        web: Web<'a>,
    }
    #[derive(Serialize)]
    struct Web<'a> {
        url: &'a str,
    }
    if citation.origin == OWN {
        return Cow::Borrowed(&citation.json);
    }
    let quote = citation.cited_text.as_deref();
    let url = citation.url.as_deref();
    Cow::Owned(Json::of(&Shown {
        title: citation.title.as_deref(),
        source_content: quote.map(|text| [Quote { text }]),
        location: url.map(|url| Location { web: Web { url } }),
    }))
}

/// A stretch of a text, and what is cited for it.
#[derive(Debug, PartialEq)]
pub(super) struct Stretch<'a> {
    pub text: &'a str,
    pub citations: &'a [Citation],
}

/// Cuts `text` so that what is cited for a part of it stands at that part. Where the citations do not tell the parts,
/// or not in order, all stand at the whole.
pub(super) fn stretches<'a>(text: &'a str, citations: &'a [Citation]) -> Vec<Stretch<'a>> {
    cut(text, citations).unwrap_or_else(|| vec![Stretch { text, citations }])
}

fn cut<'a>(text: &'a str, citations: &'a [Citation]) -> Option<Vec<Stretch<'a>>> {
    let mut stretches = Vec::new();
    let mut rest = text;
    let mut at = 0;
    let mut take = |until: u64| {
        let chars = usize::try_from(until.checked_sub(at)?).ok()?;
        let mut ends = rest
            .char_indices()
            .map(|(byte, _)| byte)
            .chain([rest.len()]);
        let (taken, left) = rest.split_at(ends.nth(chars)?);
        (rest, at) = (left, until);
        Some(taken)
    };
    for cited in citations.chunk_by(|one, next| one.span == next.span) {
        let (start, end) = cited[0].span.filter(|(start, end)| start < end)?;
        let plain = take(start)?;
        if !plain.is_empty() {
            stretches.push(Stretch {
                text: plain,
                citations: &[],
            });
        }
        stretches.push(Stretch {
            text: take(end)?,
            citations: cited,
        });
    }
    if !rest.is_empty() {
        stretches.push(Stretch {
            text: rest,
            citations: &[],
        });
    }
    (!stretches.is_empty()).then_some(stretches)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::Dialect;

    fn cited(start: u64, end: u64) -> Citation {
        read(Json::empty_object(), Some((start, end)))
    }

    #[test]
    fn what_is_cited_stands_at_its_part() {
        let citations = [cited(0, 2), cited(0, 2), cited(5, 10)];
        let cut = stretches("né à Paris.", &citations);
        let texts: Vec<_> = cut
            .iter()
            .map(|part| (part.text, part.citations.len()))
            .collect();
        assert_eq!(texts, [("né", 2), (" à ", 0), ("Paris", 1), (".", 0)]);
        for spans in [
            [(0, 5), (4, 6)],
            [(0, 0), (1, 2)],
            [(4, 6), (0, 2)],
            [(0, 2), (9, 99)],
        ] {
            let citations = spans.map(|(start, end)| cited(start, end));
            assert_eq!(stretches("né à Paris.", &citations).len(), 1, "{spans:?}");
        }
        assert_eq!(
            stretches("", &[]),
            [Stretch {
                text: "",
                citations: &[]
            }]
        );
    }

    #[test]
    fn another_providers_citation_is_told_in_bedrocks_words() {
        let foreign = Citation {
            url: Some("https://example.com".into()),
            title: Some("Example".into()),
            cited_text: Some("words".into()),
            span: None,
            origin: Dialect::Gemini,
            json: Json::empty_object(),
        };
        let shown = shown(&foreign).into_owned();
        let again = read(shown, None);
        assert_eq!(again.url, foreign.url);
        assert_eq!(again.title, foreign.title);
        assert_eq!(again.cited_text, foreign.cited_text);
    }
}
