//! A body whose answer is limited to fewer tokens than the caller asked for: only the limit changes.

use std::ops::Range;

use super::Incoming;
use crate::dialect::accent::MaxTokens;
use crate::dialect::demand::{BUDGET_MIN, thinking_budget, whole};
use crate::dialect::scan::{members, only};
use crate::dialect::{Accent, Dialect, Error};

/// Bytes of a body that are written anew, and with what.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Patches(pub(super) Vec<(Range<usize>, String)>);

impl Incoming {
    /// What changes in the body so that each choice of its answer has at most `output_max` tokens, for a target of the
    /// caller's dialect that has this accent. A limit that is low enough stays, and so does every other byte.
    ///
    /// # Errors
    /// [`super::super::Kind::InvalidRequest`]: the model is told to think, and its budget cannot be less than the limit.
    pub fn shortened(&self, output_max: u64, accent: &Accent) -> Result<Patches, Error> {
        let mut patches = Vec::new();
        let mut limit = Limit {
            body: &self.body,
            output_max,
            patches: &mut patches,
        };
        let body = &self.body[..];
        match self.operation.dialect() {
            Dialect::Chat => {
                let plain = ["max_tokens", "max_completion_tokens"];
                let own = ["max_completion_tokens", "max_tokens"];
                limit.within(
                    body,
                    match accent.max_tokens {
                        MaxTokens::Completion => &own,
                        MaxTokens::Plain => &plain,
                    },
                );
            }
            Dialect::Completions | Dialect::Cohere => limit.within(body, &["max_tokens"]),
            Dialect::Responses => limit.within(body, &["max_output_tokens"]),
            Dialect::Anthropic => {
                limit.within(body, &["max_tokens"]);
                limit.thinking(body, "thinking")?;
            }
            Dialect::Gemini => limit.nested(
                &["generationConfig", "generation_config"],
                &["maxOutputTokens", "max_output_tokens"],
            ),
            Dialect::Bedrock => {
                limit.nested(&["inferenceConfig"], &["maxTokens"]);
                let fields = only(body, &["additionalModelRequestFields"]).unwrap_or_default();
                for name in ["thinking", "reasoning_config"] {
                    limit.thinking(fields, name)?;
                }
            }
        }
        Ok(Patches(patches))
    }
}

struct Limit<'a> {
    body: &'a [u8],
    output_max: u64,
    patches: &'a mut Vec<(Range<usize>, String)>,
}

impl Limit<'_> {
    /// Limits the answer in an object that may name it so; the first name is written where none is there.
    fn within(&mut self, object: &[u8], names: &[&str]) {
        let mut is_set = false;
        for (name, raw) in members(object) {
            // What is null under another name is as if it were not there.
            if !names.contains(&&*name) || raw == b"null" && name != names[0] {
                continue;
            }
            is_set = true;
            if whole(raw).is_none_or(|limit| limit > self.output_max) {
                self.write(raw, self.output_max.to_string());
            }
        }
        if !is_set {
            let member = format!("\"{}\":{}", names[0], self.output_max);
            self.insert(object, member);
        }
    }

    /// The same in an object of the body's that may be called so.
    fn nested(&mut self, objects: &[&str], names: &[&str]) {
        let new = format!("{{\"{}\":{}}}", names[0], self.output_max);
        let body = self.body;
        let mut is_there = false;
        for (_, raw) in members(body).filter(|(name, _)| objects.contains(&&**name)) {
            is_there = true;
            match raw {
                b"null" => self.write(raw, new.clone()),
                raw => self.within(raw, names),
            }
        }
        if !is_there {
            self.insert(body, format!("\"{}\":{new}", objects[0]));
        }
    }

    /// A budget for thinking must be less than the limit, of which half is left for the answer.
    fn thinking(&mut self, object: &[u8], name: &str) -> Result<(), Error> {
        let thinking = only(object, &[name]).unwrap_or_default();
        if thinking_budget(thinking).is_none_or(|budget| budget < self.output_max) {
            return Ok(());
        }
        if self.output_max <= BUDGET_MIN {
            let param = format!("{name}.budget_tokens");
            let message = format!(
                "`{param}` leaves no room in an answer of {} tokens",
                self.output_max
            );
            return Err(Error::invalid(&param, message));
        }
        let budget = (self.output_max / 2).max(BUDGET_MIN);
        for (_, raw) in members(thinking).filter(|(name, _)| name == "budget_tokens") {
            self.write(raw, budget.to_string());
        }
        Ok(())
    }

    /// Writes a value anew that stands in the body.
    fn write(&mut self, raw: &[u8], text: String) {
        let start = self.place(raw);
        self.patches.push((start..start + raw.len(), text));
    }

    /// Writes a further member into an object of the body's. A body without any is for the provider to refuse.
    fn insert(&mut self, object: &[u8], member: String) {
        let is_body = object.len() == self.body.len();
        let is_empty = members(object).next().is_none();
        let brace = object.iter().rposition(|byte| *byte == b'}');
        let (Some(brace), false) = (brace, is_body && is_empty) else {
            return;
        };
        let at = self.place(object) + brace;
        let lead = if is_empty { "" } else { "," };
        self.patches.push((at..at, [lead, &member].concat()));
    }

    /// Where a slice of the body begins.
    fn place(&self, raw: &[u8]) -> usize {
        raw.as_ptr() as usize - self.body.as_ptr() as usize
    }
}

#[cfg(test)]
mod tests;
