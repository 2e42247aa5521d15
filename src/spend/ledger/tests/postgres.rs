//! The ledger in a Postgres server.

use std::sync::atomic::{AtomicBool, Ordering};

use super::server::Server;
use super::*;
use crate::spend::ledger::postgres::PostgresStore;
use crate::spend::ledger::{ErrorKind, Ledger, LedgerError, ServerUrl, cells, correct, schema};

fn url(location: &Location) -> &ServerUrl {
    match location {
        Location::Postgres(url) => url,
        Location::Sqlite(_) => unreachable!("the test's server is a server"),
    }
}

fn open(location: &Location) -> PostgresStore {
    PostgresStore::open(url(location)).unwrap()
}

fn refused(location: &Location) -> LedgerError {
    let opened = PostgresStore::open(url(location));
    opened.err().expect("it must not open")
}

#[test]
fn rows_count_once_are_refused_and_deleted_as_they_should() {
    let Some(server) = Server::start() else {
        return;
    };
    let location = server.location();
    all_of_it(&mut open(&location), &location);
    server.sql("DROP SCHEMA tollgate CASCADE");
    reports_are_grouped_filtered_and_sorted(&mut open(&location), &location);
}

#[test]
fn every_field_comes_back() {
    let Some(server) = Server::start() else {
        return;
    };
    let location = server.location();
    let row = full_row();
    open(&location).commit(&written(&[row]).in_order()).unwrap();
    for (name, cell) in cells::column_names().zip(cells::cells(&row, "").unwrap()) {
        use cells::Cell;
        let expected = match cell {
            Cell::Id(id) => id.to_string(),
            Cell::Int(int) => int.unwrap().to_string(),
            Cell::Text(text) => text.unwrap().to_owned(),
            Cell::Bool(bool) => if bool { "t" } else { "f" }.to_owned(),
        };
        let stored = server.sql(&format!("SELECT {name} FROM tollgate.attempts"));
        assert_eq!(stored, expected, "{name}");
    }
    let view = "SELECT date, cost_usd = -12345.678901234567 FROM tollgate.daily_usd";
    assert_eq!(server.sql(view), "2026-01-01|t");
    let price = server.sql("SELECT json FROM tollgate.prices");
    assert_eq!(price, row.price.unwrap().json);
}

#[test]
fn ten_replicas_start_and_write_at_once() {
    let Some(server) = Server::start() else {
        return;
    };
    let location = server.location();
    let rows: Vec<_> = (0..10).map(|seed| Rows::new(seed, 3).take(500)).collect();
    std::thread::scope(|scope| {
        for rows in &rows {
            let location = &location;
            scope.spawn(move || {
                let mut store = open(location);
                for batch in rows.chunks(50) {
                    let mut batch = batch.to_vec();
                    batch.sort_unstable_by_key(|row| row.id);
                    assert_eq!(store.commit(&written(&batch).in_order()), Ok(batch.len()));
                }
                // All of them hand in the same rows again, at the same time.
                assert_eq!(store.commit(&written(rows).in_order()), Ok(0));
            });
        }
    });
    assert_eq!(everything(&location), totals(&rows.concat()));
    assert_consistent(&location);
    assert_eq!(
        server.sql("SELECT count(*) FROM tollgate.schema_migrations"),
        schema::VERSION.to_string()
    );
}

#[test]
fn a_server_that_stops_and_starts_loses_no_row_and_counts_none_twice() {
    let Some(server) = Server::start() else {
        return;
    };
    let location = server.location();
    let lines = Lines::default();
    let ledger = Ledger::open(&settings(location.clone()), lines.sink()).unwrap();
    let is_over = AtomicBool::new(false);
    let rows = std::thread::scope(|scope| {
        let pushing = scope.spawn(|| {
            let mut source = Rows::new(20, 3);
            let mut pushed = Vec::new();
            while !is_over.load(Ordering::Relaxed) {
                // As requests do: a server that is slower than this would leave no end of them.
                let count = if ledger.has_room() { 50 } else { 0 };
                for row in source.take(count) {
                    ledger.push(&row);
                    pushed.push(row);
                }
                std::thread::sleep(Duration::from_millis(2));
            }
            pushed
        });
        let ends = Ends(&is_over);
        for _ in 0..3 {
            let stored = ledger.stats().stored;
            until("rows are stored", || ledger.stats().stored > stored + 200);
            let failures = ledger.stats().failures;
            server.down();
            until("a commit failed", || ledger.stats().failures > failures);
            server.up();
            until("commits work", || ledger.stats().last_error.is_none());
        }
        drop(ends);
        pushing.join().unwrap()
    });
    assert!(ledger.close(Duration::from_secs(60)));
    assert_eq!(everything(&location), totals(&rows));
    assert_consistent(&location);
    assert_eq!(lines.count("commits fail"), lines.count("work again"));
    assert_eq!(lines.count("hunter2"), 0);
}

