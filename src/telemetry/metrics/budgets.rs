//! How budgets stand, and what happened to them.

use prometheus::{GaugeVec, IntCounterVec, Registry};

use super::register::{counters, gauges};

/// The labels of a budget.
const LABELS: [&str; 4] = ["team", "key", "model", "per"];

/// How budgets stand, and what happened to them.
pub(super) struct BudgetMetrics {
    limit: GaugeVec,
    spent: GaugeVec,
    reserved: GaugeVec,
    users: GaugeVec,
    alerts: IntCounterVec,
    overshots: IntCounterVec,
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

impl BudgetMetrics {
    pub fn new(registry: &Registry) -> Self {
        Self {
            limit: gauges(
                registry,
                "tollgate_budget_limit_usd",
                "US dollars a window.",
                &LABELS,
            ),
            spent: gauges(
                registry,
                "tollgate_budget_spent_usd",
                "US dollars spent in the present window, as far as this replica knows.",
                &LABELS,
            ),
            reserved: gauges(
                registry,
                "tollgate_budget_reserved_usd",
                "US dollars reserved for running requests, or that may have been spent before a crash.",
                &LABELS,
            ),
            users: gauges(
                registry,
                "tollgate_budget_users",
                "Users with budgets of their own who are told apart in the present window.",
                &["team", "per"],
            ),
            alerts: counters(
                registry,
                "tollgate_budget_alerts_total",
                "Shares of budgets that were reached and told.",
                &["team"],
            ),
            overshots: counters(
                registry,
                "tollgate_budget_overshots_total",
                "Requests that cost more than the most that was known to be possible.",
                &["team"],
            ),
        }
    }

    pub fn stand(&self, states: impl Iterator<Item = BudgetState>) {
        let Self {
            limit,
            spent,
            reserved,
            ..
        } = self;
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

    pub fn users(&self, states: impl Iterator<Item = UsersState>) {
        self.users.reset();
        for UsersState { team, per, users } in states {
            let gauge = self.users.with_label_values(&[&*team, per]);
            gauge.set(users as f64);
        }
    }

    pub fn alerted(&self, team: &str) {
        self.alerts.with_label_values(&[team]).inc();
    }

    pub fn overshot(&self, team: &str) {
        self.overshots.with_label_values(&[team]).inc();
    }
}
