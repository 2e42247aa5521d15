//! What is asked, for whom, and under which configuration: what every attempt of a request needs to know.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use http::{HeaderName, HeaderValue};

use super::caller::Caller;
use super::fields;
use super::gateway::Gateway;
use crate::access::Key;
use crate::access::budgets::Payers;
use crate::config::units;
use crate::dialect::common::Request;
use crate::dialect::{Demand, Error, Framing, Incoming, Operation};
use crate::route::gates::{Gates, Hold};
use crate::route::{Model, Target};
use crate::snapshot::Snapshot;

/// A request that may be answered.
pub struct Asked<'a> {
    pub gateway: &'a Gateway,
    pub snapshot: &'a Snapshot,
    pub incoming: &'a Arc<Incoming>,
    pub key: &'a Key,
    /// The budgets that pay for it besides its user's.
    pub payers: &'a Payers,
    pub model: &'a Model,
    /// What the `*` of the model's name stands for.
    pub star: &'a str,
    /// How a stream is framed for the caller.
    pub framing: Framing,
    /// The caller's fields that go upstream.
    pub fields: Vec<(HeaderName, HeaderValue)>,
    /// When the answer must be there.
    pub deadline: Instant,
    /// The step at which the caller wants it to begin, where he may say so.
    pub start_at: Option<usize>,
    /// Whether a budget that is spent wants the cheapest target.
    pub is_thrifty: bool,
    /// Whether a stream's usage shall tell its cost.
    pub is_metered: bool,
    /// Whether the caller is told from time to time that his stream is still to come, as it may be held back for long.
    pub keeps_alive: bool,
    /// What bounds its use, once somebody has asked.
    pub demand: OnceLock<Demand>,
    /// What is asked in the common form, once somebody has asked; None if it cannot be read.
    pub request: OnceLock<Option<Box<Request>>>,
}

impl Asked<'_> {
    /// Whether any budget pays for it.
    pub fn is_budgeted(&self) -> bool {
        !self.payers.is_empty() || !self.key.team.per_user.is_empty()
    }

    /// What bounds its use.
    pub fn demand(&self) -> &Demand {
        self.demand.get_or_init(|| self.incoming.demand())
    }

    /// What is asked in the common form, if it can be read.
    pub fn request(&self) -> Option<&Request> {
        let Incoming {
            operation,
            model,
            stream,
            ..
        } = &**self.incoming;
        let body = self.incoming.body();
        let read = || operation.dialect().read_request(body, model, *stream);
        let request = self.request.get_or_init(|| read().ok().map(Box::new));
        request.as_deref()
    }

    /// What judges the answers of the target at a spot of its model's.
    pub fn gates(&self, spot: usize) -> Option<&Gates> {
        // Only text is judged, and nothing of which the caller has the beginning.
        let is_text = matches!(self.incoming.operation, Operation::Generate(_));
        let gates = self.model.step_of(spot).gates.as_ref();
        let is_begun = self.incoming.begun.is_some();
        gates.filter(|_| is_text && !is_begun && !self.is_thrifty)
    }

    /// How much of a stream of the target at a spot is held back until it is judged.
    pub fn hold(&self, spot: usize) -> Hold {
        self.model.step_of(spot).hold
    }

    /// The target at a spot of its model's.
    pub fn target(&self, spot: usize) -> Target {
        self.model.target(spot, self.star, &self.snapshot.wards)
    }
}

/// The step at which the caller wants his request to begin: `x-tollgate-start-at`, from 1.
pub(super) fn start_at(
    caller: &Caller<'_>,
    key: &Key,
    model: &Model,
) -> Result<Option<usize>, Error> {
    let Some(value) = caller.head().headers.get(&fields::X_START_AT) else {
        return Ok(None);
    };
    let field = fields::X_START_AT.as_str();
    if !key.may_start_at {
        let message = format!("this key may not say `{field}`");
        return Err(Error::invalid(field, message));
    }
    let steps = model.steps.len();
    let step = value.to_str().ok().and_then(|text| text.parse().ok());
    let step = step.filter(|step| (1..=steps).contains(step));
    let step = step.ok_or_else(|| {
        let message = format!("`{field}` is the number of a step, from 1 to {steps}");
        Error::invalid(field, message)
    })?;
    Ok(Some(step - 1))
}

/// When the answer must be there: the model's limit, or an earlier one that the caller sets.
pub(super) fn deadline(caller: &Caller<'_>, total: Duration) -> Result<Instant, Error> {
    let wished = match caller.head().headers.get(&fields::X_TIMEOUT) {
        None => total,
        Some(value) => {
            let parsed = value.to_str().ok().and_then(|text| text.parse().ok());
            let parsed: units::Duration = parsed.ok_or_else(|| {
                let field = fields::X_TIMEOUT.as_str();
                Error::invalid(field, format!("`{field}` is no duration such as 30s"))
            })?;
            parsed.0
        }
    };
    Ok(Instant::now() + wished.min(total))
}
