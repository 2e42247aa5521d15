//! The text of a file by its lines.

/// A line of the source, and how many characters stand before it.
pub(super) struct Line<'s> {
    pub text: &'s str,
    pub start: usize,
}

impl<'s> Line<'s> {
    /// The lines as YAML counts them: each of CR LF, CR and LF ends one.
    pub fn all(source: &'s str) -> Vec<Self> {
        let mut lines = Vec::new();
        let (mut rest, mut start) = (source, 0);
        while let Some(end) = rest.find(['\r', '\n']) {
            let (text, tail) = rest.split_at(end);
            let ending = if tail.starts_with("\r\n") { 2 } else { 1 };
            lines.push(Self { text, start });
            start += text.chars().count() + ending;
            rest = &tail[ending..];
        }
        lines.push(Self { text: rest, start });
        lines
    }
}
