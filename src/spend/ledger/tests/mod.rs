//! Tests of the ledger: what must be true of both stores, what is particular to each, and the writer under bad stores.

mod generated;
mod postgres;
mod server;
mod sqlite;
mod writer;

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::adjustments::{Adjustment, Change};
use super::batch::{Batch, Written};
use super::notes::Note;
use super::portions::Portion;
use super::row::{CacheResult, PriceUsed, Row};
use super::section::{Location, Settings};
use super::store::Store;
use super::{By, Query, Reader, Totals, schema};
use crate::chance::Chance;
use crate::dialect::Usage;
use crate::spend::Usd;

/// 2026-01-01 in milliseconds.
const START_MS: i64 = 1_767_225_600_000;

/// A source of rows that is the same for the same seed.
struct Rows {
    chance: Chance,
    prices: Vec<&'static Arc<PriceUsed>>,
    labels: [Vec<&'static str>; 5],
    days: i64,
}

impl Rows {
    fn new(seed: u64, days: i64) -> Self {
        let price = |index: usize| {
            &*Box::leak(Box::new(Arc::new(PriceUsed {
                id: format!("price-{index}"),
                json: format!("{{\"input\": {index}}}"),
            })))
        };
        let names = |kind: &str, count: usize| {
            (0..count)
                .map(|index| &*format!("{kind}-{index}").leak())
                .collect()
        };
        Self {
            chance: Chance::new(seed),
            prices: (0..5).map(price).collect(),
            labels: [
                names("team", 10),
                names("key", 2),
                names("model", 3),
                names("provider/model", 4),
                names("request", 1_000),
            ],
            days,
        }
    }

    fn number(&mut self, below: u64) -> u64 {
        self.chance.below(below)
    }

    fn label(&mut self, kind: usize) -> &'static str {
        let index = self.number(self.labels[kind].len() as u64) as usize;
        self.labels[kind][index]
    }

    fn row(&mut self) -> Row<'static> {
        let mut parts = [0; Usage::PARTS];
        parts[0] = self.number(100_000);
        parts[1] = self.number(10_000);
        let other = self.number(Usage::PARTS as u64) as usize;
        parts[other] = self.number(1_000_000);
        let is_priced = self.number(10) > 0;
        let is_correction = self.number(50) == 0;
        let amount = i128::from(self.number(1 << 50));
        let cost = Usd::from_pico(if is_correction { -amount } else { amount });
        let price = self.number(5) as usize;
        let cache = [
            CacheResult::Off,
            CacheResult::Hit,
            CacheResult::Semantic,
            CacheResult::Miss,
        ];
        let row = Row {
            id: uuid::Uuid::now_v7(),
            time_ms: START_MS + self.number(self.days as u64 * 86_400_000) as i64,
            request_id: self.label(4),
            attempt: 1 + self.number(3) as u32,
            team: self.label(0),
            key: self.label(1),
            model: self.label(2),
            target: self.label(3),
            usage: Usage::from_parts(parts),
            estimated: self.number(5) == 0,
            cost: is_priced.then_some(cost),
            price: is_priced.then(|| self.prices[price]),
            cache: cache[self.number(4) as usize],
            savings: Usd::from_pico(self.number(1 << 40).into()),
            status: [200, 429, 500][self.number(3) as usize],
            verdict: (self.number(4) == 0).then_some("refusal"),
            latency_ms: self.number(100_000) as u32,
            stream: self.number(2) == 0,
            user: "someone",
            metadata: "{\"a\": \"b\"}",
            reason: is_correction.then_some("a credit note"),
        };
        // As in life, most say nothing that most others do not say.
        match is_correction || self.number(4) == 0 {
            true => row,
            false => usual(row),
        }
    }

    fn take(&mut self, count: usize) -> Vec<Row<'static>> {
        (0..count).map(|_| self.row()).collect()
    }
}

