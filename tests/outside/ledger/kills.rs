//! `kill -9` at random moments: what is lost is younger than the interval of commits.

use std::time::{Duration, Instant, SystemTime};

use super::Home;
use super::book::Book;
use super::load::{Asked, Load};

/// `TOLLGATE_KILLS` sets another number of kills, `TOLLGATE_SEED` repeats the moments of a run.
const KILLS: u64 = 5;
/// The interval of commits: what the configuration says where it says nothing.
const COMMIT_EVERY: Duration = Duration::from_millis(200);
/// For how long a machine that runs other tests, too, may keep the gateway's threads from running within that interval.
const SLACK: Duration = Duration::from_millis(200);
/// A kill comes this long after the load has got going, at most.
const KILL_WITHIN: Duration = Duration::from_millis(1500);
/// How many answers show that a load has got going.
const GOING: usize = 100;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_loses_nothing_that_is_older_than_the_commit_interval_and_doubles_nothing() {
    let kills = from_environment("TOLLGATE_KILLS").unwrap_or(KILLS);
    let seed = from_environment("TOLLGATE_SEED").unwrap_or_else(seed_of_the_time);
    println!("{kills} kills with TOLLGATE_SEED={seed}");
    let mut moments = Moments(seed);
    let home = Home::new();
    let mut kept: Vec<Asked> = Vec::new();
    let mut tally = Tally::default();
    for kill in 0..kills {
        let mut gateway = home.gateway().await;
        let (started, load) = (
            Instant::now(),
            Load::start(gateway.address, &format!("kill-{kill}")),
        );
        load.goes_on(GOING).await;
        tokio::time::sleep(moments.next_within(KILL_WITHIN)).await;
        let killed = Instant::now();
        gateway.kill();
        let asked = load.end().await;
        tally.time += killed - started;

        let book = Book::of_remains(&home.ledger());
        kept.extend(tally.sort(asked, killed, &book));
        book.assert_holds_each_once(&kept);
    }

    let mut gateway = home.gateway().await;
    let load = Load::start(gateway.address, "last");
    load.goes_on(GOING).await;
    kept.extend(load.stop().await);
    gateway.signal("TERM");
    assert_eq!(gateway.exit().await.code(), Some(0));
    let book = Book::of_file(&home.ledger());
    book.assert_holds_each_once(&kept);
    println!("{kills} kills: {}", tally.text());
    println!("{} requests are in the ledger, each once", book.len());
}

/// What became of answers that had arrived before a kill.
#[derive(Default)]
struct Tally {
    answers: usize,
    young: usize,
    lost: usize,
    oldest_lost: Duration,
    time: Duration,
}

// === impl Tally ===

impl Tally {
    /// Counts, and returns what must be in the ledger from now on: the old answers, and the young ones that are in it.
    fn sort(&mut self, asked: Vec<Asked>, killed: Instant, book: &Book) -> Vec<Asked> {
        let mut kept = Vec::new();
        for asked in asked {
            let Some(arrived) = asked.arrived else {
                continue;
            };
            self.answers += 1;
            let age = killed.saturating_duration_since(arrived);
            let is_young = age < COMMIT_EVERY + SLACK;
            self.young += usize::from(is_young);
            let is_there = book.holds(&asked.request_id);
            if !is_there {
                self.lost += 1;
                self.oldest_lost = self.oldest_lost.max(age);
            }
            if is_there || !is_young {
                kept.push(asked);
            }
        }
        kept
    }

    fn text(&self) -> String {
        format!(
            "{} answers, {:.0} a second; {} were younger than {:?} at a kill, {} were lost, the oldest of them {:?} old",
            self.answers,
            self.answers as f64 / self.time.as_secs_f64(),
            self.young,
            COMMIT_EVERY + SLACK,
            self.lost,
            self.oldest_lost,
        )
    }
}

/// Random moments: a linear congruential generator, whose upper bits are good enough for that.
struct Moments(u64);

// === impl Moments ===

impl Moments {
    fn next_within(&mut self, limit: Duration) -> Duration {
        let next = self.0.wrapping_mul(6_364_136_223_846_793_005);
        self.0 = next.wrapping_add(1_442_695_040_888_963_407);
        let share = (self.0 >> 32) as f64 / f64::from(u32::MAX);
        limit.mul_f64(share)
    }
}

fn from_environment(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().expect("a number"))
}

fn seed_of_the_time() -> u64 {
    let time = SystemTime::UNIX_EPOCH.elapsed().expect("a clock");
    u64::from(time.subsec_nanos())
}
