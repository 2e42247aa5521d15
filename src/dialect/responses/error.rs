//! Errors: the envelope that OpenAI's APIs share, and the event that ends a stream.

use std::borrow::Cow;

use bytes::Bytes;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use super::fields::Text;
use crate::dialect::{Error, Kind};

/// Reads a provider's error answer.
pub fn read_error(status: StatusCode, body: &[u8]) -> Error {
    #[derive(Deserialize)]
    struct Body<'a> {
        #[serde(borrow)]
        error: Fault<'a>,
    }
    let fault = match serde_json::from_slice::<Body<'_>>(body) {
        Ok(body) => body.error,
        // Servers that only speak the dialect have shapes of their own: `{"error": "…"}`, `{"message": "…"}`.
        Err(_) => bare_fault(body),
    };
    let kind = fault.kind().filter(|kind| *kind != Kind::InvalidRequest);
    let message = match &fault.message {
        Some(Text(message)) if !message.is_empty() => message.clone(),
        _ => Cow::Owned(format!("the provider answered with status {status}")),
    };
    Error {
        param: fault.param.map(|Text(param)| param.into_owned()),
        ..Error::of_provider(status, kind, message)
    }
}

/// The envelope that OpenAI's SDKs turn into their typed exceptions.
pub fn error_body(error: &Error) -> Bytes {
    #[derive(Serialize)]
    struct Body<'a> {
        error: Told<'a>,
    }
    let body = Body {
        error: Told::from(error),
    };
    Bytes::from(serde_json::to_vec(&body).unwrap_or_default())
}

/// The event that ends a stream of which nothing has been sent.
pub fn error_event(error: &Error) -> Bytes {
    Bytes::from(numbered_event(error, 0))
}

/// The event that ends a stream, with its number. The reference has the error's fields at the top; OpenAI's servers put
/// them into `error`, and it is that field which makes the SDKs raise. So they stand in both.
pub fn numbered_event(error: &Error, sequence_number: u64) -> Vec<u8> {
    #[derive(Serialize)]
    struct Event<'a> {
        #[serde(rename = "type")]
        kind: &'static str,
        code: &'static str,
        message: &'a str,
        param: Option<&'a str>,
        error: Told<'a>,
        sequence_number: u64,
    }
    let event = Event {
        kind: "error",
        code: error.kind.code(),
        message: &error.message,
        param: error.param.as_deref(),
        error: Told::from(error),
        sequence_number,
    };
    let data = serde_json::to_vec(&event).unwrap_or_default();
    [b"event: error\ndata: ", &data[..], b"\n\n"].concat()
}

/// An error as it stands in an envelope, an event, or a failed answer.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Fault<'a> {
    #[serde(borrow)]
    message: Option<Text<'a>>,
    #[serde(borrow, rename = "type")]
    category: Option<Text<'a>>,
    /// A word, or a number where a proxy stands between.
    code: Value,
    #[serde(borrow)]
    param: Option<Text<'a>>,
}

impl<'a> Fault<'a> {
    /// An error whose fields stand in an event.
    pub fn of_fields(
        code: Option<&'a RawValue>,
        message: Option<&'a RawValue>,
        param: Option<&'a RawValue>,
    ) -> Self {
        let text = |raw: Option<&'a RawValue>| serde_json::from_str(raw?.get()).ok();
        Self {
            message: text(message),
            category: None,
            code: code
                .and_then(|raw| serde_json::from_str(raw.get()).ok())
                .unwrap_or_default(),
            param: text(param),
        }
    }

    /// The error of an answer that began well, so that there is no status to tell what it is.
    pub fn without_status(self) -> Error {
        let kind = self.kind().unwrap_or(Kind::ProviderFailed);
        let message = match self.message {
            Some(Text(message)) if !message.is_empty() => message.into_owned(),
            _ => "the provider ended the answer with an error".to_owned(),
        };
        Error {
            param: self.param.map(|Text(param)| param.into_owned()),
            ..Error::new(kind, message)
        }
    }

    fn kind(&self) -> Option<Kind> {
        let code = self.code.as_str().and_then(kind_of);
        code.or_else(|| self.category.as_ref().and_then(|Text(word)| kind_of(word)))
    }
}

fn bare_fault(body: &[u8]) -> Fault<'static> {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let texts = ["error", "message", "detail"];
    let message = texts.into_iter().find_map(|name| body.get(name)?.as_str());
    Fault {
        message: message.map(|message| Text(Cow::Owned(message.to_owned()))),
        ..Fault::default()
    }
}

/// What OpenAI's `code` or `type` means.
fn kind_of(word: &str) -> Option<Kind> {
    let kind = match word {
        "rate_limit_exceeded" | "rate_limit_error" | "too_many_requests" => Kind::RateLimited,
        "insufficient_quota" | "billing_hard_limit_reached" => Kind::QuotaSpent,
        "context_length_exceeded" => Kind::ContextTooLong,
        "content_filter"
        | "content_policy_violation"
        | "image_content_policy_violation"
        | "misalignment_policy_violation"
        | "moderation_blocked"
        | "bio_policy"
        | "cyber_policy"
        | "invalid_prompt" => Kind::ContentFiltered,
        "model_not_found" | "not_found" | "not_found_error" | "DeploymentNotFound" => {
            Kind::NotFound
        }
        "overloaded"
        | "overloaded_error"
        | "server_is_overloaded"
        | "service_unavailable"
        | "slow_down" => Kind::Overloaded,
        "server_error"
        | "internal_error"
        | "internal_server_error"
        | "api_error"
        | "vector_store_timeout" => Kind::ProviderFailed,
        "invalid_request_error" | "invalid_request" => Kind::InvalidRequest,
        // `invalid_image`, `image_too_large`, `unsupported_image_media_type`, `failed_to_download_image`, …
        _ if word.contains("image") => Kind::InvalidRequest,
        _ => return None,
    };
    Some(kind)
}

/// An error for a caller.
#[derive(Serialize)]
struct Told<'a> {
    message: &'a str,
    #[serde(rename = "type")]
    category: &'static str,
    param: Option<&'a str>,
    code: &'static str,
}

impl<'a> From<&'a Error> for Told<'a> {
    fn from(error: &'a Error) -> Self {
        Self {
            message: &error.message,
            category: category(error.kind),
            param: error.param.as_deref(),
            code: error.kind.code(),
        }
    }
}

const fn category(kind: Kind) -> &'static str {
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
