//! What the writer asks of a store, and which store a place has.

use super::LedgerError;
use super::batch::Written;
use super::notes::Note;
use super::postgres::PostgresStore;
use super::row::Row;
use super::section::Location;
use super::sqlite::SqliteStore;

/// A store as its one writer sees it. Every call is bounded in time and may be made again after it failed.
pub(super) trait Store: Send {
    /// Stores rows of one batch, in their order, and adds them to their days' sums in one transaction; rows that are there already are passed over.
    /// Tells how many were new. An error of kind `Row` says that one of them will never be taken.
    fn commit(&mut self, rows: &[Written<'_>]) -> Result<usize, LedgerError>;

    /// Notes what budgets need, in one transaction.
    fn note(&mut self, notes: &[Note]) -> Result<(), LedgerError>;

    /// Keeps a row aside that will never be taken.
    fn refuse(&mut self, row: &Row<'_>, why: &str) -> Result<(), LedgerError>;

    /// Deletes up to `rows_max` of the rows that are older than `before_ms`. Tells how many it deleted.
    fn prune(&mut self, before_ms: i64, rows_max: usize) -> Result<usize, LedgerError>;

    /// Deletes up to `rows_max` of the portions whose windows ended before `before_ms`. Tells how many it deleted.
    fn prune_portions(&mut self, before_ms: i64, rows_max: usize) -> Result<usize, LedgerError>;
}

/// Opens or creates a store, brings its tables up to date, and makes sure that it can be written.
pub(super) fn open(location: &Location) -> Result<Box<dyn Store>, LedgerError> {
    Ok(match location {
        Location::Sqlite(path) => Box::new(SqliteStore::open(path)?),
        Location::Postgres(url) => Box::new(PostgresStore::open(url)?),
    })
}
