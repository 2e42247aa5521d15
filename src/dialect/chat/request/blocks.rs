//! Content parts, written for a provider.

use std::borrow::Cow;

use serde::Serialize;

use super::write::Target;
use crate::dialect::Dialect;
use crate::dialect::chat::media::{audio_format, text_of, written_data_url};
use crate::dialect::chat::wire::CacheControl;
use crate::dialect::common::{Cache, Content, Dropped, Feature, Json, Part, Source};

/// A message's `content`.
#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum WireContent<'a> {
    Text(Cow<'a, str>),
    Blocks(Vec<Block<'a>>),
}

/// A part of it.
#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum Block<'a> {
    Known {
        #[serde(flatten)]
        body: Body<'a>,
        #[serde(skip_serializing_if = "Option::is_none")]
        cache_control: Option<CacheControl>,
        #[serde(skip_serializing_if = "Option::is_none")]
        prompt_cache_breakpoint: Option<Breakpoint>,
    },
    Other(&'a Json),
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Body<'a> {
    Text {
        text: Cow<'a, str>,
    },
    ImageUrl {
        image_url: Link<'a>,
    },
    AudioUrl {
        audio_url: Link<'a>,
    },
    VideoUrl {
        video_url: Link<'a>,
    },
    InputAudio {
        input_audio: Audio<'a>,
    },
    File {
        file: File<'a>,
    },
    /// Mistral's.
    DocumentUrl {
        document_url: Cow<'a, str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        document_name: Option<&'a str>,
    },
}

#[derive(Serialize)]
pub(super) struct Link<'a> {
    url: Cow<'a, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<&'a str>,
}

#[derive(Serialize)]
pub(super) struct Audio<'a> {
    data: &'a str,
    format: &'a str,
}

#[derive(Serialize)]
pub(super) struct File<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    filename: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    file_data: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    file_id: Option<&'a str>,
}

/// OpenAI's mark for its cache.
#[derive(Serialize)]
pub(super) struct Breakpoint {
    mode: &'static str,
}

impl<'a> Block<'a> {
    pub(super) const fn of(body: Body<'a>) -> Self {
        Self::Known {
            body,
            cache_control: None,
            prompt_cache_breakpoint: None,
        }
    }

    pub(super) fn text(text: impl Into<Cow<'a, str>>) -> Self {
        Self::of(Body::Text { text: text.into() })
    }

    /// Marks it for the cache, in the form that the target knows. OpenAI's own marks are left to callers who know of
    /// them: it caches without.
    pub(super) fn marked(mut self, cache: Option<Cache>, target: &Target<'_>) -> Self {
        if let (
            Self::Known {
                cache_control,
                prompt_cache_breakpoint,
                ..
            },
            Some(cache),
        ) = (&mut self, cache)
        {
            if target.has(Feature::CacheControl) {
                *cache_control = Some(cache.into());
            } else if target.is_own && target.takes(Feature::CacheControl) {
                *prompt_cache_breakpoint = Some(Breakpoint { mode: "explicit" });
            }
        }
        self
    }

    pub(super) const fn is_text(&self) -> bool {
        matches!(
            self,
            Self::Known {
                body: Body::Text { .. },
                ..
            } | Self::Other(_)
        )
    }

    pub(super) const fn text_mut(&mut self) -> Option<&mut Cow<'a, str>> {
        match self {
            Self::Known {
                body: Body::Text { text },
                ..
            } => Some(text),
            _ => None,
        }
    }

    /// The text, if it is nothing else and has no mark.
    fn as_plain(&self) -> Option<&str> {
        match self {
            Self::Known {
                body: Body::Text { text },
                cache_control: None,
                prompt_cache_breakpoint: None,
            } => Some(text),
            _ => None,
        }
    }
}

impl<'a> WireContent<'a> {
    /// What blocks make together: one text where that says the same. `between` stands between texts that a server takes
    /// only as one.
    pub(super) fn of(
        mut blocks: Vec<Block<'a>>,
        between: &str,
        target: &Target<'_>,
    ) -> Option<Self> {
        let texts: Option<Vec<&str>> = blocks.iter().map(Block::as_plain).collect();
        match (texts, blocks.len()) {
            (_, 0) => None,
            (Some(_), 1) => match blocks.pop()? {
                Block::Known {
                    body: Body::Text { text },
                    ..
                } => Some(Self::Text(text)),
                block => Some(Self::Blocks(vec![block])),
            },
            (Some(texts), _) if !target.takes_text_lists() => {
                Some(Self::Text(Cow::Owned(texts.join(between))))
            }
            _ => Some(Self::Blocks(blocks)),
        }
    }
}

/// Writes a part of a system's, user's or assistant's turn, or of a tool's result, and its mark; None where the target
/// takes none of it.
pub(super) fn write<'a>(
    part: &'a Part,
    target: &Target<'_>,
    dropped: &mut Dropped,
) -> Option<Block<'a>> {
    let block = match &part.content {
        Content::Text { text, .. } => Block::text(text),
        Content::Image { source, detail } => image(source, detail.as_deref(), target, dropped)?,
        Content::Document { source, name, .. } => {
            document(source, name.as_deref(), target, dropped)?
        }
        Content::Audio { source } => audio(source, target, dropped)?,
        Content::Video { source } => video(source, target, dropped)?,
        Content::Opaque {
            dialect: Dialect::Chat,
            json,
            ..
        } => Block::Other(json),
        Content::Refusal(text) => Block::text(text),
        Content::Thinking(thinking) => {
            // Only what the model says has a place for it.
            if thinking.signature.is_some() {
                dropped.note(Feature::Signature);
            }
            return lost(Feature::Thinking, dropped);
        }
        Content::ToolCall { .. } | Content::ToolResult { .. } | Content::Opaque { .. } => {
            return None;
        }
    };
    Some(block.marked(part.cache, target))
}

