//! Items that have begun and are not done.

use super::events::{Event, Events, PartRef};
use crate::dialect::common::{Json, TokenLogprob};
use crate::dialect::responses::output::{ContentOut, ItemOut, KnownItem, LogprobOut, SummaryOut};

/// A message that grows. Its last part is open.
#[derive(Debug)]
pub struct Message {
    /// Its place in the output.
    pub index: usize,
    id: String,
    content: Vec<ContentOut>,
    /// Characters of the last part.
    chars: u64,
}

impl Message {
    /// Begins a message.
    pub fn begin(index: usize, id: String, events: &mut Events, out: &mut Vec<u8>) -> Self {
        let item = ItemOut::Known(KnownItem::Message {
            id: id.clone(),
            status: "in_progress",
            role: "assistant",
            content: Vec::new(),
        });
        item_event("response.output_item.added", index, &item, events, out);
        Self {
            index,
            id,
            content: Vec::new(),
            chars: 0,
        }
    }

    /// The characters of the text that grows now.
    pub fn chars(&self) -> u64 {
        match self.content.last() {
            Some(ContentOut::OutputText { .. }) => self.chars,
            _ => 0,
        }
    }

    /// Adds text, and tokens of it.
    pub fn text(
        &mut self,
        delta: &str,
        tokens: Vec<TokenLogprob>,
        events: &mut Events,
        out: &mut Vec<u8>,
    ) {
        self.text_part(events, out);
        self.chars += delta.chars().count() as u64;
        let tokens: Vec<LogprobOut> = tokens.into_iter().map(LogprobOut::from).collect();
        let event = Event {
            delta: Some(delta),
            logprobs: Some(&tokens),
            ..self.event("response.output_text.delta")
        };
        events.push(event, out);
        if let Some(ContentOut::OutputText { text, logprobs, .. }) = self.content.last_mut() {
            text.push_str(delta);
            logprobs.extend(tokens);
        }
    }

    /// Adds a source of the text.
    pub fn annotation(&mut self, annotation: Json, events: &mut Events, out: &mut Vec<u8>) {
        self.text_part(events, out);
        let Some(ContentOut::OutputText { annotations, .. }) = self.content.last_mut() else {
            return;
        };
        annotations.push(annotation);
        let index = annotations.len() - 1;
        let event = Event {
            annotation_index: Some(index),
            ..self.event("response.output_text.annotation.added")
        };
        if let Some(ContentOut::OutputText { annotations, .. }) = self.content.last() {
            let annotation = annotations.last();
            events.push(
                Event {
                    annotation,
                    ..event
                },
                out,
            );
        }
    }

    /// Adds to the refusal.
    pub fn refusal(&mut self, delta: &str, events: &mut Events, out: &mut Vec<u8>) {
        if !matches!(self.content.last(), Some(ContentOut::Refusal { .. })) {
            let refusal = String::new();
            self.begin_part(ContentOut::Refusal { refusal }, events, out);
        }
        let event = Event {
            delta: Some(delta),
            ..self.event("response.refusal.delta")
        };
        events.push(event, out);
        if let Some(ContentOut::Refusal { refusal }) = self.content.last_mut() {
            refusal.push_str(delta);
        }
    }

    /// Ends the message.
    pub fn end(self, status: &'static str, events: &mut Events, out: &mut Vec<u8>) -> ItemOut {
        self.end_part(events, out);
        let item = ItemOut::Known(KnownItem::Message {
            id: self.id,
            status,
            role: "assistant",
            content: self.content,
        });
        item_event("response.output_item.done", self.index, &item, events, out);
        item
    }

    fn text_part(&mut self, events: &mut Events, out: &mut Vec<u8>) {
        if matches!(self.content.last(), Some(ContentOut::OutputText { .. })) {
            return;
        }
        let empty = ContentOut::OutputText {
            annotations: Vec::new(),
            logprobs: Vec::new(),
            text: String::new(),
        };
        self.begin_part(empty, events, out);
    }

    fn begin_part(&mut self, part: ContentOut, events: &mut Events, out: &mut Vec<u8>) {
        self.end_part(events, out);
        self.content.push(part);
        self.chars = 0;
        let event = Event {
            part: self.content.last().map(PartRef::Content),
            ..self.event("response.content_part.added")
        };
        events.push(event, out);
    }

    fn end_part(&self, events: &mut Events, out: &mut Vec<u8>) {
        let Some(part) = self.content.last() else {
            return;
        };
        let event = match part {
            ContentOut::OutputText { text, logprobs, .. } => Event {
                text: Some(text),
                logprobs: Some(logprobs),
                ..self.event("response.output_text.done")
            },
            ContentOut::Refusal { refusal } => Event {
                refusal: Some(refusal),
                ..self.event("response.refusal.done")
            },
        };
        events.push(event, out);
        let event = Event {
            part: Some(PartRef::Content(part)),
            ..self.event("response.content_part.done")
        };
        events.push(event, out);
    }

