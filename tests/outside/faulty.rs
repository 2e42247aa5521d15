//! A provider with whom everything goes wrong: the kinds of fault, who acts them out, and what callers are promised.

use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

use crate::certificates::Authority;
use crate::harness::{Gateway, config};
use crate::raw::{Answer, Request, chat, chat_stream};
use crate::upstream::{
    COMPLETION, FRAMES, Received, Upstream, chunk, healthy_answer, stream_head, whole,
};

/// What a caller must see.
#[derive(Clone, Copy, Debug)]
pub enum Expect {
    /// The whole answer as the provider wrote it.
    Whole,
    /// The whole stream as the provider wrote it.
    Stream,
    /// An error of ours, whose message holds a word.
    Error(u16, &'static str, &'static str),
    /// The first frame, and then an error event as the last one.
    CutStream(&'static str),
}

/// A fault: what is asked for, what must come of it, and its share in a thousand repetitions.
pub struct Fault {
    /// The model whose name the faulty upstream acts out.
    pub model: &'static str,
    /// Is a stream asked for?
    pub stream: bool,
    /// What the caller must see.
    pub expect: Expect,
    /// How many of a thousand repetitions are of this kind; few where each one waits for a timeout.
    pub share: usize,
}

const UNUSABLE: Expect = Expect::Error(502, "upstream_error", "");
const CUT: Expect = Expect::CutStream("upstream_error");

/// Every kind of fault, and health in between: a fault must not spoil its neighbours.
pub const FAULTS: [Fault; 36] = [
    fault("fault/fine", false, Expect::Whole, 100),
    fault("fault/fine", true, Expect::Stream, 100),
    fault("trusted/fine", false, Expect::Whole, 20),
    fault("refused/m", false, UNUSABLE, 60),
    fault("refused/m", true, UNUSABLE, 30),
    fault("unknown-host/m", false, UNUSABLE, 20),
    fault("plain-text-for-tls/m", false, UNUSABLE, 20),
    fault("certificate-for-another-name/fine", false, UNUSABLE, 20),
    fault("certificate-of-a-stranger/fine", false, UNUSABLE, 20),
    fault("fault/reset", false, UNUSABLE, 40),
    fault("fault/reset", true, UNUSABLE, 20),
    fault("fault/close", false, UNUSABLE, 40),
    fault("fault/not-http", false, UNUSABLE, 30),
    fault(
        "total/silence",
        false,
        Expect::Error(504, "upstream_timeout", "total"),
        10,
    ),
    fault(
        "total/stall-in-body",
        false,
        Expect::Error(504, "upstream_timeout", "total"),
        10,
    ),
    fault(
        "first-token/silence",
        true,
        Expect::Error(504, "upstream_timeout", "first token"),
        10,
    ),
    fault(
        "first-token/head-only",
        true,
        Expect::Error(504, "upstream_timeout", "first token"),
        10,
    ),
    fault(
        "between-tokens/stall",
        true,
        Expect::CutStream("upstream_timeout"),
        10,
    ),
    fault("fault/cut-in-chunk", false, UNUSABLE, 40),
    fault("fault/cut-in-chunk", true, CUT, 40),
    fault("fault/cut-in-character", false, UNUSABLE, 40),
    fault("fault/cut-in-character", true, CUT, 40),
    fault("fault/cut-in-frame", true, CUT, 40),
    fault("fault/cut-between-frames", true, CUT, 30),
    fault("fault/cut-in-first-frame", true, UNUSABLE, 30),
    fault("fault/invalid-json", false, UNUSABLE, 40),
    fault("fault/empty-body", false, UNUSABLE, 30),
    fault("fault/empty-body", true, UNUSABLE, 20),
    fault("fault/empty-stream", true, UNUSABLE, 20),
    fault("fault/html-with-200", false, UNUSABLE, 20),
    fault("fault/html-of-10-mb", false, UNUSABLE, 8),
    fault("fault/html-of-10-mb", true, UNUSABLE, 2),
    fault("fault/length-too-long", false, UNUSABLE, 20),
    fault("fault/length-too-long", true, CUT, 10),
    fault("fault/length-too-short", false, UNUSABLE, 20),
    fault("fault/refuses-our-key", false, UNUSABLE, 10),
];

/// A gateway in front of all the faults.
pub struct Stage {
    /// The gateway.
    pub gateway: Gateway,
    _upstreams: (Upstream, [TlsUpstream; 3], TcpSocket),
    _authorities: TempDir,
}

/// An upstream behind TLS: healthy, if one believes its certificate.
struct TlsUpstream {
    port: u16,
    listening: tokio::task::JoinHandle<()>,
}

const fn fault(model: &'static str, stream: bool, expect: Expect, share: usize) -> Fault {
    Fault {
        model,
        stream,
        expect,
        share,
    }
}

// === impl Fault ===

impl Fault {
    /// The request that provokes it.
    pub fn request(&self) -> Request {
        if self.stream {
            chat_stream(self.model)
        } else {
            chat(self.model)
        }
    }

