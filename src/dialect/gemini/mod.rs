//! Gemini's wire format: `generateContent`, `streamGenerateContent`, `countTokens` and embeddings, at Google AI (v1beta)
//! and at Vertex, whose bodies are the same but for small things.
//!
//! Sources: the API references of the Gemini API and of Vertex's (`google.ai.generativelanguage.v1beta`,
//! `google.cloud.aiplatform.v1`), and what Google's own SDKs send.

mod answer;
mod count;
mod embedding;
mod error;
mod features;
mod media;
mod partial;
mod request;
mod schema;
mod seal;
mod stream;
#[cfg(test)]
mod tests;
mod thinking;
mod time;
mod wire;

pub use answer::{read_answer, usage, write_answer};
pub use count::{read_count_answer, read_count_request, write_count_answer, write_count_request};
pub use embedding::{
    EMBEDDING_INPUTS_MAX, EmbeddingMethod, read_embedding_answer, write_embedding_request,
};
pub use error::{error_body, error_event, read_error};
pub use features::carries;
pub use request::{read_request, write_request};
pub use stream::{Reader, Writer};

use bytes::Bytes;
use serde_json::{Value, json};

/// Whether the model of that name goes on with an answer that the last content begins. The first to refuse that, with 400, are
/// 3.5 Flash-Lite and 3.6; what is newer or has no version is taken to refuse it, too.
pub fn has_prefill(name: &str) -> bool {
    const TAKE_IT: [&str; 5] = ["1.", "2.", "3-", "3.1-", "3.5-flash"];
    let version = name
        .split_once("gemini-")
        .map_or("", |(_, version)| version);
    TAKE_IT.iter().any(|known| version.starts_with(known)) && !version.starts_with("3.5-flash-lite")
}

/// The list of models, in Google AI's shape.
pub fn model_list<'a>(names: impl Iterator<Item = &'a str>) -> Bytes {
    let models: Vec<Value> = names.map(model_object).collect();
    Bytes::from(json!({ "models": models }).to_string())
}

/// One model, in Google AI's shape.
pub fn model(name: &str) -> Bytes {
    Bytes::from(model_object(name).to_string())
}

fn model_object(name: &str) -> Value {
    json!({
        "name": format!("models/{name}"),
        "displayName": name,
        "supportedGenerationMethods": ["generateContent", "countTokens"],
    })
}
