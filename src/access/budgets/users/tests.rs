use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use chrono_tz::UTC;

use super::table::IDLE_AFTER;
use super::*;
use crate::access::budgets::{Part, Per, Refusal, Windows};
use crate::chance::Chance;
use crate::spend::Usd;
use crate::spend::ledger::{Change, Ledger, Location, Reader, Settings};

/// A thousand nano-dollars for each user.
const LIMIT: u64 = 1_000;

fn budget(when_spent: WhenSpent) -> Budget {
    Budget {
        usd: Usd::from_nano(LIMIT),
        windows: Windows {
            per: Per::Day,
            zone: UTC,
        },
        alert_at: Vec::new(),
        webhook: None,
        when_spent,
        wait: Duration::ZERO,
        floor_tokens: 1,
        allow: Default::default(),
    }
}

fn noon() -> DateTime<Utc> {
    "2026-11-29T12:00:00Z".parse().unwrap()
}

/// A team's users of whom so many are told apart, in a process that has just begun.
fn allowance(users_max: usize) -> Allowance {
    begun(users_max, &[], &[])
}

/// The same, with what the ledger knows.
fn begun(users_max: usize, portions: &[Portion], adjustments: &[Adjustment]) -> Allowance {
    let allowance = unread(users_max, WhenSpent::Reject);
    allowance.open(&Treasury::default(), noon(), portions, adjustments);
    allowance
}

fn unread(users_max: usize, when_spent: WhenSpent) -> Allowance {
    let users = |name: &str| {
        assert_eq!(name, "users:search|day|UTC");
        Arc::default()
    };
    Allowance::new("search".into(), budget(when_spent), users_max, users)
}

fn portion(user: &str, replica: &str, settled: u64, bound: u64) -> Portion {
    Portion {
        budget: format!("user:search/{user}|day|UTC").into(),
        window: "2026-11-29".into(),
        ends_ms: i64::MAX,
        replica: replica.into(),
        settled: Usd::from_nano(settled),
        bound: Usd::from_nano(bound),
    }
}

fn of_others(settled: u64) -> Portion {
    Portion {
        budget: "users:search|day|UTC".into(),
        ..portion("", "", settled, settled)
    }
}

impl Allowance {
    fn page_of(&self, user: &str) -> Arc<Page> {
        let fund = self.fund(user, &Treasury::default(), noon());
        fund.present().unwrap()
    }

    fn close_all_idle(&self) {
        while self.users.close_idle(Instant::now() + IDLE_AFTER) {}
    }

    /// What a user has spent, and what nobody knows of him.
    fn knows(&self, user: &str) -> Option<(u64, u64)> {
        let (_, standings) = self.standings(Some(user), 10, noon());
        let (_, standing) = standings.first()?;
        let nano = |amount: Usd| amount.nano_rounded_up();
        Some((nano(standing.spent), nano(standing.unknown)))
    }
}

/// Waits for as long as it takes to ask an account again.
async fn reserve(page: &Arc<Page>, nano: u64) -> Result<Part, Refusal> {
    reserve_within(page, nano, Duration::from_secs(60)).await
}

async fn reserve_within(page: &Arc<Page>, nano: u64, wait: Duration) -> Result<Part, Refusal> {
    let (limit, amount) = (Usd::from_nano(LIMIT), Usd::from_nano(nano));
    page.reserve(limit, amount, amount, wait, 4_096).await
}

/// Whether a page has not so much, now.
async fn lacks(page: &Arc<Page>, nano: u64) -> bool {
    reserve_within(page, nano, Duration::ZERO).await.is_err()
}

