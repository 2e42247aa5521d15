//! Errors: Anthropic's own, read, and ours in its envelope.

use bytes::Bytes;
use http::StatusCode;
use serde::{Deserialize, Serialize};

use crate::dialect::{Error, Kind};

/// Reads a provider's error.
pub fn read_error(status: StatusCode, body: &[u8]) -> Error {
    // Vertex puts some of its own into a list.
    let parsed = serde_json::from_slice::<[Envelope; 1]>(body)
        .map(|[envelope]| envelope)
        .or_else(|_| serde_json::from_slice(body));
    match parsed {
        Ok(Envelope { error }) => error.read(status),
        Err(_) => {
            let message = format!("the provider answered with status {}", status.as_u16());
            Error::of_provider(status, None, message)
        }
    }
}

/// Reads the `error` of an event, which has the status that a whole answer would have had.
pub(super) fn stream_error(error: &str) -> Error {
    let body: Body = serde_json::from_str(error).unwrap_or_default();
    let status = TYPES.iter().find(|(name, ..)| *name == body.r#type);
    let status = status.map_or(500, |(_, status, _)| *status);
    body.read(StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR))
}

#[derive(Deserialize)]
struct Envelope {
    error: Body,
}

#[derive(Default, Deserialize)]
struct Body {
    #[serde(default)]
    r#type: String,
    #[serde(default)]
    message: String,
}

/// Anthropic's types, each with its status and what it means.
const TYPES: [(&str, u16, Kind); 10] = [
    ("invalid_request_error", 400, Kind::InvalidRequest),
    ("authentication_error", 401, Kind::InvalidApiKey),
    ("billing_error", 402, Kind::QuotaSpent),
    ("permission_error", 403, Kind::InvalidApiKey),
    ("not_found_error", 404, Kind::NotFound),
    ("request_too_large", 413, Kind::RequestTooLarge),
    ("rate_limit_error", 429, Kind::RateLimited),
    ("api_error", 500, Kind::ProviderFailed),
    ("timeout_error", 504, Kind::UpstreamTimeout),
    ("overloaded_error", 529, Kind::Overloaded),
];

/// What Anthropic says in an `invalid_request_error` that means something else, in lower case.
const MEANINGS: [(&str, Kind); 7] = [
    ("prompt is too long", Kind::ContextTooLong),
    ("exceed context limit", Kind::ContextTooLong),
    ("exceeds the context window", Kind::ContextTooLong),
    ("credit balance is too low", Kind::QuotaSpent),
    ("specified api usage limits", Kind::QuotaSpent),
    ("blocked by content filtering", Kind::ContentFiltered),
    ("request was blocked", Kind::ContentFiltered),
];

impl Body {
    fn read(self, status: StatusCode) -> Error {
        let known = TYPES.iter().find(|(name, ..)| *name == self.r#type);
        let kind = known.map(|(_, _, kind)| *kind);
        let message = match self.message.is_empty() {
            true => format!("the provider answered with status {}", status.as_u16()),
            false => self.message,
        };
        let is_invalid = kind == Some(Kind::InvalidRequest);
        let lower = message.to_ascii_lowercase();
        let meant = MEANINGS.iter().find(|(words, _)| lower.contains(words));
        let meant = meant.map(|(_, kind)| *kind).filter(|_| is_invalid);
        let param = field_at_fault(&message).filter(|_| is_invalid);
        let param = param.map(str::to_owned);
        Error {
            param,
            ..Error::of_provider(status, meant.or(kind), message)
        }
    }
}

/// The field that a message names before its colon: `messages.0.content: …`.
fn field_at_fault(message: &str) -> Option<&str> {
    let (field, _) = message.split_once(": ")?;
    let is_path = |byte: u8| byte.is_ascii_alphanumeric() || b"_.[]".contains(&byte);
    (field.len() <= 128 && field.bytes().all(is_path)).then_some(field)
}

/// The envelope that Anthropic's SDKs turn into their typed exceptions.
pub fn error_body(error: &Error) -> Bytes {
    #[derive(Serialize)]
    struct Envelope<'a> {
        r#type: &'static str,
        error: Inner<'a>,
    }
    #[derive(Serialize)]
    struct Inner<'a> {
        r#type: &'static str,
        message: &'a str,
    }
    let envelope = Envelope {
        r#type: "error",
        error: Inner {
            r#type: error_type(error),
            message: &error.message,
        },
    };
    Bytes::from(serde_json::to_vec(&envelope).unwrap_or_default())
}

