//! Prometheus metrics.

use prometheus::{
    Counter, CounterVec, Encoder, Gauge, GaugeVec, Histogram, HistogramOpts, HistogramVec,
    IntCounter, IntCounterVec, IntGauge, Opts, Registry, TextEncoder,
};

/// Upper bounds in seconds: from an answer of the cache to a long reasoning stream.
const DURATION_BUCKETS: &[f64] = &[
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0,
];

/// Every metric of the program.
pub struct Metrics {
    registry: Registry,
    requests: IntCounterVec,
    duration: HistogramVec,
    stream_errors: IntCounterVec,
    spend: CounterVec,
    tokens: IntCounterVec,
    estimated: IntCounterVec,
    unpriced: IntCounterVec,
    ledger: LedgerMetrics,
    budgets: BudgetMetrics,
    allowed: AllowedMetrics,
    gates: IntCounterVec,
    gate_duration: HistogramVec,
    reloads: IntCounterVec,
    last_reload_successful: IntGauge,
    /// Requests that are being answered.
    pub in_flight: IntGauge,
    /// Connections from callers.
    pub connections: IntGauge,
    /// Connections refused because `server.max_connections` were open.
    pub connections_refused: IntCounter,
    /// Requests that ended in a panic of ours.
    pub panics: IntCounter,
    log_lines_dropped: IntCounter,
    resident_bytes: IntGauge,
    open_descriptors: IntGauge,
    start_time: Gauge,
}

/// The metrics of one team's requests for one model: handles that are looked up once.
pub struct Series {
    labels: [String; 3],
    /// The status of nearly every request.
    ok: IntCounter,
    duration: Histogram,
    spend: Counter,
    tokens: [IntCounter; TOKEN_TYPES.len()],
    estimated: IntCounter,
    unpriced: IntCounter,
}

/// Kinds of tokens that are counted apart. `input` and `output` are everything, the others parts of them.
const TOKEN_TYPES: [&str; 5] = ["input", "output", "cache_read", "cache_write", "reasoning"];

/// How the ledger is doing.
struct LedgerMetrics {
    waiting: IntGauge,
    stored: IntCounter,
    failures: IntCounter,
    is_behind: IntGauge,
}

/// How budgets stand, and what happened to them.
struct BudgetMetrics {
    limit: GaugeVec,
    spent: GaugeVec,
    reserved: GaugeVec,
    users: GaugeVec,
    alerts: IntCounterVec,
    overshots: IntCounterVec,
}

/// What providers say of their limits.
struct AllowedMetrics {
    limit: GaugeVec,
    remaining: GaugeVec,
}

/// What a provider says of one limit.
#[derive(Clone, Debug)]
pub struct AllowedState {
    /// Whose it is.
    pub provider: String,
    /// The model that it is for, as the provider knows it.
    pub model: String,
    /// Of what it is.
    pub unit: &'static str,
    /// All of it, if that is known.
    pub limit: Option<u64>,
    /// What is left.
    pub remaining: u64,
}

/// How one budget stands.
#[derive(Clone, Debug)]
pub struct BudgetState {
    /// Who pays.
    pub team: String,
    /// The key whose it is; empty if it is a team's.
    pub key: String,
    /// The model that it is for; empty if it is for all.
    pub model: String,
    /// How long it lasts.
    pub per: &'static str,
    /// All of it, in US dollars.
    pub limit: f64,
    /// What was spent in the present window.
    pub spent: f64,
    /// What is reserved, or may have been spent.
    pub reserved: f64,
}

/// How many users of a team have budgets of their own.
#[derive(Clone, Debug)]
pub struct UsersState {
    /// Who pays.
    pub team: String,
    /// How long their budgets last.
    pub per: &'static str,
    /// How many are told apart.
    pub users: usize,
}

/// How the shared state is doing, for its own thread to put down. Cheap to clone.
#[derive(Clone)]
pub struct StateMetrics {
    is_up: IntGauge,
    ok: IntCounter,
    lost: IntCounter,
    refused: IntCounter,
    duration: Histogram,
}

/// Upper bounds in seconds: a Redis nearby answers within a millisecond, and none is waited for for longer than half a second.
const STATE_BUCKETS: &[f64] = &[
    0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5,
];

/// Upper bounds in seconds: gates look at what is there, in linear time.
const GATE_BUCKETS: &[f64] = &[0.000_001, 0.000_01, 0.000_1, 0.001, 0.01, 0.1];

/// The labels of a provider's limit.
const ALLOWED_LABELS: [&str; 3] = ["provider", "model", "unit"];

/// The labels of a budget.
const BUDGET_LABELS: [&str; 4] = ["team", "key", "model", "per"];

