//! AWS's binary event stream, `application/vnd.amazon.eventstream`, cut into frames as they arrive, read and written.
//!
//! Source: Smithy, "Amazon Event Stream Specification". A frame is a prelude of twelve bytes (the whole length, the
//! headers' length, a CRC-32 of both), headers, a payload, and a CRC-32 of all before it; numbers are big-endian. A frame
//! is forwarded with the bytes that it came in, and only when it is whole and undamaged.

use bytes::{Bytes, BytesMut};

/// The largest frame, in bytes, headers included: as large as a server-sent event may be.
pub const FRAME_MAX: usize = 16 * 1024 * 1024;

const PRELUDE: usize = 12;
const CHECKSUM: usize = 4;

/// Puts a stream's bytes back together into frames.
#[derive(Debug, Default)]
pub struct Frames {
    /// The beginning of a frame whose end has not arrived.
    partial: BytesMut,
}

impl Frames {
    /// Takes what arrived and returns every frame that is now whole, one behind the other; often that is `chunk`
    /// itself, not copied.
    ///
    /// # Errors
    /// A frame is larger than [`FRAME_MAX`], or damaged.
    pub fn push(&mut self, chunk: Bytes) -> Result<Bytes, Fault> {
        if self.partial.is_empty() {
            let whole = whole_frames(&chunk)?;
            self.partial.extend_from_slice(&chunk[whole..]);
            return Ok(chunk.slice(..whole));
        }
        self.partial.extend_from_slice(&chunk);
        let whole = whole_frames(&self.partial)?;
        Ok(self.partial.split_to(whole).freeze())
    }

    /// Whether the beginning of a frame is held whose end never came.
    pub fn is_partial(&self) -> bool {
        !self.partial.is_empty()
    }
}

/// What is wrong with a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// It is larger than [`FRAME_MAX`].
    #[error("an event is larger than {FRAME_MAX} bytes")]
    TooLarge,
    /// Its lengths contradict each other.
    #[error("an event's lengths do not fit")]
    Length,
    /// Its bytes are not those that its checksum was made of.
    #[error("an event's checksum is wrong")]
    Checksum,
    /// Its headers cannot be read.
    #[error("an event's headers cannot be read")]
    Headers,
}

/// Cuts what [`Frames::push`] returned into single frames.
pub fn each(mut frames: Bytes) -> impl Iterator<Item = Bytes> {
    std::iter::from_fn(move || next(&mut frames))
}

/// The first of `frames`, taken from them.
pub fn next(frames: &mut Bytes) -> Option<Bytes> {
    let length = number(frames, 0)?;
    (length <= frames.len() && length > 0).then(|| frames.split_to(length))
}

/// One frame, read.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    headers: &'a [u8],
    /// What the event says.
    pub payload: &'a [u8],
}

impl<'a> Message<'a> {
    /// Reads a whole frame. Its checksums are not looked at again.
    ///
    /// # Errors
    /// It is no frame.
    pub fn parse(frame: &'a [u8]) -> Result<Self, Fault> {
        let length = number(frame, 0).ok_or(Fault::Length)?;
        let headers = number(frame, 4).ok_or(Fault::Length)?;
        let body_end = length.checked_sub(CHECKSUM).ok_or(Fault::Length)?;
        let headers_end = headers.checked_add(PRELUDE).ok_or(Fault::Length)?;
        if length != frame.len() || headers_end > body_end {
            return Err(Fault::Length);
        }
        let message = Self {
            headers: &frame[PRELUDE..headers_end],
            payload: &frame[headers_end..body_end],
        };
        let mut rest = message.headers;
        while !rest.is_empty() {
            take_header(&mut rest).ok_or(Fault::Headers)?;
        }
        Ok(message)
    }

    /// The headers, in their order.
    pub fn headers(&self) -> impl Iterator<Item = (&'a str, Value<'a>)> + use<'a> {
        let mut rest = self.headers;
        std::iter::from_fn(move || take_header(&mut rest))
    }

    /// The text of the header `name`.
    pub fn text(&self, name: &str) -> Option<&'a str> {
        self.headers().find_map(|header| match header {
            (header, Value::Text(text)) if header == name => Some(text),
            _ => None,
        })
    }
}