/// Says that it is over however a test ends: its scope waits for its threads, also when it has failed.
struct Ends<'a>(&'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn tls_means_a_certificate_that_is_checked() {
    let Some(server) = Server::start() else {
        return;
    };
    let (port, certificate) = server.up_with_tls();
    let base = format!("postgres://tester:hunter2@localhost:{port}/postgres");
    let trusted = format!("sslrootcert={}", certificate.display());
    for parameters in [
        "sslmode=disable",
        &trusted,
        &format!("sslmode=verify-full&{trusted}"),
    ] {
        let location = Location::parse(&format!("{base}?{parameters}")).unwrap();
        open(&location)
            .commit(&written(&Rows::new(24, 1).take(10)).in_order())
            .unwrap();
    }
    // A certificate for another name, and one that nobody vouches for.
    let elsewhere = base.replace("localhost", "127.0.0.1");
    for url in [format!("{elsewhere}?sslmode=require&{trusted}"), base] {
        let error = refused(&Location::parse(&url).unwrap());
        assert_eq!(error.kind, ErrorKind::Tls, "{error}");
        assert!(error.to_string().contains("sslrootcert"), "{error}");
    }
}

#[test]
fn a_restart_while_nothing_is_written_is_no_outage() {
    let Some(server) = Server::start() else {
        return;
    };
    let location = server.location();
    let mut store = open(&location);
    server.down();
    server.up();
    let rows = Rows::new(21, 1).take(10);
    assert_eq!(store.commit(&written(&rows).in_order()), Ok(10));
    assert_eq!(everything(&location), totals(&rows));
}

#[test]
fn a_table_that_others_lock_only_delays() {
    let Some(server) = Server::start() else {
        return;
    };
    let location = server.location();
    let ledger = Ledger::open(&settings(location.clone()), |_, _, _| {}).unwrap();
    let rows = Rows::new(22, 1).take(100);
    std::thread::scope(|scope| {
        let lock = "BEGIN; LOCK tollgate.daily IN EXCLUSIVE MODE; SELECT pg_sleep(7); COMMIT";
        let holding = scope.spawn(|| server.sql(lock));
        until("the table is locked", || {
            let locks = "SELECT count(*) FROM pg_locks WHERE mode = 'ExclusiveLock' AND relation::regclass::text = 'tollgate.daily'";
            server.sql(locks) == "1"
        });
        rows.iter().for_each(|row| ledger.push(row));
        until("a commit gave up", || ledger.stats().failures > 0);
        holding.join().unwrap();
    });
    assert!(ledger.close(Duration::from_secs(60)));
    assert_eq!(everything(&location), totals(&rows));
}

#[test]
fn versions_newer_ones_and_refusals_are_told_apart() {
    let Some(server) = Server::start() else {
        return;
    };
    let location = server.location();
    assert_eq!(
        Reader::open(&location).err().unwrap().kind,
        ErrorKind::Missing
    );
    assert_eq!(
        correct(&location, full_row()).unwrap_err().kind,
        ErrorKind::Missing
    );
    let rows = Rows::new(23, 1).take(10);
    open(&location).commit(&written(&rows).in_order()).unwrap();
    assert_eq!(correct(&location, full_row()), Ok(true));

    PostgresStore::open_with(url(&location), &with_a_later_migration()).unwrap();
    let count = "SELECT count(*) > 0 FROM tollgate.prices WHERE source IS NULL";
    assert_eq!(server.sql(count), "t");
    assert_eq!(refused(&location).kind, ErrorKind::Newer);
    assert_eq!(
        Reader::open(&location).err().unwrap().kind,
        ErrorKind::Newer
    );

    server.sql("CREATE DATABASE other");
    server.sql("CREATE ROLE guest LOGIN");
    let text = server.url();
    for (from, to) in [
        ("tester", "guest"),
        ("/postgres", "/none"),
        ("tester", "nobody"),
    ] {
        let location = Location::parse(&text.replace(from, to)).unwrap();
        let error = refused(&location);
        assert_eq!(error.kind, ErrorKind::Denied, "{error}");
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }
    let location = Location::parse("postgres://a:hunter2@127.0.0.1:1/x").unwrap();
    let error = refused(&location);
    assert_eq!(error.kind, ErrorKind::Unreachable, "{error}");
    assert!(
        error.to_string().contains("postgres://a@127.0.0.1:1/x"),
        "{error}"
    );
}
