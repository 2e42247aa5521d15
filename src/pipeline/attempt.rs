//! One call to one target: send, watch, judge.
//!
//! An answer is let through only when it is known to be one: a whole answer when all of it has come, a stream when its
//! first frame has. Until then a failure is still a plain status for the caller, and could be tried elsewhere.

use std::pin::pin;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderName, HeaderValue, StatusCode, header};

use super::fields::X_UPSTREAM_REQUEST_ID;
use super::stream::Stream;
use crate::dialect::openai::{self, Request};
use crate::dialect::{Endpoint, Error, Kind, Usage};
use crate::provider::{Answer, Call, Failure, FailureKind, Head, Phase, Timeouts};
use crate::route::Target;

/// The largest error answer that is passed on, in bytes. A page that is larger is no answer of an API.
const ERROR_ANSWER_MAX: u64 = 64 * 1024;

/// What a call needs to know.
pub struct Attempt<'a> {
    /// What is asked for.
    pub endpoint: Endpoint,
    /// The caller's request.
    pub request: &'a Request,
    /// Who shall answer.
    pub target: &'a Target,
    /// The caller's fields that go upstream.
    pub fields: &'a [(HeaderName, HeaderValue)],
    /// Time limits.
    pub timeouts: Timeouts,
    /// When the whole answer must be there.
    pub deadline: Instant,
    /// The largest whole answer, in bytes.
    pub max_answer: u64,
}

/// An answer that can be let through.
pub enum Reply {
    /// All of it.
    Whole(Whole),
    /// The beginning of a stream.
    Stream(Box<Stream>),
}

/// A whole answer, the provider's own errors included.
pub struct Whole {
    /// The HTTP status.
    pub status: StatusCode,
    /// The provider's fields that the caller gets.
    pub fields: Vec<(HeaderName, HeaderValue)>,
    /// The body as it came.
    pub body: Bytes,
    /// What it says it cost.
    pub usage: Option<Usage>,
}

/// Why there is no answer to let through.
pub struct NoAnswer {
    /// What the caller is told.
    pub error: Error,
    /// What the operator is told.
    pub detail: String,
    /// The provider does not accept our credential, with this status.
    pub refused_credential: Option<StatusCode>,
}

