//! The ledger in a file.

use std::path::{Path, PathBuf};

use proptest::prelude::*;
use rusqlite::Connection;

use super::*;
use crate::spend::ledger::sqlite::{SqliteStore, open_with};
use crate::spend::ledger::{ErrorKind, Ledger, LedgerError, cells, correct};

fn place() -> (tempfile::TempDir, PathBuf, Location) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.db");
    let location = Location::Sqlite(path.clone());
    (folder, path, location)
}

fn refused(path: &Path) -> LedgerError {
    SqliteStore::open(path).err().expect("it must not open")
}

#[test]
fn rows_count_once_are_refused_and_deleted_as_they_should() {
    let (_folder, path, location) = place();
    all_of_it(&mut SqliteStore::open(&path).unwrap(), &location);
}

#[test]
fn reports_say_what_was_asked_for() {
    let (_folder, path, location) = place();
    let mut store = SqliteStore::open(&path).unwrap();
    reports_are_grouped_filtered_and_sorted(&mut store, &location);
}

#[test]
fn every_field_comes_back() {
    let (_folder, path, _) = place();
    let row = full_row();
    let mut store = SqliteStore::open(&path).unwrap();
    store.commit(&written(&[row]).in_order()).unwrap();
    assert_cells(&path, std::slice::from_ref(&row));
    let connection = Connection::open(&path).unwrap();
    connection
        .query_row("SELECT * FROM attempts", [], |stored| {
            // And that the cells are the row's, by name.
            assert_eq!(stored.get::<_, String>("end_user")?, *row.user);
            assert_eq!(stored.get::<_, i64>("cost_micro")?, -12_345_678_902);
            assert_eq!(stored.get::<_, i64>("cost_pico")?, 765_433);
            assert_eq!(
                stored.get::<_, u64>("audio_seconds")?,
                row.usage.audio_seconds
            );
            assert_eq!(
                stored.get::<_, String>("price_id")?,
                row.price.as_ref().unwrap().id
            );
            assert_eq!(stored.get::<_, String>("reason")?, "why");
            Ok(())
        })
        .unwrap();
    let json: String = connection
        .query_row("SELECT json FROM prices", [], |row| row.get(0))
        .unwrap();
    assert_eq!(json, row.price.unwrap().json);
    let (date, usd): (String, f64) = connection
        .query_row("SELECT date, cost_usd FROM daily_usd", [], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .unwrap();
    assert_eq!(date, "2026-01-01");
    assert!((usd + 12_345.678_901_234).abs() < 1e-6);
}

/// The cells in the file are those of the rows.
fn assert_cells(path: &Path, rows: &[Row<'_>]) {
    let names = schema::list(cells::column_names());
    let connection = Connection::open(path).unwrap();
    let sql = format!("SELECT {names} FROM attempts WHERE id = ?1");
    for row in rows {
        let compare = |stored: &rusqlite::Row<'_>| {
            for (index, cell) in cells::cells(row, "").unwrap().iter().enumerate() {
                use cells::Cell;
                match cell {
                    Cell::Id(id) => assert_eq!(stored.get::<_, Vec<u8>>(index)?, id.as_bytes()),
                    Cell::Int(int) => assert_eq!(stored.get::<_, Option<i64>>(index)?, *int),
                    Cell::Text(text) => {
                        assert_eq!(stored.get::<_, Option<String>>(index)?.as_deref(), *text);
                    }
                    Cell::Bool(bool) => assert_eq!(stored.get::<_, bool>(index)?, *bool),
                }
            }
            Ok(())
        };
        connection
            .query_row(&sql, [row.id.as_bytes()], compare)
            .unwrap();
    }
}

#[test]
fn rows_that_go_in_together_come_back_each_as_it_was() {
    let (_folder, path, location) = place();
    let mut store = SqliteStore::open(&path).unwrap();
    let rows = Rows::new(13, 2).take(200);
    let all = written(&rows);
    let of_all = all.in_order();
    assert!(of_all.iter().filter(|row| row.is_usual()).count() > 100);
    // Some of them are there already.
    let some: Vec<_> = rows.iter().step_by(7).cloned().collect();
    assert_eq!(store.commit(&written(&some).in_order()), Ok(some.len()));
    assert_eq!(
        store.commit(&written(&rows).in_order()),
        Ok(rows.len() - some.len())
    );
    assert_cells(&path, &rows);
    assert_eq!(everything(&location), totals(&rows));
    assert_consistent(&location);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, ..ProptestConfig::default() })]

    #[test]
    fn sums_are_what_the_rows_come_to(seed: u64, batches in prop::collection::vec(0..60usize, 1..6)) {
        let (_folder, path, location) = place();
        let mut store = SqliteStore::open(&path).unwrap();
        let mut source = Rows::new(seed, 3);
        let mut all = Vec::new();
        for batch in batches {
            let rows = source.take(batch);
            store.commit(&written(&rows).in_order()).unwrap();
            all.extend(rows);
        }
        prop_assert_eq!(everything(&location), totals(&all));
        assert_consistent(&location);
    }
}

