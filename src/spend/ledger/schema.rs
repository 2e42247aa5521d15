//! The tables of the ledger, once for both stores.

use crate::dialect::Usage;
use crate::spend::Usd;

/// The version of the tables that this program writes and reads: how many [`MIGRATIONS`] there are.
pub(super) const VERSION: i64 = MIGRATIONS.len() as i64;

/// What brings the tables from each version to the next. What has been released is never changed, only added to.
///
/// `{int}`, `{text}`, `{uuid}`, `{bool}`, `{tail}`, `{given}` and so on stand for what the stores call differently, do not
/// check, or need not do.
///
/// A row of `attempts` is told from others by its time and its id: so one index serves to know a row that was handed in
/// before, to find a time, and to delete what is old.
pub(super) const MIGRATIONS: [fn() -> String; 3] = [first, second, third];

/// The largest part of a usage that is counted. A provider that reports more for one attempt is not to be believed, and
/// nine million such attempts still fit into one sum.
pub(super) const PART_MAX: u64 = 1_000_000_000_000;

/// The largest amount of one row, in either direction: a thousand million dollars.
pub(super) const AMOUNT_MAX: Usd = Usd::from_pico(1_000_000_000 * 1_000_000_000_000);

/// Whether an amount is larger.
pub(super) fn is_too_much(amount: &Usd) -> bool {
    *amount > AMOUNT_MAX || *amount < -AMOUNT_MAX
}

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

/// What shows attempts with their amounts in dollars.
pub(super) const ATTEMPTS_USD: &str =
    "CREATE VIEW attempts_usd AS SELECT {time} AS time, {usd cost} AS cost_usd, {usd savings} AS savings_usd, attempts.*
  FROM attempts;
";

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
{ATTEMPTS_USD}CREATE VIEW daily_usd AS SELECT {{date}} AS date, {{usd cost}} AS cost_usd, {{usd savings}} AS savings_usd, daily.* FROM daily;
"
    )
}

/// What became of each attempt. A view holds the columns that there were when it was made.
fn second() -> String {
    format!(
        "DROP VIEW attempts_usd;
ALTER TABLE attempts ADD COLUMN verdict {{text}} {{given}} DEFAULT 'ok';
{ATTEMPTS_USD}"
    )
}

/// SQLite has one column for what hardly any row has.
fn third() -> String {
    "{rest}".to_owned()
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
