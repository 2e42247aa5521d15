//! Errors: the envelope of `google.rpc.Status`, both ways.
//!
//! Source: AIP-193 and the error details of `google.rpc`; Google AI answers 400 for a bad key, Vertex 401.

use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use serde_json::{Value, json};

use crate::dialect::{Error, Kind};

/// The envelope that Google's SDKs turn into their typed exceptions.
pub fn error_body(error: &Error) -> Bytes {
    let mut details = vec![json!({
        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
        "reason": error.kind.code().to_ascii_uppercase(),
        "domain": "tollgate",
    })];
    if let Some(param) = &error.param {
        details.push(json!({
            "@type": "type.googleapis.com/google.rpc.BadRequest",
            "fieldViolations": [{"field": param, "description": error.message}],
        }));
    }
    if let Some(delay) = error.retry_after {
        details.push(json!({
            "@type": "type.googleapis.com/google.rpc.RetryInfo",
            "retryDelay": format!("{}s", delay.as_secs_f64()),
        }));
    }
    let body = json!({
        "error": {
            "code": error.status().as_u16(),
            "message": error.message,
            "status": status_word(error.kind),
            "details": details,
        }
    });
    Bytes::from(body.to_string())
}

/// An error that ends a stream of server-sent events which has already begun. In an array it is the last element, which
/// [`super::Writer`] writes.
pub fn error_event(error: &Error) -> Bytes {
    let body = error_body(error);
    Bytes::from([b"data: ", &body[..], b"\r\n\r\n"].concat())
}

fn status_word(kind: Kind) -> &'static str {
    match kind {
        Kind::InvalidApiKey => "UNAUTHENTICATED",
        Kind::ModelNotAllowed | Kind::ModelNotPriced => "PERMISSION_DENIED",
        Kind::ModelNotFound | Kind::UnknownEndpoint | Kind::UnknownMethod | Kind::NotFound => {
            "NOT_FOUND"
        }
        Kind::RateLimited | Kind::QuotaSpent => "RESOURCE_EXHAUSTED",
        Kind::Internal | Kind::ProviderFailed => "INTERNAL",
        Kind::Upstream
        | Kind::NoHealthyTarget
        | Kind::Draining
        | Kind::LedgerBehind
        | Kind::StateLost
        | Kind::Overloaded => "UNAVAILABLE",
        Kind::UpstreamTimeout => "DEADLINE_EXCEEDED",
        Kind::InvalidRequest
        | Kind::RequestTimeout
        | Kind::HeadersTooLarge
        | Kind::RequestTooLarge
        | Kind::UnsupportedMediaType
        | Kind::ContextTooLong
        | Kind::ContentFiltered => "INVALID_ARGUMENT",
    }
}

/// Reads a provider's error. `streamGenerateContent` without `alt=sse` puts it into an array.
pub fn read_error(status: StatusCode, body: &[u8]) -> Error {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let body = match &body {
        Value::Array(list) => list.first().unwrap_or(&Value::Null),
        body => body,
    };
    of_google(status, &body["error"])
}

/// Reads the `error` of an event that ends a stream.
pub fn of_stream(error: &str) -> Error {
    let error: Value = serde_json::from_str(error).unwrap_or_default();
    let code = error["code"]
        .as_u64()
        .and_then(|code| u16::try_from(code).ok());
    let status = code
        .and_then(|code| StatusCode::from_u16(code).ok())
        .filter(|status| status.is_client_error() || status.is_server_error());
    of_google(status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), &error)
}

fn of_google(status: StatusCode, error: &Value) -> Error {
    let details = error["details"].as_array().map(Vec::as_slice);
    let details = Details(details.unwrap_or_default());
    let message = match error["message"].as_str() {
        Some(message) if !message.is_empty() => message.to_owned(),
        _ => format!("the provider answered {}", status.as_u16()),
    };
    let word = error["status"].as_str().unwrap_or_default();
    let kind = kind(status, word, &message, &details);
    let mut read = Error::of_provider(status, kind, message);
    let violation = &details.of("BadRequest")["fieldViolations"][0];
    read.param = violation["field"]
        .as_str()
        .filter(|field| !field.is_empty())
        .map(str::to_owned);
    read.retry_after = details.of("RetryInfo")["retryDelay"]
        .as_str()
        .and_then(delay);
    read
}

