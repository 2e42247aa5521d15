//! The pass itself: a cursor that goes over the bytes once and never back.

use std::ops::Range;

use super::{DEPTH_MAX, Fault, MEMBERS_MAX, Member};

/// A cursor in a JSON text.
pub(super) struct Scanner<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Scanner<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// Reads the whole text: one object, and nothing else.
    pub fn outermost(&mut self) -> Result<Vec<Member>, Fault> {
        self.space();
        self.expect(b'{', "expected a JSON object")?;
        let mut members = Vec::with_capacity(16);
        self.space();
        if self.peek() == Some(b'}') {
            self.at += 1;
            return self.nothing_more(members);
        }
        loop {
            if members.len() == MEMBERS_MAX {
                return Err(Fault::Members);
            }
            let name = self.name()?;
            let start = self.at;
            self.value()?;
            members.push(Member {
                is_escaped: self.bytes[name.clone()].contains(&b'\\'),
                name,
                value: start..self.at,
            });
            self.space();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b'}') => break self.at += 1,
                _ => return self.fault("expected `,` or `}`"),
            }
        }
        self.nothing_more(members)
    }

    /// The value of the first member that is called `name`; what follows it is not looked at.
    pub fn find(mut self, name: &str) -> Option<&'a [u8]> {
        self.space();
        self.expect(b'{', "").ok()?;
        loop {
            let found = self.name().ok()?;
            let start = self.at;
            self.value().ok()?;
            if self.bytes[found] == *name.as_bytes() {
                return Some(&self.bytes[start..self.at]);
            }
            self.space();
            self.expect(b',', "").ok()?;
        }
    }

    fn nothing_more(&mut self, members: Vec<Member>) -> Result<Vec<Member>, Fault> {
        self.space();
        match self.at == self.bytes.len() {
            true => Ok(members),
            false => self.fault("expected nothing after the object"),
        }
    }

    /// Reads `"name" :` and the space around it; the range excludes the quotes.
    fn name(&mut self) -> Result<Range<usize>, Fault> {
        self.space();
        let start = self.at + 1;
        self.string("expected a field name in double quotes")?;
        let name = start..self.at - 1;
        self.space();
        self.expect(b':', "expected `:`")?;
        self.space();
        Ok(name)
    }

    /// Skips one value of any kind without recursion. `objects` holds a bit a level: set for `{`, clear for `[`.
    fn value(&mut self) -> Result<(), Fault> {
        const _: () = assert!(DEPTH_MAX <= u128::BITS as usize);
        let mut objects: u128 = 0;
        let mut depth = 1; // the outermost object
        loop {
            self.space();
            match self.peek() {
                Some(open @ (b'{' | b'[')) => {
                    depth += 1;
                    if depth > DEPTH_MAX {
                        return Err(Fault::Depth);
                    }
                    self.at += 1;
                    self.space();
                    let is_object = open == b'{';
                    objects = objects << 1 | u128::from(is_object);
                    if self.peek() != Some(closing(is_object)) {
                        if is_object {
                            self.name()?;
                        }
                        continue;
                    }
                }
                Some(b'"') => self.string("")?,
                Some(b'-' | b'0'..=b'9') => self.number()?,
                Some(b't') => self.literal(b"true")?,
                Some(b'f') => self.literal(b"false")?,
                Some(b'n') => self.literal(b"null")?,
                _ => return self.fault("expected a value"),
            }
            // A value, or nothing at all, stands before us: close what closes, then go on behind a comma.
            loop {
                if depth == 1 {
                    return Ok(());
                }
                self.space();
                let is_object = objects & 1 == 1;
                match self.peek() {
                    Some(byte) if byte == closing(is_object) => {
                        self.at += 1;
                        objects >>= 1;
                        depth -= 1;
                    }
                    Some(b',') => {
                        self.at += 1;
                        if is_object {
                            self.name()?;
                        }
                        break;
                    }
                    _ if is_object => return self.fault("expected `,` or `}`"),
                    _ => return self.fault("expected `,` or `]`"),
                }
            }
        }
    }

    fn string(&mut self, expected: &'static str) -> Result<(), Fault> {
        self.expect(b'"', expected)?;
        loop {
            self.at += plain_length(&self.bytes[self.at..]);
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(());
                }
                Some(b'\\') => {
                    self.at += 1;
                    self.escape()?;
                }
                Some(_) => return self.fault("a control character must be escaped"),
                None => return self.fault("expected a closing quote"),
            }
        }
    }

    fn escape(&mut self) -> Result<(), Fault> {
        match self.peek() {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 1,
            Some(b'u') => {
                self.at += 1;
                for _ in 0..4 {
                    match self.peek() {
                        Some(byte) if byte.is_ascii_hexdigit() => self.at += 1,
                        _ => return self.fault("expected four hexadecimal digits"),
                    }
                }
            }
            _ => return self.fault("unknown escape"),
        }
        Ok(())
    }

    fn number(&mut self) -> Result<(), Fault> {
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        match self.peek() {
            Some(b'0') => self.at += 1,
            _ => self.digits()?,
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.at += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(())
    }

    fn digits(&mut self) -> Result<(), Fault> {
        let start = self.at;
        while let Some(b'0'..=b'9') = self.peek() {
            self.at += 1;
        }
        match self.at > start {
            true => Ok(()),
            false => self.fault("expected a digit"),
        }
    }

    fn literal(&mut self, word: &'static [u8]) -> Result<(), Fault> {
        if !self.bytes[self.at..].starts_with(word) {
            return self.fault("expected a value");
        }
        self.at += word.len();
        Ok(())
    }

    fn space(&mut self) {
        while let Some(b' ' | b'\n' | b'\t' | b'\r') = self.peek() {
            self.at += 1;
        }
    }

    fn expect(&mut self, byte: u8, expected: &'static str) -> Result<(), Fault> {
        if self.peek() != Some(byte) {
            return self.fault(expected);
        }
        self.at += 1;
        Ok(())
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn fault<T>(&self, expected: &'static str) -> Result<T, Fault> {
        Err(Fault::Syntax {
            at: self.at,
            expected,
        })
    }
}

/// How many bytes stand before the first quote, backslash or control character.
pub(in crate::dialect) fn plain_length(bytes: &[u8]) -> usize {
    // Eight bytes at a time: a byte's highest bit is set in `special` if the byte is one of them, and the lowest such
    // bit is exact (a borrow only spills upward).
    const ONES: u64 = u64::MAX / 255;
    const HIGHS: u64 = ONES << 7;
    let below = |word: u64, bound: u8| word.wrapping_sub(ONES * u64::from(bound)) & !word & HIGHS;
    let equal = |word: u64, byte: u8| below(word ^ (ONES * u64::from(byte)), 1);
    let mut chunks = bytes.chunks_exact(8);
    let mut length = 0;
    for chunk in chunks.by_ref() {
        let mut word = [0; 8];
        word.copy_from_slice(chunk);
        let word = u64::from_le_bytes(word);
        let special = below(word, 0x20) | equal(word, b'"') | equal(word, b'\\');
        if special != 0 {
            return length + special.trailing_zeros() as usize / 8;
        }
        length += 8;
    }
    let is_special = |byte: &u8| *byte < 0x20 || *byte == b'"' || *byte == b'\\';
    let rest = chunks.remainder();
    length + rest.iter().position(is_special).unwrap_or(rest.len())
}

fn closing(is_object: bool) -> u8 {
    match is_object {
        true => b'}',
        false => b']',
    }
}
