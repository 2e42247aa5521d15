//! The JSON of an answer for a caller.

use serde::Serialize;

use super::ID_MAX;
use super::request::{ReasoningOut, TextOut, ToolChoiceOut, ToolOut, instructions};
use super::usage::Tokens;
use crate::dialect::Dialect;
use crate::dialect::common::{Finish, Json, Request, TokenLogprob, fitted_id, prefixed_id};

use super::answer::{MALFORMED_CALL, PAUSED};

/// Stands before a seal which holds a thought that its provider does not show.
pub const REDACTED_LEAD: &str = "tg1-redacted:";

/// Stands before a seal that belongs to the call behind it: a function call has no place for one.
pub const CALL_LEAD: &str = "tg1-call:";

/// The object that an answer is.
#[derive(Serialize)]
pub struct ResponseOut<'a> {
    pub id: &'a str,
    pub object: &'static str,
    pub created_at: u64,
    pub status: &'static str,
    pub background: bool,
    pub completed_at: Option<u64>,
    pub error: Option<()>,
    pub incomplete_details: Option<IncompleteOut<'a>>,
    pub model: &'a str,
    pub output: &'a [ItemOut],
    pub previous_response_id: Option<()>,
    pub service_tier: Option<&'a str>,
    pub store: bool,
    pub usage: Option<Tokens>,
    #[serde(flatten)]
    pub echo: &'a Echo,
}

/// Why an answer is incomplete.
#[derive(Serialize)]
pub struct IncompleteOut<'a> {
    reason: &'a str,
}

impl<'a> IncompleteOut<'a> {
    /// What to tell of an ending; None if the answer is complete.
    pub fn of(finish: &'a Finish, has_refusal: bool) -> Option<Self> {
        let reason = match finish {
            Finish::Stop | Finish::StopSequence(_) | Finish::ToolCalls => return None,
            Finish::Refusal if has_refusal => return None,
            Finish::Length => "max_output_tokens",
            // A refusal without words is what a filter leaves.
            Finish::ContentFilter | Finish::Refusal => "content_filter",
            Finish::Pause => PAUSED,
            Finish::MalformedCall => MALFORMED_CALL,
            Finish::Other(reason) => reason,
        };
        Some(Self { reason })
    }
}

/// What an answer repeats of its request.
#[derive(Debug, Serialize)]
pub struct Echo {
    instructions: Option<String>,
    max_output_tokens: Option<u64>,
    max_tool_calls: Option<Json>,
    metadata: Json,
    parallel_tool_calls: bool,
    prompt_cache_key: Option<Json>,
    reasoning: Json,
    safety_identifier: Option<Json>,
    temperature: f64,
    text: Json,
    tool_choice: Json,
    tools: Json,
    top_logprobs: u64,
    top_p: f64,
    truncation: Json,
    user: Option<String>,
}

impl Echo {
    /// Of a caller's request. What it leaves out has the API's defaults.
    pub fn of(request: &Request) -> Self {
        let extra = |name: &str| {
            let mut extra = request.extra.iter();
            let known = extra.find(|(known, _)| known == name);
            known
                .filter(|_| request.source == Dialect::Responses)
                .map(|(_, json)| json.clone())
        };
        let choice = request.tool_choice.as_ref().map(ToolChoiceOut::from);
        let chosen = extra("tool_choice");
        Self {
            instructions: instructions(request).map(str::to_owned),
            max_output_tokens: request.max_tokens,
            max_tool_calls: extra("max_tool_calls"),
            metadata: request.metadata.clone().unwrap_or_else(Json::empty_object),
            parallel_tool_calls: request.parallel_tool_calls.unwrap_or(true),
            prompt_cache_key: extra("prompt_cache_key"),
            reasoning: Json::of(&ReasoningOut::echo(request.reasoning.as_ref())),
            safety_identifier: extra("safety_identifier"),
            temperature: request.temperature.unwrap_or(1.0),
            text: Json::of(&TextOut::echo(request)),
            tool_choice: chosen
                .unwrap_or_else(|| Json::of(&choice.unwrap_or(ToolChoiceOut::Word("auto")))),
            tools: Json::of(&ToolOut::all(request, Some(false))),
            top_logprobs: request.logprobs.unwrap_or(0),
            top_p: request.top_p.unwrap_or(1.0),
            truncation: extra("truncation").unwrap_or_else(|| Json::of(&"disabled")),
            user: request.user.clone(),
        }
    }
}

/// An item of an answer.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum KnownItem {
    /// What the model says.
    Message {
        id: String,
        status: &'static str,
        role: &'static str,
        content: Vec<ContentOut>,
    },
    /// A call of a function.
    FunctionCall {
        id: String,
        status: &'static str,
        arguments: String,
        call_id: String,
        name: String,
    },
    /// A thought.
    Reasoning {
        id: String,
        summary: Vec<SummaryOut>,
        encrypted_content: Option<String>,
        status: &'static str,
    },
    /// A picture.
    ImageGenerationCall {
        id: String,
        status: &'static str,
        result: String,
    },
}

/// An item of an answer, or one as a provider of this dialect wrote it.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum ItemOut {
    /// One that we write.
    Known(KnownItem),
    /// One as it came.
    Opaque(Json),
}

/// A part of a message.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ContentOut {
    /// Text.
    OutputText {
        annotations: Vec<Json>,
        logprobs: Vec<LogprobOut>,
        text: String,
    },
    /// The refusal.
    Refusal { refusal: String },
}

/// The summary of a thought.
#[derive(Debug, Serialize)]
pub struct SummaryOut {
    #[serde(rename = "type")]
    pub kind: &'static str,
    pub text: String,
}

impl SummaryOut {
    /// A summary.
    pub const fn new(text: String) -> Self {
        Self {
            kind: "summary_text",
            text,
        }
    }
}

/// A token and how likely it was.
#[derive(Clone, Debug, Serialize)]
pub struct LogprobOut {
    token: String,
    bytes: Vec<u8>,
    logprob: f64,
    top_logprobs: Vec<TopLogprobOut>,
}

#[derive(Clone, Debug, Serialize)]
struct TopLogprobOut {
    token: String,
    bytes: Vec<u8>,
    logprob: f64,
}

impl From<TokenLogprob> for LogprobOut {
    fn from(token: TokenLogprob) -> Self {
        let bytes_of_token = bytes(&token);
        let top = token.top.into_iter().map(|token| TopLogprobOut {
            bytes: bytes(&token),
            token: token.token,
            logprob: token.logprob,
        });
        Self {
            top_logprobs: top.collect(),
            bytes: bytes_of_token,
            token: token.token,
            logprob: token.logprob,
        }
    }
}

/// The bytes of a token, which the SDKs' types demand.
fn bytes(token: &TokenLogprob) -> Vec<u8> {
    let bytes = token.bytes.clone();
    bytes.unwrap_or_else(|| token.token.as_bytes().to_vec())
}

/// The id of an answer, valid here: `resp_…`.
pub fn response_id(id: &str) -> String {
    const PREFIX: &str = "resp_";
    let fitted = fitted_id(id, ID_MAX - PREFIX.len());
    prefixed_id(PREFIX, &fitted)
}

/// The id of the `index`-th item of an answer, always the same: `msg_…`, `fc_…`, `rs_…`.
pub fn item_id(prefix: &str, response_id: &str, index: usize) -> String {
    // Long enough to tell answers apart, and short enough for any prefix and index.
    const BASE_MAX: usize = 44;
    let base = response_id.trim_start_matches("resp_");
    let fitted = fitted_id(base, BASE_MAX);
    format!("{prefix}_{fitted}_{index}")
}
