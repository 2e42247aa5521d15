//! Exact decimals: what a unit costs, and factors.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::spend::Usd;

/// Digits behind the point.
const DIGITS: usize = 12;

/// One.
const ONE: u64 = 10_u64.pow(DIGITS as u32);

/// A decimal from 0 to 18,446,744 with up to 12 digits behind the point, never a float.
///
/// As a price it is in US dollars for a million of something, so one of that costs as many atto-dollars (10⁻¹⁸) as the
/// decimal has digits of the last place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Decimal(u64);

/// Why a text is no such decimal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected a plain decimal from 0 to 18446744 with at most 12 digits behind the point, such as 0.075"
)]
pub struct Invalid;

impl Decimal {
    /// 1.
    pub const ONE: Self = Self(ONE);

    /// What `count` of it cost, in atto-dollars.
    pub fn atto(self, count: u64) -> i128 {
        let atto = u128::from(count) * u128::from(self.0);
        i128::try_from(atto).unwrap_or(i128::MAX)
    }

    /// So many dollars. Exact: a pico-dollar is the last digit.
    pub fn dollars(self) -> Usd {
        Usd::from_pico(self.0.into())
    }

    /// As much of `amount` as this is of 1, rounded up to a pico-dollar.
    pub fn share_of(self, amount: Usd) -> Usd {
        let product = amount.pico().saturating_mul(self.0.into());
        Usd::from_pico_rounded_up(product, ONE.into())
    }

    /// The product, rounded up in the twelfth digit.
    pub fn times(self, factor: Self) -> Self {
        let product = (u128::from(self.0) * u128::from(factor.0)).div_ceil(u128::from(ONE));
        Self(u64::try_from(product).unwrap_or(u64::MAX))
    }
}

impl FromStr for Decimal {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let (whole, rest) = text.split_once('.').unwrap_or((text, "0"));
        let are_digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        let rest = match rest.trim_end_matches('0') {
            "" if are_digits(rest) => "0",
            rest => rest,
        };
        if !are_digits(whole) || !are_digits(rest) || rest.len() > DIGITS {
            return Err(Invalid);
        }
        let whole: u64 = whole.parse().map_err(|_| Invalid)?;
        let rest: u64 = format!("{rest:0<DIGITS$}").parse().map_err(|_| Invalid)?;
        let value = whole
            .checked_mul(ONE)
            .and_then(|whole| whole.checked_add(rest));
        value.map(Self).ok_or(Invalid)
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&plain(self.0.into(), DIGITS))
    }
}

/// `value` with its last `digits` behind the point, without zeros at its end.
pub fn plain(value: u128, digits: usize) -> String {
    let text = format!("{value:0>width$}", width = digits + 1);
    let (whole, rest) = text.split_at(text.len() - digits);
    match rest.trim_end_matches('0') {
        "" => whole.to_owned(),
        rest => format!("{whole}.{rest}"),
    }
}

/// Written as a string, so that no reader makes a float of it.
impl Serialize for Decimal {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A number or a string. A number's shortest decimal is meant: `0.1` is a tenth.
impl<'de> Deserialize<'de> for Decimal {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Written;

        impl de::Visitor<'_> for Written {
            type Value = Decimal;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a decimal")
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Decimal, E> {
                self.visit_str(&number.to_string())
            }

            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Decimal, E> {
                self.visit_str(&number.to_string())
            }

            fn visit_f64<E: de::Error>(self, number: f64) -> Result<Decimal, E> {
                self.visit_str(&number.to_string())
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Decimal, E> {
                text.parse().map_err(E::custom)
            }
        }
        deserializer.deserialize_any(Written)
    }
}

impl JsonSchema for Decimal {
    fn schema_name() -> Cow<'static, str> {
        "Decimal".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "number",
            "minimum": 0,
            "maximum": 18_446_744,
            "description": "A plain decimal with at most 12 digits behind the point.",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_read_and_written_exactly() {
        for text in ["0", "0.075", "3", "0.000000000001", "18446744.000000000001"] {
            let decimal: Decimal = text.parse().unwrap();
            assert_eq!(decimal.to_string(), text);
        }
        let read = |json: &str| serde_json::from_str::<Decimal>(json).map(|d| d.to_string());
        assert_eq!(read("0.30").unwrap(), "0.3");
        assert_eq!(read("1e-7").unwrap(), "0.0000001");
        assert_eq!(read("\"2.50\"").unwrap(), "2.5");
    }

    #[test]
    fn what_is_no_such_decimal_is_refused() {
        for text in [
            "",
            ".",
            "1.",
            ".5",
            "-1",
            "1e3",
            "0.0000000000001",
            "18446745",
            "NaN",
            "1_0",
        ] {
            assert_eq!(text.parse::<Decimal>(), Err(Invalid), "{text}");
        }
        assert!(serde_json::from_str::<Decimal>("-0.5").is_err());
    }

    #[test]
    fn it_is_an_amount_and_a_share_of_one() {
        let decimal = |text: &str| text.parse::<Decimal>().unwrap();
        let amount = decimal("12.345678901234").dollars();
        assert_eq!(amount.to_string(), "12.345678901234");
        assert_eq!(Decimal::ONE.share_of(amount), amount);
        assert_eq!(
            decimal("0.95").share_of(decimal("300").dollars()),
            decimal("285").dollars()
        );
        let least = decimal("0.000000000001");
        assert_eq!(decimal("0.5").share_of(least.dollars()), least.dollars());
    }

    #[test]
    fn a_product_rounds_up() {
        let decimal = |text: &str| text.parse::<Decimal>().unwrap();
        assert_eq!(decimal("0.25").times(decimal("1.8")), decimal("0.45"));
        let least = decimal("0.000000000001");
        assert_eq!(least.times(decimal("0.1")), least);
    }
}
