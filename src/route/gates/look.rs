//! What gates look at of a choice.

use std::borrow::Cow;

use crate::dialect::common::{Choice, Content};

/// The most of a text that is looked at, in bytes: longer than nearly every answer, and judged within milliseconds.
pub const TEXT_MAX: usize = 256 << 10;

/// The most of a text's end that is looked at for loops, in bytes.
const END_MAX: usize = 16 << 10;

/// A choice, its texts put together.
pub(super) struct Look<'a> {
    pub choice: &'a Choice,
    /// What the caller reads, up to [`TEXT_MAX`].
    pub text: Cow<'a, str>,
    /// Whether there is more of it.
    pub is_cut: bool,
    /// Each call's name and arguments.
    pub calls: Vec<(&'a str, &'a str)>,
    /// Where the text ends, if that is beyond what is looked at.
    end: Option<String>,
}

impl<'a> Look<'a> {
    pub fn at(choice: &'a Choice) -> Self {
        let mut calls = Vec::new();
        let mut texts = Vec::new();
        for part in &choice.parts {
            match &part.content {
                Content::Text { text, .. } => texts.push(text.as_str()),
                Content::ToolCall {
                    name, arguments, ..
                } => calls.push((name.as_str(), arguments.as_str())),
                _ => {}
            }
        }
        let bytes: usize = texts.iter().map(|text| text.len()).sum();
        let is_cut = bytes > TEXT_MAX;
        Self {
            choice,
            text: joined(&texts),
            is_cut,
            calls,
            end: is_cut.then(|| end_of(&texts)),
        }
    }

    /// What an answer without choices says.
    pub fn nothing() -> Self {
        static NOTHING: Choice = Choice {
            parts: Vec::new(),
            finish: None,
            logprobs: Vec::new(),
        };
        Self::at(&NOTHING)
    }

    /// The last of the text, at most 16 KiB of it.
    pub fn end(&self) -> &str {
        let text = self.end.as_deref().unwrap_or(&self.text);
        last(text, END_MAX)
    }

    /// Whether there is nothing but thoughts and blanks. What only one dialect knows is something.
    pub fn is_empty(&self) -> bool {
        let mut contents = self.choice.parts.iter().map(|part| &part.content);
        contents.all(|content| match content {
            Content::Text { text, .. } => text.trim().is_empty(),
            Content::Thinking(_) => true,
            _ => false,
        })
    }

    /// Whether tools are called and nothing is said.
    pub fn only_calls(&self) -> bool {
        !self.calls.is_empty() && self.text.trim().is_empty()
    }

    /// Whether the text has so many characters, blanks around it not counted, or there is none because tools are called.
    pub fn has_chars(&self, chars: u32) -> bool {
        let mut text = self.text.trim().chars();
        !self.calls.is_empty() || chars == 0 || text.nth(chars as usize - 1).is_some()
    }
}

/// The first `most` bytes, or a little less where that would split a character.
pub(super) fn first(text: &str, most: usize) -> &str {
    let mut end = most.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// The last `most` bytes, or a little less.
pub(super) fn last(text: &str, most: usize) -> &str {
    let mut start = text.len().saturating_sub(most);
    while !text.is_char_boundary(start) {
        start += 1;
    }
    &text[start..]
}

fn joined<'a>(texts: &[&'a str]) -> Cow<'a, str> {
    if let [text] = texts {
        return Cow::Borrowed(first(text, TEXT_MAX));
    }
    let mut joined = String::new();
    for text in texts {
        joined.push_str(first(text, TEXT_MAX - joined.len()));
    }
    Cow::Owned(joined)
}

fn end_of(texts: &[&str]) -> String {
    let mut pieces = Vec::new();
    let mut bytes = 0;
    for text in texts.iter().rev() {
        let piece = last(text, END_MAX - bytes);
        bytes += piece.len();
        pieces.push(piece);
    }
    pieces.reverse();
    pieces.concat()
}
