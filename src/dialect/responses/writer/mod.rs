//! Writes an answer for a caller, as a stream or in one piece.

mod events;
mod open;
mod whole;

pub use whole::write_answer;

use events::{Event, Events};
use open::{Call, Message, Thought, item_event};

use super::output::{
    CALL_LEAD, Echo, IncompleteOut, ItemOut, KnownItem, REDACTED_LEAD, ResponseOut, item_id,
    response_id,
};
use super::usage::Tokens;
use super::{CONTENT_LEAD, ID_MAX, citation, error};
use crate::dialect::Dialect;
use crate::dialect::common::{
    Citation, Context, Delta, Finish, Request, Signature, Source, TokenLogprob, Usage, WriteStream,
    fitted_id,
};

/// Writes a stream for a caller.
#[derive(Debug)]
pub struct Writer {
    events: Events,
    context: Context,
    echo: Echo,
    id: String,
    model: String,
    created: u64,
    is_begun: bool,
    is_over: bool,
    /// By their place in the output; None for those that are not done.
    items: Vec<Option<ItemOut>>,
    message: Option<Message>,
    /// Open only while no message is.
    thought: Option<Thought>,
    /// Calls, which stay open until the answer ends: their arguments may come side by side.
    calls: Vec<Call>,
    /// Tokens whose text has not come.
    tokens: Vec<TokenLogprob>,
    has_refusal: bool,
    usage: Option<Usage>,
    service_tier: Option<String>,
    finish: Option<Finish>,
}

impl Writer {
    /// A writer of one stream. `request` is the caller's, of which an answer repeats much.
    pub fn new(request: &Request, context: &Context) -> Self {
        Self {
            events: Events {
                next: 0,
                is_muted: false,
            },
            context: context.clone(),
            echo: Echo::of(request),
            id: response_id(&context.id),
            model: request.model.clone(),
            created: context.now,
            is_begun: false,
            is_over: false,
            items: Vec::new(),
            message: None,
            thought: None,
            calls: Vec::new(),
            tokens: Vec::new(),
            has_refusal: false,
            usage: None,
            service_tier: request.service_tier.clone(),
            finish: None,
        }
    }
}

impl WriteStream for Writer {
    fn write(&mut self, delta: Delta, out: &mut Vec<u8>) {
        if self.is_over || is_of_another_choice(&delta) {
            return;
        }
        match delta {
            Delta::Error(error) => {
                self.is_over = true;
                out.extend(error::numbered_event(&error, self.events.next));
            }
            Delta::Start { id, model, created } => self.begin(&id, &model, created, out),
            Delta::Usage(usage) => self.usage = Some(usage),
            Delta::ServiceTier(tier) => self.service_tier = Some(tier),
            delta => {
                if !self.is_begun {
                    self.begin("", "", None, out);
                }
                self.piece(delta, out);
            }
        }
    }
}

impl Writer {
    fn begin(&mut self, id: &str, model: &str, created: Option<u64>, out: &mut Vec<u8>) {
        if std::mem::replace(&mut self.is_begun, true) {
            return;
        }
        if !id.is_empty() {
            self.id = response_id(id);
        }
        if !model.is_empty() {
            self.model = model.to_owned();
        }
        self.created = created.unwrap_or(self.context.now);
        self.lifecycle("response.created", out);
        self.lifecycle("response.in_progress", out);
    }

