//! From the section to gates, with everything that is wrong in it.

use regex::{Regex, RegexBuilder};

use super::confidence::Confidence;
use super::models::{Agreement, Judge};
use super::section::{
    AgreementSection, GateForm, GateSection, GateWord, GatesSection, JudgeSection, LogprobSection,
};
use super::{Gate, Gates, refusal};
use crate::config::{Document, ScalarOr};

/// How deep `all`, `any` and `not` may stand in each other.
const DEPTH_MAX: usize = 8;

/// The most gates of a step.
const GATES_MAX: usize = 64;

/// How large a compiled regular expression may be, in bytes.
const REGEX_BYTES_MAX: usize = 1 << 20;

/// The most answers that are compared: each is paid for.
const SAMPLES_MAX: u32 = 10;

impl Gates {
    /// Reads a step's gates, which stand at `path`; mistakes go to `document`. None if there are any.
    pub fn resolve(section: &GatesSection, path: &[&str], document: &mut Document) -> Option<Self> {
        refusal::prepare();
        let mut resolver = Resolver {
            document,
            path: path.iter().map(|key| (*key).to_owned()).collect(),
            gates: 0,
            asking: 0,
            is_good: true,
        };
        if section.is_empty() {
            let help = "write `[default]`, or leave the field out";
            let path: Vec<_> = resolver.path.iter().map(String::as_str).collect();
            let document = &mut *resolver.document;
            if document.is_empty(&path) {
                document
                    .warning(&path, "no gate: the step is never left")
                    .help(help);
            }
        }
        let gates = resolver.list(section, 1);
        resolver.is_good.then_some(Self { gates })
    }
}

struct Resolver<'d> {
    document: &'d mut Document,
    path: Vec<String>,
    gates: usize,
    /// How many of them ask models.
    asking: usize,
    is_good: bool,
}

