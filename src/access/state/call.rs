//! A call on its way: whatever happens to it, it is answered once.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::time::Instant;

use super::live::{Failure, Live};
use super::{ANSWER_WITHIN, Answered, NoAnswer, Reply, Script, Shared};

/// How many calls may wait for their answers. More are lost at once: half a second's worth of more than Redis can do.
pub(super) const OUTSTANDING_MAX: usize = 65_536;

/// One call. Dropped, it is answered: lost.
pub(super) struct Call {
    script: &'static Script,
    key: String,
    arguments: Vec<String>,
    since: Instant,
    answered: Option<Answered>,
    shared: Arc<Shared>,
}

impl Call {
    pub fn new(
        shared: &Arc<Shared>,
        script: &'static Script,
        name: &str,
        arguments: Vec<String>,
        answered: Answered,
    ) -> Self {
        shared.outstanding.fetch_add(1, Ordering::AcqRel);
        Self {
            script,
            key: shared.key(name),
            arguments,
            since: Instant::now(),
            answered: Some(answered),
            shared: shared.clone(),
        }
    }

    /// Asks, and answers.
    pub async fn carry_out(self, live: Live) {
        let until = self.since + ANSWER_WITHIN;
        let running = live.run(self.script, &self.key, &self.arguments, until);
        match running.await {
            Ok(reply) => self.answer(Ok(reply)),
            Err(Failure::Late | Failure::Lost(_)) => self.answer(Err(NoAnswer::Lost)),
            Err(Failure::Refused(reason)) => {
                self.shared.health.refused(self.script.name, &reason);
                self.answer(Err(NoAnswer::Refused));
            }
        }
    }

    fn answer(mut self, answer: Result<Reply, NoAnswer>) {
        self.give(answer);
    }

    fn give(&mut self, answer: Result<Reply, NoAnswer>) {
        let Some(answered) = self.answered.take() else {
            return;
        };
        let metrics = &self.shared.health.metrics;
        match answer {
            Ok(_) => metrics.answered(self.since.elapsed().as_secs_f64()),
            Err(NoAnswer::Lost) => metrics.lost(),
            Err(NoAnswer::Refused) => metrics.refused(),
        }
        self.shared.outstanding.fetch_sub(1, Ordering::AcqRel);
        answered(answer);
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.give(Err(NoAnswer::Lost));
    }
}

/// Whether one more may be outstanding.
pub(super) fn has_room(outstanding: &AtomicUsize) -> bool {
    outstanding.load(Ordering::Acquire) < OUTSTANDING_MAX
}
