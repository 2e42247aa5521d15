//! What is known of a request so far. Dropping it settles: the ledger, metrics, the log line, the count of what runs.
//!
//! So a caller who hangs up, a timeout and a panic all leave the same traces as an answer.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Instant;

use uuid::Uuid;

use super::admit::Admission;
use super::bill::{Charge, Saving};
use super::caller::unlike_any_other;
use super::gateway::{Gateway, Running};
use super::settle::Attempted;
use super::trial::{Place, Trial, Verdict};
use crate::access::Key;
use crate::access::limits::Left;
use crate::dialect::{Error, Incoming, Usage};
use crate::route::Model;
use crate::snapshot::Snapshot;
use crate::spend::Usd;
use crate::spend::ledger::{METADATA_MAX, Row, USER_MAX};
use crate::telemetry::{RequestLine, Series};

/// The record of one request.
pub struct Record<'a> {
    gateway: &'a Gateway,
    snapshot: Arc<Snapshot>,
    request_id: String,
    started: Instant,
    /// Who asks.
    pub key: Option<Arc<Key>>,
    /// For what, as the caller says it and as the configuration does.
    pub model: Option<(Arc<str>, Arc<Model>)>,
    /// What is asked.
    pub incoming: Option<Arc<Incoming>>,
    /// Calls upstream so far.
    pub attempts: u32,
    /// Who was asked by each of them, and what came of it, if that is known.
    route: Vec<(Place, Option<Verdict>)>,
    /// Those that are not settled: under way, or with an answer that may be the caller's.
    trials: Vec<Trial>,
    /// The one whose answer is the caller's, if it has one.
    answers: u32,
    /// What those that are settled have used and cost, as far as it is known.
    totals: Totals,
    /// What it was admitted with, where it is limited.
    pub admission: Option<Admission>,
    /// What is left of its limits.
    pub left: Left,
    /// How long the answer may be, where that is less than the caller asked for.
    pub output_max: Option<u64>,
    /// Whether the caller asked for a stream.
    pub stream: bool,
    first_token: Option<Instant>,
    outcome: Outcome,
    _running: Running<'a>,
}

/// What attempts used and cost together.
#[derive(Clone, Copy, Default)]
struct Totals {
    usage: Option<Usage>,
    /// Of those whose cost is known.
    cost: Usd,
    /// Whether there is one whose cost is not.
    is_partial: bool,
}

impl Totals {
    fn add(&mut self, charge: &Charge) {
        if let Charge::Reported(usage, _) = charge {
            self.usage = Some(self.usage.unwrap_or_default().plus(*usage));
        }
        match charge.cost() {
            Some(cost) => self.cost += cost,
            None => self.is_partial = true,
        }
    }
}

#[derive(Debug)]
enum Outcome {
    /// Nothing was answered: the caller left, or a panic is under way.
    Open,
    Answered(u16),
    Failed {
        status: u16,
        error: &'static str,
        detail: Option<String>,
    },
}

impl<'a> Record<'a> {
    /// Begins with the head of a request.
    pub fn new(gateway: &'a Gateway, snapshot: Arc<Snapshot>, request_id: &str) -> Self {
        gateway.metrics.in_flight.inc();
        Self {
            gateway,
            snapshot,
            request_id: request_id.to_owned(),
            started: Instant::now(),
            key: None,
            model: None,
            incoming: None,
            attempts: 0,
            route: Vec::new(),
            trials: Vec::new(),
            answers: 0,
            totals: Totals::default(),
            admission: None,
            left: Left::default(),
            output_max: None,
            stream: false,
            first_token: None,
            outcome: Outcome::Open,
            _running: gateway.drain.run(),
        }
    }

    /// A call is about to be made. Returns its number.
    pub fn begin(&mut self, trial: Trial) -> u32 {
        self.attempts += 1;
        self.answers = self.attempts;
        self.output_max = trial.fare.output_max;
        self.route.push((trial.place.clone(), None));
        let number = self.attempts;
        self.trials.push(Trial { number, ..trial });
        number
    }

    /// An attempt that is not settled.
    pub fn trial(&mut self, number: u32) -> Option<&mut Trial> {
        let mut trials = self.trials.iter_mut();
        trials.find(|trial| trial.number == number)
    }

    /// The attempt whose answer is the caller's, while it is not settled.
    pub fn answering(&mut self) -> Option<&mut Trial> {
        self.trial(self.answers)
    }

    /// It is this attempt whose answer is the caller's after all.
    pub fn answer_by(&mut self, number: u32) {
        self.answers = number;
    }

    /// What came of an attempt is known.
    pub fn judged(&mut self, number: u32, verdict: Verdict) {
        let at = (number as usize).wrapping_sub(1);
        if let Some((_, judged)) = self.route.get_mut(at) {
            *judged = Some(verdict);
        }
    }

