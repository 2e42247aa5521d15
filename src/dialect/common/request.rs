//! A request in the common form.

use super::json::Json;
use super::reasoning::{Reasoning, ThinkingBudget};
use super::signature::Signature;
use crate::dialect::Dialect;

/// What a caller asks of a model.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// The dialect that it came in.
    pub source: Dialect,
    /// The model's name: the caller's when read, the provider's when written.
    pub model: String,
    /// Whether the answer shall be a stream.
    pub stream: bool,
    /// Whether a stream shall end in its usage. Only chat and completions leave the choice to the caller.
    pub include_usage: bool,
    /// The conversation, oldest turn first. System turns stand where the caller put them.
    pub turns: Vec<Turn>,
    /// Whether the last turn is the beginning of the answer, with which the model shall go on.
    pub is_begun: bool,
    /// What the model may call.
    pub tools: Vec<Tool>,
    /// Which of them it shall call.
    pub tool_choice: Option<ToolChoice>,
    /// Whether it may call several at once; None is the provider's default (it may).
    pub parallel_tool_calls: Option<bool>,
    /// What form the answer shall have.
    pub format: Format,
    /// How much the model shall think.
    pub reasoning: Option<Reasoning>,
    /// The most tokens of an answer, reasoning included.
    pub max_tokens: Option<u64>,
    /// 0 to 2 (Anthropic, Cohere, Bedrock: to 1).
    pub temperature: Option<f64>,
    /// Nucleus sampling.
    pub top_p: Option<f64>,
    /// Sampling among the likeliest tokens.
    pub top_k: Option<u64>,
    /// Texts that end the answer.
    pub stop: Vec<String>,
    /// For answers that repeat.
    pub seed: Option<i64>,
    /// How many answers.
    pub n: Option<u64>,
    /// Whether to tell tokens' log-probabilities, and of how many alternatives.
    pub logprobs: Option<u64>,
    /// Against tokens that have occurred.
    pub presence_penalty: Option<f64>,
    /// Against tokens that have occurred often.
    pub frequency_penalty: Option<f64>,
    /// OpenAI's bias by token.
    pub logit_bias: Option<Json>,
    /// The caller's own user.
    pub user: Option<String>,
    /// The caller's own labels: an object of strings.
    pub metadata: Option<Json>,
    /// `auto`, `default`, `flex`, `priority`, …
    pub service_tier: Option<String>,
    /// Whether the provider shall keep the answer.
    pub store: Option<bool>,
    /// `low`, `medium`, `high`: how much the model shall say.
    pub verbosity: Option<String>,
    /// Top-level fields of the caller's dialect that have no place above, in their order, under its own names (Gemini's
    /// with their path: `generationConfig.mediaResolution`).
    pub extra: Vec<(String, Json)>,
}

impl Request {
    /// A request that says nothing yet.
    pub fn new(source: Dialect, model: impl Into<String>) -> Self {
        Self {
            source,
            model: model.into(),
            stream: false,
            include_usage: true,
            turns: Vec::new(),
            is_begun: false,
            tools: Vec::new(),
            tool_choice: None,
            parallel_tool_calls: None,
            format: Format::Text,
            reasoning: None,
            max_tokens: None,
            temperature: None,
            top_p: None,
            top_k: None,
            stop: Vec::new(),
            seed: None,
            n: None,
            logprobs: None,
            presence_penalty: None,
            frequency_penalty: None,
            logit_bias: None,
            user: None,
            metadata: None,
            service_tier: None,
            store: None,
            verbosity: None,
            extra: Vec::new(),
        }
    }

    /// The request with its last turn as the beginning of the answer. What there was to think of has been thought: models
    /// that think go on with no text.
    #[must_use]
    pub fn begun(mut self) -> Self {
        self.is_begun = true;
        self.reasoning = None;
        self.extra.retain(|(name, _)| !name.starts_with("thinking"));
        self
    }

    /// The functions among the tools.
    pub fn functions(&self) -> impl Iterator<Item = &Function> {
        self.tools.iter().filter_map(|tool| match tool {
            Tool::Function(function) => Some(function),
            Tool::Hosted { .. } => None,
        })
    }

    /// Whether the model's thoughts are to be shown: as the caller says or, where it says nothing, as it is used to.
    /// Anthropic, Bedrock and Cohere show the thoughts that a request asks for.
    pub fn shows_thoughts(&self) -> Option<bool> {
        let reasoning = self.reasoning.as_ref()?;
        let is_off = reasoning.as_budget() == Some(ThinkingBudget::Off);
        let shows_unasked = matches!(
            self.source,
            Dialect::Anthropic | Dialect::Bedrock | Dialect::Cohere
        );
        let usual = (shows_unasked && !is_off).then_some(true);
        reasoning.show.or(usual)
    }
}

/// One turn of a conversation.
#[derive(Clone, Debug, PartialEq)]
pub struct Turn {
    /// Who speaks.
    pub role: Role,
    /// What is said, in order. Results of tools are parts of a user's turn.
    pub parts: Vec<Part>,
    /// The speaker's name (OpenAI's `name`).
    pub name: Option<String>,
}

/// Who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The operator of the application.
    System,
    /// OpenAI's newer word for it; others know only the system.
    Developer,
    /// The user, and the tools that the application ran.
    User,
    /// The model.
    Assistant,
}

/// A piece of a turn.
#[derive(Clone, Debug, PartialEq)]
pub struct Part {
    /// What it is.
    pub content: Content,
    /// The provider shall cache the prompt up to and including this part.
    pub cache: Option<Cache>,
}

impl From<Content> for Part {
    fn from(content: Content) -> Self {
        Self {
            content,
            cache: None,
        }
    }
}

