//! A provider's errors, read: OpenAI's envelope and what servers of this dialect write in its place.

use std::borrow::Cow;

use http::StatusCode;
use serde::Deserialize;
use serde_json::Value;

use crate::dialect::{Error, Kind};

/// Reads the body of an answer whose status is an error.
pub fn read_error(status: StatusCode, body: &[u8]) -> Error {
    let fields = ErrorFields::of(body);
    let message = match fields.text() {
        text if text.is_empty() => format!("the provider answered {}", status.as_u16()),
        text => text,
    };
    let mut error = Error::of_provider(status, fields.kind(), message);
    error.param = fields.param();
    error
}

/// Reads an error that came inside a stream, where no status tells.
pub(super) fn read_event(data: &[u8]) -> Error {
    let fields = ErrorFields::of(data);
    let message = match fields.text() {
        text if text.is_empty() => "the provider ended the stream with an error".to_owned(),
        text => text,
    };
    let status = fields.status();
    let kind = fields
        .kind()
        .or(status.map(Kind::of_status))
        .unwrap_or(Kind::ProviderFailed);
    let mut error = Error::of_provider(status.unwrap_or(kind.status()), Some(kind), message);
    error.param = fields.param();
    error
}

/// What all forms have in common. Values that are of different types at different servers are looked at one by one.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ErrorFields {
    message: Value,
    #[serde(rename = "type")]
    kind: Value,
    code: Value,
    param: Value,
    status_code: Value,
    /// Google's word.
    status: Value,
    /// FastAPI's, which Mistral, vLLM and others are built with.
    detail: Value,
    /// Azure's word on its filter.
    innererror: Value,
    /// OpenRouter's on the provider behind it.
    metadata: Value,
}

impl ErrorFields {
    fn of(body: &[u8]) -> Self {
        let mut json: Value = serde_json::from_slice(body).unwrap_or_default();
        // Google wraps its envelope in a list.
        if let Value::Array(list) = &mut json {
            json = list.first_mut().map(Value::take).unwrap_or_default();
        }
        if let Some(error) = json.get_mut("error").filter(|error| !error.is_null()) {
            json = error.take();
        }
        match json {
            Value::String(message) => Self {
                message: Value::String(message),
                ..Self::default()
            },
            json => serde_json::from_value(json).unwrap_or_default(),
        }
    }

    fn text(&self) -> String {
        for value in [&self.message, &self.detail] {
            match value {
                Value::String(text) => return text.clone(),
                // Mistral puts FastAPI's list into the message.
                Value::Object(object) => return complaints(object.get("detail")),
                Value::Array(_) => return complaints(Some(value)),
                _ => {}
            }
        }
        String::new()
    }

    fn param(&self) -> Option<String> {
        let list = self.detail.as_array().or_else(|| {
            let detail = self.message.get("detail")?;
            detail.as_array()
        });
        match &self.param {
            Value::String(param) if !param.is_empty() => Some(param.clone()),
            _ => list?
                .first()
                .map(field_of)
                .filter(|field| !field.is_empty()),
        }
    }

    fn status(&self) -> Option<StatusCode> {
        let number = |value: &Value| match value {
            Value::Number(number) => number.as_u64(),
            Value::String(text) => text.parse().ok(),
            _ => None,
        };
        let number = number(&self.status_code).or_else(|| number(&self.code))?;
        let status = StatusCode::from_u16(u16::try_from(number).ok()?).ok()?;
        (status.is_client_error() || status.is_server_error()).then_some(status)
    }

    /// What the words say, before the status is asked.
    fn kind(&self) -> Option<Kind> {
        let inner = self.innererror.get("code").unwrap_or(&Value::Null);
        let words = [&self.code, &self.kind, &self.status, inner];
        let said = words.iter().filter_map(|word| word.as_str());
        said.filter_map(kind_of_word)
            .next()
            .or_else(|| kind_of_text(&self.text()))
    }
}

fn kind_of_word(word: &str) -> Option<Kind> {
    Some(match word {
        "context_length_exceeded" | "context_window_exceeded" => Kind::ContextTooLong,
        "content_filter" | "content_policy_violation" | "ResponsibleAIPolicyViolation" => {
            Kind::ContentFiltered
        }
        "insufficient_quota" | "billing_hard_limit_reached" | "exceeded_current_quota_error" => {
            Kind::QuotaSpent
        }
        "rate_limit_exceeded"
        | "rate_limit_error"
        | "rate_limit_reached_error"
        | "RESOURCE_EXHAUSTED"
        | "requests"
        | "tokens" => Kind::RateLimited,
        "model_not_found" | "not_found_error" | "NOT_FOUND" | "DeploymentNotFound" => {
            Kind::NotFound
        }
        "invalid_api_key" | "authentication_error" | "UNAUTHENTICATED" | "PERMISSION_DENIED" => {
            Kind::InvalidApiKey
        }
        "overloaded"
        | "overloaded_error"
        | "engine_overloaded"
        | "engine_overloaded_error"
        | "service_unavailable"
        | "UNAVAILABLE" => Kind::Overloaded,
        "server_error" | "internal_server_error" | "internal_error" | "INTERNAL" => {
            Kind::ProviderFailed
        }
        _ => return None,
    })
}

