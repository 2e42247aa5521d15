//! Rows on their way into SQLite's table, with as little work for each as may be.
//!
//! To begin and end a statement, and to hand values over to it, costs more than to write the row. So one statement takes
//! several rows, and is given only those values that differ from what it was given last in the same place: from row to row
//! most of them are the same.

use std::collections::HashSet;

use rusqlite::types::{ToSqlOutput, Value, ValueRef};
use rusqlite::{CachedStatement, Connection, ToSql};
use uuid::Uuid;

use super::LedgerError;
use super::batch::Written;
use super::cells::{self, Cell, USUAL_COLUMNS};
use super::rest;
use super::schema;
use super::sqlite::Trouble;

/// How many rows one statement takes. More of them gain little.
const GROUP: usize = 20;

/// How many columns the table has: the usual ones, and one for the rest.
const COLUMNS: usize = USUAL_COLUMNS + 1;

/// Inserts the rows that are not there yet, within a transaction. Tells which those were; None where all were.
pub(super) fn insert(
    connection: &Connection,
    rows: &[Written<'_>],
    place: &str,
) -> Result<Option<HashSet<(i64, Uuid)>>, Trouble> {
    let last = "SELECT coalesce(max(rowid), 0) FROM attempt_rows";
    let last: i64 = connection
        .prepare_cached(last)?
        .query_row([], |row| row.get(0))?;
    let lines = rows.iter().map(|row| Line::of(*row, place));
    let lines: Vec<_> = lines.collect::<Result<_, _>>()?;
    let groups = lines.chunks_exact(GROUP);
    let mut count = 0;
    let mut one_by_one = Insert::new(connection, 1)?;
    for line in groups.remainder() {
        count += one_by_one.execute(std::slice::from_ref(line))?;
    }
    let mut by_groups = Insert::new(connection, GROUP)?;
    for group in groups {
        count += by_groups.execute(group)?;
    }
    if count == rows.len() {
        return Ok(None);
    }
    // Whatever this transaction has inserted is numbered on from what was there.
    let inserted = "SELECT time_ms, id FROM attempt_rows WHERE rowid > ?1";
    let mut inserted = connection.prepare_cached(inserted)?;
    let identity = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, Uuid::from_bytes(row.get(1)?)));
    let inserted = inserted.query_map([last], identity)?;
    Ok(Some(inserted.collect::<Result<_, _>>()?))
}

/// A row as the table takes it.
struct Line<'r> {
    row: Written<'r>,
    rest: Option<String>,
}

impl<'r> Line<'r> {
    fn of(row: Written<'r>, place: &str) -> Result<Self, LedgerError> {
        let rest = match row.is_usual() {
            true => None,
            false => rest::of(&row.row(), place)?,
        };
        Ok(Self { row, rest })
    }

    fn cells(&self) -> [Cell<'_>; COLUMNS] {
        let usual = cells::usual_cells(&self.row.row());
        let mut cells = [Cell::Text(self.rest.as_deref()); COLUMNS];
        cells[..USUAL_COLUMNS].copy_from_slice(&usual);
        cells
    }
}

/// A statement that inserts so many rows at once.
struct Insert<'c, 'r> {
    statement: CachedStatement<'c>,
    /// What its parameters hold, once they hold anything.
    bound: Vec<Option<[Cell<'r>; COLUMNS]>>,
}

impl<'c, 'r> Insert<'c, 'r> {
    fn new(connection: &'c Connection, rows: usize) -> Result<Self, Trouble> {
        let values = format!("({})", schema::list(["?"; COLUMNS]));
        // What fails ends the transaction: so nothing needs to be kept by which to undo this statement alone.
        let statement = connection.prepare_cached(&format!(
            "INSERT OR FAIL INTO attempt_rows ({}) VALUES {} ON CONFLICT (time_ms, id) DO NOTHING",
            schema::list(cells::usual_names().chain([rest::NAME])),
            schema::list(vec![values; rows])
        ))?;
        Ok(Self {
            statement,
            bound: vec![None; rows],
        })
    }

    /// Inserts as many rows as the statement takes. Tells how many of them were new.
    fn execute(&mut self, lines: &'r [Line<'_>]) -> Result<usize, Trouble> {
        for (index, (line, bound)) in lines.iter().zip(&mut self.bound).enumerate() {
            let cells = line.cells();
            for (at, cell) in cells.iter().enumerate() {
                if bound.as_ref().is_none_or(|bound| bound[at] != *cell) {
                    let number = index * COLUMNS + at + 1;
                    self.statement.raw_bind_parameter(number, *cell)?;
                }
            }
            *bound = Some(cells);
        }
        Ok(self.statement.raw_execute()?)
    }
}

impl ToSql for Cell<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match self {
            Self::Id(id) => ToSqlOutput::Borrowed(ValueRef::Blob(id.as_bytes())),
            Self::Int(int) => ToSqlOutput::Owned(int.map_or(Value::Null, Value::Integer)),
            Self::Text(text) => {
                let text = text.map_or(ValueRef::Null, |text| ValueRef::Text(text.as_bytes()));
                ToSqlOutput::Borrowed(text)
            }
            Self::Bool(bool) => ToSqlOutput::Owned(Value::Integer((*bool).into())),
        })
    }
}
