//! What a request says, as far as an answer depends on it. Read in one pass, texts borrowed from the body.

use std::borrow::Cow;
use std::fmt;
use std::ops::Deref;

use serde::Deserialize;
use serde::de::{self, Deserializer, SeqAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

/// `POST /v1/chat/completions`
#[derive(Debug, Deserialize)]
pub(super) struct ChatRequest<'a> {
    #[serde(borrow)]
    pub(super) messages: Vec<Message<'a>>,
    #[serde(borrow)]
    pub(super) tools: Option<Vec<Tool<'a>>>,
    pub(super) tool_choice: Option<Value>,
    pub(super) parallel_tool_calls: Option<bool>,
    /// The older form of `tools`.
    #[serde(borrow)]
    pub(super) functions: Option<Vec<Function<'a>>>,
    /// The older form of `tool_choice`.
    pub(super) function_call: Option<Value>,
    #[serde(borrow)]
    pub(super) response_format: Option<ResponseFormat<'a>>,
    pub(super) max_tokens: Option<i64>,
    pub(super) max_completion_tokens: Option<i64>,
    pub(super) logprobs: Option<bool>,
    pub(super) top_logprobs: Option<i64>,
    pub(super) n: Option<i64>,
    pub(super) stop: Option<Stop>,
    pub(super) stream: Option<bool>,
    pub(super) stream_options: Option<StreamOptions>,
    pub(super) seed: Option<i64>,
    pub(super) temperature: Option<f64>,
    /// Whether the last message is the beginning of the answer, as vLLM has it.
    pub(super) continue_final_message: Option<bool>,
}

/// `POST /v1/completions`
#[derive(Debug, Deserialize)]
pub(super) struct CompletionRequest<'a> {
    #[serde(borrow)]
    pub(super) prompt: Option<Inputs<'a>>,
    pub(super) max_tokens: Option<i64>,
    pub(super) logprobs: Option<i64>,
    pub(super) echo: Option<bool>,
    pub(super) n: Option<i64>,
    pub(super) stop: Option<Stop>,
    pub(super) stream: Option<bool>,
    pub(super) stream_options: Option<StreamOptions>,
    pub(super) seed: Option<i64>,
    pub(super) temperature: Option<f64>,
}

/// `POST /v1/embeddings`
#[derive(Debug, Deserialize)]
pub(super) struct EmbeddingRequest<'a> {
    #[serde(borrow)]
    pub(super) input: Inputs<'a>,
    pub(super) dimensions: Option<i64>,
    #[serde(borrow)]
    pub(super) encoding_format: Option<Text<'a>>,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct StreamOptions {
    pub(super) include_usage: Option<bool>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Message<'a> {
    #[serde(borrow)]
    pub(super) role: Text<'a>,
    #[serde(borrow, default)]
    pub(super) content: Content<'a>,
    #[serde(borrow)]
    pub(super) tool_calls: Option<Vec<Tool<'a>>>,
    #[serde(borrow)]
    pub(super) function_call: Option<Function<'a>>,
}

/// A message's content: a string, or a list of parts.
#[derive(Debug, Default)]
pub(super) struct Content<'a> {
    pub(super) texts: Vec<Text<'a>>,
    pub(super) images: usize,
    pub(super) audios: usize,
    pub(super) files: usize,
}

/// A tool that is offered, or a call of one in the conversation so far.
#[derive(Debug, Deserialize)]
pub(super) struct Tool<'a> {
    #[serde(borrow)]
    pub(super) function: Option<Function<'a>>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Function<'a> {
    #[serde(borrow)]
    pub(super) name: Text<'a>,
    #[serde(borrow)]
    pub(super) description: Option<Text<'a>>,
    /// The schema of the arguments, of a tool that is offered.
    #[serde(borrow)]
    pub(super) parameters: Option<&'a RawValue>,
    /// The arguments, of a call.
    #[serde(borrow)]
    pub(super) arguments: Option<Text<'a>>,
}

#[derive(Debug, Deserialize)]
pub(super) struct ResponseFormat<'a> {
    #[serde(borrow, rename = "type")]
    pub(super) kind: Text<'a>,
    #[serde(borrow)]
    pub(super) json_schema: Option<JsonSchema<'a>>,
}

#[derive(Debug, Deserialize)]
pub(super) struct JsonSchema<'a> {
    #[serde(borrow)]
    pub(super) schema: Option<&'a RawValue>,
}

