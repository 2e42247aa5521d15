//! Counting the tokens of a text.
//!
//! The crate is tiktoken-rs: its o200k ranks are 3.6 MB of the binary, held ready from the first count on in 46 MB,
//! after 0.1 s; nothing is downloaded. bpe-openai, whose worst case is linear by itself, would take 32 MB of the binary
//! and 70 MB. tiktoken-rs panics on a megabyte of spaces and grows slow on long runs without any, so texts are counted
//! in pieces.

use tiktoken_rs::o200k_base_singleton;

/// The longest piece that is counted at once, in bytes. Each cut costs a token at most.
const PIECE_MAX: usize = 4 * 1024;

/// What is counted of one request, in bytes: about a million tokens, which is the largest window of a model. What is
/// beyond is taken for like what was counted, so that a body of any size takes under a second.
const EXACT_MAX: u64 = 4 * 1024 * 1024;

/// A count of o200k's tokens.
#[derive(Debug, Default)]
pub(super) struct Tokens {
    counted: u64,
    counted_bytes: u64,
    further_bytes: u64,
}

impl Tokens {
    /// Adds a text.
    pub fn add(&mut self, text: &str) {
        let mut rest = text;
        while !rest.is_empty() && self.counted_bytes < EXACT_MAX {
            let (piece, behind) = rest.split_at(piece_end(rest));
            self.counted += o200k_base_singleton().encode_ordinary(piece).len() as u64;
            self.counted_bytes += piece.len() as u64;
            rest = behind;
        }
        self.further_bytes += rest.len() as u64;
    }

    /// How many there are.
    pub fn total(&self) -> u64 {
        if self.further_bytes == 0 {
            return self.counted;
        }
        let further = u128::from(self.further_bytes) * u128::from(self.counted);
        let further = further.div_ceil(u128::from(self.counted_bytes.max(1)));
        self.counted
            .saturating_add(u64::try_from(further).unwrap_or(u64::MAX))
    }
}

/// Where the first piece of a text ends: before a space, where there is one, since o200k's words begin with theirs.
fn piece_end(text: &str) -> usize {
    if text.len() <= PIECE_MAX {
        return text.len();
    }
    let most = (1..=PIECE_MAX)
        .rev()
        .find(|end| text.is_char_boundary(*end))
        .unwrap_or(text.len());
    let word = text[..most]
        .rmatch_indices(' ')
        .map(|(space, _)| space)
        .find(|space| *space > 0 && !text[..*space].ends_with(' '));
    word.unwrap_or(most)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(text: &str) -> u64 {
        let mut tokens = Tokens::default();
        tokens.add(text);
        tokens.total()
    }

    #[test]
    fn words_are_counted_as_o200k_has_them() {
        for (text, tokens) in [
            ("", 0),
            ("hello world", 2),
            ("tiktoken is great!", 6),
            ("antidisestablishmentarianism", 6),
            ("2 + 2 = 4", 7),
        ] {
            assert_eq!(count(text), tokens, "{text}");
        }
    }

    #[test]
    fn pieces_count_as_the_whole_does() {
        let text = "The ferry leaves at 9:30, rain or shine; übrigens täglich. ".repeat(500);
        let whole = o200k_base_singleton().encode_ordinary(&text).len() as u64;
        assert!(count(&text).abs_diff(whole) <= text.len() as u64 / PIECE_MAX as u64);
    }

    /// Quadratic time would take hours here, and deep recursion the stack.
    #[test]
    fn no_text_takes_long_to_count() {
        let megabyte = 1024 * 1024;
        for unit in [
            "a",
            "A",
            " ",
            "\n",
            " \n",
            "\r",
            "\t ",
            "!?",
            "'s",
            "9",
            "é",
            "漢",
            "a\u{301}",
            "\u{200d}",
            "👩‍👧",
        ] {
            let text = unit.repeat(megabyte / unit.len());
            let tokens = count(&text);
            assert!(tokens > 0 && tokens <= text.len() as u64, "{unit:?}");
        }
        let letters: String = (0..megabyte as u64)
            .map(|number| {
                let mixed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 33;
                char::from(b'a' + u8::try_from(mixed % 26).unwrap_or(0))
            })
            .collect();
        assert!(count(&letters) > 200_000);
    }

    #[test]
    fn what_is_beyond_the_bound_is_taken_for_alike() {
        let unit = "all work and no play makes a dull boy ";
        let counted = count(&unit.repeat(100_000));
        let beyond = count(&unit.repeat(1_000_000));
        assert!(beyond.abs_diff(10 * counted) < counted / 100);
    }
}
