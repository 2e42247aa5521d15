//! Real answers of every provider, read by the clients of every other dialect.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::complaints::Complaints;
use super::inbound::{Client, Seen, clients};
use super::outbound::{Reply, providers};
use super::scenario::{Finish, Scenario};
use super::{AT_ONCE, ask, send};
use crate::harness::{Gateway, KEY, config};
use crate::raw::{Answer, Request};
use crate::upstream::{Received, Upstream};

/// The pieces in which recorded streams arrive, in bytes: most end inside an event, many inside a character.
const PIECE: usize = 61;

#[tokio::test(flavor = "multi_thread")]
async fn every_recorded_answer_is_understood_in_every_other_dialect() {
    let Some(exchanges) = exchanges() else {
        return;
    };
    let stage = Arc::new(Stage::set(exchanges).await);
    let permits = Arc::new(Semaphore::new(AT_ONCE));
    let mut running = JoinSet::new();
    for id in stage.exchanges.keys() {
        for client in clients() {
            let (stage, permits, id) = (Arc::clone(&stage), Arc::clone(&permits), id.clone());
            running.spawn(async move {
                let _permit = permits.acquire().await.expect("never closed");
                stage.play(&id, client).await
            });
        }
    }
    let mut wrong: Vec<String> = running.join_all().await.into_iter().flatten().collect();
    wrong.sort();
    assert!(
        wrong.is_empty(),
        "{} fail:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

/// The instruments by themselves: what the dialects' own providers really answer breaks none of the rules that the
/// clients hold the gateway to.
#[test]
fn the_clients_find_no_fault_with_the_real_providers() {
    let Some(exchanges) = exchanges() else {
        return;
    };
    let mut wrong = Vec::new();
    for (id, exchange) in &exchanges {
        let is_own = matches!(
            exchange.provider.as_str(),
            "openai" | "azure" | "anthropic" | "gemini" | "vertex" | "bedrock" | "cohere"
        );
        if !is_own || exchange.status != 200 || exchange.path.contains("/openai/chat") {
            continue;
        }
        let complaints = exchange.expected().complaints.0;
        let is_odd = |complaint: &String| ODD.iter().any(|words| complaint.contains(words));
        let found = complaints
            .into_iter()
            .filter(|complaint| !is_odd(complaint));
        wrong.extend(found.map(|complaint| format!("{} {id}: {complaint}", exchange.provider)));
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// What real providers write and the gateway never needs to: the tools that they run themselves, and rare endings.
const ODD: [&str; 22] = [
    "server_tool_use",
    "_tool_result",
    "an item of type",
    "executableCode",
    "codeExecutionResult",
    "toolCall",
    "toolResponse",
    "toolResult",
    "MODEL_ARMOR",
    "UNEXPECTED_TOOL_CALL",
    "_call.in_progress",
    "_call.searching",
    "_call.completed",
    "queued",
    // The arguments of a search for tools are an object.
    "/arguments should be {}",
    // A seal is made anew for the whole response.
    "/response/output should be",
    // A model of Moonshot's at Bedrock.
    "functions.get_temperature",
    // Old recordings.
    "/sequence_number should be",
    "responseId",
    "a response without",
    "the status complete",
    // Azure's word on its filter comes in a chunk of its own.
    "a chunk of nothing",
];

/// Recordings whose usage contradicts itself: the same tokens read from a cache and written to it.
const CONTRADICTORY: [&str; 1] = ["ce0934342dbf"];

/// A recorded exchange with one of our dialects' providers.
#[derive(Deserialize)]
struct Exchange {
    id: String,
    provider: String,
    path: String,
    stream: bool,
    status: u16,
    content_type: String,
    response_kind: String,
    response: Value,
}

/// A gateway in front of the recordings.
struct Stage {
    gateway: Gateway,
    exchanges: Arc<HashMap<String, Exchange>>,
    _upstream: Upstream,
}

/// The recordings of answers in our dialects; `None` where there are none beside the project.
fn exchanges() -> Option<HashMap<String, Exchange>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/recordings/dev.jsonl");
    let Ok(text) = std::fs::read_to_string(path) else {
        println!("skipped: no recordings");
        return None;
    };
    let all = text
        .lines()
        .map(|line| serde_json::from_str::<Exchange>(line).expect("a recording"));
    let all = all.map(Exchange::parsed);
    let ours = all.filter(|exchange| exchange.dialect().is_some() && exchange.is_an_answer());
    Some(
        ours.map(|exchange| (exchange.id.clone(), exchange))
            .collect(),
    )
}

// === impl Exchange ===

impl Exchange {
    /// Some answers in JSON were recorded as text.
    fn parsed(mut self) -> Self {
        let text = self.response.as_str().filter(|_| !self.stream);
        if let Some(json) = text.and_then(|text| serde_json::from_str(text).ok()) {
            self.response = json;
            self.response_kind = "json".to_owned();
        }
        self
    }

    /// The dialect of the answer, if it is one of ours.
    fn dialect(&self) -> Option<&'static str> {
        let path = self.path.split('?').next().unwrap_or_default();
        let endings = [
            ("/chat/completions", "chat"),
            ("/responses", "responses"),
            ("/v1/messages", "anthropic"),
            (":generateContent", "gemini"),
            (":streamGenerateContent", "gemini"),
            ("/converse", "bedrock"),
            ("/converse-stream", "bedrock"),
            ("/v2/chat", "cohere"),
        ];
        let is_its = |(ending, _): &&(&str, &str)| path.ends_with(ending);
        endings.iter().find(is_its).map(|(_, dialect)| *dialect)
    }

    /// Is it the answer to the one question, rather than a promise to work in the background?
    fn is_an_answer(&self) -> bool {
        let is_queued =
            self.response["status"] == "queued" || self.response["status"] == "in_progress";
        !is_queued && (self.stream || self.response_kind == "json")
    }

    fn bytes(&self) -> Vec<u8> {
        let text = self.response.as_str().unwrap_or_default();
        match self.response_kind.as_str() {
            "json" => self.response.to_string().into_bytes(),
            "base64" => STANDARD.decode(text).expect("recorded base64"),
            _ => text.as_bytes().to_vec(),
        }
    }

    /// What the answer holds, as a client of its own dialect reads it.
    fn expected(&self) -> Seen {
        let dialect = self.dialect().expect("one of ours");
        let client = clients()
            .into_iter()
            .find(|client| client.name() == dialect);
        let client = client.expect("every dialect has one");
        let mut seen = match self.stream {
            true => client.read_stream(&self.bytes()),
            false => client.read_whole(&self.bytes()),
        };
        // Mistral's thinking models write a list where OpenAI writes a text.
        let parts = self
            .response
            .pointer("/choices/0/message/content")
            .and_then(Value::as_array);
        for part in parts.into_iter().flatten() {
            seen.text += part["text"].as_str().unwrap_or_default();
        }
        seen
    }

    /// The provider's words for what went wrong.
    fn message(&self) -> &str {
        let body = self.response.get(0).unwrap_or(&self.response);
        let message = body.pointer("/error/message").or(body.get("message"));
        message.and_then(Value::as_str).unwrap_or_default()
    }

    fn reply(&self) -> Reply {
        let bytes = self.bytes();
        Reply {
            status: self.status,
            headers: vec![("content-type", self.content_type.clone())],
            pieces: bytes.chunks(PIECE).map(<[u8]>::to_vec).collect(),
            is_stream: self.stream,
            is_cut: false,
        }
    }
}

// === impl Stage ===

impl Stage {
    async fn set(exchanges: HashMap<String, Exchange>) -> Self {
        let exchanges = Arc::new(exchanges);
        let replayed = Arc::clone(&exchanges);
        let upstream = Upstream::start(move |received, stream| {
            let id = asked_model(&received);
            let reply = match replayed.get(&id) {
                Some(exchange) => exchange.reply(),
                None => Reply::whole(599, &json!({"no recording": id})),
            };
            send(reply, stream)
        });
        let upstream = upstream.await;
        let address = format!("http://{}", upstream.address);
        let mut yaml =
            String::from("defaults: { retry: { attempts: 1 }, health: off }\nproviders:\n");
        for provider in providers() {
            yaml += &format!("  {}: {}\n", provider.name(), provider.yaml(&address));
        }
        yaml += "models:\n";
        for provider in providers() {
            yaml += &format!("  \"{}/*\": {{}}\n", provider.name());
        }
        Self {
            gateway: Gateway::start(&config(&yaml)).await,
            exchanges,
            _upstream: upstream,
        }
    }

    /// Plays a recording to a client; what is wrong in a line, if anything is.
    async fn play(&self, id: &str, client: &'static dyn Client) -> Option<String> {
        let exchange = &self.exchanges[id];
        let dialect = exchange.dialect().expect("one of ours");
        let expected = exchange.expected();
        let is_passed_on = dialect == client.name();
        let is_out_of_reach = client.name() == "completions" && !expected.calls.is_empty();
        if is_passed_on || is_out_of_reach {
            return None;
        }
        let scenario = match expected.calls.is_empty() {
            true => Scenario::Text,
            false => Scenario::Tool,
        };
        let model = format!("{dialect}/{id}");
        let body = client.request(scenario, &model, "What is it like?", exchange.stream);
        let mut request = Request::post(&client.path(&model, exchange.stream), body.to_string())
            .without("authorization");
        for (name, value) in client.headers(KEY) {
            request = request.header(name, &value);
        }
        let complaints = match ask(self.gateway.address, request).await {
            Ok(answer) if exchange.status == 200 => judge(client, exchange, &expected, &answer),
            Ok(answer) => judge_failure(client, exchange, &answer),
            Err(complaint) => Complaints(vec![complaint]),
        };
        let form = if exchange.stream { "stream" } else { "whole" };
        let title = format!(
            "{} ← {dialect}, {} {id} ({form})",
            client.name(),
            exchange.provider
        );
        (!complaints.0.is_empty()).then(|| format!("{title}: {}", complaints.0.join("\n    ")))
    }
}

/// The model that was asked for, in the body or in the path.
fn asked_model(received: &Received) -> String {
    let in_body = received.model();
    if !in_body.is_empty() {
        return in_body;
    }
    let mut parts = received
        .path
        .split('/')
        .skip_while(|part| !matches!(*part, "model" | "models"))
        .skip(1);
    let part = parts.next().unwrap_or_default();
    part.split(':').next().unwrap_or_default().to_owned()
}

fn judge(client: &dyn Client, exchange: &Exchange, expected: &Seen, answer: &Answer) -> Complaints {
    let mut seen = match exchange.stream {
        true => client.read_stream(&answer.body),
        false => client.read_whole(&answer.body),
    };
    let mut complaints = std::mem::take(&mut seen.complaints);
    if CONTRADICTORY.contains(&exchange.id.as_str()) {
        complaints
            .0
            .retain(|complaint| !complaint.contains("otalToken"));
    }
    if expected.finish == Finish::Unknown {
        // There is no good word for it in every dialect.
        let is_about_it = |complaint: &String| complaint.starts_with("the status incomplete");
        complaints.0.retain(|complaint| !is_about_it(complaint));
    }
    complaints.equal("the status", &answer.status, &200);
    // One server reports an error behind an ending that is whole: either is a fair reading.
    if expected.error.is_some() && expected.is_ended {
        return Complaints::default();
    }
    if expected.error.is_some() || !expected.is_ended {
        complaints.unless(seen.error.is_some() && !seen.is_ended, || {
            "no error event, or an end".to_owned()
        });
        return complaints;
    }
    complaints.equal("an error", &seen.error, &None::<String>);
    complaints.unless(seen.is_ended, || "no end".to_owned());
    let words = |seen: &Seen| [seen.text.as_str(), &seen.refusal].concat();
    complaints.equal("the text", &words(&seen), &words(expected));
    let calls = |seen: &Seen| -> Vec<(String, Value)> {
        let calls = seen.calls.iter().map(|(_, name, arguments)| {
            // Some servers leave out what is empty.
            let arguments = if arguments.is_null() {
                json!({})
            } else {
                arguments.clone()
            };
            (name.clone(), arguments)
        });
        calls.collect()
    };
    complaints.equal("the calls", &calls(&seen), &calls(expected));
    // Some servers say `stop` although they call.
    let finish = |seen: &Seen| match seen.finish {
        Finish::Stop if !seen.calls.is_empty() => Finish::ToolCalls,
        finish => finish,
    };
    if expected.finish != Finish::Unknown && expected.finish != Finish::Refusal {
        complaints.equal("the finish", &finish(&seen), &finish(expected));
    }
    let tokens = |seen: &Seen| {
        seen.usage
            .map(|usage| (usage.input, usage.output, usage.cached))
    };
    if expected.usage.is_some() && !CONTRADICTORY.contains(&exchange.id.as_str()) {
        complaints.equal("the usage", &tokens(&seen), &tokens(expected));
    }
    complaints
}

fn judge_failure(client: &dyn Client, exchange: &Exchange, answer: &Answer) -> Complaints {
    let failure = client.read_error(answer);
    let mut complaints = failure.complaints;
    if matches!(exchange.status, 401..=403) {
        complaints.equal("the status", &answer.status, &502);
        return complaints;
    }
    complaints.equal("the status", &answer.status, &exchange.status);
    complaints.unless(failure.message.contains(exchange.message()), || {
        format!("the message {:?}", failure.message)
    });
    complaints
}
