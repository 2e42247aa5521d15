//! Answers that satisfy a schema.

use serde_json::{Value, json};

use super::*;

#[test]
fn an_answer_satisfies_the_schema_that_was_given() {
    for schema in schemas() {
        for prompt in [
            "Plan a trip to Rome for 3 people on 12 May",
            "x",
            "",
            "metric -5 0.25 1000000",
        ] {
            let format = json!({"response_format": {"type": "json_schema", "json_schema": {"name": "answer", "strict": true, "schema": schema}}, "n": 8});
            let (_, body) = whole(Endpoint::Chat, "m", &with(chat(prompt), &format));
            for choice in body["choices"].as_array().unwrap() {
                let said: Value =
                    serde_json::from_str(choice["message"]["content"].as_str().unwrap()).unwrap();
                assert_valid(&schema, &said);
            }
        }
    }
}

#[test]
fn a_schema_that_never_ends_or_asks_for_too_much_is_bounded() {
    let endless =
        json!({"type": "object", "properties": {"next": {"$ref": "#"}}, "required": ["next"]});
    let wide = json!({"type": "array", "minItems": 1e18, "items": {"type": "array", "minItems": 1e9, "items": {"type": "string", "minLength": 1e12}}});
    let constant =
        json!({"type": "array", "minItems": 1_000_000, "items": {"const": "x".repeat(100_000)}});
    let circle = json!({"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"anyOf": [{"$ref": "#/$defs/a"}]}}, "$ref": "#/$defs/a"});
    let doubling = json!({"$defs": {"a": {"allOf": [{"$ref": "#/$defs/a"}, {"$ref": "#/$defs/a"}]}}, "$ref": "#/$defs/a"});
    let patterns = json!({"type": "string", "pattern": "((((a{9999}){9999}){9999}){9999}){9999}"});
    let empty_patterns = json!({"type": "string", "pattern": "((((){9999}){9999}){9999}){9999}"});
    for schema in [
        endless,
        wide,
        constant,
        circle,
        doubling,
        patterns,
        empty_patterns,
    ] {
        let format = json!({"response_format": {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema}}});
        let (script, body) = whole(Endpoint::Chat, "m", &with(hello(), &format));
        assert_eq!(script.status, 200);
        assert!(body.to_string().len() < 4 << 20);
    }
    let long = json!({"response_format": {"type": "json_schema", "json_schema": {"name": "answer", "schema": {"description": "x".repeat(300_000)}}}});
    assert_eq!(
        whole(Endpoint::Chat, "m", &with(hello(), &long)).0.status,
        400
    );
}

fn schemas() -> Vec<Value> {
    vec![
        weather_tool()["function"]["parameters"].clone(),
        json!({"type": "object", "properties": {
            "id": {"type": "string", "format": "uuid"}, "when": {"type": "string", "format": "date-time"}, "day": {"type": "string", "format": "date"},
            "mail": {"type": "string", "format": "email"}, "site": {"type": "string", "format": "uri"}, "ip": {"type": "string", "format": "ipv4"},
            "six": {"type": "string", "format": "ipv6"}, "at": {"type": "string", "format": "time"}, "host": {"type": "string", "format": "hostname"},
            "long": {"type": "string", "minLength": 40, "maxLength": 42}, "short": {"type": "string", "maxLength": 2},
            "code": {"type": "string", "pattern": "^[A-Z]{2}-\\d{3,5}(x|yz)?$"}, "hex": {"type": "string", "pattern": "^#?([a-f0-9]{6}|[a-f0-9]{3})$"},
            "version": {"type": "string", "pattern": r"^v?\d+\.\d+\.\d+$"}, "other": {"type": "string", "pattern": "^[^a-f]+$"},
            "age": {"type": "integer", "minimum": 18, "maximum": 21}, "over": {"type": "integer", "exclusiveMinimum": 5, "exclusiveMaximum": 7},
            "tenth": {"type": "number", "multipleOf": 0.1, "minimum": 0.2, "maximum": 0.9}, "seven": {"type": "integer", "multipleOf": 7, "minimum": 1},
            "narrow": {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 0.001}, "negative": {"type": "number", "maximum": -3},
            "maybe": {"type": ["string", "null"]}, "none": {"type": "null"}, "fixed": {"const": {"a": [1]}}, "pick": {"enum": ["metric", 3, null]},
            "yes": {"type": "boolean"}
        }, "required": ["id", "when", "day", "code", "age", "tenth"], "additionalProperties": false}),
        json!({"type": "array", "items": {"type": "integer"}, "minItems": 4, "maxItems": 5, "uniqueItems": true}),
        json!({"type": "array", "prefixItems": [{"type": "string"}, {"type": "number"}], "minItems": 2}),
        json!({"$ref": "#/$defs/node", "$defs": {"node": {"type": "object", "properties": {"value": {"type": "integer"},
            "children": {"type": "array", "items": {"$ref": "#/$defs/node"}}, "next": {"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]}},
            "required": ["value", "children", "next"], "additionalProperties": false}}}),
        json!({"type": "object", "properties": {"shape": {"oneOf": [
            {"type": "object", "properties": {"kind": {"const": "circle"}, "radius": {"type": "number", "minimum": 0}}, "required": ["kind", "radius"], "additionalProperties": false},
            {"type": "object", "properties": {"kind": {"const": "square"}, "side": {"type": "number", "minimum": 0}}, "required": ["kind", "side"], "additionalProperties": false}]}},
            "required": ["shape"]}),
        json!({"allOf": [{"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}, {"properties": {"b": {"type": "integer"}}, "required": ["b"]}]}),
        json!({"type": "object", "properties": {"unit": {"$ref": "#/$defs/unit", "description": "which"}}, "required": ["unit"], "$defs": {"unit": {"type": "string", "enum": ["metric", "imperial"]}}}),
        json!({"type": "object", "additionalProperties": {"type": "integer"}, "minProperties": 3}),
        json!({"type": "object", "required": ["undeclared"]}),
        json!({"anyOf": [{"type": "integer"}, {"type": "string"}], "title": "either"}),
        json!({"type": "string", "enum": ["only"]}),
        json!({"type": "array", "items": {"type": "string"}, "minItems": 9, "uniqueItems": true}),
        json!({"type": "array", "items": {"enum": ["a", "b", "c"]}, "minItems": 3, "uniqueItems": true}),
        json!({}),
    ]
}
