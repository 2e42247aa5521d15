//! Embeddings, as a provider makes them.
//!
//! Google AI takes many texts at once by `batchEmbedContents`. Vertex does so for Gemini's models, too, but one text
//! alone by `embedContent`; its older models it runs by `predict`.

use serde::{Deserialize, Serialize};

use super::answer::usage;
use super::count::resource;
use super::wire::{self, Whole, bytes};
use crate::dialect::common::{Malformed, Usage};

/// The most texts of one call (Google AI's `batchEmbedContents` takes 100; Vertex's limits depend on the model).
pub const EMBEDDING_INPUTS_MAX: usize = 100;

/// How texts are embedded: what stands behind the model's name and a colon in the path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EmbeddingMethod {
    /// Many texts.
    Batch,
    /// One text.
    Single,
    /// Vertex's older models.
    Predict,
}

impl EmbeddingMethod {
    /// The one for `inputs` texts.
    pub fn of(model: &str, inputs: usize, is_vertex: bool) -> Self {
        let name = model.rsplit('/').next().unwrap_or(model);
        match (is_vertex, name.contains("gemini"), inputs) {
            (false, _, _) => Self::Batch,
            (true, false, _) => Self::Predict,
            (true, true, 1) => Self::Single,
            (true, true, _) => Self::Batch,
        }
    }

    /// Its name in the path.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Batch => "batchEmbedContents",
            Self::Single => "embedContent",
            Self::Predict => "predict",
        }
    }
}

/// Writes the body for [`EmbeddingMethod::of`] the same arguments.
pub fn write_embedding_request(
    inputs: &[&str],
    model: &str,
    dimensions: Option<u64>,
    is_vertex: bool,
) -> Vec<u8> {
    let config = |dimensions| Config {
        output_dimensionality: dimensions,
    };
    let one = |text| Single {
        model: (!is_vertex).then(|| resource(model)),
        content: Content {
            parts: [Part { text }],
        },
        output_dimensionality: dimensions.filter(|_| !is_vertex),
        embed_content_config: dimensions.filter(|_| is_vertex).map(config),
    };
    match EmbeddingMethod::of(model, inputs.len(), is_vertex) {
        EmbeddingMethod::Batch => bytes(&Batch {
            requests: inputs.iter().map(|text| one(text)).collect(),
        }),
        EmbeddingMethod::Single => bytes(&one(inputs.first().copied().unwrap_or_default())),
        EmbeddingMethod::Predict => bytes(&Predict {
            instances: inputs.iter().map(|content| Instance { content }).collect(),
            parameters: dimensions.map(config),
        }),
    }
}

#[derive(Serialize)]
struct Batch<'a> {
    requests: Vec<Single<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Single<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<String>,
    content: Content<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output_dimensionality: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    embed_content_config: Option<Config<u64>>,
}

#[derive(Serialize)]
struct Content<'a> {
    parts: [Part<'a>; 1],
}

#[derive(Serialize)]
struct Part<'a> {
    text: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Config<T> {
    output_dimensionality: T,
}

#[derive(Serialize)]
struct Predict<'a> {
    instances: Vec<Instance<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parameters: Option<Config<u64>>,
}

#[derive(Serialize)]
struct Instance<'a> {
    content: &'a str,
}

