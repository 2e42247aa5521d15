//! Every fault of providers and callers, thousands of times over: no panic, no hang, nothing that grows.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::task::JoinSet;

use crate::faulty::{FAULTS, Fault, Stage};
use crate::harness::{eventually, in_time};
use crate::mischief::{self, MISCHIEF, Mischief};
use crate::raw::{Connection, chat_stream};

/// How many repetitions run at once.
const WORKERS: usize = 32;
/// How many more descriptors may be open afterwards: idle connections, which the pool may keep.
const DESCRIPTORS_GROWTH_MAX: usize = 2 * WORKERS;
/// How much more memory may be resident in the later rounds than in the earlier ones. An allocator keeps now more, now
/// less, so the least of several rounds is compared: a leak raises every one.
const RESIDENT_GROWTH_BYTES_MAX: u64 = 32 << 20;
/// In how many rounds, with a look at memory after each. The first warms up.
const ROUNDS: usize = 11;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_faults_leave_no_trace() {
    let count: usize = std::env::var("TOLLGATE_REPETITIONS")
        .map_or(10_000, |count| count.parse().expect("a number"));
    let stage = Arc::new(Stage::set(mischief::SERVER).await);
    let mut resident = Vec::new();
    let mut descriptors_max = usize::MAX;
    for _ in 0..ROUNDS {
        repeat(&stage, count.div_ceil(ROUNDS)).await;
        settle(&stage, descriptors_max).await;
        resident.push(stage.gateway.resident_bytes());
        descriptors_max = descriptors_max.min(stage.gateway.descriptors() + DESCRIPTORS_GROWTH_MAX);
    }

    println!("resident bytes after each round: {resident:?}");
    let (earlier, later) = resident[1..].split_at(ROUNDS / 2);
    let grown = least(later).saturating_sub(least(earlier));
    assert!(
        grown <= RESIDENT_GROWTH_BYTES_MAX,
        "resident memory grew: {resident:?}"
    );
    assert!(
        !stage.gateway.log_text().contains("panicked"),
        "{}",
        stage.gateway.log_text()
    );
    assert_eq!(
        stage
            .gateway
            .metric("tollgate_requests_total", &[("status", "500")])
            .await,
        0.0
    );
}

fn least(bytes: &[u64]) -> u64 {
    bytes.iter().copied().min().unwrap_or_default()
}

/// What a worker does next.
#[derive(Clone, Copy)]
enum Task {
    Provoke(&'static Fault),
    Commit(&'static Mischief),
    /// Leaves in the middle of a stream.
    Leave,
}

/// Works through `count` tasks, mixed, many at once.
async fn repeat(stage: &Arc<Stage>, count: usize) {
    let tasks = Arc::new(mixed_tasks(count));
    let next = Arc::new(AtomicUsize::new(0));
    let mut workers = JoinSet::new();
    for _ in 0..WORKERS {
        let (stage, tasks, next) = (Arc::clone(stage), Arc::clone(&tasks), Arc::clone(&next));
        workers.spawn(async move {
            let mut kept = None;
            let mut wrong = Vec::new();
            while let Some(task) = tasks.get(next.fetch_add(1, Ordering::Relaxed)) {
                let done = match task {
                    Task::Provoke(fault) => provoke(fault, &stage, &mut kept).await,
                    Task::Commit(mischief) => mischief.commit(stage.gateway.connect().await).await,
                    Task::Leave => leave(&stage).await,
                };
                wrong.extend(done.err());
            }
            wrong
        });
    }
    let mut wrong = workers.join_all().await.concat();
    let all = wrong.len();
    wrong.sort();
    wrong.dedup();
    wrong.truncate(20);
    assert!(
        wrong.is_empty(),
        "{all} of {count} went wrong, such as\n{}",
        wrong.join("\n")
    );
}

/// The tasks by their shares, neighbours of different kinds, the same order each time.
fn mixed_tasks(count: usize) -> Vec<Task> {
    let faults = FAULTS
        .iter()
        .map(|fault| (Task::Provoke(fault), fault.share));
    let mischief = MISCHIEF
        .iter()
        .map(|mischief| (Task::Commit(mischief), mischief.share));
    let kinds: Vec<_> = faults.chain(mischief).chain([(Task::Leave, 30)]).collect();
    let shares: usize = kinds.iter().map(|(_, share)| share).sum();
    let mut tasks = Vec::new();
    for (task, share) in kinds {
        let times = (share * count).div_ceil(shares);
        // Spread evenly: the n-th of a kind stands at its fraction of the whole.
        tasks.extend((0..times).map(|number| ((2 * number + 1) * count / (2 * times), task)));
    }
    tasks.sort_by_key(|(place, _)| *place);
    tasks.into_iter().map(|(_, task)| task).collect()
}

/// Asks on a connection that is kept as long as the gateway keeps it.
async fn provoke(
    fault: &Fault,
    stage: &Stage,
    kept: &mut Option<Connection>,
) -> Result<(), String> {
    let mut connection = match kept.take() {
        Some(connection) => connection,
        None => stage.gateway.connect().await,
    };
    let exchange = async {
        connection.send(fault.request().bytes()).await?;
        connection.answer().await
    };
    let answer = in_time(fault.model, exchange)
        .await?
        .map_err(|error| format!("{}: {error}", fault.model))?;
    if answer.header("connection") != Some("close") {
        *kept = Some(connection);
    }
    fault.judge(&answer)
}

async fn leave(stage: &Stage) -> Result<(), String> {
    let mut connection = stage.gateway.connect().await;
    let first_frame = async {
        connection.send(chat_stream("fault/stall").bytes()).await?;
        connection.head().await?;
        connection.piece().await
    };
    in_time("a first frame", first_frame)
        .await?
        .map(drop)
        .map_err(|error| format!("leaving: {error}"))
}

/// Waits until nothing is in flight and no more than this many descriptors are open.
async fn settle(stage: &Stage, descriptors_max: usize) {
    stage
        .gateway
        .metric_becomes("tollgate_requests_in_flight", &[], |count| count == 0.0)
        .await;
    // The scrape that asks has a connection of its own.
    stage
        .gateway
        .metric_becomes("tollgate_connections", &[], |count| count <= 1.0)
        .await;
    eventually("closed descriptors", async || {
        (stage.gateway.descriptors() <= descriptors_max).then_some(())
    })
    .await;
}
