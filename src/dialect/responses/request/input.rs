//! From turns to items.

use std::borrow::Cow;

use super::items::{AnyPart, AudioOut, Breakpoint, Entry, Item, Marked, PartOut, Parts};
use super::plain_text;
use crate::dialect::Dialect;
use crate::dialect::common::{
    Citation, Content, Dropped, Feature, Json, Part, Role, Source, Thinking, Turn, fitted_id,
};
use crate::dialect::responses::{CONTENT_LEAD, ID_MAX, citation, media};

/// The items of a request, while its turns are written.
pub struct Input<'a, 'd> {
    /// The items so far.
    pub entries: Vec<Entry<'a>>,
    /// Whether the caller speaks this dialect: then what it sent is sent on.
    is_own: bool,
    /// Whether the server takes thoughts that nobody has sealed.
    takes_plain_thoughts: bool,
    dropped: &'d mut Dropped,
}

impl<'a, 'd> Input<'a, 'd> {
    /// Nothing yet.
    pub const fn new(is_own: bool, takes_plain_thoughts: bool, dropped: &'d mut Dropped) -> Self {
        Self {
            entries: Vec::new(),
            is_own,
            takes_plain_thoughts,
            dropped,
        }
    }

    /// Adds the `index`-th turn: what is said as messages, and what is done as items between them.
    pub fn add(&mut self, index: usize, turn: &'a Turn) {
        let mut said = Vec::new();
        for (place, part) in turn.parts.iter().enumerate() {
            match &part.content {
                Content::ToolCall {
                    id,
                    name,
                    arguments,
                    signature,
                } => {
                    if signature.is_some() {
                        self.dropped.note(Feature::Signature);
                    }
                    self.say(turn.role, &mut said);
                    self.push(Item::FunctionCall {
                        call_id: self.call_id(id),
                        name,
                        arguments: match arguments.is_empty() {
                            true => "{}",
                            false => arguments,
                        },
                    });
                }
                Content::ToolResult {
                    id,
                    parts,
                    is_error,
                    ..
                } => {
                    self.say(turn.role, &mut said);
                    let mut output = self.output(parts);
                    if *is_error {
                        output.say_error();
                    }
                    self.push(Item::FunctionCallOutput {
                        call_id: self.call_id(id),
                        output,
                    });
                }
                Content::Thinking(thinking) => {
                    if let Some(item) = self.reasoning(thinking, index, place) {
                        self.say(turn.role, &mut said);
                        self.push(item);
                    }
                }
                Content::Opaque {
                    dialect: Dialect::Responses,
                    kind,
                    json,
                } if !kind.starts_with(CONTENT_LEAD) => {
                    self.say(turn.role, &mut said);
                    self.entries.push(Entry::Opaque(json));
                }
                _ => said.push(part),
            }
            // What is no part of a message has no place for a mark.
            if part.cache.is_some() && !self.is_own {
                self.dropped.note(Feature::CacheControl);
            }
        }
        self.say(turn.role, &mut said);
    }

    /// Notes what is lost of a turn that becomes `instructions`.
    pub fn note_turn(&mut self, turn: &Turn) {
        if turn.parts.iter().any(|part| part.cache.is_some()) {
            self.dropped.note(Feature::CacheControl);
        }
    }

    fn push(&mut self, item: Item<'a>) {
        self.entries.push(Entry::Item(item));
    }

    /// Ends the message that `said` is.
    fn say(&mut self, role: Role, said: &mut Vec<&'a Part>) {
        let parts = std::mem::take(said);
        let plain = match parts[..] {
            [part] if part.cache.is_none() || !self.is_own => plain_text(part),
            _ => None,
        };
        let content = match plain {
            Some(text) => Parts::Text(text.into()),
            None => {
                let parts = parts.into_iter();
                let written = parts.filter_map(|part| self.any_part(role, part));
                let written: Vec<_> = written.collect();
                if written.is_empty() {
                    return;
                }
                Parts::List(written)
            }
        };
        self.push(Item::Message {
            role: match role {
                Role::System => "system",
                Role::Developer => "developer",
                Role::User => "user",
                Role::Assistant => "assistant",
            },
            content,
        });
    }

