//! The ledger in a file: SQLite, built in.
//!
//! Write-ahead log with `synchronous=FULL`: a commit returns when the disk has it, so it survives the loss of power as well
//! as of the process. Readers go on while it is written, and several processes may write one file: they take turns.

use std::collections::HashSet;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior, params, params_from_iter};

use super::LedgerError;
use super::batch::{self, Written};
use super::cells::{self, Cell};
use super::error::ErrorKind;
use super::insert;
use super::notes::Note;
use super::portions;
use super::rest;
use super::rollup::{Place, Sums, rollup};
use super::row::Row;
use super::schema;
use super::store::Store;

/// How long a statement waits for others who hold the file. The writer tries again after it.
const BUSY_TIMEOUT: Duration = Duration::from_secs(1);

/// How long the start waits for others who hold the file.
const OPEN_PATIENCE: Duration = Duration::from_secs(5);

/// The size of a page of the file.
const PAGE_BYTES: i64 = 8192;

/// The log of changes is cut to this after it was written back, in bytes.
const LOG_BYTES_MAX: i64 = 64 * 1024 * 1024;

/// A file that is open for writing.
pub(super) struct SqliteStore {
    path: PathBuf,
    /// None after an error that a new connection may be rid of.
    open: Option<Open>,
}

struct Open {
    connection: Connection,
    /// Device and inode: a file that was deleted under us takes writes as if nothing had happened.
    identity: Option<(u64, u64)>,
}

impl SqliteStore {
    /// Opens or creates the file.
    pub fn open(path: &Path) -> Result<Self, LedgerError> {
        let open = Open::new(path)?;
        Ok(Self {
            path: path.to_owned(),
            open: Some(open),
        })
    }

    /// Runs one transaction. What a new connection may cure closes this one.
    fn transact<T>(
        &mut self,
        work: impl FnOnce(&Connection) -> Result<T, Trouble>,
    ) -> Result<T, LedgerError> {
        let place = self.path.display().to_string();
        let open = match self.open.take() {
            Some(open) if open.identity == identity(&self.path) => open,
            _ => Open::new(&self.path)?,
        };
        let open = self.open.insert(open);
        let done = in_transaction(&mut open.connection, work);
        done.map_err(|trouble| {
            let error = trouble.into_error(&place);
            if matches!(
                error.kind,
                ErrorKind::Inaccessible | ErrorKind::Foreign | ErrorKind::Other
            ) {
                self.open = None;
            }
            error
        })
    }

    /// For tests: the disk has room for so many pages.
    #[cfg(test)]
    pub fn limit_pages(&mut self, pages: i64) {
        let open = self.open.as_ref().unwrap();
        let set = |_: &rusqlite::Row<'_>| Ok(());
        open.connection
            .pragma_update_and_check(None, "max_page_count", pages, set)
            .unwrap();
    }
}

impl Store for SqliteStore {
    fn commit(&mut self, rows: &[Written<'_>]) -> Result<usize, LedgerError> {
        let place = self.path.display().to_string();
        self.transact(|connection| {
            insert_prices(connection, rows)?;
            let inserted = insert::insert(connection, rows, &place)?;
            let new = inserted.as_ref().map_or(rows.len(), HashSet::len);
            let mut uncounted = inserted;
            // A row that stands twice in a batch was inserted once.
            let is_new = |row: &&Written<'_>| {
                let uncounted = uncounted.as_mut();
                uncounted.is_none_or(|uncounted| uncounted.remove(&row.identity()))
            };
            add_sums(connection, &rollup(rows.iter().filter(is_new)))?;
            Ok(new)
        })
    }

    fn note(&mut self, notes: &[Note]) -> Result<(), LedgerError> {
        self.transact(|connection| {
            for note in notes {
                let (sql, cells) = note.statement();
                let mut statement = connection.prepare_cached(sql)?;
                statement.execute(params_from_iter(cells))?;
            }
            Ok(())
        })
    }

    fn refuse(&mut self, row: &Row<'_>, why: &str) -> Result<(), LedgerError> {
        self.transact(|connection| {
            connection.execute(
                "INSERT INTO refused (id, time_ms, team, why, json) VALUES (?1, ?2, ?3, ?4, ?5)
                 ON CONFLICT (id) DO NOTHING",
                params![
                    Cell::Id(row.id),
                    row.time_ms,
                    row.team,
                    why,
                    cells::json(row).to_string()
                ],
            )?;
            Ok(())
        })
    }

    fn prune(&mut self, before_ms: i64, rows_max: usize) -> Result<usize, LedgerError> {
        self.transact(|connection| {
            let deleted = connection.execute(
                "DELETE FROM attempt_rows WHERE (time_ms, id) IN
                 (SELECT time_ms, id FROM attempt_rows WHERE time_ms < ?1 ORDER BY time_ms LIMIT ?2)",
                params![before_ms, i64::try_from(rows_max).unwrap_or(i64::MAX)],
            )?;
            if deleted > 0 {
                note(connection, "pruned_before_ms", before_ms)?;
            }
            Ok(deleted)
        })
    }

