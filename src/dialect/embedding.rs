//! Embeddings in a common form. Callers ask for them as OpenAI has it (source: OpenAI's API reference, "Embeddings");
//! targets of other dialects are asked by the rooms of those.

use std::fmt;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::de::{self, Deserializer, SeqAccess, Visitor};
use serde::ser::Serializer;
use serde::{Deserialize, Serialize};

use super::common::{Dropped, Json, Malformed, Outgoing};
use super::{Dialect, Error, Kind, Usage, bedrock, cohere, gemini};

/// The most inputs of one request: OpenAI's own limit.
pub const INPUTS_MAX: usize = 2_048;

/// What a caller asks for.
#[derive(Clone, Debug, PartialEq)]
pub struct EmbeddingRequest {
    /// The model's name.
    pub model: String,
    /// What shall be embedded.
    pub inputs: Inputs,
    /// How many numbers an embedding shall have.
    pub dimensions: Option<u64>,
    /// How they shall be written.
    pub encoding: Encoding,
    /// The caller's own user.
    pub user: Option<String>,
    /// What the embeddings are for: not OpenAI's, but Cohere's and, under other names, Google's.
    pub input_type: Option<String>,
    /// `NONE`, `START` or `END`: Cohere's, as `input_type`.
    pub truncate: Option<String>,
    /// Fields that have no place above, in their order.
    pub extra: Vec<(String, Json)>,
}

/// What shall be embedded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Inputs {
    /// Texts.
    Texts(Vec<String>),
    /// Numbers of tokens, which mean the same only to the model's own tokenizer.
    Tokens(Vec<Vec<u64>>),
}

/// How the numbers of an embedding are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Encoding {
    /// As a list of numbers.
    #[default]
    Float,
    /// As the base64 of 32-bit floats in little-endian order, which OpenAI's SDKs ask for.
    Base64,
}

/// An optional field of [`EmbeddingRequest`] that some targets know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    /// `dimensions`
    Dimensions,
    /// `input_type`
    InputType,
    /// `truncate`
    Truncate,
    /// `user`
    User,
}

impl EmbeddingRequest {
    /// The texts, for a target that has another tokenizer than the caller had in mind.
    ///
    /// # Errors
    /// The inputs are tokens.
    pub fn texts(&self) -> Result<Vec<&str>, Error> {
        match &self.inputs {
            Inputs::Texts(texts) => Ok(texts.iter().map(String::as_str).collect()),
            Inputs::Tokens(_) => {
                let message = "tokens can be embedded by OpenAI's models only; send texts";
                Err(Error::invalid("input", message))
            }
        }
    }

    /// What is lost at a target of `dialect`.
    pub fn dropped(&self, dialect: Dialect) -> Dropped {
        let known: &[Field] = match dialect {
            Dialect::Cohere => &[Field::Dimensions, Field::InputType, Field::Truncate],
            _ => &[Field::Dimensions],
        };
        let mut dropped = Dropped::default();
        for (is_given, field, name) in [
            (self.dimensions.is_some(), Field::Dimensions, "dimensions"),
            (self.input_type.is_some(), Field::InputType, "input_type"),
            (self.truncate.is_some(), Field::Truncate, "truncate"),
            (self.user.is_some(), Field::User, "user"),
        ] {
            if is_given && !known.contains(&field) {
                dropped.note_name(name);
            }
        }
        for (name, _) in &self.extra {
            dropped.note_name(name);
        }
        dropped
    }
}

/// The most texts that one call to a target of `dialect` embeds.
pub fn texts_per_call(dialect: Dialect, model: &str) -> usize {
    match dialect {
        Dialect::Gemini => gemini::EMBEDDING_INPUTS_MAX,
        Dialect::Bedrock => bedrock::inputs_per_call(model),
        Dialect::Cohere => cohere::EMBEDDING_INPUTS_MAX,
        _ => INPUTS_MAX,
    }
}

/// Writes the call that embeds `texts`, no more than [`texts_per_call`] of the request's.
///
/// # Errors
/// The target cannot embed them so.
pub fn write_request(
    dialect: Dialect,
    request: &EmbeddingRequest,
    texts: &[&str],
    to: &Outgoing<'_>,
) -> Result<Vec<u8>, Error> {
    let EmbeddingRequest {
        dimensions,
        input_type,
        truncate,
        ..
    } = request;
    match dialect {
        Dialect::Gemini => Ok(gemini::write_embedding_request(
            texts,
            to.model,
            *dimensions,
            to.is_vertex,
        )),
        Dialect::Bedrock => bedrock::write_embedding_request(texts, to.model, *dimensions),
        Dialect::Cohere => Ok(cohere::write_embedding_request(
            texts,
            to.model,
            *dimensions,
            input_type.as_deref(),
            truncate.as_deref(),
        )),
        _ => Err(Error::invalid("model", "the target makes no embeddings")),
    }
}

