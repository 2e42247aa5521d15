//! From an answer's items to the common form, whether an item comes whole or grew before.
//!
//! A stream tells each item twice: in pieces, and whole when it is done. What is done is compared with what came in
//! pieces, and the rest is added; for an answer in one piece, that rest is everything. So both are read alike.

mod wire;

use std::collections::BTreeMap;

use serde_json::value::RawValue;

use wire::{WireCall, WireMessage, WirePart, WireReasoning, WireText, kind, tokens};

use super::citation;
use super::fields::Text;
use super::{CONTENT_LEAD, PARAGRAPH};
use crate::dialect::Dialect;
use crate::dialect::common::{Delta, Json, Malformed, Signature, derived_call_id};

/// What has been read of an answer's items.
#[derive(Debug, Default)]
pub struct Items {
    /// An id of the answer, for calls that have none.
    answer: String,
    /// Whether the model called a tool of the application's.
    pub has_call: bool,
    /// Whether the model refused.
    pub has_refusal: bool,
    /// Items that have begun and are not done, by their place in the output.
    open: BTreeMap<u64, Item>,
    /// How many items have begun.
    begun: u64,
    calls: u32,
    /// The characters of the text that a reader of the pieces has put together so far.
    run: u64,
}

#[derive(Debug)]
enum Item {
    /// Its parts, by their place.
    Message(BTreeMap<u64, Part>),
    Call {
        number: u32,
        arguments_len: usize,
    },
    Reasoning(Thought),
    Other,
}

/// How much of a message's part has come.
#[derive(Debug, Default)]
struct Part {
    /// The characters before it in the text that it became a part of.
    base: u64,
    len: usize,
    annotations: usize,
    has_logprobs: bool,
}

#[derive(Debug, Default)]
struct Thought {
    /// Where its text comes from; the other source, if a server has both, says the same again.
    source: Option<Source>,
    len: usize,
    /// Which part of the source comes now.
    part: u64,
}

/// Where a thought's text comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// OpenAI's summary of it.
    Summary,
    /// The thought itself, which some servers show.
    Content,
}

impl Items {
    /// None yet, of the answer `answer`.
    pub fn of(answer: &str) -> Self {
        Self {
            answer: answer.to_owned(),
            ..Self::default()
        }
    }

    /// An item begins.
    pub fn added(
        &mut self,
        index: u64,
        raw: &RawValue,
        out: &mut Vec<Delta>,
    ) -> Result<(), Malformed> {
        let item = match kind(raw)?.as_str() {
            "message" => Item::Message(BTreeMap::new()),
            "reasoning" => Item::Reasoning(Thought::default()),
            "function_call" => Item::Call {
                number: self.call(serde_json::from_str(raw.get())?, out),
                arguments_len: 0,
            },
            _ => Item::Other,
        };
        self.begun += 1;
        self.open.insert(index, item);
        Ok(())
    }

    /// An item is whole.
    pub fn done(
        &mut self,
        index: u64,
        raw: &RawValue,
        out: &mut Vec<Delta>,
    ) -> Result<(), Malformed> {
        let begun = self.open.remove(&index);
        if begun.is_none() {
            self.begun += 1;
        }
        let kind = kind(raw)?;
        match kind.as_str() {
            "message" => {
                let parts = match begun {
                    Some(Item::Message(parts)) => parts,
                    _ => BTreeMap::new(),
                };
                self.message_done(parts, serde_json::from_str(raw.get())?, out)?;
            }
            "reasoning" => {
                let thought = match begun {
                    Some(Item::Reasoning(thought)) => thought,
                    _ => Thought::default(),
                };
                self.reasoning_done(thought, serde_json::from_str(raw.get())?, out);
            }
            "function_call" => {
                let mut call: WireCall<'_> = serde_json::from_str(raw.get())?;
                let Text(arguments) = call.arguments.take().unwrap_or_default();
                let (number, arguments_len) = match begun {
                    Some(Item::Call {
                        number,
                        arguments_len,
                    }) => (number, arguments_len),
                    _ => (self.call(call, out), 0),
                };
                push_arguments(number, rest(&arguments, arguments_len), out);
            }
            _ => {
                self.has_call |= kind == "custom_tool_call";
                self.opaque(kind, raw, out);
            }
        }
        Ok(())
    }

