//! Prometheus metrics.

mod allowances;
mod budgets;
mod ledger;
mod register;
mod requests;
mod state;
mod targets;
#[cfg(test)]
mod tests;

pub use allowances::AllowedState;
pub use budgets::{BudgetState, UsersState};
pub use ledger::LedgerState;
pub use requests::Series;
pub use state::StateMetrics;
pub use targets::TargetState;

use prometheus::{
    Encoder, HistogramVec, IntCounter, IntCounterVec, IntGauge, Registry, TextEncoder,
};

use allowances::AllowedMetrics;
use budgets::BudgetMetrics;
use ledger::LedgerMetrics;
use register::{counter, counters, fraction, gauge, histograms};
use requests::RequestMetrics;
use targets::TargetMetrics;

/// Upper bounds in seconds: gates look at what is there, in linear time.
const GATE_BUCKETS: &[f64] = &[0.000_001, 0.000_01, 0.000_1, 0.001, 0.01, 0.1];

/// Every metric of the program.
pub struct Metrics {
    registry: Registry,
    requests: RequestMetrics,
    ledger: LedgerMetrics,
    budgets: BudgetMetrics,
    allowed: AllowedMetrics,
    targets: TargetMetrics,
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
}

impl Metrics {
    /// Registers everything.
    pub fn new() -> Self {
        let registry = &Registry::new();
        let metrics = Self {
            requests: RequestMetrics::new(registry),
            ledger: LedgerMetrics::new(registry),
            budgets: BudgetMetrics::new(registry),
            allowed: AllowedMetrics::new(registry),
            targets: TargetMetrics::new(registry),
            gates: counters(
                registry,
                "tollgate_gate_decisions_total",
                "What gates said of answers: fired, passed, or unknown.",
                &["model", "gate", "decision"],
            ),
            gate_duration: histograms(
                registry,
                "tollgate_gate_duration_seconds",
                "How long a gate took, what models took not included.",
                GATE_BUCKETS,
                &["gate"],
            ),
            reloads: counters(
                registry,
                "tollgate_config_reloads_total",
                "Reloads of the configuration.",
                &["result"],
            ),
            last_reload_successful: gauge(
                registry,
                "tollgate_config_last_reload_successful",
                "1 if the configuration in force is the file as it was last read.",
            ),
            in_flight: gauge(
                registry,
                "tollgate_requests_in_flight",
                "Requests being answered.",
            ),
            connections: gauge(
                registry,
                "tollgate_connections",
                "Open connections from callers.",
            ),
            connections_refused: counter(
                registry,
                "tollgate_connections_refused_total",
                "Connections closed because server.max_connections were open.",
            ),
            panics: counter(
                registry,
                "tollgate_panics_total",
                "Requests that ended in a bug of ours.",
            ),
            log_lines_dropped: counter(
                registry,
                "tollgate_log_lines_dropped_total",
                "Log lines lost because they came faster than they could be written.",
            ),
            resident_bytes: gauge(
                registry,
                "process_resident_memory_bytes",
                "Resident memory.",
            ),
            open_descriptors: gauge(registry, "process_open_fds", "Open file descriptors."),
            registry: registry.clone(),
        };
        metrics.last_reload_successful.set(1);
        let start_time = fraction(
            registry,
            "process_start_time_seconds",
            "When the process started, in seconds since 1970.",
        );
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        start_time.set(now.unwrap_or_default().as_secs_f64());
        metrics
    }

    /// The handles for a team's requests for a model. All three come from the configuration, never from a caller.
    pub fn series(&self, team: &str, model: &str, target: &str) -> Series {
        self.requests.series(team, model, target)
    }

    /// The metrics of the shared state, which are registered where there is one: to be called once.
    pub fn state(&self) -> StateMetrics {
        StateMetrics::new(&self.registry)
    }

    /// How the ledger is doing, asked when somebody looks.
    pub fn ledger(&self, state: LedgerState) {
        self.ledger.stand(state);
    }

    /// Puts down how budgets stand; those that are no more are forgotten.
    pub fn budgets(&self, states: impl Iterator<Item = BudgetState>) {
        self.budgets.stand(states);
    }

    /// Puts down how many users there are.
    pub fn users(&self, states: impl Iterator<Item = UsersState>) {
        self.budgets.users(states);
    }

    /// Puts down what providers say of their limits; what is gone by no longer is forgotten.
    pub fn allowed(&self, states: impl Iterator<Item = AllowedState>) {
        self.allowed.stand(states);
    }

    /// Puts down how targets fare; those that are no more are forgotten.
    pub fn targets(&self, states: impl Iterator<Item = TargetState>) {
        self.targets.stand(states);
    }

    /// A share of a team's budget was reached.
    pub fn alerted(&self, team: &str) {
        self.budgets.alerted(team);
    }

    /// A request of a team cost more than it could.
    pub fn overshot(&self, team: &str) {
        self.budgets.overshot(team);
    }

    /// Counts a request that got as far as a model.
    pub fn request(&self, series: &Series, status: u16, seconds: f64) {
        self.requests.request(series, status, seconds);
    }

    /// Counts an attempt, and what came of it: `ok`, a status, or a word of ours.
    pub fn attempt(&self, series: &Series, outcome: &str) {
        self.requests.attempt(series, outcome);
    }

    /// Counts a request that was answered by another target than the one asked first, and what came of that one.
    pub fn fell_back(&self, model: &str, reason: &str) {
        self.requests.fell_back(model, reason);
    }

    /// Counts a stream that broke off after its head. `error` is a code word of ours.
    pub fn stream_failed(&self, series: &Series, error: &str) {
        self.requests.stream_failed(series, error);
    }

    /// Counts a request that was refused before it got to a model.
    pub fn refused(&self, team: &str, status: u16) {
        self.requests.refused(team, status);
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

/// Resident memory, from `VmRSS` (KiB; see proc_pid_status(5)).
fn resident_bytes() -> Option<i64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: i64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}