/// Reads the embeddings of `texts` texts in their order, and what they cost, where the body tells.
///
/// # Errors
/// It is no such answer, or one with another number of embeddings.
pub fn read_answer(
    dialect: Dialect,
    body: &[u8],
    texts: usize,
) -> Result<(Vec<Vec<f64>>, Option<Usage>), Malformed> {
    let (vectors, usage) = match dialect {
        Dialect::Gemini => gemini::read_embedding_answer(body, texts),
        Dialect::Bedrock => bedrock::read_embedding_answer(body),
        Dialect::Cohere => cohere::read_embedding_answer(body, texts),
        _ => Err(Malformed("a dialect without embeddings".to_owned())),
    }?;
    match vectors.len() == texts {
        true => Ok((vectors, usage)),
        false => Err(Malformed(
            "another number of embeddings than of texts".to_owned(),
        )),
    }
}

/// Reads a caller's request.
///
/// # Errors
/// [`Kind::InvalidRequest`], with `param` where a field is at fault.
pub fn read_request(body: &[u8]) -> Result<EmbeddingRequest, Error> {
    let Members(members) = serde_json::from_slice(body)
        .map_err(|_| Error::new(Kind::InvalidRequest, "the body is not a JSON object"))?;
    let mut request = EmbeddingRequest {
        model: String::new(),
        inputs: Inputs::Texts(Vec::new()),
        dimensions: None,
        encoding: Encoding::Float,
        user: None,
        input_type: None,
        truncate: None,
        extra: Vec::new(),
    };
    let mut has_inputs = false;
    for (name, json) in members {
        let raw = json.as_str();
        match name.as_str() {
            _ if raw == "null" => {}
            "model" => request.model = parse(raw, &name, "a string")?,
            "input" => {
                request.inputs = parse(raw, &name, "a string, strings, tokens or lists of tokens")?;
                has_inputs = true;
            }
            "dimensions" => request.dimensions = Some(parse(raw, &name, "a whole number")?),
            "encoding_format" => request.encoding = parse(raw, &name, "float or base64")?,
            "user" => request.user = Some(parse(raw, &name, "a string")?),
            "input_type" => request.input_type = Some(parse(raw, &name, "a string")?),
            "truncate" => request.truncate = Some(parse(raw, &name, "a string")?),
            _ => request.extra.push((name, json)),
        }
    }
    if !has_inputs {
        return Err(Error::invalid("input", "the field `input` is missing"));
    }
    let count = match &request.inputs {
        Inputs::Texts(texts) => texts.len(),
        Inputs::Tokens(lists) => lists.len(),
    };
    match count {
        0 => Err(Error::invalid("input", "`input` is empty")),
        1..=INPUTS_MAX => Ok(request),
        _ => {
            let message = format!("`input` has more than {INPUTS_MAX} entries");
            Err(Error::invalid("input", message))
        }
    }
}

fn parse<'a, T: Deserialize<'a>>(json: &'a str, name: &str, expected: &str) -> Result<T, Error> {
    serde_json::from_str(json)
        .map_err(|_| Error::invalid(name, format!("`{name}` must be {expected}")))
}

/// Writes the answer for a caller: the embeddings in the order of the inputs. Usage that is not known is zero, since
/// OpenAI's types leave no room for less.
pub fn write_answer(
    vectors: &[Vec<f64>],
    model: &str,
    usage: Option<Usage>,
    encoding: Encoding,
) -> Vec<u8> {
    let tokens = usage.unwrap_or_default().input_tokens;
    let data = vectors.iter().enumerate().map(|(index, numbers)| Entry {
        object: "embedding",
        index,
        embedding: Numbers { numbers, encoding },
    });
    let list = List {
        object: "list",
        data: data.collect(),
        model,
        usage: WrittenUsage {
            prompt_tokens: tokens,
            total_tokens: tokens,
        },
    };
    serde_json::to_vec(&list).unwrap_or_default()
}

#[derive(Serialize)]
struct List<'a> {
    object: &'static str,
    data: Vec<Entry<'a>>,
    model: &'a str,
    usage: WrittenUsage,
}

#[derive(Serialize)]
struct Entry<'a> {
    object: &'static str,
    index: usize,
    embedding: Numbers<'a>,
}

#[derive(Serialize)]
struct WrittenUsage {
    prompt_tokens: u64,
    total_tokens: u64,
}

struct Numbers<'a> {
    numbers: &'a [f64],
    encoding: Encoding,
}

impl Serialize for Numbers<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.encoding {
            Encoding::Float => serializer.collect_seq(self.numbers),
            Encoding::Base64 => {
                let single = |number: &f64| (*number as f32).to_le_bytes();
                let bytes: Vec<u8> = self.numbers.iter().flat_map(single).collect();
                serializer.serialize_str(&BASE64_STANDARD.encode(bytes))
            }
        }
    }
}

/// The members of an object, in their order.
struct Members(Vec<(String, Json)>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;

        impl<'de> Visitor<'de> for Object {
            type Value = Members;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }

        deserializer.deserialize_map(Object)
    }
}

