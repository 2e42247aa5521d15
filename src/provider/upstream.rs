//! One upstream's connections, and one exchange over one of them.
//!
//! HTTP/1 connections wait here between requests, checked for a close when they are taken: pingora's pool spawns a task
//! for each that waits, and its client flushes the head of a request before the body. HTTP/2 connections are shared;
//! there pingora's client is right.

use std::io::Write;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderName, HeaderValue};
use pingora_core::connectors::http::v2::{self as h2c, ConnectionRef, H2HandshakeSettings};
use pingora_core::protocols::Stream;
use pingora_core::protocols::http::v1::client::HttpSession as Http1;
use pingora_core::protocols::http::v2::client::Http2Session as Http2;
use pingora_http::{RequestHeader, ResponseHeader};
use tokio::io::{AsyncRead, AsyncWriteExt, ReadBuf};

use super::allowance::Taken;
use super::answer::{Answer, Body, Head};
use super::dial::{Destination, Dialer};
use super::failure::{Failure, FailureKind};

/// HTTP/1 connections of a thread that may wait; more are closed when their answer has ended.
const IDLE_MAX: usize = 512;

/// How long an HTTP/1 connection waits; most servers close theirs after 60 s or more.
const IDLE_AGE_MAX: Duration = Duration::from_secs(55);

/// Streams that one HTTP/2 connection carries; the server may allow fewer.
const STREAMS_MAX: usize = 100;

/// How much of a stream's answer may wait for a slow caller, in bytes.
const STREAM_WINDOW: u32 = 1024 * 1024;

/// Requests up to this size are copied behind their head, to leave in one write.
const ONE_WRITE_MAX: usize = 64 * 1024;

/// Informational answers (1xx) that are skipped before the real one.
const INFORMATIONAL_MAX: usize = 16;

/// Connections to one provider. Lives on across a reload that does not change where it leads.
pub struct Upstream {
    destination: Destination,
    /// `host[:port]`, for the `host` field.
    authority: String,
    /// A connection belongs to the thread whose runtime watches it.
    shards: [Shard; SHARDS],
}

/// Threads of the program are spread over so many lists of connections; with more threads some share one.
const SHARDS: usize = 32;

#[derive(Default)]
struct Shard {
    idle: Mutex<Vec<Idle>>,
    shared: Mutex<Vec<ConnectionRef>>,
}

struct Idle {
    stream: Stream,
    since: Instant,
}

/// A request to send.
pub struct Message<'a> {
    /// `POST`, `GET` or `DELETE`.
    pub method: &'a str,
    /// Path and query.
    pub path: &'a str,
    /// Every field but `host` and `content-length`.
    pub fields: &'a [(HeaderName, HeaderValue)],
    /// The body's pieces, one behind the other.
    pub body: &'a [Bytes],
    /// How long a new connection may take.
    pub connect: Duration,
    /// What it has taken of an allowance, which hears what the answer says of limits.
    pub taken: Option<&'a Taken>,
}

/// Why an exchange failed, and whether the server can not have begun to answer.
struct Broken {
    failure: Failure,
    is_untouched: bool,
}

impl Upstream {
    /// No connection is made yet.
    pub fn new(destination: Destination, authority: String) -> Self {
        Self {
            destination,
            authority,
            shards: Default::default(),
        }
    }

    /// Where the connections lead.
    pub fn destination(&self) -> &Destination {
        &self.destination
    }

    /// The `host` field.
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// Sends a request and reads the head of its answer. A request that dies on a connection which had waited, before
    /// any byte of an answer, is sent once more on a new one: the server had closed it in the meantime.
    pub async fn send(
        self: &Arc<Self>,
        dialer: &Dialer,
        message: &Message<'_>,
    ) -> Result<Answer, Failure> {
        if let Some(stream) = self.take_idle() {
            match self.http1(stream, message).await {
                Err(broken) if broken.is_untouched => {}
                done => return done.map_err(|broken| broken.failure),
            }
        }
        // The usual way ends above. What is rare is kept out of every request's future, which it would swell tenfold.
        Box::pin(self.send_elsewhere(dialer, message)).await
    }

