//! What requests came to: how many, how long, what they used and cost.

use prometheus::{
    Counter, CounterVec, Histogram, HistogramVec, IntCounter, IntCounterVec, Registry,
};

use super::register::{counters, histograms, sums};

/// Upper bounds in seconds: from an answer of the cache to a long reasoning stream.
const DURATION_BUCKETS: &[f64] = &[
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0,
];

/// Kinds of tokens that are counted apart. `input` and `output` are everything, the others parts of them.
const TOKEN_TYPES: [&str; 5] = ["input", "output", "cache_read", "cache_write", "reasoning"];

/// What comes of nearly every attempt.
const OK: &str = "ok";

/// What requests came to.
pub(super) struct RequestMetrics {
    requests: IntCounterVec,
    duration: HistogramVec,
    attempts: IntCounterVec,
    fallbacks: IntCounterVec,
    stream_errors: IntCounterVec,
    spend: CounterVec,
    tokens: IntCounterVec,
    estimated: IntCounterVec,
    unpriced: IntCounterVec,
}

/// The metrics of one team's requests for one model: handles that are looked up once.
pub struct Series {
    labels: [String; 3],
    /// The status of nearly every request.
    ok: IntCounter,
    duration: Histogram,
    /// What comes of nearly every attempt.
    attempts_ok: IntCounter,
    spend: Counter,
    tokens: [IntCounter; TOKEN_TYPES.len()],
    estimated: IntCounter,
    unpriced: IntCounter,
}

// === impl RequestMetrics ===

impl RequestMetrics {
    pub fn new(registry: &Registry) -> Self {
        Self {
            requests: counters(
                registry,
                "tollgate_requests_total",
                "Requests answered; 499 is a caller who left.",
                &["team", "model", "target", "status"],
            ),
            duration: histograms(
                registry,
                "tollgate_request_duration_seconds",
                "From the head of a request to the last byte of its answer.",
                DURATION_BUCKETS,
                &["model", "target"],
            ),
            attempts: counters(
                registry,
                "tollgate_attempts_total",
                "Calls to targets by what came of them: ok, a status, a failure, or the gate that it did not pass.",
                &["model", "target", "outcome"],
            ),
            fallbacks: counters(
                registry,
                "tollgate_fallbacks_total",
                "Requests answered by another target than the one asked first, by what came of that one.",
                &["model", "reason"],
            ),
            stream_errors: counters(
                registry,
                "tollgate_stream_errors_total",
                "Streams that ended in an error event, with a status of 200.",
                &["team", "model", "target", "error"],
            ),
            spend: sums(
                registry,
                "tollgate_spend_usd_total",
                "US dollars spent at providers, estimates included.",
                &["team", "model"],
            ),
            tokens: counters(
                registry,
                "tollgate_tokens_total",
                "Tokens used; input and output are everything, the other types are parts of them.",
                &["team", "model", "type"],
            ),
            estimated: counters(
                registry,
                "tollgate_estimated_answers_total",
                "Attempts whose tokens were counted by the gateway, because the provider told none.",
                &["team", "model"],
            ),
            unpriced: counters(
                registry,
                "tollgate_unpriced_answers_total",
                "Attempts whose cost is unknown, because their target has no price.",
                &["model", "target"],
            ),
        }
    }

    /// The handles for a team's requests for a model. All three come from the configuration, never from a caller.
    pub fn series(&self, team: &str, model: &str, target: &str) -> Series {
        Series {
            labels: [team, model, target].map(str::to_owned),
            ok: self
                .requests
                .with_label_values(&[team, model, target, "200"]),
            duration: self.duration.with_label_values(&[model, target]),
            attempts_ok: self.attempts.with_label_values(&[model, target, OK]),
            spend: self.spend.with_label_values(&[team, model]),
            tokens: TOKEN_TYPES.map(|kind| self.tokens.with_label_values(&[team, model, kind])),
            estimated: self.estimated.with_label_values(&[team, model]),
            unpriced: self.unpriced.with_label_values(&[model, target]),
        }
    }

    /// Counts a request that got as far as a model.
    pub fn request(&self, series: &Series, status: u16, seconds: f64) {
        match status {
            200 => series.ok.inc(),
            _ => {
                let [team, model, target] = &series.labels;
                let labels = [team.as_str(), model, target, &status.to_string()];
                self.requests.with_label_values(&labels).inc();
            }
        }
        series.duration.observe(seconds);
    }

    /// Counts an attempt.
    pub fn attempt(&self, series: &Series, outcome: &str) {
        match outcome {
            OK => series.attempts_ok.inc(),
            _ => {
                let [_, model, target] = &series.labels;
                let labels = [model.as_str(), target, outcome];
                self.attempts.with_label_values(&labels).inc();
            }
        }
    }

    /// Counts a request that was answered by another target than the first.
    pub fn fell_back(&self, model: &str, reason: &str) {
        self.fallbacks.with_label_values(&[model, reason]).inc();
    }

    /// Counts a stream that broke off after its head. `error` is a code word of ours.
    pub fn stream_failed(&self, series: &Series, error: &str) {
        let [team, model, target] = &series.labels;
        let labels = [team.as_str(), model, target, error];
        self.stream_errors.with_label_values(&labels).inc();
    }

    /// Counts a request that was refused before it got to a model.
    pub fn refused(&self, team: &str, status: u16) {
        let labels = [team, "", "", &status.to_string()];
        self.requests.with_label_values(&labels).inc();
    }
}

// === impl Series ===

impl Series {
    /// Counts what an attempt used, in tokens of [input, output, cache read, cache write, reasoning], and what it cost in
    /// dollars, if that is known. Tells whether it is the first of its model and target whose cost is not.
    pub fn used(
        &self,
        tokens: [u64; TOKEN_TYPES.len()],
        usd: Option<f64>,
        is_estimated: bool,
    ) -> bool {
        let counted = self.tokens.iter().zip(tokens);
        counted.for_each(|(counter, count)| counter.inc_by(count));
        if is_estimated {
            self.estimated.inc();
        }
        let is_first = self.unpriced.get() == 0;
        match usd {
            Some(usd) => self.spend.inc_by(usd),
            None => self.unpriced.inc(),
        }
        usd.is_none() && is_first
    }
}
