//! One call to one target: send, watch, judge.
//!
//! An answer is let through only when it is known to be one: a whole answer when all of it has come, a stream when its
//! first frame has. Until then a failure is still a plain status for the caller, and could be tried elsewhere.

use std::pin::pin;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderName, HeaderValue, StatusCode, header};

use super::bound::Bound;
use super::failed::{Failed, Told};
use super::fields::{X_AMZN_ERRORTYPE, X_DROPPED, X_SHOULD_RETRY, X_UPSTREAM_REQUEST_ID};
use super::meter::Meter;
use super::plan::{Back, Plan, Translation};
use super::stream::Stream;
use crate::dialect::common::{self, Context, Malformed};
use crate::dialect::{Dialect, Error, Incoming, Kind, Operation, Tier, Usage, count, scan};
use crate::provider::{Answer, Call, Failure, FailureKind, Head, Phase, Taken, Timeouts};
use crate::route::Target;

/// The largest error answer that is passed on, in bytes. A page that is larger is no answer of an API.
const ERROR_ANSWER_MAX: u64 = 64 * 1024;

/// What a call needs to know.
pub struct Attempt<'a> {
    /// The caller's request.
    pub incoming: &'a Incoming,
    /// How it reaches the target, and the answer the caller.
    pub plan: &'a Plan,
    /// Who shall answer.
    pub target: &'a Target,
    /// The caller's fields that go upstream.
    pub fields: &'a [(HeaderName, HeaderValue)],
    /// Time limits.
    pub timeouts: Timeouts,
    /// When the whole answer must be there.
    pub deadline: Instant,
    /// When the beginning of an answer must be there, so that there is time for others.
    pub due: Instant,
    /// The largest whole answer, in bytes.
    pub max_answer: u64,
    /// How long a stream may become.
    pub bound: Option<Bound>,
    /// Writes the cost into a stream's usage, where that is asked for.
    pub meter: Option<Box<Meter>>,
    /// What it has taken of the provider's own limits, where those are gone by.
    pub taken: Option<&'a Taken>,
    /// Whether the answer will be judged.
    pub is_judged: bool,
    /// Whether another may go on with a stream that breaks.
    pub continues: bool,
}

/// An answer that can be let through.
pub enum Reply {
    /// All of it.
    Whole(Box<Whole>),
    /// The beginning of a stream.
    Stream(Box<Stream>),
}

/// What came back for one request.
#[expect(clippy::large_enum_variant, reason = "the large one is the common one")]
pub enum Sent {
    /// The beginning of an answer.
    Answer(Answer),
    /// The provider's own error.
    Error(Failed),
}

/// A whole answer, the provider's own errors included.
pub struct Whole {
    /// The HTTP status.
    pub status: StatusCode,
    /// The provider's fields that the caller gets.
    pub fields: Vec<(HeaderName, HeaderValue)>,
    /// The body as it came.
    pub body: Bytes,
    /// What it says it used.
    pub usage: Option<Usage>,
    /// The tier that served it.
    pub tier: Tier,
    /// The dialect that the provider answered in, and its words, where it did not say what it used.
    pub unreported: Option<(Dialect, Bytes)>,
    /// The answer in the common form, where it will be judged.
    pub answer: Option<Box<common::Answer>>,
}

/// A whole answer that was read.
struct Answered {
    /// As the caller gets it.
    body: Bytes,
    /// What the provider says it used.
    usage: Option<Usage>,
    tier: Tier,
    /// In the common form, where it will be judged.
    answer: Option<Box<common::Answer>>,
}

impl Whole {
    /// Has the caller's SDK not repeat what the gateway has repeated already, unless the provider says when.
    pub fn forbid_retry(&mut self) {
        let is_outage = matches!(self.status.as_u16(), 502..=504);
        let mut names = self.fields.iter().map(|(name, _)| name);
        if is_outage && names.all(|name| *name != header::RETRY_AFTER) {
            let never = HeaderValue::from_static("false");
            self.fields.push((X_SHOULD_RETRY.clone(), never));
        }
    }

    /// An answer that cost nothing.
    pub const fn new(
        status: StatusCode,
        fields: Vec<(HeaderName, HeaderValue)>,
        body: Bytes,
    ) -> Self {
        Self {
            status,
            fields,
            body,
            usage: None,
            tier: Tier::Standard,
            unreported: None,
            answer: None,
        }
    }
}

