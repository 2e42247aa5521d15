//! What hardly any row has: SQLite keeps it in one column.
//!
//! A column costs its share of every row that is written, whatever is in it, and most attempts have neither seconds of audio
//! nor a second try. So the table `attempt_rows` has the usual columns and one for the rest, a JSON object or NULL, and the
//! view `attempts` shows that as the columns that it stands for.

use super::LedgerError;
use super::cells::{self, Cell};
use super::row::Row;
use super::schema::{self, ATTEMPTS_USD};

/// The name of that column.
pub(super) const NAME: &str = "rest";

/// What a row has there: its cells behind the usual ones that say anything.
///
/// # Errors
///
/// It holds more than sums can take.
pub(super) fn of(row: &Row<'_>, place: &str) -> Result<Option<String>, LedgerError> {
    cells::check(row, place)?;
    let told = cells::rest_names()
        .zip(cells::rest_cells(row))
        .zip(unsaid());
    let told = told.filter(|((_, cell), unsaid)| cell != unsaid);
    let json = |((name, cell), _): ((&str, Cell<'_>), _)| (name.to_owned(), json(cell));
    let rest: serde_json::Map<_, _> = told.map(json).collect();
    Ok((!rest.is_empty()).then(|| serde_json::Value::Object(rest).to_string()))
}

/// What the cells behind the usual ones hold of a row that says nothing there.
fn unsaid() -> [Cell<'static>; cells::REST_COLUMNS] {
    cells::rest_cells(&Row {
        attempt: 1,
        ..Row::default()
    })
}

fn json(cell: Cell<'_>) -> serde_json::Value {
    match cell {
        Cell::Id(id) => id.to_string().into(),
        Cell::Int(int) => int.into(),
        Cell::Text(text) => text.into(),
        Cell::Bool(bool) => bool.into(),
    }
}

/// What makes one column of those of a file's rows.
pub(super) fn migration() -> String {
    let rest = || cells::rest_names().zip(unsaid().map(literal));
    let taken = rest().map(|(name, unsaid)| format!("'{name}', nullif({name}, {unsaid})"));
    let shown = rest().map(|(name, unsaid)| {
        format!("coalesce(json_extract({NAME}, '$.{name}'), {unsaid}) AS {name}")
    });
    format!(
        "DROP VIEW attempts_usd;
ALTER TABLE attempts RENAME TO wide_rows;
CREATE TABLE attempt_rows AS
  SELECT {usual}, nullif(json_patch('{{}}', json_object({taken})), '{{}}') AS {NAME} FROM wide_rows ORDER BY rowid;
CREATE UNIQUE INDEX attempt_rows_once ON attempt_rows (time_ms, id);
DROP TABLE wide_rows;
CREATE VIEW attempts AS SELECT {usual}, {shown} FROM attempt_rows;
{ATTEMPTS_USD}",
        usual = schema::list(cells::usual_names()),
        taken = schema::list(taken),
        shown = schema::list(shown),
    )
}

/// A cell that holds no caller's text, as SQL.
fn literal(cell: Cell<'_>) -> String {
    match cell {
        Cell::Id(id) => format!("x'{}'", id.simple()),
        Cell::Int(int) => int.map_or("NULL".to_owned(), |int| int.to_string()),
        Cell::Text(text) => text.map_or("NULL".to_owned(), |text| format!("'{text}'")),
        Cell::Bool(bool) => i64::from(bool).to_string(),
    }
}
