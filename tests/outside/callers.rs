//! What callers may do to a connection, and what they get for it.

use std::time::Duration;

use tokio::task::JoinSet;

use crate::faulty::Stage;
use crate::harness::{LIMIT, within};
use crate::mischief::{self, MISCHIEF, MODEL};
use crate::misdeeds;
use crate::raw::{Request, chat};
use crate::upstream::COMPLETION;

#[tokio::test]
async fn each_mischief_has_its_documented_answer() {
    let stage = Stage::set(mischief::SERVER).await;
    let mut committed = JoinSet::new();
    for mischief in &MISCHIEF {
        let connection = stage.gateway.connect().await;
        committed.spawn(mischief.commit(connection));
    }
    let wrong: Vec<String> = committed
        .join_all()
        .await
        .into_iter()
        .filter_map(Result::err)
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn a_hundred_header_fields_and_a_head_just_under_the_limit_are_served() {
    let stage = Stage::set(mischief::SERVER).await;
    for bytes in [misdeeds::fields(100), misdeeds::long_head(60_000)] {
        let mut connection = stage.gateway.connect().await;
        connection.send(bytes).await.expect("sent");
        let answer = within("an answer", connection.answer())
            .await
            .expect("an answer");
        assert_eq!(answer.text(), COMPLETION);
    }
}

#[tokio::test]
async fn a_body_that_trickles_in_is_timed_as_a_whole() {
    let stage = Stage::set("server: { body_timeout: 500ms }").await;
    let mut connection = stage.gateway.connect().await;
    connection
        .send(chat(MODEL).head_bytes(Some(1_000_000)))
        .await
        .expect("sent");
    let trickle = async {
        // Each byte comes well within the time: a limit on silence alone would let this go on for days.
        loop {
            tokio::select! {
                answer = connection.head() => break answer,
                () = tokio::time::sleep(Duration::from_millis(50)) => {}
            }
            let _ = connection.send(b" ").await;
        }
    };
    let head = within("an answer to a trickle", trickle)
        .await
        .expect("an answer");
    assert_eq!(head.status, 408);
}

#[tokio::test]
async fn a_head_that_trickles_in_is_timed_as_a_whole() {
    let stage = Stage::set("server: { head_timeout: 500ms }").await;
    let mut connection = stage.gateway.connect().await;
    connection
        .send(b"GET /v1/models HTTP/1.1\r\nx-slow: ")
        .await
        .expect("sent");
    let trickle = async {
        loop {
            tokio::select! {
                answer = connection.head() => break answer,
                () = tokio::time::sleep(Duration::from_millis(50)) => {}
            }
            let _ = connection.send(b"x").await;
        }
    };
    let head = within("an answer to a trickle", trickle)
        .await
        .expect("an answer");
    assert_eq!(head.status, 408);
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let stage = Stage::set("").await;
    let mut connection = stage.gateway.connect().await;
    let ids: Vec<String> = (0..10)
        .map(|number| format!("pipelined-{number}"))
        .collect();
    let all: Vec<u8> = ids
        .iter()
        .flat_map(|id| chat(MODEL).header("x-request-id", id).bytes())
        .collect();
    connection.send(all).await.expect("sent");
    for id in &ids {
        let answer = within("a pipelined answer", connection.answer())
            .await
            .expect("an answer");
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(answer.header("x-request-id"), Some(id.as_str()));
        assert_eq!(answer.text(), COMPLETION);
    }
}

#[tokio::test]
async fn a_kept_connection_that_falls_silent_is_closed() {
    let stage = Stage::set("server: { idle_timeout: 500ms }").await;
    let mut connection = stage.gateway.connect().await;
    for _ in 0..2 {
        connection.send(chat(MODEL).bytes()).await.expect("sent");
        let answer = within("an answer", connection.answer())
            .await
            .expect("an answer");
        assert_eq!(answer.status, 200);
    }
    assert_eq!(
        within("the close", connection.until_closed()).await,
        b"",
        "closed without another word"
    );
}

#[tokio::test]
async fn a_peer_that_speaks_no_http_is_turned_away() {
    let stage = Stage::set("").await;
    for bytes in [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".as_slice(),
        b"HELO example.org\r\n\r\n",
        &[0; 4096],
    ] {
        let mut connection = stage.gateway.connect().await;
        let _ = connection.send(bytes).await;
        let words = tokio::time::timeout(LIMIT, connection.until_closed())
            .await
            .expect("a close");
        let words = String::from_utf8_lossy(&words).into_owned();
        assert!(
            words.is_empty() || words.starts_with("HTTP/1.1 4"),
            "{words}"
        );
    }
}

#[tokio::test]
async fn expect_100_continue_is_answered_only_after_key_and_size_are_known() {
    let stage = Stage::set(mischief::SERVER).await;
    let patient = chat(MODEL).header("expect", "100-continue");
    let length = patient.body.len();

    let mut connection = stage.gateway.connect().await;
    connection
        .send(patient.head_bytes(Some(length)))
        .await
        .expect("sent");
    let head = within("100 Continue", connection.head())
        .await
        .expect("a head");
    assert_eq!(head.status, 100);
    connection.send(&patient.body).await.expect("sent");
    let answer = within("the answer", connection.answer())
        .await
        .expect("an answer");
    assert_eq!(answer.text(), COMPLETION);

    let keyless = patient
        .clone()
        .header("authorization", "Bearer nobody-knows-me")
        .head_bytes(Some(length));
    let oversized = patient.head_bytes(Some(10 << 20));
    for (head, status, code) in [
        (keyless, 401, "invalid_api_key"),
        (oversized, 413, "request_too_large"),
    ] {
        let mut connection = stage.gateway.connect().await;
        connection.send(head).await.expect("sent");
        within("a refusal", connection.answer())
            .await
            .expect("an answer")
            .assert_error(status, code);
    }
}

#[tokio::test]
async fn an_unknown_path_is_told_what_is_served() {
    let stage = Stage::set("").await;
    let error = stage
        .gateway
        .ask(Request::post("/v1/chat", "{}"))
        .await
        .assert_error(404, "unknown_endpoint");
    let message = error["message"].as_str().expect("a message");
    assert!(message.contains("/v1/chat/completions"), "{message}");
    assert_eq!(error["type"], "invalid_request_error");
    let wrong_method = Request {
        method: "DELETE".to_owned(),
        ..Request::get("/v1/models")
    };
    stage
        .gateway
        .ask(wrong_method)
        .await
        .assert_error(405, "unknown_endpoint");
}

#[tokio::test]
async fn connections_beyond_the_limit_wait_or_are_refused_and_the_rest_are_served() {
    let stage = Stage::set("server: { max_connections: 8 }").await;
    let mut crowd = Vec::new();
    for _ in 0..8 {
        let mut connection = stage.gateway.connect().await;
        connection.send(chat(MODEL).bytes()).await.expect("sent");
        assert_eq!(
            within("an answer", connection.answer())
                .await
                .expect("an answer")
                .status,
            200
        );
        crowd.push(connection);
    }
    let mut late = stage.gateway.connect().await;
    let _ = late.send(chat(MODEL).bytes()).await;
    // Those within the limit go on undisturbed, and their leaving makes room.
    for connection in &mut crowd {
        connection.send(chat(MODEL).bytes()).await.expect("sent");
        assert_eq!(
            within("an answer", connection.answer())
                .await
                .expect("an answer")
                .status,
            200
        );
    }
    drop(crowd);
    crate::harness::eventually("room for a newcomer", async || {
        let mut newcomer = stage.gateway.connect().await;
        newcomer.send(chat(MODEL).bytes()).await.ok()?;
        newcomer
            .answer()
            .await
            .ok()
            .filter(|answer| answer.status == 200)
    })
    .await;
}
