//! What is said in a turn.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::strategy::Union;
use serde_json::json;

use super::{Palette, dialects, texts};
use crate::dialect::Dialect;
use crate::dialect::common::{
    Cache, Citation, Content, Feature, Json, Part, Signature, Source, Thinking,
};

pub(super) fn media(palette: &Palette) -> Option<BoxedStrategy<Content>> {
    use Feature as F;
    let mut kinds: Vec<BoxedStrategy<Content>> = Vec::new();
    let detail = palette.when(
        F::ImageDetail,
        prop::sample::select(&["low", "high", "auto"][..]),
    );
    let detail = detail.prop_map(|detail| detail.map(str::to_owned)).boxed();
    let image = |source: BoxedStrategy<Source>| {
        (source, detail.clone())
            .prop_map(|(source, detail)| Content::Image { source, detail })
            .boxed()
    };
    let cite = palette
        .when(F::DocumentCitations, Just(true))
        .prop_map(|cite| cite.is_some())
        .boxed();
    let document = |source: BoxedStrategy<Source>| {
        (source, option::of("[a-z]{1,6}"), cite.clone())
            .prop_map(|(source, name, cite)| Content::Document { source, name, cite })
            .boxed()
    };
    let pictures = data(&["image/png", "image/jpeg", "image/gif", "image/webp"]).boxed();
    if palette.allows(F::ImageData) {
        kinds.push(image(pictures.clone()));
    }
    if palette.allows(F::ImageUrl) {
        kinds.push(image(urls(palette, "png").boxed()));
    }
    if palette.allows(F::DocumentData) {
        kinds.push(document(
            data(&["application/pdf", "text/plain", "text/csv"]).boxed(),
        ));
    }
    if palette.allows(F::DocumentUrl) {
        kinds.push(document(urls(palette, "pdf").boxed()));
    }
    if palette.allows(F::DocumentText) {
        kinds.push(document(texts().prop_map(Source::Text).boxed()));
    }
    if palette.allows(F::Audio) {
        let source = data(&["audio/wav", "audio/mp3", "audio/ogg"]);
        kinds.push(source.prop_map(|source| Content::Audio { source }).boxed());
        let source = urls(palette, "mp3");
        kinds.push(source.prop_map(|source| Content::Audio { source }).boxed());
    }
    if palette.allows(F::Video) {
        let source = prop_oneof![data(&["video/mp4", "video/webm"]), urls(palette, "mp4")];
        kinds.push(source.prop_map(|source| Content::Video { source }).boxed());
    }
    if palette.allows(F::UploadedFile) {
        kinds.push(image(files().boxed()));
        kinds.push(document(files().boxed()));
    }
    union(kinds)
}

pub(super) fn caches(palette: &Palette) -> BoxedStrategy<Option<Cache>> {
    match palette.allows(Feature::CacheControl) {
        true => prop_oneof![
            6 => Just(None),
            1 => Just(Some(Cache::Usual)),
            1 => Just(Some(Cache::Hour)),
        ]
        .boxed(),
        false => Just(None).boxed(),
    }
}

/// What only one dialect knows.
pub(super) fn opaque() -> BoxedStrategy<Content> {
    dialects()
        .prop_map(|dialect| Content::Opaque {
            dialect,
            kind: "own_thing".to_owned(),
            json: Json::of(&match dialect {
                Dialect::Gemini | Dialect::Bedrock => json!({"own_thing": {}}),
                _ => json!({"type": "own_thing"}),
            }),
        })
        .boxed()
}

pub(super) fn seals() -> impl Strategy<Value = Signature> {
    let origins = [
        Dialect::Chat,
        Dialect::Responses,
        Dialect::Anthropic,
        Dialect::Gemini,
    ];
    // Google checks that its seals are base64, and so do we.
    (prop::sample::select(origins.to_vec()), base64())
        .prop_map(|(origin, value)| Signature { origin, value })
}

