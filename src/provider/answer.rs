//! An answer from upstream: its head, and its body as it comes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use pingora_core::protocols::http::v1::client::HttpSession as Http1;
use pingora_core::protocols::http::v2::client::Http2Session as Http2;
use tokio::time::{Instant, sleep_until};

use super::Call;
use super::failure::{Failure, FailureKind};
use super::simulated::{self, Simulation, Step, Steps};
use super::upstream::Upstream;
use crate::dialect::{Dialect, Operation};

/// A provider's answer whose head has arrived.
pub struct Answer {
    /// What of the head is of use.
    pub head: Head,
    /// The rest.
    pub body: Body,
}

/// What of an answer's head is of use.
#[derive(Default)]
pub struct Head {
    /// The HTTP status.
    pub status: StatusCode,
    /// The media type, with parameters.
    pub content_type: Option<HeaderValue>,
    /// When to try again.
    pub retry_after: Option<HeaderValue>,
    /// The provider's own id of the request.
    pub request_id: Option<HeaderValue>,
    /// AWS's name of an error.
    pub error_type: Option<HeaderValue>,
    /// How many tokens of input an embedding at Bedrock had, which is told in no body of Cohere's there.
    pub input_tokens: Option<u64>,
    /// Whether the body is compressed, though nobody asked for that.
    pub is_encoded: bool,
}

/// A provider's own request id, under the names that providers use.
const REQUEST_ID_FIELDS: [&str; 4] = [
    "x-request-id",
    "apim-request-id",
    "request-id",
    "x-amzn-requestid",
];

impl Head {
    /// Goes over the fields once: to look for each of these names would be to hash it.
    pub(super) fn read(status: StatusCode, fields: &HeaderMap) -> Self {
        let mut head = Self {
            status,
            ..Self::default()
        };
        let mut best = REQUEST_ID_FIELDS.len();
        for (name, value) in fields {
            let first = |place: &mut Option<HeaderValue>| {
                place.get_or_insert_with(|| value.clone());
            };
            match name.as_str() {
                "content-type" => first(&mut head.content_type),
                "retry-after" => first(&mut head.retry_after),
                "x-amzn-errortype" => first(&mut head.error_type),
                "x-amzn-bedrock-input-token-count" => {
                    let count = value.to_str().ok().and_then(|count| count.parse().ok());
                    head.input_tokens = head.input_tokens.or(count);
                }
                "content-encoding" => head.is_encoded = true,
                name => {
                    let mut ids = REQUEST_ID_FIELDS[..best].iter();
                    if let Some(rank) = ids.position(|id| *id == name) {
                        (best, head.request_id) = (rank, Some(value.clone()));
                    }
                }
            }
        }
        head
    }

    /// The media type, without parameters.
    pub fn media_type(&self) -> &str {
        let value = self.content_type.as_ref();
        let text = value.and_then(|value| value.to_str().ok()).unwrap_or("");
        text.split(';').next().unwrap_or("").trim()
    }
}

/// A body that is still coming. Dropped early, it ends the call: the connection closes, or its stream is reset.
pub enum Body {
    /// HTTP/1, and where its connection goes when it has been read to the end.
    Http1(Option<(Box<Http1>, Arc<Upstream>)>),
    /// HTTP/2.
    Http2(Box<Http2>),
    /// Played by the simulated provider.
    Simulated(Play),
}

impl Body {
    /// The next bytes, or nothing more. Cancelling it loses nothing.
    ///
    /// # Errors
    /// [`FailureKind::Cut`]: the connection broke before the body's end.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, Failure> {
        let cut = |error| Failure::new(FailureKind::Cut, error);
        match self {
            Self::Http1(None) => Ok(None),
            Self::Http1(Some((session, _))) => {
                let chunk = session.read_body_bytes().await.map_err(cut)?;
                if chunk.is_none() {
                    self.release().await;
                }
                Ok(chunk)
            }
            Self::Http2(session) => session.read_response_body().await.map_err(cut),
            Self::Simulated(play) => play.chunk().await,
        }
    }

    /// The whole body, up to `limit` bytes.
    ///
    /// # Errors
    /// The body is cut or larger.
    pub async fn whole(&mut self, limit: u64) -> Result<Bytes, Failure> {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let Some(first) = self.chunk().await? else {
            return Ok(Bytes::new());
        };
        let mut size = first.len();
        let mut whole = BytesMut::from(first);
        while size <= limit {
            let Some(next) = self.chunk().await? else {
                return Ok(whole.freeze());
            };
            size += next.len();
            whole.extend_from_slice(&next);
        }
        Err(Failure::new(
            FailureKind::TooLarge,
            format!("over {limit} bytes"),
        ))
    }

    async fn release(&mut self) {
        let Self::Http1(taken) = self else { return };
        if let Some((mut session, upstream)) = taken.take() {
            session.respect_keepalive();
            if let Some(stream) = session.reuse().await {
                upstream.keep(stream);
            }
        }
    }
}

