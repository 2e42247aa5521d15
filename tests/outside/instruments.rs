//! The instruments themselves: what they would miss, the tests would miss.

use std::io::ErrorKind;

use crate::certificates::Authority;
use crate::faulty::faulty_upstream;
use crate::harness::{ask, within};
use crate::http2::Http2;
use crate::raw::{Connection, Request, chat, chat_stream};
use crate::recordings::{is_but_for_usage, with_model};
use crate::replay::{Replay, recordings};
use crate::sse;
use crate::upstream::{COMPLETION, FRAMES, Upstream};

#[tokio::test]
async fn the_replay_server_says_what_was_recorded() {
    let Some(recordings) = recordings() else {
        return;
    };
    assert!(recordings.len() > 150, "{}", recordings.len());
    let replay = Replay::start(&recordings).await;
    for recording in &recordings {
        let request = Request::post(&recording.path, recording.request.get().to_owned());
        let answer = ask(
            replay.address,
            request.header("idempotency-key", &recording.id),
        )
        .await;
        assert_eq!(answer.status, recording.status);
        assert!(answer.body == recording.answer(), "{}", recording.id);
        let received = replay.received(&recording.id).expect("it was asked");
        assert_eq!(received, recording.request.get());
    }
}

#[tokio::test]
async fn the_raw_client_notices_every_kind_of_cut() {
    let cuts = |request: &crate::upstream::Received| {
        let healthy = crate::upstream::healthy_answer(request);
        let keep: usize = request
            .header("x-keep")
            .and_then(|value| value.parse().ok())
            .expect("a number");
        healthy[..healthy.len() - keep].to_vec()
    };
    let upstream = Upstream::start(move |request, mut stream| {
        let bytes = cuts(&request);
        async move {
            tokio::io::AsyncWriteExt::write_all(&mut stream, &bytes)
                .await
                .ok()?;
            None
        }
    })
    .await;
    for (request, missing) in [
        (chat("m"), 1),
        (chat("m"), COMPLETION.len() + 3),
        (chat_stream("m"), 1),
        (chat_stream("m"), 9),
    ] {
        let mut connection = Connection::open(upstream.address)
            .await
            .expect("it listens");
        connection
            .send(request.header("x-keep", &missing.to_string()).bytes())
            .await
            .expect("sent");
        let error = within("a cut", connection.answer())
            .await
            .expect_err("the answer is cut");
        assert_eq!(error.kind(), ErrorKind::UnexpectedEof, "{missing}");
    }
}

#[tokio::test]
async fn the_faulty_upstream_acts_out_what_it_says() {
    use ErrorKind::{ConnectionReset, UnexpectedEof};
    let upstream = faulty_upstream().await;
    let cuts = [
        (chat("reset"), ConnectionReset),
        (chat("close"), UnexpectedEof),
        (chat("not-http"), ErrorKind::InvalidData),
        (chat("cut-in-chunk"), UnexpectedEof),
        (chat_stream("cut-in-chunk"), UnexpectedEof),
        (chat("cut-in-character"), UnexpectedEof),
        (chat_stream("cut-in-frame"), UnexpectedEof),
        (chat_stream("cut-between-frames"), UnexpectedEof),
        (chat_stream("cut-in-first-frame"), UnexpectedEof),
        (chat("length-too-long"), UnexpectedEof),
        (chat_stream("length-too-long"), UnexpectedEof),
    ];
    for (request, kind) in cuts {
        let mut connection = Connection::open(upstream.address)
            .await
            .expect("it listens");
        connection.send(request.bytes()).await.expect("sent");
        let error = within("a cut", connection.answer())
            .await
            .expect_err("no answer");
        assert_eq!(error.kind(), kind, "{request:?}");
    }
    let whole = [
        ("fine", 200, COMPLETION.len()),
        ("invalid-json", 200, 22),
        ("empty-body", 200, 0),
        ("html-of-10-mb", 500, 9_999_976),
        ("length-too-short", 200, COMPLETION.len() - 10),
    ];
    for (model, status, length) in whole {
        let answer = ask(upstream.address, chat(model)).await;
        assert_eq!(
            (answer.status, answer.body.len()),
            (status, length),
            "{model}"
        );
        assert_eq!(
            serde_json::from_slice::<serde_json::Value>(&answer.body).is_ok(),
            model == "fine"
        );
    }
}

#[tokio::test]
async fn certificates_are_believed_only_for_their_name_and_from_their_authority() {
    let authority = Authority::new();
    let cases = [
        (authority.issue("localhost"), true),
        (authority.issue("example.org"), false),
        (Authority::new().issue("localhost"), false),
    ];
    for (issued, believed) in cases {
        let acceptor = issued.acceptor(&["http/1.1"]);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a free port");
        let address = listener.local_addr().expect("a bound socket");
        let accepting = tokio::spawn(async move {
            let (stream, _) = listener.accept().await.expect("a connection");
            acceptor.accept(stream).await.is_ok()
        });
        let connected = within("a handshake", authority.connect(address, &["http/1.1"])).await;
        assert_eq!(connected.is_ok(), believed);
        assert_eq!(accepting.await.expect("no panic"), believed);
    }
}