#[test]
fn two_processes_write_one_file() {
    let (_folder, path, location) = place();
    let rows: Vec<_> = (0..2).map(|seed| Rows::new(seed, 5).take(3000)).collect();
    std::thread::scope(|scope| {
        for rows in &rows {
            let path = &path;
            scope.spawn(move || {
                // Both create it, too.
                let mut store = SqliteStore::open(path).unwrap();
                for batch in rows.chunks(100) {
                    while let Err(error) = store.commit(&written(batch).in_order()) {
                        assert_eq!(error.kind, ErrorKind::Locked, "{error}");
                    }
                }
            });
        }
    });
    assert_eq!(everything(&location), totals(&rows.concat()));
    assert_consistent(&location);
}

#[test]
fn an_older_file_is_brought_up_to_date_and_a_newer_one_left_alone() {
    let (_folder, path, location) = place();
    // A file from before the first version has the table of versions and nothing else.
    let connection = Connection::open(&path).unwrap();
    connection
        .execute_batch(
            "CREATE TABLE schema_migrations (version INTEGER NOT NULL PRIMARY KEY, applied_ms INTEGER NOT NULL) STRICT",
        )
        .unwrap();
    let older = Reader::open(&location).err().unwrap();
    assert_eq!(older.kind, ErrorKind::Older);
    let rows = Rows::new(1, 1).take(10);
    SqliteStore::open(&path)
        .unwrap()
        .commit(&written(&rows).in_order())
        .unwrap();
    // Opening it again changes nothing.
    drop(SqliteStore::open(&path).unwrap());
    assert_eq!(everything(&location), totals(&rows));
    let newer = "INSERT INTO schema_migrations VALUES (99, 0)";
    connection.execute_batch(newer).unwrap();
    for error in [refused(&path), Reader::open(&location).err().unwrap()] {
        assert_eq!(error.kind, ErrorKind::Newer);
        assert!(error.to_string().contains("version 99"), "{error}");
    }
}

#[test]
fn rows_of_an_older_file_keep_what_they_hold() {
    let (_folder, path, location) = place();
    let mut rows = Rows::new(13, 3).take(200);
    rows.push(full_row());
    let older = open_with(&path, &schema::MIGRATIONS[..2]).unwrap();
    // As version 2 wrote them: every column, whatever is in it.
    let insert = format!(
        "INSERT INTO attempts ({}) VALUES ({})",
        schema::list(cells::column_names()),
        schema::list(["?"; cells::COLUMNS])
    );
    for row in &rows {
        let cells = cells::cells(row, "").unwrap();
        older
            .execute(&insert, rusqlite::params_from_iter(cells))
            .unwrap();
    }
    drop(older);
    let mut store = SqliteStore::open(&path).unwrap();
    assert_cells(&path, &rows);
    // They are known again, though their sums were never told; and what is new joins them.
    assert_eq!(store.commit(&written(&rows).in_order()), Ok(0));
    let mut more = Rows::new(14, 3);
    let more = more.take(200);
    assert_eq!(store.commit(&written(&more).in_order()), Ok(200));
    assert_cells(&path, &more);
    assert_eq!(everything(&location), totals(&more));
}