impl Resolver<'_> {
    fn list(&mut self, sections: &[GateSection], depth: usize) -> Vec<Gate> {
        let mut gates = Vec::new();
        for (index, section) in sections.iter().enumerate() {
            self.path.push(index.to_string());
            gates.extend(self.gate(section, depth));
            self.path.pop();
        }
        // Who decides for nothing decides first.
        gates.sort_by_key(Gate::asks_models);
        gates
    }

    fn gate(&mut self, section: &GateSection, depth: usize) -> Option<Gate> {
        self.gates += 1;
        if self.gates == GATES_MAX + 1 {
            return self.error("", format!("a step may have {GATES_MAX} gates"));
        }
        match section {
            _ if self.gates > GATES_MAX => None,
            ScalarOr::Scalar(word) => Some(word.gate()),
            ScalarOr::Collection(form) => self.form(form, depth),
        }
    }

    fn form(&mut self, form: &GateForm, depth: usize) -> Option<Gate> {
        let nests = matches!(form, GateForm::All(_) | GateForm::Any(_) | GateForm::Not(_));
        if nests && depth >= DEPTH_MAX {
            let message = format!("gates may stand in each other {DEPTH_MAX} deep");
            return self.error("", message);
        }
        match form {
            GateForm::LogprobBelow(section) => self.confidence(section).map(Gate::LogprobBelow),
            GateForm::ShorterThan(0) => {
                self.error("shorter_than", "nothing is shorter than 0 characters")
            }
            GateForm::ShorterThan(chars) => Some(Gate::ShorterThan(*chars)),
            GateForm::Matches(text) => self.regex("matches", text).map(Gate::Matches),
            GateForm::NotMatches(text) => self.regex("not_matches", text).map(Gate::NotMatches),
            GateForm::Judge(section) => self.judge(section).map(Gate::Judge),
            GateForm::Agreement(section) => self.agreement(section).map(Gate::Agreement),
            GateForm::All(sections) => self.group("all", sections, depth).map(Gate::All),
            GateForm::Any(sections) => self.group("any", sections, depth).map(Gate::Any),
            GateForm::Not(section) => {
                self.path.push("not".to_owned());
                let gate = self.gate(section, depth + 1);
                self.path.pop();
                Some(Gate::Not(Box::new(gate?)))
            }
        }
    }

    fn group(&mut self, name: &str, sections: &[GateSection], depth: usize) -> Option<Vec<Gate>> {
        self.path.push(name.to_owned());
        let gates = self.list(sections, depth + 1);
        let path: Vec<_> = self.path.iter().map(String::as_str).collect();
        // What was left out for a mistake is not missing.
        let is_empty = self.document.is_empty(&path);
        self.path.pop();
        if is_empty {
            return self.error(name, format!("`{name}` has no gate"));
        }
        (!gates.is_empty()).then_some(gates)
    }

    fn confidence(&mut self, section: &ScalarOr<f64, LogprobSection>) -> Option<Confidence> {
        let (confidence, places) = match *section {
            ScalarOr::Scalar(mean) => (
                Confidence {
                    mean: Some(mean),
                    tail: None,
                },
                ["logprob_below"; 2],
            ),
            ScalarOr::Collection(LogprobSection { mean, tail }) => (
                Confidence { mean, tail },
                ["logprob_below.mean", "logprob_below.tail"],
            ),
        };
        let Confidence { mean, tail } = confidence;
        if mean.is_none() && tail.is_none() {
            let message = "`logprob_below` needs `mean`, `tail` or both";
            return self.error("logprob_below", message);
        }
        for (threshold, place) in [mean, tail].into_iter().zip(places) {
            let is_one = |threshold: f64| threshold <= 0.0 && threshold.is_finite();
            if threshold.is_some_and(|threshold| !is_one(threshold)) {
                let message = "a log-probability is 0 or less, such as -0.8";
                return self.error(place, message);
            }
        }
        Some(confidence)
    }

    fn regex(&mut self, name: &str, text: &str) -> Option<Regex> {
        let regex = RegexBuilder::new(text).size_limit(REGEX_BYTES_MAX).build();
        match regex {
            Ok(regex) => Some(regex),
            Err(regex::Error::CompiledTooBig(_)) => {
                let limit = REGEX_BYTES_MAX >> 20;
                let message = format!("`{name}` takes more than {limit} MiB when it is compiled");
                self.error(name, message)
            }
            Err(error) => {
                // The last line says what is wrong, those before it show where.
                let error = error.to_string();
                let reason = error.lines().last().unwrap_or_default();
                let reason = reason.trim_start_matches("error: ");
                self.error(name, format!("`{name}` is no regular expression: {reason}"))
            }
        }
    }

    fn judge(&mut self, section: &JudgeSection) -> Option<Judge> {
        let JudgeSection {
            model,
            question,
            pass_above,
            sample,
        } = section.clone();
        if question.trim().is_empty() {
            return self.error("judge.question", "`question` asks nothing");
        }
        if !(0.0..1.0).contains(&pass_above) {
            let message = "`pass_above` must be from 0 to below 1: scores are from 0 to 1";
            return self.error("judge.pass_above", message);
        }
        self.share("judge.sample", sample)?;
        Some(Judge {
            model,
            question,
            pass_above,
            sample,
            place: self.next_place(),
        })
    }

    fn agreement(&mut self, section: &AgreementSection) -> Option<Agreement> {
        let AgreementSection { samples, of } = *section;
        if !(2..=SAMPLES_MAX).contains(&samples) {
            let message = format!("`samples` must be from 2 to {SAMPLES_MAX}");
            return self.error("agreement.samples", message);
        }
        self.share("agreement.of", of)?;
        Some(Agreement {
            samples,
            of,
            place: self.next_place(),
        })
    }

    fn share(&mut self, place: &str, share: f64) -> Option<()> {
        if share > 0.0 && share <= 1.0 {
            return Some(());
        }
        let name = place.rsplit('.').next().unwrap_or(place);
        self.error(place, format!("`{name}` must be above 0 and at most 1"))
    }

    fn next_place(&mut self) -> usize {
        self.asking += 1;
        self.asking - 1
    }

    /// Reports a mistake at `place`, keys behind the path with a dot between them.
    fn error<T>(&mut self, place: &str, message: impl Into<String>) -> Option<T> {
        self.is_good = false;
        let keys = place.split('.').filter(|key| !key.is_empty());
        let path: Vec<_> = self.path.iter().map(String::as_str).chain(keys).collect();
        self.document.error(&path, message);
        None
    }
}

impl GateWord {
    fn gate(self) -> Gate {
        match self {
            Self::Default => Gate::Any(vec![
                Gate::Refusal,
                Gate::Empty,
                Gate::Truncated,
                Gate::ContentFilter,
                Gate::InvalidJson,
                Gate::InvalidToolCall,
                Gate::Repetition,
            ]),
            Self::Refusal => Gate::Refusal,
            Self::Empty => Gate::Empty,
            Self::Truncated => Gate::Truncated,
            Self::ContentFilter => Gate::ContentFilter,
            Self::InvalidJson => Gate::InvalidJson,
            Self::InvalidToolCall => Gate::InvalidToolCall,
            Self::Repetition => Gate::Repetition,
            Self::Unsure => Gate::Unsure,
            Self::WrongLanguage => Gate::WrongLanguage,
        }
    }
}
