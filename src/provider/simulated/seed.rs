//! Numbers that look random and depend on nothing but what goes in: the same on every machine, in every release.

/// A source of numbers (SplitMix64). Also the hasher of requests: what is mixed in changes all that follows.
#[derive(Clone, Debug)]
pub(super) struct Seed(u64);

impl Seed {
    pub(super) const fn new(start: u64) -> Self {
        Self(start)
    }

    /// This seed with something more in it.
    pub(super) fn with(&self, number: u64) -> Self {
        Self(scramble(
            self.0.rotate_left(25) ^ number.wrapping_mul(0x9E37_79B9_7F4A_7C15),
        ))
    }

    /// This seed with a text in it. Eight bytes at a time: prompts are long.
    pub(super) fn with_bytes(&self, bytes: &[u8]) -> Self {
        let mut state = self.0 ^ (bytes.len() as u64);
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            state = (state ^ u64::from_le_bytes(*word)).wrapping_mul(0x9FB2_1C65_1E98_DF25);
            state ^= state >> 29;
        }
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        Self(scramble(state ^ u64::from_le_bytes(last)))
    }

    /// The next number.
    pub(super) fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        scramble(self.0)
    }

    /// A number below `bound`; 0 where that is 0.
    pub(super) fn below(&mut self, bound: usize) -> usize {
        (self.number() % (bound.max(1) as u64)) as usize
    }

    /// A number from 0 to 1, without 1.
    pub(super) fn fraction(&mut self) -> f64 {
        (self.number() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// One of these, which must not be empty.
    pub(super) fn pick<'a, T: ?Sized>(&mut self, choices: &[&'a T]) -> &'a T {
        choices[self.below(choices.len())]
    }

    /// An id of `length` letters and digits.
    pub(super) fn id(&mut self, prefix: &str, length: usize) -> String {
        const LETTERS: &[u8; 62] =
            b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
        let letters = (0..length).map(|_| char::from(LETTERS[self.below(LETTERS.len())]));
        prefix.chars().chain(letters).collect()
    }
}

fn scramble(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}