/// What went wrong, where the body says more than the status.
fn kind(status: StatusCode, word: &str, message: &str, details: &Details<'_>) -> Option<Kind> {
    let reason = details.of("ErrorInfo")["reason"]
        .as_str()
        .unwrap_or_default();
    let message = message.to_ascii_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| message.contains(word));
    if reason.starts_with("API_KEY_")
        || says(&["api key not valid", "api key expired", "api key not found"])
    {
        return Some(Kind::InvalidApiKey);
    }
    if status == StatusCode::TOO_MANY_REQUESTS || word == "RESOURCE_EXHAUSTED" {
        let is_spent = details.has_daily_quota()
            || says(&[
                "credits are depleted",
                "spending cap",
                "spend limit",
                "billing account",
            ]);
        return Some(match is_spent {
            true => Kind::QuotaSpent,
            false => Kind::RateLimited,
        });
    }
    if status.is_client_error()
        && says(&[
            "exceeds the maximum number of tokens",
            "exceeds the maximum number of input tokens",
            "input token count",
            "exceeds the context window",
        ])
    {
        return Some(Kind::ContextTooLong);
    }
    if status.is_client_error() && says(&["responsible ai", "safety settings", "prohibited use"]) {
        return Some(Kind::ContentFiltered);
    }
    match word {
        "UNAVAILABLE" => Some(Kind::Overloaded),
        "DEADLINE_EXCEEDED" => Some(Kind::UpstreamTimeout),
        "NOT_FOUND" => Some(Kind::NotFound),
        "INTERNAL" | "UNKNOWN" => Some(Kind::ProviderFailed),
        _ => None,
    }
}

struct Details<'a>(&'a [Value]);

impl Details<'_> {
    fn of(&self, name: &str) -> &Value {
        let mut all = self.0.iter();
        let found = all.find(|detail| {
            let kind = detail["@type"].as_str().unwrap_or_default();
            kind.rsplit('.').next() == Some(name)
        });
        found.unwrap_or(&Value::Null)
    }

    /// A quota of requests or tokens that comes back tomorrow, not in a minute.
    fn has_daily_quota(&self) -> bool {
        let violations = self.of("QuotaFailure")["violations"].as_array();
        violations.into_iter().flatten().any(|violation| {
            let id = violation["quotaId"].as_str().unwrap_or_default();
            id.contains("PerDay")
        })
    }
}

/// `34s`, `0.5s`
fn delay(text: &str) -> Option<Duration> {
    let seconds: f64 = text.strip_suffix('s')?.parse().ok()?;
    Duration::try_from_secs_f64(seconds).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn googles_errors_are_told_apart() {
        for (status, body, kind) in [
            (
                400,
                r#"{"error":{"code":400,"message":"API key not valid. Please pass a valid API key.","status":"INVALID_ARGUMENT","details":[{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"API_KEY_INVALID","domain":"googleapis.com"}]}}"#,
                Kind::InvalidApiKey,
            ),
            (
                400,
                r#"{"error":{"code":400,"message":"The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).","status":"INVALID_ARGUMENT"}}"#,
                Kind::ContextTooLong,
            ),
            (
                429,
                r#"[{"error":{"code":429,"message":"You exceeded your current quota","status":"RESOURCE_EXHAUSTED","details":[{"@type":"type.googleapis.com/google.rpc.QuotaFailure","violations":[{"quotaId":"GenerateRequestsPerMinutePerProjectPerModel-FreeTier"}]}]}}]"#,
                Kind::RateLimited,
            ),
            (
                429,
                r#"{"error":{"code":429,"message":"You exceeded your current quota","status":"RESOURCE_EXHAUSTED","details":[{"@type":"type.googleapis.com/google.rpc.QuotaFailure","violations":[{"quotaId":"GenerateRequestsPerDayPerProjectPerModel-FreeTier"}]}]}}"#,
                Kind::QuotaSpent,
            ),
            (
                503,
                r#"{"error":{"code":503,"message":"The model is overloaded.","status":"UNAVAILABLE"}}"#,
                Kind::Overloaded,
            ),
            (404, "<html>", Kind::NotFound),
            (500, "", Kind::ProviderFailed),
        ] {
            let error = read_error(StatusCode::from_u16(status).unwrap(), body.as_bytes());
            assert_eq!(error.kind, kind, "{body}");
            assert_eq!(error.status().as_u16(), status);
        }
    }

    #[test]
    fn what_is_written_is_read_again() {
        let error = Error::invalid("contents[0].role", "no such role")
            .retry_after(Duration::from_millis(1_500));
        let body = error_body(&error);
        let read = read_error(StatusCode::BAD_REQUEST, &body);
        assert_eq!(read.kind, error.kind);
        assert_eq!(read.param, error.param);
        assert_eq!(read.retry_after, error.retry_after);
        // Google's SDK for Python knows an error in a stream by this beginning.
        assert!(error_event(&error).starts_with(br#"data: {"error":"#));
        let spent = Error::new(Kind::QuotaSpent, "spent");
        let body: Value = serde_json::from_slice(&error_body(&spent)).unwrap();
        assert_eq!(body["error"]["status"], "RESOURCE_EXHAUSTED");
        assert_eq!(body["error"]["code"], 429);
    }

    #[test]
    fn a_delay_is_never_taken_on_trust() {
        assert_eq!(delay("34.5s"), Some(Duration::from_millis(34_500)));
        for text in ["", "s", "-1s", "1e400s", "NaNs", "5"] {
            assert_eq!(delay(text), None, "{text}");
        }
    }
}
