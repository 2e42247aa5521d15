//! Requests.

mod messages;
mod read;
mod turns;
mod write;

pub use read::read_request;
pub use write::write_request;

use serde::Deserialize;

use crate::dialect::{Error, Kind};

/// Reads JSON of a caller's, which stands at `path`; the path of the whole body is empty.
fn parse<'de, T: Deserialize<'de>>(json: &'de str, path: &str) -> Result<T, Error> {
    serde_json::from_str(json).map_err(|error| located::<T>(json, path, &error))
}

/// What a caller is told of JSON that is not as it must be: the field, found by reading once more, and what belongs
/// there; nothing of what stood there.
fn located<'de, T: Deserialize<'de>>(
    json: &'de str,
    path: &str,
    error: &serde_json::Error,
) -> Error {
    if error.classify() != serde_json::error::Category::Data {
        let (line, column) = (error.line(), error.column());
        let message = format!("the body is not valid JSON at line {line}, column {column}");
        return Error::new(Kind::InvalidRequest, message);
    }
    let deserializer = &mut serde_json::Deserializer::from_str(json);
    let inner = match serde_path_to_error::deserialize::<_, T>(deserializer) {
        Ok(_) => String::new(),
        Err(error) => error.path().to_string(),
    };
    let path = match inner.as_str() {
        "" | "." => path.to_owned(),
        inner => joined(path, inner),
    };
    let text = error.to_string();
    let missing = text
        .strip_prefix("missing field `")
        .and_then(|rest| rest.split('`').next());
    if let Some(name) = missing {
        return is_missing(&joined(&path, name));
    }
    // The library's text quotes what it found, and then says what it expected.
    let expected = text
        .rsplit_once(", expected ")
        .and_then(|(_, rest)| rest.split(" at line ").next());
    let expected = expected.unwrap_or("of another type");
    Error::invalid(&path, format!("`{path}` must be {expected}"))
}

/// The path of what stands at `inner` within `path`.
fn joined(path: &str, inner: &str) -> String {
    match path.is_empty() || inner.starts_with('[') {
        true => [path, inner].concat(),
        false => [path, ".", inner].concat(),
    }
}

fn is_missing(path: &str) -> Error {
    Error::invalid(path, format!("the field `{path}` is missing"))
}
