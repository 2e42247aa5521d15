//! The course of a request: which of its model's targets is asked next, and when.
//!
//! A state machine without a clock or chance of its own: what came of each call goes in with its time, and what to do next
//! comes out. So a request's course can be told beforehand, and repeated.

use std::time::{Duration, Instant};

use super::health::{Closed, Fault, Readings, Standing, Why};
use super::model::{Model, SPOTS_MAX};
use super::pick::{Candidate, Pick, order};
use crate::spend::Usd;

/// The longest that a request waits for a target because its provider said so. Who is told to come again later than this is
/// told so, and may know what better to do meanwhile.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(60);

/// The least time that a target has which is tried again after it has failed for long, while others are well.
const PROBE_MIN: Duration = Duration::from_secs(1);

/// How much longer than usual its first token may take then.
const PROBE_FACTOR: u32 = 3;

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Ask the target at this spot.
    Call(usize),
    /// Ask it though it is slow: nobody else is left.
    Resort(usize),
    /// Ask it once more, after a pause.
    Repeat(usize, Duration),
    /// Nobody else is left: wait until it takes more, and ask it, be it for the first time.
    Wait(usize, Duration),
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

/// Where a course begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Start {
    /// The first step that is asked.
    pub step: usize,
    /// Whether a budget wants the cheapest of all targets, of which no answer is judged.
    pub is_thrifty: bool,
    /// A hash of what is the same in all of the conversation.
    pub conversation: u64,
    /// Whose targets lack what the request needs, a bit for each spot.
    pub unable: u64,
}

/// What a course goes by besides what has come of the request so far.
pub trait Surroundings {
    /// Whether the target at a spot may be asked.
    fn standing(&self, spot: usize) -> Standing;
    /// What is measured of it.
    fn readings(&self, spot: usize) -> Readings;
    /// What the request costs there, or what is in proportion to that.
    fn price(&self, spot: usize) -> Option<Usd>;
}

/// Where a request is among its model's targets.
#[derive(Clone)]
pub struct Course<'m> {
    model: &'m Model,
    /// The step that it is at.
    step: usize,
    /// The spots of that step in the order in which they are tried; empty until it is known.
    order: Vec<usize>,
    /// How often each spot was called.
    calls: [u8; SPOTS_MAX],
    /// Those that are of no use to this request, a bit for each.
    out: u64,
    /// Who said that he is not to be asked before a time.
    later: Vec<(usize, Instant)>,
    start: Start,
    chance: u64,
}

impl<'m> Course<'m> {
    /// The course of a request that has not been anywhere.
    pub const fn new(model: &'m Model, start: Start, chance: u64) -> Self {
        Self {
            model,
            step: match start.is_thrifty {
                true => 0,
                false => start.step,
            },
            order: Vec::new(),
            calls: [0; SPOTS_MAX],
            out: start.unable,
            later: Vec::new(),
            start,
            chance,
        }
    }

    /// What to do now. A target that has failed is asked once more only when all others of its step have been asked.
    pub fn next(&mut self, around: &impl Surroundings, now: Instant, deadline: Instant) -> Next {
        if now >= deadline {
            return Next::End(self.ended(around, now));
        }
        while self.step < self.steps() {
            self.arrange(around);
            if let Some(spot) = self.best(around, now) {
                if self.calls[spot] == 0 {
                    return Next::Call(spot);
                }
                let pause = self.pause(spot, now);
                if pause < deadline - now {
                    return Next::Repeat(spot, pause);
                }
                self.skip(spot);
                continue;
            }
            self.go_up();
        }
        if let Some((spot, until)) = self.waiting(around, now, deadline) {
            self.go_back_to(spot);
            return Next::Wait(spot, self.pause(spot, now).max(until - now));
        }
        match self.slow(around) {
            Some(spot) => Next::Resort(spot),
            None => Next::End(self.ended(around, now)),
        }
    }

    /// How many steps there are.
    fn steps(&self) -> usize {
        match self.start.is_thrifty {
            true => 1,
            false => self.model.steps.len(),
        }
    }

    /// The targets of the step that it is at.
    fn spots(&self) -> std::ops::Range<usize> {
        match self.start.is_thrifty {
            true => 0..self.model.spots.len(),
            false => self.model.steps[self.step].spots.clone(),
        }
    }

    /// One that has not been asked because it is slow.
    fn slow(&self, around: &impl Surroundings) -> Option<usize> {
        let first = self.model.steps.get(self.start.step)?.spots.start;
        let mut spots = first..self.model.spots.len();
        let is_slow =
            |standing| matches!(standing, Standing::Closed(Closed { why: Why::Slow, .. }));
        spots.find(|spot| {
            self.calls[*spot] == 0 && self.is_in(*spot) && is_slow(around.standing(*spot))
        })
    }

    /// The step that it is at.
    pub const fn step(&self) -> usize {
        self.step
    }

