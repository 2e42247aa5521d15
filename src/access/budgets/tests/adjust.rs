//! What operators add to budgets.

use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono_tz::Tz;

use crate::access::budgets::adjustments::Adjustments;
use crate::access::budgets::purse::WAITING_MAX;
use crate::access::budgets::{
    Adjusted, Budget, Fund, NotAdjusted, Order, Owner, Page, Part, Per, Refusal, Share, Treasury,
    WhenSpent, Windows,
};
use crate::spend::Usd;
use crate::spend::ledger::{Change, Ledger, Location, Settings};

/// More than it takes to ask an account again.
const WAIT: Duration = Duration::from_secs(60);

const fn usd(dollars: i128) -> Usd {
    Usd::from_pico(dollars * 1_000_000_000_000)
}

fn fund(dollars: i128, alert_at: &str) -> Fund {
    let alert_at: Vec<Share> = serde_json::from_str(alert_at).unwrap();
    let budget = Budget {
        usd: usd(dollars),
        windows: Windows {
            per: Per::Total,
            zone: Tz::UTC,
        },
        alert_at,
        webhook: None,
        when_spent: WhenSpent::Reject,
        wait: Duration::ZERO,
        floor_tokens: 64,
        allow: Default::default(),
    };
    Fund::new(Owner::Team("search".into()), budget, |_| Arc::default())
}

struct Scene {
    fund: Arc<Fund>,
    treasury: Treasury,
    page: Arc<Page>,
}

impl Scene {
    fn set(dollars: i128, alert_at: &str) -> Self {
        Self::with(Treasury::new(None, None), dollars, alert_at)
    }

    fn with(treasury: Treasury, dollars: i128, alert_at: &str) -> Self {
        let fund = Arc::new(fund(dollars, alert_at));
        treasury
            .open(std::iter::once(&fund), std::iter::empty())
            .unwrap();
        let page = fund.present().unwrap();
        Self {
            fund,
            treasury,
            page,
        }
    }

    async fn reserve(&self, dollars: i128) -> Result<Part, Refusal> {
        let (limit, amount) = (self.fund.budget.usd, usd(dollars));
        self.page
            .reserve(limit, amount, amount, WAIT, WAITING_MAX)
            .await
    }

    async fn spend(&self, dollars: i128) {
        // Settled by all of it, and nothing told.
        self.reserve(dollars).await.unwrap().is_called = true;
    }

    async fn adjust(&self, raise: Option<Usd>) -> Result<Adjusted, NotAdjusted> {
        let order = Order {
            raise,
            by: "jane@example.com".to_owned(),
            why: "launch week".to_owned(),
        };
        self.fund.adjust(&self.treasury, order).await
    }

    fn left(&self) -> Usd {
        self.page.standing().left(self.fund.budget.usd)
    }

    /// The shares that are told now, and of which limit.
    fn told(&self) -> Vec<(String, Usd)> {
        let told = self.page.add(Usd::ZERO, &self.fund.budget).into_iter();
        told.map(|reached| (reached.share.to_string(), reached.limit))
            .collect()
    }
}

#[test]
fn adjustments_come_to_the_same_in_any_order_and_as_often_as_they_come() {
    let all = [
        ("a", Change::Raise(usd(5))),
        ("b", Change::Reset(usd(7))),
        ("c", Change::Raise(usd(2))),
        ("d", Change::Reset(usd(9))),
    ];
    let of = |indices: &[usize]| {
        let mut adjustments = Adjustments::default();
        for (id, change) in indices.iter().map(|index| all[*index]) {
            adjustments.add(id.into(), change);
        }
        adjustments
    };
    let whole = of(&[0, 1, 2, 3]);
    // Two raises, and all that was spent by the second reset.
    assert_eq!(whole.sum(), usd(16));
    let mut merged = of(&[3, 1]);
    assert!(merged.merge(&of(&[2, 3, 0])));
    assert!(!merged.merge(&of(&[1, 2])));
    assert_eq!(merged, whole);
    assert!(!merged.add("a".into(), Change::Raise(usd(100))));
    assert_eq!(merged.sum(), usd(16));
}

#[tokio::test]
async fn a_raise_lets_in_who_was_refused() {
    let scene = Scene::set(10, "[]");
    scene.spend(10).await;
    assert_eq!(scene.reserve(1).await.unwrap_err(), Refusal::Spent);
    let adjusted = scene.adjust(Some(usd(5))).await.unwrap();
    assert_eq!(adjusted.before.left(usd(10)), Usd::ZERO);
    assert_eq!(adjusted.after.left(usd(10)), usd(5));
    assert!(!adjusted.is_durable && adjusted.is_shared.is_none());
    scene.spend(5).await;
    assert_eq!(scene.reserve(1).await.unwrap_err(), Refusal::Spent);
    let message = scene.fund.refusal(Refusal::Spent, usd(1), &scene.page);
    let whole = "is 10 USD in all and 5 more in this window, of which 0 are left";
    assert!(message.contains(whole), "{message}");
}

