//! The caller's side of an exchange: reads the request, writes the answer, notices who leaves.

use std::cell::Cell;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Version, header};
use pingora_core::protocols::http::{HttpTask, ServerSession};
use pingora_http::{RequestHeader, ResponseHeader};

use super::decode::{Encoding, too_large};
use super::failed::{error_fields, seconds};
use super::fields::{RETRY_AFTER_MS, X_REQUEST_ID, X_SHOULD_RETRY};
use super::surface;
use crate::dialect::{Dialect, Error, Kind};
use crate::route::pick;
use crate::snapshot::ServerSection;

/// How long a write to a caller who does not read may take.
const WRITE_TIMEOUT: Duration = Duration::from_secs(60);

/// How long a refused body goes on being read, so that the caller sees the refusal instead of a reset.
const LINGER: Duration = Duration::from_secs(2);

/// The largest head, in bytes.
pub const HEAD_MAX: usize = 64 * 1024;

/// The most fields of a head.
const FIELDS_MAX: usize = 100;

/// Room for as many fields as an answer has: those of its provider, of limits and of the route, its cost, the request's id, the
/// body's length, and pingora's `date` and `connection`.
pub const FIELDS_USUAL: usize = 24;

/// The caller of one request.
pub struct Caller<'a> {
    session: &'a mut ServerSession,
    /// The id of the request, the caller's own if it is fit to be one.
    pub request_id: String,
    /// What it speaks.
    pub dialect: Dialect,
    is_begun: bool,
}

/// The caller is not there any more.
#[derive(Debug)]
pub struct Gone;

/// What becomes of reading a request.
pub enum Unreadable {
    /// It can be answered with an error.
    Refused(Error),
    /// There is nobody to answer.
    Gone,
}

impl From<Error> for Unreadable {
    fn from(error: Error) -> Self {
        Self::Refused(error)
    }
}

impl<'a> Caller<'a> {
    /// The caller of a session whose head has been read.
    pub fn new(session: &'a mut ServerSession) -> Self {
        session.set_write_timeout(Some(WRITE_TIMEOUT));
        let head = session.req_header();
        let given = surface::request_id(&head.headers);
        let request_id = given.map_or_else(new_request_id, str::to_owned);
        let dialect = surface::dialect(head.uri.path(), &head.headers);
        Self {
            session,
            request_id,
            dialect,
            is_begun: false,
        }
    }

    /// The request's head.
    pub fn head(&self) -> &RequestHeader {
        self.session.req_header()
    }

    /// Checks what HTTP allows and we do not.
    ///
    /// # Errors
    /// [`Kind::HeadersTooLarge`]; [`Kind::InvalidRequest`] for content-length beside transfer-encoding, which two
    /// servers may read differently.
    pub fn check_head(&mut self) -> Result<(), Error> {
        let fields = self.head().headers.len();
        let raw = self
            .session
            .as_http1()
            .map(|session| session.get_headers_raw_bytes());
        let size = raw.as_ref().map_or(0, Bytes::len);
        if fields > FIELDS_MAX || size > HEAD_MAX {
            return Err(large_head());
        }
        // pingora drops content-length when both are there, so only the raw head tells.
        if self.head().headers.contains_key(header::TRANSFER_ENCODING)
            && raw.is_some_and(|raw| has_content_length(&raw))
        {
            self.close_after();
            let message = "content-length and transfer-encoding are both given";
            return Err(Error::new(Kind::InvalidRequest, message));
        }
        Ok(())
    }

    /// The whole body, decompressed.
    pub async fn body(&mut self, server: &ServerSection) -> Result<Bytes, Unreadable> {
        let limit = usize::try_from(server.max_body.0).unwrap_or(usize::MAX);
        let encoding = self.check_body(limit)?;
        if self.expects_continue() && self.session.write_continue_response().await.is_err() {
            return Err(Unreadable::Gone);
        }
        let reading = self.read_body(limit);
        let Ok(read) = pingora_timeout::timeout(server.body_timeout.0, reading).await else {
            self.close_after();
            let message = "the body took longer to arrive than `server.body_timeout`";
            return Err(Error::new(Kind::RequestTimeout, message).into());
        };
        let body = read?;
        if encoding == Encoding::Identity {
            return Ok(body);
        }
        // Off the threads that serve: a small body may become a large one.
        let decoding = tokio::task::spawn_blocking(move || encoding.decode(body, limit));
        let decoded = decoding
            .await
            .unwrap_or_else(|_| Err(Error::new(Kind::Internal, "decompressing the body failed")));
        Ok(decoded?)
    }

