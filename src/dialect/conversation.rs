//! What is the same in all requests of a conversation.

use super::Incoming;
use super::fnv::Fnv;
use super::scan::{elements, members, only, said};

/// How many bytes of a conversation's beginning tell it from others.
const TOLD_MAX: usize = 64 * 1024;

/// Names of what stands before all turns.
const BEFORE: [&str; 4] = [
    "system",
    "instructions",
    "systemInstruction",
    "system_instruction",
];

/// Names of the turns, or of a prompt that is no conversation.
const TURNS: [&str; 5] = ["messages", "input", "contents", "prompt", "message"];

/// Members that come and go while what they mark stays the same.
const MARKS: [&str; 2] = ["cache_control", "cachePoint"];

/// A hash of what has been told.
struct Told {
    hash: Fnv,
    room: usize,
}

impl Incoming {
    /// A hash of what all requests of a conversation begin with: the system's words and the turns up to the user's first. Where
    /// the caller names a cache (OpenAI's `prompt_cache_key`), of that alone. The same in every process.
    pub fn conversation(&self) -> u64 {
        let mut told = Told {
            hash: Fnv::new(),
            room: TOLD_MAX,
        };
        let all = || self.members();
        if let Some((_, key)) = all().find(|(name, _)| name == "prompt_cache_key") {
            told.add(key);
            return told.hash.value();
        }
        let named =
            |names: &'static [&str]| all().filter(move |(name, _)| names.contains(&&**name));
        named(&BEFORE).for_each(|(_, value)| told.tell(value));
        for (_, turns) in named(&TURNS) {
            if !turns.starts_with(b"[") {
                told.tell(turns);
                continue;
            }
            for turn in elements(turns) {
                told.tell(turn);
                if only(turn, &["role"]).is_some_and(|role| said(role) == "user") {
                    break;
                }
            }
        }
        told.hash.value()
    }
}

impl Told {
    /// Adds every scalar of a value, but for those of marks.
    fn tell(&mut self, value: &[u8]) {
        if self.room == 0 {
            return;
        }
        match value.first() {
            Some(b'{') => {
                let told = members(value).filter(|(name, _)| !MARKS.contains(&&**name));
                told.for_each(|(_, value)| self.tell(value));
            }
            Some(b'[') => elements(value).for_each(|value| self.tell(value)),
            _ => self.add(value),
        }
    }

    fn add(&mut self, scalar: &[u8]) {
        let kept = &scalar[..scalar.len().min(self.room)];
        self.room -= kept.len();
        self.hash.add(kept);
        self.hash.add(&[0]);
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::dialect::{Dialect, Operation, PathFacts};

    fn conversation(dialect: Dialect, body: &str) -> u64 {
        let path = PathFacts {
            model: (dialect == Dialect::Gemini).then(|| "m".to_owned()),
            ..PathFacts::default()
        };
        let body = Bytes::copy_from_slice(body.as_bytes());
        Incoming::read(Operation::Generate(dialect), body, path)
            .unwrap()
            .conversation()
    }

    #[test]
    fn later_turns_are_of_the_same_conversation_and_other_beginnings_of_others() {
        let chat = |rest: &str| {
            let body =
                format!(r#"{{"model":"m","messages":[{{"role":"system","content":"s"}},{rest}]}}"#);
            conversation(Dialect::Chat, &body)
        };
        let first = chat(r#"{"role":"user","content":"one"}"#);
        let later = r#"{"role":"user","content":"one"},{"role":"assistant","content":"a"},{"role":"user","content":"two"}"#;
        assert_eq!(first, chat(later));
        assert_ne!(first, chat(r#"{"role":"user","content":"two"}"#));

        let anthropic = |first: &str, rest: &str| {
            let body = format!(
                r#"{{"model":"m","max_tokens":9,"system":"s","messages":[{{"role":"user","content":[{{"type":"text","text":"one"{first}}}]}}{rest}]}}"#
            );
            conversation(Dialect::Anthropic, &body)
        };
        let marked = anthropic(r#","cache_control":{"type":"ephemeral"}"#, "");
        assert_eq!(
            marked,
            anthropic("", r#",{"role":"assistant","content":"a"}"#)
        );

        let gemini = |text: &str| {
            let body =
                format!(r#"{{"contents":[{{"role":"user","parts":[{{"text":"{text}"}}]}}]}}"#);
            conversation(Dialect::Gemini, &body)
        };
        assert_ne!(gemini("a"), gemini("b"));
    }

    #[test]
    fn a_named_cache_is_what_counts() {
        let body = |key: &str, text: &str| {
            let body = format!(r#"{{"model":"m","input":"{text}","prompt_cache_key":"{key}"}}"#);
            conversation(Dialect::Responses, &body)
        };
        assert_eq!(body("k", "one"), body("k", "two"));
        assert_ne!(body("k", "one"), body("l", "one"));
    }
}
