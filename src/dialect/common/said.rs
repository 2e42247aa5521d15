//! What an answer has said so far, kept to be counted where its provider tells no usage.

use super::answer::Answer;
use super::delta::Delta;
use super::request::{Content, Part};
use crate::dialect::scan;

/// How much is kept of one answer, in bytes. Most answers are far shorter, and what is beyond is like what was kept.
pub const KEPT_MAX: usize = 64 * 1024;

/// What the model has said, over all choices, by kind. It grows with the answer: an answer of a few words costs its few
/// words. Sources, seals, log-probabilities, sound, and the words of the provider's own tools are not in it.
///
/// Where several choices are streamed at once, their words are kept in the order in which they came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Said {
    /// Text, and refusals.
    pub text: Kept,
    /// Thoughts, as far as the provider shows them.
    pub thoughts: Kept,
    /// Names and arguments of tool calls.
    pub calls: Kept,
    /// How many tools were called.
    pub call_count: u64,
    /// How many parts there were that only one dialect knows: calls of the provider's own tools, and their results.
    pub opaque_count: u64,
    /// How many pictures were made.
    pub image_count: u64,
}

/// A text of which no more than the beginning is kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    text: String,
    further_bytes: u64,
}

/// The kinds of text that are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Text, and refusals.
    Text,
    /// A thought.
    Thought,
    /// A call's name or its arguments.
    Call,
}

impl Said {
    /// Nothing yet.
    pub const EMPTY: Self = Self {
        text: Kept::EMPTY,
        thoughts: Kept::EMPTY,
        calls: Kept::EMPTY,
        call_count: 0,
        opaque_count: 0,
        image_count: 0,
    };

    /// What a whole answer says.
    pub fn of(answer: &Answer) -> Self {
        let mut said = Self::EMPTY;
        let choices = answer.choices.iter();
        choices
            .flat_map(|choice| &choice.parts)
            .for_each(|part| said.add_part(part));
        said
    }

    /// Adds a piece of a stream.
    pub fn add(&mut self, delta: &Delta) {
        match delta {
            Delta::Text { text, .. } | Delta::Refusal { text, .. } => self.push(Kind::Text, text),
            Delta::Thinking { text, .. } => self.push(Kind::Thought, text),
            Delta::ToolCall { name, .. } => {
                self.call_count += 1;
                self.push(Kind::Call, name);
            }
            Delta::Arguments { json, .. } => self.push(Kind::Call, json),
            Delta::Opaque { .. } => self.opaque_count += 1,
            Delta::Image { .. } => self.image_count += 1,
            _ => {}
        }
    }

    fn add_part(&mut self, part: &Part) {
        match &part.content {
            Content::Text { text, .. } | Content::Refusal(text) => self.push(Kind::Text, text),
            Content::Thinking(thinking) => self.push(Kind::Thought, &thinking.text),
            Content::ToolCall {
                name, arguments, ..
            } => {
                self.call_count += 1;
                self.push(Kind::Call, name);
                self.push(Kind::Call, arguments);
            }
            Content::Opaque { .. } => self.opaque_count += 1,
            Content::Image { .. } => self.image_count += 1,
            _ => {}
        }
    }

    /// Adds a text.
    pub fn push(&mut self, kind: Kind, text: &str) {
        let room = self.room();
        let fits = (0..=room.min(text.len()))
            .rev()
            .find(|end| text.is_char_boundary(*end))
            .unwrap_or(0);
        let kept = self.kept(kind);
        // What is kept is a beginning: nothing is added behind a gap.
        let fits = if kept.further_bytes == 0 { fits } else { 0 };
        kept.text.push_str(&text[..fits]);
        kept.further_bytes += (text.len() - fits) as u64;
    }

    /// Adds a text as it stands between the quotes of valid JSON.
    pub fn push_json(&mut self, kind: Kind, raw: &[u8]) {
        if memchr::memchr(b'\\', raw).is_none() {
            return self.push(kind, std::str::from_utf8(raw).unwrap_or_default());
        }
        // Without its escapes it is no longer.
        if raw.len() <= self.room() && self.kept(kind).further_bytes == 0 {
            return scan::unescape(raw, &mut self.kept(kind).text);
        }
        let mut text = String::new();
        scan::unescape(raw, &mut text);
        self.push(kind, &text);
    }

    /// Whether nothing has been said.
    pub fn is_empty(&self) -> bool {
        *self == Self::EMPTY
    }

    /// How many bytes of text it has.
    pub fn bytes(&self) -> u64 {
        let bytes = |kept: &Kept| kept.text.len() as u64 + kept.further_bytes;
        self.kinds().into_iter().map(bytes).sum()
    }

    /// The kinds of text.
    pub const fn kinds(&self) -> [&Kept; 3] {
        [&self.text, &self.thoughts, &self.calls]
    }

    fn room(&self) -> usize {
        let kept: usize = self.kinds().iter().map(|kept| kept.text.len()).sum();
        KEPT_MAX.saturating_sub(kept)
    }

    const fn kept(&mut self, kind: Kind) -> &mut Kept {
        match kind {
            Kind::Text => &mut self.text,
            Kind::Thought => &mut self.thoughts,
            Kind::Call => &mut self.calls,
        }
    }
}

impl Kept {
    const EMPTY: Self = Self {
        text: String::new(),
        further_bytes: 0,
    };

    /// The beginning.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// How many bytes came behind it.
    pub const fn further_bytes(&self) -> u64 {
        self.further_bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::Dialect;

    #[test]
    fn kinds_are_kept_apart() {
        let chat = br#"{"choices":[
            {"index":0,"message":{"content":"a","reasoning_content":"b","tool_calls":[
                {"id":"c","type":"function","function":{"name":"d","arguments":"{}"}}]}},
            {"index":1,"message":{"content":"e","refusal":"f"}}]}"#;
        let said = Dialect::Chat.said(chat);
        assert_eq!(said.kinds().map(Kept::text), ["aef", "b", "d{}"]);
        assert_eq!((said.call_count, said.image_count), (1, 0));
        assert!(Dialect::Chat.said(b"{}").is_empty());
    }

    #[test]
    fn no_more_than_the_bound_is_kept() {
        let mut said = Said::default();
        said.push(Kind::Thought, "ab");
        let long = "\u{e9}".repeat(KEPT_MAX / 2);
        said.push(Kind::Text, &long[2..]);
        said.push(Kind::Text, "\u{e9}");
        said.push_json(Kind::Call, br"\u00e9");
        said.push(Kind::Thought, "cd");
        assert_eq!(said.text.text(), &long[2..]);
        assert_eq!(said.thoughts.text(), "ab");
        let further = said.kinds().map(Kept::further_bytes);
        assert_eq!(further, [2, 2, 2]);

        let mut whole = Said::default();
        whole.push_json(Kind::Text, [long.as_bytes(), br"\n"].concat().as_slice());
        assert_eq!(whole.text.text(), long);
        assert_eq!(whole.text.further_bytes(), 1);
        assert!(whole.text.text.capacity() <= 2 * KEPT_MAX);
    }

    #[test]
    fn nothing_is_added_behind_a_gap() {
        let mut said = Said::default();
        said.push(Kind::Text, &"a".repeat(KEPT_MAX - 1));
        said.push(Kind::Text, "\u{e9}");
        for further in ["b", r"\n"] {
            said.push_json(Kind::Text, further.as_bytes());
        }
        assert_eq!(said.text.text().len(), KEPT_MAX - 1);
        assert_eq!(said.text.further_bytes(), 4);
    }
}
