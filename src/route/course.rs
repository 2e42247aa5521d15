//! The course of a request: which of its model's targets is asked next, and when.
//!
//! A state machine without a clock or chance of its own: what came of each call goes in with its time, and what to do next
//! comes out. So a request's course can be told beforehand, and repeated.

use std::time::{Duration, Instant};

use super::fault::Fault;
use super::model::{Model, SPOTS_MAX};

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Ask the target at this spot.
    Call(usize),
    /// Ask it once more, after a pause.
    Repeat(usize, Duration),
    /// Nobody is left.
    End(Ended),
}

/// How things stand when nobody is left to ask.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ended {
    /// When somebody may be asked again, if that is known.
    pub retry_after: Option<Duration>,
    /// Whether all that is in the way is that providers take no more for now.
    pub is_limited: bool,
}

/// Where a request is among its model's targets.
#[derive(Clone)]
pub struct Course<'m> {
    model: &'m Model,
    /// The step that it is at.
    step: usize,
    /// How often each spot was called.
    calls: [u8; SPOTS_MAX],
    /// Those that are of no use to this request, a bit for each.
    out: u64,
    chance: u64,
}

impl<'m> Course<'m> {
    /// The course of a request that has not been anywhere.
    pub const fn new(model: &'m Model, chance: u64) -> Self {
        Self {
            model,
            step: 0,
            calls: [0; SPOTS_MAX],
            out: 0,
            chance,
        }
    }

    /// What to do now.
    pub fn next(&mut self, _now: Instant, _deadline: Instant) -> Next {
        let _ = self.chance;
        while let Some(step) = self.model.steps.get(self.step) {
            let spot = step.spots.clone().find(|spot| self.is_open(*spot));
            if let Some(spot) = spot {
                return Next::Call(spot);
            }
            self.step += 1;
        }
        Next::End(Ended::default())
    }

    /// The target at a spot is called.
    pub const fn called(&mut self, spot: usize) {
        self.calls[spot] = self.calls[spot].saturating_add(1);
    }

    /// The target at a spot cannot be asked this.
    pub const fn skip(&mut self, spot: usize) {
        self.out |= 1 << spot;
    }

    /// A call failed.
    pub fn failed(&mut self, spot: usize, fault: Fault, _now: Instant) {
        match fault {
            Fault::Caller | Fault::TooLong => self.step = self.model.steps.len(),
            _ => self.skip(spot),
        }
    }

    /// When the beginning of the answer of the target at a spot must be there, so that there is time for others.
    pub fn due(&self, _spot: usize, _now: Instant, deadline: Instant) -> Instant {
        deadline
    }

    fn is_open(&self, spot: usize) -> bool {
        self.out & 1 << spot == 0
    }
}
