//! Requests.

mod messages;
mod read;
mod turns;
mod write;

pub use read::read_request;
pub use write::write_request;
