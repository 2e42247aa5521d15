//! A stream says the same however its bytes arrive, and is only whole when all of it has come.

use std::sync::LazyLock;

use bytes::Bytes;
use proptest::prelude::*;
use proptest::sample::{Index, Selector};

use super::{context, recordings, tries};
use crate::dialect::common::{Delta, Malformed};
use crate::dialect::{Dialect, sse};

/// A recorded stream.
#[derive(Debug)]
struct Stream {
    dialect: Dialect,
    body: Bytes,
}

/// The recorded streams, and those of events once more with the other ends of lines.
static STREAMS: LazyLock<Vec<Stream>> = LazyLock::new(|| {
    let recorded = recordings().filter(|(_, recorded)| recorded.stream && recorded.status == 200);
    let mut streams: Vec<_> = recorded
        .map(|(dialect, recorded)| Stream {
            dialect,
            body: Bytes::from(recorded.body()),
        })
        .collect();
    for at in 0..streams.len() {
        let Stream { dialect, body } = &streams[at];
        let Ok(text) = std::str::from_utf8(body) else {
            continue;
        };
        let text = match text.contains("\r\n") {
            true => text.replace("\r\n", "\n"),
            false => text.replace('\n', "\r\n"),
        };
        streams.push(Stream {
            dialect: *dialect,
            body: Bytes::from(text),
        });
    }
    streams
});

/// What was read of a stream.
#[derive(Debug, Default, PartialEq)]
struct Seen {
    frames: Vec<Bytes>,
    deltas: Vec<Delta>,
    is_partial: bool,
}

impl Seen {
    fn of(dialect: Dialect, pieces: impl Iterator<Item = Bytes>) -> Result<Self, Malformed> {
        let mut frames = dialect.frames();
        let mut reader = dialect.reader(&context());
        let mut seen = Self::default();
        for piece in pieces {
            let mut whole = frames.push(piece)?;
            while let Some(frame) = frames.next_of(&mut whole) {
                reader.read(&frame, &mut seen.deltas)?;
                seen.frames.push(frame);
            }
        }
        reader.end(&mut seen.deltas);
        seen.is_partial = frames.is_partial();
        Ok(seen)
    }

    fn endings(&self) -> usize {
        let is_ending = |delta: &&Delta| matches!(delta, Delta::End | Delta::Error(_));
        self.deltas.iter().filter(is_ending).count()
    }
}

fn whole(stream: &Stream) -> Seen {
    Seen::of(stream.dialect, std::iter::once(stream.body.clone()))
        .expect("a stream that was recorded")
}

/// `body` cut at `cuts`, which need not be in order.
fn pieces(body: &Bytes, mut cuts: Vec<usize>) -> impl Iterator<Item = Bytes> {
    cuts.push(body.len());
    cuts.sort_unstable();
    let mut from = 0;
    cuts.into_iter().map(move |to| {
        let piece = body.slice(from..to);
        from = to;
        piece
    })
}

#[test]
fn a_whole_stream_ends_once_and_last() {
    for stream in STREAMS.iter() {
        let seen = whole(stream);
        assert_eq!(seen.endings(), 1, "{stream:?}");
        let ending = seen.deltas.last();
        assert!(
            matches!(ending, Some(Delta::End | Delta::Error(_))),
            "{stream:?}"
        );
        assert_eq!(seen.frames.concat(), stream.body);
        assert!(!seen.is_partial);
    }
}

#[test]
fn a_stream_that_comes_byte_by_byte_is_the_same() {
    for stream in STREAMS.iter() {
        let bytes = (0..stream.body.len()).map(|at| stream.body.slice(at..=at));
        let seen = Seen::of(stream.dialect, bytes).expect("a stream that was recorded");
        assert!(seen == whole(stream), "{stream:?}");
    }
}

