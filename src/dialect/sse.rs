//! Server-sent events, cut into frames as they arrive (WHATWG HTML, section 9.2).
//!
//! A frame is forwarded with the bytes that it came in, its blank line included, and only when it is whole: so a
//! provider that dies in the middle of one never leaves half an event with the caller. Lines end in LF or CRLF; the
//! lone CR that the standard also allows is sent by no provider and is not a line end here.

use std::borrow::Cow;

use bytes::{Bytes, BytesMut};
use memchr::memchr;

/// The largest frame that is held while the rest of it is awaited, in bytes: a frame with a base64 image fits.
pub const FRAME_MAX: usize = 16 * 1024 * 1024;

/// Puts a stream's bytes back together into frames.
#[derive(Debug, Default)]
pub struct Frames {
    /// The beginning of a frame whose end has not arrived.
    partial: BytesMut,
    /// How much of `partial` is known to hold no blank line.
    searched: usize,
}

impl Frames {
    /// Takes what arrived and returns every frame that is now whole, one behind the other; often that is `chunk`
    /// itself, not copied.
    ///
    /// # Errors
    /// A frame is larger than [`FRAME_MAX`].
    pub fn push(&mut self, chunk: Bytes) -> Result<Bytes, FrameTooLarge> {
        if self.partial.is_empty() {
            let whole = last_frame_end(&chunk, 0).unwrap_or(0);
            self.hold(&chunk[whole..])?;
            return Ok(chunk.slice(..whole));
        }
        // A blank line may have begun in what was held: LF CR, or LF.
        let from = self.searched.saturating_sub(2);
        self.hold(&chunk)?;
        let Some(whole) = last_frame_end(&self.partial, from) else {
            return Ok(Bytes::new());
        };
        let frames = self.partial.split_to(whole).freeze();
        self.searched = self.partial.len();
        Ok(frames)
    }

    /// Whether the beginning of a frame is held whose end never came.
    pub fn is_partial(&self) -> bool {
        self.partial.iter().any(|byte| !byte.is_ascii_whitespace())
    }

    fn hold(&mut self, rest: &[u8]) -> Result<(), FrameTooLarge> {
        if self.partial.len() + rest.len() > FRAME_MAX {
            return Err(FrameTooLarge);
        }
        self.searched = self.partial.len();
        self.partial.extend_from_slice(rest);
        Ok(())
    }
}

/// A frame did not end within [`FRAME_MAX`].
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("a server-sent event is larger than {FRAME_MAX} bytes")]
pub struct FrameTooLarge;

/// Cuts what [`Frames::push`] returned into single frames, each with its blank line.
pub fn each(mut frames: Bytes) -> impl Iterator<Item = Bytes> {
    std::iter::from_fn(move || next(&mut frames))
}

/// The first of `frames`, taken from them.
pub fn next(frames: &mut Bytes) -> Option<Bytes> {
    let end = first_frame_end(frames, 0)?;
    Some(frames.split_to(end))
}

/// The data lines of a frame, each without its name and line end.
pub fn data(frame: &[u8]) -> impl Iterator<Item = &[u8]> {
    lines(frame).filter_map(|line| {
        let value = line.strip_prefix(b"data:")?;
        Some(value.strip_prefix(b" ").unwrap_or(value))
    })
}

/// The data of a frame, less the space around it; its lines are joined by LF. None where it has none.
pub fn joined(frame: &[u8]) -> Option<Cow<'_, [u8]>> {
    let mut lines = data(frame);
    let first = lines.next()?;
    let Some(second) = lines.next() else {
        return Some(Cow::Borrowed(first.trim_ascii()));
    };
    // Legal, though nobody sends it.
    let rest: Vec<&[u8]> = lines.collect();
    let joined = [&[first, second], &rest[..]].concat().join(&b'\n');
    Some(Cow::Owned(joined.trim_ascii().to_vec()))
}

