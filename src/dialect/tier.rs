//! The service tier that served an answer, as far as its price may depend on it.

use serde::Deserialize;

use super::Dialect;
use super::scan::{self, Object};

/// A service tier.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tier {
    /// The usual one, and any that is not known.
    #[default]
    Standard,
    /// Slower and cheaper.
    Flex,
    /// Faster and dearer.
    Priority,
    /// In its own time.
    Batch,
}

impl Tier {
    /// The tier of that name, in any provider's words.
    #[must_use]
    pub fn named(name: &str) -> Self {
        match name {
            "flex" | "ON_DEMAND_FLEX" | "FLEX" => Self::Flex,
            "priority" | "fast" | "ON_DEMAND_PRIORITY" | "PRIORITY" => Self::Priority,
            "batch" | "BATCH" => Self::Batch,
            _ => Self::Standard,
        }
    }

    /// The tier that a whole answer says it was served in.
    #[must_use]
    pub fn of_answer(dialect: Dialect, answer: &Object<'_>) -> Self {
        let within = |object, name| scan::member(answer.value(object)?, name);
        let said = match dialect {
            Dialect::Chat | Dialect::Completions | Dialect::Responses => {
                answer.value("service_tier")
            }
            // Anthropic's priority is capacity that was bought ahead, at no price of its own.
            Dialect::Anthropic => {
                within("usage", "service_tier").filter(|tier| *tier == b"\"batch\"")
            }
            Dialect::Gemini => within("usageMetadata", "serviceTier")
                .or_else(|| within("usageMetadata", "trafficType")),
            Dialect::Bedrock | Dialect::Cohere => None,
        };
        said.map_or_else(Self::default, Self::written)
    }

    /// The tier of that name, as JSON has it.
    #[must_use]
    pub fn written(raw: &[u8]) -> Self {
        serde_json::from_slice::<&str>(raw).map_or_else(|_| Self::default(), Self::named)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_provider_says_it_in_its_own_place() {
        for (dialect, answer, tier) in [
            (Dialect::Chat, r#"{"service_tier":"flex"}"#, Tier::Flex),
            (
                Dialect::Chat,
                r#"{"service_tier":"default"}"#,
                Tier::Standard,
            ),
            (Dialect::Chat, r#"{"service_tier":null}"#, Tier::Standard),
            (
                Dialect::Responses,
                r#"{"service_tier":"priority"}"#,
                Tier::Priority,
            ),
            (
                Dialect::Anthropic,
                r#"{"usage":{"service_tier":"batch"}}"#,
                Tier::Batch,
            ),
            (
                Dialect::Anthropic,
                r#"{"usage":{"service_tier":"priority"}}"#,
                Tier::Standard,
            ),
            (
                Dialect::Gemini,
                r#"{"usageMetadata":{"trafficType":"ON_DEMAND_FLEX"}}"#,
                Tier::Flex,
            ),
            (Dialect::Cohere, "{}", Tier::Standard),
        ] {
            let object = scan::object(answer.as_bytes()).unwrap();
            assert_eq!(Tier::of_answer(dialect, &object), tier, "{answer}");
        }
    }
}
