//! OpenAI's Responses API (`POST /v1/responses`), as callers speak it and as providers do.
//!
//! A conversation is a list of items: messages, function calls, their outputs, reasoning, and the calls of tools that
//! OpenAI runs. An answer is such a list, too, and goes back into the next request; so nothing need be stored between
//! the two, and for callers of other dialects nothing is.
//!
//! Source: OpenAI's API reference, "Responses" and "Streaming events".

mod answer;
mod citation;
mod error;
mod fields;
mod items;
mod media;
mod output;
mod reader;
mod request;
mod usage;
mod writer;

#[cfg(test)]
mod tests;

pub use answer::{failure, read_answer};
pub use error::{error_body, error_event, read_error};
pub use reader::Reader;
pub use request::{read_request, write_request};
pub use usage::usage;
pub use writer::{Writer, write_answer};

use super::common::{Carry, Feature};

/// The longest id of a call or an item.
const ID_MAX: usize = 64;

/// Stands before the type of a message's part that only this dialect knows, in the name of what it is: it goes back
/// into a message, while other such things are items of their own.
const CONTENT_LEAD: &str = "content.";

/// Between the parts of a summary of reasoning, which are one thought in the common form.
const PARAGRAPH: &str = "\n\n";

/// What the Responses API can hold.
pub const fn carries(feature: Feature) -> Carry {
    use Feature as F;
    match feature {
        F::System
        | F::Developer
        | F::ImageUrl
        | F::ImageData
        | F::ImageDetail
        | F::DocumentUrl
        | F::DocumentData
        | F::Tools
        | F::ToolStrict
        | F::ToolChoiceNone
        | F::ToolChoiceRequired
        | F::ToolChoiceNamed
        | F::ToolChoiceAllowed
        | F::ParallelToolCalls
        | F::JsonObject
        | F::JsonSchema
        | F::ShowThinking
        | F::MaxTokens
        | F::Temperature
        | F::TopP
        | F::Logprobs
        | F::User
        | F::Metadata
        | F::Store
        | F::Verbosity
        | F::Refusal => Carry::Whole,
        F::DocumentText => Carry::As("a text of the message"),
        F::Reasoning => Carry::As("a budget as the nearest effort"),
        F::Audio => Carry::Partly("only WAV and MP3 in the request"),
        F::UploadedFile => Carry::Partly("only pictures and documents that are at OpenAI"),
        F::ToolResultError => Carry::As("`Error: ` before the text"),
        F::ToolResultMedia => Carry::Partly("no audio and no video"),
        F::Thinking => Carry::Partly("only sealed by OpenAI, or for servers that take plain ones"),
        F::Signature => Carry::Partly("only OpenAI's own"),
        F::ServiceTier => Carry::Partly("only OpenAI's words"),
        F::CacheControl => Carry::Partly("only callers of this dialect; OpenAI caches unasked"),
        F::Citations => Carry::Partly("only of URLs"),
        F::SpeakerName
        | F::DocumentCitations
        | F::Video
        | F::TopK
        | F::Stop
        | F::Seed
        | F::N
        | F::PresencePenalty
        | F::FrequencyPenalty
        | F::LogitBias => Carry::Never,
    }
}