#[test]
fn a_stream_that_is_cut_between_frames_ends_only_if_all_has_been_said() {
    for stream in STREAMS.iter() {
        let all = whole(stream);
        let mut length = 0;
        for frame in &all.frames {
            length += frame.len();
            let cut = Seen::of(stream.dialect, std::iter::once(stream.body.slice(..length)));
            check_cut(&all, &cut.expect("frames that were recorded"));
        }
    }
}

/// What came of a cut stream is the beginning of the whole one. If it ended, every choice had been finished: what some
/// servers tell behind that is not for the caller to wait for.
fn check_cut(all: &Seen, cut: &Seen) {
    assert!(all.frames.starts_with(&cut.frames));
    let finishes = |deltas: &[Delta]| {
        let is_finish = |delta: &&Delta| matches!(delta, Delta::Finish { .. });
        deltas.iter().filter(is_finish).count()
    };
    if cut.deltas.last() == Some(&Delta::End) {
        assert_eq!(finishes(&cut.deltas), finishes(&all.deltas));
    }
    let (said, all) = (said(&cut.deltas), said(&all.deltas));
    assert!(all.starts_with(&said), "{said:?}\n{all:?}");
}

/// All but what may come in another order where an end is near.
fn said(deltas: &[Delta]) -> Vec<&Delta> {
    let is_said =
        |delta: &&Delta| !matches!(delta, Delta::Usage(_) | Delta::Finish { .. } | Delta::End);
    deltas.iter().filter(is_said).collect()
}

proptest! {
    #![proptest_config(tries(150))]

    #[test]
    fn a_stream_says_the_same_however_it_is_cut_up(
        selector in any::<Selector>(),
        cuts in prop::collection::vec(any::<Index>(), 0..40),
    ) {
        let Some(stream) = selector.try_select(STREAMS.iter()) else {
            return Ok(());
        };
        let cuts = cuts.iter().map(|cut| cut.index(stream.body.len())).collect();
        let seen = Seen::of(stream.dialect, pieces(&stream.body, cuts));
        prop_assert!(seen.as_ref() == Ok(&whole(stream)), "{:?}", seen);
    }

    #[test]
    fn a_stream_that_is_cut_ends_only_if_all_has_been_said(
        selector in any::<Selector>(),
        cut in any::<Index>(),
    ) {
        let Some(stream) = selector.try_select(STREAMS.iter()) else {
            return Ok(());
        };
        let begun = stream.body.slice(..cut.index(stream.body.len()));
        let seen = Seen::of(stream.dialect, std::iter::once(begun)).expect("frames that were recorded");
        check_cut(&whole(stream), &seen);
    }

    #[test]
    fn lines_are_the_same_however_they_are_cut_up(
        words in prop::collection::vec(prop::sample::select(WORDS), 0..40),
        cuts in prop::collection::vec(any::<Index>(), 0..20),
    ) {
        let stream = Bytes::from(words.concat().into_bytes());
        let cuts = cuts.iter().map(|cut| cut.index(stream.len() + 1)).collect();
        let whole = lines(std::iter::once(stream.clone()));
        prop_assert_eq!(lines(pieces(&stream, cuts)), whole.clone());
        let bytes = (0..stream.len()).map(|at| stream.slice(at..=at));
        prop_assert_eq!(lines(bytes), whole);
    }
}

/// What events are made of.
const WORDS: &[&str] = &[
    "\n", "\r\n", "\r", "\n\n", "data: a", "data:é", "event: e", ": c", " ",
];

/// The names and the lines of data that come of a stream.
fn lines(pieces: impl Iterator<Item = Bytes>) -> Vec<Vec<u8>> {
    let mut frames = sse::Frames::default();
    let mut lines = Vec::new();
    for piece in pieces {
        let whole = frames.push(piece).expect("a small frame");
        for frame in sse::each(whole) {
            lines.extend(sse::event(&frame).map(<[u8]>::to_vec));
            lines.extend(sse::data(&frame).map(<[u8]>::to_vec));
        }
    }
    lines
}
