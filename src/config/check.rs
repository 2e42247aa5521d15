//! Checks a tree against a schema, and makes JSON of what is right in it.
//!
//! A value with a mistake is left out. Where its place needs one, what it stands in is left out as well, up to the next
//! optional field, map entry or list item: so the rest can still be read and looked at by the rooms.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use serde_json::{Map, Value};

use super::diagnostics::{Diagnostic, Position};
use super::names::{alternatives, dotted, nearest};
use super::scalar;
use super::schema::{ScalarKind, Shape, words};
use super::tree::{Entry, Kind, Node, Scalar};

/// The most characters of a value that a message quotes.
const QUOTED_CHARS_MAX: usize = 40;

/// Where a value stands: keys, and list indices in decimal.
pub(super) type Path = Vec<String>;

/// What a check comes to.
#[derive(Default)]
pub(super) struct Checked {
    /// None if nothing of the file can be used.
    pub value: Option<Value>,
    pub diagnostics: Vec<Diagnostic>,
    /// The items that were left out, by the path of their list.
    pub omitted: HashMap<Path, BTreeSet<usize>>,
}

/// Checks a whole file. Values at a `refused` path are left out as well, without a word.
pub(super) fn check(schema: &Value, root: &Node, refused: &HashSet<Path>) -> Checked {
    let mut checker = Checker {
        root: schema,
        refused,
        path: Vec::new(),
        checked: Checked::default(),
    };
    checker.checked.value = checker.value(schema, root, root.position);
    checker.checked
}

struct Checker<'c> {
    root: &'c Value,
    refused: &'c HashSet<Path>,
    path: Path,
    checked: Checked,
}

impl<'c> Checker<'c> {
    /// Checks one value. `owner` is where its key stands, or itself where it has none.
    fn value(&mut self, schema: &'c Value, node: &Node, owner: Position) -> Option<Value> {
        if self.refused.contains(&self.path) {
            return None;
        }
        let shape = Shape::of(self.root, schema);
        if shape.not_built {
            let message = format!("`{}` is not built yet", dotted(&self.path));
            self.error(owner, message)
                .help("remove it; this version would ignore it");
            return None;
        }
        if shape.anything {
            return untyped(node);
        }
        match &node.kind {
            Kind::Broken => None,
            Kind::Scalar(scalar) => self.scalar(&shape, node, scalar, owner),
            Kind::List(items) => match shape.list {
                Some(list) => self.list(list, items),
                None => self.mismatch(&shape, node, owner),
            },
            Kind::Mapping(entries) => match shape.mappings.as_slice() {
                [] => self.mismatch(&shape, node, owner),
                [mapping] => self.mapping(mapping, entries, owner),
                variants => self.union(variants, entries, owner),
            },
        }
    }

    fn scalar(
        &mut self,
        shape: &Shape<'_>,
        node: &Node,
        scalar: &Scalar,
        owner: Position,
    ) -> Option<Value> {
        let absent = scalar.is_null() || (scalar.origin.is_some() && scalar.text.is_empty());
        if absent && shape.null {
            return Some(Value::Null);
        }
        if scalar.is_null() {
            return self.mismatch(shape, node, owner);
        }
        let mut hint = None;
        for (kind, keywords) in &shape.scalars {
            match scalar::read(*kind, keywords, scalar) {
                Ok(value) => return Some(value),
                Err(reason) => hint = hint.or(reason),
            }
        }
        self.mismatch::<Value>(shape, node, owner);
        if let (Some(hint), Some(error)) = (hint, self.checked.diagnostics.last_mut()) {
            error.help(hint);
        }
        None
    }

    fn list(&mut self, keywords: &'c Map<String, Value>, items: &[Arc<Node>]) -> Option<Value> {
        let mut values = Vec::new();
        let prefix = keywords.get("prefixItems").and_then(Value::as_array);
        for (index, item) in items.iter().enumerate() {
            let schema = prefix
                .and_then(|schemas| schemas.get(index))
                .or_else(|| keywords.get("items"));
            self.path.push(index.to_string());
            let value = self.value(schema.unwrap_or(&Value::Bool(true)), item, item.position);
            let repeated = keywords.contains_key("uniqueItems")
                && value.as_ref().is_some_and(|value| values.contains(value));
            if repeated {
                let message = format!("`{}` stands in this list already", dotted(&self.path));
                self.error(item.position, message);
            }
            self.path.pop();
            match value.filter(|_| !repeated) {
                Some(value) => values.push(value),
                None => {
                    self.checked
                        .omitted
                        .entry(self.path.clone())
                        .or_default()
                        .insert(index);
                }
            }
        }
        Some(Value::Array(values))
    }

