//! The slowest hundredth of requests to several models of one gateway, in turns, beside those to the first of them.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use side_by_side::http::request;

use crate::requests;
use crate::rounds::{percentile, turn};
use crate::stand::Stand;
use crate::table::{median, ratio};
use crate::upstream::Calls;

/// What a gateway is asked.
pub struct Load {
    /// Models of the gateway; the first is what the others are compared with.
    pub models: &'static [&'static str],
    pub streams: bool,
    pub per_second: u32,
}

/// Of one model, a value a round.
#[derive(Default)]
pub struct Tail {
    /// Milliseconds of half the requests.
    p50: Vec<f64>,
    /// Milliseconds of all but the slowest hundredth.
    p99: Vec<f64>,
    requests: usize,
    /// Of the upstreams that are counted, meanwhile.
    pub calls: u64,
}

/// Whoever has failed by then is left alone, and what is usual is known.
const WARM_UP: Duration = Duration::from_secs(4);

/// In a round every model is asked so often for so long, in turns, so that a slow moment of the machine hits all of them.
const TURNS: usize = 4;
const TURN: Duration = Duration::from_secs(1);

/// Connections while it warms up.
const WARM_UP_CONNECTIONS: usize = 8;

/// Measures every model in each round, in an order that turns, and the calls that an upstream gets meanwhile.
pub async fn measure(stand: &Stand, load: &Load, calls: &Calls) -> io::Result<Vec<Tail>> {
    let request = |model: &&str| request(stand.gateway, &stand.key, model, load.streams).into();
    let requests: Vec<Arc<[u8]>> = load.models.iter().map(request).collect();
    for request in &requests {
        requests::saturate(stand.gateway, request, WARM_UP_CONNECTIONS, WARM_UP).await?;
    }
    let mut tails: Vec<Tail> = requests.iter().map(|_| Tail::default()).collect();
    for round in 0..stand.rounds {
        let mut times = vec![Vec::new(); requests.len()];
        for number in 0..TURNS {
            for index in turn(round + number, requests.len()) {
                let before = calls.load(Ordering::Relaxed);
                let (address, request) = (stand.gateway, &requests[index]);
                let asked = requests::steady(address, request, load.per_second, TURN);
                times[index].extend(asked.await?);
                tails[index].calls += calls.load(Ordering::Relaxed) - before;
            }
        }
        for (tail, mut times) in tails.iter_mut().zip(times) {
            times.sort_unstable();
            tail.requests += times.len();
            tail.p50.push(percentile(&times, 50));
            tail.p99.push(percentile(&times, 99));
        }
    }
    Ok(tails)
}

/// Prints a line for each model: its name in the table, its times, their ratios, and what its calls come to.
pub fn print(
    names: &[&str],
    calls_title: &str,
    calls: impl Fn(&Tail) -> String,
    aim: &str,
    tails: &[Tail],
) {
    println!("| | p50, ms | p99, ms | p50 ÷ first | p99 ÷ first | {calls_title} | aim |");
    println!("|---|--:|--:|--:|--:|--:|---|");
    for (index, (name, tail)) in names.iter().zip(tails).enumerate() {
        let ratios = match index {
            0 => ["", "", ""].map(str::to_owned),
            _ => [
                ratio(&tail.p50, &tails[0].p50),
                ratio(&tail.p99, &tails[0].p99),
                aim.to_owned(),
            ],
        };
        let [p50, p99] = [&tail.p50, &tail.p99].map(|values| median(values));
        let [p50_ratio, p99_ratio, aim] = ratios;
        let calls = calls(tail);
        println!("| {name} | {p50:.3} | {p99:.3} | {p50_ratio} | {p99_ratio} | {calls} | {aim} |");
    }
}

impl Tail {
    /// Calls beyond one a request, in a hundred requests.
    pub fn extra_calls(&self) -> f64 {
        100.0 * (self.calls as f64 / self.requests as f64 - 1.0)
    }
}
