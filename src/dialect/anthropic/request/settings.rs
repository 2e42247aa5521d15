//! The settings of a request, fitted to the model that it is for.
//!
//! A caller who speaks this dialect is taken at their word. Another's settings are fitted: what the model would refuse
//! is left out and noted, so that the request succeeds.

use std::borrow::Cow;

use super::objects::{
    FormatObject, OutputConfig, ThinkingKind, ThinkingObject, ToolChoiceKind, ToolChoiceObject,
    kept,
};
use crate::dialect::anthropic::OWN;
use crate::dialect::anthropic::models::{EffortMax, Model, Off, Sampling, Thinking};
use crate::dialect::anthropic::schema::enforceable;
use crate::dialect::common::{
    Content, Dropped, Effort, Feature, Format, Reasoning, Request, Role, ThinkingBudget, Tool,
    ToolChoice,
};

/// The smallest budget that Anthropic takes.
const BUDGET_MIN: u64 = 1_024;

/// From this `top_p` on, one may stand beside thinking.
const TOP_P_THINKING_MIN: f64 = 0.95;

/// The settings of a body.
#[derive(Debug)]
pub(super) struct Settings<'a> {
    pub max_tokens: u64,
    pub stop: Vec<&'a str>,
    pub temperature: Option<f64>,
    pub top_p: Option<f64>,
    pub top_k: Option<u64>,
    pub tool_choice: Option<ToolChoiceObject<'a>>,
    pub thinking: Option<ThinkingObject<'a>>,
    pub output_config: Option<OutputConfig<'a>>,
    pub service_tier: Option<&'a str>,
}

impl<'a> Settings<'a> {
    pub fn fit(request: &'a Request, model: &Model, dropped: &mut Dropped) -> Self {
        let mut fitting = Fitting {
            request,
            model,
            is_own: request.source == OWN,
            dropped,
        };
        let choice = fitting.tool_choice();
        let is_forced = choice.is_some_and(ToolChoiceKind::is_forced);
        let max_tokens = fitting.max_tokens();
        let (thinking, effort) = fitting.thinking(max_tokens, is_forced);
        let thinks = thinking.as_ref().is_some_and(|thinking| {
            matches!(
                thinking.kind,
                ThinkingKind::Enabled { .. } | ThinkingKind::Adaptive
            )
        });
        let (temperature, top_p, top_k) = fitting.sampling(thinks);
        let config = OutputConfig {
            effort,
            format: fitting.format(),
            rest: kept(request, "output_config."),
        };
        let has_config =
            config.effort.is_some() || config.format.is_some() || !config.rest.0.is_empty();
        Self {
            max_tokens,
            stop: fitting.stop(),
            temperature,
            top_p,
            top_k,
            tool_choice: choice.map(|kind| ToolChoiceObject {
                kind,
                disable_parallel_tool_use: request
                    .parallel_tool_calls
                    .filter(|_| kind != ToolChoiceKind::None)
                    .map(|parallel| !parallel),
                rest: kept(request, "tool_choice."),
            }),
            thinking,
            output_config: has_config.then_some(config),
            service_tier: fitting.service_tier(),
        }
    }
}

struct Fitting<'a, 'w> {
    request: &'a Request,
    model: &'w Model,
    is_own: bool,
    dropped: &'w mut Dropped,
}

