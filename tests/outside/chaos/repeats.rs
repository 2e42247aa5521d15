//! The budget of repeats: a target that fails gets few more calls than it would if nobody repeated any.

use std::time::Instant;

use crate::harness::{Gateway, config};
use crate::raw::chat;
use crate::upstream::{Upstream, whole};

/// Requests to the target that fails.
const REQUESTS: usize = 100;

/// The share of repeats that the configuration allows.
const BUDGET: f64 = 0.2;

/// Repeats that there are besides, and after how many seconds one of them comes back: docs/reliability.md.
const RESERVE: f64 = 10.0;
const RESERVE_EVERY: f64 = 10.0;

#[tokio::test]
async fn repeats_stay_within_their_share_of_a_targets_requests_and_the_reserve() {
    let upstream = Upstream::answering(|_| whole(500, "application/json", "{}")).await;
    let address = upstream.address;
    let gateway = Gateway::start(&config(&format!(
        r#"
defaults: {{ retry: {{ attempts: 3, backoff: 1ms..2ms, budget: 20% }}, health: off }}
providers:
  up: {{ dialect: openai, base_url: "http://{address}/v1", api_key: provider-secret }}
models:
  m: {{ target: up/m }}
"#
    )))
    .await;
    let began = Instant::now();
    for _ in 0..REQUESTS {
        assert_eq!(gateway.ask(chat("m")).await.status, 500);
    }
    let seconds = began.elapsed().as_secs_f64();
    let repeats = upstream.received().len() - REQUESTS;
    let bound = REQUESTS as f64 * BUDGET + RESERVE + seconds / RESERVE_EVERY;
    assert!(
        (RESERVE..=bound).contains(&(repeats as f64)),
        "{repeats} repeats of {REQUESTS} requests in {seconds} s"
    );
}
