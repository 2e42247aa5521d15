//! Anthropic's Messages API in the common form, as the caller's dialect and as the provider's: at Anthropic, and for
//! Claude at Vertex.
//!
//! Source: Anthropic's API reference, "Messages" (with "Streaming messages", "Count message tokens", "List models" and
//! "Errors"), and of its guides "Thinking", "Effort", "Structured outputs", "Prompt caching", "Citations" and
//! "Mid-conversation system messages". How one model differs from another is data: [`models`].

mod answer;
mod block;
mod carries;
mod citation;
mod count;
mod error;
mod finish;
mod list;
pub(in crate::dialect) mod models;
mod read;
mod request;
pub(in crate::dialect) mod schema;
mod stream;
mod usage;
mod wire;

pub use answer::{read_answer, write_answer};
pub use carries::carries;
pub use count::{read_count_answer, write_count_answer};
pub use error::{error_body, error_event, error_type, read_error};
pub use list::{model, model_list};
pub use request::{read_count_request, read_request, write_count_request, write_request};
pub use stream::{Reader, Writer};
pub use usage::usage;

use super::Dialect;

/// Whether the model of that name goes on with an answer that the last message begins.
pub fn has_prefill(name: &str) -> bool {
    models::Model::named(name).has_prefill
}

/// Whose seals and opaque parts are this dialect's own.
const OWN: Dialect = Dialect::Anthropic;

/// The longest id of a tool call that is sent, in bytes.
const CALL_ID_MAX: usize = 64;

#[cfg(test)]
mod tests;
