//! Tests of the room as a whole.

mod answers;
mod recordings;
mod requests;
mod streams;

use super::{Reader, Writer, read_answer, write_answer};
use crate::dialect::Dialect;
use crate::dialect::accent::{Accent, EffortField, Thoughts};
use crate::dialect::common::{
    Answer, Collector, Context, Delta, Feature, ReadStream, Request, WriteStream,
};
use crate::dialect::{Error, sse};

/// A server that takes whatever this dialect has.
const ROUTER: Accent = Accent {
    thoughts: Thoughts::ReasoningDetails,
    effort: EffortField::Reasoning,
    has: &[
        Feature::TopK,
        Feature::CacheControl,
        Feature::Video,
        Feature::DocumentUrl,
        Feature::Citations,
        Feature::Metadata,
    ],
    ..Accent::OPENAI
};

/// Google's OpenAI-compatible endpoint.
const GOOGLE: Accent = Accent {
    has: &[Feature::Signature],
    ..Accent::OPENAI
};

fn context() -> Context {
    Context {
        id: "0123456789abcdef".into(),
        now: 1_790_000_000,
    }
}

/// What a stream says, cut into frames as they come.
fn deltas_of(stream: &[u8]) -> Vec<Delta> {
    let mut reader = Reader::new(&context());
    let mut deltas = Vec::new();
    let mut frames = sse::Frames::default();
    for chunk in stream.chunks(777) {
        let whole = frames.push(bytes::Bytes::copy_from_slice(chunk)).unwrap();
        for frame in sse::each(whole) {
            reader.read(&frame, &mut deltas).unwrap();
        }
    }
    reader.end(&mut deltas);
    deltas
}

fn collected(deltas: Vec<Delta>) -> Result<Answer, Option<Error>> {
    let ends = |delta: &&Delta| matches!(delta, Delta::End | Delta::Error(_));
    assert!(deltas.iter().filter(ends).count() <= 1);
    let mut collector = Collector::default();
    deltas.into_iter().for_each(|delta| collector.push(delta));
    collector.finish()
}

fn written(deltas: Vec<Delta>, request: &Request) -> Vec<u8> {
    let mut writer = Writer::new(request, &context());
    let mut out = Vec::new();
    deltas
        .into_iter()
        .for_each(|delta| writer.write(delta, &mut out));
    out
}

fn caller() -> Request {
    let mut request = Request::new(Dialect::Chat, "asked");
    request.include_usage = true;
    request
}

/// Events of a stream, one for each piece of JSON.
fn stream_of(chunks: &[&str]) -> Vec<u8> {
    let events = chunks.iter().map(|chunk| format!("data: {chunk}\n\n"));
    events.collect::<String>().into_bytes()
}
