mod answers;
mod recordings;
mod requests;
mod streams;

use super::*;
use crate::dialect::common::{
    Answer, Collector, Context, Delta, Dropped, Outgoing, ReadStream, Request, WriteStream,
};
use crate::dialect::{Accent, Dialect, Error};

fn context() -> Context {
    Context {
        id: "request-1".to_owned(),
        now: 0,
    }
}

fn read(body: &str) -> Request {
    read_request(body.as_bytes()).unwrap()
}

/// What Cohere is sent, and what of the request is lost.
fn sent(request: &Request) -> Result<(serde_json::Value, Dropped), Error> {
    let to = Outgoing {
        model: "command-a",
        accent: &Accent::OPENAI,
        is_vertex: false,
        auto_cache: false,
    };
    let mut dropped = Dropped::from(request, Dialect::Cohere, carries);
    let body = write_request(request, &to, &mut dropped)?;
    Ok((serde_json::from_slice(&body).unwrap(), dropped))
}

/// The frames of a stream.
fn frames(stream: &str) -> impl Iterator<Item = &[u8]> {
    stream.split_inclusive("\n\n").map(str::as_bytes)
}

fn deltas(stream: &str) -> Vec<Delta> {
    let mut reader = Reader::new(&context());
    let mut deltas = Vec::new();
    for frame in frames(stream) {
        reader.read(frame, &mut deltas).unwrap();
    }
    reader.end(&mut deltas);
    deltas
}

fn collected(deltas: Vec<Delta>) -> Result<Answer, Option<Error>> {
    let mut collector = Collector::default();
    deltas.into_iter().for_each(|delta| collector.push(delta));
    collector.finish()
}

fn written(deltas: Vec<Delta>) -> String {
    let mut writer = Writer::new(&Request::new(Dialect::Cohere, "m"), &context());
    let mut out = Vec::new();
    deltas
        .into_iter()
        .for_each(|delta| writer.write(delta, &mut out));
    String::from_utf8(out).unwrap()
}
