//! An upstream on a bare socket: a test says byte by byte what it answers, and sees what reached it.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// A whole chat completion, in number formats that a careless gateway would change.
pub const COMPLETION: &str = r#"{"id": "chatcmpl-1", "object":"chat.completion","created":1760000000, "model":"m-1", "choices":[{"index":0,"message":{"role":"assistant","content":"Caf\u00e9 \ud83d\ude00 ü","refusal":null},"logprobs":null,"finish_reason":"stop"}], "usage":{"prompt_tokens":9,"completion_tokens":4,"total_tokens":13}, "x_score": [1.0, 1e2, 1E+2, -0, 0.10] }"#;
/// The events of a chat stream.
pub const FRAMES: [&str; 3] = [
    "data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m-1\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"Caf\u{e9}\"},\"finish_reason\":null}]}\n\n",
    "data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m-1\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n",
    "data: [DONE]\n\n",
];

/// A listening upstream; it stops listening when dropped.
pub struct Upstream {
    /// Where it listens.
    pub address: SocketAddr,
    received: Arc<Mutex<Vec<Received>>>,
    listening: JoinHandle<()>,
}

/// A request as it arrived.
#[derive(Clone, Debug)]
pub struct Received {
    /// Its method.
    pub method: String,
    /// Path and query.
    pub path: String,
    /// Header fields in order, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The whole body.
    pub body: Vec<u8>,
}

/// Opens and closes the end of all streams of a pacing upstream.
pub type Finish = watch::Sender<bool>;

/// An answer in one piece.
pub fn whole(status: u16, content_type: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("HTTP/1.1 {status} Answer\r\ncontent-type: {content_type}\r\ncontent-length: {length}\r\n\r\n{body}")
        .into_bytes()
}

/// The head of a stream.
pub fn stream_head() -> Vec<u8> {
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
        .to_vec()
}

/// One chunk of a chunked body; the empty one ends it.
pub fn chunk(bytes: impl AsRef<[u8]>) -> Vec<u8> {
    let bytes = bytes.as_ref();
    let mut chunk = format!("{:x}\r\n", bytes.len()).into_bytes();
    chunk.extend_from_slice(bytes);
    chunk.extend_from_slice(b"\r\n");
    chunk
}

/// What a healthy provider answers: [`COMPLETION`], or [`FRAMES`] where a stream was asked for.
pub fn healthy_answer(request: &Received) -> Vec<u8> {
    if !request.asks_for_stream() {
        return whole(200, "application/json", COMPLETION);
    }
    let frames = FRAMES.iter().flat_map(chunk);
    stream_head()
        .into_iter()
        .chain(frames)
        .chain(chunk(""))
        .collect()
}

// === impl Upstream ===

