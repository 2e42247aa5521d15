//! What a strict reader finds wrong.

use serde_json::Value;

/// Everything that was found wrong, in words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Complaints(pub Vec<String>);

impl Complaints {
    /// Complains.
    pub fn add(&mut self, what: impl Into<String>) {
        // One fault may show at every event: a few times is enough.
        if self.0.len() < 12 {
            self.0.push(what.into());
        }
    }

    /// Complains unless it `holds`.
    pub fn unless(&mut self, holds: bool, what: impl FnOnce() -> String) {
        if !holds {
            self.add(what());
        }
    }

    /// Complains unless the two are equal.
    pub fn equal<T: PartialEq<U> + std::fmt::Debug, U: std::fmt::Debug>(
        &mut self,
        what: &str,
        found: &T,
        expected: &U,
    ) {
        self.unless(found == expected, || {
            format!("{what}: found {found:?}, expected {expected:?}")
        });
    }

    /// The string at `pointer`; a complaint where there is none.
    pub fn text(&mut self, object: &Value, pointer: &str) -> String {
        match object.pointer(pointer) {
            Some(Value::String(text)) => text.clone(),
            other => {
                self.add(format!("{pointer} should be a string, is {}", shown(other)));
                String::new()
            }
        }
    }

    /// The string at `pointer`, which must begin with `prefix` and go on.
    pub fn id(&mut self, object: &Value, pointer: &str, prefix: &str) -> String {
        let id = self.text(object, pointer);
        self.unless(id.starts_with(prefix) && id.len() > prefix.len(), || {
            format!("{pointer} should begin with {prefix:?}, is {id:?}")
        });
        id
    }

    /// The whole number at `pointer`; a complaint where there is none.
    pub fn number(&mut self, object: &Value, pointer: &str) -> u64 {
        match object.pointer(pointer).and_then(Value::as_u64) {
            Some(number) => number,
            None => {
                let found = shown(object.pointer(pointer));
                self.add(format!("{pointer} should be a whole number, is {found}"));
                0
            }
        }
    }

    /// The list at `pointer`; a complaint where there is none.
    pub fn list(&mut self, object: &Value, pointer: &str) -> Vec<Value> {
        match object.pointer(pointer) {
            Some(Value::Array(list)) => list.clone(),
            other => {
                self.add(format!("{pointer} should be a list, is {}", shown(other)));
                Vec::new()
            }
        }
    }

    /// Complains unless the value at `pointer` is `expected`.
    pub fn is(&mut self, object: &Value, pointer: &str, expected: impl Into<Value>) {
        let expected = expected.into();
        let found = object.pointer(pointer);
        self.unless(found == Some(&expected), || {
            format!(
                "{pointer} should be {}, is {}",
                shown(Some(&expected)),
                shown(found)
            )
        });
    }

    /// Complains of every field of `object` that is none of `known`, as providers do.
    pub fn only(&mut self, what: &str, object: &Value, known: &[&str]) {
        let Some(fields) = object.as_object() else {
            return self.add(format!(
                "{what} should be an object, is {}",
                shown(Some(object))
            ));
        };
        for name in fields.keys() {
            self.unless(known.contains(&name.as_str()), || {
                format!("{what} has the unknown field {name}")
            });
        }
    }

    /// The text as JSON; a complaint where it is none.
    pub fn json(&mut self, what: &str, text: &[u8]) -> Value {
        serde_json::from_slice(text).unwrap_or_else(|error| {
            let text = String::from_utf8_lossy(text);
            self.add(format!("{what}: {error} in {:?}", brief(&text)));
            Value::Null
        })
    }
}

/// A value in few words.
pub fn shown(value: Option<&Value>) -> String {
    match value {
        None => "absent".to_owned(),
        Some(value) => brief(&value.to_string()),
    }
}

/// The beginning of a text.
pub fn brief(text: &str) -> String {
    const LENGTH_MAX: usize = 300;
    match text.char_indices().nth(LENGTH_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