    /// What the head says about the body.
    fn check_body(&self, limit: usize) -> Result<Encoding, Error> {
        let fields = &self.head().headers;
        let declared = fields.get(header::CONTENT_LENGTH);
        let declared = declared.and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
        if declared.is_some_and(|length| length > limit as u64) {
            return Err(too_large(limit));
        }
        let media_type = fields.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes);
        if media_type.is_some_and(|media_type| !is_json(media_type)) {
            let message = "the content-type must be application/json";
            return Err(Error::new(Kind::UnsupportedMediaType, message));
        }
        let mut encodings = fields.get_all(header::CONTENT_ENCODING).iter();
        let encoding = Encoding::of(encodings.next().map(HeaderValue::as_bytes))?;
        match encodings.next() {
            Some(_) => Encoding::of(Some(b"several")),
            None => Ok(encoding),
        }
    }

    fn expects_continue(&self) -> bool {
        let expectation = self.head().headers.get(header::EXPECT);
        let is_http11 = self.head().version == Version::HTTP_11;
        is_http11
            && expectation
                .is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue"))
    }

    async fn read_body(&mut self, limit: usize) -> Result<Bytes, Unreadable> {
        let mut whole: Option<BytesMut> = None;
        loop {
            let chunk = match self.session.read_request_body().await {
                Ok(Some(chunk)) => chunk,
                Ok(None) => return Ok(whole.unwrap_or_default().freeze()),
                Err(error) if is_gone(&error) => return Err(Unreadable::Gone),
                Err(_) => {
                    self.close_after();
                    let message = "the body is not framed as HTTP frames it";
                    return Err(Error::new(Kind::InvalidRequest, message).into());
                }
            };
            let held = whole.as_ref().map_or(0, BytesMut::len);
            if held + chunk.len() > limit {
                return Err(too_large(limit).into());
            }
            match &mut whole {
                Some(whole) => whole.extend_from_slice(&chunk),
                None => whole = Some(BytesMut::from(chunk)),
            }
        }
    }

    /// Waits until the caller leaves. Any end of the connection's other half counts, as it does for nginx.
    pub async fn left(&mut self) {
        while self.session.read_body_or_idle(true).await.is_ok() {}
    }

    /// Answers in one piece.
    pub async fn answer(
        &mut self,
        status: StatusCode,
        fields: HeaderMap,
        body: Bytes,
    ) -> Result<(), Gone> {
        let length = (header::CONTENT_LENGTH, HeaderValue::from(body.len()));
        let head = self.answer_head(status, fields, Some(length));
        let tasks = match body.is_empty() {
            true => vec![HttpTask::Header(head, true)],
            false => vec![
                HttpTask::Header(head, false),
                HttpTask::Body(Some(body), true),
            ],
        };
        self.is_begun = true;
        let written = self.session.response_duplex_vec(tasks).await;
        written.map(|_| ()).map_err(|_| Gone)
    }

    /// Answers with an error of our own, and reads on for a moment if the body was refused unread.
    pub async fn refuse(&mut self, error: &Error, mut fields: HeaderMap) -> Result<(), Gone> {
        fields.extend(error_fields(self.dialect, error));
        if let Some(delay) = error.retry_after {
            fields.insert(header::RETRY_AFTER, seconds(delay));
            // OpenAI's SDKs read it; whole seconds are long for a limit per second.
            let milliseconds = delay.as_nanos().div_ceil(1_000_000) as u64;
            fields.insert(&RETRY_AFTER_MS, HeaderValue::from(milliseconds));
        }
        if error.forbids_retry() {
            fields.insert(&X_SHOULD_RETRY, HeaderValue::from_static("false"));
        }
        if error.kind == Kind::Draining {
            self.close_after();
        }
        let body = self.dialect.error_body(error);
        self.answer(error.status(), fields, body).await?;
        if !self.session.is_body_done() {
            let rest = async { while let Ok(Some(_)) = self.session.read_request_body().await {} };
            let _ = pingora_timeout::timeout(LINGER, rest).await;
        }
        Ok(())
    }

    /// Begins a stream with its first frames.
    pub async fn begin_stream(&mut self, fields: HeaderMap, first: Bytes) -> Result<(), Gone> {
        let is_chunked = self.head().version == Version::HTTP_11;
        let chunked = HeaderValue::from_static("chunked");
        let framing = is_chunked.then_some((header::TRANSFER_ENCODING, chunked));
        let head = self.answer_head(StatusCode::OK, fields, framing);
        self.is_begun = true;
        let tasks = vec![
            HttpTask::Header(head, false),
            HttpTask::Body(Some(first), false),
        ];
        let written = self.session.response_duplex_vec(tasks).await;
        written.map(|_| ()).map_err(|_| Gone)
    }

    /// Sends frames of a stream at once.
    pub async fn send(&mut self, frames: Bytes) -> Result<(), Gone> {
        if frames.is_empty() {
            return Ok(());
        }
        let written = self.session.write_response_body(frames, false).await;
        written.map_err(|_| Gone)
    }

    /// Ends a stream of which no frame has been sent with an error of ours.
    pub async fn fail_stream(&mut self, error: &Error) -> Result<(), Gone> {
        self.send(self.dialect.error_event(error)).await?;
        self.end_stream().await
    }

    /// Ends a stream as HTTP ends it.
    pub async fn end_stream(&mut self) -> Result<(), Gone> {
        self.session.finish_body().await.map_err(|_| Gone)
    }

    /// Whether the head of an answer has been sent.
    pub fn is_begun(&self) -> bool {
        self.is_begun
    }

    /// The connection closes behind this answer.
    pub fn close_after(&mut self) {
        self.session.set_keepalive(None);
    }

    /// Put together as `http` has it: pingora's own way writes each name down and reads it again.
    fn answer_head(
        &self,
        status: StatusCode,
        mut fields: HeaderMap,
        framing: Option<(HeaderName, HeaderValue)>,
    ) -> Box<ResponseHeader> {
        if let Ok(id) = HeaderValue::from_str(&self.request_id) {
            fields.insert(&X_REQUEST_ID, id);
        }
        if let Some((name, value)) = framing {
            fields.insert(name, value);
        }
        let (mut head, ()) = http::Response::new(()).into_parts();
        (head.status, head.headers) = (status, fields);
        Box::new(head.into())
    }
}

