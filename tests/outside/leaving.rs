//! A caller who leaves ends the upstream call at once, and the log says so.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

use crate::harness::{Gateway, config, within};
use crate::http2::Http2;
use crate::raw::{Request, chat, chat_stream};
use crate::upstream::{FRAMES, Received, Upstream, chunk, stream_head};

#[tokio::test]
async fn a_caller_who_leaves_in_the_middle_of_a_stream_ends_the_upstream_call() {
    let mut stage = Stage::set().await;
    let mut connection = stage.gateway.connect().await;
    connection
        .send(
            chat_stream("up/speaks-first")
                .header("x-request-id", "left")
                .bytes(),
        )
        .await
        .expect("sent");
    let first = async {
        connection.head().await.expect("a head");
        connection.piece().await.expect("a frame")
    };
    assert_eq!(
        within("the first frame", first).await.as_deref(),
        Some(FRAMES[0].as_bytes())
    );
    drop(connection);
    stage.assert_left("left").await;
}

#[tokio::test]
async fn a_caller_who_leaves_before_the_first_frame_ends_the_upstream_call() {
    let mut stage = Stage::set().await;
    let mut connection = stage.gateway.connect().await;
    connection
        .send(
            chat_stream("up/silent")
                .header("x-request-id", "left")
                .bytes(),
        )
        .await
        .expect("sent");
    stage.reached_upstream().await;
    drop(connection);
    stage.assert_left("left").await;
}

#[tokio::test]
async fn a_caller_who_leaves_before_a_whole_answer_ends_the_upstream_call() {
    let mut stage = Stage::set().await;
    let mut connection = stage.gateway.connect().await;
    connection
        .send(chat("up/silent").header("x-request-id", "left").bytes())
        .await
        .expect("sent");
    stage.reached_upstream().await;
    drop(connection);
    stage.assert_left("left").await;
}

#[tokio::test]
async fn a_caller_who_leaves_in_the_middle_of_its_own_body_is_forgotten() {
    let stage = Stage::set().await;
    let request = chat("up/silent").header("x-request-id", "left");
    let mut connection = stage.gateway.connect().await;
    connection
        .send(request.head_bytes(Some(request.body.len())))
        .await
        .expect("sent");
    connection.send(&request.body[..10]).await.expect("sent");
    stage
        .gateway
        .metric_becomes("tollgate_connections", &[], |count| count >= 1.0)
        .await;
    drop(connection);
    stage
        .gateway
        .metric_becomes("tollgate_requests_in_flight", &[], |count| count == 0.0)
        .await;
    assert!(stage.upstream.received().is_empty());
}

#[tokio::test]
async fn a_stream_that_is_reset_over_http_2_ends_the_upstream_call_and_spares_its_neighbours() {
    let mut stage = Stage::set().await;
    let mut client = Http2::open(stage.gateway.address)
        .await
        .expect("a handshake");
    let request = chat_stream("up/speaks-first").header("x-request-id", "left");
    let answer = within("a head", client.send(request))
        .await
        .expect("an answer");
    assert_eq!(answer.status(), 200);
    drop(answer);
    stage.assert_left("left").await;

    let request = chat("up/silent").header("x-request-id", "left-early");
    let mut waiting = client.clone();
    let asking = tokio::spawn(async move { waiting.send(request).await.map(drop) });
    stage.reached_upstream().await;
    asking.abort();
    stage.assert_left("left-early").await;

    let models = within("the models", client.ask(Request::get("/v1/models")))
        .await
        .expect("the connection lives on");
    assert_eq!(models.status, 200);
}

/// A gateway before an upstream that never finishes, and that reports when the gateway has left it.
struct Stage {
    gateway: Gateway,
    upstream: Upstream,
    closed: mpsc::UnboundedReceiver<()>,
}

// === impl Stage ===

impl Stage {
    async fn set() -> Self {
        let (report, closed) = mpsc::unbounded_channel();
        let upstream = Upstream::start(move |request: Received, mut stream: TcpStream| {
            let report = report.clone();
            async move {
                if request.model() == "speaks-first" {
                    stream
                        .write_all(&[stream_head(), chunk(FRAMES[0])].concat())
                        .await
                        .ok()?;
                }
                while let Ok(1..) = stream.read(&mut [0; 1024]).await {}
                let _ = report.send(());
                None
            }
        });
        let upstream = upstream.await;
        let gateway = Gateway::start(&config(&upstream.as_provider("up"))).await;
        Self {
            gateway,
            upstream,
            closed,
        }
    }

    /// Waits until a request to the silent model has arrived.
    async fn reached_upstream(&self) {
        let is_silent = |request: &Received| request.model() == "silent";
        crate::harness::eventually("the request upstream", async || {
            self.upstream.received().iter().any(is_silent).then_some(())
        })
        .await;
    }

    async fn assert_left(&mut self, request_id: &str) {
        within("the close upstream", self.closed.recv())
            .await
            .expect("the upstream lives");
        let line = self.gateway.request_line(request_id).await;
        assert_eq!(
            (&line["status"], &line["error"]),
            (&499.into(), &"client_closed".into()),
            "{line}"
        );
        let labels = [("status", "499"), ("team", "search")];
        self.gateway
            .metric_becomes("tollgate_requests_total", &labels, |count| count >= 1.0)
            .await;
        self.gateway
            .metric_becomes("tollgate_requests_in_flight", &[], |count| count == 0.0)
            .await;
    }
}
