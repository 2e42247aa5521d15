//! What Anthropic's messages can hold.

use crate::dialect::common::{Carry, Feature};

/// What a request to Anthropic can hold.
pub const fn carries(feature: Feature) -> Carry {
    use Feature as F;
    match feature {
        F::DocumentCitations
        | F::Tools
        | F::ToolChoiceNone
        | F::ParallelToolCalls
        | F::ToolResultMedia
        | F::ToolResultError
        | F::User => Carry::Whole,
        F::System | F::Developer => {
            Carry::As("`system`; later ones a user's text in their place, between `<system>` tags")
        }
        F::Refusal => Carry::As("text"),
        F::ImageData | F::DocumentData | F::DocumentText => {
            Carry::Partly("none in the model's own turns")
        }
        F::ImageUrl | F::DocumentUrl => {
            Carry::Partly("`https:` and `http:`; none in the model's own turns")
        }
        F::UploadedFile => Carry::Partly("images and documents uploaded to Anthropic"),
        F::ToolStrict => Carry::Partly(
            "Claude 4.5 and later, and Opus 4.1, without the schema's bounds; others lenient",
        ),
        F::JsonSchema => Carry::Partly(
            "Claude 4.5 and later, and Opus 4.1, without the schema's name, description and bounds; others in words alone",
        ),
        F::JsonObject => Carry::Partly("in words alone"),
        F::ToolChoiceRequired | F::ToolChoiceNamed => {
            Carry::Partly("models that can be forced to call tools")
        }
        F::ToolChoiceAllowed => Carry::Partly("one tool; several become all of them"),
        F::Reasoning => Carry::Partly("in the form that the model knows; not with a forced call"),
        F::ShowThinking => Carry::Partly("where the model thinks"),
        F::Thinking => Carry::Partly("with a seal of Anthropic's"),
        F::Signature => Carry::Partly("Anthropic's own"),
        F::MaxTokens => Carry::Partly("no more than the model can write"),
        F::Temperature => Carry::Partly("to 1; not with thinking, nor from Claude Opus 4.7 on"),
        F::TopP => Carry::Partly("not beside a temperature, nor from Claude Opus 4.7 on"),
        F::TopK => Carry::Partly("not with thinking, nor from Claude Opus 4.7 on"),
        F::Stop => Carry::Partly("none of white space only"),
        F::ServiceTier => Carry::Partly("`auto` and `default`"),
        F::CacheControl => Carry::Partly("four marks, none on thoughts"),
        F::Citations => Carry::Partly("Anthropic's own"),
        F::SpeakerName
        | F::ImageDetail
        | F::Audio
        | F::Video
        | F::Seed
        | F::N
        | F::Logprobs
        | F::PresencePenalty
        | F::FrequencyPenalty
        | F::LogitBias
        | F::Metadata
        | F::Store
        | F::Verbosity => Carry::Never,
    }
}
