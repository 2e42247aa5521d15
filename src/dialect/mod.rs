//! Wire formats of model traffic: one file a format, and what they share.
//!
//! Invariant: no I/O here, and no configuration; bytes go in, bytes and facts come out.

pub mod accent;
pub mod common;
pub mod error;
mod names;
pub mod openai;
pub mod scan;
pub mod sse;

pub use accent::Accent;
pub use common::Usage;
pub use error::{Error, Kind};
pub use names::{Dialect, Endpoint};
