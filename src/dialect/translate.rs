//! Every dialect behind the same verbs. A room is a dialect; this is the one place that knows all of them.

use bytes::Bytes;
use http::StatusCode;

use super::common::{
    Answer, Carry, Context, Dropped, Feature, Malformed, Outgoing, ReadStream, Request, Said,
    ToolChoice, WriteStream,
};
use super::{
    Accent, Dialect, Error, Usage, anthropic, bedrock, chat, cohere, completions, eventstream,
    gemini, openai, responses, scan, sse,
};

/// How the pieces of a stream are told apart on the wire.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Framing {
    /// Server-sent events.
    #[default]
    Events,
    /// AWS's binary event stream.
    EventStream,
    /// One JSON array, an element a piece (Gemini without `alt=sse`).
    Array,
}

impl Framing {
    /// The media type.
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Events => "text/event-stream",
            Self::EventStream => "application/vnd.amazon.eventstream",
            Self::Array => "application/json",
        }
    }
}

impl Dialect {
    /// Whether a request to a target of this dialect can hold `feature`.
    pub fn carries(self, to: &Outgoing<'_>, feature: Feature) -> Carry {
        match self {
            Self::Chat | Self::Completions => chat::carries_with(to.accent, feature),
            Self::Responses => responses::carries(feature),
            Self::Anthropic => anthropic::carries(feature),
            Self::Gemini => gemini::carries(feature),
            Self::Bedrock => bedrock::carries(feature),
            Self::Cohere => cohere::carries(feature),
        }
    }

    /// Whether a model that is asked in this dialect goes on with an answer that the request begins, as far as is known.
    pub fn has_prefill(self, model: &str, accent: &Accent) -> bool {
        match self {
            Self::Chat => accent.prefill.is_some(),
            Self::Anthropic | Self::Bedrock => anthropic::has_prefill(model),
            Self::Gemini => gemini::has_prefill(model),
            Self::Completions | Self::Responses | Self::Cohere => false,
        }
    }

    /// Reads a caller's request. `model` and `stream` are what path or body say.
    ///
    /// # Errors
    /// [`super::Kind::InvalidRequest`], with the field at fault.
    pub fn read_request(self, body: &[u8], model: &str, stream: bool) -> Result<Request, Error> {
        let mut request = match self {
            Self::Chat => chat::read_request(body),
            Self::Completions => completions::read_request(body),
            Self::Responses => responses::read_request(body),
            Self::Anthropic => anthropic::read_request(body),
            Self::Gemini => gemini::read_request(body, model, stream),
            Self::Bedrock => bedrock::read_request(body, model, stream),
            Self::Cohere => cohere::read_request(body),
        }?;
        request.model = model.to_owned();
        request.stream = stream;
        check_bounds(&request)?;
        Ok(request)
    }

    /// Writes a request for a target, and notes what it cannot carry.
    ///
    /// # Errors
    /// [`super::Kind::InvalidRequest`]: the target cannot take it at all, and why.
    pub fn write_request(
        self,
        request: &Request,
        to: &Outgoing<'_>,
    ) -> Result<(Vec<u8>, Dropped), Error> {
        let mut dropped = Dropped::from(request, self, |feature| self.carries(to, feature));
        let body = match self {
            Self::Chat | Self::Completions => chat::write_request(request, to, &mut dropped),
            Self::Responses => responses::write_request(request, to, &mut dropped),
            Self::Anthropic => anthropic::write_request(request, to, &mut dropped),
            Self::Gemini => gemini::write_request(request, to, &mut dropped),
            Self::Bedrock => bedrock::write_request(request, to, &mut dropped),
            Self::Cohere => cohere::write_request(request, to, &mut dropped),
        }?;
        Ok((body, dropped))
    }

    /// Reads a provider's whole answer.
    ///
    /// # Errors
    /// It is no answer of this dialect.
    pub fn read_answer(self, body: &[u8], context: &Context) -> Result<Answer, Malformed> {
        match self {
            Self::Chat | Self::Completions => chat::read_answer(body, context),
            Self::Responses => responses::read_answer(body, context),
            Self::Anthropic => anthropic::read_answer(body, context),
            Self::Gemini => gemini::read_answer(body, context),
            Self::Bedrock => bedrock::read_answer(body, context),
            Self::Cohere => cohere::read_answer(body, context),
        }
    }