/// Many servers tell a window that is too small in words only.
fn kind_of_text(text: &str) -> Option<Kind> {
    let text = text.to_ascii_lowercase();
    let is_length = [
        "maximum context length",
        "context length exceeded",
        "exceeds the context",
        "context window",
        "prompt is too long",
        "input is too long",
    ];
    is_length
        .iter()
        .any(|words| text.contains(words))
        .then_some(Kind::ContextTooLong)
}

/// FastAPI's complaints in one line: the field, and what it must be.
fn complaints(list: Option<&Value>) -> String {
    let lines = list.and_then(Value::as_array).into_iter().flatten();
    let lines = lines.map(|complaint| {
        let message = complaint.get("msg").and_then(Value::as_str);
        let field = field_of(complaint);
        let parts = [field.as_str(), message.unwrap_or_default()];
        let parts: Vec<&str> = parts.into_iter().filter(|part| !part.is_empty()).collect();
        parts.join(": ")
    });
    lines.collect::<Vec<_>>().join("; ")
}

fn field_of(complaint: &Value) -> String {
    let steps = complaint.get("loc").and_then(Value::as_array);
    let steps = steps.into_iter().flatten().map(|step| match step {
        Value::String(name) => Cow::Borrowed(name.as_str()),
        other => Cow::Owned(other.to_string()),
    });
    let steps: Vec<_> = steps.filter(|step| step != "body").collect();
    steps.join(".")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_servers_errors_are_understood() {
        let cases: &[(u16, &str, Kind, &str, Option<&str>)] = &[
            (
                400,
                r#"{"error":{"message":"too big","type":"invalid_request_error","param":"messages","code":"context_length_exceeded"}}"#,
                Kind::ContextTooLong,
                "too big",
                Some("messages"),
            ),
            (
                429,
                r#"{"error":{"message":"pay","type":"insufficient_quota","param":null,"code":"insufficient_quota"}}"#,
                Kind::QuotaSpent,
                "pay",
                None,
            ),
            (
                400,
                r#"{"error":{"message":"no","type":null,"param":"prompt","code":"content_filter","status":400,"innererror":{"code":"ResponsibleAIPolicyViolation"}}}"#,
                Kind::ContentFiltered,
                "no",
                Some("prompt"),
            ),
            (
                429,
                r#"{"error":{"code":429,"message":"slow down"},"user_id":"u"}"#,
                Kind::RateLimited,
                "slow down",
                None,
            ),
            (
                422,
                r#"{"object":"error","message":{"detail":[{"type":"extra_forbidden","loc":["body","seed"],"msg":"Extra inputs are not permitted","input":1}]},"type":"invalid_request_error","param":null,"code":null}"#,
                Kind::InvalidRequest,
                "seed: Extra inputs are not permitted",
                Some("seed"),
            ),
            (
                400,
                r#"{"object":"error","message":"This model's maximum context length is 8 tokens.","type":"BadRequestError","code":400}"#,
                Kind::ContextTooLong,
                "This model's maximum context length is 8 tokens.",
                None,
            ),
            (
                400,
                r#"[{"error":{"code":400,"message":"bad","status":"INVALID_ARGUMENT"}}]"#,
                Kind::InvalidRequest,
                "bad",
                None,
            ),
            (
                401,
                r#"{"detail":"no key"}"#,
                Kind::InvalidApiKey,
                "no key",
                None,
            ),
            (
                500,
                r#"{"error":"boom"}"#,
                Kind::ProviderFailed,
                "boom",
                None,
            ),
            (
                503,
                "<html>",
                Kind::Overloaded,
                "the provider answered 503",
                None,
            ),
        ];
        for (status, body, kind, message, param) in cases {
            let status = StatusCode::from_u16(*status).unwrap();
            let error = read_error(status, body.as_bytes());
            assert_eq!(error.kind, *kind, "{body}");
            assert_eq!(error.message, *message, "{body}");
            assert_eq!(error.param.as_deref(), *param, "{body}");
            assert_eq!(error.status(), status, "{body}");
        }
    }

    #[test]
    fn an_error_inside_a_stream_finds_its_status() {
        let groq = br#"{"error":{"message":"bad call","type":"invalid_request_error","code":"tool_use_failed","status_code":400}}"#;
        assert_eq!(read_event(groq).status(), StatusCode::BAD_REQUEST);
        let router = br#"{"error":{"code":502,"message":"gone"}}"#;
        assert_eq!(read_event(router).status(), StatusCode::BAD_GATEWAY);
        let bare = read_event(b"{}");
        assert_eq!(bare.kind, Kind::ProviderFailed);
        assert!(!bare.message.is_empty());
    }
}
