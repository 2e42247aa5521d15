//! An answer in text or calls, chat or plain, and how it is written whole and chunk by chunk.

use serde::Serialize;

use super::seed::Seed;
use super::text;
use super::tools::Call;
use super::wire::{
    ChatChoice, ChatDeltaChoice, ChatMessage, Delta, Envelope, FunctionCall, TextChoice, ToolCall,
    Usage, chat_logprobs, text_logprobs,
};

/// Longest model name that is echoed, in bytes.
const MODEL_MAX: usize = 256;

/// A finished answer, before it is written.
#[derive(Debug)]
pub(super) struct Completion {
    pub(super) form: Form,
    id: String,
    created: u64,
    model: String,
    fingerprint: String,
    seed: Seed,
    pub(super) choices: Vec<Choice>,
    pub(super) usage: Usage,
    /// How many likely tokens are told for each place; `None` tells no log probabilities at all.
    logprobs: Option<usize>,
}

/// Which of the two endpoints' forms an answer has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Chat,
    Text,
}

#[derive(Debug)]
pub(super) struct Choice {
    pub(super) said: Said,
    pub(super) finish: &'static str,
}

#[derive(Debug)]
pub(super) enum Said {
    Text(String),
    Tools(Vec<Call>),
    /// The older form of a call.
    Function(Call),
}

/// How far a choice is written.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Cursor {
    call: usize,
    /// Whether the call's id and name are written.
    named: bool,
    /// In bytes.
    at: usize,
}

impl Completion {
    pub(super) fn new(
        form: Form,
        model: &str,
        choices: Vec<Choice>,
        usage: Usage,
        logprobs: Option<usize>,
        seed: &Seed,
    ) -> Self {
        let mut ids = seed.with(0x1d);
        let prefix = match form {
            Form::Chat => "chatcmpl-",
            Form::Text => "cmpl-",
        };
        let model = text::beginning(model, MODEL_MAX);
        let build = Seed::new(0).with_bytes(model.as_bytes()).number();
        Self {
            form,
            id: ids.id(prefix, 29),
            // Some second of the year from June 2025: a plausible one, and always the same.
            created: 1_750_000_000 + ids.number() % 31_536_000,
            model: model.to_owned(),
            fingerprint: format!("fp_{:010x}", build & 0xff_ffff_ffff),
            seed: seed.clone(),
            choices,
            usage,
            logprobs,
        }
    }

    /// How long the longest choice is, in tokens: choices come side by side.
    pub(super) fn length(&self) -> usize {
        self.choices.iter().map(Choice::tokens).max().unwrap_or(0)
    }

    /// The body of a whole answer.
    pub(super) fn whole(&self) -> Vec<u8> {
        let choices = self.choices.iter().enumerate();
        match self.form {
            Form::Chat => {
                let choices: Vec<_> = choices
                    .map(|(index, choice)| self.message(index, choice))
                    .collect();
                json(&self.envelope("chat.completion", choices, Some(Some(self.usage))))
            }
            Form::Text => {
                let choices: Vec<_> = choices
                    .map(|(index, choice)| {
                        self.text_chunk(index, choice.text(), 0, Some(choice.finish))
                    })
                    .collect();
                json(&self.envelope("text_completion", choices, Some(Some(self.usage))))
            }
        }
    }

    /// What every frame of the stream begins with, up to its choice.
    pub(super) fn frame_start(&self) -> Vec<u8> {
        let object = match self.form {
            Form::Chat => "chat.completion.chunk",
            Form::Text => "text_completion",
        };
        let mut frame = b"data: ".to_vec();
        frame.extend(json(&self.envelope(object, [(); 0], None)));
        frame.truncate(frame.len() - b"]}".len());
        frame
    }