#[tokio::test]
async fn a_flood_of_invented_users_shares_one_budget() {
    let allowance = allowance(1_000);
    let known = reserve(&allowance.page_of("known"), 600).await.unwrap();
    known.settle(Usd::from_nano(600), &allowance.budget, Instant::now());
    let mut spent = 0;
    for n in 0..1_000_000 {
        let fund = allowance.fund(&format!("user-{n}"), &Treasury::default(), noon());
        let is_other = matches!(fund.owner, Owner::Others(_));
        assert_eq!(is_other, n >= 999, "{n}");
        if n % 1_000 == 999 {
            let part = reserve(&fund.present().unwrap(), 30).await;
            spent += part.map_or(0, |part| {
                part.settle(Usd::from_nano(30), &allowance.budget, Instant::now());
                30
            });
        }
    }
    assert_eq!(spent, 990);
    let census = allowance.census(noon());
    assert_eq!((census.users, census.has_others), (1_000, true));
    // Nobody who is told apart suffers from it, …
    allowance.close_all_idle();
    assert_eq!(allowance.census(noon()).users, 1_000);
    assert!(reserve(&allowance.page_of("known"), 400).await.is_ok());
    assert_eq!(allowance.knows("known"), Some((600, 0)));
    // … and the flood is refused.
    let refused = reserve(&allowance.page_of("another"), 30).await;
    assert_eq!(refused.err(), Some(Refusal::Spent));
}

#[tokio::test]
async fn an_idle_user_is_a_line_that_is_opened_again() {
    let allowance = begun(10, &[portion("ann", "", 100, 300)], &[]);
    let part = reserve(&allowance.page_of("ann"), 50).await.unwrap();
    allowance.close_all_idle();
    assert_eq!(allowance.users.all_open().len(), 1, "somebody has a part");
    part.settle(Usd::from_nano(50), &allowance.budget, Instant::now());
    allowance.page_of("nobody");
    allowance.close_all_idle();
    assert_eq!(allowance.users.all_open().len(), 0);
    // Of him nothing need be known.
    assert_eq!(allowance.census(noon()).users, 1);
    assert_eq!(allowance.knows("ann"), Some((150, 200)));
    let page = allowance.page_of("ann");
    assert!(lacks(&page, 651).await);
    let part = reserve(&page, 650).await.unwrap();
    assert_eq!(part.amount(), Usd::from_nano(650));
    drop((part, page));
    assert!(allowance.users.in_use(Instant::now()).len() == 1);
    let later = Instant::now() + IDLE_AFTER;
    assert!(allowance.users.in_use(later).is_empty());
}

#[test]
fn what_is_not_asked_for_costs_about_a_hundred_bytes() {
    assert!(size_of::<(Box<str>, Past)>() <= 48);
}

#[test]
fn portions_tell_what_was_spent_and_what_may_have_been() {
    let mut of_yesterday = portion("ann", "", 9, 9);
    of_yesterday.window = "2026-11-28".into();
    let mut of_another = portion("ann", "", 9, 9);
    of_another.budget = "user:searching/ann|day|UTC".into();
    let portions = [
        portion("ann", "", 100, 300),
        portion("ann", "a replica", 10, 11),
        portion("", "", 7, 7),
        of_yesterday,
        of_another,
    ];
    let allowance = begun(2, &portions, &[]);
    assert_eq!(allowance.knows("ann"), Some((110, 201)));
    assert_eq!(allowance.knows(""), Some((7, 0)));
    let census = allowance.census(noon());
    assert_eq!((census.users, census.spent), (2, Usd::from_nano(117)));
    assert!(!census.has_others);
}

#[tokio::test]
async fn who_has_shared_the_budget_of_the_others_gets_none_of_his_own_after_a_restart() {
    // There would be room again.
    let allowance = begun(10, &[portion("ann", "", 1, 1), of_others(995)], &[]);
    assert_eq!(
        allowance
            .fund("ann", &Treasury::default(), noon())
            .owner
            .user(),
        Some("ann")
    );
    let fund = allowance.fund("bob", &Treasury::default(), noon());
    assert_eq!(*fund.name, *"users:search|day|UTC");
    assert!(lacks(&fund.present().unwrap(), 6).await);
    assert!(reserve(&fund.present().unwrap(), 5).await.is_ok());
    // Where there is room for fewer than there were, the further ones count as others.
    let all = ["a", "b", "c"].map(|user| portion(user, "", 400, 400));
    let allowance = begun(1, &all, &[]);
    let census = allowance.census(noon());
    assert_eq!((census.users, census.has_others), (1, true));
    assert_eq!(census.spent, Usd::from_nano(1_200));
    let refused = reserve(&allowance.page_of("d"), 201).await;
    assert_eq!(refused.err(), Some(Refusal::Spent));
}

