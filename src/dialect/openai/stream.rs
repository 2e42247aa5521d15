//! Watching a stream go by: what it cost, whether it ended, and which chunk the caller did not ask for.

use std::sync::LazyLock;

use memchr::memmem::Finder;

use crate::dialect::{Usage, scan, sse};

/// Reads along while frames are forwarded. A chunk is scanned, never modelled.
#[derive(Debug)]
pub struct Watch {
    /// What the provider said that the stream cost.
    pub usage: Option<Usage>,
    /// Whether a finish reason has been seen: the answer is whole, though `[DONE]` may be missing.
    pub finished: bool,
    withhold_usage: bool,
}

/// What a frame means to whoever forwards it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// A comment or an empty event: nothing of the answer itself.
    Nothing,
    /// A part of the answer.
    Part,
    /// The usage that the gateway asked for and the caller did not.
    Withhold,
    /// `[DONE]`.
    Done,
    /// The provider's own error event, which ends the stream.
    Failed,
    /// Not a chunk at all.
    Malformed,
}

impl Watch {
    /// `withhold_usage`: the caller did not ask for the usage chunk.
    pub const fn new(withhold_usage: bool) -> Self {
        Self {
            usage: None,
            finished: false,
            withhold_usage,
        }
    }

    /// Looks at one frame.
    pub fn see(&mut self, frame: &[u8]) -> Seen {
        let mut lines = sse::data(frame);
        let Some(first) = lines.next() else {
            return Seen::Nothing;
        };
        let data = first.trim_ascii();
        if data == b"[DONE]" {
            return Seen::Done;
        }
        if sse::event(frame) == Some(b"error") {
            return Seen::Failed;
        }
        if data.is_empty() {
            return Seen::Nothing;
        }
        // A chunk in several data lines is legal, though nobody sends one: join them to read them.
        let rest: Vec<&[u8]> = lines.collect();
        match rest.is_empty() {
            true => self.read(data),
            false => self.read(&[&[data], &rest[..]].concat().join(&b'\n')),
        }
    }

    fn read(&mut self, data: &[u8]) -> Seen {
        let Ok(chunk) = scan::object(data) else {
            return Seen::Malformed;
        };
        let set = |name: &str| chunk.value(name).filter(|value| *value != b"null");
        let usage = set("usage");
        self.usage = usage.and_then(super::usage).or(self.usage);
        let choices = set("choices");
        self.finished |= choices.is_some_and(is_finished);
        let is_bare = choices.is_none_or(|list| list[1..].trim_ascii_start() == b"]");
        if set("error").is_some() && is_bare {
            return Seen::Failed;
        }
        match is_bare && usage.is_some() && self.withhold_usage {
            true => Seen::Withhold,
            false => Seen::Part,
        }
    }
}

/// Whether one of the choices has a finish reason. The quotes keep a model's own words out: inside a JSON string they
/// are escaped.
fn is_finished(choices: &[u8]) -> bool {
    static NAME: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(br#""finish_reason""#));
    NAME.find_iter(choices).any(|at| {
        let value = choices[at + NAME.needle().len()..].trim_ascii_start();
        value
            .strip_prefix(b":")
            .is_some_and(|value| !value.trim_ascii_start().starts_with(b"null"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn see(watch: &mut Watch, data: &str) -> Seen {
        watch.see(format!("data: {data}\n\n").as_bytes())
    }

    #[test]
    fn the_usage_chunk_is_withheld_only_from_who_did_not_ask() {
        let chunk = r#"{"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":2}}"#;
        for (withhold, seen) in [(true, Seen::Withhold), (false, Seen::Part)] {
            let mut watch = Watch::new(withhold);
            assert_eq!(see(&mut watch, chunk), seen);
            assert_eq!(watch.usage.map(|usage| usage.output_tokens), Some(2));
        }
    }

    #[test]
    fn usage_beside_a_choice_reaches_everybody() {
        let mut watch = Watch::new(true);
        let chunk = r#"{"choices":[{"finish_reason": "stop"}],"usage":{"prompt_tokens":1,"completion_tokens":2}}"#;
        assert_eq!(see(&mut watch, chunk), Seen::Part);
        assert!(watch.finished && watch.usage.is_some());
    }

    #[test]
    fn chunks_without_choices_or_usage_pass() {
        let mut watch = Watch::new(true);
        assert_eq!(
            see(&mut watch, r#"{"choices":[],"prompt_filter_results":[]}"#),
            Seen::Part
        );
        assert_eq!(
            see(&mut watch, r#"{"choices":[],"usage":null}"#),
            Seen::Part
        );
    }

    #[test]
    fn what_the_model_says_is_not_taken_for_the_wire() {
        let mut watch = Watch::new(true);
        let chunk = r#"{"choices":[{"delta":{"content":"\"finish_reason\": \"stop\", \"usage\": {}, \"error\": 1"},"finish_reason":null}]}"#;
        assert_eq!(see(&mut watch, chunk), Seen::Part);
        assert!(!watch.finished && watch.usage.is_none());
    }

    #[test]
    fn endings_are_told_apart() {
        let mut watch = Watch::new(true);
        assert_eq!(see(&mut watch, "[DONE]"), Seen::Done);
        assert_eq!(
            see(&mut watch, r#"{"error":{"message":"overloaded"}}"#),
            Seen::Failed
        );
        assert_eq!(
            watch.see(b"event: error\ndata: {\"error\":{}}\n\n"),
            Seen::Failed
        );
        assert_eq!(watch.see(b": ping\n\n"), Seen::Nothing);
        assert_eq!(see(&mut watch, "<html>"), Seen::Malformed);
        assert_eq!(
            watch.see(b"data: {\"choices\":\ndata: [],\"error\":{}}\n\n"),
            Seen::Failed
        );
    }
}
