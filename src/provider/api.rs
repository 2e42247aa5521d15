//! Where each provider's API has what: its paths, and which dialects are spoken there.

use std::borrow::Cow;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::Call;
use crate::dialect::{Dialect, Endpoint, Operation, bedrock, gemini};

/// The shape of a provider's API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Api {
    /// OpenAI's paths.
    OpenAi,
    /// Azure OpenAI, with the `api-version` of every call.
    Azure(String),
    /// Anthropic's own.
    Anthropic,
    /// Google AI.
    Gemini,
    /// Vertex AI: Google's models, and Anthropic's.
    Vertex {
        /// `/projects/{project}/locations/{location}`
        parent: String,
        /// Whether all models are Anthropic's; else those are whose name begins with `claude`.
        is_anthropic: bool,
    },
    /// Bedrock's runtime.
    Bedrock,
    /// Cohere, version 2.
    Cohere,
}

impl Api {
    /// The dialects in which `model` answers, the usual one first.
    pub fn dialects(
        &self,
        model: &str,
        endpoints: &[Endpoint],
    ) -> impl Iterator<Item = Dialect> + use<> {
        let served = |endpoint, dialect| endpoints.contains(&endpoint).then_some(dialect);
        let own = match self {
            Self::OpenAi | Self::Azure(_) => {
                return [
                    served(Endpoint::Chat, Dialect::Chat),
                    served(Endpoint::Responses, Dialect::Responses),
                    served(Endpoint::Completions, Dialect::Completions),
                ]
                .into_iter()
                .flatten();
            }
            Self::Anthropic => Dialect::Anthropic,
            Self::Gemini => Dialect::Gemini,
            Self::Vertex { is_anthropic, .. } => match *is_anthropic || model.starts_with("claude")
            {
                true => Dialect::Anthropic,
                false => Dialect::Gemini,
            },
            Self::Bedrock => Dialect::Bedrock,
            Self::Cohere => Dialect::Cohere,
        };
        [served(Endpoint::Chat, own), None, None]
            .into_iter()
            .flatten()
    }

    /// The dialect in which embeddings are asked for, where there are any.
    pub const fn dialect_of_embeddings(&self) -> Option<Dialect> {
        match self {
            Self::OpenAi | Self::Azure(_) => Some(Dialect::Chat),
            Self::Anthropic
            | Self::Vertex {
                is_anthropic: true, ..
            } => None,
            Self::Gemini | Self::Vertex { .. } => Some(Dialect::Gemini),
            Self::Bedrock => Some(Dialect::Bedrock),
            Self::Cohere => Some(Dialect::Cohere),
        }
    }

    /// Whether it counts the tokens of a request to `model` by itself, in `dialect`, for a caller who speaks `caller`.
    pub fn counts_tokens(&self, caller: Dialect, dialect: Dialect, model: &str) -> bool {
        match (self, dialect) {
            (Self::Anthropic, Dialect::Anthropic)
            | (Self::Gemini | Self::Vertex { .. }, Dialect::Gemini) => true,
            // Of all its models, Bedrock counts for Claude alone. Its own callers hear that from itself.
            (Self::Bedrock, Dialect::Bedrock) => {
                caller == Dialect::Bedrock || model.contains("anthropic.")
            }
            _ => false,
        }
    }

    /// The path of a response that is kept, behind the base URL's.
    pub fn stored_path(&self, id: &str) -> String {
        let id = utf8_percent_encode(id, SEGMENT);
        match self {
            Self::Azure(_) => format!("/openai/v1/responses/{id}"),
            _ => format!("/responses/{id}"),
        }
    }