    /// An attempt is over, and no more will be known of it: it is settled.
    pub fn close(&mut self, number: u32) {
        let Some(at) = self.trials.iter().position(|trial| trial.number == number) else {
            return;
        };
        let trial = self.trials.remove(at);
        self.totals.add(&trial.charge);
        if let (Charge::Reported(usage, _), Some(admission)) = (&trial.charge, &mut self.admission)
        {
            admission.add(usage.input_tokens.saturating_add(usage.output_tokens));
        }
        let judged = self.route[number as usize - 1].1.as_ref();
        let is_success = judged.is_some_and(|judged| judged.status == 200);
        let series = self.series(Some(&trial.place), is_success);
        self.settle(trial, (0, None), series, None);
    }

    /// What came of the target that was asked first, where another has answered.
    fn fallback(&self) -> Option<(&Model, &str)> {
        let (_, model) = self.model.as_ref()?;
        let is_own = |place: &Place| place.model == model.index;
        let (first, judged) = self.route.iter().find(|(place, _)| is_own(place))?;
        let answers = self.place().filter(|answers| is_own(answers))?;
        let has_answered = matches!(self.outcome, Outcome::Answered(200..300));
        let judged = judged.as_ref().filter(|_| has_answered)?;
        (answers.spot != first.spot).then_some((model, &judged.word))
    }

    /// Who was asked, and what came of it; of what is not judged yet `verdict`.
    pub fn route<'r>(&'r self, verdict: &'r str) -> impl Iterator<Item = (&'r str, &'r str)> {
        self.route.iter().map(move |(place, judged)| {
            let word = judged.as_ref().map_or(verdict, |judged| &*judged.word);
            (&*place.target, word)
        })
    }

    /// Who answers, or was asked last.
    pub fn place(&self) -> Option<&Place> {
        let at = (self.answers as usize).wrapping_sub(1);
        self.route.get(at).map(|(place, _)| place)
    }

    /// What all attempts cost, if that is known of each.
    pub fn cost(&self) -> Option<Usd> {
        let totals = self.totals();
        (!totals.is_partial).then_some(totals.cost)
    }

    fn totals(&self) -> Totals {
        let mut totals = self.totals;
        self.trials
            .iter()
            .for_each(|trial| totals.add(&trial.charge));
        totals
    }

    /// The first frame of a stream has come.
    pub fn first_token(&mut self) {
        self.first_token = Some(Instant::now());
    }

    /// The answer is on its way, or through.
    pub fn answered(&mut self, status: u16) {
        self.outcome = Outcome::Answered(status);
    }

    /// The answer is an error of our own, or a stream that ends in one.
    pub fn failed(&mut self, status: u16, error: &Error, detail: Option<String>) {
        let error = error.kind.code();
        self.outcome = Outcome::Failed {
            status,
            error,
            detail,
        };
    }

    /// The provider ended a stream with an error of its own.
    pub fn upstream_failed(&mut self, status: u16) {
        self.outcome = Outcome::Failed {
            status,
            error: "upstream_error",
            detail: Some("the provider ended the stream with an error".to_owned()),
        };
    }

    /// The caller has left.
    pub fn left(&mut self) {
        self.outcome = Outcome::Open;
    }

    /// How the request ended: status, error, detail.
    fn ending(&self) -> (u16, Option<&'static str>, Option<&str>) {
        match &self.outcome {
            Outcome::Answered(status) => (*status, None, None),
            Outcome::Failed {
                status,
                error,
                detail,
            } => (*status, Some(error), detail.as_deref()),
            Outcome::Open if std::thread::panicking() => (500, Some("internal_error"), None),
            // 499 is nginx's word for a caller who left.
            Outcome::Open => (499, Some("client_closed"), None),
        }
    }

    /// Counts the request; returns the metrics of whoever answered, if it got as far as a model.
    fn count(&self, status: u16, error: Option<&str>) -> Option<Arc<Series>> {
        let took = self.started.elapsed();
        let metrics = &self.gateway.metrics;
        metrics.in_flight.dec();
        let Some(series) = self.series(self.place(), status == 200) else {
            let team = self.key.as_ref().map_or("", |key| &key.team.name);
            metrics.refused(team, status);
            return None;
        };
        metrics.request(&series, status, took.as_secs_f64());
        if let Some((model, reason)) = self.fallback() {
            metrics.fell_back(&model.name, reason);
        }
        if let (200, Some(error)) = (status, error) {
            metrics.stream_failed(&series, error);
        }
        Some(series)
    }

    /// The metrics of what was asked of one target, or of none.
    fn series(&self, place: Option<&Place>, is_success: bool) -> Option<Arc<Series>> {
        let (Some(key), Some((asked, model))) = (&self.key, &self.model) else {
            return None;
        };
        let (metrics, snapshot) = (&self.gateway.metrics, &self.snapshot);
        // A model that judges answers is asked by its own name.
        let other = place.filter(|place| place.model != model.index);
        let other = other.map(|place| &snapshot.models.all()[place.model]);
        let (asked, model) = other.map_or((asked, model), |other| (&other.name, other));
        let place = place.map(|place| (place.spot, &*place.target));
        Some(snapshot.series(&key.team, model, asked, place, is_success, metrics))
    }

    /// Hands an attempt in: to the ledger and to the metrics. What came of it, if it was not judged, is how its request ended.
    fn settle(
        &self,
        trial: Trial,
        ending: (u16, Option<&'static str>),
        series: Option<Arc<Series>>,
        admission: Option<Admission>,
    ) {
        let (Some(key), Some((asked, _)), Some(series)) = (&self.key, &self.model, series) else {
            return;
        };
        let (place, judged) = &self.route[trial.number as usize - 1];
        let (status, verdict) = match judged {
            Some(Verdict { word, status }) => (*status, Some(word.clone())),
            None => (ending.0, ending.1.map(Cow::Borrowed)),
        };
        let outcome = match (&verdict, status) {
            (Some(word), _) => word.clone(),
            (None, 0 | 200..300) => Cow::Borrowed("ok"),
            (None, status) => status.to_string().into(),
        };
        let is_chain = self
            .model
            .as_ref()
            .is_some_and(|(_, model)| model.steps.len() > 1);
        let saving = match (judged, status, trial.last_step) {
            (None, 200, Some(last)) => Saving::Instead(last),
            (Some(_), 200, _) if is_chain => Saving::Besides,
            _ => Saving::None,
        };
        self.gateway.metrics.attempt(&series, &outcome);
        if let Some(turn) = trial.entered.turn() {
            self.gateway.tell_turn(&trial.place.target, turn);
        }
        let Trial {
            number,
            incoming,
            place: Place { target, .. },
            bill,
            charge,
            evidence,
            fare,
            ..
        } = trial;
        let asker = self.incoming.as_ref().unwrap_or(&incoming).clone();
        let has_ledger = self.gateway.ledger.is_some();
        let tags = has_ledger.then(|| (asker.user(USER_MAX), asker.metadata(METADATA_MAX)));
        let row = tags.as_ref().map(|(user, metadata)| {
            let time_ms = bill.time.timestamp_millis();
            let latency = bill.began.elapsed().as_millis();
            Row {
                id: new_row_id(time_ms),
                time_ms,
                request_id: &self.request_id,
                attempt: number,
                team: &key.team.name,
                key: &key.name,
                model: asked,
                target: &place.target,
                status,
                verdict: verdict.as_deref(),
                latency_ms: u32::try_from(latency).unwrap_or(u32::MAX),
                stream: self.stream,
                user,
                metadata,
                ..Row::default()
            }
        });
        let attempted = Attempted {
            target,
            bill,
            charge,
            saving,
            series,
            incoming,
            evidence: evidence.unwrap_or_default(),
            fare,
            admission,
        };
        self.gateway.settle(attempted, row);
    }
}

