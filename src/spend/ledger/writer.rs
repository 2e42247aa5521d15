//! The one thread that writes: it takes rows in batches at its own pace, and keeps what it could not store.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::LedgerError;
use super::batch::{Batch, Written};
use super::cells;
use super::handle::{QUEUE_MAX, Queue, Shared};
use super::notes::{Note, Noted};
use super::row::Row;
use super::schema::now_ms;
use super::section::Settings;
use super::store::Store;
use crate::telemetry::Level;

/// Where log lines go: how much they matter, what they say, and their particulars.
pub(super) type Sink = Box<dyn Fn(Level, &str, &[(&str, &str)]) + Send>;

/// The most rows of one transaction: some 100 ms of SQLite's work, and 40 MiB of a Postgres message at the very most.
pub(super) const BATCH_MAX: usize = 8192;

/// How long after a failed commit the next is tried: at first, and at most.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));

/// How often rows are looked for that are older than they are kept.
const PRUNE_EVERY: Duration = Duration::from_secs(60 * 60);

/// How long portions are kept when their windows have ended: by then nobody's clock is in those any more.
const PORTIONS_KEPT: Duration = Duration::from_secs(2 * 24 * 60 * 60);

/// How many of them are deleted at once: some milliseconds, so that no commit waits for long.
pub(super) const PRUNE_ROWS: usize = 1000;

pub(super) struct Writer {
    store: Box<dyn Store>,
    shared: Arc<Shared>,
    /// How long rows gather. The other half of the time is for the commit.
    gather: Duration,
    keep: Duration,
    log: Sink,
    /// What was taken and is not stored.
    taken: Batch,
    taken_notes: Vec<(Note, Noted)>,
    outage: Option<Outage>,
    prune_at: Instant,
}

/// Commits fail: since when, and how long until the next try.
struct Outage {
    since: Instant,
    wait: Duration,
    /// Rows that had been stored before it.
    stored_before: u64,
}

impl Writer {
    pub fn new(store: Box<dyn Store>, shared: Arc<Shared>, settings: &Settings, log: Sink) -> Self {
        Self {
            store,
            shared,
            gather: settings.commit_every / 2,
            keep: settings.keep,
            log,
            taken: Batch::default(),
            taken_notes: Vec::new(),
            outage: None,
            prune_at: Instant::now(),
        }
    }

    /// Writes until it is told to end and has stored everything, or cannot.
    pub fn run(mut self) {
        loop {
            self.gather_rows();
            if self.store_taken() && self.store_notes() {
                self.note_recovery();
            }
            let is_closing = self.shared.is_closing.load(Ordering::Acquire);
            if is_closing && (self.outage.is_some() || !self.has_rows()) {
                break self.report_lost();
            }
            if self.outage.is_some() {
                self.wait_out();
            } else if Instant::now() >= self.prune_at {
                self.prune();
            }
        }
    }

    fn has_rows(&self) -> bool {
        let queue = self.shared.queue.lock();
        self.is_in_hand() || !queue.rows.is_empty() || !queue.notes.is_empty()
    }

    /// Waits for a first row or for something else to do, then until its batch is due, and takes what is there.
    fn gather_rows(&mut self) {
        let closing = || self.shared.is_closing.load(Ordering::Acquire);
        let mut queue = self.shared.queue.lock();
        let has_nothing = |queue: &Queue| queue.rows.is_empty() && queue.notes.is_empty();
        while has_nothing(&queue) && !self.is_in_hand() && !closing() {
            queue.is_idle = true;
            let waited = self.shared.filled.wait_until(&mut queue, self.prune_at);
            if waited.timed_out() {
                queue.is_idle = false;
                return;
            }
        }
        queue.is_idle = false;
        if let Some(since) = queue.since.filter(|_| !self.is_in_hand()) {
            let due = since + self.gather;
            let is_urgent = |queue: &Queue| queue.wanted > queue.stored || !queue.notes.is_empty();
            while queue.rows.len() < BATCH_MAX && !is_urgent(&queue) && !closing() {
                if self.shared.filled.wait_until(&mut queue, due).timed_out() {
                    break;
                }
            }
        }
        self.taken_notes.append(&mut queue.notes);
        // An outage leaves rows in hand: the new ones line up behind them, once the lock is free again.
        let behind = if self.taken.is_empty() {
            std::mem::swap(&mut self.taken, &mut queue.rows);
            Batch::default()
        } else {
            std::mem::take(&mut queue.rows)
        };
        queue.taken_since = queue.taken_since.or(queue.since);
        queue.since = None;
        drop(queue);
        self.taken.extend(behind.rows());
    }

    /// Stores what is in hand, batch by batch, until all is stored or a commit fails. Tells whether all is.
    fn store_taken(&mut self) -> bool {
        let taken = std::mem::take(&mut self.taken);
        let rows = taken.in_order();
        let mut stored = 0;
        for batch in rows.chunks(BATCH_MAX) {
            if let Err(error) = self.store_batch(batch) {
                self.note_failure(&error, rows.len() - stored);
                break;
            }
            stored += batch.len();
            self.note_stored(batch.len());
        }
        let left = &rows[stored..];
        if !left.is_empty() {
            let left = (stored > 0).then(|| left.iter().map(|row| row.row()).collect());
            self.taken = left.unwrap_or(taken);
            return false;
        }
        // What an outage or long texts made large is given back.
        self.taken = taken.emptied(2 * BATCH_MAX);
        self.shared.queue.lock().taken_since = None;
        true
    }

    /// Whether something is left in hand from an outage.
    fn is_in_hand(&self) -> bool {
        !self.taken.is_empty() || !self.taken_notes.is_empty()
    }

