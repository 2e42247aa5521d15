//! Whether JSON fits a caller's JSON Schema.
//!
//! Not the `jsonschema` crate, which the tests hold this against: a schema comes from a caller and a value from a model that
//! may be told what to say, and a few references in each other take that crate a time without a bound. Here every step
//! is counted, nothing is compiled for a single answer but patterns, and what is not known (remote references, rare
//! keywords) decides nothing.

use std::collections::HashMap;

use regex::{Regex, RegexBuilder};
use serde_json::{Map, Number, Value};

use crate::dialect::common::Json;

/// Whether it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fit {
    Fits,
    Misfits,
    /// The schema says what this does not understand, or takes too long.
    Unknown,
}

/// The largest schema that is read, in bytes. OpenAI takes schemas of 120,000 characters.
const SCHEMA_MAX: usize = 256 << 10;

/// The most steps of a check: schemas that are held against values. An answer of 256 KiB with a usual schema takes a tenth.
const STEPS_MAX: usize = 200_000;

/// How deep schemas may lead into each other, on the stack.
const DEPTH_MAX: usize = 192;

/// How large a compiled pattern may be, in bytes.
const PATTERN_BYTES_MAX: usize = 256 << 10;

/// The most patterns of a schema that are compiled.
const PATTERNS_MAX: usize = 32;

/// A step for so many characters that a pattern goes over.
const CHARS_A_STEP: usize = 64;

/// Keywords that say nothing about whether a value fits, or are looked at beside another.
const SILENT: [&str; 28] = [
    "$schema",
    "$id",
    "$comment",
    "$defs",
    "definitions",
    "title",
    "description",
    "default",
    "example",
    "examples",
    "deprecated",
    "readOnly",
    "writeOnly",
    "format",
    "contentEncoding",
    "contentMediaType",
    "nullable",
    "then",
    "else",
    "discriminator",
    "propertyOrdering",
    "additionalProperties",
    "patternProperties",
    "prefixItems",
    "propertyNames",
    "strict",
    "name",
    "$anchor",
];

/// Holds a value against a schema.
pub(super) fn fit(schema: &Json, value: &Value) -> Fit {
    if schema.as_str().len() > SCHEMA_MAX {
        return Fit::Unknown;
    }
    let root = schema.value();
    let mut checker = Checker {
        root: &root,
        steps: STEPS_MAX,
        patterns: HashMap::new(),
    };
    match checker.fits(&root, value, 0) {
        Ok(true) => Fit::Fits,
        Ok(false) => Fit::Misfits,
        Err(Undecided) => Fit::Unknown,
    }
}

/// The schema is beyond what is understood, or beyond a bound.
struct Undecided;

type Fits = Result<bool, Undecided>;

struct Checker<'s> {
    root: &'s Value,
    steps: usize,
    patterns: HashMap<&'s str, Regex>,
}

impl<'s> Checker<'s> {
    fn fits(&mut self, schema: &'s Value, value: &Value, depth: usize) -> Fits {
        self.spend(1)?;
        let keywords = match schema {
            Value::Bool(fits) => return Ok(*fits),
            Value::Object(keywords) if depth < DEPTH_MAX => keywords,
            _ => return Err(Undecided),
        };
        if value.is_null() && keywords.get("nullable") == Some(&Value::Bool(true)) {
            return Ok(true);
        }
        for (keyword, wanted) in keywords {
            if !self.holds(keywords, keyword, wanted, value, depth + 1)? {
                return Ok(false);
            }
        }
        Ok(self.members(keywords, value, depth + 1)? && self.items(keywords, value, depth + 1)?)
    }

