//! Limits that three gateways share by one Redis: together they never admit more than one of them would.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::io::AsyncWriteExt;
use tokio::task::JoinSet;

use crate::harness::{Gateway, config, eventually};
use crate::raw::{Answer, chat};
use crate::state::server::Redis;
use crate::upstream::{Upstream, healthy_answer};

/// Three gateways whose provider has these limits, and which know each other.
async fn gateways(upstream: &Upstream, limits: &str, state: &str) -> [Arc<Gateway>; 3] {
    let text = config(&format!(
        r#"state: {state}
providers:
  up: {{ dialect: openai, base_url: "http://{}/v1", api_key: k, limits: {limits} }}
models:
  fast: {{ target: up/m }}"#,
        upstream.address
    ));
    let started = async || Arc::new(Gateway::start(&text).await);
    let gateways = [started().await, started().await, started().await];
    for gateway in &gateways {
        eventually("an answer", async || {
            let status = gateway.ask(chat("fast")).await.status;
            [200, 429].contains(&status).then_some(())
        })
        .await;
    }
    gateways
}

/// Has each gateway asked by callers who ask again as soon as they are answered, with a pause, until they are stopped.
struct Callers {
    stop: Arc<AtomicBool>,
    asking: JoinSet<()>,
    answers: Arc<Mutex<Vec<Answer>>>,
}

impl Callers {
    fn start(gateways: &[Arc<Gateway>; 3], each: usize, pause: Duration) -> Self {
        let (stop, answers) = (Arc::new(AtomicBool::new(false)), Arc::default());
        let mut asking = JoinSet::new();
        for gateway in gateways
            .iter()
            .flat_map(|gateway| std::iter::repeat_n(gateway, each))
        {
            let (gateway, stop) = (gateway.clone(), stop.clone());
            let answers: Arc<Mutex<Vec<Answer>>> = Arc::clone(&answers);
            asking.spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    let answer = gateway.ask(chat("fast")).await;
                    answers.lock().expect("never poisoned").push(answer);
                    tokio::time::sleep(pause).await;
                }
            });
        }
        Self {
            stop,
            asking,
            answers,
        }
    }

    fn count(&self, status: u16) -> usize {
        let answers = self.answers.lock().expect("never poisoned");
        answers
            .iter()
            .filter(|answer| answer.status == status)
            .count()
    }

    async fn reach(&self, what: &str, status: u16, count: usize) {
        eventually(what, async || (self.count(status) >= count).then_some(())).await;
    }

    async fn end(self) -> Vec<Answer> {
        self.stop.store(true, Ordering::Relaxed);
        self.asking.join_all().await;
        let mut answers = self.answers.lock().expect("never poisoned");
        std::mem::take(&mut *answers)
    }
}

#[tokio::test]
async fn a_limit_holds_over_three_gateways_and_a_redis_that_loses_all() {
    let mut redis = Redis::start();
    let upstream = Upstream::healthy().await;
    let gateways = gateways(&upstream, "{ rph: 90 }", &redis.url()).await;
    let callers = Callers::start(&gateways, 2, Duration::from_millis(20));
    callers.reach("some requests", 200, 40).await;
    redis.kill();
    callers.reach("that Redis is away", 503, 6).await;
    let away = callers.count(200);
    redis.restart();
    callers
        .reach("that Redis is there again", 200, away + 1)
        .await;
    callers.reach("the limit", 429, 30).await;
    let more = callers.count(429) + 100;
    callers.reach("some refusals more", 429, more).await;
    let answers = callers.end().await;
    let admitted = upstream.received().len();
    assert!((81..=90).contains(&admitted), "{admitted}");
    for answer in &answers {
        match answer.status {
            200 => {}
            429 => drop(answer.assert_error(429, "rate_limit_exceeded")),
            _ => {
                let error = answer.assert_error(503, "state_unavailable");
                let message = error["message"].as_str().unwrap_or_default();
                assert!(
                    message.contains("provider `up`") && message.contains("`rph`"),
                    "{message}"
                );
                assert_eq!(answer.header("retry-after"), Some("1"));
            }
        }
    }
}

