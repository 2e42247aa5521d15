//! A stream that breaks, and one that goes on with it.

use super::{Ending, Stream, refusal};
use crate::dialect::Error;
use crate::dialect::common::Delta;
use crate::pipeline::mark::Mark;
use crate::pipeline::past::Told;
use crate::pipeline::seam::Joint;
use crate::provider::{Failure, FailureKind};

impl Stream {
    /// What the caller has been told, if another can go on with that.
    pub fn told(&mut self) -> Option<Told> {
        self.past.as_mut()?.told()
    }

    /// What the provider's error says that was kept from the caller.
    pub fn error(&self) -> Option<Error> {
        let kept = self.kept.clone();
        let first = kept.and_then(|mut kept| self.frames.next_of(&mut kept));
        first.and_then(|frame| refusal(self.dialect, &frame))
    }

    /// Nobody goes on: what was kept from the caller is for him, if anything was.
    pub fn give_up(&mut self) -> bool {
        self.past = None;
        let Some(kept) = self.kept.take() else {
            return false;
        };
        self.ending = None;
        match self.look_at(kept) {
            Ok(frames) => self.ready.extend_from_slice(&frames),
            Err(failure) => self.fault = Some(failure),
        }
        true
    }

    /// Reads until it is known how it goes on with what the caller has. Cancelling it loses nothing.
    ///
    /// # Errors
    /// The stream broke off before that.
    pub async fn joint(&mut self) -> Result<Joint, Failure> {
        loop {
            if self.ending == Some(Ending::Failed) {
                return Err(Failure::new(FailureKind::Cut, "it ended with an error"));
            }
            if let Some(joint) = self.way.joint(self.is_over()) {
                return Ok(joint);
            }
            let frames = self.read_in_time().await?;
            self.ready.extend_from_slice(&frames);
        }
    }

    /// Goes on where another has broken off, without so many bytes at the beginning of its text.
    pub fn join(&mut self, broken: &mut Self, said: Vec<Delta>, left_out: usize, mark: Mark) {
        let frames = self.way.join(&mut broken.way, said, left_out, mark);
        let meter = self.meter.as_ref();
        let metered = meter.and_then(|meter| meter.see(&frames, self.way.usage()));
        self.ready
            .extend_from_slice(metered.as_deref().unwrap_or(&frames));
        if let Some(past) = &mut self.past {
            past.leave_out(left_out);
        }
    }
}