    /// Is this the promised answer?
    pub fn judge(&self, answer: &Answer) -> Result<(), String> {
        let body = String::from_utf8_lossy(&answer.body);
        let shown: String = body.chars().take(300).collect();
        let wrong = |what: &str| {
            let (model, stream, expect) = (self.model, self.stream, self.expect);
            Err(format!(
                "{model} (stream: {stream}): expected {expect:?}: {what}: {} {shown}",
                answer.status
            ))
        };
        match self.expect {
            Expect::Whole if answer.status == 200 && body == COMPLETION => Ok(()),
            Expect::Stream if answer.status == 200 && body == FRAMES.concat() => Ok(()),
            Expect::Whole | Expect::Stream => wrong("another answer"),
            Expect::Error(status, code, word) => {
                let json: serde_json::Value =
                    serde_json::from_slice(&answer.body).unwrap_or_default();
                let message = json["error"]["message"]
                    .as_str()
                    .unwrap_or_default()
                    .replace('_', " ");
                if (answer.status, &json["error"]["code"]) != (status, &code.into()) {
                    return wrong("another error");
                }
                if json["error"]["type"] != "server_error"
                    || answer.header("x-should-retry") != Some("false")
                {
                    return wrong("another type, or an invitation to retry");
                }
                if message.contains("127.0.0.1")
                    || message.contains("provider-secret")
                    || !message.contains(word)
                {
                    return wrong("another message");
                }
                Ok(())
            }
            Expect::CutStream(code) => {
                let Some(rest) = body
                    .strip_prefix(FRAMES[0])
                    .filter(|_| answer.status == 200)
                else {
                    return wrong("no first frame");
                };
                let events = crate::sse::events(rest);
                let [last] = events.as_slice() else {
                    return wrong("one event should follow the first");
                };
                let error = &last.json()["error"];
                match error["code"] == code
                    && error["type"] == "server_error"
                    && rest.ends_with("\n\n")
                {
                    true => Ok(()),
                    false => wrong("another error event"),
                }
            }
        }
    }
}

// === impl Stage ===

impl Stage {
    /// Starts the upstreams, and the gateway with this `server:` section.
    pub async fn set(server: &str) -> Self {
        let faulty = faulty_upstream().await;
        // Bound but not listening: the port is ours, and the kernel refuses connections to it.
        let refusing = TcpSocket::new_v4().expect("a socket");
        refusing
            .bind("127.0.0.1:0".parse().expect("an address"))
            .expect("a free port");

        let authority = Authority::new();
        let authorities = TempDir::new().expect("a temporary directory");
        let bundle = authorities.path().join("authority.pem");
        std::fs::write(&bundle, authority.pem()).expect("a file in the test's own directory");
        let trusted = TlsUpstream::start(&authority, "localhost").await;
        let another_name = TlsUpstream::start(&authority, "example.org").await;
        let stranger = TlsUpstream::start(&Authority::new(), "localhost").await;

        let yaml = format!(
            r#"
{server}
providers:
  fault: {{ dialect: openai, base_url: "http://{fault}/v1", api_key: provider-secret }}
  refused: {{ dialect: openai, base_url: "http://{refused}/v1", api_key: provider-secret }}
  unknown-host: {{ dialect: openai, base_url: "http://no-such-host.invalid/v1", api_key: provider-secret }}
  plain-text-for-tls: {{ dialect: openai, base_url: "https://localhost:{plain}/v1", api_key: provider-secret }}
  trusted: {{ dialect: openai, base_url: "https://localhost:{}/v1", api_key: provider-secret }}
  certificate-for-another-name: {{ dialect: openai, base_url: "https://localhost:{}/v1", api_key: provider-secret }}
  certificate-of-a-stranger: {{ dialect: openai, base_url: "https://localhost:{}/v1", api_key: provider-secret }}
models:
  "fault/*": {{}}
  "refused/*": {{}}
  "unknown-host/*": {{}}
  "plain-text-for-tls/*": {{}}
  "trusted/*": {{}}
  "certificate-for-another-name/*": {{}}
  "certificate-of-a-stranger/*": {{}}
  "total/*": {{ target: "fault/*", timeout: {{ total: 300ms }} }}
  "first-token/*": {{ target: "fault/*", timeout: {{ first_token: 300ms }} }}
  "between-tokens/*": {{ target: "fault/*", timeout: {{ between_tokens: 300ms }} }}
"#,
            trusted.port,
            another_name.port,
            stranger.port,
            fault = faulty.address,
            plain = faulty.address.port(),
            refused = refusing.local_addr().expect("a bound socket"),
        );
        let bundle = bundle.to_str().expect("a plain path");
        let gateway = Gateway::start_with(&config(&yaml), &[("SSL_CERT_FILE", bundle)]).await;
        let upstreams = (faulty, [trusted, another_name, stranger], refusing);
        Self {
            gateway,
            _upstreams: upstreams,
            _authorities: authorities,
        }
    }
}

// === impl TlsUpstream ===

impl TlsUpstream {
    async fn start(authority: &Authority, name: &str) -> Self {
        let acceptor = authority.issue(name).acceptor(&["http/1.1"]);
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("a bound socket").port();
        let listening = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    let Ok(mut stream) = acceptor.accept(stream).await else {
                        return;
                    };
                    while let Some(request) = crate::upstream::read_request(&mut stream).await {
                        if stream.write_all(&healthy_answer(&request)).await.is_err() {
                            return;
                        }
                    }
                });
            }
        });
        Self { port, listening }
    }
}

