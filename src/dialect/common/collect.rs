//! From the pieces of a stream to the whole answer.

use super::answer::{Answer, Choice};
use super::delta::Delta;
use super::request::{Content, Part, Thinking};
use crate::dialect::Error;

/// Puts a stream's pieces together.
#[derive(Debug, Default)]
pub struct Collector {
    answer: Answer,
    /// Where each call of each choice stands among its parts.
    calls: Vec<Vec<usize>>,
    is_ended: bool,
    error: Option<Error>,
}

/// The most choices of an answer; OpenAI takes `n` up to 128.
const CHOICES_MAX: u32 = 1024;

impl Collector {
    /// Adds a piece.
    pub fn push(&mut self, delta: Delta) {
        match delta {
            Delta::Start { id, model, created } => {
                self.answer.id = id;
                self.answer.model = model;
                self.answer.created = created;
            }
            Delta::Usage(usage) => self.answer.usage = Some(usage),
            Delta::ServiceTier(tier) => self.answer.service_tier = Some(tier),
            Delta::End => self.is_ended = true,
            Delta::Error(error) => self.error = Some(error),
            Delta::Text { choice, text } => match self.last(choice) {
                Some(Content::Text { text: so_far, .. }) => so_far.push_str(&text),
                _ => self.add(choice, Part::text(text).content),
            },
            Delta::Citation { choice, citation } => match self.last(choice) {
                Some(Content::Text { citations, .. }) => citations.push(citation),
                _ => self.add(
                    choice,
                    Content::Text {
                        text: String::new(),
                        citations: vec![citation],
                    },
                ),
            },
            Delta::Refusal { choice, text } => match self.last(choice) {
                Some(Content::Refusal(so_far)) => so_far.push_str(&text),
                _ => self.add(choice, Content::Refusal(text)),
            },
            Delta::Thinking { choice, text } => match self.last(choice) {
                Some(Content::Thinking(thinking)) if thinking.signature.is_none() => {
                    thinking.text.push_str(&text);
                }
                _ => self.add(
                    choice,
                    Content::Thinking(Thinking {
                        text,
                        ..Thinking::default()
                    }),
                ),
            },
            Delta::Signature {
                choice,
                signature,
                id,
                is_redacted,
            } => match self.last(choice) {
                Some(Content::Thinking(thinking))
                    if thinking.signature.is_none() && !is_redacted =>
                {
                    thinking.signature = Some(signature);
                    thinking.id = id;
                }
                _ => self.add(
                    choice,
                    Content::Thinking(Thinking {
                        text: String::new(),
                        signature: Some(signature),
                        id,
                        is_redacted,
                    }),
                ),
            },
            Delta::ToolCall {
                choice,
                call: _,
                id,
                name,
                signature,
            } => {
                self.add(
                    choice,
                    Content::ToolCall {
                        id,
                        name,
                        arguments: String::new(),
                        signature,
                    },
                );
                let index = place(choice);
                let part = self.answer.choices[index].parts.len() - 1;
                self.calls[index].push(part);
            }
            Delta::Arguments { choice, call, json } => {
                let index = place(choice);
                let calls = self.calls.get(index);
                let part = calls.and_then(|calls| calls.get(call as usize));
                let Some(part) = part.copied() else { return };
                let part = &mut self.answer.choices[index].parts[part];
                if let Content::ToolCall { arguments, .. } = &mut part.content {
                    arguments.push_str(&json);
                }
            }
            Delta::Image { choice, source } => self.add(
                choice,
                Content::Image {
                    source,
                    detail: None,
                },
            ),
            Delta::Opaque {
                choice,
                dialect,
                kind,
                json,
            } => self.add(
                choice,
                Content::Opaque {
                    dialect,
                    kind,
                    json,
                },
            ),
            Delta::Logprobs { choice, tokens } => self.choice(choice).logprobs.extend(tokens),
            Delta::Finish { choice, finish } => self.choice(choice).finish = Some(finish),
        }
    }

    /// What has been put together so far.
    pub const fn so_far(&self) -> &Answer {
        &self.answer
    }

    /// The answer, if the stream ended as its dialect ends one.
    ///
    /// # Errors
    /// The provider's error, or None if the stream was cut.
    pub fn finish(self) -> Result<Answer, Option<Error>> {
        match (self.error, self.is_ended) {
            (Some(error), _) => Err(Some(error)),
            (None, false) => Err(None),
            (None, true) => Ok(self.answer),
        }
    }

    fn choice(&mut self, choice: u32) -> &mut Choice {
        let index = place(choice);
        if self.answer.choices.len() <= index {
            self.answer.choices.resize_with(index + 1, Choice::default);
            self.calls.resize_with(index + 1, Vec::new);
        }
        &mut self.answer.choices[index]
    }

    fn last(&mut self, choice: u32) -> Option<&mut Content> {
        let part = self.choice(choice).parts.last_mut()?;
        Some(&mut part.content)
    }

    fn add(&mut self, choice: u32, content: Content) {
        self.choice(choice).parts.push(content.into());
    }
}

/// Where an answer stands: those beyond the bound share the last place.
fn place(choice: u32) -> usize {
    choice.min(CHOICES_MAX) as usize
}
