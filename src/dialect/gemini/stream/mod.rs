//! Streams of `streamGenerateContent`: each event is an answer that holds what is new.

mod candidate;
mod reader;
mod writer;

pub(super) use candidate::{GROUNDING, PAGES, QUOTES, picture};
pub use reader::Reader;
pub use writer::Writer;
