//! Embeddings, as models at Bedrock make them by InvokeModel, each family in its own form.
//!
//! Source: Amazon Bedrock's user guide, "Amazon Titan Embeddings" and "Cohere Embed", and Amazon Nova's, "Embeddings".

use serde::{Deserialize, Serialize};

use super::wire::to_bytes;
use crate::dialect::Error;
use crate::dialect::common::{Malformed, Usage};

/// The families, and how they are asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Family {
    /// One text a call, of 1,536 numbers.
    TitanV1,
    /// One text a call.
    TitanV2,
    /// One text a call.
    Nova,
    /// Many texts a call, of 1,024 numbers.
    CohereV3,
    /// Many texts a call.
    CohereV4,
}

impl Family {
    fn of(model: &str) -> Option<Self> {
        const NAMES: [(&str, Family); 5] = [
            ("titan-embed-text-v1", Family::TitanV1),
            ("titan-embed-g1", Family::TitanV1),
            ("titan-embed", Family::TitanV2),
            ("cohere.embed-v4", Family::CohereV4),
            ("cohere.embed", Family::CohereV3),
        ];
        let is_nova = model.contains("amazon.nova") && model.contains("embeddings");
        let mut names = NAMES.into_iter();
        let known = names.find(|(name, _)| model.contains(name));
        known
            .map(|(_, family)| family)
            .or(is_nova.then_some(Self::Nova))
    }
}

/// The most texts that one call to `model` embeds.
pub fn inputs_per_call(model: &str) -> usize {
    match Family::of(model) {
        Some(Family::CohereV3 | Family::CohereV4) => 96,
        _ => 1,
    }
}

/// Writes the body for a call that embeds `inputs`, no more than [`inputs_per_call`].
///
/// # Errors
/// [`crate::dialect::Kind::InvalidRequest`]: `model` is none that embeds, so far as is known here; it takes fewer texts,
/// or no other `dimensions` than its own.
pub fn write_embedding_request(
    inputs: &[&str],
    model: &str,
    dimensions: Option<u64>,
) -> Result<Vec<u8>, Error> {
    let Some(family) = Family::of(model) else {
        return Err(Error::invalid(
            "model",
            "the model is not known to make embeddings at Bedrock",
        ));
    };
    let own_dimensions = match family {
        Family::TitanV1 => Some(1_536),
        Family::CohereV3 => Some(1_024),
        Family::TitanV2 | Family::Nova | Family::CohereV4 => None,
    };
    if let (Some(asked), Some(own)) = (dimensions, own_dimensions)
        && asked != own
    {
        let message = format!("the model's embeddings have {own} dimensions");
        return Err(Error::invalid("dimensions", message));
    }
    let first = match inputs {
        [] => return Err(Error::invalid("input", "there is nothing to embed")),
        inputs if inputs.len() > inputs_per_call(model) => {
            return Err(Error::invalid(
                "input",
                "the model embeds fewer texts at once",
            ));
        }
        [first, ..] => first,
    };
    Ok(match family {
        Family::TitanV1 => to_bytes(&Titan {
            input_text: first,
            dimensions: None,
            normalize: None,
        }),
        Family::TitanV2 => to_bytes(&Titan {
            input_text: first,
            dimensions,
            normalize: Some(true),
        }),
        Family::Nova => to_bytes(&Nova {
            task_type: "SINGLE_EMBEDDING",
            single_embedding_params: NovaParams {
                embedding_purpose: "GENERIC_INDEX",
                embedding_dimension: dimensions,
                text: NovaText {
                    truncation_mode: "NONE",
                    value: first,
                },
            },
        }),
        Family::CohereV3 | Family::CohereV4 => to_bytes(&Cohere {
            texts: inputs,
            input_type: "search_document",
            embedding_types: ["float"],
            truncate: "NONE",
            output_dimension: dimensions.filter(|_| family == Family::CohereV4),
        }),
    })
}

