//! From the common form to a caller's whole answer.

use serde_json::value::RawValue;

use super::sources::Sources;
use super::{finish, usage};
use crate::dialect::Dialect;
use crate::dialect::common::{Answer, Choice, Content, Context, Json, Request, TokenLogprob};
use crate::dialect::gemini::seal::Seal;
use crate::dialect::gemini::stream::{GROUNDING, PAGES, QUOTES, picture};
use crate::dialect::gemini::wire::{self, Many, Raw, Text, Whole};
use crate::dialect::gemini::{request, time};

/// Writes a caller's `GenerateContentResponse`.
pub fn write_answer(answer: &Answer, request: &Request, context: &Context) -> Vec<u8> {
    let candidates = answer.choices.iter().zip(0..).map(candidate).collect();
    let usage = answer.usage.as_ref();
    let model = match answer.model.is_empty() {
        true => &request.model,
        false => &answer.model,
    };
    let id = match answer.id.is_empty() {
        true => &context.id,
        false => &answer.id,
    };
    let wire = wire::Answer {
        candidates: Some(candidates),
        usage_metadata: usage.map(|it| usage::write(it, answer.service_tier.as_deref())),
        model_version: Some(model.as_str().into()),
        create_time: answer.created.map(|created| time::write(created).into()),
        response_id: Some(id.as_str().into()),
        ..wire::Answer::default()
    };
    wire::bytes(&wire)
}

fn candidate((choice, index): (&Choice, u32)) -> wire::Candidate<'_> {
    let mut spoken = Spoken::default();
    for part in &choice.parts {
        spoken.add(&part.content);
    }
    wire::Candidate {
        index: Some(Whole(index)),
        logprobs_result: logprobs(&choice.logprobs),
        ..spoken.candidate(finish::write(choice.finish.as_ref()))
    }
}

/// What a candidate says.
#[derive(Debug, Default)]
pub struct Spoken<'a> {
    parts: Vec<wire::Part<'a>>,
    metadata: Vec<(&'a str, Raw<'a>)>,
    sources: Sources,
    /// A call that is no JSON object, which Google's form has no place for.
    malformed: Option<&'a str>,
}

impl<'a> Spoken<'a> {
    /// Adds a part.
    pub fn add(&mut self, content: &'a Content) {
        match content {
            Content::Text { text, citations } => {
                for citation in citations {
                    self.sources.add(citation, text);
                }
                self.parts.push(wire::Part {
                    text: Some(text.as_str().into()),
                    ..wire::Part::default()
                });
            }
            Content::Refusal(text) => self.parts.push(wire::Part {
                text: Some(text.as_str().into()),
                ..wire::Part::default()
            }),
            Content::Image { source, .. } => self.parts.extend(picture(source)),
            Content::ToolCall {
                id,
                name,
                arguments,
                signature,
            } => match call(id, name, arguments) {
                Some(mut part) => {
                    let seal = signature.clone().map(Seal::from);
                    part.thought_signature = seal.map(|seal| seal.shown().into());
                    self.parts.push(part);
                }
                None => self.malformed = Some(name),
            },
            Content::Thinking(thinking) => {
                let seal = Seal::of(thinking);
                let is_native = seal.as_ref().is_some_and(Seal::is_geminis);
                let shown = seal.map(|seal| Text::from(seal.shown()));
                if thinking.text.is_empty()
                    && is_native
                    && let Some(last) = self.parts.last_mut()
                    && request::takes_seal(last)
                {
                    last.thought_signature = shown;
                    return;
                }
                self.parts.push(wire::Part {
                    text: Some(thinking.text.as_str().into()),
                    thought: (!is_native || !thinking.text.is_empty()).then_some(true),
                    thought_signature: shown,
                    ..wire::Part::default()
                });
            }
            Content::Opaque {
                dialect: Dialect::Gemini,
                kind,
                json,
            } => match kind.as_str() {
                GROUNDING | QUOTES | PAGES => self.metadata.push((kind, Raw::Carried(json))),
                _ => self
                    .parts
                    .extend(serde_json::from_str::<wire::Part<'_>>(json.as_str()).ok()),
            },
            // Media that no answer holds, and what only another dialect knows.
            Content::Opaque { .. }
            | Content::Document { .. }
            | Content::Audio { .. }
            | Content::Video { .. }
            | Content::ToolResult { .. } => {}
        }
    }

    /// Its parts alone.
    pub fn into_parts(self) -> Vec<wire::Part<'a>> {
        self.parts
    }

    /// The candidate that says it.
    pub fn candidate(mut self, finish: &'a str) -> wire::Candidate<'a> {
        let mut taken = |name: &str| {
            let place = self.metadata.iter().position(|(known, _)| *known == name);
            place.map(|place| self.metadata.remove(place).1)
        };
        let grounding = taken(GROUNDING);
        let citations = taken(QUOTES);
        let pages = taken(PAGES);
        let made = match grounding.is_none() && citations.is_none() {
            true => self.sources.json().map(Raw::Made),
            false => None,
        };
        // What was cut by the limit is no fault of the model's.
        let malformed = self.malformed.filter(|_| finish != finish::CUT);
        let message = malformed.map(|name| Text::from(finish::malformed(name)));
        wire::Candidate {
            content: Some(wire::Content {
                role: Some("model".into()),
                parts: Some(Many(self.parts)),
                rest: Vec::new(),
            }),
            finish_reason: Some(match malformed {
                Some(_) => finish::MALFORMED_CALL.into(),
                None => finish.into(),
            }),
            finish_message: message,
            grounding_metadata: grounding.or(made),
            citation_metadata: citations,
            url_context_metadata: pages,
            ..wire::Candidate::default()
        }
    }
}

/// A call for a caller. None if its arguments are no JSON object.
pub fn call<'a>(id: &'a str, name: &'a str, arguments: &'a str) -> Option<wire::Part<'a>> {
    let args = match arguments.trim().is_empty() {
        true => Raw::Made(Json::empty_object()),
        false => match serde_json::from_str::<&RawValue>(arguments) {
            Ok(args) if args.get().starts_with('{') => Raw::Read(args),
            _ => return None,
        },
    };
    Some(wire::Part {
        function_call: Some(wire::FunctionCall {
            id: Some(id.into()),
            name: Some(name.into()),
            args: Some(args),
            ..wire::FunctionCall::default()
        }),
        ..wire::Part::default()
    })
}

/// `logprobsResult`, if there are any.
pub fn logprobs(tokens: &[TokenLogprob]) -> Option<wire::LogprobsResult<'_>> {
    fn token(token: &TokenLogprob) -> wire::TokenCandidate<'_> {
        wire::TokenCandidate {
            token: Some(token.token.as_str().into()),
            log_probability: Some(token.logprob),
            rest: Vec::new(),
        }
    }
    let has_top = tokens.iter().any(|token| !token.top.is_empty());
    let top = tokens.iter().map(|it| wire::TopCandidates {
        candidates: Some(it.top.iter().map(token).collect()),
        rest: Vec::new(),
    });
    (!tokens.is_empty()).then(|| wire::LogprobsResult {
        chosen_candidates: Some(tokens.iter().map(token).collect()),
        top_candidates: has_top.then(|| top.collect()),
        rest: Vec::new(),
    })
}
