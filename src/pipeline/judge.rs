//! Step 7, as far as it is about answers that are judged: whether the gates of a chain's step let one through.

use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use bytes::Bytes;

use super::asked::Asked;
use super::attempt::{Reply, Whole};
use super::caller::{Caller, unlike_any_other};
use super::failed::Failed;
use super::flight::{Prepared, prepare};
use super::plan::outgoing;
use super::record::Record;
use super::route::{Routed, attend, close, route};
use super::trial::Verdict;
use super::{End, answer};
use crate::dialect::common::{self, Answer, Context};
use crate::dialect::{Dialect, Framing, Incoming, Operation, PathFacts};
use crate::route::Target;
use crate::route::gates::{
    Agreement, Evidence, Gates, Hold, Judge, Opinions, Question, Verdict as Judgement, agreement,
};
use crate::route::health::Ended;

/// What becomes of an answer.
pub enum Judged {
    /// It is the caller's.
    Passed(Routed),
    /// It is the caller's only if nobody does better.
    Escalated(Routed),
    /// It failed before it could be judged.
    Failed(Target, Box<Failed>),
}

/// Which answer is judged.
#[derive(Clone, Copy)]
struct Hearing<'b, 'a> {
    asked: &'b Asked<'a>,
    gates: &'b Gates,
    /// Who gave it.
    spot: usize,
    /// To which attempt.
    number: u32,
}

/// Judges an answer of a step that has gates; a stream by as much of it as they need.
pub(super) async fn judge(
    asked: &Asked<'_>,
    target: Target,
    reply: Reply,
    number: u32,
    caller: &mut Caller<'_>,
    record: &mut Record<'_>,
) -> Result<Judged, End> {
    let gates = asked.gates(target.spot);
    let hearing = |gates| Hearing {
        asked,
        gates,
        spot: target.spot,
        number,
    };
    match reply {
        Reply::Whole(mut whole) => {
            if let Some(trial) = record.trial(number) {
                let output_tokens = None;
                trial.ended(Ended::Well { output_tokens });
                answer::account(&mut whole, trial);
            }
            let gate = match (gates, whole.answer.take()) {
                (Some(gates), Some(answer)) => {
                    hearing(gates).gate(&answer, true, caller, record).await?
                }
                _ => None,
            };
            if let Some(gate) = gate {
                note(number, gate, record);
            }
            let routed = Routed::Whole(whole);
            Ok(match gate {
                None => Judged::Passed(routed),
                Some(_) => Judged::Escalated(routed),
            })
        }
        Reply::Stream(mut stream) => {
            if let Some(trial) = record.trial(number) {
                trial.first_token();
            }
            let tokens = match asked.hold(target.spot) {
                Hold::First(tokens) => tokens.into(),
                Hold::All => u64::MAX,
            };
            let held = attend(stream.hold(tokens), asked, caller, record).await?;
            let failed = match held {
                Err(failure) => Some(Failed::of(&target, &failure)),
                Ok(()) => stream.failed(),
            };
            if let Some(failed) = failed {
                if let Some(trial) = record.trial(number) {
                    answer::conclude(&mut stream, trial);
                }
                return Ok(Judged::Failed(target, Box::new(failed)));
            }
            let is_whole = stream.is_complete();
            let gate = match (gates, stream.heard()) {
                (Some(gates), Some(heard)) => {
                    let answer = heard.answer();
                    hearing(gates)
                        .gate(answer, is_whole, caller, record)
                        .await?
                }
                _ => None,
            };
            stream.release();
            if let Some(gate) = gate {
                record.judged(number, Verdict::of_answer(gate));
                if is_whole && let Some(trial) = record.trial(number) {
                    answer::conclude(&mut stream, trial);
                    record.close(number);
                }
            }
            let routed = Routed::Stream(stream, target);
            Ok(match gate {
                None => Judged::Passed(routed),
                Some(_) => Judged::Escalated(routed),
            })
        }
    }
}

