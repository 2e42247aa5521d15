//! What is known of a request so far. Dropping it settles: the ledger, metrics, the log line, the count of what runs.
//!
//! So a caller who hangs up, a timeout and a panic all leave the same traces as an answer.

use std::sync::Arc;
use std::time::Instant;

use uuid::Uuid;

use super::admit::Admission;
use super::bill::Charge;
use super::caller::unlike_any_other;
use super::gateway::{Gateway, Running};
use super::settle::Attempted;
use super::trial::{Trial, Verdict};
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
    /// Those that are under way, or have brought the answer.
    trials: Vec<Trial>,
    /// Who was asked by those that are over, and what came of it.
    route: Vec<(Arc<str>, usize, Verdict)>,
    /// What those have used and cost, as far as it is known.
    totals: Totals,
    /// What it was admitted with, where it is limited.
    pub admission: Option<Box<Admission>>,
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
            trials: Vec::new(),
            route: Vec::new(),
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
        self.output_max = trial.fare.output_max;
        let number = self.attempts;
        self.trials.push(Trial { number, ..trial });
        number
    }

    /// An attempt that is under way.
    pub fn trial(&mut self, number: u32) -> Option<&mut Trial> {
        let mut trials = self.trials.iter_mut();
        trials.find(|trial| trial.number == number)
    }

    /// The attempt that is under way, or has brought the answer: the newest of them.
    pub fn current(&mut self) -> Option<&mut Trial> {
        self.trials.last_mut()
    }

    /// An attempt is over, and its answer, if there is one, not for the caller.
    pub fn close(&mut self, number: u32, verdict: Verdict) {
        let Some(at) = self.trials.iter().position(|trial| trial.number == number) else {
            return;
        };
        let trial = self.trials.remove(at);
        self.totals.add(&trial.charge);
        if let (Charge::Reported(usage, _), Some(admission)) = (&trial.charge, &mut self.admission)
        {
            admission.add(usage.input_tokens.saturating_add(usage.output_tokens));
        }
        let status = verdict.status;
        self.route.push((trial.target.clone(), trial.spot, verdict));
        let series = self.series(Some((trial.spot, &trial.target)), status == 200);
        self.settle(trial, status, series, None);
    }

    /// Who was asked, and what came of it, in the order in which it was over; of what is under way by `verdict`.
    pub fn route<'r>(&'r self, verdict: &'r str) -> impl Iterator<Item = (&'r Arc<str>, &'r str)> {
        let over = self.route.iter();
        let over = over.map(|(target, _, verdict)| (target, &*verdict.word));
        over.chain(
            self.trials
                .iter()
                .map(move |trial| (&trial.target, verdict)),
        )
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

    /// Who answered, or was asked last.
    fn last(&self) -> Option<(usize, &Arc<str>)> {
        let open = self.trials.last().map(|trial| (trial.spot, &trial.target));
        let over = || self.route.last().map(|(target, spot, _)| (*spot, target));
        open.or_else(over)
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
        let last = self.last().map(|(spot, target)| (spot, &**target));
        let Some(series) = self.series(last, status == 200) else {
            let team = self.key.as_ref().map_or("", |key| &key.team.name);
            metrics.refused(team, status);
            return None;
        };
        metrics.request(&series, status, took.as_secs_f64());
        if let (200, Some(error)) = (status, error) {
            metrics.stream_failed(&series, error);
        }
        Some(series)
    }

    /// The metrics of what was asked of one of the model's targets, or of none.
    fn series(&self, place: Option<(usize, &str)>, is_success: bool) -> Option<Arc<Series>> {
        let (Some(key), Some((asked, model))) = (&self.key, &self.model) else {
            return None;
        };
        let metrics = &self.gateway.metrics;
        let snapshot = &self.snapshot;
        Some(snapshot.series(&key.team, model, asked, place, is_success, metrics))
    }

    /// Hands an attempt in: to the ledger and to the metrics of tokens and money.
    fn settle(
        &self,
        trial: Trial,
        status: u16,
        series: Option<Arc<Series>>,
        admission: Option<Box<Admission>>,
    ) {
        let (Some(key), Some((asked, _)), Some(incoming), Some(series)) =
            (&self.key, &self.model, &self.incoming, series)
        else {
            return;
        };
        let Trial {
            number,
            target,
            bill,
            charge,
            evidence,
            mut fare,
            ..
        } = trial;
        fare.end();
        let row = self.gateway.ledger.as_ref().map(|_| {
            let time_ms = bill.time.timestamp_millis();
            let latency = bill.began.elapsed().as_millis();
            Box::new(Row {
                id: new_row_id(time_ms),
                time_ms,
                request_id: self.request_id.clone(),
                attempt: number,
                team: key.team.name.clone(),
                key: key.name.clone(),
                model: asked.clone(),
                target: target.clone(),
                status,
                latency_ms: u32::try_from(latency).unwrap_or(u32::MAX),
                stream: self.stream,
                user: incoming.user(USER_MAX),
                metadata: incoming.metadata(METADATA_MAX),
                ..Row::default()
            })
        });
        self.gateway.settle(Attempted {
            row,
            target,
            bill,
            charge,
            series,
            incoming: incoming.clone(),
            evidence: evidence.unwrap_or_default(),
            fare,
            admission,
        });
    }
}

/// The id of a row of the ledger: a UUID of version 7 (RFC 9562), by its time and then by chance.
fn new_row_id(time_ms: i64) -> Uuid {
    let [high, low] = unlike_any_other().map(u64::to_be_bytes);
    let mut chance = [0; 10];
    chance[..8].copy_from_slice(&high);
    chance[8..].copy_from_slice(&low[..2]);
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
            target: self.last().map(|(_, target)| &**target),
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
        if let Some(admission) = &mut self.admission {
            admission.end();
        }
        let mut series = self.count(status, error);
        let mut trials = std::mem::take(&mut self.trials);
        if let Some(last) = trials.pop() {
            let admission = self.admission.take();
            self.settle(last, status, series.take(), admission);
        }
        for trial in trials {
            let series = self.series(Some((trial.spot, &trial.target)), false);
            self.settle(trial, status, series, None);
        }
        if let Some(admission) = self.admission.take().filter(|_| self.attempts > 0) {
            admission.settle(0);
        }
    }
}
