//! Money as the gateway tells it: exact decimals.

use std::fmt;
use std::iter::Sum;
use std::ops::{Add, Sub};

const DIGITS: usize = 12;

/// A whole number of pico-dollars.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Usd(i64);

impl Usd {
    /// Reads a plain decimal.
    pub fn read(text: &str) -> Option<Self> {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        if fraction.len() > DIGITS {
            return None;
        }
        format!("{whole}{fraction:0<DIGITS$}")
            .parse()
            .ok()
            .map(Self)
    }

    /// How many times another amount it is.
    pub fn over(self, other: Self) -> f64 {
        self.0 as f64 / other.0 as f64
    }
}

impl Add for Usd {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(self.0 + other.0)
    }
}

impl Sub for Usd {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self(self.0 - other.0)
    }
}

impl Sum for Usd {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        amounts.fold(Self::default(), Add::add)
    }
}

/// With six digits behind the point.
impl fmt::Display for Usd {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:.6}", self.0 as f64 / 1e12)
    }
}
