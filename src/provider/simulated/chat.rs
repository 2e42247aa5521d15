//! Answers to `POST /v1/chat/completions`.

use std::borrow::Cow;
use std::collections::HashSet;

use serde_json::{Map, Value};

use super::completion::{Choice, Completion, Form};
use super::hints::Hints;
use super::refuse::{self, Refusal};
use super::request::{ChatRequest, Message, Stop};
use super::seed::Seed;
use super::text::{self, Subject};
use super::tools::{self, Toolbox};
use super::wire::Usage;

/// Most likely tokens that are told for each place (OpenAI's own limit).
const TOP_LOGPROBS_MAX: i64 = 20;
/// What an image, a recording or a file counts, in tokens.
const ATTACHMENT_TOKENS: usize = 85;

/// The answer to a request, and the seed that stands for the request.
pub(super) fn complete(
    model: &str,
    request: &ChatRequest<'_>,
) -> Result<(Completion, Seed), Refusal> {
    let choices = refuse::choices(request.n)?;
    let limit = limit(request)?;
    let top = refuse::within(
        "top_logprobs",
        request.top_logprobs.unwrap_or(0),
        0,
        TOP_LOGPROBS_MAX,
    )?;
    if top > 0 && request.logprobs != Some(true) {
        let message = "The 'top_logprobs' parameter is only allowed when 'logprobs' is enabled.";
        return Err(Refusal::new("top_logprobs", "invalid_value", message));
    }
    let stops = request.stop.as_ref().map_or(&[][..], Stop::sequences);
    refuse::stops(stops)?;
    check_roles(&request.messages)?;
    let toolbox = Toolbox::of(request)?;
    let schema = schema(request)?;

    let (messages, begun) = match request.messages.split_last() {
        Some((last, messages)) if request.continue_final_message == Some(true) => {
            (messages, Some(joined(last)))
        }
        _ => (&request.messages[..], None),
    };
    let (mut prompt_tokens, seed) = measure(model, request, messages, &toolbox);
    prompt_tokens += begun.as_deref().map_or(0, text::count);
    let conversation = Conversation::of(messages);
    let wants_tools = toolbox.is_wanted(conversation.user_spoke_last);
    let as_json = schema.is_some() || wants_json(request);
    let hints = if wants_tools || as_json {
        Hints::of(&conversation.prompt)
    } else {
        Hints::default()
    };
    let choices: Vec<Choice> = (0..choices)
        .map(|index| {
            let mut seed = seed.with(index as u64 + 1);
            if wants_tools {
                let calls = toolbox.calls(&hints, &conversation.called, &mut seed);
                return Choice::calls_within(calls, toolbox.legacy, limit);
            }
            let said = match &schema {
                Some(schema) => super::schema::satisfy(schema, &hints, seed).to_string(),
                None if as_json => object(&conversation, &mut seed),
                None => text::compose(&conversation.subject(), &mut seed),
            };
            let said = match &begun {
                Some(begun) => text::go_on(begun, said),
                None => said,
            };
            Choice::text_within(said, stops, limit)
        })
        .collect();
    let usage = Usage::new(prompt_tokens, choices.iter().map(Choice::tokens).sum());
    let logprobs = (request.logprobs == Some(true)).then_some(top);
    let completion = Completion::new(Form::Chat, model, choices, usage, logprobs, &seed);
    Ok((completion, seed))
}

/// What of the conversation decides the answer.
struct Conversation<'a> {
    /// The last thing the user said.
    prompt: Cow<'a, str>,
    /// What tools answered, if that came last.
    results: Option<String>,
    user_spoke_last: bool,
    /// The tools that were called since the user spoke.
    called: HashSet<&'a str>,
    images: usize,
    audios: usize,
    files: usize,
}

impl<'a> Conversation<'a> {
    fn of(messages: &'a [Message<'a>]) -> Self {
        let last_user = messages
            .iter()
            .rposition(|message| &*message.role == "user");
        // Without a user the last message with a text has to do.
        let spoken = last_user.or_else(|| {
            messages
                .iter()
                .rposition(|message| !message.content.is_blank())
        });
        let mut conversation = Self {
            prompt: spoken.map_or(Cow::Borrowed(""), |index| joined(&messages[index])),
            results: None,
            user_spoke_last: messages
                .last()
                .is_some_and(|message| &*message.role == "user"),
            called: HashSet::new(),
            images: 0,
            audios: 0,
            files: 0,
        };
        if let Some(index) = last_user {
            let content = &messages[index].content;
            conversation.images = content.images;
            conversation.audios = content.audios;
            conversation.files = content.files;
        }
        for message in &messages[last_user.map_or(0, |index| index + 1)..] {
            let calls = message
                .tool_calls
                .iter()
                .flatten()
                .filter_map(|call| call.function.as_ref());
            let calls = calls.chain(&message.function_call);
            conversation
                .called
                .extend(calls.map(|function| &*function.name));
        }
        let mut results: Vec<_> = messages
            .iter()
            .rev()
            .take_while(|message| is_result(message))
            .map(joined)
            .take(8)
            .collect();
        results.reverse();
        conversation.results = (!results.is_empty()).then(|| results.join("; "));
        conversation
    }

    fn subject(&self) -> Subject<'_> {
        Subject {
            prompt: &self.prompt,
            result: self.results.as_deref(),
            images: self.images,
            audios: self.audios,
            files: self.files,
        }
    }
}

