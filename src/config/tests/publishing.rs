//! The schema for editors.

use super::*;

#[test]
fn the_published_schema_takes_references_and_no_unknown_fields() {
    let schema = schema::<Gateway>();
    assert_eq!(
        schema["$schema"],
        "https://json-schema.org/draft/2020-12/schema"
    );
    assert_eq!(schema["additionalProperties"], false);
    assert_eq!(
        schema["properties"]["listen"]["description"],
        "Where callers connect."
    );
    let port = &schema["$defs"]["Server"]["properties"]["port"];
    assert_eq!(port["anyOf"][0]["type"], "integer");
    assert_eq!(port["anyOf"][1]["pattern"], "\\$\\{");
    assert_eq!(port["default"], 8080);
    assert_eq!(
        schema["$defs"]["Duration"]["anyOf"][0]["pattern"],
        "^[0-9]+(ms|s|m|h|d)$"
    );
    assert_eq!(schema["$defs"]["Log"]["anyOf"].as_array().unwrap().len(), 2);
    assert_eq!(schema["properties"]["cache"]["not"], serde_json::json!({}));
}
