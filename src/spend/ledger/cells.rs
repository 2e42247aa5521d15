//! What the columns of `attempts` hold of a row.

use uuid::Uuid;

use super::LedgerError;
use super::error::ErrorKind;
use super::row::Row;
use super::schema::{self, AMOUNT_MAX, PART_MAX};
use crate::dialect::Usage;
use crate::spend::Usd;

/// What one column of a row holds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Cell<'r> {
    Id(Uuid),
    Int(Option<i64>),
    Text(Option<&'r str>),
    Bool(bool),
}

/// How many columns `attempts` has.
pub(super) const COLUMNS: usize = USUAL_COLUMNS + REST_COLUMNS;

const COLUMNS_BEFORE: [&str; 15] = [
    "time_ms",
    "id",
    "request_id",
    "team",
    "key",
    "model",
    "target",
    "cost_micro",
    "cost_pico",
    "price_id",
    "status",
    "latency_ms",
    "stream",
    "end_user",
    "metadata",
];

const COLUMNS_BEHIND: [&str; 7] = [
    "attempt",
    "verdict",
    "estimated",
    "cache",
    "savings_micro",
    "savings_pico",
    "reason",
];

/// How many parts of a usage are told for most attempts.
pub(super) const USUAL_PARTS: usize = 5;

/// How many of the columns a usual row needs: the first ones.
pub(super) const USUAL_COLUMNS: usize = COLUMNS_BEFORE.len() + USUAL_PARTS;

/// How many others there are.
pub(super) const REST_COLUMNS: usize = Usage::PARTS - USUAL_PARTS + COLUMNS_BEHIND.len();

/// The columns of `attempts`, in the order of [`cells`].
pub(super) fn column_names() -> impl Iterator<Item = &'static str> {
    usual_names().chain(rest_names())
}

/// Those that a usual row needs.
pub(super) fn usual_names() -> impl Iterator<Item = &'static str> {
    let parts = Usage::NAMES[..USUAL_PARTS].iter().copied();
    COLUMNS_BEFORE.into_iter().chain(parts)
}

/// The others.
pub(super) fn rest_names() -> impl Iterator<Item = &'static str> {
    let parts = Usage::NAMES[USUAL_PARTS..].iter().copied();
    parts.chain(COLUMNS_BEHIND)
}

/// A row's columns, unless it holds more than sums can take.
pub(super) fn cells<'r>(row: &Row<'r>, place: &str) -> Result<[Cell<'r>; COLUMNS], LedgerError> {
    check(row, place)?;
    let mut cells = [Cell::Bool(false); COLUMNS];
    let (usual, rest) = cells.split_at_mut(USUAL_COLUMNS);
    usual.copy_from_slice(&usual_cells(row));
    rest.copy_from_slice(&rest_cells(row));
    Ok(cells)
}

/// The columns of a row that a usual one does not need.
pub(super) fn rest_cells<'r>(row: &Row<'r>) -> [Cell<'r>; REST_COLUMNS] {
    let (savings_micro, savings_pico) = row.savings.split();
    let behind = [
        Cell::int(row.attempt.into()),
        Cell::text(row.verdict.unwrap_or("ok")),
        Cell::Bool(row.estimated),
        Cell::text(row.cache.name()),
        Cell::int(savings_micro),
        Cell::int(savings_pico),
        Cell::Text(row.reason),
    ];
    let parts = row.usage.parts();
    let parts = parts[USUAL_PARTS..].iter();
    let parts = parts.map(|part| Cell::int(*part as i64)); // at most PART_MAX
    let mut cells = [Cell::Bool(false); REST_COLUMNS];
    for (cell, value) in cells.iter_mut().zip(parts.chain(behind)) {
        *cell = value;
    }
    cells
}

/// The first columns of a row, which are all of a usual one.
#[inline(always)]
pub(super) fn usual_cells<'r>(row: &Row<'r>) -> [Cell<'r>; USUAL_COLUMNS] {
    let cost = row.cost.map(Usd::split);
    let parts = row.usage.parts();
    let part = |index: usize| Cell::int(parts[index] as i64); // at most PART_MAX
    [
        Cell::int(row.time_ms),
        Cell::Id(row.id),
        Cell::text(row.request_id),
        Cell::text(row.team),
        Cell::text(row.key),
        Cell::text(row.model),
        Cell::text(row.target),
        Cell::Int(cost.map(|(micro, _)| micro)),
        Cell::Int(cost.map(|(_, pico)| pico)),
        Cell::Text(row.price.map(|price| price.id.as_str())),
        Cell::int(row.status.into()),
        Cell::int(row.latency_ms.into()),
        Cell::Bool(row.stream),
        Cell::text(row.user),
        Cell::text(row.metadata),
        part(0),
        part(1),
        part(2),
        part(3),
        part(4),
    ]
}

impl<'r> Cell<'r> {
    fn int(value: i64) -> Self {
        Self::Int(Some(value))
    }

    fn text(value: &'r str) -> Self {
        Self::Text(Some(value))
    }
}

/// Whether sums can take what a row holds.
///
/// # Errors
///
/// They cannot.
pub(super) fn check(row: &Row<'_>, place: &str) -> Result<(), LedgerError> {
    let error = |why| LedgerError::new(ErrorKind::Row, place, why);
    excess(row).map_or(Ok(()), |why| Err(error(why)))
}

/// What of a row is too much.
fn excess(row: &Row<'_>) -> Option<String> {
    let parts = Usage::NAMES.iter().zip(row.usage.parts());
    if let Some((name, part)) = parts.into_iter().find(|(_, part)| *part > PART_MAX) {
        return Some(format!("`{name}` is {part}, more than {PART_MAX}"));
    }
    let amounts = [row.cost.unwrap_or_default(), row.savings];
    let amount = amounts.into_iter().find(schema::is_too_much)?;
    Some(format!(
        "an amount of {amount} USD is more than {AMOUNT_MAX}"
    ))
}

/// A row as JSON, for where its columns will not have it.
pub(super) fn json(row: &Row<'_>) -> serde_json::Value {
    let parts = Usage::NAMES.iter().zip(row.usage.parts());
    let usage: serde_json::Map<_, _> = parts
        .filter(|(_, part)| *part > 0)
        .map(|(name, part)| (name.to_string(), part.into()))
        .collect();
    serde_json::json!({
        "id": row.id.to_string(),
        "time_ms": row.time_ms,
        "request_id": row.request_id,
        "attempt": row.attempt,
        "team": row.team,
        "key": row.key,
        "model": row.model,
        "target": row.target,
        "usage": usage,
        "estimated": row.estimated,
        "cost_usd": row.cost.map(|cost| cost.to_string()),
        "price": row.price.map(|price| &price.json),
        "cache": row.cache.name(),
        "savings_usd": row.savings.to_string(),
        "status": row.status,
        "verdict": row.verdict.unwrap_or("ok"),
        "latency_ms": row.latency_ms,
        "stream": row.stream,
        "end_user": row.user,
        "metadata": row.metadata,
        "reason": row.reason,
    })
}
