//! Callers of a run: what they ask, and what they were told.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::upstream::MARK;
use crate::harness::Gateway;
use crate::raw::{Answer, Request};
use crate::sse::Event;

/// A request of a run: its number says what it asks, and how.
#[derive(Clone, Copy, Debug)]
pub struct Asked {
    /// Its number.
    pub number: u64,
    /// Whether it asks for a stream.
    pub stream: bool,
    /// Whether it is in Anthropic's words; in OpenAI's else.
    pub is_anthropic: bool,
    /// The model.
    pub model: &'static str,
}

/// What came of it.
#[derive(Debug)]
pub struct Told {
    /// What was asked.
    pub asked: Asked,
    /// The id by which the ledger knows it.
    pub request_id: String,
    /// The status.
    pub status: u16,
    /// `x-tollgate-attempts`
    pub attempts: Option<usize>,
    /// The targets and the words of `x-tollgate-route`.
    pub route: Vec<(String, String)>,
    /// All text of the answer.
    pub text: String,
    /// How it ended.
    pub ending: Ending,
    /// How long it took.
    pub took: Duration,
}

/// How an answer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// As its dialect ends an answer.
    Complete,
    /// With an error, or an error event.
    Error,
    /// A stream that just stops.
    Silent,
}

// === impl Asked ===

impl Asked {
    /// The request of this number.
    pub fn numbered(number: u64) -> Self {
        Self {
            number,
            stream: number.is_multiple_of(2),
            is_anthropic: number % 4 >= 2,
            model: match number % 5 {
                0 => "chain",
                _ => "pool",
            },
        }
    }

    /// Asks, and reads all that comes. Like any SDK it comes again when it is told to, as long as nobody has been asked for it.
    pub async fn ask(self, gateway: &Gateway) -> Told {
        let (answer, took) = loop {
            let began = Instant::now();
            let answer = gateway.ask(self.request()).await;
            let is_asked = answer.header("x-tollgate-attempts").is_some();
            match answer.header("retry-after").filter(|_| !is_asked) {
                Some(seconds) => {
                    let seconds = seconds.parse().expect("whole seconds");
                    tokio::time::sleep(Duration::from_secs(seconds)).await;
                }
                None => break (answer, began.elapsed()),
            }
        };
        let (text, ending) = self.read(&answer);
        // Where another has gone on with a stream, a comment says so.
        let last = |name: &str| {
            let comment = format!(": {name}: ");
            let text = answer.text();
            let told = text
                .lines()
                .rev()
                .find_map(|line| line.strip_prefix(&*comment));
            told.or(answer.header(name)).map(str::to_owned)
        };
        let route = last("x-tollgate-route").unwrap_or_default();
        let route = route.split(", ").filter_map(|part| part.split_once(';'));
        Told {
            asked: self,
            request_id: answer.header("x-request-id").unwrap_or_default().to_owned(),
            status: answer.status,
            attempts: last("x-tollgate-attempts").and_then(|attempts| attempts.parse().ok()),
            route: route
                .map(|(target, word)| (target.to_owned(), word.to_owned()))
                .collect(),
            text,
            ending,
            took,
        }
    }

    fn request(self) -> Request {
        let text = format!("{MARK}{}", self.number);
        let mut body = json!({
            "model": self.model, "stream": self.stream,
            "messages": [{"role": "user", "content": text}],
        });
        let path = match self.is_anthropic {
            true => {
                body["max_tokens"] = 1000.into();
                "/v1/messages"
            }
            false => "/v1/chat/completions",
        };
        Request::post(path, body.to_string())
    }

    fn read(self, answer: &Answer) -> (String, Ending) {
        if answer.status != 200 {
            return (String::new(), Ending::Error);
        }
        if !self.stream {
            let json = answer.json();
            let text = match self.is_anthropic {
                true => &json["content"][0]["text"],
                false => &json["choices"][0]["message"]["content"],
            };
            return (
                text.as_str().unwrap_or_default().to_owned(),
                Ending::Complete,
            );
        }
        let events = answer.events();
        let text = events.iter().map(|event| said(&event.json())).collect();
        let ending = match events.last() {
            Some(event) if event.is_done() || event.json()["type"] == "message_stop" => {
                Ending::Complete
            }
            Some(event) if event.json()["error"].is_object() => Ending::Error,
            _ => Ending::Silent,
        };
        let endings = events.iter().filter(|event| is_ending(event)).count();
        match endings {
            1 => (text, ending),
            _ => (text, Ending::Silent),
        }
    }
}

/// The text in an event of a stream.
fn said(event: &Value) -> String {
    let chat = &event["choices"][0]["delta"]["content"];
    let anthropic = &event["delta"]["text"];
    let text = chat.as_str().or(anthropic.as_str());
    text.unwrap_or_default().to_owned()
}

fn is_ending(event: &Event) -> bool {
    let json = event.json();
    event.is_done() || json["type"] == "message_stop" || json["error"].is_object()
}