/// What a header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value<'a> {
    /// Yes or no.
    Bool(bool),
    /// A number of one byte.
    Byte(i8),
    /// A number of two bytes.
    Short(i16),
    /// A number of four bytes.
    Int(i32),
    /// A number of eight bytes.
    Long(i64),
    /// Bytes.
    Bytes(&'a [u8]),
    /// Text.
    Text(&'a str),
    /// A time, in milliseconds of Unix time.
    Timestamp(i64),
    /// A UUID.
    Uuid([u8; 16]),
}

/// Adds a frame to `out`: `headers`, of texts shorter than 256 and 65,536 bytes, and what `write_payload` adds.
pub fn write(
    out: &mut Vec<u8>,
    headers: &[(&str, &str)],
    write_payload: impl FnOnce(&mut Vec<u8>),
) {
    const TEXT: u8 = 7;
    let start = out.len();
    out.extend_from_slice(&[0; PRELUDE]);
    for (name, value) in headers {
        debug_assert!(name.len() < 1 << 8 && value.len() < 1 << 16);
        out.push(name.len() as u8);
        out.extend_from_slice(name.as_bytes());
        out.push(TEXT);
        out.extend_from_slice(&(value.len() as u16).to_be_bytes());
        out.extend_from_slice(value.as_bytes());
    }
    let headers_length = out.len() - start - PRELUDE;
    write_payload(out);
    let length = out.len() - start + CHECKSUM;
    let frame = &mut out[start..];
    frame[..4].copy_from_slice(&(length as u32).to_be_bytes());
    frame[4..8].copy_from_slice(&(headers_length as u32).to_be_bytes());
    let checksum = crc32fast::hash(&frame[..8]);
    frame[8..PRELUDE].copy_from_slice(&checksum.to_be_bytes());
    let checksum = crc32fast::hash(frame);
    out.extend_from_slice(&checksum.to_be_bytes());
}

/// Where the last whole frame ends. Lengths are checked as soon as they are there, so that a wrong one is not waited for.
fn whole_frames(bytes: &[u8]) -> Result<usize, Fault> {
    let mut at = 0;
    while let Some(prelude) = bytes[at..].first_chunk::<PRELUDE>() {
        let length = number(prelude, 0).ok_or(Fault::Length)?;
        if number(prelude, 8) != Some(crc32fast::hash(&prelude[..8]) as usize) {
            return Err(Fault::Checksum);
        }
        if length > FRAME_MAX {
            return Err(Fault::TooLarge);
        }
        if length < PRELUDE + CHECKSUM {
            return Err(Fault::Length);
        }
        let Some(frame) = bytes[at..].get(..length) else {
            break;
        };
        let (body, _) = frame.split_at(length - CHECKSUM);
        if number(frame, body.len()) != Some(crc32fast::hash(body) as usize) {
            return Err(Fault::Checksum);
        }
        at += length;
    }
    Ok(at)
}

/// The number of four bytes that begins at `at`.
fn number(bytes: &[u8], at: usize) -> Option<usize> {
    let bytes = bytes.get(at..)?.first_chunk()?;
    usize::try_from(u32::from_be_bytes(*bytes)).ok()
}

fn take_header<'a>(rest: &mut &'a [u8]) -> Option<(&'a str, Value<'a>)> {
    let [name_length] = take_array(rest)?;
    let name = std::str::from_utf8(take(rest, usize::from(name_length))?).ok()?;
    let [kind] = take_array(rest)?;
    let value = match kind {
        0 => Value::Bool(true),
        1 => Value::Bool(false),
        2 => Value::Byte(i8::from_be_bytes(take_array(rest)?)),
        3 => Value::Short(i16::from_be_bytes(take_array(rest)?)),
        4 => Value::Int(i32::from_be_bytes(take_array(rest)?)),
        5 => Value::Long(i64::from_be_bytes(take_array(rest)?)),
        6 => Value::Bytes(take_sized(rest)?),
        7 => Value::Text(std::str::from_utf8(take_sized(rest)?).ok()?),
        8 => Value::Timestamp(i64::from_be_bytes(take_array(rest)?)),
        9 => Value::Uuid(take_array(rest)?),
        _ => return None,
    };
    Some((name, value))
}

fn take<'a>(rest: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (taken, left) = rest.split_at_checked(length)?;
    *rest = left;
    Some(taken)
}

fn take_array<const LENGTH: usize>(rest: &mut &[u8]) -> Option<[u8; LENGTH]> {
    take(rest, LENGTH)?.try_into().ok()
}

