//! Stand-ins for the providers: each reads a request as strictly as its original, refusing what that refuses, and
//! answers as that answers. Written from the providers' documentation and their recorded traffic alone.

mod anthropic;
mod bedrock;
mod chat;
mod cohere;
mod gemini;
mod responses;

use serde_json::Value;

use super::complaints::Complaints;
use super::scenario::{Failing, REFUSAL, RETRY_AFTER, Said, Scenario, USAGE, Usage};
use crate::upstream::Received;

/// What a provider's stand-in is logged in with.
pub const SECRET: &str = "provider-secret";

/// A provider's stand-in.
pub trait Provider: Sync {
    /// The dialect's name, and the provider's in the configuration.
    fn name(&self) -> &'static str;

    /// Its entry in the configuration, less its base URL's beginning `http://ADDRESS`.
    fn yaml(&self, address: &str) -> String;

    /// What stands before a scenario in the name of a model: such a model's usual name, for what a name implies.
    fn model(&self) -> &'static str;

    /// Does the provider know this at all?
    fn has(&self, scenario: Scenario) -> bool {
        let _ = scenario;
        true
    }

    /// Reads a request.
    fn read(&self, received: &Received) -> Asked;

    /// Says something.
    fn answer(&self, said: &Said, asked: &Asked) -> Reply;

    /// The seal that it puts on thoughts and wants back.
    fn seal(&self) -> Option<&'static str>;

    /// Its words for an error.
    fn message(&self, failing: Failing) -> &'static str;

    /// Its words when the model refuses.
    fn refusal(&self) -> &'static str {
        REFUSAL
    }

    /// What it reports to have cost, in the one algebra.
    fn usage(&self) -> Usage {
        USAGE
    }

    /// Are words before a call thoughts?
    fn plans_calls(&self) -> bool {
        false
    }

    /// Can a request say which texts end the answer?
    fn takes_stops(&self) -> bool {
        true
    }

    /// The id of its call with this number, where it gives any.
    fn call_id(&self, number: usize) -> Option<String>;
}

/// What a provider understood of a request.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    /// The model.
    pub model: String,
    /// Whether a stream is wanted.
    pub stream: bool,
    /// The application's instructions.
    pub system: String,
    /// What was said, in order: role and text; several texts of one turn run together.
    pub turns: Vec<(&'static str, String)>,
    /// The tools: name, description and schema.
    pub tools: Vec<(String, String, Value)>,
    /// `auto`, `required`, `none`.
    pub tool_choice: String,
    /// Pictures: media type and base64.
    pub images: Vec<(String, String)>,
    /// The schema of the answer.
    pub schema: Option<Value>,
    /// Whether the model shall think.
    pub thinks: bool,
    /// Whether its thoughts shall be shown.
    pub shows: bool,
    /// The token limit.
    pub max_tokens: Option<u64>,
    /// The texts that end the answer.
    pub stops: Vec<String>,
    /// The model's earlier calls: id, name, arguments. The id is empty where the dialect has none.
    pub calls: Vec<(String, String, Value)>,
    /// Their results: id, text, whether it failed. The id is that of its call.
    pub results: Vec<(String, String, bool)>,
    /// Seals on earlier thoughts.
    pub seals: Vec<String>,
    /// What the provider would refuse.
    pub complaints: Complaints,
}

/// What a provider answers.
#[derive(Clone, Debug)]
pub struct Reply {
    /// Its status.
    pub status: u16,
    /// Its fields, the media type among them.
    pub headers: Vec<(&'static str, String)>,
    /// Its body, in the writes in which it leaves.
    pub pieces: Vec<Vec<u8>>,
    /// Its body is a stream.
    pub is_stream: bool,
    /// The connection ends before the body does.
    pub is_cut: bool,
}

/// Every provider's stand-in.
pub fn providers() -> [&'static dyn Provider; 6] {
    [
        &chat::Chat,
        &responses::Responses,
        &anthropic::Anthropic,
        &gemini::Gemini,
        &bedrock::Bedrock,
        &cohere::Cohere,
    ]
}

// === impl Asked ===

impl Asked {
    /// What is asked of the stand-in: its model is called `PREFIX` and then the scenario.
    pub fn scenario(&self, prefix: &str) -> Option<Scenario> {
        Scenario::named(self.model.strip_prefix(prefix)?)
    }

