//! What is known of servers that speak OpenAI's dialect with an accent.
//!
//! Each quirk is from the server's own documentation, or from what it is known to refuse. Most ignore fields that they do
//! not know; these are named all the same, so that a caller is told what has no effect.

use super::api::Api;
use crate::dialect::Accent;
use crate::dialect::Endpoint::{self, Chat, Completions, Embeddings, Responses};
use crate::dialect::accent::{EffortField, MaxTokens, Prefill, Thoughts};
use crate::dialect::common::Feature as F;

/// What a provider does unless the configuration says otherwise.
#[derive(Clone, Copy, Debug)]
pub struct Habits {
    /// What it serves.
    pub endpoints: &'static [Endpoint],
    /// How it speaks OpenAI's dialect.
    pub accent: &'static Accent,
}

impl Habits {
    /// The habits of whoever answers at `host` and `port`.
    pub fn of(api: &Api, host: &str, port: u16) -> Self {
        let endpoints: &[Endpoint] = match api {
            Api::OpenAi => return openai_compatible(host, port),
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

/// The base URL of a server by the name that it is commonly called by, where the configuration gives none.
pub fn base_url(name: &str) -> Option<&'static str> {
    let mut servers = SERVERS.iter();
    let server = servers.find(|server| server.name.eq_ignore_ascii_case(name))?;
    Some(server.base_url)
}

/// The server, other than OpenAI, that a provider's name seems to mean: `mistral-eu`.
pub fn meant_by(name: &str) -> Option<&'static str> {
    let name = name.to_ascii_lowercase();
    let mut names = SERVERS.iter().map(|server| server.name);
    names.find(|known| *known != "openai" && name.starts_with(known))
}

/// Whether the server of that name runs at home.
pub fn is_local(name: &str) -> bool {
    base_url(name).is_some_and(|url| url.starts_with("http:"))
}

/// Whether a server that is known to run at home answers there.
pub fn runs_at_home(host: &str, port: u16) -> bool {
    let known = SERVERS.iter().find(|server| server.answers_at(host, port));
    known.is_some_and(|server| server.hosts.is_empty())
}

fn openai_compatible(host: &str, port: u16) -> Habits {
    let known = SERVERS.iter().find(|server| server.answers_at(host, port));
    known.map_or(OTHERS, |server| Habits {
        endpoints: server.endpoints,
        accent: server.accent,
    })
}

const OTHERS: Habits = Habits {
    endpoints: &[Chat, Completions, Embeddings],
    accent: &Accent::OTHER,
};

/// A server that is known.
struct Server {
    name: &'static str,
    base_url: &'static str,
    /// Hosts that it has, or ends of them that begin with a dot; none where it runs at home and is known by its port.
    hosts: &'static [&'static str],
    port: Option<u16>,
    endpoints: &'static [Endpoint],
    accent: &'static Accent,
}

impl Server {
    const UNKNOWN: Self = Self {
        name: "",
        base_url: "",
        hosts: &[],
        port: None,
        endpoints: &[Chat],
        accent: &Accent::OTHER,
    };

    fn answers_at(&self, host: &str, port: u16) -> bool {
        let is_host = |known: &str| match known.starts_with('.') {
            true => host.ends_with(known),
            false => host == known,
        };
        self.hosts.iter().any(|known| is_host(known)) || self.port == Some(port)
    }
}

