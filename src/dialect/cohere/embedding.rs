//! `POST /v2/embed` (source: Cohere's API reference, "Embed", v2).

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::wire::Count;
use crate::dialect::Usage;
use crate::dialect::common::Malformed;

/// The most texts of one request.
pub const EMBEDDING_INPUTS_MAX: usize = 96;

/// What texts are embedded for where the caller does not say: to be searched. Cohere must be told.
const INPUT_TYPE: &str = "search_document";

/// What becomes of a text that is too long where the caller does not say: the request is refused, as OpenAI's would be.
/// Cohere's own default, `END`, cuts it in silence.
const TRUNCATE: &str = "NONE";

/// Writes a request for the embeddings of up to [`EMBEDDING_INPUTS_MAX`] texts.
pub fn write_embedding_request(
    inputs: &[&str],
    model: &str,
    dimensions: Option<u64>,
    input_type: Option<&str>,
    truncate: Option<&str>,
) -> Vec<u8> {
    #[derive(Serialize)]
    struct Body<'a> {
        model: &'a str,
        texts: &'a [&'a str],
        input_type: &'a str,
        embedding_types: [&'static str; 1],
        #[serde(skip_serializing_if = "Option::is_none")]
        output_dimension: Option<u64>,
        truncate: &'a str,
    }

    let body = Body {
        model,
        texts: inputs,
        input_type: input_type.unwrap_or(INPUT_TYPE),
        embedding_types: ["float"],
        output_dimension: dimensions,
        truncate: truncate.unwrap_or(TRUNCATE),
    };
    serde_json::to_vec(&body).unwrap_or_default()
}

/// Reads the embeddings of `inputs` texts, in their order, and what they cost. An answer that has them without their type
/// (`embeddings_floats`, as at Bedrock) is read as well.
///
/// # Errors
/// It is no answer with one embedding of floating-point numbers a text.
pub fn read_embedding_answer(
    body: &[u8],
    inputs: usize,
) -> Result<(Vec<Vec<f64>>, Option<Usage>), Malformed> {
    #[derive(Deserialize)]
    struct Body<'a> {
        #[serde(borrow)]
        embeddings: &'a RawValue,
        meta: Option<Meta>,
    }

    #[derive(Deserialize)]
    struct ByType {
        float: Vec<Vec<f64>>,
    }

    #[derive(Deserialize)]
    struct Meta {
        billed_units: Option<BilledUnits>,
    }

    #[derive(Deserialize)]
    struct BilledUnits {
        input_tokens: Option<Count>,
        image_tokens: Option<Count>,
        images: Option<Count>,
    }

    let body: Body<'_> = serde_json::from_slice(body)?;
    let raw = body.embeddings.get();
    let vectors: Vec<Vec<f64>> = match raw.starts_with('[') {
        true => serde_json::from_str(raw)?,
        false => serde_json::from_str::<ByType>(raw)?.float,
    };
    if vectors.len() != inputs {
        return Err(Malformed(
            "another number of embeddings than of texts".to_owned(),
        ));
    }
    let billed = body.meta.and_then(|meta| meta.billed_units);
    let usage = billed.and_then(|billed| {
        billed
            .input_tokens
            .or(billed.image_tokens)
            .or(billed.images)?;
        let told = |count: Option<Count>| count.unwrap_or_default().0;
        let image_tokens = told(billed.image_tokens);
        Some(Usage {
            input_tokens: told(billed.input_tokens).saturating_add(image_tokens),
            input_image_tokens: image_tokens,
            images: told(billed.images),
            ..Usage::default()
        })
    });
    Ok((vectors, usage))
}
