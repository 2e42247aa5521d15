//! Towards providers: HTTP/2 where it is offered, and proxies where the environment names one.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::certificates::Authority;
use crate::harness::{Gateway, config, within};
use crate::raw::{chat, chat_stream};
use crate::upstream::{COMPLETION, FRAMES, Upstream};

#[tokio::test]
async fn a_provider_that_offers_http_2_is_asked_over_it() {
    let provider = Provider::start().await;
    let gateway = provider.gateway(&[]).await;
    assert_eq!(gateway.ask(chat("up/m-1")).await.text(), COMPLETION);
    assert_eq!(
        gateway.ask(chat_stream("up/m-1")).await.text(),
        FRAMES.concat()
    );
    let mut asked = JoinSet::new();
    for _ in 0..50 {
        let address = gateway.address;
        asked.spawn(async move { crate::harness::ask(address, chat("up/m-1")).await });
    }
    assert!(
        asked
            .join_all()
            .await
            .iter()
            .all(|answer| answer.text() == COMPLETION)
    );
    assert_eq!(provider.requests.load(Ordering::Relaxed), 52);
}

#[tokio::test]
async fn an_https_proxy_of_the_environment_is_used_unless_no_proxy_says_otherwise() {
    let provider = Provider::start().await;
    let proxy = Proxy::start().await;
    let url = format!("http://{}", proxy.address);
    let gateway = provider.gateway(&[("HTTPS_PROXY", &url)]).await;
    assert_eq!(gateway.ask(chat("up/m-1")).await.text(), COMPLETION);
    assert_eq!(proxy.tunnels.load(Ordering::Relaxed), 1);

    let gateway = provider
        .gateway(&[("HTTPS_PROXY", &url), ("NO_PROXY", "example.org,localhost")])
        .await;
    assert_eq!(gateway.ask(chat("up/m-1")).await.text(), COMPLETION);
    assert_eq!(
        proxy.tunnels.load(Ordering::Relaxed),
        1,
        "no further tunnel"
    );
}

#[tokio::test]
async fn a_proxy_that_refuses_is_no_usable_answer() {
    let provider = Provider::start().await;
    let refuses =
        |_: &_| b"HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n".to_vec();
    let proxy = Upstream::answering(refuses).await;
    let url = format!("http://{}", proxy.address);
    let gateway = provider.gateway(&[("HTTPS_PROXY", &url)]).await;
    gateway
        .ask(chat("up/m-1"))
        .await
        .assert_error(502, "upstream_error");
    assert_eq!(provider.requests.load(Ordering::Relaxed), 0);
}

/// A provider behind TLS that speaks nothing but HTTP/2.
struct Provider {
    port: u16,
    requests: Arc<AtomicUsize>,
    authority: TempDir,
}

/// A proxy that makes tunnels and counts them.
struct Proxy {
    address: std::net::SocketAddr,
    tunnels: Arc<AtomicUsize>,
}

// === impl Provider ===

impl Provider {
    async fn start() -> Self {
        let authority = Authority::new();
        let acceptor = authority.issue("localhost").acceptor(&["h2"]);
        let home = TempDir::new().expect("a temporary directory");
        std::fs::write(home.path().join("authority.pem"), authority.pem())
            .expect("a file of the test's own");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("a bound socket").port();
        let requests = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&requests);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, counter) = (acceptor.clone(), Arc::clone(&counter));
                tokio::spawn(async move {
                    let Ok(stream) = acceptor.accept(stream).await else {
                        return;
                    };
                    let service = service_fn(move |request| answer(request, Arc::clone(&counter)));
                    let builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
                    let _ = builder
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                });
            }
        });
        Self {
            port,
            requests,
            authority: home,
        }
    }

    /// A gateway that trusts this provider.
    async fn gateway(&self, environment: &[(&str, &str)]) -> Gateway {
        let port = self.port;
        let yaml = format!(
            r#"
providers:
  up: {{ dialect: openai, base_url: "https://localhost:{port}/v1", api_key: provider-secret }}
models:
  "up/*": {{}}
"#
        );
        let bundle = self.authority.path().join("authority.pem");
        let mut environment = environment.to_vec();
        environment.push(("SSL_CERT_FILE", bundle.to_str().expect("a plain path")));
        Gateway::start_with(&config(&yaml), &environment).await
    }
}

async fn answer(
    request: hyper::Request<Incoming>,
    counter: Arc<AtomicUsize>,
) -> Result<hyper::Response<Full<Bytes>>, hyper::Error> {
    let credential = request
        .headers()
        .get("authorization")
        .is_some_and(|value| value == "Bearer provider-secret");
    let in_order = credential && request.uri().path() == "/v1/chat/completions";
    let body = request.into_body().collect().await?.to_bytes();
    counter.fetch_add(1, Ordering::Relaxed);
    let json: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
    let (media_type, text) = match json["stream"] == true {
        true => ("text/event-stream", FRAMES.concat()),
        false => ("application/json", COMPLETION.to_owned()),
    };
    let status = if in_order && json["model"] == "m-1" {
        200
    } else {
        418
    };
    let answer = hyper::Response::builder()
        .status(status)
        .header("content-type", media_type);
    Ok(answer
        .body(Full::new(text.into()))
        .expect("a well-formed answer"))
}

// === impl Proxy ===

impl Proxy {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("a bound socket");
        let tunnels = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&tunnels);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(tunnel(stream, Arc::clone(&counter)));
            }
        });
        Self { address, tunnels }
    }
}

async fn tunnel(mut caller: TcpStream, counter: Arc<AtomicUsize>) -> Option<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(within("a CONNECT", caller.read_u8()).await.ok()?);
    }
    let head = String::from_utf8(head).ok()?;
    let target = head.strip_prefix("CONNECT ")?.split(' ').next()?;
    assert!(!head.contains("provider-secret"), "{head}");
    let mut provider = TcpStream::connect(target).await.ok()?;
    counter.fetch_add(1, Ordering::Relaxed);
    caller
        .write_all(b"HTTP/1.1 200 Connection established\r\n\r\n")
        .await
        .ok()?;
    copy_bidirectional(&mut caller, &mut provider).await.ok()?;
    Some(())
}
