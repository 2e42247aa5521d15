//! Three replicas and one budget: it is never exceeded, though Redis dies with and without its data, and a replica with it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::RwLock;
use tokio::task::JoinSet;

use super::{Provider, Stage, TOKEN_NANO, request};
use crate::harness::{eventually, try_ask};
use crate::postgres::Postgres;
use crate::raw::Request;
use crate::state::server::Redis;

const REPLICAS: usize = 3;
const CALLERS: u64 = 200;

/// Ten dollars.
const BUDGET_NANO: u64 = 10_000_000_000;

/// How many tokens the next request is allowed: from a ten-thousandth of a dollar to half of one, the small ones much more often.
fn tokens(chance: &mut u64) -> u64 {
    *chance = chance
        .wrapping_mul(6_364_136_223_846_793_005)
        .wrapping_add(1);
    let part = (*chance >> 33) as f64 / (1_u64 << 31) as f64;
    (100.0 * 5_000_f64.powf(part.powi(5))) as u64
}

/// The replicas, and what became of the requests to them.
struct Scene {
    provider: Provider,
    redis: Redis,
    replicas: Vec<Stage>,
    addresses: Arc<RwLock<Vec<SocketAddr>>>,
    wrong: Arc<AtomicU64>,
}

impl Scene {
    async fn set(ledger: Option<String>) -> Self {
        let provider = Provider::slow(Duration::from_millis(1_000)).await;
        let redis = Redis::durable();
        let team = "budget: { usd: 10, per: month, wait: 3s }";
        let more = format!("state: {{ url: \"{}\" }}", redis.url());
        let mut replicas = Vec::new();
        for _ in 0..REPLICAS {
            let mut stage = Stage::new(ledger.clone(), &more);
            stage.write(&provider, team, "");
            Box::pin(stage.start()).await;
            replicas.push(stage);
        }
        let mut scene = Self {
            provider,
            redis,
            replicas,
            addresses: Arc::default(),
            wrong: Arc::default(),
        };
        scene.note_addresses();
        Box::pin(scene.are_ready()).await;
        scene
    }

    fn note_addresses(&mut self) {
        let addresses = self.replicas.iter().map(|stage| stage.gateway().address);
        *self.addresses.write() = addresses.collect();
    }

    async fn are_ready(&self) {
        for stage in &self.replicas {
            eventually("a replica that is ready", async || {
                let answer = stage.gateway().ask_admin(Request::get("/readyz")).await;
                (answer.status == 200).then_some(())
            })
            .await;
        }
    }

    /// Somebody who asks one replica after the other until the budget is spent.
    async fn call(
        caller: u64,
        addresses: Arc<RwLock<Vec<SocketAddr>>>,
        paid: Arc<AtomicU64>,
        wrong: Arc<AtomicU64>,
    ) {
        let mut chance = caller;
        let mut spent = 0;
        // Small requests find room for longer than large ones.
        while spent < 3 {
            let tokens = tokens(&mut chance);
            let address = addresses.read()[(chance >> 40) as usize % REPLICAS];
            let asked = try_ask(address, request("fast", tokens)).await;
            // Whoever asks a dead process gets no answer.
            let Ok(answer) = asked else {
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            };
            match answer.status {
                200 => {}
                429 if answer.json()["error"]["code"] == "insufficient_quota" => {
                    spent += 1;
                    let left = BUDGET_NANO.saturating_sub(paid.load(Ordering::SeqCst));
                    // The shortest answer that is worth it has 64 tokens.
                    wrong.fetch_add(
                        u64::from(left >= tokens.min(64) * TOKEN_NANO),
                        Ordering::SeqCst,
                    );
                }
                429 | 503 => tokio::time::sleep(Duration::from_millis(20)).await,
                status => panic!("{status}: {}", answer.text()),
            }
            if paid.load(Ordering::SeqCst) + 64 * TOKEN_NANO > BUDGET_NANO {
                return;
            }
        }
    }

    /// Waits until so much is spent; if that does not come to be, tells how things stand.
    async fn paid(&self, dollars_tenths: u64) {
        let until = Instant::now() + Duration::from_secs(60);
        while self.provider.paid_nano() < dollars_tenths * 100_000_000 {
            if Instant::now() > until {
                let mut standings = Vec::new();
                for stage in &self.replicas {
                    standings.push(stage.budgets().await);
                    standings.push(stage.admin("/admin/v1/replicas").await);
                }
                panic!("{} are paid: {standings:#?}", self.provider.paid_nano());
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

async fn holds(ledger: Option<String>) {
    let mut scene = Box::pin(Scene::set(ledger)).await;
    let mut callers = JoinSet::new();
    for caller in 0..CALLERS {
        callers.spawn(Scene::call(
            caller,
            scene.addresses.clone(),
            scene.provider.paid.clone(),
            scene.wrong.clone(),
        ));
    }
    Box::pin(scene.paid(10)).await;
    scene.redis.restart();
    Box::pin(scene.paid(25)).await;
    scene.redis.restart_empty();
    Box::pin(scene.paid(40)).await;
    // Not in the moment when all who have waited are let in at once.
    Box::pin(scene.are_ready()).await;
    Box::pin(scene.paid(45)).await;
    scene.replicas[1].kill();
    tokio::time::sleep(Duration::from_millis(500)).await;
    Box::pin(scene.replicas[1].start()).await;
    scene.note_addresses();
    Box::pin(scene.paid(90)).await;
    // Whoever would get too much gets it now.
    let all_refused = tokio::time::timeout(Duration::from_secs(5), callers.join_all());
    let _ = all_refused.await;
    let paid = scene.provider.paid_nano();
    let mut standings = Vec::new();
    for stage in &scene.replicas {
        standings.push(stage.budgets().await[0].take());
    }
    println!("{paid} of {BUDGET_NANO} were paid: {standings:#?}");
    assert!(paid <= BUDGET_NANO, "{paid} of {BUDGET_NANO}");
    // Nobody knows what the dead replica had reserved and not sent yet: on a machine that is not overloaded less than 0.5.
    assert!(paid >= BUDGET_NANO / 100 * 90, "{paid} of {BUDGET_NANO}");
    assert_eq!(
        scene.wrong.load(Ordering::SeqCst),
        0,
        "refused though it fitted"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn three_replicas_with_ledgers_of_their_own_never_exceed_a_budget() {
    Box::pin(holds(None)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn three_replicas_with_one_ledger_never_exceed_a_budget() {
    if let Some(postgres) = Postgres::start() {
        Box::pin(holds(Some(postgres.url()))).await;
    }
}
