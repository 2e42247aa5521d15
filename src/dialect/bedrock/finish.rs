//! `stopReason`

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::dialect::common::Finish;

/// Which stop text came, as Claude tells where the request asked for it by `additionalModelResponseFieldPaths`; such
/// fields may be anything.
pub(super) fn sequence(model_fields: &RawValue) -> Option<String> {
    #[derive(Deserialize)]
    struct Fields {
        stop_sequence: Option<String>,
    }
    let fields: Fields = serde_json::from_str(model_fields.get()).ok()?;
    fields.stop_sequence
}

/// Reads one; `sequence` is which stop text came, where the provider was asked to tell.
pub(super) fn read(reason: &str, sequence: Option<String>) -> Finish {
    match reason {
        "end_turn" => Finish::Stop,
        "tool_use" => Finish::ToolCalls,
        "max_tokens" | "model_context_window_exceeded" => Finish::Length,
        "stop_sequence" => Finish::StopSequence(sequence),
        "guardrail_intervened" | "content_filtered" => Finish::ContentFilter,
        "malformed_tool_use" => Finish::MalformedCall,
        other => Finish::Other(other.to_owned()),
    }
}

/// Writes one; `has_calls` is whether the answer calls tools.
pub(super) fn written(finish: Option<&Finish>, has_calls: bool) -> &str {
    match finish {
        None | Some(Finish::Stop | Finish::Pause) if has_calls => "tool_use",
        None | Some(Finish::Stop | Finish::Pause) => "end_turn",
        Some(Finish::StopSequence(_)) => "stop_sequence",
        Some(Finish::Length) => "max_tokens",
        Some(Finish::ToolCalls) => "tool_use",
        Some(Finish::ContentFilter | Finish::Refusal) => "content_filtered",
        Some(Finish::MalformedCall) => "malformed_tool_use",
        Some(Finish::Other(reason)) if reason == "malformed_model_output" => reason,
        Some(Finish::Other(_)) => "end_turn",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_written_as_they_were_read() {
        for reason in [
            "end_turn",
            "tool_use",
            "max_tokens",
            "stop_sequence",
            "content_filtered",
            "malformed_model_output",
            "malformed_tool_use",
        ] {
            assert_eq!(written(Some(&read(reason, None)), false), reason);
        }
        assert_eq!(written(Some(&Finish::Stop), true), "tool_use");
        assert_eq!(written(Some(&Finish::Other("x".into())), false), "end_turn");
        assert_eq!(read("model_context_window_exceeded", None), Finish::Length);
    }
}
