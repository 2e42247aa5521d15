//! Going through JSON that is known to be valid, member by member and element by element.

use std::borrow::Cow;

use memchr::memchr2;

use super::{plain_length, unescape};

/// The members of an object with their names, escapes resolved, and their values as they stand there. None of what is
/// no object. Names may come twice.
pub fn members(raw: &[u8]) -> impl Iterator<Item = (Cow<'_, str>, &[u8])> {
    let mut walk = Walk::within(raw, b'{');
    std::iter::from_fn(move || {
        let name = walk.value()?;
        Some((said(name), walk.value()?))
    })
}

/// The elements of an array as they stand there. None of what is no array.
pub fn elements(raw: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut walk = Walk::within(raw, b'[');
    std::iter::from_fn(move || walk.value())
}

/// The value of the only member that is called by one of these names; None where there are several, for readers differ
/// in which of them they take.
pub fn only<'a>(raw: &'a [u8], names: &[&str]) -> Option<&'a [u8]> {
    let mut found = members(raw).filter(|(name, _)| names.contains(&&**name));
    let (_, value) = found.next()?;
    found.next().is_none().then_some(value)
}

/// What a string says; empty where it is none.
pub fn said(raw: &[u8]) -> Cow<'_, str> {
    let [b'"', within @ .., b'"'] = raw else {
        return Cow::Borrowed("");
    };
    match std::str::from_utf8(within) {
        Ok(text) if !within.contains(&b'\\') => Cow::Borrowed(text),
        _ => {
            let mut text = String::with_capacity(within.len());
            unescape(within, &mut text);
            Cow::Owned(text)
        }
    }
}

struct Walk<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Walk<'a> {
    /// Behind the bracket with which `raw` must begin.
    fn within(raw: &'a [u8], open: u8) -> Self {
        let start = raw.iter().position(|byte| !byte.is_ascii_whitespace());
        let start = start.filter(|at| raw[*at] == open);
        Self {
            bytes: raw,
            at: start.map_or(raw.len(), |at| at + 1),
        }
    }

    /// The next value, and past it. None before a bracket that closes.
    fn value(&mut self) -> Option<&'a [u8]> {
        while let Some(b' ' | b'\n' | b'\t' | b'\r' | b',' | b':') = self.bytes.get(self.at) {
            self.at += 1;
        }
        let start = self.at;
        if self.bytes.get(start) == Some(&b'"') {
            self.string();
            return self.bytes.get(start..self.at);
        }
        let mut depth = 0;
        while let Some(byte) = self.bytes.get(self.at) {
            self.at += 1;
            match byte {
                b'"' => {
                    self.at -= 1;
                    self.string();
                }
                b'{' | b'[' => depth += 1,
                b'}' | b']' if depth > 1 => depth -= 1,
                b'}' | b']' if depth == 1 => break,
                b'}' | b']' | b',' | b' ' | b'\n' | b'\t' | b'\r' if depth == 0 => {
                    self.at -= 1;
                    break;
                }
                _ => {}
            }
        }
        let value = self.bytes.get(start..self.at)?;
        (!value.is_empty()).then_some(value)
    }

    fn string(&mut self) {
        self.at += string_length(&self.bytes[self.at..]);
    }
}

/// How long the string is that begins there, its quotes included.
pub(super) fn string_length(bytes: &[u8]) -> usize {
    let mut at = 1;
    while let Some(rest) = bytes.get(at..) {
        // Most are short, and for those a call costs more than the search.
        let length = match plain_length(&rest[..rest.len().min(SHORT)]) {
            SHORT => memchr2(b'"', b'\\', rest).unwrap_or(rest.len()),
            length => length,
        };
        at += length;
        match bytes.get(at) {
            Some(b'"') => return at + 1,
            Some(b'\\') => at += 2,
            Some(_) => at += 1,
            None => break,
        }
    }
    bytes.len()
}

/// Bytes of a short string.
const SHORT: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_in_it_is_found_as_it_stands() {
        let json = br#" { "a" : [1 , {"b":"]\"}"} ] ,"\u0063":-1.5e3,"d":null , "e":"\\" }"#;
        let found: Vec<_> = members(json)
            .map(|(name, raw)| format!("{name}={}", String::from_utf8_lossy(raw)))
            .collect();
        assert_eq!(
            found,
            [
                r#"a=[1 , {"b":"]\"}"} ]"#,
                "c=-1.5e3",
                "d=null",
                r#"e="\\""#
            ]
        );
        let list: Vec<_> = elements(br#"[1 , {"b":"]\"}"} ,[]]"#).collect();
        assert_eq!(list, [&b"1"[..], br#"{"b":"]\"}"}"#, b"[]"]);
        for none in ["", " ", "[]", "{}", "[ ]", "{ }", "null", "\"{\""] {
            assert_eq!(members(none.as_bytes()).count(), 0, "{none}");
            assert_eq!(elements(none.as_bytes()).count(), 0, "{none}");
        }
    }

    #[test]
    fn damage_does_no_harm() {
        let json = br#"{"a":["b\"c",{"d":1}],"e":"f"}"#;
        for end in 0..json.len() {
            members(&json[..end]).for_each(|(_, raw)| {
                elements(raw).for_each(drop);
            });
        }
    }

    #[test]
    fn of_two_of_a_name_there_is_no_only_one() {
        assert_eq!(only(br#"{"a":1,"b":2}"#, &["b", "c"]), Some(&b"2"[..]));
        assert_eq!(only(br#"{"a":1,"\u0061":2}"#, &["a"]), None);
        assert_eq!(only(br#"{"a":1,"b":2}"#, &["a", "b"]), None);
    }
}
