//! Settings as they are written.

use std::borrow::Cow;

use serde::Serialize;

use crate::dialect::bedrock::wire::Fields;

/// `inferenceConfig`
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Inference<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_p: Option<f64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub stop_sequences: Vec<&'a str>,
    #[serde(flatten)]
    pub rest: Fields<'a>,
}

impl Inference<'_> {
    pub fn is_empty(&self) -> bool {
        self.max_tokens.is_none()
            && self.temperature.is_none()
            && self.top_p.is_none()
            && self.stop_sequences.is_empty()
            && self.rest.is_empty()
    }
}

/// `outputConfig`
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct OutputConfig<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text_format: Option<TextFormat<'a>>,
    #[serde(flatten)]
    pub rest: Fields<'a>,
}

impl OutputConfig<'_> {
    pub fn is_empty(&self) -> bool {
        self.text_format.is_none() && self.rest.is_empty()
    }
}

/// `textFormat`
#[derive(Debug, Serialize)]
pub(super) struct TextFormat<'a> {
    pub r#type: &'static str,
    pub structure: Structure<'a>,
}

/// What form the text has.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Structure<'a> {
    JsonSchema {
        schema: Cow<'a, str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        name: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        description: Option<&'a str>,
    },
}

/// `serviceTier`
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct ServiceTier<'a> {
    pub r#type: &'a str,
}
