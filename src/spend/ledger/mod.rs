//! The durable record of every attempt's usage and cost: single rows for a while, days' sums for ever.
//!
//! Rows are handed to [`Ledger::push`], which never waits. One thread takes them in batches at its own pace and stores each
//! batch with what it adds to the days' sums in one transaction: in a file (`sqlite`) or a server (`postgres`), which share
//! their tables (`schema`). What was spent is read from the days' sums ([`Reader`]).
//!
//! Invariants: a row is in the sums if and only if it was inserted, so what is handed in twice counts once; a row that is
//! handed in is stored, kept for the next try, put aside where an operator finds it, or counted in the log at the end of the
//! process. No error text holds a secret.

mod adjustments;
mod arrays;
mod batch;
mod cells;
mod error;
mod handle;
mod insert;
mod notes;
mod portions;
mod postgres;
mod query;
mod rest;
mod rollup;
mod row;
mod schema;
mod section;
mod server;
mod sqlite;
mod store;
#[cfg(test)]
mod tests;
mod writer;

pub use adjustments::{Adjustment, Change};
pub use batch::Batch;
pub use error::{ErrorKind, LedgerError};
pub use handle::{Ledger, QUEUE_MAX, Stats};
pub use notes::{Note, Noted};
pub use portions::Portion;
pub use query::{By, Difference, Group, Query, Reader, Report, Spent, Totals, correct};
pub use row::{CacheResult, METADATA_MAX, PriceUsed, Row, USER_MAX};
pub use section::{DetailedLedgerSection, InvalidLocation, LedgerSection, Location, Settings};
pub use server::ServerUrl;