    fn output(&mut self, parts: &'a [Part]) -> Parts<'a> {
        if let [part] = parts
            && part.cache.is_none()
            && let Some(text) = plain_text(part)
        {
            return Parts::Text(text.into());
        }
        let mut written = Vec::new();
        for part in parts {
            match part.content {
                Content::Audio { .. } | Content::Video { .. } => {
                    self.dropped.note(Feature::ToolResultMedia);
                }
                _ => written.extend(self.any_part(Role::User, part)),
            }
        }
        match written.is_empty() {
            true => Parts::Text("".into()),
            false => Parts::List(written),
        }
    }

    fn any_part(&mut self, role: Role, part: &'a Part) -> Option<AnyPart<'a>> {
        let mark = part.cache.filter(|_| self.is_own);
        if let Content::Opaque {
            dialect: Dialect::Responses,
            json,
            ..
        } = &part.content
        {
            return Some(AnyPart::Opaque(json));
        }
        Some(AnyPart::Known(Marked {
            part: self.part(role, part)?,
            prompt_cache_breakpoint: mark.map(Breakpoint::from),
        }))
    }

    fn part(&mut self, role: Role, part: &'a Part) -> Option<PartOut<'a>> {
        let is_model = role == Role::Assistant;
        Some(match &part.content {
            Content::Text { text, citations } if is_model => PartOut::OutputText {
                text,
                annotations: self.annotations(text, citations),
            },
            Content::Text { text, citations } => {
                if !citations.is_empty() {
                    self.dropped.note(Feature::Citations);
                }
                PartOut::InputText { text: text.into() }
            }
            Content::Refusal(text) if is_model => PartOut::Refusal { refusal: text },
            Content::Refusal(text) => PartOut::InputText { text: text.into() },
            Content::Image { source, detail } if !is_model => {
                self.image(source, detail.as_deref())?
            }
            Content::Document { source, name, .. } if !is_model => {
                self.document(source, name.as_deref())?
            }
            Content::Audio { source } if !is_model => self.audio(source)?,
            // The model's own pictures and recordings have no place in what it said.
            Content::Image { .. }
            | Content::Document { .. }
            | Content::Audio { .. }
            | Content::Video { .. } => return self.lose(part.content.medium()?),
            Content::Opaque { .. }
            | Content::ToolCall { .. }
            | Content::ToolResult { .. }
            | Content::Thinking(_) => return None,
        })
    }

    fn annotations(&mut self, text: &str, citations: &'a [Citation]) -> Vec<Cow<'a, Json>> {
        if citations.is_empty() {
            return Vec::new();
        }
        let end = text.chars().count() as u64;
        let known = citations
            .iter()
            .map(|cited| citation::annotation(cited, end));
        let known: Vec<_> = known.flatten().collect();
        if known.len() < citations.len() {
            self.dropped.note(Feature::Citations);
        }
        known
    }

    fn image(&mut self, source: &'a Source, detail: Option<&'a str>) -> Option<PartOut<'a>> {
        let (image_url, file_id) = match source {
            Source::Base64 { media_type, data } => {
                (Some(Cow::Owned(media::data_url(media_type, data))), None)
            }
            Source::Url { url, .. } if media::is_fetchable(url) => {
                (Some(Cow::Borrowed(url.as_str())), None)
            }
            Source::File { dialect, id } => match media::file_id(*dialect, id) {
                Some(id) => (None, Some(id)),
                None => return self.lose(Feature::UploadedFile),
            },
            Source::Url { .. } => return self.lose(Feature::ImageUrl),
            Source::Text(_) => return self.lose(Feature::ImageData),
        };
        Some(PartOut::InputImage {
            image_url,
            file_id,
            detail,
        })
    }

    fn document(&mut self, source: &'a Source, name: Option<&'a str>) -> Option<PartOut<'a>> {
        let (mut file_data, mut file_url, mut file_id) = (None, None, None);
        let filename;
        match source {
            Source::Base64 { media_type, data } => {
                file_data = Some(media::data_url(media_type, data));
                // Data must have a name with it.
                filename = match self.is_own {
                    true => name,
                    false => name.or(Some(media::name_of_type(media_type))),
                };
            }
            Source::Url { url, .. } if media::is_fetchable(url) => {
                file_url = Some(url.as_str());
                // Beside a URL the API takes no name, which is a label and no part of the document.
                filename = name.filter(|_| self.is_own);
            }
            Source::Url { .. } => return self.lose(Feature::DocumentUrl),
            Source::File { dialect, id } => {
                filename = name.filter(|_| self.is_own);
                file_id = match media::file_id(*dialect, id) {
                    Some(id) => Some(id),
                    None => return self.lose(Feature::UploadedFile),
                };
            }
            Source::Text(text) => {
                let text = match name {
                    Some(name) => Cow::Owned([name, "\n\n", text].concat()),
                    None => Cow::Borrowed(text.as_str()),
                };
                return Some(PartOut::InputText { text });
            }
        }
        Some(PartOut::InputFile {
            filename,
            file_data,
            file_url,
            file_id,
        })
    }

    fn audio(&mut self, source: &'a Source) -> Option<PartOut<'a>> {
        let Source::Base64 { media_type, data } = source else {
            return match source {
                Source::File { .. } => self.lose(Feature::UploadedFile),
                _ => self.lose(Feature::Audio),
            };
        };
        let Some(format) = media::audio_format(media_type) else {
            return self.lose(Feature::Audio);
        };
        Some(PartOut::InputAudio {
            input_audio: AudioOut { data, format },
        })
    }

    fn lose<T>(&mut self, feature: Feature) -> Option<T> {
        self.dropped.note(feature);
        None
    }

    /// A thought is of use to OpenAI only with its seal; servers without seals take the thought itself.
    fn reasoning(&mut self, thinking: &'a Thinking, turn: usize, part: usize) -> Option<Item<'a>> {
        let text = thinking.text.as_str();
        let id = thinking.id.as_deref().map(Cow::Borrowed);
        let summary = |text: &'a str| match text.is_empty() {
            true => Vec::new(),
            false => vec![PartOut::SummaryText { text }],
        };
        let seal = thinking.signature.as_ref();
        if let Some(seal) = seal.and_then(|seal| seal.sent_to(Dialect::Responses)) {
            return Some(Item::Reasoning {
                id,
                summary: summary(text),
                content: Vec::new(),
                encrypted_content: Some(seal),
            });
        }
        // Without a seal, OpenAI knows its own thoughts by their ids, if it stores them.
        let is_stored = text.is_empty() || id.as_ref().is_some_and(|id| id.starts_with("rs_"));
        if self.is_own && seal.is_none() && is_stored {
            return Some(Item::Reasoning {
                id,
                summary: summary(text),
                content: Vec::new(),
                encrypted_content: None,
            });
        }
        if seal.is_some() {
            self.dropped.note(Feature::Signature);
        }
        let is_taken = self.takes_plain_thoughts || (self.is_own && seal.is_none());
        if !is_taken || text.is_empty() {
            if !text.is_empty() {
                self.dropped.note(Feature::Thinking);
            }
            return None;
        }
        Some(Item::Reasoning {
            id: id.or_else(|| (!self.is_own).then(|| format!("rs_{turn}_{part}").into())),
            summary: Vec::new(),
            content: vec![PartOut::ReasoningText { text }],
            encrypted_content: None,
        })
    }

    fn call_id(&self, id: &'a str) -> Cow<'a, str> {
        match self.is_own {
            true => Cow::Borrowed(id),
            false => fitted_id(id, ID_MAX),
        }
    }
}
