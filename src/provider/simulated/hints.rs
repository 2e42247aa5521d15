//! What a prompt offers to fill arguments and answers with: its names, its numbers and its words.

use super::text::{beginning, words};

/// How much of a prompt is looked at, in bytes.
const LOOKED_AT: usize = 4096;
/// Most names, numbers and words that are taken from it.
const TAKEN: usize = 16;

#[derive(Debug, Default)]
pub(super) struct Hints<'a> {
    pub(super) prompt: &'a str,
    /// What looks like a name: "Paris", "New York", or what stands in quotes.
    pub(super) names: Vec<&'a str>,
    /// Names that are listed: "Paris, London and Rome".
    pub(super) listed: Vec<&'a str>,
    pub(super) numbers: Vec<f64>,
    /// All its words.
    all: Vec<&'a str>,
    /// Those of four letters or more.
    pub(super) words: Vec<&'a str>,
}

impl<'a> Hints<'a> {
    pub(super) fn of(prompt: &'a str) -> Self {
        let prompt = beginning(prompt, LOOKED_AT);
        let mut names = quoted(prompt);
        let (capitalized, listed) = capitalized(prompt);
        names.extend(capitalized);
        names.truncate(TAKEN);
        let numbers = prompt
            .split(|character: char| !character.is_ascii_digit() && !".-".contains(character))
            .filter_map(|number| number.trim_end_matches(['.', '-']).parse().ok())
            .filter(|number: &f64| number.is_finite())
            .take(TAKEN);
        Self {
            prompt,
            names,
            listed,
            numbers: numbers.collect(),
            all: words(prompt).collect(),
            words: words(prompt)
                .filter(|word| word.chars().count() >= 4 && !is_starter(word))
                .take(TAKEN)
                .collect(),
        }
    }

    /// These hints with one of the listed names before all others.
    pub(super) fn about(&self, name: &'a str) -> Self {
        Self {
            prompt: self.prompt,
            names: vec![name],
            listed: Vec::new(),
            numbers: self.numbers.clone(),
            all: self.all.clone(),
            words: self.words.clone(),
        }
    }

    /// Whether the prompt has this as whole words, in whatever case.
    pub(super) fn mention(&self, phrase: &str) -> bool {
        let wanted: Vec<&str> = words(phrase).take(TAKEN).collect();
        if wanted.is_empty() {
            return false;
        }
        self.all.windows(wanted.len()).any(|window| {
            let mut pairs = window.iter().zip(&wanted);
            pairs.all(|(word, wanted)| word.eq_ignore_ascii_case(wanted))
        })
    }
}

/// What stands in double quotes.
fn quoted(prompt: &str) -> Vec<&str> {
    prompt
        .split('"')
        .skip(1)
        .step_by(2)
        .map(str::trim)
        .filter(|text| (1..=80).contains(&text.len()))
        .take(TAKEN)
        .collect()
}

/// Runs of capitalized words, and those of them that are listed one after the other.
fn capitalized(prompt: &str) -> (Vec<&str>, Vec<&str>) {
    let mut spans: Vec<(usize, usize)> = Vec::new();
    let mut previous_end = 0;
    let mut open = false;
    for word in words(prompt) {
        let start = word.as_ptr() as usize - prompt.as_ptr() as usize;
        let between = &prompt[previous_end..start];
        let named = word.chars().next().is_some_and(char::is_uppercase) && !is_starter(word);
        if named && open && between == " " {
            if let Some(last) = spans.last_mut() {
                last.1 = start + word.len();
            }
        } else if named {
            spans.push((start, start + word.len()));
        }
        open = named;
        previous_end = start + word.len();
    }
    let mut listed = Vec::new();
    for pair in spans.windows(2) {
        let between = &prompt[pair[0].1..pair[1].0];
        if !matches!(
            between.trim(),
            "," | "and" | "or" | "&" | ", and" | ", or" | "vs" | "to" | ";"
        ) {
            continue;
        }
        let first = &prompt[pair[0].0..pair[0].1];
        if listed.last() != Some(&first) {
            listed.push(first);
        }
        listed.push(&prompt[pair[1].0..pair[1].1]);
    }
    let names = spans.iter().map(|(start, end)| &prompt[*start..*end]);
    listed.truncate(TAKEN);
    (names.take(TAKEN).collect(), listed)
}

/// Words that begin a sentence or ask for something, and so name nothing.
pub(super) fn is_starter(word: &str) -> bool {
    const STARTERS: &[&str] = &[
        "a", "an", "and", "are", "book", "call", "can", "check", "compare", "could", "create",
        "do", "does", "fetch", "find", "for", "from", "get", "give", "have", "hello", "help", "hi",
        "how", "i", "in", "is", "it", "list", "look", "make", "my", "now", "of", "on", "please",
        "return", "run", "search", "send", "set", "should", "show", "tell", "that", "the", "then",
        "there", "this", "to", "tool", "tools", "two", "use", "using", "was", "what", "when",
        "where", "which", "who", "why", "will", "with", "would", "write", "you", "your",
    ];
    STARTERS
        .binary_search_by(|starter| {
            starter
                .bytes()
                .cmp(word.bytes().map(|byte| byte.to_ascii_lowercase()))
        })
        .is_ok()
}