    /// The choice's chunk that comes first and says whose turn it is, where it does not come with the first call.
    pub(super) fn opening(&self, index: usize) -> Option<Vec<u8>> {
        let is_text = matches!(self.choices[index].said, Said::Text(_));
        (self.form == Form::Chat && is_text).then(|| {
            let delta = Delta {
                role: Some("assistant"),
                content: Some(Some("")),
                refusal: Some(None),
                ..Delta::default()
            };
            json(&self.delta(index, delta, None, None))
        })
    }

    /// The choice's next token as a chunk, `None` at its end.
    pub(super) fn token(&self, index: usize, cursor: &mut Cursor) -> Option<Vec<u8>> {
        let choice = &self.choices[index];
        let Said::Text(said) = &choice.said else {
            return self.call_token(index, cursor);
        };
        let token = text::tokens(&said[cursor.at..]).next()?;
        let at = cursor.at;
        cursor.at += token.len();
        if self.form == Form::Text {
            return Some(json(&self.text_chunk(index, token, at, None)));
        }
        let logprobs = self
            .logprobs
            .map(|top| chat_logprobs(token, at, top, &self.seed));
        let delta = Delta {
            content: Some(Some(token)),
            ..Delta::default()
        };
        Some(json(&ChatDeltaChoice {
            index,
            delta,
            logprobs,
            finish_reason: None,
        }))
    }

    /// The choice's last chunk.
    pub(super) fn finish(&self, index: usize) -> Vec<u8> {
        let choice = &self.choices[index];
        match self.form {
            Form::Chat => json(&self.delta(index, Delta::default(), Some(choice.finish), None)),
            Form::Text => json(&TextChoice {
                text: "",
                index,
                logprobs: None,
                finish_reason: Some(choice.finish),
            }),
        }
    }

    fn call_token(&self, index: usize, cursor: &mut Cursor) -> Option<Vec<u8>> {
        let (call, is_tool) = match &self.choices[index].said {
            Said::Text(_) => return None,
            Said::Tools(calls) => (calls.get(cursor.call)?, true),
            Said::Function(call) => (call, false),
        };
        if !cursor.named {
            cursor.named = true;
            let first = cursor.call == 0;
            let mut delta = call_delta(call, cursor.call, is_tool, true, "");
            if first {
                delta.role = Some("assistant");
                delta.content = Some(None);
                delta.refusal = Some(None);
            }
            return Some(json(&self.delta(index, delta, None, None)));
        }
        let Some(token) = text::tokens(&call.arguments[cursor.at..]).next() else {
            if !is_tool {
                return None;
            }
            *cursor = Cursor {
                call: cursor.call + 1,
                ..Cursor::default()
            };
            return self.call_token(index, cursor);
        };
        cursor.at += token.len();
        let delta = call_delta(call, cursor.call, is_tool, false, token);
        Some(json(&self.delta(index, delta, None, None)))
    }

    fn envelope<'a, C>(
        &'a self,
        object: &'a str,
        choices: C,
        usage: Option<Option<Usage>>,
    ) -> Envelope<'a, C> {
        Envelope {
            id: &self.id,
            object,
            created: self.created,
            model: &self.model,
            service_tier: (self.form == Form::Chat).then_some("default"),
            system_fingerprint: &self.fingerprint,
            choices,
            usage,
        }
    }

    fn message<'a>(&self, index: usize, choice: &'a Choice) -> ChatChoice<'a> {
        let mut message = ChatMessage {
            role: "assistant",
            content: None,
            tool_calls: None,
            function_call: None,
            refusal: None,
            annotations: [],
        };
        let mut logprobs = None;
        match &choice.said {
            Said::Text(said) => {
                message.content = Some(said);
                logprobs = self
                    .logprobs
                    .map(|top| chat_logprobs(said, 0, top, &self.seed));
            }
            Said::Tools(calls) => {
                let calls = calls
                    .iter()
                    .map(|call| tool_call(call, None, true, &call.arguments));
                message.tool_calls = Some(calls.collect());
            }
            Said::Function(call) => {
                message.function_call = Some(function_call(call, true, &call.arguments))
            }
        }
        ChatChoice {
            index,
            message,
            logprobs,
            finish_reason: choice.finish,
        }
    }

    fn delta<'a>(
        &self,
        index: usize,
        delta: Delta<'a>,
        finish_reason: Option<&'a str>,
        logprobs: Option<super::wire::ChatLogprobs>,
    ) -> ChatDeltaChoice<'a> {
        ChatDeltaChoice {
            index,
            delta,
            logprobs,
            finish_reason,
        }
    }

    fn text_chunk<'a>(
        &self,
        index: usize,
        said: &'a str,
        at: usize,
        finish_reason: Option<&'a str>,
    ) -> TextChoice<'a> {
        TextChoice {
            text: said,
            index,
            logprobs: self
                .logprobs
                .map(|top| text_logprobs(said, at, top, &self.seed)),
            finish_reason,
        }
    }
}

