//! Whether a stream keeps the length that money was reserved for: a provider may ignore `max_tokens`.

use crate::dialect::Usage;

/// The longest that an answer is taken to be, and how long it has become.
///
/// How many tokens a stream has, nobody says before its end, but for Gemini. So it is over its bound when what it
/// reports is; when it has had more pieces than tokens are allowed, for a piece has a token or more, and is no stream of single letters;
/// or when it has more bytes than so many tokens have.
#[derive(Clone, Debug)]
pub struct Bound {
    tokens: u64,
    bytes: u64,
    pieces: u64,
}

/// Bytes that a token has at least, on the average of an answer.
const TOKEN_BYTES_MIN: u64 = 3;

/// Bytes that a token has at most, on the average of an answer.
const TOKEN_BYTES_MAX: u64 = 12;

/// Bytes that a short answer may have besides.
const BYTES: u64 = 2_048;

impl Bound {
    /// An answer of at most so many tokens, over all choices.
    pub const fn new(tokens: u64) -> Self {
        Self {
            tokens,
            bytes: 0,
            pieces: 0,
        }
    }

    /// The stream has said so many bytes now, and reported such a usage. Tells whether it is over the bound.
    pub fn is_passed(&mut self, bytes: u64, usage: Option<Usage>) -> bool {
        self.pieces += u64::from(bytes > self.bytes);
        self.bytes = bytes;
        let reported = usage.map_or(0, |usage| usage.output_tokens);
        let is_in_pieces = self.pieces > self.tokens && bytes > TOKEN_BYTES_MIN * self.tokens;
        let is_in_bytes = bytes > BYTES.saturating_add(TOKEN_BYTES_MAX.saturating_mul(self.tokens));
        reported > self.tokens || is_in_pieces || is_in_bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first piece of so many bytes that is over a bound of 100 tokens.
    fn first_beyond(piece: u64) -> u64 {
        let mut bound = Bound::new(100);
        let beyond = |n: &u64| bound.is_passed(n * piece, None);
        (1..100_000).find(beyond).unwrap()
    }

    #[test]
    fn a_stream_that_goes_on_is_noticed_soon() {
        // Piece by piece as models write; letter by letter; in large pieces.
        assert_eq!(first_beyond(4), 101);
        assert_eq!(first_beyond(1), 301);
        assert_eq!(first_beyond(1_000), 4);
    }

    #[test]
    fn what_is_reported_counts_and_what_is_not_said_does_not() {
        let mut bound = Bound::new(100);
        let usage = |output_tokens| {
            Some(Usage {
                output_tokens,
                ..Usage::default()
            })
        };
        assert!((0..1_000).all(|_| !bound.is_passed(40, usage(100))));
        assert!(bound.is_passed(40, usage(101)));
    }
}