    fn piece(&mut self, delta: Delta, out: &mut Vec<u8>) {
        match delta {
            Delta::Text { text, .. } => {
                let tokens = std::mem::take(&mut self.tokens);
                let (message, events) = self.message(out);
                message.text(&text, tokens, events, out);
            }
            Delta::Citation { citation, .. } => self.cite(&citation, out),
            Delta::Refusal { text, .. } => {
                self.has_refusal = true;
                let (message, events) = self.message(out);
                message.refusal(&text, events, out);
            }
            Delta::Logprobs { tokens, .. } => match &mut self.message {
                Some(message) => message.text("", tokens, &mut self.events, out),
                None => self.tokens.extend(tokens),
            },
            Delta::Thinking { text, .. } => {
                let (thought, events) = self.thought(out);
                thought.text(&text, events, out);
            }
            Delta::Signature {
                signature,
                id,
                is_redacted,
                ..
            } => {
                let lead = match is_redacted {
                    true => REDACTED_LEAD,
                    false => "",
                };
                self.seal(lead, &signature, id, out);
            }
            Delta::ToolCall {
                id,
                name,
                signature,
                ..
            } => {
                self.close(out);
                if let Some(signature) = signature {
                    self.seal(CALL_LEAD, &signature, None, out);
                }
                let (index, item_id) = self.reserve("fc");
                let call_id = fitted_id(&id, ID_MAX).into_owned();
                let call = Call::begin(index, item_id, call_id, name, &mut self.events, out);
                self.calls.push(call);
            }
            Delta::Arguments { call, json, .. } => {
                if let Some(call) = self.calls.get_mut(call as usize) {
                    call.arguments(&json, &mut self.events, out);
                }
            }
            Delta::Image { source, .. } => self.image(source, out),
            Delta::Opaque {
                dialect: Dialect::Responses,
                kind,
                json,
                ..
            } if !kind.starts_with(CONTENT_LEAD) => {
                self.close(out);
                let (index, _) = self.reserve("item");
                self.put(index, ItemOut::Opaque(json), out);
            }
            Delta::Finish { finish, .. } => {
                self.finish = Some(finish);
                self.close_all(out);
            }
            Delta::End => self.end(out),
            Delta::Opaque { .. }
            | Delta::Start { .. }
            | Delta::Usage(_)
            | Delta::ServiceTier(_)
            | Delta::Error(_) => {}
        }
    }

    fn cite(&mut self, citation: &Citation, out: &mut Vec<u8>) {
        let (message, events) = self.message(out);
        if let Some(annotation) = citation::shown(citation, message.chars()) {
            message.annotation(annotation, events, out);
        }
    }

    /// A picture is what OpenAI's own tool for pictures returns.
    fn image(&mut self, source: Source, out: &mut Vec<u8>) {
        let result = match source {
            Source::Base64 { data, .. } => data,
            Source::Url { url, .. } => {
                let text = ["![](", &url, ")"].concat();
                return self.piece(Delta::Text { choice: 0, text }, out);
            }
            Source::File { .. } | Source::Text(_) => return,
        };
        self.close(out);
        let (index, id) = self.reserve("ig");
        let item = KnownItem::ImageGenerationCall {
            id,
            status: "completed",
            result,
        };
        self.put(index, ItemOut::Known(item), out);
    }

    /// Ends the thought with its seal; without a thought, the seal is one that is not shown.
    fn seal(&mut self, lead: &str, signature: &Signature, id: Option<String>, out: &mut Vec<u8>) {
        let seal = [lead, &signature.shown_to(Dialect::Responses)].concat();
        self.thought(out);
        if let Some(thought) = self.thought.take() {
            let index = thought.index;
            let item = thought.end(Some(seal), id, &mut self.events, out);
            self.items[index] = Some(item);
        }
    }

    /// The message that grows, begun if there is none.
    fn message(&mut self, out: &mut Vec<u8>) -> (&mut Message, &mut Events) {
        let message = match self.message.take() {
            Some(message) => message,
            None => {
                self.close(out);
                let (index, id) = self.reserve("msg");
                Message::begin(index, id, &mut self.events, out)
            }
        };
        (self.message.insert(message), &mut self.events)
    }

    /// The thought that grows, begun if there is none.
    fn thought(&mut self, out: &mut Vec<u8>) -> (&mut Thought, &mut Events) {
        let thought = match self.thought.take() {
            Some(thought) => thought,
            None => {
                self.close(out);
                let (index, id) = self.reserve("rs");
                Thought::begin(index, id, &mut self.events, out)
            }
        };
        (self.thought.insert(thought), &mut self.events)
    }

    /// A place in the output, and an id for what will stand there.
    fn reserve(&mut self, prefix: &str) -> (usize, String) {
        let index = self.items.len();
        self.items.push(None);
        (index, item_id(prefix, &self.id, index))
    }