    /// An event of the last part.
    fn event(&self, kind: &'static str) -> Event<'_> {
        Event {
            kind,
            item_id: Some(&self.id),
            output_index: Some(self.index),
            content_index: self.content.len().checked_sub(1),
            ..Event::default()
        }
    }
}

/// A thought that grows, told as its summary.
#[derive(Debug)]
pub struct Thought {
    /// Its place in the output.
    pub index: usize,
    id: String,
    summary: Option<SummaryOut>,
}

impl Thought {
    /// Begins a thought.
    pub fn begin(index: usize, id: String, events: &mut Events, out: &mut Vec<u8>) -> Self {
        let item = ItemOut::Known(KnownItem::Reasoning {
            id: id.clone(),
            summary: Vec::new(),
            encrypted_content: None,
            status: "in_progress",
        });
        item_event("response.output_item.added", index, &item, events, out);
        Self {
            index,
            id,
            summary: None,
        }
    }

    /// Adds to the thought.
    pub fn text(&mut self, delta: &str, events: &mut Events, out: &mut Vec<u8>) {
        if self.summary.is_none() {
            self.summary = Some(SummaryOut::new(String::new()));
            let event = Event {
                part: self.summary.as_ref().map(PartRef::Summary),
                ..self.event("response.reasoning_summary_part.added")
            };
            events.push(event, out);
        }
        let event = Event {
            delta: Some(delta),
            ..self.event("response.reasoning_summary_text.delta")
        };
        events.push(event, out);
        if let Some(summary) = &mut self.summary {
            summary.text.push_str(delta);
        }
    }

    /// Ends the thought with its seal. `id` is the id that the seal's maker gave, for answers that are not streams: a
    /// stream has told another when the thought began.
    pub fn end(
        mut self,
        seal: Option<String>,
        id: Option<String>,
        events: &mut Events,
        out: &mut Vec<u8>,
    ) -> ItemOut {
        if let Some(summary) = &self.summary {
            let event = Event {
                text: Some(&summary.text),
                ..self.event("response.reasoning_summary_text.done")
            };
            events.push(event, out);
            let event = Event {
                part: Some(PartRef::Summary(summary)),
                ..self.event("response.reasoning_summary_part.done")
            };
            events.push(event, out);
        }
        if let Some(id) = id.filter(|_| events.is_muted) {
            self.id = id;
        }
        let item = ItemOut::Known(KnownItem::Reasoning {
            id: self.id,
            summary: self.summary.into_iter().collect(),
            encrypted_content: seal,
            status: "completed",
        });
        item_event("response.output_item.done", self.index, &item, events, out);
        item
    }

    fn event(&self, kind: &'static str) -> Event<'_> {
        Event {
            kind,
            item_id: Some(&self.id),
            output_index: Some(self.index),
            summary_index: Some(0),
            ..Event::default()
        }
    }
}

/// A call whose arguments grow. Calls may grow side by side.
#[derive(Debug)]
pub struct Call {
    /// Its place in the output.
    pub index: usize,
    id: String,
    call_id: String,
    name: String,
    arguments: String,
}

impl Call {
    /// Begins a call.
    pub fn begin(
        index: usize,
        id: String,
        call_id: String,
        name: String,
        events: &mut Events,
        out: &mut Vec<u8>,
    ) -> Self {
        let call = Self {
            index,
            id,
            call_id,
            name,
            arguments: String::new(),
        };
        let item = call.item("in_progress");
        item_event("response.output_item.added", index, &item, events, out);
        call
    }

    /// Adds to the arguments.
    pub fn arguments(&mut self, delta: &str, events: &mut Events, out: &mut Vec<u8>) {
        let event = Event {
            delta: Some(delta),
            ..self.event("response.function_call_arguments.delta")
        };
        events.push(event, out);
        self.arguments.push_str(delta);
    }

    /// Ends the call.
    pub fn end(mut self, status: &'static str, events: &mut Events, out: &mut Vec<u8>) -> ItemOut {
        if self.arguments.is_empty() {
            // No arguments are an empty object to those who parse them.
            self.arguments(EMPTY, events, out);
        }
        let event = Event {
            name: Some(&self.name),
            arguments: Some(&self.arguments),
            ..self.event("response.function_call_arguments.done")
        };
        events.push(event, out);
        let item = self.item(status);
        item_event("response.output_item.done", self.index, &item, events, out);
        item
    }

    fn event(&self, kind: &'static str) -> Event<'_> {
        Event {
            kind,
            item_id: Some(&self.id),
            output_index: Some(self.index),
            ..Event::default()
        }
    }

    fn item(&self, status: &'static str) -> ItemOut {
        ItemOut::Known(KnownItem::FunctionCall {
            id: self.id.clone(),
            status,
            arguments: self.arguments.clone(),
            call_id: self.call_id.clone(),
            name: self.name.clone(),
        })
    }
}

const EMPTY: &str = "{}";

/// An item begins or is done.
pub fn item_event(
    kind: &'static str,
    index: usize,
    item: &ItemOut,
    events: &mut Events,
    out: &mut Vec<u8>,
) {
    let event = Event {
        kind,
        output_index: Some(index),
        item: Some(item),
        ..Event::default()
    };
    events.push(event, out);
}
