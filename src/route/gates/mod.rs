//! Gates: whether a step's answer goes to the caller, or its request up to the next step.
//!
//! Invariant: pure. Nothing is asked and no clock is read but what [`Evidence`] brings, so the same evidence is always
//! judged alike. Each gate is a file; all of them look at no more than [`TEXT_MAX`] of a text, in linear time.

mod confidence;
mod json;
mod language;
mod logic;
mod look;
mod models;
mod phrases;
mod refusal;
mod repetition;
mod resolve;
mod schema;
mod section;
#[cfg(test)]
mod tests;
mod tools;

use std::time::{Duration, Instant};

use regex::Regex;

use crate::dialect::common::{Answer, Request};
use confidence::Confidence;
use logic::Trial;
pub use look::TEXT_MAX;
pub use models::{Agreement, Judge, Opinions, Question, agreement};
pub use section::{
    AgreementSection, GateForm, GateSection, GateWord, GatesSection, JudgeSection, LogprobSection,
};

/// What `default` stands for: what asks nobody, costs microseconds and hardly ever errs (docs/gates.md).
pub const DEFAULT: [&str; 7] = [
    "refusal",
    "empty",
    "truncated",
    "content_filter",
    "invalid_json",
    "invalid_tool_call",
    "repetition",
];

/// How much of a stream shows whether it is a refusal, in tokens.
const HOLD_TOKENS: u32 = 32;

/// A step's gates; any of them is enough.
#[derive(Debug)]
pub struct Gates {
    gates: Vec<Gate>,
}

/// One of them.
#[derive(Debug)]
enum Gate {
    Refusal,
    Empty,
    Truncated,
    ContentFilter,
    InvalidJson,
    InvalidToolCall,
    Repetition,
    Unsure,
    WrongLanguage,
    LogprobBelow(Confidence),
    ShorterThan(u32),
    Matches(Regex),
    NotMatches(Regex),
    Judge(Judge),
    Agreement(Agreement),
    All(Vec<Gate>),
    Any(Vec<Gate>),
    Not(Box<Gate>),
}

/// How much of a stream is held back before it is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Hold {
    /// So many tokens of text.
    First(u32),
    /// All of it.
    All,
}

/// What a gate says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The answer is not good enough.
    Fired,
    /// It is, as far as this gate goes.
    Passed,
    /// The gate cannot tell, so it stops nothing.
    Unknown,
}

/// What a judgement is made of.
#[derive(Clone, Copy)]
pub struct Evidence<'a> {
    /// What the caller asked.
    pub request: &'a Request,
    /// What the step answered so far, under the caller's names of tools.
    pub answer: &'a Answer,
    /// Whether that is all of it. Of the beginning of a stream, gates that need more say that they do not know.
    pub is_whole: bool,
    /// What models said when they were asked.
    pub opinions: &'a Opinions,
    /// Picks the answers that are judged where that is a share of them.
    pub seed: u64,
    /// Tells the time that each gate took.
    pub clock: &'a dyn Fn() -> Instant,
}

/// What becomes of an answer, and why.
#[derive(Debug)]
pub struct Judgement<'g> {
    /// What becomes of it.
    pub verdict: Verdict<'g>,
    /// What each gate said that was asked. Where the verdict was [`Verdict::Needs`], the next judgement says it again.
    pub decisions: Vec<Decision>,
}

/// What becomes of an answer.
#[derive(Debug)]
pub enum Verdict<'g> {
    /// It goes to the caller.
    Passed,
    /// The request goes up to the next step; which gate says so.
    Escalated(&'static str),
    /// That depends on models: ask them, note what they say in [`Opinions`], and judge again.
    Needs(Vec<Question<'g>>),
}

/// What one gate said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    /// The gate's word in the configuration.
    pub gate: &'static str,
    /// What it said.
    pub outcome: Outcome,
    /// How long it took, what models took not included.
    pub took: Duration,
}

