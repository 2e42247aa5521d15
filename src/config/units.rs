//! Quantities as they are written in the file: a number with its unit.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use chrono::NaiveDate;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Longer than anything waits, and short enough to be added to any instant.
const DAYS_MAX: u64 = 36_500;

/// A length of time: `200ms`, `5s`, `10m`, `1h`, `30d`; at most 36500 days.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Duration(pub std::time::Duration);

/// Two lengths of time, the smaller first: `200ms..2s`.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct DurationRange {
    /// The smaller.
    pub low: Duration,
    /// The larger, or the same.
    pub high: Duration,
}

/// A number of bytes: `512B`, `64KiB`, `32MiB`, `1GiB`.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Size(pub u64);

/// A share from `0%` to `100%`; the value is the percentage, 20.0 for `20%`.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Percent(pub f64);

/// How many times as much as usual: `4x`, from `1x` to `1000x`; None for `off`, which is any number of times.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Factor(pub Option<f64>);

/// A day in UTC: `2027-01-01`.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Date(pub NaiveDate);

/// Why a text is not such a quantity: a sentence on how it is written.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{0}")]
pub struct Invalid(&'static str);

/// What a string of this schema format is called, and whether a text is one. None for a format of someone else.
pub(super) fn format(name: &str) -> Option<Format> {
    FORMATS.iter().find(|format| format.name == name).copied()
}

/// A kind of quantity, as the schema names it.
#[derive(Clone, Copy)]
pub(super) struct Format {
    name: &'static str,
    pub phrase: &'static str,
    pub check: fn(&str) -> Result<(), Invalid>,
}

const FORMATS: [Format; 6] = [
    Format {
        name: Duration::FORMAT,
        phrase: "a duration",
        check: |text| text.parse::<Duration>().map(drop),
    },
    Format {
        name: DurationRange::FORMAT,
        phrase: "a range of durations",
        check: |text| text.parse::<DurationRange>().map(drop),
    },
    Format {
        name: Size::FORMAT,
        phrase: "a size",
        check: |text| text.parse::<Size>().map(drop),
    },
    Format {
        name: Percent::FORMAT,
        phrase: "a percentage",
        check: |text| text.parse::<Percent>().map(drop),
    },
    Format {
        name: Factor::FORMAT,
        phrase: "a factor",
        check: |text| text.parse::<Factor>().map(drop),
    },
    Format {
        name: Date::FORMAT,
        phrase: "a date",
        check: |text| text.parse::<Date>().map(drop),
    },
];

/// Gives a type that is written as one string its serde forms and its schema.
///
/// The format names are ours where JSON Schema means something else by the plain word (its `duration` is ISO 8601's).
macro_rules! written_as_string {
    ($type:ident, $format:literal, $pattern:literal, $description:literal, $example:literal) => {
        impl $type {
            const FORMAT: &'static str = $format;
        }

        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
            }
        }

        impl JsonSchema for $type {
            fn schema_name() -> Cow<'static, str> {
                stringify!($type).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({
                    "type": "string",
                    "format": $format,
                    "pattern": $pattern,
                    "description": $description,
                    "examples": [$example],
                })
            }
        }
    };
}

written_as_string!(
    Duration,
    "tollgate-duration",
    "^[0-9]+(ms|s|m|h|d)$",
    "A length of time: `200ms`, `5s`, `10m`, `1h`, `30d`.",
    "5s"
);
written_as_string!(
    DurationRange,
    "tollgate-duration-range",
    "^[0-9]+(ms|s|m|h|d)\\.\\.[0-9]+(ms|s|m|h|d)$",
    "Two lengths of time, the smaller first: `200ms..2s`.",
    "200ms..2s"
);
written_as_string!(
    Size,
    "tollgate-size",
    "^[0-9]+(B|KiB|MiB|GiB)$",
    "A number of bytes: `512B`, `64KiB`, `32MiB`, `1GiB`.",
    "32MiB"
);
written_as_string!(
    Percent,
    "tollgate-percent",
    "^[0-9]+(\\.[0-9]+)?%$",
    "A share from `0%` to `100%`.",
    "20%"
);
written_as_string!(
    Factor,
    "tollgate-factor",
    "^(off|[0-9]+(\\.[0-9]+)?x)$",
    "How many times as much as usual: `4x`; or `off`.",
    "4x"
);
written_as_string!(
    Date,
    "date",
    "^[0-9]{4}-[0-9]{2}-[0-9]{2}$",
    "A day in UTC: `2027-01-01`.",
    "2027-01-01"
);

