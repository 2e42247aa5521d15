//! FNV-1a: a hash that is the same on every machine and in every version, which the standard library's do not promise.

/// What has been hashed so far.
pub(super) struct Fnv(u64);

impl Fnv {
    /// Of nothing.
    pub const fn new() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }

    /// Adds bytes.
    pub fn add(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    /// The hash.
    pub const fn value(&self) -> u64 {
        self.0
    }
}

/// The hash of some bytes.
pub(super) fn hash(bytes: &[u8]) -> u64 {
    let mut fnv = Fnv::new();
    fnv.add(bytes);
    fnv.value()
}
