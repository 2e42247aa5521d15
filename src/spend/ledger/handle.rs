//! The ledger as the rest of the program has it: rows are handed in, and everything else happens elsewhere.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use tokio::sync::Notify;

use super::LedgerError;
use super::batch::Batch;
use super::notes::{Note, Noted};
use super::row::Row;
use super::section::Settings;
use super::store::{self, Store};
use super::writer::{BATCH_MAX, Sink, Writer};
use crate::telemetry::Level;

/// How many rows may wait before new requests do: half a minute of two thousand requests a second, 64 MiB at most where
/// nobody sends long metadata.
pub const QUEUE_MAX: usize = 65_536;

/// How long the writer has for a last try after the time that [`Ledger::close`] was given.
const LAST_TRY_MAX: Duration = Duration::from_secs(2);

/// The open ledger. One thread writes it; every method here may be called from any thread.
pub struct Ledger {
    shared: Arc<Shared>,
    writer: Mutex<Option<JoinHandle<()>>>,
}

/// How the ledger is doing, for metrics and readiness.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Rows that are not durable yet.
    pub waiting: usize,
    /// Rows that were stored since the start, those refused included.
    pub stored: u64,
    /// Commits that failed since the start; each of them was or will be tried again.
    pub failures: u64,
    /// Rows that the store would not take and that were put aside.
    pub refused: u64,
    /// What is wrong at present; None while commits work.
    pub last_error: Option<String>,
    /// How long the oldest of the waiting rows has waited.
    pub oldest: Option<Duration>,
}

/// What the handle and the writer share.
#[derive(Default)]
pub(super) struct Shared {
    pub queue: Mutex<Queue>,
    /// There is something for the writer to do.
    pub filled: Condvar,
    /// Rows were stored.
    pub stored: Condvar,
    /// There is room again.
    pub room: Notify,
    pub is_closing: AtomicBool,
    pub waiting: AtomicUsize,
    pub stored_rows: AtomicU64,
    pub failures: AtomicU64,
    pub refused: AtomicU64,
    pub last_error: Mutex<Option<String>>,
}

/// Rows on their way to the writer.
#[derive(Default)]
pub(super) struct Queue {
    pub rows: Batch,
    /// What is to be noted, and who is to hear of it. It does not wait for a batch.
    pub notes: Vec<(Note, Noted)>,
    /// When the first of the rows came.
    pub since: Option<Instant>,
    /// When the first of those came that the writer has in hand.
    pub taken_since: Option<Instant>,
    /// Rows that were ever handed in, and that were ever stored.
    pub pushed: u64,
    pub stored: u64,
    /// How many of the pushed ones somebody waits for; the writer does not let more gather.
    pub wanted: u64,
    /// The writer has nothing to do and must be woken.
    pub is_idle: bool,
}

impl Queue {
    fn is_stored(&self) -> bool {
        self.stored >= self.pushed
    }
}

impl Ledger {
    /// Opens or creates the store, brings its tables up to date, makes sure that it can be written, and starts the writer.
    ///
    /// Blocks for as long as that takes, at most about half a minute. `log` is called from the writer, seldom, and never
    /// with a secret.
    ///
    /// # Errors
    ///
    /// A store that cannot be used; the error says which, why, and what to do.
    pub fn open(
        settings: &Settings,
        log: impl Fn(Level, &str, &[(&str, &str)]) + Send + 'static,
    ) -> Result<Self, LedgerError> {
        // Postgres brings a runtime of its own, and a runtime does not start within another: hence a thread from here on.
        let opening = std::thread::scope(|scope| {
            let opening = scope.spawn(|| store::open(&settings.location));
            opening.join()
        });
        let store = opening.unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        Ok(Self::with_store(store, settings, Box::new(log)))
    }

    pub(super) fn with_store(store: Box<dyn Store>, settings: &Settings, log: Sink) -> Self {
        let shared = Arc::<Shared>::default();
        let writer = Writer::new(store, shared.clone(), settings, log);
        let writers = shared.clone();
        let thread = std::thread::Builder::new()
            .name("ledger".into())
            .spawn(move || {
                let ended = catch_unwind(AssertUnwindSafe(|| writer.run()));
                if ended.is_err() {
                    // Rows are taken until the queue is full; readiness says why.
                    let error = "the ledger's writer ended by a bug: restart the gateway";
                    *writers.last_error.lock() = Some(error.to_owned());
                }
            });
        Self {
            shared,
            writer: Mutex::new(Some(
                thread.expect("a process at its start has threads left"),
            )),
        }
    }