    /// What one keyword says, but for those that members and items are looked at by.
    fn holds(
        &mut self,
        keywords: &'s Map<String, Value>,
        keyword: &str,
        wanted: &'s Value,
        value: &Value,
        depth: usize,
    ) -> Fits {
        match keyword {
            "$ref" => {
                let target = self.target(wanted)?;
                self.fits(target, value, depth)
            }
            "type" => is_of_type(wanted, value),
            "enum" => {
                let words = wanted.as_array().ok_or(Undecided)?;
                self.spend(words.len())?;
                Ok(words.iter().any(|word| is_equal(word, value)))
            }
            "const" => Ok(is_equal(wanted, value)),
            "allOf" => {
                for schema in list(wanted)? {
                    if !self.fits(schema, value, depth)? {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
            "anyOf" => {
                for schema in list(wanted)? {
                    if self.fits(schema, value, depth)? {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
            "oneOf" => {
                let mut fitting = 0;
                for schema in list(wanted)? {
                    fitting += usize::from(self.fits(schema, value, depth)?);
                }
                Ok(fitting == 1)
            }
            "not" => Ok(!self.fits(wanted, value, depth)?),
            "if" => {
                let branch = match self.fits(wanted, value, depth)? {
                    true => "then",
                    false => "else",
                };
                match keywords.get(branch) {
                    Some(branch) => self.fits(branch, value, depth),
                    None => Ok(true),
                }
            }
            "minLength" | "maxLength" | "pattern" => match value {
                Value::String(text) => self.text_holds(keyword, wanted, text),
                _ => Ok(true),
            },
            "minimum" | "maximum" | "exclusiveMinimum" | "exclusiveMaximum" | "multipleOf" => {
                match value {
                    Value::Number(number) => number_holds(keyword, wanted, number),
                    _ => Ok(true),
                }
            }
            "minItems" | "maxItems" | "uniqueItems" | "items" => match value {
                Value::Array(items) => self.list_holds(keyword, wanted, items),
                _ => Ok(true),
            },
            "required" | "minProperties" | "maxProperties" | "properties" => match value {
                Value::Object(members) => object_holds(keyword, wanted, members),
                _ => Ok(true),
            },
            _ if SILENT.contains(&keyword) || keyword.starts_with("x-") => Ok(true),
            _ => Err(Undecided),
        }
    }

    fn text_holds(&mut self, keyword: &str, wanted: &'s Value, text: &str) -> Fits {
        match keyword {
            "minLength" => Ok(text.chars().count() >= count(wanted)?),
            "maxLength" => Ok(text.chars().count() <= count(wanted)?),
            _ => self.matches(wanted.as_str().ok_or(Undecided)?, text),
        }
    }

    fn list_holds(&mut self, keyword: &str, wanted: &'s Value, items: &[Value]) -> Fits {
        match keyword {
            "minItems" => Ok(items.len() >= count(wanted)?),
            "maxItems" => Ok(items.len() <= count(wanted)?),
            "uniqueItems" if wanted == &Value::Bool(true) => {
                self.spend(items.len().saturating_mul(items.len()) / 2)?;
                let is_repeated = |(index, item): (usize, &Value)| {
                    items[..index].iter().any(|other| is_equal(item, other))
                };
                Ok(!items.iter().enumerate().any(is_repeated))
            }
            // The tuples of older drafts.
            "items" if wanted.is_array() => Err(Undecided),
            _ => Ok(true),
        }
    }

    /// Members by `properties`, `patternProperties` and `additionalProperties`, which belong together, and their names.
    fn members(&mut self, keywords: &'s Map<String, Value>, value: &Value, depth: usize) -> Fits {
        let Value::Object(members) = value else {
            return Ok(true);
        };
        let named = keywords.get("properties").and_then(Value::as_object);
        let patterns = keywords.get("patternProperties").and_then(Value::as_object);
        let others = keywords.get("additionalProperties");
        let names = keywords.get("propertyNames");
        for (name, member) in members {
            if let Some(schema) = names
                && !self.fits(schema, &Value::from(name.as_str()), depth)?
            {
                return Ok(false);
            }
            let mut is_known = false;
            if let Some(schema) = named.and_then(|named| named.get(name)) {
                is_known = true;
                if !self.fits(schema, member, depth)? {
                    return Ok(false);
                }
            }
            for (pattern, schema) in patterns.into_iter().flatten() {
                if !self.matches(pattern, name)? {
                    continue;
                }
                is_known = true;
                if !self.fits(schema, member, depth)? {
                    return Ok(false);
                }
            }
            let other = others.filter(|_| !is_known);
            if let Some(schema) = other
                && !self.fits(schema, member, depth)?
            {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Items by `prefixItems` and `items`.
    fn items(&mut self, keywords: &'s Map<String, Value>, value: &Value, depth: usize) -> Fits {
        let Value::Array(items) = value else {
            return Ok(true);
        };
        let prefix = keywords.get("prefixItems").and_then(Value::as_array);
        for (index, item) in items.iter().enumerate() {
            let own = prefix.and_then(|prefix| prefix.get(index));
            if let Some(schema) = own.or_else(|| keywords.get("items"))
                && !self.fits(schema, item, depth)?
            {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// What a reference within the schema leads to.
    fn target(&self, reference: &Value) -> Result<&'s Value, Undecided> {
        let pointer = reference.as_str().and_then(|text| text.strip_prefix('#'));
        // A name behind the `#` is no pointer; a `%` would have to be decoded.
        let pointer = pointer.filter(|pointer| !pointer.contains('%'));
        pointer
            .and_then(|pointer| self.root.pointer(pointer))
            .ok_or(Undecided)
    }

    fn matches(&mut self, pattern: &'s str, text: &str) -> Fits {
        self.spend(1 + text.len() / CHARS_A_STEP)?;
        if !self.patterns.contains_key(pattern) {
            if self.patterns.len() == PATTERNS_MAX {
                return Err(Undecided);
            }
            let mut builder = RegexBuilder::new(pattern);
            let regex = builder.size_limit(PATTERN_BYTES_MAX).build();
            // JavaScript's look-around is not there.
            self.patterns.insert(pattern, regex.map_err(|_| Undecided)?);
        }
        Ok(self.patterns[pattern].is_match(text))
    }

    fn spend(&mut self, steps: usize) -> Result<(), Undecided> {
        self.steps = self.steps.checked_sub(steps).ok_or(Undecided)?;
        Ok(())
    }
}

fn list(schemas: &Value) -> Result<&Vec<Value>, Undecided> {
    schemas.as_array().ok_or(Undecided)
}

fn count(wanted: &Value) -> Result<usize, Undecided> {
    let count = wanted.as_f64().filter(|count| *count >= 0.0);
    Ok(count.ok_or(Undecided)? as usize)
}

fn is_of_type(wanted: &Value, value: &Value) -> Fits {
    let is_of = |name: &Value| match name.as_str() {
        Some("null") => Ok(value.is_null()),
        Some("boolean") => Ok(value.is_boolean()),
        Some("string") => Ok(value.is_string()),
        Some("array") => Ok(value.is_array()),
        Some("object") => Ok(value.is_object()),
        Some("number") => Ok(value.is_number()),
        Some("integer") => {
            let is_whole = |number: f64| number.fract() == 0.0;
            Ok(value.is_i64() || value.is_u64() || value.as_f64().is_some_and(is_whole))
        }
        _ => Err(Undecided),
    };
    match wanted {
        Value::Array(names) => {
            for name in names {
                if is_of(name)? {
                    return Ok(true);
                }
            }
            Ok(false)
        }
        name => is_of(name),
    }
}

fn number_holds(keyword: &str, wanted: &Value, number: &Number) -> Fits {
    if let (Some(number), Some(wanted)) = (number.as_i64(), wanted.as_i64()) {
        return match keyword {
            "minimum" => Ok(number >= wanted),
            "maximum" => Ok(number <= wanted),
            "exclusiveMinimum" => Ok(number > wanted),
            "exclusiveMaximum" => Ok(number < wanted),
            _ => Ok(number.checked_rem(wanted).ok_or(Undecided)? == 0),
        };
    }
    let number = number.as_f64().ok_or(Undecided)?;
    let wanted = wanted.as_f64().ok_or(Undecided)?;
    match keyword {
        "minimum" => Ok(number >= wanted),
        "maximum" => Ok(number <= wanted),
        "exclusiveMinimum" => Ok(number > wanted),
        "exclusiveMaximum" => Ok(number < wanted),
        // 0.3 is a multiple of 0.1, whatever binary fractions make of it.
        _ => {
            let times = number / wanted;
            Ok((times - times.round()).abs() <= 1e-9 * times.abs().max(1.0))
        }
    }
}

fn object_holds(keyword: &str, wanted: &Value, members: &Map<String, Value>) -> Fits {
    match keyword {
        "required" => {
            let mut names = list(wanted)?.iter();
            Ok(names.all(|name| name.as_str().is_none_or(|name| members.contains_key(name))))
        }
        "minProperties" => Ok(members.len() >= count(wanted)?),
        "maxProperties" => Ok(members.len() <= count(wanted)?),
        _ => Ok(true),
    }
}

/// Equal as JSON Schema has it: 1 is 1.0.
fn is_equal(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a == b || a.as_f64() == b.as_f64(),
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| is_equal(a, b))
        }
        (Value::Object(a), Value::Object(b)) => {
            let has = |(name, value)| b.get(name).is_some_and(|other| is_equal(value, other));
            a.len() == b.len() && a.iter().all(has)
        }
        _ => a == b,
    }
}
