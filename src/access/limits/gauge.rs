//! What a limiter has counted, and who waits: the state behind the limits of one key, team, model or provider.
//!
//! It knows no limits: those come with each request's snapshot, so that a reload changes them and loses no count.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use parking_lot::{Mutex, MutexGuard};
use tokio::sync::oneshot;

use super::span::{Mark, Span};
use crate::config::limits::WINDOWS;

/// Counts. Shared by all that are limited together, across reloads.
#[derive(Debug, Default)]
pub struct Gauge {
    state: Mutex<Counts>,
}

/// The counts themselves.
#[derive(Debug, Default)]
pub(super) struct Counts {
    requests: Spans,
    tokens: Spans,
    running: u32,
    /// Who waits for a slot, the first first.
    waiting: VecDeque<Waiting>,
}

#[derive(Debug)]
struct Waiting {
    /// How many may run, in the configuration of who waits.
    max: u32,
    sender: oneshot::Sender<Slot>,
}

/// A log a window, made when it is first needed.
#[derive(Debug, Default)]
pub(super) struct Spans([Option<Span>; WINDOWS.len()]);

/// A request that runs: dropping it lets the next one in.
#[derive(Debug)]
pub struct Slot(Arc<Gauge>);

impl Gauge {
    pub(super) fn lock(&self) -> MutexGuard<'_, Counts> {
        self.state.lock()
    }

    /// How many requests run.
    pub fn running(&self) -> u32 {
        self.lock().running
    }

    /// How many wait for a slot.
    pub fn waiting(&self) -> usize {
        self.lock().waiting.len()
    }

    /// Counts a request that runs.
    pub(super) fn enter(self: &Arc<Self>, counts: &mut Counts) -> Slot {
        counts.running += 1;
        Slot(self.clone())
    }
}

impl Counts {
    pub fn requests(&mut self) -> &mut Spans {
        &mut self.requests
    }

    pub fn tokens(&mut self) -> &mut Spans {
        &mut self.tokens
    }

    /// Whether one more may run: nobody overtakes who waits.
    pub fn has_slot(&mut self, max: u32) -> bool {
        self.running < max && self.first_waiting().is_none()
    }

    /// Lines up behind those who wait, if fewer than `queue_max` do.
    pub fn wait(&mut self, max: u32, queue_max: u32) -> Option<oneshot::Receiver<Slot>> {
        self.waiting.retain(|waiting| !waiting.sender.is_closed());
        if self.waiting.len() >= queue_max as usize {
            return None;
        }
        let (sender, receiver) = oneshot::channel();
        self.waiting.push_back(Waiting { max, sender });
        Some(receiver)
    }

    /// The first who waits and has not gone away.
    fn first_waiting(&mut self) -> Option<&Waiting> {
        while self.waiting.front()?.sender.is_closed() {
            self.waiting.pop_front();
        }
        self.waiting.front()
    }

    /// Who waits and may run now.
    fn next_to_run(&mut self) -> Option<Waiting> {
        let running = self.running;
        self.first_waiting().filter(|first| running < first.max)?;
        self.waiting.pop_front()
    }
}

impl Spans {
    pub fn of(&mut self, window: usize) -> &mut Span {
        self.0[window].get_or_insert_with(|| Span::new(WINDOWS[window]))
    }

    pub fn amend(&mut self, window: usize, mark: Mark, before: u64, now: u64) {
        if let Some(span) = &mut self.0[window] {
            span.amend(mark, before, now);
        }
    }

    pub fn add(&mut self, window: usize, amount: u64, now: Instant) -> Mark {
        self.of(window).add(amount, now)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let next = {
            let mut counts = self.0.lock();
            counts.running -= 1;
            let next = counts.next_to_run();
            next.map(|next| (next.sender, self.0.enter(&mut counts)))
        };
        // Out of the lock: a slot that its receiver has left meanwhile is dropped here, and goes to the next.
        if let Some((sender, slot)) = next {
            drop(sender.send(slot));
        }
    }
}