fn image<'a>(
    source: &'a Source,
    detail: Option<&'a str>,
    target: &Target<'_>,
    dropped: &mut Dropped,
) -> Option<Block<'a>> {
    let url = match source {
        Source::Url { url, .. } if target.takes(Feature::ImageUrl) => Cow::Borrowed(url.as_str()),
        Source::Base64 { media_type, data } if target.takes(Feature::ImageData) => {
            Cow::Owned(written_data_url(media_type, data))
        }
        Source::Url { .. } | Source::Base64 { .. } => return None,
        Source::File { .. } => return lost(Feature::UploadedFile, dropped),
        Source::Text(_) => return lost(Feature::ImageData, dropped),
    };
    let detail = detail.filter(|_| target.takes(Feature::ImageDetail));
    let image_url = Link { url, detail };
    Some(Block::of(Body::ImageUrl { image_url }))
}

fn document<'a>(
    source: &'a Source,
    name: Option<&'a str>,
    target: &Target<'_>,
    dropped: &mut Dropped,
) -> Option<Block<'a>> {
    let file = match source {
        Source::Text(_) if !target.takes(Feature::DocumentText) => return None,
        Source::Text(text) => return Some(text_document(name, text)),
        Source::Base64 { media_type, data } => {
            // OpenAI reads PDF alone here, and others nothing.
            let is_taken = media_type == "application/pdf" || target.is_own;
            if !is_taken || !target.takes_as_openai(Feature::DocumentData) {
                return match text_of(media_type, data) {
                    Some(text) => Some(text_document(name, &text)),
                    None => lost(Feature::DocumentData, dropped),
                };
            }
            let url = Cow::Owned(written_data_url(media_type, data));
            if is_mistral(target) {
                return Some(document_url(url, name));
            }
            // OpenAI wants a name where the document itself is sent.
            let unnamed = (!target.is_own).then_some("document.pdf");
            File {
                filename: name.or(unnamed),
                file_data: Some(url),
                file_id: None,
            }
        }
        Source::Url { .. } if !target.takes(Feature::DocumentUrl) => return None,
        Source::Url { url, .. } if is_mistral(target) => {
            return Some(document_url(Cow::Borrowed(url), name));
        }
        Source::Url { url, .. } => File {
            filename: name,
            file_data: Some(Cow::Borrowed(url)),
            file_id: None,
        },
        Source::File { .. } if !target.takes(Feature::UploadedFile) => return None,
        // OpenAI's responses and chat share their files.
        Source::File {
            dialect: Dialect::Chat | Dialect::Responses,
            id,
        } => File {
            filename: name.filter(|_| target.is_own),
            file_data: None,
            file_id: Some(id),
        },
        Source::File { .. } => return lost(Feature::UploadedFile, dropped),
    };
    Some(Block::of(Body::File { file }))
}

/// Whoever wants short ids for calls is Mistral, which has a part of its own for documents.
const fn is_mistral(target: &Target<'_>) -> bool {
    target.accent.has_short_call_ids
}

fn document_url<'a>(document_url: Cow<'a, str>, document_name: Option<&'a str>) -> Block<'a> {
    Block::of(Body::DocumentUrl {
        document_url,
        document_name,
    })
}

fn text_document<'a>(name: Option<&str>, text: &str) -> Block<'a> {
    match name {
        Some(name) => Block::text([name, "\n\n", text].concat()),
        None => Block::text(text.to_owned()),
    }
}

fn audio<'a>(source: &'a Source, target: &Target<'_>, dropped: &mut Dropped) -> Option<Block<'a>> {
    match source {
        Source::File { .. } => lost(Feature::UploadedFile, dropped),
        _ if !target.takes(Feature::Audio) => None,
        Source::Base64 { media_type, data } => {
            let format = audio_format(media_type);
            if !target.is_own && !target.has(Feature::Audio) && !matches!(format, "wav" | "mp3") {
                return lost(Feature::Audio, dropped);
            }
            let input_audio = Audio { data, format };
            Some(Block::of(Body::InputAudio { input_audio }))
        }
        Source::Url { url, .. } if target.is_own => Some(Block::of(Body::AudioUrl {
            audio_url: Link {
                url: Cow::Borrowed(url),
                detail: None,
            },
        })),
        Source::Url { .. } | Source::Text(_) => lost(Feature::Audio, dropped),
    }
}

fn video<'a>(source: &'a Source, target: &Target<'_>, dropped: &mut Dropped) -> Option<Block<'a>> {
    let url = match source {
        Source::File { .. } => return lost(Feature::UploadedFile, dropped),
        _ if !target.takes(Feature::Video) => return None,
        Source::Url { url, .. } => Cow::Borrowed(url.as_str()),
        Source::Base64 { media_type, data } => Cow::Owned(written_data_url(media_type, data)),
        Source::Text(_) => return lost(Feature::Video, dropped),
    };
    let video_url = Link { url, detail: None };
    Some(Block::of(Body::VideoUrl { video_url }))
}

fn lost<'a>(feature: Feature, dropped: &mut Dropped) -> Option<Block<'a>> {
    dropped.note(feature);
    None
}
