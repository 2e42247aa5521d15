//! The clock of Redis, which all replicas go by.

use std::collections::VecDeque;

use chrono::{DateTime, TimeDelta, Utc};

/// How many of the last measurements the best is taken from: ten seconds' worth.
const SAMPLES_MAX: usize = 10;

/// How far it is from our own.
#[derive(Default)]
pub(super) struct Clock {
    samples: VecDeque<Sample>,
}

/// One measurement: the truth is at most half a round trip away from it.
#[derive(Clone, Copy)]
struct Sample {
    offset: TimeDelta,
    round_trip: TimeDelta,
}

impl Clock {
    /// Redis told `told` in answer to what was sent and answered at these times of our clock.
    pub fn measure(&mut self, sent: DateTime<Utc>, told: DateTime<Utc>, answered: DateTime<Utc>) {
        let round_trip = answered - sent;
        let sample = Sample {
            offset: told - (sent + round_trip / 2),
            round_trip,
        };
        // Of two that cannot both be true the later one is: a clock was set, or another Redis answers.
        self.samples.retain(|earlier| earlier.agrees(sample));
        if self.samples.len() == SAMPLES_MAX {
            self.samples.pop_front();
        }
        self.samples.push_back(sample);
    }

    /// How far Redis is ahead of us, as measured best; nothing before the first measurement.
    pub fn offset(&self) -> TimeDelta {
        let best = self.samples.iter().min_by_key(|sample| sample.round_trip);
        best.map_or(TimeDelta::zero(), |best| best.offset)
    }
}

impl Sample {
    fn agrees(self, other: Self) -> bool {
        (self.offset - other.offset).abs() * 2 <= self.round_trip + other.round_trip + SLACK
    }
}

/// Redis tells whole microseconds, and clocks drift between two beats.
const SLACK: TimeDelta = TimeDelta::milliseconds(1);

#[cfg(test)]
mod tests {
    use super::*;

    fn at(milliseconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp_millis(1_000_000_000_000 + milliseconds).unwrap()
    }

    #[test]
    fn the_shortest_round_trip_is_believed() {
        let mut clock = Clock::default();
        assert_eq!(clock.offset(), TimeDelta::zero());
        clock.measure(at(0), at(5_010), at(100));
        clock.measure(at(1_000), at(6_002), at(1_004));
        clock.measure(at(2_000), at(7_010), at(2_100));
        assert_eq!(clock.offset(), TimeDelta::seconds(5));
    }

    #[test]
    fn a_clock_that_was_set_is_believed_at_once() {
        let mut clock = Clock::default();
        clock.measure(at(0), at(1), at(2));
        clock.measure(at(1_000), at(61_050), at(1_100));
        assert_eq!(clock.offset(), TimeDelta::seconds(60));
    }

    #[test]
    fn ten_measurements_are_kept() {
        let mut clock = Clock::default();
        clock.measure(at(0), at(0), at(0));
        for second in 1..=10 {
            clock.measure(
                at(second * 1_000),
                at(second * 1_000 + 1),
                at(second * 1_000 + 4),
            );
        }
        assert_eq!(clock.samples.len(), 10);
        assert_eq!(clock.offset(), TimeDelta::milliseconds(-1));
    }
}
