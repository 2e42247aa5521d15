//! Rows turned on their side: Postgres is given a batch as one array a column, in one statement.

use tokio_postgres::types::{ToSql, Type};
use uuid::Uuid;

use super::LedgerError;
use super::batch::Written;
use super::cells::{self, Cell};
use super::rollup::{Place, Sums};
use super::schema::SUMS;

/// One column of many rows.
pub(super) enum Column<'r> {
    Id(Vec<Uuid>),
    Int(Vec<Option<i64>>),
    Text(Vec<Option<&'r str>>),
    Bool(Vec<bool>),
}

impl<'r> Column<'r> {
    /// One with room for so many rows, of the kind of `cell`.
    fn of(cell: &Cell<'_>, rows: usize) -> Self {
        match cell {
            Cell::Id(_) => Self::Id(Vec::with_capacity(rows)),
            Cell::Int(_) => Self::Int(Vec::with_capacity(rows)),
            Cell::Text(_) => Self::Text(Vec::with_capacity(rows)),
            Cell::Bool(_) => Self::Bool(Vec::with_capacity(rows)),
        }
    }

    fn push(&mut self, cell: Cell<'r>) {
        match (self, cell) {
            (Self::Id(column), Cell::Id(id)) => column.push(id),
            (Self::Int(column), Cell::Int(int)) => column.push(int),
            (Self::Text(column), Cell::Text(text)) => column.push(text),
            (Self::Bool(column), Cell::Bool(bool)) => column.push(bool),
            _ => unreachable!(
                "a column's cells are of one kind: `cells::cells` writes them down in order"
            ),
        }
    }

    /// As a parameter of a statement, with its type.
    pub fn parameter(&self) -> (&(dyn ToSql + Sync), Type) {
        match self {
            Self::Id(column) => (column, Type::UUID_ARRAY),
            Self::Int(column) => (column, Type::INT8_ARRAY),
            Self::Text(column) => (column, Type::TEXT_ARRAY),
            Self::Bool(column) => (column, Type::BOOL_ARRAY),
        }
    }
}

/// Rows as the columns of `attempts`.
pub(super) fn transposed<'r>(
    rows: &[Written<'r>],
    place: &str,
) -> Result<Vec<Column<'r>>, LedgerError> {
    let mut columns: Vec<Column<'r>> = Vec::new();
    for row in rows {
        let cells = cells::cells(&row.row(), place)?;
        if columns.is_empty() {
            columns.extend(cells.iter().map(|cell| Column::of(cell, rows.len())));
        }
        for (column, cell) in columns.iter_mut().zip(cells) {
            column.push(cell);
        }
    }
    Ok(columns)
}

/// A batch's sums as the columns of `daily`.
pub(super) fn columns_of_sums<'r>(places: &[(Place<'r>, Sums)]) -> Vec<Column<'r>> {
    let label = |of: fn(&Place<'r>) -> &'r str| {
        Column::Text(places.iter().map(|(place, _)| Some(of(place))).collect())
    };
    let days = places.iter().map(|(place, _)| Some(place.day)).collect();
    let mut columns = vec![
        Column::Int(days),
        label(|place| place.team),
        label(|place| place.key),
        label(|place| place.model),
        label(|place| place.target),
    ];
    let sum = |index: usize| {
        let sums = places.iter().map(|(_, sums)| Some(sums[index]));
        Column::Int(sums.collect())
    };
    columns.extend((0..SUMS).map(sum));
    columns
}
