//! Tests of the room as a whole.

mod answers;
mod recorded;
mod requests;
mod settings;
mod streams;

use super::*;
use crate::dialect::common::{
    Answer, Collector, Content, Context, Delta, Dropped, Outgoing, Part, ReadStream, Request, Role,
    Turn, WriteStream,
};
use crate::dialect::{Accent, Dialect, Framing, sse};

const OLD: &str = "gemini-2.5-flash";
const NEW: &str = "gemini-3-flash-preview";

fn to(model: &str) -> Outgoing<'_> {
    Outgoing {
        model,
        accent: &Accent::OPENAI,
        is_vertex: false,
        auto_cache: false,
    }
}

fn context() -> Context {
    Context {
        id: "req_1".into(),
        now: 1_700_000_000,
    }
}

/// What a provider is sent for `request`, and what is dropped.
fn written(request: &Request, to: &Outgoing<'_>) -> (serde_json::Value, String) {
    let mut dropped = Dropped::from(request, Dialect::Gemini, carries);
    let body = write_request(request, to, &mut dropped).expect("a request");
    let json = serde_json::from_slice(&body).expect("JSON");
    (json, dropped.joined())
}

fn read(json: &serde_json::Value) -> Request {
    read_request(json.to_string().as_bytes(), OLD, false).expect("a request")
}

/// The pieces of a stream whose bytes arrive as `chunks`.
fn deltas<'a>(chunks: impl Iterator<Item = &'a [u8]>) -> Vec<Delta> {
    let mut frames = sse::Frames::default();
    let mut reader = Reader::new(&context());
    let mut out = Vec::new();
    for chunk in chunks {
        let whole = frames.push(Bytes::copy_from_slice(chunk)).expect("frames");
        for frame in sse::each(whole) {
            reader.read(&frame, &mut out).expect("an event");
        }
    }
    assert!(!frames.is_partial());
    reader.end(&mut out);
    out
}

fn collected(deltas: Vec<Delta>) -> Answer {
    let mut collector = Collector::default();
    deltas.into_iter().for_each(|delta| collector.push(delta));
    collector.finish().expect("a whole answer")
}

fn streamed(framing: Framing, deltas: Vec<Delta>) -> Vec<u8> {
    let request = Request::new(Dialect::Gemini, "asked");
    let mut writer = Writer::new(&request, &context(), framing);
    let mut out = Vec::new();
    for delta in deltas {
        writer.write(delta, &mut out);
    }
    out
}

fn turn(role: Role, parts: Vec<Content>) -> Turn {
    Turn {
        role,
        parts: parts.into_iter().map(Part::from).collect(),
        name: None,
    }
}

fn said(text: &str) -> Content {
    Part::text(text).content
}