const SERVERS: &[Server] = &[
    Server {
        name: "openai",
        base_url: "https://api.openai.com/v1",
        hosts: &["api.openai.com", ".api.openai.com"],
        endpoints: &[Chat, Responses, Completions, Embeddings],
        accent: &Accent::OPENAI,
        ..Server::UNKNOWN
    },
    Server {
        name: "groq",
        base_url: "https://api.groq.com/openai/v1",
        hosts: &["api.groq.com"],
        endpoints: &[Chat, Responses],
        accent: &GROQ,
        ..Server::UNKNOWN
    },
    Server {
        name: "mistral",
        base_url: "https://api.mistral.ai/v1",
        hosts: &["api.mistral.ai", "codestral.mistral.ai"],
        endpoints: &[Chat, Embeddings],
        accent: &MISTRAL,
        ..Server::UNKNOWN
    },
    Server {
        name: "openrouter",
        base_url: "https://openrouter.ai/api/v1",
        hosts: &["openrouter.ai"],
        endpoints: &[Chat, Responses, Completions, Embeddings],
        accent: &OPENROUTER,
        ..Server::UNKNOWN
    },
    Server {
        name: "deepseek",
        base_url: "https://api.deepseek.com",
        hosts: &["api.deepseek.com"],
        endpoints: &[Chat, Responses],
        accent: &DEEPSEEK,
        ..Server::UNKNOWN
    },
    Server {
        name: "cerebras",
        base_url: "https://api.cerebras.ai/v1",
        hosts: &["api.cerebras.ai"],
        endpoints: &[Chat, Completions],
        accent: &CEREBRAS,
        ..Server::UNKNOWN
    },
    Server {
        name: "xai",
        base_url: "https://api.x.ai/v1",
        hosts: &["api.x.ai", ".api.x.ai"],
        endpoints: &[Chat, Responses],
        accent: &XAI,
        ..Server::UNKNOWN
    },
    Server {
        name: "together",
        base_url: "https://api.together.ai/v1",
        hosts: &[
            "api.together.ai",
            "api.together.xyz",
            "api-inference.together.ai",
        ],
        endpoints: &[Chat, Responses, Completions, Embeddings],
        accent: &OPEN_MODELS,
        ..Server::UNKNOWN
    },
    Server {
        name: "fireworks",
        base_url: "https://api.fireworks.ai/inference/v1",
        hosts: &["api.fireworks.ai", ".api.fireworks.ai"],
        endpoints: &[Chat, Responses, Completions, Embeddings],
        accent: &OPEN_MODELS,
        ..Server::UNKNOWN
    },
    Server {
        name: "deepinfra",
        base_url: "https://api.deepinfra.com/v1/openai",
        hosts: &["api.deepinfra.com"],
        endpoints: &[Chat, Completions, Embeddings],
        accent: &OPEN_MODELS,
        ..Server::UNKNOWN
    },
    Server {
        name: "novita",
        base_url: "https://api.novita.ai/openai",
        hosts: &["api.novita.ai"],
        endpoints: &[Chat, Completions, Embeddings],
        accent: &OPEN_MODELS,
        ..Server::UNKNOWN
    },
    Server {
        name: "nebius",
        base_url: "https://api.tokenfactory.nebius.com/v1",
        hosts: &[
            "api.tokenfactory.nebius.com",
            "api.studio.nebius.com",
            "api.studio.nebius.ai",
        ],
        endpoints: &[Chat, Completions, Embeddings],
        accent: &OPEN_MODELS,
        ..Server::UNKNOWN
    },
    Server {
        name: "nvidia",
        base_url: "https://integrate.api.nvidia.com/v1",
        hosts: &["integrate.api.nvidia.com"],
        endpoints: &[Chat, Completions, Embeddings],
        accent: &NVIDIA,
        ..Server::UNKNOWN
    },
    Server {
        name: "huggingface",
        base_url: "https://router.huggingface.co/v1",
        hosts: &["router.huggingface.co"],
        endpoints: &[Chat, Responses],
        accent: &OPEN_MODELS,
        ..Server::UNKNOWN
    },
    Server {
        name: "sambanova",
        base_url: "https://api.sambanova.ai/v1",
        hosts: &["api.sambanova.ai"],
        endpoints: &[Chat, Embeddings],
        accent: &SAMBANOVA,
        ..Server::UNKNOWN
    },
    Server {
        name: "perplexity",
        base_url: "https://api.perplexity.ai",
        hosts: &["api.perplexity.ai"],
        accent: &PERPLEXITY,
        ..Server::UNKNOWN
    },
    Server {
        name: "zai",
        base_url: "https://api.z.ai/api/paas/v4",
        hosts: &["api.z.ai", "open.bigmodel.cn"],
        accent: &ZAI,
        ..Server::UNKNOWN
    },
    Server {
        name: "moonshot",
        base_url: "https://api.moonshot.ai/v1",
        hosts: &["api.moonshot.ai", "api.moonshot.cn"],
        accent: &MOONSHOT,
        ..Server::UNKNOWN
    },
    Server {
        name: "dashscope",
        base_url: "https://dashscope-intl.aliyuncs.com/compatible-mode/v1",
        hosts: &[
            "dashscope.aliyuncs.com",
            "dashscope-intl.aliyuncs.com",
            "dashscope-us.aliyuncs.com",
        ],
        endpoints: &[Chat, Embeddings],
        accent: &DASHSCOPE,
        ..Server::UNKNOWN
    },
    Server {
        name: "github",
        base_url: "https://models.github.ai/inference",
        hosts: &["models.github.ai", "models.inference.ai.azure.com"],
        endpoints: &[Chat, Embeddings],
        accent: &GITHUB,
        ..Server::UNKNOWN
    },
    Server {
        name: "gemini",
        base_url: "https://generativelanguage.googleapis.com/v1beta/openai",
        hosts: &["generativelanguage.googleapis.com"],
        endpoints: &[Chat, Embeddings],
        accent: &GOOGLE,
        ..Server::UNKNOWN
    },
    Server {
        name: "cohere",
        base_url: "https://api.cohere.ai/compatibility/v1",
        hosts: &["api.cohere.ai", "api.cohere.com"],
        endpoints: &[Chat, Embeddings],
        accent: &COHERE,
        ..Server::UNKNOWN
    },
    Server {
        name: "anthropic",
        base_url: "https://api.anthropic.com/v1",
        hosts: &["api.anthropic.com"],
        accent: &ANTHROPIC,
        ..Server::UNKNOWN
    },
    Server {
        name: "ollama",
        base_url: "http://127.0.0.1:11434/v1",
        hosts: &["ollama.com"],
        port: Some(11434),
        endpoints: &[Chat, Responses, Completions, Embeddings],
        accent: &OLLAMA,
    },
    Server {
        name: "lmstudio",
        base_url: "http://127.0.0.1:1234/v1",
        port: Some(1234),
        endpoints: &[Chat, Responses, Completions, Embeddings],
        accent: &LM_STUDIO,
        ..Server::UNKNOWN
    },
    // Known by no port of their own, and what every other server is taken for.
    Server {
        name: "vllm",
        base_url: "http://127.0.0.1:8000/v1",
        endpoints: OTHERS.endpoints,
        ..Server::UNKNOWN
    },
    Server {
        name: "llamacpp",
        base_url: "http://127.0.0.1:8080/v1",
        endpoints: OTHERS.endpoints,
        ..Server::UNKNOWN
    },
];

