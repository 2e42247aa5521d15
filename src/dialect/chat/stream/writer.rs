//! A stream, written for a caller.

use std::borrow::Cow;

use super::written::{CallChunk, ChoiceChunk, Chunk, Fragment, FunctionChunk};
use crate::dialect::chat::answer::{
    WireImage, answer_id, hides_thoughts, shown_call_id, shown_google_seal, stop_text,
    written_citation,
};
use crate::dialect::chat::logprobs::WireLogprobs;
use crate::dialect::chat::thoughts::{Detail, TEXT};
use crate::dialect::chat::usage::WireUsage;
use crate::dialect::chat::wire::ExtraContent;
use crate::dialect::chat::{CUSTOM_CALL, MESSAGE_FIELD, finish};
use crate::dialect::common::{
    Context, Delta, Finish, Json, Request, Signature, Thinking, WriteStream,
};
use crate::dialect::{Dialect, Usage, openai};

/// Writes one stream for a caller.
#[derive(Debug)]
pub struct Writer {
    id: String,
    model: String,
    created: u64,
    service_tier: Option<String>,
    includes_usage: bool,
    hides_thoughts: bool,
    usage: Option<Usage>,
    choices: Vec<ChoiceWriter>,
}

/// What has been written of a choice.
#[derive(Debug, Default)]
struct ChoiceWriter {
    is_begun: bool,
    is_finished: bool,
    has_refusal: bool,
    /// The index of the next entry of `reasoning_details`.
    thought: usize,
    /// Whether an entry of that index has begun.
    is_thinking: bool,
    /// The index on the wire of each function call, and whether it has arguments.
    calls: Vec<(usize, bool)>,
    /// How many calls of every kind have begun.
    calls_begun: usize,
    /// Unicode characters of text so far, and how many of them before the text that is being written.
    characters: u64,
    characters_before: u64,
    is_text: bool,
}

/// The most choices that are written; OpenAI takes `n` up to 128.
const CHOICES_MAX: u32 = 1024;

impl Writer {
    /// A writer for the caller who sent `request`.
    pub fn new(request: &Request, context: &Context) -> Self {
        Self {
            id: answer_id("", context),
            model: request.model.clone(),
            created: context.now,
            service_tier: None,
            includes_usage: request.include_usage,
            hides_thoughts: hides_thoughts(request),
            usage: None,
            choices: Vec::new(),
        }
    }

    fn start(&mut self, id: &str, model: String, created: Option<u64>, out: &mut Vec<u8>) {
        if !id.is_empty() {
            self.id = answer_id(id, &Context::default());
        }
        if !model.is_empty() {
            self.model = model;
        }
        self.created = created.unwrap_or(self.created);
        self.begin(0, out);
    }

    /// Writes the chunk that tells the role, if the choice has not begun.
    fn begin(&mut self, choice: u32, out: &mut Vec<u8>) -> &mut ChoiceWriter {
        let place = choice.min(CHOICES_MAX) as usize;
        if self.choices.len() <= place {
            self.choices.resize_with(place + 1, ChoiceWriter::default);
        }
        if !std::mem::replace(&mut self.choices[place].is_begun, true) {
            let role = Fragment {
                role: Some("assistant"),
                content: Some(""),
                ..Fragment::default()
            };
            self.piece(choice, role, out);
        }
        &mut self.choices[place]
    }

    fn piece(&self, index: u32, delta: Fragment<'_>, out: &mut Vec<u8>) {
        self.chunk(&[ChoiceChunk::of(index, delta)], None, out);
    }

