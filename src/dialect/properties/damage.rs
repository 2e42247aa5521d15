//! Nothing that comes from outside makes a reader panic: not noise, and not what was right once and is damaged.

use std::sync::LazyLock;

use bytes::Bytes;
use http::StatusCode;
use proptest::prelude::*;
use proptest::sample::Index;
use serde::de::IgnoredAny;

use super::{Accent, context, tries};
use crate::dialect::common::{Delta, Request};
use crate::dialect::{
    Dialect, Frames, Framing, Incoming, Operation, Patches, PathFacts, bedrock, cohere, count,
    embedding, eventstream, gemini, openai, recorded, scan, sse,
};

/// Bodies that were recorded, asked and answered; large ones would only be slow.
static BODIES: LazyLock<Vec<Bytes>> = LazyLock::new(|| {
    const LARGEST: usize = 16 * 1024;
    let recorded = recorded::all().iter();
    recorded
        .flat_map(|recorded| [recorded.request.to_string().into_bytes(), recorded.body()])
        .filter(|body| body.len() <= LARGEST)
        .map(Bytes::from)
        .collect()
});

/// A change to a body.
#[derive(Clone, Debug)]
enum Damage {
    /// A byte becomes another.
    Change(Index, u8),
    /// What is behind is gone.
    Cut(Index),
    /// A stretch is gone.
    Drop(Index, Index),
    /// A stretch stands there twice.
    Double(Index, Index),
    /// A stretch of another body stands in it.
    Splice(Index, Index, Index, Index),
    /// A word that parsers do not like stands in it.
    Insert(Index, &'static [u8]),
    /// A value of a member becomes this word.
    Replace(Index, &'static [u8]),
}

const WORDS: &[&[u8]] = &[
    b"null",
    b"{}",
    b"[]",
    b"-1",
    b"1e999",
    b"18446744073709551616",
    b"0.5",
    b"true",
    b"\"\"",
    b"\"\\ud800\"",
    b"\"\\u0000\"",
    b"[[[[[[[[",
    b"\xff\xfe",
    b"\xe2\x82",
    b"\r\n\r\n",
    b"data: ",
    b"data: {}\n\n",
    b"data: [DONE]\n\n",
];

fn damages() -> impl Strategy<Value = Damage> {
    let at = any::<Index>;
    let word = || prop::sample::select(WORDS);
    prop_oneof![
        1 => (at(), any::<u8>()).prop_map(|(at, byte)| Damage::Change(at, byte)),
        1 => at().prop_map(Damage::Cut),
        1 => (at(), at()).prop_map(|(from, to)| Damage::Drop(from, to)),
        1 => (at(), at()).prop_map(|(from, to)| Damage::Double(from, to)),
        1 => (at(), at(), at(), at()).prop_map(|(at, body, from, to)| Damage::Splice(at, body, from, to)),
        1 => (at(), word()).prop_map(|(at, word)| Damage::Insert(at, word)),
        3 => (at(), word()).prop_map(|(at, word)| Damage::Replace(at, word)),
    ]
}

fn stretch(body: &[u8], from: Index, to: Index) -> std::ops::Range<usize> {
    let (from, to) = (from.index(body.len() + 1), to.index(body.len() + 1));
    from.min(to)..from.max(to)
}

impl Damage {
    fn apply(&self, body: &mut Vec<u8>) {
        match self {
            Self::Change(at, byte) => {
                if !body.is_empty() {
                    let at = at.index(body.len());
                    body[at] = *byte;
                }
            }
            Self::Cut(at) => body.truncate(at.index(body.len() + 1)),
            Self::Drop(from, to) => {
                let stretch = stretch(body, *from, *to);
                body.drain(stretch);
            }
            Self::Double(from, to) => {
                let stretch = stretch(body, *from, *to);
                let (copy, end) = (body[stretch.clone()].to_vec(), stretch.end);
                body.splice(end..end, copy);
            }
            Self::Splice(at, other, from, to) => {
                let at = at.index(body.len() + 1);
                if !BODIES.is_empty() {
                    let other = other.get(&BODIES);
                    body.splice(at..at, other[stretch(other, *from, *to)].to_vec());
                }
            }
            Self::Insert(at, word) => {
                let at = at.index(body.len() + 1);
                body.splice(at..at, word.iter().copied());
            }
            Self::Replace(at, word) => {
                let colons: Vec<_> = memchr::memchr_iter(b':', body).collect();
                if colons.is_empty() {
                    return;
                }
                let from = at.get(&colons) + 1;
                let to = value_end(&body[from..]).map_or(from, |length| from + length);
                body.splice(from..to, word.iter().copied());
            }
        }
    }
}

/// Where the JSON value ends that `text` begins with.
fn value_end(text: &[u8]) -> Option<usize> {
    let mut values = serde_json::Deserializer::from_slice(text).into_iter::<IgnoredAny>();
    values.next()?.ok()?;
    Some(values.byte_offset())
}

/// Noise, or a recorded body with damages.
fn bodies() -> BoxedStrategy<Vec<u8>> {
    let noise = prop::collection::vec(any::<u8>(), 0..200);
    if BODIES.is_empty() {
        return noise.boxed();
    }
    let damaged = (
        prop::sample::select(&BODIES[..]),
        prop::collection::vec(damages(), 0..5),
    );
    let damaged = damaged.prop_map(|(body, damages)| {
        let mut body = body.to_vec();
        damages.iter().for_each(|damage| damage.apply(&mut body));
        body
    });
    prop_oneof![1 => noise, 9 => damaged].boxed()
}

fn every(dialects: &[Dialect]) -> impl Strategy<Value = Dialect> {
    prop::sample::select(dialects.to_vec())
}

proptest! {
    #![proptest_config(tries(700))]

    #[test]
    fn no_body_makes_a_reader_of_requests_panic(dialect in every(&Dialect::ALL), body in bodies()) {
        if let Ok(request) = dialect.read_request(&body, "m", true) {
            // What could be read can be written.
            for target in super::TARGETS {
                let _ = target.write(&request);
            }
        }
        for dialect in [Dialect::Anthropic, Dialect::Gemini, Dialect::Bedrock] {
            let _ = count::read_request(dialect, &body, "m");
        }
        count::is_nested(&body);
        let _ = embedding::read_request(&body);
    }

    #[test]
    fn no_body_makes_a_reader_of_answers_panic(dialect in every(&Dialect::ALL), body in bodies()) {
        if let Ok(answer) = dialect.read_answer(&body, &context()) {
            for caller in Dialect::ALL {
                caller.write_answer(&answer, &Request::new(caller, "m"), &context());
            }
        }
        dialect.usage(&body);
        dialect.failure(&body);
        let _ = count::read_answer(dialect, &body);
        let _ = openai::read_answer(&body);
        let _ = bedrock::read_embedding_answer(&body);
        let _ = cohere::read_embedding_answer(&body, 1);
        let _ = gemini::read_embedding_answer(&body, 1);
    }

    #[test]
    fn no_body_makes_a_reader_of_errors_panic(
        dialect in every(&Dialect::ALL),
        status in 100_u16..1000,
        kind in prop::option::of("[A-Za-z]{0,12}"),
        body in bodies(),
    ) {
        let status = StatusCode::from_u16(status).expect("a status");
        let error = dialect.read_error(status, &body, kind.as_deref());
        for caller in Dialect::ALL {
            caller.error_body(&error);
            caller.error_event(&error);
        }
    }

    #[test]
    fn no_stream_makes_a_reader_panic(dialect in every(&Dialect::ALL), size in 1_usize..5000, body in bodies()) {
        let mut frames = dialect.frames();
        read_stream(dialect, &mut frames, body.chunks(size));
        // With another dialect's frames, so that damage reaches the readers.
        read_stream(dialect, &mut Frames::Events(sse::Frames::default()), body.chunks(size));
        let frame = [b"data: ", &body[..], b"\n\n"].concat();
        let mut deltas = Vec::new();
        let mut reader = dialect.reader(&context());
        let _ = reader.read(&frame, &mut deltas);
        let _ = reader.read(&body, &mut deltas);
        reader.end(&mut deltas);
    }

    #[test]
    fn no_frame_makes_a_reader_of_event_streams_panic(
        damage in damages(),
        headers in prop::collection::vec(("[:a-z-]{0,16}", "[a-zA-Z/]{0,24}"), 0..4),
        payload in bodies(),
    ) {
        let mut frame = Vec::new();
        let headers: Vec<_> = headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        eventstream::write(&mut frame, &headers, |out| out.extend_from_slice(&payload));
        let mut deltas = Vec::new();
        let _ = Dialect::Bedrock.reader(&context()).read(&frame, &mut deltas);
        damage.apply(&mut frame);
        let _ = Dialect::Bedrock.reader(&context()).read(&frame, &mut deltas);
        if let Ok(message) = eventstream::Message::parse(&frame) {
            message.headers().for_each(drop);
        }
        if let Ok(frames) = eventstream::Frames::default().push(Bytes::from(frame)) {
            eventstream::each(frames).for_each(drop);
        }
    }

    #[test]
    fn no_body_makes_the_fast_path_panic(body in bodies(), has_model in any::<bool>()) {
        let _ = scan::object(&body);
        scan::member(&body, "model");
        let body = Bytes::from(body);
        for dialect in Dialect::ALL {
            let is_told = matches!(dialect, Dialect::Gemini | Dialect::Bedrock);
            let path = PathFacts {
                model: (has_model || is_told).then(|| "m".to_owned()),
                stream: is_told.then_some(true),
            };
            for operation in [Operation::Generate(dialect), Operation::CountTokens(dialect), Operation::Embed(Dialect::Chat)] {
                let Ok(incoming) = Incoming::read(operation, body.clone(), path.clone()) else {
                    continue;
                };
                let shorter = || incoming.shortened(5_000, &Accent::OPENAI).unwrap_or_default();
                let _ = incoming.demand();
                for written in [
                    incoming.body_for("other", true, Patches::default()),
                    incoming.body_for("other", true, shorter()),
                    incoming.body_for_vertex(shorter()),
                    incoming.body_going_on("other", "resp_1", shorter()),
                ] {
                    // What is patched is still what it was: an object, and nothing stands in it twice.
                    prop_assert!(scan::object(&written.concat()).is_ok(), "{:?}", body);
                }
            }
        }
    }

    #[test]
    fn what_the_fast_path_takes_is_what_a_parser_takes(body in bodies()) {
        let parsed: Result<IgnoredAny, _> = serde_json::from_slice(&body);
        let is_text = std::str::from_utf8(&body).is_ok();
        let is_object = parsed.is_ok() && is_text && body.trim_ascii_start().starts_with(b"{");
        match scan::object(&body) {
            Ok(_) => prop_assert!(is_object),
            Err(scan::Fault::Utf8 { .. } | scan::Fault::Syntax { .. }) => {
                prop_assert!(!is_object, "{:?}", body);
            }
            Err(_) => {}
        }
    }
}

fn read_stream<'a>(dialect: Dialect, frames: &mut Frames, chunks: impl Iterator<Item = &'a [u8]>) {
    let mut reader = dialect.reader(&context());
    let request = Request::new(Dialect::Chat, "m");
    let mut writers =
        Dialect::ALL.map(|caller| caller.writer(&request, &context(), Framing::Events));
    let mut deltas: Vec<Delta> = Vec::new();
    for chunk in chunks {
        let Ok(mut whole) = frames.push(Bytes::copy_from_slice(chunk)) else {
            break;
        };
        while let Some(frame) = frames.next_of(&mut whole) {
            if reader.read(&frame, &mut deltas).is_err() {
                break;
            }
        }
    }
    reader.end(&mut deltas);
    let mut out = Vec::new();
    for writer in &mut writers {
        deltas
            .iter()
            .for_each(|delta| writer.write(delta.clone(), &mut out));
    }
}
