//! Hides the secrets that a file holds literally from the source lines that diagnostics show.
//!
//! Only names can be relied on: a line may be shown because its field is misspelt, stands twice, or is not even YAML. So what
//! counts as secret is each value below a key that the schema gives to a secret somewhere, or that it does not know and that
//! sounds like one.

use std::collections::HashSet;
use std::ops::Range;

use serde_json::Value;

use super::names::nearest;
use super::schema::Shape;
use super::source::Line;
use super::tree::{Entry, Kind, Node};

/// How names of secrets end that the schema does not know.
const SECRET_ENDINGS: [&str; 6] = [
    "key",
    "token",
    "secret",
    "password",
    "credentials",
    "authorization",
];

/// The names that the schema gives to secrets, among all that it knows.
#[derive(Default)]
pub(super) struct SecretNames {
    secret: HashSet<String>,
    known: HashSet<String>,
}

impl SecretNames {
    /// Adds the names in a schema.
    pub fn learn(&mut self, root: &Value) {
        self.visit(root, root);
    }

    fn visit(&mut self, root: &Value, value: &Value) {
        let Value::Object(object) = value else {
            if let Value::Array(items) = value {
                items.iter().for_each(|item| self.visit(root, item));
            }
            return;
        };
        if let Some(properties) = object.get("properties").and_then(Value::as_object) {
            for (name, property) in properties {
                self.known.insert(name.clone());
                if Shape::of(root, property).holds_secrets(root) {
                    self.secret.insert(name.clone());
                }
            }
        }
        object.values().for_each(|value| self.visit(root, value));
    }

    /// Whether what stands below this key is to be treated as a secret.
    pub fn contains(&self, key: &str) -> bool {
        if self.known.contains(key) {
            return self.secret.contains(key);
        }
        let lower = key.to_lowercase();
        let misspelt = nearest(key, self.secret.iter().map(String::as_str));
        misspelt.is_some() || SECRET_ENDINGS.iter().any(|ending| lower.ends_with(ending))
    }
}

/// The characters of a source text that must not be shown: ranges in order, not overlapping.
pub(super) struct Masks(Vec<Range<usize>>);

impl Masks {
    /// What to hide of a file, given its tree and the entries that were left out of it.
    pub fn of_tree<'t>(
        names: &SecretNames,
        root: &'t Node,
        dropped: impl IntoIterator<Item = &'t Entry>,
    ) -> Self {
        let mut ranges = Vec::new();
        collect(names, root, false, &mut ranges);
        for entry in dropped {
            collect(names, &entry.value, names.contains(&entry.key), &mut ranges);
        }
        // An alias shows the same place again.
        ranges.sort_by_key(|range| range.start);
        ranges.dedup();
        Self(ranges)
    }

    /// What to hide of a file that is not YAML: what follows a key that names a secret, up to the next line that has a key.
    pub fn of_text(names: &SecretNames, text: &str) -> Self {
        let mut ranges = Vec::new();
        let mut continued = false;
        for line in Line::all(text) {
            let shown = match shown_of(names, line.text) {
                Some(shown) => shown,
                None if continued && !line.text.contains(':') => 0,
                None => {
                    continued = false;
                    continue;
                }
            };
            continued = true;
            ranges.push(line.start + shown..line.start + line.text.chars().count());
        }
        Self(ranges)
    }

    /// Whether this character of the text must not be shown.
    pub fn hides(&self, index: usize) -> bool {
        let after = self.0.partition_point(|range| range.start <= index);
        after > 0 && self.0[after - 1].contains(&index)
    }
}

/// How many characters of the line stand before the value of the first key that names a secret, if there is one.
fn shown_of(names: &SecretNames, line: &str) -> Option<usize> {
    let mut shown = 0;
    for part in line.split_inclusive(':') {
        shown += part.chars().count();
        let Some(before) = part.strip_suffix(':') else {
            continue;
        };
        let key = before.trim_end_matches(['"', '\'', ' ', '\t']);
        let separator = |c: char| !(c.is_alphanumeric() || c == '_' || c == '-');
        if names.contains(key.rsplit(separator).next().unwrap_or_default()) {
            return Some(shown);
        }
    }
    None
}

fn collect(names: &SecretNames, node: &Node, secret: bool, ranges: &mut Vec<Range<usize>>) {
    match &node.kind {
        Kind::Scalar(_) | Kind::Broken if secret && !node.is_reference => {
            ranges.push(node.chars.clone())
        }
        // `token:abc` without a space is one value to YAML.
        Kind::Scalar(scalar) if scalar.plain && shown_of(names, &scalar.text).is_some() => {
            ranges.push(node.chars.clone());
        }
        Kind::Scalar(_) | Kind::Broken => {}
        Kind::List(items) => items
            .iter()
            .for_each(|item| collect(names, item, secret, ranges)),
        Kind::Mapping(entries) => {
            for entry in entries {
                collect(
                    names,
                    &entry.value,
                    secret || names.contains(&entry.key),
                    ranges,
                );
            }
        }
    }
}
