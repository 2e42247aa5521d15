//! "One or several": a mapping, or a list of such.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

/// One mapping, or a list of such: `budget: { usd: 5, … }` or `budget: [{ usd: 5, … }, { usd: 50, … }]`.
///
/// As with [`ScalarOr`](super::ScalarOr), an error in it says what was refused, which serde's `untagged` does not.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(untagged)]
pub enum OneOrMany<T> {
    /// The short form.
    One(T),
    /// The long form.
    Many(Vec<T>),
}

impl<T> OneOrMany<T> {
    /// Each, with its own path in the document where the field is at `path`.
    pub fn located<'a>(&'a self, path: &[&str]) -> Vec<(Vec<String>, &'a T)> {
        let path = || path.iter().map(|segment| (*segment).to_owned());
        match self {
            Self::One(only) => vec![(path().collect(), only)],
            Self::Many(items) => {
                let numbered = items.iter().enumerate();
                let located =
                    |(at, item): (usize, _)| (path().chain([at.to_string()]).collect(), item);
                numbered.map(located).collect()
            }
        }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for OneOrMany<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ByKind(PhantomData))
    }
}

impl<T: JsonSchema> JsonSchema for OneOrMany<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("One_or_many_{}", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let forms = [
            generator.subschema_for::<T>(),
            generator.subschema_for::<Vec<T>>(),
        ];
        json_schema!({ "anyOf": forms })
    }
}

/// Goes by what the value is.
struct ByKind<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for ByKind<T> {
    type Value = OneOrMany<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a mapping or a list of mappings")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> Result<Self::Value, A::Error> {
        Vec::deserialize(SeqAccessDeserializer::new(items)).map(OneOrMany::Many)
    }

    fn visit_map<A: MapAccess<'de>>(self, entries: A) -> Result<Self::Value, A::Error> {
        T::deserialize(MapAccessDeserializer::new(entries)).map(OneOrMany::One)
    }
}