/// The head is over a limit.
pub fn large_head() -> Error {
    let message = format!("the head has more than {FIELDS_MAX} fields or {HEAD_MAX} bytes");
    Error::new(Kind::HeadersTooLarge, message)
}

/// An id for a request that brought none: unique, and not to be guessed from another process's. No secret depends on it.
pub fn new_request_id() -> String {
    let halves = [unlike_any_other(), unlike_any_other()];
    let mut id = String::with_capacity(36);
    id.push_str("req_");
    for half in halves {
        let digits = (0..16)
            .rev()
            .map(|digit| (half >> (4 * digit) & 0xf) as usize);
        id.extend(digits.map(|digit| char::from(b"0123456789abcdef"[digit])));
    }
    id
}

/// Bits that hardly any other call has had, in this process or another: without a system call, or anything that cores share.
pub(super) fn unlike_any_other() -> u64 {
    thread_local! {
        static THREAD: (u64, Cell<u64>) = (RandomState::new().hash_one(0), Cell::new(0));
    }
    THREAD.with(|(chance, place)| {
        place.set(place.get() + 1);
        pick::number(*chance, place.get())
    })
}

fn has_content_length(raw: &[u8]) -> bool {
    let name = b"content-length";
    raw.split(|byte| *byte == b'\n').any(|line| {
        line.split_at_checked(name.len())
            .is_some_and(|(start, rest)| {
                start.eq_ignore_ascii_case(name) && rest.trim_ascii_start().starts_with(b":")
            })
    })
}

fn is_json(media_type: &[u8]) -> bool {
    let essence = media_type
        .split(|byte| *byte == b';')
        .next()
        .unwrap_or_default();
    let essence = essence.trim_ascii().to_ascii_lowercase();
    essence == b"application/json" || essence.ends_with(b"+json")
}

fn is_gone(error: &pingora_core::BError) -> bool {
    use pingora_core::ErrorType::{ConnectionClosed, H2Error, ReadError};
    matches!(error.etype(), ConnectionClosed | ReadError | H2Error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_comes_under_several_names() {
        for (media_type, is) in [
            ("application/json", true),
            ("Application/JSON; charset=utf-8", true),
            ("application/vnd.api+json", true),
            ("text/plain", false),
            ("application/x-www-form-urlencoded", false),
        ] {
            assert_eq!(is_json(media_type.as_bytes()), is, "{media_type}");
        }
    }

    #[test]
    fn content_length_is_found_in_the_raw_head() {
        assert!(has_content_length(
            b"POST / HTTP/1.1\r\nhost: x\r\nContent-Length: 3\r\n\r\n"
        ));
        assert!(!has_content_length(
            b"POST / HTTP/1.1\r\nx-content-length: 3\r\n\r\n"
        ));
    }
}
