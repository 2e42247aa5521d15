//! One of an answer's choices, as far as it has come.

use std::borrow::Cow;

use serde::Serialize;
use serde_json::value::RawValue;

use super::chunk::{AudioPiece, CallPiece, ChoiceChunk, ContentPart, Piece, ThinkingPart};
use crate::dialect::Dialect;
use crate::dialect::chat::thoughts::Detail;
use crate::dialect::chat::wire::{Content as WireContent, ExtraContent};
use crate::dialect::chat::{AUDIO, CUSTOM_CALL, EXECUTED_TOOLS, answer, finish, logprobs};
use crate::dialect::common::{Content, Delta, Finish, Json, Signature, derived_call_id};

/// What a choice has said that the pieces to come depend on.
#[derive(Debug)]
pub(super) struct ChoiceState {
    choice: u32,
    finish: Option<Finish>,
    calls: Vec<Call>,
    /// How many of the calls are told.
    told: u32,
    /// The entry of `reasoning_details` that the last piece belonged to: its index and kind.
    thought: Option<(Option<u64>, String)>,
    /// What to seal the summary with that is being read.
    summary: Option<Signature>,
    has_refusal: bool,
    audio: Option<AudioPiece>,
    executed_tools: Vec<Json>,
    is_over: bool,
}

#[derive(Debug, Default)]
struct Call {
    /// Its index on the wire, where it has one.
    index: Option<u32>,
    id: String,
    /// Its number among those told; None before its name is known.
    told: Option<u32>,
    /// Arguments that came before its name.
    held: String,
    signature: Option<Signature>,
    custom: Option<CustomCall>,
}

/// A call of a tool without a schema, which is told when it is whole.
#[derive(Debug, Default, Serialize)]
struct CustomCall {
    name: String,
    input: String,
}

impl ChoiceState {
    pub(super) const fn new(choice: u32) -> Self {
        Self {
            choice,
            finish: None,
            calls: Vec::new(),
            told: 0,
            thought: None,
            summary: None,
            has_refusal: false,
            audio: None,
            executed_tools: Vec::new(),
            is_over: false,
        }
    }

    pub(super) const fn is_finished(&self) -> bool {
        self.finish.is_some() || self.is_over
    }

    /// Reads a chunk's piece. `answer` is the answer's id, for calls that have none.
    pub(super) fn read(&mut self, chunk: ChoiceChunk<'_>, answer: &str, out: &mut Vec<Delta>) {
        if self.is_over {
            return;
        }
        if let Some(piece) = chunk.delta {
            self.read_piece(piece, answer, out);
        }
        self.say(chunk.text.unwrap_or_default(), out);
        if let Some(raw) = chunk.logprobs {
            let tokens = logprobs::read(raw);
            if !tokens.is_empty() {
                let choice = self.choice;
                out.push(Delta::Logprobs { choice, tokens });
            }
        }
        // Some routers say it twice.
        if !chunk.finish_reason.is_empty() && self.finish.is_none() {
            let stop_text = chunk.stop_reason.map(RawValue::get);
            let stop_text = stop_text.and_then(|raw| serde_json::from_str::<String>(raw).ok());
            self.finish = Some(
                match finish::read(&chunk.finish_reason, &chunk.native_finish_reason) {
                    Finish::Stop if stop_text.is_some() => Finish::StopSequence(stop_text),
                    finish => finish,
                },
            );
        }
    }

    fn read_piece(&mut self, piece: Piece<'_>, answer: &str, out: &mut Vec<Delta>) {
        let choice = self.choice;
        let plain = piece.reasoning_content.or(piece.reasoning);
        self.read_thoughts(plain, piece.reasoning_details, out);
        if let Some(seal) = piece.extra_content.and_then(ExtraContent::seal) {
            out.push(Delta::Signature {
                choice,
                signature: Signature::read(Dialect::Gemini, &seal),
                id: None,
                is_redacted: false,
            });
        }
        match piece.content {
            None => {}
            Some(WireContent::Text(text)) => self.say(text, out),
            Some(WireContent::Parts(parts)) => {
                for raw in parts {
                    self.read_part(raw, out);
                }
            }
        }
        if let Some(text) = piece.refusal {
            self.refuse(text, out);
        }
        for json in piece.annotations.into_iter().flatten() {
            let citation = answer::read_citation(json);
            out.push(Delta::Citation { choice, citation });
        }
        for json in piece.images.into_iter().flatten() {
            if let Some(Content::Image { source, .. }) = answer::read_image(json) {
                out.push(Delta::Image { choice, source });
            }
        }
        for call in piece.tool_calls.into_iter().flatten() {
            self.read_call(call, answer, out);
        }
        if let Some(function) = piece.function_call {
            let call = CallPiece {
                index: Some(0),
                id: Cow::Borrowed(""),
                function: Some(*function),
                custom: None,
                extra_content: None,
            };
            self.read_call(call, answer, out);
        }
        if let Some(audio) = piece.audio {
            self.audio.get_or_insert_default().add(*audio);
        }
        self.executed_tools
            .extend(piece.executed_tools.into_iter().flatten());
    }

