//! Targets that fail: what callers see of it, and what the ledger.

mod caller;
mod dead;
mod faults;
mod repeats;
mod rows;
mod storm;
mod upstream;

/// A number that the environment sets.
fn from_environment(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().expect("a number"))
}
