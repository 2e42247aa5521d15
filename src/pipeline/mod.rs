//! The life of a request, top to bottom: [`handle`] is the one place that knows all of it.
//!
//! Invariant: what a request takes is given back by a guard when it ends, however it ends.

mod admit;
mod answer;
mod around;
mod asked;
mod attempt;
mod bill;
mod bound;
mod caller;
mod decode;
mod embed;
mod explain;
mod failed;
mod failures;
mod fare;
mod fields;
mod flight;
mod gateway;
mod hedge;
mod judge;
mod mark;
mod meter;
mod money;
mod past;
mod plan;
mod record;
mod resume;
mod route;
mod seam;
mod settle;
mod signed;
mod stored;
mod stream;
mod surface;
mod tap;
mod trial;
mod way;

pub use caller::{HEAD_MAX, large_head, new_request_id};
pub use explain::{Circumstances, Explanation, explain};
pub use gateway::{Drain, Gateway, Notice, Stage};

use std::borrow::Cow;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use chrono::Utc;
use pingora_core::protocols::http::ServerSession;

use crate::access::{Key, NotIdentified};
use crate::config::nearest;
use crate::dialect::{Dialect, Error, Framing, Incoming, Kind};
use crate::route::{Model, Target};
use crate::snapshot::Snapshot;
use crate::spend::prices::Unknown;
use admit::admit;
use asked::Asked;
use bill::Bill;
use caller::{Caller, Gone, Unreadable};
use record::Record;
use resume::Resume;
use route::{Routed, Walk};
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
            let fields = answer::tell(&record, error.kind.code(), []);
            let told = match caller.is_begun() {
                // Comments have kept his connection alive: that was a 200.
                true => {
                    record.failed(200, &error, detail);
                    caller.fail_stream(&error).await
                }
                false => {
                    record.failed(error.status().as_u16(), &error, detail);
                    caller.refuse(&error, fields).await
                }
            };
            if told.is_err() {
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
    let incoming = Arc::new(Incoming::read(ask.operation, body, ask.path)?);
    record.incoming = Some(incoming.clone());
    record.stream = incoming.stream;
    let (model, star) = permitted(&incoming.model, snapshot, &key)?;
    let name = match *incoming.model == *model.name {
        true => model.name.clone(),
        false => incoming.model.as_str().into(),
    };
    record.model = Some((name, model.clone()));
    let payers = key.payers(&model.name);
    let asked = Asked {
        gateway,
        snapshot,
        incoming: &incoming,
        key: &key,
        payers,
        model,
        star,
        framing: ask.framing,
        fields: surface::passed_on(&caller.head().headers),
        deadline: asked::deadline(caller, model.total)?,
        start_at: asked::start_at(caller, &key, model)?,
        is_thrifty: money::is_thrifty(gateway, &key, payers, &incoming),
        is_metered: surface::wants_cost(&caller.head().headers, &incoming),
        keeps_alive: incoming.stream
            && model.has_gates()
            && ask.framing == Framing::Events
            && caller.dialect != Dialect::Bedrock,
        demand: OnceLock::new(),
        request: OnceLock::new(),
    };

    // 4. Admit.
    ledger_has_room(gateway).await?;
    admit(&asked, caller, record).await?;

    // 5. Hide, 6. look up: each has its line here when its room is built.

    // 7. Route.
    let mut walk = Walk::new(&asked);
    let routed = match walk.go_on(&asked, caller, record).await {
        Ok(routed) => routed,
        Err(end) => return Err(for_nothing(end, record)),
    };

    // 9. Answer. 10. Settle: the record does, when it is dropped.
    match routed {
        Routed::Whole(whole) => answer::whole(*whole, caller, record).await,
        Routed::Stream(stream, target) => {
            let resume = model.continues.then(|| Resume::new(&asked, walk));
            Box::pin(answer::stream(
                *stream, target, resume, gateway, caller, record,
            ))
            .await
        }
        Routed::Uncounted(target) => {
            Box::pin(answer::estimate(&incoming, &target, caller, record)).await
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

/// A request that was refused before anybody was asked, for now, counts for nothing.
fn for_nothing(end: End, record: &mut Record<'_>) -> End {
    let is_for_now = |kind| {
        matches!(
            kind,
            Kind::RateLimited | Kind::QuotaSpent | Kind::StateLost | Kind::NoHealthyTarget
        )
    };
    if let End::Refused(refusal) = &end
        && record.attempts == 0
        && is_for_now(refusal.error.kind)
        && let Some(admission) = record.admission.take()
    {
        admission.cancel();
    }
    end
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

/// The model that is asked for, if the key may use it, and what the `*` of its name stands for.
fn permitted<'a>(
    name: &'a str,
    snapshot: &'a Snapshot,
    key: &Key,
) -> Result<(&'a Arc<Model>, &'a str), Error> {
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

/// Whether the target has a price, where it must have one.
fn check_priced(bill: &Bill, snapshot: &Snapshot, target: &Target) -> Result<(), Error> {
    if bill.tariff.is_some() || snapshot.prices.unknown == Unknown::Meter {
        return Ok(());
    }
    Err(not_priced(format!(
        "the target `{}` has no price, and the gateway calls only targets that have one",
        target.name
    )))
}

fn not_priced(message: String) -> Error {
    let mut error = Error::new(Kind::ModelNotPriced, message);
    error.param = Some("model".to_owned());
    error
}

/// How long a request waits for the ledger to keep up.
const LEDGER_WAIT: Duration = Duration::from_secs(10);

/// Waits until the ledger can take what this request will have used. It can at once, as long as its store works.
async fn ledger_has_room(gateway: &Gateway) -> Result<(), Error> {
    let Some(ledger) = gateway.ledger.as_ref().filter(|ledger| !ledger.has_room()) else {
        return Ok(());
    };
    let room = Box::pin(pingora_timeout::timeout(LEDGER_WAIT, ledger.admit()));
    room.await.map_err(|_| {
        let message = "the gateway cannot record what requests cost at present; try again later";
        Error::new(Kind::LedgerBehind, message).retry_after(LEDGER_WAIT)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ProcessEnvironment;
    use crate::provider::Dialer;
    use crate::snapshot::{QUICKSTART, QUICKSTART_NAME};
    use crate::spend::ledger::{Ledger, QUEUE_MAX, Row};
    use crate::telemetry::{Log, Metrics};

    /// A future is moved and allocated with every request, so what is rare must not swell it: see `Upstream::post`.
    #[test]
    fn a_request_in_flight_is_small() {
        fn size<F: Future>(_: fn(&'static Gateway, &'static mut ServerSession) -> F) -> usize {
            size_of::<F>()
        }
        assert!(size(handle) <= 7 * 1024, "{} bytes", size(handle));
    }

    /// Takes as long as a request waits at most.
    #[tokio::test]
    async fn requests_wait_for_a_full_ledger_and_are_refused_when_it_stays_full() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tollgate.db");
        let gateway = gateway_with_ledger(&path);
        assert_eq!(ledger_has_room(&gateway).await, Ok(()));

        let holder = rusqlite::Connection::open(&path).unwrap();
        holder.execute_batch("BEGIN EXCLUSIVE").unwrap();
        let ledger = gateway.ledger.as_ref().unwrap();
        (0..QUEUE_MAX).for_each(|_| ledger.push(&row()));
        let refused = ledger_has_room(&gateway).await.unwrap_err();
        assert_eq!(refused.kind, Kind::LedgerBehind);
        assert_eq!(refused.status(), http::StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(refused.kind.code(), "ledger_unavailable");
        assert_eq!(refused.retry_after, Some(LEDGER_WAIT));

        let (waited, released) = tokio::join!(ledger_has_room(&gateway), async {
            holder.execute_batch("ROLLBACK")
        });
        assert_eq!((waited, released), (Ok(()), Ok(())));
        assert!(gateway.close_ledger(Duration::from_secs(60)));
    }

    fn gateway_with_ledger(path: &std::path::Path) -> Gateway {
        let text = format!("{QUICKSTART}\nledger: sqlite:{}\n", path.display());
        let (dialer, environment) = (Arc::new(Dialer::new()), ProcessEnvironment);
        let reading = Snapshot::read(QUICKSTART_NAME, &text, &environment, &dialer, None);
        let snapshot = reading.snapshot.expect("a good file");
        let metrics = Metrics::new();
        let log = Log::start(snapshot.log, metrics.log_lines_dropped());
        let settings = snapshot.ledger.as_ref().expect("the file names one");
        let ledger = Ledger::open(settings, |_, _, _| {}).expect("a folder of our own");
        Gateway::new(snapshot, Some(Arc::new(ledger)), None, metrics, log)
    }

    fn row() -> Row<'static> {
        Row {
            id: uuid::Uuid::now_v7(),
            time_ms: Utc::now().timestamp_millis(),
            ..Row::default()
        }
    }
}