    fn say(&mut self, text: String, out: &mut Vec<Delta>) {
        if !text.is_empty() {
            self.close_thought(out);
            let choice = self.choice;
            out.push(Delta::Text { choice, text });
        }
    }

    fn refuse(&mut self, text: String, out: &mut Vec<Delta>) {
        if !text.is_empty() {
            self.close_thought(out);
            self.has_refusal = true;
            let choice = self.choice;
            out.push(Delta::Refusal { choice, text });
        }
    }

    fn think(&self, text: String, out: &mut Vec<Delta>) {
        if !text.is_empty() {
            let choice = self.choice;
            out.push(Delta::Thinking { choice, text });
        }
    }

    fn read_part(&mut self, raw: &RawValue, out: &mut Vec<Delta>) {
        let Ok(part) = serde_json::from_str::<ContentPart<'_>>(raw.get()) else {
            return;
        };
        match (&*part.kind, part.text, part.refusal, part.thinking) {
            ("text", Some(text), ..) => self.say(text, out),
            ("refusal", _, Some(text), _) => self.refuse(text, out),
            ("thinking", _, _, Some(WireContent::Text(text))) => self.think(text, out),
            ("thinking", _, _, Some(WireContent::Parts(parts))) => {
                for raw in parts {
                    let part = serde_json::from_str::<ThinkingPart>(raw.get()).ok();
                    let text = part.and_then(|part| part.text);
                    self.think(text.unwrap_or_default(), out);
                }
            }
            (kind, ..) => out.extend(Json::parse(raw.get()).ok().map(|json| Delta::Opaque {
                choice: self.choice,
                dialect: Dialect::Chat,
                kind: kind.to_owned(),
                json,
            })),
        }
    }

    /// Entries where there are some, which repeat what the plain field says; else the plain field.
    fn read_thoughts(
        &mut self,
        plain: Option<String>,
        details: Option<Vec<Detail<'static>>>,
        out: &mut Vec<Delta>,
    ) {
        let details = details.unwrap_or_default();
        let has_text = |detail: &Detail<'_>| detail.text.is_some() || detail.summary.is_some();
        if !details.iter().any(has_text) {
            self.think(plain.unwrap_or_default(), out);
        }
        for mut detail in details {
            let is_open = |(index, kind): &(Option<u64>, String)| {
                *index == detail.index && **kind == *detail.kind
            };
            if !self.thought.as_ref().is_some_and(is_open) {
                self.close_thought(out);
                self.thought = Some((detail.index, detail.kind.to_string()));
            }
            self.think(detail.take_text(), out);
            if let Some(summary) = detail.summary_seal() {
                // The format may stand in one of the pieces only; the longest says most.
                let so_far = self.summary.as_ref().map_or(0, |seal| seal.value.len());
                if so_far < summary.value.len() {
                    self.summary = Some(summary);
                }
            }
            let Some((signature, is_redacted)) = detail.seal() else {
                continue;
            };
            out.push(Delta::Signature {
                choice: self.choice,
                signature,
                id: detail.id.map(Cow::into_owned),
                is_redacted,
            });
        }
    }

    fn close_thought(&mut self, out: &mut Vec<Delta>) {
        self.thought = None;
        if let Some(signature) = self.summary.take() {
            out.push(Delta::Signature {
                choice: self.choice,
                signature,
                id: None,
                is_redacted: false,
            });
        }
    }

    /// A piece of a call. Servers differ: some leave the index out, some give every call the index 0 but an id of its own,
    /// some repeat id and name in each piece.
    fn read_call(&mut self, piece: CallPiece<'_>, answer: &str, out: &mut Vec<Delta>) {
        self.close_thought(out);
        let name = piece
            .function
            .as_ref()
            .map_or("", |function| &function.name);
        let of_index = |call: &Call| piece.index.is_some() && call.index == piece.index;
        let of_id = |call: &Call| piece.id.is_empty() || call.id == *piece.id;
        let begun = self.calls.iter().rposition(|call| match piece.index {
            Some(_) => of_index(call) && (of_id(call) || call.id.is_empty()),
            None => !piece.id.is_empty() && call.id == *piece.id,
        });
        let is_bare = piece.index.is_none() && piece.id.is_empty() && name.is_empty();
        let place = match begun {
            Some(place) => place,
            None if is_bare && !self.calls.is_empty() => self.calls.len() - 1,
            None => {
                self.calls.push(Call {
                    index: piece.index,
                    ..Call::default()
                });
                self.calls.len() - 1
            }
        };
        let call = &mut self.calls[place];
        if call.id.is_empty() {
            call.id.push_str(&piece.id);
        }
        if let Some(seal) = piece.extra_content.and_then(ExtraContent::seal) {
            call.signature
                .get_or_insert_with(|| Signature::read(Dialect::Gemini, &seal));
        }
        if let Some(custom) = piece.custom {
            let so_far = call.custom.get_or_insert_default();
            so_far.name.push_str(&custom.name.unwrap_or_default());
            so_far.input.push_str(&custom.input.unwrap_or_default());
        }
        let Some(function) = piece.function else {
            return;
        };
        if call.told.is_none() && !function.name.is_empty() {
            call.tell(self.choice, &mut self.told, &function.name, answer, out);
        }
        match call.told {
            Some(number) => arguments(self.choice, number, function.arguments.0, out),
            None => call.held.push_str(&function.arguments.0),
        }
    }

    /// Tells what waited for the choice's end, and why it ended.
    pub(super) fn finish(&mut self, answer: &str, out: &mut Vec<Delta>) {
        if std::mem::replace(&mut self.is_over, true) {
            return;
        }
        let choice = self.choice;
        self.close_thought(out);
        for call in &mut self.calls {
            if let Some(custom) = call.custom.take() {
                let json = Json::of(&serde_json::json!({
                    "id": call.id,
                    "type": "custom",
                    "custom": custom,
                }));
                out.push(opaque(choice, CUSTOM_CALL, json));
            } else if call.told.is_none() && !(call.id.is_empty() && call.held.is_empty()) {
                call.tell(choice, &mut self.told, "", answer, out);
            }
        }
        if let Some(audio) = self.audio.take() {
            out.push(opaque(choice, AUDIO, Json::of(&audio)));
        }
        if !self.executed_tools.is_empty() {
            let tools = std::mem::take(&mut self.executed_tools);
            out.push(opaque(choice, EXECUTED_TOOLS, Json::of(&tools)));
        }
        let finish = match self.finish.take() {
            // OpenAI says so where the call was forced; others say so always.
            Some(Finish::Stop) if self.told > 0 => Some(Finish::ToolCalls),
            Some(Finish::Stop) if self.has_refusal => Some(Finish::Refusal),
            finish => finish,
        };
        out.extend(finish.map(|finish| Delta::Finish { choice, finish }));
    }
}

