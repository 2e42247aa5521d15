//! Why an answer ended, in Google's words and in ours.

use crate::dialect::common::Finish;

/// Reads `finishReason`, which is `STOP` with calls of tools, too.
pub fn read(reason: &str, has_calls: bool) -> Finish {
    match reason {
        "STOP" if has_calls => Finish::ToolCalls,
        "STOP" => Finish::Stop,
        // A turn that is longer than one request may be is cut, too.
        "MAX_TOKENS" | "CONTINUATION" => Finish::Length,
        "SAFETY"
        | "RECITATION"
        | "BLOCKLIST"
        | "PROHIBITED_CONTENT"
        | "SPII"
        | "ESCALATION"
        | "MODEL_ARMOR"
        | "IMAGE_SAFETY"
        | "IMAGE_PROHIBITED_CONTENT"
        | "IMAGE_RECITATION" => Finish::ContentFilter,
        "MALFORMED_FUNCTION_CALL" | "UNEXPECTED_TOOL_CALL" => Finish::MalformedCall,
        other => Finish::Other(other.to_owned()),
    }
}

/// The word for a caller.
pub fn write(finish: Option<&Finish>) -> &str {
    match finish {
        None | Some(Finish::Stop | Finish::StopSequence(_) | Finish::ToolCalls) => "STOP",
        Some(Finish::Length) => CUT,
        Some(Finish::ContentFilter | Finish::Refusal) => "SAFETY",
        Some(Finish::MalformedCall) => MALFORMED_CALL,
        Some(Finish::Pause) => "OTHER",
        Some(Finish::Other(word)) => {
            let is_googles = |byte: u8| byte.is_ascii_uppercase() || byte == b'_';
            match !word.is_empty() && word.bytes().all(is_googles) {
                true => word,
                false => "OTHER",
            }
        }
    }
}

/// The word for an answer that was cut by the token limit.
pub const CUT: &str = "MAX_TOKENS";

/// The word for a call that is no JSON object.
pub const MALFORMED_CALL: &str = "MALFORMED_FUNCTION_CALL";

/// `finishMessage` for it.
pub fn malformed(name: &str) -> String {
    format!("Malformed function call: {name}")
}
