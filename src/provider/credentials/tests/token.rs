//! [`Refreshing`], with a source that does as it is told and a clock that is set.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::time::{advance, sleep};

use super::super::token::{Fresh, Refreshing, Source};
use super::*;

const HOUR: Duration = Duration::from_secs(3600);

/// What a fetch brings, after a time.
struct Step {
    after: Duration,
    brings: Brings,
}

enum Brings {
    Life(Option<Duration>),
    Failure,
    Panic,
}

impl Step {
    fn at_once(brings: Brings) -> Self {
        let after = Duration::ZERO;
        Self { after, brings }
    }

    fn good(life: Duration) -> Self {
        Self::at_once(Brings::Life(Some(life)))
    }

    fn after(self, after: Duration) -> Self {
        Self { after, ..self }
    }
}

/// Gives the number of the fetch, or fails.
struct Scripted {
    calls: Arc<AtomicUsize>,
    script: Box<dyn Fn(usize) -> Step + Send + Sync>,
}

impl Source<usize> for Scripted {
    fn fetch(&self) -> Pending<'_, Result<Fresh<usize>, String>> {
        Box::pin(async move {
            let call = self.calls.fetch_add(1, Ordering::SeqCst);
            let step = (self.script)(call);
            if !step.after.is_zero() {
                sleep(step.after).await;
            }
            match step.brings {
                Brings::Life(life) => Ok(Fresh { value: call, life }),
                Brings::Failure => Err(format!("failure {call}")),
                Brings::Panic => panic!("as the script says"),
            }
        })
    }
}

struct Trial {
    token: Arc<Refreshing<usize>>,
    calls: Arc<AtomicUsize>,
    reports: Reports,
}

impl Trial {
    fn new(script: impl Fn(usize) -> Step + Send + Sync + 'static) -> Self {
        let (means, reports) = means();
        let calls = Arc::new(AtomicUsize::new(0));
        let source = Scripted {
            calls: calls.clone(),
            script: Box::new(script),
        };
        Self {
            token: Arc::new(Refreshing::new(source, means.report)),
            calls,
            reports,
        }
    }

    fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }

    async fn get(&self) -> Result<usize, String> {
        let value = self.token.get().await;
        value.map(|value| *value).map_err(|error| error.to_string())
    }
}

/// Lets what was spawned run.
async fn settle() {
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
}

async fn pass(seconds: u64) {
    advance(Duration::from_secs(seconds)).await;
    settle().await;
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_hundred_callers_share_one_fetch() {
    let trial = Trial::new(|_| Step::good(HOUR).after(Duration::from_secs(1)));
    let mut callers = tokio::task::JoinSet::new();
    for _ in 0..100 {
        let token = trial.token.clone();
        callers.spawn(async move { token.get().await.map(|value| *value) });
    }
    assert_eq!(callers.join_all().await, vec![Ok(0); 100]);
    assert_eq!(trial.calls(), 1);
}

#[test]
fn callers_on_runtimes_of_their_own_share_one_fetch() {
    let trial = Trial::new(|_| Step::good(HOUR).after(Duration::from_millis(20)));
    let gets = || async {
        let get = || {
            let token = trial.token.clone();
            tokio::spawn(async move { token.get().await.map(|value| *value) })
        };
        let gets: Vec<_> = (0..25).map(|_| get()).collect();
        for get in gets {
            assert_eq!(get.await.unwrap(), Ok(0));
        }
        // The runtime on which the fetch runs lives until nobody waits for it.
        settle().await;
    };
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| runtime().block_on(gets()));
        }
    });
    assert_eq!(trial.calls(), 1);
}

#[test]
fn a_fetch_that_is_lost_with_its_runtime_is_begun_anew() {
    let trial = Trial::new(|call| match call {
        0 => Step::good(HOUR).after(HOUR),
        _ => Step::good(HOUR),
    });
    let lost = runtime();
    let token = trial.token.clone();
    let caller = lost.spawn(async move { token.get().await.map(|value| *value) });
    while trial.calls() == 0 {
        lost.block_on(tokio::task::yield_now());
    }
    std::thread::scope(|scope| {
        let other = scope.spawn(|| runtime().block_on(trial.get()));
        drop(caller);
        drop(lost);
        assert_eq!(other.join().unwrap(), Ok(1));
    });
}

#[tokio::test(start_paused = true)]
async fn it_is_renewed_ahead_while_the_old_one_is_served() {
    let trial = Trial::new(|call| Step::good(HOUR).after(Duration::from_secs(call.min(1) as u64)));
    assert_eq!(trial.get().await, Ok(0));
    pass(3600 - 376).await;
    assert_eq!(trial.get().await, Ok(0));
    settle().await;
    assert_eq!(
        trial.calls(),
        1,
        "not before the last five minutes and a bit"
    );
    pass(77).await;
    assert_eq!(trial.get().await, Ok(0));
    settle().await;
    assert_eq!(trial.get().await, Ok(0), "the new one is on its way");
    assert_eq!(trial.calls(), 2);
    pass(1).await;
    assert_eq!(trial.get().await, Ok(1));
    pass(3000).await;
    assert_eq!((trial.get().await, trial.calls()), (Ok(1), 2));
}

