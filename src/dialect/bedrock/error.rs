//! Errors: `x-amzn-errortype` tells the kind, and the body the words.

use bytes::Bytes;
use http::StatusCode;
use serde::{Deserialize, Serialize};

use super::wire::to_bytes;
use crate::dialect::{Error, Kind, eventstream};

/// The body of an error. What it is stands in the header `x-amzn-errortype`: [`error_type`].
pub fn error_body(error: &Error) -> Bytes {
    #[derive(Serialize)]
    struct Body<'a> {
        message: &'a str,
    }
    Bytes::from(to_bytes(&Body {
        message: &error.message,
    }))
}

/// The name by which AWS's SDKs know an error, and find their typed exception.
pub fn error_type(error: &Error) -> &'static str {
    match error.kind {
        Kind::InvalidApiKey | Kind::ModelNotAllowed | Kind::ModelNotPriced => {
            "AccessDeniedException"
        }
        Kind::ModelNotFound | Kind::NotFound => "ResourceNotFoundException",
        Kind::UnknownEndpoint | Kind::UnknownMethod => "UnknownOperationException",
        Kind::RateLimited => "ThrottlingException",
        Kind::QuotaSpent => "ServiceQuotaExceededException",
        Kind::UpstreamTimeout => "ModelTimeoutException",
        Kind::Overloaded
        | Kind::NoHealthyTarget
        | Kind::Draining
        | Kind::LedgerBehind
        | Kind::StateLost => "ServiceUnavailableException",
        Kind::ProviderFailed if error.status() == StatusCode::FAILED_DEPENDENCY => {
            "ModelErrorException"
        }
        Kind::Internal | Kind::Upstream | Kind::ProviderFailed => "InternalServerException",
        Kind::InvalidRequest
        | Kind::ContextTooLong
        | Kind::ContentFiltered
        | Kind::RequestTimeout
        | Kind::HeadersTooLarge
        | Kind::RequestTooLarge
        | Kind::UnsupportedMediaType => "ValidationException",
    }
}

/// The exception that ends a stream which has begun: one of the five that ConverseStream knows.
pub fn error_event(error: &Error) -> Bytes {
    let kind = match error_type(error) {
        "ThrottlingException" | "ServiceQuotaExceededException" => "throttlingException",
        "ServiceUnavailableException" => "serviceUnavailableException",
        "ModelTimeoutException" | "ModelErrorException" => "modelStreamErrorException",
        "InternalServerException" => "internalServerException",
        _ => "validationException",
    };
    let headers = [
        (":exception-type", kind),
        (":content-type", "application/json"),
        (":message-type", "exception"),
    ];
    let mut out = Vec::new();
    eventstream::write(&mut out, &headers, |out| {
        out.extend_from_slice(&error_body(error));
    });
    Bytes::from(out)
}