/// Refuses log-probabilities, biases, names and several answers with 400; stores and labels nothing.
const GROQ: Accent = Accent {
    max_tokens: MaxTokens::Completion,
    thoughts: Thoughts::Reasoning,
    has: &[],
    lacks: &[
        F::Logprobs,
        F::LogitBias,
        F::SpeakerName,
        F::N,
        F::Metadata,
        F::Store,
        F::Verbosity,
        F::Audio,
        F::DocumentData,
        F::UploadedFile,
        F::ToolChoiceAllowed,
    ],
    ..Accent::OTHER
};

/// Refuses fields that it does not know with 422: `seed` is its `random_seed`, and streams report usage unasked.
const MISTRAL: Accent = Accent {
    prefill: Some(Prefill::Prefix),
    has_stream_options: false,
    thoughts: Thoughts::Nowhere,
    has_short_call_ids: true,
    has: &[F::DocumentUrl, F::Metadata],
    lacks: &[
        F::Seed,
        F::Logprobs,
        F::LogitBias,
        F::SpeakerName,
        F::User,
        F::ServiceTier,
        F::Store,
        F::Verbosity,
        F::UploadedFile,
        F::ToolChoiceAllowed,
        F::Refusal,
    ],
    ..Accent::OTHER
};

/// Passes on what the model behind it takes, in OpenAI's words or its own.
const OPENROUTER: Accent = Accent {
    prefill: Some(Prefill::Untold),
    thoughts: Thoughts::ReasoningDetails,
    effort: EffortField::Reasoning,
    has: &[
        F::TopK,
        F::CacheControl,
        F::DocumentUrl,
        F::Video,
        F::Citations,
        F::Metadata,
    ],
    lacks: &[F::UploadedFile],
    ..Accent::OPENAI
};