    /// What a stream's last event says of its items, for servers that left something out before.
    pub fn all(&mut self, output: &[&RawValue], out: &mut Vec<Delta>) -> Result<(), Malformed> {
        let is_unseen = self.begun == 0;
        for (index, raw) in (0..).zip(output) {
            if is_unseen || self.open.contains_key(&index) {
                self.done(index, raw, out)?;
            }
        }
        Ok(())
    }

    /// Whether every item that began is done.
    pub fn is_settled(&self) -> bool {
        self.begun > 0 && self.open.is_empty()
    }

    /// More text of a message.
    pub fn text(&mut self, index: u64, part: u64, text: String, out: &mut Vec<Delta>) {
        let (run, len) = (self.run, text.len());
        if let Some(part) = self.part(index, part) {
            if part.len == 0 && part.annotations == 0 {
                part.base = run;
            }
            part.len += len;
            self.push_text(text, out);
        }
    }

    /// Tokens of a message's text.
    pub fn logprobs(&mut self, index: u64, part: u64, raw: &RawValue, out: &mut Vec<Delta>) {
        let tokens = tokens(raw);
        if let Some(part) = self.part(index, part)
            && !tokens.is_empty()
        {
            part.has_logprobs = true;
            out.push(Delta::Logprobs { choice: 0, tokens });
        }
    }

    /// A source of a message's text.
    pub fn annotation(&mut self, index: u64, part: u64, raw: &RawValue, out: &mut Vec<Delta>) {
        let run = self.run;
        if let Some(part) = self.part(index, part) {
            if part.len == 0 && part.annotations == 0 {
                part.base = run;
            }
            part.annotations += 1;
            out.push(Delta::Citation {
                choice: 0,
                citation: citation::read(raw, part.base),
            });
        }
    }

    /// More of a refusal.
    pub fn refusal(&mut self, index: u64, part: u64, text: String, out: &mut Vec<Delta>) {
        if let Some(part) = self.part(index, part) {
            part.len += text.len();
            self.push_refusal(text, out);
        }
    }

    /// More of a call's arguments.
    pub fn arguments(&mut self, index: u64, json: String, out: &mut Vec<Delta>) {
        // Without the item, which names the tool, there is no call yet: it will come whole.
        if let Some(Item::Call {
            number,
            arguments_len,
        }) = self.open.get_mut(&index)
        {
            *arguments_len += json.len();
            let call = *number;
            push_arguments(call, Some(json), out);
        }
    }

    /// More of the `part`-th part of a thought.
    pub fn thought(
        &mut self,
        index: u64,
        source: Source,
        part: u64,
        text: &str,
        out: &mut Vec<Delta>,
    ) {
        let item = self.open.entry(index).or_insert_with(|| {
            self.begun += 1;
            Item::Reasoning(Thought::default())
        });
        let Item::Reasoning(thought) = item else {
            return;
        };
        if text.is_empty() || *thought.source.get_or_insert(source) != source {
            return;
        }
        let lead = match thought.len > 0 && thought.part != part {
            true => PARAGRAPH,
            false => "",
        };
        thought.part = part;
        thought.len += lead.len() + text.len();
        self.push_thought([lead, text].concat(), out);
    }

    fn part(&mut self, index: u64, part: u64) -> Option<&mut Part> {
        let item = self.open.entry(index).or_insert_with(|| {
            self.begun += 1;
            Item::Message(BTreeMap::new())
        });
        let Item::Message(parts) = item else {
            return None;
        };
        Some(parts.entry(part).or_default())
    }

