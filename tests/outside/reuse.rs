//! Connections to a provider are kept, and one that died while it waited costs nobody an answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::AsyncWriteExt;

use crate::harness::{Gateway, config, within};
use crate::raw::{Answer, Connection, chat};
use crate::upstream::{COMPLETION, Upstream, healthy_answer};

#[tokio::test]
async fn a_connection_that_died_while_it_waited_is_replaced() {
    let (upstream, gateway) = dying_at_second(b"").await;
    let mut connection = gateway.connect().await;
    for _ in 0..2 {
        let answer = ask(&mut connection).await;
        assert_eq!(answer.text(), COMPLETION);
        assert_eq!(answer.header("x-tollgate-attempts"), Some("1"));
    }
    assert_eq!(upstream.received().len(), 3, "the second came twice");
}

#[tokio::test]
async fn a_request_whose_answer_had_begun_is_not_sent_again() {
    let (upstream, gateway) = dying_at_second(b"HTTP/1.1 200 OK\r\ncontent-").await;
    let mut connection = gateway.connect().await;
    assert_eq!(ask(&mut connection).await.text(), COMPLETION);
    let answer = ask(&mut connection).await;
    answer.assert_error(502, "upstream_error");
    assert_eq!(upstream.received().len(), 2);
}

/// An upstream that keeps its first connection, and closes it on the second request after these words.
async fn dying_at_second(last_words: &'static [u8]) -> (Upstream, Gateway) {
    let count = Arc::new(AtomicUsize::new(0));
    let upstream = Upstream::start(move |request, mut stream| {
        let is_second = count.fetch_add(1, Ordering::SeqCst) == 1;
        async move {
            if is_second {
                let _ = stream.write_all(last_words).await;
                return None;
            }
            let answered = stream.write_all(&healthy_answer(&request)).await;
            answered.ok().map(|()| stream)
        }
    })
    .await;
    let gateway = Gateway::start(&config(&upstream.as_provider("up"))).await;
    (upstream, gateway)
}

/// Asks on a connection that is kept, so that the same worker of the gateway answers.
async fn ask(connection: &mut Connection) -> Answer {
    let request = chat("up/m").bytes();
    connection.send(request).await.expect("sent");
    within("an answer", connection.answer())
        .await
        .expect("an answer")
}