impl Attempt<'_> {
    /// Calls the target, within the time that there is for a first answer.
    pub async fn run(&self) -> Result<Reply, Failed> {
        let (due, phase) = self.first_limit();
        match timeout_at(due, pin!(self.exchange())).await {
            Some(done) => done,
            None => Err(self.no_answer(&Failure::timeout(phase))),
        }
    }

    async fn exchange(&self) -> Result<Reply, Failed> {
        if let Back::Embedded(embedding) = &self.plan.back {
            return Box::pin(embedding.run(self)).await;
        }
        match self.send(&self.plan.body, 0).await? {
            Sent::Answer(answer) if self.incoming.stream => self.stream(answer).await,
            Sent::Answer(answer) => self.whole(answer).await,
            Sent::Error(failed) => Err(failed),
        }
    }

    /// Sends one request, for the embeddings of so many `texts` where it asks for those.
    pub(super) async fn send(&self, body: &[Bytes], texts: usize) -> Result<Sent, Failed> {
        let call = Call {
            operation: self.plan.operation,
            model: &self.target.model,
            stream: self.incoming.stream,
            texts,
            fields: self.fields,
            body,
            connect: self.timeouts.connect,
            taken: self.taken,
        };
        let answer = self.target.provider.call(&call).await;
        let answer = answer.map_err(|failure| self.no_answer(&failure))?;
        match answer.head.status.as_u16() {
            200..=299 => Ok(Sent::Answer(answer)),
            401..=403 => Err(self.refused_credential(answer.head.status)),
            400..=599 => self.error_answer(answer).await.map(Sent::Error),
            status => Err(self.no_answer(&malformed(format!("status {status}")))),
        }
    }

    /// What limits the wait for the first bytes.
    fn first_limit(&self) -> (Instant, Phase) {
        let first_token = Instant::now() + self.timeouts.first_token;
        match self.incoming.stream && first_token < self.due {
            true => (first_token, Phase::FirstToken),
            false if self.due < self.deadline => (self.due, Phase::Attempt),
            false => (self.deadline, Phase::Total),
        }
    }

    /// The whole body of an answer.
    pub(super) async fn body(&self, answer: &mut Answer) -> Result<Bytes, Failed> {
        self.check_plain(&answer.head)?;
        let body = answer.body.whole(self.max_answer).await;
        body.map_err(|failure| self.no_answer(&failure))
    }

    fn check_plain(&self, head: &Head) -> Result<(), Failed> {
        match head.is_encoded {
            true => {
                Err(self.no_answer(&malformed("it is compressed, though nobody asked for that")))
            }
            false => Ok(()),
        }
    }

    async fn whole(&self, mut answer: Answer) -> Result<Reply, Failed> {
        let body = self.body(&mut answer).await?;
        let given = body.clone();
        let read = self
            .read_whole(body)
            .map_err(|fault| self.no_answer(&malformed(fault)))?;
        let Answered {
            body,
            usage,
            tier,
            answer: read,
        } = match read {
            Ok(read) => read,
            Err(error) => return Err(self.failed_itself(&error, &answer.head)),
        };
        Ok(Reply::Whole(Box::new(Whole {
            status: answer.head.status,
            fields: self.fields_back(&answer.head),
            body,
            usage,
            tier,
            unreported: match (self.plan.operation, usage) {
                // Nobody bills for counting.
                (Operation::CountTokens(_), _) | (_, Some(_)) => None,
                (operation, None) => Some((operation.dialect(), given)),
            },
            answer: read,
        })))
    }

    /// A whole answer as the caller gets it, and what it cost; or the error that it holds.
    fn read_whole(&self, body: Bytes) -> Result<Result<Answered, Error>, String> {
        let object = scan::object(&body).map_err(|fault| fault.to_string())?;
        let dialect = self.plan.operation.dialect();
        if let Some(error) = dialect.misplaced_error(&body, &object) {
            return Ok(Err(error));
        }
        let caller = self.incoming.operation.dialect();
        let told = |malformed: Malformed| malformed.to_string();
        let tier = Tier::of_answer(dialect, &object);
        // What cannot be read the caller may well understand: it is not judged then.
        let judged = || match self.is_judged {
            true => dialect.read_answer(&body, &Context::default()).ok(),
            false => None,
        };
        let (given, usage, answer) = match &self.plan.back {
            Back::AsIs => (body.clone(), dialect.usage(&body), judged()),
            Back::Sealed(sealing) => {
                let answer = judged();
                let usage = dialect.usage(&body);
                (sealing.seal_answer(body.clone()), usage, answer)
            }
            Back::Translated(translation) => {
                if let Some(error) = dialect.failure(&body) {
                    return Ok(Err(error));
                }
                let Translation {
                    request,
                    context,
                    tool_names,
                    ..
                } = &**translation;
                let mut answer = dialect.read_answer(&body, context).map_err(told)?;
                if let Some(names) = tool_names {
                    names.restore(&mut answer);
                }
                let judged = self.is_judged.then(|| answer.clone());
                translation.hide(&mut answer);
                let written = caller.write_answer(&answer, request, context);
                (Bytes::from(written), answer.usage, judged)
            }
            Back::Counted => {
                let tokens = count::read_answer(dialect, &body).map_err(told)?;
                let written = count::write_answer(caller, tokens);
                (Bytes::from(written), None, None)
            }
            Back::Embedded(_) => return Err("read in its own room".to_owned()),
        };
        Ok(Ok(Answered {
            body: given,
            usage,
            tier,
            answer: answer.map(Box::new),
        }))
    }

    /// The provider's own word on the request: passed on as it came, if it is all there; in the caller's words where the
    /// dialects differ.
    async fn error_answer(&self, mut answer: Answer) -> Result<Failed, Failed> {
        let limit = ERROR_ANSWER_MAX.min(self.max_answer);
        let body = answer.body.whole(limit).await;
        let body = body.map_err(|failure| {
            let detail = format!("status {}: {}", answer.head.status, failure.detail);
            self.no_answer(&Failure { detail, ..failure })
        })?;
        let head = &answer.head;
        let kind = head.error_type.as_ref().and_then(|kind| kind.to_str().ok());
        let dialect = self.plan.operation.dialect();
        let error = dialect.read_error(head.status, &body, kind);
        if error.kind == Kind::InvalidApiKey {
            // Google says so with status 400.
            return Err(self.refused_credential(head.status));
        }
        let mut failed = self.failed_itself(&error, head);
        if dialect == self.incoming.operation.dialect() {
            let whole = Whole::new(head.status, passed_back(head), body);
            failed.told = Told::Own(Box::new(whole), Box::new(error));
        }
        Ok(failed)
    }

    /// What the caller gets of the fields of an answer, and what could not be carried.
    pub(super) fn fields_back(&self, head: &Head) -> Vec<(HeaderName, HeaderValue)> {
        let mut fields = passed_back(head);
        if !self.incoming.stream && !matches!(self.plan.back, Back::AsIs | Back::Sealed(_)) {
            // It is ours, whatever the provider calls its own.
            fields.retain(|(name, _)| *name != header::CONTENT_TYPE);
            let json = HeaderValue::from_static("application/json");
            fields.push((header::CONTENT_TYPE, json));
        }
        let dropped = self.plan.dropped.clone();
        fields.extend(dropped.map(|names| (X_DROPPED.clone(), names)));
        fields
    }

    async fn stream(&self, answer: Answer) -> Result<Reply, Failed> {
        self.check_plain(&answer.head)?;
        let media_type = answer.head.media_type();
        if media_type != self.plan.operation.dialect().framing().media_type() {
            let detail = format!("a stream was asked for, `{media_type}` came");
            return Err(self.no_answer(&malformed(detail)));
        }
        let mut fields = self.fields_back(&answer.head);
        if self.plan.framing != self.plan.operation.dialect().framing() {
            fields.retain(|(name, _)| *name != header::CONTENT_TYPE);
            let media_type = HeaderValue::from_static(self.plan.framing.media_type());
            fields.push((header::CONTENT_TYPE, media_type));
        }
        let Answer { head, body } = answer;
        let mut stream = Stream::new(body, fields, self);
        match stream.first().await {
            Ok(None) => Ok(Reply::Stream(Box::new(stream))),
            Ok(Some(error)) if error.kind == Kind::InvalidApiKey => {
                Err(self.refused_credential(error.status()))
            }
            Ok(Some(error)) => Err(self.failed_itself(&error, &head)),
            Err(failure) => Err(self.no_answer(&failure)),
        }
    }

    pub(super) fn no_answer(&self, failure: &Failure) -> Failed {
        Failed::of(self.target, failure)
    }

    /// The provider's own error.
    fn failed_itself(&self, error: &Error, head: &Head) -> Failed {
        Failed::by_itself(error, head, self.incoming.operation.dialect())
    }

    fn refused_credential(&self, status: StatusCode) -> Failed {
        Failed::refused_credential(self.target, status)
    }
}

/// What the caller gets of the provider's fields: never its account, cookies or rate limits.
pub(super) fn passed_back(head: &Head) -> Vec<(HeaderName, HeaderValue)> {
    let fields = [
        (&header::CONTENT_TYPE, &head.content_type),
        (&header::RETRY_AFTER, &head.retry_after),
        (&X_UPSTREAM_REQUEST_ID, &head.request_id),
        (&X_AMZN_ERRORTYPE, &head.error_type),
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
