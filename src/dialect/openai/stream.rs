//! Watching a stream go by: what it says and costs, whether it ended, and which chunk the caller did not ask for.

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hasher};

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use super::spoken::{self, Spoken};
use crate::dialect::common::{Said, SaidKind};
use crate::dialect::{Tier, Usage, chat, scan, sse};

/// Reads along while frames are forwarded. A chunk is scanned, never modelled.
#[derive(Debug)]
pub struct Watch {
    /// What the provider said that the stream cost.
    pub usage: Option<Usage>,
    /// The tier that served it, as it was said beside that.
    pub tier: Tier,
    /// What it has said.
    pub said: Said,
    /// The call that was begun last, by a digest of its id.
    call: Option<u64>,
    withhold_usage: bool,
    /// How many choices there must be; None where the request does not tell.
    choices: Option<u64>,
    /// The indexes of those that have said why they finished.
    finished: BTreeSet<u64>,
}

/// The most choices whose ends are remembered; OpenAI takes `n` up to 128.
const CHOICES_MAX: usize = 1024;

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
    /// `withhold_usage`: the caller did not ask for the usage chunk. `choices`: how many the caller asked for, if that
    /// is known.
    pub const fn new(withhold_usage: bool, choices: Option<u64>) -> Self {
        Self {
            usage: None,
            tier: Tier::Standard,
            said: Said::EMPTY,
            call: None,
            withhold_usage,
            choices,
            finished: BTreeSet::new(),
        }
    }

    /// Whether every choice has said why it finished: the answer is whole, though `[DONE]` may be missing.
    pub fn is_whole(&self) -> bool {
        let finished = self.finished.len() as u64;
        self.choices.is_some_and(|choices| finished >= choices)
    }

    /// Looks at one frame.
    pub fn see(&mut self, frame: &[u8]) -> Seen {
        let Some(data) = sse::joined(frame) else {
            return Seen::Nothing;
        };
        let data = data.as_ref();
        if data == b"[DONE]" {
            return Seen::Done;
        }
        if sse::event(frame) == Some(b"error") {
            return Seen::Failed;
        }
        if data.is_empty() {
            return Seen::Nothing;
        }
        self.read(data)
    }

    fn read(&mut self, data: &[u8]) -> Seen {
        let Ok(chunk) = scan::object(data) else {
            return Seen::Malformed;
        };
        let set = |name: &str| chunk.value(name).filter(|value| *value != b"null");
        let usage = set("usage");
        // Groq's streams tell it in a place of their own.
        let told = usage.or_else(|| scan::member(set("x_groq")?, "usage"));
        if let Some(usage) = told.and_then(chat::read_usage) {
            self.usage = Some(usage);
            self.tier = chunk.value("service_tier").map_or(self.tier, Tier::written);
        }
        let choices = set("choices");
        if let Some(choices) = choices.filter(|choices| self.listen(choices)) {
            self.finish(choices, told.is_none());
        }
        let is_bare = choices.is_none_or(|list| list[1..].trim_ascii_start() == b"]");
        if set("error").is_some() && is_bare {
            return Seen::Failed;
        }
        match is_bare && usage.is_some() && self.withhold_usage {
            true => Seen::Withhold,
            false => Seen::Part,
        }
    }

    /// Keeps what the choices say. Returns whether one of them seems to have a finish reason, which spares most chunks
    /// a closer look.
    fn listen(&mut self, choices: &[u8]) -> bool {
        let mut may_finish = false;
        spoken::each(choices, |spoken| match spoken {
            Spoken::Piece(kind, raw) => self.said.push_json(kind, raw),
            Spoken::Finish => may_finish = true,
            Spoken::Call { id, name } => {
                // Some servers repeat id and name with every piece of a call.
                let call = (!id.is_empty()).then(|| digest(id));
                if call.is_none() || call != self.call {
                    self.call = call;
                    self.said.call_count += 1;
                    self.said.push_json(SaidKind::Call, name);
                }
            }
        });
        may_finish
    }

    /// Notes which of the choices have a finish reason, and what one of them says that the stream cost, if that
    /// `is_needed`: Moonshot's streams tell it there.
    fn finish(&mut self, choices: &[u8], is_needed: bool) {
        #[derive(Deserialize)]
        struct Choice<'a> {
            #[serde(default)]
            index: u64,
            finish_reason: Option<IgnoredAny>,
            #[serde(borrow)]
            usage: Option<&'a RawValue>,
        }
        let choices: Vec<Choice<'_>> = serde_json::from_slice(choices).unwrap_or_default();
        let usage = choices.iter().find_map(|choice| choice.usage);
        if let Some(usage) = usage.filter(|_| is_needed) {
            self.usage = chat::read_usage(usage.get().as_bytes()).or(self.usage);
        }
        let finished = choices
            .into_iter()
            .filter(|choice| choice.finish_reason.is_some());
        let room = CHOICES_MAX.saturating_sub(self.finished.len());
        self.finished
            .extend(finished.map(|choice| choice.index).take(room));
    }
}

