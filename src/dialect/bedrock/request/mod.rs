//! Requests.

mod additional;
mod content;
mod items;
mod marks;
mod objects;
mod read;
mod settings;
mod thinking;
mod tools;
mod turns;
mod write;

pub use read::read_request;
pub use write::write_request;

pub(super) use read::read_prompt;
pub(super) use write::write_prompt;

/// Where the fields stand that only a model knows.
const ADDITIONAL: &str = "additionalModelRequestFields";
