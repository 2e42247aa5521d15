//! One pass over a JSON object: is it valid, and where do its top-level values stand?
//!
//! The gateway acts on a few fields and passes every other byte on as it came, so a body is scanned, not modelled:
//! numbers keep their format, keys their order, strings their escapes. A full parser would lose all three, and
//! serde_json's own skipping checks neither depth nor repeated names.

use std::borrow::Cow;
use std::ops::Range;

/// The deepest nesting that is accepted, counting the outermost object as one.
pub const DEPTH_MAX: usize = 128;

/// The most fields that the outermost object may have; the largest real request has about forty.
pub const MEMBERS_MAX: usize = 512;

/// Reads the outermost object of `body`, checking the whole of it: RFC 8259 syntax, UTF-8, [`DEPTH_MAX`],
/// [`MEMBERS_MAX`] and that no top-level name stands twice.
pub fn object(body: &[u8]) -> Result<Object<'_>, Fault> {
    if let Err(error) = std::str::from_utf8(body) {
        return Err(Fault::Utf8 {
            at: error.valid_up_to(),
        });
    }
    let mut scanner = Scanner { bytes: body, at: 0 };
    let members = scanner.outermost()?;
    if let Some(repeated) = first_repeated(body, &members) {
        return Err(Fault::Repeated(repeated));
    }
    Ok(Object { body, members })
}

/// The first member of an object that is called `name`, found without looking at what follows it. For objects that are
/// known to be valid.
pub fn member<'a>(object: &'a [u8], name: &str) -> Option<&'a [u8]> {
    let mut scanner = Scanner {
        bytes: object,
        at: 0,
    };
    scanner.space();
    scanner.expect(b'{', "").ok()?;
    loop {
        let found = scanner.name().ok()?;
        let start = scanner.at;
        scanner.value().ok()?;
        if object[found] == *name.as_bytes() {
            return Some(&object[start..scanner.at]);
        }
        scanner.space();
        scanner.expect(b',', "").ok()?;
    }
}

/// A valid JSON object and the places of its top-level values.
#[derive(Debug)]
pub struct Object<'a> {
    body: &'a [u8],
    members: Vec<Member>,
}

impl<'a> Object<'a> {
    /// Where the value of `name` stands in the body.
    pub fn place(&self, name: &str) -> Option<Range<usize>> {
        let mut members = self.members.iter();
        let member = members.find(|member| member.is(name, self.body))?;
        Some(member.value.clone())
    }

    /// The bytes of the value of `name`.
    pub fn value(&self, name: &str) -> Option<&'a [u8]> {
        self.place(name).map(|place| &self.body[place])
    }

    /// Where a further member can be written: just before the closing brace.
    pub fn end(&self) -> usize {
        // The scan ended behind the brace and allowed nothing but white space after it.
        self.body
            .iter()
            .rposition(|byte| *byte == b'}')
            .unwrap_or(0)
    }

    /// Whether the object has no members.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }
}

/// Why a body is not a usable JSON object.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Not UTF-8.
    #[error("the body is not valid UTF-8 at byte {at}")]
    Utf8 {
        /// Offset of the first bad byte.
        at: usize,
    },
    /// Not JSON.
    #[error("the body is not valid JSON at byte {at}: {expected}")]
    Syntax {
        /// Offset of the first bad byte.
        at: usize,
        /// What should have stood there.
        expected: &'static str,
    },
    /// Nested deeper than [`DEPTH_MAX`].
    #[error("the body is nested deeper than {DEPTH_MAX} levels")]
    Depth,
    /// More than [`MEMBERS_MAX`] fields.
    #[error("the body has more than {MEMBERS_MAX} fields")]
    Members,
    /// A top-level field stands twice.
    #[error("the field `{0}` is given more than once")]
    Repeated(String),
}

#[derive(Debug)]
struct Member {
    /// The name between its quotes, as it stands in the body.
    name: Range<usize>,
    /// Whether the name holds an escape.
    is_escaped: bool,
    value: Range<usize>,
}

impl Member {
    /// Whether it has this name, also when it is written with escapes: `"mod\u0065l"` is no way around a check.
    fn is(&self, name: &str, body: &[u8]) -> bool {
        match self.is_escaped {
            false => body[self.name.clone()] == *name.as_bytes(),
            true => self.name(body) == name,
        }
    }

    /// The name with its escapes resolved.
    fn name<'a>(&self, body: &'a [u8]) -> Cow<'a, str> {
        let text = std::str::from_utf8(&body[self.name.clone()]).unwrap_or_default();
        if !self.is_escaped {
            return Cow::Borrowed(text);
        }
        let decoded = serde_json::from_str(&format!("\"{text}\""));
        Cow::Owned(decoded.unwrap_or_else(|_| text.to_owned()))
    }
}

/// More members than this are sorted to find two of one name.
const PAIRS_MAX: usize = 24;

fn first_repeated(body: &[u8], members: &[Member]) -> Option<String> {
    let is_plain = members.iter().all(|member| !member.is_escaped);
    if is_plain && members.len() <= PAIRS_MAX {
        let bytes = |member: &Member| &body[member.name.clone()];
        let mut firsts = members.iter().enumerate();
        let (_, repeated) = firsts.find(|(at, member)| {
            let others = &members[at + 1..];
            others.iter().any(|other| bytes(other) == bytes(member))
        })?;
        return Some(repeated.name(body).into_owned());
    }
    let mut names: Vec<_> = members.iter().map(|member| member.name(body)).collect();
    names.sort_unstable();
    let pair = names.windows(2).find(|pair| pair[0] == pair[1])?;
    Some(pair[0].clone().into_owned())
}

