//! Looking whether JSON that is known to be valid is exactly of a form, one token after the other: faster than to go through it.

use memchr::memchr2;

/// What is still to be looked at.
pub struct Glance<'a>(pub &'a [u8]);

impl Glance<'_> {
    /// Whether that token stands before us, and past it and the space before it.
    pub fn sees<const N: usize>(&mut self, token: &[u8; N]) -> bool {
        let after = self.0.trim_ascii_start().strip_prefix(token);
        if let Some(after) = after {
            self.0 = after;
        }
        after.is_some()
    }

    /// Whether a text stands before us, and past it.
    pub fn passes_text(&mut self) -> bool {
        if !self.sees(b"\"") {
            return false;
        }
        while let Some(at) = memchr2(b'"', b'\\', self.0) {
            let is_end = self.0[at] == b'"';
            // Whatever is escaped is one byte, or more that are none of the two.
            let past = if is_end { at + 1 } else { at + 2 };
            self.0 = self.0.get(past..).unwrap_or_default();
            if is_end {
                return true;
            }
        }
        false
    }
}
