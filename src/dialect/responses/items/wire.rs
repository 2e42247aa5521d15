//! The JSON of an answer's items, as far as it is read.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::dialect::common::{Malformed, TokenLogprob};
use crate::dialect::responses::fields::Text;

/// An item's type.
pub fn kind(raw: &RawValue) -> Result<String, Malformed> {
    #[derive(Deserialize)]
    struct Head<'a> {
        #[serde(borrow, rename = "type", default)]
        kind: Text<'a>,
    }
    let Head { kind } = serde_json::from_str(raw.get())?;
    Ok(kind.0.into_owned())
}

/// Tokens with their log-probabilities. What has another shape is as good as none: an answer is not refused for it.
pub fn tokens(raw: &RawValue) -> Vec<TokenLogprob> {
    #[derive(Deserialize)]
    struct Token {
        token: String,
        logprob: f64,
        bytes: Option<Vec<u8>>,
        top_logprobs: Option<Vec<Token>>,
    }
    fn read(token: Token) -> TokenLogprob {
        let top = token.top_logprobs.unwrap_or_default();
        TokenLogprob {
            token: token.token,
            logprob: token.logprob,
            bytes: token.bytes,
            top: top.into_iter().map(read).collect(),
        }
    }
    let tokens: Vec<Token> = serde_json::from_str(raw.get()).unwrap_or_default();
    tokens.into_iter().map(read).collect()
}

/// A message.
#[derive(Deserialize)]
pub struct WireMessage<'a> {
    #[serde(borrow)]
    pub content: Option<Vec<&'a RawValue>>,
}

/// A part of a message.
#[derive(Deserialize)]
pub struct WirePart<'a> {
    #[serde(borrow, rename = "type", default)]
    pub kind: Text<'a>,
    #[serde(borrow)]
    pub text: Option<Text<'a>>,
    #[serde(borrow)]
    pub refusal: Option<Text<'a>>,
    #[serde(borrow)]
    pub annotations: Option<Vec<&'a RawValue>>,
    #[serde(borrow)]
    pub logprobs: Option<&'a RawValue>,
}

/// A call of a function.
#[derive(Deserialize)]
pub struct WireCall<'a> {
    #[serde(borrow)]
    pub id: Option<Text<'a>>,
    #[serde(borrow)]
    pub call_id: Option<Text<'a>>,
    #[serde(borrow)]
    pub name: Option<Text<'a>>,
    #[serde(borrow)]
    pub arguments: Option<Text<'a>>,
}

/// A thought.
#[derive(Deserialize)]
pub struct WireReasoning<'a> {
    #[serde(borrow)]
    pub id: Option<Text<'a>>,
    #[serde(borrow)]
    pub summary: Option<Vec<WireText<'a>>>,
    #[serde(borrow)]
    pub content: Option<Vec<WireText<'a>>>,
    #[serde(borrow)]
    pub encrypted_content: Option<Text<'a>>,
}

/// A part of a thought.
#[derive(Deserialize)]
pub struct WireText<'a> {
    #[serde(borrow, default)]
    pub text: Text<'a>,
}
