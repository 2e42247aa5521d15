//! Rows on their way into SQLite's table, with as little work for each as may be.
//!
//! To begin and end a statement, and to hand values over to it, costs more than to write the row. So one statement takes
//! several rows, without the columns that hardly any row fills, and is given only those values that differ from what it was
//! given last in the same place: from row to row most of them are the same.

use std::collections::HashSet;

use rusqlite::types::{ToSqlOutput, Value, ValueRef};
use rusqlite::{CachedStatement, Connection, ToSql};
use uuid::Uuid;

use super::LedgerError;
use super::batch::Written;
use super::cells::{self, Cell};
use super::schema;
use super::sqlite::Trouble;

/// How many usual rows one statement takes. More of them gain little.
const GROUP: usize = 20;

/// Inserts the rows that are not there yet, within a transaction. Tells which those were; None where all were.
pub(super) fn insert(
    connection: &Connection,
    rows: &[Written<'_>],
    place: &str,
) -> Result<Option<HashSet<(i64, Uuid)>>, Trouble> {
    let last = "SELECT coalesce(max(rowid), 0) FROM attempts";
    let last: i64 = connection
        .prepare_cached(last)?
        .query_row([], |row| row.get(0))?;
    let (usual, others): (Vec<_>, Vec<_>) = rows.iter().copied().partition(Written::is_usual);
    let groups = usual.chunks_exact(GROUP);
    let mut count = 0;
    let mut one_by_one = Insert::new(connection, 1, cells)?;
    for row in others {
        count += one_by_one.execute(&[row], place)?;
    }
    let mut one_by_one = Insert::new(connection, 1, usual_cells)?;
    for row in groups.remainder() {
        count += one_by_one.execute(&[*row], place)?;
    }
    let mut by_groups = Insert::new(connection, GROUP, usual_cells)?;
    for group in groups {
        count += by_groups.execute(group, place)?;
    }
    if count == rows.len() {
        return Ok(None);
    }
    // Whatever this transaction has inserted is numbered on from what was there.
    let inserted = "SELECT time_ms, id FROM attempts WHERE rowid > ?1";
    let mut inserted = connection.prepare_cached(inserted)?;
    let identity = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, Uuid::from_bytes(row.get(1)?)));
    let inserted = inserted.query_map([last], identity)?;
    Ok(Some(inserted.collect::<Result<_, _>>()?))
}

/// A row's first so many columns.
type Cells<'r, const COLUMNS: usize> =
    fn(&Written<'r>, &str) -> Result<[Cell<'r>; COLUMNS], LedgerError>;

fn cells<'r>(row: &Written<'r>, place: &str) -> Result<[Cell<'r>; cells::COLUMNS], LedgerError> {
    cells::cells(&row.row(), place)
}

fn usual_cells<'r>(
    row: &Written<'r>,
    _place: &str,
) -> Result<[Cell<'r>; cells::USUAL_COLUMNS], LedgerError> {
    Ok(cells::usual_cells(&row.row()))
}

/// A statement that inserts so many rows at once, and so many of their columns.
struct Insert<'c, 'r, const COLUMNS: usize> {
    statement: CachedStatement<'c>,
    cells: Cells<'r, COLUMNS>,
    /// What its parameters hold, once they hold anything.
    bound: Vec<Option<[Cell<'r>; COLUMNS]>>,
}

impl<'c, 'r, const COLUMNS: usize> Insert<'c, 'r, COLUMNS> {
    fn new(
        connection: &'c Connection,
        rows: usize,
        cells: Cells<'r, COLUMNS>,
    ) -> Result<Self, Trouble> {
        let values = format!("({})", schema::list(["?"; COLUMNS]));
        // What fails ends the transaction: so nothing needs to be kept by which to undo this statement alone.
        let statement = connection.prepare_cached(&format!(
            "INSERT OR FAIL INTO attempts ({}) VALUES {} ON CONFLICT (time_ms, id) DO NOTHING",
            schema::list(cells::column_names().take(COLUMNS)),
            schema::list(vec![values; rows])
        ))?;
        Ok(Self {
            statement,
            cells,
            bound: vec![None; rows],
        })
    }

    /// Inserts as many rows as the statement takes. Tells how many of them were new.
    fn execute(&mut self, rows: &[Written<'r>], place: &str) -> Result<usize, Trouble> {
        for (index, (row, bound)) in rows.iter().zip(&mut self.bound).enumerate() {
            let cells = (self.cells)(row, place)?;
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
