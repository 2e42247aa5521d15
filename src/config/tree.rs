//! YAML as a tree of values with their positions.

use std::ops::Range;
use std::sync::Arc;

use super::diagnostics::Position;

/// A value in the file.
#[derive(Debug)]
pub(super) struct Node {
    pub kind: Kind,
    pub position: Position,
    /// Where it stands in the text, in characters.
    pub chars: Range<usize>,
    /// Whether it is written as nothing but a reference, so that the text does not give its value away.
    pub is_reference: bool,
    /// How deep lists and mappings stand in each other here; a scalar is 0 deep.
    pub depth: usize,
    /// How many values these are, itself included.
    pub values: usize,
}

#[derive(Debug)]
pub(super) enum Kind {
    Scalar(Scalar),
    List(Vec<Arc<Node>>),
    Mapping(Vec<Entry>),
    /// A scalar whose mistake was reported already.
    Broken,
}

/// A scalar as it is to be read: interpolated, but not yet of a type.
#[derive(Debug)]
pub(super) struct Scalar {
    pub text: String,
    /// Whether it stands without quotes, and so may be something else than a string.
    pub plain: bool,
    /// The `${NAME}` that its text comes from; such a text is never shown.
    pub origin: Option<String>,
}

#[derive(Debug)]
pub(super) struct Entry {
    pub key: String,
    pub key_position: Position,
    pub value: Arc<Node>,
}

impl Scalar {
    /// Whether YAML reads it as nothing.
    pub fn is_null(&self) -> bool {
        self.plain
            && self.origin.is_none()
            && matches!(&*self.text, "" | "~" | "null" | "Null" | "NULL")
    }
}

impl Node {
    /// Whether it is nothing.
    pub fn is_empty(&self) -> bool {
        matches!(&self.kind, Kind::Scalar(scalar) if scalar.is_null())
    }
}

impl Entry {
    /// A value that has no usable key.
    pub fn without_key(value: Arc<Node>) -> Self {
        Self {
            key: String::new(),
            key_position: value.position,
            value,
        }
    }
}
