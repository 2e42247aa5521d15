//! What is asked of every pair of dialects, and what the provider then says: in words of no dialect.

use serde_json::{Value, json};

/// What happens between a caller and a provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scenario {
    /// A question, and an answer in words.
    Text,
    /// The same with instructions of the application.
    System,
    /// The same with texts that end the answer, one of which comes.
    Stop,
    /// The same with a picture.
    Image,
    /// The answer is JSON of a schema.
    Schema,
    /// The token limit ends the answer.
    Length,
    /// The model would not answer.
    Refusal,
    /// The model calls one tool.
    Tool,
    /// The model is made to call tools, and calls two at once.
    Tools,
    /// The conversation already holds two calls and their results, one of which is an error.
    Results,
    /// The model thinks, and answers in words.
    Reasoning,
    /// The model thinks and calls a tool; the caller sends all of that back with the result.
    Sealed,
    /// The provider refuses for now, and says when to come again.
    RateLimited,
    /// The request does not fit the model.
    ContextTooLong,
    /// The provider fails.
    ServerError,
    /// The connection ends in the middle of the stream.
    Cut,
}

/// What a provider says.
#[derive(Clone, Debug, Default)]
pub struct Said {
    /// What the model thought; sealed, where the provider seals.
    pub thought: Option<&'static str>,
    /// Its words.
    pub text: &'static str,
    /// The tools that it calls: name and arguments.
    pub calls: Vec<(&'static str, Value)>,
    /// Why it ended.
    pub finish: Finish,
    /// The provider says this instead of an answer.
    pub failure: Option<Failing>,
    /// The connection ends before the answer does.
    pub is_cut: bool,
}

/// Why an answer ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Finish {
    /// The model was done, or one of the caller's texts came.
    #[default]
    Stop,
    /// At the token limit.
    Length,
    /// For its tools.
    ToolCalls,
    /// The model would not, or a filter.
    Refusal,
    /// Not at all, or in a way that the dialect does not know.
    Unknown,
}

/// An error of a provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failing {
    /// 429.
    RateLimited,
    /// 400.
    ContextTooLong,
    /// 500.
    ServerError,
}

/// What an answer costs, in one algebra: the input with what was cached, the output with what was thought.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Tokens of the request.
    pub input: u64,
    /// Tokens of the answer.
    pub output: u64,
    /// Of the input, from the provider's cache.
    pub cached: u64,
    /// Of the output, thought.
    pub reasoning: u64,
}

/// What a tool answered.
#[derive(Clone, Copy, Debug)]
pub struct Outcome {
    /// The tool's name.
    pub name: &'static str,
    /// Its words.
    pub text: &'static str,
    /// It failed.
    pub is_error: bool,
}

/// Every scenario.
pub const SCENARIOS: [Scenario; 16] = [
    Scenario::Text,
    Scenario::System,
    Scenario::Stop,
    Scenario::Image,
    Scenario::Schema,
    Scenario::Length,
    Scenario::Refusal,
    Scenario::Tool,
    Scenario::Tools,
    Scenario::Results,
    Scenario::Reasoning,
    Scenario::Sealed,
    Scenario::RateLimited,
    Scenario::ContextTooLong,
    Scenario::ServerError,
    Scenario::Cut,
];

/// The application's instructions.
pub const SYSTEM: &str = "Answer in one sentence, \"plainly\".";
/// The model's usual words: more than ASCII, and what JSON escapes.
pub const WORDS: &str = "Grüß dich! 🌍\n\"How\" can I help?";
/// The words before a tool is called.
pub const LEAD: &str = "Let me look. ";
/// The words of a refusal.
pub const REFUSAL: &str = "I'm sorry, but I can't help with that.";
/// A thought.
pub const THOUGHT: &str = "The user is in Zürich, so I look there first.";
/// The JSON that fits [`answer_schema`].
pub const SCHEMA_WORDS: &str = r#"{"city":"Zürich","population":443000}"#;
/// The texts that end an answer.
pub const STOPS: [&str; 2] = ["END", "\n\nUser:"];
/// The usual token limit.
pub const MAX_TOKENS: u64 = 300;
/// The token limit where the model thinks.
pub const MAX_TOKENS_THINKING: u64 = 6000;
/// The token limit that is reached.
pub const MAX_TOKENS_SHORT: u64 = 16;
/// How many tokens of thought callers allow who say it in tokens.
pub const BUDGET: u64 = 2048;
/// A picture of one pixel.
pub const PIXEL: &str = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
/// The media type of [`PIXEL`].
pub const PIXEL_TYPE: &str = "image/png";
/// When to come again, in seconds.
pub const RETRY_AFTER: &str = "7";
/// What every answer costs.
pub const USAGE: Usage = Usage {
    input: 120,
    output: 45,
    cached: 32,
    reasoning: 20,
};
/// The model's calls of [`Scenario::Results`], in the conversation's past, and what came of them.
pub const OUTCOMES: [Outcome; 2] = [
    Outcome {
        name: "get_weather",
        text: "21 °C and sunny",
        is_error: false,
    },
    Outcome {
        name: "get_time",
        text: "unknown zone",
        is_error: true,
    },
];
/// The result in [`Scenario::Sealed`].
pub const OUTCOME: Outcome = OUTCOMES[0];

