//! Tokens, and the words of an answer.

use super::seed::Seed;

/// Longest text, in tokens, that a prompt can ask for ("in 5000 words").
const TOKENS_MAX: usize = 4096;
/// Longest piece of a word that is one token, in bytes.
const PIECE_MAX: usize = 6;
/// Longest quotation from a prompt, in bytes.
const QUOTE_MAX: usize = 60;

/// The tokens of a text, by a rule that comes near to real tokenizers: a piece of a word of up to six bytes with the
/// blank before it, or any other single character. Together they are the text.
pub(super) fn tokens(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let (token, after) = rest.split_at(first_token(rest));
        rest = after;
        (!token.is_empty()).then_some(token)
    })
}

/// How many tokens a text has.
pub(super) fn count(text: &str) -> usize {
    tokens(text).count()
}

/// The length in bytes of the first token, 0 of an empty text.
fn first_token(text: &str) -> usize {
    let mut length = 0;
    let mut word = 0;
    for character in text.chars() {
        let size = character.len_utf8();
        if length == 0 && character == ' ' {
            length = 1;
            continue;
        }
        if !character.is_alphanumeric() {
            // A sign is a token of its own, and takes a blank before it along.
            return if word > 0 { length } else { length + size };
        }
        if word > 0 && word + size > PIECE_MAX {
            return length;
        }
        word += size;
        length += size;
    }
    length
}

/// Cuts a text after so many tokens. Says whether it had more.
pub(super) fn truncate(text: &mut String, limit: usize) -> bool {
    let length: usize = tokens(text).take(limit).map(str::len).sum();
    let cut = length < text.len();
    text.truncate(length);
    cut
}

/// The beginning of a text, of so many bytes at most.
pub(super) fn beginning(text: &str, length: usize) -> &str {
    let mut end = length.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// The words of a text: letters and digits, without what is between them.
pub(super) fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|character: char| !character.is_alphanumeric())
        .filter(|word| !word.is_empty())
}

/// The beginning of a text, on one line, cut between words.
pub(super) fn quote(text: &str) -> String {
    let mut quoted = String::with_capacity(QUOTE_MAX + 4);
    for word in text.split_whitespace() {
        if quoted.len() + word.len() >= QUOTE_MAX {
            if quoted.is_empty() {
                quoted.extend(word.chars().take(QUOTE_MAX / 4));
            }
            quoted.push('…');
            break;
        }
        if !quoted.is_empty() {
            quoted.push(' ');
        }
        quoted.push_str(word);
    }
    quoted
}

/// What an answer is about.
#[derive(Debug, Default)]
pub(super) struct Subject<'a> {
    /// The last thing the user said.
    pub(super) prompt: &'a str,
    /// What a tool answered, if that came last.
    pub(super) result: Option<&'a str>,
    pub(super) images: usize,
    pub(super) audios: usize,
    pub(super) files: usize,
}

/// Writes an answer of some 20 to 120 tokens, or of the length that the prompt asks for.
pub(super) fn compose(subject: &Subject<'_>, seed: &mut Seed) -> String {
    let wanted = wanted_length(subject.prompt).unwrap_or_else(|| 20 + seed.below(70));
    let mut text = opening(subject, seed);
    let mut length = count(&text);
    let topics = topics(subject.prompt);
    // Odd steps through a power of two: no sentence comes again before all have come.
    let (mut sentence, step) = (seed.below(SENTENCES.len()), 1 + 2 * seed.below(8));
    while length < wanted {
        let before = text.len();
        text.push(' ');
        let topic = topics.get(seed.below(topics.len())).unwrap_or(&"this");
        sentence = (sentence + step) % SENTENCES.len();
        for (index, part) in SENTENCES[sentence].split('@').enumerate() {
            if index > 0 {
                text.push_str(topic);
            }
            text.push_str(part);
        }
        length += count(&text[before..]);
    }
    text
}

/// What is left of an answer that has begun. One that would have begun otherwise goes on behind its opening, as a model would
/// that is given the beginning.
pub(super) fn go_on(begun: &str, whole: String) -> String {
    let rest = whole.strip_prefix(begun);
    let behind_opening = || whole.split_once("”.").map(|(_, rest)| rest);
    match rest.or_else(behind_opening) {
        Some(rest) => rest.to_owned(),
        None => whole,
    }
}

fn opening(subject: &Subject<'_>, seed: &mut Seed) -> String {
    if let Some(result) = subject.result {
        return format!("{} “{}”.", seed.pick(RESULT_OPENINGS), quote(result));
    }
    let mut text = if subject.prompt.trim().is_empty() {
        "Thank you for your message.".to_owned()
    } else {
        format!("{} “{}”.", seed.pick(OPENINGS), quote(subject.prompt))
    };
    let attached = [
        (subject.images, "image"),
        (subject.audios, "recording"),
        (subject.files, "file"),
    ];
    for (count, what) in attached.into_iter().filter(|(count, _)| *count > 0) {
        let plural = if count == 1 { "" } else { "s" };
        text.push_str(&format!(" I received {count} {what}{plural}."));
    }
    text
}

/// The length that the prompt asks for ("200 words", "50 tokens"), in tokens. The last such wish counts.
fn wanted_length(prompt: &str) -> Option<usize> {
    let mut number = None;
    let mut wanted = None;
    for word in words(prompt) {
        if matches!(word, "words" | "tokens") && number.is_some() {
            wanted = number;
        }
        number = word.parse::<usize>().ok();
    }
    wanted.map(|length| length.min(TOKENS_MAX))
}

/// The longest words of the beginning of the prompt: what it is probably about.
fn topics(prompt: &str) -> Vec<&str> {
    let mut topics: Vec<&str> = words(prompt)
        .take(64)
        .filter(|word| (5..=24).contains(&word.len()))
        .collect();
    topics.sort_by_key(|word| std::cmp::Reverse(word.len()));
    topics.truncate(4);
    topics
}

const OPENINGS: &[&str] = &[
    "Here is a short answer to",
    "You asked:",
    "Let us look at",
    "Good question:",
    "To answer",
    "This is what I can say about",
];

const RESULT_OPENINGS: &[&str] = &[
    "The tool returned",
    "According to the tool:",
    "Here is what I found:",
    "The result is",
];

/// `@` is what the prompt is about.
const SENTENCES: [&str; 16] = [
    "The first thing to know about @ is what it is meant to achieve.",
    "In practice, @ depends on a few simple conditions.",
    "A good way to begin is to write down what you already have.",
    "Most people find that a small example makes @ clear.",
    "It helps to look at @ step by step rather than all at once.",
    "There are three parts: the input, the rules, and the outcome.",
    "If you need more detail on @, tell me which part matters most to you.",
    "One common mistake is to skip the check at the end.",
    "The short version: keep it simple, measure it, and change one thing at a time.",
    "For @, the usual choice is also the safest one.",
    "You can verify this yourself with very little effort.",
    "Compared with the alternatives, @ is easier to explain.",
    "Remember that the details may differ in your case.",
    "As a rule, the costs grow with the size of @.",
    "That is why @ is often discussed together with its limits.",
    "Let me know whether you would like an example.",
];
