//! From the common form to a caller's stream.

use crate::dialect::common::{
    Citation, Content, Context, Delta, Finish, Json, Request, Signature, Source, Thinking, Usage,
    WriteStream,
};
use crate::dialect::gemini::answer::{Spoken, call, finish, logprobs, sources::Sources, usage};
use crate::dialect::gemini::seal::Seal;
use crate::dialect::gemini::stream::{GROUNDING, PAGES, QUOTES};
use crate::dialect::gemini::wire::{self, Many, Raw, Text, Whole};
use crate::dialect::gemini::{error, time};
use crate::dialect::{Dialect, Framing};

/// Writes a caller's stream.
///
/// Calls wait until their arguments are whole; why the answers ended, what they cite and what they cost wait for the
/// stream's end, which Google's form says no other way.
#[derive(Debug)]
pub struct Writer {
    framing: Framing,
    id: String,
    model: String,
    created: Option<u64>,
    usage: Option<Usage>,
    tier: Option<String>,
    choices: Vec<Choice>,
    /// Whether the array has begun.
    is_begun: bool,
    /// The ending or an error was written.
    is_over: bool,
}

impl Writer {
    /// For a caller who wants server-sent events (`alt=sse`), or else the array that Google sends without.
    pub fn new(request: &Request, context: &Context, framing: Framing) -> Self {
        Self {
            framing,
            id: context.id.clone(),
            model: request.model.clone(),
            created: None,
            usage: None,
            tier: None,
            choices: Vec::new(),
            is_begun: false,
            is_over: false,
        }
    }

    fn answer<'a>(&'a self, candidates: Vec<wire::Candidate<'a>>) -> wire::Answer<'a> {
        wire::Answer {
            candidates: Some(candidates),
            model_version: Some(self.model.as_str().into()),
            create_time: self.created.map(|created| time::write(created).into()),
            response_id: Some(self.id.as_str().into()),
            ..wire::Answer::default()
        }
    }

    /// One part in an event of its own.
    fn part(&mut self, choice: u32, part: wire::Part<'_>, out: &mut Vec<u8>) {
        let candidate = wire::Candidate {
            content: Some(wire::Content {
                parts: Some(Many(vec![part])),
                role: Some("model".into()),
                rest: Vec::new(),
            }),
            index: Some(Whole(choice)),
            ..wire::Candidate::default()
        };
        self.open_event(out);
        wire::write(&self.answer(vec![candidate]), out);
        self.close_event(out);
    }

    fn open_event(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(match (self.framing, self.is_begun) {
            (Framing::Array, false) => b"[",
            (Framing::Array, true) => b",\r\n",
            (Framing::Events | Framing::EventStream, _) => b"data: ",
        });
        self.is_begun = true;
    }

    fn close_event(&self, out: &mut Vec<u8>) {
        if self.framing != Framing::Array {
            out.extend_from_slice(b"\r\n\r\n");
        }
    }

    fn finish_array(&mut self, out: &mut Vec<u8>) {
        if self.framing == Framing::Array {
            out.extend_from_slice(b"]");
        }
    }

    /// The place of `choice`, the only one that is not a list's index: callers may be asked for any.
    fn choice(&mut self, choice: u32) -> &mut Choice {
        let known = self.choices.iter().position(|known| known.index == choice);
        let place = known.unwrap_or_else(|| {
            self.choices.push(Choice {
                index: choice,
                ..Choice::default()
            });
            self.choices.len() - 1
        });
        &mut self.choices[place]
    }

    /// Writes the calls that wait, before what follows them.
    fn flush_calls(&mut self, choice: u32, out: &mut Vec<u8>) {
        let state = self.choice(choice);
        if state.calls.is_empty() {
            return;
        }
        for waiting in std::mem::take(&mut state.calls) {
            match call(&waiting.id, &waiting.name, &waiting.arguments) {
                Some(mut part) => {
                    let seal = waiting.signature.map(Seal::from);
                    part.thought_signature = seal.map(|seal| seal.shown().into());
                    self.part(choice, part, out);
                }
                None => self.choice(choice).malformed = Some(waiting.name),
            }
        }
    }

    /// A part that is whole as it is.
    fn whole(&mut self, choice: u32, content: &Content, out: &mut Vec<u8>) {
        self.flush_calls(choice, out);
        self.choice(choice).text.clear();
        let mut spoken = Spoken::default();
        spoken.add(content);
        for part in spoken.into_parts() {
            self.part(choice, part, out);
        }
    }

    fn ending(&mut self, out: &mut Vec<u8>) {
        if self.choices.is_empty() {
            self.choice(0);
        }
        let indexes: Vec<u32> = self.choices.iter().map(|choice| choice.index).collect();
        for index in indexes {
            self.flush_calls(index, out);
        }
        self.open_event(out);
        let candidates = self.choices.iter().map(Choice::ending).collect();
        let mut answer = self.answer(candidates);
        let usage = self.usage.as_ref();
        answer.usage_metadata = usage.map(|it| usage::write(it, self.tier.as_deref()));
        wire::write(&answer, out);
        self.close_event(out);
        self.finish_array(out);
    }
}