    fn mapping(
        &mut self,
        keywords: &'c Map<String, Value>,
        entries: &[Entry],
        owner: Position,
    ) -> Option<Value> {
        let properties = keywords.get("properties").and_then(Value::as_object);
        let others = keywords
            .get("additionalProperties")
            .filter(|schema| **schema != Value::Bool(false));
        let required = required(keywords);
        let mut values = Map::new();
        for entry in entries {
            let property = properties.and_then(|properties| properties.get(&entry.key));
            let Some(schema) = property.or(others) else {
                self.unknown_field(entry, properties.into_iter().flat_map(Map::keys));
                continue;
            };
            self.path.push(entry.key.clone());
            let value = self.value(schema, &entry.value, entry.key_position);
            self.path.pop();
            if let Some(value) = value {
                values.insert(entry.key.clone(), value);
            }
        }
        for name in &required {
            if !entries.iter().any(|entry| entry.key == *name) {
                let message = format!("missing field `{name}`{}", self.within());
                self.error(owner, message);
            }
        }
        required
            .iter()
            .all(|name| values.contains_key(*name))
            .then_some(Value::Object(values))
    }

    /// Checks a mapping that may be one of several, against the one it was meant to be.
    fn union(
        &mut self,
        variants: &[&'c Map<String, Value>],
        entries: &[Entry],
        owner: Position,
    ) -> Option<Value> {
        if let Some(tag) = tag(variants) {
            return self.tagged(tag, variants, entries, owner);
        }
        let names: Option<Vec<&'c String>> = variants
            .iter()
            .map(|variant| only_property(variant))
            .collect();
        if let (Some(names), Some(first)) = (names, entries.first()) {
            // Each variant is a mapping of one entry, which names it.
            return match names.iter().position(|name| **name == first.key) {
                Some(index) => self.mapping(variants[index], entries, owner),
                None => {
                    self.unknown_field(first, names);
                    None
                }
            };
        }
        let mismatches = |variant: &&&'c Map<String, Value>| {
            let properties = variant.get("properties").and_then(Value::as_object);
            let known =
                |key: &str| properties.is_some_and(|properties| properties.contains_key(key));
            let missing = |name: &&&str| !entries.iter().any(|entry| entry.key == **name);
            entries.iter().filter(|entry| !known(&entry.key)).count()
                + required(variant).iter().filter(missing).count()
        };
        let variant = variants.iter().min_by_key(mismatches)?;
        self.mapping(variant, entries, owner)
    }

    /// Checks a mapping whose field `tag` says which of the variants it is.
    fn tagged(
        &mut self,
        tag: &str,
        variants: &[&'c Map<String, Value>],
        entries: &[Entry],
        owner: Position,
    ) -> Option<Value> {
        let Some(entry) = entries.iter().find(|entry| entry.key == tag) else {
            let message = format!("missing field `{tag}`{}", self.within());
            self.error(owner, message);
            return None;
        };
        let tags = variants.iter().filter_map(|variant| tag_of(variant, tag));
        let shape = Shape {
            scalars: tags.map(|keywords| (ScalarKind::Word, keywords)).collect(),
            ..Shape::default()
        };
        self.path.push(tag.to_owned());
        let chosen = match &entry.value.kind {
            Kind::Broken => None,
            Kind::Scalar(scalar) => self.scalar(&shape, &entry.value, scalar, entry.key_position),
            Kind::List(_) | Kind::Mapping(_) => {
                self.mismatch(&shape, &entry.value, entry.key_position)
            }
        };
        self.path.pop();
        let chosen = chosen?;
        let matches = |variant: &&&Map<String, Value>| {
            let keywords = tag_of(variant, tag).into_iter();
            keywords.flat_map(words).any(|word| chosen == word)
        };
        let variant = variants.iter().find(matches)?;
        self.mapping(variant, entries, owner)
    }

    fn unknown_field<'n>(&mut self, entry: &Entry, known: impl IntoIterator<Item = &'n String>) {
        let message = format!("unknown field `{}`{}", entry.key, self.within());
        let meant = nearest(&entry.key, known.into_iter().map(String::as_str))
            .map(|name| format!("did you mean `{name}`?"));
        let error = self.error(entry.key_position, message);
        if let Some(help) = meant {
            error.help(help);
        }
    }