#[tokio::test]
async fn a_window_slides_over_three_gateways() {
    const LIMIT: usize = 40;
    let redis = Redis::start();
    let arrivals: Arc<Mutex<Vec<Instant>>> = Arc::default();
    let arrived = arrivals.clone();
    let upstream = Upstream::answering(move |request| {
        arrived.lock().expect("never poisoned").push(Instant::now());
        healthy_answer(request)
    })
    .await;
    let gateways = gateways(&upstream, "{ rps: 40 }", &redis.url()).await;
    let callers = Callers::start(&gateways, 3, Duration::from_millis(20));
    callers.reach("five windows", 200, 5 * LIMIT).await;
    callers.end().await;
    let mut arrivals = arrivals.lock().expect("never poisoned").clone();
    arrivals.sort();
    // The way to the upstream takes now more and now less time on a machine that is busy.
    let margin = Duration::from_millis(300);
    for (first, beyond) in arrivals.iter().zip(&arrivals[LIMIT..]) {
        let span = *beyond - *first;
        assert!(
            span >= Duration::from_secs(1) - margin,
            "{LIMIT} and one in {span:?}"
        );
    }
    let four = arrivals[4 * LIMIT] - arrivals[0];
    println!("four windows took {four:?}");
}

#[tokio::test]
async fn gateways_go_on_by_themselves_where_they_may() {
    let mut redis = Redis::start();
    let upstream = Upstream::healthy().await;
    let state = format!("{{ url: '{}', when_store_lost: local }}", redis.url());
    let gateways = gateways(&upstream, "{ rph: 90 }", &state).await;
    redis.kill();
    let callers = Callers::start(&gateways, 2, Duration::from_millis(10));
    callers.reach("the limit", 429, 300).await;
    let answers = callers.end().await;
    assert!(answers.iter().all(|answer| answer.status != 503));
    // A third of the limit each.
    let admitted = upstream.received().len();
    assert!((81..=90).contains(&admitted), "{admitted}");
}

/// How many requests run at an upstream, at present and at most.
#[derive(Clone, Default)]
struct Running {
    now: Arc<AtomicUsize>,
    most: Arc<AtomicUsize>,
}

impl Running {
    /// An upstream that answers each request after so long, and counts those that it has not answered yet.
    async fn upstream(&self, takes: Duration) -> Upstream {
        let running = self.clone();
        Upstream::start(move |request, mut stream| {
            let running = running.clone();
            async move {
                let now = running.now.fetch_add(1, Ordering::SeqCst) + 1;
                running.most.fetch_max(now, Ordering::SeqCst);
                tokio::time::sleep(takes).await;
                running.now.fetch_sub(1, Ordering::SeqCst);
                let answer = healthy_answer(&request);
                stream.write_all(&answer).await.ok().map(|()| stream)
            }
        })
        .await
    }
}

const FIVE_AT_ONCE: &str = "{ concurrency: 5, queue: { max: 30, wait: 20s } }";

#[tokio::test]
async fn no_more_run_at_once_at_three_gateways_than_may_at_one() {
    let redis = Redis::start();
    let running = Running::default();
    let upstream = running.upstream(Duration::from_millis(50)).await;
    let gateways = gateways(&upstream, FIVE_AT_ONCE, &redis.url()).await;
    let mut callers = JoinSet::new();
    for gateway in gateways.iter().cycle().take(30) {
        let gateway = gateway.clone();
        callers.spawn(async move { gateway.ask(chat("fast")).await.status });
    }
    assert_eq!(callers.join_all().await, [200; 30]);
    assert_eq!(running.most.load(Ordering::SeqCst), 5);
}

#[tokio::test]
async fn the_slots_of_a_gateway_that_is_killed_come_back() {
    let redis = Redis::start();
    let running = Running::default();
    let upstream = running.upstream(Duration::from_secs(2)).await;
    let [mut killed, others @ ..] = gateways(&upstream, FIVE_AT_ONCE, &redis.url()).await;
    // Its requests hold all slots when it ends.
    let mut callers = Vec::new();
    for _ in 0..5 {
        let mut caller = killed.connect().await;
        caller.send(chat("fast").bytes()).await.expect("it is read");
        callers.push(caller);
    }
    eventually("that all slots are held", async || {
        (running.now.load(Ordering::SeqCst) == 5).then_some(())
    })
    .await;
    let killed = Arc::get_mut(&mut killed);
    killed.expect("nobody else has it").kill();
    for gateway in &others {
        eventually("a slot", async || {
            (gateway.ask(chat("fast")).await.status == 200).then_some(())
        })
        .await;
    }
    assert!(running.most.load(Ordering::SeqCst) <= 5);
}
