//! When a lease asks its log for more, and what it says to it.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::super::log::{Ask, LIFE, PARTS};
use super::{Asked, Effect, FAR_LIFE, Lease};

/// A limit is far when in the whole of a window all have used less than this part of it …
const FAR_PART: u64 = 16;

/// … while it is asked for less than this part of it: then it is asked for more at once.
const LITTLE_PART: u64 = 64;

/// Clocks differ: a lease ends by this part of itself sooner than Redis would have it.
const DRIFT: u32 = 64;

impl Lease {
    /// Asks the log for what is lacking or soon will be; or, when `is_due`, tells it what there is to tell.
    pub(super) fn ask(&mut self, is_due: bool, now: Instant) -> Option<Effect> {
        if self.asked.is_some() || !self.may_ask(now) {
            return None;
        }
        let is_to_ask = !self.waiting.is_empty() || self.is_prompted || self.is_low(now);
        if !is_to_ask && !(is_due && (!self.news.is_none() || self.is_lost)) {
            return None;
        }
        Some(Effect::Ask(self.message(now)))
    }

    pub(super) fn may_ask(&self, now: Instant) -> bool {
        self.ask_again.is_none_or(|again| again <= now)
    }

    fn message(&mut self, now: Instant) -> Ask {
        self.seq = self.numbers.next();
        // What earlier leases and lives of this replica were granted is none of ours to give back. Before it has joined it
        // does not know how far those have counted; it says nothing to a log until then.
        if self.heard == 0 {
            self.heard = self.seq - 1;
        }
        self.heard = self.heard.max(self.numbers.joined());
        let need = self.waiting.iter().map(|one| one.amount).min();
        if need.is_some() && !self.news.is_under_way() {
            // What is too little for who waits is of more use to all.
            let all = self.portions.all();
            all.for_each(|portion| self.news.less(portion.part, portion.left));
        }
        self.look_how_far(now);
        let is_in_use = need.is_some() || self.is_low(now);
        let recent = if is_in_use { self.pace.recent(now) } else { 0 };
        let want: u64 = self.waiting.iter().map(|one| one.amount).sum();
        let far_life = LIFE.max(FAR_LIFE.div_duration_f64(self.part) as u64);
        let little = self.limit / LITTLE_PART;
        let is_little = want + recent * far_life / LIFE <= little;
        self.is_long = far_life > LIFE && is_little && self.is_far(now);
        let least = if self.is_long { far_life } else { LIFE };
        let life = least.max((3 * self.slowest).div_duration_f64(self.part).ceil() as u64);
        let life = life.min(PARTS / 2);
        let welcome = match self.is_long {
            true => (recent * life / LIFE).min(little),
            false => recent,
        };
        let report = self.report(now);
        let ask = Ask {
            seq: self.seq,
            heard: self.heard,
            limit: self.limit,
            need,
            largest: self.waiting.iter().map(|one| one.amount).max().unwrap_or(0),
            want,
            welcome,
            life,
            batch: self.news.tell(self.seq, report),
            is_anew: !self.is_in_touch,
            is_whole: self.is_whole,
            born: self.born,
            most: self.heard_total(now).unwrap_or(0),
            clock: self.clock(now),
        };
        let micros = self.part * life as u32;
        self.asked = Some(Asked {
            seq: ask.seq,
            at: now,
            life: micros - micros / DRIFT,
            need,
            largest: ask.largest,
            wanted: ask.want,
            is_for_more: ask.want + ask.welcome > 0,
        });
        self.is_prompted = false;
        ask
    }

    /// What was used in the last window, by parts of the replica's clock, for a log that does not know it yet.
    fn report(&mut self, now: Instant) -> Option<BTreeMap<u64, u64>> {
        if self.is_in_touch {
            return None;
        }
        let mut uses = BTreeMap::new();
        self.span.used(now);
        for (closed, amount) in self.span.entries() {
            *uses.entry(self.clock(closed.min(now))).or_default() += amount;
        }
        Some(uses)
    }

