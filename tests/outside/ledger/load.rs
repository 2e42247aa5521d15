//! Requests as fast as many callers send them, each under an id of its own.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

use crate::harness::{eventually, within};
use crate::raw::{Connection, chat, chat_stream};

/// How many callers ask at once.
const CALLERS: usize = 32;
/// How often each of them does, so that together they ask some 500 times a second.
const PACE: Duration = Duration::from_millis(64);

/// Callers who ask until they are stopped, or the gateway is gone.
pub struct Load {
    callers: JoinSet<Vec<Asked>>,
    is_over: Arc<AtomicBool>,
    answers: Arc<AtomicUsize>,
}

/// A request that was sent.
pub struct Asked {
    /// Its `x-request-id`.
    pub request_id: String,
    /// When the caller had read the last byte of a good answer; None where it never came.
    pub arrived: Option<Instant>,
}

// === impl Load ===

impl Load {
    /// Starts asking; every second answer is a stream. `name` makes the ids differ from those of other loads.
    pub fn start(address: SocketAddr, name: &str) -> Self {
        Self::start_at(Some(PACE), address, name)
    }

    /// The same as fast as it goes.
    pub fn start_flood(address: SocketAddr, name: &str) -> Self {
        Self::start_at(None, address, name)
    }

    fn start_at(pace: Option<Duration>, address: SocketAddr, name: &str) -> Self {
        let mut load = Self {
            callers: JoinSet::new(),
            is_over: Arc::default(),
            answers: Arc::default(),
        };
        for caller in 0..CALLERS {
            let (is_over, answers) = (load.is_over.clone(), load.answers.clone());
            let name = format!("{name}-{caller}");
            load.callers
                .spawn(call(address, name, pace, is_over, answers));
        }
        load
    }

    /// How many answers have arrived.
    pub fn answers(&self) -> usize {
        self.answers.load(Ordering::Relaxed)
    }

    /// Waits until so many more answers have arrived.
    pub async fn goes_on(&self, count: usize) {
        let goal = self.answers() + count;
        eventually("answers", async || (self.answers() >= goal).then_some(())).await;
    }

    /// Stops asking, waits for the answers that are under way, and tells what was asked.
    pub async fn stop(self) -> Vec<Asked> {
        self.is_over.store(true, Ordering::Relaxed);
        self.end().await
    }

    /// The same for a gateway that has gone or is about to go.
    pub async fn end(self) -> Vec<Asked> {
        let asked = within("the callers' end", self.callers.join_all()).await;
        asked.into_iter().flatten().collect()
    }
}

async fn call(
    address: SocketAddr,
    name: String,
    pace: Option<Duration>,
    is_over: Arc<AtomicBool>,
    answers: Arc<AtomicUsize>,
) -> Vec<Asked> {
    let mut asked = Vec::new();
    let Ok(mut connection) = Connection::open(address).await else {
        return asked;
    };
    let mut pace = pace.map(interval);
    if let Some(pace) = &mut pace {
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    }
    while !is_over.load(Ordering::Relaxed) {
        if let Some(pace) = &mut pace {
            pace.tick().await;
        }
        let request_id = format!("{name}-{}", asked.len());
        let request = match asked.len() % 2 {
            0 => chat("demo/m-1"),
            _ => chat_stream("demo/m-1"),
        };
        let request = request.header("x-request-id", &request_id);
        let answer = match connection.send(request.bytes()).await {
            Ok(()) => connection.answer().await.ok(),
            Err(_) => None,
        };
        // Whoever ends answers what comes too late by 503.
        let is_good = answer.is_some_and(|answer| answer.status == 200);
        asked.push(Asked {
            request_id,
            arrived: is_good.then(Instant::now),
        });
        if !is_good {
            break;
        }
        answers.fetch_add(1, Ordering::Relaxed);
    }
    asked
}
