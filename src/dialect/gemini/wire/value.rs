//! Values that Google's JSON mapping writes in more than one way.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

use crate::dialect::common::Json;

/// Writes `value` behind what `out` holds.
pub fn write(value: &impl Serialize, out: &mut Vec<u8>) {
    // Values of ours have string keys and no failing serialisers, and memory takes every byte.
    serde_json::to_writer(out, value).expect("a value that is JSON");
}

/// `value` alone.
pub fn bytes(value: &impl Serialize) -> Vec<u8> {
    let mut out = Vec::new();
    write(value, &mut out);
    out
}

/// A string, borrowed where it has no escapes.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct Text<'a>(pub Cow<'a, str>);

impl Text<'_> {
    /// An owned copy.
    pub fn owned(&self) -> String {
        self.0.clone().into_owned()
    }
}

impl Deref for Text<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl<'a> From<&'a str> for Text<'a> {
    fn from(text: &'a str) -> Self {
        Self(Cow::Borrowed(text))
    }
}

impl From<String> for Text<'_> {
    fn from(text: String) -> Self {
        Self(Cow::Owned(text))
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Borrow<'a>(PhantomData<&'a ()>);

        impl<'de: 'a, 'a> Visitor<'de> for Borrow<'a> {
            type Value = Text<'a>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Text::from(text))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Text::from(text.to_owned()))
            }

            fn visit_string<E: Error>(self, text: String) -> Result<Self::Value, E> {
                Ok(Text::from(text))
            }
        }

        deserializer.deserialize_str(Borrow(PhantomData))
    }
}

/// JSON that is carried, not looked into.
#[derive(Clone, Debug)]
pub enum Raw<'a> {
    /// As it stands in what is read.
    Read(&'a RawValue),
    /// As the common form holds it.
    Carried(&'a Json),
    /// Made here.
    Made(Json),
}

impl Raw<'_> {
    /// The bytes as text.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Read(raw) => raw.get(),
            Self::Carried(json) => json.as_str(),
            Self::Made(json) => json.as_str(),
        }
    }

    /// An owned copy.
    pub fn json(&self) -> Json {
        match self {
            Self::Read(raw) => Json::of(raw),
            Self::Carried(json) => (*json).clone(),
            Self::Made(json) => json.clone(),
        }
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Raw<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        <&RawValue>::deserialize(deserializer).map(Self::Read)
    }
}

impl Serialize for Raw<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Read(raw) => raw.serialize(serializer),
            Self::Carried(json) => json.serialize(serializer),
            Self::Made(json) => json.serialize(serializer),
        }
    }
}

/// A list, or a single value in its place.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(transparent)]
pub struct Many<T>(pub Vec<T>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Many<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OneOrMore<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for OneOrMore<T> {
            type Value = Many<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
                let mut all = Vec::new();
                while let Some(one) = list.next_element()? {
                    all.push(one);
                }
                Ok(Many(all))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                let one = T::deserialize(MapAccessDeserializer::new(map))?;
                Ok(Many(vec![one]))
            }
        }

        deserializer.deserialize_any(OneOrMore(PhantomData))
    }
}

/// A whole number, also as `40.0` (what Google's Python SDK sends for `topK`) and as `"40"`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Whole<T>(pub T);

impl<'de, T: TryFrom<i128>> Deserialize<'de> for Whole<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AnyForm<T>(PhantomData<T>);

        impl<T: TryFrom<i128>> AnyForm<T> {
            fn fit<E: Error>(number: i128) -> Result<Whole<T>, E> {
                let number = T::try_from(number).map(Whole);
                number.map_err(|_| E::custom("a number out of range"))
            }
        }

        impl<T: TryFrom<i128>> Visitor<'_> for AnyForm<T> {
            type Value = Whole<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a whole number")
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<Self::Value, E> {
                Self::fit(number.into())
            }

            fn visit_i64<E: Error>(self, number: i64) -> Result<Self::Value, E> {
                Self::fit(number.into())
            }

            fn visit_f64<E: Error>(self, number: f64) -> Result<Self::Value, E> {
                // Beyond 2^53 a float no longer tells one whole number from the next.
                if number.fract() != 0.0 || number.abs() > 9_007_199_254_740_992.0 {
                    return Err(E::custom("no whole number"));
                }
                Self::fit(number as i128)
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
                let number: i64 = text.parse().map_err(|_| E::custom("no whole number"))?;
                Self::fit(number.into())
            }
        }

        deserializer.deserialize_any(AnyForm(PhantomData))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_lists_are_read_in_every_form() {
        for text in ["40", "40.0", "\"40\""] {
            let number: Whole<u64> = serde_json::from_str(text).unwrap();
            assert_eq!(number, Whole(40), "{text}");
        }
        for text in ["40.5", "-1", "1e300", "\"x\"", "true"] {
            assert!(serde_json::from_str::<Whole<u64>>(text).is_err(), "{text}");
        }
        let one: Many<super::super::Content<'_>> =
            serde_json::from_str(r#"{"role":"USER","parts":{"text":"a"}}"#).unwrap();
        assert_eq!(one.0.len(), 1);
        assert_eq!(one.0[0].parts.as_ref().unwrap().0.len(), 1);
    }
}
