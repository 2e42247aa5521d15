//! How servers that speak OpenAI's dialect differ from OpenAI, as data.

use super::common::Feature;

/// What a server makes of OpenAI's chat completions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accent {
    /// The field of the token limit.
    pub max_tokens: MaxTokens,
    /// Whether it knows the role `developer`; else such turns are sent as `system`.
    pub has_developer: bool,
    /// Whether a stream may be asked for its usage by `stream_options`. Those that refuse the field report unasked.
    pub has_stream_options: bool,
    /// Where thoughts of earlier turns go.
    pub thoughts: Thoughts,
    /// How a reasoning effort is said.
    pub effort: EffortField,
    /// Whether tool call ids must be nine letters or digits (Mistral).
    pub has_short_call_ids: bool,
    /// Whether `response_format` may be a JSON schema.
    pub has_json_schema: bool,
    /// How it is told to go on with an answer that the last message begins; None where it cannot, or nobody knows.
    pub prefill: Option<Prefill>,
    /// Further features that it takes, though OpenAI does not: `top_k`.
    pub has: &'static [Feature],
    /// Features that it refuses, though OpenAI takes them.
    pub lacks: &'static [Feature],
}

/// The field of the token limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MaxTokens {
    /// `max_completion_tokens`, OpenAI's own.
    Completion,
    /// `max_tokens`, which most others know.
    Plain,
}

/// Where thoughts of earlier turns go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Thoughts {
    /// It takes none.
    Nowhere,
    /// `reasoning_content` of the message (DeepSeek, Moonshot, Zai).
    ReasoningContent,
    /// `reasoning` of the message (Groq, Cerebras, vLLM).
    Reasoning,
    /// `reasoning_details` of the message, seals included (OpenRouter).
    ReasoningDetails,
}

/// How a reasoning effort is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EffortField {
    /// `reasoning_effort`
    ReasoningEffort,
    /// `reasoning: {effort, max_tokens}` (OpenRouter).
    Reasoning,
    /// `thinking: {type: enabled | disabled}` (Zai, Moonshot, DeepSeek).
    Thinking,
    /// Not at all.
    Nowhere,
}

/// How a server is told to go on with an answer that the last message, an assistant's, begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Prefill {
    /// It does so untold (OpenRouter).
    Untold,
    /// `prefix` of the message (Mistral).
    Prefix,
    /// The same, but only where the base URL ends in `/beta` (DeepSeek).
    BetaPrefix,
    /// `partial` of the message (DashScope, Moonshot).
    Partial,
    /// `continue_final_message` of the request, and no `add_generation_prompt` (vLLM, SGLang).
    FinalMessage,
}

impl Accent {
    /// OpenAI's own.
    pub const OPENAI: Self = Self {
        max_tokens: MaxTokens::Completion,
        has_developer: true,
        has_stream_options: true,
        thoughts: Thoughts::Nowhere,
        effort: EffortField::ReasoningEffort,
        has_short_call_ids: false,
        has_json_schema: true,
        prefill: None,
        has: &[],
        lacks: &[],
    };

    /// A server that nothing is known of: the words that most understand.
    pub const OTHER: Self = Self {
        max_tokens: MaxTokens::Plain,
        has_developer: false,
        thoughts: Thoughts::ReasoningContent,
        has: &[Feature::TopK],
        ..Self::OPENAI
    };
}