/// Takes contents only as strings, JSON without schemas, and no pictures; ignores what else it does not know. With tools,
/// thoughts of earlier turns must come back.
const DEEPSEEK: Accent = Accent {
    prefill: Some(Prefill::BetaPrefix),
    effort: EffortField::Thinking,
    has_json_schema: false,
    has: &[],
    lacks: &[
        F::ImageUrl,
        F::ImageData,
        F::ImageDetail,
        F::Audio,
        F::DocumentData,
        F::UploadedFile,
        F::ToolStrict,
        F::ToolChoiceAllowed,
        F::ParallelToolCalls,
        F::Seed,
        F::N,
        F::LogitBias,
        F::User,
        F::Metadata,
        F::ServiceTier,
        F::Store,
        F::Verbosity,
        F::Refusal,
    ],
    ..Accent::OTHER
};

/// Refuses penalties and biases with 400; takes system turns for developers'.
const CEREBRAS: Accent = Accent {
    max_tokens: MaxTokens::Completion,
    thoughts: Thoughts::Reasoning,
    has: &[],
    lacks: &[
        F::FrequencyPenalty,
        F::PresencePenalty,
        F::LogitBias,
        F::N,
        F::Metadata,
        F::Store,
        F::Verbosity,
        F::Audio,
        F::DocumentData,
        F::UploadedFile,
        F::ToolChoiceAllowed,
    ],
    ..Accent::OTHER
};

/// Keeps `metadata`, `service_tier` and the like for compatibility only.
const XAI: Accent = Accent {
    thoughts: Thoughts::ReasoningContent,
    lacks: &[
        F::LogitBias,
        F::Metadata,
        F::ServiceTier,
        F::Store,
        F::Verbosity,
        F::Audio,
        F::DocumentData,
        F::UploadedFile,
        F::ToolChoiceAllowed,
    ],
    ..Accent::OPENAI
};

/// Hosts of open models, which are served by vLLM and its like.
const OPEN_MODELS: Accent = Accent {
    has: &[F::TopK, F::Video],
    lacks: &[
        F::Metadata,
        F::ServiceTier,
        F::Store,
        F::Verbosity,
        F::DocumentData,
        F::UploadedFile,
        F::ToolChoiceAllowed,
    ],
    ..Accent::OTHER
};

/// Refuses fields that it does not know; `top_k` is among them.
const NVIDIA: Accent = Accent {
    has: &[],
    lacks: &[
        F::Metadata,
        F::ServiceTier,
        F::Store,
        F::Verbosity,
        F::User,
        F::Audio,
        F::DocumentData,
        F::UploadedFile,
        F::ToolChoiceAllowed,
    ],
    ..Accent::OTHER
};

/// Ignores whatever shapes sampling by more than temperature, top p and top k.
const SAMBANOVA: Accent = Accent {
    lacks: &[
        F::Logprobs,
        F::N,
        F::PresencePenalty,
        F::FrequencyPenalty,
        F::LogitBias,
        F::Seed,
        F::User,
        F::Metadata,
        F::ServiceTier,
        F::Store,
        F::Verbosity,
        F::DocumentData,
        F::UploadedFile,
        F::ToolChoiceAllowed,
    ],
    ..Accent::OTHER
};

