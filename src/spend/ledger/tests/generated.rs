//! Many rows: exact, and on demand as many as one likes.

use super::*;
use crate::spend::ledger::sqlite::SqliteStore;

#[test]
fn a_hundred_thousand_rows_come_to_exactly_their_sum() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.db");
    let mut store = SqliteStore::open(&path).unwrap();
    let rows = Rows::new(11, 30).take(100_000);
    for batch in rows.chunks(5000) {
        store.commit(&written(batch).in_order()).unwrap();
    }
    let location = Location::Sqlite(path);
    assert_eq!(everything(&location), totals(&rows));
    assert_consistent(&location);
}

/// Fills the file that `TOLLGATE_LEDGER_PATH` names with `TOLLGATE_LEDGER_ROWS` rows of the last 90 days (a million by
/// default) through the gateway's own code, and prints how long that and a report took.
#[test]
#[ignore = "fills a file, on demand"]
fn a_report_over_many_rows_is_fast() {
    let rows: usize = std::env::var("TOLLGATE_LEDGER_ROWS")
        .map_or(1_000_000, |rows| rows.parse().expect("a number of rows"));
    let folder = tempfile::tempdir().unwrap();
    let path = std::env::var_os("TOLLGATE_LEDGER_PATH")
        .map_or_else(|| folder.path().join("ledger.db"), Into::into);
    let mut store = SqliteStore::open(&path).unwrap();
    let mut source = Rows::new(12, 90);
    let mut expected = Totals::default();
    let mut spent = Duration::ZERO;
    for first in (0..rows).step_by(8192) {
        let batch = source.take(8192.min(rows - first));
        let batch_totals = totals(&batch);
        expected.cost += batch_totals.cost;
        expected.attempts += batch_totals.attempts;
        let before = Instant::now();
        assert_eq!(store.commit(&written(&batch).in_order()), Ok(batch.len()));
        spent += before.elapsed();
    }
    println!(
        "{rows} rows committed in {spent:.1?}: {:.0} a second",
        rows as f64 / spent.as_secs_f64()
    );
    let location = Location::Sqlite(path);
    let date = |text: &str| Some(text.parse().unwrap());
    let month = Query {
        by: vec![By::Team],
        since: date("2026-02-01"),
        until: date("2026-03-01"),
        ..Query::default()
    };
    for _ in 0..5 {
        let before = Instant::now();
        let report = Reader::open(&location).unwrap().report(&month).unwrap();
        let took = before.elapsed();
        println!(
            "a month by team: {} groups in {took:.2?}",
            report.groups.len()
        );
    }
    let total = everything(&location);
    assert_eq!(
        (total.cost, total.attempts),
        (expected.cost, expected.attempts)
    );
}
