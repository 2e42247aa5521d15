//! Looking whether JSON that is known to be valid is exactly of a form, one token after the other: faster than to go through it.

use super::walk::string_length;

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
        let text = self.0.trim_ascii_start();
        let is_text = text.starts_with(b"\"");
        if is_text {
            self.0 = &text[string_length(text)..];
        }
        is_text
    }
}