    fn prune_portions(&mut self, before_ms: i64, rows_max: usize) -> Result<usize, LedgerError> {
        let limit = i64::try_from(rows_max).unwrap_or(i64::MAX);
        self.transact(|connection| Ok(connection.execute(portions::PRUNE, [before_ms, limit])?))
    }
}

impl Open {
    fn new(path: &Path) -> Result<Self, LedgerError> {
        let place = path.display().to_string();
        let until = Instant::now() + OPEN_PATIENCE;
        loop {
            let opened = open_with(path, &schema::MIGRATIONS);
            match opened.map_err(|trouble| trouble.into_error(&place)) {
                // Changing to the write-ahead log does not wait for others by itself.
                Err(error) if error.kind == ErrorKind::Locked && Instant::now() < until => {
                    std::thread::sleep(Duration::from_millis(50));
                }
                Err(error) => return Err(error),
                Ok(connection) => {
                    return Ok(Self {
                        connection,
                        identity: identity(path),
                    });
                }
            }
        }
    }
}

fn identity(path: &Path) -> Option<(u64, u64)> {
    let metadata = std::fs::metadata(path).ok()?;
    Some((metadata.dev(), metadata.ino()))
}

/// Opens a file, and changes nothing in one that is not ours.
pub(super) fn open_with(path: &Path, migrations: &[fn() -> String]) -> Result<Connection, Trouble> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    let place = path.display().to_string();
    check_version(&connection, &place, migrations.len() as i64)?;
    // For a file that is made now: half as many pages for the same rows are half as many calls and checks.
    connection.pragma_update(None, "page_size", PAGE_BYTES)?;
    let mode: String =
        connection.pragma_update_and_check(None, "journal_mode", "wal", |row| row.get(0))?;
    if mode != "wal" {
        let detail = format!("no write-ahead log can be kept beside it (its journal is `{mode}`)");
        return Err(LedgerError::new(ErrorKind::Inaccessible, &place, detail).into());
    }
    connection.pragma_update(None, "synchronous", "full")?;
    // Prices are inserted with the rows that refer to them, so no row needs to be asked for its price.
    connection.pragma_update(None, "foreign_keys", false)?;
    connection.pragma_update(None, "journal_size_limit", LOG_BYTES_MAX)?;
    in_transaction(&mut connection, |connection| {
        migrate(connection, &place, migrations)?;
        // The start writes something in any case: a disk that is full or read-only shows now.
        note(connection, "opened_ms", schema::now_ms())
    })?;
    Ok(connection)
}

/// Opens a file for reading; it must be there, and of this version.
pub(super) fn open_to_read(path: &Path) -> Result<Connection, LedgerError> {
    let place = path.display().to_string();
    if !path.exists() {
        return Err(LedgerError::new(
            ErrorKind::Missing,
            &place,
            "there is no such file",
        ));
    }
    let opened = || -> Result<Connection, Trouble> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags)?;
        connection.busy_timeout(BUSY_TIMEOUT)?;
        let known = schema::VERSION;
        match check_version(&connection, &place, known)? {
            Some(version) if version == known => Ok(connection),
            Some(version) => {
                let detail = format!("its tables have version {version}, and {known} is read");
                Err(LedgerError::new(ErrorKind::Older, &place, detail).into())
            }
            None => Err(LedgerError::new(ErrorKind::Foreign, &place, "it is empty").into()),
        }
    };
    opened().map_err(|trouble| trouble.into_error(&place))
}

/// The version of the file's tables, None for an empty file. It must be a ledger, and not newer than `known`.
fn check_version(connection: &Connection, place: &str, known: i64) -> Result<Option<i64>, Trouble> {
    let count = |condition: &str| -> rusqlite::Result<i64> {
        let sql = format!("SELECT count(*) FROM sqlite_master WHERE {condition}");
        connection.query_row(&sql, [], |row| row.get(0))
    };
    if count("name = 'schema_migrations'")? == 0 {
        if count("1")? == 0 {
            return Ok(None);
        }
        let detail = "it is the database of another program";
        return Err(LedgerError::new(ErrorKind::Foreign, place, detail).into());
    }
    let sql = "SELECT coalesce(max(version), 0) FROM schema_migrations";
    let version = connection.query_row(sql, [], |row| row.get(0))?;
    if version > known {
        return Err(LedgerError::newer(place, version).into());
    }
    Ok(Some(version))
}

/// Brings the tables up to date, within a transaction.
fn migrate(
    connection: &Connection,
    place: &str,
    migrations: &[fn() -> String],
) -> Result<(), Trouble> {
    // Another process may have been faster between the first look and the lock.
    let version = check_version(connection, place, migrations.len() as i64)?;
    if version.is_none() {
        connection.execute_batch(
            "CREATE TABLE schema_migrations (version INTEGER NOT NULL PRIMARY KEY, applied_ms INTEGER NOT NULL) STRICT",
        )?;
    }
    let done = usize::try_from(version.unwrap_or(0)).unwrap_or(0);
    for (index, migration) in migrations.iter().enumerate().skip(done) {
        connection.execute_batch(&in_sqlite(&migration()))?;
        connection.execute(
            "INSERT INTO schema_migrations (version, applied_ms) VALUES (?1, ?2)",
            params![index as i64 + 1, schema::now_ms()],
        )?;
    }
    Ok(())
}

