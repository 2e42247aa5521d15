//! What a limiter has counted of one unit in one window: by itself, or with all replicas.

use std::time::{Duration, Instant};

use super::shared::{Effect, Held, Line, Look, Taken};
use super::span::{self, Span};

/// A count.
#[derive(Debug)]
pub enum Count {
    /// Of this process alone.
    Own(Span),
    /// Of all replicas.
    Shared(Box<Line>),
}

/// Where an amount was entered, to settle it by.
#[derive(Clone, Copy, Debug)]
pub enum Mark {
    /// In a count of this process alone.
    Own(span::Mark),
    /// In a count of all replicas.
    Shared(Taken),
}

impl Count {
    /// Whether so much is to be had. What is `held` for who asks is.
    pub fn look(&mut self, amount: u64, limit: u64, held: Option<&Held>, now: Instant) -> Look {
        match self {
            Self::Own(span) => span.wait(amount, limit, now).map_or(Look::Has, Look::Full),
            Self::Shared(line) if held.is_some_and(|held| line.lease.is_good(held, now)) => {
                Look::Has
            }
            Self::Shared(line) => line.lease.look(amount, limit, now),
        }
    }

    /// Whether so much is to be had by what this replica alone has used.
    pub fn look_alone(&mut self, amount: u64, limit: u64, now: Instant) -> Look {
        let wait = match self {
            Self::Own(span) => span.wait(amount, limit, now),
            Self::Shared(line) => line.lease.wait_alone(amount, limit, now),
        };
        wait.map_or(Look::Has, Look::Full)
    }

    /// What was taken at `mark` has come to `used`, of `before`.
    pub fn settle(&mut self, mark: Mark, before: u64, used: u64, now: Instant) -> Vec<Effect> {
        match (self, mark) {
            (Self::Own(span), Mark::Own(mark)) => {
                span.amend(mark, before, used);
                Vec::new()
            }
            (Self::Shared(line), Mark::Shared(taken)) => line.lease.settle(taken, used, now),
            // Counts do not change their kind.
            _ => Vec::new(),
        }
    }

    /// What is left of a limit, what is `held` included.
    pub fn remaining(&mut self, limit: u64, held: Option<&Held>, now: Instant) -> u64 {
        match self {
            Self::Own(span) => limit.saturating_sub(span.used(now)),
            Self::Shared(line) => line.lease.remaining(limit, held, now).0,
        }
    }

    /// When all of a limit will be there again.
    pub fn reset(&mut self, limit: u64, now: Instant) -> Duration {
        match self {
            Self::Own(span) => span.reset(now),
            Self::Shared(line) => line.lease.remaining(limit, None, now).1,
        }
    }

    /// How long what is taken now counts at most.
    pub const fn life(&self) -> Duration {
        match self {
            Self::Own(span) => span.life(),
            Self::Shared(line) => line.lease.life(),
        }
    }
}
