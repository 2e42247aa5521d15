//! Names of wire formats and of what is asked in them.

use serde::{Deserialize, Serialize};

/// What an application asks of a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Endpoint {
    /// Chat completions.
    Chat,
    /// OpenAI's responses.
    Responses,
    /// Completions of a plain prompt.
    Completions,
    /// Embeddings.
    Embeddings,
}

impl Endpoint {
    /// The name in the configuration and in messages.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Responses => "responses",
            Self::Completions => "completions",
            Self::Embeddings => "embeddings",
        }
    }
}

/// What a request asks for, and the dialect that it and its answer are in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    /// Text of a model.
    Generate(Dialect),
    /// How many tokens a request would have.
    CountTokens(Dialect),
    /// Embeddings. Callers ask in OpenAI's form, [`Dialect::Chat`].
    Embed(Dialect),
}

impl Operation {
    /// The dialect of the caller, errors included.
    pub const fn dialect(self) -> Dialect {
        match self {
            Self::Generate(dialect) | Self::CountTokens(dialect) | Self::Embed(dialect) => dialect,
        }
    }

    /// What it is called in messages.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Generate(dialect) => dialect.name(),
            Self::CountTokens(_) => "counting tokens",
            Self::Embed(_) => "embeddings",
        }
    }

    /// Whether the body names the model; else the path does.
    pub const fn has_model_in_body(self) -> bool {
        !matches!(self.dialect(), Dialect::Gemini | Dialect::Bedrock)
    }
}

/// A wire format in which a model is asked for text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// OpenAI's chat completions.
    Chat,
    /// OpenAI's completions of a plain prompt.
    Completions,
    /// OpenAI's responses.
    Responses,
    /// Anthropic's messages.
    Anthropic,
    /// Gemini's `generateContent`, at Google AI and at Vertex.
    Gemini,
    /// Bedrock's `converse`.
    Bedrock,
    /// Cohere's chat, version 2.
    Cohere,
}

impl Dialect {
    /// Every one.
    pub const ALL: [Self; 7] = [
        Self::Chat,
        Self::Completions,
        Self::Responses,
        Self::Anthropic,
        Self::Gemini,
        Self::Bedrock,
        Self::Cohere,
    ];

    /// One word for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Completions => "completions",
            Self::Responses => "responses",
            Self::Anthropic => "anthropic",
            Self::Gemini => "gemini",
            Self::Bedrock => "bedrock",
            Self::Cohere => "cohere",
        }
    }

    /// The one with that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|dialect| dialect.name() == name)
    }
}
