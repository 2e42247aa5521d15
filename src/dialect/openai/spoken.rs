//! What the choices of a chunk say, found without reading them: one pass over text that is known to be valid JSON.
//!
//! A full reader would be an allocation a string and a microsecond a chunk; here each string is looked at where it
//! stands, and told by the names on the way to it.

use crate::dialect::common::SaidKind;
use crate::dialect::scan::plain_length;

/// What is told of a chunk's choices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spoken<'a> {
    /// A piece of text, thought, or a call's arguments, as it stands between its quotes; never empty.
    Piece(SaidKind, &'a [u8]),
    /// A call's name, and the call's id where one stands before it.
    Call { id: &'a [u8], name: &'a [u8] },
    /// A choice has a finish reason.
    Finish,
}

/// Names of members that tell what stands in them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Member {
    Other,
    Delta,
    Text,
    FinishReason,
    Content,
    Refusal,
    ReasoningContent,
    Reasoning,
    ReasoningDetails,
    Summary,
    Thinking,
    ToolCalls,
    FunctionCall,
    Id,
    Function,
    Custom,
    Name,
    Arguments,
    Input,
}

/// How deep the names go that tell something: `delta`, `content`, `thinking`, `text`, and the lists between them.
const LEVELS: usize = 8;

/// Goes over `choices` and tells what they say.
pub(super) fn each<'a>(choices: &'a [u8], mut tell: impl FnMut(Spoken<'a>)) {
    let mut walk = Walk::default();
    let mut at = 0;
    while let Some(byte) = choices.get(at) {
        at += 1;
        match byte {
            b'{' | b'[' => walk.open(),
            b'}' | b']' => walk.depth = walk.depth.saturating_sub(1),
            b'"' => {
                let end = string_end(choices, at);
                let string = &choices[at..end];
                at = end + 1;
                match value_start(choices, at) {
                    None => walk.value(string, &mut tell),
                    Some(value) => {
                        at = value;
                        walk.name(string);
                        let is_null = choices[at..].starts_with(b"n");
                        if walk.is_finish() && !is_null {
                            tell(Spoken::Finish);
                        }
                    }
                }
            }
            _ => {}
        }
    }
}

/// Where the string ends that begins at `at`: at its closing quote.
fn string_end(json: &[u8], mut at: usize) -> usize {
    loop {
        at += plain_length(&json[at..]);
        match json.get(at) {
            Some(b'\\') => at = (at + 2).min(json.len()),
            _ => return at.min(json.len()),
        }
    }
}

/// Where the value begins, if the string before `at` was a name.
fn value_start(json: &[u8], at: usize) -> Option<usize> {
    let skip = |mut at: usize| {
        while json.get(at).is_some_and(u8::is_ascii_whitespace) {
            at += 1;
        }
        at
    };
    let colon = skip(at);
    (json.get(colon) == Some(&b':')).then(|| skip(colon + 1))
}

/// Where the walk stands.
struct Walk<'a> {
    depth: usize,
    /// The name of the member at each depth.
    names: [Member; LEVELS],
    /// Which of a delta's members its thought is in: servers say it in several at once.
    thought: Option<Member>,
    /// The id of the call.
    id: &'a [u8],
}

impl Default for Walk<'_> {
    fn default() -> Self {
        Self {
            depth: 0,
            names: [Member::Other; LEVELS],
            thought: None,
            id: b"",
        }
    }
}

impl<'a> Walk<'a> {
    fn open(&mut self) {
        self.depth += 1;
        if let Some(name) = self.names.get_mut(self.depth) {
            *name = Member::Other;
        }
        match self.depth {
            3 => self.thought = None,
            5 => self.id = b"",
            _ => {}
        }
    }

    fn name(&mut self, name: &[u8]) {
        let is_told = self.depth == 2 || self.names[2] == Member::Delta;
        if let Some(place) = self.names.get_mut(self.depth).filter(|_| is_told) {
            *place = Member::of(name);
        }
    }

    fn is_finish(&self) -> bool {
        self.depth == 2 && self.names[2] == Member::FinishReason
    }

