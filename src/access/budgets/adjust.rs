//! An operator changes a budget in its present window: durably first, then here, then wherever else it is drawn on.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use uuid::Uuid;

use super::adjustments::Adjustments;
use super::fund::{Fund, Treasury};
use super::page::Page;
use super::section::USD_MAX;
use super::standing::Standing;
use super::window::Window;
use crate::spend::Usd;
use crate::spend::ledger::{Adjustment, Change, Ledger};

/// How many adjustments a window may have: whoever needs more wants another budget.
const ADJUSTMENTS_MAX: usize = 1_000;

/// How long the ledger may take to have it, before the operator is told that it has not.
const NOTED_WITHIN: Duration = Duration::from_secs(5);

/// What an operator wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// To raise the limit by so much; None for what was spent up to now to count no more.
    pub raise: Option<Usd>,
    /// Who says so.
    pub by: String,
    /// And why.
    pub why: String,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Adjusted {
    /// Its id in the ledger.
    pub id: Arc<str>,
    /// In which window.
    pub window: Window,
    /// How the budget stood before, …
    pub before: Standing,
    /// … and how it stands now.
    pub after: Standing,
    /// Whether a restart will know of it.
    pub is_durable: bool,
    /// Whether the other replicas know of it already; None where there are none.
    pub is_shared: Option<bool>,
}

/// Why nothing was adjusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAdjusted {
    /// Beyond what can be counted exactly.
    #[error("the budget would come to more than {USD_MAX} USD in this window")]
    TooMuch,
    /// More than [`ADJUSTMENTS_MAX`].
    #[error(
        "the budget has {ADJUSTMENTS_MAX} adjustments in this window: change its `usd` instead"
    )]
    TooMany,
    /// Nobody knows what was spent.
    #[error(
        "Redis does not say what the other replicas have spent, so nothing was reset: try again"
    )]
    Lost,
    /// The ledger is away.
    #[error(
        "the ledger has not taken it yet: it takes effect when the ledger does, so look before you try again"
    )]
    NotDurable,
}

impl Fund {
    /// Does what an operator wants, in the present window.
    ///
    /// # Errors
    /// It cannot be done, or not now.
    pub async fn adjust(&self, treasury: &Treasury, order: Order) -> Result<Adjusted, NotAdjusted> {
        let now = treasury.now();
        let page = self.page(treasury, now);
        let change = match order.raise {
            Some(amount) => Change::Raise(amount),
            None => Change::Reset(spent(&page).await.ok_or(NotAdjusted::Lost)?),
        };
        let before = page.standing();
        let id: Arc<str> = Uuid::now_v7().to_string().into();
        let mut adjustments = page.adjustments();
        adjustments.add(id.clone(), change);
        if adjustments.count() > ADJUSTMENTS_MAX {
            return Err(NotAdjusted::TooMany);
        }
        if self.budget.usd + adjustments.sum() > Usd::from_nano(USD_MAX * 1_000_000_000) {
            return Err(NotAdjusted::TooMuch);
        }
        match treasury.ledger() {
            Some(ledger) => {
                let adjustment = Adjustment {
                    id: id.clone(),
                    time_ms: now.timestamp_millis(),
                    budget: self.name.clone(),
                    window: page.window.name.clone(),
                    change,
                    by: order.by,
                    why: order.why,
                };
                note(ledger, adjustment, &page, adjustments).await?;
            }
            None => page.adjust(&adjustments),
        }
        let is_shared = share(&page).await;
        Ok(Adjusted {
            id,
            window: page.window.clone(),
            before,
            after: page.standing(),
            is_durable: treasury.ledger().is_some() || is_shared == Some(true),
            is_shared,
        })
    }
}

/// What all have spent, rounded up to a nano-dollar.
async fn spent(page: &Page) -> Option<Usd> {
    let by_others = match page.distant() {
        Some(distant) => {
            let (sender, spent) = oneshot::channel();
            distant.spent_by_others(move |spent| {
                // Whoever asked may have left; here and below.
                let _ = sender.send(spent);
            });
            spent.await.ok()??
        }
        None => Usd::ZERO,
    };
    let spent = by_others + page.settled();
    Some(Usd::from_nano(spent.nano_rounded_up()))
}

/// Has it put down, and adjusts the page when it is.
async fn note(
    ledger: &Ledger,
    adjustment: Adjustment,
    page: &Arc<Page>,
    adjustments: Adjustments,
) -> Result<(), NotAdjusted> {
    let page = page.clone();
    let (sender, noted) = oneshot::channel();
    let on_noted = move || {
        page.adjust(&adjustments);
        let _ = sender.send(());
    };
    ledger.note(adjustment, Box::new(on_noted));
    match tokio::time::timeout(NOTED_WITHIN, noted).await {
        Ok(Ok(())) => Ok(()),
        _ => Err(NotAdjusted::NotDurable),
    }
}

/// Tells the other replicas, where there are any, and whether they could be told.
async fn share(page: &Arc<Page>) -> Option<bool> {
    page.distant()?;
    let (sender, told) = oneshot::channel();
    page.share_adjustments(move |is_told| {
        let _ = sender.send(is_told);
    });
    Some(told.await.unwrap_or(false))
}