#[tokio::test]
async fn what_operators_have_added_is_known_after_a_restart_and_stays() {
    let adjustment = |budget: &str, nano| Adjustment {
        id: budget.into(),
        time_ms: 0,
        budget: budget.into(),
        window: "2026-11-29".into(),
        change: Change::Raise(Usd::from_nano(nano)),
        by: "jane".to_owned(),
        why: "launch".to_owned(),
    };
    let adjustments = [
        adjustment("user:search/ann|day|UTC", 50),
        adjustment("users:search|day|UTC", 30),
        adjustment("team:search|day|UTC", 9),
    ];
    let allowance = begun(1, &[portion("ann", "", 1_000, 1_000)], &adjustments);
    allowance.close_all_idle();
    let page = allowance.page_of("ann");
    assert!(lacks(&page, 51).await);
    assert!(reserve(&page, 50).await.is_ok());
    assert!(reserve(&allowance.page_of("bob"), 1_030).await.is_ok());
    let key = "adjust:user:search/ann|day|UTC|2026-11-29";
    assert_eq!(allowance.adjustable(key).len(), 1);
    assert_eq!(page.adjustments_key(), key);
    assert!(
        allowance
            .adjustable("adjust:user:search/ann|day|UTC|2026-11-28")
            .is_empty()
    );
    assert!(
        allowance
            .adjustable("adjust:user:search/eve|day|UTC|2026-11-29")
            .is_empty()
    );
}

#[tokio::test]
async fn a_window_that_has_ended_is_forgotten_and_not_entered_again() {
    let allowance = begun(
        1,
        &[portion("ann", "", 1_000, 1_000), of_others(1_000)],
        &[],
    );
    let treasury = Treasury::default();
    let part = {
        let tomorrow = "2026-11-30T00:00:00Z".parse().unwrap();
        let fund = allowance.fund("bob", &treasury, tomorrow);
        assert_eq!(fund.owner.user(), Some("bob"));
        let page = fund.present().unwrap();
        assert_eq!(*page.window.name, *"2026-11-30");
        reserve(&page, 700).await.unwrap()
    };
    // A request that began before midnight.
    let page = allowance.page_of("bob");
    assert_eq!(*page.window.name, *"2026-11-30");
    assert!(lacks(&page, 301).await);
    part.settle(Usd::from_nano(700), &allowance.budget, Instant::now());
    assert_eq!(allowance.knows("bob"), Some((700, 0)));
    assert_eq!(allowance.census(noon()).users, 1);
}

#[test]
fn those_who_spent_most_are_listed_first() {
    let portions: Vec<_> = (0..50)
        .map(|n| portion(&format!("u{n}"), "", 37 * n % 50 * 21, 37 * n % 50 * 21))
        .chain([of_others(500)])
        .collect();
    let allowance = begun(50, &portions, &[]);
    let spent = |limit| -> Vec<u64> {
        let (_, standings) = allowance.standings(None, limit, noon());
        let nano = |(_, standing): &(_, Standing)| standing.spent.nano_rounded_up();
        standings.iter().map(nano).collect()
    };
    assert_eq!(spent(3), [49 * 21, 48 * 21, 47 * 21]);
    let all = spent(1_000);
    assert!(all.len() == 51 && all.is_sorted_by(|a, b| a >= b));
    assert_eq!(allowance.census(noon()).spent_up, 2);
    let (_, standings) = allowance.standings(Some("u1"), 3, noon());
    let owner = Owner::User("search".into(), "u1".into());
    assert!(matches!(&standings[..], [(found, _)] if *found == owner));
}

/// A ledger of one's own.
fn ledger() -> (tempfile::TempDir, Arc<Ledger>, Location) {
    let home = tempfile::tempdir().unwrap();
    let settings = Settings {
        location: Location::Sqlite(home.path().join("ledger.db")),
        commit_every: Duration::from_millis(1),
        keep: Duration::from_secs(3_600),
    };
    let ledger = Ledger::open(&settings, |_, _, _| ()).unwrap();
    (home, Arc::new(ledger), settings.location)
}

