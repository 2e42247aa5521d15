//! The tables of the ledger, once for both stores, and how a row becomes their columns.

use std::collections::BTreeMap;
use std::sync::Arc;

use uuid::Uuid;

use super::LedgerError;
use super::error::ErrorKind;
use super::row::{CacheResult, PriceUsed, Row};
use crate::dialect::Usage;
use crate::spend::Usd;

/// The version of the tables that this program writes and reads: how many [`MIGRATIONS`] there are.
pub(super) const VERSION: i64 = MIGRATIONS.len() as i64;

/// What brings the tables from each version to the next. What has been released is never changed, only added to.
///
/// `{int}`, `{text}`, `{uuid}`, `{bool}`, `{tail}`, `{given}` and so on stand for what the stores call differently, or do not
/// check.
///
/// A row of `attempts` is told from others by its time and its id: so one index serves to know a row that was handed in
/// before, to find a time, and to delete what is old.
pub(super) const MIGRATIONS: [fn() -> String; 2] = [first, second];

/// The largest part of a usage that is counted. A provider that reports more for one attempt is not to be believed, and
/// nine million such attempts still fit into one sum.
pub(super) const PART_MAX: u64 = 1_000_000_000_000;

/// The largest amount of one row, in either direction: a thousand million dollars.
pub(super) const AMOUNT_MAX: Usd = Usd::from_pico(1_000_000_000 * 1_000_000_000_000);

/// Milliseconds in a day.
pub(super) const DAY_MS: i64 = 86_400_000;

/// The sums of `daily` that are no part of a usage and no money.
pub(super) const COUNTS: [&str; 7] = [
    "attempts",
    "requests",
    "errors",
    "estimated",
    "unpriced",
    "cache_hits",
    "corrections",
];

/// The sums of `daily` that are money, each in its two halves as [`Usd::split`] makes them.
pub(super) const MONEY: [&str; 4] = ["cost_micro", "cost_pico", "savings_micro", "savings_pico"];

/// How many sums a row of `daily` has.
pub(super) const SUMS: usize = COUNTS.len() + Usage::PARTS + MONEY.len();

/// The names of those sums, in their order.
pub(super) fn sum_names() -> impl Iterator<Item = &'static str> {
    let parts = Usage::NAMES.iter().copied();
    COUNTS.into_iter().chain(parts).chain(MONEY)
}

/// What the rows of `attempts` say in each of those sums.
pub(super) fn sums_of_attempts() -> impl Iterator<Item = String> {
    const COUNTED: [&str; COUNTS.len()] = [
        "reason IS NULL",
        "reason IS NULL AND attempt = 1",
        "reason IS NULL AND status >= 400",
        "reason IS NULL AND estimated",
        "reason IS NULL AND cost_micro IS NULL",
        "reason IS NULL AND cache IN ('hit', 'semantic')",
        "reason IS NOT NULL",
    ];
    let count = |condition: &str| format!("CASE WHEN {condition} THEN 1 ELSE 0 END");
    let plain = Usage::NAMES.iter().chain(&MONEY).map(ToString::to_string);
    COUNTED.into_iter().map(count).chain(plain)
}

fn first() -> String {
    let parts: String = (Usage::NAMES.iter())
        .map(|name| format!("  {name} {{int}} {{given}} DEFAULT 0,\n"))
        .collect();
    let sums: String = sum_names()
        .map(|name| format!("  {name} {{int}} NOT NULL,\n"))
        .collect();
    format!(
        "CREATE TABLE meta (name {{text}} NOT NULL PRIMARY KEY, value {{int}} NOT NULL) {{tail}};
INSERT INTO meta (name, value) VALUES ('ledger', {{random}});
CREATE TABLE prices (id {{text}} NOT NULL PRIMARY KEY, json {{text}} NOT NULL) {{tail}};
CREATE TABLE attempts (
  time_ms {{int}} {{given}},
  id {{uuid}} {{given}},
  request_id {{text}} {{given}},
  team {{text}} {{given}},
  key {{text}} {{given}},
  model {{text}} {{given}},
  target {{text}} {{given}},
  cost_micro {{int}},
  cost_pico {{int}},
  price_id {{text}} REFERENCES prices (id),
  status {{int}} {{given}},
  latency_ms {{int}} {{given}},
  stream {{bool}} {{given}},
  end_user {{text}} {{given}},
  metadata {{text}} {{given}},
{parts}  attempt {{int}} {{given}} DEFAULT 1,
  estimated {{bool}} {{given}} DEFAULT {{false}},
  cache {{text}} {{given}} DEFAULT 'off',
  savings_micro {{int}} {{given}} DEFAULT 0,
  savings_pico {{int}} {{given}} DEFAULT 0,
  reason {{text}},
  PRIMARY KEY (time_ms, id)
) {{rows_tail}};
CREATE TABLE daily (
  day {{int}} NOT NULL,
  team {{text}} NOT NULL,
  key {{text}} NOT NULL,
  model {{text}} NOT NULL,
  target {{text}} NOT NULL,
{sums}  PRIMARY KEY (day, team, key, model, target)
) {{tail}};
CREATE TABLE portions (
  budget {{text}} NOT NULL,
  time_window {{text}} NOT NULL,
  replica {{text}} NOT NULL,
  settled_micro {{int}} NOT NULL,
  settled_pico {{int}} NOT NULL,
  bound_micro {{int}} NOT NULL,
  bound_pico {{int}} NOT NULL,
  ends_ms {{int}} NOT NULL,
  PRIMARY KEY (budget, time_window, replica)
) {{tail}};
CREATE TABLE adjustments (
  id {{text}} NOT NULL PRIMARY KEY,
  time_ms {{int}} NOT NULL,
  budget {{text}} NOT NULL,
  time_window {{text}} NOT NULL,
  kind {{text}} NOT NULL,
  amount_micro {{int}} NOT NULL,
  amount_pico {{int}} NOT NULL,
  by_whom {{text}} NOT NULL,
  why {{text}} NOT NULL
) {{tail}};
CREATE TABLE refused (
  id {{uuid}} NOT NULL PRIMARY KEY,
  time_ms {{int}} NOT NULL,
  team {{text}} NOT NULL,
  why {{text}} NOT NULL,
  json {{text}} NOT NULL
) {{tail}};
CREATE VIEW attempts_usd AS SELECT {{time}} AS time, {{usd cost}} AS cost_usd, {{usd savings}} AS savings_usd, attempts.*
  FROM attempts;
CREATE VIEW daily_usd AS SELECT {{date}} AS date, {{usd cost}} AS cost_usd, {{usd savings}} AS savings_usd, daily.* FROM daily;
"
    )
}