/// Rows as a store is given them.
fn written(rows: &[Row<'_>]) -> Batch {
    rows.iter().copied().collect()
}

/// A row like it that [`Written::is_usual`].
fn usual(row: Row<'_>) -> Row<'_> {
    let usage = row.usage;
    let usual = Row {
        attempt: 1,
        usage: Usage {
            input_tokens: usage.input_tokens,
            output_tokens: usage.output_tokens,
            reasoning_tokens: usage.reasoning_tokens,
            cache_read_tokens: usage.cache_read_tokens,
            cache_write_tokens: usage.cache_write_tokens,
            ..Usage::default()
        },
        estimated: false,
        cache: CacheResult::Off,
        verdict: None,
        savings: Usd::ZERO,
        reason: None,
        ..row
    };
    let batch = written(&[usual]);
    assert!(batch.in_order().iter().all(Written::is_usual));
    usual
}

/// What rows come to, computed without the ledger.
fn totals(rows: &[Row<'_>]) -> Totals {
    let mut totals = Totals::default();
    let mut parts = [0; Usage::PARTS];
    for row in rows {
        for (sum, part) in parts.iter_mut().zip(row.usage.parts()) {
            *sum += part;
        }
        totals.cost += row.cost.unwrap_or_default();
        totals.savings += row.savings;
        if row.reason.is_some() {
            totals.corrections += 1;
            continue;
        }
        totals.attempts += 1;
        totals.requests += u64::from(row.attempt == 1);
        totals.errors += u64::from(row.status >= 400);
        totals.estimated += u64::from(row.estimated);
        totals.unpriced += u64::from(row.cost.is_none());
        totals.cache_hits += u64::from(matches!(
            row.cache,
            CacheResult::Hit | CacheResult::Semantic
        ));
    }
    totals.usage = Usage::from_parts(parts);
    totals
}

/// A row with something in every field.
fn full_row() -> Row<'static> {
    let mut parts = [0; Usage::PARTS];
    for (index, part) in parts.iter_mut().enumerate() {
        *part = 1000 + index as u64;
    }
    Row {
        usage: Usage::from_parts(parts),
        attempt: 2,
        estimated: true,
        cache: CacheResult::Semantic,
        savings: Usd::from_pico(5_000_007),
        cost: Some(Usd::from_pico(-12_345_678_901_234_567)),
        user: "naïve \"user\" \u{1f980}",
        reason: Some("why"),
        ..Rows::new(1, 1).row()
    }
}

/// What makes tables of a later version.
fn with_a_later_migration() -> Vec<fn() -> String> {
    let later = || "ALTER TABLE prices ADD COLUMN source {text};".to_owned();
    schema::MIGRATIONS.into_iter().chain([later as _]).collect()
}

fn settings(location: Location) -> Settings {
    Settings {
        location,
        commit_every: Duration::from_millis(20),
        keep: Duration::from_secs(36_500 * 86_400),
    }
}

/// Everything in one sum.
fn everything(location: &Location) -> Totals {
    let reader = Reader::open(location).unwrap();
    reader.report(&Query::default()).unwrap().total
}

fn assert_consistent(location: &Location) {
    let differences = Reader::open(location).unwrap().rebuild_check().unwrap();
    assert_eq!(differences, []);
}

/// Waits until something is so; a minute is more than any machine needs.
fn until(what: &str, is_so: impl Fn() -> bool) {
    let limit = Instant::now() + Duration::from_secs(60);
    while !is_so() {
        assert!(Instant::now() < limit, "in vain: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Log lines, for tests.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<String>>>);

impl Lines {
    fn sink(&self) -> impl Fn(crate::telemetry::Level, &str, &[(&str, &str)]) + Send + 'static {
        let lines = self.0.clone();
        move |level, message, fields| {
            lines.lock().push(format!("{level:?} {message} {fields:?}"));
        }
    }

    fn count(&self, of: &str) -> usize {
        self.0
            .lock()
            .iter()
            .filter(|line| line.contains(of))
            .count()
    }
}

// === What must be true of both stores ===

fn a_replayed_batch_counts_once(store: &mut dyn Store, location: &Location) {
    let mut rows = Rows::new(2, 40).take(500);
    assert_eq!(store.commit(&written(&rows).in_order()), Ok(500));
    assert_eq!(store.commit(&written(&rows).in_order()), Ok(0));
    // Half of it anew, half known, and one twice in the same batch.
    let more = Rows::new(3, 40).take(100);
    let mut mixed = rows[..100].to_vec();
    mixed.extend(more.clone());
    mixed.push(more[0]);
    assert_eq!(store.commit(&written(&mixed).in_order()), Ok(100));
    rows.extend(more);
    assert_eq!(everything(location), totals(&rows));
    assert_consistent(location);
}

fn rows_that_sums_cannot_take_are_refused(store: &mut dyn Store, location: &Location) {
    let good = Rows::new(4, 1).take(3);
    let before = everything(location);
    let mut usage = good[0].usage;
    usage.images = u64::MAX;
    let much = Usd::from_pico(i128::MAX / 2);
    for bad in [
        Row {
            usage,
            ..full_row()
        },
        Row {
            cost: Some(much),
            ..full_row()
        },
        Row {
            savings: -much,
            ..full_row()
        },
    ] {
        let mut rows = good.clone();
        rows.push(bad);
        let error = store.commit(&written(&rows).in_order()).unwrap_err();
        assert!(error.is_of_row(), "{error}");
        store.refuse(&bad, &error.detail).unwrap();
        store.refuse(&bad, &error.detail).unwrap();
    }
    assert_eq!(everything(location), before);
}

fn old_rows_go_and_their_sums_stay(store: &mut dyn Store, location: &Location) {
    let before = everything(location);
    let rows = Rows::new(5, 10).take(1000);
    store.commit(&written(&rows).in_order()).unwrap();
    let cutoff_ms = START_MS + 5 * 86_400_000 + 1;
    let old = rows.iter().filter(|row| row.time_ms < cutoff_ms).count();
    let mut deleted = 0;
    loop {
        let portion = store.prune(cutoff_ms, 100).unwrap();
        assert!(portion <= 100);
        deleted += portion;
        if portion < 100 {
            break;
        }
    }
    assert!(deleted >= old);
    let after = everything(location);
    assert_eq!(after.attempts - before.attempts, totals(&rows).attempts);
    assert_eq!(after.cost - before.cost, totals(&rows).cost);
    // The days that are whole still agree.
    assert_consistent(location);
}

fn reports_are_grouped_filtered_and_sorted(store: &mut dyn Store, location: &Location) {
    let rows = Rows::new(6, 30).take(2000);
    store.commit(&written(&rows).in_order()).unwrap();
    let reader = Reader::open(location).unwrap();
    let date = |text: &str| Some(text.parse().unwrap());
    let query = Query {
        by: vec![By::Team, By::Day],
        since: date("2026-01-05"),
        until: date("2026-01-08"),
        model: Some("model-1".to_owned()),
        ..Query::default()
    };
    let report = reader.report(&query).unwrap();
    let days = 4 * 86_400_000..7 * 86_400_000;
    let is_meant =
        |row: &&Row<'_>| row.model == "model-1" && days.contains(&(row.time_ms - START_MS));
    let meant: Vec<_> = rows.iter().filter(is_meant).copied().collect();
    assert_eq!(report.total, totals(&meant));
    assert_eq!(report.groups.first().unwrap().labels[1], "2026-01-05");
    assert_eq!(report.groups.last().unwrap().labels[1], "2026-01-07");
    for pair in report.groups.windows(2) {
        let [a, b] = pair else { unreachable!() };
        let is_later = a.labels[1] < b.labels[1];
        assert!(is_later || a.totals.cost >= b.totals.cost);
    }
    let query = Query {
        by: vec![By::Key, By::Model, By::Target],
        team: Some("team-1".to_owned()),
        key: Some("key-0".to_owned()),
        target: Some("provider/model-2".to_owned()),
        ..Query::default()
    };
    let report = reader.report(&query).unwrap();
    assert_eq!(report.groups.len(), 3);
    assert!(report.groups[0].totals.cost >= report.groups[1].totals.cost);
    assert_eq!(report.groups[0].labels[2], "provider/model-2");
}

fn portions_and_what_was_spent_are_read_back(store: &mut dyn Store, location: &Location) {
    let portion = |budget: &str, window: &str, bound| Portion {
        budget: budget.into(),
        window: window.into(),
        ends_ms: if window == "total" {
            i64::MAX
        } else {
            START_MS
        },
        replica: "".into(),
        settled: Usd::from_pico(bound / 2),
        bound: Usd::from_pico(bound),
    };
    let first = [
        portion("a", "2026-01", 5),
        portion("a", "2026-02", 6_000_000_000_007),
    ];
    store.note(&first.clone().map(Note::from)).unwrap();
    let of_another = Portion {
        replica: "another".into(),
        ..portion("a", "2026-01", 9)
    };
    store
        .note(
            &[
                portion("b", "total", 1),
                portion("a", "2026-01", 3),
                portion("a", "2026-01", 4),
                of_another.clone(),
            ]
            .map(Note::from),
        )
        .unwrap();
    let mut portions = Reader::open(location).unwrap().portions().unwrap();
    portions.sort_by(|a, b| {
        (&a.budget, &a.window, &a.replica).cmp(&(&b.budget, &b.window, &b.replica))
    });
    let [_, february] = first;
    assert_eq!(
        portions,
        [
            portion("a", "2026-01", 4),
            of_another,
            february,
            portion("b", "total", 1)
        ]
    );
    // Those of windows that have ended go, as many as are to go at once.
    assert_eq!(store.prune_portions(START_MS, 100).unwrap(), 0);
    assert_eq!(store.prune_portions(START_MS + 1, 2).unwrap(), 2);
    assert_eq!(store.prune_portions(START_MS + 1, 2).unwrap(), 1);
    let left = Reader::open(location).unwrap().portions().unwrap();
    assert_eq!(left, [portion("b", "total", 1)]);

    let starts = [
        0,
        START_MS,
        START_MS + 86_400_000,
        START_MS + 86_400_000 + 12_345_678,
    ];
    let spent = || {
        let reader = Reader::open(location).unwrap();
        starts.map(|start_ms| {
            let start = chrono::DateTime::from_timestamp_millis(start_ms).unwrap();
            let spent = reader.spent_since(start).unwrap();
            spent.iter().map(|spent| spent.usd).sum::<Usd>()
        })
    };
    let before = spent();
    let rows = Rows::new(7, 3).take(2_000);
    store.commit(&written(&rows).in_order()).unwrap();
    for (at, spent) in spent().into_iter().enumerate() {
        let counted = rows.iter().filter(|row| row.time_ms >= starts[at]);
        let more: Usd = counted.filter_map(|row| row.cost).sum();
        assert_eq!(spent, before[at] + more, "{}", starts[at]);
    }
}

fn adjustments_are_put_down_once_and_read_back(store: &mut dyn Store, location: &Location) {
    let adjustment = |id: &str, time_ms, change| Adjustment {
        id: id.into(),
        time_ms,
        budget: "team:a|month|UTC".into(),
        window: "2026-01".into(),
        change,
        by: "Jané <jane@example.com>".to_owned(),
        why: "it's launch week".to_owned(),
    };
    let raise = adjustment("r", 2, Change::Raise(Usd::from_pico(25_000_000_000_007)));
    let reset = adjustment("s", 1, Change::Reset(Usd::from_pico(3)));
    let other = adjustment("r", 9, Change::Raise(Usd::from_pico(1)));
    store
        .note(&[raise.clone().into(), reset.clone().into()])
        .unwrap();
    store.note(&[other.into()]).unwrap();
    let adjustments = Reader::open(location).unwrap().adjustments().unwrap();
    assert_eq!(adjustments, [reset, raise]);
}

/// Starts from nothing; both stores go through these.
fn all_of_it(store: &mut dyn Store, location: &Location) {
    a_replayed_batch_counts_once(store, location);
    rows_that_sums_cannot_take_are_refused(store, location);
    old_rows_go_and_their_sums_stay(store, location);
    portions_and_what_was_spent_are_read_back(store, location);
    adjustments_are_put_down_once_and_read_back(store, location);
}
