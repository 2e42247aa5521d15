//! The conversation, for the provider.

use std::borrow::Cow;

use super::content::with_full;
use super::items::{Item, Items, Message};
use super::marks::Marks;
use crate::dialect::bedrock::block::{
    Block, Document, Enabled, Input, Media, MediaSource, Reasoning, ToolResult, ToolUse,
};
use crate::dialect::bedrock::family::Family;
use crate::dialect::bedrock::media::{Medium, Names};
use crate::dialect::bedrock::wire::{self, blob};
use crate::dialect::bedrock::{CALL_ID_MAX, OWN, SEALS, citation};
use crate::dialect::common::{
    Citation, Content, Dropped, Feature, Part, Request, Role, Source, Thinking, Turn, fitted_id,
};

/// Stands where Converse demands a text and there is none: before a conversation that the model begins, and beside a
/// document.
pub(super) const FILLER: &str = ".";

/// What a tool answered that answered nothing.
const NO_RESULT: &str = "(empty)";

/// Who is heard in a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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

/// Writes the turns of one request.
pub(super) struct Turns<'a, 'w> {
    request: &'a Request,
    /// Whether the caller speaks this dialect: what a caller knows to be right is sent as it is.
    is_own: bool,
    family: &'w Family,
    /// Whether tools are sent: Converse refuses calls and results without, so that they are told in words.
    has_tools: bool,
    marks: &'w mut Marks,
    dropped: &'w mut Dropped,
    names: Names,
    messages: Vec<Message<'a>>,
}

impl<'a, 'w> Turns<'a, 'w> {
    pub fn new(
        request: &'a Request,
        family: &'w Family,
        has_tools: bool,
        marks: &'w mut Marks,
        dropped: &'w mut Dropped,
    ) -> Self {
        let is_own = request.source == OWN;
        Self {
            request,
            is_own,
            family,
            has_tools: has_tools || is_own,
            marks,
            dropped,
            names: Names::default(),
            messages: Vec::with_capacity(request.turns.len()),
        }
    }

    /// `system` and `messages`.
    ///
    /// Instructions at the head are the system's. Later ones stay in their place, for whatever is moved to the head
    /// costs the cache of all that follows; and there they are the user's, but for callers who speak this dialect.
    pub fn write(mut self) -> (Items<'a>, Vec<Message<'a>>) {
        let is_system = |turn: &&Turn| matches!(turn.role, Role::System | Role::Developer);
        let turns = &self.request.turns;
        let mut head = turns.iter().take_while(is_system).count();
        if head == turns.len() && !self.is_own {
            // A conversation needs a message.
            head = 0;
        }
        let (head, rest) = turns.split_at(head);
        let mut system = Items::default();
        for turn in head {
            self.add_parts(&turn.parts, Voice::System, &mut system);
        }
        for turn in rest {
            self.add(turn);
        }
        if !self.is_own {
            self.drop_bare_thoughts();
            self.messages.iter_mut().for_each(Message::complete);
            if self.family.is_of_anthropic() {
                self.messages.iter_mut().for_each(Message::trim_end);
            }
            let begins_with_user = self
                .messages
                .first()
                .is_none_or(|first| first.role == "user");
            if !begins_with_user && !self.family.is_of_anthropic() {
                let opening = Items(vec![Block::text(FILLER).into()]);
                let role = Voice::User.role();
                self.messages.insert(
                    0,
                    Message {
                        role,
                        content: opening,
                    },
                );
            }
        }
        (system, self.messages)
    }

    fn add(&mut self, turn: &'a Turn) {
        let voice = match turn.role {
            Role::User => Voice::User,
            Role::Assistant => Voice::Assistant,
            Role::System | Role::Developer if self.is_own => Voice::System,
            Role::System | Role::Developer => Voice::Aside,
        };
        let mut items = Items::default();
        self.add_parts(&turn.parts, voice, &mut items);
        if items.is_empty() && !self.is_own {
            return;
        }
        if voice != Voice::Assistant && !self.is_own {
            self.drop_bare_thoughts();
        }
        match self.messages.last_mut() {
            Some(last) if last.role == voice.role() && !self.is_own => {
                last.content.0.extend(items.0)
            }
            _ => self.messages.push(Message {
                role: voice.role(),
                content: items,
            }),
        }
    }

