//! Connections from callers: counting them, reading heads, handing requests to the pipeline.

use std::any::Any;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::header;
use pingora_core::ErrorType;
use pingora_core::apps::{
    HttpPersistentSettings, HttpServerApp, HttpServerOptions, ReusedHttpStream, ServerApp,
};
use pingora_core::protocols::Stream;
use pingora_core::protocols::http::ServerSession;
use pingora_core::protocols::http::v2::server::{H2Options, default_h2_options};
use pingora_core::server::ShutdownWatch;
use pingora_http::ResponseHeader;
use tokio::sync::Semaphore;

use super::metered::Metered;
use crate::dialect::{Error, Kind, openai};
use crate::pipeline::{Gateway, HEAD_MAX, Stage, large_head};

/// How much is read for a head: a connection is read in blocks, so a body's beginning may be among it.
const HEAD_READ_MAX: usize = HEAD_MAX + 16 * 1024;

/// Answers one request whose head has been read.
#[async_trait]
pub trait Handler: Send + Sync + 'static {
    /// Answers, or panics: then the caller gets a 500.
    async fn handle(&self, gateway: &Gateway, session: &mut ServerSession);
}

/// The data plane.
pub struct Data;

#[async_trait]
impl Handler for Data {
    async fn handle(&self, gateway: &Gateway, session: &mut ServerSession) {
        crate::pipeline::handle(gateway, session).await;
    }
}

/// Lets connections in, up to a number.
pub struct Door<H> {
    /// For connections in HTTP/1, and in HTTP/2 over TLS.
    app: Arc<App<H>>,
    /// For connections that begin with HTTP/2's preface, in clear.
    h2c: Arc<App<H>>,
    places: Arc<Semaphore>,
}

/// Serves the requests of a connection.
pub struct App<H> {
    gateway: Arc<Gateway>,
    handler: Arc<H>,
    options: HttpServerOptions,
}

/// Marks a connection that has carried a request before.
struct Reused;

/// The beginning of HTTP/2's preface (RFC 9113, section 3.4). Every request of HTTP/1 is longer, and begins otherwise.
const PREFACE: &[u8; 4] = b"PRI ";

impl<H: Handler> Door<H> {
    /// Lets connections in while there are places.
    pub fn new(gateway: Arc<Gateway>, handler: H, places: Arc<Semaphore>) -> Self {
        let handler = Arc::new(handler);
        let app = |h2c| {
            let mut options = HttpServerOptions::default();
            options.h2c = h2c;
            options.h2_idle_timeout = Some(gateway.snapshot().server.idle_timeout.0);
            Arc::new(App {
                gateway: gateway.clone(),
                handler: handler.clone(),
                options,
            })
        };
        Self {
            app: app(false),
            h2c: app(true),
            places,
        }
    }

    /// Whether the connection begins with HTTP/2's preface. pingora's own look waits for all 24 bytes of it, which a
    /// short request does not have, and for ever.
    async fn is_h2c(&self, stream: &mut Stream) -> Result<bool, Silent> {
        if stream.get_ssl_digest().is_some() {
            return Ok(false);
        }
        let patience = self.app.gateway.snapshot().server.head_timeout.0;
        let mut beginning = [0; PREFACE.len()];
        match pingora_timeout::timeout(patience, stream.try_peek(&mut beginning)).await {
            Ok(Ok(_)) => Ok(beginning == *PREFACE),
            Ok(Err(_)) => Err(Silent::Closed),
            Err(_) => Err(Silent::Slow),
        }
    }
}

/// Why a connection brought no request.
enum Silent {
    Closed,
    Slow,
}

#[async_trait]
impl<H: Handler> ServerApp for Door<H> {
    async fn process_new(
        self: &Arc<Self>,
        mut stream: Stream,
        shutdown: &ShutdownWatch,
    ) -> Option<Stream> {
        let metrics = &self.app.gateway.metrics;
        let Ok(_place) = self.places.try_acquire() else {
            metrics.connections_refused.inc();
            return None;
        };
        metrics.connections.inc();
        let _count = Count(&metrics.connections);
        match self.is_h2c(&mut stream).await {
            Ok(true) => self.h2c.process_new(stream, shutdown).await,
            Ok(false) => {
                let stream = Box::new(Metered::new(stream));
                self.app.process_new(stream, shutdown).await
            }
            Err(Silent::Closed) => None,
            Err(Silent::Slow) => {
                let mut session = ServerSession::new_http1(stream);
                refuse(&mut session, &slow_head()).await;
                None
            }
        }
    }
}

struct Count<'a>(&'a prometheus::IntGauge);

impl Drop for Count<'_> {
    fn drop(&mut self) {
        self.0.dec();
    }
}

