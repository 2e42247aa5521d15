//! A till counts what its leases would.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;

use super::super::super::told::window_of;
use super::super::lease::{Effect, Lease, Look};
use super::super::log::{Answer, Counted, Told};
use super::super::numbers::Numbers;
use super::*;

#[derive(Clone, Debug)]
enum Step {
    Pass(u64),
    /// Of one of two sets of limits.
    Take(bool, u64),
    /// The request before so many others has used so much.
    Settle(usize, u64),
    Cancel(usize),
    Sweep,
    Compare,
}

fn step() -> impl Strategy<Value = Step> {
    let take = || {
        (prop::bool::weighted(0.9), 0..1_000_u64)
            .prop_map(|(first, tokens)| Step::Take(first, tokens))
    };
    prop_oneof![
        // Mostly a till lasts.
        prop_oneof![0..50_000_u64, 0..2_000_000_u64, 0..5_000_000_000_u64].prop_map(Step::Pass),
        take(),
        take(),
        take(),
        (0..20_usize, 0..1_200_u64).prop_map(|(ago, used)| Step::Settle(ago, used)),
        (0..20_usize, 0..500_u64).prop_map(|(ago, used)| Step::Settle(ago, used)),
        (0..20_usize).prop_map(Step::Cancel),
        Just(Step::Compare),
        Just(Step::Sweep),
    ]
}

/// Leases with a till, or without one, and a log that grants what is wanted.
struct Side {
    lines: Lines,
    has_till: bool,
    /// How many requests met the till.
    met: usize,
    requests: Vec<Option<Took>>,
    /// What the log has, by places and its parts: what it has granted, as far as it has not been told that it was not used.
    log: BTreeMap<(usize, u64), i64>,
    /// The same by what requests have used.
    used: BTreeMap<(usize, u64), i64>,
    /// The same, and when it was taken.
    uses: Vec<(usize, Instant, i64)>,
    /// It grants nothing more.
    is_closed: bool,
}

impl Side {
    fn new(start: Instant, has_till: bool) -> Self {
        let mut lines = Lines::default();
        let numbers = Numbers::behind(|| 0);
        for place in 0..PLACES.len() {
            let lease = Lease::new(window_of(place), start, numbers.clone());
            lines.at_or(place, || Line::new(lease));
        }
        Self {
            lines,
            has_till,
            met: 0,
            requests: Vec::new(),
            log: BTreeMap::new(),
            used: BTreeMap::new(),
            uses: Vec::new(),
            is_closed: false,
        }
    }

    fn lease(&mut self, place: usize) -> &mut Lease {
        &mut self.lines.at(place).unwrap().lease
    }

    fn take(&mut self, maxima: &Maxima, tokens: u64, now: Instant) {
        let amounts = [1, tokens];
        let sources = match self.lines.till(maxima, amounts, now) {
            Some(till) => {
                self.met += 1;
                Some(till.take(amounts))
            }
            None => self.take_of_leases(maxima, amounts, now),
        };
        let took = sources.map(|sources| Took {
            at: now,
            amounts,
            sources,
        });
        if let Some(took) = &took {
            self.has_used(took, Places::ALL, [0, 0], amounts);
        }
        self.requests.push(took);
    }

    fn has_used(&mut self, took: &Took, those: Places, before: [u64; 2], after: [u64; 2]) {
        for (place, taken) in took.of(those) {
            let Source::Granted { part, .. } = taken.source else {
                continue;
            };
            let unit = unit_of(place);
            let change = after[unit].cast_signed() - before[unit].cast_signed();
            *self.used.entry((place, part)).or_default() += change;
            self.uses.push((place, took.at, change));
        }
    }

    fn take_of_leases(
        &mut self,
        maxima: &Maxima,
        amounts: [u64; 2],
        now: Instant,
    ) -> Option<Sources> {
        let mut has_all = true;
        for (place, max) in maxima.iter().copied() {
            let amount = amounts[unit_of(place)];
            if self.lease(place).look(amount, max, now) != Look::Has {
                has_all = false;
                let asks = self.lease(place).wait(0, amount, now);
                self.lease(place).leave(0);
                self.answer(place, asks, now);
            }
        }
        has_all.then(|| {
            let mut sources = Vec::new();
            for (place, _) in maxima.iter().copied() {
                let amount = amounts[unit_of(place)];
                let (taken, asks) = self.lease(place).take(amount, None, now);
                sources.push((place, taken.source));
                self.answer(place, asks, now);
            }
            if self.has_till {
                self.lines.open_till(maxima);
            }
            sources.into()
        })
    }

    fn settle(&mut self, ago: usize, used: Option<u64>, now: Instant) {
        let found = self.requests.iter_mut().rev().nth(ago);
        let Some(took) = found.and_then(Option::take) else {
            return;
        };
        let (those, after) = match used {
            Some(used) => (Places::TOKENS, [0, used]),
            None => (Places::ALL, [0, 0]),
        };
        self.has_used(&took, those, took.amounts, after);
        let Some(took) = self.lines.settle_at_till(took, those, after) else {
            self.met += 1;
            return;
        };
        for taken in took.of(those) {
            let (place, taken) = taken;
            let effects = self.lease(place).settle(taken, after[unit_of(place)], now);
            self.answer(place, effects, now);
        }
    }

