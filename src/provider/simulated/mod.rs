//! The simulated provider: answers as OpenAI would, without a network, a model or an account.
//!
//! Everything it says is a function of the request, so that tests repeat and a whole answer and a stream of the same
//! request agree. It knows no clock: [`answer`] returns a [`Script`] of things to send and pauses to make, and whoever
//! plays the script owns the time. Pauses add up: play them against one start time and they do not drift.
//!
//! Any model name answers, but for the reserved ones: `error-<status>`, `slow-<ms>`, `stall`, `cut` and `garbage`.

use std::time::Duration;

use serde::Deserialize;

use faults::{Course, Reserved};
use refuse::Refusal;
use request::{ChatRequest, CompletionRequest};
use seed::Seed;
use steps::Pace;
pub use steps::{Step, Steps};

mod chat;
mod completion;
mod embedding;
mod faults;
mod hints;
mod pattern;
mod plain;
mod refuse;
mod request;
mod scalars;
mod schema;
mod seed;
mod steps;
mod text;
mod tools;
mod wire;

#[cfg(test)]
mod tests;

/// How the simulated provider behaves.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Simulation {
    /// The pause before the first byte of an answer.
    pub first_token: Duration,
    /// How fast tokens come after that; 0 sends them at once.
    pub tokens_per_second: f64,
    /// What goes wrong by itself, and how often.
    pub faults: Faults,
}

/// What goes wrong, as shares of the requests (0 to 1); of one request at most one does.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Faults {
    /// Requests that are answered with an error.
    pub error: ErrorFault,
    /// The share of answers that stop in the middle and say nothing more.
    pub stall: f64,
    /// The share of answers whose connection breaks in the middle.
    pub cut: f64,
}

/// Errors by chance.
#[derive(Clone, Debug, PartialEq)]
pub struct ErrorFault {
    /// The share of requests (0 to 1).
    pub rate: f64,
    /// The HTTP status of the error.
    pub status: u16,
}

impl Default for ErrorFault {
    fn default() -> Self {
        Self {
            rate: 0.0,
            status: 503,
        }
    }
}

/// Which of OpenAI's endpoints is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// `POST /v1/chat/completions`
    Chat,
    /// `POST /v1/completions`
    Completions,
    /// `POST /v1/embeddings`
    Embeddings,
}

/// An answer to play: the head now, the body step by step.
#[derive(Debug)]
pub struct Script {
    /// The HTTP status.
    pub status: u16,
    /// The `content-type`.
    pub content_type: &'static str,
    /// Further header fields, names in lower case.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub steps: Steps,
}

/// The answer to a request. `model` is the name after the provider's; `sequence` counts the provider's requests and,
/// together with the request, decides which of them the `faults` hit.
pub fn answer(
    settings: &Simulation,
    endpoint: Endpoint,
    model: &str,
    body: &[u8],
    sequence: u64,
) -> Script {
    let mut script =
        respond(settings, endpoint, model, body, sequence).unwrap_or_else(Refusal::into_script);
    let mut ids = Seed::new(sequence).with_bytes(model.as_bytes());
    let request_id = format!("req_{:016x}{:016x}", ids.number(), ids.number());
    script.headers.push(("x-request-id", request_id));
    script
}

fn respond(
    settings: &Simulation,
    endpoint: Endpoint,
    model: &str,
    body: &[u8],
    sequence: u64,
) -> Result<Script, Refusal> {
    let mut pace = Pace::new(settings.first_token, settings.tokens_per_second);
    let mut wanted = None;
    match faults::reserved(model) {
        Some(Reserved::Course(Course::Error(status))) => {
            return Ok(refuse::with_status(status, model));
        }
        Some(Reserved::Course(course)) => wanted = Some(course),
        Some(Reserved::Slow(pause)) => {
            pace.first_token = pause;
            wanted = Some(Course::Well);
        }
        None => {}
    }
    let course =
        |seed: &Seed| wanted.unwrap_or_else(|| Course::by_chance(&settings.faults, seed, sequence));
    let (completion, seed, streams, options) = match endpoint {
        Endpoint::Chat => {
            let request: ChatRequest<'_> = read(endpoint, body)?;
            let (completion, seed) = chat::complete(model, &request)?;
            (completion, seed, request.stream, request.stream_options)
        }
        Endpoint::Completions => {
            let request: CompletionRequest<'_> = read(endpoint, body)?;
            let (completion, seed) = plain::complete(model, &request)?;
            (completion, seed, request.stream, request.stream_options)
        }
        Endpoint::Embeddings => {
            let (vectors, seed) = embedding::embed(model, read(endpoint, body)?)?;
            return Ok(match course(&seed) {
                Course::Error(status) => refuse::with_status(status, model),
                Course::Garbage => whole(Steps::garbage(endpoint, pace)),
                course => whole(Steps::vectors(vectors, pace, course)),
            });
        }
    };
    let streams = streams == Some(true);
    let usage = options.is_some_and(|options| options.include_usage == Some(true));
    Ok(match (course(&seed), streams) {
        (Course::Error(status), _) => refuse::with_status(status, model),
        (Course::Garbage, true) => stream(Steps::garbage_stream(pace)),
        (Course::Garbage, false) => whole(Steps::garbage(endpoint, pace)),
        (course, true) => stream(Steps::stream(completion, usage, pace, course)),
        (course, false) => {
            let tokens = completion.length();
            whole(Steps::paced(completion.whole(), tokens, pace, course))
        }
    })
}

fn read<'a, T: Deserialize<'a>>(endpoint: Endpoint, body: &'a [u8]) -> Result<T, Refusal> {
    serde_json::from_slice(body).map_err(|problem| refuse::diagnose(endpoint, body, &problem))
}

fn whole(steps: Steps) -> Script {
    Script {
        status: 200,
        content_type: "application/json",
        headers: Vec::new(),
        steps,
    }
}

fn stream(steps: Steps) -> Script {
    Script {
        status: 200,
        content_type: "text/event-stream; charset=utf-8",
        headers: Vec::new(),
        steps,
    }
}
