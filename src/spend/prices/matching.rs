//! Which names an entry of the catalogue is about.

use regex::Regex;
use serde::Deserialize;

/// A test on a name, without regard to case.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case", try_from = "Written")]
pub enum Match {
    /// It is this.
    Equals(String),
    /// It begins so.
    StartsWith(String),
    /// It ends so.
    EndsWith(String),
    /// It holds this.
    Contains(String),
    /// An expression finds something in it.
    Regex(Regex),
    /// One of these is true.
    Or(Vec<Match>),
    /// All of these are true.
    And(Vec<Match>),
}

/// The same as it stands in the file.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Written {
    Equals(String),
    StartsWith(String),
    EndsWith(String),
    Contains(String),
    Regex(String),
    Or(Vec<Match>),
    And(Vec<Match>),
}

impl TryFrom<Written> for Match {
    type Error = regex::Error;

    fn try_from(written: Written) -> Result<Self, regex::Error> {
        Ok(match written {
            Written::Equals(text) => Self::Equals(text.to_lowercase()),
            Written::StartsWith(text) => Self::StartsWith(text.to_lowercase()),
            Written::EndsWith(text) => Self::EndsWith(text.to_lowercase()),
            Written::Contains(text) => Self::Contains(text.to_lowercase()),
            Written::Regex(text) => Self::Regex(Regex::new(&format!("(?i){text}"))?),
            Written::Or(tests) => Self::Or(tests),
            Written::And(tests) => Self::And(tests),
        })
    }
}

impl Match {
    /// Whether it is about `name`, which is in lower case.
    pub fn is_about(&self, name: &str) -> bool {
        match self {
            Self::Equals(text) => name == text,
            Self::StartsWith(text) => name.starts_with(text),
            Self::EndsWith(text) => name.ends_with(text),
            Self::Contains(text) => name.contains(text),
            Self::Regex(regex) => regex.is_match(name),
            Self::Or(tests) => tests.iter().any(|test| test.is_about(name)),
            Self::And(tests) => tests.iter().all(|test| test.is_about(name)),
        }
    }
}