fn is_result(message: &Message<'_>) -> bool {
    matches!(&*message.role, "tool" | "function")
}

/// The texts of a message.
fn joined<'a>(message: &'a Message<'a>) -> Cow<'a, str> {
    match &message.content.texts[..] {
        [] => Cow::Borrowed(""),
        [only] => Cow::Borrowed(only),
        several => {
            let several: Vec<&str> = several.iter().map(|text| &**text).collect();
            Cow::Owned(several.join("\n"))
        }
    }
}

fn limit(request: &ChatRequest<'_>) -> Result<usize, Refusal> {
    let (param, limit) = match (request.max_completion_tokens, request.max_tokens) {
        (Some(limit), _) => ("max_completion_tokens", limit),
        (None, Some(limit)) => ("max_tokens", limit),
        (None, None) => return Ok(usize::MAX),
    };
    refuse::within(param, limit, 1, i64::MAX)
}

fn check_roles(messages: &[Message<'_>]) -> Result<(), Refusal> {
    if messages.is_empty() {
        let message = "Invalid 'messages': empty array. Expected an array with minimum length 1, but got an empty array instead.";
        return Err(Refusal::new("messages", "empty_array", message));
    }
    for (index, message) in messages.iter().enumerate() {
        let known = [
            "system",
            "developer",
            "user",
            "assistant",
            "tool",
            "function",
        ];
        if !known.contains(&&*message.role) {
            let param = format!("messages[{index}].role");
            let known = "'system', 'assistant', 'user', 'function', 'tool', and 'developer'";
            return Err(refuse::unknown_value(&param, &message.role, known));
        }
    }
    Ok(())
}

/// The schema that the answer has to satisfy, if the request gives one.
fn schema(request: &ChatRequest<'_>) -> Result<Option<Value>, Refusal> {
    const PARAM: &str = "response_format.json_schema";
    let Some(format) = &request.response_format else {
        return Ok(None);
    };
    match &*format.kind {
        "text" | "json_object" => return Ok(None),
        "json_schema" => {}
        other => {
            let known = "'json_object', 'json_schema', and 'text'";
            return Err(refuse::unknown_value("response_format.type", other, known));
        }
    }
    let Some(json_schema) = &format.json_schema else {
        return Err(refuse::missing(PARAM));
    };
    // The schema itself is optional: without one any object will do.
    let Some(schema) = json_schema.schema else {
        return Ok(None);
    };
    tools::check_schema(PARAM, Some(schema.get()))?;
    match serde_json::from_str(schema.get()) {
        Ok(schema @ Value::Object(_)) => Ok(Some(schema)),
        _ => {
            let message = "Invalid schema for response_format: schema must be an object.";
            Err(Refusal::new(PARAM, "invalid_value", message))
        }
    }
}

fn wants_json(request: &ChatRequest<'_>) -> bool {
    let format = request.response_format.as_ref();
    format.is_some_and(|format| &*format.kind != "text")
}

/// Some JSON object about the conversation.
fn object(conversation: &Conversation<'_>, seed: &mut Seed) -> String {
    let prompt = text::quote(&conversation.prompt);
    let answer = text::compose(&conversation.subject(), seed);
    let fields = [("request", prompt), ("answer", answer)];
    let fields = fields.map(|(name, value)| (name.to_owned(), Value::String(value)));
    Value::Object(Map::from_iter(fields)).to_string()
}

/// Counts the tokens of the prompt, and makes the seed of all that may alter the answer; not of `stream` and limits,
/// so that a stream says the same as a whole answer and a shorter one the beginning of a longer.
fn measure(
    model: &str,
    request: &ChatRequest<'_>,
    messages: &[Message<'_>],
    toolbox: &Toolbox<'_>,
) -> (usize, Seed) {
    let mut tokens = 3;
    let mut seed = Seed::new(0xc4a7)
        .with_bytes(model.as_bytes())
        .with(request.seed.unwrap_or_default() as u64)
        .with(request.temperature.unwrap_or(1.0).to_bits());
    let mut add = |text: &str| {
        tokens += text::count(text);
        seed = seed.with_bytes(text.as_bytes());
    };
    for message in messages {
        message.content.texts.iter().for_each(|text| add(text));
        let calls = message
            .tool_calls
            .iter()
            .flatten()
            .filter_map(|call| call.function.as_ref());
        for call in calls.chain(&message.function_call) {
            add(&call.name);
            add(call.arguments.as_deref().unwrap_or_default());
        }
    }
    for function in toolbox.functions() {
        add(&function.name);
        add(function.description.as_deref().unwrap_or_default());
        add(function.parameters.map_or("", |schema| schema.get()));
    }
    let format = request.response_format.as_ref();
    if let Some(schema) = format.and_then(|format| format.json_schema.as_ref()?.schema) {
        add(schema.get());
    }
    for message in messages {
        let content = &message.content;
        let attachments = content.images + content.audios + content.files;
        tokens += 4 + ATTACHMENT_TOKENS * attachments;
        seed = seed
            .with_bytes(message.role.as_bytes())
            .with(attachments as u64);
    }
    (tokens, seed)
}
