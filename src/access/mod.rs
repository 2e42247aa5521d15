//! Who may ask for what: keys, the models that they may use, and what that may cost.
//!
//! Invariant: only digests of keys are held; a presented key is hashed once and then forgotten.

pub mod budgets;
mod keys;
mod patterns;
mod section;
pub mod sigv4;
#[cfg(test)]
mod tests;

pub use keys::{Key, Keys, NotIdentified, Team, digest};
pub use patterns::Patterns;
pub use section::{KeySection, TeamSection};
