//! The conversation, for the provider.

use std::borrow::Cow;

use super::content::MESSAGE_FIELD;
use super::objects::Message;
use super::write::Marks;
use crate::dialect::anthropic::block::{Block, Enabled, Input, Item, Media, ResultContent};
use crate::dialect::anthropic::models::Model;
use crate::dialect::anthropic::wire::Fields;
use crate::dialect::anthropic::{CALL_ID_MAX, OWN, citation};
use crate::dialect::common::{
    Content, Dropped, Feature, Json, Part, Request, Role, Source, Thinking, Turn, fitted_id,
};

/// Stands before a conversation that the model begins: Anthropic's begin with the user, and no text is empty.
const OPENING: &str = ".";

/// Writes the turns of one request.
pub(super) struct Turns<'a, 'w> {
    request: &'a Request,
    /// Whether the caller speaks this dialect: what a caller knows to be right is sent as it is.
    is_own: bool,
    model: &'w Model,
    marks: &'w mut Marks,
    dropped: &'w mut Dropped,
    messages: Vec<Message<'a>>,
}

/// Who is heard in a message.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Voice {
    /// The application, in `system` or in a message of that role.
    System,
    /// The application, where only the user may speak.
    Aside,
    User,
    Assistant,
}

impl Voice {
    const fn role(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::Aside | Self::User => "user",
            Self::Assistant => "assistant",
        }
    }
}

impl<'a, 'w> Turns<'a, 'w> {
    pub fn new(
        request: &'a Request,
        model: &'w Model,
        marks: &'w mut Marks,
        dropped: &'w mut Dropped,
    ) -> Self {
        Self {
            request,
            is_own: request.source == OWN,
            model,
            marks,
            dropped,
            messages: Vec::with_capacity(request.turns.len()),
        }
    }

    /// `system` and `messages`.
    ///
    /// Instructions at the head are the system's. Later ones stay in their place, for whatever is moved to the head
    /// costs the cache of all that follows; and there they are the user's, but for callers who speak this dialect,
    /// because a message of the system's may not stand before one of the user's.
    pub fn write(mut self) -> (Vec<Item<'a>>, Vec<Message<'a>>) {
        let is_system = |turn: &&Turn| matches!(turn.role, Role::System | Role::Developer);
        let turns = &self.request.turns;
        let mut head = turns.iter().take_while(is_system).count();
        if head == turns.len() {
            // Anthropic demands a message.
            head = 0;
        }
        let (head, rest) = turns.split_at(head);
        let mut system = Vec::new();
        for part in head.iter().flat_map(|turn| &turn.parts) {
            system.extend(self.item(part, Voice::System));
        }
        for turn in rest {
            self.add(turn);
        }
        if !self.is_own {
            for message in &mut self.messages {
                // Results come first; the sort is stable.
                message.content.sort_by_key(|item| !item.is_result());
            }
            self.trim_ends();
            let first = self.messages.first();
            if first.is_some_and(|message| message.role != Voice::User.role()) {
                let opening = Block::text(OPENING).into();
                self.messages.insert(0, message(Voice::User, vec![opening]));
            }
        }
        (system, self.messages)
    }

    /// Anthropic refuses an answer to go on from that ends in white space. Others are trimmed, too, so that they are the
    /// same when the conversation goes on.
    fn trim_ends(&mut self) {
        let said = self.messages.iter_mut();
        for message in said.filter(|message| message.role == Voice::Assistant.role()) {
            if let Some(Item::Block {
                block: Block::Text { text, .. },
                ..
            }) = message.content.last_mut()
                && text.ends_with(char::is_whitespace)
            {
                *text = Cow::Owned(text.trim_end().to_owned());
            }
        }
    }

    fn add(&mut self, turn: &'a Turn) {
        let voice = match turn.role {
            Role::User => Voice::User,
            Role::Assistant => Voice::Assistant,
            Role::System | Role::Developer if self.is_own && self.model.has_system_turns => {
                Voice::System
            }
            Role::System | Role::Developer => Voice::Aside,
        };
        let mut items = Vec::with_capacity(turn.parts.len());
        let mut fields = Fields::default();
        for part in &turn.parts {
            match own_field(part) {
                Some(field) => fields.0.push(field),
                None => items.extend(self.item(part, voice)),
            }
        }
        if items.is_empty() {
            return;
        }
        match self.messages.last_mut() {
            Some(last) if last.role == voice.role() && !self.is_own => last.content.extend(items),
            _ => self.messages.push(Message {
                rest: fields,
                ..message(voice, items)
            }),
        }
    }