/// A migration in SQLite's words.
fn in_sqlite(migration: &str) -> String {
    let usd = |amount: &str| format!("({amount}_micro / 1e6 + {amount}_pico / 1e12)");
    let words = [
        ("{rest}", rest::migration()),
        ("{int}", "INTEGER".to_owned()),
        ("{random}", "abs(random() % 9007199254740991)".to_owned()),
        ("{text}", "TEXT".to_owned()),
        ("{uuid}", "BLOB".to_owned()),
        ("{bool}", "INTEGER".to_owned()),
        ("{false}", "0".to_owned()),
        ("{tail}", "STRICT, WITHOUT ROWID".to_owned()),
        // Rows that come in the order of their numbers fill page after page; by their key they would be moved about. What
        // the writer's types say of a value is not checked for each of them again: that cost more than to write it.
        ("{rows_tail}", String::new()),
        ("{given}", String::new()),
        ("{date}", "date(day * 86400, 'unixepoch')".to_owned()),
        (
            "{time}",
            "strftime('%Y-%m-%dT%H:%M:%fZ', time_ms / 1000.0, 'unixepoch')".to_owned(),
        ),
        ("{usd cost}", usd("cost")),
        ("{usd savings}", usd("savings")),
    ];
    let replace = |text: String, (word, by): &(&str, String)| text.replace(word, by);
    words.iter().fold(migration.to_owned(), replace)
}

fn in_transaction<T>(
    connection: &mut Connection,
    work: impl FnOnce(&Connection) -> Result<T, Trouble>,
) -> Result<T, Trouble> {
    // Immediate: the lock is waited for here, where nothing has been read yet that could have changed meanwhile.
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let result = work(&transaction)?;
    transaction.commit()?;
    Ok(result)
}

/// Notes a number that only grows.
fn note(connection: &Connection, name: &str, value: i64) -> Result<(), Trouble> {
    connection.execute(
        "INSERT INTO meta (name, value) VALUES (?1, ?2)
         ON CONFLICT (name) DO UPDATE SET value = max(value, excluded.value)",
        params![name, value],
    )?;
    Ok(())
}

/// Prices are immutable: whoever used one first has written what it was.
fn insert_prices(connection: &Connection, rows: &[Written<'_>]) -> Result<(), Trouble> {
    let mut statement = connection.prepare_cached(
        "INSERT INTO prices (id, json) VALUES (?1, ?2) ON CONFLICT (id) DO NOTHING",
    )?;
    for price in batch::prices(rows) {
        statement.execute([&price.id, &price.json])?;
    }
    Ok(())
}

fn add_sums(connection: &Connection, places: &[(Place<'_>, Sums)]) -> Result<(), Trouble> {
    let mut statement = connection.prepare_cached(&format!(
        "INSERT INTO daily (day, team, key, model, target, {}) VALUES ({}) {}",
        schema::list(schema::sum_names()),
        schema::list(["?"; 5 + schema::SUMS]),
        schema::on_conflict_add()
    ))?;
    for (place, sums) in places {
        let day = std::iter::once(Cell::Int(Some(place.day)));
        let labels = [place.team, place.key, place.model, place.target];
        let labels = labels.map(|label| Cell::Text(Some(label)));
        let sums = sums.iter().map(|sum| Cell::Int(Some(*sum)));
        statement.execute(params_from_iter(day.chain(labels).chain(sums)))?;
    }
    Ok(())
}

// === Errors ===

/// What went wrong within a transaction: SQLite's word, or ours.
#[derive(Debug)]
pub(super) enum Trouble {
    Sqlite(rusqlite::Error),
    Ours(LedgerError),
}

impl Trouble {
    fn into_error(self, place: &str) -> LedgerError {
        match self {
            Self::Sqlite(error) => error_of(&error, place),
            Self::Ours(error) => error,
        }
    }
}

impl From<rusqlite::Error> for Trouble {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

impl From<LedgerError> for Trouble {
    fn from(error: LedgerError) -> Self {
        Self::Ours(error)
    }
}

/// What an error of SQLite means.
pub(super) fn error_of(error: &rusqlite::Error, place: &str) -> LedgerError {
    let kind = match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => ErrorKind::Locked,
        Some(ErrorCode::DiskFull) => ErrorKind::Full,
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => ErrorKind::Foreign,
        Some(
            ErrorCode::ReadOnly
            | ErrorCode::CannotOpen
            | ErrorCode::PermissionDenied
            | ErrorCode::SystemIoFailure,
        ) => ErrorKind::Inaccessible,
        Some(ErrorCode::ConstraintViolation | ErrorCode::TypeMismatch | ErrorCode::TooBig) => {
            ErrorKind::Row
        }
        _ => ErrorKind::Other,
    };
    LedgerError::new(kind, place, error)
}