    /// Another target of the step that is well and has not been asked: to be asked beside one that is.
    pub fn beside(&self, around: &impl Surroundings) -> Option<usize> {
        let mut order = self.order.iter().copied();
        order.find(|spot| {
            self.calls[*spot] == 0 && self.is_in(*spot) && around.standing(*spot) == Standing::Well
        })
    }

    /// The answer of this step does not do: on to the next.
    fn go_up(&mut self) {
        self.step += 1;
        self.order.clear();
    }

    /// All steps have been tried, and the target at a spot is waited for: on from its step.
    fn go_back_to(&mut self, spot: usize) {
        let mut steps = self.model.steps.iter();
        let step = steps.position(|step| step.spots.contains(&spot));
        self.step = step.unwrap_or_default();
        self.order.clear();
    }

    /// The target at a spot is called.
    pub const fn called(&mut self, spot: usize) {
        self.calls[spot] = self.calls[spot].saturating_add(1);
    }

    /// The target at a spot cannot be asked this, or not once more.
    pub const fn skip(&mut self, spot: usize) {
        self.out |= 1 << spot;
    }

    /// The target at a spot takes no more for so long.
    pub fn rest(&mut self, spot: usize, delay: Duration, now: Instant) {
        match delay <= RETRY_AFTER_MAX {
            true => self.later.push((spot, now + delay)),
            false => self.skip(spot),
        }
    }

    /// The answer of the target at a spot does not do: on to the step behind its own.
    pub fn escalate(&mut self, spot: usize) {
        self.go_back_to(spot);
        self.spots().for_each(|spot| self.skip(spot));
        self.go_up();
    }

    /// Whether the target at a spot has been called.
    pub const fn has_called(&self, spot: usize) -> bool {
        self.calls[spot] > 0
    }

    /// A call failed.
    pub fn failed(&mut self, spot: usize, fault: Fault, now: Instant) {
        match fault {
            Fault::Caller => self.step = self.steps(),
            Fault::Credential | Fault::Forbidden | Fault::Model => self.skip(spot),
            Fault::Limited {
                retry_after: Some(delay),
            } => self.rest(spot, delay, now),
            Fault::Limited { retry_after: None } => {}
            // It would not fare better with another key.
            Fault::Failed(_) => self.alike(spot).for_each(|other| self.called(other)),
        }
        if fault == Fault::Caller {
            self.out = u64::MAX;
        }
    }

    /// The request is longer than the window of the target at a spot: only those with a larger one are of use.
    pub fn too_long(&mut self, spot: usize) {
        let window = self.model.spots[spot].window.unwrap_or_default();
        let spots = self.model.spots.iter().enumerate();
        let small = spots.filter(|(_, other)| other.window.is_none_or(|other| other <= window));
        small.for_each(|(spot, _)| self.skip(spot));
    }

    /// When the beginning of the answer of the target at a spot, which is about to be called, must be there: so that there is
    /// time for others.
    pub fn due(
        &self,
        spot: usize,
        around: &impl Surroundings,
        now: Instant,
        deadline: Instant,
    ) -> Instant {
        let attempt = self.model.spots[spot].timeouts.attempt;
        let own = attempt.map_or(deadline, |attempt| deadline.min(now + attempt));
        if self.model.spots.len() == 1 {
            return own;
        }
        let is_fresh = |other: &usize| {
            let is_closed = || matches!(around.standing(*other), Standing::Closed(_));
            self.calls[*other] == 0 && self.is_in(*other) && !is_closed()
        };
        let spots = &self.model.spots;
        let fresh = (0..spots.len()).filter(is_fresh);
        let others = fresh.filter(|other| spots[*other].target != spots[spot].target);
        // Each target counts once, with however many keys.
        let mut others: Vec<_> = others.map(|other| &spots[other].target).collect();
        others.dedup();
        let others = others.len();
        if others == 0 {
            return own;
        }
        let share = match (attempt, u32::try_from(others)) {
            (None, Ok(others)) => now + (deadline - now) / (others + 1),
            _ => own,
        };
        let usual = around.readings(spot).first_token.unwrap_or_default();
        let probe = now + (usual * PROBE_FACTOR).max(PROBE_MIN);
        match around.standing(spot) {
            Standing::Well => own.min(share),
            Standing::Probing | Standing::Closed(_) => own.min(share).min(probe),
        }
    }

