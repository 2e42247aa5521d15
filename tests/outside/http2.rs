//! An HTTP/2 client: hyper's, over a plain socket (prior knowledge) or TLS.

use std::net::SocketAddr;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http2::SendRequest;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;

use crate::raw::{Answer, Request, Stream};

/// A connection, which may be cloned and used by many streams at once.
#[derive(Clone)]
pub struct Http2 {
    sender: SendRequest<Full<Bytes>>,
}

// === impl Http2 ===

impl Http2 {
    /// Speaks HTTP/2 over plain TCP from the first byte.
    pub async fn open(address: SocketAddr) -> hyper::Result<Self> {
        let stream = TcpStream::connect(address)
            .await
            .expect("the gateway listens");
        Self::over(stream).await
    }

    /// Speaks HTTP/2 over a stream that is already there.
    pub async fn over(stream: impl Stream + 'static) -> hyper::Result<Self> {
        let (sender, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
                .await?;
        tokio::spawn(connection);
        Ok(Self { sender })
    }

    /// Sends a request and waits for the head of its answer; dropping either resets the stream.
    pub async fn send(&mut self, request: Request) -> hyper::Result<hyper::Response<Incoming>> {
        let mut builder = hyper::Request::builder()
            .method(request.method.as_str())
            .uri(format!("http://tollgate.test{}", request.path));
        for (name, value) in &request.headers {
            builder = builder.header(name, value);
        }
        let request = builder
            .body(Full::new(request.body))
            .expect("a well-formed request");
        self.sender.ready().await?;
        self.sender.send_request(request).await
    }

    /// Sends a request and reads the whole answer.
    pub async fn ask(&mut self, request: Request) -> hyper::Result<Answer> {
        let (head, body) = self.send(request).await?.into_parts();
        let value =
            |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        let headers = head
            .headers
            .iter()
            .map(|(name, field)| (name.to_string(), value(field)))
            .collect();
        let body = body.collect().await?.to_bytes().to_vec();
        Ok(Answer {
            status: head.status.as_u16(),
            headers,
            body,
        })
    }
}