    fn chunk(&self, choices: &[ChoiceChunk<'_>], usage: Option<WireUsage>, out: &mut Vec<u8>) {
        let chunk = Chunk {
            id: &self.id,
            object: "chat.completion.chunk",
            created: self.created,
            model: &self.model,
            service_tier: self.service_tier.as_deref(),
            choices,
            usage: self.includes_usage.then_some(usage),
        };
        out.extend_from_slice(b"data: ");
        // Structs with string keys, into memory: this does not fail.
        let _ = serde_json::to_writer(&mut *out, &chunk);
        out.extend_from_slice(b"\n\n");
    }

    fn say(&mut self, choice: u32, text: &str, out: &mut Vec<u8>) {
        let state = self.begin(choice, out);
        state.end_thought();
        if !std::mem::replace(&mut state.is_text, true) {
            state.characters_before = state.characters;
        }
        state.characters += text.chars().count() as u64;
        let delta = Fragment {
            content: Some(text),
            ..Fragment::default()
        };
        self.piece(choice, delta, out);
    }

    /// A thought is written as plain text and as an entry, whose seal may follow: clients put both together.
    fn think(&mut self, choice: u32, text: &str, out: &mut Vec<u8>) {
        let hides = self.hides_thoughts;
        let state = self.begin(choice, out);
        state.is_thinking = true;
        if hides {
            return;
        }
        let detail = Detail {
            kind: Cow::Borrowed(TEXT),
            text: Some(Cow::Borrowed(text)),
            index: Some(state.thought as u64),
            ..Detail::default()
        };
        let delta = Fragment {
            reasoning_content: Some(text),
            reasoning_details: Some([detail]),
            ..Fragment::default()
        };
        self.piece(choice, delta, out);
    }

    fn seal(&mut self, choice: u32, thinking: &Thinking, out: &mut Vec<u8>) {
        let state = self.begin(choice, out);
        if thinking.is_redacted {
            state.end_thought();
        }
        let detail = Detail::of(thinking, state.thought);
        state.is_thinking = true;
        state.end_thought();
        let delta = Fragment {
            reasoning_details: Some([detail]),
            ..Fragment::default()
        };
        self.piece(choice, delta, out);
    }

    fn call(
        &mut self,
        choice: u32,
        (id, name): (&str, &str),
        signature: Option<&Signature>,
        out: &mut Vec<u8>,
    ) {
        let state = self.begin(choice, out);
        state.end_thought();
        let number = state.calls.len() as u32;
        let index = state.next_call();
        state.calls.push((index, false));
        let id = shown_call_id(id, &self.id, number);
        let call = CallChunk {
            index,
            id: Some(&id),
            kind: Some("function"),
            function: FunctionChunk {
                name: Some(name),
                arguments: "",
            },
            extra_content: signature.map(|seal| ExtraContent::of(shown_google_seal(seal))),
        };
        self.piece(choice, Fragment::of_call(call), out);
    }

    fn arguments(&mut self, choice: u32, call: u32, json: &str, out: &mut Vec<u8>) {
        let state = self.begin(choice, out);
        let Some((index, has_arguments)) = state.calls.get_mut(call as usize) else {
            return;
        };
        *has_arguments |= !json.trim_ascii().is_empty();
        let call = CallChunk::more(*index, json);
        self.piece(choice, Fragment::of_call(call), out);
    }

    fn opaque(&mut self, choice: u32, kind: &str, json: &Json, out: &mut Vec<u8>) {
        let state = self.begin(choice, out);
        let mut delta = Fragment::default();
        let indexed;
        if kind == CUSTOM_CALL {
            let serde_json::Value::Object(mut call) = json.value() else {
                return;
            };
            call.insert("index".into(), state.next_call().into());
            indexed = Json::of(&[call]);
            delta.fields.0.push(("tool_calls", &indexed));
        } else if let Some(field) = kind.strip_prefix(MESSAGE_FIELD) {
            delta.fields.0.push((field, json));
        } else {
            return;
        }
        self.piece(choice, delta, out);
    }

    fn finish(&mut self, choice: u32, finish: &Finish, out: &mut Vec<u8>) {
        let state = self.begin(choice, out);
        if std::mem::replace(&mut state.is_finished, true) {
            return;
        }
        let has_refusal = state.has_refusal;
        // SDKs parse the arguments: no text is no JSON.
        let bare = state
            .calls
            .iter()
            .filter(|(_, has_arguments)| !has_arguments);
        let bare: Vec<usize> = bare.map(|(index, _)| *index).collect();
        for index in bare {
            self.piece(choice, Fragment::of_call(CallChunk::more(index, "{}")), out);
        }
        let (reason, native) = finish::written(finish, has_refusal);
        let last = ChoiceChunk {
            finish_reason: Some(reason),
            native_finish_reason: native,
            stop_reason: stop_text(Some(finish)),
            ..ChoiceChunk::of(choice, Fragment::default())
        };
        self.chunk(&[last], None, out);
    }

    fn end(&mut self, out: &mut Vec<u8>) {
        for choice in 0..self.choices.len() as u32 {
            if !self.choices[choice as usize].is_finished {
                self.finish(choice, &Finish::Stop, out);
            }
        }
        if self.includes_usage
            && let Some(usage) = self.usage
        {
            self.chunk(&[], Some(usage.into()), out);
        }
        out.extend_from_slice(b"data: [DONE]\n\n");
    }
}

impl WriteStream for Writer {
    fn write(&mut self, delta: Delta, out: &mut Vec<u8>) {
        match delta {
            Delta::Start { id, model, created } => self.start(&id, model, created, out),
            Delta::Text { choice, text } => self.say(choice, &text, out),
            Delta::Thinking { choice, text } => self.think(choice, &text, out),
            Delta::Arguments { choice, call, json } => self.arguments(choice, call, &json, out),
            Delta::Citation { choice, citation } => {
                let before = self.begin(choice, out).characters_before;
                let Some(annotation) = written_citation(&citation, before) else {
                    return;
                };
                let delta = Fragment {
                    annotations: Some([&*annotation]),
                    ..Fragment::default()
                };
                self.piece(choice, delta, out);
            }
            Delta::Refusal { choice, text } => {
                self.begin(choice, out).has_refusal = true;
                let delta = Fragment {
                    refusal: Some(&text),
                    ..Fragment::default()
                };
                self.piece(choice, delta, out);
            }
            Delta::Signature {
                choice,
                signature,
                id,
                is_redacted,
            } => {
                let thinking = Thinking {
                    text: String::new(),
                    signature: Some(signature),
                    id,
                    is_redacted,
                };
                self.seal(choice, &thinking, out);
            }
            Delta::ToolCall {
                choice,
                call: _,
                id,
                name,
                signature,
            } => self.call(choice, (&id, &name), signature.as_ref(), out),
            Delta::Image { choice, source } => {
                self.begin(choice, out).is_text = false;
                if let Some(image) = WireImage::of(&source) {
                    let delta = Fragment {
                        images: Some([image]),
                        ..Fragment::default()
                    };
                    self.piece(choice, delta, out);
                }
            }
            Delta::Opaque {
                choice,
                dialect: Dialect::Chat,
                kind,
                json,
            } => self.opaque(choice, &kind, &json, out),
            Delta::Opaque { .. } => {}
            Delta::Logprobs { choice, tokens } => {
                self.begin(choice, out);
                let last = ChoiceChunk {
                    logprobs: WireLogprobs::of(&tokens),
                    ..ChoiceChunk::of(choice, Fragment::default())
                };
                self.chunk(&[last], None, out);
            }
            Delta::Finish { choice, finish } => self.finish(choice, &finish, out),
            Delta::Usage(usage) => self.usage = Some(usage),
            Delta::ServiceTier(tier) => self.service_tier = Some(tier),
            Delta::End => self.end(out),
            Delta::Error(error) => out.extend_from_slice(&openai::error_event(&error)),
        }
    }
}

impl ChoiceWriter {
    /// What follows is another entry of `reasoning_details`, and another text.
    fn end_thought(&mut self) {
        if std::mem::take(&mut self.is_thinking) {
            self.thought += 1;
            self.is_text = false;
        }
    }

    fn next_call(&mut self) -> usize {
        self.is_text = false;
        self.calls_begun += 1;
        self.calls_begun - 1
    }
}
