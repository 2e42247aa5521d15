//! Answers whose provider did not say what they used are paid for all the same, and what was never answered is not.

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::{Row, Stage};
use crate::harness::within;
use crate::raw::{Request, chat, chat_stream};
use crate::upstream::{Received, Upstream, chunk, stream_head, whole};

/// How many tokens the upstream writes, one a frame, before it falls silent.
const TOKENS: usize = 40;
/// One token of every tokenizer.
const TOKEN: &str = " go";

const MESSAGE: &str = r#"{"model":"claude/claude-x","max_tokens":99,"stream":true,"messages":[{"role":"user","content":"Say go."}]}"#;

/// What a provider that knows the dialect by the path begins its stream with, and a frame of one token.
fn frames(request: &Received) -> (String, String) {
    if request.path.ends_with("/messages") {
        let events = [
            r#"{"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","model":"x","content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":25,"output_tokens":1}}}"#,
            r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#,
        ];
        let delta = format!(
            r#"{{"type":"content_block_delta","index":0,"delta":{{"type":"text_delta","text":"{TOKEN}"}}}}"#
        );
        let event = |data: &str| {
            let json: Value = serde_json::from_str(data).expect("JSON");
            let kind = json["type"].as_str().expect("a type");
            format!("event: {kind}\ndata: {data}\n\n")
        };
        return (events.map(event).concat(), event(&delta));
    }
    let frame = |delta: &str| {
        format!(
            "data: {{\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"choices\":[{{\"index\":0,\"delta\":{delta},\"finish_reason\":null}}]}}\n\n"
        )
    };
    let first = frame(r#"{"role":"assistant","content":""}"#);
    (first, frame(&format!(r#"{{"content":"{TOKEN}"}}"#)))
}

/// Streams so many tokens, and then waits for the gateway to leave, or leaves (`cut`) itself.
async fn stops_in_the_middle() -> Upstream {
    Upstream::start(|request: Received, mut stream: TcpStream| async move {
        let (first, token) = frames(&request);
        stream
            .write_all(&[stream_head(), chunk(first)].concat())
            .await
            .ok()?;
        for _ in 0..TOKENS {
            stream.write_all(&chunk(&token)).await.ok()?;
        }
        let is_cut = request.model().ends_with("-cut");
        while !is_cut && matches!(stream.read(&mut [0; 1024]).await, Ok(1..)) {}
        None
    })
    .await
}

fn sections(upstream: &Upstream) -> String {
    let address = upstream.address;
    format!(
        r#"
providers:
  up: {{ dialect: openai, base_url: "http://{address}/v1", api_key: k }}
  claude: {{ dialect: anthropic, base_url: "http://{address}/v1", api_key: k }}
models: {{ "up/*": {{}}, "claude/*": {{}} }}
prices: {{ overrides: [ {{ target: "up/*", input: 0.75, output: 4.5 }}, {{ target: "claude/*", input: 3, output: 15 }} ] }}
"#
    )
}

/// A dialect's way, the request that takes it, and what tokens cost there in pico-dollars.
fn ways(model: &str) -> [(&'static str, Request, (i64, i64)); 3] {
    let message = Request::post("/v1/messages", MESSAGE.replace("claude-x", model));
    let at_claude = (3_000_000, 15_000_000);
    [
        (
            "watched",
            chat_stream(&format!("up/{model}")),
            (750_000, 4_500_000),
        ),
        ("forwarded", message, at_claude),
        (
            "translated",
            chat_stream(&format!("claude/{model}")),
            at_claude,
        ),
    ]
}

#[track_caller]
fn assert_paid_for_what_was_written(row: &Row, (input, output): (i64, i64)) {
    let written = TOKENS as i64;
    assert!(row.estimated && row.stream && row.input > 0, "{row:?}");
    assert!(
        (written..=written + written / 4).contains(&row.output),
        "about {written} tokens were written: {row:?}"
    );
    assert_eq!(row.cost, row.cost_at(input, output), "{row:?}");
    assert!(row.price_id.is_some(), "{row:?}");
    if row.target.starts_with("claude/") {
        assert_eq!(row.input, 25, "the provider said so");
    }
}

#[tokio::test]
async fn a_caller_who_leaves_a_stream_pays_for_what_was_written_up_to_then() {
    let upstream = stops_in_the_middle().await;
    let stage = Stage::set(&sections(&upstream)).await;
    for (way, request, _) in ways("claude-x") {
        let mut connection = stage.gateway.connect().await;
        let request = request.header("x-request-id", way);
        connection.send(request.bytes()).await.expect("sent");
        let read = async {
            connection.head().await.expect("a head");
            let mut text = String::new();
            while text.matches(TOKEN).count() < TOKENS {
                let piece = connection.piece().await.expect("a frame");
                text += &String::from_utf8_lossy(&piece.expect("a stream that goes on"));
            }
        };
        within("the tokens", read).await;
        drop(connection);
        assert_eq!(stage.row(way).await.status, 499, "{way}");
    }
    let labels = [("team", "search")];
    stage
        .gateway
        .metric_becomes("tollgate_estimated_answers_total", &labels, |count| {
            count == 3.0
        })
        .await;
    let rows = stage.end().await;
    assert_eq!(rows.len(), 3, "one a request: {rows:?}");
    for (way, _, prices) in ways("claude-x") {
        let row = rows.iter().find(|row| row.request_id == way).expect(way);
        assert_paid_for_what_was_written(row, prices);
    }
}

#[tokio::test]
async fn a_stream_that_its_provider_cuts_is_paid_for_up_to_there() {
    let upstream = stops_in_the_middle().await;
    let stage = Stage::set(&sections(&upstream)).await;
    for (way, request, _) in ways("claude-cut") {
        let answer = stage.gateway.ask(request.header("x-request-id", way)).await;
        assert_eq!(answer.text().matches(TOKEN).count(), TOKENS, "{way}");
    }
    let rows = stage.end().await;
    assert_eq!(rows.len(), 3, "one a request: {rows:?}");
    for (way, _, prices) in ways("claude-cut") {
        let row = rows.iter().find(|row| row.request_id == way).expect(way);
        assert_paid_for_what_was_written(row, prices);
    }
}

#[tokio::test]
async fn a_whole_answer_without_usage_is_counted() {
    let says = |request: &Received| {
        let text = TOKEN.repeat(TOKENS);
        let body = match request.path.ends_with("/messages") {
            true => format!(
                r#"{{"id":"msg_1","type":"message","role":"assistant","model":"x","content":[{{"type":"text","text":"{text}"}}],"stop_reason":"end_turn","stop_sequence":null}}"#
            ),
            false => format!(
                r#"{{"id":"c","object":"chat.completion","created":1,"model":"x","choices":[{{"index":0,"message":{{"role":"assistant","content":"{text}"}},"finish_reason":"stop"}}]}}"#
            ),
        };
        whole(200, "application/json", &body)
    };
    let upstream = Upstream::answering(says).await;
    let stage = Stage::set(&sections(&upstream)).await;
    let message = MESSAGE.replace(r#""stream":true,"#, "");
    for (id, request) in [
        ("watched", chat("up/claude-x")),
        ("forwarded", Request::post("/v1/messages", message)),
        ("translated", chat("claude/claude-x")),
    ] {
        let answer = stage.gateway.ask(request.header("x-request-id", id)).await;
        assert_eq!(answer.status, 200, "{id}: {}", answer.text());
        assert_eq!(
            answer.header("x-tollgate-cost-usd"),
            None,
            "{id}: it is not known in time"
        );
    }
    let rows = stage.end().await;
    assert_eq!(rows.len(), 3, "{rows:?}");
    for row in rows {
        let written = TOKENS as i64;
        assert!(row.estimated && !row.stream && row.input > 0, "{row:?}");
        assert!(
            (written..=written + written / 4).contains(&row.output),
            "{row:?}"
        );
        let (input, output) = match row.target.starts_with("up/") {
            true => (750_000, 4_500_000),
            false => (3_000_000, 15_000_000),
        };
        assert_eq!(row.cost, row.cost_at(input, output), "{row:?}");
    }
}

#[tokio::test]
async fn a_providers_error_and_a_refused_connection_cost_nothing_and_are_rows() {
    let refuses = |request: &Received| {
        let status = request
            .model()
            .parse()
            .expect("the model is named after a status");
        whole(
            status,
            "application/json",
            r#"{"error":{"message":"no","type":"x","param":null,"code":null}}"#,
        )
    };
    let upstream = Upstream::answering(refuses).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let nobody = listener.local_addr().expect("a bound socket");
    drop(listener);
    let address = upstream.address;
    let stage = Stage::set(&format!(
        r#"
providers:
  up: {{ dialect: openai, base_url: "http://{address}/v1", api_key: k }}
  nobody: {{ dialect: openai, base_url: "http://{nobody}/v1", api_key: k }}
models: {{ "up/*": {{}}, "nobody/*": {{}} }}
prices: {{ overrides: [ {{ target: "*", input: 1, output: 1, requests: 1000000 }} ] }}
"#
    ))
    .await;
    let cases = [
        ("up/400", 400),
        ("up/404", 404),
        ("up/429", 429),
        ("up/500", 500),
        ("up/503", 503),
        ("up/401", 502),
        ("nobody/m", 502),
    ];
    for (model, status) in cases {
        for request in [chat(model), chat_stream(model)] {
            assert_eq!(stage.gateway.ask(request).await.status, status, "{model}");
        }
    }
    let rows = stage.end().await;
    assert_eq!(rows.len(), 2 * cases.len(), "one a request: {rows:?}");
    for row in rows {
        let case = cases.iter().find(|(model, _)| *model == row.target);
        let (_, status) = case.expect("one of those");
        assert_eq!(row.status, i64::from(*status), "{row:?}");
        assert_eq!((row.cost, row.price_id), (Some(0), None), "{}", row.target);
        assert_eq!((row.input, row.output, row.estimated), (0, 0, false));
    }
}

#[tokio::test]
async fn a_whole_answer_that_never_comes_costs_its_input_at_least() {
    let silent = |_: Received, mut stream: TcpStream| async move {
        while let Ok(1..) = stream.read(&mut [0; 1024]).await {}
        None
    };
    let upstream = Upstream::start(silent).await;
    let address = upstream.address;
    let stage = Stage::set(&format!(
        r#"
providers:
  up: {{ dialect: openai, base_url: "http://{address}/v1", api_key: k }}
models: {{ "up/*": {{ timeout: {{ total: 300ms }} }} }}
prices: {{ overrides: [ {{ target: "up/*", input: 0.75, output: 4.5 }} ] }}
"#
    ))
    .await;
    let answer = stage.gateway.ask(chat("up/gpt-x")).await;
    answer.assert_error(504, "upstream_timeout");
    let rows = stage.end().await;
    let [row] = &rows[..] else {
        panic!("one row: {rows:?}")
    };
    assert!(row.estimated && row.input > 0, "{row:?}");
    assert_eq!((row.output, row.status), (0, 504), "{row:?}");
    assert_eq!(row.cost, row.cost_at(750_000, 4_500_000), "{row:?}");
}