    /// A message of thoughts alone is none to newer Claudes.
    fn drop_bare_thoughts(&mut self) {
        let is_thought = |item: &Item<'_>| matches!(item.block, Block::ReasoningContent(_));
        let last = self.messages.last();
        if last.is_some_and(|message| message.content.0.iter().all(is_thought)) {
            self.dropped.note(Feature::Thinking);
            self.messages.pop();
        }
    }

    fn add_parts(&mut self, parts: &'a [Part], voice: Voice, items: &mut Items<'a>) {
        for (part, full) in with_full(parts) {
            let start = items.0.len();
            match full {
                Some(full) => items.0.push(Block::Raw(full).into()),
                None => self.add_part(&part.content, voice, &mut items.0),
            }
            let has_place = match items.0[start..].last() {
                Some(item) => !matches!(item.block, Block::ReasoningContent(_)),
                None => false,
            };
            let mark = self.marks.next(part.cache, has_place, self.dropped);
            if let Some(item) = items.0[start..].last_mut() {
                item.cache = mark.or(item.cache);
            }
        }
    }

    fn add_part(&mut self, content: &'a Content, voice: Voice, items: &mut Vec<Item<'a>>) {
        match content {
            Content::Opaque { dialect, json, .. } => {
                items.extend((*dialect == OWN).then(|| Block::Raw(json).into()));
            }
            Content::Text { text, citations } => self.add_text(text, citations, voice, items),
            Content::Refusal(text) => self.add_text(text, &[], voice, items),
            Content::Thinking(thinking) => {
                items.extend(self.thinking(thinking, voice).map(Item::from));
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
                let block = match self.has_tools {
                    true => Block::ToolUse(ToolUse {
                        tool_use_id: self.call_id(id),
                        name,
                        input: Input::of_any(arguments),
                    }),
                    false => Block::text(format!("[Call {id} of the tool {name}: {arguments}]")),
                };
                items.push(block.into());
            }
            Content::ToolResult {
                id,
                parts,
                is_error,
                ..
            } => {
                self.add_result(id, parts, *is_error, items);
            }
            Content::Image { .. }
            | Content::Document { .. }
            | Content::Audio { .. }
            | Content::Video { .. } => items.extend(self.media(content, voice).map(Item::from)),
        }
    }

    fn add_text(
        &mut self,
        text: &'a str,
        citations: &'a [Citation],
        voice: Voice,
        items: &mut Vec<Item<'a>>,
    ) {
        // Converse refuses texts without a word.
        if !self.is_own && text.trim().is_empty() {
            return;
        }
        if voice == Voice::Aside {
            items.push(Block::text(format!("<system>\n{text}\n</system>")).into());
            return;
        }
        let is_sent = |citation: &Citation| {
            citation.origin == OWN
                && voice == Voice::Assistant
                && (self.is_own || self.family.is_of_anthropic())
        };
        if !citations.iter().all(is_sent) {
            self.dropped.note(Feature::Citations);
            items.push(Block::text(text).into());
            return;
        }
        for stretch in citation::stretches(text, citations) {
            let sent = stretch.citations.iter();
            let sent = sent.map(|citation| Cow::Borrowed(&citation.json));
            items.push(Block::stretch(&stretch, sent.collect()).into());
        }
    }

