//! Errors, the gateway's own and those of providers, each with its status and our word for it. The dialects write them.

use std::time::Duration;

use http::StatusCode;

use super::scan::Fault;

/// An answer that the gateway itself gives because the request cannot be served.
#[derive(Clone, Debug, PartialEq)]
pub struct Error {
    /// Which row of the error table it is.
    pub kind: Kind,
    /// For the caller's eyes: never a provider key, another tenant's data or an internal address.
    pub message: String,
    /// The request's field at fault.
    pub param: Option<String>,
    /// When trying again may help.
    pub retry_after: Option<Duration>,
    /// The provider's own status, where the error is a provider's and says it more exactly than `kind`.
    pub provider_status: Option<StatusCode>,
}

impl Error {
    /// An error that names no field.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            param: None,
            retry_after: None,
            provider_status: None,
        }
    }

    /// A 400 for the field `param`.
    pub fn invalid(param: &str, message: impl Into<String>) -> Self {
        Self {
            param: Some(param.to_owned()),
            ..Self::new(Kind::InvalidRequest, message)
        }
    }

    /// Tells the caller when to try again.
    pub fn retry_after(mut self, delay: Duration) -> Self {
        self.retry_after = Some(delay);
        self
    }

    /// A provider's error about the request: `kind` read from its body or, where that says nothing, from `status`.
    pub fn of_provider(status: StatusCode, kind: Option<Kind>, message: impl Into<String>) -> Self {
        Self {
            provider_status: Some(status),
            ..Self::new(kind.unwrap_or_else(|| Kind::of_status(status)), message)
        }
    }

    /// The HTTP status.
    pub fn status(&self) -> StatusCode {
        self.provider_status.unwrap_or_else(|| self.kind.status())
    }

    /// Whether the caller's SDK must not repeat the request by itself: the gateway has already done what helps.
    pub fn forbids_retry(&self) -> bool {
        self.kind == Kind::QuotaSpent && self.provider_status.is_none()
            || self.retry_after.is_none()
                && matches!(
                    self.status(),
                    StatusCode::BAD_GATEWAY
                        | StatusCode::SERVICE_UNAVAILABLE
                        | StatusCode::GATEWAY_TIMEOUT
                )
    }
}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        let message = fault.to_string();
        match fault {
            Fault::Repeated(name) => Self::invalid(&name, message),
            _ => Self::new(Kind::InvalidRequest, message),
        }
    }
}

/// What went wrong, in the words of the error table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Bad JSON or UTF-8, too deep, a bad or repeated field, ambiguous framing.
    InvalidRequest,
    /// No key, an unknown one, or an expired one.
    InvalidApiKey,
    /// The key may not use this model.
    ModelNotAllowed,
    /// The target has no price, and only targets that have one may be called.
    ModelNotPriced,
    /// No such model.
    ModelNotFound,
    /// No such path.
    UnknownEndpoint,
    /// The path is served, but not by this method.
    UnknownMethod,
    /// The head or the body took too long to arrive.
    RequestTimeout,
    /// The head is too large or has too many fields.
    HeadersTooLarge,
    /// The body is too large.
    RequestTooLarge,
    /// The body's media type or encoding is not understood.
    UnsupportedMediaType,
    /// A bug of ours.
    Internal,
    /// No usable answer from upstream.
    Upstream,
    /// Upstream took too long.
    UpstreamTimeout,
    /// Nobody is healthy who could be asked.
    NoHealthyTarget,
    /// The process is about to end.
    Draining,
    /// The ledger does not keep up.
    LedgerBehind,
    /// What replicas share is not known, because its store is away.
    StateLost,
    /// Too many requests or tokens for now, here or at a provider.
    RateLimited,
    /// Nothing is left to spend, here or at a provider.
    QuotaSpent,
    /// A provider: the request does not fit the model's window.
    ContextTooLong,
    /// A provider: its filter refused the request or the answer.
    ContentFiltered,
    /// A provider: it has more to do than it can.
    Overloaded,
    /// A provider: it does not know what the request names.
    NotFound,
    /// A provider: an error of its own.
    ProviderFailed,
}

impl Kind {
    /// The HTTP status.
    pub const fn status(self) -> StatusCode {
        match self {
            Self::InvalidRequest | Self::ContextTooLong | Self::ContentFiltered => {
                StatusCode::BAD_REQUEST
            }
            Self::InvalidApiKey => StatusCode::UNAUTHORIZED,
            Self::ModelNotAllowed | Self::ModelNotPriced => StatusCode::FORBIDDEN,
            Self::ModelNotFound | Self::UnknownEndpoint | Self::NotFound => StatusCode::NOT_FOUND,
            Self::UnknownMethod => StatusCode::METHOD_NOT_ALLOWED,
            Self::RequestTimeout => StatusCode::REQUEST_TIMEOUT,
            Self::HeadersTooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::RequestTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Internal | Self::ProviderFailed => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Upstream => StatusCode::BAD_GATEWAY,
            Self::NoHealthyTarget
            | Self::Draining
            | Self::LedgerBehind
            | Self::StateLost
            | Self::Overloaded => StatusCode::SERVICE_UNAVAILABLE,
            Self::UpstreamTimeout => StatusCode::GATEWAY_TIMEOUT,
            Self::RateLimited | Self::QuotaSpent => StatusCode::TOO_MANY_REQUESTS,
        }
    }

    /// Our word for it: OpenAI's `code`, and the `error` of the log line.
    pub const fn code(self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid_request",
            Self::InvalidApiKey => "invalid_api_key",
            Self::ModelNotAllowed => "model_not_allowed",
            Self::ModelNotPriced => "model_not_priced",
            Self::ModelNotFound => "model_not_found",
            Self::UnknownEndpoint | Self::UnknownMethod => "unknown_endpoint",
            Self::RequestTimeout => "request_timeout",
            Self::HeadersTooLarge => "headers_too_large",
            Self::RequestTooLarge => "request_too_large",
            Self::UnsupportedMediaType => "unsupported_media_type",
            Self::Internal => "internal_error",
            Self::Upstream => "upstream_error",
            Self::UpstreamTimeout => "upstream_timeout",
            Self::NoHealthyTarget => "no_healthy_target",
            Self::Draining => "draining",
            Self::LedgerBehind => "ledger_unavailable",
            Self::StateLost => "state_unavailable",
            Self::RateLimited => "rate_limit_exceeded",
            Self::QuotaSpent => "insufficient_quota",
            Self::ContextTooLong => "context_length_exceeded",
            Self::ContentFiltered => "content_filter",
            Self::Overloaded => "overloaded",
            Self::NotFound => "not_found",
            Self::ProviderFailed => "provider_error",
        }
    }

    /// What a provider's bare status means.
    pub fn of_status(status: StatusCode) -> Self {
        match status.as_u16() {
            401..=403 => Self::InvalidApiKey,
            404 => Self::NotFound,
            408 | 504 => Self::UpstreamTimeout,
            413 => Self::RequestTooLarge,
            429 => Self::RateLimited,
            503 | 529 => Self::Overloaded,
            500..=599 => Self::ProviderFailed,
            _ => Self::InvalidRequest,
        }
    }
}
