//! What Converse can hold.

use crate::dialect::common::{Carry, Feature};

/// What a request to Bedrock can hold.
pub const fn carries(feature: Feature) -> Carry {
    use Feature as F;
    match feature {
        F::Tools => Carry::Whole,
        F::MaxTokens => Carry::Partly("no more than a Claude can write"),
        F::System | F::Developer => {
            Carry::As("`system`; later ones a user's text in their place, between `<system>` tags")
        }
        F::Refusal => Carry::As("text"),
        F::ToolChoiceNone => Carry::As(
            "Claude's own `tool_choice`; other models are shown no tools, and earlier calls as text",
        ),
        F::ImageUrl | F::DocumentUrl => Carry::Partly("`s3:`; none in the model's own turns"),
        F::ImageData => Carry::Partly("PNG, JPEG, GIF and WebP; none in the model's own turns"),
        F::DocumentData => {
            Carry::Partly("PDF, Office, HTML and text; none in the model's own turns")
        }
        F::DocumentText => Carry::Partly("as `txt`; none in the model's own turns"),
        F::DocumentCitations => Carry::Partly("to Claude"),
        F::Audio | F::Video => {
            Carry::Partly("in the formats that Converse names; none in the model's own turns")
        }
        F::ToolStrict => Carry::Partly(
            "models with structured outputs, a Claude without the schema's bounds; others lenient",
        ),
        F::JsonSchema => Carry::Partly(
            "models with structured outputs, a Claude without the schema's bounds; others in words alone",
        ),
        F::JsonObject => Carry::Partly("in words alone"),
        F::ToolChoiceRequired | F::ToolChoiceNamed => {
            Carry::Partly("models that can be forced to call tools")
        }
        F::ToolChoiceAllowed => Carry::Partly("one tool; several become all of them"),
        F::ParallelToolCalls => Carry::Partly("to Claude"),
        F::ToolResultMedia => Carry::Partly("no audio"),
        F::ToolResultError => Carry::Partly("to Claude and Nova"),
        F::Reasoning => Carry::Partly("in the form that the model's family knows"),
        F::ShowThinking => Carry::Partly("where the model thinks"),
        F::Thinking => Carry::Partly("to Claude, with a seal of Anthropic's"),
        F::Signature => Carry::Partly("Anthropic's"),
        F::Temperature => {
            Carry::Partly("to 1; not with a Claude's thinking, nor from Claude Opus 4.7 on")
        }
        F::TopP => Carry::Partly("not beside a Claude's temperature, nor from Claude Opus 4.7 on"),
        F::TopK => Carry::Partly("to Claude and Nova; not with a Claude's thinking"),
        F::Stop => Carry::Partly("none of white space only"),
        F::Metadata => Carry::Partly("16 labels of up to 256 plain characters"),
        F::ServiceTier => Carry::Partly("`default`, `flex`, `priority` and `reserved`"),
        F::CacheControl => Carry::Partly("to Claude and Nova; four marks, none on thoughts"),
        F::Citations => Carry::Partly("Bedrock's own, to Claude"),
        F::SpeakerName
        | F::ImageDetail
        | F::UploadedFile
        | F::Seed
        | F::N
        | F::Logprobs
        | F::PresencePenalty
        | F::FrequencyPenalty
        | F::LogitBias
        | F::User
        | F::Store
        | F::Verbosity => Carry::Never,
    }
}
