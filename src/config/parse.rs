//! Makes a tree of YAML text.

use std::collections::HashMap;
use std::sync::Arc;

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Span, Tag};

use super::diagnostics::{Diagnostic, Position};
use super::interpolate::{Interpolator, is_reference};
use super::tree::{Entry, Kind, Node, Scalar};

/// How deep lists and mappings may stand in each other: what reads them calls itself as often.
const DEPTH_MAX: usize = 64;

/// How many values a file may have, where an alias counts as all that it stands for.
const VALUES_MAX: usize = 100_000;

/// What a text was read as.
#[derive(Default)]
pub(super) struct Parsed {
    /// None if the text is empty or not YAML.
    pub root: Option<Arc<Node>>,
    /// Entries that were left out because of a mistake.
    pub dropped: Vec<Entry>,
    pub diagnostics: Vec<Diagnostic>,
}

impl Parsed {
    /// Reads the one document of `text`.
    pub fn from_text(text: &str, interpolator: &mut Interpolator<'_>) -> Self {
        let mut builder = Builder {
            interpolator,
            parsed: Parsed::default(),
            open: Vec::new(),
            anchors: HashMap::new(),
            values: 0,
        };
        for event in Parser::new_from_str(text) {
            let result = match event {
                Ok((Event::DocumentStart(_), span)) if builder.parsed.root.is_some() => {
                    let message =
                        "a second document starts here; the configuration is one document";
                    Err(Diagnostic::error(start(span), message).with_help("remove the `---` line"))
                }
                Ok((event, span)) => builder.take(event, span),
                Err(error) => Err(syntax_error(&error)),
            };
            if let Err(error) = result {
                builder.parsed.diagnostics.push(error);
                builder.parsed.root = None;
                break;
            }
        }
        builder.parsed
    }
}

/// Puts the tree together out of the parser's events.
struct Builder<'i, 'e> {
    interpolator: &'i mut Interpolator<'e>,
    parsed: Parsed,
    open: Vec<Open>,
    anchors: HashMap<usize, Arc<Node>>,
    values: usize,
}

/// A list or mapping that has not ended yet.
struct Open {
    content: Content,
    anchor: usize,
    start: Span,
}

enum Content {
    List(Vec<Arc<Node>>),
    Mapping {
        entries: Vec<Entry>,
        seen: HashMap<String, Position>,
        key: PendingKey,
    },
}

/// What a mapping has of its next entry.
enum PendingKey {
    Awaited,
    Known(String, Arc<Node>),
    /// It was reported; its value is dropped.
    Bad,
}

impl Builder<'_, '_> {
    /// Takes the next event. An error ends the reading: nothing can be made of the file.
    fn take(&mut self, event: Event<'_>, span: Span) -> Result<(), Diagnostic> {
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                self.count(1, 0, span)?;
                let node = Arc::new(self.scalar(&text, style, tag.as_deref(), span));
                self.close(node, anchor);
                Ok(())
            }
            Event::SequenceStart(anchor, tag) => {
                self.start(Content::List(Vec::new()), anchor, tag.as_deref(), span)
            }
            Event::MappingStart(anchor, tag) => {
                let content = Content::Mapping {
                    entries: Vec::new(),
                    seen: HashMap::new(),
                    key: PendingKey::Awaited,
                };
                self.start(content, anchor, tag.as_deref(), span)
            }
            Event::SequenceEnd | Event::MappingEnd => {
                let Some(open) = self.open.pop() else {
                    return Ok(());
                };
                let anchor = open.anchor;
                self.close(Arc::new(open.end(span)), anchor);
                Ok(())
            }
            Event::Alias(anchor) => {
                let Some(node) = self.anchors.get(&anchor).cloned() else {
                    return Err(Diagnostic::error(
                        start(span),
                        "this alias stands within what it is an alias of",
                    ));
                };
                self.count(node.values, node.depth, span)?;
                self.close(node, 0);
                Ok(())
            }
            Event::Nothing
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(_)
            | Event::DocumentEnd => Ok(()),
        }
    }

    /// Counts `values` more that are themselves `depth` deep against the limits.
    fn count(&mut self, values: usize, depth: usize, span: Span) -> Result<(), Diagnostic> {
        self.values += values;
        if self.values > VALUES_MAX {
            let message = format!("the file has more than {VALUES_MAX} values");
            let help = "an alias counts as all the values that it stands for";
            return Err(Diagnostic::error(start(span), message).with_help(help));
        }
        if self.open.len() + depth > DEPTH_MAX {
            let message = format!("lists and mappings are nested more than {DEPTH_MAX} deep");
            return Err(Diagnostic::error(start(span), message));
        }
        Ok(())
    }

    fn start(
        &mut self,
        content: Content,
        anchor: usize,
        tag: Option<&Tag>,
        span: Span,
    ) -> Result<(), Diagnostic> {
        self.count(1, 1, span)?;
        self.refuse_tag(tag, span);
        self.open.push(Open {
            content,
            anchor,
            start: span,
        });
        Ok(())
    }

    fn scalar(&mut self, text: &str, style: ScalarStyle, tag: Option<&Tag>, span: Span) -> Node {
        let is_string = tag.is_some_and(|tag| tag.is_yaml_core_schema() && tag.suffix == "str");
        if !is_string {
            self.refuse_tag(tag, span);
        }
        let mut scalar = Scalar {
            text: text.to_owned(),
            plain: style == ScalarStyle::Plain && !is_string,
            origin: None,
        };
        let kind = if !text.contains('$') || self.awaits_key() {
            Kind::Scalar(scalar)
        } else {
            match self.interpolator.expand(text) {
                Ok(expanded) => {
                    scalar.text = expanded.text;
                    scalar.origin = expanded.origin;
                    Kind::Scalar(scalar)
                }
                Err(unresolved) => {
                    let errors = unresolved
                        .into_iter()
                        .map(|one| Diagnostic::error(start(span), one.message).with_help(one.help));
                    self.parsed.diagnostics.extend(errors);
                    Kind::Broken
                }
            }
        };
        Node {
            kind,
            position: start(span),
            chars: span.start.index()..span.end.index(),
            is_reference: is_reference(text),
            depth: 0,
            values: 1,
        }
    }

    fn refuse_tag(&mut self, tag: Option<&Tag>, span: Span) {
        if let Some(tag) = tag {
            let error = Diagnostic::error(
                start(span),
                format!("the YAML tag `{tag}` has no meaning here"),
            );
            self.parsed
                .diagnostics
                .push(error.with_help("remove the tag"));
        }
    }

    /// Whether the next value is a key.
    fn awaits_key(&self) -> bool {
        matches!(
            self.open.last(),
            Some(Open {
                content: Content::Mapping {
                    key: PendingKey::Awaited,
                    ..
                },
                ..
            })
        )
    }

    /// Hands a finished value to what it stands in.
    fn close(&mut self, node: Arc<Node>, anchor: usize) {
        if anchor != 0 {
            self.anchors.insert(anchor, Arc::clone(&node));
        }
        let Some(open) = self.open.last_mut() else {
            self.parsed.root = Some(node);
            return;
        };
        let (entries, seen, key) = match &mut open.content {
            Content::List(items) => {
                items.push(node);
                return;
            }
            Content::Mapping { entries, seen, key } => (entries, seen, key),
        };
        match std::mem::replace(key, PendingKey::Awaited) {
            PendingKey::Awaited => match key_text(&node) {
                Ok(text) => *key = PendingKey::Known(text, node),
                Err(error) => {
                    self.parsed.diagnostics.push(error);
                    self.parsed.dropped.push(Entry::without_key(node));
                    *key = PendingKey::Bad;
                }
            },
            PendingKey::Known(key, key_node) => {
                let key_position = key_node.position;
                if let Some(entry) = glued(&key_node, &node) {
                    let message = format!("`{}:` has no value, or no space before it", entry.key);
                    let error = Diagnostic::error(key_position, message);
                    self.parsed
                        .diagnostics
                        .push(error.with_help("write `name: value`"));
                    self.parsed.dropped.push(entry);
                    return;
                }
                let entry = Entry {
                    key,
                    key_position,
                    value: node,
                };
                if let Some(first) = seen.get(&entry.key) {
                    let error = Diagnostic::error(
                        key_position,
                        format!("`{}` stands twice in this mapping", entry.key),
                    )
                    .with_help(format!("the first is at {}:{}", first.line, first.column));
                    self.parsed.diagnostics.push(error);
                    self.parsed.dropped.push(entry);
                    return;
                }
                seen.insert(entry.key.clone(), key_position);
                entries.push(entry);
            }
            PendingKey::Bad => self.parsed.dropped.push(Entry::without_key(node)),
        }
    }
}

