//! An answer in one piece: what a stream of it would end with.

use super::Writer;
use super::open::Message;
use crate::dialect::common::{Answer, Content, Context, Delta, Part, Request};
use crate::dialect::responses::citation;
use crate::dialect::responses::output::ItemOut;

/// Writes a whole answer for a caller. `request` is the caller's, of which an answer repeats much.
pub fn write_answer(answer: &Answer, request: &Request, context: &Context) -> Vec<u8> {
    let mut writer = Writer::new(request, context);
    writer.events.is_muted = true;
    let mut none = Vec::new();
    writer.begin(&answer.id, &answer.model, answer.created, &mut none);
    if let Some(choice) = answer.choices.first() {
        // Which tokens are whose is not told: they stand with the first text.
        writer.tokens.clone_from(&choice.logprobs);
        choice.parts.iter().for_each(|part| writer.add(part));
        writer.finish.clone_from(&choice.finish);
    }
    writer.usage = answer.usage;
    if answer.service_tier.is_some() {
        writer.service_tier.clone_from(&answer.service_tier);
    }
    writer.close_all(&mut none);
    let output = std::mem::take(&mut writer.items);
    let output: Vec<ItemOut> = output.into_iter().flatten().collect();
    let response = writer.ended(&output);
    // The values have string keys, and a vector takes every byte.
    serde_json::to_vec(&response).expect("an answer that is JSON")
}

impl Writer {
    /// Adds a part of a whole answer.
    fn add(&mut self, part: &Part) {
        let none = &mut Vec::new();
        let choice = 0;
        match &part.content {
            Content::Text { text, citations } => {
                // The text is joined to one before it, which citations must know.
                let base = self.message.as_ref().map_or(0, Message::chars);
                let text = text.clone();
                self.piece(Delta::Text { choice, text }, none);
                for citation in citations {
                    let mut citation = citation.clone();
                    citation::shift(&mut citation, base);
                    self.cite(&citation, none);
                }
            }
            Content::Refusal(text) => {
                let text = text.clone();
                self.piece(Delta::Refusal { choice, text }, none);
            }
            Content::Thinking(thinking) => {
                if !thinking.text.is_empty() {
                    let text = thinking.text.clone();
                    self.piece(Delta::Thinking { choice, text }, none);
                }
                if let Some(signature) = thinking.signature.clone() {
                    let delta = Delta::Signature {
                        choice,
                        signature,
                        id: thinking.id.clone(),
                        is_redacted: thinking.is_redacted,
                    };
                    self.piece(delta, none);
                }
            }
            Content::ToolCall {
                id,
                name,
                arguments,
                signature,
            } => {
                let call = u32::try_from(self.calls.len()).unwrap_or(u32::MAX);
                let delta = Delta::ToolCall {
                    choice,
                    call,
                    id: id.clone(),
                    name: name.clone(),
                    signature: signature.clone(),
                };
                self.piece(delta, none);
                let json = arguments.clone();
                self.piece(Delta::Arguments { choice, call, json }, none);
            }
            Content::Image { source, .. } => self.image(source.clone(), none),
            Content::Opaque {
                dialect,
                kind,
                json,
            } => {
                let delta = Delta::Opaque {
                    choice,
                    dialect: *dialect,
                    kind: kind.clone(),
                    json: json.clone(),
                };
                self.piece(delta, none);
            }
            // No model says these.
            Content::Document { .. }
            | Content::Audio { .. }
            | Content::Video { .. }
            | Content::ToolResult { .. } => {}
        }
    }
}
