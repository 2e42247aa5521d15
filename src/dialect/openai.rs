//! OpenAI's wire format: chat completions, completions, embeddings, and the error envelope.
//!
//! The same dialect in and out is the fast path: a request keeps every byte but its `model` and, in streams, its
//! `stream_options`; an answer keeps all of them, and is only looked at for what it cost and how it ended.

mod stream;

pub use stream::{Seen, Watch};

use std::ops::Range;

use bytes::Bytes;
use serde_json::json;

use super::scan::{self, Fault, Object};
use super::{Endpoint, Error, Kind, Usage};

/// The longest name of a model, in bytes: it stands in log lines and headers.
pub const MODEL_NAME_MAX: usize = 256;

/// A request as the gateway sees it: the caller's bytes, and the few facts that it acts on.
#[derive(Debug)]
pub struct Request {
    /// The model that the caller asks for.
    pub model: String,
    /// Whether the caller wants a stream.
    pub stream: bool,
    /// Whether the caller wants a stream's usage in a chunk of its own.
    pub wants_usage: bool,
    /// How many choices an answer must have; None where that takes more than a look (completions of several prompts).
    pub choices: Option<u64>,
    body: Bytes,
    model_place: Place,
    /// What to write where so that a stream reports its usage.
    ask_usage: (Place, &'static str),
}

impl Request {
    /// Reads `body`, whose model may also be given by the path, which then wins.
    ///
    /// # Errors
    /// [`Kind::InvalidRequest`], with `param` where a field is at fault.
    pub fn read(
        endpoint: Endpoint,
        body: Bytes,
        path_model: Option<String>,
    ) -> Result<Self, Error> {
        let object = scan::object(&body)?;
        let model = match (path_model, object.value("model")) {
            (Some(model), _) => model,
            (None, Some(raw)) => model_name(raw)?,
            (None, None) => return Err(Error::invalid("model", "the field `model` is missing")),
        };
        if model.len() > MODEL_NAME_MAX {
            let message = format!("`model` is longer than {MODEL_NAME_MAX} bytes");
            return Err(Error::invalid("model", message));
        }
        let stream = match object.value("stream") {
            None | Some(b"null" | b"false") => false,
            Some(b"true") if endpoint != Endpoint::Embeddings => true,
            Some(b"true") => return Err(Error::invalid("stream", "embeddings cannot be streamed")),
            Some(_) => return Err(Error::invalid("stream", "`stream` must be true or false")),
        };
        let (wants_usage, ask_usage) = usage_option(&body, &object)?;
        let choices = (endpoint == Endpoint::Chat).then(|| choices(&object));
        let model_place = match object.place("model") {
            Some(range) => Place { range, lead: "" },
            None => Place::missing(&object, r#","model":"#),
        };
        Ok(Self {
            model,
            stream,
            wants_usage,
            choices,
            model_place,
            ask_usage,
            body,
        })
    }

    /// The body for a target that knows the model as `model`, in pieces that stand one behind the other. With
    /// `ask_usage`, a stream is told to report its usage even where the caller did not care.
    pub fn body_for(&self, model: &str, ask_usage: bool) -> Vec<Bytes> {
        let mut patches = Vec::with_capacity(2);
        if model != self.model || !self.model_place.lead.is_empty() {
            patches.push(self.model_place.patch(&json!(model).to_string()));
        }
        if self.stream && ask_usage && !self.wants_usage {
            let (place, value) = &self.ask_usage;
            patches.push(place.patch(value));
        }
        patches.sort_by_key(|(range, _)| range.start);

        let mut pieces = Vec::with_capacity(2 * patches.len() + 1);
        let mut at = 0;
        for (range, text) in patches {
            pieces.push(self.body.slice(at..range.start));
            pieces.push(Bytes::from(text));
            at = range.end;
        }
        pieces.push(self.body.slice(at..));
        pieces
    }
}

/// Where a value stands in the body or, with a `lead` of comma and name, where it is to be written.
#[derive(Debug)]
struct Place {
    range: Range<usize>,
    lead: &'static str,
}

impl Place {
    /// `lead` begins with the comma that an empty object does not need.
    fn missing(object: &Object<'_>, lead: &'static str) -> Self {
        let end = object.end();
        Self {
            range: end..end,
            lead: if object.is_empty() { &lead[1..] } else { lead },
        }
    }

