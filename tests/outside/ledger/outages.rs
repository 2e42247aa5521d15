//! A file that takes no rows for a while: requests do not notice, and nothing is lost.

use std::process::Command;

use rusqlite::Connection;
use tollgate::spend::ledger::QUEUE_MAX;

use super::book::Book;
use super::disk::Disk;
use super::load::{Asked, Load};
use super::{FAILS, Home, WORKS, assert_failing, assert_recovered, said};
use crate::harness::Gateway;
use crate::raw::chat;

/// How many answers show that requests are served.
const SERVED: usize = 300;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_delays_rows_and_loses_none() {
    let Some((disk, mut gateway)) = Disk::mount().await else {
        return;
    };
    let load = Load::start(gateway.address, "full");
    load.goes_on(SERVED).await;
    disk.fill();
    let line = assert_failing(&gateway).await;
    for (field, words) in [("error", "full"), ("help", "make room on the disk")] {
        let text = line[field].as_str().unwrap_or_default();
        assert!(text.contains(words), "{line}");
    }
    load.goes_on(SERVED).await;
    assert_failing(&gateway).await;
    disk.make_room();
    assert_recovered_under(load, &mut gateway, |asked| {
        Book::of_file(&disk.ledger()).assert_holds_each_once(asked);
    })
    .await;
    assert_eq!((said(&gateway, FAILS), said(&gateway, WORKS)), (1, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_limit_on_the_size_of_files_delays_rows_and_loses_none() {
    let home = Home::new();
    let mut gateway = home.gateway().await;
    let load = Load::start(gateway.address, "limit");
    load.goes_on(SERVED).await;
    // The kernel has a signal for this, which ends a program that does not expect it.
    limit_files(&gateway, "4096:");
    assert_failing(&gateway).await;
    load.goes_on(SERVED).await;
    limit_files(&gateway, "unlimited:");
    assert_recovered_under(load, &mut gateway, |asked| {
        Book::of_file(&home.ledger()).assert_holds_each_once(asked);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_somebody_locks_delays_rows_and_loses_none() {
    let home = Home::new();
    let mut gateway = home.gateway().await;
    let load = Load::start(gateway.address, "locked");
    load.goes_on(SERVED).await;
    let holder = Connection::open(home.ledger()).expect("the ledger");
    let patience = std::time::Duration::from_secs(30);
    holder.busy_timeout(patience).expect("a setting");
    holder.execute_batch("BEGIN EXCLUSIVE").expect("a lock");
    let line = assert_failing(&gateway).await;
    let help = line["help"].as_str().unwrap_or_default();
    assert!(help.contains("which program or session holds it"), "{line}");
    load.goes_on(SERVED).await;
    holder.execute_batch("ROLLBACK").expect("our own lock");
    drop(holder);
    assert_recovered_under(load, &mut gateway, |asked| {
        Book::of_file(&home.ledger()).assert_holds_each_once(asked);
    })
    .await;
    assert_eq!((said(&gateway, FAILS), said(&gateway, WORKS)), (1, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_end_in_good_order_stores_every_answer() {
    for signal in ["TERM", "INT"] {
        let home = Home::new();
        let mut gateway = home.gateway().await;
        let load = Load::start(gateway.address, signal);
        load.goes_on(SERVED).await;
        gateway.signal(signal);
        let asked = load.end().await;
        assert_eq!(gateway.exit().await.code(), Some(0));
        assert_eq!(
            said(
                &gateway,
                "the process ends with rows that the ledger could not store"
            ),
            0
        );
        Book::of_file(&home.ledger()).assert_holds_each_once(&asked);
    }
}

/// Fills the queue to its bound by requests, which takes most of a minute; hence only where `TOLLGATE_FULL_QUEUE` is set.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_queue_that_is_full_holds_requests_back() {
    if std::env::var_os("TOLLGATE_FULL_QUEUE").is_none() {
        println!("skipped: TOLLGATE_FULL_QUEUE is not set");
        return;
    }
    let home = Home::new();
    let mut gateway = home.gateway().await;
    let holder = Connection::open(home.ledger()).expect("the ledger");
    holder.execute_batch("BEGIN EXCLUSIVE").expect("a lock");
    let flood = Load::start_flood(gateway.address, "flood");
    while flood.answers() + 1000 < QUEUE_MAX {
        flood.goes_on(1000).await;
    }
    // Each caller goes until it is refused.
    let mut asked = flood.end().await;
    let answered = asked.iter().filter(|asked| asked.arrived.is_some()).count();
    assert!(answered >= QUEUE_MAX, "{answered}");

    let refused = gateway.ask(chat("demo/m-1")).await;
    refused.assert_error(503, "ledger_unavailable");
    assert_eq!(refused.header("retry-after"), Some("10"));
    let (answer, released) = tokio::join!(gateway.ask(chat("demo/m-1")), async {
        gateway
            .metric_becomes("tollgate_requests_in_flight", &[], |count| count == 1.0)
            .await;
        holder.execute_batch("ROLLBACK")
    });
    released.expect("our own lock");
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_recovered(&gateway).await;
    let load = Load::start(gateway.address, "after");
    load.goes_on(SERVED).await;
    asked.extend(load.stop().await);
    gateway.signal("TERM");
    assert_eq!(gateway.exit().await.code(), Some(0));
    drop(holder);
    Book::of_file(&home.ledger()).assert_holds_each_once(&asked);
    assert_eq!((said(&gateway, FAILS), said(&gateway, WORKS)), (1, 1));
}

/// Asserts that the gateway recovers while it is asked, and ends it; everything that it was asked must have been answered.
/// `check` looks at the ledger then.
async fn assert_recovered_under(load: Load, gateway: &mut Gateway, check: impl FnOnce(&[Asked])) {
    gateway.log_line(WORKS, |line| line["msg"] == WORKS).await;
    load.goes_on(SERVED).await;
    let asked = load.stop().await;
    assert!(asked.iter().all(|asked| asked.arrived.is_some()));
    assert_recovered(gateway).await;
    gateway.signal("TERM");
    assert_eq!(gateway.exit().await.code(), Some(0));
    check(&asked);
}

fn limit_files(gateway: &Gateway, bytes: &str) {
    let mut prlimit = Command::new("prlimit");
    prlimit.arg(format!("--pid={}", gateway.id()));
    let limited = prlimit.arg(format!("--fsize={bytes}")).status();
    assert!(limited.expect("prlimit runs").success());
}
