//! HTTP/2 without TLS: the same surface over the other wire.

use tokio::task::JoinSet;

use crate::faulty::Stage;
use crate::harness::within;
use crate::http2::Http2;
use crate::mischief;
use crate::raw::{Request, chat, chat_stream};
use crate::upstream::{COMPLETION, FRAMES};

#[tokio::test]
async fn whole_answers_streams_and_errors_come_over_http_2() {
    let stage = Stage::set(mischief::SERVER).await;
    let mut client = Http2::open(stage.gateway.address)
        .await
        .expect("a handshake");
    let whole = within("a whole answer", client.ask(chat("fault/fine")))
        .await
        .expect("an answer");
    assert_eq!(whole.text(), COMPLETION);
    let stream = within("a stream", client.ask(chat_stream("fault/fine")))
        .await
        .expect("an answer");
    assert_eq!(stream.text(), FRAMES.concat());
    assert_eq!(stream.header("content-type"), Some("text/event-stream"));
    let models = within("the models", client.ask(Request::get("/v1/models")))
        .await
        .expect("an answer");
    assert_eq!(models.status, 200);

    let too_large = Request::post("/v1/chat/completions", vec![b' '; 2 << 20]);
    let refused = [
        (chat("no-such-model"), 404, "model_not_found"),
        (
            chat("fault/fine").without("authorization"),
            401,
            "invalid_api_key",
        ),
        (
            Request::post("/v1/chat/completions", "{"),
            400,
            "invalid_request",
        ),
        (Request::get("/nowhere"), 404, "unknown_endpoint"),
        (chat("refused/m"), 502, "upstream_error"),
        (too_large, 413, "request_too_large"),
    ];
    for (request, status, code) in refused {
        within(code, client.ask(request))
            .await
            .expect("an answer")
            .assert_error(status, code);
    }
    let cut = within(
        "a cut stream",
        client.ask(chat_stream("fault/cut-in-frame")),
    )
    .await
    .expect("an answer");
    assert_eq!(
        cut.events().last().expect("events").json()["error"]["code"],
        "upstream_error"
    );
}

#[tokio::test]
async fn many_streams_share_one_connection() {
    let stage = Stage::set("").await;
    let client = Http2::open(stage.gateway.address)
        .await
        .expect("a handshake");
    let mut asked = JoinSet::new();
    for number in 0..100 {
        let mut client = client.clone();
        asked.spawn(async move {
            let request = if number % 2 == 0 {
                chat("fault/fine")
            } else {
                chat_stream("fault/fine")
            };
            let answer = within("an answer", client.ask(request))
                .await
                .expect("an answer");
            (number, answer)
        });
    }
    for (number, answer) in asked.join_all().await {
        let expected = if number % 2 == 0 {
            COMPLETION.to_owned()
        } else {
            FRAMES.concat()
        };
        assert_eq!(answer.text(), expected);
    }
}