/// Searches and answers; knows no functions.
const PERPLEXITY: Accent = Accent {
    thoughts: Thoughts::Nowhere,
    lacks: &[
        F::Tools,
        F::ToolStrict,
        F::ToolChoiceNone,
        F::ToolChoiceRequired,
        F::ToolChoiceNamed,
        F::ToolChoiceAllowed,
        F::ParallelToolCalls,
        F::JsonObject,
        F::Stop,
        F::Seed,
        F::N,
        F::Logprobs,
        F::LogitBias,
        F::SpeakerName,
        F::User,
        F::Metadata,
        F::ServiceTier,
        F::Store,
        F::Verbosity,
        F::Audio,
        F::DocumentData,
        F::UploadedFile,
    ],
    ..Accent::OTHER
};

/// Chooses tools by itself, whatever is asked; knows JSON, but no schemas.
const ZAI: Accent = Accent {
    effort: EffortField::Thinking,
    has_json_schema: false,
    has: &[F::Video],
    lacks: &[
        F::SpeakerName,
        F::ToolStrict,
        F::ToolChoiceNone,
        F::ToolChoiceRequired,
        F::ToolChoiceNamed,
        F::ToolChoiceAllowed,
        F::ParallelToolCalls,
        F::PresencePenalty,
        F::FrequencyPenalty,
        F::Seed,
        F::N,
        F::Logprobs,
        F::LogitBias,
        F::User,
        F::Metadata,
        F::ServiceTier,
        F::Store,
        F::Verbosity,
        F::Audio,
        F::DocumentData,
        F::UploadedFile,
    ],
    ..Accent::OTHER
};

/// Wants thoughts back with the calls that they led to; some models cannot be made to call a tool.
const MOONSHOT: Accent = Accent {
    prefill: Some(Prefill::Partial),
    max_tokens: MaxTokens::Completion,
    effort: EffortField::Thinking,
    has: &[F::Video],
    lacks: &[
        F::ToolStrict,
        F::ToolChoiceRequired,
        F::ToolChoiceNamed,
        F::ToolChoiceAllowed,
        F::ParallelToolCalls,
        F::Seed,
        F::Logprobs,
        F::LogitBias,
        F::User,
        F::Metadata,
        F::ServiceTier,
        F::Store,
        F::Verbosity,
        F::Audio,
        F::DocumentData,
        F::UploadedFile,
    ],
    ..Accent::OTHER
};

/// Says how to think by `enable_thinking` alone, which is on or off by model.
const DASHSCOPE: Accent = Accent {
    prefill: Some(Prefill::Partial),
    effort: EffortField::Nowhere,
    has: &[F::TopK, F::Video, F::CacheControl],
    lacks: &[
        F::ToolStrict,
        F::ToolChoiceRequired,
        F::ToolChoiceAllowed,
        F::FrequencyPenalty,
        F::LogitBias,
        F::User,
        F::Metadata,
        F::ServiceTier,
        F::Store,
        F::Verbosity,
        F::DocumentData,
        F::UploadedFile,
    ],
    ..Accent::OTHER
};

/// Knows the fields of Azure's model inference, and refuses others.
const GITHUB: Accent = Accent {
    max_tokens: MaxTokens::Plain,
    effort: EffortField::Nowhere,
    lacks: &[
        F::SpeakerName,
        F::ToolChoiceNamed,
        F::ToolChoiceAllowed,
        F::ParallelToolCalls,
        F::N,
        F::Logprobs,
        F::LogitBias,
        F::User,
        F::Metadata,
        F::ServiceTier,
        F::Store,
        F::Verbosity,
        F::DocumentData,
        F::UploadedFile,
    ],
    ..Accent::OPENAI
};

