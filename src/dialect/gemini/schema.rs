//! From Google's `Schema`, a dialect of OpenAPI 3.0's, to JSON Schema.
//!
//! Source: `Schema` of the Gemini API reference. The same schema always becomes the same bytes.

use serde_json::{Map, Value, json};

use crate::dialect::common::Json;

/// The JSON Schema that says what `schema` says. What is no object is left as it is.
pub fn json_schema(schema: &str) -> Option<Json> {
    let value: Value = serde_json::from_str(schema).ok()?;
    Some(Json::of(&converted(value)))
}

fn converted(schema: Value) -> Value {
    let Value::Object(fields) = schema else {
        return schema;
    };
    let mut out = Map::new();
    let mut is_nullable = false;
    let mut order = Vec::new();
    for (name, value) in fields {
        match (name.as_str(), value) {
            (_, Value::Null) => {}
            ("type", Value::String(word)) if word == "TYPE_UNSPECIFIED" => {}
            ("type", Value::String(word)) => {
                out.insert(name, Value::String(word.to_ascii_lowercase()));
            }
            ("nullable", value) => is_nullable = value == Value::Bool(true),
            // Only says that there is an `enum`.
            ("format", Value::String(word)) if word == "enum" => {}
            ("propertyOrdering" | "property_ordering", Value::Array(names)) => order = names,
            ("properties", value) => {
                out.insert(name, each_member(value));
            }
            ("defs", value) => {
                out.insert("$defs".into(), each_member(value));
            }
            ("ref", Value::String(target)) => {
                let target = target.replacen("#/defs/", "#/$defs/", 1);
                out.insert("$ref".into(), Value::String(target));
            }
            ("items", value) => {
                out.insert(name, converted(value));
            }
            ("additionalProperties" | "additional_properties", value) => {
                out.insert("additionalProperties".into(), converted(value));
            }
            ("anyOf" | "any_of", Value::Array(branches)) => {
                let branches = branches.into_iter().map(converted).collect();
                out.insert("anyOf".into(), Value::Array(branches));
            }
            ("example", value) => {
                out.insert("examples".into(), json!([value]));
            }
            (_, value) => {
                let mut bounds = BOUNDS.iter();
                let bound = bounds.find(|(camel, snake)| *camel == name || *snake == name);
                let (name, value) = match bound {
                    Some((camel, _)) => ((*camel).to_owned(), number(value)),
                    None => (name, value),
                };
                out.insert(name, value);
            }
        }
    }
    put_in_order(&mut out, &order);
    if is_nullable {
        allow_null(&mut out);
    }
    Value::Object(out)
}

/// Google writes 64-bit numbers as strings, too.
const BOUNDS: &[(&str, &str)] = &[
    ("minItems", "min_items"),
    ("maxItems", "max_items"),
    ("minLength", "min_length"),
    ("maxLength", "max_length"),
    ("minProperties", "min_properties"),
    ("maxProperties", "max_properties"),
];

fn number(value: Value) -> Value {
    match value.as_str().and_then(|text| text.parse::<u64>().ok()) {
        Some(number) => number.into(),
        None => value,
    }
}

fn each_member(value: Value) -> Value {
    match value {
        Value::Object(members) => Value::Object(
            members
                .into_iter()
                .map(|(name, schema)| (name, converted(schema)))
                .collect(),
        ),
        other => other,
    }
}

/// The order of properties, which Google tells apart and models of others take from the schema itself.
fn put_in_order(schema: &mut Map<String, Value>, order: &[Value]) {
    let Some(Value::Object(properties)) = schema.get_mut("properties") else {
        return;
    };
    let mut ordered = Map::new();
    for name in order.iter().filter_map(Value::as_str) {
        if let Some((name, property)) = properties.shift_remove_entry(name) {
            ordered.insert(name, property);
        }
    }
    ordered.append(properties);
    *properties = ordered;
}

fn allow_null(schema: &mut Map<String, Value>) {
    if let Some(Value::Array(branches)) = schema.get_mut("anyOf") {
        branches.push(json!({"type": "null"}));
    }
    if let Some(Value::Array(values)) = schema.get_mut("enum") {
        values.push(Value::Null);
    }
    if let Some(kind @ Value::String(_)) = schema.get_mut("type") {
        *kind = json!([kind.take(), "null"]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn googles_schema_becomes_json_schema() {
        for (google, expected) in [
            (
                r#"{"type":"OBJECT","propertyOrdering":["b","a"],"properties":{"a":{"type":"STRING","format":"enum","enum":["x"]},"b":{"type":"INTEGER","nullable":true}},"required":["a"]}"#,
                r#"{"type":"object","properties":{"b":{"type":["integer","null"]},"a":{"type":"string","enum":["x"]}},"required":["a"]}"#,
            ),
            (
                r##"{"type":"ARRAY","minItems":"1","max_items":3,"items":{"any_of":[{"type":"NUMBER"},{"ref":"#/defs/P"}],"nullable":true},"defs":{"P":{"type":"BOOLEAN"}}}"##,
                r##"{"type":"array","minItems":1,"maxItems":3,"items":{"anyOf":[{"type":"number"},{"$ref":"#/$defs/P"},{"type":"null"}]},"$defs":{"P":{"type":"boolean"}}}"##,
            ),
            (
                r#"{"type":"object","properties":{"type":{"type":"string"}},"additionalProperties":false}"#,
                r#"{"type":"object","properties":{"type":{"type":"string"}},"additionalProperties":false}"#,
            ),
        ] {
            let json = json_schema(google).unwrap();
            assert_eq!(json.as_str(), expected);
        }
        assert!(json_schema("{").is_none());
    }
}