/// What became of each attempt. A view holds the columns that there were when it was made.
fn second() -> String {
    "DROP VIEW attempts_usd;
ALTER TABLE attempts ADD COLUMN verdict {text} {given} DEFAULT 'ok';
CREATE VIEW attempts_usd AS SELECT {time} AS time, {usd cost} AS cost_usd, {usd savings} AS savings_usd, attempts.*
  FROM attempts;
"
    .to_owned()
}

/// Rows in the order that all writers share, so that none waits for one that waits for it, and in which an index grows at
/// its end. References, because rows are large.
pub(super) fn in_order(rows: &[Row]) -> Vec<&Row> {
    let mut ordered: Vec<_> = rows.iter().collect();
    ordered.sort_unstable_by_key(|row| row.identity());
    ordered
}

/// The prices that rows were computed with: their ids, in an order that all writers share, and their figures.
pub(super) fn prices<'r>(rows: &[&'r Row]) -> BTreeMap<&'r str, &'r str> {
    let mut prices = BTreeMap::new();
    let mut last: Option<&Arc<PriceUsed>> = None;
    for price in rows.iter().filter_map(|row| row.price.as_ref()) {
        // A price that stays in force is one object, and most rows have the one before theirs.
        if last.is_none_or(|last| !Arc::ptr_eq(last, price)) {
            prices.insert(price.id.as_str(), price.json.as_str());
            last = Some(price);
        }
    }
    prices
}

/// What one column of a row holds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Cell<'r> {
    Id(Uuid),
    Int(Option<i64>),
    Text(Option<&'r str>),
    Bool(bool),
}

/// How many columns `attempts` has.
pub(super) const COLUMNS: usize = COLUMNS_BEFORE.len() + Usage::PARTS + COLUMNS_BEHIND.len();

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
const USUAL_PARTS: usize = 5;

/// How many of the columns a row needs that [`is_usual`]: the first ones.
pub(super) const USUAL_COLUMNS: usize = COLUMNS_BEFORE.len() + USUAL_PARTS;

/// Whether a row has in all other columns what they hold by themselves where nothing is put in.
pub(super) fn is_usual(row: &Row) -> bool {
    let rare_parts = &row.usage.parts()[USUAL_PARTS..];
    row.attempt == 1
        && row.verdict.is_none()
        && !row.estimated
        && row.cache == CacheResult::Off
        && row.savings == Usd::ZERO
        && row.reason.is_none()
        && rare_parts.iter().all(|part| *part == 0)
}

/// The columns of `attempts`, in the order of [`cells`].
pub(super) fn column_names() -> impl Iterator<Item = &'static str> {
    let parts = Usage::NAMES.iter().copied();
    COLUMNS_BEFORE
        .into_iter()
        .chain(parts)
        .chain(COLUMNS_BEHIND)
}

