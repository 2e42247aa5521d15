//! The body of a request as it is written.

use std::borrow::Cow;

use serde::Serialize;
use serde_json::value::RawValue;

use crate::dialect::anthropic::OWN;
use crate::dialect::anthropic::block::Item;
use crate::dialect::anthropic::wire::{CacheControl, Fields};
use crate::dialect::common::{Json, Request};

/// A body. What stays the same from turn to turn stands first, so that a provider's cache finds it again.
#[derive(Debug, Serialize)]
pub(super) struct Body<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub anthropic_version: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub system: Option<System<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tools: Vec<ToolItem<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_choice: Option<ToolChoiceObject<'a>>,
    pub messages: Vec<Message<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<u64>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub stream: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub stop_sequences: Vec<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_p: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_k: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thinking: Option<ThinkingObject<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output_config: Option<OutputConfig<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Metadata<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_tier: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache_control: Option<CacheControl>,
    #[serde(flatten)]
    pub rest: Fields<'a>,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum System<'a> {
    Text(Cow<'a, str>),
    Items(Vec<Item<'a>>),
}

#[derive(Debug, Serialize)]
pub(super) struct Message<'a> {
    pub role: &'static str,
    pub content: Vec<Item<'a>>,
    #[serde(flatten)]
    pub rest: Fields<'a>,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum ToolItem<'a> {
    Function {
        name: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        description: Option<&'a str>,
        input_schema: Cow<'a, Json>,
        #[serde(skip_serializing_if = "Option::is_none")]
        strict: Option<bool>,
        #[serde(skip_serializing_if = "Option::is_none")]
        cache_control: Option<CacheControl>,
        #[serde(flatten)]
        rest: RawFields<'a>,
    },
    Hosted(&'a Json),
}

/// Members of a tool's own.
#[derive(Debug, Default)]
pub(super) struct RawFields<'a>(pub Vec<(&'a str, &'a RawValue)>);

impl Serialize for RawFields<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().copied())
    }
}

#[derive(Debug, Serialize)]
pub(super) struct ToolChoiceObject<'a> {
    #[serde(flatten)]
    pub kind: ToolChoiceKind<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disable_parallel_tool_use: Option<bool>,
    #[serde(flatten)]
    pub rest: Fields<'a>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum ToolChoiceKind<'a> {
    Auto,
    Any,
    None,
    Tool { name: &'a str },
}

impl ToolChoiceKind<'_> {
    pub const fn is_forced(self) -> bool {
        matches!(self, Self::Any | Self::Tool { .. })
    }
}

#[derive(Debug, Serialize)]
pub(super) struct ThinkingObject<'a> {
    #[serde(flatten)]
    pub kind: ThinkingKind,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub display: Option<&'static str>,
    #[serde(flatten)]
    pub rest: Fields<'a>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum ThinkingKind {
    Enabled { budget_tokens: u64 },
    Adaptive,
    Disabled,
    BetweenTools,
}

#[derive(Debug, Serialize)]
pub(super) struct OutputConfig<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub effort: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub format: Option<FormatObject<'a>>,
    #[serde(flatten)]
    pub rest: Fields<'a>,
}

#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum FormatObject<'a> {
    JsonSchema { schema: Cow<'a, Json> },
}

#[derive(Debug, Serialize)]
pub(super) struct Metadata<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_id: Option<Cow<'a, str>>,
    #[serde(flatten)]
    pub rest: Fields<'a>,
}

/// Objects whose unknown members are kept under their path.
const KEPT: [&str; 5] = [
    "thinking.",
    "output_config.",
    "metadata.",
    "tool_choice.",
    "tools.",
];

/// What the caller said in the object `lead` (`thinking.`) that the common form does not know; with an empty lead, at
/// the top. Nothing if the caller spoke another dialect.
pub(super) fn kept<'a>(request: &'a Request, lead: &str) -> Fields<'a> {
    if request.source != OWN {
        return Fields::default();
    }
    let own = request.extra.iter().filter_map(|(path, json)| {
        let is_elsewhere = lead.is_empty() && KEPT.iter().any(|kept| path.starts_with(kept));
        let name = path.strip_prefix(lead).filter(|_| !is_elsewhere);
        Some((name?, json))
    });
    Fields(own.collect())
}
