//! The turns of a conversation, as a provider is told them.
//!
//! Google wants the responses to all calls of a turn together and right behind it, and the calls of a turn in one
//! content. Everything else stays where it is, so that a conversation that grows keeps its beginning. What came in
//! Google's own dialect is written as it came.

use std::collections::HashMap;

use serde::Serialize;

use super::parts::{self, Manner, Piece};
use crate::dialect::Dialect;
use crate::dialect::common::{
    Content, Dropped, Feature, Outgoing, Part, Request, Role, Signature, Thinking, Turn,
};
use crate::dialect::gemini::{seal, wire};

/// A `Content`.
#[derive(Debug, Serialize)]
pub struct Spoken<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'static str>,
    parts: Vec<Piece<'a>>,
}

/// `systemInstruction`, and `contents`, which are empty only if the whole conversation is.
pub fn contents<'a>(
    request: &'a Request,
    to: &Outgoing<'_>,
    dropped: &mut Dropped,
) -> (Option<Spoken<'a>>, Vec<Spoken<'a>>) {
    let mut conversation = Conversation {
        manner: Manner::of(request.source, to),
        dropped,
        names: HashMap::new(),
        contents: Vec::new(),
    };
    let is_head = |turn: &&Turn| matches!(turn.role, Role::System | Role::Developer);
    let head: Vec<&Turn> = request.turns.iter().take_while(is_head).collect();
    let rest = &request.turns[head.len()..];
    let system = head.iter().flat_map(|turn| &turn.parts);
    let system: Vec<Piece<'_>> = system
        .filter_map(|part| conversation.system(part))
        .collect();

    let is_users = |turn: &Turn| turn.role != Role::Assistant;
    for run in rest.chunk_by(|one, next| is_users(one) == is_users(next)) {
        match (
            conversation.manner.is_own,
            run.first().is_some_and(is_users),
        ) {
            (true, _) => run.iter().for_each(|turn| conversation.turn(turn)),
            (false, true) => conversation.users(run),
            (false, false) => {
                let parts = run.iter().flat_map(|turn| &turn.parts);
                conversation.push(Role::Assistant, parts);
            }
        }
    }
    let contents = conversation.contents;
    match (system.is_empty(), contents.is_empty()) {
        (true, _) => (None, contents),
        // Google answers no system instruction alone.
        (false, true) => (
            None,
            vec![Spoken {
                role: Some(USER),
                parts: system,
            }],
        ),
        (false, false) => (
            Some(Spoken {
                role: None,
                parts: system,
            }),
            contents,
        ),
    }
}

const USER: &str = "user";
const MODEL: &str = "model";

struct Conversation<'a, 'd> {
    manner: Manner,
    dropped: &'d mut Dropped,
    /// The names of the tools called, by the calls' ids.
    names: HashMap<&'a str, &'a str>,
    contents: Vec<Spoken<'a>>,
}