#[tokio::test]
async fn the_raw_client_reads_a_stream_chunk_by_chunk() {
    let (upstream, finish) = Upstream::pacing().await;
    let mut connection = Connection::open(upstream.address)
        .await
        .expect("it listens");
    connection
        .send(chat_stream("m").bytes())
        .await
        .expect("sent");
    let head = within("a head", connection.head()).await.expect("a head");
    assert_eq!(
        (head.status, head.header("content-type")),
        (200, Some("text/event-stream"))
    );
    let first = within("a chunk", connection.piece())
        .await
        .expect("a chunk")
        .expect("not the end");
    assert_eq!(
        sse::events(std::str::from_utf8(&first).expect("UTF-8")).len(),
        1
    );
    finish.send(true).expect("the stream runs");
    let rest = async {
        let mut text = String::new();
        while let Some(piece) = connection.piece().await.expect("a chunk") {
            text += std::str::from_utf8(&piece).expect("UTF-8");
        }
        text
    };
    let rest = within("the end", rest).await;
    assert!(rest.ends_with(&FRAMES[1..].concat()), "{rest}");
}

#[tokio::test]
async fn upstreams_tell_what_they_received() {
    let upstream = Upstream::healthy().await;
    let answer = ask(upstream.address, chat_stream("m").header("x-one", "1")).await;
    assert_eq!(answer.text(), FRAMES.concat());
    let received = upstream.only_request();
    assert_eq!(
        (received.method.as_str(), received.path.as_str()),
        ("POST", "/v1/chat/completions")
    );
    assert_eq!(
        (received.header("x-one"), received.model()),
        (Some("1"), "m".to_owned())
    );
    assert!(received.asks_for_stream());
}

#[tokio::test]
async fn the_http_2_client_reads_what_hyper_serves() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a free port");
    let address = listener.local_addr().expect("a bound socket");
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.expect("a connection");
        let service =
            hyper::service::service_fn(async |request: hyper::Request<hyper::body::Incoming>| {
                let body =
                    http_body_util::Full::new(bytes::Bytes::from(request.uri().path().to_owned()));
                Ok::<_, std::convert::Infallible>(hyper::Response::new(body))
            });
        let builder =
            hyper::server::conn::http2::Builder::new(hyper_util::rt::TokioExecutor::new());
        let _ = builder
            .serve_connection(hyper_util::rt::TokioIo::new(stream), service)
            .await;
    });
    let mut client = Http2::open(address).await.expect("a handshake");
    let answer = within("an answer", client.ask(Request::get("/some/path")))
        .await
        .expect("an answer");
    assert_eq!((answer.status, answer.text()), (200, "/some/path"));
}

#[test]
fn events_are_read_as_the_standard_says() {
    let text = ": comment\n\ndata: a\ndata:b\n\nevent: error\r\ndata: {\"x\": 1}\r\n\r\ndata: [DONE]\n\ndata: half";
    let events = sse::events(text);
    assert_eq!(events.len(), 3);
    assert_eq!(events[0].data, "a\nb");
    assert_eq!(
        (events[1].name.as_deref(), &events[1].json()["x"]),
        (Some("error"), &1.into())
    );
    assert!(events[2].is_done());
    let usage = sse::events(
        "data: {\"choices\": [], \"usage\": {\"total_tokens\": 1}}\n\ndata: {\"choices\":[],\"usage\":null}\n\n",
    );
    assert_eq!(
        usage
            .iter()
            .map(sse::Event::is_usage_only)
            .collect::<Vec<_>>(),
        [true, false]
    );
}

#[test]
fn only_the_outer_model_is_exchanged() {
    let text = r#"{ "x": {"model":"inner"}, "model" : "outer", "y": 1.0 }"#;
    assert_eq!(
        with_model(text, "p/q"),
        r#"{ "x": {"model":"inner"}, "model" : "p/q", "y": 1.0 }"#
    );
    assert!(is_but_for_usage(
        r#"{"a":1,"stream_options":{"include_usage":true}}"#,
        r#"{"a":1}"#
    ));
    assert!(is_but_for_usage(
        r#"{"stream_options":{"include_usage":true},"a":1}"#,
        r#"{"a":1}"#
    ));
    assert!(!is_but_for_usage(r#"{"a":1}"#, r#"{"a":1}"#));
    assert!(!is_but_for_usage(
        r#"{"a":1.0,"stream_options":{"include_usage":true}}"#,
        r#"{"a":1}"#
    ));
}
