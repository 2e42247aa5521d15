//! Fields of a caller's JSON, read one by one, so that an error can name the field.

use std::borrow::Cow;
use std::fmt;

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::dialect::Error;

/// An object whose values have not been looked at.
#[derive(Debug)]
pub struct Object<'a> {
    /// Names and values in their order.
    pub members: Vec<(Cow<'a, str>, &'a RawValue)>,
}

impl<'a> Object<'a> {
    /// Reads the object at `path`.
    pub fn read(raw: &'a RawValue, path: &Path<'_>) -> Result<Self, Error> {
        value(raw, path, "an object")
    }

    /// The value of `name`; None if it is `null`.
    pub fn raw(&self, name: &str) -> Option<&'a RawValue> {
        let mut members = self.members.iter();
        let (_, raw) = members.find(|(known, _)| known == name)?;
        (raw.get() != "null").then_some(raw)
    }

    /// The text of `name`.
    pub fn text(&self, name: &str, path: &Path<'_>) -> Result<Option<Cow<'a, str>>, Error> {
        let raw = self.raw(name);
        raw.map(|raw| text(raw, &path.field(name))).transpose()
    }

    /// The text of `name`, which must be there.
    pub fn needed_text(&self, name: &str, path: &Path<'_>) -> Result<Cow<'a, str>, Error> {
        self.text(name, path)?
            .ok_or_else(|| path.field(name).missing())
    }

    /// The list that `name` is.
    pub fn list(&self, name: &str, path: &Path<'_>) -> Result<Vec<&'a RawValue>, Error> {
        let raw = self.raw(name);
        let list = raw.map(|raw| value(raw, &path.field(name), "an array"));
        Ok(list.transpose()?.unwrap_or_default())
    }
}

/// Reads the value at `path`, which must be `what`.
pub fn value<'a, T: Deserialize<'a>>(
    raw: &'a RawValue,
    path: &Path<'_>,
    what: &str,
) -> Result<T, Error> {
    serde_json::from_str(raw.get()).map_err(|_| path.wrong(what))
}

/// Reads the text at `path`.
pub fn text<'a>(raw: &'a RawValue, path: &Path<'_>) -> Result<Cow<'a, str>, Error> {
    value(raw, path, "a string").map(|Text(text)| text)
}

/// Whether a value is an array.
pub fn is_list(raw: &RawValue) -> bool {
    raw.get().starts_with('[')
}

/// A text that is borrowed where it holds no escapes.
#[derive(Debug, Default, Deserialize)]
#[serde(transparent)]
pub struct Text<'a>(#[serde(borrow)] pub Cow<'a, str>);

/// Where a value stands: written as callers write it, and only when there is an error.
#[derive(Debug)]
pub enum Path<'a> {
    /// A field of the outermost object.
    Top(&'a str),
    /// A field of an object.
    Field(&'a Path<'a>, &'a str),
    /// An element of a list.
    Element(&'a Path<'a>, usize),
}

impl Path<'_> {
    /// A field of this object.
    pub const fn field<'a>(&'a self, name: &'a str) -> Path<'a> {
        Path::Field(self, name)
    }

    /// An element of this list.
    pub const fn element(&self, index: usize) -> Path<'_> {
        Path::Element(self, index)
    }

    /// The error that it is not what it must be.
    pub fn wrong(&self, what: &str) -> Error {
        Error::invalid(&self.to_string(), format!("`{self}` must be {what}"))
    }

    /// The error that it is not there.
    pub fn missing(&self) -> Error {
        Error::invalid(&self.to_string(), format!("the field `{self}` is missing"))
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Top(name) => f.write_str(name),
            Self::Field(parent, name) => write!(f, "{parent}.{name}"),
            Self::Element(parent, index) => write!(f, "{parent}[{index}]"),
        }
    }
}

impl<'de> Deserialize<'de> for Object<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ObjectVisitor)
    }
}

struct ObjectVisitor;

impl<'de> Visitor<'de> for ObjectVisitor {
    type Value = Object<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::new();
        while let Some((Text(name), raw)) = map.next_entry()? {
            members.push((name, raw));
        }
        Ok(Object { members })
    }
}
