//! The rounds: each measures every server once, in an order that turns, so that a slow moment of the machine hits all.

use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use crate::Candidate;
use crate::{requests, streams};
use side_by_side::http::request;

/// How much is measured.
pub struct Plan {
    /// Rounds of whole answers at full load.
    pub busy_rounds: usize,
    /// The length of one.
    pub busy_time: Duration,
    /// Rounds at a steady rate.
    pub steady_rounds: usize,
    /// The length of one.
    pub steady_time: Duration,
    /// Rounds of each number of streams.
    pub stream_rounds: usize,
    /// The length of one, once all streams have begun.
    pub stream_time: Duration,
}

/// Connections at full load.
pub const CONNECTIONS: usize = 64;
/// Requests a second at the steady rate.
pub const STEADY_PER_SECOND: u32 = 200;
/// Streams at once.
pub const STREAMS: [usize; 2] = [50, 500];

/// Each server is busy for so long before its round counts.
const WARM_UP: Duration = Duration::from_millis(300);

impl Plan {
    /// Four to five minutes.
    pub const FULL: Self = Self {
        busy_rounds: 7,
        busy_time: Duration::from_secs(3),
        steady_rounds: 5,
        steady_time: Duration::from_secs(3),
        stream_rounds: 5,
        stream_time: Duration::from_secs(2),
    };
    /// Less than a minute.
    pub const QUICK: Self = Self {
        busy_rounds: 3,
        busy_time: Duration::from_secs(1),
        steady_rounds: 2,
        steady_time: Duration::from_secs(1),
        stream_rounds: 2,
        stream_time: Duration::from_secs(1),
    };
}

/// What was measured of one server, a value a round.
#[derive(Default)]
pub struct Results {
    /// Requests a second at full load.
    pub per_second: Vec<f64>,
    /// CPU microseconds per request at full load.
    pub cpu_per_request: Vec<f64>,
    /// Milliseconds of half the requests at the steady rate.
    pub p50: Vec<f64>,
    /// Milliseconds of all but the slowest hundredth.
    pub p99: Vec<f64>,
    /// MiB before any load.
    pub idle_memory: f64,
    /// For each of [`STREAMS`].
    pub streams: [StreamResults; STREAMS.len()],
}

/// The same for a number of streams.
#[derive(Default)]
pub struct StreamResults {
    /// Chunks a second that came through.
    pub per_second: Vec<f64>,
    /// CPU microseconds per chunk.
    pub cpu_per_chunk: Vec<f64>,
    /// Milliseconds that half of the chunks took.
    pub p50: Vec<f64>,
    /// Milliseconds of all but the slowest hundredth.
    pub p99: Vec<f64>,
    /// MiB while all of them ran.
    pub memory: Vec<f64>,
}

/// Measures everything; results stand in the order of the candidates.
pub async fn all(
    plan: &Plan,
    candidates: &[Candidate],
    key: &str,
    enough: &AtomicBool,
) -> io::Result<Vec<Results>> {
    let mut results: Vec<Results> = candidates.iter().map(|_| Results::default()).collect();
    for (result, candidate) in results.iter_mut().zip(candidates) {
        result.idle_memory = candidate
            .server
            .map_or(0.0, |server| mebibytes(server.resident_bytes()));
    }
    for round in 0..plan.busy_rounds {
        for index in turn(round, candidates.len()) {
            busy(plan, &candidates[index], key, &mut results[index]).await?;
        }
    }
    for round in 0..plan.steady_rounds {
        for index in turn(round, candidates.len()) {
            steady(plan, &candidates[index], key, &mut results[index]).await?;
        }
    }
    for (number, count) in STREAMS.into_iter().enumerate() {
        for round in 0..plan.stream_rounds {
            for index in turn(round, candidates.len()) {
                let result = &mut results[index].streams[number];
                streamed(plan, count, &candidates[index], key, enough, result).await?;
            }
        }
    }
    Ok(results)
}

/// The order of a round: everybody is first in turn.
pub fn turn(round: usize, count: usize) -> impl Iterator<Item = usize> {
    (0..count).map(move |index| (index + round) % count)
}

async fn busy(
    plan: &Plan,
    candidate: &Candidate,
    key: &str,
    results: &mut Results,
) -> io::Result<()> {
    let request: Arc<[u8]> = request(candidate.requests, key, "fixed", false).into();
    requests::saturate(candidate.requests, &request, CONNECTIONS, WARM_UP).await?;
    let cpu = || {
        candidate
            .server
            .map_or(Duration::ZERO, |server| server.cpu())
    };
    let before = cpu();
    let (answers, time) =
        requests::saturate(candidate.requests, &request, CONNECTIONS, plan.busy_time).await?;
    let spent = cpu() - before;
    results.per_second.push(answers as f64 / time.as_secs_f64());
    results
        .cpu_per_request
        .push(spent.as_secs_f64() * 1e6 / answers as f64);
    Ok(())
}

async fn steady(
    plan: &Plan,
    candidate: &Candidate,
    key: &str,
    results: &mut Results,
) -> io::Result<()> {
    let request: Arc<[u8]> = request(candidate.requests, key, "fixed", false).into();
    requests::steady(candidate.requests, &request, STEADY_PER_SECOND, WARM_UP).await?;
    let mut times = requests::steady(
        candidate.requests,
        &request,
        STEADY_PER_SECOND,
        plan.steady_time,
    )
    .await?;
    times.sort_unstable();
    results.p50.push(percentile(&times, 50));
    results.p99.push(percentile(&times, 99));
    Ok(())
}

async fn streamed(
    plan: &Plan,
    count: usize,
    candidate: &Candidate,
    key: &str,
    enough: &AtomicBool,
    results: &mut StreamResults,
) -> io::Result<()> {
    let request: Arc<[u8]> = request(candidate.streams, key, "paced", true).into();
    let mut outcome = streams::run(candidate, &request, count, plan.stream_time, enough).await?;
    outcome.delays.sort_unstable();
    let chunks = outcome.chunks.max(1) as f64;
    results
        .per_second
        .push(chunks / outcome.window.as_secs_f64());
    results
        .cpu_per_chunk
        .push(outcome.cpu.as_secs_f64() * 1e6 / chunks);
    results.p50.push(percentile(&outcome.delays, 50));
    results.p99.push(percentile(&outcome.delays, 99));
    results.memory.push(mebibytes(outcome.resident_bytes));
    Ok(())
}

/// In milliseconds.
pub fn percentile(sorted: &[Duration], percent: usize) -> f64 {
    let index = (sorted.len() * percent / 100).min(sorted.len().saturating_sub(1));
    sorted
        .get(index)
        .map_or(f64::NAN, |time| time.as_secs_f64() * 1e3)
}

fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}
