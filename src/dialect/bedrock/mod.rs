//! Bedrock's Converse API in the common form, as the caller's dialect and as the provider's; and what else is asked of
//! Bedrock: counting tokens, and embeddings by InvokeModel.
//!
//! Source: Amazon Bedrock's API reference ("Converse", "ConverseStream", "CountTokens", "InvokeModel") and its user
//! guide's pages on the single models. How one family of models differs from another is data: [`family`].

mod answer;
mod block;
mod blocks;
mod carries;
mod citation;
mod count;
mod embedding;
mod error;
mod family;
mod finish;
mod media;
mod pieces;
mod request;
mod stream;
mod usage;
mod wire;

pub use answer::{read_answer, write_answer};
pub use carries::carries;
pub use count::{
    counted_model, read_count_answer, read_count_request, write_count_answer, write_count_request,
};
pub use embedding::{inputs_per_call, read_embedding_answer, write_embedding_request};
pub use error::{error_body, error_event, error_type, read_error};
pub(super) use family::has_schemas;
pub use request::{read_request, write_request};
pub use stream::{Reader, Writer};
pub use usage::usage;

use super::Dialect;

/// Whose opaque parts are this dialect's own.
const OWN: Dialect = Dialect::Bedrock;

/// Whose seals on thoughts are this dialect's own: Claude's, which are the same in every cloud.
const SEALS: Dialect = Dialect::Anthropic;

/// The longest id of a tool call, in characters.
const CALL_ID_MAX: usize = 64;

#[cfg(test)]
mod tests;