    /// Reports a value that is not what the shape takes.
    fn mismatch<T>(&mut self, shape: &Shape<'_>, node: &Node, owner: Position) -> Option<T> {
        let what = if self.path.is_empty() {
            "the file".to_owned()
        } else {
            format!("`{}`", dotted(&self.path))
        };
        let position = if node.is_empty() {
            owner
        } else {
            node.position
        };
        let message = format!("{what} must be {}{}", expected(shape), found(shape, node));
        self.error(position, message);
        None
    }

    fn error(&mut self, position: Position, message: String) -> &mut Diagnostic {
        let diagnostics = &mut self.checked.diagnostics;
        diagnostics.push(Diagnostic::error(position, message));
        let last = diagnostics.len() - 1;
        &mut diagnostics[last]
    }

    /// " in models.fast", or nothing at the top.
    fn within(&self) -> String {
        if self.path.is_empty() {
            return String::new();
        }
        format!(" in {}", dotted(&self.path))
    }
}

/// The value of a schema that takes anything.
fn untyped(node: &Node) -> Option<Value> {
    match &node.kind {
        Kind::Broken => None,
        Kind::Scalar(scalar) => Some(scalar::read_untyped(scalar)),
        Kind::List(items) => Some(items.iter().filter_map(|item| untyped(item)).collect()),
        Kind::Mapping(entries) => {
            let values = entries
                .iter()
                .filter_map(|entry| Some((entry.key.clone(), untyped(&entry.value)?)));
            Some(Value::Object(values.collect()))
        }
    }
}

fn required(keywords: &Map<String, Value>) -> Vec<&str> {
    let names = keywords.get("required").and_then(Value::as_array);
    names
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect()
}

/// The field whose one fixed value tells the variants apart, if there is one.
fn tag<'s>(variants: &[&'s Map<String, Value>]) -> Option<&'s str> {
    let properties = variants.first()?.get("properties")?.as_object()?;
    let is_tag = |name: &&String| {
        variants
            .iter()
            .all(|variant| tag_of(variant, name).is_some())
    };
    properties.keys().find(is_tag).map(String::as_str)
}

fn tag_of<'s>(variant: &'s Map<String, Value>, tag: &str) -> Option<&'s Map<String, Value>> {
    let keywords = variant.get("properties")?.get(tag)?.as_object()?;
    keywords.contains_key("const").then_some(keywords)
}

/// The name of the one field that this mapping has, if it has just one and cannot do without.
fn only_property(keywords: &Map<String, Value>) -> Option<&String> {
    let properties = keywords.get("properties")?.as_object()?;
    let single = properties.len() == 1 && required(keywords).len() == 1;
    properties.keys().next().filter(|_| single)
}

/// What a shape takes, in words.
fn expected(shape: &Shape<'_>) -> String {
    let scalars = shape
        .scalars
        .iter()
        .map(|(kind, keywords)| (*kind, *keywords));
    let (named, other): (Vec<_>, Vec<_>) = scalars.partition(|(kind, _)| *kind == ScalarKind::Word);
    let mut parts: Vec<String> = named
        .into_iter()
        .flat_map(|(_, keywords)| words(keywords))
        .map(|word| format!("`{word}`"))
        .collect();
    parts.extend(
        other
            .into_iter()
            .map(|(kind, keywords)| scalar::phrase(kind, keywords)),
    );
    parts.extend(shape.list.map(|_| "a list".to_owned()));
    parts.extend(shape.mappings.first().map(|_| "a mapping".to_owned()));
    alternatives(&parts)
}

/// What is there instead, in words that begin with a comma. Secrets and what comes from `${…}` are not quoted.
fn found(shape: &Shape<'_>, node: &Node) -> String {
    let scalar = match &node.kind {
        Kind::Broken => return String::new(),
        Kind::List(_) => return ", not a list".to_owned(),
        Kind::Mapping(_) => return ", not a mapping".to_owned(),
        Kind::Scalar(scalar) => scalar,
    };
    if scalar.is_null() {
        return ", but it is empty".to_owned();
    }
    if let Some(origin) = &scalar.origin {
        return match &*scalar.text {
            "" => format!(", but `{origin}` is empty"),
            _ => format!(", not what `{origin}` holds"),
        };
    }
    if shape.is_secret() {
        return String::new();
    }
    if shape.scalars.is_empty() {
        // Not quoted: `token:abc` without a space is one value, and so is a secret that stands a level too high.
        return ", not a single value".to_owned();
    }
    let mut quoted: String = scalar.text.chars().take(QUOTED_CHARS_MAX).collect();
    if quoted.len() < scalar.text.len() {
        quoted.push('…');
    }
    let kind = if scalar.plain { "" } else { "the string " };
    format!(", not {kind}`{quoted}`")
}
