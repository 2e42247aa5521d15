//! A stream that breaks after its first byte, gone on with by the next target.
//!
//! The text that the caller has is given to that target as the beginning of its answer, and what it says goes through the
//! writer of the caller's stream, at the place where the caller is. Whatever is in the way, the stream ends as it does for
//! models that do not say `continue`.

use std::sync::{Arc, OnceLock};

use super::End;
use super::answer::{comment_of, conclude, tell};
use super::asked::Asked;
use super::caller::Caller;
use super::failed::Failed;
use super::mark::Mark;
use super::past::Told;
use super::record::Record;
use super::route::{Routed, Walk, attend};
use super::seam::Joint;
use super::stream::Stream;
use crate::dialect::common::{Format, Request, Role, ToolChoice};
use crate::dialect::{Framing, Incoming};
use crate::provider::{Failure, FailureKind, Phase};
use crate::route::Target;
use crate::telemetry::Level;

/// How often one answer is gone on with: each time all of it is paid as input once more, and whatever breaks three streams in
/// a row would break the next.
const TIMES_MAX: u32 = 2;

/// What it takes to go on.
pub struct Resume<'r, 'a> {
    asked: &'r Asked<'a>,
    walk: Walk<'a>,
    times: u32,
}

impl<'r, 'a> Resume<'r, 'a> {
    /// For a request that has come so far on its walk.
    pub(super) const fn new(asked: &'r Asked<'a>, walk: Walk<'a>) -> Self {
        Self {
            asked,
            walk,
            times: 0,
        }
    }

    /// Has another target go on with a stream of `target` that failed, or that its provider has ended with an error. Whether one
    /// does: then both stand in the place of those that broke.
    pub(super) async fn go_on(
        &mut self,
        stream: &mut Stream,
        target: &mut Target,
        failure: Option<&Failure>,
        caller: &mut Caller<'_>,
        record: &mut Record<'_>,
    ) -> Result<bool, End> {
        let Some((told, incoming)) = self.begun(stream, failure) else {
            return Ok(false);
        };
        let Some(number) = record.answering().map(|trial| trial.number) else {
            return Ok(false);
        };
        let failed = match failure {
            Some(failure) => Failed::of(target, failure),
            None => Failed::in_stream(stream.error()),
        };
        self.fail(self.asked, stream, target, (number, failed), record);
        let asked = Asked {
            incoming: &incoming,
            fields: self.asked.fields.clone(),
            keeps_alive: false,
            demand: OnceLock::new(),
            request: OnceLock::new(),
            ..*self.asked
        };
        let Some((mut next, by, left_out)) = self.next(&asked, caller, record).await? else {
            record.answer_by(number);
            return Ok(false);
        };
        self.times += 1;
        let mark = Mark::new(&by.name, told.text.len(), asked.framing);
        next.join(stream, told.said, left_out, mark);
        report(target, &by, told.text.len(), &asked);
        (*stream, *target) = (*next, by);
        if asked.framing == Framing::Events {
            let fields = tell(record, "ok", []);
            caller.send(comment_of(&fields)).await?;
        }
        Ok(true)
    }

    /// What the caller has, and the request to go on with that; None where nobody can.
    fn begun(
        &self,
        stream: &mut Stream,
        failure: Option<&Failure>,
    ) -> Option<(Told, Arc<Incoming>)> {
        let is_broken = failure.is_none_or(|failure| {
            matches!(
                failure.kind,
                FailureKind::Cut
                    | FailureKind::Lost
                    | FailureKind::Malformed
                    | FailureKind::Timeout(Phase::BetweenTokens)
            )
        });
        if !is_broken || self.times == TIMES_MAX || !is_fit(self.asked.request()?) {
            return None;
        }
        let told = stream.told()?;
        let incoming = Arc::new(self.asked.incoming.begun(told.text.clone())?);
        let mut spots = 0..self.asked.model.spots.len();
        let caller = incoming.operation.dialect();
        spots
            .any(|spot| {
                let target = self.asked.target(spot);
                self.walk.course.has_calls_left(spot)
                    && target.provider.goes_on(caller, &target.model)
            })
            .then_some((told, incoming))
    }

    /// The next target whose answer goes on, as far as can be seen, and how much of it the caller has.
    async fn next(
        &mut self,
        asked: &Asked<'_>,
        caller: &mut Caller<'_>,
        record: &mut Record<'_>,
    ) -> Result<Option<(Box<Stream>, Target, usize)>, End> {
        loop {
            let (mut stream, target) = match self.walk.go_on(asked, caller, record).await {
                Ok(Routed::Stream(stream, target)) => (stream, target),
                Ok(_) | Err(End::Refused(_)) => return Ok(None),
                Err(gone) => return Err(gone),
            };
            let joint = match attend(stream.joint(), asked, caller, record).await {
                Ok(joint) => joint,
                Err(End::Refused(_)) => return Ok(None),
                Err(gone) => return Err(gone),
            };
            let failed = match joint {
                Ok(Joint::GoesOn(left_out)) => return Ok(Some((stream, target, left_out))),
                Ok(Joint::BeginsAnew) => Failed::not_continued(),
                Err(failure) => Failed::of(&target, &failure),
            };
            let Some(number) = record.answering().map(|trial| trial.number) else {
                return Ok(None);
            };
            self.fail(asked, &mut stream, &target, (number, failed), record);
        }
    }

    /// Takes note of a stream that broke, or does not go on.
    fn fail(
        &mut self,
        asked: &Asked<'_>,
        stream: &mut Stream,
        target: &Target,
        (number, failed): (u32, Failed),
        record: &mut Record<'_>,
    ) {
        if let Some(trial) = record.trial(number) {
            conclude(stream, trial);
        }
        self.walk.fail(asked, target, number, failed, record);
    }
}

/// Whether the answer to a request is one that can be gone on with: one text, free in its form, whose beginning is not the
/// caller's own.
fn is_fit(request: &Request) -> bool {
    let choice = request.tool_choice.as_ref();
    let last = request.turns.last().map(|turn| turn.role);
    request.n.unwrap_or(1) == 1
        && request.logprobs.is_none()
        && request.format == Format::Text
        && !choice.is_some_and(ToolChoice::is_forced)
        && !matches!(last, None | Some(Role::Assistant))
}

/// Tells the operator that another goes on.
fn report(broken: &Target, by: &Target, after: usize, asked: &Asked<'_>) {
    let after = after.to_string();
    let fields = [
        ("model", &*asked.model.name),
        ("broken", &*broken.name),
        ("target", &*by.name),
        ("after_bytes", &*after),
    ];
    asked
        .gateway
        .log
        .event(Level::Info, "stream continued", &fields);
}

#[cfg(test)]
mod tests;