impl Upstream {
    /// Listens, and lets `answer` handle each request; a connection that it returns is kept alive.
    pub async fn start<F>(
        answer: impl Fn(Received, TcpStream) -> F + Clone + Send + 'static,
    ) -> Self
    where
        F: Future<Output = Option<TcpStream>> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("a bound socket");
        let received = Arc::new(Mutex::new(Vec::new()));
        let record = Arc::clone(&received);
        let listening = tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let (answer, record) = (answer.clone(), Arc::clone(&record));
                tokio::spawn(async move {
                    let _ = stream.set_nodelay(true);
                    if speaks_tls(&stream).await {
                        let _ = stream
                            .write_all(&whole(400, "text/plain", "This port speaks plain HTTP."))
                            .await;
                        return;
                    }
                    while let Some(request) = read_request(&mut stream).await {
                        record.lock().expect("never poisoned").push(request.clone());
                        let Some(kept) = answer(request, stream).await else {
                            return;
                        };
                        stream = kept;
                    }
                });
            }
        });
        Self {
            address,
            received,
            listening,
        }
    }

    /// Answers every request with bytes that depend on nothing but the request.
    pub async fn answering(answer: impl Fn(&Received) -> Vec<u8> + Clone + Send + 'static) -> Self {
        Self::start(move |request, mut stream| {
            let bytes = answer(&request);
            async move { stream.write_all(&bytes).await.ok().map(|()| stream) }
        })
        .await
    }

    /// Answers as a healthy provider does.
    pub async fn healthy() -> Self {
        Self::answering(healthy_answer).await
    }

    /// Streams numbered frames, one every 20 ms, until the returned switch is thrown; whole requests are answered at once.
    pub async fn pacing() -> (Self, Finish) {
        let (finish, finished) = watch::channel(false);
        let upstream = Self::start(move |request, mut stream| {
            let mut finished = finished.clone();
            async move {
                if !request.asks_for_stream() {
                    return stream
                        .write_all(&healthy_answer(&request))
                        .await
                        .ok()
                        .map(|()| stream);
                }
                stream.write_all(&stream_head()).await.ok()?;
                for number in 0_u64.. {
                    stream
                        .write_all(&chunk(numbered_frame(number)))
                        .await
                        .ok()?;
                    let end = finished.wait_for(|finished| *finished);
                    if tokio::time::timeout(Duration::from_millis(20), end)
                        .await
                        .is_ok()
                    {
                        break;
                    }
                }
                stream
                    .write_all(&[chunk(FRAMES[1]), chunk(FRAMES[2]), chunk("")].concat())
                    .await
                    .ok()?;
                Some(stream)
            }
        });
        (upstream.await, finish)
    }

    /// The sections of a configuration that make this the provider `name`, whose models go by their targets' names.
    pub fn as_provider(&self, name: &str) -> String {
        let address = self.address;
        format!(
            r#"
providers:
  {name}: {{ dialect: openai, base_url: "http://{address}/v1", api_key: provider-secret }}
models:
  "{name}/*": {{}}
"#
        )
    }

    /// What has arrived so far.
    pub fn received(&self) -> Vec<Received> {
        self.received.lock().expect("never poisoned").clone()
    }

    /// The only request that has arrived.
    #[track_caller]
    pub fn only_request(&self) -> Received {
        let mut received = self.received();
        assert_eq!(received.len(), 1, "{received:?}");
        received.remove(0)
    }

    /// Forgets what has arrived.
    pub fn forget(&self) {
        self.received.lock().expect("never poisoned").clear();
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

async fn speaks_tls(stream: &TcpStream) -> bool {
    const HANDSHAKE: u8 = 0x16;
    let mut first = [0];
    stream.peek(&mut first).await.is_ok_and(|count| count == 1) && first[0] == HANDSHAKE
}

fn numbered_frame(number: u64) -> String {
    format!(
        "data: {{\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m-1\",\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{number} \"}},\"finish_reason\":null}}]}}\n\n"
    )
}

// === impl Received ===

impl Received {
    /// The first field with this (lower-case) name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(present, _)| present == name)
            .map(|(_, value)| value.as_str())
    }

    /// The body as JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// The model that it names.
    pub fn model(&self) -> String {
        self.json()["model"].as_str().unwrap_or_default().to_owned()
    }

    /// Does it say `"stream": true`?
    pub fn asks_for_stream(&self) -> bool {
        self.json()["stream"] == true
    }
}

/// Reads one request; `None` where the peer left instead.
pub async fn read_request(stream: &mut (impl AsyncRead + Unpin)) -> Option<Received> {
    let mut buffer = Vec::new();
    let end = loop {
        if let Some(position) = memchr::memmem::find(&buffer, b"\r\n\r\n") {
            break position + 4;
        }
        fill(stream, &mut buffer).await?;
    };
    let mut body = buffer.split_off(end);
    let head = String::from_utf8(buffer).ok()?;
    let mut lines = head.split("\r\n");
    let mut start = lines.next()?.split(' ').map(str::to_owned);
    let fields = lines.filter_map(|line| line.split_once(':'));
    let headers = fields
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let mut request = Received {
        method: start.next()?,
        path: start.next()?,
        headers,
        body: Vec::new(),
    };
    assert_eq!(
        request.header("transfer-encoding"),
        None,
        "whole requests go up with a length"
    );
    let length: usize = request
        .header("content-length")
        .map_or(0, |value| value.parse().expect("a length"));
    while body.len() < length {
        fill(stream, &mut body).await?;
    }
    assert_eq!(
        body.len(),
        length,
        "nothing follows a request before its answer"
    );
    request.body = body;
    Some(request)
}

async fn fill(stream: &mut (impl AsyncRead + Unpin), buffer: &mut Vec<u8>) -> Option<()> {
    let mut piece = [0; 16 * 1024];
    let count = stream
        .read(&mut piece)
        .await
        .ok()
        .filter(|count| *count > 0)?;
    buffer.extend_from_slice(&piece[..count]);
    Some(())
}
