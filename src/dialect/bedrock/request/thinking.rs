//! How much the model shall think, in the words of its family.

use super::additional::{Additional, Thinking, ThinkingKind};
use crate::dialect::anthropic::models::Thinking as Way;
use crate::dialect::anthropic::models::{EffortMax, Model as Claude, Off};
use crate::dialect::bedrock::family::{EffortField, Family};
use crate::dialect::bedrock::{OWN, SEALS};
use crate::dialect::common::{
    Content, Dropped, Effort, Feature, Reasoning, Request, Role, ThinkingBudget,
};

/// The smallest budget that a Claude takes.
const BUDGET_MIN: u64 = 1_024;

/// Writes what `request` asks for into `fields`; what the model would refuse is left out and noted. `is_forced` is
/// whether the model must call a tool.
pub(super) fn write(
    request: &Request,
    family: &Family,
    is_forced: bool,
    fields: &mut Additional<'_>,
    dropped: &mut Dropped,
) {
    let none = Reasoning::default();
    let reasoning = request.reasoning.as_ref().unwrap_or(&none);
    let is_own = request.source == OWN;
    match (family.effort, &family.claude) {
        (EffortField::Never, Some(claude)) if !is_own => {
            let mut fitting = Fitting {
                request,
                claude,
                is_forced,
                dropped,
            };
            let (kind, effort) = fitting.fit(reasoning);
            fields.output_config.effort = effort;
            fields.thinking = fitting.shown(kind, reasoning);
        }
        // What a caller of this dialect said in a Claude's words stays in them, whatever the model is.
        (EffortField::Never, claude) if is_own => {
            let off = claude.map(|claude| claude.off);
            fields.output_config.effort = reasoning.effort.map(Effort::name);
            let kind = reasoning.budget.map(|budget| match (budget, off) {
                (ThinkingBudget::Tokens(budget_tokens), _) => {
                    ThinkingKind::Enabled { budget_tokens }
                }
                (ThinkingBudget::Dynamic, _) => ThinkingKind::Adaptive,
                (ThinkingBudget::Off, Some(Off::BetweenTools)) => ThinkingKind::BetweenTools,
                (ThinkingBudget::Off, _) => ThinkingKind::Disabled,
            });
            let display = reasoning.show.map(display);
            if kind.is_some() || display.is_some() {
                let rest = Default::default();
                fields.thinking = Some(Thinking {
                    kind,
                    display,
                    rest,
                });
            }
        }
        (field, _) => {
            // Such models show their thoughts, if they have any, unasked.
            if field == EffortField::Never && reasoning.show == Some(true) {
                dropped.note(Feature::ShowThinking);
            }
            if let Some(effort) = reasoning.as_effort() {
                write_effort(effort, field, request, fields, dropped);
            }
        }
    }
}

fn write_effort(
    effort: Effort,
    field: EffortField,
    request: &Request,
    fields: &mut Additional<'_>,
    dropped: &mut Dropped,
) {
    let of_three = match effort {
        Effort::None => None,
        Effort::Minimal | Effort::Low => Some(Effort::Low),
        Effort::Medium => Some(Effort::Medium),
        Effort::High | Effort::XHigh | Effort::Max => Some(Effort::High),
    };
    match field {
        EffortField::Never if effort == Effort::None => {}
        EffortField::Never => dropped.note(Feature::Reasoning),
        EffortField::Nova => {
            // Beside a high effort it takes no limit, and a limit is not given up.
            let has_limit = request.max_tokens.is_some() && request.source != OWN;
            let fits = match of_three {
                Some(Effort::High) if has_limit => {
                    dropped.note(Feature::Reasoning);
                    Some(Effort::Medium)
                }
                fits => fits,
            };
            let kind = if fits.is_some() {
                "enabled"
            } else {
                "disabled"
            };
            fields.nova_reasoning.r#type = Some(kind);
            fields.nova_reasoning.max_reasoning_effort = fits.map(Effort::name);
        }
        EffortField::Flat => {
            if of_three.is_none() {
                dropped.note(Feature::Reasoning);
            }
            fields.reasoning_effort = Some(of_three.unwrap_or(Effort::Low).name());
        }
        EffortField::Nested => {
            let effort = match effort {
                Effort::Minimal => Effort::Low,
                effort => effort,
            };
            fields.reasoning.effort = Some(effort.name());
        }
        EffortField::Qwen => fields.reasoning_config = of_three.map(Effort::name),
    }
}

const fn display(show: bool) -> &'static str {
    match show {
        true => "summarized",
        false => "omitted",
    }
}

/// Fits what a caller of another dialect asks for to a Claude.
struct Fitting<'a, 'w> {
    request: &'a Request,
    claude: &'a Claude,
    is_forced: bool,
    dropped: &'w mut Dropped,
}

