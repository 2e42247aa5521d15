//! Requests: the caller's, read; the provider's, written.

mod input;
mod items;
mod read;
mod turns;
mod wire;
mod write;

use serde_json::value::RawValue;

pub use read::read_request;
pub use wire::{ReasoningOut, TextOut, ToolChoiceOut, ToolOut};
pub use write::write_request;

use crate::dialect::common::{Content, Json, Part, Request, Role, Turn};

/// The entry of `include` that asks for log-probabilities.
const INCLUDE_LOGPROBS: &str = "message.output_text.logprobs";

/// The entry of `include` that asks for the seals of thoughts.
const INCLUDE_SEALS: &str = "reasoning.encrypted_content";

/// What the field `instructions` holds: the first turn, if it is the system's and one text, and others follow it. Else
/// all turns stand in `input`, which a request needs.
pub fn instructions(request: &Request) -> Option<&str> {
    let [first, _, ..] = &request.turns[..] else {
        return None;
    };
    match (first.role, &first.parts[..]) {
        (Role::System, [part]) => plain_text(part),
        _ => None,
    }
}

/// The text of a part that is nothing but a text.
fn plain_text(part: &Part) -> Option<&str> {
    match &part.content {
        Content::Text { text, citations } if citations.is_empty() => Some(text),
        _ => None,
    }
}

fn json_of(raw: &RawValue) -> Json {
    Json::of(&raw)
}

fn system_turn(text: String) -> Turn {
    Turn {
        role: Role::System,
        parts: vec![Part::text(text)],
        name: None,
    }
}
