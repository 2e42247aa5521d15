//! How many tokens an answer has, counted here: for answers whose provider does not tell.

use super::family::Family;
use super::tokens::Tokens;
use crate::dialect::common::{Kept, Said};

/// Tokens of an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Output {
    /// All of them.
    pub output_tokens: u64,
    /// Of those: thoughts.
    pub reasoning_tokens: u64,
}

/// How many tokens a model of the family has written, to say what was said. The first call of the process takes 0.1 s
/// longer: not for a thread that others wait for.
///
/// As in [`super::input_tokens`], text is counted by o200k and weighed by the family. How near that is, docs/estimates.md
/// tells. What an answer does not show is not in it: hidden thoughts (of OpenAI's models all, or all but a summary), and
/// what was said to tools of the provider's own, which count as calls without words.
pub fn output_tokens(said: &Said, family: Family) -> Output {
    if said.is_empty() {
        return Output::default();
    }
    let weights = family.weights();
    let [text, thoughts, calls] = counts(said).map(|tokens| {
        let weighed = u128::from(tokens) * u128::from(weights.said_percent);
        u64::try_from(weighed.div_ceil(100)).unwrap_or(u64::MAX)
    });
    let reasoning_tokens = match thoughts {
        0 => 0,
        _ => thoughts.saturating_add(weights.thoughts),
    };
    let call_count = said.call_count.saturating_add(said.opaque_count);
    let for_calls = match call_count {
        0 => 0,
        _ => (call_count - 1)
            .saturating_mul(weights.further_call)
            .saturating_add(weights.said_call),
    };
    let for_images = said.image_count.saturating_mul(weights.image);
    let output_tokens = [text, reasoning_tokens, calls, for_calls, for_images]
        .into_iter()
        .fold(weights.answer, u64::saturating_add);
    Output {
        output_tokens,
        reasoning_tokens,
    }
}

/// The tokens of each kind, in the order of [`Said::kinds`]. What was not kept is taken for like all that was.
fn counts(said: &Said) -> [u64; 3] {
    let counted = said.kinds().map(|kept| {
        let mut tokens = Tokens::default();
        tokens.add(kept.text());
        tokens.total()
    });
    let kept_bytes: usize = said.kinds().iter().map(|kept| kept.text().len()).sum();
    let kept_tokens: u64 = counted.iter().sum();
    let further = |kept: &Kept| {
        let tokens = u128::from(kept.further_bytes()) * u128::from(kept_tokens);
        u64::try_from(tokens.div_ceil(kept_bytes.max(1) as u128)).unwrap_or(u64::MAX)
    };
    let [text, thoughts, calls] = said.kinds().map(further);
    [
        counted[0].saturating_add(text),
        counted[1].saturating_add(thoughts),
        counted[2].saturating_add(calls),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::common::{KEPT_MAX, SaidKind};

    fn said(pieces: &[(SaidKind, &str)]) -> Said {
        let mut said = Said::default();
        for (kind, text) in pieces {
            said.push(*kind, text);
        }
        said
    }

    #[test]
    fn every_kind_of_what_is_said_counts() {
        let text = said(&[(SaidKind::Text, "hello world")]);
        let thought = said(&[(SaidKind::Thought, "hello world")]);
        let mut call = said(&[(SaidKind::Call, "hello"), (SaidKind::Call, " world")]);
        call.call_count = 1;
        let mut calls = call.clone();
        calls.call_count = 3;
        let pictures = Said {
            image_count: 2,
            ..Said::default()
        };
        for (said, family, output_tokens, reasoning_tokens) in [
            (Said::default(), Family::Anthropic, 0, 0),
            (text.clone(), Family::OpenAi, 2 + 1, 0),
            (text, Family::Anthropic, 3 + 3, 0),
            (thought.clone(), Family::OpenAi, 2 + 1 + 9, 2 + 9),
            (thought, Family::Anthropic, 3 + 3 + 5, 3 + 5),
            (call, Family::OpenAi, 2 + 1 + 7, 0),
            (calls, Family::OpenAi, 2 + 1 + 7 + 2 * 23, 0),
            (pictures, Family::Gemini, 2 * 1_120, 0),
        ] {
            let output = Output {
                output_tokens,
                reasoning_tokens,
            };
            assert_eq!(super::output_tokens(&said, family), output, "{said:?}");
        }
    }

    #[test]
    fn what_was_not_kept_is_taken_for_like_what_was() {
        let unit = "all work and no play makes a dull boy ";
        let fitting = said(&[(SaidKind::Text, &unit.repeat(KEPT_MAX / unit.len()))]);
        let tokens = output_tokens(&fitting, Family::OpenAi).output_tokens;
        let mut long = fitting;
        for _ in 0..9 {
            let further = unit.repeat(KEPT_MAX / unit.len());
            long.push(SaidKind::Text, &further);
        }
        let all = output_tokens(&long, Family::OpenAi).output_tokens;
        assert!(all.abs_diff(10 * tokens) < tokens / 10, "{all}, {tokens}");
        long.push(SaidKind::Thought, unit);
        let thought = output_tokens(&long, Family::OpenAi).reasoning_tokens;
        assert!((9 + 8..=9 + 11).contains(&thought), "{thought}");
    }
}
