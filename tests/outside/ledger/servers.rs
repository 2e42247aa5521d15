//! The ledger in a Postgres server that comes and goes.

use super::book::Book;
use super::load::Load;
use super::{FAILS, WORKS, assert_failing, assert_recovered, config, said};
use crate::harness::Gateway;
use crate::postgres::{Postgres, Stop};

/// How many answers show that requests are served.
const SERVED: usize = 300;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_stops_and_starts_delays_rows_and_loses_none() {
    let Some(server) = Postgres::start() else {
        return;
    };
    let mut gateway = Gateway::start(&config(&server.url())).await;
    let load = Load::start(gateway.address, "restarts");
    for (round, stop) in [(1, Stop::Fast), (2, Stop::Immediate)] {
        load.goes_on(SERVED).await;
        server.down(stop);
        assert_failing(&gateway).await;
        load.goes_on(SERVED).await;
        server.up();
        let times = || (said(&gateway, FAILS), said(&gateway, WORKS));
        crate::harness::eventually("the end of the outage", async || {
            (times() == (round, round)).then_some(())
        })
        .await;
    }
    load.goes_on(SERVED).await;
    let asked = load.stop().await;
    assert!(asked.iter().all(|asked| asked.arrived.is_some()));
    assert_recovered(&gateway).await;
    let stored = gateway.metric("tollgate_ledger_rows_total", &[]).await;
    assert_eq!(stored, asked.len() as f64);
    gateway.signal("TERM");
    assert_eq!(gateway.exit().await.code(), Some(0));
    assert!(!gateway.log_text().contains("hunter2"));
    let book = Book::of_server(&server);
    book.assert_holds_each_once(&asked);
    assert_eq!(book.len(), asked.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_said_to_be_stored_outlives_a_crash_of_server_and_gateway() {
    let Some(server) = Postgres::start() else {
        return;
    };
    let mut gateway = Gateway::start(&config(&server.url())).await;
    let load = Load::start(gateway.address, "crash");
    load.goes_on(SERVED).await;
    server.down(Stop::Immediate);
    assert_failing(&gateway).await;
    let stored = gateway.metric("tollgate_ledger_rows_total", &[]).await;
    gateway.kill();
    let asked = load.end().await;
    server.up();

    let book = Book::of_server(&server);
    book.assert_nothing_twice();
    assert!(stored > 0.0 && book.len() as f64 >= stored, "{stored}");
    let there = asked.iter().filter(|asked| book.holds(&asked.request_id));
    assert_eq!(there.count(), book.len(), "rows that nobody asked for");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_gateways_write_one_server() {
    let Some(server) = Postgres::start() else {
        return;
    };
    let text = config(&server.url());
    let (first, second) = tokio::join!(Gateway::start(&text), Gateway::start(&text));
    let mut gateways = [first, second];
    let loads = gateways
        .each_ref()
        .map(|gateway| Load::start(gateway.address, &gateway.id().to_string()));
    for load in &loads {
        load.goes_on(SERVED).await;
    }
    let mut asked = Vec::new();
    for load in loads {
        asked.extend(load.stop().await);
    }
    for gateway in &mut gateways {
        gateway.signal("TERM");
        assert_eq!(gateway.exit().await.code(), Some(0));
        assert_eq!(said(gateway, FAILS), 0);
    }
    assert!(asked.iter().all(|asked| asked.arrived.is_some()));
    let book = Book::of_server(&server);
    book.assert_holds_each_once(&asked);
    assert_eq!(book.len(), asked.len());
}
