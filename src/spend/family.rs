//! Families of models that count tokens alike, and how they count.

use super::memo::{Memo, remembered};

/// Models that share a tokenizer and a way to put a request before the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Family {
    /// OpenAI's.
    OpenAi,
    /// Anthropic's.
    Anthropic,
    /// Google's Gemini and Gemma.
    Gemini,
    /// Cohere's.
    Cohere,
    /// Mistral's.
    Mistral,
    /// Meta's Llama, and what was made of it.
    Llama,
    /// Any other.
    Other,
}

impl Family {
    /// Every one.
    pub const ALL: [Self; 7] = [
        Self::OpenAi,
        Self::Anthropic,
        Self::Gemini,
        Self::Cohere,
        Self::Mistral,
        Self::Llama,
        Self::Other,
    ];

    /// The family of a model by any of its names: OpenAI's, `openai/gpt-5`, Bedrock's `eu.anthropic.claude-…`.
    pub fn of(model: &str) -> Self {
        thread_local! {
            static MEMO: Memo<Family> = Memo::default();
        }
        remembered(&MEMO, model, Self::find)
    }

    fn find(model: &str) -> Self {
        let model = model.to_ascii_lowercase();
        let names = [
            (Self::Anthropic, &["claude"][..]),
            (Self::Gemini, &["gemini", "gemma"]),
            (Self::Cohere, &["command", "cohere", "c4ai", "aya-"]),
            (
                Self::Mistral,
                &[
                    "mistral",
                    "mixtral",
                    "ministral",
                    "pixtral",
                    "codestral",
                    "magistral",
                    "devstral",
                    "voxtral",
                ],
            ),
            (Self::Llama, &["llama"]),
            (
                Self::OpenAi,
                &["gpt", "openai", "codex", "davinci", "babbage"],
            ),
        ];
        let is_in = |names: &[&str]| names.iter().any(|name| model.contains(name));
        if let Some((family, _)) = names.iter().find(|(_, names)| is_in(names)) {
            return *family;
        }
        // `o1`, `o3-mini`, `o4-mini`: short enough to stand in other names by chance.
        let mut last = model.rsplit('/').next().unwrap_or(&model).chars();
        match (last.next(), last.next(), last.next()) {
            (Some('o'), Some(digit), None | Some('-')) if digit.is_ascii_digit() => Self::OpenAi,
            _ => Self::Other,
        }
    }

    /// How the family counts. Text is in percent of o200k's tokens; all else is in tokens.
    pub(super) const fn weights(self) -> Weights {
        match self {
            Self::OpenAi => Weights {
                tools: 15,
                tool: 5,
                call: 7,
                image: 765,
                small_image: 85,
                answer: 1,
                thoughts: 9,
                said_call: 7,
                further_call: 23,
                ..Weights::CHAT
            },
            Self::Anthropic => Weights {
                text_percent: 108,
                request: 7,
                tools: 450,
                tool: 45,
                schema_percent: 105,
                format: 150,
                reasoning: 25,
                call: 45,
                image: 1_600,
                page: 3_000,
                said_percent: 112,
                answer: 3,
                thoughts: 5,
                said_call: 33,
                further_call: 25,
                ..Weights::CHAT
            },
            Self::Gemini => Weights {
                turn: 0,
                request: 0,
                tool: 5,
                schema_percent: 125,
                format_percent: 0,
                call: 10,
                image: 1_120,
                page: 560,
                said_percent: 106,
                said_call: 6,
                further_call: 7,
                ..Weights::CHAT
            },
            Self::Cohere => Weights {
                turn: 0,
                request: 0,
                schema_percent: 100,
                small_image: 256,
                said_call: 1,
                further_call: 1,
                ..Weights::CHAT
            },
            Self::Mistral => Weights {
                text_percent: 110,
                request: 8,
                tool: 8,
                schema_percent: 150,
                call: 5,
                image: 1_340,
                said_percent: 103,
                said_call: 2,
                further_call: 2,
                ..Weights::CHAT
            },
            Self::Llama => Weights {
                text_percent: 110,
                request: 25,
                tool: 8,
                schema_percent: 150,
                call: 5,
                said_percent: 101,
                answer: 1,
                said_call: 20,
                further_call: 20,
                ..Weights::CHAT
            },
            Self::Other => Weights {
                text_percent: 115,
                request: 8,
                tools: 20,
                tool: 10,
                schema_percent: 130,
                call: 5,
                said_percent: 103,
                answer: 1,
                said_call: 9,
                further_call: 9,
                ..Weights::CHAT
            },
        }
    }
}

/// What the parts of a request, and of an answer, weigh.
#[derive(Clone, Copy, Debug)]
pub(super) struct Weights {
    pub text_percent: u64,
    /// A request, before anything is said.
    pub request: u64,
    /// A turn, without what is said.
    pub turn: u64,
    /// The first function.
    pub tools: u64,
    /// Each function, without its schema.
    pub tool: u64,
    /// Names, descriptions and schemas of functions.
    pub schema_percent: u64,
    /// A schema for the answer.
    pub format: u64,
    pub format_percent: u64,
    /// Being told to think.
    pub reasoning: u64,
    /// A call, and a result, without what is said in it.
    pub call: u64,
    /// A picture of 1024 by 1024 pixels: requests do not tell its size.
    pub image: u64,
    /// The same at low detail.
    pub small_image: u64,
    /// A page of a PDF.
    pub page: u64,
    /// What an answer says, of any kind.
    pub said_percent: u64,
    /// An answer, without what is said in it.
    pub answer: u64,
    /// Its thoughts, without what is said in them.
    pub thoughts: u64,
    /// Its first call, of the caller's tools or the provider's own, without name and arguments.
    pub said_call: u64,
    /// Each further one: OpenAI's models write a call of several around them.
    pub further_call: u64,
}

impl Weights {
    /// OpenAI's documented three tokens a turn, with one for the role, and three before the answer.
    const CHAT: Self = Self {
        text_percent: 100,
        request: 3,
        turn: 4,
        tools: 0,
        tool: 0,
        schema_percent: 100,
        format: 0,
        format_percent: 100,
        reasoning: 0,
        call: 0,
        image: 1_280,
        small_image: 1_280,
        page: 1_000,
        said_percent: 100,
        answer: 0,
        thoughts: 0,
        said_call: 0,
        further_call: 0,
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_is_known_by_any_of_its_names() {
        for (model, family) in [
            ("gpt-5-mini", Family::OpenAi),
            ("openai/o3-mini", Family::OpenAi),
            ("o1", Family::OpenAi),
            (
                "eu.anthropic.claude-sonnet-4-5-20250929-v1:0",
                Family::Anthropic,
            ),
            ("models/gemini-2.5-flash", Family::Gemini),
            ("command-r7b-12-2024", Family::Cohere),
            ("us.cohere.embed-v4:0", Family::Cohere),
            ("mistral-large-latest", Family::Mistral),
            ("meta-llama/llama-4-scout", Family::Llama),
            ("deepseek-r1-distill-llama-70b", Family::Llama),
            ("o200-chat", Family::Other),
            ("qwen3-32b", Family::Other),
            ("", Family::Other),
        ] {
            assert_eq!(Family::of(model), family, "{model}");
        }
    }
}
