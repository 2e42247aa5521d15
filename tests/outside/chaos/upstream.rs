//! Upstreams that fail by seed, in every way. What one does to a call depends on the seed, on the request and on how often that
//! has come, and on nothing else; so a run can be repeated.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use super::faults::{Fault, mix};
use crate::upstream::{Received, chunk, read_request, stream_head, whole};

/// What precedes a request's number wherever its text stands.
pub const MARK: &str = "request-";

/// The pause between two pieces of an answer that drips.
const DRIP: Duration = Duration::from_millis(2);

/// What all upstreams of a run have seen.
#[derive(Default)]
pub struct Scene {
    seed: u64,
    /// How many calls of a thousand fail.
    faults_of_1000: u64,
    calls: Mutex<HashMap<u64, Vec<Call>>>,
}

/// A call as its upstream saw it.
#[derive(Clone, Debug)]
pub struct Call {
    /// `provider/model-name`
    pub target: String,
    /// What was done to it.
    pub fault: Option<Fault>,
    /// All that the caller has, or would have had, with its answer.
    pub text: String,
    /// The answer.
    said: String,
}

/// One of the upstreams; it stops listening when dropped.
pub struct Upstream {
    /// Where it listens.
    pub address: SocketAddr,
    listening: JoinHandle<()>,
}

// === impl Scene ===

impl Scene {
    /// An empty one, where so many calls of a thousand will fail.
    pub fn new(seed: u64, faults_of_1000: u64) -> Arc<Self> {
        Arc::new(Self {
            seed,
            faults_of_1000,
            calls: Mutex::default(),
        })
    }

    /// The calls that a request has led to, in order.
    pub fn calls_of(&self, number: u64) -> Vec<Call> {
        let calls = self.calls.lock().expect("never poisoned");
        calls.get(&number).cloned().unwrap_or_default()
    }

    /// All calls.
    pub fn calls(&self) -> Vec<Call> {
        let calls = self.calls.lock().expect("never poisoned");
        calls.values().flatten().cloned().collect()
    }

    /// Notes a call and decides what is done to it. One that is closed on a connection which had waited is none: its server
    /// has not read it, and the gateway sends it once more on another.
    fn call(&self, target: &str, request: &Received, is_fresh: bool) -> Option<Call> {
        let number = number_of(request);
        let mut calls = self.calls.lock().expect("never poisoned");
        let calls = calls.entry(number).or_default();
        let nth = calls.iter().filter(|call| call.target == target).count();
        let id = format!("{target}.{number}.{nth}");
        let mixed = id
            .bytes()
            .fold(self.seed, |seed, byte| mix(seed ^ u64::from(byte)));
        let is_fault = mixed % 1000 < self.faults_of_1000;
        let fault = is_fault.then(|| Fault::chosen(mix(mixed)));
        if !is_fresh && fault.is_some_and(Fault::closes_at_once) {
            return None;
        }
        let words = 4 + mix(mixed ^ 1) % 12;
        let words: String = (0..words).map(|word| format!("{id}:{word} ")).collect();
        let (text, said) = match begun(request) {
            None => (words.clone(), words),
            // Now and then it says the last word once more.
            Some(begun) => {
                let again = begun.rsplit(' ').next().filter(|_| mixed.is_multiple_of(3));
                let said = format!("{} {words}", again.unwrap_or_default());
                (format!("{begun} {words}"), said)
            }
        };
        let call = Call {
            target: target.to_owned(),
            fault,
            text,
            said,
        };
        calls.push(call.clone());
        Some(call)
    }
}

// === impl Upstream ===

impl Upstream {
    /// Starts the one behind the target.
    pub async fn start(scene: &Arc<Scene>, target: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("a bound socket");
        let (scene, target) = (scene.clone(), target.to_owned());
        let listening = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (scene, target) = (scene.clone(), target.clone());
                tokio::spawn(async move { serve(stream, &scene, &target).await });
            }
        });
        Self { address, listening }
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

