//! Step 9: the answer, in one piece or as a stream.

use bytes::Bytes;
use http::{HeaderName, HeaderValue, StatusCode, header};

use super::attempt::{Whole, to_error};
use super::caller::Caller;
use super::fields;
use super::gateway::{Gateway, Stage};
use super::record::Record;
use super::stream::{Ending, Stream};
use super::{End, Refusal, draining, permitted};
use crate::access::Key;
use crate::dialect::{Error, openai};
use crate::route::Target;
use crate::snapshot::Snapshot;

/// The models that the key may use.
pub(super) async fn list_models(
    snapshot: &Snapshot,
    key: &Key,
    caller: &mut Caller<'_>,
    record: &mut Record<'_>,
) -> Result<(), End> {
    let usable = snapshot.models.names().filter(|name| key.may_use(name));
    answer_json(openai::model_list(usable), caller, record).await
}

/// One model, if the key may use it.
pub(super) async fn show_model(
    name: &str,
    snapshot: &Snapshot,
    key: &Key,
    caller: &mut Caller<'_>,
    record: &mut Record<'_>,
) -> Result<(), End> {
    permitted(name, snapshot, key)?;
    answer_json(openai::model(name), caller, record).await
}

async fn answer_json(
    body: Bytes,
    caller: &mut Caller<'_>,
    record: &mut Record<'_>,
) -> Result<(), End> {
    record.answered(200);
    let fields = vec![(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    )];
    Ok(caller.answer(StatusCode::OK, fields, body).await?)
}

/// A whole answer, or the provider's own error.
pub(super) async fn whole(
    whole: Whole,
    caller: &mut Caller<'_>,
    record: &mut Record<'_>,
) -> Result<(), End> {
    record.usage = whole.usage;
    record.answered(whole.status.as_u16());
    let verdict = match whole.status.is_success() {
        true => "ok",
        false => whole.status.as_str(),
    };
    let mut fields = whole.fields;
    fields.extend(route_fields(record, verdict));
    Ok(caller.answer(whole.status, fields, whole.body).await?)
}

/// A stream, piece by piece as it comes.
pub(super) async fn stream(
    mut stream: Stream,
    target: &Target,
    gateway: &Gateway,
    caller: &mut Caller<'_>,
    record: &mut Record<'_>,
) -> Result<(), End> {
    record.first_token();
    let mut fields = std::mem::take(&mut stream.fields);
    fields.push((header::CACHE_CONTROL, HeaderValue::from_static("no-cache")));
    fields.extend(route_fields(record, "ok"));
    let mut fields = Some(fields);
    let cut = gateway.drain.reached(Stage::Cutting);
    tokio::pin!(cut);
    loop {
        let next = tokio::select! {
            biased;
            next = stream.next() => next,
            () = caller.left() => return Err(End::Gone),
            () = &mut cut => return end_with_error(draining(), None, caller, record).await,
        };
        record.usage = stream.usage();
        let piece = match next {
            Ok(piece) => piece,
            Err(failure) => {
                let error = to_error(&target.provider.name, &failure);
                return end_with_error(error, Some(failure.detail), caller, record).await;
            }
        };
        match fields.take() {
            Some(fields) => caller.begin_stream(fields, piece.frames).await?,
            None => caller.send(piece.frames).await?,
        }
        let Some(ending) = piece.ending else { continue };
        match ending {
            Ending::Complete => record.answered(200),
            Ending::Failed => record.upstream_failed(200),
        }
        caller.end_stream().await?;
        tokio::spawn(stream.finish());
        return Ok(());
    }
}

/// Ends a stream that has begun and cannot be completed: an error event, and no ending of the dialect's.
async fn end_with_error(
    error: Error,
    detail: Option<String>,
    caller: &mut Caller<'_>,
    record: &mut Record<'_>,
) -> Result<(), End> {
    if !caller.is_begun() {
        return Err(End::Refused(Box::new(Refusal { error, detail })));
    }
    record.failed(200, &error, detail);
    caller.send(openai::error_event(&error)).await?;
    Ok(caller.end_stream().await?)
}

/// What the caller is told of the route that its request took.
pub(super) fn route_fields(record: &Record<'_>, verdict: &str) -> Vec<(HeaderName, HeaderValue)> {
    let Some(target) = &record.target else {
        return Vec::new();
    };
    let route = [target, ";", verdict].concat();
    let told = [
        (&fields::X_MODEL, HeaderValue::from_str(target)),
        (&fields::X_ATTEMPTS, Ok(HeaderValue::from(record.attempts))),
        (&fields::X_ROUTE, HeaderValue::from_str(&route)),
        (&fields::X_CACHE, Ok(HeaderValue::from_static("off"))),
    ];
    // A wildcard's model may hold what no header can: then it is left out.
    let fit = told.into_iter();
    fit.filter_map(|(name, value)| Some((name.clone(), value.ok()?)))
        .collect()
}
