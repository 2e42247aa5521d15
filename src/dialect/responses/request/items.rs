//! The JSON of a request's items.

use std::borrow::Cow;

use serde::Serialize;

use crate::dialect::common::{Cache, Json};

/// An element of `input`.
#[derive(Serialize)]
#[serde(untagged)]
pub enum Entry<'a> {
    /// One that other dialects know, too.
    Item(Item<'a>),
    /// One as it came.
    Opaque(&'a Json),
}

/// An item that other dialects know, too.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Item<'a> {
    /// What someone says.
    Message {
        /// Who.
        role: &'static str,
        /// What.
        content: Parts<'a>,
    },
    /// The model calls a function.
    FunctionCall {
        /// Ties the output to it.
        call_id: Cow<'a, str>,
        /// The function.
        name: &'a str,
        /// JSON text.
        arguments: &'a str,
    },
    /// What the function answered.
    FunctionCallOutput {
        /// The call.
        call_id: Cow<'a, str>,
        /// The answer.
        output: Parts<'a>,
    },
    /// The model thinks.
    Reasoning {
        /// The item's id.
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<Cow<'a, str>>,
        /// What is shown of the thought.
        summary: Vec<PartOut<'a>>,
        /// The thought itself.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        content: Vec<PartOut<'a>>,
        /// The seal.
        #[serde(skip_serializing_if = "Option::is_none")]
        encrypted_content: Option<&'a str>,
    },
}

/// Text, or a list of parts.
#[derive(Serialize)]
#[serde(untagged)]
pub enum Parts<'a> {
    /// A text and nothing else.
    Text(Cow<'a, str>),
    /// Parts.
    List(Vec<AnyPart<'a>>),
}

impl Parts<'_> {
    /// Says that the tool failed. There is no field for it; every model understands the word before the text.
    pub fn say_error(&mut self) {
        const LEAD: &str = "Error: ";
        match self {
            Self::Text(text) if text.starts_with("Error") => {}
            Self::Text(text) => text.to_mut().insert_str(0, LEAD),
            Self::List(parts) => {
                let text = Cow::Borrowed(LEAD.trim_end());
                let lead = Marked {
                    part: PartOut::InputText { text },
                    prompt_cache_breakpoint: None,
                };
                parts.insert(0, AnyPart::Known(lead));
            }
        }
    }
}

/// A part of a message or an output.
#[derive(Serialize)]
#[serde(untagged)]
pub enum AnyPart<'a> {
    /// One that other dialects know, too.
    Known(Marked<'a>),
    /// One as it came.
    Opaque(&'a Json),
}

/// A part, and whether the prompt shall be cached up to it.
#[derive(Serialize)]
pub struct Marked<'a> {
    #[serde(flatten)]
    /// The part.
    pub part: PartOut<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    /// The mark.
    pub prompt_cache_breakpoint: Option<Breakpoint>,
}

/// A part that other dialects know, too.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum PartOut<'a> {
    /// Text for the model.
    InputText { text: Cow<'a, str> },
    /// A picture.
    InputImage {
        #[serde(skip_serializing_if = "Option::is_none")]
        image_url: Option<Cow<'a, str>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        file_id: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        detail: Option<&'a str>,
    },
    /// A document.
    InputFile {
        #[serde(skip_serializing_if = "Option::is_none")]
        filename: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        file_data: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        file_url: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        file_id: Option<&'a str>,
    },
    /// A recording.
    InputAudio { input_audio: AudioOut<'a> },
    /// Text of the model's.
    OutputText {
        text: &'a str,
        annotations: Vec<Cow<'a, Json>>,
    },
    /// The model's refusal.
    Refusal { refusal: &'a str },
    /// A part of the summary of a thought.
    SummaryText { text: &'a str },
    /// A part of a thought.
    ReasoningText { text: &'a str },
}

/// A recording.
#[derive(Serialize)]
pub struct AudioOut<'a> {
    /// Base64.
    pub data: &'a str,
    /// `wav` or `mp3`.
    pub format: &'static str,
}

/// A mark for the cache.
#[derive(Serialize)]
pub struct Breakpoint {
    mode: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    ttl: Option<&'static str>,
}

impl From<Cache> for Breakpoint {
    fn from(cache: Cache) -> Self {
        Self {
            mode: "explicit",
            ttl: match cache {
                Cache::Usual => None,
                Cache::Hour => Some("12h"),
            },
        }
    }
}