/// Answers a call without a model.
pub(super) fn simulate(simulation: &Simulation, sequence: &AtomicU64, call: &Call<'_>) -> Answer {
    let endpoint = match call.operation {
        Operation::Generate(Dialect::Completions) => simulated::Endpoint::Completions,
        Operation::Embed(_) => simulated::Endpoint::Embeddings,
        Operation::Generate(_) | Operation::CountTokens(_) => simulated::Endpoint::Chat,
    };
    let number = sequence.fetch_add(1, Ordering::Relaxed);
    let body = call.body.concat();
    let script = simulated::answer(simulation, endpoint, call.model, &body, number);
    let mut fields = HeaderMap::new();
    fields.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static(script.content_type),
    );
    for (name, value) in script.headers {
        if let Ok(value) = HeaderValue::from_str(&value) {
            fields.insert(HeaderName::from_static(name), value);
        }
    }
    let status = StatusCode::from_u16(script.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    Answer {
        head: Head::read(status, &fields),
        body: Body::Simulated(Play::new(script.steps)),
    }
}

/// The simulated provider's script, played in real time.
pub struct Play {
    steps: Steps,
    /// When the next step is due: pauses add up from the start, so they do not drift.
    due: Instant,
    is_stalled: bool,
}

impl Play {
    /// Starts the clock.
    pub fn new(steps: Steps) -> Self {
        Self {
            steps,
            due: Instant::now(),
            is_stalled: false,
        }
    }

    async fn chunk(&mut self) -> Result<Option<Bytes>, Failure> {
        while !self.is_stalled {
            if self.due > Instant::now() {
                // Boxed: a timer within would align, and so pad, every request's future.
                Box::pin(sleep_until(self.due)).await;
            }
            match self.steps.next() {
                Some(Step::Wait(pause)) => self.due += pause,
                Some(Step::Send(bytes)) => return Ok(Some(bytes)),
                Some(Step::Stall) => self.is_stalled = true,
                Some(Step::Cut) => return Err(Failure::new(FailureKind::Cut, "simulated")),
                None => return Ok(None),
            }
        }
        std::future::pending().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_head_is_read_whatever_the_order_of_its_fields() {
        let mut told = [
            ("x-request-id", "x"),
            ("retry-after", "7"),
            ("request-id", "r"),
            ("content-type", "application/json; charset=utf-8"),
            ("apim-request-id", "a"),
            ("x-amzn-errortype", "Throttled"),
            ("x-amzn-bedrock-input-token-count", "12"),
            ("content-encoding", "gzip"),
            ("server", "s"),
        ];
        for _ in 0..told.len() {
            told.rotate_left(1);
            let fields = told.map(|(name, value)| {
                let name = HeaderName::from_static(name);
                (name, HeaderValue::from_static(value))
            });
            let head = Head::read(StatusCode::OK, &fields.into_iter().collect());
            assert_eq!(head.media_type(), "application/json");
            assert_eq!(head.request_id.unwrap(), "x");
            assert_eq!(head.retry_after.unwrap(), "7");
            assert_eq!(head.error_type.unwrap(), "Throttled");
            assert_eq!(head.input_tokens, Some(12));
            assert!(head.is_encoded);
        }
        let ids = ["x-amzn-requestid", "request-id"].map(HeaderName::from_static);
        let ids = ids.map(|name| (name.clone(), HeaderValue::from_str(name.as_str()).unwrap()));
        let head = Head::read(StatusCode::OK, &ids.into_iter().collect());
        assert_eq!(head.request_id.unwrap(), "request-id");
        assert!(!head.is_encoded && head.content_type.is_none());
    }
}
