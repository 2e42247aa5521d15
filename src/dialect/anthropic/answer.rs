//! Whole answers.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::block::{Block, Input, Item, Media};
use super::finish::Held;
use super::read::Blocks;
use super::usage::{WireUsage, WrittenUsage, common_tier};
use super::{CALL_ID_MAX, OWN, citation, finish};
use crate::dialect::common::{
    Answer, Citation, Collector, Content, Context, Delta, Malformed, Part, Request, Thinking,
    derived_call_id, fitted_id, prefixed_id,
};

/// Reads a provider's answer.
///
/// # Errors
/// It is no message.
pub fn read_answer(body: &[u8], context: &Context) -> Result<Answer, Malformed> {
    #[derive(Deserialize)]
    struct Message<'a> {
        #[serde(default)]
        id: String,
        #[serde(default)]
        model: String,
        #[serde(borrow)]
        content: Vec<&'a RawValue>,
        stop_reason: Option<String>,
        stop_sequence: Option<String>,
        usage: Option<WireUsage>,
    }
    let message: Message<'_> = serde_json::from_slice(body)?;
    let mut deltas = vec![Delta::Start {
        id: message.id,
        model: message.model,
        created: None,
    }];
    let mut blocks = Blocks::new(context);
    for block in message.content {
        blocks.whole(block, &mut deltas)?;
    }
    deltas.push(Delta::End);
    let mut collector = Collector::default();
    deltas.into_iter().for_each(|delta| collector.push(delta));
    let cut = |_| Malformed("a message without an end".to_owned());
    let mut answer = collector.finish().map_err(cut)?;
    if answer.choices.is_empty() {
        answer.choices.push(Default::default());
    }
    let reason = message.stop_reason.as_deref();
    let finish = reason.map(|reason| finish::read(reason, message.stop_sequence));
    answer.choices[0].finish = finish.map(|finish| finish.with_calls(blocks.has_calls()));
    answer.usage = message.usage.as_ref().map(WireUsage::read);
    answer.service_tier = message
        .usage
        .and_then(|usage| usage.service_tier)
        .map(common_tier);
    Ok(answer)
}

/// A message as it is written, whole or at the beginning of a stream.
#[derive(Debug, Serialize)]
pub(super) struct Message<'a> {
    id: String,
    r#type: &'static str,
    role: &'static str,
    model: &'a str,
    pub content: Vec<Item<'a>>,
    stop_reason: Option<&'a str>,
    stop_sequence: Option<&'a str>,
    usage: WrittenUsage<'a>,
}

impl<'a> Message<'a> {
    /// One that has no content yet.
    pub fn new(id: &str, model: &'a str, usage: WrittenUsage<'a>) -> Self {
        Self {
            id: prefixed_id("msg_", id),
            r#type: "message",
            role: "assistant",
            model,
            content: Vec::new(),
            stop_reason: None,
            stop_sequence: None,
            usage,
        }
    }
}

/// Writes an answer for a caller who speaks this dialect, which knows one choice only.
pub fn write_answer(answer: &Answer, request: &Request, context: &Context) -> Vec<u8> {
    let id = first_set(&answer.id, &context.id);
    let usage = answer.usage.unwrap_or_default();
    let usage = WrittenUsage::of(usage, answer.service_tier.as_deref());
    let mut message = Message::new(id, first_set(&answer.model, &request.model), usage);
    let mut held = Held::default();
    let choice = answer.choices.first();
    let mut calls = 0;
    for part in choice.into_iter().flat_map(|choice| &choice.parts) {
        held.calls |= matches!(part.content, Content::ToolCall { .. });
        held.refusal |= matches!(part.content, Content::Refusal(_));
        write_part(part, id, &mut calls, &mut message.content);
    }
    let finish = choice.and_then(|choice| choice.finish.as_ref());
    message.stop_reason = Some(finish::written(finish, held));
    message.stop_sequence = finish::sequence(finish);
    // Names are strings, and nothing in a message fails to serialise.
    serde_json::to_vec(&message).unwrap_or_default()
}

/// `text`, or where it is empty `other`.
pub(super) const fn first_set<'a>(text: &'a str, other: &'a str) -> &'a str {
    match text.is_empty() {
        true => other,
        false => text,
    }
}

