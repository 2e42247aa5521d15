//! What is known of a request so far. Dropping it settles: the ledger, metrics, the log line, the count of what runs.
//!
//! So a caller who hangs up, a timeout and a panic all leave the same traces as an answer.

use std::sync::Arc;
use std::time::Instant;

use uuid::Uuid;

use super::admit::Admission;
use super::caller::unlike_any_other;
use crate::access::Key;
use crate::access::limits::{Forecast, Left};
use crate::dialect::{Error, Incoming, Tier, Usage};
use crate::pipeline::bill::{Bill, Charge};
use crate::pipeline::gateway::{Gateway, Running};
use crate::pipeline::settle::{Attempted, Evidence};
use crate::route::Model;
use crate::snapshot::Snapshot;
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
    /// Who answers.
    pub target: Option<Arc<str>>,
    /// Calls upstream so far.
    pub attempts: u32,
    /// What the last of them is billed by.
    pub bill: Option<Bill>,
    /// What came of it.
    pub charge: Charge,
    /// What is known of an answer whose provider does not say what it used.
    pub evidence: Option<Box<Evidence>>,
    /// What it was admitted with, where it is limited.
    pub admission: Option<Box<Admission>>,
    /// What its usage teaches of its model's, where no admission does.
    pub forecast: Option<Arc<Forecast>>,
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
            target: None,
            attempts: 0,
            bill: None,
            charge: Charge::Open,
            evidence: None,
            admission: None,
            forecast: None,
            left: Left::default(),
            output_max: None,
            stream: false,
            first_token: None,
            outcome: Outcome::Open,
            _running: gateway.drain.run(),
        }
    }

    /// A call is about to be made.
    pub fn attempt(&mut self, target: Arc<str>, bill: Bill) {
        self.target = Some(target);
        self.attempts += 1;
        if let Some(admission) = &mut self.admission {
            admission.spend();
        }
        self.bill = Some(bill);
        self.charge = Charge::Open;
    }

    /// The provider said what the attempt used.
    pub fn used(&mut self, usage: Usage, tier: Tier) {
        if let Some(bill) = &self.bill {
            let priced = bill.price(&usage, tier);
            self.charge = Charge::Reported(usage, priced);
        }
        if let (Some(forecast), Some(incoming)) = (self.forecast.take(), &self.incoming) {
            let bytes = incoming.body().len();
            forecast.learn(bytes, usage.input_tokens, usage.output_tokens);
        }
    }

    /// The attempt cost nothing: it was refused, or never got there.
    pub fn free(&mut self) {
        if self.bill.is_some() {
            self.charge = Charge::Free;
        }
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

    /// Counts the request; returns its metrics, if it got as far as a model.
    fn count(&self, status: u16, error: Option<&str>) -> Option<Arc<Series>> {
        let took = self.started.elapsed();
        let metrics = &self.gateway.metrics;
        metrics.in_flight.dec();
        let (Some(key), Some((asked, model))) = (&self.key, &self.model) else {
            let team = self.key.as_ref().map_or("", |key| &key.team.name);
            metrics.refused(team, status);
            return None;
        };
        let target = self.target.as_deref().unwrap_or_default();
        let is_success = status == 200;
        let series = (self.snapshot).series(&key.team, model, asked, target, is_success, metrics);
        metrics.request(&series, status, took.as_secs_f64());
        if let (200, Some(error)) = (status, error) {
            metrics.stream_failed(&series, error);
        }
        Some(series)
    }

    /// Hands the attempt in: to the ledger and to the metrics of tokens and money.
    fn settle(&mut self, status: u16, series: Arc<Series>) {
        let (Some(bill), Some(key), Some((asked, _)), Some(target), Some(incoming)) = (
            self.bill.take(),
            &self.key,
            &self.model,
            &self.target,
            &self.incoming,
        ) else {
            return;
        };
        let row = self.gateway.ledger.as_ref().map(|_| {
            let time_ms = bill.time.timestamp_millis();
            let latency = bill.began.elapsed().as_millis();
            Box::new(Row {
                id: new_row_id(time_ms),
                time_ms,
                request_id: std::mem::take(&mut self.request_id),
                attempt: self.attempts,
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
        let attempted = Attempted {
            row,
            target: target.clone(),
            bill,
            charge: std::mem::take(&mut self.charge),
            series,
            incoming: incoming.clone(),
            evidence: self.evidence.take().unwrap_or_default(),
            admission: self.admission.take(),
        };
        self.gateway.settle(attempted);
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
        let usage = match &self.charge {
            Charge::Reported(usage, _) => Some(usage),
            _ => None,
        };
        let cost = self.charge.cost().map(|cost| cost.to_string());
        self.gateway.log.request(&RequestLine {
            request_id: &self.request_id,
            team: self.key.as_ref().map(|key| &*key.team.name),
            key: self.key.as_ref().map(|key| &*key.name),
            model: self.model.as_ref().map(|(asked, _)| &**asked),
            target: self.target.as_deref(),
            status,
            attempts: self.attempts,
            input_tokens: usage.map(|usage| usage.input_tokens),
            output_tokens: usage.map(|usage| usage.output_tokens),
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
        if let Some(series) = self.count(status, error) {
            self.settle(status, series);
        }
    }
}
