//! A new configuration takes over without a single failed request, and a broken one does not.

use std::os::unix::fs::symlink;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tempfile::TempDir;
use tokio::task::JoinSet;

use crate::harness::{ADMIN_TOKEN, Gateway, ask, config, eventually, replace_file, within};
use crate::raw::{Answer, Connection, Request, chat, chat_stream};
use crate::upstream::{COMPLETION, Upstream};

const RELOADS: u32 = 200;
const STREAMS: usize = 64;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_reloads_under_64_streams_fail_no_request() {
    let (upstream, finish) = Upstream::pacing().await;
    let gateway = Gateway::start(&numbered(&upstream, 0)).await;
    let mut streams = JoinSet::new();
    for _ in 0..STREAMS {
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
        streams.spawn(read_numbered_stream(connection));
    }
    let over = Arc::new(AtomicBool::new(false));
    let mut askers = JoinSet::new();
    for kept in [true, true, false, false] {
        askers.spawn(ask_until(Arc::clone(&over), gateway.address, kept));
    }

    for number in 1..=RELOADS {
        replace_file(&gateway.config_path(), &numbered(&upstream, number));
        match number % 10 {
            // A change that nobody announces takes about a second to be noticed: a tenth of them.
            0 => {}
            1..=4 => gateway.signal("HUP"),
            _ => {
                let answer = gateway.ask_admin(reload()).await;
                assert_eq!(
                    (answer.status, &answer.json()["result"]),
                    (200, &"success".into()),
                    "{}",
                    answer.text()
                );
            }
        }
        in_force(&gateway, number).await;
    }
    finish.send(true).expect("the streams run");
    over.store(true, Ordering::Relaxed);

    let longest = streams.join_all().await.into_iter().min().expect("streams");
    assert!(
        longest > 10,
        "the streams ran while the configuration changed"
    );
    assert!(askers.join_all().await.into_iter().all(|asked| asked > 0));
    let reloads = |result| [("result", result)];
    // Each was announced or noticed at least once; a change may be both.
    gateway
        .metric_becomes(
            "tollgate_config_reloads_total",
            &reloads("success"),
            |count| count >= 200.0,
        )
        .await;
    assert_eq!(
        gateway
            .metric("tollgate_config_reloads_total", &reloads("failure"))
            .await,
        0.0
    );
    assert_eq!(
        gateway
            .metric("tollgate_config_last_reload_successful", &[])
            .await,
        1.0
    );
    let failed = gateway
        .log_lines()
        .into_iter()
        .find(|line| line["msg"] == "request" && line["status"] != 200);
    assert_eq!(failed, None);
}

#[tokio::test]
async fn a_broken_file_leaves_the_old_snapshot_in_force_and_says_so() {
    let upstream = Upstream::healthy().await;
    let gateway = Gateway::start(&numbered(&upstream, 1)).await;
    let broken = numbered(&upstream, 2).replace("base_url", "base_ulr");
    replace_file(&gateway.config_path(), &broken);
    let failure = [("result", "failure")];
    gateway
        .metric_becomes("tollgate_config_reloads_total", &failure, |count| {
            count >= 1.0
        })
        .await;
    assert_eq!(
        gateway
            .metric("tollgate_config_last_reload_successful", &[])
            .await,
        0.0
    );
    let line = gateway
        .log_line("the failure in the log", |line| {
            line["msg"] == "config reload failed"
        })
        .await;
    assert!(
        line["error"]
            .as_str()
            .is_some_and(|error| error.contains("base_ulr")),
        "{line}"
    );
    assert_eq!(gateway.ask(chat("up/m-1")).await.text(), COMPLETION);
    in_force(&gateway, 1).await;

    let answer = gateway.ask_admin(reload()).await;
    assert_eq!(
        (answer.status, &answer.json()["result"]),
        (422, &"failure".into()),
        "{}",
        answer.text()
    );
    let diagnostics = answer.json()["diagnostics"]
        .as_str()
        .expect("text")
        .to_owned();
    assert!(
        diagnostics.contains("tollgate.yaml:") && diagnostics.contains("base_url"),
        "{diagnostics}"
    );
    gateway.signal("HUP");
    gateway
        .metric_becomes("tollgate_config_reloads_total", &failure, |count| {
            count >= 3.0
        })
        .await;
    assert_eq!(gateway.ask(chat("up/m-1")).await.text(), COMPLETION);

    replace_file(&gateway.config_path(), &numbered(&upstream, 3));
    in_force(&gateway, 3).await;
    gateway
        .metric_becomes("tollgate_config_last_reload_successful", &[], |value| {
            value == 1.0
        })
        .await;
    gateway
        .log_line("the success in the log", |line| {
            line["msg"] == "config reloaded"
        })
        .await;
}

