//! OpenAI's answers as they stand on the wire, fields in the order in which OpenAI writes them.

use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};

use super::seed::Seed;
use super::text::tokens;

/// The usage of a whole answer or of a stream's last chunk.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Usage {
    pub(super) prompt_tokens: usize,
    pub(super) completion_tokens: usize,
    pub(super) total_tokens: usize,
    prompt_tokens_details: PromptDetails,
    completion_tokens_details: CompletionDetails,
}

#[derive(Clone, Copy, Debug, Default, Serialize)]
struct PromptDetails {
    cached_tokens: usize,
    audio_tokens: usize,
}

#[derive(Clone, Copy, Debug, Default, Serialize)]
struct CompletionDetails {
    reasoning_tokens: usize,
    audio_tokens: usize,
    accepted_prediction_tokens: usize,
    rejected_prediction_tokens: usize,
}

impl Usage {
    pub(super) fn new(prompt_tokens: usize, completion_tokens: usize) -> Self {
        Self {
            prompt_tokens,
            completion_tokens,
            total_tokens: prompt_tokens + completion_tokens,
            prompt_tokens_details: PromptDetails::default(),
            completion_tokens_details: CompletionDetails::default(),
        }
    }
}

/// What chat and text completions, whole and chunk, have in common.
#[derive(Debug, Serialize)]
pub(super) struct Envelope<'a, C> {
    pub(super) id: &'a str,
    pub(super) object: &'a str,
    pub(super) created: u64,
    pub(super) model: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) service_tier: Option<&'a str>,
    pub(super) system_fingerprint: &'a str,
    pub(super) choices: C,
    /// `None` leaves it out, `Some(None)` is `null`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) usage: Option<Option<Usage>>,
}

#[derive(Debug, Serialize)]
pub(super) struct ChatChoice<'a> {
    pub(super) index: usize,
    pub(super) message: ChatMessage<'a>,
    pub(super) logprobs: Option<ChatLogprobs>,
    pub(super) finish_reason: &'a str,
}

#[derive(Debug, Serialize)]
pub(super) struct ChatMessage<'a> {
    pub(super) role: &'a str,
    pub(super) content: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) tool_calls: Option<Vec<ToolCall<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) function_call: Option<FunctionCall<'a>>,
    pub(super) refusal: Option<&'a str>,
    pub(super) annotations: [&'a str; 0],
}

#[derive(Debug, Serialize)]
pub(super) struct ChatDeltaChoice<'a> {
    pub(super) index: usize,
    pub(super) delta: Delta<'a>,
    pub(super) logprobs: Option<ChatLogprobs>,
    pub(super) finish_reason: Option<&'a str>,
}

#[derive(Debug, Default, Serialize)]
pub(super) struct Delta<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) role: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) content: Option<Option<&'a str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) tool_calls: Option<[ToolCall<'a>; 1]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) function_call: Option<FunctionCall<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) refusal: Option<Option<&'a str>>,
}

#[derive(Debug, Serialize)]
pub(super) struct ToolCall<'a> {
    /// Only in streams.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) index: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) id: Option<&'a str>,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub(super) kind: Option<&'a str>,
    pub(super) function: FunctionCall<'a>,
}

#[derive(Debug, Serialize)]
pub(super) struct FunctionCall<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) name: Option<&'a str>,
    pub(super) arguments: &'a str,
}

#[derive(Debug, Serialize)]
pub(super) struct TextChoice<'a> {
    pub(super) text: &'a str,
    pub(super) index: usize,
    pub(super) logprobs: Option<TextLogprobs<'a>>,
    pub(super) finish_reason: Option<&'a str>,
}

#[derive(Debug, Serialize)]
pub(super) struct ChatLogprobs {
    content: Vec<TokenLogprob>,
    refusal: Option<()>,
}

