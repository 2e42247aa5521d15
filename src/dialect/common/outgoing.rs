//! What a writer of requests is told of the target.

use crate::dialect::Accent;

/// Where a request goes, as far as its body depends on it.
#[derive(Clone, Copy, Debug)]
pub struct Outgoing<'a> {
    /// The model as the provider knows it.
    pub model: &'a str,
    /// How the server speaks OpenAI's dialect.
    pub accent: &'a Accent,
    /// The body has neither model nor `stream`, which stand in the path, but a version: Anthropic's models at Vertex.
    pub is_vertex: bool,
    /// Marks for the provider's cache are set where the caller set none (Anthropic, Bedrock).
    pub auto_cache: bool,
}
