//! How a request reaches its target, and its answer the caller: as it is, or through the common form.

use bytes::Bytes;
use http::HeaderValue;

use super::embed::Embedding;
use super::stored::{self, Sealing};
use crate::access::Key;
use crate::dialect::common::{Answer, Carry, Context, Dropped, Feature, Outgoing, Request};
use crate::dialect::{Dialect, Error, Framing, Incoming, Operation, Patches, ToolNames, count};
use crate::route::{Model, Target};

/// What is sent, and what becomes of the answer.
pub struct Plan {
    /// What the target is asked, in a dialect of its own.
    pub operation: Operation,
    /// The body's pieces, one behind the other.
    pub body: Vec<Bytes>,
    /// How the answer comes back to the caller.
    pub back: Back,
    /// How a stream is framed for the caller.
    pub framing: Framing,
    /// What the target cannot carry.
    pub dropped: Option<HeaderValue>,
}

/// How an answer comes back to the caller.
pub enum Back {
    /// As it came.
    AsIs,
    /// As it came, but for the ids of what the provider keeps.
    Sealed(Sealing),
    /// Through the common form.
    Translated(Box<Translation>),
    /// As a count of tokens in the caller's dialect.
    Counted,
    /// As OpenAI's embeddings, out of the answers to several calls. The plan has no body of its own.
    Embedded(Box<Embedding>),
}

/// A request in its target's dialect.
pub(super) struct Written {
    pub body: Vec<u8>,
    /// What the target cannot carry.
    pub dropped: Dropped,
    /// Tools that the target knows by other names.
    pub tool_names: Option<ToolNames>,
}

/// What an answer is translated by.
pub struct Translation {
    /// The caller's request.
    pub request: Request,
    /// What stands in no body.
    pub context: Context,
    /// Tools that the target knows by other names.
    pub tool_names: Option<ToolNames>,
    /// Whether the log-probabilities of the answer are not for the caller.
    pub hides_logprobs: bool,
}

impl Translation {
    /// Takes out of an answer what is not for the caller.
    pub fn hide(&self, answer: &mut Answer) {
        if self.hides_logprobs {
            let choices = answer.choices.iter_mut();
            choices.for_each(|choice| choice.logprobs.clear());
        }
    }
}

impl Plan {
    /// Plans a request for text, each choice of whose answer has at most `output_max` tokens, if that is given. With
    /// `needs_logprobs`, the log-probabilities of tokens are asked for where the target can tell them, and kept from a caller who
    /// has not asked.
    ///
    /// # Errors
    /// The target cannot take it, or not whole where the model says `strict`; or its thinking needs a longer answer.
    pub fn text(
        incoming: &Incoming,
        framing: Framing,
        key: &Key,
        model: &Model,
        target: &Target,
        output_max: Option<u64>,
        needs_logprobs: bool,
    ) -> Result<Self, Error> {
        let caller = incoming.operation.dialect();
        let provider = &target.provider;
        let Some(dialect) = provider.dialect_for(caller, &target.model) else {
            return Err(unserved(incoming));
        };
        let operation = Operation::Generate(dialect);
        // Where only the alternatives are bounded or missing, what a gate asks for is there.
        let tells_logprobs = !matches!(
            dialect.carries(&outgoing(target), Feature::Logprobs),
            Carry::Never
        );
        // What a provider of responses stores is known by the ids in its own answer.
        let is_stored = caller == Dialect::Responses && dialect == caller;
        let adds_logprobs = needs_logprobs && tells_logprobs && !is_stored;
        if dialect == caller && !adds_logprobs && incoming.begun.is_none() {
            let shorter = match output_max {
                Some(output_max) => incoming.shortened(output_max, provider.accent)?,
                None => Patches::default(),
            };
            let (body, back) = match caller {
                Dialect::Responses => stored::go_on(incoming, key, target, shorter)?,
                Dialect::Anthropic | Dialect::Bedrock if provider.auto_cache => {
                    (marked(incoming, target, shorter)?, Back::AsIs)
                }
                Dialect::Anthropic if provider.is_vertex() => {
                    (incoming.body_for_vertex(shorter), Back::AsIs)
                }
                _ => {
                    let ask_usage = provider.accent.has_stream_options;
                    let body = incoming.body_for(&target.model, ask_usage, shorter);
                    (body, Back::AsIs)
                }
            };
            return Ok(Self {
                operation,
                body,
                back,
                framing,
                dropped: None,
            });
        }
        stored::check_begins_anew(incoming)?;
        let mut request = caller.read_request(incoming.body(), &incoming.model, incoming.stream)?;
        if let Some(output_max) = output_max {
            let asked = request.max_tokens.unwrap_or(output_max);
            request.max_tokens = Some(asked.min(output_max));
        }
        let hides_logprobs = adds_logprobs && request.logprobs.is_none();
        if hides_logprobs {
            request.logprobs = Some(0);
        }
        let begun = incoming.begun.as_ref().map(|_| request.clone().begun());
        let Written {
            body,
            dropped,
            tool_names,
        } = Written::of(begun.as_ref().unwrap_or(&request), dialect, target)?;
        if hides_logprobs {
            request.logprobs = None;
        }
        Ok(Self {
            operation,
            body: vec![Bytes::from(body)],
            back: Back::Translated(Box::new(Translation {
                tool_names,
                request,
                context: context(),
                hides_logprobs,
            })),
            framing,
            dropped: told(&dropped, model)?,
        })
    }

