//! Repeats of failed calls to one target: how many, after what pause, and as how large a share of all calls.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::chance::share;
use crate::provider::RetrySection;

/// How a failed call is repeated, with nothing left open.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Retry {
    /// Calls in all per target.
    pub attempts: u32,
    /// The shortest pause before a repeat.
    pub pause_min: Duration,
    /// The longest.
    pub pause_max: Duration,
    /// The share of a target's calls that may be repeats; all of it is no bound.
    pub budget: f64,
}

/// What a target may be called again for. Each first call pays a share of a repeat in, and each repeat takes a whole one.
#[derive(Debug, Default)]
pub struct Budget {
    balance: Mutex<Balance>,
    repeats: AtomicU64,
}

#[derive(Debug)]
struct Balance {
    /// What calls have paid in, and is still worth something.
    paid: f64,
    /// What there is besides.
    reserve: f64,
    at: Option<Instant>,
}

/// Repeats that a target gets besides, so that one which is seldom called gets any.
const RESERVE: f64 = 10.0;

/// In such a time one of these comes back.
const RESERVE_EVERY: Duration = Duration::from_secs(10);

/// What was paid in loses value by a factor of e in such a time: a day without faults is no credit for one with many.
const DECAY: Duration = Duration::from_secs(10);

// === impl Retry ===

impl Retry {
    /// Asks the narrowest section first, field by field: what none of them says has its default.
    pub fn resolve(narrowest_first: [Option<&RetrySection>; 3]) -> Self {
        let said = || narrowest_first.into_iter().flatten();
        let backoff = said().find_map(|section| section.backoff);
        let budget = said().find_map(|section| section.budget);
        Self {
            attempts: said().find_map(|section| section.attempts).unwrap_or(2),
            pause_min: backoff.map_or(Duration::from_millis(200), |backoff| backoff.low.0),
            pause_max: backoff.map_or(Duration::from_secs(2), |backoff| backoff.high.0),
            budget: budget.map_or(0.2, |budget| budget.fraction()),
        }
    }

    /// How long to wait before the `repeat`th repeat, counted from one: by `chance` anything from the shortest pause to a bound
    /// that doubles, so that callers who failed together do not come again together. What the target said is waited besides.
    pub fn pause(&self, repeat: u32, retry_after: Option<Duration>, chance: u64) -> Duration {
        let doubled = 2_u32.saturating_pow(repeat.max(1));
        let bound = self.pause_min.saturating_mul(doubled).min(self.pause_max);
        let jitter = (bound - self.pause_min).mul_f64(share(chance));
        retry_after.unwrap_or_default().max(self.pause_min) + jitter
    }
}

// === impl Budget ===

impl Budget {
    /// A request is sent to the target for the first time.
    pub fn first(&self, retry: &Retry, now: Instant) {
        let mut balance = self.balance.lock();
        balance.pass(now);
        balance.paid += retry.budget;
    }

    /// Whether it may be sent once more; if so, this has been taken.
    pub fn repeat(&self, retry: &Retry, now: Instant) -> bool {
        let may = retry.budget >= 1.0 || (retry.budget > 0.0 && self.balance.lock().take(now));
        self.repeats.fetch_add(u64::from(may), Ordering::Relaxed);
        may
    }

    /// How many repeats there have been.
    pub fn repeats(&self) -> u64 {
        self.repeats.load(Ordering::Relaxed)
    }
}

// === impl Balance ===

impl Default for Balance {
    fn default() -> Self {
        Self {
            paid: 0.0,
            reserve: RESERVE,
            at: None,
        }
    }
}

impl Balance {
    /// Time passes.
    fn pass(&mut self, now: Instant) {
        let last = self.at.map_or(now, |at| at.max(now));
        let age = self
            .at
            .map_or(Duration::ZERO, |at| now.saturating_duration_since(at));
        self.at = Some(last);
        self.paid *= (-age.as_secs_f64() / DECAY.as_secs_f64()).exp();
        self.reserve = (self.reserve + age.div_duration_f64(RESERVE_EVERY)).min(RESERVE);
    }

