//! `repetition`: a model that is stuck says the same again and again until something stops it.
//!
//! So its answer *ends* in a loop. Tables, lists and JSON repeat themselves, too, but they come to an end; and a refrain comes
//! back, but not that often.

use std::collections::HashMap;

use super::look::Look;

/// The shortest loop, in bytes, from its beginning to the end of the text: three lines.
const LOOP_MIN: usize = 240;

/// The shortest loop of what holds no letter: rules and rows of dots are as long as a page is wide.
const RULE_MIN: usize = 1000;

/// How often something must stand behind itself: what is long is said again less often by chance.
const REPEATS: [(usize, usize); 3] = [(160, 4), (24, 6), (0, 10)];

/// In tables, code and JSON, rows that are alike are usual; they must be so many times as many.
const STRUCTURED_TIMES: usize = 4;

/// How many sentences at the end are looked at, how many of them must be the same one, and how long that is at least, in
/// characters.
const SENTENCES: usize = 24;
const SAME_MIN: usize = 16;
const SENTENCE_MIN: usize = 16;

/// Whether the text ends in a loop.
pub(super) fn is_stuck(look: &Look<'_>) -> bool {
    let end = look.end().trim_end();
    let times = match is_structured(&look.text, end) {
        true => STRUCTURED_TIMES,
        false => 1,
    };
    loops(end.as_bytes(), times) || (times == 1 && says_the_same(end))
}

/// Whether the text is JSON or a table at its end, or ends within a block of code.
fn is_structured(text: &str, end: &str) -> bool {
    let last_line = end.lines().next_back().unwrap_or_default().trim();
    let fences = text.lines().filter(|line| line.trim().starts_with("```"));
    text.trim_start().starts_with(['{', '['])
        || last_line.starts_with('|')
        || last_line.starts_with("```")
        || fences.count() % 2 == 1
}

/// Whether the end is one piece that stands behind itself often enough: by the failure function of Knuth, Morris and Pratt
/// over the text from its end.
fn loops(end: &[u8], times: usize) -> bool {
    let reversed: Vec<u8> = end.iter().rev().copied().collect();
    let mut borders = vec![0; reversed.len()];
    for at in 1..reversed.len() {
        let mut border: usize = borders[at - 1];
        while border > 0 && reversed[at] != reversed[border] {
            border = borders[border - 1];
        }
        border += usize::from(reversed[at] == reversed[border]);
        borders[at] = border;
        let (length, piece) = (at + 1, at + 1 - border);
        let (_, repeats) = REPEATS
            .into_iter()
            .find(|(longer, _)| piece >= *longer)
            .unwrap_or(REPEATS[0]);
        if length >= LOOP_MIN * times && length / piece >= repeats * times {
            let has_letter = |byte: &u8| byte.is_ascii_alphanumeric() || !byte.is_ascii();
            if length >= RULE_MIN || reversed[..piece].iter().any(has_letter) {
                return true;
            }
        }
    }
    false
}

/// Whether most of the last sentences and lines are the same one, whatever stands between them.
fn says_the_same(end: &str) -> bool {
    let is_end = |char: char| matches!(char, '\n' | '.' | '!' | '?' | '。' | '！' | '？');
    let sentences = end.rsplit(is_end).map(str::trim);
    let mut counts: HashMap<&str, usize> = HashMap::new();
    for sentence in sentences.filter(|one| !one.is_empty()).take(SENTENCES) {
        if sentence.chars().count() >= SENTENCE_MIN {
            *counts.entry(sentence).or_default() += 1;
        }
    }
    counts.into_values().any(|count| count >= SAME_MIN)
}
