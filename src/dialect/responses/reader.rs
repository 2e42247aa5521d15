//! Reads a provider's stream.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::answer::Response;
use super::error::Fault;
use super::fields::Text;
use super::items::{Items, Source};
use super::usage::searches;
use crate::dialect::common::{Context, Delta, Malformed, ReadStream};
use crate::dialect::sse;

/// Reads a stream of the Responses API.
#[derive(Debug)]
pub struct Reader {
    items: Items,
    is_begun: bool,
    is_ended: bool,
    /// How many searches of the web have been told.
    searches: u64,
}

impl Reader {
    /// A reader of one stream.
    pub fn new(context: &Context) -> Self {
        Self {
            items: Items::of(&context.id),
            is_begun: false,
            is_ended: false,
            searches: 0,
        }
    }
}

impl ReadStream for Reader {
    fn read(&mut self, frame: &[u8], out: &mut Vec<Delta>) -> Result<(), Malformed> {
        let Some(data) = sse::joined(frame) else {
            return Ok(());
        };
        // Some servers end their streams as chat completions end.
        if self.is_ended || data.is_empty() || data.as_ref() == b"[DONE]" {
            return Ok(());
        }
        let event: Event<'_> = serde_json::from_slice(&data)?;
        self.event(sse::event(frame), event, out)
    }

    fn end(&mut self, _out: &mut Vec<Delta>) {
        // Only an event ends a stream of this dialect.
        self.is_ended = true;
    }
}

impl Reader {
    fn event(
        &mut self,
        name: Option<&[u8]>,
        event: Event<'_>,
        out: &mut Vec<Delta>,
    ) -> Result<(), Malformed> {
        let name = name.and_then(|name| std::str::from_utf8(name).ok());
        let kind = match &event.kind {
            Some(Text(kind)) => &**kind,
            None => name.unwrap_or_default(),
        };
        let index = event.output_index.unwrap_or(0);
        let content = event.content_index.unwrap_or(0);
        match kind {
            "response.created" | "response.queued" | "response.in_progress" => {
                let response: Response<'_> = needed(event.response)?;
                self.begin(&response, out);
            }
            "response.output_item.added" => {
                let item = event.item.ok_or_else(incomplete)?;
                self.items.added(index, item, out)?;
            }
            "response.output_item.done" => {
                let item = event.item.ok_or_else(incomplete)?;
                self.searches += searches(&[item]);
                self.items.done(index, item, out)?;
            }
            "response.output_text.delta" => {
                let Text(text) = needed(event.delta)?;
                self.items.text(index, content, text.into_owned(), out);
                if let Some(logprobs) = event.logprobs.filter(|raw| raw.get() != "[]") {
                    self.items.logprobs(index, content, logprobs, out);
                }
            }
            "response.output_text.annotation.added" => {
                let annotation = event.annotation.ok_or_else(incomplete)?;
                self.items.annotation(index, content, annotation, out);
            }
            "response.refusal.delta" => {
                let Text(text) = needed(event.delta)?;
                self.items.refusal(index, content, text.into_owned(), out);
            }
            "response.function_call_arguments.delta" => {
                let Text(json) = needed(event.delta)?;
                self.items.arguments(index, json.into_owned(), out);
            }
            "response.reasoning_summary_text.delta" => {
                let Text(text) = needed(event.delta)?;
                let part = event.summary_index.unwrap_or(0);
                self.items.thought(index, Source::Summary, part, &text, out);
            }
            "response.reasoning_text.delta" => {
                let Text(text) = needed(event.delta)?;
                self.items
                    .thought(index, Source::Content, content, &text, out);
            }
            "response.completed" | "response.incomplete" => {
                self.complete(needed(event.response)?, out)?;
            }
            "response.failed" => {
                let response: Response<'_> = needed(event.response)?;
                self.is_ended = true;
                response.fail(self.searches, out);
            }
            "error" => self.fail(&event, out),
            // An error in the envelope of chat completions, as proxies write it.
            _ if event.kind.is_none() && event.error.is_some() => self.fail(&event, out),
            "" => return Err(Malformed("an event without a type".to_owned())),
            _ => {}
        }
        Ok(())
    }

    fn begin(&mut self, response: &Response<'_>, out: &mut Vec<Delta>) {
        if !std::mem::replace(&mut self.is_begun, true) {
            out.push(response.start());
        }
    }

    fn complete(&mut self, response: Response<'_>, out: &mut Vec<Delta>) -> Result<(), Malformed> {
        self.begin(&response, out);
        if !self.items.is_settled() {
            let output = response.output.as_deref().unwrap_or_default();
            self.items.all(output, out)?;
        }
        self.is_ended = true;
        response.end(&self.items, self.searches, out);
        out.push(Delta::End);
        Ok(())
    }

    fn fail(&mut self, event: &Event<'_>, out: &mut Vec<Delta>) {
        self.is_ended = true;
        let nested = event.error.map(RawValue::get);
        let fault: Fault<'_> = match nested.map(serde_json::from_str) {
            Some(Ok(fault)) => fault,
            // The reference has the fields in the event itself.
            _ => Fault::of_fields(event.code, event.message, event.param),
        };
        out.push(Delta::Error(fault.without_status()));
    }
}

/// An event. Names stand for different things in events of different types, so most are read when the type is known.
#[derive(Deserialize)]
struct Event<'a> {
    #[serde(borrow, rename = "type")]
    kind: Option<Text<'a>>,
    output_index: Option<u64>,
    content_index: Option<u64>,
    summary_index: Option<u64>,
    #[serde(borrow)]
    response: Option<&'a RawValue>,
    #[serde(borrow)]
    item: Option<&'a RawValue>,
    #[serde(borrow)]
    delta: Option<&'a RawValue>,
    #[serde(borrow)]
    annotation: Option<&'a RawValue>,
    #[serde(borrow)]
    logprobs: Option<&'a RawValue>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
    #[serde(borrow)]
    code: Option<&'a RawValue>,
    #[serde(borrow)]
    message: Option<&'a RawValue>,
    #[serde(borrow)]
    param: Option<&'a RawValue>,
}

fn needed<'a, T: Deserialize<'a>>(raw: Option<&'a RawValue>) -> Result<T, Malformed> {
    let raw = raw.ok_or_else(incomplete)?;
    Ok(serde_json::from_str(raw.get())?)
}

fn incomplete() -> Malformed {
    Malformed("an event without what its type promises".to_owned())
}
