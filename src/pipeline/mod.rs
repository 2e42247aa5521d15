//! The life of a request, top to bottom: [`handle`] is the one place that knows all of it.
//!
//! Invariant: what a request takes is given back by a guard when it ends, however it ends.

mod answer;
mod attempt;
mod caller;
mod decode;
mod embed;
mod fields;
mod gateway;
mod plan;
mod record;
mod signed;
mod stored;
mod stream;
mod surface;
mod way;

pub use caller::{HEAD_MAX, large_head, new_request_id};
pub use gateway::{Drain, Gateway, Stage};

use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::Utc;
use pingora_core::protocols::http::ServerSession;

use crate::access::{Key, NotIdentified};
use crate::config::nearest;
use crate::dialect::{Error, Incoming, Kind, Operation};
use crate::route::{Model, Target};
use crate::snapshot::Snapshot;
use crate::telemetry::Level;
use attempt::{Attempt, NoAnswer, Reply};
use caller::{Caller, Gone, Unreadable};
use plan::Plan;
use record::Record;
use signed::Signed;
use surface::Surface;

/// Answers one request whose head has been read.
pub async fn handle(gateway: &Gateway, session: &mut ServerSession) {
    let mut caller = Caller::new(session);
    let snapshot = gateway.snapshot();
    let mut record = Record::new(gateway, snapshot.clone(), &caller.request_id);

    let served = serve(gateway, &snapshot, &mut caller, &mut record).await;
    match served {
        Ok(()) => {}
        Err(End::Gone) => record.left(),
        Err(End::Refused(refusal)) => {
            let Refusal { error, detail } = *refusal;
            let fields = answer::route_fields(&record, error.kind.code());
            record.failed(error.status().as_u16(), &error, detail);
            if caller.refuse(&error, fields).await.is_err() {
                record.left();
            }
        }
    }
}

/// The life of a request that ends well. Every other end is an [`End`].
async fn serve(
    gateway: &Gateway,
    snapshot: &Snapshot,
    caller: &mut Caller<'_>,
    record: &mut Record<'_>,
) -> Result<(), End> {
    // 1. Read the head.
    caller.check_head()?;
    if gateway.drain.stage() >= Stage::Closing {
        return Err(draining().into());
    }
    let uri = &caller.head().uri;
    let surface = Surface::of(&caller.head().method, uri, caller.dialect)?;

    // 2. Identify: whose key is it?
    let signed = Signed::read(caller.head(), snapshot.aws_secret())?;
    let presented = match &signed {
        Some(signed) => Cow::Borrowed(signed.secret()),
        None => surface::credential(&caller.head().headers, uri.query())?,
    };
    let identified = snapshot.keys.identify(&presented, Utc::now());
    let key = identified.map_err(unidentified)?.clone();
    record.key = Some(key.clone());
    let ask = match surface {
        Surface::Ask(ask) => ask,
        _ if signed.is_some() => return Err(unidentified(NotIdentified::Unknown).into()),
        other => return Box::pin(answer::other(other, snapshot, &key, caller, record)).await,
    };

    // 1. Read the body, now that somebody is known to pay for it.
    let body = caller.body(&snapshot.server).await?;
    if let Some(signed) = signed {
        signed.check(&body)?;
    }

    // 3. Validate: shape, and what the key may use.
    let incoming = Incoming::read(ask.operation, body, ask.path)?;
    record.stream = incoming.stream;
    let (model, target) = permitted(&incoming.model, snapshot, &key)?;
    record.model = Some((incoming.model.clone(), model.clone()));

    // 4. Admit, 5. hide, 6. look up: each has its line here when its room is built.

    // 7. Route: one target, one attempt, in the target's dialect.
    let plan = match ask.operation {
        Operation::Generate(_) => Plan::text(&incoming, ask.framing, &key, model, &target)?,
        Operation::Embed(_) => Plan::embeddings(&incoming, model, &target)?,
        Operation::CountTokens(_) => match Plan::count(&incoming, &target)? {
            Some(plan) => plan,
            None => {
                return Box::pin(answer::estimate(&incoming, &target, caller, record)).await;
            }
        },
    };
    let attempt = Attempt {
        incoming: &incoming,
        plan: &plan,
        target: &target,
        fields: &surface::passed_on(&caller.head().headers),
        timeouts: model.timeouts,
        deadline: deadline(caller, model.timeouts.total)?,
        max_answer: snapshot.server.max_answer.0,
    };
    record.target = Some(target.name());
    record.attempts = 1;
    let reply = tokio::select! {
        biased;
        reply = attempt.run() => reply.map_err(|none| report(gateway, &target, none))?,
        () = caller.left() => return Err(End::Gone),
        () = gateway.drain.reached(Stage::Cutting) => return Err(draining().into()),
    };

    // 9. Answer. 10. Settle: the record does, when it is dropped.
    match reply {
        Reply::Whole(whole) => answer::whole(whole, caller, record).await,
        Reply::Stream(stream) => {
            Box::pin(answer::stream(*stream, &target, gateway, caller, record)).await
        }
    }
}

