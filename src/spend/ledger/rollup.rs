//! What a batch adds to the days' sums, gathered in memory before the store hears of it.

use std::collections::HashMap;

use super::batch::Written;
use super::row::{CacheResult, Row};
use super::schema::{COUNTS, DAY_MS, SUMS};
use crate::dialect::Usage;
use crate::spend::Usd;

/// Whose sums, and of which day: the key of `daily`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Place<'r> {
    /// Days since 1970-01-01, in UTC.
    pub day: i64,
    pub team: &'r str,
    pub key: &'r str,
    pub model: &'r str,
    pub target: &'r str,
}

/// Sums in the order of [`super::schema::sum_names`].
pub(super) type Sums = [i64; SUMS];

/// The sums of rows, each place once, in the order of the places: so every writer goes through the rows of `daily` in one
/// order, and none waits for one that waits for it. Within a batch nothing overflows: its rows are too few, and
/// [`super::cells::cells`] has refused those that are too large.
pub(super) fn rollup<'w, 'r: 'w>(
    rows: impl Iterator<Item = &'w Written<'r>>,
) -> Vec<(Place<'r>, Sums)> {
    let mut places: Vec<(Place<'r>, Sums)> = Vec::new();
    let mut found: HashMap<Place<'r>, usize> = HashMap::new();
    let mut at = 0;
    for row in rows {
        let row = row.row();
        let place = Place::of(&row);
        // Most rows belong where the one before them did.
        if places.get(at).is_none_or(|(last, _)| *last != place) {
            at = *found.entry(place).or_insert(places.len());
            if at == places.len() {
                places.push((place, [0; SUMS]));
            }
        }
        let (_, sums) = &mut places[at];
        for (sum, more) in sums.iter_mut().zip(sums_of(&row)) {
            *sum += more;
        }
    }
    places.sort_unstable_by_key(|(place, _)| *place);
    places
}

impl<'r> Place<'r> {
    fn of(row: &Row<'r>) -> Self {
        Self {
            day: row.time_ms.div_euclid(DAY_MS),
            team: row.team,
            key: row.key,
            model: row.model,
            target: row.target,
        }
    }
}

/// One row's share. A correction is no attempt: it counts as itself, and in usage and money.
#[inline(always)]
fn sums_of(row: &Row<'_>) -> Sums {
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
        *sum = part as i64; // at most PART_MAX
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
