//! One configuration file, from its text to its sections and diagnostics.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;

use super::check::{self, check};
use super::diagnostics::{Diagnostic, Diagnostics, Position, Severity};
use super::interpolate::{Environment, FILE_BYTES_MAX, Interpolator};
use super::located;
use super::masking::{Masks, SecretNames};
use super::names::dotted;
use super::parse::Parsed;
use super::schema;
use super::tree::{Entry, Kind, Node};

/// The most values that a type may refuse after its schema took them; each costs another check of the file.
const REFUSED_MAX: usize = 100;

const TOP: Position = Position { line: 1, column: 1 };

/// One configuration file: its text, what could be read of it, and what was found wrong so far.
///
/// Paths into it are keys and, for list items, decimal indices: `&["teams", "search", "keys", "0"]`. An index counts the items
/// that [`read`](Self::read) gave, without those that were left out for their mistakes.
pub struct Document {
    name: String,
    text: String,
    root: Option<Arc<Node>>,
    dropped: Vec<Entry>,
    files: Vec<PathBuf>,
    secrets: SecretNames,
    omitted: HashMap<check::Path, BTreeSet<usize>>,
    diagnostics: Vec<Diagnostic>,
}

/// What a path leads to.
struct Place<'d> {
    /// The value, or the innermost one on the way to it that is there.
    node: Option<&'d Node>,
    /// Where that value's key stands, or itself where it has none.
    key: Position,
    /// Whether the whole path is there.
    complete: bool,
    /// The path with indices as they are in the file.
    source_path: check::Path,
}

impl Document {
    /// Reads a text as YAML and puts in its `${…}`. Mistakes are kept, to be told by [`finish`](Self::finish).
    ///
    /// `name` is what diagnostics call the file. A text larger than [`FILE_BYTES_MAX`] is an error.
    pub fn parse(name: &str, text: &str, environment: &dyn Environment) -> Self {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut interpolator = Interpolator::new(environment);
        let mut parsed = Parsed::default();
        if text.len() > FILE_BYTES_MAX {
            let message = format!("the file is larger than {} MiB", FILE_BYTES_MAX >> 20);
            parsed.diagnostics.push(Diagnostic::error(TOP, message));
        } else {
            parsed = Parsed::from_text(text, &mut interpolator);
        }
        if parsed.root.is_none() && parsed.diagnostics.is_empty() {
            parsed
                .diagnostics
                .push(Diagnostic::error(TOP, "the file is empty"));
        }
        Self {
            name: name.to_owned(),
            text: text.to_owned(),
            root: parsed.root,
            dropped: parsed.dropped,
            files: interpolator.into_files(),
            secrets: SecretNames::default(),
            omitted: HashMap::new(),
            diagnostics: parsed.diagnostics,
        }
    }

    /// Reads the file as a `T`, less what is wrong in it, which is kept as diagnostics. None if nothing of it can be used.
    ///
    /// What a type's own `Deserialize` refuses is reported with its message, so that should say what is expected.
    pub fn read<T: DeserializeOwned + JsonSchema>(&mut self) -> Option<T> {
        let schema = schema::of::<T>();
        self.secrets.learn(&schema);
        let root = self.root.clone()?;
        let mut refused = HashSet::new();
        loop {
            let checked = check(&schema, &root, &refused);
            if refused.is_empty() {
                self.diagnostics.extend(checked.diagnostics);
            }
            self.omitted = checked.omitted;
            let error = match located::from_value(&checked.value?) {
                Ok(value) => return Some(value),
                Err(error) => error,
            };
            let path: Vec<&str> = error.path().collect();
            let source_path = self.place(&path).source_path;
            self.refuse(&path, &error.message);
            if refused.len() == REFUSED_MAX || !refused.insert(source_path) {
                return None;
            }
        }
    }

    /// Whether the file has a value here at all, also where it is a bad one. For references: what a bad entry names is not missing.
    pub fn has(&self, path: &[&str]) -> bool {
        self.place(path).complete
    }

    /// Whether a mapping or a list without anything in it stands here: `{}` or `[]`.
    pub fn is_empty(&self, path: &[&str]) -> bool {
        let place = self.place(path);
        let kind = place.node.filter(|_| place.complete).map(|node| &node.kind);
        match kind {
            Some(Kind::List(items)) => items.is_empty(),
            Some(Kind::Mapping(entries)) => entries.is_empty(),
            _ => false,
        }
    }

    /// Reports an error at the value of `path` if that is a scalar, otherwise at its key. Where it is missing, the innermost value
    /// on the way to it that is there stands for it.
    pub fn error(&mut self, path: &[&str], message: impl Into<String>) -> &mut Diagnostic {
        let position = self.place(path).value();
        self.push(Severity::Error, position, message.into())
    }

    /// Reports an error at the last key of `path`.
    pub fn error_at_key(&mut self, path: &[&str], message: impl Into<String>) -> &mut Diagnostic {
        let position = self.place(path).key;
        self.push(Severity::Error, position, message.into())
    }

