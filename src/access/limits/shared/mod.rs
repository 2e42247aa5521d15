//! Limits that all replicas keep together, by way of Redis.

mod lease;
mod log;
mod pace;
mod script;
#[cfg(test)]
mod simulation;
