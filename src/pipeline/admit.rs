//! Step 4: whether a request may be answered now, by the limits of its key, team and model. What each of its attempts needs
//! besides is in [`super::fare`].

use http::HeaderMap;

use super::End;
use super::asked::Asked;
use super::caller::Caller;
use super::fields;
use super::record::Record;
use super::route::until_left;
use crate::access::limits::{self, Admitted, Left, Limiters, Refused};
use crate::dialect::{Error, Kind};
use crate::soon::Soon;

/// What a request was admitted with, to be settled when it ends. Dropping it gives back what it did not use.
pub struct Admission {
    admitted: Box<Admitted<3>>,
    /// The tokens that attempts have used which are settled already.
    settled: u64,
}

impl Admission {
    /// The request was refused for another reason, and counts for nothing.
    pub fn cancel(mut self) {
        self.admitted.cancel();
    }

    /// The request is over, and others may run; what it used may not be known yet.
    pub fn end(&mut self) {
        self.admitted.end();
    }

    /// One of several attempts used so many tokens.
    pub const fn add(&mut self, tokens: u64) {
        self.settled = self.settled.saturating_add(tokens);
    }

    /// The last attempt used so many tokens.
    pub fn settle(mut self, tokens: u64) {
        self.add(tokens);
        self.admitted.settle(self.settled);
    }
}

/// Admits a request, or waits as its limits say.
pub(super) async fn admit(
    asked: &Asked<'_>,
    caller: &mut Caller<'_>,
    record: &mut Record<'_>,
) -> Result<(), End> {
    let limiters = asked.snapshot.limiters(asked.key, asked.model);
    if limiters.iter().all(Option::is_none) {
        return Ok(());
    }
    let admitted = match pass(asked, limiters) {
        Soon::Now(admitted) => admitted,
        Soon::Later(passing) => Box::pin(until_left(passing, caller)).await?,
    };
    let admitted = admitted.map_err(|denied| {
        record.left = denied.left;
        End::from(denied.error)
    })?;
    record.left = admitted.left;
    record.admission = Some(Admission {
        admitted,
        settled: 0,
    });
    Ok(())
}

/// Why a request or an attempt is not let through.
pub(super) struct Denied {
    pub error: Error,
    /// What is left of the limits.
    pub left: Left,
}

/// Passes some limits.
pub(super) fn pass<'a, const N: usize>(
    asked: &Asked<'_>,
    limiters: Limiters<'a, N>,
) -> Soon<'a, Result<Box<Admitted<N>>, Box<Denied>>> {
    let needs_demand = asked.model.max_output_tokens.is_some() || asked.is_budgeted();
    let wished = needs_demand.then(|| asked.demand().output_max).flatten();
    let forecast = asked.snapshot.forecast(asked.model);
    let tokens = forecast.tokens(asked.incoming.body().len(), wished);
    limits::admit(limiters, tokens).map(|admitted| {
        admitted.map_err(|refused| {
            Box::new(Denied {
                error: to_error(&refused),
                left: refused.left,
            })
        })
    })
}

fn to_error(refused: &Refused) -> Error {
    let kind = match refused.is_lost {
        true => Kind::StateLost,
        false => Kind::RateLimited,
    };
    Error::new(kind, refused.to_string()).retry_after(refused.retry_after)
}

/// Tells what is left of the limits, in OpenAI's words.
pub(super) fn tell_left(left: &Left, told: &mut HeaderMap) {
    let requests = (left.requests, &fields::X_RATELIMIT_REQUESTS);
    let tokens = (left.tokens, &fields::X_RATELIMIT_TOKENS);
    for (left, [limit, remaining, reset]) in [requests, tokens] {
        let Some(left) = left else { continue };
        told.insert(*limit, fields::constant(left.limit));
        told.insert(*remaining, fields::number(left.remaining));
        told.insert(*reset, fields::duration(left.reset));
    }
}