/// Reads an answer: the embeddings, in the order of their texts, and what they cost, where the body says. Cohere's tell
/// that in the header `x-amzn-bedrock-input-token-count`.
///
/// # Errors
/// It is none.
pub fn read_embedding_answer(body: &[u8]) -> Result<(Vec<Vec<f64>>, Option<Usage>), Malformed> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Answer {
        embedding: Option<Vec<f64>>,
        embeddings: Option<Embeddings>,
        input_text_token_count: Option<u64>,
    }
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Embeddings {
        ByType { float: Vec<Vec<f64>> },
        Floats(Vec<Vec<f64>>),
        Nova(Vec<NovaEmbedding>),
    }
    #[derive(Deserialize)]
    struct NovaEmbedding {
        embedding: Vec<f64>,
    }
    let answer: Answer = serde_json::from_slice(body)?;
    let usage = answer.input_text_token_count.map(|input_tokens| Usage {
        input_tokens,
        ..Usage::default()
    });
    let embeddings = match (answer.embedding, answer.embeddings) {
        (Some(embedding), _) => vec![embedding],
        (None, Some(Embeddings::ByType { float } | Embeddings::Floats(float))) => float,
        (None, Some(Embeddings::Nova(list))) => {
            list.into_iter().map(|item| item.embedding).collect()
        }
        (None, None) => return Err(Malformed("an answer without embeddings".to_owned())),
    };
    Ok((embeddings, usage))
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Titan<'a> {
    input_text: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    dimensions: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    normalize: Option<bool>,
}

#[derive(Serialize)]
struct Cohere<'a> {
    texts: &'a [&'a str],
    input_type: &'static str,
    embedding_types: [&'static str; 1],
    truncate: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    output_dimension: Option<u64>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Nova<'a> {
    task_type: &'static str,
    single_embedding_params: NovaParams<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct NovaParams<'a> {
    embedding_purpose: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    embedding_dimension: Option<u64>,
    text: NovaText<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct NovaText<'a> {
    truncation_mode: &'static str,
    value: &'a str,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::recorded;

    #[test]
    fn each_family_is_asked_in_its_own_form() {
        let written = |model: &str, inputs: &[&str], dimensions| {
            let body = write_embedding_request(inputs, model, dimensions);
            body.map(|body| String::from_utf8(body).unwrap())
                .map_err(|error| error.param.unwrap())
        };
        assert_eq!(
            written("amazon.titan-embed-text-v2:0", &["a"], Some(256)).unwrap(),
            r#"{"inputText":"a","dimensions":256,"normalize":true}"#
        );
        assert_eq!(
            written("amazon.titan-embed-text-v1", &["a"], None).unwrap(),
            r#"{"inputText":"a"}"#
        );
        assert_eq!(
            written("us.cohere.embed-v4:0", &["a", "b"], Some(512)).unwrap(),
            r#"{"texts":["a","b"],"input_type":"search_document","embedding_types":["float"],"truncate":"NONE","output_dimension":512}"#
        );
        assert_eq!(
            written("amazon.nova-2-multimodal-embeddings-v1:0", &["a"], None).unwrap(),
            r#"{"taskType":"SINGLE_EMBEDDING","singleEmbeddingParams":{"embeddingPurpose":"GENERIC_INDEX","text":{"truncationMode":"NONE","value":"a"}}}"#
        );
        assert!(written("cohere.embed-english-v3", &["a"], Some(1_024)).is_ok());
        for (model, inputs, dimensions, param) in [
            (
                "cohere.embed-english-v3",
                &["a"][..],
                Some(512),
                "dimensions",
            ),
            (
                "amazon.titan-embed-text-v1",
                &["a"],
                Some(512),
                "dimensions",
            ),
            ("amazon.titan-embed-text-v2:0", &["a", "b"], None, "input"),
            ("cohere.embed-v4:0", &[], None, "input"),
            ("amazon.nova-pro-v1:0", &["a"], None, "model"),
        ] {
            assert_eq!(
                written(model, inputs, dimensions),
                Err(param.to_owned()),
                "{model}"
            );
        }
    }

    #[test]
    fn every_recorded_embedding_is_read() {
        let recorded = recorded::all().iter().filter(|recorded| {
            recorded.provider == "bedrock"
                && recorded.endpoint.ends_with("/invoke")
                && recorded.request["messages"].is_null()
        });
        for recorded in recorded {
            let (embeddings, usage) = read_embedding_answer(&recorded.body()).unwrap();
            let texts = recorded.request["texts"].as_array().map_or(1, Vec::len);
            assert_eq!(embeddings.len(), texts);
            assert!(embeddings.iter().all(|embedding| embedding.len() >= 256));
            assert_eq!(usage.is_some(), recorded.request["inputText"].is_string());
        }
    }

    #[test]
    fn what_is_no_embedding_is_refused() {
        for body in ["{}", "[]", r#"{"embeddings":{"int8":[[1]]}}"#, ""] {
            assert!(read_embedding_answer(body.as_bytes()).is_err(), "{body}");
        }
    }
}
