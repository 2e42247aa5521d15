//! What an answer cost is what its provider said, whole and streamed, whichever reader reads it.

mod oracle;
mod rows;

use std::collections::BTreeMap;

use bytes::Bytes;
use serde_json::Value;

use oracle::{Told, Way};

use super::context;
use crate::dialect::common::{Delta, Usage};
use crate::dialect::recorded::{self, Recorded};
use crate::dialect::{Dialect, embedding, openai, sse};

#[test]
fn every_recorded_answer_cost_what_its_provider_said() {
    let mut counted = BTreeMap::<String, u64>::new();
    let mut parts = [0_u64; Usage::PARTS];
    for recorded in recorded::all() {
        let events = oracle::events(recorded);
        if recorded.status != 200 || !events.iter().any(oracle::carries_usage) {
            continue;
        }
        let name = format!("{} {}", recorded.provider, recorded.endpoint);
        let way = oracle::way(recorded, events.first().unwrap_or(&Value::Null))
            .unwrap_or_else(|| panic!("{name} tells a usage that nobody reads"));
        let told = oracle::told(way, &events)
            .unwrap_or_else(|| panic!("{name} tells a usage where nobody looks"));
        check(&name, way, recorded, &events, &told);
        for (seen, part) in parts.iter_mut().zip(told.usage.parts()) {
            *seen += u64::from(part > 0);
        }
        *counted.entry(format!("{way:?}")).or_default() += 1;
    }
    if recorded::all().is_empty() {
        return;
    }
    for (way, count) in &counted {
        eprintln!("{count} of {way}");
    }
    for (part, count) in Usage::NAMES.iter().zip(parts) {
        eprintln!("{count} tell {part}");
    }
    let all: u64 = counted.values().sum();
    eprintln!("{all} recordings tell what they cost");
    assert!(all > 0);
}

fn check(name: &str, way: Way, recorded: &Recorded, events: &[Value], told: &Told) {
    let body = recorded.body();
    let expected = Some(told.usage);
    let dialect = match way {
        Way::Answer(dialect) => dialect,
        Way::Forwarded(dialect) => {
            assert_eq!(dialect.usage(&body), expected, "{name}");
            return;
        }
        Way::Embeddings(dialect, texts) => {
            let (_, usage) = embedding::read_answer(dialect, &body, texts).expect("embeddings");
            assert_eq!(usage, expected, "{name}");
            return;
        }
    };
    // What the answer's other form would tell is composed of the same object, and of the same items.
    let mut outputs = events
        .iter()
        .flat_map(|event| [&event["output"], &event["response"]["output"]]);
    let output = outputs.rfind(|output| output.is_array());
    let output = output.cloned().unwrap_or_else(|| Value::Array(Vec::new()));
    let (whole, stream) = match recorded.stream {
        true => {
            let whole = oracle::whole(dialect, &told.object, &output);
            (whole.to_string().into_bytes(), body)
        }
        false => (body, oracle::stream(dialect, &told.object, &output)),
    };
    assert_eq!(dialect.usage(&whole), expected, "{name}, whole");
    let answer = dialect.read_answer(&whole, &context()).expect("an answer");
    assert_eq!(answer.usage, expected, "{name}, read");
    let stream = Bytes::from(stream);
    assert_eq!(
        streamed(dialect, std::iter::once(stream.clone())),
        expected,
        "{name}, streamed"
    );
    let bytes = (0..stream.len()).map(|at| stream.slice(at..=at));
    assert_eq!(streamed(dialect, bytes), expected, "{name}, byte by byte");
    if dialect == Dialect::Chat {
        let mut watch = openai::Watch::new(true, None);
        for frame in sse::each(stream) {
            watch.see(&frame);
        }
        assert_eq!(watch.usage, expected, "{name}, watched");
    }
}

/// What the reader says last of what a stream cost.
fn streamed(dialect: Dialect, pieces: impl Iterator<Item = Bytes>) -> Option<Usage> {
    let mut frames = dialect.frames();
    let mut reader = dialect.reader(&context());
    let mut deltas = Vec::new();
    for piece in pieces {
        let mut whole = frames.push(piece).expect("frames");
        while let Some(frame) = frames.next_of(&mut whole) {
            reader.read(&frame, &mut deltas).expect("an event");
        }
    }
    reader.end(&mut deltas);
    let mut usages = deltas.into_iter().filter_map(|delta| match delta {
        Delta::Usage(usage) => Some(usage),
        _ => None,
    });
    usages.next_back()
}
