//! Turns that follow one another as applications send them.

use proptest::collection::vec;
use proptest::prelude::*;

use super::content::{caches, citations, media, opaque, parts, says, seals, thoughts};
use super::settings::tool_name;
use super::{Palette, objects, texts};
use crate::dialect::common::{Content, Feature, Part, Role, Signature, Turn};

/// What the user says, what the model answers and calls, and what the tools answer.
pub(super) type Exchange = (
    Vec<Part>,
    Vec<Part>,
    Vec<(String, Option<Signature>)>,
    Vec<(Vec<Part>, bool)>,
    bool,
    Option<(Role, Vec<Part>)>,
);

pub(super) fn exchanges(palette: &Palette) -> BoxedStrategy<Exchange> {
    use Feature as F;
    let own = palette.has_own.then(opaque);
    let caches = caches(palette);
    let refusal = palette
        .allows(F::Refusal)
        .then(|| texts().prop_map(Content::Refusal).boxed());
    let misplaced = palette.has_misplaced;
    let said = says(
        [
            media(palette),
            own.clone(),
            refusal.clone().filter(|_| misplaced),
            thoughts(palette).filter(|_| misplaced),
        ],
        caches.clone(),
        3,
    );
    let cited = palette.allows(F::Citations).then(|| {
        (texts(), vec(citations(), 1..3))
            .prop_map(|(text, citations)| Content::Text { text, citations })
            .boxed()
    });
    let model_media = misplaced.then(|| media(palette)).flatten();
    let answered = parts(
        [refusal, cited, thoughts(palette), model_media, own.clone()],
        caches.clone(),
        0..4,
    );
    let arguments = objects().prop_map(|json| json.as_str().to_owned());
    let calls = match palette.allows(F::Tools) {
        true => vec((arguments, palette.when(F::Signature, seals())), 0..3).boxed(),
        false => Just(Vec::new()).boxed(),
    };
    let result_media = palette
        .allows(F::ToolResultMedia)
        .then(|| media(palette))
        .flatten();
    let result = parts([result_media, own], caches.clone(), 0..3);
    let is_error = palette
        .when(F::ToolResultError, Just(true))
        .prop_map(|it| it.is_some());
    let results = vec((result, is_error), 3);
    let mut roles = Vec::new();
    roles.extend(palette.allows(F::System).then_some(Role::System));
    roles.extend(palette.allows(F::Developer).then_some(Role::Developer));
    let aside = match roles.is_empty() {
        true => Just(None).boxed(),
        false => {
            let said = parts([], caches, 1..2);
            let aside = (prop::sample::select(roles), said);
            prop_oneof![4 => Just(None), 1 => aside.prop_map(Some)].boxed()
        }
    };
    (said, answered, calls, results, any::<bool>(), aside).boxed()
}

/// The turns of a conversation. Calls and their results are tied by ids, and the tools' names are those of `tools`.
pub(super) fn turns_of(
    head: Vec<(Role, Vec<Part>)>,
    exchanges: Vec<Exchange>,
    last: Vec<Part>,
) -> Vec<Turn> {
    let turn = |role, parts| Turn {
        role,
        parts,
        name: None,
    };
    let mut turns: Vec<Turn> = head
        .into_iter()
        .map(|(role, parts)| turn(role, parts))
        .collect();
    let mut waiting: Option<Turn> = None;
    let mut count = 0;
    for (said, answered, calls, results, is_joined, aside) in exchanges {
        match waiting.take() {
            Some(mut results) if is_joined => {
                results.parts.extend(said);
                turns.push(results);
            }
            Some(results) => turns.extend([results, turn(Role::User, said)]),
            None => turns.push(turn(Role::User, said)),
        }
        turns.extend(aside.map(|(role, parts)| turn(role, parts)));
        let mut parts = answered;
        let mut answers = Vec::new();
        for ((arguments, signature), (result, is_error)) in calls.into_iter().zip(results) {
            let id = format!("call_{count}");
            let name = tool_name(count);
            count += 1;
            answers.push(Part::from(Content::ToolResult {
                id: id.clone(),
                name: None,
                parts: result,
                is_error,
            }));
            parts.push(Part::from(Content::ToolCall {
                id,
                name,
                arguments,
                signature,
            }));
        }
        if parts.is_empty() {
            parts.push(Part::text("well"));
        }
        turns.push(turn(Role::Assistant, parts));
        waiting = (!answers.is_empty()).then(|| turn(Role::User, answers));
    }
    match waiting {
        Some(results) => turns.push(results),
        None => turns.push(turn(Role::User, last)),
    }
    turns
}
