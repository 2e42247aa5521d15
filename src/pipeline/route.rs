//! Step 7: who is asked, and who then, until there is an answer for the caller or nobody is left.

use std::sync::Arc;
use std::time::{Duration, Instant};

use http::StatusCode;

use super::asked::Asked;
use super::attempt::{Attempt, Failed, Reply, Told, Whole};
use super::bill::Bill;
use super::caller::{Caller, unlike_any_other};
use super::fare::{Fare, Paid, Paying, allow, pay};
use super::gateway::Stage;
use super::meter::Meter;
use super::plan::Plan;
use super::record::Record;
use super::stream::Stream;
use super::trial::Trial;
use super::{End, Refusal, check_priced, draining};
use crate::access::limits::Left;
use crate::dialect::{Error, Kind, Operation};
use crate::provider::Taken;
use crate::route::{Course, Ended, Fault, Next, Target};
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

/// An attempt that may be made now.
struct Ready {
    plan: Plan,
    fare: Fare,
    taken: Option<Taken>,
}

/// Asks one target after another.
pub(super) async fn route(
    asked: &Asked<'_>,
    caller: &mut Caller<'_>,
    record: &mut Record<'_>,
) -> Result<Routed, End> {
    let [chance, _] = unlike_any_other();
    let mut course = Course::new(asked.model, chance);
    let mut failures = Failures::default();
    loop {
        let spot = match course.next(Instant::now(), asked.deadline) {
            Next::Call(spot) => spot,
            Next::Repeat(spot, pause) => {
                Box::pin(wait(pause, asked, caller)).await?;
                spot
            }
            Next::End(ended) => return failures.last_word(ended, record),
        };
        let target = asked.target(spot);
        let bill = Bill::new(&asked.snapshot.prices, &target);
        let paid = match pay(asked, &target, &bill, record) {
            Paying::Now(fare) => Ok((fare, Left::default())),
            Paying::Later(paid) => Box::pin(until_left(paid, caller)).await?,
        };
        let ready = ready(asked, &target, &bill, paid, record);
        let Ready { plan, fare, taken } = match ready {
            Ok(Some(ready)) => ready,
            Ok(None) => return Ok(Routed::Uncounted(target)),
            Err(error) => {
                course.skip(spot);
                failures.skipped.get_or_insert(error);
                continue;
            }
        };
        let timeouts = asked.model.spots[spot].timeouts;
        let now = Instant::now();
        let attempt = Attempt {
            incoming: asked.incoming,
            plan: &plan,
            target: &target,
            fields: &asked.fields,
            timeouts,
            deadline: asked.deadline.min(now + timeouts.total),
            due: course.due(spot, now, asked.deadline),
            max_answer: asked.snapshot.server.max_answer.0,
            bound: fare.bound(),
            meter: match asked.is_metered {
                true => Meter::new(&bill).map(Box::new),
                false => None,
            },
            taken,
        };
        let number = record.begin(Trial::new(&target, bill, fare));
        course.called(spot);
        let reply = tokio::select! {
            biased;
            reply = attempt.run() => reply,
            () = caller.left() => return Err(End::Gone),
            () = asked.gateway.drain.reached(Stage::Cutting) => return Err(draining().into()),
        };
        drop(attempt);
        let failed = match reply {
            Ok(Reply::Whole(whole)) => return Ok(Routed::Whole(whole)),
            Ok(Reply::Stream(stream)) => return Ok(Routed::Stream(stream, target)),
            Err(failed) => failed,
        };
        report(asked, &target, &failed);
        course.failed(spot, failed.fault, Instant::now());
        close(record, number, &failed);
        failures.failed.push((target.name, failed));
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
async fn wait(pause: Duration, asked: &Asked<'_>, caller: &mut Caller<'_>) -> Result<(), End> {
    tokio::select! {
        biased;
        () = pingora_timeout::sleep(pause) => Ok(()),
        () = caller.left() => Err(End::Gone),
        () = asked.gateway.drain.reached(Stage::Cutting) => Err(draining().into()),
    }
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
    let (mut fare, left) = paid.map_err(|(error, left)| {
        record.left = record.left.tighter(left);
        error
    })?;
    let plan = match incoming.operation {
        Operation::Generate(_) => {
            let framing = asked.framing;
            Plan::text(incoming, framing, key, model, target, fare.output_max)?
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

/// Tells the operator what the caller is not told.
fn report(asked: &Asked<'_>, target: &Target, failed: &Failed) {
    if let Some(status) = failed.refused_credential {
        let fields = [
            ("provider", target.provider.name.as_str()),
            ("status", status.as_str()),
        ];
        let message = "the provider refused our credential";
        asked.gateway.log.event(Level::Error, message, &fields);
    }
}

/// Closes the book of an attempt that failed.
fn close(record: &mut Record<'_>, number: u32, failed: &Failed) {
    if let Some(trial) = record.trial(number) {
        match &failed.told {
            // What was embedded before it failed has been paid for.
            Told::Own(own) if own.usage.is_some() => {
                trial.used(own.usage.unwrap_or_default(), own.tier);
            }
            _ if failed.may_cost => {}
            _ => trial.free(),
        }
    }
    record.close(number, failed.verdict.clone());
}

/// Why there is no answer yet.
#[derive(Default)]
struct Failures {
    /// Why a target was not asked.
    skipped: Option<Error>,
    /// What came of those that were.
    failed: Vec<(Arc<str>, Failed)>,
}

impl Failures {
    /// What the caller is told when nobody is left.
    fn last_word(mut self, ended: Ended, record: &mut Record<'_>) -> Result<Routed, End> {
        let Some((name, last)) = self.failed.pop() else {
            let error = self.skipped.unwrap_or_else(|| unhealthy(&ended));
            let is_for_now = matches!(
                error.kind,
                Kind::RateLimited | Kind::QuotaSpent | Kind::StateLost | Kind::NoHealthyTarget
            );
            if is_for_now && let Some(admission) = record.admission.take() {
                admission.cancel();
            }
            return Err(error.into());
        };
        let is_only = self.failed.iter().all(|(other, _)| *other == name);
        if is_only || matches!(last.fault, Fault::Caller | Fault::TooLong) {
            return match last.told {
                Told::Own(own) => Ok(Routed::Whole(Box::new(Whole {
                    usage: None,
                    ..*own
                }))),
                Told::Ours(error, detail) => Err(refusal(error, detail)),
            };
        }
        self.failed.push((name, last));
        let said = self.failed.iter();
        let said: Vec<_> = said
            .map(|(name, failed)| format!("{name}: {}", failed.verdict.word))
            .collect();
        let details = self.failed.iter().map(|(name, failed)| match &failed.told {
            Told::Own(own) => format!("{name}: status {}", own.status),
            Told::Ours(_, detail) => format!("{name}: {detail}"),
        });
        let detail = details.collect::<Vec<_>>().join("; ");
        let mut statuses = self.failed.iter().map(|(_, failed)| failed.verdict.status);
        let kind = match statuses.all(|status| status == StatusCode::GATEWAY_TIMEOUT.as_u16()) {
            true => Kind::UpstreamTimeout,
            false => Kind::Upstream,
        };
        let message = format!("no target gave a usable answer ({})", said.join(", "));
        let error = Error {
            retry_after: ended.retry_after.filter(|_| kind == Kind::Upstream),
            ..Error::new(kind, message)
        };
        Err(refusal(error, detail))
    }
}

fn refusal(error: Error, detail: String) -> End {
    End::Refused(Box::new(Refusal {
        error,
        detail: Some(detail),
    }))
}

/// Nobody may be asked at present.
fn unhealthy(ended: &Ended) -> Error {
    let error = match ended.is_limited {
        true => Error::new(
            Kind::RateLimited,
            "every target of the model takes no more for now, by what its provider has said",
        ),
        false => Error::new(
            Kind::NoHealthyTarget,
            "no target of the model is healthy at present",
        ),
    };
    error.retry_after(ended.retry_after.unwrap_or(Duration::from_secs(1)))
}