/// The same, as the ledger says it.
#[derive(Clone, Copy, Debug, Default)]
pub struct LedgerState {
    /// Rows that are not durable yet.
    pub waiting: usize,
    /// Rows that are.
    pub stored: u64,
    /// Commits that failed.
    pub failures: u64,
    /// Whether commits fail at present.
    pub is_failing: bool,
}

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

impl StateMetrics {
    /// Whether it is reached.
    pub fn up(&self, is_up: bool) {
        self.is_up.set(i64::from(is_up));
    }

    /// A call was answered after so many seconds.
    pub fn answered(&self, seconds: f64) {
        self.ok.inc();
        self.duration.observe(seconds);
    }

    /// A call was not answered.
    pub fn lost(&self) {
        self.lost.inc();
    }

    /// A call was answered with an error.
    pub fn refused(&self) {
        self.refused.inc();
    }
}

impl Metrics {
    /// Registers everything.
    pub fn new() -> Self {
        let registry = Registry::new();
        let metrics = Self {
            requests: counters(
                "tollgate_requests_total",
                "Requests answered; 499 is a caller who left.",
                &["team", "model", "target", "status"],
            ),
            duration: HistogramVec::new(
                HistogramOpts::new(
                    "tollgate_request_duration_seconds",
                    "From the head of a request to the last byte of its answer.",
                )
                .buckets(DURATION_BUCKETS.to_vec()),
                &["model", "target"],
            )
            .expect(VALID),
            stream_errors: counters(
                "tollgate_stream_errors_total",
                "Streams that ended in an error event, with a status of 200.",
                &["team", "model", "target", "error"],
            ),
            spend: CounterVec::new(
                Opts::new(
                    "tollgate_spend_usd_total",
                    "US dollars spent at providers, estimates included.",
                ),
                &["team", "model"],
            )
            .expect(VALID),
            tokens: counters(
                "tollgate_tokens_total",
                "Tokens used; input and output are everything, the other types are parts of them.",
                &["team", "model", "type"],
            ),
            estimated: counters(
                "tollgate_estimated_answers_total",
                "Attempts whose tokens were counted by the gateway, because the provider told none.",
                &["team", "model"],
            ),
            unpriced: counters(
                "tollgate_unpriced_answers_total",
                "Attempts whose cost is unknown, because their target has no price.",
                &["model", "target"],
            ),
            ledger: LedgerMetrics {
                waiting: gauge(
                    "tollgate_ledger_rows_waiting",
                    "Rows that are not durable yet.",
                ),
                stored: counter("tollgate_ledger_rows_total", "Rows that were made durable."),
                failures: counter(
                    "tollgate_ledger_commit_failures_total",
                    "Commits that failed; each is tried again.",
                ),
                is_behind: gauge(
                    "tollgate_ledger_failing",
                    "1 while the ledger's store takes no rows.",
                ),
            },
            budgets: BudgetMetrics {
                limit: gauges(
                    "tollgate_budget_limit_usd",
                    "US dollars a window.",
                    &BUDGET_LABELS,
                ),
                spent: gauges(
                    "tollgate_budget_spent_usd",
                    "US dollars spent in the present window, as far as this replica knows.",
                    &BUDGET_LABELS,
                ),
                reserved: gauges(
                    "tollgate_budget_reserved_usd",
                    "US dollars reserved for running requests, or that may have been spent before a crash.",
                    &BUDGET_LABELS,
                ),
                users: gauges(
                    "tollgate_budget_users",
                    "Users with budgets of their own who are told apart in the present window.",
                    &["team", "per"],
                ),
                alerts: counters(
                    "tollgate_budget_alerts_total",
                    "Shares of budgets that were reached and told.",
                    &["team"],
                ),
                overshots: counters(
                    "tollgate_budget_overshots_total",
                    "Requests that cost more than the most that was known to be possible.",
                    &["team"],
                ),
            },
            allowed: AllowedMetrics {
                limit: gauges(
                    "tollgate_provider_ratelimit_limit",
                    "The limit that the provider says it has, while it is gone by.",
                    &ALLOWED_LABELS,
                ),
                remaining: gauges(
                    "tollgate_provider_ratelimit_remaining",
                    "What is left of that limit, less what was sent since the provider said so.",
                    &ALLOWED_LABELS,
                ),
            },
            gates: counters(
                "tollgate_gate_decisions_total",
                "What gates said of answers: fired, passed, or unknown.",
                &["model", "gate", "decision"],
            ),
            gate_duration: HistogramVec::new(
                HistogramOpts::new(
                    "tollgate_gate_duration_seconds",
                    "How long a gate took, what models took not included.",
                )
                .buckets(GATE_BUCKETS.to_vec()),
                &["gate"],
            )
            .expect(VALID),
            reloads: counters(
                "tollgate_config_reloads_total",
                "Reloads of the configuration.",
                &["result"],
            ),
            last_reload_successful: gauge(
                "tollgate_config_last_reload_successful",
                "1 if the configuration in force is the file as it was last read.",
            ),
            in_flight: gauge("tollgate_requests_in_flight", "Requests being answered."),
            connections: gauge("tollgate_connections", "Open connections from callers."),
            connections_refused: counter(
                "tollgate_connections_refused_total",
                "Connections closed because server.max_connections were open.",
            ),
            panics: counter(
                "tollgate_panics_total",
                "Requests that ended in a bug of ours.",
            ),
            log_lines_dropped: counter(
                "tollgate_log_lines_dropped_total",
                "Log lines lost because they came faster than they could be written.",
            ),
            resident_bytes: gauge("process_resident_memory_bytes", "Resident memory."),
            open_descriptors: gauge("process_open_fds", "Open file descriptors."),
            start_time: Gauge::new(
                "process_start_time_seconds",
                "When the process started, in seconds since 1970.",
            )
            .expect(VALID),
            registry,
        };
        metrics.register();
        metrics.last_reload_successful.set(1);
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        metrics
            .start_time
            .set(now.unwrap_or_default().as_secs_f64());
        metrics
    }

