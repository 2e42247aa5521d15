//! Streams that break after their first byte, and are gone on with by another target: `continue: true`.

use std::time::Duration;

use rusqlite::{Connection, OpenFlags};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::AsyncWriteExt;

use crate::harness::{Gateway, config, eventually, run};
use crate::raw::{Answer, Request, chat_stream};
use crate::upstream::{Received, Upstream, chunk, stream_head, whole};

/// What the model has to say.
const WHOLE: &str = concat!(
    "The füchsin lives in the wood — 狐 in Japanese — and she sleeps by day.\n",
    "At dusk she goes out, silent as snow, and comes home before the sun does. ",
    "Her three cubs wait below the roots of an old oak. Each of them has a name that only she knows, ",
    "and none of them has ever seen the sea.\n\nOne winter the river froze. ",
    "Ice lay on the reeds, thick as a hand, and every bird had gone to where it is warm. ",
    "So she walked over the water, which no fox had done before her, up to the mill on the far bank. ",
    "There stood a man with a lantern. He looked at her, she looked at him; “Go on,” he said, “the geese are mine, ",
    "but what falls from the cart belongs to whoever is hungry.” And something always fell from that cart: ",
    "a crust, a bone, half a cheese wrapped in leaves. In spring, when the ice broke with a noise like thunder, ",
    "it was the fox who barked outside his window until he woke, and who saved the mill.",
);

/// A provider of two dialects whose models have names that say what they do: `cut-30` says thirty characters and breaks off.
/// All go on with an answer that the last message begins, in their own way.
async fn provider() -> Upstream {
    Upstream::start(|request, mut stream| async move {
        let model = request.model();
        let (way, count) = match model.rsplit_once('-') {
            Some((way, count)) => (way.trim_start_matches("claude-3-haiku-"), count.parse().ok()),
            None => (&*model, None),
        };
        let begun = begun(&request);
        let rest = WHOLE.strip_prefix(begun.trim_end()).unwrap_or(WHOLE);
        let chars = |text: &str, count: usize| text.chars().take(count).collect::<String>();
        let text = match way {
            "anew" => [&chars(WHOLE, 20), " sleeps."].concat(),
            "all" => WHOLE.to_owned(),
            "sorry" => "I'm sorry, but I can't help with that.".to_owned(),
            "tail" => {
                let told = begun.trim_end();
                let last = told.char_indices().rev().nth(11).map_or(0, |(at, _)| at);
                [&told[last..], rest].concat()
            }
            "dull" => return answered(stream, &whole(400, "application/json", REFUSED)).await,
            _ => count.map_or_else(|| rest.to_owned(), |count| chars(rest, count)),
        };
        let is_anthropic = request.path.ends_with("/messages");
        stream.write_all(&stream_head()).await.ok()?;
        if way == "thinks" {
            let thought = json!({"role": "assistant", "reasoning_content": "Hm, a fox."});
            stream.write_all(&event(&delta(&thought, None))).await.ok()?;
            return None;
        }
        for frame in said(&text, is_anthropic) {
            stream.write_all(&frame).await.ok()?;
        }
        match way {
            _ if text == rest => stream.write_all(&ending(is_anthropic)).await.ok()?,
            "cut" => return None,
            "calls" => {
                let call = json!({"tool_calls": [{"index": 0, "id": "c", "type": "function", "function": {"name": "f", "arguments": "{"}}]});
                stream.write_all(&event(&delta(&call, None))).await.ok()?;
                return None;
            }
            "stall" => {
                tokio::time::sleep(Duration::from_secs(60)).await;
                return None;
            }
            "garbage" => stream.write_all(&chunk("data: {\"choices\":[}\n\n")).await.ok()?,
            "error" if is_anthropic => {
                let error = json!({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}});
                stream.write_all(&[event(&error), chunk("")].concat()).await.ok()?;
            }
            "error" => {
                let error = json!({"error": {"message": "something broke", "code": 503}});
                stream.write_all(&[event(&error), chunk("")].concat()).await.ok()?;
            }
            _ => stream.write_all(&ending(is_anthropic)).await.ok()?,
        }
        Some(stream)
    })
    .await
}

