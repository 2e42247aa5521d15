//! What is known of providers that speak OpenAI's dialect with an accent, by the host of their base URL.

use crate::dialect::Endpoint::{self, Chat, Completions, Embeddings, Responses};

/// What a provider does unless the configuration says otherwise.
#[derive(Clone, Copy, Debug)]
pub struct Habits {
    /// What it serves.
    pub endpoints: &'static [Endpoint],
    /// Whether a stream may be asked for its usage by `stream_options`. Those that refuse the field report unasked.
    pub takes_stream_options: bool,
}

const OTHERS: Habits = Habits {
    endpoints: &[Chat, Completions, Embeddings],
    takes_stream_options: true,
};

const HOSTS: &[(&str, Habits)] = &[
    (
        "api.openai.com",
        Habits {
            endpoints: &[Chat, Responses, Completions, Embeddings],
            takes_stream_options: true,
        },
    ),
    (
        // Refuses fields that it does not know with 422.
        "api.mistral.ai",
        Habits {
            endpoints: &[Chat, Embeddings],
            takes_stream_options: false,
        },
    ),
    ("api.groq.com", CHAT_AND_RESPONSES),
    ("openrouter.ai", CHAT_AND_RESPONSES),
    ("api.deepseek.com", CHAT_AND_COMPLETIONS),
    ("api.cerebras.ai", CHAT_AND_COMPLETIONS),
];

const CHAT_AND_RESPONSES: Habits = Habits {
    endpoints: &[Chat, Responses],
    takes_stream_options: true,
};

const CHAT_AND_COMPLETIONS: Habits = Habits {
    endpoints: &[Chat, Completions],
    takes_stream_options: true,
};

/// The habits of whoever answers at `host`.
pub fn habits(host: &str) -> Habits {
    let known = HOSTS.iter().find(|(known, _)| *known == host);
    known.map_or(OTHERS, |(_, habits)| *habits)
}