    /// What a whole answer says, to be counted where it tells no usage. Nothing where it cannot be read.
    pub fn said(self, body: &[u8]) -> Said {
        let read = self.read_answer(body, &Context::default());
        read.map(|answer| Said::of(&answer)).unwrap_or_default()
    }

    /// Writes a whole answer for the caller of `request`.
    pub fn write_answer(self, answer: &Answer, request: &Request, context: &Context) -> Vec<u8> {
        match self {
            Self::Chat => chat::write_answer(answer, request, context),
            Self::Completions => completions::write_answer(answer, request, context),
            Self::Responses => responses::write_answer(answer, request, context),
            Self::Anthropic => anthropic::write_answer(answer, request, context),
            Self::Gemini => gemini::write_answer(answer, request, context),
            Self::Bedrock => bedrock::write_answer(answer, request, context),
            Self::Cohere => cohere::write_answer(answer, request, context),
        }
    }

    /// Reads a provider's stream.
    pub fn reader(self, context: &Context) -> Box<dyn ReadStream> {
        match self {
            Self::Chat | Self::Completions => Box::new(chat::Reader::new(context)),
            Self::Responses => Box::new(responses::Reader::new(context)),
            Self::Anthropic => Box::new(anthropic::Reader::new(context)),
            Self::Gemini => Box::new(gemini::Reader::new(context)),
            Self::Bedrock => Box::new(bedrock::Reader::new(context)),
            Self::Cohere => Box::new(cohere::Reader::new(context)),
        }
    }

    /// Writes a stream for the caller of `request`.
    pub fn writer(
        self,
        request: &Request,
        context: &Context,
        framing: Framing,
    ) -> Box<dyn WriteStream> {
        match self {
            Self::Chat => Box::new(chat::Writer::new(request, context)),
            Self::Completions => Box::new(completions::Writer::new(request, context)),
            Self::Responses => Box::new(responses::Writer::new(request, context)),
            Self::Anthropic => Box::new(anthropic::Writer::new(request, context)),
            Self::Gemini => Box::new(gemini::Writer::new(request, context, framing)),
            Self::Bedrock => Box::new(bedrock::Writer::new(request, context)),
            Self::Cohere => Box::new(cohere::Writer::new(request, context)),
        }
    }

    /// What a whole answer says that it cost, without a look at the rest.
    pub fn usage(self, answer: &[u8]) -> Option<Usage> {
        match self {
            Self::Chat | Self::Completions => chat::usage(answer),
            Self::Responses => responses::usage(answer),
            Self::Anthropic => anthropic::usage(answer),
            Self::Gemini => gemini::usage(answer),
            Self::Bedrock => bedrock::usage(answer),
            Self::Cohere => cohere::usage(answer),
        }
    }

    /// The error that a whole answer with a status of success holds (responses that failed, Cohere's).
    pub fn failure(self, answer: &[u8]) -> Option<Error> {
        match self {
            Self::Responses => responses::failure(answer),
            Self::Cohere => cohere::failure(answer),
            _ => None,
        }
    }

    /// The error that stands where an answer should, under a status of success: OpenRouter and others do so when whoever
    /// answers for them fails.
    pub fn misplaced_error(self, answer: &[u8], object: &scan::Object<'_>) -> Option<Error> {
        let content = match self {
            Self::Chat | Self::Completions => "choices",
            Self::Anthropic => "content",
            Self::Gemini => "candidates",
            // Their failed answers are answers, too.
            Self::Responses | Self::Bedrock | Self::Cohere => return None,
        };
        let error = object.value("error")?;
        if !error.starts_with(b"{") || object.value(content).is_some() {
            return None;
        }
        let said = scan::member(error, "code").or_else(|| scan::member(error, "status"));
        let said = said.and_then(|code| std::str::from_utf8(code).ok()?.parse().ok());
        let status = said.and_then(|code| StatusCode::from_u16(code).ok());
        let status = status.filter(|status| status.is_client_error() || status.is_server_error());
        let status = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        Some(self.read_error(status, answer, None))
    }