    /// The path behind the base URL's, and the query, of a call in one of the provider's own dialects.
    pub fn path(&self, call: &Call<'_>) -> String {
        let Call {
            operation, stream, ..
        } = *call;
        let model = segment(call.model);
        match self {
            Self::OpenAi => ["/", openai_verb(operation)].concat(),
            // The newer API, whose bodies name the model, has no dated versions.
            Self::Azure(_) if operation == Operation::Generate(Dialect::Responses) => {
                "/openai/v1/responses".to_owned()
            }
            Self::Azure(version) => {
                let verb = openai_verb(operation);
                format!("/openai/deployments/{model}/{verb}?api-version={version}")
            }
            Self::Anthropic => match operation {
                Operation::CountTokens(_) => "/messages/count_tokens".to_owned(),
                _ => "/messages".to_owned(),
            },
            Self::Gemini => {
                let verb = google_verb(operation, stream);
                format!("/models/{model}:{verb}")
            }
            Self::Vertex { parent, .. } if operation.dialect() == Dialect::Anthropic => {
                let verb = match stream {
                    true => "streamRawPredict",
                    false => "rawPredict",
                };
                format!("{parent}/publishers/anthropic/models/{model}:{verb}")
            }
            Self::Vertex { parent, .. } => {
                let verb = match operation {
                    Operation::Embed(_) => {
                        gemini::EmbeddingMethod::of(call.model, call.texts, true).name()
                    }
                    operation => google_verb(operation, stream),
                };
                format!("{parent}/publishers/google/models/{model}:{verb}")
            }
            Self::Bedrock => {
                let verb = match (operation, stream) {
                    (Operation::Embed(_), _) => "invoke",
                    (Operation::CountTokens(_), _) => {
                        let model = segment(bedrock::counted_model(call.model));
                        return format!("/model/{model}/count-tokens");
                    }
                    (Operation::Generate(_), true) => "converse-stream",
                    (Operation::Generate(_), false) => "converse",
                };
                format!("/model/{model}/{verb}")
            }
            Self::Cohere => match operation {
                Operation::Embed(_) => "/embed".to_owned(),
                _ => "/chat".to_owned(),
            },
        }
    }
}

fn openai_verb(operation: Operation) -> &'static str {
    match operation {
        Operation::Embed(_) => "embeddings",
        Operation::Generate(Dialect::Responses) => "responses",
        Operation::Generate(Dialect::Completions) => "completions",
        Operation::Generate(_) | Operation::CountTokens(_) => "chat/completions",
    }
}

fn google_verb(operation: Operation, stream: bool) -> &'static str {
    match (operation, stream) {
        (Operation::Embed(_), _) => "batchEmbedContents",
        (Operation::CountTokens(_), _) => "countTokens",
        (Operation::Generate(_), true) => "streamGenerateContent?alt=sse",
        (Operation::Generate(_), false) => "generateContent",
    }
}

/// A model's name as one segment of a path. `.` and `..` are no names: proxies would walk up by them.
fn segment(model: &str) -> Cow<'_, str> {
    match model {
        "." | ".." => model.replace('.', "%2E").into(),
        model => utf8_percent_encode(model, SEGMENT).into(),
    }
}

/// Everything but RFC 3986's unreserved characters is encoded in a model's name.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const ANTHROPIC: Operation = Operation::Generate(Dialect::Anthropic);
    const GEMINI: Operation = Operation::Generate(Dialect::Gemini);

    #[test]
    fn paths_are_the_providers_own() {
        let vertex = Api::Vertex {
            parent: "/projects/p/locations/l".into(),
            is_anthropic: false,
        };
        for (api, operation, stream, path) in [
            (
                &Api::OpenAi,
                Operation::Embed(Dialect::Chat),
                false,
                "/embeddings",
            ),
            (&Api::Anthropic, ANTHROPIC, true, "/messages"),
            (&Api::Gemini, GEMINI, false, "/models/m%3A1:generateContent"),
            (
                &Api::Gemini,
                GEMINI,
                true,
                "/models/m%3A1:streamGenerateContent?alt=sse",
            ),
            (
                &vertex,
                ANTHROPIC,
                true,
                "/projects/p/locations/l/publishers/anthropic/models/m%3A1:streamRawPredict",
            ),
            (
                &vertex,
                GEMINI,
                false,
                "/projects/p/locations/l/publishers/google/models/m%3A1:generateContent",
            ),
            (
                &Api::Bedrock,
                Operation::Generate(Dialect::Bedrock),
                true,
                "/model/m%3A1/converse-stream",
            ),
            (
                &Api::Cohere,
                Operation::Generate(Dialect::Cohere),
                true,
                "/chat",
            ),
        ] {
            let call = Call {
                operation,
                model: "m:1",
                stream,
                texts: 0,
                fields: &[],
                body: &[],
                connect: Duration::ZERO,
                taken: None,
            };
            assert_eq!(api.path(&call), path);
        }
    }

    #[test]
    fn claude_at_vertex_speaks_anthropics_dialect() {
        let vertex = Api::Vertex {
            parent: String::new(),
            is_anthropic: false,
        };
        let chat = [Endpoint::Chat];
        for (model, dialect) in [
            ("claude-sonnet-4-5", Dialect::Anthropic),
            ("gemini-3-pro", Dialect::Gemini),
        ] {
            assert!(vertex.dialects(model, &chat).eq([dialect]), "{model}");
        }
    }
}