/// The id of a row of the ledger: a UUID of version 7 (RFC 9562), by its time and then by chance.
fn new_row_id(time_ms: i64) -> Uuid {
    let mut chance = [0; 10];
    chance[..8].copy_from_slice(&unlike_any_other().to_be_bytes());
    chance[8..].copy_from_slice(&unlike_any_other().to_be_bytes()[..2]);
    let time_ms = u64::try_from(time_ms).unwrap_or_default();
    uuid::Builder::from_unix_timestamp_millis(time_ms, &chance).into_uuid()
}

impl Drop for Record<'_> {
    fn drop(&mut self) {
        let (status, error, detail) = self.ending();
        let milliseconds = |from: Instant, to: Instant| {
            (to.duration_since(from).as_secs_f64() * 1e6).round() / 1e3
        };
        let totals = self.totals();
        let cost = match self.attempts {
            0 => None,
            _ => self.cost().map(|cost| cost.to_string()),
        };
        self.gateway.log.request(&RequestLine {
            request_id: &self.request_id,
            team: self.key.as_ref().map(|key| &*key.team.name),
            key: self.key.as_ref().map(|key| &*key.name),
            model: self.model.as_ref().map(|(asked, _)| &**asked),
            target: self.place().map(|place| &*place.target),
            status,
            attempts: self.attempts,
            input_tokens: totals.usage.map(|usage| usage.input_tokens),
            output_tokens: totals.usage.map(|usage| usage.output_tokens),
            cost_usd: cost.as_deref(),
            duration_ms: milliseconds(self.started, Instant::now()),
            stream: self.stream,
            ttft_ms: self
                .first_token
                .map(|first| milliseconds(self.started, first)),
            error,
            detail,
        });
        let mut series = self.count(status, error);
        let mut trials = std::mem::take(&mut self.trials);
        if let Some(last) = trials.pop() {
            let admission = self.admission.take();
            let is_answer = last.number == self.answers;
            let series = series.take().filter(|_| is_answer);
            let series = series.or_else(|| self.series(Some(&last.place), false));
            self.settle(last, (status, error), series, admission);
        }
        for trial in trials {
            let series = self.series(Some(&trial.place), false);
            self.settle(trial, (status, error), series, None);
        }
        if let Some(admission) = self.admission.take().filter(|_| self.attempts > 0) {
            admission.settle(0);
        }
    }
}
