//! Streams that are held back until their gates have decided: how much the upstream has sent when the caller sees the first of
//! it is told by the upstream, never by a clock.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tempfile::TempDir;
use tokio::io::AsyncWriteExt;
use tokio::sync::watch;

use super::provider::{self, GOOD, ending, word};
use super::{Stage, configuration};
use crate::harness::{Gateway, run, within};
use crate::raw::{Connection, chat_stream};
use crate::upstream::{Upstream, stream_head};

/// Tokens that the pacing model sends before it waits.
const PACED: usize = 60;

/// The pause between two of them.
const PACE: Duration = Duration::from_millis(20);

/// What the caller of a chain is told meanwhile.
const COMMENT: &str = ": the answer is being judged\n\n";

/// An upstream whose model `paces` sends [`PACED`] tokens and then waits; its model `breaks` waits before it breaks off.
struct Pacing {
    upstream: Upstream,
    sent: Arc<AtomicUsize>,
    go_on: watch::Sender<bool>,
}

// === impl Pacing ===

impl Pacing {
    async fn start() -> Self {
        let (go_on, waits) = watch::channel(false);
        let sent = Arc::<AtomicUsize>::default();
        let counted = sent.clone();
        let upstream = Upstream::start(move |request, mut stream| {
            let (counted, mut waits) = (counted.clone(), waits.clone());
            async move {
                let model = request.model();
                if !["paces", "breaks"].contains(&&*model) {
                    let answer = provider::answer(&request);
                    return stream.write_all(&answer).await.ok().map(|()| stream);
                }
                let tokens = match &*model {
                    "paces" => PACED,
                    _ => 1,
                };
                stream.write_all(&stream_head()).await.ok()?;
                for token in 0..tokens {
                    let token = word(&format!("w{token} "));
                    stream.write_all(&token).await.ok()?;
                    counted.fetch_add(1, Ordering::SeqCst);
                    tokio::time::sleep(PACE).await;
                }
                waits.wait_for(|go_on| *go_on).await.ok()?;
                if model == "breaks" {
                    return None;
                }
                stream.write_all(&ending()).await.ok().map(|()| stream)
            }
        })
        .await;
        Self {
            upstream,
            sent,
            go_on,
        }
    }

    fn sent(&self) -> usize {
        self.sent.load(Ordering::SeqCst)
    }

    async fn gateway(&self, models: &str) -> Gateway {
        Gateway::start(&configuration(&self.upstream, models)).await
    }
}

/// Asks the model `m` for a stream, and reads until something of the answer has come.
async fn first_of(gateway: &Gateway) -> (Connection, String) {
    let mut connection = gateway.connect().await;
    let request = chat_stream("m").bytes();
    connection.send(request).await.expect("sent");
    let head = within("a head", connection.head()).await.expect("a head");
    assert_eq!(head.status, 200);
    let first = piece(&mut connection).await.expect("a piece");
    (connection, first)
}

async fn piece(connection: &mut Connection) -> Option<String> {
    let piece = within("a piece", connection.piece()).await;
    let piece = piece.expect("a piece")?;
    Some(String::from_utf8_lossy(&piece).into_owned())
}

async fn rest_of(mut connection: Connection) -> String {
    let mut rest = String::new();
    while let Some(piece) = piece(&mut connection).await {
        rest.push_str(&piece);
    }
    rest
}

#[tokio::test]
async fn a_held_stream_begins_when_so_much_of_it_has_come_and_long_before_its_end() {
    let pacing = Pacing::start().await;
    let models = "  m: { hold: { first: 32 }, chain: [{ target: up/paces, escalate_when: [refusal] }, { target: up/good }] }\n";
    let gateway = pacing.gateway(models).await;
    // That it comes at all shows that nobody waits for the end.
    let (connection, first) = first_of(&gateway).await;
    let sent = pacing.sent();
    assert!((32..=PACED).contains(&sent), "{sent} tokens");
    assert!(first.contains("w0 ") && first.contains("w31 "), "{first}");
    pacing.go_on.send(true).expect("it waits");
    let text = first + &rest_of(connection).await;
    let words = (0..PACED).map(|token| format!("\"w{token} \""));
    assert!(
        words.clone().all(|word| text.matches(&word).count() == 1),
        "{text}"
    );
    assert!(text.ends_with("data: [DONE]\n\n"), "{text}");
}

#[tokio::test]
async fn the_last_step_holds_nothing_back() {
    let pacing = Pacing::start().await;
    let models = "  m: { chain: [{ target: up/refuses, escalate_when: [default] }, { target: up/breaks }] }\n";
    let gateway = pacing.gateway(models).await;
    let (connection, first) = first_of(&gateway).await;
    assert!(first.contains("w0 "), "{first}");
    pacing.go_on.send(true).expect("it waits");
    let rest = rest_of(connection).await;
    assert!(
        rest.contains("upstream_error") && !rest.contains("[DONE]"),
        "{rest}"
    );
}

