//! Who may ask for what: keys, the models that they may use, and what that may cost.
//!
//! Invariant: only digests of keys are held; a presented key is hashed once and then forgotten.

pub mod budgets;
mod counters;
mod keys;
pub mod limits;
mod patterns;
mod section;
pub mod sigv4;
pub mod state;
#[cfg(test)]
mod tests;

pub use counters::Counters;
pub use keys::{Key, Keys, NotIdentified, Team, digest};
pub use patterns::Patterns;
pub use section::{KeySection, TeamSection};
