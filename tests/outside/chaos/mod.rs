//! Targets that fail: what callers see of it, and what the ledger.

mod dead;
mod rows;