    /// The other spots of the same target in its step, with other keys.
    fn alike(&self, spot: usize) -> impl Iterator<Item = usize> + use<'m> {
        let Model { steps, spots, .. } = self.model;
        let step = steps.iter().find(|step| step.spots.contains(&spot));
        let others = step.into_iter().flat_map(|step| step.spots.clone());
        let others = others.filter(move |other| *other != spot);
        others.filter(move |other| spots[*other].target == spots[spot].target)
    }

    /// Puts the spots of the step in their order.
    fn arrange(&mut self, around: &impl Surroundings) {
        let spots = self.spots();
        if !self.order.is_empty() || spots.len() == 1 {
            return;
        }
        let pick = match self.start.is_thrifty {
            true => Pick::Cheapest,
            false => self.model.steps[self.step].pick,
        };
        let candidate = |spot: usize| {
            let at = &self.model.spots[spot];
            Candidate {
                id: at.id,
                weight: at.weight,
                price: match pick {
                    Pick::Cheapest => around.price(spot),
                    _ => None,
                },
                readings: around.readings(spot),
                closed_until: match around.standing(spot) {
                    Standing::Closed(closed) => Some(closed.until),
                    Standing::Well | Standing::Probing => None,
                },
            }
        };
        let candidates: Vec<_> = spots.clone().map(candidate).collect();
        let places = order(pick, &candidates, self.start.conversation, self.chance);
        self.order = places.map(|place| spots.start + place).collect();
    }

    /// The target of the step that is asked next: whoever may be well again is asked at once, so that this is known; else, of
    /// those that have been called least, the first.
    fn best(&self, around: &impl Surroundings, now: Instant) -> Option<usize> {
        let first = self.spots().start;
        let order = match self.order.is_empty() {
            true => std::slice::from_ref(&first),
            false => &self.order,
        };
        let may_be_called = order
            .iter()
            .copied()
            .filter(|spot| self.has_calls_left(*spot))
            .filter(|spot| self.told(*spot).is_none_or(|until| until <= now));
        let mut best = None;
        for spot in may_be_called {
            let calls = self.calls[spot];
            match around.standing(spot) {
                Standing::Probing if calls == 0 => return Some(spot),
                Standing::Closed(_) => {}
                _ if best.is_none_or(|best| calls < self.calls[best]) => best = Some(spot),
                _ => {}
            }
        }
        best
    }

    fn pause(&self, spot: usize, now: Instant) -> Duration {
        let calls = u32::from(self.calls[spot]);
        let until = self.told(spot);
        let after = until.map(|until| until.saturating_duration_since(now));
        let chance = self.chance.rotate_left(8 * calls);
        self.model.spots[spot].retry.pause(calls, after, chance)
    }

    /// Of those that take no more for now, who does so first, if that is soon enough. Whoever finds nobody to ask does not wait: he is
    /// told.
    fn waiting(
        &self,
        around: &impl Surroundings,
        now: Instant,
        deadline: Instant,
    ) -> Option<(usize, Instant)> {
        if self.calls.iter().all(|calls| *calls == 0) {
            return None;
        }
        let left = (0..self.model.spots.len()).filter(|spot| self.has_calls_left(*spot));
        let resting = left.filter_map(|spot| Some((spot, self.rests(spot, around, now)?)));
        let bound = deadline.min(now + RETRY_AFTER_MAX);
        let first = resting.min_by_key(|(_, until)| *until);
        first.filter(|(spot, until)| now + self.pause(*spot, now).max(*until - now) < bound)
    }

    /// Until when a target takes no more, by what its provider has said to this request or to another.
    fn rests(&self, spot: usize, around: &impl Surroundings, now: Instant) -> Option<Instant> {
        let told = self.told(spot).filter(|until| *until > now);
        match around.standing(spot) {
            Standing::Closed(Closed {
                until,
                why: Why::Limited,
            }) => Some(told.map_or(until, |told| told.max(until)).max(now)),
            Standing::Closed(_) => None,
            Standing::Well | Standing::Probing => told,
        }
    }

    /// Until when this request was told not to come again.
    fn told(&self, spot: usize) -> Option<Instant> {
        let mut later = self.later.iter().rev();
        let last = later.find(|(other, _)| *other == spot);
        last.map(|(_, until)| *until)
    }

    fn ended(&self, around: &impl Surroundings, now: Instant) -> Ended {
        let spots = 0..self.model.spots.len();
        let closed = spots.filter_map(|spot| match around.standing(spot) {
            Standing::Closed(closed) => Some(closed),
            Standing::Well | Standing::Probing => None,
        });
        let closed: Vec<_> = closed.collect();
        let soonest = closed.iter().map(|closed| closed.until).min();
        Ended {
            retry_after: soonest.map(|until| until.saturating_duration_since(now)),
            is_limited: !closed.is_empty()
                && closed.iter().all(|closed| closed.why == Why::Limited),
        }
    }

    /// Whether the target at a spot may be called, or called once more, as far as this request is concerned.
    pub fn has_calls_left(&self, spot: usize) -> bool {
        let attempts = self.model.spots[spot].retry.attempts;
        self.is_in(spot) && u32::from(self.calls[spot]) < attempts
    }

    const fn is_in(&self, spot: usize) -> bool {
        self.out & 1 << spot == 0
    }
}

#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;