    /// Sends a request over a shared connection, or a new one.
    async fn send_elsewhere(
        self: &Arc<Self>,
        dialer: &Dialer,
        message: &Message<'_>,
    ) -> Result<Answer, Failure> {
        if let Some(session) = self.share().await {
            match self.http2(session, message).await {
                Err(broken) if broken.is_untouched => {}
                done => return done.map_err(|broken| broken.failure),
            }
        }
        let (stream, is_h2) = dialer.dial(&self.destination, message.connect).await?;
        let done = match is_h2 {
            true => self.http2(self.open(stream).await?, message).await,
            false => self.http1(stream, message).await,
        };
        done.map_err(|broken| broken.failure)
    }

    /// Closes connections that have waited too long or were closed by the server.
    pub fn sweep(&self) {
        for shard in &self.shards {
            lock(&shard.idle).retain_mut(|idle| {
                idle.since.elapsed() < IDLE_AGE_MAX && is_open(&mut idle.stream)
            });
            lock(&shard.shared).retain(|connection| !connection.is_closed());
        }
    }

    /// This thread's connections.
    fn shard(&self) -> &Shard {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        thread_local!(static OURS: usize = NEXT.fetch_add(1, Ordering::Relaxed) % SHARDS);
        &self.shards[OURS.with(|ours| *ours)]
    }

    /// Takes back a connection whose answer has been read to its end.
    pub fn keep(&self, stream: Stream) {
        let mut idle = lock(&self.shard().idle);
        if idle.len() < IDLE_MAX {
            let since = Instant::now();
            idle.push(Idle { stream, since });
        }
    }

    /// The connection that waited for the shortest time, so that those which are not needed grow old.
    fn take_idle(&self) -> Option<Stream> {
        loop {
            let mut idle = lock(&self.shard().idle).pop()?;
            if idle.since.elapsed() < IDLE_AGE_MAX && is_open(&mut idle.stream) {
                return Some(idle.stream);
            }
        }
    }

    async fn http1(
        self: &Arc<Self>,
        mut stream: Stream,
        message: &Message<'_>,
    ) -> Result<Answer, Broken> {
        let sent = send_http1(&mut stream, &self.authority, message).await;
        let mut session = Http1::new(stream);
        // Also after a failed write: the server may have refused a large body and said so.
        let read = read_http1_head(&mut session).await;
        match (read, sent) {
            (Ok(()), _) => {}
            (Err(broken), Ok(())) => return Err(broken),
            (Err(broken), Err(error)) => {
                let failure = Failure::new(FailureKind::Lost, error);
                return Err(Broken { failure, ..broken });
            }
        }
        let head = session.resp_header().ok_or_else(no_head)?;
        Ok(Answer {
            head: message.read_head(head),
            body: Body::Http1(Some((Box::new(session), self.clone()))),
        })
    }

    /// Makes a new HTTP/2 connection and a first stream on it.
    async fn open(&self, stream: Stream) -> Result<Http2, Failure> {
        let failed = |error| Failure::new(FailureKind::Lost, error);
        let mut settings = H2HandshakeSettings::new();
        settings.max_streams = STREAMS_MAX;
        settings.ping_interval = Some(Duration::from_secs(20));
        settings.stream_window_size = Some(STREAM_WINDOW);
        let connection = h2c::handshake(stream, settings).await.map_err(failed)?;
        let session = connection.spawn_stream().await.map_err(failed)?;
        lock(&self.shard().shared).push(connection);
        session.ok_or_else(|| Failure::new(FailureKind::Lost, "no stream on a new connection"))
    }

    /// A stream on a connection that others use, too.
    async fn share(&self) -> Option<Http2> {
        let connections: Vec<_> = {
            let mut shared = lock(&self.shard().shared);
            shared.retain(|connection| !connection.is_closed() && !connection.is_shutting_down());
            shared.clone()
        };
        for connection in connections {
            if !connection.more_streams_allowed() {
                continue;
            }
            if let Ok(Some(session)) = connection.spawn_stream().await {
                return Some(session);
            }
        }
        None
    }

    async fn http2(&self, mut session: Http2, message: &Message<'_>) -> Result<Answer, Broken> {
        // A stream that fails before its head on a shared connection: safe to repeat only if it never left.
        let unsent = |error: pingora_core::BError| Broken {
            failure: Failure::new(FailureKind::Lost, error),
            is_untouched: true,
        };
        let lost = |error: pingora_core::BError| Broken {
            is_untouched: is_refused_stream(&error),
            failure: Failure::new(FailureKind::Lost, error),
        };
        let head = http2_head(&self.authority, message).map_err(unsent)?;
        session.write_request_header(head, false).map_err(unsent)?;
        for piece in message.body {
            session
                .write_request_body(piece.clone(), false)
                .await
                .map_err(lost)?;
        }
        session.finish_request_body().map_err(lost)?;
        session.read_response_header().await.map_err(lost)?;
        let head = session.response_header().ok_or_else(no_head)?;
        Ok(Answer {
            head: message.read_head(head),
            body: Body::Http2(Box::new(session)),
        })
    }
}

