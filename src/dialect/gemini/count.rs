//! Counting tokens: `countTokens`.

use serde::Serialize;
use serde_json::json;

use super::request::{body, conversation, parsed};
use super::wire;
use crate::dialect::Error;
use crate::dialect::common::{Dropped, Malformed, Outgoing, Request};

/// Reads a caller's `CountTokensRequest`: contents alone, with what stands beside them at Vertex, or a whole request.
///
/// # Errors
/// As [`super::read_request`].
pub fn read_count_request(body: &[u8], model: &str) -> Result<Request, Error> {
    let wire: wire::CountRequest<'_> = parsed(body)?;
    let whole = wire.generate_content_request.unwrap_or(wire::Request {
        system_instruction: wire.system_instruction,
        tools: wire.tools,
        contents: wire.contents,
        generation_config: wire.generation_config,
        ..wire::Request::default()
    });
    conversation(whole, model, false)
}

/// Writes a provider's `CountTokensRequest`, which differs at Vertex.
///
/// # Errors
/// As [`super::write_request`].
pub fn write_count_request(
    request: &Request,
    to: &Outgoing<'_>,
    dropped: &mut Dropped,
) -> Result<Vec<u8>, Error> {
    #[derive(Serialize)]
    struct Whole<T> {
        #[serde(rename = "generateContentRequest")]
        request: T,
    }

    let mut body = body(request, to, dropped)?;
    Ok(if to.is_vertex {
        // It takes these and the generation's configuration alone.
        body.tool_config = None;
        body.labels = None;
        body.service_tier = None;
        body.rest.clear();
        wire::bytes(&body)
    } else {
        body.model = Some(resource(to.model));
        wire::bytes(&Whole { request: body })
    })
}

/// The count in a provider's answer.
///
/// # Errors
/// There is none.
pub fn read_count_answer(body: &[u8]) -> Result<u64, Malformed> {
    #[derive(serde::Deserialize)]
    struct Counted {
        // Nothing, where it is zero.
        #[serde(rename = "totalTokens", default)]
        total: wire::Whole<u64>,
    }

    let counted: Counted = serde_json::from_slice(body)?;
    Ok(counted.total.0)
}

/// A caller's answer.
pub fn write_count_answer(count: u64) -> Vec<u8> {
    json!({ "totalTokens": count }).to_string().into_bytes()
}

/// The model's name as Google AI has it in bodies.
pub fn resource(model: &str) -> String {
    match model.starts_with("models/") || model.starts_with("tunedModels/") {
        true => model.to_owned(),
        false => ["models/", model].concat(),
    }
}
