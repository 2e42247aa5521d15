//! Why an answer ended, in this dialect's words.

use crate::dialect::common::Finish;

/// Reads `finish_reason`. `native` is the word of the provider behind a router, where that tells more.
pub(super) fn read(reason: &str, native: &str) -> Finish {
    match native {
        "refusal" => return Finish::Refusal,
        "pause_turn" => return Finish::Pause,
        "malformed_function_call" | "MALFORMED_FUNCTION_CALL" => return Finish::MalformedCall,
        _ => {}
    }
    match reason {
        "stop" | "eos" | "eos_token" | "end_turn" => Finish::Stop,
        "stop_sequence" => Finish::StopSequence(None),
        // `model_length`: Mistral's word for its context window; the other is Zai's.
        "length" | "max_tokens" | "model_length" | "model_context_window_exceeded" => {
            Finish::Length
        }
        "tool_calls" | "tool_call" | "function_call" | "tool_use" => Finish::ToolCalls,
        // `sensitive`: Zai's word.
        "content_filter" | "sensitive" => Finish::ContentFilter,
        "refusal" => Finish::Refusal,
        "pause_turn" => Finish::Pause,
        other => Finish::Other(other.to_owned()),
    }
}

/// The `finish_reason` to write and, where that says less, the `native_finish_reason` beside it. SDKs know OpenAI's words
/// alone, and some refuse an answer with another.
///
/// At OpenAI a refusal of the model is a message's `refusal` and ends in `stop`; one without words, as Anthropic's, is
/// told as what a filter left out.
pub(in crate::dialect) fn written(
    finish: &Finish,
    has_refusal: bool,
) -> (&'static str, Option<&str>) {
    match finish {
        Finish::Stop | Finish::StopSequence(_) => ("stop", None),
        Finish::Length => ("length", None),
        Finish::ToolCalls => ("tool_calls", None),
        Finish::ContentFilter => ("content_filter", None),
        Finish::Refusal if has_refusal => ("stop", None),
        Finish::Refusal => ("content_filter", Some("refusal")),
        Finish::Pause => ("stop", Some("pause_turn")),
        Finish::MalformedCall => ("stop", Some("malformed_function_call")),
        Finish::Other(word) => ("stop", Some(word)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_as_it_was() {
        for finish in [
            Finish::Stop,
            Finish::Length,
            Finish::ToolCalls,
            Finish::ContentFilter,
            Finish::Refusal,
            Finish::Pause,
            Finish::MalformedCall,
        ] {
            let (reason, native) = written(&finish, false);
            assert_eq!(read(reason, native.unwrap_or_default()), finish);
        }
        assert_eq!(written(&Finish::Refusal, true), ("stop", None));
    }

    #[test]
    fn odd_words_are_understood() {
        for (word, finish) in [
            ("eos", Finish::Stop),
            ("model_length", Finish::Length),
            ("function_call", Finish::ToolCalls),
            ("sensitive", Finish::ContentFilter),
        ] {
            assert_eq!(read(word, ""), finish);
        }
        let odd = read("insufficient_system_resource", "");
        assert_eq!(
            written(&odd, false),
            ("stop", Some("insufficient_system_resource"))
        );
    }
}
