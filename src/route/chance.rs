//! Numbers out of one number that came by chance: the same every time, so that what chance did can be done again.

/// Another number out of this one, for the `place`th purpose (SplitMix64).
pub const fn number(chance: u64, place: u64) -> u64 {
    let step = place.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut mixed = chance.wrapping_add(step);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// A hash of a text, the same on all replicas and in all releases. Eight bytes at a time: prompts are long.
pub fn hash(text: &[u8]) -> u64 {
    let (words, rest) = text.as_chunks::<8>();
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    let words = words.iter().chain([&last]);
    words.fold(text.len() as u64, |hash, word| {
        number(hash ^ u64::from_le_bytes(*word), 0)
    })
}

/// A share from 0 to 1, without 1.
pub(super) fn share(number: u64) -> f64 {
    (number >> 11) as f64 / (1_u64 << 53) as f64
}