impl<'a> Conversation<'a, '_> {
    fn system(&mut self, part: &'a Part) -> Option<Piece<'a>> {
        match &part.content {
            Content::Text { text, .. } => Some(parts::text(text).into()),
            Content::Opaque { dialect, json, .. } if *dialect == Dialect::Gemini => {
                Some(Piece::Carried(json))
            }
            content if self.manner.is_own => {
                self.manner.medium(content, self.dropped).map(Piece::from)
            }
            _ => {
                self.dropped.note(Feature::System);
                None
            }
        }
    }

    fn turn(&mut self, turn: &'a Turn) {
        self.push(turn.role, &turn.parts);
    }

    /// A run of turns that are not the model's. The responses of tools go first and together.
    fn users(&mut self, run: &'a [Turn]) {
        let is_result = |part: &&Part| matches!(part.content, Content::ToolResult { .. });
        let results = run.iter().flat_map(|turn| &turn.parts).filter(is_result);
        let mut responses = Vec::new();
        let mut media = Vec::new();
        for part in results {
            self.part(&part.content, &mut responses, &mut media);
        }
        self.say(USER, responses);
        self.say(USER, media);
        for turn in run {
            let others = turn.parts.iter().filter(|part| !is_result(part));
            self.push(turn.role, others);
        }
    }

    fn push(&mut self, role: Role, parts: impl IntoIterator<Item = &'a Part>) {
        let mut pieces = Vec::new();
        let mut behind = Vec::new();
        for part in parts {
            self.part(&part.content, &mut pieces, &mut behind);
        }
        pieces.append(&mut behind);
        let role = match role {
            Role::Assistant => MODEL,
            Role::System | Role::Developer | Role::User => USER,
        };
        self.say(role, pieces);
    }

    fn say(&mut self, role: &'static str, parts: Vec<Piece<'a>>) {
        if !parts.is_empty() {
            self.contents.push(Spoken {
                role: Some(role),
                parts,
            });
        }
    }

    fn part(
        &mut self,
        content: &'a Content,
        pieces: &mut Vec<Piece<'a>>,
        behind: &mut Vec<Piece<'a>>,
    ) {
        match content {
            Content::Text { text, .. } | Content::Refusal(text) => {
                pieces.push(parts::text(text).into());
            }
            Content::ToolCall {
                id,
                name,
                arguments,
                signature,
            } => {
                self.names.insert(id, name);
                let mut part = parts::call(id, name, arguments);
                part.thought_signature = self.call_seal(signature.as_ref(), pieces);
                pieces.push(part.into());
            }
            Content::ToolResult {
                id,
                name,
                parts,
                is_error,
            } => {
                let called = self.names.get(id.as_str()).copied();
                let name = name.as_deref().or(called).unwrap_or(id);
                let (part, media) = self
                    .manner
                    .result((id, name), parts, *is_error, self.dropped);
                pieces.push(part.into());
                behind.extend(media.into_iter().map(Piece::from));
            }
            Content::Thinking(thinking) => self.thought(thinking, pieces),
            Content::Opaque { dialect, json, .. } if *dialect == Dialect::Gemini => {
                pieces.push(Piece::Carried(json));
            }
            // Already told: see `Dropped::from`.
            Content::Opaque { .. } => {}
            medium => pieces.extend(self.manner.medium(medium, self.dropped).map(Piece::from)),
        }
    }

    fn call_seal(
        &mut self,
        signature: Option<&'a Signature>,
        pieces: &[Piece<'a>],
    ) -> Option<wire::Text<'a>> {
        if let Some(signature) = signature {
            match signature.sent_to(Dialect::Gemini) {
                Some(value) => return Some(value.into()),
                None => self.dropped.note(Feature::Signature),
            }
        }
        let is_call = |piece: &Piece<'_>| match piece {
            Piece::Part(part) => part.function_call.is_some(),
            Piece::Carried(_) => false,
        };
        let is_demanded = self.manner.is_third && !pieces.iter().rev().any(is_call);
        is_demanded.then(|| seal::UNCHECKED.into())
    }

    fn thought(&mut self, thinking: &'a Thinking, pieces: &mut Vec<Piece<'a>>) {
        let value = match &thinking.signature {
            Some(signature) => signature.sent_to(Dialect::Gemini),
            // Google seals a thought on the part behind it.
            None if self.manner.is_own => {
                let mut part = parts::text(&thinking.text);
                part.thought = Some(true);
                pieces.push(part.into());
                return;
            }
            None => None,
        };
        let Some(value) = value else {
            if thinking.signature.is_some() {
                self.dropped.note(Feature::Signature);
            }
            if !thinking.text.is_empty() {
                self.dropped.note(Feature::Thinking);
            }
            return;
        };
        if thinking.text.is_empty()
            && let Some(Piece::Part(last)) = pieces.last_mut()
            && takes_seal(last)
        {
            last.thought_signature = Some(value.into());
            return;
        }
        let mut part = parts::text(&thinking.text);
        part.thought = (!thinking.text.is_empty()).then_some(true);
        part.thought_signature = Some(value.into());
        pieces.push(part.into());
    }
}

/// Whether the seal of a hidden thought behind `part` was on it.
pub fn takes_seal(part: &wire::Part<'_>) -> bool {
    let is_said = part.text.is_some() || part.inline_data.is_some() || part.file_data.is_some();
    is_said && part.thought.is_none() && part.thought_signature.is_none()
}
