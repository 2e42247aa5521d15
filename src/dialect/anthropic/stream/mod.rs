//! Streams.

mod event;
mod reader;
mod writer;

pub use reader::Reader;
pub use writer::Writer;
