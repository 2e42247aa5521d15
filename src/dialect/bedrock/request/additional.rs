//! `additionalModelRequestFields`: what only a model knows.
//!
//! What the common form has a place for is read into it, whatever model it is for; the rest is kept by its path.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::read::reasoning;
use crate::dialect::bedrock::wire::{Fields, Object};
use crate::dialect::common::{Effort, Request, ThinkingBudget, ToolChoice};

pub(super) fn read(mut fields: Object<'_>, request: &mut Request) {
    if let Some(top_k) = fields.take_fitting("top_k") {
        request.top_k = Some(top_k);
    }
    if let Some(mut config) = take_object(&mut fields, "inferenceConfig") {
        if let Some(top_k) = config.take_fitting("topK") {
            request.top_k = Some(top_k);
        }
        read_nova(&mut config, request);
        config.keep_rest(request);
    }
    read_nova(&mut fields, request);
    for name in ["thinking", "reasoning_config"] {
        if let Some(thinking) = take_object(&mut fields, name) {
            read_thinking(thinking, request);
        }
    }
    for name in ["output_config", "reasoning"] {
        if let Some(mut config) = take_object(&mut fields, name) {
            read_effort(&mut config, "effort", request);
            config.keep_rest(request);
        }
    }
    read_effort(&mut fields, "reasoning_effort", request);
    read_effort(&mut fields, "reasoning_config", request);
    if let Some(choice) = fields.take_fitting("tool_choice") {
        read_tool_choice(choice, request);
    }
    fields.keep_rest(request);
}

fn take_object<'a>(fields: &mut Object<'a>, name: &str) -> Option<Object<'a>> {
    let json: &'a RawValue = fields
        .look(name)
        .filter(|json| json.get().starts_with('{'))?;
    let object = Object::parse(json.get(), fields.path_of(name)).ok()?;
    let _: Option<&RawValue> = fields.take_fitting(name);
    Some(object)
}

fn read_effort(fields: &mut Object<'_>, name: &str, request: &mut Request) {
    if let Some(Word(effort)) = fields.take_fitting(name) {
        reasoning(request).effort = Some(effort);
    }
}

/// Claude's, as in Anthropic's own dialect.
fn read_thinking(mut thinking: Object<'_>, request: &mut Request) {
    #[derive(Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum Kind {
        Enabled,
        Adaptive,
        Disabled,
        BetweenTools,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum Display {
        Summarized,
        Omitted,
    }
    let tokens: Option<u64> = thinking.take_fitting("budget_tokens");
    let budget = match thinking.take_fitting("type") {
        Some(Kind::Enabled) => Some(tokens.map_or(ThinkingBudget::Dynamic, ThinkingBudget::Tokens)),
        Some(Kind::Adaptive) => Some(ThinkingBudget::Dynamic),
        Some(Kind::Disabled | Kind::BetweenTools) => Some(ThinkingBudget::Off),
        None => tokens.map(ThinkingBudget::Tokens),
    };
    if budget.is_some() {
        reasoning(request).budget = budget;
    }
    if let Some(display) = thinking.take_fitting("display") {
        reasoning(request).show = Some(matches!(display, Display::Summarized));
    }
    thinking.keep_rest(request);
}

fn read_nova(fields: &mut Object<'_>, request: &mut Request) {
    #[derive(Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum Kind {
        Enabled,
        Disabled,
    }
    let Some(mut config) = take_object(fields, "reasoningConfig") else {
        return;
    };
    read_effort(&mut config, "maxReasoningEffort", request);
    match config.take_fitting("type") {
        Some(Kind::Disabled) => reasoning(request).effort = Some(Effort::None),
        Some(Kind::Enabled) => {
            let reasoning = reasoning(request);
            if reasoning.effort.is_none() {
                reasoning.budget = Some(ThinkingBudget::Dynamic);
            }
        }
        None => {}
    }
    config.keep_rest(request);
}

