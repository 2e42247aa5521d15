#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use tollgate::dialect::common::Context;
use tollgate::dialect::{Dialect, eventstream};

const EVENTS: [&str; 6] = [
    "messageStart",
    "contentBlockStart",
    "contentBlockDelta",
    "contentBlockStop",
    "messageStop",
    "metadata",
];

fuzz_target!(|input: &[u8]| {
    let mut reader = Dialect::Bedrock.reader(&Context::default());
    let mut deltas = Vec::new();
    // As it came.
    if let Ok(frames) = eventstream::Frames::default().push(Bytes::copy_from_slice(input)) {
        for frame in eventstream::each(frames) {
            if let Ok(message) = eventstream::Message::parse(&frame) {
                message.headers().for_each(drop);
            }
            let _ = reader.read(&frame, &mut deltas);
        }
    }
    if let Ok(message) = eventstream::Message::parse(input) {
        message.headers().for_each(drop);
    }
    // With right checksums, so that it goes further: a frame for each stretch, whose first byte says of what event.
    let mut stream = Vec::new();
    for stretch in input.split(|byte| *byte == 0) {
        let [choice, payload @ ..] = stretch else {
            continue;
        };
        let event = EVENTS[usize::from(*choice) % EVENTS.len()];
        let headers = [(":event-type", event), (":message-type", "event")];
        eventstream::write(&mut stream, &headers, |out| out.extend_from_slice(payload));
    }
    let mut frames = eventstream::Frames::default();
    let whole = frames.push(Bytes::from(stream)).expect("frames of our own");
    assert!(!frames.is_partial());
    let mut reader = Dialect::Bedrock.reader(&Context::default());
    for frame in eventstream::each(whole) {
        if reader.read(&frame, &mut deltas).is_err() {
            return;
        }
    }
    reader.end(&mut deltas);
});
