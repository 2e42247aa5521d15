//! OpenAI's wire format: chat completions, completions, embeddings, and the error envelope.
//!
//! The same dialect in and out is the fast path: a request keeps every byte but its `model` and, in streams, its
//! `stream_options`; an answer keeps all of them, and is only looked at for what it cost and how it ended.

pub(super) mod models;
mod spoken;
mod stream;

pub use stream::{Seen, Watch};

use bytes::Bytes;
use serde_json::json;

use super::scan::{self, Fault};
use super::{Error, Kind, Usage, chat};

/// The longest `user`, in characters.
pub(super) const USER_MAX: usize = 64;

/// Checks a whole answer with a 2xx status: a JSON object, nothing less. Returns what it says it cost.
///
/// # Errors
/// The body is empty, cut or no JSON object.
pub fn read_answer(body: &[u8]) -> Result<Option<Usage>, Fault> {
    let object = scan::object(body)?;
    Ok(object.value("usage").and_then(chat::read_usage))
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
        Kind::ModelNotAllowed | Kind::ModelNotPriced => "permission_error",
        Kind::Internal
        | Kind::Upstream
        | Kind::UpstreamTimeout
        | Kind::NoHealthyTarget
        | Kind::Draining
        | Kind::LedgerBehind
        | Kind::StateLost
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
