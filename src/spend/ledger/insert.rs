//! Rows on their way into SQLite's table, with as little work for each as may be.
//!
//! To begin and end a statement, and to hand values over to it, costs more than to write the row. So one statement takes
//! several rows, without the columns that hardly any row fills, and is given only those values that differ from what it was
//! given last in the same place: from row to row most of them are the same.

use std::collections::HashSet;

use rusqlite::types::{ToSqlOutput, Value, ValueRef};
use rusqlite::{CachedStatement, Connection, ToSql};
use uuid::Uuid;

use super::row::Row;
use super::schema::{self, COLUMNS, Cell, USUAL_COLUMNS};
use super::sqlite::Trouble;

/// How many usual rows one statement takes. More of them gain little.
const GROUP: usize = 20;

/// Inserts the rows that are not there yet, within a transaction. Tells which those were; None where all were.
pub(super) fn insert(
    connection: &Connection,
    rows: &[&Row],
    place: &str,
) -> Result<Option<HashSet<(i64, Uuid)>>, Trouble> {
    let last = "SELECT coalesce(max(rowid), 0) FROM attempts";
    let last: i64 = connection
        .prepare_cached(last)?
        .query_row([], |row| row.get(0))?;
    let (usual, others): (Vec<&Row>, Vec<&Row>) =
        rows.iter().partition(|row| schema::is_usual(row));
    let groups = usual.chunks_exact(GROUP);
    let mut one_by_one = Insert::new(connection, 1, COLUMNS)?;
    let mut by_groups = Insert::new(connection, GROUP, USUAL_COLUMNS)?;
    let mut count = 0;
    for row in groups.remainder().iter().chain(&others) {
        count += one_by_one.execute(&[row], place)?;
    }
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

/// A statement that inserts so many rows at once, and so many of their columns.
struct Insert<'c, 'r> {
    statement: CachedStatement<'c>,
    columns: usize,
    /// What its parameters hold, once they hold anything.
    bound: Vec<Option<Cell<'r>>>,
}

impl<'c, 'r> Insert<'c, 'r> {
    fn new(connection: &'c Connection, rows: usize, columns: usize) -> Result<Self, Trouble> {
        let values = format!("({})", schema::list(vec!["?"; columns]));
        let statement = connection.prepare_cached(&format!(
            "INSERT INTO attempts ({}) VALUES {} ON CONFLICT (time_ms, id) DO NOTHING",
            schema::list(schema::column_names().take(columns)),
            schema::list(vec![values; rows])
        ))?;
        Ok(Self {
            statement,
            columns,
            bound: vec![None; rows * columns],
        })
    }

    /// Inserts as many rows as the statement takes. Tells how many of them were new.
    fn execute(&mut self, rows: &[&'r Row], place: &str) -> Result<usize, Trouble> {
        let places = self.bound.chunks_exact_mut(self.columns);
        for (index, (row, places)) in rows.iter().zip(places).enumerate() {
            let cells = schema::cells(row, place)?;
            for (at, (bound, cell)) in places.iter_mut().zip(cells).enumerate() {
                if *bound != Some(cell) {
                    let number = index * self.columns + at + 1;
                    self.statement.raw_bind_parameter(number, cell)?;
                    *bound = Some(cell);
                }
            }
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
