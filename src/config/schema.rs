//! The JSON Schema of a type: as files are checked against it, and as editors are given it.

use std::borrow::Cow;

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::{Map, Value, json};

/// The `format` of a string that is never shown.
pub(super) const SECRET: &str = "secret";

/// The keyword that marks what is not built yet.
const NOT_BUILT: &str = "x-not-built";

/// `$ref`s and unions that lead to each other without an end are given up after this many.
const NESTING_MAX: usize = 32;

/// The JSON Schema (draft 2020-12) of configuration files of type `T`, for editors.
///
/// It takes `${…}` wherever a file may have it, which the plain schema of the type does not, and no unknown fields.
pub fn schema<T: JsonSchema>() -> Value {
    let mut schema = of::<T>();
    publish(&mut schema, false);
    schema
}

/// The schema of `T` as it is deserialised.
pub(super) fn of<T: JsonSchema>() -> Value {
    let generator = SchemaSettings::draft2020_12()
        .for_deserialize()
        .into_generator();
    generator.into_root_schema_for::<T>().to_value()
}

/// A part of the grammar that is not built yet: a field of type `Option<NotBuilt>` is reported wherever a file has it,
/// whatever its value, and never read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum NotBuilt {}

impl<'de> Deserialize<'de> for NotBuilt {
    fn deserialize<D: Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        Err(de::Error::custom("not built yet"))
    }
}

impl Serialize for NotBuilt {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        match *self {}
    }
}

impl JsonSchema for NotBuilt {
    fn schema_name() -> Cow<'static, str> {
        "NotBuilt".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ NOT_BUILT: true })
    }
}

/// What a schema takes, by the kind of the value: all that unions and references come to.
#[derive(Default)]
pub(super) struct Shape<'s> {
    pub null: bool,
    pub anything: bool,
    pub not_built: bool,
    /// The most particular first: a plain `5` is a number where it may be one.
    pub scalars: Vec<(ScalarKind, &'s Map<String, Value>)>,
    pub list: Option<&'s Map<String, Value>>,
    pub mappings: Vec<&'s Map<String, Value>>,
}

/// In the order in which they are tried.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum ScalarKind {
    Boolean,
    Integer,
    Number,
    /// One of given strings.
    Word,
    /// A string of a form that we know.
    Formatted,
    Text,
}

impl<'s> Shape<'s> {
    /// The shape of `schema`, whose references point into `root`.
    pub fn of(root: &'s Value, schema: &'s Value) -> Self {
        let mut shape = Self::default();
        shape.add(root, schema, 0);
        shape.scalars.sort_by_key(|(kind, _)| *kind);
        shape
    }

    fn add(&mut self, root: &'s Value, schema: &'s Value, nesting: usize) {
        let Value::Object(keywords) = schema else {
            self.anything |= schema == &Value::Bool(true);
            return;
        };
        if nesting > NESTING_MAX {
            return;
        }
        if let Some(target) = keywords.get("$ref").and_then(Value::as_str) {
            if let Some(schema) = root.pointer(target.trim_start_matches('#')) {
                self.add(root, schema, nesting + 1);
            }
            return;
        }
        for union in ["anyOf", "oneOf"] {
            if let Some(branches) = keywords.get(union).and_then(Value::as_array) {
                branches
                    .iter()
                    .for_each(|branch| self.add(root, branch, nesting + 1));
                return;
            }
        }
        if keywords.contains_key(NOT_BUILT) {
            self.not_built = true;
            return;
        }
        match keywords.get("type") {
            Some(Value::String(name)) => self.add_type(name, keywords),
            Some(Value::Array(names)) => {
                for name in names.iter().filter_map(Value::as_str) {
                    self.add_type(name, keywords);
                }
            }
            _ => self.anything = true,
        }
    }

    fn add_type(&mut self, name: &str, keywords: &'s Map<String, Value>) {
        let kind = match name {
            "null" => {
                self.null = true;
                return;
            }
            "array" => {
                self.list.get_or_insert(keywords);
                return;
            }
            "object" => {
                self.mappings.push(keywords);
                return;
            }
            "boolean" => ScalarKind::Boolean,
            "integer" => ScalarKind::Integer,
            "number" => ScalarKind::Number,
            _ if keywords.contains_key("enum") || keywords.contains_key("const") => {
                ScalarKind::Word
            }
            _ if keywords.contains_key("format") => ScalarKind::Formatted,
            _ => ScalarKind::Text,
        };
        self.scalars.push((kind, keywords));
    }