// === impl Duration ===

/// Milliseconds of each unit, the largest first.
const DURATION_UNITS: [(&str, u64); 5] = [
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1000),
    ("ms", 1),
];

impl FromStr for Duration {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let form =
            Invalid("a duration is a whole number and its unit: `200ms`, `5s`, `10m`, `1h`, `30d`");
        let (number, unit) = split_number(text).ok_or(form)?;
        let (_, unit_ms) = DURATION_UNITS
            .iter()
            .find(|(name, _)| *name == unit)
            .ok_or(form)?;
        let millis = parse_number(number).and_then(|number| number.checked_mul(*unit_ms));
        match millis {
            Some(millis) if millis <= DAYS_MAX * 86_400_000 => {
                Ok(Self(std::time::Duration::from_millis(millis)))
            }
            _ => Err(Invalid("a duration is at most `36500d`")),
        }
    }
}

impl fmt::Display for Duration {
    /// In the largest unit that keeps it a whole number; below a millisecond nothing is kept.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = self.0.as_millis();
        let whole = |(_, unit_ms): &&(&str, u64)| millis.is_multiple_of(u128::from(*unit_ms));
        match DURATION_UNITS.iter().find(whole) {
            Some((unit, unit_ms)) if millis > 0 => {
                write!(f, "{}{unit}", millis / u128::from(*unit_ms))
            }
            _ => f.write_str("0s"),
        }
    }
}

// === impl DurationRange ===

impl FromStr for DurationRange {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let form = Invalid("a range is two durations, the smaller first: `200ms..2s`");
        let (low, high) = text.split_once("..").ok_or(form)?;
        let (low, high) = (low.parse()?, high.parse()?);
        if low > high {
            Err(form)
        } else {
            Ok(Self { low, high })
        }
    }
}

impl fmt::Display for DurationRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}..{}", self.low, self.high)
    }
}

// === impl Size ===

const SIZE_UNITS: [(&str, u64); 4] = [
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("B", 1),
];

impl FromStr for Size {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let form =
            Invalid("a size is a whole number and its unit: `512B`, `64KiB`, `32MiB`, `1GiB`");
        let (number, unit) = split_number(text).ok_or(form)?;
        let (_, unit_bytes) = SIZE_UNITS
            .iter()
            .find(|(name, _)| *name == unit)
            .ok_or(form)?;
        let bytes = parse_number(number).and_then(|number| number.checked_mul(*unit_bytes));
        bytes
            .map(Self)
            .ok_or(Invalid("a size is less than 2^64 bytes"))
    }
}

impl fmt::Display for Size {
    /// In the largest unit that keeps it a whole number.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = |(_, unit_bytes): &&(&str, u64)| self.0.is_multiple_of(*unit_bytes);
        match SIZE_UNITS.iter().find(whole) {
            Some((unit, unit_bytes)) if self.0 > 0 => write!(f, "{}{unit}", self.0 / unit_bytes),
            _ => f.write_str("0B"),
        }
    }
}

// === impl Percent ===

impl Percent {
    /// As a share of one: 0.2 for `20%`.
    pub fn fraction(self) -> f64 {
        self.0 / 100.0
    }
}

impl FromStr for Percent {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let percentage = text.strip_suffix('%').and_then(parse_decimal);
        match percentage.filter(|percentage| *percentage <= 100.0) {
            Some(percentage) => Ok(Self(percentage)),
            None => Err(Invalid(
                "a percentage is a number from 0 to 100 and `%`: `20%`, `0.5%`",
            )),
        }
    }
}

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}%", self.0)
    }
}

// === impl Factor ===

impl FromStr for Factor {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        if text == "off" {
            return Ok(Self(None));
        }
        let factor = text.strip_suffix('x').and_then(parse_decimal);
        match factor.filter(|factor| (1.0..=1000.0).contains(factor)) {
            Some(factor) => Ok(Self(Some(factor))),
            None => Err(Invalid(
                "a factor is a number from 1 to 1000 and `x`, or `off`: `4x`, `2.5x`",
            )),
        }
    }
}