    /// Reports at the value of `path` what works but is probably not meant.
    pub fn warning(&mut self, path: &[&str], message: impl Into<String>) -> &mut Diagnostic {
        let position = self.place(path).value();
        self.push(Severity::Warning, position, message.into())
    }

    /// The files that `${file:…}` or a section refers to, whether they could be read or not: a change of them is a change of this one.
    pub fn files(&self) -> &[PathBuf] {
        &self.files
    }

    /// Says that a section names a file which is read, too: a change of it is a change of this one.
    pub fn depends_on(&mut self, file: &Path) {
        self.files.push(file.to_owned());
    }

    /// The text of the file as it stands, its literal secrets hidden; still YAML.
    pub fn shown(&self) -> String {
        let masks = self.masks();
        let mut shown = String::with_capacity(self.text.len());
        let mut within_mask = false;
        for (index, c) in self.text.chars().enumerate() {
            let masked = masks.hides(index);
            match (masked, within_mask) {
                (true, false) => shown.push_str("\"***\""),
                (true, true) => {}
                (false, _) => shown.push(c),
            }
            within_mask = masked;
        }
        shown
    }

    /// Everything that was found.
    pub fn finish(self) -> Diagnostics {
        let masks = self.masks();
        Diagnostics::new(&self.name, &self.text, &masks, self.diagnostics)
    }

    fn masks(&self) -> Masks {
        match &self.root {
            Some(root) => Masks::of_tree(&self.secrets, root, &self.dropped),
            None => Masks::of_text(&self.secrets, &self.text),
        }
    }

    fn push(&mut self, severity: Severity, position: Position, message: String) -> &mut Diagnostic {
        let mut diagnostic = Diagnostic::error(position, message);
        diagnostic.severity = severity;
        self.diagnostics.push(diagnostic);
        let last = self.diagnostics.len() - 1;
        &mut self.diagnostics[last]
    }

    /// Reports what a type would not take.
    fn refuse(&mut self, path: &[&str], reason: &str) {
        let place = self.place(path);
        let is_private = place.node.is_some_and(|node| self.is_private(path, node));
        let what = dotted(&place.source_path);
        let position = place.value();
        if is_private {
            let message = format!("`{what}` cannot be used");
            let help =
                "the reason is not shown because it may quote a secret or what a `${…}` holds";
            self.push(Severity::Error, position, message).help(help);
            return;
        }
        // What serde says of its untagged enums helps nobody.
        let reason = match reason.starts_with("data did not match any variant") {
            true => "it fits none of the forms that it may have",
            false => reason,
        };
        let message = format!("`{what}` cannot be used: {reason}");
        self.push(Severity::Error, position, message);
    }

    /// Whether a message about this value could give away what must not be shown.
    fn is_private(&self, path: &[&str], node: &Node) -> bool {
        path.iter().any(|key| self.secrets.contains(key)) || self.holds_private(node)
    }

    fn holds_private(&self, node: &Node) -> bool {
        match &node.kind {
            Kind::Broken => false,
            Kind::Scalar(scalar) => scalar.origin.is_some(),
            Kind::List(items) => items.iter().any(|item| self.holds_private(item)),
            Kind::Mapping(entries) => entries
                .iter()
                .any(|entry| self.secrets.contains(&entry.key) || self.holds_private(&entry.value)),
        }
    }

    fn place(&self, path: &[&str]) -> Place<'_> {
        let mut place = Place {
            node: self.root.as_deref(),
            key: self.root.as_ref().map_or(TOP, |root| root.position),
            complete: self.root.is_some(),
            source_path: Vec::new(),
        };
        for segment in path {
            let step = match place.node.map(|node| &node.kind) {
                Some(Kind::Mapping(entries)) => entries
                    .iter()
                    .find(|entry| entry.key == *segment)
                    .map(|entry| (&entry.value, entry.key_position, entry.key.clone())),
                Some(Kind::List(items)) => {
                    let omitted = self.omitted.get(&place.source_path);
                    let kept = (0..items.len())
                        .filter(|index| omitted.is_none_or(|omitted| !omitted.contains(index)));
                    let index = segment
                        .parse()
                        .ok()
                        .and_then(|wanted| kept.into_iter().nth(wanted));
                    index.map(|index| (&items[index], items[index].position, index.to_string()))
                }
                _ => None,
            };
            let Some((node, key, segment)) = step else {
                place.complete = false;
                return place;
            };
            place.node = Some(node);
            place.key = key;
            place.source_path.push(segment);
        }
        place
    }
}

impl Place<'_> {
    /// Where the value stands: its key, unless it is a scalar that is there.
    fn value(&self) -> Position {
        match self.node.filter(|node| self.complete && !node.is_empty()) {
            Some(Node {
                kind: Kind::Scalar(_) | Kind::Broken,
                position,
                ..
            }) => *position,
            _ => self.key,
        }
    }
}