struct Scanner<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Scanner<'_> {
    fn outermost(&mut self) -> Result<Vec<Member>, Fault> {
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
fn plain_length(bytes: &[u8]) -> usize {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_found_where_they_stand() {
        let body = br#" { "a" : [1, {"model":"inner"}] , "mod\u0065l":"x\"y" ,"n":-0.5E+3,"e":{},"t":true } "#;
        let object = object(body).unwrap();
        assert_eq!(object.value("a").unwrap(), br#"[1, {"model":"inner"}]"#);
        assert_eq!(object.value("model").unwrap(), br#""x\"y""#);
        assert_eq!(object.value("n").unwrap(), b"-0.5E+3");
        assert_eq!(object.value("e").unwrap(), b"{}");
        assert_eq!(object.value("t").unwrap(), b"true");
        assert!(object.value("inner").is_none());
        assert_eq!(body[object.end()], b'}');
    }

    #[test]
    fn what_serde_accepts_is_accepted_and_what_it_refuses_is_refused() {
        let samples = [
            "{}",
            "{ }",
            r#"{"a":1}"#,
            r#"{"a":[]}"#,
            r#"{"a":[[],{}]}"#,
            r#"{"a":1,}"#,
            r#"{"a":[1,]}"#,
            "{",
            "}",
            "[]",
            "1",
            "",
            " ",
            r#"{"a"}"#,
            r#"{"a":}"#,
            r#"{a:1}"#,
            r#"{"a":01}"#,
            r#"{"a":1.}"#,
            r#"{"a":.5}"#,
            r#"{"a":-}"#,
            r#"{"a":1e}"#,
            r#"{"a":1e5}"#,
            r#"{"a":"\x"}"#,
            r#"{"a":"\u12"}"#,
            r#"{"a":"\u1234"}"#,
            "{\"a\":\"\n\"}",
            r#"{"a":tru}"#,
            r#"{"a":nul}"#,
            r#"{"a":"b}"#,
            r#"{"a":1}{"#,
            r#"{"a":1} x"#,
            r#"{"a":[1}"#,
            r#"{"a":{"b":1]}"#,
            r#"{"a":[1 2]}"#,
            r#"{"a":1 "b":2}"#,
            r#"{,}"#,
            r#"{"a":NaN}"#,
            r#"{"a":{"b":[{"c":null}]},"d":false}"#,
            "\u{feff}{}",
            r#"{"a":+1}"#,
            r#"{"é":"ü"}"#,
        ];
        for sample in samples {
            let theirs = serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(sample);
            let ours = object(sample.as_bytes());
            assert_eq!(
                ours.is_ok(),
                theirs.is_ok(),
                "{sample:?}: {ours:?} {theirs:?}"
            );
        }
    }

    #[test]
    fn depth_is_bounded_exactly() {
        let nested =
            |levels: usize| format!("{{\"a\":{}{}}}", "[".repeat(levels), "]".repeat(levels));
        assert!(object(nested(DEPTH_MAX - 1).as_bytes()).is_ok());
        assert_eq!(
            object(nested(DEPTH_MAX).as_bytes()).unwrap_err(),
            Fault::Depth
        );
        let brackets = format!("{{\"a\":{}", "[".repeat(100_000));
        assert_eq!(object(brackets.as_bytes()).unwrap_err(), Fault::Depth);
    }

    #[test]
    fn a_repeated_name_is_named_even_when_escaped() {
        let fault = object(br#"{"model":"a","x":1,"mod\u0065l":"b"}"#).unwrap_err();
        assert_eq!(fault, Fault::Repeated("model".into()));
    }

    #[test]
    fn bad_utf8_is_told_from_bad_json() {
        assert_eq!(
            object(b"{\"a\":\"\xff\"}").unwrap_err(),
            Fault::Utf8 { at: 6 }
        );
    }

    #[test]
    fn a_member_is_found_by_its_name() {
        let object = br#" { "a":{"b":1}, "b" : 2 ,"c":[3]}"#;
        assert_eq!(member(object, "a"), Some(&br#"{"b":1}"#[..]));
        assert_eq!(member(object, "b"), Some(&b"2"[..]));
        assert_eq!(member(object, "c"), Some(&b"[3]"[..]));
        assert_eq!(member(object, "d"), None);
        assert_eq!(member(b"{}", "d"), None);
        assert_eq!(member(b"7", "d"), None);
    }

    #[test]
    fn a_plain_stretch_ends_at_the_first_special_byte() {
        let filler = "aé~\u{7f}€ß 0\u{20}xyzÿ".repeat(3);
        for special in 0..=u8::MAX {
            let is_special = special < 0x20 || special == b'"' || special == b'\\';
            for length in 0..filler.len() {
                let mut bytes = filler.as_bytes()[..length].to_vec();
                bytes.push(special);
                bytes.extend_from_slice(b"tail\"");
                let expected = if is_special { length } else { length + 5 };
                assert_eq!(plain_length(&bytes), expected, "{special} at {length}");
            }
        }
    }

    #[test]
    fn too_many_members_are_refused() {
        let members: Vec<_> = (0..=MEMBERS_MAX).map(|n| format!("\"k{n}\":0")).collect();
        let body = format!("{{{}}}", members.join(","));
        assert_eq!(object(body.as_bytes()).unwrap_err(), Fault::Members);
    }
}