/// Answers what comes on one connection.
async fn serve(mut stream: TcpStream, scene: &Scene, target: &str) -> Option<()> {
    let _ = stream.set_nodelay(true);
    let mut is_fresh = true;
    loop {
        let request = read_request(&mut stream).await?;
        let call = scene.call(target, &request, is_fresh)?;
        is_fresh = false;
        let asks_for_stream = request.asks_for_stream();
        let Some(fault) = call.fault else {
            let drips = call.said.len().is_multiple_of(8);
            let answer = answer(&call, asks_for_stream);
            write(&mut stream, &answer, drips).await?;
            continue;
        };
        let (bytes, then) = fault.script(&answer(&call, asks_for_stream), asks_for_stream);
        stream.write_all(&bytes).await.ok()?;
        match then {
            Then::Keep => {}
            Then::Close => return None,
            Then::Reset => return stream.set_zero_linger().ok(),
            Then::Stall => {
                while let Ok(1..) = stream.read(&mut [0; 1024]).await {}
                return None;
            }
        }
    }
}

/// What becomes of a connection after a fault.
pub enum Then {
    /// It can be used again.
    Keep,
    /// It ends.
    Close,
    /// It breaks.
    Reset,
    /// Nothing more comes, until the gateway leaves.
    Stall,
}

/// A healthy answer in the pieces that a provider would send.
pub struct Pieces(pub Vec<Vec<u8>>);

fn number_of(request: &Received) -> u64 {
    let body = String::from_utf8_lossy(&request.body);
    let digits = body.split(MARK).nth(1).unwrap_or_default();
    let digits = digits.split(|c: char| !c.is_ascii_digit()).next();
    digits.and_then(|digits| digits.parse().ok()).expect(MARK)
}

/// The answer that the request begins, where it is to be gone on with.
fn begun(request: &Received) -> Option<String> {
    let body = request.json();
    let last = body["messages"].as_array()?.last()?;
    let is_begun = last["role"] == "assistant" && body["continue_final_message"] == true;
    is_begun.then(|| last["content"].as_str().expect("a text").to_owned())
}

fn answer(call: &Call, asks_for_stream: bool) -> Pieces {
    let usage = json!({"prompt_tokens": 10, "completion_tokens": 10, "total_tokens": 20});
    if !asks_for_stream {
        let body = json!({
            "id": "c", "object": "chat.completion", "created": 1, "model": "m", "usage": usage,
            "choices": [{
                "index": 0, "finish_reason": "stop",
                "message": {"role": "assistant", "content": call.said},
            }],
        });
        return Pieces(vec![whole(200, "application/json", &body.to_string())]);
    }
    let frame = |choices: serde_json::Value, usage: Option<&serde_json::Value>| {
        let mut event = json!({
            "id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m",
            "choices": choices,
        });
        if let Some(usage) = usage {
            event["usage"] = usage.clone();
        }
        chunk(format!("data: {event}\n\n"))
    };
    let words = call.said.split_inclusive(' ').map(|word| {
        let delta = json!({"role": "assistant", "content": word});
        frame(
            json!([{"index": 0, "delta": delta, "finish_reason": null}]),
            None,
        )
    });
    let finish = json!([{"index": 0, "delta": {}, "finish_reason": "stop"}]);
    let ending = [
        frame(finish, None),
        frame(json!([]), Some(&usage)),
        [chunk("data: [DONE]\n\n"), chunk("")].concat(),
    ];
    let pieces = std::iter::once(stream_head()).chain(words).chain(ending);
    Pieces(pieces.collect())
}

async fn write(stream: &mut TcpStream, answer: &Pieces, drips: bool) -> Option<()> {
    let bytes = answer.0.concat();
    if !drips {
        return stream.write_all(&bytes).await.ok();
    }
    for piece in bytes.chunks(97) {
        stream.write_all(piece).await.ok()?;
        tokio::time::sleep(DRIP).await;
    }
    Some(())
}