#[tokio::test]
async fn the_symlink_swap_of_a_kubernetes_config_map_is_noticed() {
    let upstream = Upstream::healthy().await;
    let volume = TempDir::new().expect("a temporary directory");
    let version = |number: u32| format!("..2026_{number}");
    let add_version = |number: u32| {
        let directory = volume.path().join(version(number));
        std::fs::create_dir(&directory).expect("a directory of the test's own");
        std::fs::write(directory.join("tollgate.yaml"), numbered(&upstream, number))
            .expect("a file of the test's own");
    };
    add_version(1);
    symlink(version(1), volume.path().join("..data")).expect("a link of the test's own");
    symlink("..data/tollgate.yaml", volume.path().join("tollgate.yaml"))
        .expect("a link of the test's own");
    let gateway = Gateway::start_at(&volume.path().join("tollgate.yaml"), &[]).await;
    in_force(&gateway, 1).await;
    for number in 2..=3 {
        add_version(number);
        let draft = volume.path().join("..data_tmp");
        symlink(version(number), &draft).expect("a link of the test's own");
        std::fs::rename(&draft, volume.path().join("..data")).expect("a link of the test's own");
        std::fs::remove_dir_all(volume.path().join(version(number - 1)))
            .expect("a directory of the test's own");
        in_force(&gateway, number).await;
    }
}

#[tokio::test]
async fn what_needs_a_restart_is_reported_and_the_rest_applied() {
    let upstream = Upstream::healthy().await;
    let gateway = Gateway::start(&numbered(&upstream, 1)).await;
    let elsewhere =
        numbered(&upstream, 2).replacen("listen: 127.0.0.1:0", "listen: 127.0.0.2:0", 1);
    replace_file(&gateway.config_path(), &elsewhere);
    in_force(&gateway, 2).await;
    let mentions = |line: &serde_json::Value| {
        line.to_string().contains("restart") && line.to_string().contains("listen")
    };
    gateway.log_line("what needs a restart", mentions).await;
    assert_eq!(gateway.ask(chat("up/m-1")).await.text(), COMPLETION);
}

#[tokio::test]
async fn the_admin_api_wants_its_token() {
    let upstream = Upstream::healthy().await;
    let gateway = Gateway::start(&numbered(&upstream, 1)).await;
    let without = ask(gateway.admin, reload().without("authorization")).await;
    let wrong = ask(
        gateway.admin,
        reload().header("authorization", "Bearer wrong"),
    )
    .await;
    assert_eq!((without.status, wrong.status), (401, 401));

    let untokened = numbered(&upstream, 1).replace(&format!(", token: {ADMIN_TOKEN}"), "");
    let gateway = Gateway::start(&untokened).await;
    assert_eq!(gateway.ask_admin(reload()).await.status, 403);
    assert_eq!(
        ask(gateway.admin, Request::get("/metrics")).await.status,
        200
    );
}

/// A configuration that shows its number in `/v1/models`.
fn numbered(upstream: &Upstream, number: u32) -> String {
    config(&format!(
        "{}  version-{number}: {{ target: up/m-1 }}\n",
        upstream.as_provider("up")
    ))
}

fn reload() -> Request {
    Request {
        method: "POST".to_owned(),
        ..Request::get("/admin/v1/reload")
    }
}

async fn in_force(gateway: &Gateway, number: u32) {
    let name = format!("version-{number}");
    eventually(&name, async || {
        let answer = gateway.ask(Request::get("/v1/models")).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.text().contains(&format!("\"{name}\"")).then_some(())
    })
    .await;
}

/// Reads a stream of the pacing upstream to its end and returns how many frames it had.
pub async fn read_numbered_stream(mut connection: Connection) -> usize {
    let mut answer = Answer {
        status: 200,
        headers: Vec::new(),
        body: Vec::new(),
    };
    while let Some(piece) = connection.piece().await.expect("no stream breaks") {
        answer.body.extend_from_slice(&piece);
    }
    let events = answer.events();
    let (done, frames) = events.split_last().expect("events");
    assert!(done.is_done(), "{done:?}");
    let (finish, numbered) = frames.split_last().expect("events");
    assert_eq!(
        finish.json()["choices"][0]["finish_reason"],
        "stop",
        "{finish:?}"
    );
    for (number, frame) in numbered.iter().enumerate() {
        assert_eq!(
            frame.json()["choices"][0]["delta"]["content"],
            format!("{number} "),
            "none lost, none twice"
        );
    }
    numbered.len()
}

/// Asks again and again, on one connection or on new ones; returns how often.
async fn ask_until(over: Arc<AtomicBool>, address: std::net::SocketAddr, kept: bool) -> usize {
    let mut asked = 0;
    let mut connection = Connection::open(address)
        .await
        .expect("the gateway listens");
    while !over.load(Ordering::Relaxed) {
        if !kept {
            connection = Connection::open(address)
                .await
                .expect("the gateway listens");
        }
        connection
            .send(chat("up/m-1").bytes())
            .await
            .expect("the connection lives on");
        let answer = within("an answer", connection.answer())
            .await
            .expect("a complete answer");
        assert_eq!(answer.text(), COMPLETION);
        asked += 1;
    }
    asked
}