impl Choice {
    /// A text as the request limits it: up to the first of the `stops`, and of `limit` tokens.
    pub(super) fn text_within(mut said: String, stops: &[String], limit: usize) -> Self {
        let stops = stops.iter().filter(|stop| !stop.is_empty());
        if let Some(end) = stops.filter_map(|stop| said.find(stop.as_str())).min() {
            said.truncate(end);
        }
        let finish = if text::truncate(&mut said, limit) {
            "length"
        } else {
            "stop"
        };
        Self {
            said: Said::Text(said),
            finish,
        }
    }

    /// Calls of `limit` tokens at most; the arguments of the last may be cut off.
    pub(super) fn calls_within(mut calls: Vec<Call>, legacy: bool, limit: usize) -> Self {
        let mut left = limit;
        let mut finish = if legacy {
            "function_call"
        } else {
            "tool_calls"
        };
        let mut kept = 0;
        for call in &mut calls {
            if left == 0 {
                finish = "length";
                break;
            }
            kept += 1;
            left -= 1; // its name
            if text::truncate(&mut call.arguments, left) {
                finish = "length";
            }
            left -= text::count(&call.arguments);
        }
        calls.truncate(kept);
        let said = match calls.pop() {
            Some(call) if legacy => Said::Function(call),
            last => Said::Tools(calls.into_iter().chain(last).collect()),
        };
        Self { said, finish }
    }

    /// Its tokens. A call is one for its name and those of its arguments.
    pub(super) fn tokens(&self) -> usize {
        let of_call = |call: &Call| 1 + text::count(&call.arguments);
        match &self.said {
            Said::Text(said) => text::count(said),
            Said::Tools(calls) => calls.iter().map(of_call).sum(),
            Said::Function(call) => of_call(call),
        }
    }

    fn text(&self) -> &str {
        match &self.said {
            Said::Text(said) => said,
            Said::Tools(_) | Said::Function(_) => "",
        }
    }
}

fn call_delta<'a>(
    call: &'a Call,
    index: usize,
    is_tool: bool,
    named: bool,
    arguments: &'a str,
) -> Delta<'a> {
    let mut delta = Delta::default();
    if is_tool {
        delta.tool_calls = Some([tool_call(call, Some(index), named, arguments)]);
    } else {
        delta.function_call = Some(function_call(call, named, arguments));
    }
    delta
}

fn tool_call<'a>(
    call: &'a Call,
    index: Option<usize>,
    named: bool,
    arguments: &'a str,
) -> ToolCall<'a> {
    ToolCall {
        index,
        id: named.then_some(&*call.id),
        kind: named.then_some("function"),
        function: function_call(call, named, arguments),
    }
}

fn function_call<'a>(call: &'a Call, named: bool, arguments: &'a str) -> FunctionCall<'a> {
    FunctionCall {
        name: named.then_some(&*call.name),
        arguments,
    }
}

fn json(value: &impl Serialize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(256);
    // Only a map with keys that are no strings, or a writer that fails, could fail, and there is neither.
    serde_json::to_writer(&mut bytes, value).unwrap_or_default();
    bytes
}
