//! What an attempt needs besides what its request was admitted with: room under its provider's limits, ours and its own, and
//! money for the most that it can cost.

use std::sync::Arc;
use std::time::Instant;

use super::admit::{Denied, pass};
use super::asked::Asked;
use super::bill::Bill;
use super::bound::Bound;
use super::gateway::Notice;
use super::money::{Money, Reserved};
use super::record::Record;
use crate::access::limits::{Admitted, Forecast, Left};
use crate::dialect::{Error, Operation, Usage};
use crate::provider::{Amounts, Taken};
use crate::route::Target;
use crate::soon::Soon;
use crate::spend::Usd;

/// What one attempt was let through with. Dropped before it is spent, all goes back.
#[derive(Default)]
pub struct Fare {
    /// What it takes of the limits that are set for its provider.
    provider: Option<Box<Admitted<1>>>,
    money: Money,
    /// What its usage teaches.
    forecast: Option<Arc<Forecast>>,
    /// How long each choice of its answer may be, where that is less than the caller asked for.
    pub output_max: Option<u64>,
}

impl Fare {
    /// The provider is about to be called: from here on money counts as spent until it is known how much was.
    pub fn spend(&mut self) {
        self.money.spend();
    }

    /// How long a stream may become, where money is reserved for that.
    pub fn bound(&self) -> Option<Bound> {
        self.money.output_tokens.map(Bound::new)
    }

    /// The attempt was not made after all, and counts for nothing.
    pub fn cancel(self) {
        if let Some(mut provider) = self.provider {
            provider.cancel();
        }
    }

    /// The attempt is over, and others may run; what it used may not be known yet.
    pub fn end(&mut self) {
        if let Some(provider) = &mut self.provider {
            provider.end();
        }
    }

    /// The attempt, whose request had so many bytes, used and cost so much, if that is known.
    pub fn settle(self, bytes: usize, usage: &Usage, cost: Option<Usd>, notify: &dyn Fn(Notice)) {
        if let Some(forecast) = &self.forecast {
            forecast.learn(bytes, usage.input_tokens, usage.output_tokens);
        }
        if let Some(mut provider) = self.provider {
            provider.settle(usage.input_tokens.saturating_add(usage.output_tokens));
        }
        self.money.settle(cost, notify);
    }

    /// The attempt used nothing.
    pub fn settle_free(self, notify: &dyn Fn(Notice)) {
        self.money.settle(Some(Usd::ZERO), notify);
    }
}

/// A fare, and what is left of the limits; or why there is none.
pub(super) type Paid = Result<(Fare, Left), Box<Denied>>;

/// Lets an attempt through, or waits as limits and budgets say.
pub(super) fn pay<'a>(
    asked: &'a Asked<'_>,
    target: &'a Target,
    bill: &'a Bill,
    record: &Record<'_>,
) -> Soon<'a, Paid> {
    let is_budgeted = asked.is_budgeted();
    let is_capped = asked.model.max_output_tokens.is_some();
    let limiter = asked.snapshot.provider_limiter(&target.provider);
    if !is_budgeted && !is_capped && limiter.is_none() {
        let forecast = record.admission.as_ref();
        let forecast = forecast.map(|_| asked.snapshot.forecast(asked.model).clone());
        let fare = Fare {
            forecast,
            ..Fare::default()
        };
        return Soon::Now(Ok((fare, Left::default())));
    }
    match limiter.map(|limiter| pass(asked, [Some(limiter)])) {
        None => afford(asked, target, bill, None),
        Some(Soon::Now(Ok(admitted))) => afford(asked, target, bill, Some(admitted)),
        Some(Soon::Now(Err(refused))) => Soon::Now(Err(refused)),
        Some(Soon::Later(passing)) => Soon::later(async move {
            let admitted = passing.await?;
            afford(asked, target, bill, Some(admitted)).get().await
        }),
    }
}

/// Reserves the money for an attempt that its provider's limits have let through.
fn afford<'a>(
    asked: &'a Asked<'_>,
    target: &'a Target,
    bill: &'a Bill,
    mut provider: Option<Box<Admitted<1>>>,
) -> Soon<'a, Paid> {
    let left = provider.as_ref().map_or_else(Left::default, |one| one.left);
    let is_free = asked.demand().is_free || !asked.is_budgeted();
    let reserving = match is_free {
        true => Soon::Now(Ok(Reserved::default())),
        false => Money::reserve(asked, target, bill),
    };
    reserving.map(move |reserved| {
        let (money, affordable) = reserved.map_err(|error| {
            if let Some(provider) = &mut provider {
                provider.cancel();
            }
            Box::new(Denied { error, left })
        })?;
        let wished = asked.demand().output_max;
        let output_max = [affordable, asked.model.max_output_tokens];
        let output_max = output_max.into_iter().flatten().min();
        let fare = Fare {
            provider,
            money,
            forecast: Some(asked.snapshot.forecast(asked.model).clone()),
            output_max: output_max.filter(|max| wished.is_none_or(|wished| wished > *max)),
        };
        Ok((fare, left))
    })
}

/// Counts a request as sent, or tells at once what the provider would say if it were, by what it has said of its limits. Asked
/// last: what is taken counts as sent, so nothing may fail between this and the call.
pub(super) fn allow(
    asked: &Asked<'_>,
    target: &Target,
    fare: &mut Fare,
) -> Result<Option<Taken>, Error> {
    // Counting tokens has limits of its own everywhere.
    if matches!(asked.incoming.operation, Operation::CountTokens(_)) {
        return Ok(None);
    }
    let Some(allowance) = asked.model.allowance(target) else {
        return Ok(None);
    };
    let forecast = asked.snapshot.forecast(asked.model);
    let (input, output) = forecast.parts(asked.incoming.body().len(), None);
    let taken = allowance.take(amounts(target, input, output), Instant::now());
    let taken = taken.map_err(|refused| {
        let message = refused.message(&target.provider.name, &target.model);
        Error::of_provider(refused.status, None, message).retry_after(refused.retry_after)
    })?;
    fare.forecast.get_or_insert_with(|| forecast.clone());
    Ok(Some(taken))
}

/// What a request counts for until its answer tells. At Anthropic tokens that are read from its cache do not, and how many those
/// will be nobody knows.
fn amounts(target: &Target, input: u64, output: u64) -> Amounts {
    let input = match target.provider.house() {
        Some("anthropic") => 0,
        _ => input,
    };
    [1, input.saturating_add(output), input, output]
}
