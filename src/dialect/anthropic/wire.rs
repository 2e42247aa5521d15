//! Pieces of the wire format that reading and writing share.

use std::borrow::Cow;
use std::fmt;

use serde::de::{self, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::ser::Serializer;
use serde::{Deserialize, Serialize};
use serde_json::error::Category;
use serde_json::value::RawValue;

use crate::dialect::common::{Cache, Json};
use crate::dialect::scan::MEMBERS_MAX;
use crate::dialect::{Error, Kind};

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
        let Some(at) = self.members.iter().position(|(member, _)| member == name) else {
            return Ok(None);
        };
        let (_, json) = self.members.remove(at);
        parse(json.get(), &self.path_of(name))
    }

    /// Takes the member `name`, which may not be missing.
    pub fn require<T: Deserialize<'a>>(&mut self, name: &str) -> Result<T, Error> {
        self.take(name)?.ok_or_else(|| missing(&self.path_of(name)))
    }

    pub fn path_of(&self, name: &str) -> String {
        match self.path.as_str() {
            "" => name.to_owned(),
            path => [path, ".", name].concat(),
        }
    }

    /// What was not taken, less nulls.
    pub fn rest(self) -> impl Iterator<Item = (Cow<'a, str>, Json)> {
        let set = self.members.into_iter();
        let set = set.filter(|(_, json)| json.get() != "null");
        set.map(|(name, json)| (name, Json::of(&json)))
    }
}

/// Reads JSON of a caller's that stands at `path`.
pub(super) fn parse<'de, T: Deserialize<'de>>(json: &'de str, path: &str) -> Result<T, Error> {
    serde_json::from_str(json).map_err(|error| fault::<T>(json, path, &error))
}

/// What a caller is told when a field is missing.
pub(super) fn missing(path: &str) -> Error {
    Error::invalid(path, format!("{path}: Field required"))
}

/// What a caller is told of JSON of another shape: the field, found by reading once more, and what belongs there; not
/// what stood there.
fn fault<'de, T: Deserialize<'de>>(json: &'de str, path: &str, error: &serde_json::Error) -> Error {
    if error.classify() != Category::Data {
        return Error::new(Kind::InvalidRequest, "the body is not valid JSON");
    }
    let deserializer = &mut serde_json::Deserializer::from_str(json);
    let inner = match serde_path_to_error::deserialize::<_, T>(deserializer) {
        Ok(_) => String::new(),
        Err(error) => error.path().to_string(),
    };
    let path = match (path, inner.as_str()) {
        (path, "" | ".") => path.to_owned(),
        ("", inner) => inner.to_owned(),
        (path, inner) if inner.starts_with('[') => [path, inner].concat(),
        (path, inner) => [path, ".", inner].concat(),
    };
    let text = error.to_string();
    let field_after = |lead: &str| text.strip_prefix(lead)?.split('`').next();
    if let Some(name) = field_after("missing field `") {
        let lead = match path.as_str() {
            "" => "",
            _ => ".",
        };
        return missing(&[&path, lead, name].concat());
    }
    // The library's text quotes what it found, and then says what it expected.
    let expected = text.rsplit_once(", expected ");
    let expected = expected.and_then(|(_, rest)| rest.split(" at line ").next());
    let message = match expected {
        Some(expected) => format!("{path}: must be {expected}"),
        None => format!("{path}: is not valid"),
    };
    Error::invalid(&path, message)
}

struct Members<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;

        impl<'de> Visitor<'de> for Collect {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members: Vec<(Cow<'de, str>, &'de RawValue)> = Vec::new();
                while let Some((Name(name), json)) = map.next_entry()? {
                    if members.len() == MEMBERS_MAX {
                        return Err(de::Error::custom("too many fields"));
                    }
                    if members.iter().any(|(member, _)| *member == name) {
                        return Err(de::Error::custom("a repeated field"));
                    }
                    members.push((name, json));
                }
                Ok(Members(members))
            }
        }

        deserializer.deserialize_map(Collect)
    }
}

/// A member's name, borrowed unless it is escaped.
#[derive(Deserialize)]
#[serde(transparent)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

/// A string, or a list that is not looked into yet.
#[derive(Debug)]
pub(super) enum TextOr<'a> {
    Text(String),
    List(Vec<&'a RawValue>),
}

impl<'de: 'a, 'a> Deserialize<'de> for TextOr<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextOrList;

        impl<'de> Visitor<'de> for TextOrList {
            type Value = TextOr<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string or an array of content blocks")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<TextOr<'de>, E> {
                Ok(TextOr::Text(text.to_owned()))
            }

            fn visit_string<E: de::Error>(self, text: String) -> Result<TextOr<'de>, E> {
                Ok(TextOr::Text(text))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<TextOr<'de>, A::Error> {
                let mut blocks = Vec::new();
                while let Some(block) = list.next_element()? {
                    blocks.push(block);
                }
                Ok(TextOr::List(blocks))
            }
        }

        deserializer.deserialize_any(TextOrList)
    }
}

/// `cache_control`
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum CacheControl {
    Ephemeral {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        ttl: Option<Ttl>,
    },
}

/// How long the provider caches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Ttl {
    #[serde(rename = "5m")]
    FiveMinutes,
    #[serde(rename = "1h")]
    Hour,
}

impl From<CacheControl> for Cache {
    fn from(CacheControl::Ephemeral { ttl }: CacheControl) -> Self {
        match ttl {
            None | Some(Ttl::FiveMinutes) => Self::Usual,
            Some(Ttl::Hour) => Self::Hour,
        }
    }
}

impl From<Cache> for CacheControl {
    fn from(cache: Cache) -> Self {
        let ttl = match cache {
            Cache::Usual => None,
            Cache::Hour => Some(Ttl::Hour),
        };
        Self::Ephemeral { ttl }
    }
}

/// Members that are written into the object around them.
#[derive(Debug, Default)]
pub(super) struct Fields<'a>(pub Vec<(&'a str, &'a Json)>);

impl Serialize for Fields<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().copied())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_of_the_wrong_type_is_named_and_not_quoted() {
        let mut object = Object::parse(r#"{"a":"secret","b":{"ttl":7}}"#, "tools[1]").unwrap();
        let error = object.take::<u64>("a").unwrap_err();
        assert_eq!(error.param.as_deref(), Some("tools[1].a"));
        assert_eq!(error.message, "tools[1].a: must be u64");
        let error = object.require::<u64>("c").unwrap_err();
        assert_eq!(error.message, "tools[1].c: Field required");
        assert!(Object::parse(r#"{"a":1,"a":2}"#, "").is_err());
        assert!(Object::parse("[]", "").is_err());
    }
}
