//! Step 4: whether a request may be answered now: by the limits of its key, team, model and provider, and by the budgets of its
//! key and team.

use std::sync::Arc;

use http::{HeaderName, HeaderValue};

use super::End;
use super::bill::Bill;
use super::bound::Bound;
use super::caller::Caller;
use super::fields;
use super::gateway::{Gateway, Notice};
use super::money::{self, Money};
use super::record::Record;
use crate::access::Key;
use crate::access::limits::{self, Admitted, Forecast, Left, Limiters, Remaining};
use crate::dialect::{Demand, Error, Incoming, Kind, Usage};
use crate::route::{Model, Target};
use crate::snapshot::Snapshot;
use crate::spend::Usd;

/// What a request was admitted with, to be settled when it ends. Dropping it gives back what it did not use.
pub struct Admission {
    admitted: Admitted,
    forecast: Arc<Forecast>,
    /// How long its body is.
    bytes: usize,
    money: Money,
}

impl Admission {
    /// A provider is about to be called: from here on money counts as spent until it is known how much was.
    pub fn spend(&mut self) {
        self.money.spend();
    }

    /// How long a stream may become, where money is reserved for that.
    pub fn bound(&self) -> Option<Bound> {
        self.money.output_tokens.map(Bound::new)
    }

    /// The request was refused for another reason, and counts for nothing.
    pub fn cancel(mut self) {
        self.admitted.cancel();
    }

    /// The request is over, and others may run; what it used may not be known yet.
    pub fn end(&mut self) {
        self.admitted.end();
    }

    /// The request used so much, and cost so much, if that is known.
    pub fn settle(mut self, usage: &Usage, cost: Option<Usd>, notify: &dyn Fn(Notice)) {
        self.forecast
            .learn(self.bytes, usage.input_tokens, usage.output_tokens);
        let tokens = usage.input_tokens.saturating_add(usage.output_tokens);
        self.admitted.settle(tokens);
        self.money.settle(cost, notify);
    }

    /// The request used nothing.
    pub fn settle_free(self, notify: &dyn Fn(Notice)) {
        self.money.settle(Some(Usd::ZERO), notify);
    }
}

/// What is asked of which model at which target, and for whom.
pub struct Asked<'a> {
    pub incoming: &'a Incoming,
    pub key: &'a Key,
    pub model: &'a Model,
    pub target: &'a Target,
    pub bill: &'a Bill,
}

/// Admits a request, or waits as its limits and budgets say. Returns how long its answer may be, in tokens of each choice,
/// where that is less than the caller asked for.
pub(super) async fn admit(
    asked: &Asked<'_>,
    gateway: &Gateway,
    snapshot: &Snapshot,
    caller: &mut Caller<'_>,
    record: &mut Record<'_>,
) -> Result<Option<u64>, End> {
    let Asked {
        key, model, target, ..
    } = asked;
    let limiters = snapshot.limiters(key, model, &target.provider);
    let is_budgeted = money::is_budgeted(key, model);
    let is_capped = model.max_output_tokens.is_some();
    if !is_budgeted && !is_capped && limiters.iter().all(Option::is_none) {
        return Ok(None);
    }
    // Boxed: a request without limits does not carry what this needs.
    let passed = tokio::select! {
        biased;
        passed = Box::pin(pass(asked, limiters, is_budgeted, gateway, snapshot)) => passed,
        () = caller.left() => return Err(End::Gone),
    };
    match passed {
        Ok(passed) => {
            record.left = passed.admission.admitted.left;
            record.admission = Some(Box::new(passed.admission));
            record.output_max = passed.output_max;
            Ok(passed.output_max)
        }
        Err((error, left)) => {
            record.left = left;
            Err(error.into())
        }
    }
}

/// A request that was admitted.
struct Passed {
    admission: Admission,
    /// How long each choice of its answer may be, where that is less than the caller asked for.
    output_max: Option<u64>,
}

/// Passes limits and budgets, or says why not and what is left of the limits.
async fn pass(
    asked: &Asked<'_>,
    limiters: Limiters<'_>,
    is_budgeted: bool,
    gateway: &Gateway,
    snapshot: &Snapshot,
) -> Result<Passed, (Error, Left)> {
    let Asked {
        incoming, model, ..
    } = asked;
    let bytes = incoming.body().len();
    let needs_demand = is_budgeted || model.max_output_tokens.is_some();
    let demand = needs_demand.then(|| incoming.demand());
    let wished = demand.as_ref().and_then(|demand| demand.output_max);
    let forecast = snapshot.forecast(model).clone();
    let admitted = limits::admit(limiters, forecast.tokens(bytes, wished)).await;
    let mut admitted = admitted.map_err(|refused| {
        let kind = match refused.is_lost {
            true => Kind::StateLost,
            false => Kind::RateLimited,
        };
        let error = Error::new(kind, refused.to_string());
        (error.retry_after(refused.retry_after), refused.left)
    })?;
    let is_paid = |demand: &Demand| is_budgeted && !demand.is_free;
    let reserved = match demand.filter(is_paid) {
        Some(demand) => Money::reserve(gateway, asked, &demand).await,
        None => Ok((Money::default(), None)),
    };
    let (money, affordable) = reserved.map_err(|error| {
        admitted.cancel();
        (error, admitted.left)
    })?;
    let output_max = [affordable, model.max_output_tokens]
        .into_iter()
        .flatten()
        .min();
    Ok(Passed {
        admission: Admission {
            admitted,
            forecast,
            bytes,
            money,
        },
        output_max: output_max.filter(|max| wished.is_none_or(|wished| wished > *max)),
    })
}

/// What is left of the limits, in OpenAI's words.
pub(super) fn limit_fields(left: &Left) -> impl Iterator<Item = (HeaderName, HeaderValue)> + use<> {
    let requests = (left.requests, &fields::X_RATELIMIT_REQUESTS);
    let tokens = (left.tokens, &fields::X_RATELIMIT_TOKENS);
    let told = [requests, tokens].into_iter().filter_map(|(left, names)| {
        let Remaining {
            limit,
            remaining,
            reset,
            ..
        } = left?;
        let values = [
            fields::number(limit),
            fields::number(remaining),
            fields::duration(reset),
        ];
        Some(names.iter().map(|name| (*name).clone()).zip(values))
    });
    told.flatten()
}
