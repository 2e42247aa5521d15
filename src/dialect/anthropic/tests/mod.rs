//! Whole requests, answers and streams.

mod answers;
mod recordings;
mod requests;
mod streams;

use serde_json::Value;

use super::{Reader, Writer, carries, read_request, write_request};
use crate::dialect::common::{
    Answer, Collector, Content, Context, Delta, Dropped, Outgoing, ReadStream, Request, Role, Turn,
    WriteStream,
};
use crate::dialect::{Accent, Dialect, Error, sse};

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
        id: "req_1".to_owned(),
        now: 0,
    }
}

/// What is sent for `request`, and what is told to be lost.
fn sent(request: &Request, to: &Outgoing<'_>) -> (Value, String) {
    let mut dropped = Dropped::from(request, Dialect::Anthropic, carries);
    let body = write_request(request, to, &mut dropped).unwrap();
    (serde_json::from_slice(&body).unwrap(), dropped.joined())
}

/// A request in another dialect.
fn foreign(source: Dialect) -> Request {
    let mut request = Request::new(source, "m");
    request.turns.push(turn(Role::User, vec![text("hi")]));
    request
}

fn turn(role: Role, contents: Vec<Content>) -> Turn {
    Turn {
        role,
        parts: contents.into_iter().map(Into::into).collect(),
        name: None,
    }
}

fn text(text: &str) -> Content {
    Content::Text {
        text: text.to_owned(),
        citations: Vec::new(),
    }
}

fn call(id: &str, arguments: &str) -> Content {
    Content::ToolCall {
        id: id.to_owned(),
        name: "look".to_owned(),
        arguments: arguments.to_owned(),
        signature: None,
    }
}

fn result(id: &str) -> Content {
    Content::ToolResult {
        id: id.to_owned(),
        name: None,
        parts: vec![text("42").into()],
        is_error: false,
    }
}

/// The pieces of a stream.
fn deltas(stream: &[u8]) -> Vec<Delta> {
    let mut frames = sse::Frames::default();
    let whole = frames.push(bytes::Bytes::copy_from_slice(stream)).unwrap();
    let mut reader = Reader::new(&context());
    let mut out = Vec::new();
    for frame in sse::each(whole) {
        reader.read(&frame, &mut out).unwrap();
    }
    reader.end(&mut out);
    out
}

fn collected(deltas: Vec<Delta>) -> Result<Answer, Option<Error>> {
    let mut collector = Collector::default();
    deltas.into_iter().for_each(|delta| collector.push(delta));
    collector.finish()
}

/// The stream that says `deltas`.
fn written(deltas: Vec<Delta>) -> String {
    let mut writer = Writer::new(&Request::new(Dialect::Anthropic, "m"), &context());
    let mut out = Vec::new();
    for delta in deltas {
        writer.write(delta, &mut out);
    }
    String::from_utf8(out).unwrap()
}
