//! Budgets as operators see them: what is told when a share of one is spent, how each stands, and metrics.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Value, json};

use crate::access::budgets::{Alert, Alerter, Allowance, Budget, Fund, Owner, Standing, Window};
use crate::pipeline::{Gateway, Notice};
use crate::telemetry::{BudgetState, Level, UsersState};

/// So long replicas remember that one of them has told of a share: longer than any window but `total`.
const TOLD_FOR: Duration = Duration::from_secs(60 * 24 * 60 * 60);

/// Tells what happens to budgets, in the log, in a metric and to their webhooks; for as long as the process lives.
pub async fn tell(gateway: Arc<Gateway>, alerter: Alerter) {
    let Some(mut notices) = gateway.notices.lock().take() else {
        return;
    };
    while let Some(notice) = notices.recv().await {
        match notice {
            Notice::Reached { fund, reached } => {
                let alert = Alert {
                    at: Utc::now(),
                    budget: fund.name.to_string(),
                    team: fund.owner.team().to_string(),
                    key: fund.owner.key().map(str::to_owned),
                    model: fund.owner.model().map(str::to_owned),
                    user: fund.owner.user().map(str::to_owned),
                    per: fund.budget.windows.per,
                    window: reached.window,
                    threshold: reached.share,
                    limit: reached.limit,
                    spent: reached.spent,
                    when_spent: fund.budget.when_spent,
                };
                if let Some(state) = &gateway.state
                    && !state.is_first(&alert.id(), TOLD_FOR).await
                {
                    continue;
                }
                tell_reached(&gateway, &fund.owner, &alert);
                if let Some(webhook) = &fund.budget.webhook {
                    alerter.send(webhook, &alert);
                }
            }
            Notice::Overshot {
                fund,
                reserved,
                cost,
            } => {
                gateway.metrics.overshot(fund.owner.team());
                let (reserved, cost) = (reserved.to_string(), cost.to_string());
                let fields = [
                    ("budget", &*fund.name),
                    ("team", &**fund.owner.team()),
                    ("reserved_usd", &reserved),
                    ("cost_usd", &cost),
                ];
                let message = "a provider charged more than the most that a request could cost";
                gateway.log.event(Level::Error, message, &fields);
            }
        }
    }
}

fn tell_reached(gateway: &Gateway, owner: &Owner, alert: &Alert) {
    gateway.metrics.alerted(owner.team());
    let threshold = alert.threshold.to_string();
    let (limit, spent) = (alert.limit.to_string(), alert.spent.to_string());
    let user = alert.user.iter().map(|user| ("user", user.as_str()));
    let fields = [
        ("budget", alert.budget.as_str()),
        ("team", &alert.team),
        ("window", &alert.window.name),
        ("threshold", &threshold),
        ("limit_usd", &limit),
        ("spent_usd", &spent),
    ];
    let fields: Vec<_> = fields.into_iter().chain(user).collect();
    gateway
        .log
        .event(Level::Warn, "budget threshold reached", &fields);
}

/// `GET /admin/v1/budgets`: each budget and how it stands in its present window; of users, how many there are.
pub fn list(gateway: &Gateway) -> Value {
    let now = gateway.treasury.now();
    let budgets = each(gateway).into_iter().map(|fund| {
        let page = fund.page(&gateway.treasury, now);
        let Fund {
            owner,
            budget,
            name,
            ..
        } = &*fund;
        stands(owner, name, budget, &page.window, &page.standing())
    });
    let snapshot = gateway.snapshot();
    let of_users = snapshot.keys.allowances();
    let of_users = of_users.map(|allowance| of_users_stands(allowance, now));
    json!({ "budgets": budgets.chain(of_users).collect::<Vec<_>>() })
}

/// A budget and how it stands.
pub(super) fn stands(
    owner: &Owner,
    name: &str,
    budget: &Budget,
    window: &Window,
    standing: &Standing,
) -> Value {
    let mut told = described(owner, name, budget, window);
    told["key"] = json!(owner.key());
    told["model"] = json!(owner.model());
    told["user"] = json!(owner.user());
    told["adjusted_usd"] = json!(standing.adjusted.to_string());
    told["spent_usd"] = json!(standing.spent.to_string());
    told["reserved_usd"] = json!(standing.reserved.to_string());
    told["unknown_usd"] = json!(standing.unknown.to_string());
    told["left_usd"] = json!(standing.left(budget.usd).to_string());
    told
}

/// The budget that each user of a team has, and how many there are.
fn of_users_stands(allowance: &Allowance, now: DateTime<Utc>) -> Value {
    let census = allowance.census(now);
    let Allowance {
        owner,
        budget,
        name,
        ..
    } = allowance;
    let mut told = described(owner, name, budget, &census.window);
    told["per_user"] = json!(true);
    told["users"] = json!(census.users);
    told["users_max"] = json!(allowance.users_max);
    told["users_spent"] = json!(census.spent_up);
    told["others"] = json!(census.has_others);
    told["spent_usd"] = json!(census.spent.to_string());
    told
}

fn described(owner: &Owner, name: &str, budget: &Budget, window: &Window) -> Value {
    let Budget { usd, windows, .. } = budget;
    let time = |time: DateTime<Utc>| time.to_rfc3339_opts(SecondsFormat::Secs, true);
    json!({
        "name": name,
        "team": &**owner.team(),
        "per": windows.per.name(),
        "timezone": windows.zone.name(),
        "window": &*window.name,
        "window_start": time(window.start),
        "window_end": window.end.map(time),
        "when_spent": budget.when_spent.name(),
        "limit_usd": usd.to_string(),
    })
}

/// Puts how budgets stand into the metrics.
pub fn observe(gateway: &Gateway) {
    let now = gateway.treasury.now();
    let states = each(gateway).into_iter().map(|fund| {
        let standing = fund.page(&gateway.treasury, now).standing();
        BudgetState {
            team: fund.owner.team().to_string(),
            key: fund.owner.key().unwrap_or_default().to_owned(),
            model: fund.owner.model().unwrap_or_default().to_owned(),
            per: fund.budget.windows.per.name(),
            limit: (fund.budget.usd + standing.adjusted).as_f64(),
            spent: standing.spent.as_f64(),
            reserved: (standing.reserved + standing.unknown).as_f64(),
        }
    });
    gateway.metrics.budgets(states);
    let snapshot = gateway.snapshot();
    let users = snapshot.keys.allowances().map(|allowance| UsersState {
        team: allowance.owner.team().to_string(),
        per: allowance.budget.windows.per.name(),
        users: allowance.count(now),
    });
    gateway.metrics.users(users);
}

/// Every budget once, by name.
pub(super) fn each(gateway: &Gateway) -> Vec<Arc<Fund>> {
    let snapshot = gateway.snapshot();
    let mut funds: Vec<_> = snapshot.keys.funds().cloned().collect();
    funds.sort_by(|a, b| a.name.cmp(&b.name));
    funds.dedup_by(|a, b| a.name == b.name);
    funds
}