/// A row's columns, unless it holds more than sums can take.
pub(super) fn cells<'r>(row: &'r Row, place: &str) -> Result<[Cell<'r>; COLUMNS], LedgerError> {
    let (savings_micro, savings_pico) = row.savings.split();
    let behind = [
        Cell::int(row.attempt.into()),
        Cell::text(row.verdict.as_deref().unwrap_or("ok")),
        Cell::Bool(row.estimated),
        Cell::text(row.cache.name()),
        Cell::int(savings_micro),
        Cell::int(savings_pico),
        Cell::Text(row.reason.as_deref()),
    ];
    let parts = row.usage.parts();
    let rare_parts = parts[USUAL_PARTS..].iter();
    let rare_parts = rare_parts.map(|part| Cell::int(*part as i64)); // at most PART_MAX
    let mut cells = [Cell::Bool(false); COLUMNS];
    let (first, others) = cells.split_at_mut(USUAL_COLUMNS);
    first.copy_from_slice(&usual_cells(row, place)?);
    for (cell, value) in others.iter_mut().zip(rare_parts.chain(behind)) {
        *cell = value;
    }
    Ok(cells)
}

/// The first columns of a row, which are all of one that [`is_usual`], unless it holds more than sums can take.
pub(super) fn usual_cells<'r>(
    row: &'r Row,
    place: &str,
) -> Result<[Cell<'r>; USUAL_COLUMNS], LedgerError> {
    if let Some(why) = excess(row) {
        return Err(LedgerError::new(ErrorKind::Row, place, why));
    }
    let cost = row.cost.map(Usd::split);
    let parts = row.usage.parts();
    let part = |index: usize| Cell::int(parts[index] as i64); // at most PART_MAX
    Ok([
        Cell::int(row.time_ms),
        Cell::Id(row.id),
        Cell::text(&row.request_id),
        Cell::text(&row.team),
        Cell::text(&row.key),
        Cell::text(&row.model),
        Cell::text(&row.target),
        Cell::Int(cost.map(|(micro, _)| micro)),
        Cell::Int(cost.map(|(_, pico)| pico)),
        Cell::Text(row.price.as_ref().map(|price| price.id.as_str())),
        Cell::int(row.status.into()),
        Cell::int(row.latency_ms.into()),
        Cell::Bool(row.stream),
        Cell::text(&row.user),
        Cell::text(&row.metadata),
        part(0),
        part(1),
        part(2),
        part(3),
        part(4),
    ])
}

impl<'r> Cell<'r> {
    fn int(value: i64) -> Self {
        Self::Int(Some(value))
    }

    fn text(value: &'r str) -> Self {
        Self::Text(Some(value))
    }
}

/// What of a row is too much.
fn excess(row: &Row) -> Option<String> {
    let parts = Usage::NAMES.iter().zip(row.usage.parts());
    if let Some((name, part)) = parts.into_iter().find(|(_, part)| *part > PART_MAX) {
        return Some(format!("`{name}` is {part}, more than {PART_MAX}"));
    }
    let is_too_much = |amount: &Usd| *amount > AMOUNT_MAX || *amount < -AMOUNT_MAX;
    let amounts = [row.cost.unwrap_or_default(), row.savings];
    let amount = amounts.into_iter().find(is_too_much)?;
    Some(format!(
        "an amount of {amount} USD is more than {AMOUNT_MAX}"
    ))
}

/// A row as JSON, for where its columns will not have it.
pub(super) fn json(row: &Row) -> serde_json::Value {
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
        "team": &*row.team,
        "key": &*row.key,
        "model": &*row.model,
        "target": &*row.target,
        "usage": usage,
        "estimated": row.estimated,
        "cost_usd": row.cost.map(|cost| cost.to_string()),
        "price": row.price.as_ref().map(|price| &price.json),
        "cache": row.cache.name(),
        "savings_usd": row.savings.to_string(),
        "status": row.status,
        "verdict": row.verdict.as_deref().unwrap_or("ok"),
        "latency_ms": row.latency_ms,
        "stream": row.stream,
        "end_user": row.user,
        "metadata": row.metadata,
        "reason": row.reason,
    })
}

/// Replaces NUL characters, which a caller may send and Postgres has no place for.
pub(super) fn without_nul(row: &mut Row) {
    let has_nul = |text: &str| memchr::memchr(0, text.as_bytes()).is_some();
    let replaced = |text: &str| text.replace('\0', "\u{fffd}");
    let texts = [&mut row.request_id, &mut row.user, &mut row.metadata];
    for text in texts.into_iter().chain(&mut row.reason) {
        if has_nul(text) {
            *text = replaced(text);
        }
    }
    for label in [&mut row.team, &mut row.key, &mut row.model, &mut row.target] {
        if has_nul(label) {
            *label = replaced(label).into();
        }
    }
}

/// The names and SQL of a list, with commas.
pub(super) fn list<T: AsRef<str>>(items: impl IntoIterator<Item = T>) -> String {
    let mut text = String::new();
    for item in items {
        if !text.is_empty() {
            text.push_str(", ");
        }
        text.push_str(item.as_ref());
    }
    text
}

/// What adds to the sums of a day that is there already.
pub(super) fn on_conflict_add() -> String {
    let added = sum_names().map(|name| format!("{name} = daily.{name} + excluded.{name}"));
    format!(
        "ON CONFLICT (day, team, key, model, target) DO UPDATE SET {}",
        list(added)
    )
}

/// The time now, in milliseconds of Unix time.
pub(super) fn now_ms() -> i64 {
    chrono::Utc::now().timestamp_millis()
}