pub(super) fn thoughts(palette: &Palette) -> Option<BoxedStrategy<Content>> {
    let text = palette.when(
        Feature::Thinking,
        texts().prop_map(|text| ["hm", &text].concat()),
    );
    let seal = palette.when(Feature::Signature, (seals(), any::<bool>()));
    let is_any = palette.allows(Feature::Thinking) || palette.allows(Feature::Signature);
    let thought = (text, seal, option::of(Just("rs_1".to_owned()))).prop_map(|(text, seal, id)| {
        let is_redacted =
            text.is_none() && seal.as_ref().is_some_and(|(_, is_redacted)| *is_redacted);
        Content::Thinking(Thinking {
            text: text.unwrap_or_default(),
            id: id.filter(|_| seal.is_some()),
            signature: seal.map(|(signature, _)| signature),
            is_redacted,
        })
    });
    let nothing = Content::Thinking(Thinking::default());
    let thought = thought.prop_filter("a thought", move |content| *content != nothing);
    is_any.then(|| thought.boxed())
}

/// A citation of one source, in the words of a dialect.
pub(super) fn citations() -> impl Strategy<Value = Citation> {
    const URL: &str = "https://example.com/source";
    dialects().prop_map(|origin| Citation {
        url: Some(URL.to_owned()),
        title: Some("source".to_owned()),
        cited_text: None,
        span: None,
        origin,
        json: Json::of(&match origin {
            Dialect::Chat => json!({
                "type": "url_citation", "url_citation": {"url": URL, "title": "source"},
            }),
            Dialect::Responses => json!({
                "type": "url_citation", "url": URL, "title": "source",
                "start_index": 0, "end_index": 0,
            }),
            Dialect::Anthropic => json!({
                "type": "web_search_result_location", "url": URL, "title": "source",
                "encrypted_index": "x", "cited_text": "c",
            }),
            Dialect::Bedrock => json!({"title": "source", "location": {"web": {"url": URL}}}),
            _ => json!({"title": "source"}),
        }),
    })
}

pub(super) fn parts(
    kinds: impl IntoIterator<Item = Option<BoxedStrategy<Content>>>,
    caches: BoxedStrategy<Option<Cache>>,
    count: std::ops::Range<usize>,
) -> BoxedStrategy<Vec<Part>> {
    let mut all = vec![text().boxed()];
    all.extend(kinds.into_iter().flatten());
    let part = (Union::new(all), caches).prop_map(|(content, cache)| Part { content, cache });
    vec(part, count).boxed()
}

/// What a user says: a text, and whatever else before and behind it.
pub(super) fn says(
    kinds: impl IntoIterator<Item = Option<BoxedStrategy<Content>>>,
    caches: BoxedStrategy<Option<Cache>>,
    most: usize,
) -> BoxedStrategy<Vec<Part>> {
    let others = parts(kinds, caches, 0..most);
    (text(), others, any::<prop::sample::Index>())
        .prop_map(|(text, mut parts, place)| {
            parts.insert(place.index(parts.len() + 1), text.into());
            parts
        })
        .boxed()
}

fn base64() -> impl Strategy<Value = String> {
    vec(any::<u8>(), 1..12).prop_map(|bytes| BASE64_STANDARD.encode(bytes))
}

fn data(types: &'static [&'static str]) -> impl Strategy<Value = Source> {
    (prop::sample::select(types), base64()).prop_map(|(media_type, data)| Source::Base64 {
        media_type: media_type.to_owned(),
        data,
    })
}

fn urls(palette: &Palette, end: &'static str) -> impl Strategy<Value = Source> + use<> {
    const SCHEMES: &[&str] = &["https", "http", "gs", "s3"];
    let known = if palette.has_own { SCHEMES.len() } else { 1 };
    (prop::sample::select(&SCHEMES[..known]), "[a-z]{1,6}").prop_map(move |(scheme, name)| {
        Source::Url {
            url: format!("{scheme}://example.com/{name}.{end}"),
            media_type: None,
        }
    })
}

fn files() -> impl Strategy<Value = Source> {
    (dialects(), "file-[a-z]{1,6}").prop_map(|(dialect, id)| Source::File { dialect, id })
}

fn union(strategies: Vec<BoxedStrategy<Content>>) -> Option<BoxedStrategy<Content>> {
    (!strategies.is_empty()).then(|| Union::new(strategies).boxed())
}

fn text() -> impl Strategy<Value = Content> {
    texts().prop_map(|text| Part::text(text).content)
}
