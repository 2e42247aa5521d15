//! What a batch adds to the days' sums, gathered in memory before the store hears of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::row::{CacheResult, Row};
use super::schema::{COUNTS, DAY_MS, SUMS};
use crate::dialect::Usage;
use crate::spend::Usd;

/// Whose sums, and of which day: the key of `daily`.
///
/// Ordered, so that every writer goes through the rows of `daily` in one order and none waits for one that waits for it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    /// Days since 1970-01-01, in UTC.
    pub day: i64,
    pub team: Arc<str>,
    pub key: Arc<str>,
    pub model: Arc<str>,
    pub target: Arc<str>,
}

/// Sums in the order of [`super::schema::sum_names`].
pub(super) type Sums = [i64; SUMS];

/// The sums of a batch.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Rollup(pub BTreeMap<Place, Sums>);

impl Rollup {
    /// Adds a row that was really inserted. Within a batch nothing overflows: its rows are too few and too small.
    pub fn add(&mut self, row: &Row) {
        let place = Place {
            day: row.time_ms.div_euclid(DAY_MS),
            team: row.team.clone(),
            key: row.key.clone(),
            model: row.model.clone(),
            target: row.target.clone(),
        };
        let sums = self.0.entry(place).or_insert([0; SUMS]);
        for (sum, more) in sums.iter_mut().zip(sums_of(row)) {
            *sum = sum.saturating_add(more);
        }
    }
}

/// One row's share. A correction is no attempt: it counts as itself, and in usage and money.
fn sums_of(row: &Row) -> Sums {
    let is_attempt = row.reason.is_none();
    let is_hit = matches!(row.cache, CacheResult::Hit | CacheResult::Semantic);
    let counts: [bool; COUNTS.len()] = [
        is_attempt,
        is_attempt && row.attempt == 1,
        is_attempt && row.status >= 400,
        is_attempt && row.estimated,
        is_attempt && row.cost.is_none(),
        is_attempt && is_hit,
        !is_attempt,
    ];
    let cost = row.cost.unwrap_or_default().split();
    let savings = row.savings.split();
    let mut sums = [0; SUMS];
    let (first, rest) = sums.split_at_mut(COUNTS.len());
    first.copy_from_slice(&counts.map(i64::from));
    let (parts, money) = rest.split_at_mut(Usage::PARTS);
    for (sum, part) in parts.iter_mut().zip(row.usage.parts()) {
        *sum = i64::try_from(part).unwrap_or(i64::MAX);
    }
    money.copy_from_slice(&[cost.0, cost.1, savings.0, savings.1]);
    sums
}

/// The usage and the money of sums.
pub(super) fn usage_and_money(sums: &Sums) -> (Usage, Usd, Usd) {
    let (parts, money) = sums[COUNTS.len()..].split_at(Usage::PARTS);
    let mut usage = [0; Usage::PARTS];
    for (part, sum) in usage.iter_mut().zip(parts) {
        *part = u64::try_from(*sum).unwrap_or(0);
    }
    let join = |at: usize| Usd::join(money[at].into(), money[at + 1].into());
    (Usage::from_parts(usage), join(0), join(2))
}