impl Fitting<'_, '_> {
    fn fit(&mut self, reasoning: &Reasoning) -> (Option<ThinkingKind>, Option<&'static str>) {
        let is_off = match reasoning.budget {
            Some(budget) => budget == ThinkingBudget::Off,
            None => reasoning.effort == Some(Effort::None),
        };
        // Who thinks cannot be forced to call a tool.
        if self.is_forced && self.claude.is_forceable && self.claude.off != Off::Never {
            if !is_off && reasoning.as_budget().is_some() {
                self.dropped.note(Feature::Reasoning);
            }
            return self.off();
        }
        if is_off {
            return self.off();
        }
        let Some(budget) = reasoning.as_budget() else {
            // A model that thinks unasked can be told to show it.
            let thinks = self.claude.off != Off::Omit && reasoning.show.is_some();
            return (thinks.then_some(ThinkingKind::Adaptive), None);
        };
        let is_exact = matches!(reasoning.budget, Some(ThinkingBudget::Tokens(_)));
        let is_adaptive = match self.claude.thinking {
            Way::Never => {
                self.dropped.note(Feature::Reasoning);
                return (None, None);
            }
            Way::Budget => false,
            Way::Both => !is_exact || self.goes_on_from_unsealed_call(),
            Way::Adaptive => true,
        };
        if is_adaptive {
            // A bare `adaptive` says nothing of the effort, and neither do we.
            let is_said = is_exact || reasoning.effort.is_some();
            let effort = reasoning.as_effort().filter(|_| is_said);
            return (
                Some(ThinkingKind::Adaptive),
                effort.map(|effort| self.word(effort)),
            );
        }
        // A budget is refused in the middle of calls that began without a thought.
        let output_max = self.claude.output_max;
        let limit = self.request.max_tokens;
        let limit = limit.map_or(output_max, |limit| limit.min(output_max));
        if limit <= BUDGET_MIN || self.goes_on_from_unsealed_call() {
            self.dropped.note(Feature::Reasoning);
            return (None, None);
        }
        let asked = match budget {
            ThinkingBudget::Tokens(tokens) => tokens,
            ThinkingBudget::Dynamic | ThinkingBudget::Off => BUDGET_USUAL,
        };
        // The budget is part of the limit; a quarter of that is left for the answer.
        let fits = match asked < limit {
            true => asked,
            false => limit / 4 * 3,
        };
        if fits < asked && is_exact {
            self.dropped.note(Feature::Reasoning);
        }
        let budget_tokens = fits.max(BUDGET_MIN);
        (Some(ThinkingKind::Enabled { budget_tokens }), None)
    }

    fn off(&mut self) -> (Option<ThinkingKind>, Option<&'static str>) {
        match self.claude.off {
            Off::Omit => (None, None),
            Off::Disabled => (Some(ThinkingKind::Disabled), None),
            Off::BetweenTools => (Some(ThinkingKind::BetweenTools), None),
            Off::Never => {
                self.dropped.note(Feature::Reasoning);
                (None, Some(Effort::Low.name()))
            }
        }
    }

    fn word(&self, effort: Effort) -> &'static str {
        let fits = match (effort, self.claude.effort_max) {
            (Effort::None | Effort::Minimal, _) => Effort::Low,
            (Effort::XHigh | Effort::Max, EffortMax::High) => Effort::High,
            (Effort::XHigh, EffortMax::Max) => Effort::Max,
            (effort, _) => effort,
        };
        fits.name()
    }

    fn shown(
        &mut self,
        kind: Option<ThinkingKind>,
        reasoning: &Reasoning,
    ) -> Option<Thinking<'static>> {
        let display = match (kind, self.request.shows_thoughts()) {
            (Some(ThinkingKind::Adaptive), show) => show.map(display),
            // Models that take a budget show their thoughts unasked.
            (Some(ThinkingKind::Enabled { .. }), _) | (_, None | Some(false)) => None,
            (_, Some(true)) => {
                if reasoning.show.is_some() {
                    self.dropped.note(Feature::ShowThinking);
                }
                None
            }
        };
        kind.map(|kind| Thinking {
            kind: Some(kind),
            display,
            rest: Default::default(),
        })
    }

    /// Whether tools have answered calls of the model's that do not begin with a thought which can be sent.
    fn goes_on_from_unsealed_call(&self) -> bool {
        let turns = &self.request.turns;
        let Some(end) = turns.iter().rposition(|turn| turn.role == Role::Assistant) else {
            return false;
        };
        let is_result = |content: &Content| matches!(content, Content::ToolResult { .. });
        let mut answers = turns[end + 1..].iter().flat_map(|turn| &turn.parts);
        if !answers.any(|part| is_result(&part.content)) {
            return false;
        }
        let before = turns[..end]
            .iter()
            .rposition(|turn| turn.role != Role::Assistant);
        let start = before.map_or(0, |before| before + 1);
        let mut said = turns[start..=end].iter().flat_map(|turn| &turn.parts);
        let is_sealed = |content: &Content| match content {
            Content::Thinking(thinking) => {
                let seal = thinking.signature.as_ref();
                seal.is_some_and(|seal| seal.origin == SEALS)
            }
            _ => false,
        };
        let first = said.find(|part| match &part.content {
            Content::Thinking(_) => is_sealed(&part.content),
            Content::Text { text, .. } => !text.trim().is_empty(),
            _ => true,
        });
        first.is_some_and(|part| !is_sealed(&part.content))
    }
}

/// The budget where the caller leaves it to a model that cannot choose.
const BUDGET_USUAL: u64 = match Effort::Medium.budget() {
    ThinkingBudget::Tokens(tokens) => tokens,
    ThinkingBudget::Off | ThinkingBudget::Dynamic => BUDGET_MIN,
};
