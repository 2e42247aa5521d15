//! OpenAI's completions of a plain prompt, as its SDKs ask for them.

use serde_json::{Value, json};

use super::{Client, Failure, Seen, chat};
use crate::pairs::scenario::{Failing, Finish, Outcome, STOPS, Scenario};
use crate::raw::Answer;
use crate::sse;

/// The client.
pub struct Completions;

impl Client for Completions {
    fn name(&self) -> &'static str {
        "completions"
    }

    fn can_ask(&self, scenario: Scenario) -> bool {
        scenario.is_plain()
    }

    fn path(&self, _: &str, _: bool) -> String {
        "/v1/completions".to_owned()
    }

    fn request(&self, scenario: Scenario, model: &str, prompt: &str, stream: bool) -> Value {
        let mut request =
            json!({"model": model, "prompt": prompt, "max_tokens": scenario.max_tokens()});
        if scenario == Scenario::Stop {
            request["stop"] = json!(STOPS);
        }
        if stream {
            request["stream"] = json!(true);
            request["stream_options"] = json!({"include_usage": true});
        }
        request
    }

    fn go_on(&self, request: &Value, _: &Value, _: &[(String, Outcome)]) -> Value {
        request.clone()
    }

    fn read_whole(&self, body: &[u8]) -> Seen {
        let mut seen = Seen::default();
        let answer = seen.complaints.json("the body", body);
        read_choices(&answer, &mut seen);
        seen.usage = chat::usage(&answer, &mut seen.complaints);
        seen.complaints.unless(seen.finish != Finish::Unknown, || {
            "no finish reason".to_owned()
        });
        seen.is_ended = true;
        seen
    }

    fn read_stream(&self, body: &[u8]) -> Seen {
        let mut seen = Seen::default();
        let mut is_finished = false;
        for event in sse::events(&String::from_utf8_lossy(body)) {
            if seen.is_ended || seen.error.is_some() {
                seen.complaints.add("an event after the end");
            }
            if event.is_done() {
                seen.is_ended = true;
                continue;
            }
            let chunk = seen.complaints.json("an event", event.data.as_bytes());
            if chunk.get("error").is_some_and(|error| !error.is_null()) {
                seen.error = Some(seen.complaints.text(&chunk, "/error/message"));
                continue;
            }
            if chunk["usage"].is_object() {
                seen.usage = chat::usage(&chunk, &mut seen.complaints);
            }
            is_finished |= read_choices(&chunk, &mut seen);
        }
        seen.complaints.unless(is_finished || !seen.is_ended, || {
            "an end without a finish reason".to_owned()
        });
        if !is_finished {
            seen.finish = Finish::Unknown;
        }
        seen
    }

    fn read_error(&self, answer: &Answer) -> Failure {
        chat::read_error(answer)
    }

    fn word_for(&self, failing: Failing) -> &'static str {
        chat::word_for(failing)
    }
}

/// Reads the choices of an answer or a chunk; was there a finish reason?
fn read_choices(answer: &Value, seen: &mut Seen) -> bool {
    seen.complaints.is(answer, "/object", "text_completion");
    seen.complaints.id(answer, "/id", "cmpl-");
    seen.complaints.number(answer, "/created");
    seen.complaints.id(answer, "/model", "");
    let mut is_finished = false;
    for choice in seen.complaints.list(answer, "/choices") {
        seen.complaints.is(&choice, "/index", 0);
        seen.text += &seen.complaints.text(&choice, "/text");
        let Some(reason) = choice["finish_reason"].as_str() else {
            continue;
        };
        is_finished = true;
        seen.finish = match reason {
            "stop" => Finish::Stop,
            "length" => Finish::Length,
            "content_filter" => Finish::Refusal,
            _ => {
                seen.complaints.add(format!("the finish reason {reason}"));
                Finish::Unknown
            }
        };
    }
    is_finished
}
