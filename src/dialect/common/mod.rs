//! The common form: what a request, an answer and a stream are when no wire format is looked at.
//!
//! A dialect that differs from the caller's is reached through it. It holds all that two dialects may have in common;
//! what only one knows is carried along under that dialect's own name and reaches a target that speaks it. What a
//! target cannot hold is told by name ([`Feature`]), never lost in silence.

mod answer;
mod collect;
mod delta;
mod dropped;
mod feature;
mod ids;
mod json;
mod outgoing;
mod reasoning;
mod request;
mod said;
mod signature;
mod stream;
mod usage;

pub use answer::{Answer, Choice, Citation, Finish, TokenLogprob};
pub use collect::Collector;
pub use delta::{Context, Delta};
pub use dropped::Dropped;
pub use feature::{Carry, Feature};
pub use ids::{derived_call_id, fitted_id, fitted_name, hashed_id, prefixed_id};
pub use json::Json;
pub use outgoing::Outgoing;
pub use reasoning::{Effort, Reasoning, ThinkingBudget};
pub use request::{
    Cache, Content, Format, Function, Part, Request, Role, Source, Thinking, Tool, ToolChoice, Turn,
};
pub use said::{KEPT_MAX, Kept, Kind as SaidKind, Said};
pub use signature::Signature;
pub use stream::{Malformed, ObjectEnd, ReadStream, WriteStream};
pub use usage::Usage;
