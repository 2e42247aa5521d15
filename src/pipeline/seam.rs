//! Where an answer that broke off is gone on with: what is told twice there is left out, and an answer that begins anew is
//! noticed.

use std::sync::Arc;

use crate::dialect::common::Delta;

/// What is the same by chance is shorter than so many characters; an answer with fewer is not gone on with, because it could
/// not be told whether another goes on or begins anew.
pub const ALIKE_MIN: usize = 8;

/// How much of the text that goes on is held back until it is looked at, in bytes: a sentence or three. More is held only
/// while all of it might be a repetition.
const HELD: usize = 256;

/// Holds the pieces of the answer that goes on until it is known how it does.
pub struct Seam {
    /// The text that the caller has.
    told: Arc<str>,
    held: Vec<Delta>,
    /// The text in what is held.
    text: String,
    /// Something other than text has come: there is no more of it to wait for.
    is_over: bool,
    is_joined: bool,
}

/// How one text goes on with another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Joint {
    /// It does, once so many bytes at its beginning are left out.
    GoesOn(usize),
    /// It is another answer, which begins as the first one did.
    BeginsAnew,
}

impl Seam {
    /// At the end of a text.
    pub fn new(told: Arc<str>) -> Self {
        Self {
            told,
            held: Vec::new(),
            text: String::new(),
            is_over: false,
            is_joined: false,
        }
    }

    /// Takes the next piece; returns it if the caller is to have it now. That an answer begins he knows, and what is thought
    /// of his answer now belongs to another.
    pub fn take(&mut self, delta: Delta) -> Option<Delta> {
        match &delta {
            Delta::Start { .. } | Delta::Thinking { .. } | Delta::Signature { .. } => return None,
            _ if self.is_joined => return Some(delta),
            Delta::Text { text, .. } => self.text.push_str(text),
            Delta::Usage(_) | Delta::ServiceTier(_) => {}
            _ => self.is_over = true,
        }
        self.held.push(delta);
        None
    }

    /// How the text goes on; None while that depends on what is to come.
    pub fn joint(&self, is_ended: bool) -> Option<Joint> {
        joint(&self.told, &self.text, self.is_over || is_ended)
    }

    /// Gives out what is held, without so many bytes of text at its beginning. From now on nothing is held.
    pub fn join(&mut self, mut left_out: usize) -> Vec<Delta> {
        self.is_joined = true;
        self.text = String::new();
        let mut held = std::mem::take(&mut self.held);
        held.retain_mut(|delta| match delta {
            Delta::Text { text, .. } => {
                let gone = left_out.min(text.len());
                left_out -= gone;
                text.drain(..gone);
                !text.is_empty()
            }
            _ => true,
        });
        held
    }
}

/// How `new` goes on with `old`, of which the model was given all but the white space at its end; None while that depends on
/// what comes behind `new`, which with `is_whole` is nothing.
///
/// The longest explanation wins: the model says the end once more, or it has begun at the beginning. One that repeats all of
/// the old text goes on with it, too.
fn joint(old: &str, new: &str, is_whole: bool) -> Option<Joint> {
    let given = old.trim_end();
    let (begins, fresh) = (given.trim_start(), new.trim_start());
    let may_be_repetition = || old.contains(new) || begins.starts_with(fresh);
    if !is_whole && (new.len() < HELD || may_be_repetition()) {
        return None;
    }
    let alike = common(begins, fresh);
    let repeated = match alike == begins.len() {
        true => new.len() - fresh.len() + alike,
        false => overlap(given, new, ALIKE_MIN),
    };
    if alike > repeated && begins[..alike].chars().count() >= ALIKE_MIN {
        return Some(Joint::BeginsAnew);
    }
    let spaces = overlap(&old[given.len()..], &new[repeated..], 1);
    Some(Joint::GoesOn(repeated + spaces))
}

/// How many bytes two texts have in common at their beginning, in whole characters.
fn common(one: &str, other: &str) -> usize {
    let pairs = one.char_indices().zip(other.chars());
    let alike = pairs.take_while(|((_, one), other)| one == other);
    alike
        .last()
        .map_or(0, |((at, char), _)| at + char.len_utf8())
}