impl Message<'_> {
    /// The head of the answer to it.
    fn read_head(&self, head: &ResponseHeader) -> Head {
        if let Some(taken) = self.taken {
            taken.hear(head.status, &head.headers);
        }
        Head::read(head.status, &head.headers)
    }
}

/// The library said that it had read a head, and has none.
fn no_head() -> Broken {
    Broken {
        failure: Failure::new(FailureKind::Malformed, "no head"),
        is_untouched: false,
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A list of connections is whole whatever happened to the thread that held it.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A server says nothing on a connection that waits: a byte or an end means that it is no longer of use.
fn is_open(stream: &mut Stream) -> bool {
    let mut byte = [0];
    let mut buffer = ReadBuf::new(&mut byte);
    let mut context = Context::from_waker(Waker::noop());
    matches!(
        Pin::new(stream).poll_read(&mut context, &mut buffer),
        Poll::Pending
    )
}

async fn send_http1(
    stream: &mut Stream,
    authority: &str,
    message: &Message<'_>,
) -> std::io::Result<()> {
    let length: usize = message.body.iter().map(Bytes::len).sum();
    let mut head = Vec::with_capacity(1024 + length.min(ONE_WRITE_MAX));
    for part in [
        message.method,
        " ",
        message.path,
        " HTTP/1.1\r\nhost: ",
        authority,
        "\r\n",
    ] {
        head.extend_from_slice(part.as_bytes());
    }
    for (name, value) in message.fields {
        for part in [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"] {
            head.extend_from_slice(part);
        }
    }
    // Writing to memory cannot fail.
    let _ = write!(head, "content-length: {length}\r\n\r\n");
    if length <= ONE_WRITE_MAX {
        message
            .body
            .iter()
            .for_each(|piece| head.extend_from_slice(piece));
        stream.write_all(&head).await?;
    } else {
        stream.write_all(&head).await?;
        for piece in message.body {
            stream.write_all(piece).await?;
        }
    }
    stream.flush().await
}

async fn read_http1_head(session: &mut Http1) -> Result<(), Broken> {
    for _ in 0..INFORMATIONAL_MAX {
        session.read_response().await.map_err(unreadable_head)?;
        if session
            .get_status()
            .is_some_and(|status| !status.is_informational())
        {
            return Ok(());
        }
    }
    let failure = Failure::new(FailureKind::Malformed, "too many informational answers");
    Err(Broken {
        failure,
        is_untouched: false,
    })
}

fn unreadable_head(error: pingora_core::BError) -> Broken {
    if *error.etype() == pingora_core::ErrorType::InvalidHTTPHeader {
        // The error's text quotes what came, which may be content, and no log holds content.
        return Broken {
            failure: Failure::new(FailureKind::Malformed, "the head is not HTTP"),
            is_untouched: false,
        };
    }
    Broken {
        // pingora's error tells only in its text whether a byte had come.
        is_untouched: error.to_string().contains("bytes already read: 0"),
        failure: Failure::new(FailureKind::Lost, error),
    }
}

fn http2_head(authority: &str, message: &Message<'_>) -> pingora_core::Result<Box<RequestHeader>> {
    let fields = message.fields.len() + 2;
    let mut head = RequestHeader::build(message.method, message.path.as_bytes(), Some(fields))?;
    head.insert_header(http::header::HOST, authority)?;
    for (name, value) in message.fields {
        head.append_header(name.clone(), value.clone())?;
    }
    let length: usize = message.body.iter().map(Bytes::len).sum();
    head.insert_header(http::header::CONTENT_LENGTH, length)?;
    Ok(Box::new(head))
}

/// The server promises that it has not touched the stream (RFC 9113, section 8.7).
fn is_refused_stream(error: &pingora_core::BError) -> bool {
    let cause = error.root_cause().downcast_ref::<h2::Error>();
    cause.is_some_and(|error| error.reason() == Some(h2::Reason::REFUSED_STREAM))
}
