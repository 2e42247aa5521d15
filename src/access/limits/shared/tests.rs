//! Replicas that share limits by a real Redis.

mod slots;

use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Duration;

use crate::access::Counters;
use crate::access::limits::{Admitted, Limit, Limiter, Refused, admit};
use crate::access::state::Store;
use crate::access::state::tests::server::{Redis, eventually};
use crate::access::state::tests::{connected, connected_as, connected_with};
use crate::config::limits::Limits;

const HOUR: usize = 2;

/// A replica: its counters, and its way to Redis.
struct Replica {
    counters: Arc<Counters>,
    store: Arc<Store>,
}

impl Replica {
    fn on(store: Arc<Store>) -> Self {
        let counters = Arc::new(Counters::default());
        counters.share(&store);
        Self { counters, store }
    }

    /// The limiter of a key with so many requests and tokens an hour; 0 is no limit.
    fn limiter(&self, key: &str, requests: u64, tokens: u64) -> Limiter {
        let mut limits = Limits::default();
        limits.requests[HOUR] = NonZeroU64::new(requests);
        limits.tokens[HOUR] = NonZeroU64::new(tokens);
        self.counters.limiter("key", &["t", key], limits).unwrap()
    }
}

/// Replicas that know each other.
fn replicas<const N: usize>(redis: &Redis) -> [Replica; N] {
    let replicas = [(); N].map(|()| Replica::on(connected(redis)));
    acquainted(&replicas);
    replicas
}

fn acquainted(replicas: &[Replica]) {
    eventually("that all know each other", || {
        let knows = |replica: &Replica| {
            replica.store.is_known() && replica.store.others(None).len() >= replicas.len() - 1
        };
        replicas.iter().all(knows)
    });
}

async fn ask(limiter: &Limiter, tokens: u64) -> Result<Admitted<1>, Refused> {
    let admitted = admit([Some(limiter)], tokens).get().await;
    admitted
        .map(|admitted| *admitted)
        .map_err(|refused| *refused)
}

