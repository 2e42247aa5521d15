//! A call's arguments that Vertex streams piece by piece, each with the place that it belongs to.
//!
//! Source: `FunctionCall.partialArgs` of the Vertex API; places are JSON paths (RFC 9535) of names and indexes alone.

use serde_json::{Map, Value};

use super::wire::PartialArg;
use crate::dialect::common::Malformed;

/// Arguments so far.
#[derive(Debug)]
pub struct Arguments(Value);

/// The deepest place.
const DEPTH_MAX: usize = 128;

impl Default for Arguments {
    fn default() -> Self {
        Self(Value::Object(Map::new()))
    }
}

impl Arguments {
    /// Adds a piece.
    ///
    /// # Errors
    /// Its place cannot be.
    pub fn add(&mut self, piece: &PartialArg<'_>) -> Result<(), Malformed> {
        let path = piece.json_path.as_deref().unwrap_or_default();
        let value = match (&piece.string_value, &piece.number_value, piece.bool_value) {
            (Some(text), _, _) => Value::String(text.owned()),
            (None, Some(number), _) => serde_json::from_str(number.as_str())?,
            (None, None, Some(is_so)) => Value::Bool(is_so),
            // The null that JSON cannot tell from nothing.
            (None, None, None) if piece.will_continue != Some(true) => Value::Null,
            (None, None, None) => return Ok(()),
        };
        let place = self.place(path)?;
        match (place, value) {
            (Value::String(so_far), Value::String(more)) => so_far.push_str(&more),
            // Such a null may also end a text.
            (Value::String(_), Value::Null) => {}
            (place, value) => *place = value,
        }
        Ok(())
    }

    /// JSON text.
    pub fn json(&self) -> String {
        self.0.to_string()
    }

    fn place(&mut self, path: &str) -> Result<&mut Value, Malformed> {
        let fault = || Malformed("a partial argument in an impossible place".to_owned());
        let mut rest = path.strip_prefix('$').ok_or_else(fault)?;
        let mut place = &mut self.0;
        for _ in 0..DEPTH_MAX {
            if rest.is_empty() {
                return Ok(place);
            }
            let (step, behind) = step(rest).ok_or_else(fault)?;
            rest = behind;
            place = match step {
                Step::Name(name) => {
                    if !place.is_object() {
                        *place = Value::Object(Map::new());
                    }
                    let members = place.as_object_mut().ok_or_else(fault)?;
                    members.entry(name).or_insert(Value::Null)
                }
                Step::Index(index) => {
                    if !place.is_array() {
                        *place = Value::Array(Vec::new());
                    }
                    let list = place.as_array_mut().ok_or_else(fault)?;
                    // Lists grow one by one, so that a piece cannot ask for more memory than it has bytes.
                    if index == list.len() {
                        list.push(Value::Null);
                    }
                    list.get_mut(index).ok_or_else(fault)?
                }
            };
        }
        Err(fault())
    }
}

enum Step {
    Name(String),
    Index(usize),
}

/// The first step of a path, and the rest.
fn step(path: &str) -> Option<(Step, &str)> {
    if let Some(rest) = path.strip_prefix('.') {
        let end = rest.find(['.', '[']).unwrap_or(rest.len());
        let (name, rest) = rest.split_at(end);
        return (!name.is_empty()).then(|| (Step::Name(name.to_owned()), rest));
    }
    let rest = path.strip_prefix('[')?;
    let quote = rest.chars().next()?;
    if quote == '\'' || quote == '"' {
        let mut name = String::new();
        let mut chars = rest[1..].char_indices();
        while let Some((at, char)) = chars.next() {
            match char {
                '\\' => name.push(chars.next()?.1),
                char if char == quote => {
                    let rest = rest[1 + at + 1..].strip_prefix(']')?;
                    return Some((Step::Name(name), rest));
                }
                char => name.push(char),
            }
        }
        return None;
    }
    let (index, rest) = rest.split_once(']')?;
    Some((Step::Index(index.parse().ok()?), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_come_to_their_places() {
        let mut arguments = Arguments::default();
        for piece in [
            r#"{"jsonPath":"$.city","stringValue":"Par","willContinue":true}"#,
            r#"{"jsonPath":"$.city","stringValue":"is"}"#,
            r#"{"jsonPath":"$.list[0].n","numberValue":1.50}"#,
            r#"{"jsonPath":"$.list[1]['a.b']","boolValue":true}"#,
            r#"{"jsonPath":"$.none","nullValue":null}"#,
        ] {
            let piece: PartialArg<'_> = serde_json::from_str(piece).unwrap();
            arguments.add(&piece).unwrap();
        }
        assert_eq!(
            arguments.json(),
            r#"{"city":"Paris","list":[{"n":1.5},{"a.b":true}],"none":null}"#
        );
    }

    #[test]
    fn an_impossible_place_is_refused() {
        let deep = format!(
            r#"{{"jsonPath":"${}","boolValue":true}}"#,
            ".a".repeat(1000)
        );
        for piece in [
            r#"{"jsonPath":"$.a[1000000000]","boolValue":true}"#,
            r#"{"jsonPath":"$['a","boolValue":true}"#,
            r#"{"jsonPath":"a","boolValue":true}"#,
            &deep,
        ] {
            let piece: PartialArg<'_> = serde_json::from_str(piece).unwrap();
            assert!(Arguments::default().add(&piece).is_err());
        }
    }
}