    /// A string that is no name.
    fn value(&mut self, string: &'a [u8], tell: &mut impl FnMut(Spoken<'a>)) {
        let is_told = self.depth == 2 || self.names[2] == Member::Delta;
        if string.is_empty() || !is_told || self.depth >= LEVELS {
            return;
        }
        let kind = match &self.names[2..=self.depth] {
            [Member::Text] | [_, Member::Content | Member::Refusal] => SaidKind::Text,
            [_, Member::Content, _, Member::Text | Member::Refusal] => SaidKind::Text,
            [_, Member::Content, _, Member::Thinking] => SaidKind::Thought,
            [_, Member::Content, _, Member::Thinking, _, Member::Text] => SaidKind::Thought,
            [_, field @ (Member::ReasoningContent | Member::Reasoning)]
            | [
                _,
                field @ Member::ReasoningDetails,
                _,
                Member::Text | Member::Summary,
            ] => {
                if *self.thought.get_or_insert(*field) != *field {
                    return;
                }
                SaidKind::Thought
            }
            [_, Member::ToolCalls, _, Member::Id] => {
                self.id = string;
                return;
            }
            [_, Member::FunctionCall, member]
            | [
                _,
                Member::ToolCalls,
                _,
                Member::Function | Member::Custom,
                member,
            ] => match member {
                Member::Name => {
                    let id = self.id;
                    return tell(Spoken::Call { id, name: string });
                }
                Member::Arguments | Member::Input => SaidKind::Call,
                _ => return,
            },
            _ => return,
        };
        tell(Spoken::Piece(kind, string));
    }
}

