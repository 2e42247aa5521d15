//! Who may ask for what: keys and the models that they may use.
//!
//! Invariant: only digests of keys are held; a presented key is hashed once and then forgotten.

mod keys;
mod patterns;
mod section;
pub mod sigv4;

pub use keys::{Key, Keys, NotIdentified, Team, digest};
pub use patterns::Patterns;
pub use section::{KeySection, TeamSection};
