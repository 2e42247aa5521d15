//! Money, exactly.

use std::fmt;
use std::iter::Sum;
use std::ops::{Add, AddAssign, Neg, Sub};

/// Pico-dollars in a dollar.
const PICO: i128 = 1_000_000_000_000;

/// An amount of US dollars: a whole number of pico-dollars (10⁻¹²), never a float.
///
/// Arithmetic saturates at ±1.7 × 10²⁶ dollars instead of wrapping round. Nothing here rounds but
/// [`Usd::from_pico_rounded_up`], which says so.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Usd(i128);

impl Usd {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// So many pico-dollars.
    #[must_use]
    pub const fn from_pico(pico: i128) -> Self {
        Self(pico)
    }

    /// `numerator / denominator` pico-dollars, rounded up to the next whole one (away from the payer's favour: the gateway
    /// never counts less than was spent). `denominator` must be positive.
    #[must_use]
    #[inline]
    pub const fn from_pico_rounded_up(numerator: i128, denominator: i128) -> Self {
        let (short, short_denominator) = (numerator as i64, denominator as i64);
        // What one request costs mostly fits in 64 bits, which processors divide; 128 take a function of some sixty instructions.
        let whole = match short as i128 == numerator && short_denominator as i128 == denominator {
            true => short.div_euclid(short_denominator) as i128,
            false => numerator.div_euclid(denominator),
        };
        match whole * denominator == numerator {
            true => Self(whole),
            false => Self(whole.saturating_add(1)),
        }
    }

    /// In pico-dollars.
    #[must_use]
    pub const fn pico(self) -> i128 {
        self.0
    }

    /// So many nano-dollars (10⁻⁹).
    #[must_use]
    pub const fn from_nano(nano: u64) -> Self {
        Self(nano as i128 * 1_000)
    }

    /// In whole nano-dollars, rounded up: what is spent or held is never told for less. Nothing below zero.
    #[must_use]
    pub fn nano_rounded_up(self) -> u64 {
        let whole = self.0.div_euclid(1_000) + i128::from(self.0.rem_euclid(1_000) > 0);
        u64::try_from(whole.max(0)).unwrap_or(u64::MAX)
    }

    /// In whole nano-dollars, rounded down: a limit is never told for more. Nothing below zero.
    #[must_use]
    pub fn nano_rounded_down(self) -> u64 {
        u64::try_from(self.0.div_euclid(1_000).max(0)).unwrap_or(u64::MAX)
    }

    /// Whole micro-dollars (rounded down), and the pico-dollars above them (0 to 999,999): two integers that a database can
    /// hold and sum without an overflow.
    ///
    /// Amounts beyond ±9.2 × 10¹² dollars are held at that.
    #[must_use]
    pub fn split(self) -> (i64, i64) {
        if let Ok(pico) = i64::try_from(self.0) {
            // Up to nine million dollars: a row's, and divided in one register.
            return (pico.div_euclid(1_000_000), pico.rem_euclid(1_000_000));
        }
        let micro = self.0.div_euclid(1_000_000);
        let limited = micro.clamp(i64::MIN.into(), i64::MAX.into());
        (limited as i64, self.0.rem_euclid(1_000_000) as i64)
    }

    /// What [`Usd::split`] took apart, or sums of it.
    #[must_use]
    pub const fn join(micro: i128, pico: i128) -> Self {
        Self(micro.saturating_mul(1_000_000).saturating_add(pico))
    }

    /// As a float, for metrics and charts only.
    #[must_use]
    pub fn as_f64(self) -> f64 {
        self.0 as f64 / PICO as f64
    }
}

impl Add for Usd {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl Sub for Usd {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl Neg for Usd {
    type Output = Self;

    fn neg(self) -> Self {
        Self(self.0.saturating_neg())
    }
}

impl AddAssign for Usd {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl Sum for Usd {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        amounts.fold(Self::ZERO, Add::add)
    }
}

/// The digits of the largest amount, and its point.
const DIGITS_MAX: usize = 40;

/// A plain decimal, exact, without trailing zeros: `0.0034`, `-2`, `0`.
impl fmt::Display for Usd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let size = self.0.unsigned_abs();
        let (mut dollars, rest) = (size / PICO.unsigned_abs(), size % PICO.unsigned_abs());
        let mut rest = rest as u64; // less than 10¹²
        // Written from its end: every answer tells what it cost.
        let mut text = [b'0'; DIGITS_MAX];
        let mut start = text.len();
        let mut write = |digit| {
            start -= 1;
            text[start] = digit;
        };
        if rest > 0 {
            let mut places = 12;
            while rest.is_multiple_of(10) {
                (rest, places) = (rest / 10, places - 1);
            }
            for _ in 0..places {
                write(b'0' + (rest % 10) as u8);
                rest /= 10;
            }
            write(b'.');
        }
        loop {
            write(b'0' + (dollars % 10) as u8);
            dollars /= 10;
            if dollars == 0 {
                break;
            }
        }
        let text = std::str::from_utf8(&text[start..]).map_err(|_| fmt::Error)?;
        f.pad_integral(self.0 >= 0, "", text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_written_exactly() {
        for (pico, text) in [
            (0, "0"),
            (1, "0.000000000001"),
            (3_400_000_000, "0.0034"),
            (-2_000_000_000_000, "-2"),
            (-1_500_000_000_000, "-1.5"),
            (12_345_678_901_234_567, "12345.678901234567"),
            (i128::MIN, "-170141183460469231731687303.715884105728"),
        ] {
            assert_eq!(Usd(pico).to_string(), text);
        }
    }

    #[test]
    fn it_rounds_up_only() {
        for (numerator, denominator, pico) in [(4, 2, 2), (5, 2, 3), (-5, 2, -2), (0, 3, 0)] {
            let rounded = Usd::from_pico_rounded_up(numerator, denominator);
            assert_eq!(rounded, Usd(pico));
        }
    }

    #[test]
    fn it_is_split_for_databases_and_joined_again() {
        for pico in [0, 1, 999_999, 1_000_000, -1, -1_000_001, 7_000_000_000_123] {
            let (micro, rest) = Usd(pico).split();
            assert!((0..1_000_000).contains(&rest));
            assert_eq!(Usd::join(micro.into(), rest.into()), Usd(pico));
        }
    }
}
