//! Numbers for what a replica says to the logs.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Numbers, each larger than all before it, and once the replica has joined than those of its earlier lives, too: a log takes what
/// has a smaller one than the last for what was late.
#[derive(Clone)]
pub struct Numbers {
    last: Arc<AtomicU64>,
    /// What is larger than all of the lives before, once that is known.
    joined: Arc<dyn Fn() -> u64 + Send + Sync>,
}

impl Numbers {
    /// Numbers that begin behind `joined`, which may grow.
    pub fn behind(joined: impl Fn() -> u64 + Send + Sync + 'static) -> Self {
        Self {
            last: Arc::default(),
            joined: Arc::new(joined),
        }
    }

    /// All numbers of earlier lives are up to here, once this one has joined.
    pub fn joined(&self) -> u64 {
        (self.joined)()
    }

    /// The next.
    pub fn next(&self) -> u64 {
        self.last.fetch_max(self.joined(), Ordering::Relaxed);
        self.last.fetch_add(1, Ordering::Relaxed) + 1
    }
}

impl fmt::Debug for Numbers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Numbers({})", self.last.load(Ordering::Relaxed))
    }
}