    fn register(&self) {
        let all: [Box<dyn prometheus::core::Collector>; 31] = [
            Box::new(self.gates.clone()),
            Box::new(self.gate_duration.clone()),
            Box::new(self.allowed.limit.clone()),
            Box::new(self.allowed.remaining.clone()),
            Box::new(self.budgets.limit.clone()),
            Box::new(self.budgets.spent.clone()),
            Box::new(self.budgets.reserved.clone()),
            Box::new(self.budgets.users.clone()),
            Box::new(self.budgets.alerts.clone()),
            Box::new(self.budgets.overshots.clone()),
            Box::new(self.requests.clone()),
            Box::new(self.duration.clone()),
            Box::new(self.stream_errors.clone()),
            Box::new(self.spend.clone()),
            Box::new(self.tokens.clone()),
            Box::new(self.estimated.clone()),
            Box::new(self.unpriced.clone()),
            Box::new(self.ledger.waiting.clone()),
            Box::new(self.ledger.stored.clone()),
            Box::new(self.ledger.failures.clone()),
            Box::new(self.ledger.is_behind.clone()),
            Box::new(self.reloads.clone()),
            Box::new(self.last_reload_successful.clone()),
            Box::new(self.in_flight.clone()),
            Box::new(self.connections.clone()),
            Box::new(self.connections_refused.clone()),
            Box::new(self.panics.clone()),
            Box::new(self.log_lines_dropped.clone()),
            Box::new(self.resident_bytes.clone()),
            Box::new(self.open_descriptors.clone()),
            Box::new(self.start_time.clone()),
        ];
        for collector in all {
            self.registry.register(collector).expect(VALID);
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
            spend: self.spend.with_label_values(&[team, model]),
            tokens: TOKEN_TYPES.map(|kind| self.tokens.with_label_values(&[team, model, kind])),
            estimated: self.estimated.with_label_values(&[team, model]),
            unpriced: self.unpriced.with_label_values(&[model, target]),
        }
    }

    /// The metrics of the shared state, which are registered where there is one: to be called once.
    pub fn state(&self) -> StateMetrics {
        let calls = counters(
            "tollgate_state_calls_total",
            "Calls to the shared state by their result: ok, lost or refused.",
            &["result"],
        );
        let duration = HistogramOpts::new(
            "tollgate_state_call_duration_seconds",
            "From a call to the shared state to its answer.",
        );
        let duration = duration.buckets(STATE_BUCKETS.to_vec());
        let state = StateMetrics {
            is_up: gauge("tollgate_state_up", "1 while the shared state is reached."),
            ok: calls.with_label_values(&["ok"]),
            lost: calls.with_label_values(&["lost"]),
            refused: calls.with_label_values(&["refused"]),
            duration: Histogram::with_opts(duration).expect(VALID),
        };
        let all: [Box<dyn prometheus::core::Collector>; 3] = [
            Box::new(calls),
            Box::new(state.is_up.clone()),
            Box::new(state.duration.clone()),
        ];
        for collector in all {
            self.registry.register(collector).expect(VALID);
        }
        state
    }

    /// How the ledger is doing, asked when somebody looks.
    pub fn ledger(&self, state: LedgerState) {
        let ledger = &self.ledger;
        ledger
            .waiting
            .set(i64::try_from(state.waiting).unwrap_or(i64::MAX));
        let count = |counter: &IntCounter, total: u64| {
            counter.inc_by(total.saturating_sub(counter.get()));
        };
        count(&ledger.stored, state.stored);
        count(&ledger.failures, state.failures);
        self.ledger.is_behind.set(i64::from(state.is_failing));
    }

