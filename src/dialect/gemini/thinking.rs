//! How much a model thinks, in the words that it takes: `thinkingLevel` since Gemini 3, `thinkingBudget` before.
//!
//! Source: "Thinking" in Google's documentation, November 2026.

use super::wire::{Text, ThinkingConfig, Whole};
use crate::dialect::common::{Effort, Reasoning, ThinkingBudget};

/// How a model is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Control {
    /// It does not think.
    Nothing,
    /// In tokens, of so many to so many; also not at all, where it can be told so.
    Budget { min: u64, max: u64, has_off: bool },
    /// In words, least first.
    Levels(&'static [Effort]),
}

const LOW_HIGH: Control = Control::Levels(&[Effort::Low, Effort::High]);
const LOW_TO_HIGH: Control = Control::Levels(&[Effort::Low, Effort::Medium, Effort::High]);
const MINIMAL_TO_HIGH: Control =
    Control::Levels(&[Effort::Minimal, Effort::Low, Effort::Medium, Effort::High]);

const OTHER_BUDGET: Control = Control::Budget {
    min: 1,
    max: 24_576,
    has_off: true,
};

/// By what a model's name begins with; the first that fits.
const CONTROLS: &[(&str, Control)] = &[
    ("gemini-1", Control::Nothing),
    ("gemini-2.0", Control::Nothing),
    (
        "gemini-2.5-pro",
        Control::Budget {
            min: 128,
            max: 32_768,
            has_off: false,
        },
    ),
    ("gemini-2.5-flash-image", Control::Nothing),
    (
        "gemini-2.5-flash-lite",
        Control::Budget {
            min: 512,
            max: 24_576,
            has_off: true,
        },
    ),
    ("gemini-robotics-er-1", OTHER_BUDGET),
    ("gemini-2.5", OTHER_BUDGET),
    ("gemini-3-pro", LOW_HIGH),
    ("gemini-3-flash", MINIMAL_TO_HIGH),
    ("gemini-3.1-flash", MINIMAL_TO_HIGH),
    ("gemini-3.5-flash", MINIMAL_TO_HIGH),
    ("gemma", Control::Nothing),
    ("learnlm", Control::Nothing),
];

fn control(model: &str) -> Control {
    let name = bare(model);
    let known = CONTROLS.iter().find(|(lead, _)| name.starts_with(lead));
    // Newer models take at least these.
    known.map_or(LOW_TO_HIGH, |(_, control)| *control)
}

/// Whether `model` is of the third generation or later: it demands seals, and takes media in tools' results and their
/// resolution part by part.
pub fn is_third_generation(model: &str) -> bool {
    let Some(rest) = bare(model).strip_prefix("gemini-") else {
        return false;
    };
    // `gemini-flash-latest` is a new one.
    let old = ["1", "2", "robotics-er-1", "embedding"];
    !old.iter().any(|lead| rest.starts_with(lead))
}

fn bare(model: &str) -> &str {
    model.rsplit('/').next().unwrap_or(model)
}

/// The configuration that says `reasoning` to `model`, and whether it says all of it.
pub fn config(
    reasoning: &Reasoning,
    show: Option<bool>,
    model: &str,
) -> (Option<ThinkingConfig<'static>>, bool) {
    let control = control(model);
    let mut config = ThinkingConfig {
        include_thoughts: show,
        ..ThinkingConfig::default()
    };
    let is_whole = match control {
        Control::Nothing => {
            // Not to think is what it does anyway.
            let is_off = reasoning
                .as_budget()
                .is_none_or(|it| it == ThinkingBudget::Off);
            return (None, is_off);
        }
        Control::Budget { min, max, has_off } => match reasoning.as_budget() {
            None => true,
            Some(budget) => {
                let wanted = match budget {
                    ThinkingBudget::Off => 0,
                    ThinkingBudget::Dynamic => -1,
                    ThinkingBudget::Tokens(tokens) => tokens.clamp(min, max).cast_signed(),
                };
                let said = match (wanted, has_off) {
                    (0, false) => min.cast_signed(),
                    _ => wanted,
                };
                config.thinking_budget = Some(Whole(said));
                if said == 0 {
                    // It refuses to show thoughts that there are none of.
                    config.include_thoughts = None;
                }
                // An effort's budget is a figure of ours.
                match (reasoning.budget, budget) {
                    (Some(_), ThinkingBudget::Tokens(tokens)) => tokens.cast_signed() == said,
                    (_, ThinkingBudget::Off) => said == 0,
                    _ => true,
                }
            }
        },
        Control::Levels(levels) => match (reasoning.effort, reasoning.budget) {
            // To think as it finds right is what it does anyway.
            (None, None | Some(ThinkingBudget::Dynamic)) => true,
            _ => match reasoning.as_effort() {
                None => true,
                Some(effort) => {
                    let said = nearest(levels, effort);
                    config.thinking_level = Some(Text::from(said.name().to_ascii_uppercase()));
                    said == effort
                }
            },
        },
    };
    let is_empty = config.include_thoughts.is_none()
        && config.thinking_budget.is_none()
        && config.thinking_level.is_none();
    ((!is_empty).then_some(config), is_whole)
}

