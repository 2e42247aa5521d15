//! One call of a request's route: made ready, with all that it needs, and made.

use std::time::Instant;

use super::admit::Denied;
use super::asked::Asked;
use super::attempt::{Attempt, Reply};
use super::bill::Bill;
use super::bound::Bound;
use super::caller::Caller;
use super::failed::Failed;
use super::fare::{Fare, Paid, allow, pay};
use super::meter::Meter;
use super::plan::Plan;
use super::record::Record;
use super::route::attend;
use super::trial::Trial;
use super::{End, check_priced};
use crate::dialect::{Dialect, Error, Incoming, Kind, Operation};
use crate::provider::Taken;
use crate::route::gates::Gates;
use crate::route::health::Entered;
use crate::route::{Model, Target};
use crate::snapshot::Snapshot;
use crate::soon::Soon;

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
            continues: asked.model.continues,
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
        Soon::Now(paid) => paid,
        Soon::Later(paid) => Box::pin(attend(paid, asked, caller, record)).await?,
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
    check_goes_on(incoming, target)?;
    let (mut fare, left) = paid.map_err(|denied| {
        let Denied { error, left } = *denied;
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

/// Whether the target can go on with an answer that has begun, if it is to.
pub(super) fn check_goes_on(incoming: &Incoming, target: &Target) -> Result<(), Error> {
    let caller = incoming.operation.dialect();
    if incoming.begun.is_none() || target.provider.goes_on(caller, &target.model) {
        return Ok(());
    }
    let message = format!(
        "the target `{}` does not go on with an answer that another has begun",
        target.name
    );
    Err(Error::new(Kind::Upstream, message))
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
