//! JSON Schemas as Claude takes them where it must keep to them.
//!
//! Source: "JSON Schema limitations" of Anthropic's page on structured outputs. What a Claude refuses is mended, so that
//! schemas of other providers' callers do: objects are closed, and bounds that it cannot keep to are left out.

use std::borrow::Cow;

use serde_json::{Map, Value};

use crate::dialect::common::Json;

/// Bounds that are refused.
const BOUNDS: [&str; 11] = [
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
    "minLength",
    "maxLength",
    "maxItems",
    "uniqueItems",
    "minProperties",
    "maxProperties",
];

/// `schema` as it is taken, and whether some of what it says was lost. What needs no change keeps its bytes.
pub(in crate::dialect) fn enforceable(schema: Cow<'_, Json>) -> (Cow<'_, Json>, bool) {
    let mut value = schema.value();
    let mut change = Change::default();
    change.mend(&mut value, true);
    match change.is_any {
        true => (Cow::Owned(Json::of(&value)), change.is_loss),
        false => (schema, false),
    }
}

#[derive(Default)]
struct Change {
    is_any: bool,
    is_loss: bool,
}

impl Change {
    /// `closes` is whether an object may be closed: not one of several that hold at once.
    fn mend(&mut self, schema: &mut Value, closes: bool) {
        let Value::Object(schema) = schema else {
            return;
        };
        for name in ["properties", "$defs", "definitions"] {
            if let Some(Value::Object(members)) = schema.get_mut(name) {
                members.values_mut().for_each(|it| self.mend(it, true));
            }
        }
        for (name, closes) in [
            ("items", true),
            ("prefixItems", true),
            ("anyOf", closes),
            ("oneOf", closes),
            ("allOf", false),
        ] {
            match schema.get_mut(name) {
                Some(Value::Array(list)) => list.iter_mut().for_each(|it| self.mend(it, closes)),
                Some(one) => self.mend(one, closes),
                None => {}
            }
        }
        self.unbind(schema);
        let closed = Value::Bool(false);
        if closes && is_object(schema) && schema.get("additionalProperties") != Some(&closed) {
            self.is_any = true;
            // Whoever says that an object is open means it.
            self.is_loss |= schema
                .insert("additionalProperties".to_owned(), closed)
                .is_some();
        }
    }

    fn unbind(&mut self, schema: &mut Map<String, Value>) {
        let is_many = |count: &Value| count.as_u64().is_some_and(|count| count > 1);
        let least = schema.get("minItems").is_some_and(is_many);
        let refused = BOUNDS.into_iter().chain(least.then_some("minItems"));
        for name in refused {
            if schema.shift_remove(name).is_some() {
                self.is_any = true;
                self.is_loss = true;
            }
        }
    }
}

fn is_object(schema: &Map<String, Value>) -> bool {
    match schema.get("type") {
        Some(Value::String(kind)) => kind == "object",
        Some(Value::Array(kinds)) => kinds.iter().any(|kind| kind == "object"),
        _ => schema.contains_key("properties"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schema_is_closed_and_unbound() {
        for (schema, taken, is_loss) in [
            (
                r#"{ "type":"object", "properties":{}, "additionalProperties":false}"#,
                r#"{ "type":"object", "properties":{}, "additionalProperties":false}"#,
                false,
            ),
            (
                r#"{"type":"object","properties":{"minimum":{"type":"integer","minimum":1}}}"#,
                r#"{"type":"object","properties":{"minimum":{"type":"integer"}},"additionalProperties":false}"#,
                true,
            ),
            (
                r#"{"type":"array","minItems":1,"items":{"type":["object","null"],"additionalProperties":true}}"#,
                r#"{"type":"array","minItems":1,"items":{"type":["object","null"],"additionalProperties":false}}"#,
                true,
            ),
            (
                r##"{"$defs":{"a":{"type":"object"}},"allOf":[{"type":"object"}],"anyOf":[{"$ref":"#/$defs/a"}]}"##,
                r##"{"$defs":{"a":{"type":"object","additionalProperties":false}},"allOf":[{"type":"object"}],"anyOf":[{"$ref":"#/$defs/a"}]}"##,
                false,
            ),
            (
                r#"{"allOf":[{"anyOf":[{"type":"object"}],"properties":{"a":{"type":"object"}}}]}"#,
                r#"{"allOf":[{"anyOf":[{"type":"object"}],"properties":{"a":{"type":"object","additionalProperties":false}}}]}"#,
                false,
            ),
            (
                r#"{"prefixItems":[{"minItems":2,"items":{"const":{"minItems":2,"type":"object"}}}]}"#,
                r#"{"prefixItems":[{"items":{"const":{"minItems":2,"type":"object"}}}]}"#,
                true,
            ),
            ("true", "true", false),
        ] {
            let schema = Json::parse(schema).unwrap();
            let (written, lost) = enforceable(Cow::Borrowed(&schema));
            assert_eq!(written.as_str(), taken);
            assert_eq!(lost, is_loss, "{taken}");
        }
    }
}
