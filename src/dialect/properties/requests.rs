//! A request that is written for a target and read by it: nothing of it is lost in silence.

use proptest::prelude::*;

use super::arbitrary::{self, Palette};
use super::marks::Marks;
use super::{TARGETS, Target, recordings, tries, views};
use crate::dialect::Dialect;
use crate::dialect::common::{Carry, Content, Feature, Part, Request, Role};

fn targets() -> impl Strategy<Value = Target> {
    prop::sample::select(TARGETS)
}

proptest! {
    #![proptest_config(tries(400))]

    #[test]
    fn nothing_is_lost_in_silence(
        target in targets(),
        request in arbitrary::requests(arbitrary::dialects(), &Palette::whole()),
    ) {
        check(lose_nothing(&target, request))?;
    }

    #[test]
    fn what_is_carried_whole_comes_back(
        (target, request) in targets().prop_flat_map(|target| {
            let palette = Palette::of(whole(&target));
            (Just(target), arbitrary::requests(arbitrary::dialects(), &palette))
        }),
    ) {
        check(keep_whole(&target, request))?;
    }

    #[test]
    fn a_callers_own_request_stays_as_it_is(
        target in targets(),
        request in arbitrary::requests(arbitrary::dialects(), &Palette::whole()),
    ) {
        // Whatever the target can be sent at all is what a caller of its dialect can send.
        if let Ok((body, _)) = target.write(&request) {
            check(stay(&target, &body))?;
        }
    }
}

/// Targets that take what callers of their dialect know.
const OWN: [Target; 6] = [
    Target::chat(&super::ROUTER),
    Target::of(Dialect::Responses, "gpt-6"),
    Target::of(Dialect::Anthropic, "claude-opus-4-8"),
    Target::of(Dialect::Gemini, "gemini-3.1-pro-preview"),
    Target::of(Dialect::Bedrock, "anthropic.claude-opus-4-6-v1"),
    Target::of(Dialect::Cohere, "command-a-03-2025"),
];

#[test]
fn a_recorded_request_stays_as_it_is() {
    for (dialect, recorded) in recordings() {
        for target in OWN.iter().filter(|target| target.dialect == dialect) {
            if let Err(difference) = stay(target, recorded.request.to_string().as_bytes()) {
                panic!("{} at {}: {difference}", recorded.provider, target.model);
            }
        }
    }
}

fn check(outcome: Result<(), String>) -> Result<(), TestCaseError> {
    outcome.map_err(TestCaseError::fail)
}

pub fn lose_nothing(target: &Target, mut request: Request) -> Result<(), String> {
    let marks = Marks::of(&mut request);
    let (body, dropped) = target
        .write(&request)
        .map_err(|error| format!("{error:?}"))?;
    let text = String::from_utf8_lossy(&body);
    let read = match target.read(&body, request.stream) {
        Ok(read) => format!("{read:?}"),
        // All of the conversation is lost.
        Err(_) if !dropped.is_empty() => return Ok(()),
        Err(error) => return Err(format!("{error:?} {text}")),
    };
    for mark in &marks.list {
        if !mark.is_in(&read) && !mark.is_told(&dropped, request.source) {
            return Err(format!(
                "{:?} {:?} lost from {} {}\n{}\n{:?}\n{text}",
                mark.excuses,
                mark.name,
                request.source.name(),
                mark.text,
                dropped.joined(),
                request.turns
            ));
        }
    }
    Ok(())
}

fn keep_whole(target: &Target, mut request: Request) -> Result<(), String> {
    complete(&mut request);
    let (body, dropped) = target
        .write(&request)
        .map_err(|error| format!("{error:?}"))?;
    let text = String::from_utf8_lossy(&body);
    if !dropped.is_empty() {
        return Err(format!("dropped {}\n{request:?}\n{text}", dropped.joined()));
    }
    let read = target
        .read(&body, request.stream)
        .map_err(|error| format!("{error:?} {text}"))?;
    for feature in whole(target) {
        let (read, asked) = (views::view(&read, feature), views::view(&request, feature));
        if read != asked {
            return Err(format!(
                "{feature:?}\n{asked:?}\n{read:?}\n{request:?}\n{text}"
            ));
        }
    }
    let (read, asked) = (views::conversation(&read), views::conversation(&request));
    if read != asked {
        return Err(format!("conversation\n{asked:?}\n{read:?}\n{text}"));
    }
    Ok(())
}

fn whole(target: &Target) -> Vec<Feature> {
    let all = Feature::ALL.iter().copied();
    all.filter(|feature| target.carries(*feature) == Carry::Whole)
        .collect()
}

/// Says what must be said, where some targets would make it up or put it in words: a document's name, a result, and the
/// tools that have been called.
pub fn complete(request: &mut Request) {
    Marks::of(request);
    if request.tools.is_empty() {
        request.turns.retain(|turn| {
            let is_call = |part: &Part| {
                matches!(
                    part.content,
                    Content::ToolCall { .. } | Content::ToolResult { .. }
                )
            };
            !turn.parts.iter().any(is_call)
        });
    }
    let name = |part: &mut Part| {
        if let Content::Document { name, .. } = &mut part.content {
            name.get_or_insert_with(|| "document.pdf".to_owned());
        }
    };
    for part in request.turns.iter_mut().flat_map(|turn| &mut turn.parts) {
        name(part);
        if let Content::ToolResult { parts, .. } = &mut part.content {
            parts.iter_mut().for_each(name);
            parts.push(Part::text("done"));
        }
    }
}

/// Reads a caller's body and writes it for a provider of the same dialect, which reads the same and writes the same.
fn stay(target: &Target, body: &[u8]) -> Result<(), String> {
    // What is not as this dialect or this server has it becomes so once.
    match settle(target, body)? {
        None => Ok(()),
        Some(written) => match settle(target, &written)? {
            None => Ok(()),
            Some(_) => Err(format!("unsettled {}", String::from_utf8_lossy(&written))),
        },
    }
}

/// What was written, if it is not yet the same.
fn settle(target: &Target, body: &[u8]) -> Result<Option<Vec<u8>>, String> {
    let text = String::from_utf8_lossy(body);
    let Ok(read) = target.read(body, false) else {
        return Ok(None);
    };
    // A conversation in which nothing is said is refused, or goes to the user.
    if read.turns.iter().all(|turn| turn.role == Role::System) {
        return Ok(None);
    }
    let (written, dropped) = target
        .write(&read)
        .map_err(|error| format!("{error:?} {text}"))?;
    let shown = String::from_utf8_lossy(&written);
    let mut again = target
        .read(&written, false)
        .map_err(|error| format!("reread {error:?}\n{text}\n{shown}"))?;
    // A gateway asks for the usage of every stream.
    again.include_usage = read.include_usage;
    if again != read {
        // Another's seals are told; short ids and texts that are made one are the server's wish.
        let is_plain = target.accent.has_developer && !target.accent.has_short_call_ids;
        if !dropped.is_empty() || !is_plain {
            return Ok(Some(written));
        }
        let (one, other) = (format!("{read:?}"), format!("{again:?}"));
        return Err(format!("reread\n{one}\n{other}\n{text}\n{shown}"));
    }
    let (rewritten, _) = target
        .write(&again)
        .map_err(|error| format!("{error:?} {text}"))?;
    match rewritten == written {
        true => Ok(None),
        false => Err(format!(
            "rewritten\n{shown}\n{}",
            String::from_utf8_lossy(&rewritten)
        )),
    }
}
