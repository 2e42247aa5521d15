//! Slots that replicas share by a real Redis.

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

use super::*;
use crate::access::budgets::Page;
use crate::access::state::Holding;
use crate::chance::Chance;
use crate::config::limits::Concurrency;

const MAX: u32 = 5;

/// How many ask at once of each replica.
const CALLERS: u64 = 16;

const KEY: &str = "tollgate:{slots:key:t/k}";

/// The limiter of a key with [`MAX`] slots.
fn limiter(counters: &Counters, queue_max: u32) -> Limiter {
    let limits = Limits {
        concurrency: Some(Concurrency {
            max: NonZeroU32::new(MAX).unwrap(),
            queue_max,
            queue_wait: Duration::from_secs(60),
        }),
        ..Limits::default()
    };
    counters.limiter("key", &["t", "k"], limits).unwrap()
}

fn page(replica: &Replica) -> Arc<Page> {
    let mut pages = replica.counters.slots();
    assert_eq!(pages.len(), 1);
    pages.remove(0)
}

/// What runs, at present and at most.
#[derive(Default)]
struct Running {
    now: AtomicU32,
    most: AtomicU32,
}

/// A request that runs.
struct Runs<'a>(&'a Running, #[expect(dead_code)] Admitted<1>);

impl<'a> Runs<'a> {
    fn new(running: &'a Running, admitted: Admitted<1>) -> Self {
        let now = running.now.fetch_add(1, Ordering::SeqCst) + 1;
        running.most.fetch_max(now, Ordering::SeqCst);
        Self(running, admitted)
    }
}

impl Drop for Runs<'_> {
    fn drop(&mut self) {
        // Before the slot is given back.
        self.0.now.fetch_sub(1, Ordering::SeqCst);
    }
}

/// One request, which ends as chance has it: at its end, while it waits, while it runs, by a panic.
async fn request(limiter: &Limiter, running: &Running, seed: u64, completed: &AtomicUsize) {
    let chance = &mut Chance::new(seed);
    let work = chance.micros(300);
    let panics = chance.one_in(5);
    let patience = match chance.one_in(2) {
        true => Duration::from_secs(60),
        false => chance.micros(3_000),
    };
    let run = async {
        let Ok(admitted) = ask_when_there(limiter, 1).await else {
            return;
        };
        let runs = Runs::new(running, admitted);
        tokio::time::sleep(work).await;
        if panics {
            std::panic::resume_unwind(Box::new("on purpose"));
        }
        drop(runs);
        completed.fetch_add(1, Ordering::Relaxed);
    };
    let _ = tokio::time::timeout(patience, run).await;
}

/// Has callers ask each of these until so many requests have ended, and returns the most that ran at once.
async fn torment(limiters: &[Limiter], requests: usize) -> u32 {
    let (running, completed) = (Arc::new(Running::default()), Arc::new(AtomicUsize::new(0)));
    let each = requests as u64 / (limiters.len() as u64 * CALLERS);
    let mut callers = tokio::task::JoinSet::new();
    for (at, limiter) in limiters.iter().enumerate() {
        for caller in 0..CALLERS {
            let (limiter, running, completed) =
                (limiter.clone(), running.clone(), completed.clone());
            callers.spawn(async move {
                for n in 0..each {
                    let seed = (at as u64 * CALLERS + caller) * each + n;
                    let (limiter, running, completed) =
                        (limiter.clone(), running.clone(), completed.clone());
                    let request = async move {
                        request(&limiter, &running, seed, &completed).await;
                    };
                    // It may end by a panic.
                    let _ = tokio::spawn(request).await;
                }
            });
        }
    }
    while callers.join_next().await.transpose().unwrap().is_some() {}
    assert_eq!(running.now.load(Ordering::SeqCst), 0);
    let completed = completed.load(Ordering::Relaxed);
    assert!(completed > requests / 4, "{completed} of {requests}");
    running.most.load(Ordering::SeqCst)
}

