//! What is known of a request so far. Dropping it settles: metrics, the log line, the count of what runs.
//!
//! So a caller who hangs up, a timeout and a panic all leave the same traces as an answer.

use std::sync::Arc;
use std::time::Instant;

use crate::access::Key;
use crate::dialect::{Error, Usage};
use crate::pipeline::gateway::{Gateway, Running};
use crate::route::Model;
use crate::snapshot::Snapshot;
use crate::telemetry::RequestLine;

/// The record of one request.
pub struct Record<'a> {
    gateway: &'a Gateway,
    snapshot: Arc<Snapshot>,
    request_id: String,
    started: Instant,
    /// Who asks.
    pub key: Option<Arc<Key>>,
    /// For what, as the caller says it and as the configuration does.
    pub model: Option<(String, Arc<Model>)>,
    /// Who answers.
    pub target: Option<String>,
    /// Calls upstream so far.
    pub attempts: u32,
    /// What the provider said that it cost.
    pub usage: Option<Usage>,
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
            target: None,
            attempts: 0,
            usage: None,
            stream: false,
            first_token: None,
            outcome: Outcome::Open,
            _running: gateway.drain.run(),
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
}

impl Drop for Record<'_> {
    fn drop(&mut self) {
        let (status, error, detail) = self.ending();
        let took = self.started.elapsed();
        let metrics = &self.gateway.metrics;
        metrics.in_flight.dec();
        match (&self.key, &self.model) {
            (Some(key), Some((asked, model))) => {
                let target = self.target.as_deref().unwrap_or_default();
                let is_success = status == 200;
                let series =
                    (self.snapshot).series(&key.team, model, asked, target, is_success, metrics);
                metrics.request(&series, status, took.as_secs_f64());
                if let (200, Some(error)) = (status, error) {
                    metrics.stream_failed(&series, error);
                }
            }
            (key, _) => metrics.refused(key.as_ref().map_or("", |key| &key.team.name), status),
        }
        let milliseconds = |from: Instant, to: Instant| {
            (to.duration_since(from).as_secs_f64() * 1e6).round() / 1e3
        };
        self.gateway.log.request(&RequestLine {
            request_id: &self.request_id,
            team: self.key.as_ref().map(|key| key.team.name.as_str()),
            key: self.key.as_ref().map(|key| key.name.as_str()),
            model: self.model.as_ref().map(|(asked, _)| asked.as_str()),
            target: self.target.as_deref(),
            status,
            attempts: self.attempts,
            input_tokens: self.usage.map(|usage| usage.input_tokens),
            output_tokens: self.usage.map(|usage| usage.output_tokens),
            cost_usd: None,
            duration_ms: milliseconds(self.started, self.started + took),
            stream: self.stream,
            ttft_ms: self
                .first_token
                .map(|first| milliseconds(self.started, first)),
            error,
            detail,
        });
    }
}