impl WriteStream for Writer {
    fn write(&mut self, delta: Delta, out: &mut Vec<u8>) {
        if self.is_over {
            return;
        }
        match delta {
            Delta::Start { id, model, created } => {
                if !id.is_empty() {
                    self.id = id;
                }
                if !model.is_empty() {
                    self.model = model;
                }
                self.created = created;
            }
            Delta::Text { choice, text } | Delta::Refusal { choice, text } => {
                self.flush_calls(choice, out);
                self.choice(choice).text.push_str(&text);
                let part = wire::Part {
                    text: Some(text.into()),
                    ..wire::Part::default()
                };
                self.part(choice, part, out);
            }
            Delta::Thinking { choice, text } => {
                let thinking = Thinking {
                    text,
                    ..Thinking::default()
                };
                self.whole(choice, &Content::Thinking(thinking), out);
            }
            Delta::Signature {
                choice,
                signature,
                id,
                is_redacted,
            } => {
                let thinking = Thinking {
                    text: String::new(),
                    signature: Some(signature),
                    id,
                    is_redacted,
                };
                self.whole(choice, &Content::Thinking(thinking), out);
            }
            Delta::Citation { choice, citation } => {
                self.choice(choice).cite(&citation);
            }
            Delta::ToolCall {
                choice,
                call,
                id,
                name,
                signature,
            } => {
                let state = self.choice(choice);
                state.text.clear();
                state.calls.push(Call {
                    call,
                    id,
                    name,
                    signature,
                    arguments: String::new(),
                });
            }
            Delta::Arguments { choice, call, json } => {
                let calls = &mut self.choice(choice).calls;
                if let Some(waiting) = calls.iter_mut().find(|waiting| waiting.call == call) {
                    waiting.arguments.push_str(&json);
                }
            }
            Delta::Image { choice, source } => {
                self.whole(choice, &image(source), out);
            }
            Delta::Opaque {
                choice,
                dialect: Dialect::Gemini,
                kind,
                json,
            } => match kind.as_str() {
                GROUNDING | QUOTES | PAGES => self.choice(choice).metadata.push((kind, json)),
                _ => {
                    let content = Content::Opaque {
                        dialect: Dialect::Gemini,
                        kind,
                        json,
                    };
                    self.whole(choice, &content, out);
                }
            },
            Delta::Opaque { .. } => {}
            Delta::Logprobs { choice, tokens } => {
                let candidate = wire::Candidate {
                    index: Some(Whole(choice)),
                    logprobs_result: logprobs(&tokens),
                    ..wire::Candidate::default()
                };
                self.open_event(out);
                wire::write(&self.answer(vec![candidate]), out);
                self.close_event(out);
            }
            Delta::Finish { choice, finish } => {
                self.flush_calls(choice, out);
                self.choice(choice).finish = Some(finish);
            }
            Delta::Usage(usage) => self.usage = Some(usage),
            Delta::ServiceTier(tier) => self.tier = Some(tier),
            Delta::End => {
                self.ending(out);
                self.is_over = true;
            }
            Delta::Error(error) => {
                self.open_event(out);
                out.extend_from_slice(&error::error_body(&error));
                self.close_event(out);
                self.finish_array(out);
                self.is_over = true;
            }
        }
    }
}

fn image(source: Source) -> Content {
    Content::Image {
        source,
        detail: None,
    }
}

/// One of the answers so far.
#[derive(Debug, Default)]
struct Choice {
    index: u32,
    calls: Vec<Call>,
    /// The text that sources are for.
    text: String,
    sources: Sources,
    metadata: Vec<(String, Json)>,
    malformed: Option<String>,
    finish: Option<Finish>,
}

/// A call whose arguments may not be whole.
#[derive(Debug)]
struct Call {
    call: u32,
    id: String,
    name: String,
    signature: Option<Signature>,
    arguments: String,
}

impl Choice {
    fn cite(&mut self, citation: &Citation) {
        self.sources.add(citation, &self.text);
    }

    fn ending(&self) -> wire::Candidate<'_> {
        let taken = |name: &str| {
            let found = self.metadata.iter().find(|(known, _)| known == name);
            found.map(|(_, json)| Raw::Carried(json))
        };
        let (grounding, quotes) = (taken(GROUNDING), taken(QUOTES));
        let made = match grounding.is_none() && quotes.is_none() {
            true => self.sources.json().map(Raw::Made),
            false => None,
        };
        // What was cut by the limit is no fault of the model's.
        let is_cut = self.finish == Some(Finish::Length);
        let message = self.malformed.as_ref().filter(|_| !is_cut);
        wire::Candidate {
            // SDKs look for a content in every candidate.
            content: Some(wire::Content {
                role: Some("model".into()),
                parts: Some(Many(vec![wire::Part {
                    text: Some("".into()),
                    ..wire::Part::default()
                }])),
                rest: Vec::new(),
            }),
            finish_reason: Some(match message {
                Some(_) => finish::MALFORMED_CALL.into(),
                None => finish::write(self.finish.as_ref()).into(),
            }),
            finish_message: message.map(|name| Text::from(finish::malformed(name))),
            index: Some(Whole(self.index)),
            grounding_metadata: grounding.or(made),
            citation_metadata: quotes,
            url_context_metadata: taken(PAGES),
            ..wire::Candidate::default()
        }
    }
}
