//! What can go wrong at a provider, each with the answer that callers are promised; once each here, thousands of
//! times over in `repetitions`.

use std::time::Duration;

use serde_json::Value;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;

use crate::faulty::{FAULTS, Stage};
use crate::harness::{Gateway, config};
use crate::raw::{Request, chat, chat_stream};
use crate::upstream::{Received, Upstream, chunk, stream_head, whole};

#[tokio::test]
async fn each_fault_has_its_documented_answer() {
    let stage = Stage::set("").await;
    let mut asked = JoinSet::new();
    for fault in &FAULTS {
        let address = stage.gateway.address;
        asked.spawn(async move { (fault, crate::harness::ask(address, fault.request()).await) });
    }
    let answers = asked.join_all().await;
    let wrong: Vec<String> = answers
        .iter()
        .filter_map(|(fault, answer)| fault.judge(answer).err())
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn a_connection_that_is_never_accepted_is_a_timeout_named_connect() {
    // A backlog that is full: the kernel then leaves further connections unanswered.
    let socket = TcpSocket::new_v4().expect("a socket");
    socket
        .bind("127.0.0.1:0".parse().expect("an address"))
        .expect("a free port");
    let listener = socket.listen(0).expect("a listening socket");
    let address = listener.local_addr().expect("a bound socket");
    let mut filling = Vec::new();
    while let Ok(connected) =
        tokio::time::timeout(Duration::from_millis(500), TcpStream::connect(address)).await
    {
        filling.push(connected.expect("a place in the backlog"));
        assert!(filling.len() < 1000, "a backlog of 0 has an end");
    }
    let yaml = format!(
        r#"
providers:
  full: {{ dialect: openai, base_url: "http://{address}/v1", api_key: provider-secret }}
models:
  "full/*": {{ timeout: {{ connect: 300ms }} }}
"#
    );
    let gateway = Gateway::start(&config(&yaml)).await;
    for request in [chat("full/m"), chat_stream("full/m")] {
        let error = gateway
            .ask(request)
            .await
            .assert_error(504, "upstream_timeout");
        assert!(
            error["message"]
                .as_str()
                .is_some_and(|message| message.contains("connect")),
            "{error}"
        );
    }
}

#[tokio::test]
async fn a_providers_own_error_is_passed_on_as_it_came() {
    const BODY: &str =
        r#"{"error": {"message":"The caf\u00e9 is full","type":"x","param":null,"code":1e2}}"#;
    let answers = |request: &Received| {
        let status: u16 = request
            .model()
            .parse()
            .expect("the model is named after a status");
        let retry = if status == 429 {
            "retry-after: 17\r\n"
        } else {
            ""
        };
        let length = BODY.len();
        format!("HTTP/1.1 {status} X\r\ncontent-type: application/json; charset=UTF-8\r\n{retry}content-length: {length}\r\n\r\n{BODY}")
            .into_bytes()
    };
    let upstream = Upstream::answering(answers).await;
    // Else the second would be told to wait without being sent.
    let provider = "api_key: provider-secret";
    let unlearned = format!("{provider}, limits: {{ learn: false }}");
    let file = upstream.as_provider("up").replace(provider, &unlearned);
    let gateway = Gateway::start(&config(&file)).await;
    for status in [400, 404, 409, 413, 422, 429, 500, 503, 529] {
        for request in [
            chat(&format!("up/{status}")),
            chat_stream(&format!("up/{status}")),
        ] {
            let answer = gateway.ask(request).await;
            assert_eq!((answer.status, answer.text()), (status, BODY));
            assert_eq!(
                answer.header("content-type"),
                Some("application/json; charset=UTF-8")
            );
            assert_eq!(
                answer.header("retry-after"),
                (status == 429).then_some("17")
            );
        }
    }
}

#[tokio::test]
async fn a_provider_that_refuses_our_credential_is_our_fault_and_loud() {
    let refuses = |request: &Received| {
        let status = request
            .model()
            .parse()
            .expect("the model is named after a status");
        whole(
            status,
            "application/json",
            r#"{"error":{"message":"Incorrect API key provided: provider-secret"}}"#,
        )
    };
    let (gateway, _upstream) = gateway_and(Upstream::answering(refuses).await).await;
    for status in [401, 402, 403] {
        let error = gateway
            .ask(chat(&format!("up/{status}")))
            .await
            .assert_error(502, "upstream_error");
        assert_eq!(error["type"], "server_error");
        assert!(!error.to_string().contains("provider-secret"), "{error}");
    }
    let loud = |line: &serde_json::Value| {
        line["msg"]
            .as_str()
            .is_some_and(|msg| msg.contains("refused our credential"))
    };
    gateway
        .log_line("a warning about the credential", loud)
        .await;
    assert!(!gateway.log_text().contains("provider-secret"));
}

#[tokio::test]
async fn a_small_error_page_is_passed_on_as_it_came() {
    const PAGE: &str = "<html><body>503 Service Temporarily Unavailable</body></html>";
    let (gateway, _upstream) =
        gateway_and(Upstream::answering(|_| whole(503, "text/html", PAGE)).await).await;
    for request in [chat("up/m"), chat_stream("up/m")] {
        let answer = gateway.ask(request).await;
        assert_eq!((answer.status, answer.text()), (503, PAGE));
        assert_eq!(answer.header("content-type"), Some("text/html"));
    }
}

#[tokio::test]
async fn what_the_gateway_has_repeated_itself_the_callers_sdk_does_not() {
    let says_when = |request: &Received| {
        let retry = match &*request.model() {
            "says-when" => "retry-after: 0\r\n",
            _ => "",
        };
        format!("HTTP/1.1 503 X\r\n{retry}content-length: 0\r\n\r\n").into_bytes()
    };
    let upstream = Upstream::answering(says_when).await;
    let file = upstream.as_provider("up");
    for (attempts, model, told) in [
        (1, "up/m", None),
        (2, "up/m", Some("false")),
        (2, "up/says-when", None),
    ] {
        let repeats = format!(
            "defaults: {{ health: off, retry: {{ attempts: {attempts}, backoff: 1ms..2ms, budget: 100% }} }}"
        );
        let gateway = Gateway::start(&config(&format!("{file}\n{repeats}\n"))).await;
        for request in [chat(model), chat_stream(model)] {
            let answer = gateway.ask(request).await;
            assert_eq!(answer.status, 503);
            let asked = answer.header("x-tollgate-attempts");
            assert_eq!(asked, Some(&*attempts.to_string()));
            assert_eq!(answer.header("x-should-retry"), told, "{model}");
        }
    }
}

#[tokio::test]
async fn what_is_not_http_is_not_quoted_in_the_log() {
    let upstream = Upstream::answering(|_| b"private words, no HTTP\r\n\r\n".to_vec()).await;
    let (gateway, _upstream) = gateway_and(upstream).await;
    let request = chat("up/m").header("x-request-id", "no-http");
    let answer = gateway.ask(request).await;
    answer.assert_error(502, "upstream_error");
    gateway.request_line("no-http").await;
    assert!(!gateway.log_text().contains("private words"));
    assert!(!answer.text().contains("private words"));
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let elsewhere = Upstream::healthy().await;
    let location = elsewhere.address;
    let redirects = move |_: &Received| {
        format!("HTTP/1.1 302 Found\r\nlocation: http://{location}/v1/chat/completions\r\ncontent-length: 0\r\n\r\n")
            .into_bytes()
    };
    let (gateway, _upstream) = gateway_and(Upstream::answering(redirects).await).await;
    gateway
        .ask(chat("up/m"))
        .await
        .assert_error(502, "upstream_error");
    assert!(elsewhere.received().is_empty());
}

#[tokio::test]
async fn an_answer_larger_than_max_answer_is_not_collected() {
    let endless = |_: Received, mut stream: TcpStream| async move {
        let head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n";
        stream.write_all(head).await.ok()?;
        stream.write_all(&chunk(r#"{"filler":""#)).await.ok()?;
        loop {
            stream.write_all(&chunk([b'x'; 16 * 1024])).await.ok()?;
        }
    };
    let upstream = Upstream::start(endless).await;
    let yaml = format!(
        "server: {{ max_answer: 1MiB }}\nproviders:\n  up: {{ dialect: openai, base_url: \"http://{}/v1\" }}\nmodels:\n  \"up/*\": {{}}\n",
        upstream.address
    );
    let gateway = Gateway::start(&config(&yaml)).await;
    gateway
        .ask(chat("up/m"))
        .await
        .assert_error(502, "upstream_error");
}

async fn gateway_and(upstream: Upstream) -> (Gateway, Upstream) {
    let gateway = Gateway::start(&config(&upstream.as_provider("up"))).await;
    (gateway, upstream)
}

/// A provider of Anthropic's dialect whose stream is the events of `data`, each `pause` after the one before.
async fn anthropic(data: &'static [&'static str], pause: Duration) -> (Gateway, Upstream) {
    let upstream = Upstream::start(move |_, mut stream: TcpStream| async move {
        stream.write_all(&stream_head()).await.ok()?;
        for data in data {
            let kind = serde_json::from_str::<Value>(data).expect("JSON")["type"].clone();
            let event = format!(
                "event: {}\ndata: {data}\n\n",
                kind.as_str().expect("a type")
            );
            stream.write_all(&chunk(event)).await.ok()?;
            tokio::time::sleep(pause).await;
        }
        stream.write_all(&chunk("")).await.ok()?;
        Some(stream)
    })
    .await;
    let address = upstream.address;
    let gateway = Gateway::start(&config(&format!(
        r#"
providers:
  claude: {{ dialect: anthropic, base_url: "http://{address}/v1", api_key: k }}
models:
  m: {{ target: claude/m, timeout: {{ between_tokens: 300ms }} }}
"#
    )))
    .await;
    (gateway, upstream)
}

fn message_stream() -> Request {
    let body =
        r#"{"model":"m","max_tokens":9,"stream":true,"messages":[{"role":"user","content":"x"}]}"#;
    Request::post("/v1/messages", body)
}

#[tokio::test]
async fn any_event_shows_that_a_provider_is_at_work() {
    let events = &[
        r#"{"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","model":"m","content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":1,"output_tokens":1}}}"#,
        r#"{"type":"ping"}"#,
        r#"{"type":"ping"}"#,
        r#"{"type":"ping"}"#,
        r#"{"type":"ping"}"#,
        r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#,
        r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"late"}}"#,
        r#"{"type":"content_block_stop","index":0}"#,
        r#"{"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"output_tokens":2}}"#,
        r#"{"type":"message_stop"}"#,
    ];
    let (gateway, _upstream) = anthropic(events, Duration::from_millis(150)).await;
    let own = gateway.ask(message_stream()).await;
    assert!(own.text().contains("message_stop"), "{}", own.text());
    let foreign = gateway.ask(chat_stream("m")).await;
    assert!(
        foreign.text().ends_with("data: [DONE]\n\n"),
        "{}",
        foreign.text()
    );
}

#[tokio::test]
async fn a_stream_that_begins_with_the_providers_error_is_that_error() {
    let events =
        &[r#"{"type":"error","error":{"type":"rate_limit_error","message":"too many tokens"}}"#];
    let (gateway, _upstream) = anthropic(events, Duration::ZERO).await;
    let foreign = gateway.ask(chat_stream("m")).await;
    let error = foreign.assert_error(429, "rate_limit_exceeded");
    assert_eq!(error["message"], "too many tokens");
    let own = gateway.ask(message_stream()).await;
    assert_eq!(own.status, 429, "{}", own.text());
    assert_eq!(own.json()["error"]["type"], "rate_limit_error");
}

#[tokio::test]
async fn an_error_with_a_status_of_success_is_an_error() {
    let answer = |_: &Received| {
        let body =
            r#"{"error":{"message":"upstream is busy","code":429,"metadata":{}},"user_id":"u"}"#;
        whole(200, "application/json", body)
    };
    let upstream = Upstream::answering(answer).await;
    let gateway = Gateway::start(&config(&upstream.as_provider("up"))).await;
    let error = gateway.ask(chat("up/m")).await;
    let error = error.assert_error(429, "rate_limit_exceeded");
    assert_eq!(error["message"], "upstream is busy");
}
