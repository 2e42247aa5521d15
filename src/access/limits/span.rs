//! What was admitted in the last window: a window that slides.
//!
//! GCRA, which rate limiters mostly are, admits up to twice its limit in one window or refuses callers that keep theirs, and
//! has no way to take back what was reserved and not used. Fixed windows admit twice the limit at their border. This is a
//! log: what was admitted is counted until it is older than the window.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Into so many parts a window is divided: what is admitted within one part is one entry, so a log has this many at most,
/// and a few for the margin.
const PARTS: u32 = 1024;

/// Entries are counted for so many parts longer than the window: one for the time within a part, and one so that who
/// measures from elsewhere, by a way that takes now a little more and now a little less, sees no more than the limit either.
const MARGIN_PARTS: u32 = 2;

/// How much was admitted, and when.
#[derive(Debug)]
pub struct Span {
    used: u64,
    /// When the first entry counts no more.
    expires: Option<Instant>,
    /// The last entry, beside the others: most requests meet no other, nor the memory that those are in.
    last: Option<Entry>,
    /// Until when that takes in what is added.
    closes: Option<Instant>,
    entries: VecDeque<Entry>,
    /// How many entries have left the front.
    gone: u64,
    /// How long an entry counts.
    life: Duration,
    part: Duration,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    /// When it counts no more: told from that at a glance, by every request and for every window.
    until: Instant,
    amount: u64,
}

/// Where an amount was entered, to amend it by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark(u64);

impl Span {
    /// Nothing was admitted yet.
    pub fn new(window: Duration) -> Self {
        let part = window / PARTS;
        Self {
            used: 0,
            expires: None,
            last: None,
            closes: None,
            entries: VecDeque::new(),
            gone: 0,
            life: window + MARGIN_PARTS * part,
            part,
        }
    }

    /// What counts at present.
    pub fn used(&mut self, now: Instant) -> u64 {
        while let Some(expires) = self.expires
            && expires <= now
        {
            let first = self.entries.pop_front().or_else(|| self.last.take());
            self.used -= first.map_or(0, |entry| entry.amount);
            self.gone += 1;
            let next = self.entries.front().or(self.last.as_ref());
            self.expires = next.map(|entry| entry.until);
        }
        self.used
    }

    /// How long it takes until `amount` more are no more than `limit`: None if they are now. An amount above the limit waits
    /// until nothing else counts.
    pub fn wait(&mut self, amount: u64, limit: u64, now: Instant) -> Option<Duration> {
        let room = limit.saturating_sub(amount);
        let mut excess = self
            .used(now)
            .checked_sub(room)
            .filter(|excess| *excess > 0)?;
        for entry in self.all() {
            if entry.amount >= excess {
                return Some(entry.until.saturating_duration_since(now));
            }
            excess -= entry.amount;
        }
        None
    }

    /// Enters what was admitted.
    pub fn add(&mut self, amount: u64, now: Instant) -> Mark {
        self.used += amount;
        match &mut self.last {
            Some(last) if self.closes.is_some_and(|closes| now < closes) => last.amount += amount,
            last => {
                let until = now + self.life;
                let closed = last.replace(Entry { until, amount });
                self.entries.extend(closed);
                self.closes = Some(now + self.part);
                self.expires.get_or_insert(until);
            }
        }
        Mark(self.gone + self.entries.len() as u64)
    }

    /// Puts `now` in the place of `before`, which is what was entered at `mark`. Entries that count no more stay as they were.
    pub fn amend(&mut self, mark: Mark, before: u64, now: u64) {
        let Some(place) = mark.0.checked_sub(self.gone) else {
            return;
        };
        let entry = match usize::try_from(place) {
            Ok(place) if place < self.entries.len() => self.entries.get_mut(place),
            Ok(place) if place == self.entries.len() => self.last.as_mut(),
            _ => None,
        };
        if let Some(entry) = entry {
            entry.amount = entry.amount.saturating_sub(before).saturating_add(now);
            self.used = self.used.saturating_sub(before).saturating_add(now);
        }
    }

    /// What was entered, and when.
    pub fn entries(&self) -> impl Iterator<Item = (Instant, u64)> {
        // It was a moment of this process, so the clock has it.
        let began = |entry: &Entry| entry.until.checked_sub(self.life).unwrap_or(entry.until);
        self.all().map(move |entry| (began(entry), entry.amount))
    }

    fn all(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter().chain(&self.last)
    }

    /// How long an amount counts from now on at most.
    pub const fn life(&self) -> Duration {
        self.life
    }

