//! Requests.

mod blocks;
mod body;
mod messages;
mod parts;
mod read;
mod turns;
mod write;

pub use read::read_request;
pub use write::write_request;

pub(in crate::dialect) use read::{StopTexts, StreamOptions};

use serde::Deserialize;

use crate::dialect::{Error, Kind};

/// Reads JSON of a caller's. `path` leads to it, with its final dot, and is empty for the whole body.
pub(in crate::dialect) fn parse<'de, T: Deserialize<'de>>(
    json: &'de str,
    path: &str,
) -> Result<T, Error> {
    serde_json::from_str(json).map_err(|error| located::<T>(json, path, &error))
}

/// What a caller is told of JSON that is not as it must be: the field, found by reading once more, and what belongs
/// there; nothing of what stood there.
pub(in crate::dialect) fn located<'de, T: Deserialize<'de>>(
    json: &'de str,
    path: &str,
    error: &serde_json::Error,
) -> Error {
    if error.classify() != serde_json::error::Category::Data {
        let message = format!(
            "the body is not valid JSON at line {}, column {}",
            error.line(),
            error.column()
        );
        return Error::new(Kind::InvalidRequest, message);
    }
    let deserializer = &mut serde_json::Deserializer::from_str(json);
    let inner = match serde_path_to_error::deserialize::<_, T>(deserializer) {
        Ok(_) => String::new(),
        Err(error) => error.path().to_string(),
    };
    let path = match inner.as_str() {
        "" | "." => path.trim_end_matches('.').to_owned(),
        inner => [path, inner].concat(),
    };
    let text = error.to_string();
    let quoted = |lead: &str| {
        let rest = text.strip_prefix(lead)?;
        rest.split('`').next()
    };
    if let Some(name) = quoted("missing field `") {
        let field = match path.as_str() {
            "" => name.to_owned(),
            path => [path, ".", name].concat(),
        };
        return Error::invalid(&field, format!("the field `{field}` is missing"));
    }
    if let Some(name) = quoted("duplicate field `") {
        return Error::invalid(name, format!("the field `{name}` is given more than once"));
    }
    // The library's text quotes what it found, and then says what it expected.
    let expected = text
        .rsplit_once(", expected ")
        .map(|(_, rest)| rest.split(" at line ").next().unwrap_or(rest));
    let message = match expected {
        Some(expected) => format!("`{path}` must be {}", in_json(expected)),
        None => format!("`{path}` is not of the type that it must have"),
    };
    Error::invalid(&path, message)
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
