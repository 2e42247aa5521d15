//! Step 7: who is asked, and who then, until there is an answer for the caller or nobody is left.

use std::pin::pin;
use std::time::{Duration, Instant};

use super::around::Around;
use super::asked::Asked;
use super::attempt::{Reply, Whole};
use super::caller::{Caller, unlike_any_other};
use super::failed::{Failed, Told};
use super::failures::{Failures, Word};
use super::flight::{Flight, Prepared, prepare};
use super::gateway::Stage;
use super::hedge::Race;
use super::judge::{Judged, judge};
use super::record::Record;
use super::stream::Stream;
use super::{End, answer, draining};
use crate::dialect::Error;
use crate::route::health::{self, Fault};
use crate::route::{Course, Ended, Next, Target};
use crate::telemetry::Level;

/// What came of a request.
pub enum Routed {
    /// An answer, or a provider's error.
    Whole(Box<Whole>),
    /// The beginning of a stream.
    Stream(Box<Stream>, Target),
    /// Tokens are to be counted for a target that counts none.
    Uncounted(Target),
}

/// An answer that did not pass its gates: the caller's, if nobody does better.
struct Best {
    number: u32,
    routed: Routed,
}

/// Where a request is among its model's targets, and what came of those that were asked.
pub(super) struct Walk<'m> {
    pub course: Course<'m>,
    failures: Failures,
    best: Option<Best>,
}

/// Asks one target after another.
pub(super) async fn route(
    asked: &Asked<'_>,
    caller: &mut Caller<'_>,
    record: &mut Record<'_>,
) -> Result<Routed, End> {
    Walk::new(asked).go_on(asked, caller, record).await
}

impl<'m> Walk<'m> {
    /// One that has not been anywhere.
    pub fn new(asked: &Asked<'m>) -> Self {
        Self {
            course: Course::new(asked.model, Around(asked).start(), unlike_any_other()),
            failures: Failures::default(),
            best: None,
        }
    }

    /// Asks one target after another, until there is an answer or nobody is left.
    pub async fn go_on(
        &mut self,
        asked: &Asked<'_>,
        caller: &mut Caller<'_>,
        record: &mut Record<'_>,
    ) -> Result<Routed, End> {
        let around = Around(asked);
        loop {
            let now = Instant::now();
            let at = |spot: usize| &asked.model.spots[spot];
            let (spot, pause, settings) = match self.course.next(&around, now, asked.deadline) {
                Next::Call(spot) => (spot, None, at(spot).health.as_ref()),
                Next::Resort(spot) => (spot, None, None),
                Next::Repeat(spot, pause) | Next::Wait(spot, pause) => {
                    (spot, Some(pause), at(spot).health.as_ref())
                }
                Next::End(ended) => return self.end(&ended, caller, record),
            };
            let target = asked.target(spot);
            match pause {
                None => target.health.budget.first(&at(spot).retry, now),
                Some(_)
                    if self.course.has_called(spot)
                        && !target.health.budget.repeat(&at(spot).retry, now) =>
                {
                    self.course.skip(spot);
                    continue;
                }
                Some(pause) => Box::pin(wait(pause, asked, caller, record)).await?,
            }
            let now = Instant::now();
            // Whether it may be asked may have changed since it was looked at: then look again.
            let due = self.course.due(spot, &around, now, asked.deadline);
            let Ok(entered) = target.health.enter(settings, now) else {
                continue;
            };
            let flight = match prepare(asked, target, entered, due, caller, record).await? {
                Prepared::Ready(flight) => flight,
                Prepared::Skipped(error) => {
                    self.skip(spot, error);
                    continue;
                }
                Prepared::Uncounted(target) => return Ok(Routed::Uncounted(target)),
            };
            self.course.called(spot);
            let (flight, reply) = match (&asked.model.hedge, asked.keeps_alive) {
                (Some(hedge), _) => {
                    let mut race = Race {
                        asked,
                        hedge,
                        walk: self,
                    };
                    Box::pin(race.run(flight, caller, record)).await?
                }
                (None, true) => {
                    let reply = Box::pin(attend(flight.run(asked), asked, caller, record)).await?;
                    (flight, reply)
                }
                (None, false) => tokio::select! {
                    biased;
                    reply = flight.run(asked) => (flight, reply),
                    () = caller.left() => return Err(End::Gone),
                    () = asked.gateway.drain.reached(Stage::Cutting) => return Err(draining().into()),
                },
            };
            let Flight { target, number, .. } = *flight;
            let (target, failed) = match reply {
                Err(failed) => (target, failed),
                Ok(reply) if asked.gates(target.spot).is_none() => {
                    self.best = None;
                    return Ok(settled(reply, target, number, record));
                }
                Ok(reply) => {
                    let judging = judge(asked, target, reply, number, caller, record);
                    match Box::pin(judging).await? {
                        Judged::Passed(routed) => {
                            record.answer_by(number);
                            self.prefer(None, record);
                            return Ok(routed);
                        }
                        Judged::Escalated(routed) => {
                            self.prefer(Some(Best { number, routed }), record);
                            self.course.escalate(spot);
                            continue;
                        }
                        Judged::Failed(target, failed) => (target, *failed),
                    }
                }
            };
            self.fail(asked, &target, number, failed, record);
        }
    }