    /// Notes what is in hand, and tells those who wait for that. The last of several portions of one budget counts.
    fn store_notes(&mut self) -> bool {
        if self.taken_notes.is_empty() {
            return true;
        }
        let notes = self.taken_notes.iter().map(|(note, _)| note.clone());
        let notes: Vec<_> = notes.collect();
        if let Err(error) = self.store.note(&notes) {
            self.note_failure(&error, self.taken.len());
            return false;
        }
        let taken = std::mem::take(&mut self.taken_notes);
        taken.into_iter().for_each(|(_, noted)| noted());
        true
    }

    /// Stores one batch. A row that the store will never take is found by halving, and put aside.
    fn store_batch(&mut self, rows: &[Written<'_>]) -> Result<(), LedgerError> {
        match self.store.commit(rows) {
            Ok(_) => Ok(()),
            Err(error) if !error.is_of_row() => Err(error),
            Err(error) => match rows {
                [row] => self.put_aside(&row.row(), &error),
                _ => {
                    let (first, second) = rows.split_at(rows.len() / 2);
                    self.store_batch(first)?;
                    self.store_batch(second)
                }
            },
        }
    }

    fn put_aside(&mut self, row: &Row<'_>, why: &LedgerError) -> Result<(), LedgerError> {
        let json = cells::json(row).to_string();
        let refused = self.store.refuse(row, &why.detail);
        let place = match refused {
            Ok(()) => "table `refused`",
            Err(error) if !error.is_of_row() => return Err(error),
            // The last place where nothing is lost.
            Err(_) => "this line",
        };
        self.shared.refused.fetch_add(1, Ordering::Relaxed);
        let row_field = if place == "this line" { &json } else { "" };
        let id = row.id.to_string();
        (self.log)(
            Level::Error,
            "the ledger would not take a row: it is in no sum, and kept aside",
            &[
                ("id", &id),
                ("error", &why.detail),
                ("kept_in", place),
                ("row", row_field),
            ],
        );
        Ok(())
    }

    fn note_stored(&self, rows: usize) {
        let shared = &self.shared;
        shared.stored_rows.fetch_add(rows as u64, Ordering::Relaxed);
        let before = shared.waiting.fetch_sub(rows, Ordering::Relaxed);
        shared.queue.lock().stored += rows as u64;
        shared.stored.notify_all();
        if before >= QUEUE_MAX && before - rows < QUEUE_MAX {
            shared.room.notify_waiters();
        }
    }

    /// Counts a failed commit; the first of an outage is logged.
    fn note_failure(&mut self, error: &LedgerError, rows: usize) {
        self.shared.failures.fetch_add(1, Ordering::Relaxed);
        *self.shared.last_error.lock() = Some(error.to_string());
        let outage = self.outage.get_or_insert_with(|| Outage {
            since: Instant::now(),
            wait: Duration::ZERO,
            stored_before: self.shared.stored_rows.load(Ordering::Relaxed),
        });
        if outage.wait.is_zero() {
            (self.log)(
                Level::Error,
                "ledger commits fail; rows are kept and tried again",
                &[
                    ("ledger", &error.place),
                    ("error", &error.detail),
                    ("help", error.kind.help()),
                    ("rows_waiting", &rows.to_string()),
                ],
            );
        }
        outage.wait = (outage.wait * 2).clamp(BACKOFF.0, BACKOFF.1);
    }

    fn note_recovery(&mut self) {
        let Some(outage) = self.outage.take() else {
            return;
        };
        let stored = self.shared.stored_rows.load(Ordering::Relaxed);
        let seconds = format!("{:.1}", outage.since.elapsed().as_secs_f64());
        (self.log)(
            Level::Info,
            "ledger commits work again; nothing was lost",
            &[
                ("outage_seconds", &seconds),
                ("rows_stored", &(stored - outage.stored_before).to_string()),
            ],
        );
        // Last, so that whoever sees it gone finds the line in the log.
        *self.shared.last_error.lock() = None;
    }

    /// Waits until the next try is due, or the end of the process.
    fn wait_out(&self) {
        let wait = self
            .outage
            .as_ref()
            .map_or(Duration::ZERO, |outage| outage.wait);
        let until = Instant::now() + wait;
        let mut queue = self.shared.queue.lock();
        while !self.shared.is_closing.load(Ordering::Acquire) {
            // Full batches wake the writer, too; they have time.
            if self.shared.filled.wait_until(&mut queue, until).timed_out() {
                return;
            }
        }
    }

    /// Deletes some of what is too old; more follows after the next batch, until there is none.
    fn prune(&mut self) {
        let keep_ms = i64::try_from(self.keep.as_millis()).unwrap_or(i64::MAX);
        let before_ms = now_ms().saturating_sub(keep_ms);
        let pruned = self.store.prune(before_ms, PRUNE_ROWS);
        if pruned == Ok(PRUNE_ROWS) {
            return;
        }
        let ended_ms = now_ms().saturating_sub(PORTIONS_KEPT.as_millis() as i64);
        let pruned = pruned.and_then(|_| self.store.prune_portions(ended_ms, PRUNE_ROWS));
        if pruned == Ok(PRUNE_ROWS) {
            return;
        }
        if let Err(error) = pruned {
            (self.log)(
                Level::Warn,
                "old ledger rows could not be deleted; the next try is in an hour",
                &[("ledger", &error.place), ("error", &error.detail)],
            );
        }
        self.prune_at = Instant::now() + PRUNE_EVERY;
    }

    fn report_lost(&self) {
        let lost = self.taken.len() + self.shared.queue.lock().rows.len();
        if lost > 0 {
            let error = self.shared.last_error.lock().clone().unwrap_or_default();
            (self.log)(
                Level::Error,
                "the process ends with rows that the ledger could not store",
                &[("rows_lost", &lost.to_string()), ("error", &error)],
            );
        }
    }
}