fn digest(id: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(id);
    hasher.finish()
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
            let mut watch = Watch::new(withhold, Some(1));
            assert_eq!(see(&mut watch, chunk), seen);
            assert_eq!(watch.usage.map(|usage| usage.output_tokens), Some(2));
        }
    }

    #[test]
    fn usage_beside_a_choice_reaches_everybody() {
        let mut watch = Watch::new(true, Some(1));
        let chunk = r#"{"choices":[{"finish_reason": "stop"}],"usage":{"prompt_tokens":1,"completion_tokens":2}}"#;
        assert_eq!(see(&mut watch, chunk), Seen::Part);
        assert!(watch.is_whole() && watch.usage.is_some());
    }

    #[test]
    fn usage_is_found_where_servers_put_it() {
        for chunk in [
            r#"{"choices":[],"x_groq":{"id":"req","usage":{"prompt_tokens":1,"completion_tokens":2}}}"#,
            r#"{"choices":[{"finish_reason":"stop","usage":{"prompt_tokens":1,"completion_tokens":2}}]}"#,
            r#"{"choices":[{"finish_reason":"stop","usage":{"prompt_tokens":7}}],"usage":{"prompt_tokens":1,"completion_tokens":2}}"#,
        ] {
            let mut watch = Watch::new(false, Some(1));
            assert_eq!(see(&mut watch, chunk), Seen::Part);
            let parts = watch
                .usage
                .map(|usage| (usage.input_tokens, usage.output_tokens));
            assert_eq!(parts, Some((1, 2)), "{chunk}");
        }
    }

    #[test]
    fn chunks_without_choices_or_usage_pass() {
        let mut watch = Watch::new(true, Some(1));
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
        let mut watch = Watch::new(true, Some(1));
        let chunk = r#"{"choices":[{"delta":{"content":"\"finish_reason\": \"stop\", \"usage\": {}, \"error\": 1"},"finish_reason":null}]}"#;
        assert_eq!(see(&mut watch, chunk), Seen::Part);
        assert!(!watch.is_whole() && watch.usage.is_none());
    }

    #[test]
    fn endings_are_told_apart() {
        let mut watch = Watch::new(true, Some(1));
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

    #[test]
    fn an_answer_is_whole_when_every_choice_is() {
        let mut watch = Watch::new(true, Some(2));
        let end = |index| format!(r#"{{"choices":[{{"index":{index},"finish_reason":"stop"}}]}}"#);
        see(&mut watch, &end(0));
        see(&mut watch, &end(0));
        assert!(!watch.is_whole(), "the second choice is missing");
        see(
            &mut watch,
            r#"{"choices":[{"index":1,"finish_reason":null}]}"#,
        );
        assert!(!watch.is_whole());
        see(&mut watch, &end(1));
        assert!(watch.is_whole());

        let mut unknown = Watch::new(true, None);
        see(&mut unknown, &end(0));
        assert!(!unknown.is_whole(), "only `[DONE]` tells");
    }
}
