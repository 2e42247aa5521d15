//! Pieces of the wire format that reading and writing share.

use std::borrow::Cow;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::ser::{SerializeMap, Serializer};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{CALL_ID_MAX, OWN};
use crate::dialect::Error;
use crate::dialect::common::{Json, Malformed, Request, fitted_id};
use crate::dialect::field::{Members, parse};

/// An object of a caller's, taken apart member by member: what is not taken is not lost.
#[derive(Debug)]
pub(super) struct Object<'a> {
    /// Where it stands in the body; empty for the body itself.
    path: String,
    members: Vec<(Cow<'a, str>, &'a RawValue)>,
}

impl<'a> Object<'a> {
    pub fn parse(json: &'a str, path: impl Into<String>) -> Result<Self, Error> {
        let path = path.into();
        let Members(members) = parse(json, &path)?;
        Ok(Self { path, members })
    }

    /// Takes the member `name`; None if it is missing or null.
    pub fn take<T: Deserialize<'a>>(&mut self, name: &str) -> Result<Option<T>, Error> {
        let Some(at) = self.place(name) else {
            return Ok(None);
        };
        let (_, json) = self.members.remove(at);
        parse(json.get(), &self.path_of(name))
    }

    /// Takes the member `name`, an object.
    pub fn take_object(&mut self, name: &str) -> Result<Option<Self>, Error> {
        let json: Option<&'a RawValue> = self.take(name)?;
        let object = json.map(|json| Self::parse(json.get(), self.path_of(name)));
        object.transpose()
    }

    /// Takes the member `name` if it is of this type, and else leaves it: for objects that are a model's own affair.
    pub fn take_fitting<T: Deserialize<'a>>(&mut self, name: &str) -> Option<T> {
        let at = self.place(name)?;
        let fitting = serde_json::from_str(self.members[at].1.get()).ok()?;
        self.members.remove(at);
        Some(fitting)
    }

    /// The member `name`, left where it is.
    pub fn look(&self, name: &str) -> Option<&'a RawValue> {
        Some(self.members[self.place(name)?].1)
    }

    pub fn path_of(&self, name: &str) -> String {
        match self.path.as_str() {
            "" => name.to_owned(),
            path => [path, ".", name].concat(),
        }
    }

    /// Keeps what was not taken, less nulls, under its path, where the writer looks for it.
    pub fn keep_rest(self, request: &mut Request) {
        for (name, json) in &self.members {
            if json.get() != "null" {
                request.extra.push((self.path_of(name), Json::of(json)));
            }
        }
    }

    fn place(&self, name: &str) -> Option<usize> {
        self.members.iter().position(|(member, _)| member == name)
    }
}

/// The one member of an object that holds one of several things.
#[derive(Debug)]
pub(super) struct Union<'a> {
    pub name: Cow<'a, str>,
    pub json: &'a RawValue,
    /// Where the member stands.
    pub path: String,
}

impl<'a> Union<'a> {
    pub fn parse(json: &'a str, path: &str) -> Result<Self, Error> {
        let Members(members) = parse(json, path)?;
        let mut set = members.into_iter().filter(|(_, json)| json.get() != "null");
        match (set.next(), set.next()) {
            (Some((name, json)), None) => Ok(Self {
                path: [path, ".", &name].concat(),
                name,
                json,
            }),
            _ => Err(Error::invalid(
                path,
                format!("{path} must have exactly one member"),
            )),
        }
    }

    /// Of a provider's; None if nothing is there.
    pub fn look(json: &'a str) -> Result<Option<Self>, Malformed> {
        let Members(members) = serde_json::from_str(json)?;
        let mut set = members.into_iter().filter(|(_, json)| json.get() != "null");
        Ok(set.next().map(|(name, json)| Self {
            path: String::new(),
            name,
            json,
        }))
    }

    pub fn read<T: Deserialize<'a>>(&self) -> Result<T, Error> {
        parse(self.json.get(), &self.path)
    }
}

/// Members that are written as they came.
#[derive(Debug, Default)]
pub(super) struct Fields<'a>(pub Vec<(&'a str, &'a Json)>);

impl<'a> Fields<'a> {
    /// What a caller of this dialect said at `path`, which ends in a dot or is empty for the body.
    pub fn kept(request: &'a Request, path: &str) -> Self {
        if request.source != OWN {
            return Self::default();
        }
        let fields = request.extra.iter().filter_map(|(name, json)| {
            let name = name.strip_prefix(path)?;
            (!name.contains('.')).then_some((name, json))
        });
        Self(fields.collect())
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Serialize for Fields<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, json) in &self.0 {
            map.serialize_entry(name, json)?;
        }
        map.end()
    }
}

/// A call's id as Converse takes it, the same always. Kimi's hold dots and colons, which it needs back.
pub(super) fn call_id(id: &str) -> Cow<'_, str> {
    let is_fit = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.:".contains(&byte);
    match (1..=CALL_ID_MAX).contains(&id.len()) && id.bytes().all(is_fit) {
        true => Cow::Borrowed(id),
        false => fitted_id(id, CALL_ID_MAX),
    }
}

/// The text in a blob; None if it is none.
pub(super) fn text_of_blob(blob: &str) -> Option<String> {
    String::from_utf8(BASE64_STANDARD.decode(blob).ok()?).ok()
}

/// A blob that holds `bytes`.
pub(super) fn blob(bytes: impl AsRef<[u8]>) -> String {
    BASE64_STANDARD.encode(bytes)
}

/// What a body is made of has string keys and no failing serialisers.
pub(super) fn to_bytes(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    struct Inner {
        #[expect(dead_code)]
        count: u64,
    }

    #[test]
    fn a_fault_names_the_field_and_not_what_stood_there() {
        for (json, path, message) in [
            (
                r#"{"a":{"count":"secret"}}"#,
                "a.count",
                "`a.count` must be a whole number, not negative",
            ),
            (r#"{"a":{}}"#, "a.count", "the field `a.count` is missing"),
            (r#"{"a":"secret"}"#, "a", "`a` must be an object"),
        ] {
            let mut object = Object::parse(json, "").unwrap();
            let error = object.take::<Inner>("a").unwrap_err();
            assert_eq!(error.param.as_deref(), Some(path));
            assert_eq!(error.message, message);
        }
    }

    #[test]
    fn a_union_has_one_member() {
        let union = Union::parse(r#"{"text":"x","image":null}"#, "a[0]").unwrap();
        assert_eq!(
            (union.name.as_ref(), union.path.as_str()),
            ("text", "a[0].text")
        );
        for json in ["{}", r#"{"text":"x","image":{}}"#, "[]", r#"{"a":1,"a":2}"#] {
            let error = Union::parse(json, "a[0]").unwrap_err();
            assert_eq!(error.param.as_deref(), Some("a[0]"), "{json}");
        }
    }
}