/// Reads an answer of any method: the embeddings in the order of the texts, and what they cost, where it says so.
///
/// # Errors
/// It is none, or has another number of embeddings than `inputs`.
pub fn read_embedding_answer(
    body: &[u8],
    inputs: usize,
) -> Result<(Vec<Vec<f64>>, Option<Usage>), Malformed> {
    let answer: Answer<'_> = serde_json::from_slice(body)?;
    let told = answer.usage_metadata.as_ref();
    let told = told.filter(|told| told.prompt_token_count.is_some());
    let mut usage = told.map(|told| usage::read(told).0);
    let mut embeddings: Vec<Vec<f64>> = Vec::new();
    for prediction in answer.predictions {
        let statistics = prediction.embeddings.statistics;
        if let Some(count) = statistics.and_then(|it| it.token_count) {
            // Vertex writes these as floats.
            let so_far = usage.get_or_insert_default();
            so_far.input_tokens = so_far.input_tokens.saturating_add(count.0);
        }
        embeddings.push(prediction.embeddings.values);
    }
    let told = answer.embeddings.into_iter().chain(answer.embedding);
    embeddings.extend(told.map(|embedding| embedding.values));
    if embeddings.len() != inputs {
        let what = "another number of embeddings than of texts";
        return Err(Malformed(what.to_owned()));
    }
    Ok((embeddings, usage))
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default, bound(deserialize = "'de: 'a"))]
struct Answer<'a> {
    embeddings: Vec<Embedding>,
    embedding: Option<Embedding>,
    predictions: Vec<Prediction>,
    usage_metadata: Option<wire::Usage<'a>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Embedding {
    values: Vec<f64>,
    statistics: Option<Statistics>,
}

#[derive(Deserialize)]
struct Prediction {
    embeddings: Embedding,
}

#[derive(Deserialize)]
struct Statistics {
    token_count: Option<Whole<u64>>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::recorded;

    #[test]
    fn each_method_has_its_body() {
        let written = |inputs: &[&str], model, dimensions, is_vertex| {
            let body = write_embedding_request(inputs, model, dimensions, is_vertex);
            let method = EmbeddingMethod::of(model, inputs.len(), is_vertex).name();
            format!("{method} {}", String::from_utf8(body).unwrap())
        };
        assert_eq!(
            written(&["a"], "gemini-embedding-2", Some(768), false),
            r#"batchEmbedContents {"requests":[{"model":"models/gemini-embedding-2","content":{"parts":[{"text":"a"}]},"outputDimensionality":768}]}"#
        );
        assert_eq!(
            written(&["a"], "gemini-embedding-001", Some(768), true),
            r#"embedContent {"content":{"parts":[{"text":"a"}]},"embedContentConfig":{"outputDimensionality":768}}"#
        );
        assert_eq!(
            written(&["a", "b"], "gemini-embedding-2", None, true),
            r#"batchEmbedContents {"requests":[{"content":{"parts":[{"text":"a"}]}},{"content":{"parts":[{"text":"b"}]}}]}"#
        );
        assert_eq!(
            written(&["a"], "text-embedding-005", Some(256), true),
            r#"predict {"instances":[{"content":"a"}],"parameters":{"outputDimensionality":256}}"#
        );
    }

    #[test]
    fn predictions_are_counted() {
        let body = br#"{"predictions":[{"embeddings":{"values":[0.5],"statistics":{"token_count":3.0,"truncated":false}}},{"embeddings":{"values":[1],"statistics":{"token_count":4}}}]}"#;
        let (embeddings, usage) = read_embedding_answer(body, 2).unwrap();
        assert_eq!(embeddings, [[0.5], [1.0]]);
        assert_eq!(usage.unwrap().input_tokens, 7);
        assert!(read_embedding_answer(body, 1).is_err());
        assert!(read_embedding_answer(b"{}", 1).is_err());
    }

    #[test]
    fn recorded_embeddings_are_read() {
        for recorded in recorded::all().iter().filter(|it| {
            matches!(it.provider.as_str(), "gemini" | "vertex")
                && it.endpoint.contains("mbedContent")
                && it.status == 200
        }) {
            let inputs = recorded.request["requests"].as_array().map_or(1, Vec::len);
            let body = recorded.body();
            let (embeddings, usage) = read_embedding_answer(&body, inputs).unwrap();
            let json: serde_json::Value = serde_json::from_slice(&body).unwrap();
            let values = match &json["embedding"] {
                serde_json::Value::Null => &json["embeddings"][0]["values"],
                one => &one["values"],
            };
            assert_eq!(serde_json::to_value(&embeddings[0]).unwrap(), *values);
            let told = json["usageMetadata"]["promptTokenCount"].as_u64();
            assert_eq!(usage.map(|usage| usage.input_tokens), told);
        }
    }
}
