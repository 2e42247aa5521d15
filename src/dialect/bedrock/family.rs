//! What one family of Bedrock's models can that another cannot.
//!
//! Converse is one form for all, but it refuses what a model does not know, and what a model alone knows stands in
//! `additionalModelRequestFields` in the model's own words. So a request in another dialect is fitted to the family of
//! the model that it is for. Source: Amazon Bedrock's user guide ("Supported models and features", "Inference request
//! parameters", "Structured outputs", "Prompt caching") and Amazon Nova's, as of November 2026.

use crate::dialect::anthropic::models::Model as Claude;
use crate::dialect::anthropic::models::Thinking;

/// What a model knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Family {
    /// Of Claudes, what Anthropic's own dialect would have to know, too.
    pub claude: Option<Claude>,
    pub effort: EffortField,
    pub top_k: TopK,
    pub choices: Choices,
    pub caches: Caches,
    /// Whether it takes `outputConfig.textFormat` and strict tools.
    pub has_schemas: bool,
    /// Whether a tool's result may be told as an error.
    pub has_result_status: bool,
}

/// How a reasoning effort is said, of models other than Claude.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum EffortField {
    /// Not at all.
    Never,
    /// `reasoningConfig: {type, maxReasoningEffort}`
    Nova,
    /// `reasoning_effort`
    Flat,
    /// `reasoning: {effort}`
    Nested,
    /// `reasoning_config`
    Qwen,
}

/// Where sampling among the likeliest tokens is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TopK {
    Never,
    /// `top_k`
    Flat,
    /// `inferenceConfig.topK`, among the additional fields.
    Nova,
}

/// Which tool choices it takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Choices {
    /// None, which is as it likes.
    Auto,
    /// Also that it must call any.
    Any,
    Every,
}

/// Where it takes marks for the cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Caches {
    Never,
    /// In system and messages, for the usual time.
    Prompt,
    /// And among tools.
    Tools,
    /// And for an hour.
    Hour,
}

impl Family {
    /// That of the model with this id, whatever stands before it: a region, an ARN.
    pub fn of(model: &str) -> Self {
        let name = model.rsplit('/').next().unwrap_or(model);
        if name.contains("claude") {
            return Self::of_claude(Claude::named(name));
        }
        let known = FAMILIES.iter().find(|(known, _)| {
            let at = name.find(known);
            at.is_some_and(|at| at == 0 || name[..at].ends_with('.'))
        });
        known.map_or(OTHER, |(_, family)| *family)
    }

    /// Whether it is a Claude. The profile of an application does not tell.
    pub fn is_of_anthropic(&self) -> bool {
        self.claude.is_some()
    }

    fn of_claude(claude: Claude) -> Self {
        Self {
            claude: Some(claude),
            effort: EffortField::Never,
            top_k: TopK::Flat,
            choices: Choices::Every,
            caches: match (claude.thinking, claude.has_schemas) {
                (Thinking::Never, _) => Caches::Never,
                (_, false) => Caches::Tools,
                (_, true) => Caches::Hour,
            },
            has_schemas: claude.has_schemas,
            has_result_status: true,
        }
    }
}

/// Whether the model with this id takes a schema for its answer.
pub(in crate::dialect) fn has_schemas(model: &str) -> bool {
    Family::of(model).has_schemas
}