    /// Adds what was said; what one speaker says in a row is one turn.
    fn say(&mut self, role: &'static str, text: &str) {
        match self.turns.last_mut() {
            _ if text.is_empty() => {}
            Some((last, so_far)) if *last == role => so_far.push_str(text),
            _ => self.turns.push((role, text.to_owned())),
        }
    }

    /// Adds a result, and complains unless it answers one of the calls.
    fn result(&mut self, id: &str, text: String, is_error: bool) {
        let is_known = self.calls.iter().any(|(call, ..)| call == id);
        let complaints = &mut self.complaints;
        complaints.unless(is_known, || format!("a result of the unknown call {id:?}"));
        let is_first = !self.results.iter().any(|(call, ..)| call == id);
        complaints.unless(is_first, || format!("two results of the call {id:?}"));
        self.results.push((id.to_owned(), text, is_error));
    }

    /// Complains of calls that have no result although the conversation goes on.
    fn complain_of_open_calls(&mut self) {
        let is_answered = |id: &String| self.results.iter().any(|(call, ..)| call == id);
        let open: Vec<String> = self
            .calls
            .iter()
            .map(|(id, ..)| id.clone())
            .filter(|id| !is_answered(id))
            .collect();
        self.complaints.unless(open.is_empty(), || {
            format!("calls without results: {open:?}")
        });
    }

    /// Complains unless the request was sent as its dialect's clients send it.
    fn check_head(&mut self, received: &Received, credential: &str, value: &str) {
        let complaints = &mut self.complaints;
        complaints.equal("the method", &received.method.as_str(), &"POST");
        let found = received.header(credential);
        complaints.equal(credential, &found, &Some(value));
        let media_type = received.header("content-type").unwrap_or_default();
        complaints.equal("the media type", &media_type, &"application/json");
        for other in ["authorization", "x-api-key", "x-goog-api-key", "api-key"] {
            let is_absent = other == credential || received.header(other).is_none();
            complaints.unless(is_absent, || format!("the foreign credential {other}"));
        }
    }

    /// The text of a result, and whether it says that the tool failed, where only its words can.
    fn told_failure(text: &str) -> (String, bool) {
        match text.strip_prefix("Error: ") {
            Some(rest) => (rest.to_owned(), true),
            None => (text.to_owned(), false),
        }
    }
}

// === impl Reply ===

impl Reply {
    /// A whole answer.
    pub fn whole(status: u16, body: &Value) -> Self {
        Self {
            status,
            headers: vec![("content-type", "application/json".to_owned())],
            pieces: vec![body.to_string().into_bytes()],
            is_stream: false,
            is_cut: false,
        }
    }

    /// A stream; a cut one ends after half of its events.
    pub fn stream(media_type: &str, mut pieces: Vec<Vec<u8>>, is_cut: bool) -> Self {
        if is_cut {
            pieces.truncate(pieces.len() / 2);
        }
        Self {
            status: 200,
            headers: vec![("content-type", media_type.to_owned())],
            pieces,
            is_stream: true,
            is_cut,
        }
    }

    /// The same with a further field.
    pub fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    /// The same, telling when to come again if it is a 429.
    pub fn with_retry_after(self) -> Self {
        match self.status {
            429 => self.header("retry-after", RETRY_AFTER),
            _ => self,
        }
    }
}

/// The data of a `data:` URL: media type and base64.
fn data_url(url: &str) -> Option<(String, String)> {
    let (media_type, data) = url.strip_prefix("data:")?.split_once(";base64,")?;
    Some((media_type.to_owned(), data.to_owned()))
}

/// A server-sent event without a name.
fn data_event(json: &Value) -> Vec<u8> {
    format!("data: {json}\n\n").into_bytes()
}

/// A server-sent event with the name that its `type` says.
fn named_event(json: &Value) -> Vec<u8> {
    let name = json["type"].as_str().expect("an event has a type");
    format!("event: {name}\ndata: {json}\n\n").into_bytes()
}
