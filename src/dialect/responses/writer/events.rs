//! The events of a stream, numbered from 0.

use serde::Serialize;

use crate::dialect::common::Json;
use crate::dialect::responses::output::{ContentOut, ItemOut, LogprobOut, ResponseOut, SummaryOut};

/// Writes events; or none, where an answer is put together in one piece.
#[derive(Debug)]
pub struct Events {
    /// The number of the next.
    pub next: u64,
    /// Whether none are written.
    pub is_muted: bool,
}

impl Events {
    /// No events.
    pub const fn muted() -> Self {
        Self {
            next: 0,
            is_muted: true,
        }
    }

    /// Writes an event.
    pub fn push(&mut self, mut event: Event<'_>, out: &mut Vec<u8>) {
        if self.is_muted {
            return;
        }
        event.sequence_number = self.next;
        self.next += 1;
        out.extend_from_slice(b"event: ");
        out.extend_from_slice(event.kind.as_bytes());
        out.extend_from_slice(b"\ndata: ");
        // The values have string keys, and a vector takes every byte.
        serde_json::to_writer(&mut *out, &event).expect("an event that is JSON");
        out.extend_from_slice(b"\n\n");
    }
}

/// An event: the fields of every type, of which each has a few.
#[derive(Default, Serialize)]
pub struct Event<'a> {
    #[serde(rename = "type")]
    pub kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response: Option<&'a ResponseOut<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub item_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output_index: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_index: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub summary_index: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub annotation_index: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub item: Option<&'a ItemOut>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub part: Option<PartRef<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub annotation: Option<&'a Json>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delta: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refusal: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub arguments: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logprobs: Option<&'a [LogprobOut]>,
    pub sequence_number: u64,
}

/// A part of a message or of a thought.
#[derive(Serialize)]
#[serde(untagged)]
pub enum PartRef<'a> {
    /// Of a message.
    Content(&'a ContentOut),
    /// Of a thought.
    Summary(&'a SummaryOut),
}