    /// A thought goes back only under the seal that Anthropic put on it, and to a Claude.
    fn thinking(&mut self, thinking: &'a Thinking, voice: Voice) -> Option<Block<'a>> {
        let seal = thinking.signature.as_ref();
        let own = seal.and_then(|seal| seal.sent_to(SEALS));
        let is_sent = match own {
            Some(_) => self.is_own || self.family.is_of_anthropic(),
            None => self.is_own && seal.is_none(),
        };
        if !is_sent || voice != Voice::Assistant {
            if !thinking.text.is_empty() {
                self.dropped.note(Feature::Thinking);
            }
            if seal.is_some() {
                self.dropped.note(Feature::Signature);
            }
            return None;
        }
        Some(Block::ReasoningContent(match own {
            Some(seal) if thinking.is_redacted => Reasoning::RedactedContent(blob(seal)),
            seal => Reasoning::ReasoningText {
                text: &thinking.text,
                signature: seal.map(Cow::Borrowed),
            },
        }))
    }

    fn call_id(&self, id: &'a str) -> Cow<'a, str> {
        match (self.is_own, self.family.is_of_anthropic()) {
            (true, _) => Cow::Borrowed(id),
            (false, true) => fitted_id(id, CALL_ID_MAX),
            (false, false) => wire::call_id(id),
        }
    }

    fn add_result(
        &mut self,
        id: &'a str,
        parts: &'a [Part],
        is_error: bool,
        items: &mut Vec<Item<'a>>,
    ) {
        let mut content = Vec::with_capacity(parts.len());
        let mut cache = None;
        for (part, full) in with_full(parts) {
            // A mark within stands behind the result.
            cache = self.marks.next(part.cache, true, self.dropped).or(cache);
            match (full, &part.content) {
                (Some(full), _) => content.push(Block::Raw(full)),
                (None, Content::Text { text, .. } | Content::Refusal(text)) => {
                    let is_sent = self.is_own || !text.trim_ascii().is_empty();
                    content.extend(is_sent.then(|| Block::text(text)));
                }
                (None, Content::Opaque { dialect, json, .. }) => {
                    content.extend((*dialect == OWN).then_some(Block::Raw(json)));
                }
                (None, Content::Audio { .. }) => self.dropped.note(Feature::ToolResultMedia),
                (None, media) => content.extend(self.media(media, Voice::User)),
            }
        }
        if !self.has_tools {
            let kind = if is_error { "Error" } else { "Result" };
            items.push(Block::text(format!("[{kind} of the call {id}:]")).into());
            items.extend(content.into_iter().map(Item::from));
        } else {
            if content.is_empty() && !self.is_own {
                content.push(Block::text(NO_RESULT));
            }
            let has_status = self.is_own || self.family.has_result_status;
            if is_error && !has_status {
                self.dropped.note(Feature::ToolResultError);
            }
            let result = Block::ToolResult(ToolResult {
                tool_use_id: self.call_id(id),
                content,
                status: (is_error && has_status).then_some("error"),
            });
            items.push(result.into());
        }
        if let Some(last) = items.last_mut() {
            last.cache = cache;
        }
    }

    /// None if it cannot be sent, which is noted.
    fn media(&mut self, content: &'a Content, voice: Voice) -> Option<Block<'a>> {
        let (source, medium, [data, url]) = match content {
            Content::Image { source, .. } => (
                source,
                Medium::Image,
                [Feature::ImageData, Feature::ImageUrl],
            ),
            Content::Document { source, .. } => (
                source,
                Medium::Document,
                [Feature::DocumentData, Feature::DocumentUrl],
            ),
            Content::Video { source } => (source, Medium::Video, [Feature::Video; 2]),
            Content::Audio { source } => (source, Medium::Audio, [Feature::Audio; 2]),
            _ => return None,
        };
        let may_show = self.is_own || matches!(voice, Voice::User | Voice::Aside);
        let Some(mut media) = Media::of(source, medium).filter(|_| may_show) else {
            self.dropped.note(match source {
                Source::Base64 { .. } => data,
                Source::Text(_) if medium == Medium::Document => Feature::DocumentText,
                Source::Text(_) => data,
                Source::Url { .. } => url,
                Source::File { .. } => Feature::UploadedFile,
            });
            return None;
        };
        Some(match content {
            Content::Document { name, cite, .. } => {
                if let (Source::Text(text), true) = (source, self.is_own) {
                    media.source = MediaSource::Text(text);
                }
                let may_cite = self.is_own || self.family.is_of_anthropic();
                if *cite && !may_cite {
                    self.dropped.note(Feature::DocumentCitations);
                }
                Block::Document(Document {
                    media,
                    name: match (self.is_own, name) {
                        (true, Some(name)) => Cow::Borrowed(name),
                        (_, name) => Cow::Owned(self.names.next(name.as_deref())),
                    },
                    citations: (*cite && may_cite).then_some(Enabled { enabled: true }),
                })
            }
            Content::Video { .. } => Block::Video(media),
            Content::Audio { .. } => Block::Audio(media),
            _ => Block::Image(media),
        })
    }
}
