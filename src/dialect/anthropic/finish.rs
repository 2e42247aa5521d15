//! Why an answer ended: `stop_reason`.

use crate::dialect::common::Finish;

/// Reads `stop_reason`, and `stop_sequence` beside it.
pub(super) fn read(reason: &str, sequence: Option<String>) -> Finish {
    match reason {
        "end_turn" => Finish::Stop,
        "max_tokens" | "model_context_window_exceeded" => Finish::Length,
        "stop_sequence" => Finish::StopSequence(sequence),
        "tool_use" => Finish::ToolCalls,
        "pause_turn" => Finish::Pause,
        "refusal" => Finish::Refusal,
        other => Finish::Other(other.to_owned()),
    }
}

/// What an answer held, as far as its end depends on it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Held {
    pub calls: bool,
    pub refusal: bool,
}

/// The `stop_reason` for a caller. Some servers end with calls and do not say so, but Anthropic's callers run tools
/// only when told.
pub(super) fn written(finish: Option<&Finish>, held: Held) -> &str {
    match finish {
        Some(Finish::Refusal | Finish::ContentFilter) => "refusal",
        Some(Finish::Length) => "max_tokens",
        Some(Finish::ToolCalls) => "tool_use",
        Some(Finish::Pause) => "pause_turn",
        Some(Finish::StopSequence(_)) => "stop_sequence",
        Some(Finish::Other(word)) if OWN_WORDS.contains(&word.as_str()) => word,
        None | Some(Finish::Stop | Finish::MalformedCall | Finish::Other(_)) => {
            match (held.refusal, held.calls) {
                (true, _) => "refusal",
                (false, true) => "tool_use",
                (false, false) => "end_turn",
            }
        }
    }
}

/// The `stop_sequence` for a caller.
pub(super) fn sequence(finish: Option<&Finish>) -> Option<&str> {
    match finish {
        Some(Finish::StopSequence(sequence)) => sequence.as_deref(),
        _ => None,
    }
}

/// Reasons of Anthropic's that the common form does not know.
const OWN_WORDS: [&str; 1] = ["compaction"];