#[tokio::test]
async fn callers_who_wait_are_told_so_and_get_the_answer_behind_that() {
    let pacing = Pacing::start().await;
    let models =
        "  m: { chain: [{ target: up/paces, escalate_when: [truncated] }, { target: up/good }] }\n";
    let gateway = pacing.gateway(models).await;
    let (connection, first) = first_of(&gateway).await;
    assert_eq!(first, COMMENT);
    pacing.go_on.send(true).expect("it waits");
    let rest = rest_of(connection).await;
    let route = "x-tollgate-route: up/paces;ok";
    assert!(
        rest.contains(route),
        "the comments came before it was known: {rest}"
    );
    assert!(
        rest.contains("\"w59 \"") && rest.ends_with("data: [DONE]\n\n"),
        "{rest}"
    );
}

#[tokio::test]
async fn a_stream_that_breaks_while_it_is_held_back_is_the_next_steps() {
    let pacing = Pacing::start().await;
    let models = "  m: { chain: [{ target: up/breaks, escalate_when: [truncated] }, { target: up/good }] }\n";
    let gateway = pacing.gateway(models).await;
    let (connection, first) = first_of(&gateway).await;
    assert_eq!(first, COMMENT);
    pacing.go_on.send(true).expect("it waits");
    let rest = rest_of(connection).await;
    assert!(rest.contains("up/breaks;cut, up/good;ok"), "{rest}");
    assert!(rest.contains(GOOD) && !rest.contains("w0"), "{rest}");
}

#[tokio::test]
async fn behind_comments_an_error_is_an_error_event() {
    let pacing = Pacing::start().await;
    let models = "  m: { chain: [{ target: up/breaks, escalate_when: [truncated] }, { target: up/dead }] }\n";
    let gateway = pacing.gateway(models).await;
    let (connection, first) = first_of(&gateway).await;
    assert_eq!(first, COMMENT);
    pacing.go_on.send(true).expect("it waits");
    let rest = rest_of(connection).await;
    let events = crate::sse::events(&rest);
    let [event] = events.as_slice() else {
        panic!("one event, not {rest}");
    };
    assert_eq!(event.json()["error"]["code"], "upstream_error", "{rest}");
}

#[tokio::test]
async fn check_names_the_gates_that_could_not_decide() {
    let stage = Stage::set("  m: { target: up/good }\n").await;
    let models = "  m: { chain: [{ target: up/paces, escalate_when: [refusal, truncated], hold: none }, { target: up/good }] }\n";
    let home = TempDir::new().expect("a temporary directory");
    let path = home.path().join("tollgate.yaml");
    let text = configuration(&stage.upstream, models);
    std::fs::write(&path, text).expect("a file in the test's own directory");
    let output = run(["check", path.to_str().expect("a plain path")]);
    let printed = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{printed}");
    let message = "so little of a stream does not let `refusal`, `truncated` decide";
    assert!(printed.contains(message), "{printed}");
}

/// The longest time between two tokens, and how long the step behind takes to fail.
const BETWEEN_TOKENS: Duration = Duration::from_secs(3);
const FAILS_AFTER: Duration = Duration::from_millis(3500);

#[tokio::test]
async fn a_stream_that_is_taken_up_again_has_its_time_between_tokens_anew() {
    let (failed, has_failed) = watch::channel(false);
    let failed = Arc::new(failed);
    let upstream = Upstream::start(move |request, mut stream| {
        let (failed, mut has_failed) = (failed.clone(), has_failed.clone());
        async move {
            if request.model() == "fails" {
                tokio::time::sleep(FAILS_AFTER).await;
                let answer = provider::answer(&request);
                stream.write_all(&answer).await.ok()?;
                failed.send_replace(true);
                return Some(stream);
            }
            stream.write_all(&stream_head()).await.ok()?;
            let said = "I'm sorry, but I can't help with that. ".repeat(8);
            stream.write_all(&word(&said)).await.ok()?;
            has_failed.wait_for(|failed| *failed).await.ok()?;
            // The gateway is to have begun to wait.
            tokio::time::sleep(PACE * 10).await;
            stream.write_all(&word("No.")).await.ok()?;
            stream.write_all(&ending()).await.ok().map(|()| stream)
        }
    })
    .await;
    let models = format!(
        "  m: {{ chain: [{{ target: up/is-sorry, escalate_when: [refusal] }}, {{ target: up/fails }}], timeout: {{ between_tokens: {}s }} }}\n",
        BETWEEN_TOKENS.as_secs()
    );
    let gateway = Gateway::start(&configuration(&upstream, &models)).await;
    let answer = gateway.ask(chat_stream("m")).await;
    let text = answer.text();
    assert!(text.contains("No.") && text.contains("[DONE]"), "{text}");
}
