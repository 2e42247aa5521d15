//! Streams: named events, from `message-start` to `message-end`, and after it `data: [DONE]`.

mod event;
mod reader;
mod writer;

pub use reader::Reader;
pub use writer::Writer;