impl Part {
    /// A plain text.
    pub fn text(text: impl Into<String>) -> Self {
        Self::from(Content::Text {
            text: text.into(),
            citations: Vec::new(),
        })
    }
}

/// What a piece of a turn is.
#[derive(Clone, Debug, PartialEq)]
pub enum Content {
    /// Text, and what its author cites for it.
    Text {
        /// The text.
        text: String,
        /// Its sources.
        citations: Vec<super::Citation>,
    },
    /// The model's words on why it does not answer.
    Refusal(String),
    /// A picture.
    Image {
        /// Where it is.
        source: Source,
        /// `low`, `high`, `auto`.
        detail: Option<String>,
    },
    /// A document, such as a PDF.
    Document {
        /// Where it is.
        source: Source,
        /// Its file name or title.
        name: Option<String>,
        /// Whether the model shall cite it.
        cite: bool,
    },
    /// A recording.
    Audio {
        /// Where it is. The media type tells the format: `audio/wav`, `audio/mp3`.
        source: Source,
    },
    /// A film.
    Video {
        /// Where it is.
        source: Source,
    },
    /// The model calls a tool.
    ToolCall {
        /// Ties the result to it.
        id: String,
        /// The tool's name.
        name: String,
        /// JSON text as the model wrote it: an object, unless it was cut. Empty means none.
        arguments: String,
        /// The provider's seal on the thought behind it (Gemini's `thoughtSignature`).
        signature: Option<Signature>,
    },
    /// What a tool answered.
    ToolResult {
        /// The call's id.
        id: String,
        /// The tool's name, where the dialect tells; writers that need it look it up by the id.
        name: Option<String>,
        /// Texts, images, documents.
        parts: Vec<Part>,
        /// The tool failed.
        is_error: bool,
    },
    /// The model thinks.
    Thinking(Thinking),
    /// What only `dialect` knows: a hosted tool's call or result, a container, a reference.
    Opaque {
        /// Whose it is.
        dialect: Dialect,
        /// Its `type` there, for telling what was dropped.
        kind: String,
        /// As it came.
        json: Json,
    },
}

/// Where media are.
#[derive(Clone, Debug, PartialEq)]
pub enum Source {
    /// In the request.
    Base64 {
        /// `image/png`, …
        media_type: String,
        /// Base64, standard alphabet.
        data: String,
    },
    /// Anywhere: `https:`, or a provider's own scheme (`gs:`, `s3:`).
    Url {
        /// The URL.
        url: String,
        /// The media type, where the dialect tells.
        media_type: Option<String>,
    },
    /// At the provider, uploaded before.
    File {
        /// Whose id it is.
        dialect: Dialect,
        /// The id.
        id: String,
    },
    /// A document that is plain text.
    Text(String),
}

/// What the model thought.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Thinking {
    /// The thought, or the summary that is shown of it; empty where it is hidden.
    pub text: String,
    /// The provider's seal on it; without, most take no thought back.
    pub signature: Option<Signature>,
    /// Responses' `rs_…` id of the item, which belongs to its seal.
    pub id: Option<String>,
    /// The thought itself is in the seal (Anthropic's `redacted_thinking`).
    pub is_redacted: bool,
}

/// How long a provider shall cache a prompt.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Cache {
    /// The provider's usual time (Anthropic: five minutes).
    #[default]
    Usual,
    /// An hour.
    Hour,
}

/// What the model may call.
#[derive(Clone, Debug, PartialEq)]
pub enum Tool {
    /// A function of the application's.
    Function(Function),
    /// A tool that the provider runs, known to one dialect only.
    Hosted {
        /// Whose it is.
        dialect: Dialect,
        /// Its type or name there.
        kind: String,
        /// As it came.
        json: Json,
    },
}

/// A function of the application's.
#[derive(Clone, Debug, PartialEq)]
pub struct Function {
    /// Its name.
    pub name: String,
    /// What it does.
    pub description: Option<String>,
    /// The JSON Schema of its arguments, an object; None if it takes none.
    pub parameters: Option<Json>,
    /// Whether arguments must fit the schema.
    pub strict: Option<bool>,
    /// The provider shall cache the prompt up to here.
    pub cache: Option<Cache>,
}

/// Which tools the model shall call.
#[derive(Clone, Debug, PartialEq)]
pub enum ToolChoice {
    /// As it likes.
    Auto,
    /// None of them.
    None,
    /// One or more of them.
    Required,
    /// This one.
    Named(String),
    /// Of these alone.
    Allowed {
        /// Their names.
        names: Vec<String>,
        /// At least one.
        required: bool,
    },
}

impl ToolChoice {
    /// Whether the model must call a tool.
    pub const fn is_forced(&self) -> bool {
        matches!(
            self,
            Self::Required | Self::Named(_) | Self::Allowed { required: true, .. }
        )
    }
}

/// What form an answer shall have.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Format {
    /// Any.
    #[default]
    Text,
    /// A JSON object.
    Json,
    /// JSON that fits a schema.
    Schema {
        /// The schema's name.
        name: Option<String>,
        /// What it is for.
        description: Option<String>,
        /// The JSON Schema.
        schema: Json,
        /// Whether the provider must enforce it.
        strict: Option<bool>,
    },
}

impl Format {
    /// The words for a model that nobody holds to the form; None where there is none.
    pub fn in_words(&self) -> Option<String> {
        match self {
            Self::Text => None,
            Self::Json => Some("Answer with nothing but a JSON object.".to_owned()),
            Self::Schema { schema, .. } => {
                let lead = "Answer with nothing but JSON that fits this JSON Schema:\n";
                Some([lead, schema.as_str()].concat())
            }
        }
    }
}
