use std::sync::Mutex;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{Request, Response};
use ring::hmac;
use serde_json::{Value, json};
use tokio::runtime::Handle;
use tokio::time::Instant;

use super::super::alert::{Pace, REPEATED_FOR, WAITING_MAX};
use super::super::*;
use crate::config::{ProcessEnvironment, ScalarOr, Secret};
use crate::provider::Dialer;
use crate::provider::fetch::server::Server;
use crate::provider::fetch::{Dialled, Fetch, Pending};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

fn webhook(url: &str, secret: Option<&str>) -> Arc<Webhook> {
    let secret_of = |text: &str| Secret::from(text.to_owned());
    let section = ScalarOr::Collection(webhook::DetailedWebhookSection {
        url: secret_of(url),
        secret: secret.map(secret_of),
    });
    let mut document = Document::parse("a.yaml", "{}", &ProcessEnvironment);
    Arc::new(Webhook::resolve(&section, &[], &mut document).expect("a good webhook"))
}

fn alert(budget: &str) -> Alert {
    let windows = Windows {
        per: Per::Day,
        zone: Tz::Europe__Berlin,
    };
    let at = "2026-11-29T14:00:00Z".parse().unwrap();
    let dollars = |pico| Usd::from_pico(pico);
    Alert {
        at,
        budget: budget.to_owned(),
        team: "search".to_owned(),
        key: None,
        model: Some("smart".to_owned()),
        user: None,
        per: Per::Day,
        window: windows.at(at),
        threshold: Share::WHOLE,
        limit: dollars(20_000_000_000_000),
        spent: dollars(20_003_400_000_000),
        when_spent: WhenSpent::Alert,
    }
}

/// Answers by the host that is asked, with a status or not at all, and notes when.
struct Scripted {
    status: fn(&str) -> Option<u16>,
    asked: Mutex<Vec<(Instant, Request<Bytes>)>>,
}

impl Scripted {
    fn new(status: fn(&str) -> Option<u16>) -> Arc<Self> {
        let asked = Mutex::default();
        Arc::new(Self { status, asked })
    }

    fn asked(&self, host: &str) -> Vec<(Instant, String)> {
        let id =
            |request: &Request<Bytes>| request.headers()["webhook-id"].to_str().unwrap().to_owned();
        let asked = self.asked.lock().unwrap();
        let there = asked
            .iter()
            .filter(|(_, request)| request.uri().host() == Some(host));
        there.map(|(time, request)| (*time, id(request))).collect()
    }
}

impl Fetch for Scripted {
    fn fetch(&self, request: Request<Bytes>) -> Pending<'_, Result<Response<Bytes>, String>> {
        let status = (self.status)(request.uri().host().unwrap());
        self.asked.lock().unwrap().push((Instant::now(), request));
        Box::pin(async move {
            let Some(status) = status else {
                return std::future::pending().await;
            };
            Ok(Response::builder()
                .status(status)
                .body(Bytes::new())
                .unwrap())
        })
    }
}

/// The example of the specification's own libraries.
#[test]
fn a_signature_is_that_of_standard_webhooks() {
    let webhook = webhook("https://example.com", Some(SECRET));
    let signature = webhook.signature(
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        1_614_265_330,
        br#"{"test": 2432232314}"#,
    );
    let expected = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
    assert_eq!(signature.as_deref(), Some(expected));
}

#[tokio::test]
async fn an_alert_is_posted_signed_until_it_is_accepted_under_one_id() {
    let answers = Mutex::new(vec![200, 302, 500]);
    let server = Server::start(move |_| {
        let status = answers.lock().unwrap().pop();
        (status.unwrap_or(500), String::new())
    })
    .await;
    let fetch = Arc::new(Dialled(Arc::new(Dialer::new())));
    let pace = Pace {
        pause_min: Duration::from_millis(1),
        pause_max: Duration::from_millis(2),
        repeated_for: Duration::from_secs(60),
    };
    let alerter = Alerter::paced(fetch, Handle::current(), pace);
    let hook = webhook(&format!("{}/hooks?token=x", server.url), Some(SECRET));
    alerter.send(&hook, &alert("search"));
    alerter.idle().await;

    let expected = AlerterState {
        sent: 1,
        ..AlerterState::default()
    };
    assert_eq!(alerter.state(), expected);
    let seen = server.seen();
    assert_eq!(seen.len(), 3);
    let key = STANDARD.decode(&SECRET["whsec_".len()..]).unwrap();
    let key = hmac::Key::new(hmac::HMAC_SHA256, &key);
    for post in &seen {
        assert_eq!(
            (post.method.as_str(), post.path.as_str()),
            ("POST", "/hooks?token=x")
        );
        assert_eq!(post.field("content-type"), "application/json");
        assert_eq!(post.field("webhook-id"), seen[0].field("webhook-id"));
        assert_eq!(post.body, seen[0].body);
        let (id, timestamp) = (post.field("webhook-id"), post.field("webhook-timestamp"));
        let age = chrono::Utc::now().timestamp() - timestamp.parse::<i64>().unwrap();
        assert!((0..60).contains(&age), "{timestamp}");
        let signature = post.field("webhook-signature").strip_prefix("v1,").unwrap();
        let signed = format!("{id}.{timestamp}.{}", post.body);
        let signature = STANDARD.decode(signature).unwrap();
        hmac::verify(&key, signed.as_bytes(), &signature).expect("a good signature");
    }
    let body: Value = serde_json::from_str(&seen[0].body).unwrap();
    let expected = json!({
        "type": "budget.threshold_reached",
        "timestamp": "2026-11-29T14:00:00Z",
        "data": {
            "budget": "search",
            "team": "search",
            "key": null,
            "model": "smart",
            "user": null,
            "per": "day",
            "window": "2026-11-29",
            "window_start": "2026-11-28T23:00:00Z",
            "window_end": "2026-11-29T23:00:00Z",
            "threshold": "1",
            "limit_usd": "20",
            "spent_usd": "20.0034",
            "when_spent": "alert",
        },
    });
    assert_eq!(body, expected);
}