    fn answer(&mut self, place: usize, effects: impl IntoIterator<Item = Effect>, now: Instant) {
        for effect in effects {
            let Effect::Ask(ask) = effect else { continue };
            let granted = match self.is_closed {
                true => 0,
                false => ask.want + 3 * ask.welcome + 1_500,
            };
            let granted_now = ((place, ask.seq), granted.cast_signed());
            let amended = ask.batch.amendments.iter();
            let amended = amended.map(|(part, amount)| ((place, *part), *amount));
            for (part, amount) in amended.chain([granted_now]) {
                *self.log.entry(part).or_default() += amount;
            }
            let counted = Counted {
                granted,
                part: ask.seq,
                total: 3_000,
                reset: 40_000_000,
                ..Counted::default()
            };
            let answer = Answer {
                born: 1,
                told: Told::Counted(counted),
            };
            self.lease(place).answered(ask.seq, answer, now);
        }
    }

    fn sweep(&mut self, now: Instant) {
        for place in 0..PLACES.len() {
            let effects = self.lease(place).tick(now);
            self.answer(place, effects, now);
        }
    }

    /// What a lease counts is what was used in its window, and no more than a fiftieth of it longer ago.
    fn check_count(&mut self, place: usize, now: Instant) -> TestCaseResult {
        let uses = self.uses.clone();
        let within = |window: Duration| {
            let recent = uses
                .iter()
                .filter(|(of, at, _)| *of == place && now < *at + window);
            recent.map(|(.., amount)| *amount).sum::<i64>()
        };
        let window = window_of(place);
        let counted = self.lease(place).used(now).cast_signed();
        let range = within(window)..=within(window + window / 50);
        prop_assert!(range.contains(&counted), "{place}: {counted} of {range:?}");
        Ok(())
    }

    /// When all that was granted has ended: what the log has, and what was used.
    fn close(&mut self, now: Instant) -> [BTreeMap<(usize, u64), i64>; 2] {
        self.is_closed = true;
        for days in 1..4 {
            self.sweep(now + days * Duration::from_secs(86_400));
        }
        [&self.log, &self.used].map(|all| {
            let used = all.iter().filter(|(_, amount)| **amount != 0);
            used.map(|(part, amount)| (*part, *amount)).collect()
        })
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// What is taken at the till, and settled there, is taken from each lease: it counts there, and the log hears of all of it.
    #[test]
    fn a_till_counts_what_its_leases_would(steps in prop::collection::vec(step(), 1..300)) {
        let start = Instant::now();
        let sets: [Maxima; 2] = [
            [0, 1, 3, 4, 5].map(|place| (place, 1_000_000)).into(),
            [1, 5, 6].map(|place| (place, 1_000_000)).into(),
        ];
        let [mut till, mut plain] = [true, false].map(|has_till| Side::new(start, has_till));
        let mut now = start;
        for step in steps {
            if let Step::Pass(nanoseconds) = step {
                now += Duration::from_nanos(nanoseconds);
            }
            for side in [&mut till, &mut plain] {
                match step {
                    Step::Take(first, tokens) => side.take(&sets[usize::from(!first)], tokens, now),
                    Step::Settle(ago, used) => side.settle(ago, Some(used), now),
                    Step::Cancel(ago) => side.settle(ago, None, now),
                    Step::Sweep => side.sweep(now),
                    Step::Pass(_) | Step::Compare => {}
                }
            }
            if let Step::Compare = step {
                for side in [&mut till, &mut plain] {
                    (0..PLACES.len()).try_for_each(|place| side.check_count(place, now))?;
                }
            }
        }
        prop_assert_eq!(plain.met, 0);
        for mut side in [till, plain] {
            let [log, used] = side.close(now);
            prop_assert_eq!(log, used);
        }
    }
}

#[test]
fn most_requests_meet_the_till() {
    let start = Instant::now();
    let maxima: Maxima = [1, 3, 5].map(|place| (place, 1_000_000)).into();
    let mut side = Side::new(start, true);
    for request in 0..1_000 {
        let now = start + request * Duration::from_micros(100);
        side.take(&maxima, 10, now);
        side.settle(0, Some(8), now + Duration::from_micros(50));
    }
    assert!(side.met > 1_600, "{} of 2000", side.met);
}

#[test]
fn requests_that_overlap_meet_the_till() {
    let maxima: Maxima = [0, 1, 3, 5].map(|place| (place, 1_000_000)).into();
    for (overlap, least) in [(60, 38_000), (300, 34_000)] {
        let start = Instant::now();
        let mut side = Side::new(start, true);
        let time = |request| start + request * Duration::from_micros(33);
        for request in 0..20_000 {
            side.take(&maxima, 10, time(request));
            // Some use more than they took.
            let used = if request % 4 == 0 { 13 } else { 8 };
            side.settle(overlap, Some(used), time(request));
        }
        let met = side.met;
        assert!(met > least, "{met} of 40000, {overlap} at once");
        let [log, used] = side.close(time(20_000));
        assert_eq!(log, used, "{overlap} at once");
    }
}

#[test]
fn what_somebody_waits_for_is_given_back_at_once() {
    let now = Instant::now();
    let [both, one]: [Maxima; 2] = [
        [(1, 1_000_000), (3, 1_000_000)].into(),
        [(1, 1_000_000)].into(),
    ];
    let mut side = Side::new(now, true);
    // The first is told to wait.
    (0..3).for_each(|_| side.take(&both, 10, now));
    side.lease(3).wait(7, 100_000, now);
    let later = now + Duration::from_millis(1);
    side.take(&one, 10, later);
    assert!(side.lines.till(&one, [1, 10], later).is_some());
    let took = side.requests[1].take().unwrap();
    let took = side.lines.settle_at_till(took, Places::ALL, [0, 0]);
    assert!(took.is_some());
}
