//! Tollgate: an LLM gateway. One binary between applications and model providers.

#![forbid(unsafe_code)]

pub mod access;
#[cfg(test)]
mod chance;
pub mod cli;
pub mod config;
pub mod dialect;
pub mod hex;
pub mod pipeline;
pub mod provider;
pub mod route;
pub mod server;
pub mod sigv4;
pub mod snapshot;
pub mod soon;
pub mod spend;
pub mod telemetry;
pub mod trust;