impl Drop for TlsUpstream {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

/// The upstream behind `fault/…`: each model's name is the fault that it acts out.
pub async fn faulty_upstream() -> Upstream {
    Upstream::start(act_out).await
}

/// Does what the model's name says.
async fn act_out(request: Received, mut stream: TcpStream) -> Option<TcpStream> {
    const E_ACUTE: [u8; 2] = [0xC3, 0xA9];
    const JSON_CHUNKED: &[u8] =
        b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n";
    let head = if request.asks_for_stream() {
        stream_head()
    } else {
        JSON_CHUNKED.to_vec()
    };
    let first = if request.asks_for_stream() {
        chunk(FRAMES[0])
    } else {
        chunk(r#"{"id":"#)
    };
    let (answer, keep) = match request.model().as_str() {
        "fine" => (healthy_answer(&request), true),
        "reset" => return reset(stream).await,
        "close" => return None,
        "not-http" => (b"SSH-2.0-OpenSSH_9.2\r\n\r\n\r\n".to_vec(), false),
        "silence" => return until_left(stream).await,
        "head-only" => (head, true),
        "stall" | "stall-in-body" => ([head, first].concat(), true),
        "cut-in-chunk" => (
            [head, first, b"40\r\ndata: {\"choices\"".to_vec()].concat(),
            false,
        ),
        "cut-in-character" => {
            let text = [br#"data: {"x":"caf"#, &E_ACUTE[..1]].concat();
            ([head, first, chunk(text)].concat(), false)
        }
        "cut-in-frame" => (
            [head, first, chunk(r#"data: {"choices":[{"delta":"#)].concat(),
            false,
        ),
        "cut-between-frames" => ([head, first].concat(), false),
        "cut-in-first-frame" => ([head, chunk(r#"data: {"choices":"#)].concat(), false),
        "invalid-json" => (
            whole(200, "application/json", r#"{"id":"x","choices":[}"#),
            true,
        ),
        "empty-body" => (whole(200, "application/json", ""), true),
        "empty-stream" => ([head, chunk("")].concat(), true),
        "html-with-200" => (
            whole(
                200,
                "text/html",
                "<html><body>Welcome to our captive portal</body></html>",
            ),
            true,
        ),
        "html-of-10-mb" => (
            whole(
                500,
                "text/html",
                &"<p>Internal server error</p>".repeat(10_000_000 / 28),
            ),
            true,
        ),
        "length-too-long" if request.asks_for_stream() => {
            let head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: 100000\r\n\r\n";
            ([head.as_slice(), FRAMES[0].as_bytes()].concat(), false)
        }
        "length-too-long" => (with_length(COMPLETION.len() + 10), false),
        "length-too-short" => (with_length(COMPLETION.len() - 10), true),
        "refuses-our-key" => (
            whole(
                401,
                "application/json",
                r#"{"error":{"message":"Incorrect API key"}}"#,
            ),
            true,
        ),
        unknown => panic!("the test asks for {unknown:?}"),
    };
    stream.write_all(&answer).await.ok()?;
    if matches!(
        request.model().as_str(),
        "head-only" | "stall" | "stall-in-body"
    ) {
        return until_left(stream).await;
    }
    keep.then_some(stream)
}

fn with_length(length: usize) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{COMPLETION}")
        .into_bytes()
}

/// Closes with a reset instead of an end.
async fn reset(stream: TcpStream) -> Option<TcpStream> {
    let _ = stream.set_zero_linger();
    None
}

/// Says nothing until the gateway has left.
async fn until_left(mut stream: TcpStream) -> Option<TcpStream> {
    while let Ok(1..) = stream.read(&mut [0; 1024]).await {}
    None
}
