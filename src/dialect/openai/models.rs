//! What OpenAI's models take, as far as they differ. Requests of other dialects are fitted to it; OpenAI's own callers are
//! left to know.
//!
//! Sources: OpenAI's pages of its models, and its guide "Reasoning models".

use crate::dialect::common::{Dropped, Effort, Feature, Request};

/// A family of models.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Model {
    /// The efforts that it knows, the least first; none where it cannot reason.
    efforts: &'static [Effort],
    sampling: Sampling,
    has_stop: bool,
}

/// When temperature, `top_p`, penalties, biases and log-probabilities are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sampling {
    Always,
    /// Where it does not reason: with the effort `none`, which some have where none is said.
    Unreasoned {
        by_default: bool,
    },
    Never,
}

/// A request's settings, as a model takes them.
#[derive(Clone, Copy, Debug)]
pub struct Fitted {
    /// The effort.
    pub effort: Option<Effort>,
    /// Whether temperature and all that goes with it are taken.
    pub takes_sampling: bool,
    /// Whether stop sequences are taken.
    pub takes_stop: bool,
}

impl Fitted {
    /// The settings of `request` for `model`, as they are where the caller's own dialect is OpenAI's (`is_own`) or the
    /// model is not known. Notes what is lost.
    pub fn new(request: &Request, model: &str, is_own: bool, dropped: &mut Dropped) -> Self {
        let reasoning = request.reasoning.as_ref();
        let asked = reasoning.and_then(|reasoning| reasoning.as_effort());
        let Some(model) = Model::of(model).filter(|_| !is_own) else {
            return Self {
                effort: asked,
                takes_sampling: true,
                takes_stop: true,
            };
        };
        let effort = asked.and_then(|asked| model.nearest(asked));
        let is_exact =
            asked == Some(Effort::None) || reasoning.is_some_and(|it| it.effort.is_some());
        let is_nothing = effort.is_none() && asked == Some(Effort::None);
        if asked != effort && !is_nothing && (is_exact || effort.is_none()) {
            dropped.note(Feature::Reasoning);
        }
        let takes_sampling = match model.sampling {
            Sampling::Always => true,
            Sampling::Unreasoned { by_default } => {
                effort.map_or(by_default, |effort| effort == Effort::None)
            }
            Sampling::Never => false,
        };
        let is_set = |value: Option<f64>, usual: f64| value.is_some_and(|value| value != usual);
        let lost = [
            (Feature::Temperature, is_set(request.temperature, 1.0)),
            (Feature::TopP, is_set(request.top_p, 1.0)),
            (
                Feature::PresencePenalty,
                is_set(request.presence_penalty, 0.0),
            ),
            (
                Feature::FrequencyPenalty,
                is_set(request.frequency_penalty, 0.0),
            ),
            (Feature::LogitBias, request.logit_bias.is_some()),
            (Feature::Logprobs, request.logprobs.is_some()),
        ];
        for (feature, is_set) in lost {
            if is_set && !takes_sampling {
                dropped.note(feature);
            }
        }
        if !request.stop.is_empty() && !model.has_stop {
            dropped.note(Feature::Stop);
        }
        Self {
            effort,
            takes_sampling,
            takes_stop: model.has_stop,
        }
    }
}

impl Model {
    const PLAIN: Self = Self {
        efforts: &[],
        sampling: Sampling::Always,
        has_stop: true,
    };

