//! How long a model's answers and its context window can be, as providers publish it.

use std::collections::HashMap;
use std::sync::LazyLock;

use parking_lot::RwLock;
use serde::Deserialize;

use super::prices::Match;

/// `config/answers.json`: its models, of which the first that matches is meant.
static KNOWN: LazyLock<Vec<Known>> = LazyLock::new(|| {
    let json = include_str!("../../config/answers.json");
    let file: File = serde_json::from_str(json).expect("a test reads it");
    file.models
});

/// By the model's name.
static FOUND: LazyLock<RwLock<HashMap<String, Option<Limits>>>> = LazyLock::new(RwLock::default);

/// How many models' limits are remembered. Names that a pattern stands for come from callers.
const REMEMBERED_MAX: usize = 4_096;

/// What a model's requests and answers are bounded by, in tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The longest answer, thoughts included.
    pub output: u64,
    /// The most that a request can have, and with its answer: no provider takes more.
    pub window: Option<u64>,
}

impl Limits {
    /// Those of a model by any of its names; None where nobody publishes any. Where servers differ or change them by a
    /// header, the larger ones.
    #[must_use]
    pub fn of(model: &str) -> Option<Self> {
        if let Some(found) = FOUND.read().get(model) {
            return *found;
        }
        let name = model.to_lowercase();
        let known = KNOWN.iter().find(|known| known.names.is_about(&name));
        let limits = known.map(|known| Self {
            output: known.output,
            window: known.window,
        });
        let mut found = FOUND.write();
        if found.len() < REMEMBERED_MAX {
            found.insert(model.to_owned(), limits);
        }
        limits
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(rename = "date")]
    _date: chrono::NaiveDate,
    #[serde(rename = "sources")]
    _sources: Vec<String>,
    models: Vec<Known>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Known {
    #[serde(rename = "match")]
    names: Match,
    output: u64,
    window: Option<u64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_has_its_limits_by_any_of_its_names() {
        for (model, output, window) in [
            ("gpt-4o", 16_384, 128_000),
            ("gpt-4o-mini-2024-07-18", 16_384, 128_000),
            ("openai/gpt-4.1-nano", 32_768, 1_047_576),
            ("gpt-4-0613", 8_192, 8_192),
            ("gpt-4-turbo", 4_096, 128_000),
            ("gpt-5-mini", 128_000, 400_000),
            ("gpt-5-pro-2025-10-06", 272_000, 400_000),
            ("us.openai.gpt-5.6-luna", 128_000, 1_050_000),
            ("o3-mini", 100_000, 200_000),
            ("openai/o4-mini", 100_000, 200_000),
            ("claude-3-haiku-20240307", 4_096, 200_000),
            ("claude-3-5-haiku-latest", 8_192, 200_000),
            ("claude-3.7-sonnet", 128_000, 200_000),
            ("claude-opus-4-20250514", 32_000, 200_000),
            (
                "us.anthropic.claude-opus-4-1-20250805-v1:0",
                32_000,
                200_000,
            ),
            ("claude-opus-4-5", 64_000, 200_000),
            ("claude-opus-4-8", 128_000, 1_000_000),
            (
                "eu.anthropic.claude-sonnet-4-5-20250929-v1:0",
                64_000,
                1_000_000,
            ),
            ("claude-sonnet-4-0", 64_000, 1_000_000),
            ("claude-sonnet-4@20250514", 64_000, 1_000_000),
            ("claude-sonnet-4-6", 128_000, 1_000_000),
            ("claude-sonnet-5", 128_000, 1_000_000),
            ("models/gemini-2.5-flash", 65_536, 1_048_576),
            ("gemini-3.1-pro-preview", 65_536, 1_048_576),
            ("command-a-03-2025", 8_192, 256_000),
            ("us.amazon.nova-pro-v1:0", 10_240, 300_000),
        ] {
            let limits = Limits::of(model);
            let window = Some(window);
            assert_eq!(limits, Some(Limits { output, window }), "{model}");
        }
        for model in ["", "o1x", "my-model", "gpt-9", "claude-opus-9"] {
            assert_eq!(Limits::of(model), None, "{model}");
        }
    }

    #[test]
    fn no_answer_is_longer_than_its_window() {
        for known in KNOWN.iter() {
            assert!(known.window.is_none_or(|window| known.output <= window));
        }
    }
}
