//! Errors: the status says what is wrong, and the body's `message` how (source: Cohere's API reference, "Errors").

use bytes::Bytes;
use http::StatusCode;
use serde::{Deserialize, Serialize};

use super::wire;
use crate::dialect::{Error, Kind};

/// Reads a provider's error.
pub fn read_error(status: StatusCode, body: &[u8]) -> Error {
    #[derive(Deserialize)]
    struct Body {
        message: Option<String>,
    }

    let body = serde_json::from_slice::<Body>(body).ok();
    let message = body.and_then(|body| body.message).unwrap_or_else(|| {
        let reason = status.canonical_reason().unwrap_or("an error");
        format!("Cohere answered {}: {reason}", status.as_u16())
    });
    Error::of_provider(status, kind(status, &message), message)
}

/// What a message says more exactly than its status.
fn kind(status: StatusCode, message: &str) -> Option<Kind> {
    let message = message.to_ascii_lowercase();
    let says = |word: &str| message.contains(word);
    match status.as_u16() {
        400 | 413 | 422 if is_too_long(&message) => Some(Kind::ContextTooLong),
        // The limits of trial keys by the month; those by the minute pass.
        429 if says("/ month") || says("per month") || says("monthly") => Some(Kind::QuotaSpent),
        // The request or the answer holds something from a deny list.
        498 => Some(Kind::ContentFiltered),
        // Cohere gave up: the statuses mean that the client did.
        499 => Some(Kind::ProviderFailed),
        _ => None,
    }
}

fn is_too_long(message: &str) -> bool {
    [
        "too many tokens",
        "context length",
        "context window",
        "token limit",
    ]
    .iter()
    .any(|words| message.contains(words))
}

/// The error of an answer that was given up, by its `finish_reason`. None if it was not.
pub(super) fn given_up(reason: &str, message: Option<String>) -> Option<Error> {
    let (kind, text) = match reason {
        wire::ERROR => (
            Kind::ProviderFailed,
            "Cohere gave the answer up with an error",
        ),
        wire::TIMEOUT => (
            Kind::UpstreamTimeout,
            "Cohere ran out of time for the answer",
        ),
        _ => return None,
    };
    let message = message.filter(|message| !message.is_empty());
    let kind = match &message {
        Some(message) if is_too_long(&message.to_ascii_lowercase()) => Kind::ContextTooLong,
        _ => kind,
    };
    Some(Error::new(kind, message.unwrap_or_else(|| text.to_owned())))
}

/// The body that Cohere's SDKs hang on their exceptions, which they choose by the status.
pub fn error_body(error: &Error) -> Bytes {
    #[derive(Serialize)]
    struct Body<'a> {
        message: &'a str,
    }

    let body = Body {
        message: &error.message,
    };
    Bytes::from(serde_json::to_vec(&body).unwrap_or_default())
}

/// What ends a stream that cannot go on: Cohere has no event of its own for it, but a `message-end` that says so.
pub fn error_event(error: &Error) -> Bytes {
    #[derive(Serialize)]
    struct Event<'a> {
        #[serde(rename = "type")]
        kind: &'static str,
        delta: Delta<'a>,
    }

    #[derive(Serialize)]
    struct Delta<'a> {
        error: &'a str,
        finish_reason: &'static str,
    }

    let delta = Delta {
        error: &error.message,
        finish_reason: match error.kind {
            Kind::UpstreamTimeout => wire::TIMEOUT,
            _ => wire::ERROR,
        },
    };
    let kind = "message-end";
    let mut event = b"event: message-end\ndata: ".to_vec();
    event.extend(serde_json::to_vec(&Event { kind, delta }).unwrap_or_default());
    event.extend_from_slice(b"\n\n");
    Bytes::from(event)
}
