//! Requests: a caller's into the common form, and the common form into a provider's.

mod config;
mod contents;
mod history;
mod parts;
mod read;
mod write;

pub use read::read_request;
pub use write::write_request;

pub(super) use contents::takes_seal;
pub(super) use read::{conversation, parsed};
pub(super) use write::body;

/// Paths in [`crate::dialect::common::Request::extra`] of what stood in a message or a tool: told where it is lost, but
/// written nowhere, since its place is gone.
const UNPLACED: &[&str] = &["contents.", "tools."];