    /// Nobody is left to ask.
    fn end(
        &mut self,
        ended: &Ended,
        caller: &Caller<'_>,
        record: &mut Record<'_>,
    ) -> Result<Routed, End> {
        if let Some(mut best) = self.best.take() {
            record.answer_by(best.number);
            if let Routed::Stream(stream, _) = &mut best.routed {
                stream.take_up();
            }
            return Ok(best.routed);
        }
        match std::mem::take(&mut self.failures).last_word(ended) {
            Word::Own(mut own, _) if !caller.is_begun() => {
                if record.attempts > 1 {
                    own.forbid_retry();
                }
                Ok(Routed::Whole(own))
            }
            Word::Own(_, error) => Err((*error).into()),
            Word::Ours(end) => Err(end),
        }
    }

    /// A target cannot be asked.
    fn skip(&mut self, spot: usize, error: Error) {
        // What its provider has said of its own limits may be over soon; what we say of ours is said for all.
        match error
            .retry_after
            .filter(|_| error.provider_status.is_some())
        {
            Some(delay) => self.course.rest(spot, delay.max(REST_MIN), Instant::now()),
            None => self.course.skip(spot),
        }
        self.failures.skipped(error);
    }

    /// Takes note of a call that failed.
    pub fn fail(
        &mut self,
        asked: &Asked<'_>,
        target: &Target,
        number: u32,
        failed: Failed,
        record: &mut Record<'_>,
    ) {
        let is_begun = asked.incoming.begun.is_some();
        match (failed.is_too_long, failed.fault) {
            (true, _) => self.course.too_long(target.spot),
            // Others may well go on with an answer with which this one does not.
            (false, Fault::Caller) if is_begun => self.course.skip(target.spot),
            (false, _) => self
                .course
                .failed(target.spot, failed.fault, Instant::now()),
        }
        report(asked, target, &failed);
        close(record, number, &failed);
        self.failures.failed(target.name.clone(), failed);
    }

    /// There is a better answer than the best so far, or one that passed.
    fn prefer(&mut self, better: Option<Best>, record: &mut Record<'_>) {
        let worse = std::mem::replace(&mut self.best, better);
        worse.into_iter().for_each(|worse| worse.give_up(record));
    }
}

/// How long a target rests at least that takes no more.
const REST_MIN: Duration = Duration::from_millis(10);

/// How often a caller is told that his stream is still to come.
const ALIVE_EVERY: Duration = Duration::from_secs(5);

/// Waits for something as long as the caller does, and keeps his connection alive where a chain may hold his stream back for
/// long.
pub(super) async fn attend<T>(
    work: impl Future<Output = T>,
    asked: &Asked<'_>,
    caller: &mut Caller<'_>,
    record: &Record<'_>,
) -> Result<T, End> {
    let mut work = pin!(work);
    loop {
        tokio::select! {
            biased;
            done = &mut work => return Ok(done),
            () = caller.left() => return Err(End::Gone),
            () = asked.gateway.drain.reached(Stage::Cutting) => return Err(draining().into()),
            () = pingora_timeout::sleep(ALIVE_EVERY), if asked.keeps_alive => {}
        }
        answer::keep_alive(caller, record).await?;
    }
}

/// Waits for something as long as the caller does.
pub(super) async fn until_left<T>(
    work: impl Future<Output = T>,
    caller: &mut Caller<'_>,
) -> Result<T, End> {
    tokio::select! {
        biased;
        done = work => Ok(done),
        () = caller.left() => Err(End::Gone),
    }
}

/// Waits before a repeat.
async fn wait(
    pause: Duration,
    asked: &Asked<'_>,
    caller: &mut Caller<'_>,
    record: &Record<'_>,
) -> Result<(), End> {
    attend(pingora_timeout::sleep(pause), asked, caller, record).await
}

/// An answer that nobody judges.
fn settled(reply: Reply, target: Target, number: u32, record: &mut Record<'_>) -> Routed {
    match reply {
        Reply::Whole(whole) => {
            if let Some(trial) = record.trial(number) {
                trial.ended(health::Ended::Well {
                    output_tokens: None,
                });
            }
            Routed::Whole(whole)
        }
        Reply::Stream(stream) => {
            if let Some(trial) = record.trial(number) {
                trial.first_token();
            }
            Routed::Stream(stream, target)
        }
    }
}

impl Best {
    /// Another answer is the caller's.
    fn give_up(self, record: &mut Record<'_>) {
        if let (Routed::Stream(mut stream, _), Some(trial)) =
            (self.routed, record.trial(self.number))
        {
            answer::conclude(&mut stream, trial);
        }
        record.close(self.number);
    }
}

/// Tells the operator what the caller is not told.
fn report(asked: &Asked<'_>, target: &Target, failed: &Failed) {
    if let Some(status) = failed.refused_credential {
        let key = target.provider.key.map(|number| number.to_string());
        let mut fields = vec![
            ("provider", target.provider.name.as_str()),
            ("status", status.as_str()),
        ];
        fields.extend(key.as_deref().map(|number| ("key", number)));
        let message = "the provider refused our credential";
        asked.gateway.log.event(Level::Error, message, &fields);
    }
}

/// Closes the book of an attempt that failed.
pub(super) fn close(record: &mut Record<'_>, number: u32, failed: &Failed) {
    if let Some(trial) = record.trial(number) {
        trial.ended(health::Ended::Fault(failed.fault));
        match &failed.told {
            // What was embedded before it failed has been paid for.
            Told::Own(own, _) if own.usage.is_some() => {
                trial.used(own.usage.unwrap_or_default(), own.tier);
            }
            _ if failed.may_cost => {}
            _ => trial.free(),
        }
    }
    record.judged(number, failed.verdict.clone());
    record.close(number);
}