#[derive(Debug, Serialize)]
struct TokenLogprob {
    token: String,
    logprob: f64,
    bytes: Vec<u8>,
    top_logprobs: Vec<TopLogprob>,
}

#[derive(Debug, Serialize)]
struct TopLogprob {
    token: String,
    logprob: f64,
    bytes: Vec<u8>,
}

#[derive(Debug, Serialize)]
pub(super) struct TextLogprobs<'a> {
    tokens: Vec<&'a str>,
    token_logprobs: Vec<f64>,
    top_logprobs: Option<Vec<TopOfText<'a>>>,
    text_offset: Vec<usize>,
}

#[derive(Debug)]
struct TopOfText<'a>(Vec<(&'a str, f64)>);

impl Serialize for TopOfText<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (token, logprob) in &self.0 {
            map.serialize_entry(token, logprob)?;
        }
        map.end()
    }
}

/// The log probabilities of the tokens of `text`, which stands `offset` bytes from the start of its answer; each with
/// the `top` likeliest tokens. They depend on the token and its place, so that a stream has the same as a whole answer.
pub(super) fn chat_logprobs(text: &str, offset: usize, top: usize, seed: &Seed) -> ChatLogprobs {
    let content = placed(text, offset).map(|(token, at)| {
        let ranked = ranked(token, at, top, seed);
        TokenLogprob {
            token: token.to_owned(),
            logprob: chosen(token, at, seed),
            bytes: token.as_bytes().to_vec(),
            top_logprobs: ranked
                .into_iter()
                .map(|(token, logprob)| TopLogprob {
                    token: token.to_owned(),
                    logprob,
                    bytes: token.as_bytes().to_vec(),
                })
                .collect(),
        }
    });
    ChatLogprobs {
        content: content.collect(),
        refusal: None,
    }
}

/// The same in the form of text completions.
pub(super) fn text_logprobs<'a>(
    text: &'a str,
    offset: usize,
    top: usize,
    seed: &Seed,
) -> TextLogprobs<'a> {
    let mut logprobs = TextLogprobs {
        tokens: Vec::new(),
        token_logprobs: Vec::new(),
        top_logprobs: (top > 0).then(Vec::new),
        text_offset: Vec::new(),
    };
    for (token, at) in placed(text, offset) {
        logprobs.tokens.push(token);
        logprobs.token_logprobs.push(chosen(token, at, seed));
        logprobs.text_offset.push(at);
        if let Some(tops) = &mut logprobs.top_logprobs {
            tops.push(TopOfText(ranked(token, at, top, seed)));
        }
    }
    logprobs
}

fn placed(text: &str, offset: usize) -> impl Iterator<Item = (&str, usize)> {
    tokens(text).scan(offset, |at, token| {
        let start = *at;
        *at += token.len();
        Some((token, start))
    })
}

/// The log probability of the token that was chosen: of a probability from 0.4 to 1, mostly near 1.
fn chosen(token: &str, at: usize, seed: &Seed) -> f64 {
    let mut seed = seed.with_bytes(token.as_bytes()).with(at as u64);
    (1.0 - 0.6 * seed.fraction().powi(2)).ln()
}

/// The likeliest tokens at a place: the chosen one, then others that share what is left, each half of the one before.
fn ranked<'a>(token: &'a str, at: usize, top: usize, seed: &Seed) -> Vec<(&'a str, f64)> {
    const OTHERS: [&str; 24] = [
        " the", " a", " of", " to", " and", " in", " is", " that", " it", " for", " on", " as",
        " with", " be", " at", " by", " this", " or", " an", ",", ".", " not", " but", " are",
    ];
    let chosen = chosen(token, at, seed);
    let mut left = (1.0 - chosen.exp()).max(1e-9);
    let others = OTHERS.iter().filter(|other| **other != token).map(|other| {
        left /= 2.0;
        (*other, left.ln())
    });
    std::iter::once((token, chosen))
        .chain(others)
        .take(top)
        .collect()
}
