//! Wire formats of model traffic: one file a format, and what they share.
//!
//! Invariant: no I/O here, and no configuration; bytes go in, bytes and facts come out.

pub mod accent;
pub mod anthropic;
pub mod bedrock;
pub mod chat;
pub mod cohere;
pub mod common;
pub mod completions;
mod conversation;
pub mod count;
pub mod demand;
pub mod embedding;
pub mod error;
pub mod eventstream;
mod field;
mod fnv;
pub mod gemini;
pub mod incoming;
mod names;
mod needs;
pub mod openai;
#[cfg(test)]
mod properties;
#[cfg(test)]
pub mod recorded;
pub mod responses;
pub mod scan;
pub mod sse;
#[cfg(test)]
mod table;
mod tier;
pub mod tool_names;
mod translate;

pub use accent::Accent;
pub use common::Usage;
pub use demand::{Demand, Paid, Unbounded};
pub use error::{Error, Kind};
pub use incoming::{Incoming, Patches, PathFacts};
pub use names::{Dialect, Endpoint, Operation};
pub use needs::{Capability, Needs};
pub use tier::Tier;
pub use tool_names::ToolNames;
pub use translate::{Frames, Framing, model, model_list};