impl Open {
    fn end(self, span: Span) -> Node {
        let (kind, depth, values) = match self.content {
            Content::List(items) => {
                let (depth, values) = measure(items.iter());
                (Kind::List(items), depth, values)
            }
            Content::Mapping { entries, .. } => {
                let (depth, values) = measure(entries.iter().map(|entry| &entry.value));
                (Kind::Mapping(entries), depth, values)
            }
        };
        Node {
            kind,
            position: start(self.start),
            chars: self.start.start.index()..span.end.index(),
            is_reference: false,
            depth: depth + 1,
            values: values + 1,
        }
    }
}

fn measure<'n>(nodes: impl Iterator<Item = &'n Arc<Node>>) -> (usize, usize) {
    nodes.fold((0, 0), |(depth, values), node| {
        (depth.max(node.depth), values + node.values)
    })
}

fn key_text(node: &Node) -> Result<String, Diagnostic> {
    match &node.kind {
        Kind::Scalar(scalar) if scalar.plain && scalar.text == "<<" => {
            let error = Diagnostic::error(node.position, "merge keys (`<<`) are not supported");
            Err(error.with_help("write the fields out; an alias can stand for a whole value"))
        }
        Kind::Scalar(scalar) if !scalar.text.is_empty() && scalar.origin.is_none() => {
            Ok(scalar.text.clone())
        }
        _ => Err(Diagnostic::error(node.position, "a key must be a name")),
    }
}

/// The entry that `{name:value}` was meant to be: to YAML, it is a key with a colon in it.
fn glued(key: &Node, value: &Node) -> Option<Entry> {
    let Kind::Scalar(scalar) = &key.kind else {
        return None;
    };
    let (name, _) = scalar
        .text
        .split_once(':')
        .filter(|_| scalar.plain && value.is_empty())?;
    let value = Node {
        kind: Kind::Broken,
        position: value.position,
        chars: key.chars.start + name.chars().count() + 1..key.chars.end,
        is_reference: false,
        depth: 0,
        values: 1,
    };
    Some(Entry {
        key: name.to_owned(),
        key_position: key.position,
        value: Arc::new(value),
    })
}

fn syntax_error(error: &ScanError) -> Diagnostic {
    let marker = error.marker();
    let position = Position {
        line: marker.line(),
        column: marker.col() + 1,
    };
    Diagnostic::error(
        position,
        format!("this is not valid YAML: {}", error.info()),
    )
}

/// The parser counts lines from 1 and columns from 0.
fn start(span: Span) -> Position {
    Position {
        line: span.start.line(),
        column: span.start.col() + 1,
    }
}
