//! What a process has spent is known to the next one, whether it ended well or not.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use super::{Provider, Stage, TOKEN_NANO, request};
use crate::harness::try_ask;

#[tokio::test]
async fn a_restart_in_good_order_forgets_and_loses_nothing() {
    let provider = Provider::start().await;
    let mut stage = Stage::set(
        &provider,
        "budget: { usd: 0.001, per: month, floor_tokens: 100 }",
        "",
    )
    .await;
    for _ in 0..4 {
        assert_eq!(stage.ask("fast", 200).await.status, 200);
        stage.end().await;
        stage.start().await;
    }
    let standing = &stage.budgets().await[0];
    assert_eq!(
        (&standing["spent_usd"], &standing["unknown_usd"]),
        (&"0.0008".into(), &"0".into())
    );
    let last = stage.ask("fast", 300).await;
    assert_eq!(last.header("x-tollgate-max-tokens"), Some("200"));
    stage
        .ask("fast", 200)
        .await
        .assert_error(429, "insufficient_quota");
    assert_eq!(provider.paid_nano(), 1_000 * TOKEN_NANO);
}

#[tokio::test]
async fn a_process_that_is_killed_again_and_again_does_not_exceed_it() {
    // Some time for each answer, so that there are requests under way when it dies.
    let provider = Provider::writing(|allowed| {
        std::thread::sleep(Duration::from_millis(1));
        allowed
    })
    .await;
    let team = "budget: { usd: 0.5, per: month, wait: 100ms }";
    let mut stage = Stage::set(&provider, team, "").await;
    let budget = 500_000 * TOKEN_NANO;
    for life in 0..6_u64 {
        let address = stage.gateway().address;
        let callers = Arc::new(std::sync::atomic::AtomicBool::new(true));
        let mut asking = JoinSet::new();
        for caller in 0..20_u64 {
            let callers = callers.clone();
            asking.spawn(async move {
                let mut n = caller;
                while callers.load(std::sync::atomic::Ordering::Relaxed) {
                    n += 1;
                    let tokens = 1 + 7919 * n % 2_000;
                    // Whoever asks a dead process gets no answer.
                    if try_ask(address, request("fast", tokens)).await.is_err() {
                        return;
                    }
                }
            });
        }
        tokio::time::sleep(Duration::from_millis(200 + 97 * life)).await;
        stage.kill();
        callers.store(false, std::sync::atomic::Ordering::Relaxed);
        asking.join_all().await;
        stage.start().await;
        assert!(
            provider.paid_nano() <= budget,
            "{} of {budget}",
            provider.paid_nano()
        );
        let standing = stage.budgets().await[0].take();
        let number = |name: &str| standing[name].as_str().unwrap().parse::<f64>().unwrap();
        let known = number("spent_usd") + number("unknown_usd");
        let paid = provider.paid_nano() as f64 / 1e9;
        assert!(
            known >= paid - 1e-9,
            "{known} is known of {paid}: {standing}"
        );
    }
    // All that is left may be spent, one by one.
    let mut refused = 0;
    while refused < 3 {
        refused += u64::from(stage.ask("fast", 2_000).await.status == 429);
        assert!(
            provider.paid_nano() <= budget,
            "{} of {budget}",
            provider.paid_nano()
        );
    }
}
