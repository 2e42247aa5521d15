//! Values that satisfy a JSON schema.
//!
//! Understood are `type`, `enum`, `const`, `properties`, `required`, `additionalProperties`, `minProperties`, `items`,
//! `prefixItems`, `minItems`, `maxItems`, `uniqueItems`, the limits of numbers and strings, `multipleOf`, `pattern`
//! (the usual subset), `format`, `$ref` within the document, `allOf`, `anyOf` and `oneOf` (the first branch that fits
//! is meant to be the only one). `not`, `if` and `dependent…` are not looked at. Recursion ends as early as the schema
//! allows: past a depth or a number of values only what is required is made, and `null` where that is never enough.

use std::borrow::Cow;
use std::collections::HashSet;

use serde_json::{Map, Value};

use super::hints::Hints;
use super::seed::Seed;

/// Past this depth only what is required is made.
const DEPTH_AMPLE: usize = 5;
/// Past this number of values only what is required is made.
const VALUES_AMPLE: usize = 200;
/// Nothing is deeper than this. Less than the depth that JSON parsers refuse.
const DEPTH_MAX: usize = 64;
/// Nothing has more values than this; long texts and copied parts of the schema count as several.
const VALUES_MAX: usize = 4096;
/// How many values of an `enum` are looked for in the prompt.
const MENTIONS_MAX: usize = 64;
/// Longest chain of `$ref`, `allOf` and `anyOf` that is followed for one value.
const CHAIN_MAX: usize = 32;

/// Makes a value that satisfies `schema`, out of the words of the prompt where they fit.
pub(super) fn satisfy(schema: &Value, hints: &Hints<'_>, seed: Seed) -> Value {
    Generator {
        root: schema,
        hints,
        seed,
        values: 0,
        numbers: hints.numbers.clone(),
        repeats: 0,
    }
    .value(schema, "", 0)
}

pub(super) struct Generator<'a> {
    root: &'a Value,
    pub(super) hints: &'a Hints<'a>,
    pub(super) seed: Seed,
    /// How many values were made, and what cost as much as making them.
    values: usize,
    /// The numbers of the prompt that are not used yet.
    pub(super) numbers: Vec<f64>,
    /// How often the item at hand was one that its array had already.
    pub(super) repeats: usize,
}

impl<'a> Generator<'a> {
    fn value(&mut self, schema: &Value, name: &str, depth: usize) -> Value {
        self.values += 1 + name.len() / 64;
        if depth > DEPTH_MAX || self.values > VALUES_MAX {
            return Value::Null;
        }
        let terse = depth > DEPTH_AMPLE || self.values > VALUES_AMPLE;
        let Value::Object(schema) = schema else {
            return Value::String(self.words(name));
        };
        let schema = self.flat(schema, terse);
        if let Some(value) = schema.get("const") {
            self.values += bulk(value) / 64;
            return value.clone();
        }
        if let Some(Value::Array(values)) = schema.get("enum")
            && !values.is_empty()
        {
            let value = self.one_of(values, &schema);
            self.values += values.len() / 16 + bulk(value) / 64;
            return value.clone();
        }
        match self.kind(&schema, terse) {
            "object" => self.object(&schema, depth, terse),
            "array" => self.array(&schema, name, depth, terse),
            "integer" => self.number(&schema, true),
            "number" => self.number(&schema, false),
            "boolean" => Value::Bool(self.seed.below(2) == 0),
            "null" => Value::Null,
            _ => {
                let text = self.string(&schema, name);
                self.values += text.len() / 64;
                Value::String(text)
            }
        }
    }

