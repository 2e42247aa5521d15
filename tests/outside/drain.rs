//! How the gateway ends: what runs may finish, nothing new begins, and a second signal means now.

use std::time::Duration;

use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::harness::{Gateway, ask, config, eventually, within};
use crate::raw::{Connection, Request, chat, chat_stream};
use crate::reload::read_numbered_stream;
use crate::upstream::{COMPLETION, Upstream};

const STREAMS: usize = 100;

#[tokio::test]
async fn a_hundred_streams_complete_after_sigterm() {
    let (upstream, finish) = Upstream::pacing().await;
    let mut gateway = started(&upstream, "drain: 60s").await;
    assert_eq!(
        ask(gateway.admin, Request::get("/readyz")).await.status,
        200
    );
    let mut streams = JoinSet::new();
    for connection in open_streams(&gateway, STREAMS).await {
        streams.spawn(read_numbered_stream(connection));
    }
    gateway.signal("TERM");
    not_ready(&gateway).await;
    refuses_connections(&gateway).await;
    assert_eq!(
        ask(gateway.admin, Request::get("/healthz")).await.status,
        200
    );
    gateway
        .log_line("the drain in the log", |line| line["msg"] == "draining")
        .await;
    assert_eq!(
        gateway.metric("tollgate_requests_in_flight", &[]).await,
        STREAMS as f64
    );

    finish.send(true).expect("the streams run");
    assert_eq!(streams.join_all().await.len(), STREAMS);
    assert_eq!(gateway.exit().await.code(), Some(0));
    let lines = gateway.log_lines();
    let requests: Vec<_> = lines
        .iter()
        .filter(|line| line["msg"] == "request")
        .collect();
    assert_eq!(requests.len(), STREAMS);
    assert!(
        requests
            .iter()
            .all(|line| line["status"] == 200 && line["error"].is_null())
    );
}

#[tokio::test]
async fn sigint_drains_as_sigterm_does() {
    let (upstream, finish) = Upstream::pacing().await;
    let mut gateway = started(&upstream, "drain: 60s").await;
    let mut streams = JoinSet::new();
    for connection in open_streams(&gateway, 3).await {
        streams.spawn(read_numbered_stream(connection));
    }
    gateway.signal("INT");
    not_ready(&gateway).await;
    refuses_connections(&gateway).await;
    finish.send(true).expect("the streams run");
    assert_eq!(streams.join_all().await.len(), 3);
    assert_eq!(gateway.exit().await.code(), Some(0));
}

#[tokio::test]
async fn a_second_signal_ends_it_at_once() {
    for (first, second) in [("TERM", "TERM"), ("INT", "INT"), ("TERM", "INT")] {
        let (upstream, _finish) = Upstream::pacing().await;
        let mut gateway = started(&upstream, "drain: 1h, drain_delay: 1h").await;
        let streams = open_streams(&gateway, 10).await;
        gateway.signal(first);
        not_ready(&gateway).await;
        gateway.signal(second);
        assert_eq!(gateway.exit().await.code(), Some(130));
        drop(streams);
    }
}

#[tokio::test]
async fn a_stream_that_outlasts_the_drain_is_told_so() {
    let (upstream, _finish) = Upstream::pacing().await;
    let mut gateway = started(&upstream, "drain: 300ms").await;
    let streams = open_streams(&gateway, 10).await;
    gateway.signal("TERM");
    for mut connection in streams {
        let rest = async {
            let mut body = Vec::new();
            while let Some(piece) = connection.piece().await.expect("an end, not a cut") {
                body.extend_from_slice(&piece);
            }
            String::from_utf8(body).expect("UTF-8")
        };
        let text = within("the end of a stream", rest).await;
        let events = crate::sse::events(&text);
        let error = events.last().expect("events").json()["error"].clone();
        assert_eq!(
            (&error["code"], &error["type"]),
            (&"draining".into(), &"server_error".into()),
            "{text}"
        );
        assert!(!events.iter().any(|event| event.is_done()));
    }
    assert_eq!(gateway.exit().await.code(), Some(0));
    let draining =
        |line: &serde_json::Value| line["msg"] == "request" && line["error"] == "draining";
    assert_eq!(gateway.log_lines().into_iter().filter(draining).count(), 10);
}

#[tokio::test]
async fn requests_are_served_while_the_load_balancer_takes_notice() {
    let (upstream, _finish) = Upstream::pacing().await;
    let mut gateway = started(&upstream, "drain: 60s, drain_delay: 3s").await;
    gateway.signal("TERM");
    not_ready(&gateway).await;
    assert_eq!(gateway.ask(chat("up/m-1")).await.text(), COMPLETION);
    refuses_connections(&gateway).await;
    assert_eq!(gateway.exit().await.code(), Some(0));
}

#[tokio::test]
async fn idle_connections_do_not_keep_it_alive() {
    let (upstream, _finish) = Upstream::pacing().await;
    let mut gateway = started(&upstream, "drain: 1h").await;
    let mut idle = gateway.connect().await;
    idle.send(chat("up/m-1").bytes()).await.expect("sent");
    assert_eq!(
        within("an answer", idle.answer())
            .await
            .expect("an answer")
            .text(),
        COMPLETION
    );
    let mute = gateway.connect().await;
    gateway.signal("TERM");
    assert_eq!(gateway.exit().await.code(), Some(0));
    drop((idle, mute));
}

async fn started(upstream: &Upstream, server: &str) -> Gateway {
    Gateway::start(&config(&format!(
        "server: {{ {server} }}\n{}",
        upstream.as_provider("up")
    )))
    .await
}

/// Opens streams and waits for their heads, which come with the first frame.
async fn open_streams(gateway: &Gateway, count: usize) -> Vec<Connection> {
    let mut streams = Vec::new();
    for _ in 0..count {
        let mut connection = gateway.connect().await;
        connection
            .send(chat_stream("up/m-1").bytes())
            .await
            .expect("sent");
        assert_eq!(
            within("a head", connection.head())
                .await
                .expect("a head")
                .status,
            200
        );
        streams.push(connection);
    }
    streams
}

async fn not_ready(gateway: &Gateway) {
    eventually("/readyz to say 503", async || {
        let answer = ask(gateway.admin, Request::get("/readyz")).await;
        (answer.status == 503).then_some(())
    })
    .await;
}

async fn refuses_connections(gateway: &Gateway) {
    eventually("connections to be refused", async || {
        let connecting =
            tokio::time::timeout(Duration::from_secs(5), TcpStream::connect(gateway.address));
        let error = connecting.await.ok()?.err()?;
        (error.kind() == std::io::ErrorKind::ConnectionRefused).then_some(())
    })
    .await;
}
