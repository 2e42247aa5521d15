//! Streams.

mod reader;
mod waiting;
mod writer;

pub use reader::Reader;
pub use writer::Writer;
