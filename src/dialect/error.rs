//! The gateway's own errors, each with its status and its words in the caller's dialect.

use std::time::Duration;

use http::StatusCode;

use super::scan::Fault;

/// An answer that the gateway itself gives because the request cannot be served.
#[derive(Clone, Debug)]
pub struct Error {
    /// Which row of the error table it is.
    pub kind: Kind,
    /// For the caller's eyes: never a provider key, another tenant's data or an internal address.
    pub message: String,
    /// The request's field at fault.
    pub param: Option<String>,
    /// When trying again may help.
    pub retry_after: Option<Duration>,
}

impl Error {
    /// An error that names no field.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            param: None,
            retry_after: None,
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

    /// Whether the caller's SDK must not repeat the request by itself: the gateway has already done what helps.
    pub fn forbids_retry(&self) -> bool {
        self.retry_after.is_none()
            && matches!(
                self.kind.status(),
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
    /// The process is about to end.
    Draining,
}

impl Kind {
    /// The HTTP status.
    pub const fn status(self) -> StatusCode {
        match self {
            Self::InvalidRequest => StatusCode::BAD_REQUEST,
            Self::InvalidApiKey => StatusCode::UNAUTHORIZED,
            Self::ModelNotAllowed => StatusCode::FORBIDDEN,
            Self::ModelNotFound | Self::UnknownEndpoint => StatusCode::NOT_FOUND,
            Self::UnknownMethod => StatusCode::METHOD_NOT_ALLOWED,
            Self::RequestTimeout => StatusCode::REQUEST_TIMEOUT,
            Self::HeadersTooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::RequestTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Upstream => StatusCode::BAD_GATEWAY,
            Self::Draining => StatusCode::SERVICE_UNAVAILABLE,
            Self::UpstreamTimeout => StatusCode::GATEWAY_TIMEOUT,
        }
    }

    /// Our word for it: OpenAI's `code`, and the `error` of the log line.
    pub const fn code(self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid_request",
            Self::InvalidApiKey => "invalid_api_key",
            Self::ModelNotAllowed => "model_not_allowed",
            Self::ModelNotFound => "model_not_found",
            Self::UnknownEndpoint | Self::UnknownMethod => "unknown_endpoint",
            Self::RequestTimeout => "request_timeout",
            Self::HeadersTooLarge => "headers_too_large",
            Self::RequestTooLarge => "request_too_large",
            Self::UnsupportedMediaType => "unsupported_media_type",
            Self::Internal => "internal_error",
            Self::Upstream => "upstream_error",
            Self::UpstreamTimeout => "upstream_timeout",
            Self::Draining => "draining",
        }
    }
}