#[async_trait]
impl<H: Handler> HttpServerApp for App<H> {
    async fn process_new_http(
        self: &Arc<Self>,
        mut session: ServerSession,
        shutdown: &ShutdownWatch,
    ) -> Option<ReusedHttpStream> {
        let server = self.gateway.snapshot().server.clone();
        let is_reused = session.take_connection_user_context().is_some();
        let patience = match is_reused {
            true => server.idle_timeout.0 + server.head_timeout.0,
            false => server.head_timeout.0,
        };
        if let Some(meter) = Metered::of(&session) {
            meter.limit(HEAD_READ_MAX);
        }
        let read = pingora_timeout::timeout(patience, session.read_request()).await;
        let is_exhausted = Metered::of(&session).is_some_and(|meter| {
            let is_exhausted = meter.is_exhausted();
            meter.unlimit();
            is_exhausted
        });
        match read {
            Ok(Ok(true)) => {}
            Ok(Ok(false)) => return None,
            Ok(Err(_)) if is_exhausted => {
                refuse(&mut session, &large_head()).await;
                return None;
            }
            Ok(Err(error)) => {
                if let Some(error) = unreadable(&error) {
                    refuse(&mut session, &error).await;
                }
                return None;
            }
            // A caller who says nothing between two requests is not told that he is slow.
            Err(_) if is_reused => return None,
            Err(_) => {
                refuse(&mut session, &slow_head()).await;
                return None;
            }
        }
        session.set_pipelining_enabled(true);
        session.set_keepalive(match *shutdown.borrow() {
            true => None,
            false => Some(server.idle_timeout.0.as_secs().max(1)),
        });
        let handled = catch_panic(self.handler.handle(&self.gateway, &mut session)).await;
        if handled.is_err() {
            self.gateway.metrics.panics.inc();
            if session.response_written().is_none() {
                let error = Error::new(Kind::Internal, "a bug of the gateway; it has been logged");
                refuse(&mut session, &error).await;
            } else {
                // Half an answer must not look like a whole one.
                session.shutdown().await;
            }
            return None;
        }
        if self.gateway.drain.stage() >= Stage::Closing {
            session.set_keepalive(None);
        }
        let mut settings = HttpPersistentSettings::for_session(&session);
        let used: Box<dyn Any + Send + Sync> = Box::new(Reused);
        settings.set_user_context(used);
        let stream = session.finish().await.ok().flatten()?;
        Some(ReusedHttpStream::from_reusable_stream(stream, settings))
    }

    fn h2_options(&self) -> Option<H2Options> {
        let mut options = default_h2_options();
        options.max_concurrent_streams(250);
        Some(options)
    }

    fn server_options(&self) -> Option<&HttpServerOptions> {
        Some(&self.options)
    }
}

/// Why a head could not be read, if there is somebody to tell.
fn unreadable(error: &pingora_core::BError) -> Option<Error> {
    let cause = error.root_cause().downcast_ref::<httparse::Error>();
    if cause == Some(&httparse::Error::TooManyHeaders) {
        return Some(large_head());
    }
    match error.etype() {
        ErrorType::ReadTimedout => Some(slow_head()),
        ErrorType::InvalidHTTPHeader => {
            let message = "the head is not a valid HTTP request";
            Some(Error::new(Kind::InvalidRequest, message))
        }
        _ => None,
    }
}

fn slow_head() -> Error {
    let message = "the head took longer to arrive than `server.head_timeout`";
    Error::new(Kind::RequestTimeout, message)
}

/// Answers where no request could be read; the connection closes behind it.
async fn refuse(session: &mut ServerSession, error: &Error) {
    let body = openai::error_body(error);
    let write = async {
        let mut head = ResponseHeader::build_no_case(error.status(), Some(4))?;
        head.insert_header(header::CONTENT_TYPE, "application/json")?;
        head.insert_header(header::CONTENT_LENGTH, body.len())?;
        head.insert_header("x-request-id", crate::pipeline::new_request_id())?;
        session
            .write_error_response(head, Bytes::clone(&body))
            .await
    };
    // A caller who does not read is not waited for.
    let _ = pingora_timeout::timeout(Duration::from_secs(5), write).await;
    session.shutdown().await;
}

/// Runs a future whose panic ends only itself.
async fn catch_panic<T>(future: impl Future<Output = T>) -> std::thread::Result<T> {
    let mut future = pin!(future);
    poll_fn(|context| {
        let polled = catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(context)));
        match polled {
            Ok(poll) => poll.map(Ok),
            Err(panic) => std::task::Poll::Ready(Err(panic)),
        }
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_is_confined() {
        let caught = catch_panic(async {
            tokio::task::yield_now().await;
            panic!("a bug");
        });
        let caught: std::thread::Result<()> = caught.await;
        assert!(caught.is_err());
        assert_eq!(catch_panic(async { 7 }).await.unwrap(), 7);
    }
}