/// Begins of names, less the region, and what such models know. The first that fits holds.
const FAMILIES: [(&str, Family); 18] = [
    (
        "amazon.nova-2",
        Family {
            effort: EffortField::Nova,
            ..NOVA
        },
    ),
    ("amazon.nova", NOVA),
    ("amazon.", OLD),
    (
        "openai.gpt-oss",
        Family {
            effort: EffortField::Flat,
            ..OTHER
        },
    ),
    (
        "openai.",
        Family {
            effort: EffortField::Nested,
            ..OTHER
        },
    ),
    (
        "moonshot.",
        Family {
            effort: EffortField::Flat,
            ..OTHER
        },
    ),
    (
        "moonshotai.",
        Family {
            effort: EffortField::Flat,
            ..OTHER
        },
    ),
    (
        "qwen.",
        Family {
            effort: EffortField::Qwen,
            ..OTHER
        },
    ),
    ("mistral.mistral-7b", OLD),
    ("mistral.mixtral", OLD),
    ("mistral.mistral-small-24", OLD_MISTRAL),
    ("mistral.mistral-large-24", OLD_MISTRAL),
    ("mistral.pixtral-large-25", OLD_MISTRAL),
    ("meta.", OLD),
    ("cohere.", OLD),
    ("ai21.", OLD),
    ("writer.", OLD),
    ("deepseek.r1", OLD),
];

const OTHER: Family = Family {
    claude: None,
    effort: EffortField::Never,
    top_k: TopK::Never,
    choices: Choices::Every,
    caches: Caches::Never,
    has_schemas: true,
    has_result_status: false,
};

const OLD: Family = Family {
    choices: Choices::Auto,
    has_schemas: false,
    ..OTHER
};

const OLD_MISTRAL: Family = Family {
    choices: Choices::Any,
    ..OLD
};

const NOVA: Family = Family {
    top_k: TopK::Nova,
    choices: Choices::Every,
    caches: Caches::Prompt,
    has_result_status: true,
    ..OLD
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_tell_the_family() {
        for (id, effort, top_k, caches, has_schemas) in [
            (
                "us.amazon.nova-pro-v1:0",
                EffortField::Never,
                TopK::Nova,
                Caches::Prompt,
                false,
            ),
            (
                "global.amazon.nova-2-lite-v1:0",
                EffortField::Nova,
                TopK::Nova,
                Caches::Prompt,
                false,
            ),
            (
                "openai.gpt-oss-120b-1:0",
                EffortField::Flat,
                TopK::Never,
                Caches::Never,
                true,
            ),
            (
                "us.openai.gpt-6-luna",
                EffortField::Nested,
                TopK::Never,
                Caches::Never,
                true,
            ),
            (
                "qwen.qwen3-32b-v1:0",
                EffortField::Qwen,
                TopK::Never,
                Caches::Never,
                true,
            ),
            (
                "mistral.mistral-large-3-675b-instruct",
                EffortField::Never,
                TopK::Never,
                Caches::Never,
                true,
            ),
            (
                "mistral.mistral-large-2407-v1:0",
                EffortField::Never,
                TopK::Never,
                Caches::Never,
                false,
            ),
            (
                "us.meta.llama3-3-70b-instruct-v1:0",
                EffortField::Never,
                TopK::Never,
                Caches::Never,
                false,
            ),
            (
                "eu.anthropic.claude-sonnet-4-5-20250929-v1:0",
                EffortField::Never,
                TopK::Flat,
                Caches::Hour,
                true,
            ),
            (
                "anthropic.claude-3-haiku-20240307-v1:0",
                EffortField::Never,
                TopK::Flat,
                Caches::Never,
                false,
            ),
            (
                "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.anthropic.claude-3-7-sonnet-20250219-v1:0",
                EffortField::Never,
                TopK::Flat,
                Caches::Tools,
                false,
            ),
            (
                "arn:aws:bedrock:us-east-1::foundation-model/amazon.nova-lite-v1:0",
                EffortField::Never,
                TopK::Nova,
                Caches::Prompt,
                false,
            ),
            (
                "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/mi1dadi0g15f",
                EffortField::Never,
                TopK::Never,
                Caches::Never,
                true,
            ),
        ] {
            let family = Family::of(id);
            let known = (
                family.effort,
                family.top_k,
                family.caches,
                family.has_schemas,
            );
            assert_eq!(known, (effort, top_k, caches, has_schemas), "{id}");
            assert_eq!(family.is_of_anthropic(), id.contains("claude"), "{id}");
        }
    }
}