    /// Hands in a row. Never waits, and never loses it: how many wait is bounded by [`Ledger::admit`].
    pub fn push(&self, row: &Row<'_>) {
        self.shared.waiting.fetch_add(1, Ordering::Relaxed);
        let mut queue = self.shared.queue.lock();
        if queue.rows.is_empty() {
            queue.since = Some(Instant::now());
        }
        queue.rows.push(row);
        queue.pushed += 1;
        let is_full_batch = queue.rows.len() == BATCH_MAX;
        if std::mem::take(&mut queue.is_idle) || is_full_batch {
            drop(queue);
            self.shared.filled.notify_one();
        }
    }

    /// Notes something as soon as it can be, and calls `noted` then, from the ledger's thread. Never waits. How many wait is
    /// bounded by who notes: one for each budget, and operators.
    pub fn note(&self, note: impl Into<Note>, noted: Noted) {
        let mut queue = self.shared.queue.lock();
        queue.notes.push((note.into(), noted));
        queue.is_idle = false;
        drop(queue);
        self.shared.filled.notify_one();
    }

    /// Whether fewer than [`QUEUE_MAX`] rows wait.
    pub fn has_room(&self) -> bool {
        self.shared.waiting.load(Ordering::Relaxed) < QUEUE_MAX
    }

    /// Waits until the ledger has room for what a new request will have to say; at once in the normal course of things.
    ///
    /// Dropping the future ends the waiting.
    pub async fn admit(&self) {
        while !self.has_room() {
            let room = self.shared.room.notified();
            tokio::pin!(room);
            // From here on no notice is missed: so look once more before waiting for one.
            room.as_mut().enable();
            if !self.has_room() {
                room.await;
            }
        }
    }

    /// Waits until all that was handed in so far is stored. Tells whether it was, within that time. Blocks.
    pub fn flush(&self, within: Duration) -> bool {
        let until = Instant::now() + within;
        let mut queue = self.shared.queue.lock();
        let goal = queue.pushed;
        queue.wanted = goal;
        self.shared.filled.notify_one();
        let is_behind = |queue: &mut Queue| queue.stored < goal;
        let waited = self
            .shared
            .stored
            .wait_while_until(&mut queue, is_behind, until);
        !waited.timed_out() || queue.stored >= goal
    }

    /// Ends the ledger at the end of the process: stores what was handed in, and closes the store. Tells whether all of it
    /// was stored within that time; what was not is counted in the log. Blocks.
    pub fn close(&self, within: Duration) -> bool {
        let is_stored = self.flush(within);
        self.shared.is_closing.store(true, Ordering::Release);
        self.wake();
        let Some(writer) = self.writer.lock().take() else {
            return is_stored;
        };
        // A last try, and the log line on what is lost; a writer that hangs in a commit is left behind.
        let until = Instant::now() + LAST_TRY_MAX;
        while !writer.is_finished() && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(2));
        }
        is_stored || self.shared.queue.lock().is_stored()
    }

    /// How it is doing.
    pub fn stats(&self) -> Stats {
        let shared = &self.shared;
        let queue = shared.queue.lock();
        let first = [queue.taken_since, queue.since].into_iter().flatten().min();
        drop(queue);
        Stats {
            waiting: shared.waiting.load(Ordering::Relaxed),
            stored: shared.stored_rows.load(Ordering::Relaxed),
            failures: shared.failures.load(Ordering::Relaxed),
            refused: shared.refused.load(Ordering::Relaxed),
            last_error: shared.last_error.lock().clone(),
            oldest: first.map(|first| first.elapsed()),
        }
    }

    fn wake(&self) {
        // Under the lock: a writer that has just looked is asleep by then, and hears it.
        let _queue = self.shared.queue.lock();
        self.shared.filled.notify_one();
    }
}

impl Drop for Ledger {
    fn drop(&mut self) {
        self.shared.is_closing.store(true, Ordering::Release);
        self.wake();
    }
}
