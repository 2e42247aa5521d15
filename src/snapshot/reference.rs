//! `docs/configuration.md`, written from the doc comments of the sections.

use std::fmt::Write;

use serde_json::Value;

use super::section::File;

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/configuration.md");

const HEAD: &str = "# Configuration

One YAML file. `tollgate check FILE` reports every mistake in it, `tollgate schema` prints its JSON Schema for editors.

Durations are written `200ms`, `30s`, `10m`, `24h`, `30d`; sizes `512B`, `64KiB`, `32MiB`, `1GiB`; dates `2027-01-31`. In values
`${NAME}` stands for an environment variable, `${NAME:-default}` for one with a default (also when it is empty),
`${file:/run/secrets/x}` for a file without its last newline, `$$` for a dollar sign.

A changed file is put in force by itself, by SIGHUP or by `POST /admin/v1/reload`; a bad one changes nothing. `listen`,
`admin.listen`, `state`, `ledger` and `server.max_connections` need a restart.

This page is written from the program's own descriptions. What it calls not built yet is refused by this version.
";

/// Fails if the page is not what the sections say. `UPDATE=1` writes it.
#[test]
fn the_reference_is_true() {
    let schema = crate::config::schema::<File>();
    let mut page = HEAD.to_owned();
    section(&schema, &schema, "", &mut Vec::new(), &mut page);
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(FILE, &page).unwrap();
    }
    let written = std::fs::read_to_string(FILE).unwrap_or_default();
    assert!(
        written == page,
        "docs/configuration.md is stale: run UPDATE=1 cargo test reference"
    );
}

/// A table of the fields of an object, then the objects within it. One that stands in several places is described at the
/// first of them.
fn section<'a>(
    root: &'a Value,
    object: &'a Value,
    path: &str,
    described: &mut Vec<(&'a Value, String)>,
    page: &mut String,
) {
    let fields = object["properties"].as_object().into_iter().flatten();
    let required = object["required"].as_array().cloned().unwrap_or_default();
    let title = if path.is_empty() { "The file" } else { path };
    writeln!(page, "\n## {title}\n").unwrap();
    let is_same = |(earlier, _): &&(&Value, String)| std::ptr::eq(*earlier, object);
    if let Some((_, first)) = described.iter().find(is_same) {
        writeln!(page, "As `{first}`.").unwrap();
        return;
    }
    described.push((object, path.to_owned()));
    if let (false, Some(text)) = (path.is_empty(), object["description"].as_str()) {
        writeln!(page, "{}\n", one_line(text)).unwrap();
    }
    page.push_str("| field | type | |\n|---|---|---|\n");
    for (name, field) in fields.clone() {
        let shape = resolve(root, field);
        let text = one_line(field["description"].as_str().unwrap_or_default());
        let need = if required.contains(&Value::from(name.as_str())) {
            " Required."
        } else {
            ""
        };
        let default = match &field["default"] {
            Value::Null => String::new(),
            Value::Object(_) | Value::Array(_) => String::new(),
            value => format!(" Default: `{}`.", value.to_string().trim_matches('"')),
        };
        writeln!(
            page,
            "| `{name}` | {} | {text}{need}{default} |",
            kind(root, shape)
        )
        .unwrap();
    }
    for (name, field) in fields {
        let below = [path, if path.is_empty() { "" } else { "." }, name].concat();
        for (suffix, inner) in objects(root, resolve(root, field)) {
            section(root, inner, &format!("{below}{suffix}"), described, page);
        }
    }
}

/// What a reference leads to, and what is left of a union with null.
fn resolve<'a>(root: &'a Value, mut schema: &'a Value) -> &'a Value {
    loop {
        if let Some(name) = schema["$ref"].as_str() {
            schema = &root["$defs"][name.trim_start_matches("#/$defs/")];
            continue;
        }
        let union = schema["anyOf"].as_array();
        let others = union.map(|union| {
            let real = |one: &&Value| one["type"] != "null";
            union.iter().filter(real).collect::<Vec<_>>()
        });
        match others.as_deref() {
            Some([only]) => schema = only,
            _ => return schema,
        }
    }
}

fn kind(root: &Value, schema: &Value) -> String {
    if schema["not"].is_object() {
        return "not built yet".to_owned();
    }
    if let Some(union) = schema["anyOf"].as_array().or(schema["oneOf"].as_array()) {
        let mut kinds: Vec<_> = union
            .iter()
            .map(|one| kind(root, resolve(root, one)))
            .collect();
        kinds.dedup();
        // Every scalar may also be a string that holds `${…}`.
        let is_string = |kind: &String| kind == "string";
        if !kinds.iter().all(is_string) && !kinds.iter().any(|kind| kind == "mapping") {
            kinds.retain(|kind| !is_string(kind));
        }
        return kinds.join(", ");
    }
    if let Some(word) = schema["const"].as_str() {
        return format!("`{word}`");
    }
    if let Some(words) = schema["enum"].as_array() {
        let words = words.iter().filter_map(Value::as_str);
        return words
            .map(|word| format!("`{word}`"))
            .collect::<Vec<_>>()
            .join(", ");
    }
    if let Some(format) = schema["format"].as_str() {
        return match format.trim_start_matches("tollgate-") {
            "uint" | "uint16" | "uint32" | "uint64" => "whole number".to_owned(),
            "double" => "number".to_owned(),
            format => format.to_owned(),
        };
    }
    let types = schema["type"].as_array();
    let real = types.and_then(|types| types.iter().find(|one| *one != "null"));
    match real.unwrap_or(&schema["type"]).as_str() {
        Some("object") => "mapping".to_owned(),
        Some("array") => format!("list of {}", kind(root, resolve(root, &schema["items"]))),
        Some(kind) => kind.to_owned(),
        None => "string".to_owned(),
    }
}

/// The objects with fields of their own below a field, each with what follows the field in their path.
fn objects<'a>(root: &'a Value, schema: &'a Value) -> Vec<(&'static str, &'a Value)> {
    if schema["properties"].is_object() {
        return vec![("", schema)];
    }
    let within = |inner: &'a Value, suffix| {
        let found = objects(root, resolve(root, inner)).into_iter();
        found
            .map(|(_, object)| (suffix, object))
            .collect::<Vec<_>>()
    };
    if schema["additionalProperties"].is_object() {
        return within(&schema["additionalProperties"], ".NAME");
    }
    if schema["items"].is_object() {
        return within(&schema["items"], "[]");
    }
    let union = schema["anyOf"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    let mut found: Vec<(&'static str, &'a Value)> = Vec::new();
    for (suffix, object) in union
        .iter()
        .flat_map(|one| objects(root, resolve(root, one)))
    {
        // One or several of the same.
        if !found.iter().any(|(_, other)| std::ptr::eq(*other, object)) {
            found.push((suffix, object));
        }
    }
    found
}

fn one_line(text: &str) -> String {
    text.replace('\n', " ").replace('|', "\\|")
}