impl<'a> Fitting<'a, '_> {
    /// Anthropic demands a limit: where the caller sets none, it is what the model can write.
    fn max_tokens(&mut self) -> u64 {
        let output_max = self.model.output_max;
        match self.request.max_tokens {
            None => output_max,
            Some(tokens) if tokens > output_max && self.model.is_claude && !self.is_own => {
                self.dropped.note(Feature::MaxTokens);
                output_max
            }
            Some(tokens) => tokens,
        }
    }

    /// A choice needs tools.
    fn tool_choice(&mut self) -> Option<ToolChoiceKind<'a>> {
        let has_tools = self.request.tools.iter().any(|tool| match tool {
            Tool::Function(_) => true,
            Tool::Hosted { dialect, .. } => *dialect == OWN,
        });
        let (kind, feature) = match &self.request.tool_choice {
            None => (
                self.request
                    .parallel_tool_calls
                    .map(|_| ToolChoiceKind::Auto),
                None,
            ),
            Some(ToolChoice::Auto) => (Some(ToolChoiceKind::Auto), None),
            Some(ToolChoice::None) => (Some(ToolChoiceKind::None), None),
            Some(ToolChoice::Required) => {
                (Some(ToolChoiceKind::Any), Some(Feature::ToolChoiceRequired))
            }
            Some(ToolChoice::Named(name)) => (
                Some(ToolChoiceKind::Tool { name }),
                Some(Feature::ToolChoiceNamed),
            ),
            Some(ToolChoice::Allowed { names, required }) => {
                let feature = Feature::ToolChoiceAllowed;
                let kind = match (names.as_slice(), required) {
                    ([name], true) => ToolChoiceKind::Tool { name },
                    (_, required) => {
                        self.dropped.note(feature);
                        match required {
                            true => ToolChoiceKind::Any,
                            false => ToolChoiceKind::Auto,
                        }
                    }
                };
                (Some(kind), Some(feature))
            }
        };
        let is_forced = kind.is_some_and(ToolChoiceKind::is_forced);
        let is_refused = is_forced && !self.model.is_forceable && !self.is_own;
        if let Some(feature) = feature {
            self.note_if(is_refused || (is_forced && !has_tools), feature);
        }
        let kind = match is_refused {
            true => Some(ToolChoiceKind::Auto),
            false => kind,
        };
        kind.filter(|_| has_tools || self.is_own)
    }

    /// `thinking`, and the effort of `output_config`.
    fn thinking(
        &mut self,
        max_tokens: u64,
        is_forced: bool,
    ) -> (Option<ThinkingObject<'a>>, Option<&'static str>) {
        let none = Reasoning::default();
        let reasoning = self.request.reasoning.as_ref().unwrap_or(&none);
        let (kind, effort) = match self.is_own {
            true => self.own(reasoning),
            false => self.fitted(reasoning, max_tokens, is_forced),
        };
        let show = match self.is_own {
            true => reasoning.show,
            false => self.request.shows_thoughts(),
        };
        let display = match (kind, show) {
            (Some(ThinkingKind::Adaptive), Some(true)) => Some("summarized"),
            (Some(ThinkingKind::Adaptive), Some(false)) => Some("omitted"),
            (Some(ThinkingKind::Enabled { .. }), Some(true)) if self.is_own => Some("summarized"),
            (Some(ThinkingKind::Enabled { .. }), Some(false)) if self.is_own => Some("omitted"),
            // Models that take a budget show their thoughts unasked.
            (Some(ThinkingKind::Enabled { .. }), _) | (_, None | Some(false)) => None,
            (_, Some(true)) => {
                self.note_if(reasoning.show.is_some(), Feature::ShowThinking);
                None
            }
        };
        let object = kind.map(|kind| ThinkingObject {
            kind,
            display,
            rest: kept(self.request, "thinking."),
        });
        (object, effort)
    }

    fn own(&self, reasoning: &Reasoning) -> (Option<ThinkingKind>, Option<&'static str>) {
        let kind = reasoning
            .budget
            .map(|budget| match (budget, self.model.off) {
                (ThinkingBudget::Tokens(budget_tokens), _) => {
                    ThinkingKind::Enabled { budget_tokens }
                }
                (ThinkingBudget::Dynamic, _) => ThinkingKind::Adaptive,
                (ThinkingBudget::Off, Off::BetweenTools) => ThinkingKind::BetweenTools,
                (ThinkingBudget::Off, _) => ThinkingKind::Disabled,
            });
        (kind, reasoning.effort.map(Effort::name))
    }

    fn fitted(
        &mut self,
        reasoning: &Reasoning,
        max_tokens: u64,
        is_forced: bool,
    ) -> (Option<ThinkingKind>, Option<&'static str>) {
        let is_off = match reasoning.budget {
            Some(budget) => budget == ThinkingBudget::Off,
            None => reasoning.effort == Some(Effort::None),
        };
        // Who thinks cannot be forced to call a tool.
        if is_forced && self.model.off != Off::Never {
            self.note_if(
                !is_off && reasoning.as_budget().is_some(),
                Feature::Reasoning,
            );
            return self.off();
        }
        if is_off {
            return self.off();
        }
        let Some(budget) = reasoning.as_budget() else {
            // A model that thinks unasked can be told to show it.
            let thinks = self.model.off != Off::Omit && reasoning.show.is_some();
            return (thinks.then_some(ThinkingKind::Adaptive), None);
        };
        let is_exact = matches!(reasoning.budget, Some(ThinkingBudget::Tokens(_)));
        let is_adaptive = match self.model.thinking {
            Thinking::Never => {
                self.dropped.note(Feature::Reasoning);
                return (None, None);
            }
            Thinking::Budget => false,
            Thinking::Both => !is_exact || self.goes_on_from_unsealed_call(),
            Thinking::Adaptive => true,
        };
        if is_adaptive {
            // A bare `adaptive` says nothing of the effort, and neither do we.
            let is_said = is_exact || reasoning.effort.is_some();
            let effort = reasoning.as_effort().filter(|_| is_said);
            let effort = effort.map(|effort| self.effort_word(effort));
            return (Some(ThinkingKind::Adaptive), effort);
        }
        // Anthropic refuses a budget in the middle of calls that began without a thought.
        if max_tokens <= BUDGET_MIN || self.goes_on_from_unsealed_call() {
            self.dropped.note(Feature::Reasoning);
            return (None, None);
        }
        let asked = match budget {
            ThinkingBudget::Tokens(tokens) => tokens,
            ThinkingBudget::Dynamic | ThinkingBudget::Off => BUDGET_MEDIUM,
        };
        // The budget is part of `max_tokens`; a quarter of that is left for the answer.
        let fits = match asked < max_tokens {
            true => asked,
            false => max_tokens / 4 * 3,
        };
        if fits < asked && is_exact {
            self.dropped.note(Feature::Reasoning);
        }
        let budget_tokens = fits.max(BUDGET_MIN);
        (Some(ThinkingKind::Enabled { budget_tokens }), None)
    }

    fn off(&mut self) -> (Option<ThinkingKind>, Option<&'static str>) {
        match self.model.off {
            Off::Omit => (None, None),
            Off::Disabled => (Some(ThinkingKind::Disabled), None),
            Off::BetweenTools => (Some(ThinkingKind::BetweenTools), None),
            Off::Never => {
                self.dropped.note(Feature::Reasoning);
                (None, Some(Effort::Low.name()))
            }
        }
    }

    fn effort_word(&self, effort: Effort) -> &'static str {
        let fits = match (effort, self.model.effort_max) {
            (Effort::None | Effort::Minimal, _) => Effort::Low,
            (Effort::XHigh | Effort::Max, EffortMax::High) => Effort::High,
            (Effort::XHigh, EffortMax::Max) => Effort::Max,
            (effort, _) => effort,
        };
        fits.name()
    }

    /// Whether the last turn of the model's ends in calls, and does not begin with a thought that can be sent.
    fn goes_on_from_unsealed_call(&self) -> bool {
        let is_assistant = |role: Role| role == Role::Assistant;
        let turns = &self.request.turns;
        let Some(end) = turns.iter().rposition(|turn| is_assistant(turn.role)) else {
            return false;
        };
        let is_result = |content: &Content| matches!(content, Content::ToolResult { .. });
        let mut answers = turns[end + 1..].iter().flat_map(|turn| &turn.parts);
        if !answers.any(|part| is_result(&part.content)) {
            return false;
        }
        let before = turns[..end]
            .iter()
            .rposition(|turn| !is_assistant(turn.role));
        let start = before.map_or(0, |before| before + 1);
        let mut said = turns[start..=end].iter().flat_map(|turn| &turn.parts);
        let is_sealed = |content: &Content| match content {
            Content::Thinking(thinking) => {
                let seal = thinking.signature.as_ref();
                seal.is_some_and(|seal| seal.origin == OWN)
            }
            _ => false,
        };
        let is_sent = |content: &Content| match content {
            Content::Thinking(_) => is_sealed(content),
            Content::Text { text, .. } => !text.trim().is_empty(),
            _ => true,
        };
        let first = said.find(|part| is_sent(&part.content));
        first.is_some_and(|part| !is_sealed(&part.content))
    }

    fn sampling(&mut self, thinks: bool) -> (Option<f64>, Option<f64>, Option<u64>) {
        let Request {
            temperature,
            top_p,
            top_k,
            ..
        } = *self.request;
        if self.is_own {
            return (temperature, top_p, top_k);
        }
        // To refuse 1, which every model has unasked, is no loss.
        let is_never = self.model.sampling == Sampling::Never;
        let (temperature, is_lost) = match temperature {
            Some(asked) if is_never || thinks => (None, asked != 1.0),
            Some(asked) if asked > 1.0 => (Some(1.0), true),
            asked => (asked, false),
        };
        self.note_if(is_lost, Feature::Temperature);
        let is_beside = self.model.sampling == Sampling::OneOfTwo && temperature.is_some();
        let (top_p, is_lost) = match top_p {
            Some(asked) if is_never || is_beside || (thinks && asked < TOP_P_THINKING_MIN) => {
                (None, asked != 1.0)
            }
            asked => (asked, false),
        };
        self.note_if(is_lost, Feature::TopP);
        let is_lost = top_k.is_some() && (is_never || thinks);
        self.note_if(is_lost, Feature::TopK);
        (temperature, top_p, top_k.filter(|_| !is_lost))
    }

    fn note_if(&mut self, is_lost: bool, feature: Feature) {
        if is_lost {
            self.dropped.note(feature);
        }
    }

    fn stop(&mut self) -> Vec<&'a str> {
        let texts = self.request.stop.iter().map(String::as_str);
        let fit: Vec<_> = texts
            .filter(|text| self.is_own || !text.trim_ascii().is_empty())
            .collect();
        self.note_if(fit.len() < self.request.stop.len(), Feature::Stop);
        fit
    }

    fn format(&mut self) -> Option<FormatObject<'a>> {
        match &self.request.format {
            Format::Text => None,
            // It is asked for in words.
            Format::Json => {
                self.dropped.note(Feature::JsonObject);
                None
            }
            Format::Schema {
                schema,
                description,
                ..
            } if self.model.has_schemas || self.is_own => {
                let schema = Cow::Borrowed(schema);
                let (schema, is_loss) = match self.is_own {
                    true => (schema, false),
                    false => enforceable(schema),
                };
                self.note_if(is_loss || description.is_some(), Feature::JsonSchema);
                Some(FormatObject::JsonSchema { schema })
            }
            Format::Schema { .. } => {
                self.dropped.note(Feature::JsonSchema);
                None
            }
        }
    }

    fn service_tier(&mut self) -> Option<&'a str> {
        match self.request.service_tier.as_deref()? {
            "auto" => Some("auto"),
            "default" => Some("standard_only"),
            tier if self.is_own => Some(tier),
            _ => {
                self.dropped.note(Feature::ServiceTier);
                None
            }
        }
    }
}

/// The budget where the caller leaves it to a model that cannot choose.
const BUDGET_MEDIUM: u64 = match Effort::Medium.budget() {
    ThinkingBudget::Tokens(tokens) => tokens,
    ThinkingBudget::Off | ThinkingBudget::Dynamic => BUDGET_MIN,
};
