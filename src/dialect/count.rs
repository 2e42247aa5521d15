//! Counting a request's tokens, in the dialects that know such a request.

use http::StatusCode;

use super::common::{Dropped, Malformed, Outgoing, Request};
use super::{Dialect, Error, Kind, anthropic, bedrock, gemini, scan};

/// Reads a caller's request.
///
/// # Errors
/// [`Kind::InvalidRequest`], with the field at fault.
pub fn read_request(dialect: Dialect, body: &[u8], model: &str) -> Result<Request, Error> {
    let mut request = match dialect {
        Dialect::Anthropic => anthropic::read_count_request(body),
        Dialect::Gemini => gemini::read_count_request(body, model),
        Dialect::Bedrock => bedrock::read_count_request(body, model),
        _ => Err(Error::new(
            Kind::UnknownEndpoint,
            "this dialect counts no tokens",
        )),
    }?;
    request.model = model.to_owned();
    Ok(request)
}

/// Whether the request stands one level deeper, as Google's newer clients send it. Such a one names the model within.
pub fn is_nested(body: &[u8]) -> bool {
    ["generateContentRequest", "generate_content_request"]
        .iter()
        .any(|name| scan::member(body, name).is_some())
}

/// Writes a provider's request. What it cannot carry costs no tokens worth telling.
///
/// # Errors
/// The target cannot take it at all.
pub fn write_request(
    dialect: Dialect,
    request: &Request,
    to: &Outgoing<'_>,
) -> Result<Vec<u8>, Error> {
    let mut dropped = Dropped::default();
    match dialect {
        Dialect::Anthropic => anthropic::write_count_request(request, to, &mut dropped),
        Dialect::Gemini => gemini::write_count_request(request, to, &mut dropped),
        Dialect::Bedrock => bedrock::write_count_request(request, to, &mut dropped),
        _ => Err(Error::of_provider(
            StatusCode::NOT_FOUND,
            None,
            "no tokens are counted there",
        )),
    }
}

/// Reads a provider's count.
///
/// # Errors
/// It is none.
pub fn read_answer(dialect: Dialect, body: &[u8]) -> Result<u64, Malformed> {
    match dialect {
        Dialect::Anthropic => anthropic::read_count_answer(body),
        Dialect::Gemini => gemini::read_count_answer(body),
        Dialect::Bedrock => bedrock::read_count_answer(body),
        _ => Err(Malformed("a dialect that counts no tokens".to_owned())),
    }
}

/// Writes a count for a caller.
pub fn write_answer(dialect: Dialect, tokens: u64) -> Vec<u8> {
    match dialect {
        Dialect::Gemini => gemini::write_count_answer(tokens),
        Dialect::Bedrock => bedrock::write_count_answer(tokens),
        _ => anthropic::write_count_answer(tokens),
    }
}