/// The tools that callers have.
pub fn tools() -> [(&'static str, &'static str, Value); 2] {
    let weather = json!({
        "type": "object",
        "properties": {"city": {"type": "string", "description": "The city's name."}},
        "required": ["city"],
    });
    let time = json!({
        "type": "object",
        "properties": {
            "zone": {"type": "string"},
            "format": {"type": "object", "properties": {"hours": {"type": "integer"}}},
        },
        "required": ["zone"],
    });
    [
        ("get_weather", "The weather in a city.", weather),
        ("get_time", "The time in a zone.", time),
    ]
}

/// The arguments of the two tools.
pub fn arguments() -> [Value; 2] {
    [
        json!({"city": "Zürich \"HB\""}),
        json!({"zone": "Europe/Zurich", "format": {"hours": 24}}),
    ]
}

/// The schema of an answer.
pub fn answer_schema() -> Value {
    json!({
        "type": "object",
        "properties": {"city": {"type": "string"}, "population": {"type": "integer"}},
        "required": ["city", "population"],
        "additionalProperties": false,
    })
}

// === impl Scenario ===

impl Scenario {
    /// One word for it, as it stands in models' names.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::System => "system",
            Self::Stop => "stop",
            Self::Image => "image",
            Self::Schema => "schema",
            Self::Length => "length",
            Self::Refusal => "refusal",
            Self::Tool => "tool",
            Self::Tools => "tools",
            Self::Results => "results",
            Self::Reasoning => "reasoning",
            Self::Sealed => "sealed",
            Self::RateLimited => "ratelimited",
            Self::ContextTooLong => "contexttoolong",
            Self::ServerError => "servererror",
            Self::Cut => "cut",
        }
    }

    /// The one with that name.
    pub fn named(name: &str) -> Option<Self> {
        SCENARIOS
            .into_iter()
            .find(|scenario| scenario.name() == name)
    }

    /// What it is called in a list of failures.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::System => "system prompt",
            Self::Stop => "stop sequences",
            Self::Image => "image",
            Self::Schema => "JSON schema",
            Self::Length => "token limit",
            Self::Refusal => "refusal",
            Self::Tool => "one tool call",
            Self::Tools => "parallel tool calls",
            Self::Results => "tool results",
            Self::Reasoning => "reasoning",
            Self::Sealed => "sealed thoughts",
            Self::RateLimited => "429",
            Self::ContextTooLong => "context too long",
            Self::ServerError => "500",
            Self::Cut => "cut stream",
        }
    }

    /// May a caller who sends nothing but a prompt ask for it?
    pub const fn is_plain(self) -> bool {
        matches!(
            self,
            Self::Text
                | Self::Stop
                | Self::Length
                | Self::RateLimited
                | Self::ContextTooLong
                | Self::ServerError
                | Self::Cut
        )
    }

    /// Does the caller offer tools?
    pub const fn has_tools(self) -> bool {
        matches!(
            self,
            Self::Tool | Self::Tools | Self::Results | Self::Sealed
        )
    }

    /// Does the caller ask for thoughts?
    pub const fn has_reasoning(self) -> bool {
        matches!(self, Self::Reasoning | Self::Sealed)
    }

    /// The token limit that callers set.
    pub const fn max_tokens(self) -> u64 {
        match self {
            Self::Length => MAX_TOKENS_SHORT,
            Self::Reasoning | Self::Sealed => MAX_TOKENS_THINKING,
            _ => MAX_TOKENS,
        }
    }

    /// What the provider says; `goes_on` when results have come for what it called before.
    pub fn said(self, goes_on: bool) -> Said {
        let words = Said {
            text: WORDS,
            ..Said::default()
        };
        let [weather, time] = arguments();
        let failing = |failing| Said {
            failure: Some(failing),
            ..Said::default()
        };
        match self {
            Self::Text | Self::System | Self::Stop | Self::Image | Self::Results => words,
            Self::Sealed if goes_on => words,
            Self::Schema => Said {
                text: SCHEMA_WORDS,
                ..words
            },
            Self::Length => Said {
                finish: Finish::Length,
                ..words
            },
            Self::Refusal => Said {
                text: REFUSAL,
                finish: Finish::Refusal,
                ..words
            },
            Self::Tool => Said {
                text: LEAD,
                calls: vec![("get_weather", weather)],
                finish: Finish::ToolCalls,
                ..words
            },
            Self::Tools => Said {
                text: "",
                calls: vec![("get_weather", weather), ("get_time", time)],
                finish: Finish::ToolCalls,
                ..words
            },
            Self::Reasoning => Said {
                thought: Some(THOUGHT),
                ..words
            },
            Self::Sealed => Said {
                thought: Some(THOUGHT),
                text: "",
                calls: vec![("get_weather", weather)],
                finish: Finish::ToolCalls,
                ..words
            },
            Self::RateLimited => failing(Failing::RateLimited),
            Self::ContextTooLong => failing(Failing::ContextTooLong),
            Self::ServerError => failing(Failing::ServerError),
            Self::Cut => Said {
                is_cut: true,
                ..words
            },
        }
    }
}

// === impl Failing ===

impl Failing {
    /// The provider's status.
    pub const fn status(self) -> u16 {
        match self {
            Self::RateLimited => 429,
            Self::ContextTooLong => 400,
            Self::ServerError => 500,
        }
    }
}

/// A text in two pieces, cut between characters.
pub fn halves(text: &str) -> [&str; 2] {
    let mut middle = text.len() / 2;
    while !text.is_char_boundary(middle) {
        middle += 1;
    }
    let (first, second) = text.split_at(middle);
    [first, second]
}