/// Why a request did not end well.
enum End {
    /// It is answered with an error.
    Refused(Box<Refusal>),
    /// The caller left.
    Gone,
}

/// An error for the caller, and what the operator is told besides.
struct Refusal {
    error: Error,
    detail: Option<String>,
}

impl From<Error> for End {
    fn from(error: Error) -> Self {
        Self::Refused(Box::new(Refusal {
            error,
            detail: None,
        }))
    }
}

impl From<Gone> for End {
    fn from(_: Gone) -> Self {
        Self::Gone
    }
}

impl From<Unreadable> for End {
    fn from(unreadable: Unreadable) -> Self {
        match unreadable {
            Unreadable::Refused(error) => error.into(),
            Unreadable::Gone => Self::Gone,
        }
    }
}

fn draining() -> Error {
    // Another replica, or the next process, may answer: the caller's SDK shall try.
    Error::new(Kind::Draining, "the gateway is about to end; try again")
        .retry_after(Duration::from_secs(1))
}

fn unidentified(why: NotIdentified) -> Error {
    let message = match why {
        NotIdentified::Unknown => "the API key is not known here",
        NotIdentified::Expired => "the API key has expired",
    };
    Error::new(Kind::InvalidApiKey, message)
}

/// The model that is asked for, if the key may use it.
fn permitted<'a>(
    name: &str,
    snapshot: &'a Snapshot,
    key: &Key,
) -> Result<(&'a Arc<Model>, Target), Error> {
    let Some(found) = snapshot.models.find(name) else {
        let usable = snapshot.models.names().filter(|name| key.may_use(name));
        let hint = match nearest(name, usable) {
            Some(nearest) => format!("did you mean `{nearest}`?"),
            None => "GET /v1/models lists those that this key may use".to_owned(),
        };
        let message = format!("there is no model `{name}`; {hint}");
        let mut error = Error::new(Kind::ModelNotFound, message);
        error.param = Some("model".to_owned());
        return Err(error);
    };
    if !key.may_use(name) {
        let message = format!("this key may not use the model `{name}`");
        let mut error = Error::new(Kind::ModelNotAllowed, message);
        error.param = Some("model".to_owned());
        return Err(error);
    }
    Ok(found)
}

/// When the answer must be there: the model's limit, or an earlier one that the caller sets.
fn deadline(caller: &Caller<'_>, total: Duration) -> Result<Instant, Error> {
    let wished = match caller.head().headers.get(&fields::X_TIMEOUT) {
        None => total,
        Some(value) => {
            let parsed = value.to_str().ok().and_then(|text| text.parse().ok());
            let parsed: crate::config::units::Duration = parsed.ok_or_else(|| {
                let field = fields::X_TIMEOUT.as_str();
                Error::invalid(field, format!("`{field}` is no duration such as 30s"))
            })?;
            parsed.0
        }
    };
    Ok(Instant::now() + wished.min(total))
}

/// Tells the operator what the caller is not told.
fn report(gateway: &Gateway, target: &Target, none: NoAnswer) -> End {
    if let Some(status) = none.refused_credential {
        let fields = [
            ("provider", target.provider.name.as_str()),
            ("status", status.as_str()),
        ];
        gateway
            .log
            .event(Level::Error, "the provider refused our credential", &fields);
    }
    End::Refused(Box::new(Refusal {
        error: none.error,
        detail: Some(none.detail),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A future is moved and allocated with every request, so what is rare must not swell it: see `Upstream::post`.
    #[test]
    fn a_request_in_flight_is_small() {
        fn size<F: Future>(_: fn(&'static Gateway, &'static mut ServerSession) -> F) -> usize {
            size_of::<F>()
        }
        assert!(size(handle) <= 6 * 1024, "{} bytes", size(handle));
    }
}
