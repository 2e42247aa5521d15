//! A conversation that goes on begins with the same bytes, or a provider's cache is of no use.

use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::value::RawValue;

use super::arbitrary::{self, Palette};
use super::{TARGETS, Target, recordings, tries};
use crate::dialect::common::{Content, Feature, Part, Request, Role, Turn};
use crate::dialect::{Dialect, scan};

/// Targets whose prompts are marked for a cache where the caller does not.
fn targets() -> impl Strategy<Value = Target> {
    (prop::sample::select(TARGETS), any::<bool>(), any::<bool>()).prop_map(
        |(target, auto_cache, is_vertex)| Target {
            auto_cache,
            is_vertex: target.is_vertex || (is_vertex && target.dialect == Dialect::Anthropic),
            ..target
        },
    )
}

proptest! {
    #![proptest_config(tries(300))]

    #[test]
    fn the_same_request_is_the_same_bytes(
        target in targets(),
        request in arbitrary::requests(arbitrary::dialects(), &Palette::whole()),
    ) {
        // Hash maps are seeded anew in each thread.
        let (copy, target_there) = (request.clone(), target);
        let there = std::thread::spawn(move || target_there.write(&copy));
        let here = target.write(&request);
        prop_assert_eq!(here, there.join().unwrap());
    }

    #[test]
    fn a_longer_conversation_begins_with_the_same_bytes(
        target in targets(),
        request in arbitrary::requests(arbitrary::dialects(), &growing()),
        cut in any::<Index>(),
    ) {
        let turns = 1 + cut.index(request.turns.len().max(2) - 1);
        check_prefix(&target, request, turns).map_err(TestCaseError::fail)?;
    }
}

#[test]
fn a_longer_recorded_conversation_begins_with_the_same_bytes() {
    for (dialect, recorded) in recordings() {
        let body = recorded.request.to_string();
        let Ok(request) = dialect.read_request(body.as_bytes(), "m", false) else {
            continue;
        };
        for target in TARGETS {
            for turns in 1..request.turns.len() {
                if let Err(difference) = check_prefix(target, request.clone(), turns) {
                    panic!("{} {target:?} {turns}: {difference}", recorded.provider);
                }
            }
        }
    }
}

/// All but the caller's own cache marks: of more than four the target is sent the last ones, which move along.
fn growing() -> Palette {
    let features = Feature::ALL.iter().copied();
    let mut palette = Palette::of(features.filter(|feature| *feature != Feature::CacheControl));
    palette.has_own = true;
    palette.has_misplaced = true;
    palette
}

/// Compares what is written of the first `turns` of a conversation with what is written of all of it.
fn check_prefix(target: &Target, long: Request, turns: usize) -> Result<(), String> {
    let short = Request {
        turns: long.turns[..turns].to_vec(),
        ..long.clone()
    };
    // Instructions alone are said as a user's, since there must be one.
    let is_instruction = |role: Role| matches!(role, Role::System | Role::Developer);
    if short.turns.iter().all(|turn| is_instruction(turn.role)) {
        return Ok(());
    }
    let (Ok((one, _)), Ok((other, _))) = (target.write(&short), target.write(&long)) else {
        return Ok(());
    };
    let elements = elements(&one, target.dialect);
    let Some(end) = elements.settled(&short, &long, target.auto_cache) else {
        return Ok(());
    };
    if other.get(..end) == Some(&one[..end]) {
        return Ok(());
    }
    let same = one
        .iter()
        .zip(&other)
        .take_while(|(one, other)| one == other)
        .count();
    let shown = |body: &[u8]| {
        let from = same.saturating_sub(120);
        String::from_utf8_lossy(&body[from..body.len().min(same + 160)]).into_owned()
    };
    Err(format!(
        "at {same} of {end}\n{}\n{}\n{:?}",
        shown(&one),
        shown(&other),
        long.turns
    ))
}

/// Where the elements of a body's conversation end.
struct Elements {
    start: usize,
    ends: Vec<usize>,
}

impl Elements {
    /// Where the bytes end that may not change: behind the last element, or before it where the next turn goes into it
    /// or takes a mark from it.
    fn settled(&self, short: &Request, long: &Request, marks_last: bool) -> Option<usize> {
        let [.., before, last] = [&[self.start, self.start], &self.ends[..]].concat()[..] else {
            return None;
        };
        let (spoken, next) = (short.turns.last()?, long.turns.get(short.turns.len())?);
        // What is lost of a turn may leave nothing of it, and then those around it are one.
        let is_said = [spoken, next]
            .iter()
            .all(|turn| turn.parts.iter().any(says));
        let is_model = |turn: &Turn| turn.role == Role::Assistant;
        let is_going_on = !is_said || is_model(spoken) == is_model(next);
        Some(if is_going_on || marks_last {
            before
        } else {
            last
        })
    }
}

/// Whether every target is told of it.
fn says(part: &Part) -> bool {
    match &part.content {
        Content::Text { text, .. } => !text.trim().is_empty(),
        Content::ToolCall { .. } | Content::ToolResult { .. } => true,
        _ => false,
    }
}

fn elements(body: &[u8], dialect: Dialect) -> Elements {
    let name = match dialect {
        Dialect::Gemini => "contents",
        Dialect::Responses => "input",
        _ => "messages",
    };
    let object = scan::object(body).expect("what is written is an object");
    let Some(list) = object.value(name) else {
        return Elements {
            start: 0,
            ends: Vec::new(),
        };
    };
    let base = body.as_ptr() as usize;
    let list: Vec<&RawValue> = serde_json::from_slice(list).expect("a list");
    let ends = list
        .iter()
        .map(|element| element.get().as_ptr() as usize - base + element.get().len());
    Elements {
        start: object.place(name).map_or(0, |place| place.start + 1),
        ends: ends.collect(),
    }
}
