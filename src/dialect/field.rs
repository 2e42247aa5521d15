//! What a caller is told of JSON that is not as it must be.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{self, Deserializer, MapAccess, Visitor};
use serde_json::error::Category;
use serde_json::value::RawValue;

use super::scan::MEMBERS_MAX;
use super::{Error, Kind};

/// Reads JSON of a caller's, which stands at `path`; the path of the whole body is empty.
///
/// # Errors
/// It is not as it must be: names the field, found by reading once more, and what belongs there; nothing of what stood
/// there.
pub fn parse<'de, T: Deserialize<'de>>(json: &'de str, path: &str) -> Result<T, Error> {
    serde_json::from_str(json).map_err(|error| located::<T>(json, path, &error))
}

/// A field that is not there, though it must be.
pub fn missing(path: &str) -> Error {
    Error::invalid(path, format!("the field `{path}` is missing"))
}

/// The path of what stands at `inner` within `path`.
fn joined(path: &str, inner: &str) -> String {
    match (path, inner) {
        (path, "" | ".") => path.to_owned(),
        ("", inner) => inner.to_owned(),
        (path, inner) if inner.starts_with('[') => [path, inner].concat(),
        (path, inner) => [path, ".", inner].concat(),
    }
}

/// The members of an object, in their order: no more than [`MEMBERS_MAX`], and none twice.
pub struct Members<'a>(pub Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;

        impl<'de> Visitor<'de> for Collect {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members: Vec<(Cow<'de, str>, &'de RawValue)> = Vec::new();
                while let Some((Name(name), json)) = map.next_entry()? {
                    if members.len() == MEMBERS_MAX {
                        return Err(de::Error::custom("too many fields"));
                    }
                    if members.iter().any(|(member, _)| *member == name) {
                        return Err(de::Error::custom("a repeated field"));
                    }
                    members.push((name, json));
                }
                Ok(Members(members))
            }
        }

        deserializer.deserialize_map(Collect)
    }
}

/// A member's name, borrowed unless it is escaped.
#[derive(Deserialize)]
#[serde(transparent)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

fn located<'de, T: Deserialize<'de>>(
    json: &'de str,
    path: &str,
    error: &serde_json::Error,
) -> Error {
    if error.classify() != Category::Data {
        let (line, column) = (error.line(), error.column());
        let message = format!("the body is not valid JSON at line {line}, column {column}");
        return Error::new(Kind::InvalidRequest, message);
    }
    let deserializer = &mut serde_json::Deserializer::from_str(json);
    let inner = match serde_path_to_error::deserialize::<_, T>(deserializer) {
        Ok(_) => String::new(),
        Err(error) => error.path().to_string(),
    };
    let path = joined(path, &inner);
    // The library's text quotes what it found, and then says what it expected.
    let text = error.to_string();
    let quoted = |lead: &str| text.strip_prefix(lead)?.split('`').next();
    if let Some(name) = quoted("missing field `") {
        return missing(&joined(&path, name));
    }
    if let Some(name) = quoted("duplicate field `") {
        let field = joined(&path, name);
        return Error::invalid(
            &field,
            format!("the field `{field}` is given more than once"),
        );
    }
    let expected = text
        .rsplit_once(", expected ")
        .and_then(|(_, rest)| rest.split(" at line ").next());
    let expected = expected.map_or("of another type", in_json);
    match path.as_str() {
        "" => Error::new(Kind::InvalidRequest, format!("the body must be {expected}")),
        path => Error::invalid(path, format!("`{path}` must be {expected}")),
    }
}

/// The library's names of types, in JSON's.
fn in_json(expected: &str) -> &str {
    match expected {
        "a sequence" => "an array",
        "a map" => "an object",
        "a boolean" => "true or false",
        "f64" => "a number",
        "i64" => "a whole number",
        "u64" => "a whole number, not negative",
        _ if expected.starts_with("struct ") => "an object",
        _ => expected,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    #[allow(dead_code)]
    struct Body {
        turns: Vec<Turn>,
    }

    #[derive(Debug, Deserialize)]
    #[allow(dead_code)]
    struct Turn {
        role: String,
        weight: Option<f64>,
    }

    #[test]
    fn the_field_at_fault_is_named() {
        for (json, param, message) in [
            ("{}", "turns", "the field `turns` is missing"),
            (r#"{"turns":7}"#, "turns", "`turns` must be an array"),
            (
                r#"{"turns":[{}]}"#,
                "turns[0].role",
                "the field `turns[0].role` is missing",
            ),
            (
                r#"{"turns":[{"role":"a","weight":"secret"}]}"#,
                "turns[0].weight",
                "`turns[0].weight` must be a number",
            ),
            (
                r#"{"turns":[],"turns":[]}"#,
                "turns",
                "the field `turns` is given more than once",
            ),
        ] {
            let error = parse::<Body>(json, "").unwrap_err();
            assert_eq!(error.param.as_deref(), Some(param), "{json}");
            assert_eq!(error.message, message);
        }
        let error = parse::<Turn>(r#"{"role":1}"#, "turns[4]").unwrap_err();
        assert_eq!(error.param.as_deref(), Some("turns[4].role"));
        let error = parse::<Body>("[", "").unwrap_err();
        assert_eq!(error.param, None);
    }
}
