//! Step 7: who is asked, and who then, until there is an answer for the caller or nobody is left.

use std::pin::pin;
use std::time::{Duration, Instant};

use super::around::Around;
use super::asked::Asked;
use super::attempt::{Attempt, Failed, Reply, Told, Whole};
use super::bill::Bill;
use super::bound::Bound;
use super::caller::{Caller, unlike_any_other};
use super::failures::{Failures, Word};
use super::fare::{Fare, Paid, Paying, allow, pay};
use super::gateway::Stage;
use super::hedge::Race;
use super::judge::{Judged, judge};
use super::meter::Meter;
use super::plan::Plan;
use super::record::Record;
use super::stream::Stream;
use super::trial::Trial;
use super::{End, answer, check_priced, draining};
use crate::access::limits::Left;
use crate::dialect::{Dialect, Error, Incoming, Kind, Operation};
use crate::provider::Taken;
use crate::route::gates::Gates;
use crate::route::health::{Ended, Entered};
use crate::route::{Course, Model, Next, Target};
use crate::snapshot::Snapshot;
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

/// Asks one target after another.
pub(super) async fn route(
    asked: &Asked<'_>,
    caller: &mut Caller<'_>,
    record: &mut Record<'_>,
) -> Result<Routed, End> {
    let around = Around(asked);
    let [chance, _] = unlike_any_other();
    let mut course = Course::new(asked.model, around.start(), chance);
    let mut failures = Failures::default();
    let mut best: Option<Best> = None;
    loop {
        let now = Instant::now();
        let at = |spot: usize| &asked.model.spots[spot];
        let (spot, pause, settings) = match course.next(&around, now, asked.deadline) {
            Next::Call(spot) => (spot, None, at(spot).health.as_ref()),
            Next::Resort(spot) => (spot, None, None),
            Next::Repeat(spot, pause) | Next::Wait(spot, pause) => {
                (spot, Some(pause), at(spot).health.as_ref())
            }
            Next::End(ended) => {
                if let Some(best) = best {
                    record.answer_by(best.number);
                    return Ok(best.routed);
                }
                return match failures.last_word(&ended) {
                    Word::Own(own, _) if !caller.is_begun() => Ok(Routed::Whole(own)),
                    Word::Own(_, error) => Err((*error).into()),
                    Word::Ours(end) => Err(end),
                };
            }
        };
        let target = asked.target(spot);
        match pause {
            None => target.health.budget.first(&at(spot).retry, now),
            Some(_)
                if course.has_called(spot)
                    && !target.health.budget.repeat(&at(spot).retry, now) =>
            {
                course.skip(spot);
                continue;
            }
            Some(pause) => Box::pin(wait(pause, asked, caller, record)).await?,
        }
        let now = Instant::now();
        // Whether it may be asked may have changed since it was looked at: then look again.
        let due = course.due(spot, &around, now, asked.deadline);
        let Ok(entered) = target.health.enter(settings, now) else {
            continue;
        };
        let flight = match prepare(asked, target, entered, due, caller, record).await? {
            Prepared::Ready(flight) => flight,
            Prepared::Skipped(error) => {
                // What its provider has said of its own limits may be over soon; what we say of ours is said for all.
                match error
                    .retry_after
                    .filter(|_| error.provider_status.is_some())
                {
                    Some(delay) => course.rest(spot, delay.max(REST_MIN), Instant::now()),
                    None => course.skip(spot),
                }
                failures.skipped(error);
                continue;
            }
            Prepared::Uncounted(target) => return Ok(Routed::Uncounted(target)),
        };
        course.called(spot);
        let (flight, reply) = match (&asked.model.hedge, asked.keeps_alive) {
            (Some(hedge), _) => {
                let mut race = Race {
                    asked,
                    hedge,
                    course: &mut course,
                    failures: &mut failures,
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
        let failed = match reply {
            Err(failed) => failed,
            Ok(reply) if asked.gates(target.spot).is_none() => {
                return Ok(settled(reply, target, number, record));
            }
            Ok(reply) => {
                let judging = judge(asked, target, reply, number, caller, record);
                let (target, failed) = match Box::pin(judging).await? {
                    Judged::Passed(routed) => {
                        record.answer_by(number);
                        best.into_iter().for_each(|best| best.give_up(record));
                        return Ok(routed);
                    }
                    Judged::Escalated(routed) => {
                        let worse = best.replace(Best { number, routed });
                        worse.into_iter().for_each(|worse| worse.give_up(record));
                        course.escalate(spot);
                        continue;
                    }
                    Judged::Failed(target, failed) => (target, failed),
                };
                course.failed(target.spot, failed.fault, Instant::now());
                close(record, number, &failed);
                failures.failed(target.name, *failed);
                continue;
            }
        };
        fail(
            asked,
            &target,
            number,
            failed,
            &mut course,
            &mut failures,
            record,
        );
    }
}

/// Takes note of a call that failed.
pub(super) fn fail(
    asked: &Asked<'_>,
    target: &Target,
    number: u32,
    failed: Failed,
    course: &mut Course<'_>,
    failures: &mut Failures,
    record: &mut Record<'_>,
) {
    match failed.is_too_long {
        true => course.too_long(target.spot),
        false => course.failed(target.spot, failed.fault, Instant::now()),
    }
    report(asked, target, &failed);
    close(record, number, &failed);
    failures.failed(target.name.clone(), failed);
}

/// A call that is about to be made, or under way.
pub(super) struct Flight {
    pub target: Target,
    /// The number of its attempt.
    pub number: u32,
    plan: Plan,
    /// When the beginning of its answer must be there.
    due: Instant,
    bound: Option<Bound>,
    meter: Option<Box<Meter>>,
    taken: Option<Taken>,
}

/// What comes of making ready to call a target.
pub(super) enum Prepared {
    Ready(Box<Flight>),
    /// The target cannot be asked this.
    Skipped(Error),
    /// Tokens are to be counted, and the target counts none.
    Uncounted(Target),
}

impl Flight {
    /// Calls the target.
    pub async fn run(&self, asked: &Asked<'_>) -> Result<Reply, Failed> {
        let timeouts = asked.model.spots[self.target.spot].timeouts;
        let is_text = self.plan.operation != Operation::Generate(Dialect::Completions);
        let attempt = Attempt {
            incoming: asked.incoming,
            plan: &self.plan,
            target: &self.target,
            fields: &asked.fields,
            timeouts,
            deadline: asked.deadline.min(Instant::now() + timeouts.total),
            due: self.due,
            max_answer: asked.snapshot.server.max_answer.0,
            bound: self.bound.clone(),
            meter: self.meter.clone(),
            taken: self.taken.as_ref(),
            is_judged: is_text && asked.gates(self.target.spot).is_some(),
        };
        attempt.run().await
    }
}

/// Makes ready to call a target, and opens the book of the attempt.
pub(super) async fn prepare(
    asked: &Asked<'_>,
    target: Target,
    entered: Entered,
    due: Instant,
    caller: &mut Caller<'_>,
    record: &mut Record<'_>,
) -> Result<Prepared, End> {
    let bill = Bill::new(&asked.snapshot.prices, &target);
    let paid = match pay(asked, &target, &bill, record) {
        Paying::Now(fare) => Ok((fare, Left::default())),
        Paying::Later(paid) => Box::pin(attend(paid, asked, caller, record)).await?,
    };
    let Ready { plan, fare, taken } = match ready(asked, &target, &bill, paid, record) {
        Ok(Some(ready)) => ready,
        Ok(None) => return Ok(Prepared::Uncounted(target)),
        Err(error) => return Ok(Prepared::Skipped(error)),
    };
    let bound = fare.bound();
    let meter = match asked.is_metered {
        true => Meter::new(&bill).map(Box::new),
        false => None,
    };
    let number = record.begin(Trial::new(asked, &target, bill, fare, entered));
    Ok(Prepared::Ready(Box::new(Flight {
        target,
        number,
        plan,
        due,
        bound,
        meter,
        taken,
    })))
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

/// An attempt that may be made now.
struct Ready {
    plan: Plan,
    fare: Fare,
    taken: Option<Taken>,
}

/// Makes ready to ask a target; None where tokens are to be counted and it counts none.
fn ready(
    asked: &Asked<'_>,
    target: &Target,
    bill: &Bill,
    paid: Paid,
    record: &mut Record<'_>,
) -> Result<Option<Ready>, Error> {
    let Asked {
        snapshot,
        incoming,
        key,
        model,
        ..
    } = asked;
    check_priced(bill, snapshot, target)?;
    check_fits(snapshot, model, incoming, target)?;
    let (mut fare, left) = paid.map_err(|(error, left)| {
        record.left = record.left.tighter(left);
        error
    })?;
    let plan = match incoming.operation {
        Operation::Generate(_) => {
            let needs_logprobs = asked.gates(target.spot).is_some_and(Gates::wants_logprobs);
            let (framing, output_max) = (asked.framing, fare.output_max);
            Plan::text(
                incoming,
                framing,
                key,
                model,
                target,
                output_max,
                needs_logprobs,
            )?
        }
        Operation::Embed(_) => Plan::embeddings(incoming, model, target)?,
        Operation::CountTokens(_) => match Plan::count(incoming, target)? {
            Some(plan) => plan,
            None => return Ok(None),
        },
    };
    match allow(asked, target, &mut fare) {
        Ok(taken) => {
            record.left = record.left.tighter(left);
            Ok(Some(Ready { plan, fare, taken }))
        }
        Err(error) => {
            fare.cancel();
            Err(error)
        }
    }
}

/// Whether a request fits the target's window, as far as can be told, where another target has a larger one.
pub(super) fn check_fits(
    snapshot: &Snapshot,
    model: &Model,
    incoming: &Incoming,
    target: &Target,
) -> Result<(), Error> {
    let spots = &model.spots;
    let Some(window) = spots[target.spot].window.filter(|_| spots.len() > 1) else {
        return Ok(());
    };
    let forecast = snapshot.forecast(model);
    let (tokens, _) = forecast.parts(incoming.body().len(), None);
    let mut others = spots.iter();
    match tokens > window && others.any(|other| other.window.is_some_and(|other| other > window)) {
        true => {
            let message = format!(
                "about {tokens} tokens are more than the {window} of the window of `{}`",
                target.name
            );
            Err(Error::new(Kind::ContextTooLong, message))
        }
        false => Ok(()),
    }
}

/// An answer that nobody judges.
fn settled(reply: Reply, target: Target, number: u32, record: &mut Record<'_>) -> Routed {
    match reply {
        Reply::Whole(whole) => {
            if let Some(trial) = record.trial(number) {
                trial.ended(Ended::Well {
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
        trial.ended(Ended::Fault(failed.fault));
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