/// An error that ends a stream which has already begun. No `message_stop` follows it.
pub fn error_event(error: &Error) -> Bytes {
    Bytes::from([b"event: error\ndata: ", &error_body(error)[..], b"\n\n"].concat())
}

/// Anthropic's word for it.
pub const fn error_type(error: &Error) -> &'static str {
    match error.kind {
        Kind::InvalidRequest
        | Kind::RequestTimeout
        | Kind::HeadersTooLarge
        | Kind::UnsupportedMediaType
        | Kind::ContextTooLong
        | Kind::ContentFiltered => "invalid_request_error",
        Kind::InvalidApiKey => "authentication_error",
        Kind::ModelNotAllowed | Kind::ModelNotPriced => "permission_error",
        Kind::ModelNotFound | Kind::UnknownEndpoint | Kind::UnknownMethod | Kind::NotFound => {
            "not_found_error"
        }
        Kind::RequestTooLarge => "request_too_large",
        Kind::RateLimited | Kind::QuotaSpent => "rate_limit_error",
        Kind::Internal | Kind::Upstream | Kind::ProviderFailed => "api_error",
        Kind::NoHealthyTarget
        | Kind::Draining
        | Kind::LedgerBehind
        | Kind::StateLost
        | Kind::Overloaded => "overloaded_error",
        Kind::UpstreamTimeout => "timeout_error",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(status: u16, kind: &str, message: &str) -> Error {
        let body =
            serde_json::json!({"type": "error", "error": {"type": kind, "message": message}});
        let status = StatusCode::from_u16(status).unwrap();
        read_error(status, body.to_string().as_bytes())
    }

    #[test]
    fn a_providers_error_keeps_its_status_and_gets_its_meaning() {
        let invalid = "invalid_request_error";
        for (status, kind, message, expected) in [
            (
                400,
                invalid,
                "max_tokens: Field required",
                Kind::InvalidRequest,
            ),
            (
                400,
                invalid,
                "prompt is too long: 208310 tokens > 200000 maximum",
                Kind::ContextTooLong,
            ),
            (
                400,
                invalid,
                "input length and `max_tokens` exceed context limit: 190000 + 21333 > 200000",
                Kind::ContextTooLong,
            ),
            (
                400,
                invalid,
                "Your credit balance is too low to access the API.",
                Kind::QuotaSpent,
            ),
            (
                400,
                invalid,
                "Output blocked by content filtering policy",
                Kind::ContentFiltered,
            ),
            (
                401,
                "authentication_error",
                "invalid x-api-key",
                Kind::InvalidApiKey,
            ),
            (
                404,
                "not_found_error",
                "model: claude-sonet-4-5",
                Kind::NotFound,
            ),
            (
                429,
                "rate_limit_error",
                "This request would exceed your limit",
                Kind::RateLimited,
            ),
            (529, "overloaded_error", "Overloaded", Kind::Overloaded),
            (529, "", "", Kind::Overloaded),
        ] {
            let error = read(status, kind, message);
            assert_eq!(error.kind, expected, "{message}");
            assert_eq!(error.status().as_u16(), status);
        }
        let error = read(400, invalid, "messages.0.content: Field required");
        assert_eq!(error.param.as_deref(), Some("messages.0.content"));
        let vertex =
            br#"[{"error":{"code":429,"message":"Quota exceeded","status":"RESOURCE_EXHAUSTED"}}]"#;
        let error = read_error(StatusCode::TOO_MANY_REQUESTS, vertex);
        assert_eq!(
            (error.kind, error.message.as_str()),
            (Kind::RateLimited, "Quota exceeded")
        );
        let error = read_error(StatusCode::BAD_GATEWAY, b"<html>secret</html>");
        assert_eq!(error.message, "the provider answered with status 502");
    }

    #[test]
    fn an_error_comes_in_anthropics_envelope() {
        let error = Error::invalid("max_tokens", "max_tokens: Field required");
        assert_eq!(
            error_event(&error),
            "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"invalid_request_error\",\
             \"message\":\"max_tokens: Field required\"}}\n\n"
        );
    }
}
