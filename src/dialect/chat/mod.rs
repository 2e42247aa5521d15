//! OpenAI's chat completions, in the common form: read from callers and providers, written for both.
//!
//! Sources: OpenAI's API reference ("Chat Completions", "Chat Completions streaming") and, for what servers of this
//! dialect add, their own: OpenRouter's `reasoning_details` and `cache_control`, DeepSeek's `reasoning_content`, Mistral's
//! lists of content, Google's `extra_content`, Groq's `x_groq`, Azure's filter results. How a server differs from OpenAI
//! as a target is data: [`crate::dialect::Accent`].

mod answer;
mod carries;
mod error;
mod finish;
mod logprobs;
mod media;
mod request;
mod stream;
mod thoughts;
mod usage;
mod wire;

pub use answer::{read_answer, write_answer};
pub use carries::{carries, carries_with};
pub use error::read_error;
pub use request::{read_request, write_request};
pub use stream::{Reader, Writer};
pub use usage::usage;

pub(super) use finish::written as written_finish;
pub(super) use request::{StopTexts, StreamOptions};
pub(super) use usage::{WireUsage, read_usage};
pub(super) use wire::Members;

/// The kind under which a message's own field is carried as an opaque part: this, and the field's name.
const MESSAGE_FIELD: &str = "messages.";

/// The kind of an opaque part that is a call of a tool without a schema (`type: custom`).
const CUSTOM_CALL: &str = "tool_calls.custom";

/// A message's own fields that answers carry beside their content.
const AUDIO: &str = "messages.audio";
const EXECUTED_TOOLS: &str = "messages.executed_tools";

#[cfg(test)]
mod tests;