#[test]
fn what_hardly_any_row_has_is_kept_together() {
    let (_folder, path, _) = place();
    let mut store = SqliteStore::open(&path).unwrap();
    let usual = Row {
        attempt: 1,
        ..Row::default()
    };
    let second = Row {
        id: uuid::Uuid::now_v7(),
        attempt: 2,
        verdict: Some("it's \"no\""),
        estimated: true,
        savings: Usd::from_pico(-1_000_002),
        ..usual
    };
    let rows = [usual, second];
    assert_eq!(store.commit(&written(&rows).in_order()), Ok(2));
    let connection = Connection::open(&path).unwrap();
    let mut rests = connection
        .prepare("SELECT rest FROM attempt_rows ORDER BY id")
        .unwrap();
    let rests = rests.query_map([], |row| row.get(0)).unwrap();
    let rests: Vec<Option<String>> = rests.collect::<Result<_, _>>().unwrap();
    let told = r#"{"attempt":2,"verdict":"it's \"no\"","estimated":true,"savings_micro":-2,"savings_pico":999998}"#;
    assert_eq!(rests, [None, Some(told.to_owned())]);
    assert_cells(&path, &rows);
}

#[test]
fn a_later_version_adds_to_an_earlier_one() {
    let (_folder, path, location) = place();
    let rows = Rows::new(1, 1).take(10);
    SqliteStore::open(&path)
        .unwrap()
        .commit(&written(&rows).in_order())
        .unwrap();
    let connection = open_with(&path, &with_a_later_migration()).unwrap();
    let count: i64 = connection
        .query_row(
            "SELECT count(*) FROM prices WHERE source IS NULL",
            [],
            |row| row.get(0),
        )
        .unwrap();
    assert!(count > 0);
    assert_eq!(refused(&path).kind, ErrorKind::Newer);
    assert_eq!(
        Reader::open(&location).err().unwrap().kind,
        ErrorKind::Newer
    );
}

#[test]
fn what_is_no_ledger_is_refused_and_left_as_it_is() {
    let (folder, path, location) = place();
    std::fs::write(
        &path,
        "this is a text file, and rather a long one at that, on purpose",
    )
    .unwrap();
    assert_eq!(refused(&path).kind, ErrorKind::Foreign);
    assert!(refused(&path).to_string().contains("ledger.db"));
    std::fs::remove_file(&path).unwrap();
    Connection::open(&path)
        .unwrap()
        .execute_batch("CREATE TABLE users (id)")
        .unwrap();
    let before = std::fs::read(&path).unwrap();
    assert_eq!(refused(&path).kind, ErrorKind::Foreign);
    assert_eq!(std::fs::read(&path).unwrap(), before);
    assert_eq!(
        Reader::open(&location).err().unwrap().kind,
        ErrorKind::Foreign
    );
    // Below a file there is no folder; below /proc nothing can be made.
    for path in [
        path.join("x.db"),
        "/proc/x.db".into(),
        folder.path().join("no/x.db"),
    ] {
        assert_eq!(
            refused(&path).kind,
            ErrorKind::Inaccessible,
            "{}",
            path.display()
        );
    }
    let missing = Location::Sqlite(folder.path().join("none.db"));
    assert_eq!(
        Reader::open(&missing).err().unwrap().kind,
        ErrorKind::Missing
    );
}

#[test]
fn a_file_that_others_hold_at_the_start_is_named() {
    let (_folder, path, _) = place();
    drop(SqliteStore::open(&path).unwrap());
    let other = Connection::open(&path).unwrap();
    other.execute_batch("BEGIN EXCLUSIVE").unwrap();
    assert_eq!(refused(&path).kind, ErrorKind::Locked);
}

