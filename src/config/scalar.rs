//! Reads scalars as what the schema says they are.

use serde_json::{Map, Number, Value};

use super::names::nearest;
use super::schema::{ScalarKind, words};
use super::tree::Scalar;
use super::units;

/// Reads a scalar as a value of this kind. The error is a hint on how to write it, where there is one; the hint does not quote
/// the scalar.
pub(super) fn read(
    kind: ScalarKind,
    keywords: &Map<String, Value>,
    scalar: &Scalar,
) -> Result<Value, Option<String>> {
    let text = &*scalar.text;
    // What comes out of `${…}` is read as the field's type, quoted or not.
    let untyped = scalar.plain || scalar.origin.is_some();
    match kind {
        ScalarKind::Boolean if untyped => boolean(text)
            .map(Value::Bool)
            .ok_or_else(|| boolean_hint(text)),
        ScalarKind::Integer if untyped => integer(text)
            .filter(|number| bounds(keywords).contain(*number as f64))
            .and_then(to_number)
            .map(Value::Number)
            .ok_or(None),
        ScalarKind::Number if untyped => number(text)
            .filter(|number| bounds(keywords).contain(number.as_f64().unwrap_or(f64::NAN)))
            .map(Value::Number)
            .ok_or(None),
        ScalarKind::Boolean | ScalarKind::Integer | ScalarKind::Number => {
            let unquoted = Scalar {
                text: scalar.text.clone(),
                plain: true,
                origin: None,
            };
            Err(read(kind, keywords, &unquoted)
                .is_ok()
                .then(|| "remove the quotes".to_owned()))
        }
        ScalarKind::Word if words(keywords).any(|word| word == text) => Ok(text.into()),
        ScalarKind::Word => {
            let meant = nearest(text, words(keywords)).filter(|_| scalar.origin.is_none());
            Err(meant.map(|word| format!("did you mean `{word}`?")))
        }
        ScalarKind::Formatted | ScalarKind::Text => {
            if let Some(format) = format(keywords) {
                (format.check)(text).map_err(|invalid| Some(invalid.to_string()))?;
            }
            let length = text.chars().count();
            let fits = length >= limit(keywords, "minLength").unwrap_or(0)
                && length <= limit(keywords, "maxLength").unwrap_or(usize::MAX);
            if fits { Ok(text.into()) } else { Err(None) }
        }
    }
}

/// Reads a scalar whose type nothing says, as YAML does.
pub(super) fn read_untyped(scalar: &Scalar) -> Value {
    let text = &*scalar.text;
    if scalar.is_null() {
        return Value::Null;
    }
    if !scalar.plain {
        return text.into();
    }
    let boolean = boolean(text).map(Value::Bool);
    boolean
        .or_else(|| number(text).map(Value::Number))
        .unwrap_or_else(|| text.into())
}

/// What a scalar of this kind is called: "a whole number from 0 to 65535".
pub(super) fn phrase(kind: ScalarKind, keywords: &Map<String, Value>) -> String {
    match kind {
        ScalarKind::Boolean => "`true` or `false`".to_owned(),
        ScalarKind::Integer => format!("a whole number{}", bounds(keywords)),
        ScalarKind::Number => format!("a number{}", bounds(keywords)),
        ScalarKind::Word => words(keywords)
            .map(|word| format!("`{word}`"))
            .collect::<Vec<_>>()
            .join(", "),
        ScalarKind::Formatted | ScalarKind::Text => match (
            format(keywords),
            limit(keywords, "minLength"),
            limit(keywords, "maxLength"),
        ) {
            (Some(format), ..) => format.phrase.to_owned(),
            (None, None | Some(0), None) => "a string".to_owned(),
            (None, Some(1), None) => "a string that is not empty".to_owned(),
            (None, Some(min), None) => format!("a string of at least {min} characters"),
            (None, min, Some(max)) => {
                format!("a string of {} to {max} characters", min.unwrap_or(0))
            }
        },
    }
}

/// The range that a number must be in.
struct Bounds {
    min: Option<f64>,
    max: Option<f64>,
    above: Option<f64>,
    below: Option<f64>,
}

impl Bounds {
    fn contain(&self, number: f64) -> bool {
        self.min.is_none_or(|min| number >= min)
            && self.max.is_none_or(|max| number <= max)
            && self.above.is_none_or(|above| number > above)
            && self.below.is_none_or(|below| number < below)
    }
}

impl std::fmt::Display for Bounds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let (Some(min), Some(max)) = (self.min, self.max) {
            return write!(f, " from {min} to {max}");
        }
        let bounds = [
            ("of at least", self.min),
            ("above", self.above),
            ("of at most", self.max),
            ("below", self.below),
        ];
        let stated = bounds
            .iter()
            .filter_map(|(word, bound)| Some((word, (*bound)?)));
        for (index, (word, bound)) in stated.enumerate() {
            let and = if index > 0 { " and" } else { "" };
            write!(f, "{and} {word} {bound}")?;
        }
        Ok(())
    }
}

/// The bounds that the schema states, and those of Rust's 32-bit types, which it only names.
fn bounds(keywords: &Map<String, Value>) -> Bounds {
    let bound = |keyword| keywords.get(keyword).and_then(Value::as_f64);
    let (min, max) = match keywords.get("format").and_then(Value::as_str) {
        Some("int32") => (Some(f64::from(i32::MIN)), Some(f64::from(i32::MAX))),
        Some("uint32") => (Some(0.0), Some(f64::from(u32::MAX))),
        Some("uint64" | "uint" | "uint128") => (Some(0.0), None),
        _ => (None, None),
    };
    Bounds {
        min: bound("minimum").or(min),
        max: bound("maximum").or(max),
        above: bound("exclusiveMinimum"),
        below: bound("exclusiveMaximum"),
    }
}

fn format(keywords: &Map<String, Value>) -> Option<units::Format> {
    keywords
        .get("format")
        .and_then(Value::as_str)
        .and_then(units::format)
}

fn limit(keywords: &Map<String, Value>, keyword: &str) -> Option<usize> {
    keywords
        .get(keyword)
        .and_then(Value::as_u64)
        .and_then(|limit| limit.try_into().ok())
}

fn boolean(text: &str) -> Option<bool> {
    match text {
        "true" | "True" | "TRUE" => Some(true),
        "false" | "False" | "FALSE" => Some(false),
        _ => None,
    }
}

/// YAML 1.1 had more words for these, and many remember them.
fn boolean_hint(text: &str) -> Option<String> {
    match &*text.to_ascii_lowercase() {
        "yes" | "on" | "y" => Some("write `true`".to_owned()),
        "no" | "off" | "n" => Some("write `false`".to_owned()),
        _ => None,
    }
}

fn integer(text: &str) -> Option<i128> {
    if let Some(digits) = text.strip_prefix("0x") {
        return u64::from_str_radix(digits, 16).ok().map(i128::from);
    }
    if let Some(digits) = text.strip_prefix("0o") {
        return u64::from_str_radix(digits, 8).ok().map(i128::from);
    }
    text.parse().ok()
}

fn number(text: &str) -> Option<Number> {
    if let Some(number) = integer(text).and_then(to_number) {
        return Some(number);
    }
    // Rust also reads `inf` and `nan`.
    let numeric = |c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '.' | 'e' | 'E');
    if !text.chars().all(numeric) {
        return None;
    }
    text.parse().ok().and_then(Number::from_f64)
}

fn to_number(integer: i128) -> Option<Number> {
    let unsigned = u64::try_from(integer).ok().map(Number::from);
    unsigned.or_else(|| i64::try_from(integer).ok().map(Number::from))
}