/// All slots are there for one, and not one more.
async fn all_come_back(limiter: &Limiter, full: &Limiter) {
    let mut all = Vec::new();
    for _ in 0..MAX {
        all.push(ask_when_there(limiter, 1).await.unwrap());
    }
    let refused = ask(full, 1).await.unwrap_err();
    assert_eq!(
        (refused.limit, refused.is_lost),
        (Limit::Concurrency, false)
    );
    assert_eq!(refused.max, u64::from(MAX));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slots_of_one_process_survive_every_end() {
    let counters = Counters::default();
    let limiter = [limiter(&counters, 1_000)];
    assert_eq!(torment(&limiter, 100_000).await, MAX);
    all_come_back(&limiter[0], &self::limiter(&counters, 0)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slots_of_all_replicas_survive_every_end() {
    let redis = Redis::start();
    let replicas = replicas::<3>(&redis);
    let limiters: Vec<_> = replicas
        .iter()
        .map(|replica| limiter(&replica.counters, 1_000))
        .collect();
    assert_eq!(torment(&limiters, 5_000).await, MAX);
    for (replica, limiter) in replicas.iter().zip(&limiters) {
        all_come_back(limiter, &self::limiter(&replica.counters, 0)).await;
    }
}

/// The slots that Redis knows to be held.
fn held(redis: &Redis) -> String {
    redis.command(&["HGET", KEY, "held"])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slots_of_the_dead_come_back_and_those_of_the_living_stay() {
    let redis = Redis::start();
    let replicas = replicas::<2>(&redis);
    let second = limiter(&replicas[1].counters, 1);
    let full = limiter(&replicas[0].counters, 0);
    let of_the_living = [
        ask_when_there(&second, 1).await.unwrap(),
        ask_when_there(&second, 1).await.unwrap(),
    ];
    redis.command(&["HSET", KEY, "=dead", "7 0 3"]);
    redis.command(&["HSET", KEY, "held", "5", "holders", "2"]);
    assert!(ask_when_there(&full, 1).await.is_err());
    let looking = page(&replicas[0]);
    let before = replicas[0].store.now();
    looking.tick();
    eventually("a look", || Holding::looked(&*looking) > Some(before));
    eventually("that slots are freed", || {
        held(&redis).contains("\r\n2\r\n")
    });
    let mut had = Vec::new();
    let until = std::time::Instant::now() + Duration::from_secs(60);
    while had.len() < 3 {
        assert!(
            std::time::Instant::now() < until,
            "{} slots came back",
            had.len()
        );
        had.extend(ask_when_there(&full, 1).await.ok());
    }
    looking.tick();
    assert!(ask_when_there(&full, 1).await.is_err());
    drop(of_the_living);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_was_only_away_tells_again_what_it_holds() {
    let redis = Redis::start();
    let [replica] = replicas::<1>(&redis);
    let limiter = limiter(&replica.counters, 1);
    let _runs = [
        ask_when_there(&limiter, 1).await.unwrap(),
        ask_when_there(&limiter, 1).await.unwrap(),
    ];
    let field = format!("={}", replica.store.replica());
    let share = redis.command(&["HGET", KEY, &field]);
    let seq = share.lines().nth(1).unwrap().split(' ').next().unwrap();
    let run = replica.store.era().unwrap().run;
    let free = include_str!("../../../budgets/free.lua");
    let name = replica.store.replica();
    let freed = redis.command(&["EVAL", free, "1", KEY, &run, name, seq]);
    assert_eq!(freed, ":1\r\n");
    assert!(held(&redis).contains("\r\n0\r\n"));
    // What was heard since then is not freed.
    assert_eq!(
        redis.command(&["EVAL", free, "1", KEY, &run, name, seq]),
        ":0\r\n"
    );
    page(&replica).tick();
    eventually("that it is told", || held(&redis).contains("\r\n2\r\n"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_redis_nobody_can_say() {
    let mut redis = Redis::start();
    let [replica] = replicas::<1>(&redis);
    let limiter = limiter(&replica.counters, 1);
    drop(ask_when_there(&limiter, 1).await.unwrap());
    redis.kill();
    eventually("that Redis is away", || replica.store.is_lost());
    let refused = ask(&limiter, 1).await.unwrap_err();
    assert_eq!((refused.limit, refused.is_lost), (Limit::Concurrency, true));
}
