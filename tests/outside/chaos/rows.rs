//! The ledger of a run.

use std::collections::HashMap;
use std::path::Path;

use rusqlite::{Connection, OpenFlags};

/// A row of it.
#[derive(Debug)]
pub struct Row {
    /// Who was asked.
    pub target: String,
    /// How that ended.
    pub status: u16,
    /// What it cost, in millionths of a dollar, rounded down.
    pub cost_micro: Option<i64>,
}

/// The rows of each request, by the number of the attempt, of which each is there once.
pub fn rows_of(ledger: &Path) -> HashMap<String, Vec<Row>> {
    const ROWS: &str = "SELECT request_id, attempt, target, status, cost_micro FROM attempts ORDER BY request_id, attempt";
    let connection = Connection::open_with_flags(ledger, OpenFlags::SQLITE_OPEN_READ_ONLY);
    let connection = connection.expect("a database");
    let mut statement = connection.prepare(ROWS).expect("the table");
    let rows = statement.query_map([], |row| {
        let (id, attempt): (String, usize) = (row.get(0)?, row.get(1)?);
        let row = Row {
            target: row.get(2)?,
            status: row.get(3)?,
            cost_micro: row.get(4)?,
        };
        Ok((id, attempt, row))
    });
    let mut by_request = HashMap::<String, Vec<Row>>::new();
    for row in rows.expect("rows") {
        let (id, attempt, row) = row.expect("a row");
        let rows = by_request.entry(id).or_default();
        rows.push(row);
        assert_eq!(
            attempt,
            rows.len(),
            "attempts are counted from one, and each is there once"
        );
    }
    by_request
}