/// The event's name, where the frame has one.
pub fn event(frame: &[u8]) -> Option<&[u8]> {
    lines(frame).find_map(|line| line.strip_prefix(b"event:").map(<[u8]>::trim_ascii))
}

fn lines(frame: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(frame);
    std::iter::from_fn(move || {
        let left = rest?;
        let (line, behind) = match memchr(b'\n', left) {
            Some(end) => (&left[..end], Some(&left[end + 1..])),
            None => (left, None),
        };
        rest = behind;
        Some(line.strip_suffix(b"\r").unwrap_or(line))
    })
}

/// Where the first frame that ends at or after `from` ends, its blank line included.
fn first_frame_end(bytes: &[u8], from: usize) -> Option<usize> {
    let mut at = from;
    while let Some(offset) = memchr(b'\n', &bytes[at..]) {
        let after = at + offset + 1;
        match &bytes[after..] {
            [b'\n', ..] => return Some(after + 1),
            [b'\r', b'\n', ..] => return Some(after + 2),
            _ => at = after,
        }
    }
    None
}

fn last_frame_end(bytes: &[u8], from: usize) -> Option<usize> {
    // Most reads end with a frame, so look there before going through all of it.
    if bytes.ends_with(b"\n\n") || bytes.ends_with(b"\n\r\n") {
        return Some(bytes.len());
    }
    let mut last = None;
    let mut at = from;
    while let Some(end) = first_frame_end(bytes, at) {
        last = Some(end);
        // The blank line's own LF may not serve as the first of a second blank line.
        at = end;
    }
    last
}

#[cfg(test)]
mod tests {
    use super::*;

    const STREAM: &[u8] =
        b": hello\n\ndata: {\"a\":\"\xc3\xa9\"}\n\ndata: one\r\ndata: two\r\n\r\nevent: error\ndata:x\n\ndata: [DONE]\n\n";

    fn frames_of(pieces: impl Iterator<Item = Bytes>) -> Vec<Bytes> {
        let mut frames = Frames::default();
        let mut all = Vec::new();
        for piece in pieces {
            all.extend(each(frames.push(piece).unwrap()));
        }
        assert!(!frames.is_partial());
        all
    }

    #[test]
    fn frames_are_the_same_however_the_bytes_arrive() {
        let whole = frames_of(std::iter::once(Bytes::from_static(STREAM)));
        assert_eq!(whole.len(), 5);
        assert_eq!(whole.concat(), STREAM);
        for size in 1..STREAM.len() {
            let pieces = STREAM.chunks(size).map(Bytes::from_static);
            assert_eq!(frames_of(pieces), whole, "in pieces of {size}");
        }
    }

    #[test]
    fn a_chunk_that_is_whole_is_not_copied() {
        let chunk = Bytes::from_static(b"data: 1\n\ndata: 2\n\n");
        let frames = Frames::default().push(chunk.clone()).unwrap();
        assert_eq!(frames.as_ptr(), chunk.as_ptr());
        assert_eq!(frames, chunk);
    }

    #[test]
    fn half_a_frame_stays() {
        let mut frames = Frames::default();
        let out = frames
            .push(Bytes::from_static(b"data: 1\n\ndata: 2"))
            .unwrap();
        assert_eq!(&out[..], b"data: 1\n\n");
        assert!(frames.is_partial());
    }

    #[test]
    fn a_frame_without_end_is_refused() {
        let mut frames = Frames::default();
        let megabyte = Bytes::from(vec![b'x'; 1024 * 1024]);
        let refused = (0..17).find_map(|_| frames.push(megabyte.clone()).err());
        assert_eq!(refused, Some(FrameTooLarge));
    }

    #[test]
    fn fields_are_read_by_name() {
        let frame = b"event: error\r\ndata: a\r\ndata:b\r\n\r\n";
        assert_eq!(event(frame), Some(&b"error"[..]));
        assert_eq!(data(frame).collect::<Vec<_>>(), [b"a", b"b"]);
    }
}
