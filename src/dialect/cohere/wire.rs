//! Pieces of the wire format that requests, answers and streams share.

use std::borrow::Cow;
use std::fmt;

use serde::de::{self, Deserializer, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::dialect::Dialect;
use crate::dialect::common::{Content, Finish, Json, Signature, Thinking, TokenLogprob, Usage};

/// A message's `content`: a text, or a list of blocks, which stay as they are until their type is known.
#[derive(Debug)]
pub(super) enum Texts<'a> {
    One(String),
    Blocks(Vec<&'a RawValue>),
}

impl<'de: 'a, 'a> Deserialize<'de> for Texts<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OneOrBlocks;

        impl<'de> Visitor<'de> for OneOrBlocks {
            type Value = Texts<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string or a list of blocks")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Texts<'de>, E> {
                Ok(Texts::One(text.to_owned()))
            }

            fn visit_string<E: de::Error>(self, text: String) -> Result<Texts<'de>, E> {
                Ok(Texts::One(text))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Texts<'de>, A::Error> {
                let mut blocks = Vec::new();
                while let Some(block) = list.next_element()? {
                    blocks.push(block);
                }
                Ok(Texts::Blocks(blocks))
            }
        }

        deserializer.deserialize_any(OneOrBlocks)
    }
}

/// One of the blocks, with the members of every type that is known, and of our own.
#[derive(Debug, Deserialize)]
pub(super) struct Block<'a> {
    /// Empty where it is missing.
    #[serde(rename = "type", borrow, default)]
    pub kind: Cow<'a, str>,
    pub text: Option<String>,
    pub thinking: Option<String>,
    pub image_url: Option<ImageUrl>,
    #[serde(borrow)]
    pub document: Option<&'a RawValue>,
    pub signature: Option<String>,
    pub id: Option<String>,
    pub redacted: Option<bool>,
}

#[derive(Debug, Deserialize)]
pub(super) struct ImageUrl {
    pub url: String,
    pub detail: Option<String>,
}

impl Block<'_> {
    /// The thought that a block of the type `thinking` is.
    pub fn into_thinking(self) -> Thinking {
        Thinking {
            text: self.thinking.unwrap_or_default(),
            signature: self
                .signature
                .map(|seal| Signature::read(Dialect::Cohere, &seal)),
            id: self.id,
            is_redacted: self.redacted.unwrap_or(false),
        }
    }
}

/// A tool call of an assistant's message.
#[derive(Debug, Deserialize)]
pub(super) struct ToolCall {
    #[serde(default)]
    pub id: String,
    #[serde(default)]
    pub function: CalledFunction,
    pub signature: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct CalledFunction {
    pub name: Option<String>,
    pub arguments: Option<String>,
}

impl From<ToolCall> for Content {
    fn from(call: ToolCall) -> Self {
        Self::ToolCall {
            id: call.id,
            name: call.function.name.unwrap_or_default(),
            arguments: call.function.arguments.unwrap_or_default(),
            signature: call
                .signature
                .map(|seal| Signature::read(Dialect::Cohere, &seal)),
        }
    }
}

/// A tool call as it is written.
#[derive(Debug, Serialize)]
pub(super) struct WrittenCall<'a> {
    pub id: &'a str,
    #[serde(rename = "type")]
    pub kind: &'static str,
    pub function: WrittenFunction<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signature: Option<String>,
}

#[derive(Debug, Serialize)]
pub(super) struct WrittenFunction<'a> {
    pub name: &'a str,
    pub arguments: &'a str,
}

impl<'a> WrittenCall<'a> {
    pub fn new(id: &'a str, name: &'a str, arguments: &'a str) -> Self {
        Self {
            id,
            kind: "function",
            function: WrittenFunction { name, arguments },
            signature: None,
        }
    }
}

/// The arguments of a call that has none: callers parse the text.
pub(super) const NO_ARGUMENTS: &str = "{}";

/// `usage`, which counts twice: in `billed_units` what is paid for, and in `tokens` all that the model read and wrote,
/// Cohere's own additions to the prompt included, which nobody pays for. `cached_tokens` counts as `tokens` does.
#[derive(Debug, Default, Deserialize, Serialize)]
pub(super) struct WireUsage {
    #[serde(skip_serializing_if = "Option::is_none")]
    billed_units: Option<Tokens>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tokens: Option<Tokens>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cached_tokens: Option<Count>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
struct Tokens {
    #[serde(skip_serializing_if = "Option::is_none")]
    input_tokens: Option<Count>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output_tokens: Option<Count>,
    /// Images that are paid for one by one.
    #[serde(skip_serializing_if = "Option::is_none")]
    images: Option<Count>,
}

impl Tokens {
    fn is_told(&self) -> bool {
        self.input_tokens.is_some() || self.output_tokens.is_some() || self.images.is_some()
    }
}

impl WireUsage {
    /// What is paid for. Cached tokens are a part of it only where both counts agree.
    pub fn read(&self) -> Option<Usage> {
        let billed = self.billed_units.filter(Tokens::is_told);
        let counted = billed.or(self.tokens)?;
        let input_tokens = counted.input_tokens.unwrap_or_default().0;
        let agrees = |tokens: Tokens| tokens.input_tokens == counted.input_tokens;
        let cached = match self.tokens.is_some_and(agrees) {
            true => self.cached_tokens.unwrap_or_default().0,
            false => 0,
        };
        Some(Usage {
            input_tokens,
            output_tokens: counted.output_tokens.unwrap_or_default().0,
            cache_read_tokens: cached.min(input_tokens),
            images: counted.images.unwrap_or_default().0,
            ..Usage::default()
        })
    }
}

impl From<Usage> for WireUsage {
    fn from(usage: Usage) -> Self {
        let tokens = Tokens {
            input_tokens: Some(Count(usage.input_tokens)),
            output_tokens: Some(Count(usage.output_tokens)),
            images: None,
        };
        let cached = usage.cache_read_tokens;
        Self {
            billed_units: Some(Tokens {
                images: (usage.images > 0).then_some(Count(usage.images)),
                ..tokens
            }),
            tokens: Some(tokens),
            cached_tokens: (cached > 0).then_some(Count(cached)),
        }
    }
}

/// A count, which Cohere's types call a floating-point number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Count(pub u64);

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Number;

