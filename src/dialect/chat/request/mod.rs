//! Requests.

mod blocks;
mod body;
mod messages;
mod parts;
mod read;
mod turns;
mod write;

pub use read::read_request;
pub use write::write_request;

pub(in crate::dialect) use read::{StopTexts, StreamOptions};
