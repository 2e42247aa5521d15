//! Budgets as operators see them: what is told when a share of one is spent, how each stands, and metrics.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Value, json};

use crate::access::budgets::{Alert, Alerter, Budget, Fund, Owner};
use crate::pipeline::{Gateway, Notice};
use crate::telemetry::{BudgetState, Level};

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
                    user: None,
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
    let fields = [
        ("budget", alert.budget.as_str()),
        ("team", &alert.team),
        ("window", &alert.window.name),
        ("threshold", &threshold),
        ("limit_usd", &limit),
        ("spent_usd", &spent),
    ];
    gateway
        .log
        .event(Level::Warn, "budget threshold reached", &fields);
}

/// `GET /admin/v1/budgets`: each budget and how it stands in its present window.
pub fn list(gateway: &Gateway) -> Value {
    let now = gateway.treasury.now();
    let budgets: Vec<Value> = each(gateway)
        .iter()
        .map(|fund| stands(fund, gateway, now))
        .collect();
    json!({ "budgets": budgets })
}

fn stands(fund: &Arc<Fund>, gateway: &Gateway, now: DateTime<Utc>) -> Value {
    let Budget { usd, windows, .. } = &fund.budget;
    let page = fund.page(&gateway.treasury, now);
    let standing = page.standing();
    let time = |time: DateTime<Utc>| time.to_rfc3339_opts(SecondsFormat::Secs, true);
    json!({
        "name": &*fund.name,
        "team": &**fund.owner.team(),
        "key": fund.owner.key(),
        "model": fund.owner.model(),
        "per": windows.per.name(),
        "timezone": windows.zone.name(),
        "window": &*page.window.name,
        "window_start": time(page.window.start),
        "window_end": page.window.end.map(time),
        "when_spent": fund.budget.when_spent.name(),
        "limit_usd": usd.to_string(),
        "adjusted_usd": standing.adjusted.to_string(),
        "spent_usd": standing.spent.to_string(),
        "reserved_usd": standing.reserved.to_string(),
        "unknown_usd": standing.unknown.to_string(),
        "left_usd": standing.left(*usd).to_string(),
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
}

/// Every budget once, by name.
pub(super) fn each(gateway: &Gateway) -> Vec<Arc<Fund>> {
    let snapshot = gateway.snapshot();
    let mut funds: Vec<_> = snapshot.keys.funds().cloned().collect();
    funds.sort_by(|a, b| a.name.cmp(&b.name));
    funds.dedup_by(|a, b| a.name == b.name);
    funds
}
