//! One candidate of an answer, read piece by piece.
//!
//! Until the stream's end is held back what can still change: why the candidate ended; its sources, which belong to the
//! text before them; and the seal of a hidden thought, which must not part the two.

use crate::dialect::Dialect;
use crate::dialect::common::{
    Content, Delta, Json, Malformed, Source, TokenLogprob, derived_call_id,
};
use crate::dialect::gemini::answer::{finish, sources};
use crate::dialect::gemini::partial::Arguments;
use crate::dialect::gemini::seal::Seal;
use crate::dialect::gemini::{media, wire};

/// One of the answers so far.
#[derive(Debug)]
pub struct Candidate {
    /// Which of them.
    pub index: u32,
    /// How many calls have begun.
    calls: u32,
    /// The text since the last other part: what sources are for.
    text: String,
    /// The seal of a hidden thought, until it is known what follows it.
    seal: Option<Seal>,
    /// A call whose arguments come piece by piece.
    partial: Option<Arguments>,
    finish: Option<String>,
    /// Metadata by name; of several the last is the whole.
    metadata: Vec<(&'static str, Json)>,
}

impl Candidate {
    /// One that has said nothing.
    pub fn new(index: u32) -> Self {
        Self {
            index,
            calls: 0,
            text: String::new(),
            seal: None,
            partial: None,
            finish: None,
            metadata: Vec::new(),
        }
    }

    /// Reads what it says in one event. `id` is what ids of calls are made of.
    pub fn take(
        &mut self,
        wire: wire::Candidate<'_>,
        id: &str,
        out: &mut Vec<Delta>,
    ) -> Result<(), Malformed> {
        let parts = wire.content.and_then(|content| content.parts);
        for part in parts.unwrap_or_default().0 {
            self.part(part, id, out)?;
        }
        if let Some(result) = wire.logprobs_result {
            let tokens = tokens(result);
            if !tokens.is_empty() {
                out.push(Delta::Logprobs {
                    choice: self.index,
                    tokens,
                });
            }
        }
        for (name, raw) in [
            (GROUNDING, wire.grounding_metadata),
            (QUOTES, wire.citation_metadata),
            (PAGES, wire.url_context_metadata),
        ] {
            // Empty where nothing was looked up.
            let Some(raw) = raw.filter(|raw| raw.as_str() != "{}") else {
                continue;
            };
            self.metadata.retain(|(known, _)| *known != name);
            self.metadata.push((name, raw.json()));
        }
        if let Some(reason) = wire.finish_reason {
            self.finish = Some(reason.owned());
        }
        Ok(())
    }

    fn part(
        &mut self,
        mut part: wire::Part<'_>,
        id: &str,
        out: &mut Vec<Delta>,
    ) -> Result<(), Malformed> {
        let choice = self.index;
        let seal = part
            .thought_signature
            .as_deref()
            .filter(|seal| !seal.is_empty());
        let seal = seal.map(Seal::own);
        let is_thought = part.thought == Some(true);
        if let Some(call) = part.function_call.take() {
            self.flush_seal(out);
            return self.call(call, seal, id, out);
        }
        if let Some(text) = part.text.take() {
            if is_thought {
                self.flush_seal(out);
                self.text.clear();
                if !text.is_empty() {
                    let text = text.owned();
                    out.push(Delta::Thinking { choice, text });
                }
                out.extend(seal.map(|seal| told(choice, seal)));
                return Ok(());
            }
            if !text.is_empty() {
                self.flush_seal(out);
                self.text.push_str(&text);
                let text = text.0.into_owned();
                out.push(Delta::Text { choice, text });
            }
            self.hold_seal(seal, out);
            return Ok(());
        }
        let is_image = part.inline_data.as_ref().is_some_and(|blob| {
            let media_type = blob.mime_type.as_deref().unwrap_or_default();
            media_type.starts_with("image/")
        });
        if is_image && !is_thought {
            self.flush_seal(out);
            self.text.clear();
            let blob = part.inline_data.take().unwrap_or_default();
            if let Content::Image { source, .. } = media::inline(blob) {
                out.push(Delta::Image { choice, source });
            }
            self.hold_seal(seal, out);
            return Ok(());
        }
        let kind = [
            (part.inline_data.is_some(), "inlineData"),
            (part.file_data.is_some(), "fileData"),
            (part.function_response.is_some(), "functionResponse"),
        ]
        .into_iter()
        .find_map(|(is_there, name)| is_there.then_some(name))
        .or(part.rest.first().map(|(name, _)| &**name))
        .map(str::to_owned);
        match kind {
            Some(kind) => {
                self.flush_seal(out);
                self.text.clear();
                out.push(Delta::Opaque {
                    choice,
                    dialect: Dialect::Gemini,
                    kind,
                    json: Json::of(&part),
                });
            }
            None => self.hold_seal(seal, out),
        }
        Ok(())
    }

