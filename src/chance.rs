//! Chance for tests: the same seed is the same run, so whatever fails fails again.

use std::time::Duration;

/// A source of numbers (SplitMix64).
pub struct Chance(u64);

impl Chance {
    /// The one of this seed.
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A number below `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % end
    }

    /// True once in so many times.
    pub fn one_in(&mut self, many: u64) -> bool {
        self.below(many) == 0
    }

    /// From one microsecond to `most` of them.
    pub fn micros(&mut self, most: u64) -> Duration {
        Duration::from_micros(self.below(most) + 1)
    }

    /// How long a message or a disk takes: mostly some milliseconds, and now and then so long that nobody waits for it.
    pub fn latency(&mut self) -> Duration {
        match self.one_in(8) {
            true => self.micros(1_500_000),
            false => self.micros(20_000),
        }
    }
}
