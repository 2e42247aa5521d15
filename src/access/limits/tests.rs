use std::num::{NonZeroU32, NonZeroU64};

use super::{admit as admitting, *};
use crate::config::limits::Concurrency;

fn limiter(
    requests_per_minute: u64,
    tokens_per_minute: u64,
    concurrency: Option<(u32, u32, u64)>,
) -> Limiter {
    let mut limits = Limits::default();
    limits.requests[1] = NonZeroU64::new(requests_per_minute);
    limits.tokens[1] = NonZeroU64::new(tokens_per_minute);
    limits.concurrency = concurrency.map(|(max, queue_max, wait_ms)| Concurrency {
        max: NonZeroU32::new(max).unwrap(),
        queue_max,
        queue_wait: Duration::from_millis(wait_ms),
    });
    Limiter::new("the key `k`".to_owned(), &limits, Arc::default())
}

async fn admit<const N: usize>(
    limiters: Limiters<'_, N>,
    tokens: u64,
) -> Result<Admitted<N>, Refused> {
    let admitted = admitting(limiters, tokens).get().await;
    admitted
        .map(|admitted| *admitted)
        .map_err(|refused| *refused)
}

const fn two<'a>(first: &'a Limiter, second: &'a Limiter) -> Limiters<'a, 3> {
    [Some(first), Some(second), None]
}

fn used(limiter: &Limiter, limit: Limit) -> u64 {
    limiter.gauge.lock().tally.used(limit.place().unwrap())
}

#[tokio::test]
async fn all_limits_are_taken_from_or_none() {
    let (wide, narrow) = (limiter(100, 1_000, None), limiter(2, 1_000, None));
    let limiters = two(&wide, &narrow);
    let mut first = admit(limiters, 400).await.unwrap();
    let mut second = admit(limiters, 400).await.unwrap();
    assert_eq!(second.left.requests.unwrap().remaining, 0);
    assert_eq!(second.left.requests.unwrap().limit, 2);
    first.settle(100);
    second.settle(100);
    let refused = admit(limiters, 100).await.unwrap_err();
    assert_eq!((refused.limit, refused.max), (Limit::Requests(1), 2));
    assert!(refused.retry_after <= Duration::from_secs(61));
    assert_eq!(used(&wide, Limit::Requests(1)), 2);
    assert_eq!(used(&wide, Limit::Tokens(1)), 200);
    assert_eq!(used(&narrow, Limit::Tokens(1)), 200);
}

#[tokio::test]
async fn tokens_are_reserved_and_settled() {
    let limiter = limiter(100, 1_000, None);
    let limiters = [Some(&limiter)];
    let mut admitted = admit(limiters, 900).await.unwrap();
    assert_eq!(admitted.left.tokens.unwrap().remaining, 100);
    let refused = admit(limiters, 200).await.unwrap_err();
    assert_eq!(refused.limit, Limit::Tokens(1));
    assert_eq!(refused.left.requests.unwrap().remaining, 99);
    let text = refused.to_string();
    assert!(
        text.contains("the key `k` may use 1000 tokens per minute (`tpm`)"),
        "{text}"
    );
    admitted.settle(700);
    assert!(admit(limiters, 200).await.is_ok());
    // What is never settled has used nothing: the request failed before it was sent.
    drop(admit(limiters, 300).await.unwrap());
    assert!(admit(limiters, 300).await.is_ok());
}

#[tokio::test]
async fn a_cancelled_request_counts_for_nothing() {
    let limiter = limiter(1, 1_000, Some((1, 0, 0)));
    let limiters = [Some(&limiter)];
    let mut admitted = admit(limiters, 1_000).await.unwrap();
    admitted.cancel();
    let admitted = admit(limiters, 1_000).await.unwrap();
    assert_eq!(
        admit(limiters, 1).await.unwrap_err().limit,
        Limit::Requests(1)
    );
    drop(admitted);
    assert_eq!(limiter.gauge.running(), 0);
}

