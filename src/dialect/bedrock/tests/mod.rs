//! Tests of the whole room.

mod answers;
mod reading;
mod recordings;
mod streams;
mod writing;

use bytes::Bytes;
use serde_json::Value;

use super::{Reader, Writer};
use crate::dialect::common::{
    Answer, Collector, Context, Delta, Dropped, Outgoing, ReadStream, Request, WriteStream,
};
use crate::dialect::{Accent, Dialect, Error, eventstream};

const CLAUDE_4_5: &str = "eu.anthropic.claude-sonnet-4-5-20250929-v1:0";
const NOVA: &str = "us.amazon.nova-pro-v1:0";

fn context() -> Context {
    Context {
        id: "req-1".to_owned(),
        now: 1_764_000_000,
    }
}

fn caller() -> Request {
    Request::new(Dialect::Bedrock, "smart")
}

fn to(model: &str) -> Outgoing<'_> {
    Outgoing {
        model,
        accent: &Accent::OPENAI,
        is_vertex: false,
        auto_cache: false,
    }
}

fn read(body: &Value) -> Result<Request, Error> {
    super::read_request(body.to_string().as_bytes(), "smart", false)
}

/// The body for `model`, and what was lost.
fn written(request: &Request, model: &str) -> (Value, String) {
    let mut dropped = Dropped::from(request, Dialect::Bedrock, super::carries);
    let body = super::write_request(request, &to(model), &mut dropped).unwrap();
    (serde_json::from_slice(&body).unwrap(), dropped.joined())
}

/// Reads a stream that arrives in small chunks.
fn deltas_of(stream: &[u8]) -> Vec<Delta> {
    let mut frames = eventstream::Frames::default();
    let mut reader = Reader::new(&context());
    let mut deltas = Vec::new();
    for chunk in stream.chunks(37) {
        let whole = frames.push(Bytes::copy_from_slice(chunk)).unwrap();
        for frame in eventstream::each(whole) {
            reader.read(&frame, &mut deltas).unwrap();
        }
    }
    assert!(!frames.is_partial());
    reader.end(&mut deltas);
    deltas
}

fn collected(deltas: Vec<Delta>) -> Result<Answer, Option<Error>> {
    let ends = deltas.iter().filter(|delta| **delta == Delta::End).count();
    assert!(ends <= 1);
    let mut collector = Collector::default();
    deltas.into_iter().for_each(|delta| collector.push(delta));
    collector.finish()
}

fn stream_of(deltas: Vec<Delta>) -> Vec<u8> {
    let mut writer = Writer::new(&caller(), &context());
    let mut out = Vec::new();
    for delta in deltas {
        writer.write(delta, &mut out);
    }
    out
}

/// A stream's events: the name of each, and what it says.
fn events_of(stream: &[u8]) -> Vec<(String, Value)> {
    let mut frames = eventstream::Frames::default();
    let whole = frames.push(Bytes::copy_from_slice(stream)).unwrap();
    let events = eventstream::each(whole).map(|frame| {
        let message = eventstream::Message::parse(&frame).unwrap();
        let name = message
            .text(":event-type")
            .or(message.text(":exception-type"));
        let payload = serde_json::from_slice(message.payload).unwrap();
        (name.unwrap().to_owned(), payload)
    });
    events.collect()
}

fn stream_from(events: &[(&str, Value)]) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, payload) in events {
        let headers = [(":event-type", *name), (":message-type", "event")];
        eventstream::write(&mut out, &headers, |out| {
            out.extend_from_slice(payload.to_string().as_bytes());
        });
    }
    out
}