    /// Plans a count of tokens by the target; None if it does not count.
    ///
    /// # Errors
    /// The request cannot be read, or the target cannot take it.
    pub fn count(incoming: &Incoming, target: &Target) -> Result<Option<Self>, Error> {
        let caller = incoming.operation.dialect();
        let provider = &target.provider;
        let Some(dialect) = provider.dialect_for(caller, &target.model) else {
            return Err(unserved(incoming));
        };
        if !provider.counts_tokens(caller, dialect, &target.model) {
            return Ok(None);
        }
        let (body, back) = match dialect == caller && !count::is_nested(incoming.body()) {
            true => (
                incoming.body_for(&target.model, false, Patches::default()),
                Back::AsIs,
            ),
            false => {
                let request = count::read_request(caller, incoming.body(), &incoming.model)?;
                let fitted = ToolNames::fit(&request, dialect);
                let request = fitted.map_or(request, |(fitted, _)| fitted);
                let body = count::write_request(dialect, &request, &outgoing(target))?;
                (vec![Bytes::from(body)], Back::Counted)
            }
        };
        Ok(Some(Self {
            operation: Operation::CountTokens(dialect),
            body,
            back,
            framing: Framing::Events,
            dropped: None,
        }))
    }

    /// Plans a request for embeddings.
    ///
    /// # Errors
    /// The target serves none, or cannot make them so.
    pub fn embeddings(incoming: &Incoming, model: &Model, target: &Target) -> Result<Self, Error> {
        let Some(dialect) = target.provider.dialect_of_embeddings() else {
            return Err(unserved(incoming));
        };
        let (body, back, dropped) = match dialect == incoming.operation.dialect() {
            true => (
                incoming.body_for(&target.model, false, Patches::default()),
                Back::AsIs,
                None,
            ),
            false => {
                let embedding = Embedding::of(incoming, dialect, &outgoing(target))?;
                let dropped = told(&embedding.dropped, model)?;
                (Vec::new(), Back::Embedded(Box::new(embedding)), dropped)
            }
        };
        Ok(Self {
            operation: Operation::Embed(dialect),
            body,
            back,
            framing: Framing::Events,
            dropped,
        })
    }
}

impl Written {
    /// Writes a request in the dialect in which a target is asked.
    pub fn of(request: &Request, dialect: Dialect, target: &Target) -> Result<Self, Error> {
        let fitted = ToolNames::fit(request, dialect);
        let sent = fitted.as_ref().map_or(request, |(fitted, _)| fitted);
        let (body, dropped) = dialect.write_request(sent, &outgoing(target))?;
        Ok(Self {
            body,
            dropped,
            tool_names: fitted.map(|(_, names)| names),
        })
    }
}

/// The request in its own dialect, with marks for the provider's cache where the caller set none.
fn marked(incoming: &Incoming, target: &Target, shorter: Patches) -> Result<Vec<Bytes>, Error> {
    let dialect = incoming.operation.dialect();
    if dialect == Dialect::Anthropic && !target.provider.is_vertex() {
        let marked = incoming.body_with_mark(&target.model, shorter.clone());
        return Ok(marked.unwrap_or_else(|| incoming.body_for(&target.model, false, shorter)));
    }
    let body = incoming.body_for(&incoming.model, false, shorter).concat();
    let request = dialect.read_request(&body, &incoming.model, incoming.stream)?;
    let (body, _) = dialect.write_request(&request, &outgoing(target))?;
    Ok(vec![Bytes::from(body)])
}

/// What `x-tollgate-dropped` tells, or the refusal of a strict model.
pub(super) fn told(dropped: &Dropped, model: &Model) -> Result<Option<HeaderValue>, Error> {
    let Some(first) = dropped.names().next() else {
        return Ok(None);
    };
    if model.strict {
        let message = format!("the target cannot carry `{first}`, and the model is strict");
        return Err(Error::invalid(first, message));
    }
    Ok(HeaderValue::from_str(&dropped.joined()).ok())
}

/// The target does not serve what is asked for.
pub fn unserved(incoming: &Incoming) -> Error {
    let Incoming {
        model, operation, ..
    } = incoming;
    let message = format!("the model `{model}` does not serve {}", operation.name());
    Error::invalid("model", message)
}

/// What a writer of requests needs to know of a target.
pub(super) fn outgoing(target: &Target) -> Outgoing<'_> {
    target.provider.outgoing(&target.model)
}

/// What stands in for ids and times that a provider does not give.
fn context() -> Context {
    let id = super::new_request_id();
    let now = u64::try_from(chrono::Utc::now().timestamp()).unwrap_or_default();
    Context {
        id: id.trim_start_matches("req_").to_owned(),
        now,
    }
}