    fn patch(&self, value: &str) -> (Range<usize>, String) {
        (self.range.clone(), [self.lead, value].concat())
    }
}

fn model_name(raw: &[u8]) -> Result<String, Error> {
    match serde_json::from_slice::<String>(raw) {
        Ok(model) if model.is_empty() => Err(Error::invalid("model", "`model` is empty")),
        Ok(model) => Ok(model),
        Err(_) => Err(Error::invalid("model", "`model` must be a string")),
    }
}

/// `n`. What is no number is for the provider to refuse.
fn choices(object: &Object<'_>) -> u64 {
    let number = object
        .value("n")
        .and_then(|raw| std::str::from_utf8(raw).ok());
    number.and_then(|text| text.parse().ok()).unwrap_or(1)
}

/// Whether `stream_options.include_usage` is set, and what to write where to set it. Options that we do not know
/// stay as they are.
fn usage_option(body: &Bytes, object: &Object<'_>) -> Result<(bool, (Place, &'static str)), Error> {
    const OPTION: &str = r#"{"include_usage":true}"#;
    let Some(range) = object.place("stream_options") else {
        let place = Place::missing(object, r#","stream_options":"#);
        return Ok((false, (place, OPTION)));
    };
    let raw = &body[range.clone()];
    if raw == b"null" {
        return Ok((false, (Place { range, lead: "" }, OPTION)));
    }
    let options = scan::object(raw).map_err(|fault| match fault {
        Fault::Repeated(name) => Error::invalid(
            &format!("stream_options.{name}"),
            format!("the field `stream_options.{name}` is given more than once"),
        ),
        _ => Error::invalid("stream_options", "`stream_options` must be an object"),
    })?;
    let wanted = options.value("include_usage") == Some(b"true");
    let mut place = match options.place("include_usage") {
        Some(range) => Place { range, lead: "" },
        None => Place::missing(&options, r#","include_usage":"#),
    };
    place.range = range.start + place.range.start..range.start + place.range.end;
    Ok((wanted, (place, "true")))
}

/// Checks a whole answer with a 2xx status: a JSON object, nothing less. Returns what it says it cost.
///
/// # Errors
/// The body is empty, cut or no JSON object.
pub fn read_answer(body: &[u8]) -> Result<Option<Usage>, Fault> {
    let object = scan::object(body)?;
    Ok(object.value("usage").and_then(usage))
}

/// `usage` as OpenAI writes it; its compatible providers do, too. Embeddings have no completion.
fn usage(raw: &[u8]) -> Option<Usage> {
    let tokens = |name| {
        std::str::from_utf8(scan::member(raw, name)?)
            .ok()?
            .parse()
            .ok()
    };
    Some(Usage {
        input_tokens: tokens("prompt_tokens")?,
        output_tokens: tokens("completion_tokens").unwrap_or(0),
        ..Usage::default()
    })
}

/// The envelope that OpenAI's SDKs turn into their typed exceptions.
pub fn error_body(error: &Error) -> Bytes {
    let body = json!({
        "error": {
            "message": error.message,
            "type": error_type(error.kind),
            "param": error.param,
            "code": error.kind.code(),
        }
    });
    Bytes::from(body.to_string())
}

/// An error that ends a stream which has already begun. No `[DONE]` follows it.
pub fn error_event(error: &Error) -> Bytes {
    let body = error_body(error);
    Bytes::from([b"data: ", &body[..], b"\n\n"].concat())
}

fn error_type(kind: Kind) -> &'static str {
    match kind {
        Kind::ModelNotAllowed => "permission_error",
        Kind::Internal
        | Kind::Upstream
        | Kind::UpstreamTimeout
        | Kind::Draining
        | Kind::Overloaded
        | Kind::ProviderFailed => "server_error",
        Kind::RateLimited => "rate_limit_error",
        Kind::QuotaSpent => "insufficient_quota",
        _ => "invalid_request_error",
    }
}

/// The list of models, in OpenAI's shape.
pub fn model_list<'a>(names: impl Iterator<Item = &'a str>) -> Bytes {
    let data: Vec<_> = names.map(model_object).collect();
    Bytes::from(json!({"object": "list", "data": data}).to_string())
}

/// One model, in OpenAI's shape.
pub fn model(name: &str) -> Bytes {
    Bytes::from(model_object(name).to_string())
}

fn model_object(name: &str) -> serde_json::Value {
    // `created` is required by the SDKs' types; a name in a gateway has no date of its own.
    json!({"id": name, "object": "model", "created": 0, "owned_by": "tollgate"})
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &'static str) -> Result<Request, Error> {
        Request::read(Endpoint::Chat, Bytes::from_static(body.as_bytes()), None)
    }