    /// The schema with its references followed, its parts merged and its branches chosen.
    fn flat<'s>(
        &mut self,
        schema: &'s Map<String, Value>,
        terse: bool,
    ) -> Cow<'s, Map<String, Value>>
    where
        'a: 's,
    {
        let mut flat = Cow::Borrowed(schema);
        for _ in 0..CHAIN_MAX {
            // The usual case is a schema that only refers to another: nothing is copied for that.
            if let Cow::Borrowed(plain) = flat
                && let Some(key) = only_refers(plain)
                && let Some(Value::Object(target)) = match &plain[key] {
                    Value::String(reference) => self.resolve(reference),
                    Value::Array(branches) => self.branch(branches, terse),
                    _ => None,
                }
            {
                flat = Cow::Borrowed(target);
                continue;
            }
            let Some(key) = REFERRING.into_iter().find(|key| flat.contains_key(*key)) else {
                break;
            };
            self.values += flat.values().map(bulk).sum::<usize>() / 64;
            let flat = flat.to_mut();
            match (key, flat.remove(key)) {
                ("$ref", Some(Value::String(reference))) => {
                    if let Some(Value::Object(target)) = self.resolve(&reference) {
                        self.values += target.values().map(bulk).sum::<usize>() / 64;
                        merge(flat, target);
                    }
                }
                ("allOf", Some(Value::Array(parts))) => parts
                    .iter()
                    .filter_map(Value::as_object)
                    .for_each(|part| merge(flat, part)),
                (_, Some(Value::Array(branches))) => {
                    if let Some(Value::Object(branch)) = self.branch(&branches, terse) {
                        merge(flat, branch);
                    }
                }
                _ => {}
            }
        }
        flat
    }

    fn resolve(&self, reference: &str) -> Option<&'a Value> {
        self.root.pointer(reference.strip_prefix('#')?)
    }

    /// One branch of several: any but `null` at first, the simplest when it is time to end.
    fn branch<'b>(&mut self, branches: &'b [Value], terse: bool) -> Option<&'b Value> {
        if terse {
            return branches.iter().min_by_key(|branch| weight(branch));
        }
        let ample: Vec<&Value> = branches
            .iter()
            .filter(|branch| branch.get("type").and_then(Value::as_str) != Some("null"))
            .collect();
        match ample.len() {
            0 => branches.first(),
            count => Some(ample[self.seed.below(count)]),
        }
    }

    fn kind<'s>(&mut self, schema: &'s Map<String, Value>, terse: bool) -> &'s str {
        match schema.get("type") {
            Some(Value::String(kind)) => kind,
            Some(Value::Array(kinds)) => {
                let mut kinds = kinds.iter().filter_map(Value::as_str);
                let wanted = |kind: &&str| (*kind == "null") == terse;
                let first = kinds.clone().find(wanted);
                first.or_else(|| kinds.next()).unwrap_or("string")
            }
            _ if ["properties", "required", "additionalProperties"]
                .iter()
                .any(|key| schema.contains_key(*key)) =>
            {
                "object"
            }
            _ if schema.contains_key("items") || schema.contains_key("prefixItems") => "array",
            _ if schema.contains_key("minimum") || schema.contains_key("maximum") => "number",
            _ => "string",
        }
    }

    /// The value that the prompt mentions, or any.
    fn one_of<'v>(&mut self, values: &'v [Value], schema: &Map<String, Value>) -> &'v Value {
        let kind = schema.get("type").and_then(Value::as_str);
        let fits = |value: &&Value| match kind {
            Some("string") => value.is_string(),
            Some("integer" | "number") => value.is_number(),
            _ => true,
        };
        // Not again where the array has it already.
        let looked_at = if self.repeats == 0 { MENTIONS_MAX } else { 0 };
        let mentioned = values
            .iter()
            .take(looked_at)
            .filter(fits)
            .find(|value| value.as_str().is_some_and(|text| self.hints.mention(text)));
        let fitting: Vec<&Value> = values.iter().filter(fits).collect();
        mentioned.unwrap_or_else(|| match fitting.len() {
            0 => &values[0],
            count => fitting[self.seed.below(count)],
        })
    }

    fn object(&mut self, schema: &Map<String, Value>, depth: usize, terse: bool) -> Value {
        let mut object = Map::new();
        let names = schema.get("required").and_then(Value::as_array);
        let required: HashSet<&str> = names
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        let properties = schema.get("properties").and_then(Value::as_object);
        for (name, property) in properties.into_iter().flatten() {
            if terse && !required.contains(name.as_str()) || property == &Value::Bool(false) {
                continue;
            }
            let value = self.value(property, name, depth + 1);
            object.insert(name.clone(), value);
            if self.values > VALUES_MAX {
                return Value::Object(object);
            }
        }
        let open = Value::Object(Map::new());
        let other = match schema.get("additionalProperties") {
            Some(other @ Value::Object(_)) => other,
            _ => &open,
        };
        for name in names.into_iter().flatten().filter_map(Value::as_str) {
            if object.contains_key(name) || self.values > VALUES_MAX {
                continue;
            }
            let value = self.value(other, name, depth + 1);
            object.insert(name.to_owned(), value);
        }
        // A map shows one entry where it may, and as many as it must.
        let shown = usize::from(!terse && properties.is_none() && other != &open);
        let wanted = size(schema, "minProperties").unwrap_or(0).max(shown);
        let wanted = wanted.min(size(schema, "maxProperties").unwrap_or(VALUES_MAX));
        for number in 1..=wanted {
            if object.len() >= wanted || self.values > VALUES_MAX {
                break;
            }
            let name = format!("key_{number}");
            let value = self.value(other, &name, depth + 1);
            object.insert(name, value);
        }
        Value::Object(object)
    }

    fn array(
        &mut self,
        schema: &Map<String, Value>,
        name: &str,
        depth: usize,
        terse: bool,
    ) -> Value {
        let any = Value::Object(Map::from_iter([("type".to_owned(), "string".into())]));
        let prefix = schema
            .get("prefixItems")
            .and_then(Value::as_array)
            .map_or(&[][..], Vec::as_slice);
        let items = schema.get("items").filter(|items| items.is_object());
        let closed = !prefix.is_empty() && items.is_none();
        let least = size(schema, "minItems").unwrap_or(0);
        let ample = if terse {
            0
        } else if closed {
            prefix.len()
        } else {
            prefix.len() + 1 + self.seed.below(if depth < 2 { 3 } else { 2 })
        };
        let most = size(schema, "maxItems").unwrap_or(usize::MAX);
        let wanted = ample.max(least).min(most);
        let unique = schema.get("uniqueItems") == Some(&Value::Bool(true));
        let mut array = Vec::new();
        // An item that is there already is tried again, but not for ever.
        for _ in 0..wanted.saturating_mul(16) {
            if array.len() >= wanted || self.values > VALUES_MAX {
                break;
            }
            let item = prefix.get(array.len()).or(items).unwrap_or(&any);
            let value = self.value(item, name, depth + 1);
            if !unique || !array.contains(&value) {
                array.push(value);
                self.repeats = 0;
            } else {
                self.repeats += 1;
            }
        }
        self.repeats = 0;
        Value::Array(array)
    }
}

