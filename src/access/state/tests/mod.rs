//! A real Redis for tests.

pub mod server;