    fn message_done(
        &mut self,
        mut begun: BTreeMap<u64, Part>,
        message: WireMessage<'_>,
        out: &mut Vec<Delta>,
    ) -> Result<(), Malformed> {
        let content = message.content.unwrap_or_default();
        for (index, raw) in (0..).zip(content) {
            let mut begun = begun.remove(&index).unwrap_or_default();
            let part: WirePart<'_> = serde_json::from_str(raw.get())?;
            let Text(kind) = part.kind;
            let Text(text) = part.text.or(part.refusal).unwrap_or_default();
            match &*kind {
                "output_text" | "text" => {
                    if begun.len == 0 && begun.annotations == 0 {
                        begun.base = self.run;
                    }
                    if let Some(rest) = rest(&text, begun.len) {
                        self.push_text(rest, out);
                    }
                    if let Some(raw) = part.logprobs.filter(|_| !begun.has_logprobs) {
                        let tokens = tokens(raw);
                        if !tokens.is_empty() {
                            out.push(Delta::Logprobs { choice: 0, tokens });
                        }
                    }
                    let annotations = part.annotations.unwrap_or_default().into_iter();
                    out.extend(
                        annotations
                            .skip(begun.annotations)
                            .map(|raw| Delta::Citation {
                                choice: 0,
                                citation: citation::read(raw, begun.base),
                            }),
                    );
                }
                "refusal" => {
                    if let Some(rest) = rest(&text, begun.len) {
                        self.push_refusal(rest, out);
                    }
                }
                _ => self.opaque([CONTENT_LEAD, &*kind].concat(), raw, out),
            }
        }
        Ok(())
    }

    fn reasoning_done(&mut self, begun: Thought, item: WireReasoning<'_>, out: &mut Vec<Delta>) {
        let joined = |parts: Option<Vec<WireText<'_>>>| {
            let parts: Vec<_> = parts.unwrap_or_default();
            let texts: Vec<&str> = parts.iter().map(|part| &*part.text.0).collect();
            texts.join(PARAGRAPH)
        };
        let (summary, content) = (joined(item.summary), joined(item.content));
        let text = match begun.source {
            Some(Source::Summary) => summary,
            None if content.is_empty() => summary,
            Some(Source::Content) | None => content,
        };
        if let Some(rest) = rest(&text, begun.len) {
            self.push_thought(rest, out);
        }
        let seal = item.encrypted_content.map(|Text(seal)| seal);
        let Some(seal) = seal.filter(|seal| !seal.is_empty()) else {
            return;
        };
        self.run = 0;
        out.push(Delta::Signature {
            choice: 0,
            signature: Signature {
                origin: Dialect::Responses,
                value: seal.into_owned(),
            },
            id: item.id.map(|Text(id)| id.into_owned()),
            is_redacted: false,
        });
    }

    fn call(&mut self, call: WireCall<'_>, out: &mut Vec<Delta>) -> u32 {
        let number = self.calls;
        self.calls += 1;
        self.has_call = true;
        self.run = 0;
        let mut ids = [call.call_id, call.id].into_iter().flatten();
        let id = ids.find(|Text(id)| !id.is_empty());
        out.push(Delta::ToolCall {
            choice: 0,
            call: number,
            id: match id {
                Some(Text(id)) => id.into_owned(),
                None => derived_call_id(&self.answer, number),
            },
            name: call.name.unwrap_or_default().0.into_owned(),
            signature: None,
        });
        number
    }

    fn push_text(&mut self, text: String, out: &mut Vec<Delta>) {
        if text.is_empty() {
            return;
        }
        self.run += text.chars().count() as u64;
        out.push(Delta::Text { choice: 0, text });
    }

    fn push_refusal(&mut self, text: String, out: &mut Vec<Delta>) {
        if text.is_empty() {
            return;
        }
        self.run = 0;
        self.has_refusal = true;
        out.push(Delta::Refusal { choice: 0, text });
    }

    fn push_thought(&mut self, text: String, out: &mut Vec<Delta>) {
        self.run = 0;
        out.push(Delta::Thinking { choice: 0, text });
    }

    fn opaque(&mut self, kind: String, raw: &RawValue, out: &mut Vec<Delta>) {
        self.run = 0;
        out.push(Delta::Opaque {
            choice: 0,
            dialect: Dialect::Responses,
            kind,
            json: Json::of(&raw),
        });
    }
}

fn push_arguments(call: u32, json: Option<String>, out: &mut Vec<Delta>) {
    let Some(json) = json.filter(|json| !json.is_empty()) else {
        return;
    };
    out.push(Delta::Arguments {
        choice: 0,
        call,
        json,
    });
}

/// What of `whole` has not come yet.
fn rest(whole: &str, come: usize) -> Option<String> {
    let rest = whole.get(come..)?;
    (!rest.is_empty()).then(|| rest.to_owned())
}