/// Reads a provider's error; `error_type` is the header `x-amzn-errortype`.
pub fn read_error(status: StatusCode, body: &[u8], error_type: Option<&str>) -> Error {
    let body: Body = serde_json::from_slice(body).unwrap_or_default();
    let name = error_type.or(body.r#type.as_deref()).unwrap_or_default();
    let message = body.message.unwrap_or_default();
    let kind = kind(name, status, &message);
    Error::of_provider(status, kind, words(message, name, status))
}

/// Reads the exception that ended a stream.
pub(super) fn read_exception(name: &str, payload: &[u8]) -> Error {
    let body: Body = serde_json::from_slice(payload).unwrap_or_default();
    read_failure(name, &body.message.unwrap_or_default())
}

/// Reads an error that ended a stream, from its name and its words.
pub(super) fn read_failure(name: &str, message: &str) -> Error {
    let status = match bare(name).to_ascii_lowercase().as_str() {
        "validationexception" => StatusCode::BAD_REQUEST,
        "throttlingexception" => StatusCode::TOO_MANY_REQUESTS,
        "modelstreamerrorexception" => StatusCode::FAILED_DEPENDENCY,
        "modeltimeoutexception" => StatusCode::REQUEST_TIMEOUT,
        "serviceunavailableexception" => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    };
    let kind = kind(name, status, message);
    Error::of_provider(status, kind, words(message.to_owned(), name, status))
}

#[derive(Default, Deserialize)]
struct Body {
    #[serde(rename = "__type")]
    r#type: Option<String>,
    #[serde(alias = "Message")]
    message: Option<String>,
}

fn words(message: String, name: &str, status: StatusCode) -> String {
    match (message.is_empty(), bare(name)) {
        (false, _) => message,
        (true, "") => format!("the provider answered with status {}", status.as_u16()),
        (true, name) => name.chars().take(100).collect(),
    }
}

/// A name less what AWS puts around it: `com.amazon.coral#ThrottlingException:http://…`.
fn bare(name: &str) -> &str {
    let name = name.split(':').next().unwrap_or_default();
    name.rsplit('#').next().unwrap_or_default()
}

/// None where the status says it as well.
fn kind(name: &str, status: StatusCode, message: &str) -> Option<Kind> {
    // In streams the names begin with a small letter.
    let known = KINDS
        .iter()
        .find(|(known, _)| known.eq_ignore_ascii_case(bare(name)));
    let by_name = known.map(|(_, kind)| *kind);
    let is_refused = matches!(by_name, None | Some(Kind::InvalidRequest));
    if is_refused && status == StatusCode::BAD_REQUEST {
        return by_message(message).or(by_name);
    }
    by_name.or_else(|| (status == StatusCode::FAILED_DEPENDENCY).then_some(Kind::ProviderFailed))
}

const KINDS: [(&str, Kind); 19] = [
    ("ValidationException", Kind::InvalidRequest),
    ("AccessDeniedException", Kind::InvalidApiKey),
    ("UnrecognizedClientException", Kind::InvalidApiKey),
    ("InvalidSignatureException", Kind::InvalidApiKey),
    ("IncompleteSignatureException", Kind::InvalidApiKey),
    ("MissingAuthenticationTokenException", Kind::InvalidApiKey),
    ("ExpiredTokenException", Kind::InvalidApiKey),
    ("ResourceNotFoundException", Kind::NotFound),
    ("ThrottlingException", Kind::RateLimited),
    ("TooManyRequestsException", Kind::RateLimited),
    ("ServiceQuotaExceededException", Kind::QuotaSpent),
    ("ModelTimeoutException", Kind::UpstreamTimeout),
    ("ModelNotReadyException", Kind::Overloaded),
    ("ServiceUnavailableException", Kind::Overloaded),
    ("InternalServerException", Kind::ProviderFailed),
    ("InternalFailure", Kind::ProviderFailed),
    ("ModelErrorException", Kind::ProviderFailed),
    ("ModelStreamErrorException", Kind::ProviderFailed),
    ("RequestEntityTooLargeException", Kind::RequestTooLarge),
];

/// What a refusal is about, in the words of Bedrock or of the model's maker. Anthropic, Amazon, Meta, Mistral and
/// OpenAI each say in their own that a prompt is too long.
fn by_message(message: &str) -> Option<Kind> {
    const WORDS: [(&str, Kind); 11] = [
        ("input is too long", Kind::ContextTooLong),
        ("prompt is too long", Kind::ContextTooLong),
        ("too many input tokens", Kind::ContextTooLong),
        ("too large for model with", Kind::ContextTooLong),
        ("exceed context limit", Kind::ContextTooLong),
        ("maximum context length", Kind::ContextTooLong),
        ("context window", Kind::ContextTooLong),
        ("input tokens exceeded", Kind::ContextTooLong),
        ("content filter", Kind::ContentFiltered),
        ("model identifier is invalid", Kind::NotFound),
        ("not authorized", Kind::InvalidApiKey),
    ];
    let message = message.to_ascii_lowercase();
    let mut words = WORDS.into_iter();
    words
        .find(|(words, _)| message.contains(words))
        .map(|(_, kind)| kind)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::eventstream::Message;

    fn read(status: u16, name: Option<&str>, body: &str) -> Error {
        read_error(StatusCode::from_u16(status).unwrap(), body.as_bytes(), name)
    }

    #[test]
    fn errors_are_read_by_header_body_and_words() {
        for (status, name, body, kind) in [
            (
                400,
                Some("ValidationException:http://internal.amazon.com/x/"),
                r#"{"message":"no"}"#,
                Kind::InvalidRequest,
            ),
            (
                400,
                Some("ValidationException"),
                r#"{"message":"Input is too long for requested model."}"#,
                Kind::ContextTooLong,
            ),
            (
                400,
                None,
                r#"{"message":"The model returned the following errors: prompt is too long: 9 tokens > 8 maximum"}"#,
                Kind::ContextTooLong,
            ),
            (
                400,
                None,
                r#"{"message":"The provided model identifier is invalid."}"#,
                Kind::NotFound,
            ),
            (
                429,
                Some("ThrottlingException"),
                r#"{"message":"Too many tokens, please wait"}"#,
                Kind::RateLimited,
            ),
            (
                400,
                None,
                r#"{"__type":"com.amazon.coral#ServiceQuotaExceededException","Message":"x"}"#,
                Kind::QuotaSpent,
            ),
            (
                403,
                Some("AccessDeniedException"),
                r#"{"Message":"x"}"#,
                Kind::InvalidApiKey,
            ),
            (404, Some("ResourceNotFoundException"), "{}", Kind::NotFound),
            (
                408,
                Some("ModelTimeoutException"),
                "{}",
                Kind::UpstreamTimeout,
            ),
            (424, Some("ModelErrorException"), "{}", Kind::ProviderFailed),
            (424, None, "<html>", Kind::ProviderFailed),
            (429, Some("ModelNotReadyException"), "{}", Kind::Overloaded),
            (503, None, "", Kind::Overloaded),
            (
                500,
                Some("InternalServerException"),
                "{}",
                Kind::ProviderFailed,
            ),
        ] {
            let error = read(status, name, body);
            assert_eq!(error.kind, kind, "{status} {name:?} {body}");
            assert_eq!(error.status().as_u16(), status);
            assert!(!error.message.is_empty());
        }
        assert_eq!(read(400, None, r#"{"Message":"words"}"#).message, "words");
    }

    #[test]
    fn types_are_those_that_bedrocks_clients_know() {
        for kind in [
            Kind::InvalidRequest,
            Kind::ModelNotAllowed,
            Kind::ModelNotFound,
            Kind::RateLimited,
            Kind::QuotaSpent,
            Kind::Overloaded,
            Kind::ProviderFailed,
            Kind::UpstreamTimeout,
        ] {
            let error = Error::new(kind, "x");
            let name = error_type(&error);
            let again = read_error(error.status(), &error_body(&error), Some(name));
            let settled = match kind {
                Kind::ModelNotAllowed => Kind::InvalidApiKey,
                Kind::ModelNotFound => Kind::NotFound,
                kind => kind,
            };
            assert_eq!(again.kind, settled);
            assert_eq!(again.message, "x");
        }
        let failed = read(424, Some("ModelErrorException"), r#"{"message":"x"}"#);
        assert_eq!(error_type(&failed), "ModelErrorException");
    }

    #[test]
    fn an_exception_ends_a_stream() {
        let event = error_event(&Error::new(Kind::RateLimited, "slow down"));
        let message = Message::parse(&event).unwrap();
        assert_eq!(message.text(":message-type"), Some("exception"));
        let name = message.text(":exception-type").unwrap();
        assert_eq!(name, "throttlingException");
        let again = read_exception(name, message.payload);
        assert_eq!(again.kind, Kind::RateLimited);
        assert_eq!(again.message, "slow down");
        assert_eq!(again.status(), StatusCode::TOO_MANY_REQUESTS);
    }
}
