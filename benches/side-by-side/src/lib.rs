//! What the benches share.

pub mod http;
