//! Money per window: what a team, a key, a user or a team's use of a model may cost.
//!
//! Invariant: a budget that exists is valid, and its amounts are exact.

mod account;
mod adjust;
mod adjustments;
mod alert;
mod book;
mod distant;
mod fund;
mod kind;
mod owner;
mod page;
mod part;
mod purse;
#[cfg(test)]
mod scripts;
mod section;
#[cfg(test)]
mod simulation;
mod standing;
#[cfg(test)]
mod tests;
mod users;
mod webhook;
mod window;

pub use adjust::{Adjusted, NotAdjusted, Order};
pub use adjustments::KIND as ADJUST;
pub use alert::{Alert, Alerter, AlerterState};
pub use book::Book;
pub use fund::{Fund, Payers, Treasury};
pub use kind::Kind;
pub use owner::Owner;
pub use page::{Opening, Page};
pub use part::Part;
pub use purse::{Past, Refusal, WAITING_MAX};
pub use section::{BudgetSection, BudgetsSection, Share, Unbounded, WhenSpent};
pub use standing::{Reached, Standing};
pub use users::{Allowance, Census, Users};
pub use webhook::{Webhook, WebhookSection};
pub use window::{Per, Window, Windows};

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use chrono_tz::{TZ_VARIANTS, Tz};

use crate::config::{Document, nearest};
use crate::spend::Usd;
use section::{ALERTS_MAX, UTC, WAIT_MAX};

/// An amount of money that may be spent in each window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Budget {
    /// How much.
    pub usd: Usd,
    /// In which time.
    pub windows: Windows,
    /// Shares that are told when they are spent, the smaller first.
    pub alert_at: Vec<Share>,
    /// Whom they are told.
    pub webhook: Option<Arc<Webhook>>,
    /// What happens when it is spent.
    pub when_spent: WhenSpent,
    /// How long a request waits for what running ones have reserved.
    pub wait: Duration,
    /// The length below which answers are not shortened to fit.
    pub floor_tokens: u64,
    /// Costs without a bound that are admitted.
    pub allow: BTreeSet<Unbounded>,
}

impl Budget {
    /// Reads a field of one or several budgets, which stands at `path`; mistakes go to `document`.
    pub fn resolve(
        section: Option<&BudgetsSection>,
        path: &[&str],
        document: &mut Document,
    ) -> Arc<[Self]> {
        let Some(section) = section else {
            return Arc::default();
        };
        if document.is_empty(path) && matches!(section, BudgetsSection::Many(_)) {
            document
                .warning(path, "an empty list of budgets limits nothing")
                .help("add one, such as `{ usd: 500, per: month }`, or remove it");
        }
        let mut budgets: Vec<Self> = Vec::new();
        for (path, section) in section.located(path) {
            let path: Vec<&str> = path.iter().map(String::as_str).collect();
            let Some(budget) = Self::resolve_one(section, &path, document) else {
                continue;
            };
            if budgets
                .iter()
                .any(|earlier| earlier.windows == budget.windows)
            {
                let window = match budget.windows.per {
                    Per::Total => "for ever".to_owned(),
                    per => format!("per {} ({})", per.name(), budget.windows.zone),
                };
                document
                    .error(
                        &path,
                        format!("there is a budget {window} in this list already"),
                    )
                    .help("the smaller would do: remove the other one");
            }
            budgets.push(budget);
        }
        budgets.into()
    }

    fn resolve_one(
        section: &BudgetSection,
        path: &[&str],
        document: &mut Document,
    ) -> Option<Self> {
        let at = |field| [path, &[field]].concat();
        let zone = zone(section, &at("timezone"), document);
        let alert_at = alerts(section, &at("alert_at"), document);
        let webhook = section.webhook.as_ref().map(|webhook| {
            if alert_at.as_ref().is_some_and(Vec::is_empty) {
                document
                    .warning(&at("webhook"), "there is nothing to tell the webhook")
                    .help("add `alert_at: [0.5, 0.8, 1]`");
            }
            Webhook::resolve(webhook, &at("webhook"), document)
        });
        if section.wait.0 > WAIT_MAX {
            document
                .error(&at("wait"), "`wait` is at most `60s`")
                .help("a caller who waits for longer has given up");
        }
        let webhook = match webhook {
            Some(resolved) => Some(Arc::new(resolved?)),
            None => None,
        };
        Some(Self {
            usd: section.usd.usd(),
            windows: Windows {
                per: section.per,
                zone: zone?,
            },
            alert_at: alert_at?,
            webhook,
            when_spent: section.when_spent,
            wait: section.wait.0,
            floor_tokens: section.floor_tokens,
            allow: section.allow.clone(),
        })
    }

    /// How many of the shares to be told are reached by what was spent of so much.
    fn reached(&self, spent: Usd, limit: Usd) -> usize {
        let is_reached = |share: &&Share| spent >= share.of(limit);
        self.alert_at.iter().take_while(is_reached).count()
    }

    /// Whether a cost of this kind is admitted although it has no bound.
    pub fn allows(&self, cost: Unbounded) -> bool {
        self.allow.contains(&cost)
    }
}

fn zone(section: &BudgetSection, path: &[&str], document: &mut Document) -> Option<Tz> {
    let name = section.timezone.as_deref();
    if section.per == Per::Total && document.has(path) && name.is_some() {
        document
            .error(path, "a budget for ever begins at nobody's midnight")
            .help("`timezone` goes with `per: day`, `week` or `month`: remove it");
        return None;
    }
    let name = name.unwrap_or(UTC);
    let zone = name.parse::<Tz>().ok();
    if zone.is_none() {
        let near = nearest(name, TZ_VARIANTS.iter().map(|zone| zone.name()));
        let help = near.map(|near| format!("did you mean `{near}`?"));
        document
            .error(path, format!("there is no time zone `{name}`"))
            .help(
                help.unwrap_or_else(|| "it has a name such as `UTC` or `Europe/Berlin`".to_owned()),
            );
    }
    zone
}

fn alerts(section: &BudgetSection, path: &[&str], document: &mut Document) -> Option<Vec<Share>> {
    let mut shares = section.alert_at.clone();
    if shares.len() > ALERTS_MAX {
        document.error(
            path,
            format!("`alert_at` has more than {ALERTS_MAX} shares"),
        );
        return None;
    }
    if let Some(at) = shares.windows(2).position(|pair| pair[0] >= pair[1]) {
        let place = (at + 1).to_string();
        document
            .error(
                &[path, &[&place]].concat(),
                "the shares of `alert_at` are not in order",
            )
            .help("the smaller goes first, and each stands once: `[0.5, 0.8, 0.95]`");
        return None;
    }
    if section.when_spent == WhenSpent::Alert && shares.last() != Some(&Share::WHOLE) {
        shares.push(Share::WHOLE);
    }
    Some(shares)
}