const REFUSED: &str =
    r#"{"error":{"message":"the last message must be the user's","type":"invalid_request_error"}}"#;

async fn answered(
    mut stream: tokio::net::TcpStream,
    bytes: &[u8],
) -> Option<tokio::net::TcpStream> {
    stream.write_all(bytes).await.ok().map(|()| stream)
}

/// The beginning of the answer that a request brings.
fn begun(request: &Received) -> String {
    let last = request.json()["messages"]
        .as_array()
        .and_then(|all| all.last().cloned());
    let last = last
        .filter(|last| last["role"] == "assistant")
        .unwrap_or_default();
    let text = last["content"]
        .as_str()
        .or(last["content"][0]["text"].as_str());
    text.unwrap_or_default().to_owned()
}

fn event(data: &Value) -> Vec<u8> {
    let name = data["type"]
        .as_str()
        .map_or_else(String::new, |kind| format!("event: {kind}\n"));
    chunk(format!("{name}data: {data}\n\n"))
}

fn delta(delta: &Value, finish: Option<&str>) -> Value {
    json!({
        "id": "chatcmpl-7", "object": "chat.completion.chunk", "created": 1, "model": "m-1",
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish}],
    })
}

/// A text in pieces of five characters.
fn said(text: &str, is_anthropic: bool) -> Vec<Vec<u8>> {
    let mut frames = match is_anthropic {
        true => vec![
            event(
                &json!({"type": "message_start", "message": {"id": "msg_7", "type": "message", "role": "assistant", "model": "m-1", "content": [], "stop_reason": null, "usage": {"input_tokens": 9, "output_tokens": 1}}}),
            ),
            event(
                &json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}),
            ),
        ],
        false => vec![event(&delta(
            &json!({"role": "assistant", "content": ""}),
            None,
        ))],
    };
    let chars: Vec<_> = text.chars().collect();
    frames.extend(chars.chunks(5).map(|piece| {
        let piece: String = piece.iter().collect();
        match is_anthropic {
            true => event(&json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": piece}})),
            false => event(&delta(&json!({"content": piece}), None)),
        }
    }));
    frames
}

fn ending(is_anthropic: bool) -> Vec<u8> {
    let usage = json!({"prompt_tokens": 40, "completion_tokens": 10, "total_tokens": 50});
    let frames = match is_anthropic {
        true => vec![
            event(&json!({"type": "content_block_stop", "index": 0})),
            event(
                &json!({"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": null}, "usage": {"output_tokens": 10}}),
            ),
            event(&json!({"type": "message_stop"})),
        ],
        false => vec![
            event(&delta(&json!({}), Some("stop"))),
            event(
                &json!({"id": "chatcmpl-7", "object": "chat.completion.chunk", "created": 1, "model": "m-1", "choices": [], "usage": usage}),
            ),
            chunk("data: [DONE]\n\n"),
        ],
    };
    [frames.concat(), chunk("")].concat()
}

struct Stage {
    upstream: Upstream,
    gateway: Gateway,
    ledger: std::path::PathBuf,
    _home: TempDir,
}

impl Stage {
    async fn set(models: &str) -> Self {
        let upstream = provider().await;
        let home = TempDir::new().expect("a temporary directory");
        let ledger = home.path().join("tollgate.db");
        let text = configuration(&upstream, &ledger, models);
        let gateway = Gateway::start(&text).await;
        Self {
            upstream,
            gateway,
            ledger,
            _home: home,
        }
    }

    async fn ask(&self, model: &str) -> Answer {
        self.upstream.forget();
        self.gateway.ask(chat_stream(model)).await
    }

    /// The models that were asked, with the beginning of the answer that each was given.
    fn asked(&self) -> Vec<(String, String)> {
        let received = self.upstream.received();
        let asked = received
            .iter()
            .map(|request| (request.model(), begun(request)));
        asked.collect()
    }