impl fmt::Display for Factor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(factor) => write!(f, "{factor}x"),
            None => f.write_str("off"),
        }
    }
}

// === impl Date ===

impl FromStr for Date {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let invalid =
            Invalid("a date is a day of the calendar as year, month and day: `2027-01-01`");
        // chrono also takes `2027-1-1` and `+2027-01-01`.
        if text.len() != "2027-01-01".len() || !text.starts_with(|c: char| c.is_ascii_digit()) {
            return Err(invalid);
        }
        NaiveDate::parse_from_str(text, "%Y-%m-%d")
            .map(Self)
            .map_err(|_| invalid)
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The digits that a text starts with, and the rest.
fn split_number(text: &str) -> Option<(&str, &str)> {
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    (end > 0).then(|| text.split_at(end))
}

fn parse_number(digits: &str) -> Option<u64> {
    digits.parse().ok()
}

/// Digits, and perhaps a point with digits behind it: less than what Rust reads as a number.
fn parse_decimal(number: &str) -> Option<f64> {
    let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    let is_decimal = is_digits(whole) && is_digits(fraction);
    is_decimal.then(|| number.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads a text and writes it again.
    fn again<T: FromStr<Err = Invalid> + ToString>(text: &str) -> Result<String, Invalid> {
        text.parse::<T>().map(|value| value.to_string())
    }

    #[test]
    fn quantities_are_written_as_they_are_read() {
        for text in ["0s", "200ms", "5s", "10m", "23h", "30d", "36500d"] {
            assert_eq!(again::<Duration>(text).as_deref(), Ok(text));
        }
        assert_eq!(again::<Duration>("60s").as_deref(), Ok("1m"));
        assert_eq!(
            again::<DurationRange>("200ms..2s").as_deref(),
            Ok("200ms..2s")
        );
        for text in ["0B", "512B", "64KiB", "32MiB", "3GiB"] {
            assert_eq!(again::<Size>(text).as_deref(), Ok(text));
        }
        for text in ["0%", "0.5%", "20%", "100%"] {
            assert_eq!(again::<Percent>(text).as_deref(), Ok(text));
        }
        for text in ["off", "1x", "2.5x", "1000x"] {
            assert_eq!(again::<Factor>(text).as_deref(), Ok(text));
        }
        assert_eq!(again::<Date>("2028-02-29").as_deref(), Ok("2028-02-29"));
    }

    #[test]
    fn what_is_no_quantity_is_refused() {
        for text in [
            "",
            "5",
            "s",
            "5 s",
            "-5s",
            "1.5s",
            "5S",
            "5sec",
            "36501d",
            "99999999999999999999d",
            "1h30m",
            "٥s",
        ] {
            assert!(text.parse::<Duration>().is_err(), "{text}");
        }
        for text in ["2s", "2s..", "2s..1s", "1s..2s..3s", "1s-2s"] {
            assert!(text.parse::<DurationRange>().is_err(), "{text}");
        }
        for text in ["32", "32MB", "32 MiB", "1.5GiB", "17179869184GiB", "MiB"] {
            assert!(text.parse::<Size>().is_err(), "{text}");
        }
        for text in [
            "20", "%", "-1%", "100.1%", "1e1%", ".5%", "5.%", "nan%", "inf%",
        ] {
            assert!(text.parse::<Percent>().is_err(), "{text}");
        }
        for text in ["", "x", "4", "0.5x", "1001x", "-2x", "4X", "infx", "on"] {
            assert!(text.parse::<Factor>().is_err(), "{text}");
        }
        for text in [
            "2027-02-29",
            "2027-1-01",
            "+027-01-01",
            "2027-01-01T00:00:00Z",
            "27-01-01",
            "2027/01/01",
        ] {
            assert!(text.parse::<Date>().is_err(), "{text}");
        }
    }

    #[test]
    fn quantities_are_strings_to_serde() {
        let size: Size = serde_json::from_str("\"1KiB\"").unwrap();
        assert_eq!(size, Size(1024));
        assert_eq!(serde_json::to_string(&size).unwrap(), "\"1KiB\"");
        assert!(serde_json::from_str::<Size>("1024").is_err());
    }
}