/// The least that is enough, else the most there is.
fn nearest(levels: &[Effort], wanted: Effort) -> Effort {
    let enough = levels.iter().find(|level| **level >= wanted);
    enough.or(levels.last()).copied().unwrap_or(wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(model: &str, effort: Option<Effort>, budget: Option<ThinkingBudget>) -> String {
        let reasoning = Reasoning {
            effort,
            budget,
            show: None,
        };
        let (config, is_whole) = config(&reasoning, None, model);
        let config = config.map(|config| serde_json::to_string(&config).unwrap());
        format!("{} {is_whole}", config.unwrap_or_default())
    }

    #[test]
    fn each_model_is_told_in_its_own_words() {
        use Effort as E;
        use ThinkingBudget as B;
        for (model, effort, budget, expected) in [
            (
                "gemini-2.5-flash",
                Some(E::None),
                None,
                r#"{"thinkingBudget":0} true"#,
            ),
            (
                "gemini-2.5-pro",
                Some(E::None),
                None,
                r#"{"thinkingBudget":128} false"#,
            ),
            (
                "gemini-2.5-pro",
                Some(E::Max),
                None,
                r#"{"thinkingBudget":32768} true"#,
            ),
            (
                "gemini-2.5-flash",
                None,
                Some(B::Tokens(50_000)),
                r#"{"thinkingBudget":24576} false"#,
            ),
            (
                "gemini-2.5-flash",
                None,
                Some(B::Dynamic),
                r#"{"thinkingBudget":-1} true"#,
            ),
            (
                "gemini-3-pro-preview",
                Some(E::Medium),
                None,
                r#"{"thinkingLevel":"HIGH"} false"#,
            ),
            (
                "gemini-3-flash-preview",
                Some(E::Minimal),
                None,
                r#"{"thinkingLevel":"MINIMAL"} true"#,
            ),
            (
                "gemini-3-flash-preview",
                Some(E::None),
                None,
                r#"{"thinkingLevel":"MINIMAL"} false"#,
            ),
            (
                "models/gemini-4-argon",
                Some(E::XHigh),
                None,
                r#"{"thinkingLevel":"HIGH"} false"#,
            ),
            (
                "gemini-4-argon",
                None,
                Some(B::Tokens(8_000)),
                r#"{"thinkingLevel":"MEDIUM"} true"#,
            ),
            ("gemini-4-argon", None, Some(B::Dynamic), " true"),
            ("gemini-2.0-flash", Some(E::High), None, " false"),
            ("gemini-2.0-flash", Some(E::None), None, " true"),
        ] {
            assert_eq!(said(model, effort, budget), expected, "{model}");
        }
    }

    #[test]
    fn the_generation_is_read_from_the_name() {
        for (model, expected) in [
            ("gemini-3.8-flash", true),
            ("gemini-4-argon", true),
            ("gemini-flash-latest", true),
            ("publishers/google/models/gemini-3-flash-preview", true),
            ("gemini-2.5-pro", false),
            ("gemini-1.5-pro", false),
            ("gemma-4-31b-it", false),
            ("1234567890", false),
        ] {
            assert_eq!(is_third_generation(model), expected, "{model}");
        }
    }
}
