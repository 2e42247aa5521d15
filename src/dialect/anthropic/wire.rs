//! Pieces of the wire format that reading and writing share.

use std::borrow::Cow;
use std::fmt;

use serde::de::{self, Deserializer, SeqAccess, Visitor};
use serde::ser::Serializer;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::dialect::Error;
use crate::dialect::common::{Cache, Json};
use crate::dialect::field::{Members, missing, parse};

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
        assert_eq!(
            error.message,
            "`tools[1].a` must be a whole number, not negative"
        );
        let error = object.require::<u64>("c").unwrap_err();
        assert_eq!(error.message, "the field `tools[1].c` is missing");
        assert!(Object::parse(r#"{"a":1,"a":2}"#, "").is_err());
        assert!(Object::parse("[]", "").is_err());
    }
}