fn take_sized<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = u16::from_be_bytes(take_array(rest)?);
    take(rest, usize::from(length))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream() -> Vec<u8> {
        let mut out = Vec::new();
        let headers = [(":event-type", "messageStart"), (":message-type", "event")];
        write(&mut out, &headers, |out| {
            out.extend_from_slice(br#"{"role":"assistant"}"#);
        });
        write(&mut out, &[], |_| {});
        write(&mut out, &headers[..1], |out| {
            out.extend_from_slice(&[7; 500])
        });
        out
    }

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
        let stream = Bytes::from(stream());
        let whole = frames_of(std::iter::once(stream.clone()));
        assert_eq!(whole.len(), 3);
        assert_eq!(whole.concat(), stream);
        for size in 1..stream.len() {
            let pieces = stream.chunks(size).map(Bytes::copy_from_slice);
            assert_eq!(frames_of(pieces), whole, "in pieces of {size}");
        }
    }

    #[test]
    fn a_chunk_that_is_whole_is_not_copied() {
        let chunk = Bytes::from(stream());
        let frames = Frames::default().push(chunk.clone()).unwrap();
        assert_eq!(frames.as_ptr(), chunk.as_ptr());
        assert_eq!(frames, chunk);
    }

    #[test]
    fn half_a_frame_stays() {
        let mut stream = stream();
        stream.truncate(stream.len() - 1);
        let mut frames = Frames::default();
        let out = frames.push(Bytes::from(stream)).unwrap();
        assert_eq!(each(out).count(), 2);
        assert!(frames.is_partial());
    }

    #[test]
    fn what_is_written_is_read() {
        let frames = frames_of(std::iter::once(Bytes::from(stream())));
        let message = Message::parse(&frames[0]).unwrap();
        assert_eq!(message.text(":event-type"), Some("messageStart"));
        assert_eq!(message.text(":content-type"), None);
        assert_eq!(message.payload, br#"{"role":"assistant"}"#);
        let empty = Message::parse(&frames[1]).unwrap();
        assert_eq!(empty.headers().count(), 0);
        assert!(empty.payload.is_empty());
    }

    #[test]
    fn headers_of_every_type_are_read() {
        let mut headers = Vec::new();
        for (kind, value) in [
            (0, &[][..]),
            (1, &[]),
            (2, &[0xff]),
            (3, &[0, 2]),
            (4, &[0, 0, 0, 3]),
            (5, &[0, 0, 0, 0, 0, 0, 0, 4]),
            (6, &[0, 1, 9]),
            (7, &[0, 2, b'h', b'i']),
            (8, &[0, 0, 0, 0, 0, 0, 0, 5]),
            (9, &[6; 16]),
        ] {
            headers.extend_from_slice(&[1, b'x', kind]);
            headers.extend_from_slice(value);
        }
        let length = (PRELUDE + headers.len() + CHECKSUM) as u32;
        let mut frame = length.to_be_bytes().to_vec();
        frame.extend_from_slice(&(headers.len() as u32).to_be_bytes());
        frame.extend_from_slice(&[0; 4]);
        frame.extend_from_slice(&headers);
        frame.extend_from_slice(&[0; 4]);
        let values: Vec<_> = Message::parse(&frame)
            .unwrap()
            .headers()
            .map(|(_, value)| value)
            .collect();
        let expected = [
            Value::Bool(true),
            Value::Bool(false),
            Value::Byte(-1),
            Value::Short(2),
            Value::Int(3),
            Value::Long(4),
            Value::Bytes(&[9]),
            Value::Text("hi"),
            Value::Timestamp(5),
            Value::Uuid([6; 16]),
        ];
        assert_eq!(values, expected);
        frame[PRELUDE + 2] = 10;
        assert_eq!(Message::parse(&frame).unwrap_err(), Fault::Headers);
        assert_eq!(Message::parse(&frame[1..]).unwrap_err(), Fault::Length);
    }

    #[test]
    fn damage_is_noticed() {
        let stream = stream();
        let first = Frames::default().push(Bytes::from(stream.clone())).unwrap();
        let first_length = next(&mut first.clone()).unwrap().len();
        for at in 0..first_length {
            let mut damaged = stream.clone();
            damaged[at] ^= 0x10;
            let fault = Frames::default().push(Bytes::from(damaged)).unwrap_err();
            assert_eq!(fault, Fault::Checksum, "at {at}");
        }
    }

    #[test]
    fn a_frame_that_is_too_large_is_not_waited_for() {
        let prelude = |length: u32| {
            let mut bytes = length.to_be_bytes().to_vec();
            bytes.extend_from_slice(&[0; 4]);
            let checksum = crc32fast::hash(&bytes);
            bytes.extend_from_slice(&checksum.to_be_bytes());
            Bytes::from(bytes)
        };
        let too_large = prelude(FRAME_MAX as u32 + 1);
        assert_eq!(Frames::default().push(too_large), Err(Fault::TooLarge));
        assert_eq!(Frames::default().push(prelude(15)), Err(Fault::Length));
        let mut frames = Frames::default();
        assert!(frames.push(prelude(FRAME_MAX as u32)).unwrap().is_empty());
        assert!(frames.is_partial());
    }
}
