//! From a provider's stream to the common form; a whole answer is a stream of one event.
//!
//! A stream has no event that ends it: it is whole if every candidate said why it ended.

use super::candidate::Candidate;
use crate::dialect::common::{Context, Delta, Finish, Malformed, ReadStream};
use crate::dialect::gemini::answer::usage;
use crate::dialect::gemini::{error, time, wire};
use crate::dialect::sse;

/// Reads a provider's stream.
#[derive(Debug)]
pub struct Reader {
    /// What ids of calls are made of, where the provider gives none.
    id: String,
    is_started: bool,
    /// An error ended it.
    is_over: bool,
    /// The prompt was refused, so that there are no candidates.
    is_blocked: bool,
    candidates: Vec<Candidate>,
}

impl Reader {
    /// For a stream that begins.
    pub fn new(context: &Context) -> Self {
        Self {
            id: context.id.clone(),
            is_started: false,
            is_over: false,
            is_blocked: false,
            candidates: Vec::new(),
        }
    }

    /// Reads an event's answer.
    ///
    /// # Errors
    /// It holds what cannot be.
    pub fn take(
        &mut self,
        answer: wire::Answer<'_>,
        out: &mut Vec<Delta>,
    ) -> Result<(), Malformed> {
        if let Some(raw) = answer.error {
            self.is_over = true;
            out.push(Delta::Error(error::of_stream(raw.as_str())));
            return Ok(());
        }
        if !self.is_started {
            self.is_started = true;
            let id = answer.response_id.map(|id| id.owned()).unwrap_or_default();
            if !id.is_empty() {
                self.id.clone_from(&id);
            }
            out.push(Delta::Start {
                id,
                model: answer
                    .model_version
                    .map(|model| model.owned())
                    .unwrap_or_default(),
                created: answer.create_time.as_deref().and_then(time::read),
            });
        }
        if let Some(feedback) = answer.prompt_feedback {
            self.is_blocked |= feedback.block_reason.is_some();
        }
        for candidate in answer.candidates.unwrap_or_default() {
            let index = candidate.index.map_or(0, |index| index.0);
            let known = self
                .candidates
                .iter()
                .position(|known| known.index == index);
            let place = known.unwrap_or_else(|| {
                self.candidates.push(Candidate::new(index));
                self.candidates.len() - 1
            });
            self.candidates[place].take(candidate, &self.id, out)?;
        }
        if let Some(metadata) = answer.usage_metadata {
            let (usage, tier) = usage::read(&metadata);
            out.push(Delta::Usage(usage));
            out.extend(tier.map(Delta::ServiceTier));
        }
        Ok(())
    }

    /// Whether every candidate said why it ended, or none will come.
    pub fn is_whole(&self) -> bool {
        match self.candidates.is_empty() {
            true => self.is_blocked,
            false => self.candidates.iter().all(Candidate::is_finished),
        }
    }

    /// Whether there is anything to answer with.
    pub fn has_answer(&self) -> bool {
        self.is_blocked || !self.candidates.is_empty()
    }

    /// Tells what was held back.
    pub fn settle(&mut self, out: &mut Vec<Delta>) {
        for candidate in &mut self.candidates {
            candidate.settle(out);
        }
        if self.candidates.is_empty() && self.is_blocked {
            out.push(Delta::Finish {
                choice: 0,
                finish: Finish::ContentFilter,
            });
        }
    }
}

impl ReadStream for Reader {
    fn read(&mut self, frame: &[u8], out: &mut Vec<Delta>) -> Result<(), Malformed> {
        if self.is_over {
            return Ok(());
        }
        let Some(data) = sse::joined(frame) else {
            return Ok(());
        };
        let data = data.as_ref();
        // Not Google's, but some proxies end every stream like OpenAI.
        if data.is_empty() || data == b"[DONE]" {
            return Ok(());
        }
        self.take(serde_json::from_slice(data)?, out)
    }

    fn end(&mut self, out: &mut Vec<Delta>) {
        if self.is_over || !self.is_whole() {
            return;
        }
        self.is_over = true;
        self.settle(out);
        out.push(Delta::End);
    }
}