impl Call {
    fn tell(
        &mut self,
        choice: u32,
        told: &mut u32,
        name: &str,
        answer: &str,
        out: &mut Vec<Delta>,
    ) {
        let number = *told;
        *told += 1;
        self.told = Some(number);
        out.push(Delta::ToolCall {
            choice,
            call: number,
            id: match self.id.as_str() {
                "" => derived_call_id(answer, number),
                id => id.to_owned(),
            },
            name: name.to_owned(),
            signature: self.signature.take(),
        });
        arguments(choice, number, std::mem::take(&mut self.held), out);
    }
}

fn arguments(choice: u32, call: u32, json: String, out: &mut Vec<Delta>) {
    if !json.is_empty() {
        out.push(Delta::Arguments { choice, call, json });
    }
}

fn opaque(choice: u32, kind: &str, json: Json) -> Delta {
    Delta::Opaque {
        choice,
        dialect: Dialect::Chat,
        kind: kind.to_owned(),
        json,
    }
}

impl AudioPiece {
    fn add(&mut self, piece: Self) {
        self.id = self.id.take().or(piece.id);
        self.expires_at = piece.expires_at.or(self.expires_at);
        for (so_far, more) in [
            (&mut self.data, piece.data),
            (&mut self.transcript, piece.transcript),
        ] {
            if let Some(more) = more {
                so_far.get_or_insert_default().push_str(&more);
            }
        }
    }
}
