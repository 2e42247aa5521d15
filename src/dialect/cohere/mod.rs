//! Cohere's wire format: `POST /v2/chat` (source: Cohere's API reference, "Chat" and "Chat with Streaming", v2, and the
//! types of its Python SDK), and `POST /v2/embed` as a provider's only.
//!
//! A tool plan is a thought: Cohere's models write it before they call tools. Seals on other providers' thoughts, for
//! which Cohere has no field, stand in members of our own (`signature`, `id`, `redacted` of a thinking block, `signature`
//! of a tool call). Its SDKs keep and send back members that they do not know.

mod answer;
mod carries;
mod citation;
mod embedding;
mod error;
mod request;
mod stream;
mod wire;

pub use answer::{failure, read_answer, usage, write_answer};
pub use carries::carries;
pub use embedding::{EMBEDDING_INPUTS_MAX, read_embedding_answer, write_embedding_request};
pub use error::{error_body, error_event, read_error};
pub use request::{read_request, write_request};
pub use stream::{Reader, Writer};

#[cfg(test)]
mod tests;
