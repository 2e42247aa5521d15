#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use tollgate::dialect::common::{Context, Delta, Request};
use tollgate::dialect::{Dialect, Framing};

fuzz_target!(|input: &[u8]| {
    let [choice, seed, body @ ..] = input else {
        return;
    };
    let dialect = Dialect::ALL[usize::from(*choice) % Dialect::ALL.len()];
    let whole = read(dialect, std::iter::once(body));
    let chunks = read(dialect, body.chunks(usize::from(*seed) + 1));
    // Where a stream is refused, what came with the refused frame in one chunk is refused, too.
    if let (Some(whole), Some(chunks)) = (&whole, &chunks) {
        assert_eq!(whole, chunks, "a stream says the same however it comes");
    }
    let deltas = whole.or(chunks).unwrap_or_default();
    let is_ending = |delta: &&Delta| matches!(delta, Delta::End | Delta::Error(_));
    assert!(
        deltas.iter().filter(is_ending).count() <= 1,
        "a stream ends once"
    );
    for caller in Dialect::ALL {
        let framing = if seed & 1 == 0 {
            Framing::Events
        } else {
            Framing::Array
        };
        let mut writer = caller.writer(&Request::new(caller, "m"), &context(), framing);
        let mut out = Vec::new();
        deltas
            .iter()
            .for_each(|delta| writer.write(delta.clone(), &mut out));
    }
});

/// None if the stream is refused.
fn read<'a>(dialect: Dialect, chunks: impl Iterator<Item = &'a [u8]>) -> Option<Vec<Delta>> {
    let mut frames = dialect.frames();
    let mut reader = dialect.reader(&context());
    let mut deltas = Vec::new();
    for chunk in chunks {
        let mut whole = frames.push(Bytes::copy_from_slice(chunk)).ok()?;
        while let Some(frame) = frames.next_of(&mut whole) {
            reader.read(&frame, &mut deltas).ok()?;
        }
    }
    reader.end(&mut deltas);
    Some(deltas)
}

fn context() -> Context {
    Context {
        id: "0123456789abcdef".to_owned(),
        now: 1_790_000_000,
    }
}
