//! What Cohere's chat can hold.

use crate::dialect::common::{Carry, Feature};

/// What a request to Cohere can hold.
pub const fn carries(feature: Feature) -> Carry {
    use Feature as F;
    match feature {
        F::System
        | F::ImageDetail
        | F::Tools
        | F::ToolChoiceNone
        | F::ToolChoiceRequired
        | F::JsonObject
        | F::MaxTokens => Carry::Whole,
        F::Developer => Carry::As("`system`"),
        F::DocumentText => Carry::As("a text, the document's name before it"),
        F::ToolResultMedia => Carry::As("a user's message behind the results"),
        F::ToolResultError => Carry::As("`Error: ` before the text"),
        F::ToolChoiceNamed => Carry::As("`REQUIRED`, and no other function"),
        F::ToolChoiceAllowed => {
            Carry::As("no other functions, and `REQUIRED` where one must be called")
        }
        F::Reasoning => Carry::As("`thinking.token_budget`"),
        F::ShowThinking => Carry::As("thoughts are always shown"),
        F::CacheControl => Carry::As("prompts are cached unasked"),
        F::Refusal => Carry::As("a text"),
        F::JsonSchema => Carry::Partly("without the schema's name and description"),
        F::ImageData => Carry::Partly("only in the user's turns and in tool results"),
        F::ImageUrl => Carry::Partly(
            "`https:` and `http:` only, and only in the user's turns and in tool results",
        ),
        F::ToolStrict => Carry::Partly("`strict_tools`, where every function is strict"),
        F::Thinking => Carry::Partly("not those that another provider sealed"),
        F::Citations => Carry::Partly("those that Cohere wrote"),
        F::Temperature => Carry::Partly("up to 1"),
        F::TopP => Carry::Partly("from 0.01 to 0.99"),
        F::TopK => Carry::Partly("up to 500"),
        F::Stop => Carry::Partly("the first five"),
        F::Seed => Carry::Partly("from 0"),
        F::Logprobs => Carry::Partly("without alternatives"),
        F::PresencePenalty | F::FrequencyPenalty => Carry::Partly("from 0 to 1"),
        F::SpeakerName
        | F::DocumentUrl
        | F::DocumentData
        | F::DocumentCitations
        | F::Audio
        | F::Video
        | F::UploadedFile
        | F::ParallelToolCalls
        | F::Signature
        | F::N
        | F::LogitBias
        | F::User
        | F::Metadata
        | F::ServiceTier
        | F::Store
        | F::Verbosity => Carry::Never,
    }
}