impl Outcome {
    /// The word in metrics and logs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Fired => "fired",
            Self::Passed => "passed",
            Self::Unknown => "unknown",
        }
    }

    const fn fired_if(fires: bool) -> Self {
        match fires {
            true => Self::Fired,
            false => Self::Passed,
        }
    }
}

impl Gates {
    /// What becomes of an answer. Gates that ask models come last, and only if it still depends on them.
    pub fn judge<'g>(&'g self, evidence: &Evidence<'_>) -> Judgement<'g> {
        Trial::new(evidence).judge(&self.gates)
    }

    /// The least of a stream that lets every gate decide.
    pub fn hold(&self) -> Hold {
        let holds = self.leaves().into_iter().map(Gate::hold);
        holds.max().unwrap_or(Hold::First(0))
    }

    /// The gates that cannot decide by so much of a stream, each once.
    pub fn needing_more_than(&self, hold: Hold) -> Vec<&'static str> {
        let mut names = Vec::new();
        for gate in self.leaves() {
            if gate.hold() > hold && !names.contains(&gate.name()) {
                names.push(gate.name());
            }
        }
        names
    }

    /// Whether the provider should be asked for the log-probabilities of tokens.
    pub fn wants_logprobs(&self) -> bool {
        let is_one = |gate: &&Gate| matches!(gate, Gate::LogprobBelow(_));
        self.leaves().iter().any(is_one)
    }

    /// The models that score answers.
    pub fn models(&self) -> impl Iterator<Item = &Judge> {
        self.leaves().into_iter().filter_map(|gate| match gate {
            Gate::Judge(judge) => Some(judge),
            _ => None,
        })
    }

    /// Their words in the configuration, in its order.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.gates.iter().map(Gate::name)
    }

    /// Whether any of them asks models.
    pub fn asks_models(&self) -> bool {
        self.gates.iter().any(Gate::asks_models)
    }

    /// The gates that look at an answer themselves, in their order.
    fn leaves(&self) -> Vec<&Gate> {
        let mut leaves = Vec::new();
        self.gates
            .iter()
            .for_each(|gate| gate.add_leaves(&mut leaves));
        leaves
    }
}

impl Gate {
    /// Its word in the configuration.
    const fn name(&self) -> &'static str {
        match self {
            Self::Refusal => "refusal",
            Self::Empty => "empty",
            Self::Truncated => "truncated",
            Self::ContentFilter => "content_filter",
            Self::InvalidJson => "invalid_json",
            Self::InvalidToolCall => "invalid_tool_call",
            Self::Repetition => "repetition",
            Self::Unsure => "unsure",
            Self::WrongLanguage => "wrong_language",
            Self::LogprobBelow(_) => "logprob_below",
            Self::ShorterThan(_) => "shorter_than",
            Self::Matches(_) => "matches",
            Self::NotMatches(_) => "not_matches",
            Self::Judge(_) => "judge",
            Self::Agreement(_) => "agreement",
            Self::All(_) => "all",
            Self::Any(_) => "any",
            Self::Not(_) => "not",
        }
    }

    const fn hold(&self) -> Hold {
        match self {
            Self::Refusal | Self::Empty | Self::Unsure | Self::WrongLanguage => {
                Hold::First(HOLD_TOKENS)
            }
            // A piece of a stream has a character at least.
            Self::ShorterThan(chars) => Hold::First(*chars),
            _ => Hold::All,
        }
    }

    fn asks_models(&self) -> bool {
        let mut leaves = Vec::new();
        self.add_leaves(&mut leaves);
        let is_one = |gate: &&Self| matches!(gate, Self::Judge(_) | Self::Agreement(_));
        leaves.iter().any(is_one)
    }

    fn add_leaves<'g>(&'g self, leaves: &mut Vec<&'g Self>) {
        match self {
            Self::All(gates) | Self::Any(gates) => {
                gates.iter().for_each(|gate| gate.add_leaves(leaves));
            }
            Self::Not(gate) => gate.add_leaves(leaves),
            _ => leaves.push(self),
        }
    }
}
