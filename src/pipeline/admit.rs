//! Step 4: whether a request may be answered now, by the limits of its key, team, model and provider.

use std::sync::Arc;

use http::{HeaderName, HeaderValue};

use super::End;
use super::caller::Caller;
use super::fields;
use super::record::Record;
use crate::access::Key;
use crate::access::limits::{self, Admitted, Forecast, Left, Remaining};
use crate::dialect::{Error, Incoming, Kind, Usage};
use crate::route::{Model, Target};
use crate::snapshot::Snapshot;

/// What a request was admitted with, to be settled when it ends. Dropping it gives back what it did not use.
pub struct Admission {
    admitted: Admitted,
    forecast: Arc<Forecast>,
    /// How long its body is.
    bytes: usize,
}

impl Admission {
    /// The request is over, and others may run; what it used may not be known yet.
    pub fn end(&mut self) {
        self.admitted.end();
    }

    /// The request used so much.
    pub fn settle(mut self, usage: &Usage) {
        self.forecast
            .learn(self.bytes, usage.input_tokens, usage.output_tokens);
        let tokens = usage.input_tokens.saturating_add(usage.output_tokens);
        self.admitted.settle(tokens);
    }
}

/// Admits a request, or waits in the queue that its limits have.
pub(super) async fn admit(
    incoming: &Incoming,
    snapshot: &Snapshot,
    key: &Key,
    model: &Model,
    target: &Target,
    caller: &mut Caller<'_>,
    record: &mut Record<'_>,
) -> Result<(), End> {
    let limiters = snapshot.limiters(key, model, &target.provider);
    if limiters.iter().all(Option::is_none) {
        return Ok(());
    }
    let forecast = snapshot.forecast(model).clone();
    let bytes = incoming.body().len();
    let tokens = forecast.tokens(bytes, None);
    let admitted = tokio::select! {
        biased;
        admitted = limits::admit(limiters, tokens) => admitted,
        () = caller.left() => return Err(End::Gone),
    };
    let admitted = admitted.map_err(|refused| {
        record.left = refused.left;
        Error::new(Kind::RateLimited, refused.to_string()).retry_after(refused.retry_after)
    })?;
    record.left = admitted.left;
    record.admission = Some(Admission {
        admitted,
        forecast,
        bytes,
    });
    Ok(())
}

/// What is left of the limits, in OpenAI's words.
pub(super) fn limit_fields(left: &Left) -> impl Iterator<Item = (HeaderName, HeaderValue)> {
    let requests = (left.requests, &fields::X_RATELIMIT_REQUESTS);
    let tokens = (left.tokens, &fields::X_RATELIMIT_TOKENS);
    let told = [requests, tokens].into_iter().filter_map(|(left, names)| {
        let Remaining {
            limit,
            remaining,
            reset,
            ..
        } = left?;
        let reset = HeaderValue::try_from(fields::duration(reset)).ok()?;
        let values = [
            HeaderValue::from(limit),
            HeaderValue::from(remaining),
            reset,
        ];
        Some(names.iter().map(|name| (*name).clone()).zip(values))
    });
    told.flatten()
}