/// What refers to other schemas.
const REFERRING: [&str; 4] = ["$ref", "allOf", "anyOf", "oneOf"];

/// The field by which a schema refers to another, if beside it there is nothing that matters.
fn only_refers(schema: &Map<String, Value>) -> Option<&'static str> {
    let key = ["$ref", "anyOf", "oneOf"]
        .into_iter()
        .find(|key| schema.contains_key(*key))?;
    let idle = [
        "title",
        "description",
        "default",
        "examples",
        "$defs",
        "definitions",
        "$schema",
    ];
    schema
        .keys()
        .all(|other| other == key || idle.contains(&other.as_str()))
        .then_some(key)
}

/// How large a value is, about in bytes.
fn bulk(value: &Value) -> usize {
    match value {
        Value::String(text) => 8 + text.len(),
        Value::Array(items) => items.iter().map(bulk).sum::<usize>() + 8,
        Value::Object(fields) => {
            fields
                .iter()
                .map(|(name, value)| 8 + name.len() + bulk(value))
                .sum::<usize>()
                + 8
        }
        _ => 8,
    }
}

pub(super) fn size(schema: &Map<String, Value>, key: &str) -> Option<usize> {
    let size = schema.get(key)?.as_f64()?;
    Some(size.max(0.0) as usize)
}

/// Adds what another schema says: properties and required names side by side, of the rest what is new.
fn merge(into: &mut Map<String, Value>, other: &Map<String, Value>) {
    for (key, value) in other {
        match (key.as_str(), into.get_mut(key), value) {
            (_, None, value) => {
                into.insert(key.clone(), value.clone());
            }
            ("properties", Some(Value::Object(mine)), Value::Object(theirs)) => {
                for (name, property) in theirs {
                    match (mine.get_mut(name), property) {
                        (Some(Value::Object(mine)), Value::Object(theirs)) => merge(mine, theirs),
                        (Some(_), _) => {}
                        (None, property) => {
                            mine.insert(name.clone(), property.clone());
                        }
                    }
                }
            }
            ("required", Some(Value::Array(mine)), Value::Array(theirs)) => {
                mine.extend(theirs.iter().cloned());
            }
            ("allOf", Some(Value::Array(mine)), Value::Array(theirs)) => {
                mine.extend(theirs.iter().cloned());
            }
            _ => {}
        }
    }
}

/// How far a branch is from the end of recursion.
fn weight(branch: &Value) -> usize {
    if branch.get("const").is_some() || branch.get("enum").is_some() {
        return 1;
    }
    match branch.get("type").and_then(Value::as_str) {
        Some("null") => 0,
        Some("object") if branch.get("required").is_none() => 2,
        Some("object") => 4,
        Some("array") => 3,
        Some(_) => 1,
        None => 5,
    }
}
