//! The file of questions: what was asked, and what two models answered. README.md describes its fields.

use std::collections::HashSet;
use std::fs;
use std::io::{self, Error};
use std::path::Path;

use serde::Deserialize;
use serde_json::{Map, Value, json};

/// Most questions of a file: each is asked three times, one after the other.
const QUESTIONS_MAX: usize = 100_000;
/// Longest line in bytes, below what the gateway takes of a body.
const LINE_BYTES_MAX: usize = 1 << 20;

/// A question and its answers.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Question {
    pub id: String,
    #[serde(default = "unsorted")]
    pub kind: String,
    question: Option<String>,
    request: Option<Map<String, Value>>,
    pub cheap: Answer,
    pub strong: Answer,
}

/// What a model answered.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Answer {
    pub right: bool,
    #[serde(default)]
    text: String,
    #[serde(default)]
    tool_calls: Vec<ToolCall>,
    refusal: Option<String>,
    finish_reason: Option<String>,
    input_tokens: Option<u64>,
    output_tokens: Option<u64>,
    usage: Option<Value>,
    logprobs: Option<Logprobs>,
    pub judge: Option<f64>,
    #[serde(default)]
    samples: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ToolCall {
    name: String,
    arguments: Value,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Logprobs {
    /// Of all tokens alike.
    Mean(f64),
    Each(Vec<f64>),
}

fn unsorted() -> String {
    "all".to_owned()
}

/// Reads a file of questions.
///
/// # Errors
/// Names the line that is no question.
pub fn read(path: &Path) -> io::Result<Vec<Question>> {
    let named = |problem: String| Error::other(format!("{}: {problem}", path.display()));
    let text = fs::read_to_string(path).map_err(|error| named(error.to_string()))?;
    let mut questions = Vec::new();
    let mut ids = HashSet::new();
    for (index, line) in text.lines().enumerate() {
        if line.trim().is_empty() {
            continue;
        }
        let number = index + 1;
        let question =
            Question::read(line).map_err(|problem| named(format!("line {number}: {problem}")))?;
        if !ids.insert(question.id.clone()) {
            let id = &question.id;
            return Err(named(format!("line {number}: the id `{id}` is taken")));
        }
        questions.push(question);
    }
    match questions.len() {
        0 => Err(named("there is no question".to_owned())),
        1..=QUESTIONS_MAX => Ok(questions),
        _ => Err(named(format!("more than {QUESTIONS_MAX} questions"))),
    }
}

impl Question {
    fn read(line: &str) -> Result<Self, String> {
        if line.len() > LINE_BYTES_MAX {
            return Err(format!("longer than {LINE_BYTES_MAX} bytes"));
        }
        let question: Self = serde_json::from_str(line).map_err(|error| error.to_string())?;
        if question.question.is_some() == question.request.is_some() {
            return Err("there must be one of `question` and `request`".to_owned());
        }
        for (name, answer) in [("cheap", &question.cheap), ("strong", &question.strong)] {
            if answer
                .judge
                .is_some_and(|score| !(0.0..=1.0).contains(&score))
            {
                return Err(format!("`{name}.judge` is a score from 0 to 1"));
            }
        }
        Ok(question)
    }

    /// The body of a chat request for it, never for a stream.
    pub fn body(&self, model: &str) -> Vec<u8> {
        let mut body = self.request.clone().unwrap_or_default();
        if let Some(question) = &self.question {
            let turn = json!({ "role": "user", "content": question });
            body.insert("messages".to_owned(), json!([turn]));
        }
        body.insert("model".to_owned(), model.into());
        body.shift_remove("stream");
        body.shift_remove("stream_options");
        Value::Object(body).to_string().into_bytes()
    }

    /// How many tokens it is taken for where nothing says.
    pub fn tokens(&self) -> u64 {
        match (&self.question, &self.request) {
            (Some(question), _) => tokens(question.len()),
            (None, request) => tokens(json!(request).to_string().len()),
        }
    }
}

impl Answer {
    /// The answer as the provider's body. `sample` is how many there were before to the same question.
    pub fn body(&self, question: &Question, model: &str, sample: usize, logprobs: bool) -> Value {
        let again = sample.checked_sub(1).and_then(|at| self.samples.get(at));
        let text = again.unwrap_or(&self.text);
        let calls: Vec<_> = self.tool_calls.iter().enumerate().map(call).collect();
        let finish_reason = match calls.is_empty() {
            true => "stop",
            false => "tool_calls",
        };
        let mut message = json!({ "role": "assistant", "content": text });
        if !calls.is_empty() {
            message["tool_calls"] = Value::Array(calls);
        }
        if let Some(refusal) = &self.refusal {
            message["refusal"] = json!(refusal);
        }
        let said = message.to_string().len() - r#"{"role":"assistant","content":""}"#.len();
        let output_tokens = self.output_tokens.unwrap_or(tokens(said));
        let mut choice = json!({ "index": 0, "message": message });
        choice["finish_reason"] = json!(self.finish_reason.as_deref().unwrap_or(finish_reason));
        if let Some(told) = self.logprobs.as_ref().filter(|_| logprobs) {
            choice["logprobs"] = json!({ "content": told.tokens(output_tokens) });
        }
        let input_tokens = self.input_tokens.unwrap_or(question.tokens());
        let usage = self.usage.clone();
        completion(
            model,
            choice,
            usage.unwrap_or(used(input_tokens, output_tokens)),
        )
    }

    /// What a judge says of it: its score, or that it has none.
    pub fn judgement(&self, model: &str, asked_bytes: usize) -> Value {
        let said = match self.judge {
            Some(score) => json!({ "score": score }).to_string(),
            None => "I cannot say.".to_owned(),
        };
        let usage = used(tokens(asked_bytes), tokens(said.len()));
        let message = json!({ "role": "assistant", "content": said });
        let choice = json!({ "index": 0, "message": message, "finish_reason": "stop" });
        completion(model, choice, usage)
    }
}

impl Logprobs {
    fn tokens(&self, count: u64) -> Vec<Value> {
        let token = |logprob| json!({ "token": " a", "logprob": logprob, "bytes": [32, 97], "top_logprobs": [] });
        match self {
            Self::Mean(logprob) => (0..count.max(1)).map(|_| token(*logprob)).collect(),
            Self::Each(logprobs) => logprobs.iter().map(|logprob| token(*logprob)).collect(),
        }
    }
}

fn call((index, call): (usize, &ToolCall)) -> Value {
    let arguments = match &call.arguments {
        // As the model wrote them, JSON or not.
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let function = json!({ "name": call.name, "arguments": arguments });
    json!({ "id": format!("call_{index}"), "type": "function", "function": function })
}

fn completion(model: &str, choice: Value, usage: Value) -> Value {
    json!({
        "id": "chatcmpl-replayed", "object": "chat.completion", "created": 1_790_000_000, "model": model,
        "choices": [choice], "usage": usage,
    })
}

fn used(input: u64, output: u64) -> Value {
    json!({ "prompt_tokens": input, "completion_tokens": output, "total_tokens": input + output })
}

/// A token is about four bytes.
fn tokens(bytes: usize) -> u64 {
    bytes.div_ceil(4) as u64
}