#[tokio::test(start_paused = true)]
async fn an_alert_that_nobody_accepts_is_given_up_after_an_hour() {
    let fetch = Scripted::new(|_| Some(503));
    let alerter = Alerter::start(fetch.clone(), Handle::current());
    alerter.send(&webhook("https://example.com", None), &alert("a"));
    alerter.idle().await;
    let state = alerter.state();
    assert_eq!((state.sent, state.failed), (0, 1));
    let posts = fetch.asked("example.com");
    assert!((15..40).contains(&posts.len()), "{} posts", posts.len());
    assert!(posts.iter().all(|(_, id)| *id == posts[0].1));
    let took = posts[posts.len() - 1].0 - posts[0].0;
    assert!(took <= REPEATED_FOR && took >= REPEATED_FOR / 2, "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_receiver_that_hangs_or_is_full_holds_up_no_other() {
    let fetch = Scripted::new(|host| (host == "good.example").then_some(204));
    let alerter = Alerter::start(fetch.clone(), Handle::current());
    let hanging = webhook("https://hanging.example/x", None);
    for number in 0..WAITING_MAX + 7 {
        alerter.send(&hanging, &alert(&number.to_string()));
    }
    let begun = Instant::now();
    for number in 0..3 {
        alerter.send(
            &webhook("https://good.example/x", None),
            &alert(&number.to_string()),
        );
    }
    while alerter.state().sent < 3 {
        tokio::task::yield_now().await;
    }
    assert_eq!(begun.elapsed(), Duration::ZERO);
    alerter.idle().await;
    let expected = AlerterState {
        sent: 3,
        failed: WAITING_MAX as u64,
        dropped: 7,
        waiting: 0,
    };
    assert_eq!(alerter.state(), expected);
    // The first was repeated; those behind it were late, but each was posted.
    let mut ids: Vec<_> = fetch
        .asked("hanging.example")
        .into_iter()
        .map(|(_, id)| id)
        .collect();
    ids.dedup();
    assert_eq!(ids.len(), WAITING_MAX);
}

#[tokio::test(start_paused = true)]
async fn what_waited_arrives_in_its_order_when_the_receiver_is_back() {
    static BACK: Mutex<bool> = Mutex::new(false);
    let fetch = Scripted::new(|_| Some(if *BACK.lock().unwrap() { 200 } else { 500 }));
    let alerter = Alerter::start(fetch.clone(), Handle::current());
    let hook = webhook("https://example.com", None);
    for number in 0..3 {
        alerter.send(&hook, &alert(&number.to_string()));
    }
    tokio::time::sleep(Duration::from_secs(1200)).await;
    *BACK.lock().unwrap() = true;
    alerter.idle().await;
    assert_eq!(alerter.state().sent, 3);
    let posts = fetch.asked("example.com");
    let accepted = &posts[posts.len() - 3..];
    assert_eq!(accepted[0].1, posts[0].1);
    assert_eq!(accepted[2].0 - accepted[0].0, Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_receiver_that_is_gone_is_asked_once() {
    let fetch = Scripted::new(|_| Some(410));
    let alerter = Alerter::start(fetch.clone(), Handle::current());
    alerter.send(&webhook("https://example.com", None), &alert("a"));
    alerter.idle().await;
    assert_eq!(alerter.state().failed, 1);
    assert_eq!(fetch.asked("example.com").len(), 1);
}
