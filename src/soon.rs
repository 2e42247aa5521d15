//! What is mostly there at once.

use std::pin::Pin;

/// A value that is there, or will be. Most requests have what they need without waiting, and do not carry what that takes.
pub enum Soon<'a, T> {
    /// It is there.
    Now(T),
    /// It is waited for.
    Later(Pin<Box<dyn Future<Output = T> + Send + 'a>>),
}

impl<'a, T> Soon<'a, T> {
    /// It is waited for.
    pub fn later(work: impl Future<Output = T> + Send + 'a) -> Self {
        Self::Later(Box::pin(work))
    }

    /// The value.
    pub async fn get(self) -> T {
        match self {
            Self::Now(value) => value,
            Self::Later(work) => work.await,
        }
    }
}

impl<'a, T: 'a> Soon<'a, T> {
    /// What `then` makes of it.
    pub fn map<U>(self, then: impl FnOnce(T) -> U + Send + 'a) -> Soon<'a, U> {
        match self {
            Self::Now(value) => Soon::Now(then(value)),
            Self::Later(work) => Soon::later(async move { then(work.await) }),
        }
    }
}
