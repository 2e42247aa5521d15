//! From what single gates say to what becomes of an answer.

use super::look::Look;
use super::models::Question;
use super::{
    Decision, Evidence, Gate, Hold, Judgement, Outcome, Verdict, json, language, refusal,
    repetition, tools,
};
use crate::dialect::common::{Finish, Request};

/// One answer before the gates.
pub(super) struct Trial<'e, 'g> {
    evidence: &'e Evidence<'e>,
    looks: Vec<Look<'e>>,
    decisions: Vec<Decision>,
    questions: Vec<Question<'g>>,
}

/// What a gate says, and which one says it; an outcome of None depends on the questions.
struct Said {
    gate: &'static str,
    outcome: Option<Outcome>,
}

impl<'e, 'g> Trial<'e, 'g> {
    pub(super) fn new(evidence: &'e Evidence<'e>) -> Self {
        Self {
            evidence,
            looks: evidence.answer.choices.iter().map(Look::at).collect(),
            decisions: Vec::new(),
            questions: Vec::new(),
        }
    }

    pub(super) fn judge(mut self, gates: &'g [Gate]) -> Judgement<'g> {
        let said = self.any(gates);
        Judgement {
            verdict: match said.outcome {
                Some(Outcome::Fired) => Verdict::Escalated(said.gate),
                Some(Outcome::Passed | Outcome::Unknown) => Verdict::Passed,
                None => Verdict::Needs(self.questions),
            },
            decisions: self.decisions,
        }
    }

    fn ask(&mut self, gate: &'g Gate) -> Said {
        let said = |outcome| Said {
            gate: gate.name(),
            outcome,
        };
        match gate {
            Gate::Any(gates) => self.any(gates),
            Gate::All(gates) => said(self.first_of(gates, Outcome::Passed).outcome),
            Gate::Not(gate) => said(match self.ask(gate).outcome {
                Some(Outcome::Fired) => Some(Outcome::Passed),
                Some(Outcome::Passed) => Some(Outcome::Fired),
                other => other,
            }),
            _ => {
                let started = (self.evidence.clock)();
                let outcome = match gate {
                    _ if !self.evidence.is_whole && gate.hold() == Hold::All => {
                        Some(Outcome::Unknown)
                    }
                    Gate::Judge(judge) if judge.skips(self.evidence.seed) => Some(Outcome::Unknown),
                    Gate::Judge(judge) => self.opinion(Question::Judge(judge)),
                    Gate::Agreement(agreement) => self.opinion(Question::Samples(agreement)),
                    _ => Some(self.look(gate)),
                };
                let took = (self.evidence.clock)().saturating_duration_since(started);
                self.decisions.extend(outcome.map(|outcome| Decision {
                    gate: gate.name(),
                    outcome,
                    took,
                }));
                said(outcome)
            }
        }
    }

    fn any(&mut self, gates: &'g [Gate]) -> Said {
        self.first_of(gates, Outcome::Fired)
    }

    /// Asks one after the other until one says `settles`, which then they all do. Otherwise that depends on the questions
    /// if one of them does, and is unknown if one of them is.
    fn first_of(&mut self, gates: &'g [Gate], settles: Outcome) -> Said {
        let asked_before = self.questions.len();
        let (mut depends, mut is_unknown) = (false, false);
        for gate in gates {
            let said = self.ask(gate);
            match said.outcome {
                Some(outcome) if outcome == settles => {
                    // What the others asked no longer matters.
                    self.questions.truncate(asked_before);
                    return said;
                }
                Some(outcome) => is_unknown |= outcome == Outcome::Unknown,
                None => depends = true,
            }
        }
        let otherwise = match settles {
            Outcome::Fired => Outcome::Passed,
            _ => Outcome::Fired,
        };
        Said {
            gate: "any",
            outcome: match (depends, is_unknown) {
                (true, _) => None,
                (false, true) => Some(Outcome::Unknown),
                (false, false) => Some(otherwise),
            },
        }
    }

    /// What models said, or else the question to them.
    fn opinion(&mut self, question: Question<'g>) -> Option<Outcome> {
        match self.evidence.opinions.on(&question) {
            Some(opinion) => Some(question.outcome(opinion)),
            None => {
                self.questions.push(question);
                None
            }
        }
    }

    /// What a gate says that asks nobody: it fires if it does for any of the choices.
    fn look(&self, gate: &Gate) -> Outcome {
        let Evidence {
            request, is_whole, ..
        } = *self.evidence;
        let nothing = Look::nothing();
        // An answer without any choice is one that says nothing.
        let looks = match self.looks.as_slice() {
            [] => std::slice::from_ref(&nothing),
            looks => looks,
        };
        let each = looks.iter().map(|look| match gate {
            Gate::Refusal => Outcome::fired_if(refusal::is_one(look)),
            Gate::Unsure => Outcome::fired_if(refusal::is_unsure(look)),
            Gate::Empty => {
                Outcome::fired_if(is_whole && look.is_empty() && !is_begun(request, look))
            }
            Gate::Truncated => ended(look, &Finish::Length),
            Gate::ContentFilter => ended(look, &Finish::ContentFilter),
            Gate::InvalidJson => json::judge(look, request),
            Gate::InvalidToolCall => tools::judge(look, request),
            Gate::Repetition => Outcome::fired_if(repetition::is_stuck(look)),
            Gate::WrongLanguage => language::judge(look, request),
            Gate::LogprobBelow(confidence) => confidence.judge(look.choice),
            Gate::ShorterThan(chars) => match look.has_chars(*chars) {
                true => Outcome::Passed,
                false if is_whole => Outcome::Fired,
                false => Outcome::Unknown,
            },
            Gate::Matches(regex) => match regex.is_match(&look.text) {
                true => Outcome::Fired,
                false if look.is_cut => Outcome::Unknown,
                false => Outcome::Passed,
            },
            Gate::NotMatches(_) if look.only_calls() => Outcome::Passed,
            Gate::NotMatches(regex) => match regex.is_match(&look.text) {
                true => Outcome::Passed,
                false if look.is_cut => Outcome::Unknown,
                false => Outcome::Fired,
            },
            // These ask models or other gates.
            Gate::Judge(_) | Gate::Agreement(_) | Gate::All(_) | Gate::Any(_) | Gate::Not(_) => {
                Outcome::Unknown
            }
        });
        let worst = |a: Outcome, b| match (a, b) {
            (Outcome::Fired, _) | (_, Outcome::Fired) => Outcome::Fired,
            (Outcome::Unknown, _) | (_, Outcome::Unknown) => Outcome::Unknown,
            _ => Outcome::Passed,
        };
        each.fold(Outcome::Passed, worst)
    }
}

/// Whether this is no answer yet: who asks for one in the background (Responses) is told at once that it has begun.
fn is_begun(request: &Request, look: &Look<'_>) -> bool {
    let mut extra = request.extra.iter();
    look.choice.finish.is_none() && extra.any(|(name, _)| name == "background")
}

fn ended(look: &Look<'_>, finish: &Finish) -> Outcome {
    Outcome::fired_if(look.choice.finish.as_ref() == Some(finish))
}