/// Asks until it is told something else than that Redis is away.
async fn ask_when_there(limiter: &Limiter, tokens: u64) -> Result<Admitted<1>, Refused> {
    let until = std::time::Instant::now() + Duration::from_secs(60);
    loop {
        match ask(limiter, tokens).await {
            Err(refused) if refused.is_lost => {
                assert!(std::time::Instant::now() < until, "{refused}");
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            told => return told,
        }
    }
}

/// How many requests are admitted, each by another of the replicas, until all of them refuse.
async fn admitted(limiters: &[Limiter]) -> u64 {
    let (mut admitted, mut refused) = (0, 0);
    for limiter in limiters.iter().cycle() {
        match ask_when_there(limiter, 1).await {
            Ok(_) => (admitted, refused) = (admitted + 1, 0),
            Err(_) => refused += 1,
        }
        if refused > 2 * limiters.len() {
            break;
        }
    }
    admitted
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_replica_uses_the_others_lack() {
    let redis = Redis::start();
    let replicas = replicas::<3>(&redis);
    let limiters: Vec<_> = replicas
        .iter()
        .map(|replica| replica.limiter("k", 3, 0))
        .collect();
    for (limiter, left) in limiters.iter().zip([2, 1, 0]) {
        let admitted = ask_when_there(limiter, 1).await.unwrap();
        let requests = admitted.left.requests.unwrap();
        assert_eq!((requests.limit, requests.remaining), (3, left));
    }
    for limiter in &limiters {
        let refused = ask_when_there(limiter, 1).await.unwrap_err();
        assert_eq!((refused.limit, refused.max), (Limit::Requests(HOUR), 3));
        let minutes = refused.retry_after.as_secs() / 60;
        assert!((59..=61).contains(&minutes), "{:?}", refused.retry_after);
        assert_eq!(refused.left.requests.unwrap().remaining, 0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokens_that_were_not_used_are_free_for_all() {
    let redis = Redis::start();
    let [first, second] = replicas::<2>(&redis);
    let (first, second) = (first.limiter("k", 0, 1_000), second.limiter("k", 0, 1_000));
    let mut large = ask_when_there(&first, 900).await.unwrap();
    assert!(ask_when_there(&second, 200).await.is_err());
    large.settle(700);
    let until = std::time::Instant::now() + Duration::from_secs(60);
    while ask_when_there(&second, 200).await.is_err() {
        assert!(std::time::Instant::now() < until, "200 tokens are free");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_limits_are_taken_from_or_none() {
    let redis = Redis::start();
    let [first, second] = replicas::<2>(&redis);
    let replicas = [first, second];
    let wide = [0, 1].map(|at: usize| replicas[at].limiter("wide", 10, 0));
    let narrow = [0, 1].map(|at: usize| replicas[at].limiter("narrow", 2, 0));
    for (at, expected) in [(0, 2), (1, 0)] {
        let mut admitted = 0;
        for _ in 0..20 {
            let limiters = [Some(&wide[at]), Some(&narrow[at]), None, None];
            admitted += u64::from(admit(limiters, 1).get().await.is_ok());
        }
        assert_eq!(admitted, expected);
    }
    // What was refused by the one was not taken from the other.
    let until = std::time::Instant::now() + Duration::from_secs(60);
    let mut more = 0;
    while more < 8 && std::time::Instant::now() < until {
        more += admitted(&wide).await;
    }
    assert_eq!(more, 8);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_leaves_while_it_waits_leaves_nothing_behind() {
    let redis = Redis::start();
    let [first, second] = replicas::<2>(&redis);
    let limiters = [first.limiter("k", 5, 0), second.limiter("k", 5, 0)];
    drop(ask_when_there(&limiters[0], 1).await.unwrap());
    redis.stop();
    for limiter in &limiters {
        for _ in 0..10 {
            let asking = ask(limiter, 1);
            assert!(
                tokio::time::timeout(Duration::from_millis(5), asking)
                    .await
                    .is_err()
            );
        }
    }
    redis.go_on();
    let until = std::time::Instant::now() + Duration::from_secs(60);
    let mut more = 0;
    while more < 4 && std::time::Instant::now() < until {
        more += admitted(&limiters).await;
    }
    assert_eq!(more, 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_lost_all_hears_from_the_replicas_what_they_have_used() {
    let mut redis = Redis::start();
    let replicas = replicas::<3>(&redis);
    let limiters: Vec<_> = replicas
        .iter()
        .map(|replica| replica.limiter("k", 60, 0))
        .collect();
    for n in 0..40 {
        assert!(ask_when_there(&limiters[n % 2], 1).await.is_ok());
    }
    redis.kill();
    eventually("that its end is seen", || {
        replicas.iter().all(|replica| replica.store.is_lost())
    });
    // It holds nothing, for it has asked for nothing yet.
    let refused = ask(&limiters[2], 1).await.unwrap_err();
    assert!(refused.is_lost);
    assert!(refused.to_string().contains("`rph`"), "{refused}");
    redis.restart();
    eventually("that it is there again", || {
        replicas.iter().all(|replica| !replica.store.is_lost())
    });
    acquainted(&replicas);
    let until = std::time::Instant::now() + Duration::from_secs(60);
    let mut more = 0;
    while more < 20 && std::time::Instant::now() < until {
        more += admitted(&limiters).await;
    }
    assert_eq!(more, 20);
    assert_eq!(admitted(&limiters).await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn by_itself_a_replica_has_its_part_and_tells_of_it_later() {
    let mut redis = Redis::start();
    let line = format!("{{ url: \"{}\", when_store_lost: local }}", redis.url());
    let replicas = [(); 2].map(|()| Replica::on(connected_with(&line)));
    acquainted(&replicas);
    let limiters: Vec<_> = replicas
        .iter()
        .map(|replica| replica.limiter("k", 20, 0))
        .collect();
    assert!(ask_when_there(&limiters[0], 1).await.is_ok());
    redis.kill();
    eventually("that its end is seen", || {
        replicas.iter().all(|replica| replica.store.is_lost())
    });
    let mut alone = 0;
    for _ in 0..30 {
        alone += u64::from(ask(&limiters[1], 1).await.is_ok());
    }
    assert_eq!(alone, 10);
    redis.restart();
    eventually("that it is there again", || {
        replicas.iter().all(|replica| !replica.store.is_lost())
    });
    acquainted(&replicas);
    // One was used before Redis went away, and ten by the other replica since.
    let mut more = 0;
    let until = std::time::Instant::now() + Duration::from_secs(60);
    while more < 9 && std::time::Instant::now() < until {
        more += admitted(&limiters).await;
    }
    assert_eq!(more, 9);
}

/// It had one number larger than the last for each microsecond that it was up: its next life was not heard for as long.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_later_life_of_a_replica_is_heard_at_once() {
    let redis = Redis::start();
    let other = Replica::on(connected(&redis));
    let life = || {
        let replica = Replica::on(connected_as("same", &redis));
        eventually("that both know each other", || {
            replica.store.is_known() && replica.store.others(None).len() == 1
        });
        replica
    };
    // The first is up for longer than the second takes to be heard.
    for seconds in [2, 1] {
        let replica = life();
        let limiter = replica.limiter("k", 1_000, 0);
        let until = std::time::Instant::now() + Duration::from_secs(seconds);
        while std::time::Instant::now() < until {
            let admitted = ask(&limiter, 1).await;
            assert!(admitted.is_ok(), "{}", admitted.unwrap_err());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let (left, gone) = std::sync::mpsc::channel();
        replica
            .store
            .leave(Box::new(move |is_done| left.send(is_done).unwrap()));
        assert!(gone.recv().unwrap());
    }
    drop(other);
}