/// Claude's, which can say what `toolConfig.toolChoice` cannot: that no tool shall be called, or one at most.
fn read_tool_choice(choice: ReadChoice, request: &mut Request) {
    request.tool_choice = match (choice.r#type, choice.name) {
        (ChoiceKind::None, _) => Some(ToolChoice::None),
        (ChoiceKind::Any, _) => Some(ToolChoice::Required),
        (ChoiceKind::Tool, Some(name)) => Some(ToolChoice::Named(name)),
        (ChoiceKind::Auto | ChoiceKind::Tool, _) => {
            request.tool_choice.take().or(Some(ToolChoice::Auto))
        }
    };
    request.parallel_tool_calls = choice.disable_parallel_tool_use.map(|disable| !disable);
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ReadChoice {
    r#type: ChoiceKind,
    name: Option<String>,
    disable_parallel_tool_use: Option<bool>,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum ChoiceKind {
    Auto,
    Any,
    Tool,
    None,
}

/// An effort that the common form knows.
struct Word(Effort);

impl<'de> Deserialize<'de> for Word {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let word = std::borrow::Cow::<str>::deserialize(deserializer)?;
        let effort = Effort::named(&word).map(Self);
        effort.ok_or_else(|| serde::de::Error::custom("not an effort"))
    }
}

/// The fields as they are written.
#[derive(Debug, Default, Serialize)]
pub(super) struct Additional<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thinking: Option<Thinking<'a>>,
    #[serde(skip_serializing_if = "Effortful::is_empty")]
    pub output_config: Effortful<'a>,
    #[serde(skip_serializing_if = "Effortful::is_empty")]
    pub reasoning: Effortful<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reasoning_effort: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reasoning_config: Option<&'static str>,
    #[serde(
        rename = "reasoningConfig",
        skip_serializing_if = "NovaReasoning::is_empty"
    )]
    pub nova_reasoning: NovaReasoning<'a>,
    #[serde(
        rename = "inferenceConfig",
        skip_serializing_if = "NovaInference::is_empty"
    )]
    pub nova_inference: NovaInference<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_k: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_choice: Option<ClaudeChoice<'a>>,
    #[serde(flatten)]
    pub rest: Fields<'a>,
}

impl Additional<'_> {
    pub fn is_empty(&self) -> bool {
        self.thinking.is_none()
            && self.output_config.is_empty()
            && self.reasoning.is_empty()
            && self.reasoning_effort.is_none()
            && self.reasoning_config.is_none()
            && self.nova_reasoning.is_empty()
            && self.nova_inference.is_empty()
            && self.top_k.is_none()
            && self.tool_choice.is_none()
            && self.rest.is_empty()
    }
}

/// Claude's `thinking`.
#[derive(Debug, Serialize)]
pub(super) struct Thinking<'a> {
    #[serde(flatten)]
    pub kind: Option<ThinkingKind>,
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

/// An object with an effort.
#[derive(Debug, Default, Serialize)]
pub(super) struct Effortful<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub effort: Option<&'static str>,
    #[serde(flatten)]
    pub rest: Fields<'a>,
}

impl Effortful<'_> {
    fn is_empty(&self) -> bool {
        self.effort.is_none() && self.rest.is_empty()
    }
}

/// Nova's `reasoningConfig`.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct NovaReasoning<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub r#type: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_reasoning_effort: Option<&'static str>,
    #[serde(flatten)]
    pub rest: Fields<'a>,
}

impl NovaReasoning<'_> {
    fn is_empty(&self) -> bool {
        self.r#type.is_none() && self.max_reasoning_effort.is_none() && self.rest.is_empty()
    }
}

/// Nova's own `inferenceConfig`, beside that of Converse.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct NovaInference<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_k: Option<u64>,
    #[serde(flatten)]
    pub rest: Fields<'a>,
}

impl NovaInference<'_> {
    fn is_empty(&self) -> bool {
        self.top_k.is_none() && self.rest.is_empty()
    }
}

/// Claude's `tool_choice`.
#[derive(Debug, Serialize)]
pub(super) struct ClaudeChoice<'a> {
    pub r#type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disable_parallel_tool_use: Option<bool>,
}