#[tokio::test]
async fn a_reset_forgives_what_was_spent_and_no_more() {
    let scene = Scene::set(10, "[]");
    scene.adjust(Some(usd(2))).await.unwrap();
    scene.spend(8).await;
    let running = scene.reserve(3).await.unwrap();
    scene.adjust(None).await.unwrap();
    // What runs counts, and what was added stays.
    assert_eq!(scene.left(), usd(9));
    running.settle(usd(3), &scene.fund.budget, Instant::now());
    scene.adjust(None).await.unwrap();
    scene.adjust(None).await.unwrap();
    assert_eq!(scene.left(), usd(12));
    assert_eq!(scene.page.standing().spent, usd(11));
}

#[tokio::test]
async fn a_request_that_waits_is_let_in_by_a_raise() {
    let scene = Scene::set(10, "[]");
    let running = scene.reserve(8).await.unwrap();
    let waiting = scene
        .page
        .reserve(usd(10), usd(5), usd(5), WAIT, WAITING_MAX);
    tokio::pin!(waiting);
    let is_ready = tokio::select! {
        biased;
        _ = &mut waiting => true,
        () = std::future::ready(()) => false,
    };
    assert!(!is_ready);
    scene.adjust(Some(usd(3))).await.unwrap();
    assert_eq!(waiting.await.unwrap().amount(), usd(5));
    drop(running);
}

#[tokio::test]
async fn what_a_raise_has_lifted_out_of_reach_is_told_again() {
    let scene = Scene::set(10, "[0.5, 0.8, 1]");
    scene.spend(8).await;
    let told = |shares: &[&str], limit| -> Vec<(String, Usd)> {
        let shares = shares.iter();
        shares
            .map(|share| (share.to_string(), usd(limit)))
            .collect()
    };
    assert_eq!(scene.told(), told(&["0.5", "0.8"], 10));
    scene.adjust(Some(usd(5))).await.unwrap();
    scene.adjust(Some(usd(5))).await.unwrap();
    // Eight of twenty: nothing is reached.
    assert_eq!(scene.told(), []);
    scene.spend(9).await;
    assert_eq!(scene.told(), told(&["0.5", "0.8"], 20));
    scene.spend(3).await;
    assert_eq!(scene.told(), told(&["1"], 20));
    assert_eq!(scene.told(), []);
}

#[tokio::test]
async fn more_than_can_be_counted_is_refused() {
    let scene = Scene::set(10, "[]");
    let refused = scene.adjust(Some(usd(8_999_991))).await;
    assert_eq!(refused.unwrap_err(), NotAdjusted::TooMuch);
    assert_eq!(scene.left(), usd(10));
    for _ in 0..1_000 {
        scene.adjust(Some(usd(1))).await.unwrap();
    }
    let refused = scene.adjust(Some(usd(1))).await;
    assert_eq!(refused.unwrap_err(), NotAdjusted::TooMany);
    assert_eq!(scene.left(), usd(1_010));
}

/// The clock is paused while nothing but the ledger's own thread has something to do, so no time is waited out.
#[tokio::test(start_paused = true)]
async fn nothing_is_adjusted_before_it_is_durable() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("ledger.db");
    let settings = Settings {
        location: Location::Sqlite(file.clone()),
        commit_every: Duration::from_millis(20),
        keep: Duration::from_secs(3_600),
    };
    let ledger = Arc::new(Ledger::open(&settings, |_, _, _| ()).unwrap());
    let treasury = Treasury::new(Some((ledger, settings.location)), None);
    let scene = Scene::with(treasury.clone(), 10, "[]");
    let other = rusqlite::Connection::open(&file).unwrap();
    other.busy_timeout(WAIT).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let refused = scene.adjust(Some(usd(5))).await;
    assert_eq!(refused.unwrap_err(), NotAdjusted::NotDurable);
    assert_eq!(scene.left(), usd(10));
    other.execute_batch("ROLLBACK").unwrap();
    let since = Instant::now();
    while scene.left() != usd(15) {
        assert!(since.elapsed() < WAIT, "the ledger takes it");
        std::thread::sleep(Duration::from_millis(5));
    }
    // Whoever comes later knows of it.
    assert_eq!(Scene::with(treasury, 10, "[]").left(), usd(15));
}
