//! The writer, over stores that misbehave.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::*;
use crate::spend::ledger::batch::Written;
use crate::spend::ledger::error::ErrorKind;
use crate::spend::ledger::writer::{BATCH_MAX, PRUNE_ROWS};
use crate::spend::ledger::{Ledger, LedgerError, QUEUE_MAX};
use crate::spend::ledger::{cells, schema};

/// A store in memory that does what a test wants of it.
#[derive(Clone, Default)]
struct Fake(Arc<FakeState>);

#[derive(Default)]
struct FakeState {
    is_down: AtomicBool,
    rows: Mutex<Batch>,
    largest: Mutex<usize>,
    refused: Mutex<HashSet<uuid::Uuid>>,
    old_rows: Mutex<usize>,
    notes: Mutex<Vec<Note>>,
}

impl Fake {
    fn down(&self, is_down: bool) {
        self.0.is_down.store(is_down, Ordering::Relaxed);
    }

    fn error(kind: ErrorKind) -> LedgerError {
        LedgerError::new(kind, "fake", "as the test wants it")
    }
}

impl Store for Fake {
    fn commit(&mut self, rows: &[Written<'_>]) -> Result<usize, LedgerError> {
        if self.0.is_down.load(Ordering::Relaxed) {
            return Err(Self::error(ErrorKind::Full));
        }
        for row in rows {
            cells::cells(&row.row(), "fake")?;
        }
        let mut largest = self.0.largest.lock();
        *largest = (*largest).max(rows.len());
        self.0.rows.lock().extend(rows.iter().map(|row| row.row()));
        Ok(rows.len())
    }

    fn note(&mut self, notes: &[Note]) -> Result<(), LedgerError> {
        if self.0.is_down.load(Ordering::Relaxed) {
            return Err(Self::error(ErrorKind::Full));
        }
        self.0.notes.lock().extend_from_slice(notes);
        Ok(())
    }

    fn refuse(&mut self, row: &Row<'_>, _: &str) -> Result<(), LedgerError> {
        self.0.refused.lock().insert(row.id);
        Ok(())
    }

    fn prune(&mut self, _: i64, rows_max: usize) -> Result<usize, LedgerError> {
        let mut old_rows = self.0.old_rows.lock();
        let deleted = rows_max.min(*old_rows);
        *old_rows -= deleted;
        Ok(deleted)
    }

    fn prune_portions(&mut self, before_ms: i64, rows_max: usize) -> Result<usize, LedgerError> {
        let mut notes = self.0.notes.lock();
        let mut deleted = 0;
        notes.retain(|note| {
            let is_old = matches!(note, Note::Portion(portion) if portion.ends_ms < before_ms);
            let goes = is_old && deleted < rows_max;
            deleted += usize::from(goes);
            !goes
        });
        Ok(deleted)
    }
}

fn ledger(fake: &Fake, lines: &Lines) -> Ledger {
    let settings = settings(Location::Sqlite("unused".into()));
    Ledger::with_store(Box::new(fake.clone()), &settings, Box::new(lines.sink()))
}

#[test]
fn what_is_pushed_is_stored_in_bounded_batches() {
    let fake = Fake::default();
    let ledger = ledger(&fake, &Lines::default());
    let rows = Rows::new(1, 1).take(3 * BATCH_MAX);
    rows.iter().for_each(|row| ledger.push(row));
    assert!(ledger.close(Duration::from_secs(60)));
    assert_eq!(
        totals(&fake.0.rows.lock().rows().collect::<Vec<_>>()),
        totals(&rows)
    );
    assert!(*fake.0.largest.lock() <= BATCH_MAX);
}

#[test]
fn a_row_that_is_never_taken_stops_no_other() {
    let fake = Fake::default();
    let lines = Lines::default();
    let ledger = ledger(&fake, &lines);
    let mut rows = Rows::new(2, 1).take(500);
    for bad in [17, 18, 400] {
        rows[bad].usage.images = u64::MAX;
    }
    rows.iter().for_each(|row| ledger.push(row));
    assert!(ledger.close(Duration::from_secs(60)));
    let stats = ledger.stats();
    assert_eq!((stats.stored, stats.refused), (500, 3));
    assert_eq!(fake.0.rows.lock().len(), 497);
    let bad: HashSet<_> = [17, 18, 400].map(|bad| rows[bad].id).into();
    assert_eq!(*fake.0.refused.lock(), bad);
    assert_eq!(lines.count("would not take a row"), 3);
}

#[test]
fn characters_that_no_store_takes_are_replaced() {
    let fake = Fake::default();
    let ledger = ledger(&fake, &Lines::default());
    let row = Row {
        user: "a\0b",
        model: "m\0",
        ..full_row()
    };
    ledger.push(&row);
    assert!(ledger.close(Duration::from_secs(60)));
    let rows = fake.0.rows.lock();
    let replaced = Row {
        user: "a\u{fffd}b",
        model: "m\u{fffd}",
        ..row
    };
    assert_eq!(rows.rows().collect::<Vec<_>>(), [replaced]);
}

#[tokio::test]
async fn a_full_queue_makes_new_requests_wait_and_loses_nothing() {
    let fake = Fake::default();
    let ledger = Arc::new(ledger(&fake, &Lines::default()));
    ledger.admit().await;
    fake.down(true);
    let row = full_row();
    for number in 0..QUEUE_MAX as u128 + 10 {
        let id = uuid::Uuid::from_u128(number);
        ledger.push(&Row { id, ..row });
    }
    assert!(!ledger.has_room());
    let waiting = ledger.clone();
    let mut admitted = tokio::spawn(async move { waiting.admit().await });
    let early = tokio::time::timeout(Duration::from_millis(50), &mut admitted).await;
    assert!(early.is_err(), "admitted although the queue is full");
    fake.down(false);
    tokio::time::timeout(Duration::from_secs(60), admitted)
        .await
        .expect("room is told of")
        .unwrap();
    let closing = ledger.clone();
    let is_stored =
        tokio::task::spawn_blocking(move || closing.close(Duration::from_secs(60))).await;
    assert!(is_stored.unwrap());
    assert_eq!(fake.0.rows.lock().len(), QUEUE_MAX + 10);
}

#[test]
fn an_outage_is_logged_once_and_what_is_lost_at_the_end_is_counted() {
    let fake = Fake::default();
    let lines = Lines::default();
    let ledger = ledger(&fake, &lines);
    fake.down(true);
    let rows = Rows::new(3, 1).take(20);
    rows.iter().for_each(|row| ledger.push(row));
    until("three commits failed", || ledger.stats().failures >= 3);
    assert_eq!(lines.count("commits fail"), 1);
    fake.down(false);
    until("the rows are stored", || ledger.stats().stored == 20);
    until("the outage is over", || ledger.stats().last_error.is_none());
    assert_eq!(lines.count("work again"), 1);
    fake.down(true);
    ledger.push(&full_row());
    assert!(!ledger.close(Duration::from_millis(100)));
    until("the loss is told", || {
        lines.count("rows_lost\", \"1\"") == 1
    });
}

#[test]
fn what_is_old_is_deleted_at_the_start_a_part_at_a_time() {
    let fake = Fake::default();
    *fake.0.old_rows.lock() = 3 * PRUNE_ROWS + 1;
    let now_ms = schema::now_ms();
    let portion = |ends_ms| {
        Note::Portion(Portion {
            budget: "team:search|day|UTC".into(),
            window: "2027-01-01".into(),
            ends_ms,
            replica: "".into(),
            settled: Usd::ZERO,
            bound: Usd::ZERO,
        })
    };
    const DAY_MS: i64 = 24 * 60 * 60 * 1_000;
    let kept = [portion(now_ms - DAY_MS), portion(i64::MAX)];
    let old = vec![portion(now_ms - 3 * DAY_MS); 2 * PRUNE_ROWS];
    fake.0.notes.lock().extend([old, kept.to_vec()].concat());
    let _ledger = ledger(&fake, &Lines::default());
    until("they are deleted", || *fake.0.old_rows.lock() == 0);
    until("portions are", || *fake.0.notes.lock() == kept);
}

#[test]
fn the_oldest_row_is_known() {
    let fake = Fake::default();
    let ledger = ledger(&fake, &Lines::default());
    assert_eq!(ledger.stats().oldest, None);
    fake.down(true);
    ledger.push(&full_row());
    until("it has waited", || {
        ledger.stats().oldest > Some(Duration::from_millis(100))
    });
}

#[test]
fn portions_are_noted_at_once_and_through_outages() {
    let fake = Fake::default();
    let lines = Lines::default();
    let mut slow = settings(Location::Sqlite("unused".into()));
    slow.commit_every = Duration::from_secs(3_600);
    let ledger = Ledger::with_store(Box::new(fake.clone()), &slow, Box::new(lines.sink()));
    let noted = Arc::<AtomicUsize>::default();
    let note = |bound: i128| {
        let portion = Portion {
            budget: "team:search|total".into(),
            window: "total".into(),
            ends_ms: i64::MAX,
            replica: "".into(),
            settled: Usd::ZERO,
            bound: Usd::from_pico(bound),
        };
        let noted = noted.clone();
        let count = move || {
            noted.fetch_add(1, Ordering::SeqCst);
        };
        ledger.note(portion, Box::new(count));
    };
    // It does not wait for rows to gather, and takes them along.
    ledger.push(&full_row());
    note(1);
    until("the first is noted", || noted.load(Ordering::SeqCst) == 1);
    assert_eq!(fake.0.rows.lock().len(), 1);
    fake.down(true);
    note(2);
    note(3);
    until("the outage is known", || ledger.stats().failures > 1);
    assert_eq!(noted.load(Ordering::SeqCst), 1);
    assert_eq!(lines.count("commits fail"), 1);
    fake.down(false);
    until("all are noted", || noted.load(Ordering::SeqCst) == 3);
    let bounds: Vec<_> = fake
        .0
        .notes
        .lock()
        .iter()
        .map(|note| match note {
            Note::Portion(portion) => portion.bound.pico(),
            Note::Adjustment(_) => unreachable!("none was noted"),
        })
        .collect();
    assert_eq!(bounds, [1, 2, 3]);
    until("the outage is over", || lines.count("work again") == 1);
    assert!(ledger.close(Duration::from_secs(60)));
}