    /// What the ledger has of a request: each attempt's target, status and verdict, and whether it cost something.
    async fn rows(
        &self,
        answer: &Answer,
        count: usize,
    ) -> Vec<(String, u16, Option<String>, bool)> {
        const ROWS: &str = "SELECT target, status, verdict, cost_micro > 0 FROM attempts WHERE request_id = ? ORDER BY attempt";
        let id = answer.header("x-request-id").expect("an id");
        eventually("the rows of the request", async || {
            let connection =
                Connection::open_with_flags(&self.ledger, OpenFlags::SQLITE_OPEN_READ_ONLY).ok()?;
            let mut statement = connection.prepare(ROWS).ok()?;
            let rows = statement.query_map([id], |row| {
                Ok((
                    row.get(0)?,
                    row.get(1)?,
                    row.get(2)?,
                    row.get::<_, Option<bool>>(3)? == Some(true),
                ))
            });
            let rows: Vec<_> = rows.ok()?.map(|row| row.expect("a row")).collect();
            (rows.len() == count).then_some(rows)
        })
        .await
    }
}

fn configuration(upstream: &Upstream, ledger: &std::path::Path, models: &str) -> String {
    let (address, ledger) = (upstream.address, ledger.display());
    config(&format!(
        r#"
ledger: "sqlite:{ledger}"
defaults:
  retry: {{ attempts: 1 }}
  health: off
  timeout: {{ between_tokens: 500ms }}
providers:
  up: {{ dialect: openai, base_url: "http://{address}/v1", api_key: provider-secret, endpoints: [chat], prefill: true }}
  plain: {{ dialect: openai, base_url: "http://{address}/v1", api_key: provider-secret, endpoints: [chat] }}
  claude: {{ dialect: anthropic, base_url: "http://{address}/v1", api_key: provider-secret }}
prices: {{ overrides: [{{ target: "up/*", input: 1000, output: 1000 }}, {{ target: "claude/*", input: 1000, output: 1000 }}] }}
models:
{models}
"#
    ))
}

/// A model that asks these targets one after the other.
fn chain(name: &str, targets: &[&str]) -> String {
    let steps: Vec<_> = targets
        .iter()
        .map(|target| format!("{{ target: {target} }}"))
        .collect();
    format!(
        "  {name}: {{ continue: true, chain: [{}] }}\n",
        steps.join(", ")
    )
}

