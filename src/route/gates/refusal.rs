//! `refusal` and `unsure`: what the first words of an answer say of the rest.
//!
//! Only the beginning is looked at, so that the beginning of a stream decides; and only what the answer begins with, so that
//! an answer which quotes a refusal, or speaks of one, is none.

use std::sync::LazyLock;

use regex::{Regex, RegexSet};

use super::look::Look;
use super::phrases::{LANGUAGES, Phrases};
use crate::dialect::common::{Content, Finish};

/// How much of an answer is its beginning, in characters: what 32 tokens are in most languages.
const LEAD_CHARS: usize = 160;

/// What may stand between an apology and what it is for.
const BETWEEN: &str = r"[\s,.;:!…，。！、；：–—-]*";

/// A gap within a clause.
const GAP: &str = r"[^,.!?。！？\n]*?";

/// A gap of a few words.
const WORDS: &str = r"(?: [^ ,.!?\n]+){0,3}? ";

static REFUSALS: LazyLock<RegexSet> = LazyLock::new(|| {
    let patterns = LANGUAGES.iter().flat_map(|phrases| {
        let openers = phrases.openers();
        let apologised = format!("^(?:{openers}{BETWEEN})+(?:{})", joined(phrases.apologised));
        let plain = format!("^(?:{openers}{BETWEEN})*(?:{})", joined(phrases.refusals));
        let apologised = (!phrases.apologised.is_empty()).then_some(apologised);
        apologised.into_iter().chain([plain])
    });
    RegexSet::new(patterns).expect("the table's expressions are right, as its tests prove")
});

/// What begins like a refusal and is none.
static OTHERS: LazyLock<RegexSet> = LazyLock::new(|| {
    let patterns = LANGUAGES.iter().flat_map(|phrases| phrases.others);
    RegexSet::new(patterns).expect("the table's expressions are right, as its tests prove")
});

static DOUBTS: LazyLock<Vec<Regex>> = LazyLock::new(|| {
    let patterns = LANGUAGES.iter().map(|phrases| {
        let openers = phrases.openers();
        let doubts = joined(phrases.doubts);
        let pattern = format!(r"(?:^|[.!?,;:—\n。！？，、]\s*)(?:{openers}{BETWEEN})*(?:{doubts})");
        Regex::new(&pattern).expect("the table's expressions are right, as its tests prove")
    });
    patterns.collect()
});

/// Compiles the expressions, so that no request waits for that.
pub(super) fn prepare() {
    LazyLock::force(&REFUSALS);
    LazyLock::force(&OTHERS);
    LazyLock::force(&DOUBTS);
}

/// Whether an answer is a refusal: its provider says so, or its first words do.
pub(super) fn is_one(look: &Look<'_>) -> bool {
    let mut parts = look.choice.parts.iter();
    let is_refusal =
        |content: &Content| matches!(content, Content::Refusal(text) if !text.trim().is_empty());
    if look.choice.finish == Some(Finish::Refusal) || parts.any(|part| is_refusal(&part.content)) {
        return true;
    }
    let lead = lead(&look.text);
    look.calls.is_empty() && REFUSALS.is_match(&lead) && !OTHERS.is_match(&lead)
}

/// Whether the first words say that the model does not know.
pub(super) fn is_unsure(look: &Look<'_>) -> bool {
    let lead = lead(&look.text);
    look.calls.is_empty() && DOUBTS.iter().any(|doubts| doubts.is_match(&lead))
}

/// The beginning, in lower case and with plain apostrophes, without marks of emphasis.
fn lead(text: &str) -> String {
    let text = text.trim_start_matches(|char: char| char.is_whitespace() || "*_#".contains(char));
    let chars = text
        .chars()
        .take(LEAD_CHARS)
        .filter(|char| !"*_".contains(*char));
    let plain = chars.map(|char| match char {
        '’' | 'ʼ' | '‘' => '\'',
        '\u{a0}' => ' ',
        other => other,
    });
    plain.collect::<String>().to_lowercase()
}

impl Phrases {
    fn openers(&self) -> String {
        format!("(?:{})", joined(self.openers))
    }
}

/// Any of the phrases, `~` a gap within a clause and `@` one of a few words.
fn joined(phrases: &[&str]) -> String {
    phrases.join("|").replace('~', GAP).replace('@', WORDS)
}
