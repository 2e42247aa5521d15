//! "A word or a mapping": the one kind of union that the file needs most.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{IntoDeserializer, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

/// A scalar of one type, or a list or mapping of another: `listen: 0.0.0.0:8080` or `listen: { address: … }`.
///
/// serde's `untagged` would do, but it tells neither which form a value was meant to have nor what in it was refused.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(untagged)]
pub enum ScalarOr<S, C> {
    /// The short form.
    Scalar(S),
    /// The long form.
    Collection(C),
}

impl<'de, S: Deserialize<'de>, C: Deserialize<'de>> Deserialize<'de> for ScalarOr<S, C> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ByKind(PhantomData))
    }
}

impl<S: JsonSchema, C: JsonSchema> JsonSchema for ScalarOr<S, C> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("{}_or_{}", S::schema_name(), C::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let forms = [
            generator.subschema_for::<S>(),
            generator.subschema_for::<C>(),
        ];
        json_schema!({ "anyOf": forms })
    }
}

/// Goes by what the value is.
struct ByKind<S, C>(PhantomData<(S, C)>);

impl<'de, S: Deserialize<'de>, C: Deserialize<'de>> Visitor<'de> for ByKind<S, C> {
    type Value = ScalarOr<S, C>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a scalar, a list or a mapping")
    }

    fn visit_bool<E: serde::de::Error>(self, value: bool) -> Result<Self::Value, E> {
        S::deserialize(value.into_deserializer()).map(ScalarOr::Scalar)
    }

    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<Self::Value, E> {
        S::deserialize(value.into_deserializer()).map(ScalarOr::Scalar)
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<Self::Value, E> {
        S::deserialize(value.into_deserializer()).map(ScalarOr::Scalar)
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Self::Value, E> {
        S::deserialize(value.into_deserializer()).map(ScalarOr::Scalar)
    }

    fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<Self::Value, E> {
        S::deserialize(value.into_deserializer()).map(ScalarOr::Scalar)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> Result<Self::Value, A::Error> {
        C::deserialize(SeqAccessDeserializer::new(items)).map(ScalarOr::Collection)
    }

    fn visit_map<A: MapAccess<'de>>(self, entries: A) -> Result<Self::Value, A::Error> {
        C::deserialize(MapAccessDeserializer::new(entries)).map(ScalarOr::Collection)
    }
}