/// The text of a chat stream.
fn text(answer: &Answer) -> String {
    let events = answer.events();
    let pieces = events.iter().map(|event| {
        let json = event.json();
        json["choices"][0]["delta"]["content"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    });
    pieces.collect()
}

/// What marks in the data tell.
fn marks(answer: &Answer) -> Vec<Value> {
    let events = answer
        .events()
        .into_iter()
        .map(|event| event.json()["tollgate"].clone());
    events.filter(|mark| !mark.is_null()).collect()
}

fn told(count: usize) -> String {
    WHOLE.chars().take(count).collect()
}

#[tokio::test]
async fn however_a_stream_breaks_the_next_target_goes_on() {
    let faults = ["cut", "error", "stall", "garbage"];
    let seconds = ["good", "tail", "all"];
    let counts = [10, 22, 25, 33, 34, 47, 70, 72, 640];
    let mut models = String::new();
    for (at, count) in counts.iter().enumerate() {
        for second in seconds {
            let first = format!("up/{}-{count}", faults[at % faults.len()]);
            models += &chain(
                &format!("{second}-{count}"),
                &[&first, &format!("up/{second}")],
            );
        }
    }
    let stage = Stage::set(&models).await;
    for (at, count) in counts.iter().enumerate() {
        for second in seconds {
            let answer = stage.ask(&format!("{second}-{count}")).await;
            let shown = format!("{second} {count}: {}", answer.text());
            let told = told(*count);
            assert_eq!(text(&answer), WHOLE, "{shown}");
            assert!(answer.text().ends_with("data: [DONE]\n\n"), "{shown}");
            let target = format!("up/{second}");
            let continued = json!({"continued": {"target": target, "after": told.len()}});
            assert_eq!(marks(&answer), [continued], "{shown}");
            let word = ["cut", "error_event", "timeout", "malformed"][at % 4];
            let first = format!("up/{}-{count}", faults[at % 4]);
            let route = format!(": x-tollgate-route: {first};{word}, {target};ok\n");
            assert!(answer.text().contains(&route), "{shown}");
            let ids = answer.events().into_iter().filter(|event| !event.is_done());
            let mut ids = ids.map(|event| event.json()["id"].clone());
            assert!(ids.all(|id| id == "chatcmpl-7"), "{shown}");
            assert_eq!(answer.text().matches("\"role\"").count(), 1, "{shown}");

            let asked = [
                (format!("{}-{count}", faults[at % 4]), String::new()),
                (second.to_owned(), told.trim_end().to_owned()),
            ];
            assert_eq!(stage.asked(), asked, "{shown}");
            let request = &stage.upstream.received()[1].json();
            assert_eq!(request["continue_final_message"], true, "{request}");
            assert_eq!(request["add_generation_prompt"], false, "{request}");

            let rows = stage.rows(&answer, 2).await;
            let status = [502, 503, 504, 502][at % 4];
            let paid = [
                (first, status, Some(word.to_owned()), true),
                (target, 200, Some("ok".to_owned()), true),
            ];
            assert_eq!(rows, paid, "{shown}");
        }
    }
    let labels = [("model", "good-10"), ("reason", "cut")];
    let gateway = &stage.gateway;
    let is_once = |count| count == 1.0;
    gateway
        .metric_becomes("tollgate_fallbacks_total", &labels, is_once)
        .await;
    let is_told = |line: &Value| line["msg"] == "stream continued" && line["after_bytes"] == "11";
    let line = stage.gateway.log_line("the continuation", is_told).await;
    assert_eq!(
        (&line["broken"], &line["target"]),
        (&json!("up/cut-10"), &json!("up/good"))
    );
}

#[tokio::test]
async fn what_is_not_plain_text_ends_with_an_error_event() {
    let models = [
        chain("thinks", &["up/thinks", "up/good"]),
        chain("calls", &["up/calls-30", "up/good"]),
        chain("word", &["up/cut-5", "up/good"]),
        chain("plain", &["up/cut-30", "plain/good"]),
        "  off: { chain: [{ target: up/cut-30 }, { target: up/good }] }\n".to_owned(),
    ];
    let stage = Stage::set(&models.concat()).await;
    for model in ["thinks", "calls", "word", "plain", "off"] {
        let answer = stage.ask(model).await;
        let shown = format!("{model}: {}", answer.text());
        let last = answer.events().pop().expect("an event").json();
        assert_eq!(last["error"]["code"], "upstream_error", "{shown}");
        assert!(!answer.text().contains("[DONE]"), "{shown}");
        assert_eq!(stage.asked().len(), 1, "{shown}");
        assert!(WHOLE.starts_with(&text(&answer)), "{shown}");
        let rows = stage.rows(&answer, 1).await;
        assert_eq!(
            (rows[0].1, rows[0].2.as_deref()),
            (200, Some("upstream_error")),
            "{shown}"
        );
    }
}

#[tokio::test]
async fn a_request_that_wants_more_than_a_text_is_not_gone_on_with() {
    let stage = Stage::set(&chain("m", &["up/cut-30", "up/good"])).await;
    for more in [r#""n":2"#, r#""response_format":{"type":"json_object"}"#] {
        stage.upstream.forget();
        let body = format!(
            r#"{{"model":"m","messages":[{{"role":"user","content":"Hi"}}],"stream":true,{more}}}"#
        );
        let answer = stage
            .gateway
            .ask(Request::post("/v1/chat/completions", body))
            .await;
        assert!(
            answer.text().contains("upstream_error"),
            "{more}: {}",
            answer.text()
        );
        assert_eq!(stage.asked().len(), 1, "{more}");
    }
}

#[tokio::test]
async fn who_does_not_go_on_is_passed_over() {
    let models = [
        chain("anew", &["up/cut-40", "up/anew", "up/good"]),
        chain("dull", &["up/cut-40", "up/dull", "up/good"]),
        chain("plain", &["up/cut-40", "plain/good", "up/good"]),
        chain("only-anew", &["up/cut-40", "up/anew"]),
    ];
    let stage = Stage::set(&models.concat()).await;
    for (model, route) in [
        ("anew", "up/cut-40;cut, up/anew;not_continued, up/good;ok"),
        ("dull", "up/cut-40;cut, up/dull;400, up/good;ok"),
        ("plain", "up/cut-40;cut, up/good;ok"),
    ] {
        let answer = stage.ask(model).await;
        assert_eq!(text(&answer), WHOLE, "{model}: {}", answer.text());
        assert!(
            answer.text().contains(&format!("route: {route}\n")),
            "{model}: {}",
            answer.text()
        );
        let count = route.split(", ").count();
        assert_eq!(stage.rows(&answer, count).await.len(), count);
    }
    let answer = stage.ask("only-anew").await;
    assert_eq!(text(&answer), told(40), "{}", answer.text());
    let error = answer.events().pop().expect("an event").json();
    let message = error["error"]["message"].as_str().unwrap_or_default();
    assert!(
        message.contains("the provider `up` gave no usable answer"),
        "{error}"
    );
    let rows = stage.rows(&answer, 2).await;
    let words: Vec<_> = rows.iter().filter_map(|row| row.2.as_deref()).collect();
    assert_eq!(words, ["cut", "not_continued"]);
}

#[tokio::test]
async fn an_answer_is_gone_on_with_twice_and_not_three_times() {
    let models = [
        chain("twice", &["up/cut-20", "up/error-300", "up/good"]),
        chain(
            "thrice",
            &["up/cut-20", "up/cut-300", "up/cut-310", "up/good"],
        ),
    ];
    let stage = Stage::set(&models.concat()).await;
    let answer = stage.ask("twice").await;
    assert_eq!(text(&answer), WHOLE, "{}", answer.text());
    let after = |count| told(count).len();
    let expected = [
        json!({"continued": {"target": "up/error-300", "after": after(20)}}),
        json!({"continued": {"target": "up/good", "after": after(320)}}),
    ];
    assert_eq!(marks(&answer), expected, "{}", answer.text());
    let answer = stage.ask("thrice").await;
    assert_eq!(text(&answer), told(630), "{}", answer.text());
    assert!(
        answer.text().contains("upstream_error"),
        "{}",
        answer.text()
    );
    assert_eq!(stage.asked().len(), 3);
}

#[tokio::test]
async fn a_single_target_goes_on_itself_within_its_repeats() {
    let models = "  m: { target: up/cut-400, continue: true, retry: { attempts: 3, backoff: 1ms..2ms, budget: 100% } }\n";
    let stage = Stage::set(models).await;
    let answer = stage.ask("m").await;
    assert_eq!(stage.asked().len(), 3, "{}", answer.text());
    assert_eq!(text(&answer), WHOLE, "{}", answer.text());
}

#[tokio::test]
async fn an_answer_that_did_not_pass_its_gates_goes_on_with_no_other() {
    let models = "  m: { continue: true, retry: { attempts: 2, backoff: 1ms..2ms, budget: 100% }, chain: [{ target: up/sorry, escalate_when: [refusal] }, { target: up/cut-30 }] }\n";
    let stage = Stage::set(models).await;
    let answer = stage.ask("m").await;
    let asked: Vec<_> = stage.asked().into_iter().map(|(model, _)| model).collect();
    assert_eq!(asked, ["sorry", "cut-30", "cut-30"]);
    assert_eq!(text(&answer), told(30), "{}", answer.text());
    assert!(
        answer.text().contains("upstream_error"),
        "{}",
        answer.text()
    );
}

#[tokio::test]
async fn anthropics_overload_in_a_stream_is_gone_on_with() {
    let models = [
        chain(
            "claude",
            &[
                "claude/claude-3-haiku-error-30",
                "claude/claude-3-haiku-good",
            ],
        ),
        chain("mixed", &["claude/claude-3-haiku-error-30", "up/good"]),
        chain(
            "new",
            &["claude/claude-3-haiku-error-30", "claude/claude-opus-4-6"],
        ),
    ];
    let stage = Stage::set(&models.concat()).await;
    for model in ["claude", "mixed", "new"] {
        stage.upstream.forget();
        let body = format!(
            r#"{{"model":"{model}","max_tokens":500,"messages":[{{"role":"user","content":"Hi"}}],"stream":true}}"#
        );
        let answer = stage.gateway.ask(Request::post("/v1/messages", body)).await;
        let events = answer.events();
        let pieces = events
            .iter()
            .filter_map(|event| Some(event.json()["delta"]["text"].as_str()?.to_owned()));
        let said: String = pieces.collect();
        let last = events.last().expect("an event").json();
        if model == "new" {
            assert_eq!(
                (&*said, &last["error"]["type"]),
                (&*told(30), &json!("overloaded_error")),
                "{}",
                answer.text()
            );
            continue;
        }
        assert_eq!(said, WHOLE, "{}", answer.text());
        assert_eq!(last["type"], "message_stop", "{}", answer.text());
        assert!(!answer.text().contains("overloaded"), "{}", answer.text());
        for once in ["message_start", "content_block_start", "content_block_stop"] {
            let count = events
                .iter()
                .filter(|event| event.json()["type"] == once)
                .count();
            assert_eq!(count, 1, "{once}: {}", answer.text());
        }
        assert_eq!(marks(&answer).len(), 1, "{}", answer.text());
        let request = stage.upstream.received()[1].json();
        let limit = request["max_tokens"].as_u64().expect("a limit");
        assert!((480..500).contains(&limit), "what is left: {request}");
    }
}

#[tokio::test]
async fn the_simulated_provider_goes_on() {
    let gateway = Gateway::start(&config(
        "providers: { demo: { dialect: simulated } }\nmodels: { m: { continue: true, chain: [{ target: demo/cut }, { target: demo/small }] } }\n",
    ))
    .await;
    let answer = gateway.ask(chat_stream("m")).await;
    assert!(
        answer.text().contains("demo/cut;cut, demo/small;ok"),
        "{}",
        answer.text()
    );
    assert!(
        answer.text().ends_with("data: [DONE]\n\n"),
        "{}",
        answer.text()
    );
    assert_eq!(marks(&answer).len(), 1, "{}", answer.text());
}

#[tokio::test]
async fn check_warns_where_nobody_goes_on() {
    let upstream = provider().await;
    let home = TempDir::new().expect("a temporary directory");
    let path = home.path().join("tollgate.yaml");
    let ledger = home.path().join("tollgate.db");
    for (models, message) in [
        (
            chain("m", &["up/good", "plain/good"]),
            Some(
                "nobody goes on with a stream that breaks: `plain/good` cannot take the beginning of an answer",
            ),
        ),
        (
            chain("m", &["up/good"]),
            Some("nobody goes on with a stream that breaks: there is no other target"),
        ),
        (chain("m", &["plain/good", "up/good"]), None),
    ] {
        let text = configuration(&upstream, &ledger, &models);
        std::fs::write(&path, text).expect("a file in the test's own directory");
        let output = run(["check", path.to_str().expect("a plain path")]);
        let printed = String::from_utf8_lossy(&output.stdout);
        assert_eq!(output.status.code(), Some(0), "{printed}");
        match message {
            Some(message) => assert!(printed.contains(message), "{printed}"),
            None => assert!(!printed.contains("nobody goes on"), "{printed}"),
        }
    }
}
