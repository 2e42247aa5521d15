//! The last question before a call: whether the provider has room for it, by what it has said of its own limits.

use std::time::Instant;

use super::admit::Asked;
use super::record::Record;
use crate::dialect::{Error, Operation};
use crate::provider::{Amounts, Taken};
use crate::snapshot::Snapshot;

/// Counts a request as sent, or tells at once what the provider would say if it were.
pub fn allow(
    asked: &Asked<'_>,
    snapshot: &Snapshot,
    record: &mut Record<'_>,
) -> Result<Option<Taken>, Error> {
    let Asked {
        incoming,
        model,
        target,
        ..
    } = asked;
    // Counting tokens has limits of its own everywhere.
    if matches!(incoming.operation, Operation::CountTokens(_)) {
        return Ok(None);
    }
    let Some(allowance) = model.allowance(target) else {
        return Ok(None);
    };
    let forecast = snapshot.forecast(model);
    let (input, output) = forecast.parts(incoming.body().len(), None);
    let taken = allowance.take(amounts(asked, input, output), Instant::now());
    let taken = taken.map_err(|refused| {
        if let Some(admission) = record.admission.take() {
            admission.cancel();
        }
        let message = refused.message(&target.provider.name, &target.model);
        Error::of_provider(refused.status, None, message).retry_after(refused.retry_after)
    })?;
    if record.admission.is_none() {
        record.forecast = Some(forecast.clone());
    }
    Ok(Some(taken))
}

/// What a request counts for until its answer tells. At Anthropic tokens that are read from its cache do not, and how many those
/// will be nobody knows.
fn amounts(asked: &Asked<'_>, input: u64, output: u64) -> Amounts {
    let input = match asked.target.provider.house() {
        Some("anthropic") => 0,
        _ => input,
    };
    [1, input.saturating_add(output), input, output]
}
