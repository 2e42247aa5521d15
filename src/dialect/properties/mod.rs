//! What must hold for everything that a caller or a provider sends, tried with what nobody thought of.
//!
//! The cases are the same in each run, so that a failure comes again. `PROPTEST_CASES=5000 cargo test properties` tries
//! that many of each, and others each time; `PROPTEST_RNG_SEED` repeats them.

mod answers;
mod arbitrary;
mod chunks;
mod damage;
mod features;
mod marks;
mod prefixes;
mod requests;
mod usage;
mod views;

use proptest::test_runner::{Config, RngSeed};

use super::accent::{EffortField, MaxTokens, Thoughts};
use super::common::{Carry, Context, Dropped, Feature, Outgoing, Request};
use super::recorded::{self, Recorded};
use super::{Accent, Dialect, Error};

/// How a property is tried: `usual` times, unless the environment says how often.
fn tries(usual: u32) -> Config {
    let asked = Config::default();
    let is_asked = std::env::var_os("PROPTEST_CASES").is_some();
    Config {
        cases: if is_asked { asked.cases } else { usual },
        rng_seed: match asked.rng_seed {
            RngSeed::Random if !is_asked => RngSeed::Fixed(0),
            seed => seed,
        },
        // What is found becomes a test with a name.
        failure_persistence: None,
        max_shrink_iters: 20_000,
        ..asked
    }
}

/// The recordings of requests for text, each with its dialect.
fn recordings() -> impl Iterator<Item = (Dialect, &'static Recorded)> {
    recorded::all().iter().filter_map(|recorded| {
        let path = recorded.endpoint.as_str();
        let ends = |names: &[&str]| names.iter().any(|name| path.ends_with(name));
        let dialect = match recorded.provider.as_str() {
            _ if ends(&["/chat/completions"]) => Dialect::Chat,
            _ if ends(&["/responses"]) => Dialect::Responses,
            _ if ends(&["/v1/messages"]) => Dialect::Anthropic,
            _ if ends(&[":generateContent", ":streamGenerateContent"]) => Dialect::Gemini,
            _ if ends(&["/converse", "/converse-stream"]) => Dialect::Bedrock,
            "cohere" if ends(&["/v2/chat"]) => Dialect::Cohere,
            _ => return None,
        };
        Some((dialect, recorded))
    })
}

fn context() -> Context {
    Context {
        id: "0123456789abcdef".into(),
        now: 1_790_000_000,
    }
}

/// Where a request goes.
#[derive(Clone, Copy, Debug)]
struct Target {
    dialect: Dialect,
    model: &'static str,
    accent: &'static Accent,
    is_vertex: bool,
    auto_cache: bool,
}

/// A target of each kind that a dialect tells apart.
const TARGETS: &[Target] = &[
    Target::chat(&Accent::OPENAI),
    Target::chat(&Accent::OTHER),
    Target::chat(&ROUTER),
    Target::chat(&GOOGLE),
    Target::chat(&NARROW),
    Target::of(Dialect::Responses, "gpt-6"),
    Target {
        accent: &Accent::OTHER,
        ..Target::of(Dialect::Responses, "gpt-oss")
    },
    Target::of(Dialect::Anthropic, "claude-3-5-haiku-20241022"),
    Target::of(Dialect::Anthropic, "claude-sonnet-4-5"),
    Target::of(Dialect::Anthropic, "claude-opus-4-8"),
    Target::of(Dialect::Gemini, "gemini-2.5-flash"),
    Target::of(Dialect::Gemini, "gemini-3.1-pro-preview"),
    Target {
        is_vertex: true,
        ..Target::of(Dialect::Gemini, "gemini-3.1-pro-preview")
    },
    Target::of(
        Dialect::Bedrock,
        "eu.anthropic.claude-sonnet-4-5-20250929-v1:0",
    ),
    Target::of(Dialect::Bedrock, "us.amazon.nova-pro-v1:0"),
    Target::of(Dialect::Bedrock, "us.meta.llama3-3-70b-instruct-v1:0"),
    Target::of(Dialect::Bedrock, "openai.gpt-oss-120b-1:0"),
    Target::of(Dialect::Cohere, "command-a-03-2025"),
];

/// Takes whatever its dialect has, as routers do.
const ROUTER: Accent = Accent {
    thoughts: Thoughts::ReasoningDetails,
    effort: EffortField::Reasoning,
    has: &[
        Feature::TopK,
        Feature::CacheControl,
        Feature::DocumentUrl,
        Feature::Video,
        Feature::Citations,
        Feature::Metadata,
    ],
    ..Accent::OPENAI
};

/// Takes Google's seals.
const GOOGLE: Accent = Accent {
    has: &[Feature::Signature],
    ..Accent::OPENAI
};

/// Takes little, and says it in other words.
const NARROW: Accent = Accent {
    max_tokens: MaxTokens::Plain,
    has_developer: false,
    has_stream_options: false,
    thoughts: Thoughts::Reasoning,
    effort: EffortField::Thinking,
    has_short_call_ids: true,
    has_json_schema: false,
    prefill: None,
    has: &[],
    lacks: &[
        Feature::SpeakerName,
        Feature::ImageDetail,
        Feature::Audio,
        Feature::DocumentData,
        Feature::UploadedFile,
        Feature::ToolStrict,
        Feature::ToolChoiceNamed,
        Feature::ToolChoiceAllowed,
        Feature::ParallelToolCalls,
        Feature::Seed,
        Feature::N,
        Feature::Logprobs,
        Feature::LogitBias,
        Feature::User,
        Feature::Metadata,
        Feature::ServiceTier,
        Feature::Store,
        Feature::Verbosity,
        Feature::Refusal,
    ],
};

impl Target {
    const fn of(dialect: Dialect, model: &'static str) -> Self {
        Self {
            dialect,
            model,
            accent: &Accent::OPENAI,
            is_vertex: false,
            auto_cache: false,
        }
    }

    const fn chat(accent: &'static Accent) -> Self {
        Self {
            accent,
            ..Self::of(Dialect::Chat, "m")
        }
    }

    const fn outgoing(&self) -> Outgoing<'static> {
        Outgoing {
            model: self.model,
            accent: self.accent,
            is_vertex: self.is_vertex,
            auto_cache: self.auto_cache,
        }
    }

    fn carries(&self, feature: Feature) -> Carry {
        self.dialect.carries(&self.outgoing(), feature)
    }

    fn write(&self, request: &Request) -> Result<(Vec<u8>, Dropped), Error> {
        self.dialect.write_request(request, &self.outgoing())
    }

    /// Reads what was written for it, as it would.
    fn read(&self, body: &[u8], stream: bool) -> Result<Request, Error> {
        self.dialect.read_request(body, self.model, stream)
    }
}