/// What the ledger has noted of a user: spent, and at the most.
fn noted(location: &Location, user: &str) -> (u64, u64) {
    let portions = Reader::open(location).unwrap().portions().unwrap();
    let book = portion(user, "", 0, 0).budget;
    let found = portions.iter().find(|portion| portion.budget == book);
    let nano = |amount: Usd| amount.nano_rounded_up();
    found.map_or((0, 0), |found| (nano(found.settled), nano(found.bound)))
}

#[test]
fn a_user_whose_page_is_closed_and_opened_all_the_time_loses_nothing_and_exceeds_nothing() {
    let (_home, ledger, location) = ledger();
    let treasury = Treasury::new(Some((ledger.clone(), location.clone())), None);
    let allowance = unread(10, WhenSpent::Reject);
    allowance.open(&treasury, noon(), &[], &[]);
    let (spent, is_over) = (AtomicU64::new(0), AtomicBool::new(false));
    let closed = AtomicU64::new(0);
    std::thread::scope(|scope| {
        let ask = |seed| {
            let mut runtime = tokio::runtime::Builder::new_current_thread();
            let runtime = runtime.enable_all().build().unwrap();
            let mut chance = Chance::new(seed);
            runtime.block_on(async {
                // Until there is nothing left.
                loop {
                    let fund = allowance.fund("ann", &treasury, noon());
                    let page = fund.present().unwrap();
                    let (limit, amount) = (Usd::from_nano(LIMIT), Usd::from_nano(3));
                    let wait = Duration::from_secs(60);
                    let reserved = page.reserve(limit, amount, amount, wait, 4_096);
                    let Ok(part) = reserved.await else { return };
                    drop((fund, page));
                    if chance.one_in(3) {
                        tokio::time::sleep(chance.micros(300)).await;
                    }
                    let actual = chance.below(4);
                    spent.fetch_add(actual, Ordering::SeqCst);
                    part.settle(Usd::from_nano(actual), &allowance.budget, Instant::now());
                    if chance.one_in(2) {
                        // Long enough for it to be closed, now and then.
                        tokio::time::sleep(chance.micros(2_000)).await;
                    }
                }
            });
        };
        let asking: Vec<_> = (0..4).map(|seed| scope.spawn(move || ask(seed))).collect();
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                let before = allowance.users.all_open().len();
                allowance.close_all_idle();
                let after = allowance.users.all_open().len();
                closed.fetch_add((before > after).into(), Ordering::Relaxed);
                let (_, standings) = allowance.standings(Some("ann"), 1, noon());
                for (_, standing) in standings {
                    let used = standing.spent + standing.reserved + standing.unknown;
                    assert!(used <= Usd::from_nano(LIMIT), "{standing:?}");
                }
            }
        });
        asking.into_iter().for_each(|asks| asks.join().unwrap());
        is_over.store(true, Ordering::Relaxed);
    });
    assert!(
        closed.load(Ordering::Relaxed) > 0,
        "it was closed meanwhile"
    );
    let spent = spent.load(Ordering::SeqCst);
    assert!((LIMIT - 3..=LIMIT).contains(&spent), "{spent}");
    assert_eq!(allowance.knows("ann"), Some((spent, 0)));
    // What is durable in the end is the last word.
    allowance.close();
    ledger.close(Duration::from_secs(60));
    assert_eq!(noted(&location, "ann"), (spent, spent));
}

#[tokio::test]
async fn what_only_counts_is_noted_behind_it() {
    let (_home, ledger, location) = ledger();
    let treasury = Treasury::new(Some((ledger.clone(), location.clone())), None);
    let allowance = unread(10, WhenSpent::Alert);
    allowance.open(&treasury, Utc::now(), &[], &[]);
    let fund = allowance.fund("ann", &treasury, Utc::now());
    fund.present()
        .unwrap()
        .add(Usd::from_nano(70), &fund.budget);
    allowance.sweep(&treasury);
    ledger.close(Duration::from_secs(60));
    assert_eq!(noted(&location, "ann"), (70, 70));
}
