//! A piece of JSON that is carried, not looked into.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

/// Any JSON value with the bytes that it came in: numbers keep their digits and objects their order, so a tool's schema
/// is the same upstream, byte for byte, in every turn.
#[derive(Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Json(Box<RawValue>);

impl Json {
    /// What `value` is in JSON.
    pub fn of(value: &impl Serialize) -> Self {
        // Values of ours have string keys and no failing serialisers.
        Self(serde_json::value::to_raw_value(value).expect("a value that is JSON"))
    }

    /// Takes JSON text as it is, less the space around it.
    ///
    /// # Errors
    /// The text is no JSON.
    pub fn parse(text: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(text).map(Self)
    }

    /// `{}`
    pub fn empty_object() -> Self {
        Self::of(&serde_json::Map::new())
    }

    /// The bytes as text.
    pub fn as_str(&self) -> &str {
        self.0.get()
    }

    /// The parsed value.
    pub fn value(&self) -> Value {
        // Its text has been through a JSON parser.
        serde_json::from_str(self.0.get()).unwrap_or(Value::Null)
    }

    /// Whether it is an object.
    pub fn is_object(&self) -> bool {
        self.as_str().starts_with('{')
    }
}

/// Equal as JSON: space and the order of members do not matter.
impl PartialEq for Json {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str() || self.value() == other.value()
    }
}

impl fmt::Debug for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_kept_and_compared_as_json() {
        let json = Json::parse(r#" {"b": 1.0e+2, "a":12345678901234567890123} "#).unwrap();
        assert_eq!(
            json.as_str(),
            r#"{"b": 1.0e+2, "a":12345678901234567890123}"#
        );
        let written = serde_json::to_string(&json).unwrap();
        assert_eq!(written, json.as_str());
        assert_eq!(
            Json::parse(r#"{"a":1,"b":2}"#).unwrap(),
            Json::parse(r#"{ "b":2, "a":1 }"#).unwrap()
        );
    }
}
