//! What Gemini can hold of a request.

use crate::dialect::common::{Carry, Feature};

/// What of a request Gemini holds as a target.
pub const fn carries(feature: Feature) -> Carry {
    use Carry::{As, Never, Partly, Whole};
    use Feature as F;
    match feature {
        F::System => {
            Partly("texts alone; a user's content where they stand within the conversation")
        }
        F::Developer => Partly("texts alone, as the system's"),
        F::ImageUrl | F::ImageData | F::Audio | F::Video => Whole,
        F::ImageDetail => Partly("for Gemini 3 and later: low, medium, high"),
        F::DocumentUrl | F::DocumentData => Partly("its file name at Vertex alone"),
        F::DocumentText => Partly("as data; its title at Vertex alone"),
        F::UploadedFile => Partly("files at Google"),
        F::Tools => Whole,
        F::ToolStrict => As("the mode VALIDATED, for all functions"),
        F::ToolChoiceNone | F::ToolChoiceRequired | F::ToolChoiceNamed | F::ToolChoiceAllowed => {
            Whole
        }
        F::ToolResultMedia => {
            As("parts of the response for Gemini 3 and later, else a user's content behind it")
        }
        F::ToolResultError => As("the member `error` of the response"),
        F::JsonObject => Whole,
        F::JsonSchema => Partly("without the schema's name and description"),
        F::Reasoning => Partly("the nearest level or budget that the model has"),
        F::ShowThinking => Partly("models that think"),
        F::Thinking => Partly("thoughts that Gemini sealed"),
        F::Signature => Partly("Gemini's own"),
        F::MaxTokens | F::Temperature | F::TopP | F::TopK | F::N | F::Logprobs => Whole,
        F::Stop => Partly("the first five"),
        F::Seed => As("a seed of 32 bits made of it"),
        F::PresencePenalty | F::FrequencyPenalty => Whole,
        F::Metadata => Partly("at Vertex, what is fit for a label"),
        F::ServiceTier => Partly("default, flex and priority"),
        F::Store => Partly("at Google AI alone"),
        F::Refusal => As("text"),
        F::SpeakerName
        | F::DocumentCitations
        | F::ParallelToolCalls
        | F::LogitBias
        | F::User
        | F::Verbosity
        | F::CacheControl
        | F::Citations => Never,
    }
}