impl<'de> Deserialize<'de> for Inputs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OneOrMany;

        impl<'de> Visitor<'de> for OneOrMany {
            type Value = Inputs;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("inputs")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Inputs, E> {
                Ok(Inputs::Texts(vec![text.to_owned()]))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Inputs, A::Error> {
                match list.next_element()? {
                    None => Ok(Inputs::Texts(Vec::new())),
                    Some(Input::Text(first)) => Ok(Inputs::Texts(rest(first, list)?)),
                    Some(Input::Token(first)) => Ok(Inputs::Tokens(vec![rest(first, list)?])),
                    Some(Input::Tokens(first)) => Ok(Inputs::Tokens(rest(first, list)?)),
                }
            }
        }

        deserializer.deserialize_any(OneOrMany)
    }
}

/// The list that begins with `first`, whose kind all others must have.
fn rest<'de, T: Deserialize<'de>, A: SeqAccess<'de>>(
    first: T,
    mut list: A,
) -> Result<Vec<T>, A::Error> {
    let mut all = vec![first];
    while let Some(next) = list.next_element()? {
        all.push(next);
    }
    Ok(all)
}

/// The first of a list of inputs.
#[derive(Deserialize)]
#[serde(untagged)]
enum Input {
    Text(String),
    Token(u64),
    Tokens(Vec<u64>),
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn read(body: &Value) -> Result<EmbeddingRequest, Error> {
        read_request(body.to_string().as_bytes())
    }

    #[test]
    fn every_kind_of_input_is_read() {
        let texts = |texts: &[&str]| {
            let texts = texts.iter().map(ToString::to_string);
            Inputs::Texts(texts.collect())
        };
        for (input, wanted) in [
            (json!("a\n"), texts(&["a\n"])),
            (json!(["a", "b"]), texts(&["a", "b"])),
            (json!([1, 2]), Inputs::Tokens(vec![vec![1, 2]])),
            (json!([[1], []]), Inputs::Tokens(vec![vec![1], vec![]])),
        ] {
            let request = read(&json!({"model": "m", "input": input})).unwrap();
            assert_eq!(request.inputs, wanted);
            assert_eq!(request.texts().is_ok(), matches!(wanted, Inputs::Texts(_)));
        }
    }

    #[test]
    fn a_bad_field_is_named() {
        let many = vec!["a"; INPUTS_MAX + 1];
        for (body, param) in [
            (json!({"model": "m"}), "input"),
            (json!({"input": []}), "input"),
            (json!({"input": ["a", 1]}), "input"),
            (json!({"input": [-1]}), "input"),
            (json!({"input": {}}), "input"),
            (json!({"input": many}), "input"),
            (json!({"input": "a", "dimensions": "few"}), "dimensions"),
            (
                json!({"input": "a", "encoding_format": "hex"}),
                "encoding_format",
            ),
            (json!({"input": "a", "model": 1}), "model"),
        ] {
            let error = read(&body).unwrap_err();
            assert_eq!(error.param.as_deref(), Some(param), "{param}");
        }
        assert!(read_request(b"[1").is_err());
        let tokens = read(&json!({"input": [1]})).unwrap();
        assert_eq!(tokens.texts().unwrap_err().param.as_deref(), Some("input"));
    }

    #[test]
    fn what_a_target_does_not_know_is_told() {
        let request = read(
            &json!({"input": "a", "user": "u", "dimensions": 8, "truncate": "END",
            "input_type": "search_query", "future": 1}),
        )
        .unwrap();
        let dropped = |dialect| request.dropped(dialect).joined();
        assert_eq!(dropped(Dialect::Cohere), "user,future");
        assert_eq!(dropped(Dialect::Gemini), "input_type,truncate,user,future");
    }

    #[test]
    fn both_encodings_hold_the_same_numbers() {
        let vectors = [vec![0.5, -1.25], vec![0.015943069, 3.0]];
        let usage = Usage {
            input_tokens: 7,
            ..Usage::default()
        };
        let written = |encoding| -> Value {
            let body = write_answer(&vectors, "m", Some(usage), encoding);
            serde_json::from_slice(&body).unwrap()
        };
        assert_eq!(
            written(Encoding::Float),
            json!({"object": "list", "model": "m",
                "data": [
                    {"object": "embedding", "index": 0, "embedding": [0.5, -1.25]},
                    {"object": "embedding", "index": 1, "embedding": [0.015943069, 3.0]}],
                "usage": {"prompt_tokens": 7, "total_tokens": 7}})
        );
        let coded = written(Encoding::Base64);
        let bytes = BASE64_STANDARD
            .decode(coded["data"][1]["embedding"].as_str().unwrap())
            .unwrap();
        let numbers: Vec<_> = bytes
            .chunks_exact(4)
            .map(|four| f32::from_le_bytes(four.try_into().unwrap()))
            .collect();
        assert_eq!(numbers, [0.015943069, 3.0]);
    }
}
