//! How each dialect's own clients ask, and how strictly they read. Written from the providers' documentation and SDKs
//! alone: these readers are the judges of what the gateway writes.

mod anthropic;
mod bedrock;
mod chat;
mod cohere;
mod completions;
mod gemini;
mod responses;

use serde_json::Value;

use super::complaints::Complaints;
use super::scenario::{Failing, Finish, Outcome, Scenario, Usage};
use crate::raw::Answer;

/// A dialect's client.
pub trait Client: Sync {
    /// The dialect's name.
    fn name(&self) -> &'static str;

    /// Can it ask for this at all?
    fn can_ask(&self, scenario: Scenario) -> bool {
        !(scenario == Scenario::Stop && self.name() == "responses")
    }

    /// Where it sends a request.
    fn path(&self, model: &str, stream: bool) -> String;

    /// How it presents its key, and what else it always sends.
    fn headers(&self, key: &str) -> Vec<(&'static str, String)> {
        vec![("authorization", format!("Bearer {key}"))]
    }

    /// What it sends. `prompt` is what the user says.
    fn request(&self, scenario: Scenario, model: &str, prompt: &str, stream: bool) -> Value;

    /// What it sends next, when it has run the tools that the answer called: `echo` is the answer as it keeps it, and
    /// `calls` are the ids and names of its calls.
    fn go_on(&self, request: &Value, echo: &Value, calls: &[(String, Outcome)]) -> Value;

    /// Reads a whole answer.
    fn read_whole(&self, body: &[u8]) -> Seen;

    /// Reads a stream.
    fn read_stream(&self, body: &[u8]) -> Seen;

    /// The media type of its streams.
    fn stream_type(&self) -> &'static str {
        "text/event-stream"
    }

    /// Reads an answer whose status is an error.
    fn read_error(&self, answer: &Answer) -> Failure;

    /// The word by which its SDK tells this error, and the field that holds it in [`Failure::kind`].
    fn word_for(&self, failing: Failing) -> &'static str;

    /// Can a caller tell from an answer that the model refused?
    fn tells_refusals(&self) -> bool {
        true
    }

    /// Can a caller tell from an answer how many tokens were thought?
    fn tells_reasoning_tokens(&self) -> bool {
        true
    }

    /// Does it ask for thoughts to be shown, where it asks for thoughts?
    fn asks_to_see_thoughts(&self) -> bool {
        self.name() != "chat"
    }

    /// Can it say that a tool failed?
    fn says_tool_failed(&self) -> bool {
        false
    }
}

/// What a client saw in an answer.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// The model's words.
    pub text: String,
    /// Its words on why it does not answer, where they stand apart.
    pub refusal: String,
    /// What it thought.
    pub thoughts: String,
    /// The seals on that.
    pub seals: Vec<String>,
    /// Its calls: id, name, arguments.
    pub calls: Vec<(String, String, Value)>,
    /// Why it ended.
    pub finish: Finish,
    /// What it cost.
    pub usage: Option<Usage>,
    /// The error in the stream.
    pub error: Option<String>,
    /// Did the stream end as its dialect ends one?
    pub is_ended: bool,
    /// The answer as a client keeps it for the next turn.
    pub echo: Value,
    /// What breaks the dialect's own rules.
    pub complaints: Complaints,
}

/// What a client saw in an error.
#[derive(Clone, Debug, Default)]
pub struct Failure {
    /// The word for it.
    pub kind: String,
    /// What happened.
    pub message: String,
    /// What breaks the dialect's own rules.
    pub complaints: Complaints,
}

/// Every client.
pub fn clients() -> [&'static dyn Client; 7] {
    [
        &chat::Chat,
        &completions::Completions,
        &responses::Responses,
        &anthropic::Anthropic,
        &gemini::Gemini,
        &bedrock::Bedrock,
        &cohere::Cohere,
    ]
}
