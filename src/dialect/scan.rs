//! One pass over a JSON object: is it valid, and where do its top-level values stand?
//!
//! The gateway acts on a few fields and passes every other byte on as it came, so a body is scanned, not modelled:
//! numbers keep their format, keys their order, strings their escapes. A full parser would lose all three, and
//! serde_json's own skipping checks neither depth nor repeated names.

mod glance;
mod scanner;
mod walk;

use std::borrow::Cow;
use std::ops::Range;

use memchr::memchr;
use scanner::Scanner;

pub use glance::Glance;
pub(in crate::dialect) use scanner::plain_length;
pub use walk::{elements, members, only, said};

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
    let members = Scanner::new(body).outermost()?;
    if let Some(repeated) = first_repeated(body, &members) {
        return Err(Fault::Repeated(repeated));
    }
    Ok(Object { body, members })
}

/// The first member of an object that is called `name`, found without looking at what follows it. For objects that are
/// known to be valid.
pub fn member<'a>(object: &'a [u8], name: &str) -> Option<&'a [u8]> {
    Scanner::new(object).find(name)
}

/// Adds to `out` what a string says. `raw` stands between the quotes of one that is known to be valid. Half a surrogate
/// pair becomes U+FFFD.
pub fn unescape(raw: &[u8], out: &mut String) {
    let mut rest = std::str::from_utf8(raw).unwrap_or_default();
    while let Some(at) = memchr(b'\\', rest.as_bytes()) {
        out.push_str(&rest[..at]);
        let escape = &rest[at + 1..];
        let (said, length) = match escape.as_bytes().first() {
            Some(b'u') => unescaped_unit(escape),
            Some(b'b') => ('\u{8}', 1),
            Some(b'f') => ('\u{c}', 1),
            Some(b'n') => ('\n', 1),
            Some(b'r') => ('\r', 1),
            Some(b't') => ('\t', 1),
            Some(byte) if byte.is_ascii() => (char::from(*byte), 1),
            _ => return,
        };
        out.push(said);
        rest = escape.get(length..).unwrap_or_default();
    }
    out.push_str(rest);
}

/// What `uXXXX` says, or a pair of them, and how long it is.
fn unescaped_unit(escape: &str) -> (char, usize) {
    let unit = |from: usize| u16::from_str_radix(escape.get(from..from + 4)?, 16).ok();
    let low = match escape.get(5..7) {
        Some("\\u") => unit(7),
        _ => None,
    };
    let units = [unit(1), low].into_iter().flatten();
    match char::decode_utf16(units).next() {
        Some(Ok(said)) => (said, if said.len_utf16() == 2 { 11 } else { 5 }),
        _ => (char::REPLACEMENT_CHARACTER, 5),
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

    /// Where the member `name` stands in the body: from the name's first quote to the end of the value.
    pub fn member_place(&self, name: &str) -> Option<Range<usize>> {
        let mut members = self.members.iter();
        let member = members.find(|member| member.is(name, self.body))?;
        Some(member.name.start - 1..member.value.end)
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

    /// Where its members stand, to be kept beside the body.
    pub fn into_members(self) -> Members {
        Members(self.members)
    }
}

/// Where the members of a valid object stand in it.
#[derive(Debug)]
pub struct Members(Vec<Member>);

impl Members {
    /// The members with their names, escapes resolved, and their values as they stand in `body`, which the object is.
    pub fn of<'a>(&'a self, body: &'a [u8]) -> impl Iterator<Item = (Cow<'a, str>, &'a [u8])> {
        let members = self.0.iter();
        members.map(|member| (member.name(body), &body[member.value.clone()]))
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

#[cfg(test)]
mod tests;