/// Refuses fields that it does not know. Gemini's seals come and go in `extra_content`; without them it refuses calls that
/// its newer models made.
const GOOGLE: Accent = Accent {
    thoughts: Thoughts::Nowhere,
    has: &[F::Signature],
    lacks: &[
        F::SpeakerName,
        F::ToolChoiceAllowed,
        F::ParallelToolCalls,
        F::PresencePenalty,
        F::FrequencyPenalty,
        F::Seed,
        F::Logprobs,
        F::LogitBias,
        F::User,
        F::Metadata,
        F::Store,
        F::Verbosity,
        F::DocumentData,
        F::UploadedFile,
        F::Refusal,
    ],
    ..Accent::OTHER
};

/// Cohere's layer over its own API.
const COHERE: Accent = Accent {
    max_tokens: MaxTokens::Plain,
    lacks: &[
        F::SpeakerName,
        F::ToolChoiceNamed,
        F::ToolChoiceAllowed,
        F::ParallelToolCalls,
        F::N,
        F::LogitBias,
        F::User,
        F::Metadata,
        F::ServiceTier,
        F::Store,
        F::Verbosity,
        F::Audio,
        F::DocumentData,
        F::UploadedFile,
        F::Refusal,
    ],
    ..Accent::OPENAI
};

/// Anthropic's layer over its own API, which is meant for trials: most of what it does not know it ignores. Whoever can
/// should say `dialect: anthropic`.
const ANTHROPIC: Accent = Accent {
    effort: EffortField::Nowhere,
    has_json_schema: false,
    lacks: &[
        F::SpeakerName,
        F::ImageDetail,
        F::Audio,
        F::DocumentData,
        F::UploadedFile,
        F::ToolStrict,
        F::ToolChoiceAllowed,
        F::JsonObject,
        F::N,
        F::Seed,
        F::Logprobs,
        F::LogitBias,
        F::PresencePenalty,
        F::FrequencyPenalty,
        F::User,
        F::Metadata,
        F::ServiceTier,
        F::Store,
        F::Verbosity,
        F::Refusal,
    ],
    ..Accent::OPENAI
};

/// Takes what its list of fields names, and ignores the rest; `top_k` is the model file's.
const OLLAMA: Accent = Accent {
    thoughts: Thoughts::Reasoning,
    has: &[],
    lacks: &[
        F::ImageDetail,
        F::Audio,
        F::DocumentData,
        F::UploadedFile,
        F::SpeakerName,
        F::ToolStrict,
        F::ToolChoiceAllowed,
        F::ParallelToolCalls,
        F::N,
        F::LogitBias,
        F::User,
        F::Metadata,
        F::ServiceTier,
        F::Store,
        F::Verbosity,
    ],
    ..Accent::OTHER
};

