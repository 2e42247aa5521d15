//! What is usual at a target, and what is far from it.
//!
//! Means that forget, as TCP keeps them of its round trips (Jacobson and Karels, "Congestion avoidance and control"): the
//! smoothed value and its mean deviation.

use std::time::{Duration, Instant};

/// The weight of a new sample.
const WEIGHT: f64 = 1.0 / 16.0;

/// How much less one weighs that is far from what is usual. It is learned all the same: in the end, what lasts is usual.
const UNUSUAL: f64 = 1.0 / 8.0;

/// So many samples tell what is usual.
const SAMPLES_MIN: u32 = 30;

/// What is slow is also so many mean deviations from what is usual.
const DEVIATIONS: f64 = 4.0;

/// What some duration usually is.
#[derive(Debug, Default)]
pub(super) struct History {
    seconds: f64,
    deviation: f64,
    samples: u32,
}

impl History {
    /// What is usual, if there has been anything.
    pub fn usual(&self) -> Option<Duration> {
        (self.samples > 0).then(|| Duration::from_secs_f64(self.seconds))
    }

    /// Learns a duration, and says whether it is slow: `factor` times as long as usual, by no less than `floor`, and far from
    /// all that has been. What varies a lot is therefore seldom slow.
    pub fn learn(&mut self, sample: Duration, factor: Option<f64>, floor: Duration) -> bool {
        let sample = sample.as_secs_f64();
        let bound = self.seconds * factor.unwrap_or(f64::INFINITY);
        let further = self.seconds + floor.as_secs_f64().max(DEVIATIONS * self.deviation);
        let is_slow = self.samples >= SAMPLES_MIN && sample > bound && sample > further;
        self.samples = self.samples.saturating_add(1);
        let (sample, weight) = match is_slow {
            true => (bound, WEIGHT * UNUSUAL),
            false => (sample, WEIGHT.max(1.0 / f64::from(self.samples))),
        };
        let away = sample - self.seconds;
        self.seconds += away * weight;
        if self.samples > 1 {
            self.deviation += (away.abs() - self.deviation) * weight;
        }
        is_slow
    }
}

/// How many of the latest durations are kept.
const LATEST: usize = 128;

/// So many tell how they are spread.
const LATEST_MIN: usize = 20;

/// The latest durations, of which shares are looked at.
#[derive(Debug, Default)]
pub(super) struct Latest {
    millis: Vec<u32>,
    next: usize,
}

impl Latest {
    /// Keeps a duration in the place of the oldest.
    pub fn learn(&mut self, sample: Duration) {
        let millis = u32::try_from(sample.as_millis()).unwrap_or(u32::MAX);
        if self.millis.len() < LATEST {
            self.millis.push(millis);
            return;
        }
        self.millis[self.next] = millis;
        self.next = (self.next + 1) % LATEST;
    }

    /// What so many percent of them were not longer than; None where there are few.
    pub fn share(&self, percent: u8) -> Option<Duration> {
        if self.millis.len() < LATEST_MIN {
            return None;
        }
        let mut sorted = self.millis.clone();
        let at = (sorted.len() * usize::from(percent) / 100).min(sorted.len() - 1);
        let (_, millis, _) = sorted.select_nth_unstable(at);
        // Kept in whole milliseconds, rounded down.
        Some(Duration::from_millis(u64::from(*millis) + 1))
    }
}

/// How long ago half of a peak is forgotten, more or less: peaks decay by a factor of e in this time.
const DECAY: Duration = Duration::from_secs(10);

/// A duration that goes up at once and comes down slowly (peak EWMA, as Finagle and linkerd balance load by it).
#[derive(Debug, Default)]
pub(super) struct Peak {
    last: Option<(f64, Instant)>,
}

impl Peak {
    /// Takes a sample in.
    pub fn learn(&mut self, sample: Duration, now: Instant) {
        let sample = sample.as_secs_f64();
        let value = match self.last {
            Some((value, at)) if value > sample => {
                let kept = decay(now.saturating_duration_since(at));
                sample + (value - sample) * kept
            }
            _ => sample,
        };
        self.last = Some((value, now));
    }

    /// Somebody has waited so long in vain: that does not bring it down.
    pub fn fail(&mut self, waited: Duration, now: Instant) {
        let known = self.now(now).unwrap_or_default();
        self.learn(waited.max(known), now);
    }

    /// What it is now: less and less where nothing new comes, so that who once was slow is tried again.
    pub fn now(&self, now: Instant) -> Option<Duration> {
        let (value, at) = self.last?;
        let kept = decay(now.saturating_duration_since(at));
        Some(Duration::from_secs_f64(value * kept))
    }
}

/// What is left of a value after so long.
fn decay(age: Duration) -> f64 {
    (-age.as_secs_f64() / DECAY.as_secs_f64()).exp()
}
