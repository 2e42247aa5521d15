//! What is read and written, by example and by recordings.

mod answers;
mod recordings;
mod requests;
mod streams;

use crate::dialect::Accent;
use crate::dialect::common::{
    Answer, Collector, Content, Context, Delta, Dropped, Outgoing, ReadStream, Request, WriteStream,
};
use crate::dialect::{Dialect, sse};

use super::*;

fn context() -> Context {
    Context {
        id: "tg-1".into(),
        now: 1_700_000_000,
    }
}

fn read(body: &serde_json::Value) -> Request {
    read_request(body.to_string().as_bytes()).unwrap()
}

fn written_to(request: &Request, model: &str, accent: &Accent) -> (serde_json::Value, Dropped) {
    let to = Outgoing {
        model,
        accent,
        is_vertex: false,
        auto_cache: false,
    };
    let mut dropped = Dropped::from(request, Dialect::Responses, carries);
    let body = write_request(request, &to, &mut dropped).unwrap();
    (serde_json::from_slice(&body).unwrap(), dropped)
}

fn written(request: &Request) -> (serde_json::Value, Dropped) {
    written_to(request, &request.model, &Accent::OPENAI)
}

fn deltas(stream: &[u8]) -> Vec<Delta> {
    let mut reader = Reader::new(&context());
    let mut out = Vec::new();
    for frame in sse::each(bytes::Bytes::copy_from_slice(stream)) {
        reader.read(&frame, &mut out).unwrap();
    }
    reader.end(&mut out);
    out
}

fn collected(deltas: &[Delta]) -> Answer {
    let mut collector = Collector::default();
    deltas
        .iter()
        .cloned()
        .for_each(|delta| collector.push(delta));
    collector.finish().unwrap()
}

fn streamed(deltas: &[Delta], request: &Request) -> Vec<u8> {
    let mut writer = Writer::new(request, &context());
    let mut out = Vec::new();
    for delta in deltas.iter().cloned() {
        writer.write(delta, &mut out);
    }
    out
}

fn events(stream: &[u8]) -> Vec<serde_json::Value> {
    sse::each(bytes::Bytes::copy_from_slice(stream))
        .map(|frame| {
            let data: Vec<&[u8]> = sse::data(&frame).collect();
            let event: serde_json::Value = serde_json::from_slice(data[0]).unwrap();
            let name = sse::event(&frame).unwrap();
            assert_eq!(event["type"].as_str().unwrap().as_bytes(), name);
            event
        })
        .collect()
}

fn types(events: &[serde_json::Value]) -> Vec<&str> {
    let types = events.iter().map(|event| event["type"].as_str().unwrap());
    types.collect()
}

/// Without the ids of thoughts: a stream must give its own, because the seal, which has the provider's, comes last.
fn without_ids(mut answer: Answer) -> Answer {
    for part in answer
        .choices
        .iter_mut()
        .flat_map(|choice| &mut choice.parts)
    {
        if let Content::Thinking(thinking) = &mut part.content {
            thinking.id = None;
        }
    }
    answer
}