        impl Visitor<'_> for Number {
            type Value = Count;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number")
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Count, E> {
                Ok(Count(number))
            }

            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Count, E> {
                Ok(Count(u64::try_from(number).unwrap_or(0)))
            }

            fn visit_f64<E: de::Error>(self, number: f64) -> Result<Count, E> {
                // Saturates at both ends.
                Ok(Count(number as u64))
            }
        }

        deserializer.deserialize_any(Number)
    }
}

/// A piece of text with its log-probabilities, one a token.
#[derive(Debug, Deserialize)]
pub(super) struct LogprobItem {
    #[serde(default)]
    text: String,
    #[serde(default)]
    logprobs: Vec<f64>,
}

impl From<LogprobItem> for TokenLogprob {
    /// Where a piece is of several tokens, which nothing tells apart, it is one of their joint probability.
    fn from(item: LogprobItem) -> Self {
        Self {
            token: item.text,
            logprob: item.logprobs.iter().sum(),
            bytes: None,
            top: Vec::new(),
        }
    }
}

/// Such a piece as it is written. The token's number is not known.
#[derive(Debug, Serialize)]
pub(super) struct WrittenLogprob<'a> {
    text: &'a str,
    token_ids: [u32; 0],
    logprobs: [f64; 1],
}

impl<'a> From<&'a TokenLogprob> for WrittenLogprob<'a> {
    fn from(token: &'a TokenLogprob) -> Self {
        Self {
            text: &token.token,
            token_ids: [],
            logprobs: [token.logprob],
        }
    }
}

/// The reason that an answer was given up; it is an error.
pub(super) const ERROR: &str = "ERROR";

/// The same, for want of time.
pub(super) const TIMEOUT: &str = "TIMEOUT";

/// Reads a `finish_reason`.
pub(super) fn finish(word: &str) -> Finish {
    match word {
        "COMPLETE" => Finish::Stop,
        "STOP_SEQUENCE" => Finish::StopSequence(None),
        "MAX_TOKENS" => Finish::Length,
        "TOOL_CALL" => Finish::ToolCalls,
        other => Finish::Other(other.to_owned()),
    }
}

/// Writes a `finish_reason`.
pub(super) fn finish_word(finish: Option<&Finish>) -> &'static str {
    match finish {
        Some(Finish::StopSequence(_)) => "STOP_SEQUENCE",
        // A paused turn is not complete; that it can be gone on with has no word here.
        Some(Finish::Length | Finish::Pause) => "MAX_TOKENS",
        Some(Finish::ToolCalls) => "TOOL_CALL",
        Some(Finish::ContentFilter | Finish::MalformedCall) => ERROR,
        Some(Finish::Other(word)) if word == ERROR => ERROR,
        Some(Finish::Other(word)) if word == TIMEOUT => TIMEOUT,
        Some(Finish::Stop | Finish::Refusal | Finish::Other(_)) | None => "COMPLETE",
    }
}

/// A content block as it is written.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum WrittenBlock<'a> {
    Known(KnownBlock<'a>),
    /// Of a type that only Cohere knows.
    Other(&'a Json),
}

#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum KnownBlock<'a> {
    Text {
        text: Cow<'a, str>,
    },
    Thinking {
        thinking: &'a str,
        #[serde(flatten)]
        seal: Seal<'a>,
    },
    ImageUrl {
        image_url: WrittenImageUrl<'a>,
    },
}

#[derive(Debug, Serialize)]
pub(super) struct WrittenImageUrl<'a> {
    pub url: Cow<'a, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<&'a str>,
}

/// The members of our own that keep the seal on a thought.
#[derive(Debug, Default, Serialize)]
pub(super) struct Seal<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signature: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub redacted: Option<bool>,
}

impl<'a> Seal<'a> {
    /// The seal as a caller sees it.
    pub fn shown(signature: Option<&Signature>, id: Option<&'a str>, is_redacted: bool) -> Self {
        Self {
            signature: signature.map(|signature| signature.shown_to(Dialect::Cohere)),
            id,
            redacted: is_redacted.then_some(true),
        }
    }
}