    /// Whether a scalar here is a secret.
    pub fn is_secret(&self) -> bool {
        let secret = |keywords: &Map<String, Value>| {
            keywords
                .get("format")
                .is_some_and(|format| format == SECRET)
        };
        self.scalars.iter().any(|(_, keywords)| secret(keywords))
    }

    /// Whether there are secrets here, or in a list or a map of them.
    pub fn holds_secrets(&self, root: &Value) -> bool {
        let items = self.list.and_then(|list| list.get("items"));
        let values = self
            .mappings
            .iter()
            .filter_map(|mapping| mapping.get("additionalProperties"));
        self.is_secret()
            || items
                .into_iter()
                .chain(values)
                .any(|schema| Shape::of(root, schema).is_secret())
    }
}

/// The strings that a schema of given strings takes.
pub(super) fn words(keywords: &Map<String, Value>) -> impl Iterator<Item = &str> {
    let listed = keywords
        .get("enum")
        .and_then(Value::as_array)
        .into_iter()
        .flatten();
    listed
        .chain(keywords.get("const"))
        .filter_map(Value::as_str)
}

/// Rewrites a schema for editors. `in_union`: a branch beside this one takes `${…}` already.
fn publish(schema: &mut Value, in_union: bool) {
    let Value::Object(keywords) = schema else {
        return;
    };
    let (mut annotations, constraints): (Map<_, _>, Map<_, _>) = std::mem::take(keywords)
        .into_iter()
        .partition(|(keyword, _)| is_annotation(keyword));
    *keywords = constraints;
    if keywords.remove(NOT_BUILT).is_some() {
        keywords.insert("not".into(), json!({}));
    }
    for group in ["properties", "$defs"] {
        if let Some(Value::Object(members)) = keywords.get_mut(group) {
            members
                .values_mut()
                .for_each(|member| publish(member, false));
        }
    }
    for part in ["items", "additionalProperties"] {
        if let Some(part) = keywords.get_mut(part) {
            publish(part, false);
        }
    }
    if let Some(Value::Array(items)) = keywords.get_mut("prefixItems") {
        items.iter_mut().for_each(|item| publish(item, false));
    }
    if keywords.contains_key("properties") && !keywords.contains_key("additionalProperties") {
        keywords.insert("additionalProperties".into(), Value::Bool(false));
    }
    // `oneOf` would refuse what two branches take, such as `${…}`.
    let union = keywords
        .shift_remove("oneOf")
        .or_else(|| keywords.shift_remove("anyOf"));
    if let Some(Value::Array(mut branches)) = union {
        let takes_reference = branches
            .iter()
            .filter_map(Value::as_object)
            .any(refuses_reference);
        branches.iter_mut().for_each(|branch| publish(branch, true));
        if takes_reference && !in_union {
            branches.push(reference());
        }
        keywords.insert("anyOf".into(), Value::Array(branches));
    } else if !in_union && refuses_reference(keywords) {
        let inner = Value::Object(std::mem::take(keywords));
        keywords.insert("anyOf".into(), json!([inner, reference()]));
    }
    annotations.append(keywords);
    *keywords = annotations;
}

/// Whether this is the schema of a scalar that takes no `${…}` as it is.
fn refuses_reference(keywords: &Map<String, Value>) -> bool {
    let kinds = match keywords.get("type") {
        Some(Value::Array(kinds)) => kinds.as_slice(),
        Some(kind) => std::slice::from_ref(kind),
        None => &[],
    };
    let restricted = ["enum", "const", "pattern", "minLength", "maxLength"];
    kinds
        .iter()
        .filter_map(Value::as_str)
        .any(|kind| match kind {
            "boolean" | "integer" | "number" => true,
            "string" => restricted
                .iter()
                .any(|keyword| keywords.contains_key(*keyword)),
            _ => false,
        })
}

fn is_annotation(keyword: &str) -> bool {
    matches!(
        keyword,
        "$schema"
            | "title"
            | "description"
            | "default"
            | "examples"
            | "deprecated"
            | "readOnly"
            | "writeOnly"
    )
}

fn reference() -> Value {
    json!({ "type": "string", "pattern": "\\$\\{" })
}
