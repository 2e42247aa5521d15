//! What chat completions can hold, at OpenAI and with an accent.

use crate::dialect::accent::{EffortField, Thoughts};
use crate::dialect::common::{Carry, Feature};
use crate::dialect::{Accent, Dialect};

/// What OpenAI's own chat completions can hold.
pub const fn carries(feature: Feature) -> Carry {
    use Feature as F;
    match feature {
        F::System
        | F::Developer
        | F::SpeakerName
        | F::ImageUrl
        | F::ImageData
        | F::ImageDetail
        | F::Tools
        | F::ToolStrict
        | F::ToolChoiceNone
        | F::ToolChoiceRequired
        | F::ToolChoiceNamed
        | F::ToolChoiceAllowed
        | F::ParallelToolCalls
        | F::JsonObject
        | F::JsonSchema
        | F::MaxTokens
        | F::Temperature
        | F::TopP
        | F::Seed
        | F::N
        | F::PresencePenalty
        | F::FrequencyPenalty
        | F::LogitBias
        | F::User
        | F::Store
        | F::Verbosity
        | F::Refusal => Carry::Whole,
        F::DocumentText => Carry::As("a text part, the document's name before it"),
        F::ToolResultMedia => Carry::As("a user's message behind the results"),
        F::ToolResultError => Carry::As("`Error: ` before the text"),
        F::Reasoning => Carry::As("a budget becomes the effort next to it"),
        F::CacheControl => Carry::As("prompts are cached unasked"),
        F::DocumentData => Carry::Partly("PDF, and text as a text part; no other documents"),
        F::Audio => Carry::Partly("WAV and MP3 in the request; no URLs, no other formats"),
        F::UploadedFile => Carry::Partly("documents uploaded to OpenAI"),
        F::Stop => Carry::Partly("the first four"),
        F::Logprobs => Carry::Partly("of at most 20 alternatives"),
        F::Metadata => Carry::Partly("only with `store`"),
        F::ServiceTier => Carry::Partly("tiers that OpenAI knows by name"),
        F::DocumentUrl
        | F::DocumentCitations
        | F::Video
        | F::ShowThinking
        | F::Thinking
        | F::Signature
        | F::TopK
        | F::Citations => Carry::Never,
    }
}

/// What a server with this accent can hold.
pub fn carries_with(accent: &Accent, feature: Feature) -> Carry {
    use Feature as F;
    if accent.lacks.contains(&feature) {
        return match feature {
            F::ToolChoiceAllowed => Carry::As("only these tools are sent"),
            F::ToolChoiceNamed if !accent.lacks.contains(&F::ToolChoiceRequired) => {
                Carry::As("only this tool is sent, and a call required")
            }
            F::DocumentData => Carry::Partly("text as a text part; no other documents"),
            F::Refusal => Carry::As("text"),
            _ => Carry::Never,
        };
    }
    match feature {
        F::Developer if !accent.has_developer => Carry::As("system turns"),
        F::JsonSchema if !accent.has_json_schema => {
            Carry::Partly("told in a system turn, any JSON object enforced")
        }
        F::Reasoning => match accent.effort {
            EffortField::Reasoning => Carry::Whole,
            EffortField::ReasoningEffort => carries(feature),
            EffortField::Thinking => Carry::Partly("on or off"),
            EffortField::Nowhere => Carry::Never,
        },
        F::ShowThinking => match (accent.effort, accent.thoughts) {
            (EffortField::Reasoning, _) => Carry::Whole,
            (_, Thoughts::Nowhere) => Carry::Never,
            _ => Carry::As("thoughts are shown unasked"),
        },
        F::Thinking => match accent.thoughts {
            Thoughts::Nowhere => Carry::Never,
            Thoughts::ReasoningContent | Thoughts::Reasoning => {
                Carry::Partly("one text a turn; none that is hidden")
            }
            Thoughts::ReasoningDetails => Carry::Partly("none with another's seal"),
        },
        F::Signature => match seals_of(accent) {
            Some(_) => Carry::Partly("none of another's"),
            None => Carry::Never,
        },
        F::Citations if accent.has.contains(&F::Citations) => {
            Carry::Partly("those that came in this dialect")
        }
        F::CacheControl if accent.has.contains(&F::CacheControl) => {
            Carry::Partly("none on calls, thoughts and refusals")
        }
        F::Video if accent.has.contains(&F::Video) => Carry::Partly("none uploaded before"),
        _ if accent.has.contains(&feature) => Carry::Whole,
        _ => carries(feature),
    }
}

/// Whose seals a server with this accent takes back: its own in `reasoning_details`, or Google's in `extra_content`.
pub(super) fn seals_of(accent: &Accent) -> Option<Dialect> {
    match accent.thoughts {
        Thoughts::ReasoningDetails => Some(Dialect::Chat),
        _ if accent.has.contains(&Feature::Signature) => Some(Dialect::Gemini),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_accent_adds_and_takes_away() {
        const ACCENT: Accent = Accent {
            has_developer: false,
            has: &[Feature::TopK],
            lacks: &[Feature::Seed, Feature::ToolChoiceNamed],
            ..Accent::OPENAI
        };
        for feature in Feature::ALL {
            assert_eq!(carries_with(&Accent::OPENAI, *feature), carries(*feature));
        }
        assert_eq!(carries_with(&ACCENT, Feature::TopK), Carry::Whole);
        assert_eq!(carries_with(&ACCENT, Feature::Seed), Carry::Never);
        for other_form in [Feature::Developer, Feature::ToolChoiceNamed] {
            assert!(matches!(carries_with(&ACCENT, other_form), Carry::As(_)));
        }
    }
}