    /// The family of a model by its name, with or without who serves it before it.
    pub fn of(name: &str) -> Option<Self> {
        use Effort::{High, Low, Max, Medium, Minimal, None as Off, XHigh};
        const GPT_5: [&[Effort]; 3] = [
            &[Off, Low, Medium, High],
            &[Off, Low, Medium, High, XHigh],
            &[Off, Low, Medium, High, XHigh, Max],
        ];
        let name = name.rsplit('/').next().unwrap_or(name);
        let begins = |leads: &[&str]| leads.iter().any(|lead| name.starts_with(lead));
        if begins(&["gpt-3", "gpt-4", "gpt-35", "chatgpt", "gpt-5-chat"]) {
            return Some(Self::PLAIN);
        }
        if begins(&["o1-mini", "o1-preview"]) {
            return Some(Self {
                sampling: Sampling::Never,
                ..Self::PLAIN
            });
        }
        if begins(&["o1", "o3", "o4-mini"]) {
            return Some(Self {
                efforts: &[Low, Medium, High],
                sampling: Sampling::Never,
                has_stop: name.starts_with("o1"),
            });
        }
        let version = name.strip_prefix("gpt-5")?;
        let Some(minor) = version.strip_prefix('.') else {
            let efforts: &[Effort] = match version {
                version if version.starts_with("-pro") => &[High],
                version if version.starts_with("-codex") => &[Low, Medium, High],
                _ => &[Minimal, Low, Medium, High],
            };
            return Some(Self {
                efforts,
                sampling: Sampling::Never,
                has_stop: false,
            });
        };
        let digits = minor.bytes().take_while(u8::is_ascii_digit).count();
        let (minor, kind) = minor.split_at(digits);
        let minor: u32 = minor.parse().ok()?;
        let efforts = match minor {
            ..=1 => GPT_5[0],
            2..=5 => GPT_5[1],
            _ => GPT_5[2],
        };
        let efforts: &[Effort] = match kind {
            kind if kind.starts_with("-chat") => &[Medium],
            kind if kind.starts_with("-pro") => &efforts[2..],
            "-codex-max" => &[Low, Medium, High, XHigh],
            kind if kind.starts_with("-codex") => &efforts[1..],
            _ => efforts,
        };
        Some(Self {
            efforts,
            sampling: match efforts.contains(&Off) {
                true => Sampling::Unreasoned {
                    by_default: minor < 5,
                },
                false => Sampling::Never,
            },
            has_stop: minor >= 5,
        })
    }

    /// Whether it can reason.
    pub const fn reasons(&self) -> bool {
        !self.efforts.is_empty()
    }

    /// The least that is enough, else the most there is.
    fn nearest(&self, wanted: Effort) -> Option<Effort> {
        let enough = self.efforts.iter().find(|effort| **effort >= wanted);
        enough.or(self.efforts.last()).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::Dialect;
    use crate::dialect::common::{Carry, Reasoning};

    /// The effort, whether sampling and stops are taken, and what is told.
    fn fitted(model: &str, effort: Option<Effort>) -> (Option<Effort>, bool, bool, String) {
        let mut request = Request::new(Dialect::Anthropic, "m");
        request.temperature = Some(0.2);
        request.top_p = Some(1.0);
        request.stop = vec!["X".to_owned()];
        request.reasoning = effort.map(|effort| Reasoning {
            effort: Some(effort),
            ..Reasoning::default()
        });
        let mut dropped = Dropped::from(&request, Dialect::Chat, |_| Carry::Whole);
        let fitted = Fitted::new(&request, model, false, &mut dropped);
        (
            fitted.effort,
            fitted.takes_sampling,
            fitted.takes_stop,
            dropped.joined(),
        )
    }

    #[test]
    fn each_model_gets_what_it_takes() {
        use Effort as E;
        for (model, effort, expected) in [
            ("gpt-4o", Some(E::None), (None, true, true, "")),
            (
                "gpt-4.1-mini",
                Some(E::High),
                (None, true, true, "thinking"),
            ),
            (
                "gpt-5-mini",
                None,
                (None, false, false, "temperature,stop_sequences"),
            ),
            (
                "openai/gpt-5",
                Some(E::None),
                (
                    Some(E::Minimal),
                    false,
                    false,
                    "thinking,temperature,stop_sequences",
                ),
            ),
            (
                "o3",
                Some(E::High),
                (Some(E::High), false, false, "temperature,stop_sequences"),
            ),
            ("gpt-5.1", None, (None, true, false, "stop_sequences")),
            (
                "gpt-5.1",
                Some(E::Minimal),
                (
                    Some(E::Low),
                    false,
                    false,
                    "thinking,temperature,stop_sequences",
                ),
            ),
            (
                "gpt-5.6",
                Some(E::Max),
                (Some(E::Max), false, true, "temperature"),
            ),
            ("gpt-9", Some(E::Max), (Some(E::Max), true, true, "")),
            ("llama-3", Some(E::None), (Some(E::None), true, true, "")),
        ] {
            let (said, sampling, stop, told) = expected;
            let expected = (said, sampling, stop, told.to_owned());
            assert_eq!(fitted(model, effort), expected, "{model} {effort:?}");
        }
    }
}