impl Hearing<'_, '_> {
    /// The gate that an answer does not pass, if there is one. Models are asked where it depends on them.
    async fn gate(
        self,
        answer: &Answer,
        is_whole: bool,
        caller: &mut Caller<'_>,
        record: &mut Record<'_>,
    ) -> Result<Option<&'static str>, End> {
        let Some(request) = self.asked.request() else {
            return Ok(None);
        };
        let seed = unlike_any_other();
        let mut opinions = Opinions::default();
        let gate = loop {
            let judgement = self.gates.judge(&Evidence {
                request,
                answer,
                is_whole,
                opinions: &opinions,
                seed,
                clock: &Instant::now,
            });
            let questions = match judgement.verdict {
                Judgement::Needs(questions) => questions,
                decided => {
                    let model = &self.asked.model.name;
                    for decision in &judgement.decisions {
                        let (gate, said) = (decision.gate, decision.outcome.name());
                        let metrics = &self.asked.gateway.metrics;
                        metrics.gate(model, gate, said, decision.took.as_secs_f64());
                    }
                    break match decided {
                        Judgement::Escalated(gate) => Some(gate),
                        _ => None,
                    };
                }
            };
            for question in questions {
                let opinion = match question {
                    Question::Judge(judge) => {
                        let asking = judge.request(request, answer);
                        self.score(judge, &asking, caller, record).await?
                    }
                    Question::Samples(wanted) => {
                        self.agreement(*wanted, answer, caller, record).await?
                    }
                };
                opinions.note(&question, opinion);
            }
        };
        // What was asked besides is not what the caller gets.
        record.answer_by(self.number);
        Ok(gate)
    }

    /// What a model makes of an answer; None if it does not say. What it is asked is an attempt of the caller's request, and paid
    /// like one.
    fn score<'f>(
        self,
        judge: &'f Judge,
        asking: &'f common::Request,
        caller: &'f mut Caller<'_>,
        record: &'f mut Record<'_>,
    ) -> Pin<Box<dyn Future<Output = Result<Option<f64>, End>> + Send + 'f>>
    where
        Self: 'f,
    {
        Box::pin(async move {
            let Some((model, star)) = self.asked.snapshot.models.find(&judge.model) else {
                return Ok(None);
            };
            let target = model.target(0, star, &self.asked.snapshot.wards);
            let Some(incoming) = put(asking, &target) else {
                return Ok(None);
            };
            let asked = Asked {
                incoming: &incoming,
                model,
                star,
                framing: Framing::Events,
                fields: Vec::new(),
                is_metered: false,
                start_at: None,
                demand: OnceLock::new(),
                request: OnceLock::new(),
                ..*self.asked
            };
            let whole = match route(&asked, caller, record).await {
                Ok(Routed::Whole(whole)) if whole.status.is_success() => whole,
                Ok(_) | Err(End::Refused(_)) => return Ok(None),
                Err(gone) => return Err(gone),
            };
            let answer = Dialect::Chat.read_answer(&whole.body, &Context::default());
            finish(*whole, "judge", record);
            Ok(answer.ok().and_then(|answer| judge.score(&answer)))
        })
    }

    /// The share of answers to the same request by the same target that say the same.
    async fn agreement(
        self,
        wanted: Agreement,
        answer: &Answer,
        caller: &mut Caller<'_>,
        record: &mut Record<'_>,
    ) -> Result<Option<f64>, End> {
        let mut others = Vec::new();
        for _ in 1..wanted.samples {
            others.extend(self.sample(caller, record).await?);
        }
        // Of fewer than were wanted nothing is known.
        if others.len() + 1 < wanted.samples as usize {
            return Ok(None);
        }
        let all: Vec<_> = std::iter::once(answer).chain(&others).collect();
        Ok(Some(agreement(&all)))
    }

    /// One more answer.
    async fn sample(
        self,
        caller: &mut Caller<'_>,
        record: &mut Record<'_>,
    ) -> Result<Option<Answer>, End> {
        let target = self.asked.target(self.spot);
        let settings = self.asked.model.spots[self.spot].health.as_ref();
        let Ok(entered) = target.health.enter(settings, Instant::now()) else {
            return Ok(None);
        };
        let due = self.asked.deadline;
        let prepared = prepare(self.asked, target, entered, due, caller, record);
        let Prepared::Ready(flight) = Box::pin(prepared).await? else {
            return Ok(None);
        };
        let number = flight.number;
        let reply = Box::pin(attend(flight.run(self.asked), self.asked, caller, record)).await?;
        match reply {
            Ok(Reply::Whole(mut whole)) => {
                let answer = whole.answer.take();
                finish(*whole, "agreement", record);
                Ok(answer.map(|answer| *answer))
            }
            Ok(Reply::Stream(mut stream)) => {
                let held = attend(stream.hold(u64::MAX), self.asked, caller, record).await?;
                let heard = stream
                    .heard()
                    .filter(|_| held.is_ok() && stream.is_complete());
                let answer = heard.map(|heard| heard.answer().clone());
                if let Some(trial) = record.trial(number) {
                    answer::conclude(&mut stream, trial);
                }
                note(number, "agreement", record);
                Ok(answer)
            }
            Err(failed) => {
                close(record, number, &failed);
                Ok(None)
            }
        }
    }
}

/// A request of ours as one that came in, in words that its target understands.
fn put(request: &common::Request, target: &Target) -> Option<Arc<Incoming>> {
    let written = Dialect::Chat.write_request(request, &outgoing(target));
    let (body, _) = written.ok()?;
    let operation = Operation::Generate(Dialect::Chat);
    let incoming = Incoming::read(operation, Bytes::from(body), PathFacts::default());
    incoming.ok().map(Arc::new)
}

/// An answer to what was asked besides has served its purpose.
fn finish(mut whole: Whole, word: &'static str, record: &mut Record<'_>) {
    let Some(trial) = record.answering() else {
        return;
    };
    let number = trial.number;
    let output_tokens = None;
    trial.ended(Ended::Well { output_tokens });
    answer::account(&mut whole, trial);
    note(number, word, record);
}

/// Nothing more comes of an attempt but this.
fn note(number: u32, word: &'static str, record: &mut Record<'_>) {
    record.judged(number, Verdict::of_answer(word));
    record.close(number);
}