/// Chooses among all tools or none.
const LM_STUDIO: Accent = Accent {
    lacks: &[
        F::Audio,
        F::DocumentData,
        F::UploadedFile,
        F::ToolChoiceNamed,
        F::ToolChoiceAllowed,
        F::JsonObject,
        F::N,
        F::Logprobs,
        F::User,
        F::Metadata,
        F::ServiceTier,
        F::Store,
        F::Verbosity,
    ],
    ..Accent::OTHER
};

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/providers.md");

    /// What stands around the table of known servers.
    const MARKS: [&str; 2] = [
        "<!-- Written by a test: UPDATE=1 cargo test known_servers -->\n",
        "<!-- Until here -->\n",
    ];

    #[test]
    fn the_table_of_known_servers_is_true() {
        let page = std::fs::read_to_string(PAGE).expect("the page is there");
        let (before, rest) = page.split_once(MARKS[0]).expect("the first mark");
        let (table, after) = rest.split_once(MARKS[1]).expect("the second mark");
        let expected = table_of_servers();
        if std::env::var_os("UPDATE").is_some() {
            let page = [before, MARKS[0], &expected, MARKS[1], after].concat();
            std::fs::write(PAGE, page).expect("the page can be written");
            return;
        }
        let help = "docs/providers.md is stale: run UPDATE=1 cargo test known_servers";
        assert!(table == expected, "{help}");
    }

    fn table_of_servers() -> String {
        let mut text = String::from(
            "\n| name | base URL | serves | differs from OpenAI |\n|---|---|---|---|\n",
        );
        for server in SERVERS {
            let serves: Vec<_> = server.endpoints.iter().map(|it| it.name()).collect();
            let Server {
                name,
                base_url,
                accent,
                ..
            } = server;
            let differences = differences(accent);
            text += &format!(
                "| `{name}` | {base_url} | {} | {differences} |\n",
                serves.join(", ")
            );
        }
        text + "\n"
    }

    /// An accent in words.
    fn differences(accent: &Accent) -> String {
        let thoughts = match accent.thoughts {
            Thoughts::Nowhere => "",
            Thoughts::ReasoningContent => "thoughts in `reasoning_content`",
            Thoughts::Reasoning => "thoughts in `reasoning`",
            Thoughts::ReasoningDetails => "thoughts in `reasoning_details`",
        };
        let effort = match accent.effort {
            EffortField::ReasoningEffort => "",
            EffortField::Reasoning => "effort by `reasoning`",
            EffortField::Thinking => "effort by `thinking`",
            EffortField::Nowhere => "no effort",
        };
        let said = |is_so: bool, words: &'static str| if is_so { words } else { "" };
        let listed = |lead: &str, features: &[F]| {
            let titles: Vec<_> = features.iter().map(|feature| feature.title()).collect();
            match titles.is_empty() {
                true => String::new(),
                false => format!("{lead}: {}", titles.join(", ")),
            }
        };
        let words = [
            said(accent.max_tokens == MaxTokens::Plain, "`max_tokens`"),
            said(!accent.has_developer, "no role `developer`"),
            said(!accent.has_stream_options, "no `stream_options`"),
            said(accent.has_short_call_ids, "ids of calls of nine characters"),
            said(!accent.has_json_schema, "no JSON schema"),
            thoughts,
            effort,
        ];
        let lists = [listed("also", accent.has), listed("no", accent.lacks)];
        let words = words.into_iter().map(str::to_owned).chain(lists);
        let words: Vec<_> = words.filter(|words| !words.is_empty()).collect();
        words.join("; ")
    }

    fn accent(host: &str, port: u16) -> Accent {
        *openai_compatible(host, port).accent
    }

    #[test]
    fn servers_are_known_by_host_or_port() {
        assert_eq!(accent("api.openai.com", 443), Accent::OPENAI);
        assert_eq!(accent("eu.api.openai.com", 443), Accent::OPENAI);
        assert_eq!(accent("api.mistral.ai", 443), MISTRAL);
        assert_eq!(accent("gpu.internal", 11434), OLLAMA);
        assert_eq!(accent("evil-api.openai.com", 443), Accent::OTHER);
        assert_eq!(accent("gpu.internal", 8000), Accent::OTHER);
    }

    #[test]
    fn every_server_is_at_the_host_of_its_base_url() {
        for server in SERVERS {
            let rest = server.base_url.split_once("://").unwrap().1;
            let authority = rest.split('/').next().unwrap();
            let (host, port) = authority.split_once(':').unwrap_or((authority, "443"));
            let habits = openai_compatible(host, port.parse().unwrap());
            assert_eq!(habits.accent, server.accent, "{}", server.name);
            assert_eq!(habits.endpoints, server.endpoints, "{}", server.name);
            assert_eq!(base_url(server.name), Some(server.base_url));
        }
        assert_eq!(base_url("Groq"), Some("https://api.groq.com/openai/v1"));
        assert_eq!(base_url("nobody"), None);
        assert_eq!(meant_by("mistral-eu"), Some("mistral"));
        assert_eq!(meant_by("openai-2"), None);
        assert_eq!(meant_by("main"), None);
        assert!(is_local("ollama") && !is_local("groq"));
    }

    #[test]
    fn nothing_is_both_taken_and_refused() {
        for server in SERVERS {
            let both = server
                .accent
                .has
                .iter()
                .find(|has| server.accent.lacks.contains(has));
            assert_eq!(both, None, "{}", server.name);
        }
    }
}