    /// A provider's error. `kind` is what a header says of it (Bedrock).
    pub fn read_error(self, status: StatusCode, body: &[u8], kind: Option<&str>) -> Error {
        match self {
            Self::Chat | Self::Completions => chat::read_error(status, body),
            Self::Responses => responses::read_error(status, body),
            Self::Anthropic => anthropic::read_error(status, body),
            Self::Gemini => gemini::read_error(status, body),
            Self::Bedrock => bedrock::read_error(status, body, kind),
            Self::Cohere => cohere::read_error(status, body),
        }
    }

    /// An error in the envelope that this dialect's SDKs turn into their typed exceptions.
    pub fn error_body(self, error: &Error) -> Bytes {
        match self {
            Self::Chat | Self::Completions | Self::Responses => openai::error_body(error),
            Self::Anthropic => anthropic::error_body(error),
            Self::Gemini => gemini::error_body(error),
            Self::Bedrock => bedrock::error_body(error),
            Self::Cohere => cohere::error_body(error),
        }
    }

    /// An error that ends a stream which has already begun. No ending follows it.
    pub fn error_event(self, error: &Error) -> Bytes {
        match self {
            Self::Chat | Self::Completions => openai::error_event(error),
            Self::Responses => responses::error_event(error),
            Self::Anthropic => anthropic::error_event(error),
            Self::Gemini => gemini::error_event(error),
            Self::Bedrock => bedrock::error_event(error),
            Self::Cohere => cohere::error_event(error),
        }
    }

    /// How a provider's streams of this dialect are framed.
    pub const fn framing(self) -> Framing {
        match self {
            Self::Bedrock => Framing::EventStream,
            _ => Framing::Events,
        }
    }

    /// Puts a provider's stream back together into frames.
    pub fn frames(self) -> Frames {
        match self.framing() {
            Framing::EventStream => Frames::EventStream(eventstream::Frames::default()),
            Framing::Events | Framing::Array => Frames::Events(sse::Frames::default()),
        }
    }
}

/// The most tools of a request that is translated, and the most names of a choice among them. OpenAI takes 128.
const TOOLS_MAX: usize = 1024;

fn check_bounds(request: &Request) -> Result<(), Error> {
    let chosen = match &request.tool_choice {
        Some(ToolChoice::Allowed { names, .. }) => names.len(),
        _ => 0,
    };
    for (field, count) in [("tools", request.tools.len()), ("tool_choice", chosen)] {
        if count > TOOLS_MAX {
            let message = format!("`{field}` names over {TOOLS_MAX} tools");
            return Err(Error::invalid(field, message));
        }
    }
    Ok(())
}

/// Puts a stream's bytes back together into frames, whatever the framing.
#[derive(Debug)]
pub enum Frames {
    /// Server-sent events.
    Events(sse::Frames),
    /// AWS's binary event stream.
    EventStream(eventstream::Frames),
}

impl Frames {
    /// Takes what arrived and returns every frame that is now whole, one behind the other.
    ///
    /// # Errors
    /// A frame is too large, or damaged.
    pub fn push(&mut self, chunk: Bytes) -> Result<Bytes, Malformed> {
        match self {
            Self::Events(frames) => frames
                .push(chunk)
                .map_err(|fault| Malformed(fault.to_string())),
            Self::EventStream(frames) => frames
                .push(chunk)
                .map_err(|fault| Malformed(fault.to_string())),
        }
    }

    /// Whether the beginning of a frame is held whose end never came.
    pub fn is_partial(&self) -> bool {
        match self {
            Self::Events(frames) => frames.is_partial(),
            Self::EventStream(frames) => frames.is_partial(),
        }
    }

    /// The first of `frames`, taken from them.
    pub fn next_of(&self, frames: &mut Bytes) -> Option<Bytes> {
        match self {
            Self::Events(_) => sse::next(frames),
            Self::EventStream(_) => eventstream::next(frames),
        }
    }
}

/// The list of models, in a dialect's shape.
pub fn model_list<'a>(dialect: Dialect, names: impl Iterator<Item = &'a str>) -> Bytes {
    match dialect {
        Dialect::Anthropic => anthropic::model_list(names),
        Dialect::Gemini => gemini::model_list(names),
        _ => openai::model_list(names),
    }
}

/// One model, in a dialect's shape.
pub fn model(dialect: Dialect, name: &str) -> Bytes {
    match dialect {
        Dialect::Anthropic => anthropic::model(name),
        Dialect::Gemini => gemini::model(name),
        _ => openai::model(name),
    }
}