    fn sent(body: &'static str, model: &str) -> String {
        let pieces = read(body).unwrap().body_for(model, true);
        String::from_utf8(pieces.concat()).unwrap()
    }

    #[test]
    fn only_the_model_changes() {
        assert_eq!(
            sent(
                r#"{ "x":1.0e+2,"model" : "fast", "m":[ "\u00e9" ] }"#,
                "gpt"
            ),
            r#"{ "x":1.0e+2,"model" : "gpt", "m":[ "\u00e9" ] }"#
        );
        assert_eq!(sent(r#"{"model":"m"}"#, "m"), r#"{"model":"m"}"#);
        assert_eq!(sent(r#"{"model":"m"}"#, "a\"b"), r#"{"model":"a\"b"}"#);
    }

    #[test]
    fn a_stream_is_asked_for_its_usage() {
        assert_eq!(
            sent(r#"{"stream":true,"model":"m"}"#, "m"),
            r#"{"stream":true,"model":"m","stream_options":{"include_usage":true}}"#
        );
        assert_eq!(
            sent(
                r#"{"stream_options":null,"stream":true,"model":"m"}"#,
                "gpt"
            ),
            r#"{"stream_options":{"include_usage":true},"stream":true,"model":"gpt"}"#
        );
        assert_eq!(
            sent(
                r#"{"model":"m","stream":true,"stream_options":{"include_obfuscation":false} }"#,
                "m"
            ),
            r#"{"model":"m","stream":true,"stream_options":{"include_obfuscation":false,"include_usage":true} }"#
        );
        assert_eq!(
            sent(r#"{"model":"m","stream":true,"stream_options":{ }}"#, "m"),
            r#"{"model":"m","stream":true,"stream_options":{ "include_usage":true}}"#
        );
        assert_eq!(
            sent(
                r#"{"model":"m","stream":true,"stream_options":{"include_usage": false}}"#,
                "m"
            ),
            r#"{"model":"m","stream":true,"stream_options":{"include_usage": true}}"#
        );
        let asked = r#"{"model":"m","stream":true,"stream_options":{"include_usage":true}}"#;
        assert_eq!(sent(asked, "m"), asked);
        assert!(read(asked).unwrap().wants_usage);
    }

    #[test]
    fn a_model_from_the_path_is_written_into_the_body() {
        let body = Bytes::from_static(b"{}");
        let request = Request::read(Endpoint::Chat, body, Some("gpt".into())).unwrap();
        assert_eq!(
            request.body_for("gpt", true).concat(),
            br#"{"model":"gpt"}"#
        );
    }

    #[test]
    fn a_bad_field_is_named() {
        for (body, param) in [
            ("{}", "model"),
            (r#"{"model":7}"#, "model"),
            (r#"{"model":""}"#, "model"),
            (r#"{"model":"m","stream":"yes"}"#, "stream"),
            (r#"{"model":"m","stream_options":[]}"#, "stream_options"),
            (r#"{"model":"m","model":"n"}"#, "model"),
        ] {
            let error = read(body).unwrap_err();
            assert_eq!(error.param.as_deref(), Some(param), "{body}");
            assert_eq!(error.kind, Kind::InvalidRequest);
        }
    }

    #[test]
    fn an_answer_says_what_it_cost() {
        let chat = br#"{"usage":{"prompt_tokens":3,"completion_tokens":5,"total_tokens":8}}"#;
        let usage = Usage {
            input_tokens: 3,
            output_tokens: 5,
            ..Usage::default()
        };
        assert_eq!(read_answer(chat), Ok(Some(usage)));
        assert_eq!(read_answer(b"{}"), Ok(None));
        assert!(read_answer(b"<html>").is_err());
        assert!(read_answer(b"").is_err());
    }
}
