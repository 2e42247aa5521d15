//! Streams, and whole answers read as a stream of one piece, so that both always say the same.

mod choice;
mod chunk;
mod reader;
mod writer;
mod written;

pub use reader::Reader;
pub use writer::Writer;

pub(super) use reader::read_whole;