/// `stop`: one sequence or several.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Stop {
    One(String),
    Several(Vec<String>),
}

/// `input` and `prompt`: a text, texts, tokens, or lists of tokens.
#[derive(Debug)]
pub(super) struct Inputs<'a>(pub(super) Vec<Input<'a>>);

#[derive(Debug)]
pub(super) enum Input<'a> {
    Text(Text<'a>),
    Tokens(Vec<u32>),
}

/// A text, borrowed where the body holds it without escapes.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

impl Deref for Text<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl Stop {
    pub(super) fn sequences(&self) -> &[String] {
        match self {
            Self::One(sequence) => std::slice::from_ref(sequence),
            Self::Several(sequences) => sequences,
        }
    }
}

impl Content<'_> {
    pub(super) fn is_blank(&self) -> bool {
        self.texts.iter().all(|text| text.trim().is_empty())
    }
}

impl Input<'_> {
    pub(super) fn into_owned(self) -> Input<'static> {
        match self {
            Self::Text(Text(text)) => Input::Text(Text(Cow::Owned(text.into_owned()))),
            Self::Tokens(tokens) => Input::Tokens(tokens),
        }
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Content<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ContentVisitor)
    }
}

struct ContentVisitor;

impl<'de> Visitor<'de> for ContentVisitor {
    type Value = Content<'de>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a string or an array of content parts")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Content::default())
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Content {
            texts: vec![Text(Cow::Borrowed(text))],
            ..Content::default()
        })
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Content {
            texts: vec![Text(Cow::Owned(text.to_owned()))],
            ..Content::default()
        })
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut parts: A) -> Result<Self::Value, A::Error> {
        let mut content = Content::default();
        while let Some(part) = parts.next_element::<Part<'de>>()? {
            content.texts.extend(part.text);
            match &*part.kind {
                "text" | "refusal" => {}
                "image_url" => content.images += 1,
                "input_audio" => content.audios += 1,
                "file" => content.files += 1,
                other => {
                    return Err(de::Error::custom(format_args!(
                        "unknown content part {other}"
                    )));
                }
            }
        }
        Ok(content)
    }
}

#[derive(Deserialize)]
struct Part<'a> {
    #[serde(borrow, rename = "type")]
    kind: Text<'a>,
    #[serde(borrow)]
    text: Option<Text<'a>>,
}

impl<'de: 'a, 'a> Deserialize<'de> for Inputs<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(InputsVisitor)
    }
}

struct InputsVisitor;

impl<'de> Visitor<'de> for InputsVisitor {
    type Value = Inputs<'de>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a string, an array of strings, tokens, or arrays of tokens")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Inputs(vec![Input::Text(Text(Cow::Borrowed(text)))]))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Inputs(vec![Input::Text(Text(Cow::Owned(text.to_owned())))]))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        let mut inputs = Vec::new();
        let mut tokens = Vec::new();
        while let Some(item) = items.next_element::<Item<'de>>()? {
            match item {
                Item::Input(input) => inputs.push(input),
                Item::Token(token) => tokens.push(token),
            }
        }
        if tokens.is_empty() {
            Ok(Inputs(inputs))
        } else if inputs.is_empty() {
            Ok(Inputs(vec![Input::Tokens(tokens)]))
        } else {
            Err(de::Error::custom("tokens beside texts"))
        }
    }
}

/// An element of an input array.
enum Item<'a> {
    Input(Input<'a>),
    Token(u32),
}

impl<'de: 'a, 'a> Deserialize<'de> for Item<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ItemVisitor)
    }
}

struct ItemVisitor;

impl<'de> Visitor<'de> for ItemVisitor {
    type Value = Item<'de>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a string, a token or an array of tokens")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Item::Input(Input::Text(Text(Cow::Borrowed(text)))))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Item::Input(Input::Text(Text(Cow::Owned(text.to_owned())))))
    }

    fn visit_u64<E: de::Error>(self, token: u64) -> Result<Self::Value, E> {
        let token = u32::try_from(token).map_err(|_| E::custom("a token is below 2^32"))?;
        Ok(Item::Token(token))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        let mut tokens = Vec::new();
        while let Some(token) = items.next_element::<u32>()? {
            tokens.push(token);
        }
        Ok(Item::Input(Input::Tokens(tokens)))
    }
}