    fn call(
        &mut self,
        call: wire::FunctionCall<'_>,
        seal: Option<Seal>,
        id: &str,
        out: &mut Vec<Delta>,
    ) -> Result<(), Malformed> {
        let choice = self.index;
        let goes_on = call.will_continue == Some(true);
        let pieces = call.partial_args.unwrap_or_default().0;
        match call.name {
            Some(name) => {
                self.flush_partial(out);
                self.text.clear();
                let number = self.calls;
                self.calls += 1;
                let given = call.id.filter(|id| !id.is_empty());
                out.push(Delta::ToolCall {
                    choice,
                    call: number,
                    id: given.map_or_else(|| made_id(id, choice, number), |id| id.owned()),
                    name: name.owned(),
                    signature: seal.map(|seal| seal.signature),
                });
                if !goes_on && pieces.is_empty() {
                    let json = call
                        .args
                        .as_ref()
                        .map_or("{}", wire::Raw::as_str)
                        .to_owned();
                    out.push(Delta::Arguments {
                        choice,
                        call: number,
                        json,
                    });
                    return Ok(());
                }
                self.partial = Some(Arguments::default());
            }
            None if self.partial.is_none() => return Ok(()),
            None => {}
        }
        if let Some(arguments) = &mut self.partial {
            for piece in &pieces {
                arguments.add(piece)?;
            }
        }
        if !goes_on {
            self.flush_partial(out);
        }
        Ok(())
    }

    fn flush_partial(&mut self, out: &mut Vec<Delta>) {
        if let Some(arguments) = self.partial.take() {
            out.push(Delta::Arguments {
                choice: self.index,
                call: self.calls.saturating_sub(1),
                json: arguments.json(),
            });
        }
    }

    fn hold_seal(&mut self, seal: Option<Seal>, out: &mut Vec<Delta>) {
        if seal.is_some() {
            self.flush_seal(out);
            self.seal = seal;
        }
    }

    fn flush_seal(&mut self, out: &mut Vec<Delta>) {
        if let Some(seal) = self.seal.take() {
            self.text.clear();
            out.push(told(self.index, seal));
        }
    }

    /// Whether it said why it ended.
    pub fn is_finished(&self) -> bool {
        self.finish.is_some()
    }

    /// Tells what was held back, and why it ended, if it did.
    pub fn settle(&mut self, out: &mut Vec<Delta>) {
        let choice = self.index;
        self.flush_partial(out);
        for (name, json) in &self.metadata {
            let citations = match *name {
                GROUNDING => sources::grounded(json.as_str(), &self.text),
                QUOTES => sources::quoted(json.as_str(), &self.text),
                _ => Vec::new(),
            };
            let citations = citations.into_iter();
            out.extend(citations.map(|citation| Delta::Citation { choice, citation }));
        }
        self.flush_seal(out);
        for (name, json) in self.metadata.drain(..) {
            out.push(Delta::Opaque {
                choice,
                dialect: Dialect::Gemini,
                kind: name.to_owned(),
                json,
            });
        }
        if let Some(reason) = self.finish.take() {
            out.push(Delta::Finish {
                choice,
                finish: finish::read(&reason, self.calls > 0),
            });
        }
    }
}

/// Metadata of a candidate, which goes to callers of the same dialect as a part of its own.
pub const GROUNDING: &str = "groundingMetadata";
/// See [`GROUNDING`].
pub const QUOTES: &str = "citationMetadata";
/// See [`GROUNDING`].
pub const PAGES: &str = "urlContextMetadata";

fn told(choice: u32, seal: Seal) -> Delta {
    Delta::Signature {
        choice,
        signature: seal.signature,
        id: seal.id,
        is_redacted: seal.is_redacted,
    }
}

fn made_id(answer: &str, choice: u32, call: u32) -> String {
    match choice {
        0 => derived_call_id(answer, call),
        _ => derived_call_id(&format!("{answer}#{choice}"), call),
    }
}

fn tokens(result: wire::LogprobsResult<'_>) -> Vec<TokenLogprob> {
    let token = |wire: wire::TokenCandidate<'_>| TokenLogprob {
        token: wire.token.map(|token| token.owned()).unwrap_or_default(),
        logprob: wire.log_probability.unwrap_or_default(),
        bytes: None,
        top: Vec::new(),
    };
    let mut top = result.top_candidates.unwrap_or_default().into_iter();
    let chosen = result.chosen_candidates.unwrap_or_default().into_iter();
    chosen
        .map(|chosen| {
            let top = top.next().and_then(|step| step.candidates);
            TokenLogprob {
                top: top.unwrap_or_default().into_iter().map(token).collect(),
                ..token(chosen)
            }
        })
        .collect()
}

/// A picture's part for a caller.
pub fn picture(source: &Source) -> Option<wire::Part<'_>> {
    media::part(media::Kind::Image, source, None, media::Guess::ByName)
}
