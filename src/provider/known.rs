//! What is known of providers that speak OpenAI's dialect with an accent, by the host of their base URL.

use super::api::Api;
use crate::dialect::Accent;
use crate::dialect::Endpoint::{self, Chat, Completions, Embeddings, Responses};

/// What a provider does unless the configuration says otherwise.
#[derive(Clone, Copy, Debug)]
pub struct Habits {
    /// What it serves.
    pub endpoints: &'static [Endpoint],
    /// How it speaks OpenAI's dialect.
    pub accent: &'static Accent,
}

impl Habits {
    /// The habits of whoever answers at `host`.
    pub fn of(api: &Api, host: &str) -> Self {
        let endpoints: &[Endpoint] = match api {
            Api::OpenAi => return openai_compatible(host),
            Api::Azure(_) => &[Chat, Responses, Completions, Embeddings],
            Api::Anthropic
            | Api::Vertex {
                is_anthropic: true, ..
            } => &[Chat],
            Api::Gemini | Api::Vertex { .. } | Api::Bedrock | Api::Cohere => &[Chat, Embeddings],
        };
        Self {
            endpoints,
            accent: &Accent::OPENAI,
        }
    }
}

const OTHERS: Habits = Habits {
    endpoints: &[Chat, Completions, Embeddings],
    accent: &Accent::OTHER,
};

fn openai_compatible(_host: &str) -> Habits {
    OTHERS
}