    /// Puts down how budgets stand; those that are no more are forgotten.
    pub fn budgets(&self, states: impl Iterator<Item = BudgetState>) {
        let BudgetMetrics {
            limit,
            spent,
            reserved,
            ..
        } = &self.budgets;
        [limit, spent, reserved]
            .into_iter()
            .for_each(GaugeVec::reset);
        for state in states {
            let labels = [state.team.as_str(), &state.key, &state.model, state.per];
            limit.with_label_values(&labels).set(state.limit);
            spent.with_label_values(&labels).set(state.spent);
            reserved.with_label_values(&labels).set(state.reserved);
        }
    }

    /// Puts down how many users there are.
    pub fn users(&self, states: impl Iterator<Item = UsersState>) {
        let gauge = &self.budgets.users;
        gauge.reset();
        for UsersState { team, per, users } in states {
            gauge.with_label_values(&[&*team, per]).set(users as f64);
        }
    }

    /// Puts down what providers say of their limits, of several keys what the one says that has most; what is gone by no longer
    /// is forgotten.
    pub fn allowed(&self, states: impl Iterator<Item = AllowedState>) {
        let AllowedMetrics { limit, remaining } = &self.allowed;
        [limit, remaining].into_iter().for_each(GaugeVec::reset);
        for state in states {
            let labels = [state.provider.as_str(), &state.model, state.unit];
            let told = [(limit, state.limit), (remaining, Some(state.remaining))];
            for (gauges, value) in told {
                let Some(value) = value else { continue };
                let gauge = gauges.with_label_values(&labels);
                gauge.set(gauge.get().max(value as f64));
            }
        }
    }

    /// A share of a team's budget was reached.
    pub fn alerted(&self, team: &str) {
        self.budgets.alerts.with_label_values(&[team]).inc();
    }

    /// A request of a team cost more than it could.
    pub fn overshot(&self, team: &str) {
        self.budgets.overshots.with_label_values(&[team]).inc();
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

    /// Counts what a gate said of an answer of a model's, and how long that took it. All names come from the configuration.
    pub fn gate(&self, model: &str, gate: &str, decision: &str, seconds: f64) {
        let labels = [model, gate, decision];
        self.gates.with_label_values(&labels).inc();
        let duration = self.gate_duration.with_label_values(&[gate]);
        duration.observe(seconds);
    }

    /// Counts a reload.
    pub fn reloaded(&self, is_success: bool) {
        let result = if is_success { "success" } else { "failure" };
        self.reloads.with_label_values(&[result]).inc();
        self.last_reload_successful.set(i64::from(is_success));
    }

    /// The counter of lost log lines, for the log to count on.
    pub fn log_lines_dropped(&self) -> IntCounter {
        self.log_lines_dropped.clone()
    }

    /// Everything, in Prometheus's text format.
    pub fn render(&self) -> Vec<u8> {
        if let Some(bytes) = resident_bytes() {
            self.resident_bytes.set(bytes);
        }
        if let Ok(entries) = std::fs::read_dir("/proc/self/fd") {
            let open = i64::try_from(entries.count()).unwrap_or(i64::MAX);
            self.open_descriptors.set(open);
        }
        let mut text = Vec::new();
        // Writing to memory cannot fail.
        let _ = TextEncoder::new().encode(&self.registry.gather(), &mut text);
        text
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

/// The names and labels are constants of this file, each registered once.
const VALID: &str = "valid and unique metric names";

fn gauges(name: &str, help: &str, labels: &[&str]) -> GaugeVec {
    GaugeVec::new(Opts::new(name, help), labels).expect(VALID)
}

fn counters(name: &str, help: &str, labels: &[&str]) -> IntCounterVec {
    IntCounterVec::new(Opts::new(name, help), labels).expect(VALID)
}

fn counter(name: &str, help: &str) -> IntCounter {
    IntCounter::new(name, help).expect(VALID)
}

fn gauge(name: &str, help: &str) -> IntGauge {
    IntGauge::new(name, help).expect(VALID)
}

/// Resident memory, from `VmRSS` (KiB; see proc_pid_status(5)).
fn resident_bytes() -> Option<i64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: i64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_counted_by_status() {
        let metrics = Metrics::new();
        let series = metrics.series("search", "fast", "openai/gpt");
        metrics.request(&series, 200, 0.2);
        metrics.request(&series, 429, 0.1);
        let text = String::from_utf8(metrics.render()).unwrap();
        for line in [
            r#"tollgate_requests_total{model="fast",status="200",target="openai/gpt",team="search"} 1"#,
            r#"tollgate_requests_total{model="fast",status="429",target="openai/gpt",team="search"} 1"#,
            r#"tollgate_request_duration_seconds_count{model="fast",target="openai/gpt"} 2"#,
            "tollgate_config_last_reload_successful 1",
        ] {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
    }

    #[test]
    fn the_process_knows_its_size() {
        assert!(resident_bytes().unwrap() > 1_000_000);
    }
}
