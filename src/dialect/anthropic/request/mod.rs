//! Requests.

mod content;
mod objects;
mod read;
mod settings;
mod turns;
mod write;

pub use read::{read_count_request, read_request};
pub use write::{write_count_request, write_request};