#[test]
fn nothing_is_lost_while_others_hold_the_file() {
    let (_folder, path, location) = place();
    let lines = Lines::default();
    let ledger = Ledger::open(&settings(location.clone()), lines.sink()).unwrap();
    let other = Connection::open(&path).unwrap();
    other.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let rows = Rows::new(7, 2).take(300);
    rows.iter().for_each(|row| ledger.push(row));
    until("two commits failed", || ledger.stats().failures >= 2);
    assert!(!ledger.flush(Duration::from_millis(50)));
    let stats = ledger.stats();
    assert_eq!((stats.waiting, stats.stored), (300, 0));
    assert!(stats.oldest.is_some());
    assert!(stats.last_error.unwrap().contains("ledger.db"));
    other.execute_batch("COMMIT").unwrap();
    assert!(ledger.close(Duration::from_secs(60)));
    assert_eq!(everything(&location), totals(&rows));
    assert_eq!(lines.count("commits fail"), 1);
    assert_eq!(lines.count("work again"), 1);
    let stats = ledger.stats();
    assert_eq!((stats.waiting, stats.stored), (0, 300));
    assert_eq!((stats.last_error, stats.oldest), (None, None));
}

#[test]
fn a_full_disk_keeps_rows_back_until_there_is_room() {
    let (_folder, path, location) = place();
    let mut store = SqliteStore::open(&path).unwrap();
    let rows = Rows::new(8, 2).take(3000);
    store.limit_pages(20);
    let error = store.commit(&written(&rows).in_order()).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Full, "{error}");
    assert_eq!(everything(&location), Totals::default());
    store.limit_pages(1_000_000);
    assert_eq!(store.commit(&written(&rows).in_order()), Ok(3000));
    assert_eq!(everything(&location), totals(&rows));
}

#[test]
fn a_file_that_was_deleted_is_made_anew() {
    let (_folder, path, location) = place();
    let mut store = SqliteStore::open(&path).unwrap();
    let mut source = Rows::new(9, 2);
    store.commit(&written(&source.take(10)).in_order()).unwrap();
    for name in ["ledger.db", "ledger.db-wal", "ledger.db-shm"] {
        let _ = std::fs::remove_file(path.with_file_name(name));
    }
    let rows = source.take(10);
    assert_eq!(store.commit(&written(&rows).in_order()), Ok(10));
    assert_eq!(everything(&location), totals(&rows));
}

#[test]
fn a_correction_goes_into_the_sums_of_its_day() {
    let (_folder, path, location) = place();
    let correction = full_row();
    let error = correct(&location, correction).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Missing);
    drop(SqliteStore::open(&path).unwrap());
    assert_eq!(correct(&location, correction), Ok(true));
    assert_eq!(correct(&location, correction), Ok(false));
    let total = everything(&location);
    assert_eq!((total.attempts, total.corrections), (0, 1));
    assert_eq!(total.cost, correction.cost.unwrap());
    assert_consistent(&location);
}

#[test]
fn a_check_finds_sums_that_were_changed_by_hand() {
    let (_folder, path, location) = place();
    let mut store = SqliteStore::open(&path).unwrap();
    store
        .commit(&written(&Rows::new(10, 2).take(50)).in_order())
        .unwrap();
    let change = "UPDATE daily SET cost_micro = cost_micro + 1 WHERE team =
                  (SELECT min(team) FROM daily) AND day = (SELECT min(day) FROM daily)";
    Connection::open(&path)
        .unwrap()
        .execute_batch(change)
        .unwrap();
    let differences = Reader::open(&location).unwrap().rebuild_check().unwrap();
    let first = differences.first().unwrap();
    assert_eq!(first.labels[0], "2026-01-01");
    assert_eq!(first.sums.cost - first.rows.cost, Usd::from_pico(1_000_000));
}

#[test]
fn a_sum_that_would_overflow_refuses_the_row_and_stays_exact() {
    let (_folder, path, location) = place();
    let mut store = SqliteStore::open(&path).unwrap();
    let row = full_row();
    store.commit(&written(&[row]).in_order()).unwrap();
    let near_its_end = format!("UPDATE daily SET images = {}", i64::MAX - 1);
    let other = Connection::open(&path).unwrap();
    other.execute_batch(&near_its_end).unwrap();
    let id = uuid::Uuid::now_v7();
    let error = store
        .commit(&written(&[Row { id, ..row }]).in_order())
        .unwrap_err();
    assert!(error.is_of_row(), "{error}");
    assert_eq!(everything(&location).usage.images, i64::MAX as u64 - 1);
}
