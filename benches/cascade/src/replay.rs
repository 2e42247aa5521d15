//! The upstream: it answers from the file, by the model that it is asked for.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread;

use serde_json::{Value, json};
use side_by_side::http::Head;

use crate::question::Question;

/// Longest request: the gateway's own bound of a body by default, and a head.
const REQUEST_BYTES_MAX: usize = 33 << 20;

/// A provider of three models: `cheap`, `strong`, and a `judge` of what the cheap one answered. One question is asked at a
/// time, so which one needs not be read out of a request, and gateways may change requests as they like.
pub struct Replay {
    pub address: SocketAddr,
    stage: Arc<Stage>,
}

struct Stage {
    questions: Arc<[Question]>,
    current: AtomicUsize,
    /// How often the cheap model has answered the current question.
    cheap_answers: AtomicUsize,
    /// The first request that cannot be answered.
    mistake: OnceLock<String>,
}

impl Replay {
    /// Serves until the process ends.
    pub fn start(questions: Arc<[Question]>) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let stage = Arc::new(Stage {
            questions,
            current: AtomicUsize::new(0),
            cheap_answers: AtomicUsize::new(0),
            mistake: OnceLock::new(),
        });
        let replay = Self {
            address: listener.local_addr()?,
            stage: Arc::clone(&stage),
        };
        thread::spawn(move || {
            for socket in listener.incoming().flatten() {
                let stage = Arc::clone(&stage);
                // A connection that ends is no mistake: the gateway closes what it needs no more.
                thread::spawn(move || stage.serve(socket));
            }
        });
        Ok(replay)
    }

    /// From now on it is asked this question.
    pub fn turn_to(&self, question: usize) {
        self.stage.current.store(question, Ordering::SeqCst);
        self.stage.cheap_answers.store(0, Ordering::SeqCst);
    }

    /// What it was asked and has no answer to.
    pub fn mistake(&self) -> Option<&str> {
        self.stage.mistake.get().map(String::as_str)
    }
}

impl Stage {
    fn serve(&self, mut socket: TcpStream) -> io::Result<()> {
        socket.set_nodelay(true)?;
        loop {
            let (head, request) = read(&mut socket)?;
            let (status, answer) = match self.answer(&request[head..]) {
                Ok(answer) => ("200 OK", answer),
                Err(mistake) => {
                    let answer =
                        json!({ "error": { "message": mistake, "type": "invalid_request_error" } });
                    let _ = self.mistake.set(mistake); // the first one is told
                    ("400 Bad Request", answer)
                }
            };
            let body = answer.to_string();
            let length = body.len();
            let head = format!(
                "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n"
            );
            socket.write_all([head, body].concat().as_bytes())?;
        }
    }

    fn answer(&self, body: &[u8]) -> Result<Value, String> {
        let request: Value = serde_json::from_slice(body).map_err(|error| error.to_string())?;
        let question = &self.questions[self.current.load(Ordering::SeqCst)];
        let model = request["model"].as_str().unwrap_or_default();
        let logprobs = request["logprobs"] == true;
        match model {
            "cheap" => {
                let sample = self.cheap_answers.fetch_add(1, Ordering::SeqCst);
                Ok(question.cheap.body(question, model, sample, logprobs))
            }
            "strong" => Ok(question.strong.body(question, model, 0, logprobs)),
            "judge" => Ok(question.cheap.judgement(model, body.len())),
            _ => Err(format!(
                "only `cheap`, `strong` and `judge` are replayed, not `{model}`"
            )),
        }
    }
}

/// A whole request, and where its body begins.
fn read(socket: &mut TcpStream) -> io::Result<(usize, Vec<u8>)> {
    let mut request = Vec::new();
    let mut piece = [0; 16 * 1024];
    loop {
        let count = socket.read(&mut piece)?;
        if count == 0 || request.len() + count > REQUEST_BYTES_MAX {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        request.extend_from_slice(&piece[..count]);
        if let Some(head) = Head::of_request(&request)?.filter(|head| head.is_whole(&request)) {
            return Ok((head.length, request));
        }
    }
}
