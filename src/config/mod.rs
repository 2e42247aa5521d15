//! Reads one YAML file into typed sections, and reports every mistake of it in one run, each with its position.
//!
//! The rooms' own serde types say what a section holds: their JSON Schema is what the file is checked against, what editors
//! are given ([`schema`]), and what the reference is written from. This module knows none of them.
//!
//! A file passes through four steps, a module each: `parse` makes a tree of values with positions, where `interpolate` puts in
//! what `${…}` refers to; `check` holds the tree against the schema; `located` deserialises what is left without its
//! mistakes. So the good sections of a bad file can still be resolved by the rooms, which add what they find
//! ([`Document::error`]). A secret that stands in the file is kept out of what is printed by `masking`.

mod check;
mod diagnostics;
mod document;
mod interpolate;
pub mod limits;
mod located;
mod masking;
mod names;
mod one_or_many;
mod parse;
mod scalar;
mod scalar_or;
mod schema;
mod secret;
mod source;
#[cfg(test)]
mod tests;
mod tree;
pub mod units;

pub use diagnostics::{Diagnostic, Diagnostics};
pub use document::Document;
pub use interpolate::{Environment, FILE_BYTES_MAX, ProcessEnvironment};
pub use names::{dotted, nearest};
pub use one_or_many::OneOrMany;
pub use scalar_or::ScalarOr;
pub use schema::{NotBuilt, schema};
pub use secret::Secret;
