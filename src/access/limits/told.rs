//! What callers are told of limits.

use std::fmt;
use std::time::Duration;

use crate::config::limits::WINDOWS;

/// The names of the limits in the configuration, by unit and window.
const NAMES: [[&str; WINDOWS.len()]; UNITS.len()] =
    [["rps", "rpm", "rph", "rpd"], ["tps", "tpm", "tph", "tpd"]];

/// What no limit is above: larger amounts count as this, so that sums of them are exact everywhere.
pub(super) const AMOUNT_MAX: u64 = 1_000_000_000_000;

/// The names of the units.
pub(super) const UNITS: [&str; 2] = ["requests", "tokens"];

/// Every limit of a window, by its place.
pub(super) const PLACES: [Limit; 2 * WINDOWS.len()] = [
    Limit::Requests(0),
    Limit::Requests(1),
    Limit::Requests(2),
    Limit::Requests(3),
    Limit::Tokens(0),
    Limit::Tokens(1),
    Limit::Tokens(2),
    Limit::Tokens(3),
];

/// The names of the windows.
pub(super) const WINDOW_NAMES: [&str; WINDOWS.len()] = ["second", "minute", "hour", "day"];

/// What is left of requests and of tokens, by the limit that is nearest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Left {
    /// Of requests, where they are limited.
    pub requests: Option<Remaining>,
    /// Of tokens, where they are limited.
    pub tokens: Option<Remaining>,
}

/// What is left of one limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Remaining {
    /// The limit.
    pub limit: u64,
    /// What is left of it.
    pub remaining: u64,
    /// When all of it will be there again, if nothing more comes.
    pub reset: Duration,
}

/// A limit of a window, and what is left of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tight {
    /// Its place.
    pub place: usize,
    /// How much it is.
    pub max: u64,
    /// What is left of it.
    pub remaining: u64,
}

/// Why a request was not admitted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Whose limit it was.
    pub whose: String,
    /// Which.
    pub limit: Limit,
    /// How much it is.
    pub max: u64,
    /// When a request like this one fits.
    pub retry_after: Duration,
    /// Nothing is known of it: replicas share it, and their store is away.
    pub is_lost: bool,
    /// What is left besides.
    pub left: Left,
}

/// A limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// So many requests in one of the windows.
    Requests(usize),
    /// So many tokens in one of the windows.
    Tokens(usize),
    /// So many requests at once.
    Concurrency,
}

impl Left {
    /// What is left of these limits and others, by the limit that is nearest.
    #[must_use]
    pub fn tighter(self, other: Self) -> Self {
        let tighter = |one: Option<Remaining>, other: Option<Remaining>| {
            let both = [one, other].into_iter().flatten();
            both.min_by_key(|left| left.remaining)
        };
        Self {
            requests: tighter(self.requests, other.requests),
            tokens: tighter(self.tokens, other.tokens),
        }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            whose,
            limit,
            max,
            retry_after,
            is_lost,
            ..
        } = self;
        if *is_lost {
            let name = limit.name();
            return write!(
                f,
                "{whose} may use {max} of `{name}`, which all replicas count in Redis, and that does not say at present how many are left"
            );
        }
        let (unit, window) = match limit {
            Limit::Requests(window) => ("requests", window),
            Limit::Tokens(window) => ("tokens", window),
            Limit::Concurrency => {
                return write!(
                    f,
                    "{whose} may have {max} requests running at once (`concurrency`), and has as many"
                );
            }
        };
        let name = limit.name();
        let per = WINDOW_NAMES[*window];
        let left = retry_after.as_secs_f64();
        write!(
            f,
            "{whose} may use {max} {unit} per {per} (`{name}`), and has used them; there is room in {left:.3}s"
        )
    }
}

impl Limit {
    /// Its name in the configuration.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Requests(window) => NAMES[0][window],
            Self::Tokens(window) => NAMES[1][window],
            Self::Concurrency => "concurrency",
        }
    }

    /// The limit of a count that a store knows by that name, and whose it is: ``rate:key:search/prod|requests|minute``.
    pub(in crate::access) fn of_key(key: &str) -> Option<(&str, Self)> {
        let (_, name) = key.split_once(':')?;
        let (rest, window) = name.rsplit_once('|')?;
        let (path, unit) = rest.rsplit_once('|')?;
        let window = WINDOW_NAMES.iter().position(|name| *name == window)?;
        match UNITS.iter().position(|name| *name == unit)? {
            0 => Some((path, Self::Requests(window))),
            _ => Some((path, Self::Tokens(window))),
        }
    }

    /// How much of it a request takes that uses so many tokens.
    pub(super) const fn amount(self, tokens: u64) -> u64 {
        match self {
            Self::Tokens(_) if tokens > AMOUNT_MAX => AMOUNT_MAX,
            Self::Tokens(_) => tokens,
            Self::Requests(_) | Self::Concurrency => 1,
        }
    }

    /// Its place among the limits of windows; None where it is of no window.
    pub(super) const fn place(self) -> Option<usize> {
        match self {
            Self::Requests(window) => Some(window),
            Self::Tokens(window) => Some(WINDOWS.len() + window),
            Self::Concurrency => None,
        }
    }
}

/// The window of the limit at that place.
pub(super) const fn window_of(place: usize) -> Duration {
    WINDOWS[place % WINDOWS.len()]
}
