//! Lines on their way to standard error: gathered by whoever logs, written by a thread of their own.
//!
//! A channel would allocate each line in one thread and free it in another, and wake the writer for every one. Here lines
//! are appended to one buffer, and a writer that is about to write sleeps on a clock, so that nobody has to wake it.

use std::io::Write;
use std::mem;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

/// What may wait to be written, in bytes: ten thousand lines.
const WAITING_MAX: usize = 4 * 1024 * 1024;

/// How long lines gather before they are written.
const GATHER: Duration = Duration::from_millis(5);

/// How long a flush waits for a reader of standard error that does not read.
const FLUSH_MAX: Duration = Duration::from_secs(2);

/// The queue, shared with its writer.
#[derive(Default)]
pub(super) struct Queue {
    state: Mutex<State>,
    /// There is something to write.
    filled: Condvar,
    /// Something was written.
    written: Condvar,
}

#[derive(Default)]
struct State {
    lines: Vec<u8>,
    /// The writer has nothing to do and must be woken.
    is_idle: bool,
    /// Bytes that were ever appended, and that were ever written.
    appended: u64,
    written: u64,
}

impl Queue {
    /// Starts the writer.
    pub fn start() -> Arc<Self> {
        let queue = Arc::<Self>::default();
        let writers = queue.clone();
        std::thread::spawn(move || writers.write());
        queue
    }

    /// Appends a line, which ends in a newline. Tells whether there was room.
    pub fn push(&self, line: &[u8]) -> bool {
        let mut state = self.state.lock();
        if state.lines.len() + line.len() > WAITING_MAX {
            return false;
        }
        state.lines.extend_from_slice(line);
        state.appended += line.len() as u64;
        if mem::take(&mut state.is_idle) {
            self.filled.notify_one();
        }
        true
    }

    /// Waits until all that was appended so far is written.
    pub fn flush(&self) {
        let mut state = self.state.lock();
        let goal = state.appended;
        let is_behind = |state: &mut State| state.written < goal;
        self.written
            .wait_while_for(&mut state, is_behind, FLUSH_MAX);
    }

    fn write(&self) {
        let mut batch = Vec::new();
        loop {
            let mut state = self.state.lock();
            while state.lines.is_empty() {
                state.is_idle = true;
                self.filled.wait(&mut state);
            }
            drop(state);
            std::thread::sleep(GATHER);
            mem::swap(&mut batch, &mut self.state.lock().lines);
            // With standard error gone there is nobody left to tell.
            let _ = std::io::stderr().lock().write_all(&batch);
            self.state.lock().written += batch.len() as u64;
            self.written.notify_all();
            batch.clear();
        }
    }
}
