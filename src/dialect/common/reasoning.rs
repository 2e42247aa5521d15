//! How much a model thinks, in words and in tokens.

/// How much the model shall think.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reasoning {
    /// In words.
    pub effort: Option<Effort>,
    /// In tokens.
    pub budget: Option<ThinkingBudget>,
    /// Whether the caller wants to see thoughts or a summary of them (Gemini's `includeThoughts`; OpenAI's `summary`,
    /// Anthropic's `display`).
    pub show: Option<bool>,
}

/// OpenAI's scale of reasoning efforts; Anthropic's `max` is `XHigh`'s neighbour and read as [`Effort::Max`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Effort {
    /// No reasoning.
    None,
    /// As little as the model can.
    Minimal,
    /// Little.
    Low,
    /// The usual.
    Medium,
    /// Much.
    High,
    /// More.
    XHigh,
    /// As much as it can.
    Max,
}

impl Effort {
    const ALL: [Self; 7] = [
        Self::None,
        Self::Minimal,
        Self::Low,
        Self::Medium,
        Self::High,
        Self::XHigh,
        Self::Max,
    ];

    /// The word in OpenAI's, Anthropic's and (in upper case) Gemini's fields.
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Minimal => "minimal",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::XHigh => "xhigh",
            Self::Max => "max",
        }
    }

    /// Reads the word, in any case.
    pub fn named(name: &str) -> Option<Self> {
        let mut all = Self::ALL.into_iter();
        all.find(|effort| effort.name().eq_ignore_ascii_case(name))
    }

    /// The budget that stands for it where a provider counts tokens. The figures are the steps that Google publishes for
    /// its OpenAI-compatible endpoint (1,024 / 8,192 / 24,576), with one between and one above.
    pub const fn budget(self) -> ThinkingBudget {
        match self {
            Self::None => ThinkingBudget::Off,
            Self::Minimal | Self::Low => ThinkingBudget::Tokens(1_024),
            Self::Medium => ThinkingBudget::Tokens(8_192),
            Self::High => ThinkingBudget::Tokens(24_576),
            Self::XHigh | Self::Max => ThinkingBudget::Tokens(32_768),
        }
    }
}

/// How many tokens a model may think for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ThinkingBudget {
    /// None.
    Off,
    /// As many as the model finds right (Anthropic's `adaptive`, Gemini's -1).
    Dynamic,
    /// Up to so many.
    Tokens(u64),
}

impl ThinkingBudget {
    /// The effort that stands for it where a provider knows words only.
    pub const fn effort(self) -> Effort {
        match self {
            Self::Off => Effort::None,
            Self::Dynamic => Effort::Medium,
            Self::Tokens(0..=2_048) => Effort::Low,
            Self::Tokens(2_049..=12_288) => Effort::Medium,
            Self::Tokens(_) => Effort::High,
        }
    }
}

impl Reasoning {
    /// The effort, said or implied.
    pub fn as_effort(&self) -> Option<Effort> {
        self.effort.or(self.budget.map(ThinkingBudget::effort))
    }

    /// The budget, said or implied.
    pub fn as_budget(&self) -> Option<ThinkingBudget> {
        self.budget.or(self.effort.map(Effort::budget))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn efforts_and_budgets_stand_for_each_other() {
        for effort in [Effort::None, Effort::Low, Effort::Medium, Effort::High] {
            assert_eq!(effort.budget().effort(), effort);
            assert_eq!(Effort::named(&effort.name().to_uppercase()), Some(effort));
        }
    }
}