impl Attempt<'_> {
    /// Calls the target, within the time that there is for a first answer.
    pub async fn run(&self) -> Result<Reply, NoAnswer> {
        let (due, phase) = self.first_limit();
        match timeout_at(due, pin!(self.exchange())).await {
            Some(done) => done,
            None => Err(self.no_answer(&Failure::timeout(phase))),
        }
    }

    async fn exchange(&self) -> Result<Reply, NoAnswer> {
        let provider = &self.target.provider;
        let body = self
            .request
            .body_for(&self.target.model, provider.takes_stream_options);
        let call = Call {
            endpoint: self.endpoint,
            model: &self.target.model,
            fields: self.fields,
            body: &body,
            connect: self.timeouts.connect,
        };
        let answer = provider.call(&call).await;
        let answer = answer.map_err(|failure| self.no_answer(&failure))?;
        match answer.head.status.as_u16() {
            200..=299 if self.request.stream => self.stream(answer).await,
            200..=299 => self.whole(answer).await,
            401..=403 => Err(self.refused_credential(answer.head.status)),
            400..=599 => self.error_answer(answer).await,
            status => Err(self.no_answer(&malformed(format!("status {status}")))),
        }
    }

    /// What limits the wait for the first bytes.
    fn first_limit(&self) -> (Instant, Phase) {
        let first_token = Instant::now() + self.timeouts.first_token;
        match self.request.stream && first_token < self.deadline {
            true => (first_token, Phase::FirstToken),
            false => (self.deadline, Phase::Total),
        }
    }

    async fn whole(&self, mut answer: Answer) -> Result<Reply, NoAnswer> {
        if answer.head.is_encoded {
            return Err(
                self.no_answer(&malformed("it is compressed, though nobody asked for that"))
            );
        }
        let body = answer.body.whole(self.max_answer).await;
        let body = body.map_err(|failure| self.no_answer(&failure))?;
        let usage =
            openai::read_answer(&body).map_err(|fault| self.no_answer(&malformed(fault)))?;
        Ok(Reply::Whole(Whole {
            status: answer.head.status,
            fields: passed_back(&answer.head),
            body,
            usage,
        }))
    }

    /// The provider's own word on the request: passed on as it came, if it is all there.
    async fn error_answer(&self, mut answer: Answer) -> Result<Reply, NoAnswer> {
        let limit = ERROR_ANSWER_MAX.min(self.max_answer);
        let body = answer.body.whole(limit).await;
        let body = body.map_err(|failure| {
            let detail = format!("status {}: {}", answer.head.status, failure.detail);
            self.no_answer(&Failure { detail, ..failure })
        })?;
        Ok(Reply::Whole(Whole {
            status: answer.head.status,
            fields: passed_back(&answer.head),
            body,
            usage: None,
        }))
    }

    async fn stream(&self, answer: Answer) -> Result<Reply, NoAnswer> {
        let media_type = answer.head.media_type();
        if media_type != "text/event-stream" {
            let detail = format!("a stream was asked for, `{media_type}` came");
            return Err(self.no_answer(&malformed(detail)));
        }
        let fields = passed_back(&answer.head);
        let mut stream = Stream::new(answer.body, fields, self);
        match stream.first().await {
            Ok(()) => Ok(Reply::Stream(Box::new(stream))),
            Err(failure) => Err(self.no_answer(&failure)),
        }
    }

    fn no_answer(&self, failure: &Failure) -> NoAnswer {
        NoAnswer {
            error: to_error(&self.target.provider.name, failure),
            detail: failure.detail.clone(),
            refused_credential: None,
        }
    }

    fn refused_credential(&self, status: StatusCode) -> NoAnswer {
        let name = &self.target.provider.name;
        let message = format!("the provider `{name}` does not accept the gateway's credential");
        NoAnswer {
            error: Error::new(Kind::Upstream, message),
            detail: format!("status {status}"),
            refused_credential: Some(status),
        }
    }
}

/// A failure in words for the caller.
pub fn to_error(provider: &str, failure: &Failure) -> Error {
    let kind = match failure.kind {
        FailureKind::Timeout(_) => Kind::UpstreamTimeout,
        _ => Kind::Upstream,
    };
    Error::new(
        kind,
        format!("the provider `{provider}` gave no usable answer: {failure}"),
    )
}

/// What the caller gets of the provider's fields: never its account, cookies or rate limits.
fn passed_back(head: &Head) -> Vec<(HeaderName, HeaderValue)> {
    let fields = [
        (&header::CONTENT_TYPE, &head.content_type),
        (&header::RETRY_AFTER, &head.retry_after),
        (&X_UPSTREAM_REQUEST_ID, &head.request_id),
    ];
    let given = fields.into_iter();
    given
        .filter_map(|(name, value)| Some((name.clone(), value.clone()?)))
        .collect()
}

pub(super) fn malformed(detail: impl std::fmt::Display) -> Failure {
    Failure::new(FailureKind::Malformed, detail)
}

/// The longest single timer. A timer that is shared, as these are, is remembered until it would have fired.
const TIMER_MAX: Duration = Duration::from_secs(60);

/// Work that must be done when `due`; None if it is not. The clock is coarse (10 ms), and only work that waits pays for
/// it.
pub(super) async fn timeout_at<T>(due: Instant, work: impl Future<Output = T>) -> Option<T> {
    let mut work = pin!(work);
    loop {
        let left = due.saturating_duration_since(Instant::now());
        let timeout = pingora_timeout::timeout(left.min(TIMER_MAX), work.as_mut());
        match timeout.await {
            Ok(done) => return Some(done),
            Err(_) if left <= TIMER_MAX => return None,
            Err(_) => {}
        }
    }
}