fn write_part<'a>(part: &'a Part, answer_id: &str, calls: &mut u32, items: &mut Vec<Item<'a>>) {
    match &part.content {
        Content::Text { text, citations } => write_text(text, citations, items),
        Content::Refusal(text) => items.push(Block::text(text).into()),
        Content::Thinking(thinking) => items.push(thought(thinking).into()),
        Content::ToolCall {
            id,
            name,
            arguments,
            signature,
        } => {
            // A call has no place for a seal; from before it, the reader of requests takes it back.
            items.extend(signature.as_ref().map(|seal| {
                let data = seal.shown_to(OWN).into();
                Item::from(Block::RedactedThinking { data })
            }));
            let call = Block::ToolUse {
                id: call_id(id, answer_id, *calls),
                name,
                // Arguments that were cut are no object, and an object there must be.
                input: Input::of(arguments).unwrap_or(Input::Empty {}),
            };
            *calls += 1;
            items.push(call.into());
        }
        Content::Image { source, .. } => {
            let image = Media::image(source).map(|source| Block::Image { source });
            items.extend(image.map(Item::from));
        }
        Content::Opaque { dialect, json, .. } => {
            items.extend((*dialect == OWN).then_some(Item::Raw(json)));
        }
        // No model answers with these.
        Content::Document { .. }
        | Content::Audio { .. }
        | Content::Video { .. }
        | Content::ToolResult { .. } => {}
    }
}

/// A call's id as this dialect allows it.
pub(super) fn call_id<'a>(id: &'a str, answer_id: &str, call: u32) -> Cow<'a, str> {
    match id.is_empty() {
        true => Cow::Owned(derived_call_id(answer_id, call)),
        false => fitted_id(id, CALL_ID_MAX),
    }
}

fn thought(thinking: &Thinking) -> Block<'_> {
    let seal = thinking.signature.as_ref().map(|seal| seal.shown_to(OWN));
    match seal {
        Some(seal) if thinking.is_redacted => Block::RedactedThinking { data: seal.into() },
        seal => Block::Thinking {
            thinking: &thinking.text,
            signature: seal.unwrap_or_default().into(),
        },
    }
}

/// Writes a text as Anthropic does: what is cited for a part of it stands at a block of that part.
fn write_text<'a>(text: &'a str, citations: &'a [Citation], items: &mut Vec<Item<'a>>) {
    let block = |text: &'a str, citations: &'a [Citation]| {
        Item::from(Block::Text {
            text: Cow::Borrowed(text),
            citations: citations.iter().map(citation::shown).collect(),
        })
    };
    let Some(parts) = cited_parts(text, citations) else {
        items.push(block(text, citations));
        return;
    };
    let mut at = 0;
    for (start, end, cited) in parts {
        if at < start {
            items.push(block(&text[at..start], &[]));
        }
        items.push(block(&text[start..end], cited));
        at = end;
    }
    if at < text.len() {
        items.push(block(&text[at..], &[]));
    }
}

/// The parts of `text` that are cited for, in order, in bytes; None if the citations do not tell, or overlap.
fn cited_parts<'a>(
    text: &str,
    citations: &'a [Citation],
) -> Option<Vec<(usize, usize, &'a [Citation])>> {
    let mut parts = Vec::new();
    let mut places = text.char_indices().map(|(byte, _)| byte);
    let mut char_at = 0;
    let mut byte_at = 0;
    // Spans come in order, so one walk over the text finds them all.
    let mut byte_of = |char: u64| {
        let steps = usize::try_from(char.checked_sub(char_at)?).ok()?;
        if steps > 0 {
            places.nth(steps - 1)?;
            byte_at = places.clone().next().unwrap_or(text.len());
            char_at = char;
        }
        Some(byte_at)
    };
    for cited in citations.chunk_by(|one, next| one.span == next.span) {
        let (start, end) = cited[0].span?;
        if start >= end {
            return None;
        }
        parts.push((byte_of(start)?, byte_of(end)?, cited));
    }
    (!parts.is_empty()).then_some(parts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::common::Json;

    fn cited(start: u64, end: u64) -> Citation {
        let json = Json::parse(r#"{"cited_text":"x"}"#).unwrap();
        citation::read(json, Some((start, end)))
    }

    #[test]
    fn what_is_cited_stands_in_a_block_of_its_own() {
        let text = "né à Paris.";
        let citations = [cited(0, 2), cited(0, 2), cited(5, 10)];
        let parts = cited_parts(text, &citations).unwrap();
        let texts: Vec<_> = parts
            .iter()
            .map(|(start, end, _)| &text[*start..*end])
            .collect();
        assert_eq!(texts, ["né", "Paris"]);
        assert_eq!(parts[0].2.len(), 2);
        for spans in [
            [(0, 5), (4, 6)],
            [(0, 0), (1, 2)],
            [(4, 6), (0, 2)],
            [(0, 2), (9, 99)],
        ] {
            let citations = spans.map(|(start, end)| cited(start, end));
            assert_eq!(cited_parts(text, &citations), None, "{spans:?}");
        }
    }
}