    /// Takes a repeat: of what was paid in, else of the reserve.
    fn take(&mut self, now: Instant) -> bool {
        self.pass(now);
        let from = match self.paid >= 1.0 {
            true => &mut self.paid,
            false => &mut self.reserve,
        };
        let may = *from >= 1.0;
        if may {
            *from -= 1.0;
        }
        may
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chance::Chance;
    use crate::config::units::{DurationRange, Percent};

    fn retry(budget: f64) -> Retry {
        let section = RetrySection {
            budget: Some(Percent(budget)),
            ..RetrySection::default()
        };
        Retry::resolve([Some(&section), None, None])
    }

    #[test]
    fn the_narrowest_section_that_says_something_wins() {
        let section = |attempts, backoff: Option<&str>| RetrySection {
            attempts,
            backoff: backoff.map(|text| text.parse::<DurationRange>().unwrap()),
            budget: None,
        };
        let (model, defaults) = (section(Some(4), None), section(Some(1), Some("1s..4s")));
        let resolved = Retry::resolve([Some(&model), None, Some(&defaults)]);
        let expected = Retry {
            attempts: 4,
            pause_min: Duration::from_secs(1),
            pause_max: Duration::from_secs(4),
            budget: 0.2,
        };
        assert_eq!(resolved, expected);
    }

    #[test]
    fn pauses_double_within_their_bounds_and_keep_to_what_was_said() {
        let retry = retry(20.0);
        let millis = Duration::from_millis;
        let pause = |repeat, chance| retry.pause(repeat, None, chance);
        let (least, most) = (0, u64::MAX);
        for (repeat, bound) in [(1, 400), (2, 800), (3, 1600), (4, 2000), (99, 2000)] {
            assert_eq!(pause(repeat, least), millis(200));
            let longest = pause(repeat, most);
            assert!(longest <= millis(bound) && longest > millis(bound - 1));
        }
        let said = Some(Duration::from_secs(7));
        assert_eq!(retry.pause(1, said, least), Duration::from_secs(7));
        assert!(retry.pause(1, said, most) > Duration::from_secs(7));
        assert_eq!(retry.pause(1, Some(millis(1)), least), millis(200));
    }

    /// How many repeats there are of so many calls that all fail, at most so far apart.
    fn repeats(seed: u64, retry: &Retry, calls: u64, apart_micros: u64) -> (u64, Duration) {
        let (mut chance, start) = (Chance::new(seed), Instant::now());
        let (budget, mut now) = (Budget::default(), start);
        for _ in 0..calls {
            now += chance.micros(apart_micros);
            budget.first(retry, now);
            for _ in 1..retry.attempts {
                budget.repeat(retry, now);
            }
        }
        (budget.repeats(), now - start)
    }

    #[test]
    fn repeats_are_their_share_of_all_calls_and_the_reserve() {
        for seed in 0..100 {
            let calls = 1_000;
            for percent in [5.0, 20.0, 50.0] {
                let (repeats, took) = repeats(seed, &retry(percent), calls, 20_000);
                let share = calls as f64 * percent / 100.0;
                let most = share + RESERVE + took.div_duration_f64(RESERVE_EVERY);
                let few = share * 0.8;
                assert!(
                    (few..=most).contains(&(repeats as f64)),
                    "{seed}: {repeats}"
                );
            }
        }
    }

    #[test]
    fn a_whole_budget_is_no_bound_and_none_is_no_repeat() {
        let whole = Retry {
            attempts: 3,
            ..retry(100.0)
        };
        assert_eq!(repeats(1, &whole, 500, 1).0, 1_000);
        assert_eq!(repeats(1, &retry(0.0), 500, 1).0, 0);
    }

    #[test]
    fn who_is_seldom_called_may_be_called_again() {
        let (repeats, _) = repeats(1, &retry(20.0), 100, 60_000_000);
        assert_eq!(repeats, 100);
    }

    #[test]
    fn a_long_time_without_faults_is_no_credit() {
        let (retry, budget, start) = (retry(20.0), Budget::default(), Instant::now());
        let second = |n| start + Duration::from_secs(n);
        for n in 0..10_000 {
            budget.first(&retry, second(n));
        }
        let granted = (0..100).filter(|_| budget.repeat(&retry, second(10_000)));
        // Those of the last ten calls, and the reserve.
        assert_eq!(granted.count(), 11);
    }
}
