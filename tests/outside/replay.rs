//! A provider that answers from recordings of real traffic: `shared/data/recordings`, beside the project.

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use percent_encoding::percent_decode_str;
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// One recorded exchange.
#[derive(Clone, Deserialize)]
pub struct Recording {
    /// Its id.
    pub id: String,
    /// The provider that was asked.
    pub provider: String,
    /// The path that was asked for.
    pub path: String,
    /// Was the answer streamed?
    pub stream: bool,
    /// The JSON that was sent, as text.
    pub request: Box<RawValue>,
    /// The status of the answer.
    pub status: u16,
    /// The media type of the answer.
    pub content_type: String,
    response_kind: String,
    response: Box<RawValue>,
}

/// A listening replay server; it stops listening when dropped.
pub struct Replay {
    /// Where it listens.
    pub address: SocketAddr,
    received: Arc<Mutex<HashMap<String, Bytes>>>,
    listening: JoinHandle<()>,
}

/// A body in several writes.
struct Pieces {
    left: std::vec::IntoIter<Bytes>,
    flush: bool,
}

/// All recordings. `None` where they are not beside the project.
pub fn all_recordings() -> Option<Vec<Recording>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/recordings/dev.jsonl");
    let Ok(text) = std::fs::read_to_string(path) else {
        println!("skipped: no recordings");
        return None;
    };
    let lines = text.lines();
    let all = lines.map(|line| serde_json::from_str(line).expect("a recording"));
    Some(all.collect())
}

/// The recordings of chat, completions and embeddings in OpenAI's dialect, which pass through watched, not read. `None`
/// where the recordings are not beside the project.
pub fn recordings() -> Option<Vec<Recording>> {
    const PROVIDERS: [&str; 9] = [
        "openai",
        "groq",
        "openrouter",
        "mistral",
        "deepseek",
        "cerebras",
        "ollama",
        "huggingface",
        "zai",
    ];
    let mut all = all_recordings()?;
    let served = |recording: &Recording| {
        let path = recording.path.as_str();
        PROVIDERS.contains(&recording.provider.as_str())
            && (path.ends_with("/chat/completions")
                || path.ends_with("/completions")
                || path.ends_with("/embeddings"))
    };
    all.retain(served);
    Some(all)
}

// === impl Recording ===

impl Recording {
    /// The model that the recorded request names.
    pub fn model(&self) -> String {
        #[derive(Deserialize)]
        struct Named {
            model: String,
        }
        serde_json::from_str::<Named>(self.request.get())
            .expect("a recorded request names its model")
            .model
    }

    /// The path in front of the endpoint: what a base URL would hold, such as `/openai/v1`.
    pub fn base(&self) -> &str {
        let endpoints = ["/chat/completions", "/completions", "/embeddings"];
        endpoints
            .iter()
            .find_map(|endpoint| self.path.strip_suffix(endpoint))
            .expect("one of ours")
    }

    /// The endpoint as the gateway offers it.
    pub fn endpoint(&self) -> String {
        format!("/v1{}", &self.path[self.base().len()..])
    }

    /// The recorded answer, byte for byte.
    pub fn answer(&self) -> Vec<u8> {
        match self.response_kind.as_str() {
            "json" => self.response.get().as_bytes().to_vec(),
            "base64" => {
                let text: String = serde_json::from_str(self.response.get()).expect("base64");
                BASE64_STANDARD.decode(text).expect("recorded base64")
            }
            _ => serde_json::from_str::<String>(self.response.get())
                .expect("recorded text")
                .into_bytes(),
        }
    }

    /// The answer cut into writes at awkward places, the same each time: inside events, and inside every character
    /// of more than one byte.
    fn pieces(&self) -> Vec<Bytes> {
        let answer = Bytes::from(self.answer());
        if !self.stream {
            return vec![answer];
        }
        let mut random = self.id.bytes().fold(7_usize, |sum, byte| {
            sum.wrapping_mul(31).wrapping_add(byte.into())
        });
        let mut next_cut = 0;
        let mut cuts = vec![0];
        for (position, byte) in answer.iter().enumerate().skip(1) {
            let inside_character = byte & 0b1100_0000 == 0b1000_0000;
            if inside_character || position >= next_cut {
                random = random.wrapping_mul(1_103_515_245).wrapping_add(12_345);
                next_cut = position + 1 + (random >> 16) % 700;
                cuts.push(position);
            }
        }
        cuts.push(answer.len());
        cuts.windows(2)
            .map(|ends| answer.slice(ends[0]..ends[1]))
            .collect()
    }
}

// === impl Replay ===

impl Replay {
    /// Listens, and answers each request with the recording whose id its `idempotency-key` names.
    pub async fn start(recordings: &[Recording]) -> Self {
        let by_id = recordings
            .iter()
            .map(|recording| (recording.id.clone(), recording.clone()));
        let by_id: Arc<HashMap<_, _>> = Arc::new(by_id.collect());
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("a bound socket");
        let received = Arc::new(Mutex::new(HashMap::new()));
        let record = Arc::clone(&received);
        let listening = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let _ = stream.set_nodelay(true);
                let (by_id, record) = (Arc::clone(&by_id), Arc::clone(&record));
                let service = service_fn(move |request| {
                    serve(request, Arc::clone(&by_id), Arc::clone(&record))
                });
                tokio::spawn(
                    hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service),
                );
            }
        });
        Self {
            address,
            received,
            listening,
        }
    }

    /// The body of the request that was answered with this recording.
    pub fn received(&self, id: &str) -> Option<Bytes> {
        self.received
            .lock()
            .expect("never poisoned")
            .get(id)
            .cloned()
    }
}

impl Drop for Replay {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

async fn serve(
    request: Request<Incoming>,
    by_id: Arc<HashMap<String, Recording>>,
    record: Arc<Mutex<HashMap<String, Bytes>>>,
) -> Result<Response<Pieces>, Infallible> {
    let id = request
        .headers()
        .get("idempotency-key")
        .and_then(|id| id.to_str().ok())
        .unwrap_or_default();
    let recording = by_id
        .get(id)
        .filter(|recording| is_path(&recording.path, request.uri().path()));
    let Some(recording) = recording else {
        let text = format!("no recording {id:?} at {}", request.uri().path());
        let answer = Response::builder()
            .status(599)
            .body(Pieces::new(vec![text.into()]));
        return Ok(answer.expect("a well-formed answer"));
    };
    if let Ok(body) = request.into_body().collect().await {
        record
            .lock()
            .expect("never poisoned")
            .insert(recording.id.clone(), body.to_bytes());
    }
    let answer = Response::builder()
        .status(recording.status)
        .header("content-type", &recording.content_type)
        .body(Pieces::new(recording.pieces()));
    Ok(answer.expect("a well-formed answer"))
}

/// The same path: the query aside, and whichever characters are encoded.
fn is_path(recorded: &str, asked: &str) -> bool {
    let bare = recorded.split('?').next().unwrap_or_default();
    percent_decode_str(bare).eq(percent_decode_str(asked))
}

// === impl Pieces ===

impl Pieces {
    fn new(pieces: Vec<Bytes>) -> Self {
        Self {
            left: pieces.into_iter(),
            flush: false,
        }
    }
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.flush = !self.flush;
        if !self.flush {
            // Not ready between two pieces: so each leaves in a write of its own.
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(self.left.next().map(|piece| Ok(Frame::data(piece))))
    }
}