#[tokio::test]
async fn one_estimate_above_the_limit_is_admitted_alone() {
    let limiter = limiter(100, 1_000, None);
    let limiters = [Some(&limiter)];
    let mut admitted = admit(limiters, 5_000).await.unwrap();
    assert!(admit(limiters, 1).await.is_err());
    admitted.settle(10);
    assert!(admit(limiters, 1).await.is_ok());
}

#[tokio::test]
async fn no_more_run_at_once_than_may() {
    let limiter = limiter(1_000, 1_000, Some((2, 0, 0)));
    let limiters = [Some(&limiter)];
    let first = admit(limiters, 1).await.unwrap();
    let mut second = admit(limiters, 1).await.unwrap();
    let refused = admit(limiters, 1).await.unwrap_err();
    assert_eq!((refused.limit, refused.max), (Limit::Concurrency, 2));
    second.end();
    let third = admit(limiters, 1).await.unwrap();
    drop((first, second, third));
    assert_eq!(limiter.gauge.running(), 0);
}

#[tokio::test]
async fn who_waits_gets_in_in_turn_and_nobody_overtakes() {
    let limiter = Arc::new(limiter(1_000, 1_000, Some((1, 2, 60_000))));
    let running = admit([Some(&limiter)], 1).await.unwrap();
    let (done, mut order) = tokio::sync::mpsc::unbounded_channel();
    let mut waiting = Vec::new();
    for name in ["first", "second"] {
        let (of_waiting, done) = (limiter.clone(), done.clone());
        waiting.push(tokio::spawn(async move {
            let admitted = admit([Some(&of_waiting), None, None, None], 1).await;
            done.send(name).unwrap();
            drop(admitted.unwrap());
        }));
        while limiter.gauge.waiting() < waiting.len() {
            tokio::task::yield_now().await;
        }
    }
    let refused = admit([Some(&limiter)], 1).await.unwrap_err();
    assert_eq!(refused.limit, Limit::Concurrency);
    drop(running);
    for task in waiting {
        task.await.unwrap();
    }
    assert_eq!(
        [order.recv().await, order.recv().await],
        [Some("first"), Some("second")]
    );
    assert_eq!((limiter.gauge.running(), limiter.gauge.waiting()), (0, 0));
}

#[tokio::test]
async fn who_waits_too_long_is_refused_and_leaves_no_trace() {
    let limiter = limiter(1_000, 1_000, Some((1, 1, 20)));
    let limiters = [Some(&limiter)];
    let running = admit(limiters, 1).await.unwrap();
    assert_eq!(
        admit(limiters, 1).await.unwrap_err().limit,
        Limit::Concurrency
    );
    drop(running);
    assert_eq!(limiter.gauge.running(), 0);
    assert!(admit(limiters, 1).await.is_ok());
}

/// Callers that leave while they wait, at every moment: slots come back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slots_survive_callers_that_leave_while_they_wait() {
    let limiter = Arc::new(limiter(1_000_000_000, 1_000_000_000, Some((3, 100, 1_000))));
    let most = Arc::new(std::sync::atomic::AtomicU32::new(0));
    let tasks: Vec<_> = (0..2_000_u64)
        .map(|n| {
            let (limiter, most) = (limiter.clone(), most.clone());
            tokio::spawn(async move {
                let patience = Duration::from_micros(n * 7919 % 3_000);
                let work = async {
                    let admitted = admit([Some(&limiter)], 1).await;
                    if admitted.is_ok() {
                        most.fetch_max(
                            limiter.gauge.running(),
                            std::sync::atomic::Ordering::Relaxed,
                        );
                        tokio::time::sleep(Duration::from_micros(n % 500)).await;
                    }
                };
                let _ = tokio::time::timeout(patience, work).await;
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert!(most.load(std::sync::atomic::Ordering::Relaxed) <= 3);
    assert_eq!((limiter.gauge.running(), limiter.gauge.waiting()), (0, 0));
    assert!(admit([Some(&limiter)], 1).await.is_ok());
}
