//! A caller's text in a row.

use std::fmt;
use std::ops::Deref;

/// A text, in place if it is short.
///
/// Rows are written down by another thread than made them. What one thread allocates and another frees comes back to the
/// allocator cold, and is handed out again before what is warm: for three short texts a row that took as long as a quarter of
/// all the writing.
#[derive(Clone)]
pub struct Text(Inner);

#[derive(Clone)]
enum Inner {
    Short(u8, [u8; SHORT_MAX]),
    Long(Box<str>),
}

/// The longest short text, in bytes: an id that the gateway makes has 36.
const SHORT_MAX: usize = 38;

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        let mut bytes = [0; SHORT_MAX];
        match bytes.get_mut(..text.len()) {
            None => Self(Inner::Long(text.into())),
            Some(place) => {
                place.copy_from_slice(text.as_bytes());
                Self(Inner::Short(text.len() as u8, bytes))
            }
        }
    }
}

impl Deref for Text {
    type Target = str;

    fn deref(&self) -> &str {
        match &self.0 {
            Inner::Short(length, bytes) => {
                std::str::from_utf8(&bytes[..usize::from(*length)]).unwrap_or_default()
            }
            Inner::Long(text) => text,
        }
    }
}

impl Default for Text {
    fn default() -> Self {
        Self::from("")
    }
}

impl PartialEq for Text {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_says_what_it_was_made_of() {
        assert_eq!(&*Text::default(), "");
        for length in [1, SHORT_MAX - 1, SHORT_MAX, SHORT_MAX + 1, 4_096] {
            let text = "é".repeat(length) + "a";
            for text in [&text[..], &text[..text.len() / 4 * 2], &"a".repeat(length)] {
                assert_eq!(&*Text::from(text), text);
            }
        }
        assert!(size_of::<Text>() <= 40);
    }
}
