//! Step 9: the answer, in one piece or as a stream.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use tokio::sync::Semaphore;

use super::admit::tell_left;
use super::attempt::Whole;
use super::caller::{Caller, FIELDS_USUAL};
use super::failed::to_error;
use super::fields;
use super::gateway::{Gateway, Stage};
use super::record::Record;
use super::resume::Resume;
use super::settle::Evidence;
use super::stored;
use super::stream::{Ending, Stream};
use super::surface::Surface;
use super::trial::Trial;
use super::{End, Refusal, draining, permitted};
use crate::access::Key;
use crate::dialect::{Error, Framing, Incoming, Kind, count, model, model_list};
use crate::route::Target;
use crate::route::health::{Ended, Fault};
use crate::snapshot::Snapshot;
use crate::spend;

/// How many requests are counted at once: each may keep a core busy for a second.
static COUNTING: Semaphore = Semaphore::const_new(2);

/// What asks no model: which models there are, and responses that are kept.
pub(super) async fn other(
    surface: Surface,
    snapshot: &Snapshot,
    key: &Key,
    caller: &mut Caller<'_>,
    record: &mut Record<'_>,
) -> Result<(), End> {
    let body = match surface {
        Surface::ListModels(dialect) => model_list(
            dialect,
            snapshot.models.names().filter(|name| key.may_use(name)),
        ),
        Surface::ShowModel(dialect, name) => {
            permitted(&name, snapshot, key)?;
            model(dialect, &name)
        }
        Surface::Stored(verb, id) => {
            let fetched = stored::fetch(verb, &id, snapshot, key, caller).await?;
            return whole(fetched, caller, record).await;
        }
        Surface::Ask(_) => return Err(Error::new(Kind::Internal, "not asked here").into()),
    };
    answer_json(body, HeaderMap::new(), caller, record).await
}

/// A count of tokens of our own, for a target that counts none.
pub(super) async fn estimate(
    incoming: &Incoming,
    target: &Target,
    caller: &mut Caller<'_>,
    record: &mut Record<'_>,
) -> Result<(), End> {
    let dialect = caller.dialect;
    let request = count::read_request(dialect, incoming.body(), &incoming.model)?;
    let family = spend::Family::of(&target.model);
    let counted = async {
        let permit = COUNTING.acquire().await;
        let counting = tokio::task::spawn_blocking(move || {
            // Held to the end of the work, which goes on when the caller leaves.
            let _permit = permit;
            spend::input_tokens(&request, family)
        });
        counting
            .await
            .map_err(|_| Error::new(Kind::Internal, "the tokens could not be counted"))
    };
    let tokens = tokio::select! {
        biased;
        tokens = counted => tokens?,
        () = caller.left() => return Err(End::Gone),
    };
    let mut fields = HeaderMap::new();
    fields.insert(&fields::X_ESTIMATED, HeaderValue::from_static("true"));
    let body = Bytes::from(count::write_answer(dialect, tokens));
    answer_json(body, fields, caller, record).await
}

async fn answer_json(
    body: Bytes,
    mut fields: HeaderMap,
    caller: &mut Caller<'_>,
    record: &mut Record<'_>,
) -> Result<(), End> {
    record.answered(200);
    let json = HeaderValue::from_static("application/json");
    fields.insert(header::CONTENT_TYPE, json);
    Ok(caller.answer(StatusCode::OK, fields, body).await?)
}

/// Puts down what a whole answer has used.
pub(super) fn account(whole: &mut Whole, trial: &mut Trial) {
    match (whole.usage, whole.unreported.take()) {
        (Some(usage), _) => trial.used(usage, whole.tier),
        (None, Some(unreported)) => {
            trial.evidence = Some(Box::new(Evidence {
                whole: Some(unreported),
                ..Evidence::default()
            }));
        }
        (None, None) => trial.free(),
    }
}

/// Puts down what a stream has used that is over, or of which no more will be read.
pub(super) fn conclude(stream: &mut Stream, trial: &mut Trial) {
    let output_tokens = stream.usage().map(|(usage, _)| usage.output_tokens);
    match (stream.is_complete(), stream.is_over()) {
        (true, _) => trial.ended(Ended::Well { output_tokens }),
        (false, true) => trial.ended(Ended::Fault(Fault::Failed("error_event"))),
        // Not its fault, or told already.
        (false, false) => {}
    }
    match stream.usage() {
        Some((usage, tier)) if stream.is_complete() => trial.used(usage, tier),
        reported => {
            trial.evidence = Some(Box::new(Evidence {
                reported: reported.map(|(usage, _)| usage),
                said: stream.take_said(),
                whole: None,
            }));
        }
    }
}

/// Tells a caller whose stream is held back that it is still to come.
pub(super) async fn keep_alive(caller: &mut Caller<'_>, record: &Record<'_>) -> Result<(), End> {
    let comment = Bytes::from_static(b": the answer is being judged\n\n");
    if caller.is_begun() {
        return Ok(caller.send(comment).await?);
    }
    let media_type = HeaderValue::from_static(Framing::Events.media_type());
    let fields = [(header::CONTENT_TYPE, media_type), NOT_KEPT];
    let fields = tell(record, "held", fields);
    Ok(caller.begin_stream(fields, comment).await?)
}

/// A whole answer, or the provider's own error.
pub(super) async fn whole(
    mut whole: Whole,
    caller: &mut Caller<'_>,
    record: &mut Record<'_>,
) -> Result<(), End> {
    if let Some(trial) = record.answering() {
        account(&mut whole, trial);
    }
    record.answered(whole.status.as_u16());
    let verdict = match whole.status.is_success() {
        true => "ok",
        false => whole.status.as_str(),
    };
    let mut fields = tell(record, verdict, whole.fields);
    if whole.status.is_success()
        && let Some(cost) = record.cost()
        && let Ok(cost) = HeaderValue::try_from(cost.to_string())
    {
        fields.insert(&fields::X_COST, cost);
    }
    Ok(caller.answer(whole.status, fields, whole.body).await?)
}

