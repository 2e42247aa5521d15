//! Pieces of the wire format that reading and writing share.

use std::borrow::Cow;
use std::fmt;

use serde::de::value::MapAccessDeserializer;
use serde::de::{self, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::ser::Serializer;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::dialect::common::{Cache, Json};

/// The members of an object that have no field of their own, in their order.
#[derive(Debug, Default)]
pub(in crate::dialect) struct Members(pub Vec<(String, Json)>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Rest;

        impl<'de> Visitor<'de> for Rest {
            type Value = Members;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = Members::default();
                // Through `Value`: what serde has flattened can no longer be had as raw text.
                while let Some((name, value)) = map.next_entry::<String, serde_json::Value>()? {
                    members.0.push((name, Json::of(&value)));
                }
                Ok(members)
            }
        }

        deserializer.deserialize_map(Rest)
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

/// A message's `content`.
#[derive(Debug)]
pub(super) enum Content<'a> {
    Text(String),
    Parts(Vec<&'a RawValue>),
}

impl<'de: 'a, 'a> Deserialize<'de> for Content<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextOrParts;

        impl<'de> Visitor<'de> for TextOrParts {
            type Value = Content<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string or an array of content parts")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Content<'de>, E> {
                Ok(Content::Text(text.to_owned()))
            }

            fn visit_string<E: de::Error>(self, text: String) -> Result<Content<'de>, E> {
                Ok(Content::Text(text))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Content<'de>, A::Error> {
                let mut parts = Vec::new();
                while let Some(part) = list.next_element()? {
                    parts.push(part);
                }
                Ok(Content::Parts(parts))
            }
        }

        deserializer.deserialize_any(TextOrParts)
    }
}

/// A call's `arguments`: JSON in a string, though some servers write the object itself.
#[derive(Debug, Default)]
pub(super) struct Arguments(pub String);

impl<'de> Deserialize<'de> for Arguments {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextOrObject;

        impl<'de> Visitor<'de> for TextOrObject {
            type Value = Arguments;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string of JSON")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Arguments, E> {
                Ok(Arguments(text.to_owned()))
            }

            fn visit_string<E: de::Error>(self, text: String) -> Result<Arguments, E> {
                Ok(Arguments(text))
            }

            fn visit_unit<E: de::Error>(self) -> Result<Arguments, E> {
                Ok(Arguments::default())
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Arguments, A::Error> {
                let object = serde_json::Map::deserialize(MapAccessDeserializer::new(map))?;
                Ok(Arguments(serde_json::Value::Object(object).to_string()))
            }
        }

        deserializer.deserialize_any(TextOrObject)
    }
}

/// Reads a text that may be null or of another type, which is as if it were empty.
pub(super) fn lenient_text<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Cow<'de, str>, D::Error> {
    struct Text;

    impl<'de> Visitor<'de> for Text {
        type Value = Cow<'de, str>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a string")
        }

        fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<Self::Value, E> {
            Ok(Cow::Borrowed(text))
        }

        fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
            Ok(Cow::Owned(text.to_owned()))
        }

        fn visit_string<E: de::Error>(self, text: String) -> Result<Self::Value, E> {
            Ok(Cow::Owned(text))
        }

        fn visit_unit<E: de::Error>(self) -> Result<Self::Value, E> {
            Ok(Cow::Borrowed(""))
        }

        fn visit_bool<E: de::Error>(self, _: bool) -> Result<Self::Value, E> {
            Ok(Cow::Borrowed(""))
        }

        fn visit_i64<E: de::Error>(self, number: i64) -> Result<Self::Value, E> {
            Ok(Cow::Owned(number.to_string()))
        }

        fn visit_u64<E: de::Error>(self, number: u64) -> Result<Self::Value, E> {
            Ok(Cow::Owned(number.to_string()))
        }
    }

    deserializer.deserialize_any(Text)
}

/// Google's seal on the thought behind a call or a message, in its OpenAI-compatible form.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct ExtraContent {
    google: Option<GoogleContent>,
}

#[derive(Debug, Deserialize, Serialize)]
struct GoogleContent {
    thought_signature: Option<String>,
}

impl ExtraContent {
    pub(super) fn of(seal: String) -> Self {
        Self {
            google: Some(GoogleContent {
                thought_signature: Some(seal),
            }),
        }
    }

    pub(super) fn seal(self) -> Option<String> {
        self.google?.thought_signature
    }
}

/// A mark for the provider's cache, as Anthropic writes it and OpenRouter passes it on.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct CacheControl {
    #[serde(rename = "type")]
    kind: Cow<'static, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ttl: Option<Cow<'static, str>>,
}

impl From<Cache> for CacheControl {
    fn from(cache: Cache) -> Self {
        Self {
            kind: Cow::Borrowed("ephemeral"),
            ttl: (cache == Cache::Hour).then_some(Cow::Borrowed("1h")),
        }
    }
}

impl From<CacheControl> for Cache {
    fn from(mark: CacheControl) -> Self {
        match mark.ttl.as_deref() {
            Some("1h") => Self::Hour,
            _ => Self::Usual,
        }
    }
}
