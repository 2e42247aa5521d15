//! What a ledger holds, read past the program.

use std::collections::HashMap;
use std::path::Path;

use rusqlite::{Connection, OpenFlags};

use super::load::Asked;
use super::{assert_sums, sqlite};
use crate::postgres::Postgres;

/// The rows of a ledger by the ids of their requests: how many each has.
pub struct Book(HashMap<String, u64>);

const ROWS: &str = "SELECT request_id, count(*) FROM attempts GROUP BY request_id";

// === impl Book ===

impl Book {
    /// Reads a file, which must be sound and its sums right.
    pub fn of_file(path: &Path) -> Self {
        let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY);
        let connection = connection.expect("a database");
        let check: String = connection
            .query_row("PRAGMA integrity_check", [], |row| row.get(0))
            .expect("a check");
        assert_eq!(check, "ok");
        let mut statement = connection.prepare(ROWS).expect("the table");
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)));
        let rows = rows.expect("rows").map(|row| row.expect("a row"));
        let book = Self(rows.collect());
        assert_sums(&sqlite(path));
        book
    }

    /// The same of a file whose writer was killed, which stays as it was found: the next writer is to recover it.
    pub fn of_remains(path: &Path) -> Self {
        let folder = tempfile::TempDir::new().expect("a temporary directory");
        let copy = folder.path().join("copy.db");
        for suffix in ["", "-wal"] {
            let from = format!("{}{suffix}", path.display());
            let to = format!("{}{suffix}", copy.display());
            if Path::new(&from).exists() {
                std::fs::copy(from, to).expect("room for a copy");
            }
        }
        Self::of_file(&copy)
    }

    /// Reads a server, whose sums must be right.
    pub fn of_server(server: &Postgres) -> Self {
        let rows = server.sql(&format!("SET search_path = tollgate; {ROWS}"));
        let rows = rows.lines().filter_map(|line| line.split_once('|'));
        let rows = rows.map(|(id, count)| (id.to_owned(), count.parse().expect("a count")));
        let book = Self(rows.collect());
        assert_sums(&server.url());
        book
    }

    /// How many requests it holds.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Does it hold this request?
    pub fn holds(&self, request_id: &str) -> bool {
        self.0.contains_key(request_id)
    }

    /// Asserts that no request is there twice.
    #[track_caller]
    pub fn assert_nothing_twice(&self) {
        let twice: Vec<_> = self.0.iter().filter(|(_, count)| **count != 1).collect();
        assert!(twice.is_empty(), "{twice:?}");
    }

    /// Asserts that every request that was answered is there, and none twice.
    #[track_caller]
    pub fn assert_holds_each_once<'a>(&self, asked: impl IntoIterator<Item = &'a Asked>) {
        self.assert_nothing_twice();
        let answered = asked.into_iter().filter(|asked| asked.arrived.is_some());
        let missing: Vec<_> = answered
            .map(|asked| &asked.request_id)
            .filter(|id| !self.holds(id))
            .collect();
        assert!(
            missing.is_empty(),
            "{} are missing: {missing:?}",
            missing.len()
        );
    }
}