/// A stream, piece by piece as it comes. Where it breaks, another target may go on by way of `resume`.
pub(super) async fn stream(
    mut stream: Stream,
    mut target: Target,
    resume: Option<Resume<'_, '_>>,
    gateway: &Gateway,
    caller: &mut Caller<'_>,
    record: &mut Record<'_>,
) -> Result<(), End> {
    record.first_token();
    let forwarded = forward(&mut stream, &mut target, resume, gateway, caller, record).await;
    if let Some(trial) = record.answering() {
        conclude(&mut stream, trial);
    }
    if forwarded.is_ok() && stream.is_over() {
        tokio::spawn(stream.finish());
    }
    forwarded
}

async fn forward(
    stream: &mut Stream,
    target: &mut Target,
    mut resume: Option<Resume<'_, '_>>,
    gateway: &Gateway,
    caller: &mut Caller<'_>,
    record: &mut Record<'_>,
) -> Result<(), End> {
    let fields = std::mem::take(&mut stream.fields);
    let fields = tell(record, "ok", fields.into_iter().chain([NOT_KEPT]));
    if caller.is_begun() {
        // Its head has left before this was known.
        caller.send(comment_of(&fields)).await?;
    }
    let mut fields = Some(fields);
    let cut = gateway.drain.reached(Stage::Cutting);
    tokio::pin!(cut);
    loop {
        let next = tokio::select! {
            biased;
            next = stream.next() => next,
            () = caller.left() => return Err(End::Gone),
            () = &mut cut => return end_with_error(stream, draining(), None, caller, record).await,
        };
        let broken = match next {
            Ok(piece) => {
                match fields.take().filter(|_| !caller.is_begun()) {
                    Some(fields) => caller.begin_stream(fields, piece.frames).await?,
                    None => caller.send(piece.frames).await?,
                }
                match piece.ending {
                    None => continue,
                    Some(Ending::Complete) => {
                        record.answered(200);
                        return Ok(caller.end_stream().await?);
                    }
                    Some(Ending::Failed) => None,
                }
            }
            Err(failure) => Some(failure),
        };
        if let Some(resume) = &mut resume
            && Box::pin(resume.go_on(stream, target, broken.as_ref(), caller, record)).await?
        {
            continue;
        }
        match broken {
            None if stream.give_up() => {}
            None => {
                record.upstream_failed(200);
                return Ok(caller.end_stream().await?);
            }
            Some(failure) => {
                if let Some(trial) = record.answering() {
                    let fault = Fault::Failed(failure.kind.word());
                    trial.ended(Ended::Fault(fault));
                }
                let error = to_error(&target.provider.name, &failure);
                let detail = Some(failure.detail);
                return end_with_error(stream, error, detail, caller, record).await;
            }
        }
    }
}

/// Who answers and by which route, as a comment in the stream.
pub(super) fn comment_of(fields: &HeaderMap) -> Bytes {
    let told = [&fields::X_MODEL, &fields::X_ATTEMPTS, &fields::X_ROUTE];
    let told = told
        .into_iter()
        .filter_map(|name| Some((name, fields.get(name)?)));
    let mut comment = Vec::new();
    for (name, value) in told {
        comment.extend(
            [
                b": ",
                name.as_str().as_bytes(),
                b": ",
                value.as_bytes(),
                b"\n",
            ]
            .concat(),
        );
    }
    comment.push(b'\n');
    Bytes::from(comment)
}

/// Ends a stream that has begun and cannot be completed: an error event, and no ending of the dialect's.
async fn end_with_error(
    stream: &mut Stream,
    error: Error,
    detail: Option<String>,
    caller: &mut Caller<'_>,
    record: &mut Record<'_>,
) -> Result<(), End> {
    if !caller.is_begun() {
        return Err(End::Refused(Box::new(Refusal { error, detail })));
    }
    record.failed(200, &error, detail);
    caller.send(stream.error_event(&error)).await?;
    Ok(caller.end_stream().await?)
}

/// The fields of an answer, and what the caller is told besides: the limits that are near, and the route that its request took.
pub(super) fn tell(
    record: &Record<'_>,
    verdict: &str,
    fields: impl IntoIterator<Item = (HeaderName, HeaderValue)>,
) -> HeaderMap {
    let mut told = HeaderMap::with_capacity(FIELDS_USUAL);
    told.extend(fields);
    tell_left(&record.left, &mut told);
    if let Some(max) = record.output_max {
        told.insert(&fields::X_MAX_TOKENS, HeaderValue::from(max));
    }
    let Some(place) = record.place() else {
        return told;
    };
    let mut route = String::with_capacity(64);
    for (target, verdict) in record.route(verdict) {
        let comma = if route.is_empty() { "" } else { ", " };
        route.extend([comma, target, ";", verdict]);
    }
    // A wildcard's model may hold what no header can: then it is left out.
    if let Ok(target) = HeaderValue::from_str(&place.target) {
        told.insert(&fields::X_MODEL, target);
    }
    told.insert(&fields::X_ATTEMPTS, HeaderValue::from(record.attempts));
    if let Ok(route) = HeaderValue::try_from(route) {
        told.insert(&fields::X_ROUTE, route);
    }
    told.insert(&fields::X_CACHE, HeaderValue::from_static("off"));
    told
}

/// Nobody may keep a stream.
const NOT_KEPT: (HeaderName, HeaderValue) =
    (header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