/// How many bytes at the end of `old` are the beginning of `new`, if these are as many characters as `min`.
fn overlap(old: &str, new: &str, min: usize) -> usize {
    let ends = new.char_indices().map(|(at, char)| at + char.len_utf8());
    let long_enough = ends.skip(min - 1).take_while(|end| *end <= old.len());
    long_enough
        .filter(|end| old.ends_with(&new[..*end]))
        .last()
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the caller has read at the end, if `new` goes on.
    fn read(old: &str, new: &str) -> Option<String> {
        match joint(old, new, true).expect("it is whole") {
            Joint::GoesOn(left_out) => Some([old, &new[left_out..]].concat()),
            Joint::BeginsAnew => None,
        }
    }

    const OLD: &str = "The moon has no air. Its sky is bla";

    #[test]
    fn a_text_goes_on_and_nothing_is_told_twice() {
        for (old, new, whole) in [
            (
                OLD,
                "ck at noon.",
                "The moon has no air. Its sky is black at noon.",
            ),
            (OLD, "", OLD),
            // The end of the old text once more.
            (
                OLD,
                "Its sky is black.",
                "The moon has no air. Its sky is black.",
            ),
            (
                OLD,
                "sky is black.",
                "The moon has no air. Its sky is black.",
            ),
            // What is alike by chance is told.
            ("It goes on and on", " and on.", "It goes on and on and on."),
            // All of it once more.
            (
                OLD,
                "The moon has no air. Its sky is black.",
                "The moon has no air. Its sky is black.",
            ),
            (
                OLD,
                "\n The moon has no air. Its sky is black.",
                "The moon has no air. Its sky is black.",
            ),
            ("  Once upon a", "Once upon a time", "  Once upon a time"),
            // White space that the model was not given.
            ("First line.\n", "\nSecond.", "First line.\nSecond."),
            ("First line. ", " Second.", "First line. Second."),
            ("First line.\n\n", "\nSecond.", "First line.\n\nSecond."),
            ("First line. ", "Second.", "First line. Second."),
            (
                "First line.\n",
                "First line.\nSecond.",
                "First line.\nSecond.",
            ),
            (
                "Said: the last line.\n",
                "the last line.\nSecond.",
                "Said: the last line.\nSecond.",
            ),
            // Characters of several bytes.
            (
                "Grüße aus Köln-Mülheim, ä",
                "ä Köln-Mülheim",
                "Grüße aus Köln-Mülheim, ää Köln-Mülheim",
            ),
            (
                "日本語のテキストはここで切れ",
                "ストはここで切れました。",
                "日本語のテキストはここで切れました。",
            ),
        ] {
            assert_eq!(read(old, new).as_deref(), Some(whole), "{old:?} {new:?}");
        }
    }

    #[test]
    fn an_answer_that_begins_anew_does_not_go_on() {
        for new in [
            "The moon has no air, and so no wind.",
            "\nThe moon has no air. Its sky is dark.",
            "The moon has",
            "The moon has no air. Its sky is bl",
        ] {
            assert_eq!(read(OLD, new), None, "{new:?}");
        }
    }

    #[test]
    fn more_is_waited_for_while_it_may_be_a_repetition() {
        let old = "A long answer, sentence by sentence. ".repeat(30) + "And then it bro";
        let anew = &old[..700];
        assert_eq!(joint(&old, &old[..20], false), None);
        assert_eq!(joint(&old, anew, false), None, "it may be all of it");
        let other = [anew, "another"].concat();
        assert_eq!(joint(&old, &other, false), Some(Joint::BeginsAnew));
        let all = [&old, "ke."].concat();
        assert_eq!(joint(&old, &all, false), Some(Joint::GoesOn(old.len())));
        let tail = [&old[old.len() - 300..], "ke."].concat();
        assert_eq!(joint(&old, &tail[..300], false), None);
        assert_eq!(joint(&old, &tail, false), Some(Joint::GoesOn(300)));
        let further = "z".repeat(HELD);
        assert_eq!(joint(&old, &further[1..], false), None);
        assert_eq!(joint(&old, &further, false), Some(Joint::GoesOn(0)));
    }

    fn text(text: &str) -> Delta {
        Delta::Text {
            choice: 0,
            text: text.to_owned(),
        }
    }

    #[test]
    fn pieces_of_any_size_are_told_once() {
        let whole = "The moon has no air. Its sky is black at noon, 日本 too.";
        let chars: Vec<_> = whole.char_indices().map(|(at, _)| at).collect();
        for cut in chars.iter().copied().filter(|cut| *cut >= 2 * ALIKE_MIN) {
            let old = &whole[..cut];
            for begin in [0, cut, old.trim_end().len()] {
                for size in [1, 3, 100] {
                    let new: Vec<_> = whole[begin..].chars().collect();
                    let mut seam = Seam::new(old.into());
                    for piece in new.chunks(size) {
                        let piece: String = piece.iter().collect();
                        assert_eq!(seam.take(text(&piece)), None);
                    }
                    let Some(Joint::GoesOn(left_out)) = seam.joint(true) else {
                        panic!("{old:?} goes on from {begin}");
                    };
                    let told = seam.join(left_out).into_iter();
                    let told = told.map(|delta| match delta {
                        Delta::Text { text, .. } => text,
                        other => panic!("{other:?}"),
                    });
                    let read = [old.to_owned(), told.collect()].concat();
                    assert_eq!(read, whole, "cut at {cut}, begun at {begin}");
                }
            }
        }
    }

    #[test]
    fn what_comes_behind_the_text_ends_the_wait() {
        let mut seam = Seam::new("Some text that ".into());
        seam.take(text("ends"));
        assert_eq!(seam.joint(false), None);
        let thought = Delta::Thinking {
            choice: 0,
            text: "hm".into(),
        };
        assert_eq!(seam.take(thought), None);
        assert_eq!(seam.joint(false), None);
        seam.take(Delta::End);
        assert_eq!(seam.joint(false), Some(Joint::GoesOn(0)));
        assert_eq!(seam.join(0), [text("ends"), Delta::End]);
        assert_eq!(seam.take(text("more")), Some(text("more")));
    }
}