impl Member {
    fn of(name: &[u8]) -> Self {
        match name {
            b"delta" => Self::Delta,
            b"text" => Self::Text,
            b"finish_reason" => Self::FinishReason,
            b"content" => Self::Content,
            b"refusal" => Self::Refusal,
            b"reasoning_content" => Self::ReasoningContent,
            b"reasoning" => Self::Reasoning,
            b"reasoning_details" => Self::ReasoningDetails,
            b"summary" => Self::Summary,
            b"thinking" => Self::Thinking,
            b"tool_calls" => Self::ToolCalls,
            b"function_call" => Self::FunctionCall,
            b"id" => Self::Id,
            b"function" => Self::Function,
            b"custom" => Self::Custom,
            b"name" => Self::Name,
            b"arguments" => Self::Arguments,
            b"input" => Self::Input,
            _ => Self::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::common::{Context, ReadStream, Said};
    use crate::dialect::{chat, openai, scan};

    fn told(choices: &str) -> Vec<String> {
        let mut all = Vec::new();
        let text = |raw| std::str::from_utf8(raw).unwrap();
        each(choices.as_bytes(), |spoken| {
            all.push(match spoken {
                Spoken::Piece(kind, raw) => format!("{kind:?} {}", text(raw)),
                Spoken::Call { id, name } => format!("call {} {}", text(id), text(name)),
                Spoken::Finish => "finish".to_owned(),
            });
        });
        all
    }

    #[test]
    fn strings_are_told_by_the_names_on_the_way_to_them() {
        for (choices, expected) in [
            (
                r#"[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}]"#,
                &[][..],
            ),
            (
                r#"[ { "delta" : { "content" : "a\"b" } , "finish_reason" : "stop" } ]"#,
                &[r#"Text a\"b"#, "finish"],
            ),
            (
                r#"[{"delta":{"content":"a\\"}},{"delta":{"refusal":"b"}}]"#,
                &[r"Text a\\", "Text b"],
            ),
            (
                r#"[{"text":"a","index":0,"logprobs":{"text":"no"}}]"#,
                &["Text a"],
            ),
            (
                r#"[{"delta":{"reasoning":"a","reasoning_content":"a","content":"b"}}]"#,
                &["Thought a", "Text b"],
            ),
            (
                r#"[{"delta":{"reasoning":"a","reasoning_details":[{"text":"a"}]}},{"delta":{"reasoning_details":[{"type":"x","text":"b"},{"summary":"c"}]}}]"#,
                &["Thought a", "Thought b", "Thought c"],
            ),
            (
                r#"[{"delta":{"content":[{"type":"thinking","thinking":[{"type":"text","text":"a"}]},{"type":"text","text":"b"}]}}]"#,
                &["Thought a", "Text b"],
            ),
            (
                r#"[{"delta":{"tool_calls":[{"id":"c1","function":{"name":"f","arguments":"{"}},{"function":{"name":"g"}},{"id":"c3","custom":{"name":"h","input":"i"}}]}}]"#,
                &["call c1 f", "Call {", "call  g", "call c3 h", "Call i"],
            ),
            (
                r#"[{"delta":{"function_call":{"name":"f","arguments":"{}"}}}]"#,
                &["call  f", "Call {}"],
            ),
            (
                r#"[{"delta":{"annotations":[{"url_citation":{"content":"no","text":"no"}}],"audio":{"data":"no","transcript":"no"},"images":[{"text":"no"}]},"logprobs":{"content":[{"token":"no","text":"no"}],"refusal":["no"]},"message":{"content":"no"}}]"#,
                &[],
            ),
            (r#"[{"delta":"content"},{"delta":{"content":null}}]"#, &[]),
            (
                r#"[{"finish_reason":"a","delta":{"finish_reason":"no"}}]"#,
                &["finish"],
            ),
            ("[]", &[]),
            ("7", &[]),
            (r#""text""#, &[]),
            (r#"{"text":"no","delta":{"content":"no"}}"#, &[]),
        ] {
            assert_eq!(told(choices), expected, "{choices}");
        }
    }

    #[test]
    fn nesting_of_any_depth_is_passed_over() {
        let deep = format!(
            r#"[{{"delta":{{"content":{}{{"text":"no"}}{},"refusal":"a"}}}}]"#,
            "[".repeat(100),
            "]".repeat(100)
        );
        assert_eq!(told(&deep), ["Text a"]);
        for cut in 0..deep.len() {
            told(&deep[..cut]);
        }
    }

    #[test]
    fn a_call_whose_name_is_repeated_is_one() {
        let mut watch = openai::Watch::new(true, Some(1));
        let mut see = |call: &str| {
            let frame = format!(r#"data: {{"choices":[{{"delta":{{"tool_calls":[{call}]}}}}]}}"#);
            watch.see(format!("{frame}\n\n").as_bytes());
        };
        see(r#"{"index":0,"id":"a","function":{"name":"f","arguments":"{"}}"#);
        see(r#"{"index":0,"id":"a","function":{"name":"f","arguments":"}"}}"#);
        see(r#"{"index":1,"id":"b","function":{"name":"f","arguments":"{}"}}"#);
        assert_eq!(watch.said.call_count, 2);
        assert_eq!(watch.said.calls.text(), "f{}f{}");
    }

    /// Run with `cargo test --release --lib -- --ignored --nocapture listening_to_a_chunk`.
    #[test]
    #[ignore = "prints a time"]
    fn what_listening_to_a_chunk_costs() {
        const ROUNDS: u32 = 1_000_000;
        let chunk = br#"{"id":"chatcmpl-B5t0000000000000000000000","object":"chat.completion.chunk","created":1700000000,"model":"gpt-4o-2024-08-06","service_tier":"default","system_fingerprint":"fp_eb9dce56a8","choices":[{"index":0,"delta":{"content":" there"},"logprobs":null,"finish_reason":null}],"usage":null}"#;
        let object = scan::object(chunk).unwrap();
        let choices = object.value("choices").unwrap();
        let time = |what: &str, work: &mut dyn FnMut()| {
            let started = std::time::Instant::now();
            (0..ROUNDS).for_each(|_| work());
            println!(
                "{what}: {} ns",
                started.elapsed().as_nanos() / u128::from(ROUNDS)
            );
        };
        let mut said = Said::default();
        time("listening", &mut || {
            if said.text.text().len() > 4_000 {
                said = Said::default();
            }
            each(std::hint::black_box(choices), |spoken| {
                if let Spoken::Piece(kind, raw) = spoken {
                    said.push_json(kind, raw);
                }
            });
        });
        time("scanning", &mut || {
            std::hint::black_box(scan::object(std::hint::black_box(chunk)).is_ok());
        });
        let frame = [b"data: ", &chunk[..], b"\n\n"].concat();
        let mut watch = openai::Watch::new(true, Some(1));
        time("watching", &mut || {
            watch.see(std::hint::black_box(&frame));
        });
        let mut reader = chat::Reader::new(&Context::default());
        let mut deltas = Vec::new();
        time("reading", &mut || {
            reader
                .read(std::hint::black_box(&frame), &mut deltas)
                .unwrap();
            deltas.clear();
        });
    }
}