    /// What the log had counted, if that was heard within the last window.
    fn heard_total(&self, now: Instant) -> Option<u64> {
        let standing = self.standing.as_ref();
        let recent = standing.filter(|standing| now < standing.at + self.window);
        recent.map(|standing| standing.total)
    }

    /// The part of a time by the replica's clock.
    pub(super) fn clock(&self, time: Instant) -> u64 {
        let since = time.saturating_duration_since(self.start);
        (since.as_nanos() / self.part.as_nanos()) as u64
    }

    /// It will have nothing soon, and may get more.
    fn is_low(&mut self, now: Instant) -> bool {
        self.is_roomy && self.portions.left_beyond(now + self.ahead()) < self.asks_below(now)
    }

    /// How long before it has nothing it asks for more: as long as two answers take that are as slow as the slowest of late.
    pub(super) fn ahead(&self) -> Duration {
        2 * self.slowest
    }

    /// What it has then.
    pub(super) fn asks_below(&mut self, now: Instant) -> u64 {
        let recent = self.pace.recent(now);
        if !self.is_long {
            return recent / 4;
        }
        let stretches = self.ahead().div_duration_f64(self.part * LIFE as u32);
        (recent as f64 * stretches.max(1.0)) as u64
    }

    /// Whether the limit has been far from all that is used for a whole window.
    fn is_far(&self, now: Instant) -> bool {
        self.far_since
            .is_some_and(|since| since + self.window <= now)
    }

    /// Looks whether it is, by this replica's pace and by what the log has counted.
    fn look_how_far(&mut self, now: Instant) {
        let by_pace = self.pace.recent(now).saturating_mul(PARTS / LIFE);
        let is_far = |total: u64| by_pace.max(total) < self.limit / FAR_PART;
        self.far_since = match self.heard_total(now) {
            Some(total) if self.is_whole && is_far(total) => self.far_since.or(Some(now)),
            _ => None,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::log::{Answer, Counted, Told};
    use super::super::super::numbers::Numbers;
    use super::super::Look;
    use super::*;

    /// What a log answers that has plenty.
    fn answer(ask: &Ask) -> Answer {
        let counted = Counted {
            granted: ask.want + ask.welcome,
            part: ask.seq,
            total: ask.most + ask.want + ask.welcome,
            reset: 60_000_000,
            ..Counted::default()
        };
        Answer {
            born: 1,
            told: Told::Counted(counted),
        }
    }

    #[test]
    fn who_comes_steadily_waits_for_no_answer_but_the_first_ones() {
        const TRIP: Duration = Duration::from_millis(5);
        for (window, limit) in [(1, 10_000_000), (60, 10_000_000), (60, 200_000)] {
            let start = Instant::now();
            let numbers = Numbers::behind(|| 0);
            let mut lease = Lease::new(Duration::from_secs(window), start, numbers);
            let mut under_way: Option<(Instant, Ask)> = None;
            let mut waited = Vec::new();
            for request in 0..40_000_u32 {
                let now = start + request * Duration::from_micros(100);
                if let Some((_, ask)) = under_way.take_if(|(at, _)| *at + TRIP <= now) {
                    lease.answered(ask.seq, answer(&ask), now);
                }
                let asks = match lease.look(1, limit, now) {
                    Look::Has => lease.take(1, None, now).1,
                    _ => {
                        waited.push(now - start);
                        let asks = lease.wait(0, 1, now);
                        lease.leave(0);
                        asks
                    }
                };
                // What goes back is told in between, and asks for nothing.
                let told = match request % 500 {
                    0 => lease.tick(now),
                    _ => Vec::new(),
                };
                for effect in asks.into_iter().chain(told) {
                    if let Effect::Ask(ask) = effect {
                        under_way = Some((now, ask));
                    }
                }
            }
            let last = waited.last().unwrap();
            assert!(*last < Duration::from_secs(1), "{window} s: {last:?}");
        }
    }
}