    /// None if it cannot be sent, which is noted.
    fn item(&mut self, part: &'a Part, voice: Voice) -> Option<Item<'a>> {
        let mark = self.marks.next(part.cache, self.dropped);
        let block = match &part.content {
            Content::Opaque { dialect, json, .. } => {
                return (*dialect == OWN).then_some(Item::Raw(json));
            }
            Content::Text { .. } | Content::Refusal(_) => self.text(&part.content, voice),
            Content::Thinking(thinking) => self.thinking(thinking, voice),
            Content::Image { source, .. } => self.image(source, voice),
            Content::Document { source, name, cite } => {
                self.document(source, name.as_deref(), *cite, voice)
            }
            Content::Audio { source } | Content::Video { source } => {
                if let Source::File { .. } = source {
                    self.dropped.note(Feature::UploadedFile);
                }
                None
            }
            Content::ToolCall {
                id,
                name,
                arguments,
                signature,
            } => {
                if signature.is_some() {
                    self.dropped.note(Feature::Signature);
                }
                Some(Block::ToolUse {
                    id: fitted_id(id, CALL_ID_MAX),
                    name,
                    input: Input::of_any(arguments),
                })
            }
            Content::ToolResult {
                id,
                parts,
                is_error,
                ..
            } => Some(Block::ToolResult {
                tool_use_id: fitted_id(id, CALL_ID_MAX),
                content: self.result(parts),
                is_error: *is_error,
            }),
        };
        let is_markable = !matches!(
            block,
            None | Some(Block::Thinking { .. } | Block::RedactedThinking { .. })
        );
        if mark.is_some() && !is_markable {
            self.dropped.note(Feature::CacheControl);
        }
        block.map(|block| Item::Block {
            block,
            cache_control: mark.filter(|_| is_markable),
        })
    }

    fn text(&mut self, content: &'a Content, voice: Voice) -> Option<Block<'a>> {
        let (text, citations) = match content {
            Content::Text { text, citations } => (text, citations.as_slice()),
            Content::Refusal(text) => (text, [].as_slice()),
            _ => return None,
        };
        // Anthropic refuses texts without a word.
        if !self.is_own && text.trim().is_empty() {
            return None;
        }
        if voice == Voice::Aside {
            return Some(Block::text(format!("<system>\n{text}\n</system>")));
        }
        let sent: Vec<_> = citations.iter().filter_map(citation::sent).collect();
        if sent.len() < citations.len() {
            self.dropped.note(Feature::Citations);
        }
        Some(Block::Text {
            text: Cow::Borrowed(text),
            citations: sent.into_iter().map(Cow::Borrowed).collect(),
        })
    }

    /// A thought goes back only under the seal that Anthropic put on it.
    fn thinking(&mut self, thinking: &'a Thinking, voice: Voice) -> Option<Block<'a>> {
        let seal = thinking.signature.as_ref();
        let own = seal.and_then(|seal| seal.sent_to(OWN));
        let Some(own) = own.filter(|_| voice == Voice::Assistant) else {
            if !thinking.text.is_empty() {
                self.dropped.note(Feature::Thinking);
            }
            if seal.is_some() {
                self.dropped.note(Feature::Signature);
            }
            return None;
        };
        Some(match thinking.is_redacted {
            true => Block::RedactedThinking { data: own.into() },
            false => Block::Thinking {
                thinking: &thinking.text,
                signature: own.into(),
            },
        })
    }

    fn image(&mut self, source: &'a Source, voice: Voice) -> Option<Block<'a>> {
        let mut media =
            Media::image(source).filter(|_| voice == Voice::User || voice == Voice::Aside);
        if let Some(Media::Base64 { media_type, .. }) = &mut media
            && !self.is_own
            && media_type.eq_ignore_ascii_case("image/jpg")
        {
            // Common, taken by OpenAI, and refused here.
            *media_type = "image/jpeg";
        }
        if media.is_none() {
            self.dropped.note(match source {
                Source::Base64 { .. } | Source::Text(_) => Feature::ImageData,
                Source::Url { .. } => Feature::ImageUrl,
                Source::File { .. } => Feature::UploadedFile,
            });
        }
        media.map(|source| Block::Image { source })
    }

    fn document(
        &mut self,
        source: &'a Source,
        title: Option<&'a str>,
        cite: bool,
        voice: Voice,
    ) -> Option<Block<'a>> {
        let media =
            Media::document(source).filter(|_| voice == Voice::User || voice == Voice::Aside);
        if media.is_none() {
            self.dropped.note(match source {
                Source::Base64 { .. } => Feature::DocumentData,
                Source::Text(_) => Feature::DocumentText,
                Source::Url { .. } => Feature::DocumentUrl,
                Source::File { .. } => Feature::UploadedFile,
            });
        }
        media.map(|source| Block::Document {
            source,
            title,
            citations: cite.then_some(Enabled { enabled: true }),
        })
    }

    fn result(&mut self, parts: &'a [Part]) -> Option<ResultContent<'a>> {
        if let [
            Part {
                content: Content::Text { text, .. },
                cache: None,
            },
        ] = parts
        {
            let is_said = self.is_own || !text.is_empty();
            return is_said.then_some(ResultContent::Text(text));
        }
        let mut items = Vec::with_capacity(parts.len());
        for part in parts {
            items.extend(self.item(part, Voice::User));
        }
        (!items.is_empty()).then_some(ResultContent::Items(items))
    }
}

fn message<'a>(voice: Voice, content: Vec<Item<'a>>) -> Message<'a> {
    Message {
        role: voice.role(),
        content,
        rest: Fields::default(),
    }
}

fn own_field(part: &Part) -> Option<(&str, &Json)> {
    let Content::Opaque {
        dialect,
        kind,
        json,
    } = &part.content
    else {
        return None;
    };
    let name = kind.strip_prefix(MESSAGE_FIELD).filter(|_| *dialect == OWN);
    Some((name?, json))
}
