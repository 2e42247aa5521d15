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
const MARGIN_PARTS: u64 = 2;

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

/// How long what is admitted counts in a window.
pub const fn life(window: Duration) -> Duration {
    life_of_parts(window, PARTS)
}

const fn life_of_parts(window: Duration, parts: u32) -> Duration {
    let nanoseconds = window.as_nanos() as u64;
    let margin = MARGIN_PARTS * (nanoseconds / parts as u64);
    Duration::from_nanos(nanoseconds + margin)
}

impl Span {
    /// Nothing was admitted yet.
    pub fn new(window: Duration) -> Self {
        Self::of_parts(window, PARTS)
    }

    /// The same, with a window of so many parts.
    pub fn of_parts(window: Duration, parts: u32) -> Self {
        Self {
            used: 0,
            expires: None,
            last: None,
            closes: None,
            entries: VecDeque::new(),
            life: life_of_parts(window, parts),
            part: window / parts,
        }
    }

    /// What counts at present.
    pub fn used(&mut self, now: Instant) -> u64 {
        while let Some(expires) = self.expires
            && expires <= now
        {
            let first = self.entries.pop_front().or_else(|| self.last.take());
            self.used -= first.map_or(0, |entry| entry.amount);
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

    /// Enters what was admitted. `now` is never before the last time that was said here.
    pub fn add(&mut self, amount: u64, now: Instant) {
        self.used += amount;
        let is_open = self.is_open(now);
        match &mut self.last {
            Some(last) if is_open => last.amount += amount,
            last => {
                let until = now + self.life;
                let closed = last.replace(Entry { until, amount });
                self.entries.extend(closed);
                self.closes = Some(now + self.part);
                self.expires.get_or_insert(until);
            }
        }
    }

    /// Puts `used` in the place of `before`, which is what was entered at the time `at`. What counts no more stays as it was.
    pub fn amend(&mut self, at: Instant, before: u64, used: u64) {
        let entry = match self.is_in_last(at) {
            true => self.last.as_mut(),
            false => {
                let until = at + self.life;
                let later = self.entries.partition_point(|entry| entry.until <= until);
                later.checked_sub(1).and_then(|it| self.entries.get_mut(it))
            }
        };
        if let Some(entry) = entry {
            entry.amount = entry.amount.saturating_sub(before).saturating_add(used);
            self.used = self.used.saturating_sub(before).saturating_add(used);
        }
    }

    /// Whether what was entered at the time `at` is in the last entry.
    pub fn is_in_last(&self, at: Instant) -> bool {
        self.last.is_some_and(|last| last.until <= at + self.life)
    }

    /// Puts more in the last entry, or takes it out.
    pub fn change_last(&mut self, by: i64) {
        if let Some(last) = &mut self.last {
            last.amount = last.amount.saturating_add_signed(by);
            self.used = self.used.saturating_add_signed(by);
        }
    }

    /// Whether the last entry takes in what is added.
    pub fn is_open(&self, now: Instant) -> bool {
        self.last.is_some() && self.closes.is_some_and(|closes| now < closes)
    }

    /// When the first entry counts no more, or the last one closes.
    pub fn changes_after(&self, now: Instant) -> Option<Instant> {
        let closes = self.closes.filter(|closes| now < *closes);
        self.expires.into_iter().chain(closes).min()
    }

    /// What counted when that was last looked at, and what was entered since.
    pub const fn counted(&self) -> u64 {
        self.used
    }

    /// What was entered, and by when.
    pub fn entries(&self) -> impl Iterator<Item = (Instant, u64)> {
        // It was a moment of this process, so the clock has it.
        let since = self.life - self.part;
        let closed = move |entry: &Entry| entry.until.checked_sub(since).unwrap_or(entry.until);
        self.all().map(move |entry| (closed(entry), entry.amount))
    }

    fn all(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter().chain(&self.last)
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
    fn take(span: &mut Span, limit: u64, now: Instant) -> bool {
        let fits = span.wait(1, limit, now).is_none();
        if fits {
            span.add(1, now);
        }
        fits
    }

    #[test]
    fn who_waits_as_told_gets_in() {
        let start = Instant::now();
        let mut span = Span::new(MINUTE);
        (0..10).for_each(|n| assert!(take(&mut span, 10, start + n * 100 * MILLISECOND)));
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
        span.add(600, now);
        span.add(300, now);
        assert!(span.wait(200, 1_000, now).is_some());
        span.amend(now, 300, 100);
        assert_eq!(span.wait(200, 1_000, now), None);
        let next = now + MINUTE / 2;
        span.add(50, next);
        span.amend(now, 600, 2_000);
        assert_eq!(span.used(next), 2_150);
        assert_eq!(span.used(next + MINUTE / 2 + MINUTE / 100), 50);
        let later = now + 3 * MINUTE;
        assert_eq!(span.used(later), 0);
        span.add(7, later);
        span.amend(now, 2_000, 0);
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
                .filter(|n| take(&mut span, limit.into(), start + *n * step))
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
                assert!(take(&mut span, limit.into(), start + n * step));
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