#[tokio::test(start_paused = true)]
async fn a_short_life_is_renewed_in_its_last_tenth() {
    let trial = Trial::new(|_| Step::good(Duration::from_secs(100)));
    assert_eq!(trial.get().await, Ok(0));
    pass(87).await;
    assert_eq!((trial.get().await, trial.calls()), (Ok(0), 1));
    pass(4).await;
    assert_eq!(trial.get().await, Ok(0));
    settle().await;
    assert_eq!((trial.get().await, trial.calls()), (Ok(1), 2));
}

#[tokio::test(start_paused = true)]
async fn one_that_expired_is_never_served() {
    let trial = Trial::new(|_| Step::good(HOUR));
    assert_eq!(trial.get().await, Ok(0));
    pass(3600).await;
    assert!(trial.token.current().is_none());
    assert_eq!(trial.get().await, Ok(1));
}

#[tokio::test(start_paused = true)]
async fn failing_renewals_back_off_and_are_reported() {
    let trial = Trial::new(|call| match call {
        0 => Step::good(HOUR),
        _ => Step::at_once(Brings::Failure),
    });
    assert_eq!(trial.get().await, Ok(0));
    pass(3600 - 299).await;
    for _ in 0..298 {
        assert_eq!(trial.get().await, Ok(0));
        pass(1).await;
    }
    // After 1, 2, 4, 8, 16 s and then every 30 s, all of it shortened by up to a half.
    let failures = trial.calls() - 1;
    assert!((13..=25).contains(&failures), "{failures}");
    assert_eq!(trial.reports.lock().unwrap().len(), failures);
    pass(1).await;
    let error = trial.get().await.unwrap_err();
    assert!(error.starts_with("failure "), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_failure_is_told_at_once_until_the_next_try() {
    let trial = Trial::new(|call| match call {
        0 => Step::at_once(Brings::Failure),
        _ => Step::good(HOUR),
    });
    for _ in 0..3 {
        assert_eq!(trial.get().await, Err("failure 0".to_owned()));
    }
    assert_eq!(trial.calls(), 1);
    pass(1).await;
    assert_eq!(trial.get().await, Ok(1));
}

#[tokio::test(start_paused = true)]
async fn a_fetch_has_its_time() {
    let trial = Trial::new(|_| Step::good(HOUR).after(HOUR));
    let error = trial.get().await.unwrap_err();
    assert_eq!(error, "the fetch took longer than 20 s");
}

#[tokio::test(start_paused = true)]
async fn a_panic_is_a_failed_fetch() {
    let trial = Trial::new(|call| match call {
        0 => Step::at_once(Brings::Panic),
        _ => Step::good(HOUR),
    });
    assert_eq!(trial.get().await, Err("the fetch broke off".to_owned()));
    pass(1).await;
    assert_eq!(trial.get().await, Ok(1));
}

#[tokio::test(start_paused = true)]
async fn what_has_expired_when_it_comes_is_a_failure() {
    let trial = Trial::new(|_| Step::good(Duration::ZERO));
    let error = trial.get().await.unwrap_err();
    assert_eq!(error, "what was fetched has expired already");
}

#[tokio::test(start_paused = true)]
async fn what_is_good_for_ever_is_fetched_once() {
    let trial = Trial::new(|_| Step::at_once(Brings::Life(None)));
    assert_eq!(trial.get().await, Ok(0));
    pass(30 * 24 * 3600).await;
    assert_eq!(trial.get().await, Ok(0));
    settle().await;
    assert_eq!(trial.calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_endless_life_is_cut_to_a_week() {
    let trial = Trial::new(|_| Step::good(Duration::MAX));
    assert_eq!(trial.get().await, Ok(0));
    pass(6 * 24 * 3600).await;
    assert_eq!(trial.get().await, Ok(0));
    pass(24 * 3600).await;
    assert_eq!(trial.get().await, Ok(1));
}

#[tokio::test(start_paused = true)]
async fn a_doubted_one_is_renewed_unless_it_is_new() {
    let trial = Trial::new(|_| Step::at_once(Brings::Life(None)));
    assert_eq!(trial.get().await, Ok(0));
    trial.token.doubt();
    pass(31).await;
    assert_eq!((trial.get().await, trial.calls()), (Ok(0), 1));
    trial.token.doubt();
    let served = trial.get().await;
    assert_eq!(served, Ok(0), "it is served until there is another");
    settle().await;
    assert_eq!(trial.get().await, Ok(1));
}