    /// How long it takes until nothing counts.
    pub fn reset(&mut self, now: Instant) -> Duration {
        self.used(now);
        self.last.map_or(Duration::ZERO, |entry| {
            entry.until.saturating_duration_since(now)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MINUTE: Duration = Duration::from_secs(60);
    const MILLISECOND: Duration = Duration::from_millis(1);

    /// Takes 1 if it fits.
    fn take(span: &mut Span, limit: u64, now: Instant) -> Option<Mark> {
        span.wait(1, limit, now).is_none().then(|| span.add(1, now))
    }

    #[test]
    fn who_waits_as_told_gets_in() {
        let start = Instant::now();
        let mut span = Span::new(MINUTE);
        (0..10).for_each(|n| assert!(take(&mut span, 10, start + n * 100 * MILLISECOND).is_some()));
        let now = start + MINUTE / 2;
        let wait = span.wait(1, 10, now).unwrap();
        assert!(wait <= MINUTE / 2 + MINUTE / 500, "{wait:?}");
        assert!(span.wait(1, 10, now + wait - MILLISECOND).is_some());
        assert_eq!(span.wait(1, 10, now + wait), None);
        let all = span.wait(10, 10, now).unwrap();
        assert_eq!(span.reset(now), all);
        assert!(all > wait);
        assert_eq!(span.wait(10, 10, now + all), None);
    }

    #[test]
    fn what_was_not_used_is_free_at_once() {
        let now = Instant::now();
        let mut span = Span::new(MINUTE);
        let first = span.add(600, now);
        let second = span.add(300, now);
        assert!(span.wait(200, 1_000, now).is_some());
        span.amend(second, 300, 100);
        assert_eq!(span.wait(200, 1_000, now), None);
        span.amend(first, 600, 2_000);
        assert_eq!(span.used(now), 2_100);
        let later = now + 2 * MINUTE;
        assert_eq!(span.used(later), 0);
        span.add(7, later);
        span.amend(first, 2_000, 0);
        assert_eq!(span.used(later), 7);
    }

    #[test]
    fn an_amount_above_the_limit_waits_until_nothing_counts() {
        let now = Instant::now();
        let mut span = Span::new(MINUTE);
        assert_eq!(span.wait(50, 10, now), None);
        span.add(1, now);
        let wait = span.wait(50, 10, now).unwrap();
        assert_eq!(span.wait(50, 10, now + wait), None);
    }

    #[test]
    fn offered_twice_its_limit_it_admits_99_percent_of_it() {
        for (limit, window) in [
            (100, Duration::from_secs(1)),
            (600, MINUTE),
            (6_000, MINUTE),
        ] {
            let start = Instant::now();
            let mut span = Span::new(window);
            let step = window / (2 * limit);
            let admitted = (0..20 * limit)
                .filter(|n| take(&mut span, limit.into(), start + *n * step).is_some())
                .count();
            // Ten windows, of which the last may have just begun.
            let share = admitted as f64 / f64::from(10 * limit);
            assert!(share >= 0.99, "{limit} per {window:?}: {share}");
        }
    }

    #[test]
    fn a_steady_caller_under_its_limit_is_never_refused() {
        for limit in [60, 100, 6_000] {
            let start = Instant::now();
            let mut span = Span::new(MINUTE);
            let step = MINUTE.mul_f64(1.0 / 0.98) / limit;
            for n in 0..5 * limit {
                assert!(take(&mut span, limit.into(), start + n * step).is_some());
            }
        }
    }

    #[test]
    fn a_log_is_bounded() {
        let start = Instant::now();
        let mut span = Span::new(Duration::from_secs(1));
        for n in 0..100_000 {
            let now = start + n * Duration::from_micros(50);
            span.used(now);
            span.add(1, now);
        }
        assert!(span.entries.len() <= 1027, "{}", span.entries.len());
    }

    proptest! {
        #[test]
        fn in_no_span_of_one_window_is_more_admitted_than_the_limit(
            limit in 1_u64..40,
            gaps in prop::collection::vec((0_u64..30_000_000, 1_u64..4), 1..400),
        ) {
            let window = Duration::from_millis(100);
            let start = Instant::now();
            let mut span = Span::new(window);
            let mut now = start;
            let mut admitted: Vec<(Instant, u64)> = Vec::new();
            for (gap, amount) in gaps {
                now += Duration::from_nanos(gap / limit);
                if amount <= limit && span.wait(amount, limit, now).is_none() {
                    span.add(amount, now);
                    admitted.push((now, amount));
                }
            }
            for (begin, _) in &admitted {
                let within = admitted.iter().filter(|(at, _)| at >= begin && *at < *begin + window);
                let total: u64 = within.map(|(_, amount)| amount).sum();
                prop_assert!(total <= limit);
            }
        }
    }
}
