//! Which header fields go up, which come back, and which are ours.

use std::collections::HashSet;

use tokio::io::AsyncReadExt;

use crate::harness::{Gateway, config};
use crate::raw::{Request, chat, chat_stream};
use crate::upstream::{COMPLETION, FRAMES, Received, Upstream, chunk};

#[tokio::test]
async fn what_belongs_to_the_caller_never_goes_up_and_what_concerns_the_call_does() {
    let upstream = Upstream::healthy().await;
    let address = upstream.address;
    let gateway = Gateway::start(&config(&format!(
        r#"
providers:
  up:
    dialect: openai
    base_url: "http://{address}/v1"
    api_key: provider-secret
    headers: {{ x-team: search, openai-project: ours }}
models:
  "up/*": {{}}
"#
    )))
    .await;
    let kept_back = [
        ("cookie", "session=1"),
        ("x-forwarded-for", "10.1.2.3"),
        ("forwarded", "for=10.1.2.3"),
        ("x-real-ip", "10.1.2.3"),
        ("x-api-key", crate::harness::KEY),
        ("referer", "https://intranet/page"),
        ("origin", "https://intranet"),
        ("x-of-the-callers-own", "1"),
        ("x-tollgate-timeout", "30s"),
        ("proxy-authorization", "Basic x"),
    ];
    let sent_up = [
        ("openai-organization", "org-1"),
        ("openai-beta", "assistants=v2"),
        ("anthropic-beta", "x-2025"),
        ("idempotency-key", "once"),
        (
            "traceparent",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        ),
    ];
    for request in [chat("up/m-1"), chat_stream("up/m-1")] {
        upstream.forget();
        let all = kept_back.iter().chain(&sent_up);
        let mut request = all.fold(request, |request, (name, value)| {
            request.header(name, value)
        });
        request = request
            .header("openai-project", "the caller's")
            .header("connection", "x-of-the-callers-own");
        let answer = gateway.ask(request).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let arrived = upstream.only_request();
        for (name, _) in kept_back {
            assert_eq!(arrived.header(name), None, "{:?}", arrived.headers);
        }
        for (name, value) in sent_up {
            assert_eq!(arrived.header(name), Some(value), "{:?}", arrived.headers);
        }
        let ours = [
            ("authorization", "Bearer provider-secret"),
            ("content-type", "application/json"),
            ("x-team", "search"),
            ("openai-project", "ours"),
            ("host", &address.to_string()),
        ];
        for (name, value) in ours {
            let values: Vec<_> = arrived
                .headers
                .iter()
                .filter(|(present, _)| present == name)
                .collect();
            assert_eq!(values.len(), 1, "{name} once: {:?}", arrived.headers);
            assert_eq!(arrived.header(name), Some(value), "{:?}", arrived.headers);
        }
    }
}

#[tokio::test]
async fn what_belongs_to_our_account_never_comes_back() {
    const HEADERS: &str = "set-cookie: __cf_bm=1\r\nopenai-organization: org-ours\r\nopenai-processing-ms: 12\r\n\
        x-ratelimit-limit-requests: 5000\r\nx-ratelimit-remaining-tokens: 1\r\nanthropic-organization-id: ours\r\n\
        x-request-id: req_upstream\r\nserver: cloudflare\r\ncf-ray: 1\r\nstrict-transport-security: max-age=1\r\n\
        x-secret-of-the-provider: 1\r\n";
    let answers = |request: &Received| {
        if request.asks_for_stream() {
            let head = format!(
                "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n{HEADERS}transfer-encoding: chunked\r\n\r\n"
            );
            return [head.into_bytes(), chunk(FRAMES.concat()), chunk("")].concat();
        }
        let length = COMPLETION.len();
        format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n{HEADERS}content-length: {length}\r\n\r\n{COMPLETION}")
            .into_bytes()
    };
    let upstream = Upstream::answering(answers).await;
    let gateway = Gateway::start(&config(&upstream.as_provider("up"))).await;
    for request in [chat("up/m-1"), chat_stream("up/m-1")] {
        let answer = gateway.ask(request.header("x-request-id", "mine")).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        for line in HEADERS
            .lines()
            .filter(|line| !line.starts_with("x-request-id"))
        {
            let name = line.split(':').next().expect("a name").trim();
            assert_eq!(answer.header(name), None, "{:?}", answer.headers);
        }
        assert_eq!(answer.header("x-request-id"), Some("mine"));
        assert_eq!(answer.header("x-upstream-request-id"), Some("req_upstream"));
        assert_eq!(answer.header("x-tollgate-model"), Some("up/m-1"));
        assert_eq!(answer.header("x-tollgate-attempts"), Some("1"));
    }
}

#[tokio::test]
async fn a_request_id_is_the_callers_own_if_it_is_a_decent_one() {
    let upstream = Upstream::healthy().await;
    let gateway = Gateway::start(&config(&upstream.as_provider("up"))).await;
    let longest = "a".repeat(128);
    for id in ["abc-DEF_1.2", longest.as_str()] {
        for request in [
            chat("up/m-1"),
            chat("no-such-model"),
            Request::get("/v1/models"),
            Request::get("/nowhere"),
        ] {
            let answer = gateway.ask(request.header("x-request-id", id)).await;
            assert_eq!(answer.header("x-request-id"), Some(id));
        }
    }
    let line = gateway.request_line("abc-DEF_1.2").await;
    assert_eq!(line["request_id"], "abc-DEF_1.2");

    let mut made = HashSet::new();
    let too_long = "a".repeat(129);
    for id in [
        Some(too_long.as_str()),
        Some("with blank"),
        Some("semi;colon"),
        Some("é"),
        Some(""),
        None,
    ] {
        let request = match id {
            Some(id) => chat("up/m-1").header("x-request-id", id),
            None => chat("up/m-1"),
        };
        let answer = gateway.ask(request).await;
        let ours = answer
            .header("x-request-id")
            .expect("every answer carries one")
            .to_owned();
        let decent = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        assert!(
            (1..=128).contains(&ours.len()) && ours.chars().all(decent),
            "{ours}"
        );
        assert_ne!(Some(ours.as_str()), id);
        assert!(made.insert(ours), "each request has its own");
    }
}

#[tokio::test]
async fn a_caller_may_shorten_its_deadline_but_not_lengthen_it() {
    let silent = |_, mut stream: tokio::net::TcpStream| async move {
        while let Ok(1..) = stream.read(&mut [0; 1024]).await {}
        None
    };
    let upstream = Upstream::start(silent).await;
    let address = upstream.address;
    let gateway = Gateway::start(&config(&format!(
        r#"
providers:
  up: {{ dialect: openai, base_url: "http://{address}/v1", api_key: provider-secret }}
models:
  patient: {{ target: up/m-1 }}
  hasty: {{ target: up/m-1, timeout: {{ total: 300ms }} }}
"#
    )))
    .await;
    for request in [chat("patient"), chat_stream("patient")] {
        // The model's own limits are minutes: only the caller's can end this within the test's.
        gateway
            .ask(request.header("x-tollgate-timeout", "300ms"))
            .await
            .assert_error(504, "upstream_timeout");
    }
    gateway
        .ask(chat("hasty").header("x-tollgate-timeout", "10m"))
        .await
        .assert_error(504, "upstream_timeout");
}