    /// Writes an item that comes whole.
    fn put(&mut self, index: usize, item: ItemOut, out: &mut Vec<u8>) {
        for kind in ["response.output_item.added", "response.output_item.done"] {
            item_event(kind, index, &item, &mut self.events, out);
        }
        self.items[index] = Some(item);
    }

    /// Ends what grows now, but for calls.
    fn close(&mut self, out: &mut Vec<u8>) {
        let status = self.item_status();
        if let Some(message) = self.message.take() {
            let index = message.index;
            self.items[index] = Some(message.end(status, &mut self.events, out));
        }
        if let Some(thought) = self.thought.take() {
            let index = thought.index;
            self.items[index] = Some(thought.end(None, None, &mut self.events, out));
        }
    }

    fn close_all(&mut self, out: &mut Vec<u8>) {
        self.close(out);
        let status = self.item_status();
        let mut calls = std::mem::take(&mut self.calls).into_iter().peekable();
        while let Some(call) = calls.next() {
            // Only the last can have been cut.
            let status = match calls.peek() {
                Some(_) => "completed",
                None => status,
            };
            let index = call.index;
            self.items[index] = Some(call.end(status, &mut self.events, out));
        }
    }

    fn item_status(&self) -> &'static str {
        match self.incomplete() {
            Some(_) => "incomplete",
            None => "completed",
        }
    }

    fn incomplete(&self) -> Option<IncompleteOut<'_>> {
        IncompleteOut::of(self.finish.as_ref()?, self.has_refusal)
    }

    fn end(&mut self, out: &mut Vec<u8>) {
        self.close_all(out);
        self.is_over = true;
        let output = std::mem::take(&mut self.items);
        let output: Vec<ItemOut> = output.into_iter().flatten().collect();
        let kind = match self.incomplete() {
            Some(_) => "response.incomplete",
            None => "response.completed",
        };
        let mut events = std::mem::replace(&mut self.events, Events::muted());
        let event = Event {
            kind,
            response: Some(&self.ended(&output)),
            ..Event::default()
        };
        events.push(event, out);
    }

    fn lifecycle(&mut self, kind: &'static str, out: &mut Vec<u8>) {
        let mut events = std::mem::replace(&mut self.events, Events::muted());
        let response = ResponseOut {
            status: "in_progress",
            completed_at: None,
            incomplete_details: None,
            usage: None,
            ..self.ended(&[])
        };
        let event = Event {
            kind,
            response: Some(&response),
            ..Event::default()
        };
        events.push(event, out);
        self.events = events;
    }

    fn ended<'a>(&'a self, output: &'a [ItemOut]) -> ResponseOut<'a> {
        let incomplete_details = self.incomplete();
        ResponseOut {
            id: &self.id,
            object: "response",
            created_at: self.created,
            status: match incomplete_details {
                Some(_) => "incomplete",
                None => "completed",
            },
            background: false,
            completed_at: match incomplete_details {
                Some(_) => None,
                None => Some(self.created.max(self.context.now)),
            },
            error: None,
            incomplete_details,
            model: &self.model,
            output,
            previous_response_id: None,
            service_tier: self.service_tier.as_deref(),
            store: false,
            usage: self.usage.map(Tokens::from),
            echo: &self.echo,
        }
    }
}

/// An answer of this dialect is one.
const fn is_of_another_choice(delta: &Delta) -> bool {
    match delta {
        Delta::Text { choice, .. }
        | Delta::Citation { choice, .. }
        | Delta::Refusal { choice, .. }
        | Delta::Thinking { choice, .. }
        | Delta::Signature { choice, .. }
        | Delta::ToolCall { choice, .. }
        | Delta::Arguments { choice, .. }
        | Delta::Image { choice, .. }
        | Delta::Opaque { choice, .. }
        | Delta::Logprobs { choice, .. }
        | Delta::Finish { choice, .. } => *choice > 0,
        Delta::Start { .. }
        | Delta::Usage(_)
        | Delta::ServiceTier(_)
        | Delta::End
        | Delta::Error(_) => false,
    }
}
