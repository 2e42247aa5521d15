//! OpenAI's errors: for requests it would refuse, and for the statuses one can ask for.

use std::fmt;

use serde_json::{Value, json};

use super::{Endpoint, Script, Steps};

/// Largest number of answers to one prompt. OpenAI allows 128; a simulation has no use for so many.
const CHOICES_MAX: i64 = 16;
/// Most dimensions of an embedding.
const DIMENSIONS_MAX: i64 = 4096;
/// Most texts in one request for embeddings (OpenAI's own limit).
const INPUTS_MAX: usize = 2048;
/// Most stop sequences (OpenAI's own limit).
const STOPS_MAX: usize = 4;

/// A request that OpenAI would refuse with status 400.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    message: String,
    param: Option<String>,
    code: Option<&'static str>,
}

impl Refusal {
    pub(super) fn new(
        param: impl Into<String>,
        code: &'static str,
        message: impl fmt::Display,
    ) -> Self {
        Self {
            message: message.to_string(),
            param: Some(param.into()),
            code: Some(code),
        }
    }

    pub(super) fn into_script(self) -> Script {
        error(
            400,
            &self.message,
            "invalid_request_error",
            self.param.as_deref(),
            self.code,
        )
    }
}

/// The error of a status that was asked for, as OpenAI words it.
pub(super) fn with_status(status: u16, model: &str) -> Script {
    let (message, kind, code) = match status {
        401 => (
            "Incorrect API key provided: sk-simul****ated. You can find your API key at https://platform.openai.com/account/api-keys."
                .to_owned(),
            "invalid_request_error",
            Some("invalid_api_key"),
        ),
        403 => (
            "You are not allowed to sample from this model".to_owned(),
            "invalid_request_error",
            None,
        ),
        404 => (
            format!("The model `{model}` does not exist or you do not have access to it."),
            "invalid_request_error",
            Some("model_not_found"),
        ),
        429 => (
            format!("Rate limit reached for {model} on requests per min (RPM): Limit 3, Used 3, Requested 1. Please try again in 1s."),
            "requests",
            Some("rate_limit_exceeded"),
        ),
        503 => (
            "The engine is currently overloaded, please try again later".to_owned(),
            "server_error",
            None,
        ),
        400..=499 => (
            format!("The simulated provider was asked for status {status}."),
            "invalid_request_error",
            None,
        ),
        _ => (
            "The server had an error while processing your request. Sorry about that!".to_owned(),
            "server_error",
            None,
        ),
    };
    let mut script = error(status, &message, kind, None, code);
    if status == 429 {
        script.headers.push(("retry-after", "1".to_owned()));
    }
    script
}

fn error(
    status: u16,
    message: &str,
    kind: &str,
    param: Option<&str>,
    code: Option<&str>,
) -> Script {
    let body = json!({"error": {"message": message, "type": kind, "param": param, "code": code}});
    Script {
        status,
        content_type: "application/json",
        headers: Vec::new(),
        steps: Steps::whole(body.to_string().into_bytes()),
    }
}

/// Checks `n` and says how many answers there are to be.
pub(super) fn choices(n: Option<i64>) -> Result<usize, Refusal> {
    within("n", n.unwrap_or(1), 1, CHOICES_MAX)
}

/// Checks the number of dimensions.
pub(super) fn dimensions(dimensions: i64) -> Result<usize, Refusal> {
    within("dimensions", dimensions, 1, DIMENSIONS_MAX)
}

/// Checks how many inputs there are.
pub(super) fn inputs(count: usize) -> Result<(), Refusal> {
    let message = match count {
        0 => "Invalid 'input': empty array. Expected an array with minimum length 1, but got an empty array instead.".to_owned(),
        1..=INPUTS_MAX => return Ok(()),
        _ => format!("Invalid 'input': array too long. Expected an array with maximum length {INPUTS_MAX}, but got an array with length {count} instead."),
    };
    let code = if count == 0 {
        "empty_array"
    } else {
        "array_above_max_length"
    };
    Err(Refusal::new("input", code, message))
}

/// Checks how many stop sequences there are.
pub(super) fn stops(stops: &[String]) -> Result<(), Refusal> {
    if stops.len() <= STOPS_MAX {
        return Ok(());
    }
    let message = format!(
        "Invalid 'stop': array too long. Expected an array with maximum length {STOPS_MAX}, but got an array with length {} instead.",
        stops.len()
    );
    Err(Refusal::new("stop", "array_above_max_length", message))
}

/// Checks an integer against its limits.
pub(super) fn within(param: &str, value: i64, min: i64, max: i64) -> Result<usize, Refusal> {
    let (code, side, limit) = if value < min {
        (
            "integer_below_min_value",
            "below minimum",
            format!(">= {min}"),
        )
    } else if value > max {
        (
            "integer_above_max_value",
            "above maximum",
            format!("<= {max}"),
        )
    } else {
        return Ok(value.unsigned_abs() as usize);
    };
    let message = format!(
        "Invalid '{param}': integer {side} value. Expected a value {limit}, but got {value} instead."
    );
    Err(Refusal::new(param, code, message))
}

/// Says what is wrong with a body that could not be read. Slow, and only for such.
pub(super) fn diagnose(endpoint: Endpoint, body: &[u8], problem: &serde_json::Error) -> Refusal {
    let Ok(Value::Object(fields)) = serde_json::from_slice::<Value>(body) else {
        return Refusal {
            message: "We could not parse the JSON body of your request. (HINT: This likely means you aren't using your HTTP library correctly. The OpenAI API expects a JSON payload, but what was sent was not valid JSON.)".to_owned(),
            param: None,
            code: None,
        };
    };
    let needed = match endpoint {
        Endpoint::Chat => "messages",
        Endpoint::Completions => "prompt",
        Endpoint::Embeddings => "input",
    };
    let Some(main) = fields.get(needed) else {
        return missing(needed);
    };
    for (param, value) in &fields {
        if let Some(refusal) = expected(param).and_then(|(fits, wanted)| {
            (!value.is_null() && !fits(value)).then(|| wrong_type(param, wanted, value))
        }) {
            return refusal;
        }
    }
    if let (Endpoint::Chat, Value::Array(messages)) = (endpoint, main)
        && let Some(refusal) = messages.iter().enumerate().find_map(bad_message)
    {
        return refusal;
    }
    if endpoint != Endpoint::Chat {
        let message = format!(
            "'$.{needed}' is invalid. Please check the API reference: https://platform.openai.com/docs/api-reference."
        );
        return Refusal {
            message,
            param: None,
            code: None,
        };
    }
    Refusal {
        message: format!("Invalid request: {problem}."),
        param: None,
        code: None,
    }
}

type Fits = fn(&Value) -> bool;

/// What a top-level field has to be.
fn expected(param: &str) -> Option<(Fits, &'static str)> {
    Some(match param {
        "messages" => (Value::is_array, "an array of objects"),
        "tools" | "functions" => (Value::is_array, "an array of objects"),
        "n" | "max_tokens" | "max_completion_tokens" | "top_logprobs" | "seed" | "dimensions" => {
            (Value::is_i64, "an integer")
        }
        "temperature" => (Value::is_number, "a decimal"),
        "stream" | "parallel_tool_calls" | "echo" => (Value::is_boolean, "a boolean"),
        "stream_options" | "response_format" => (Value::is_object, "an object"),
        "encoding_format" => (Value::is_string, "a string"),
        "stop" => (is_stop, "one of an array of strings or string"),
        _ => return None,
    })
}

fn is_stop(value: &Value) -> bool {
    match value {
        Value::String(_) => true,
        Value::Array(items) => items.iter().all(Value::is_string),
        _ => false,
    }
}

/// What is wrong with a message, if it is this one.
fn bad_message((index, message): (usize, &Value)) -> Option<Refusal> {
    let at = format!("messages[{index}]");
    let Value::Object(fields) = message else {
        return Some(wrong_type(&at, "an object", message));
    };
    match fields.get("role") {
        None => return Some(missing(&format!("{at}.role"))),
        Some(Value::String(_)) => {}
        Some(other) => return Some(wrong_type(&format!("{at}.role"), "a string", other)),
    }
    let at = format!("{at}.content");
    match fields.get("content") {
        None | Some(Value::Null | Value::String(_)) => None,
        Some(Value::Array(parts)) => parts.iter().enumerate().find_map(|(part_index, part)| {
            let at = format!("{at}[{part_index}]");
            match part.get("type") {
                None => Some(missing(&format!("{at}.type"))),
                Some(Value::String(kind)) => {
                    let known = ["text", "refusal", "image_url", "input_audio", "file"];
                    (!known.contains(&kind.as_str())).then(|| {
                        unknown_value(
                            &format!("{at}.type"),
                            kind,
                            "'text', 'image_url', 'input_audio', 'refusal', and 'file'",
                        )
                    })
                }
                Some(other) => Some(wrong_type(&format!("{at}.type"), "a string", other)),
            }
        }),
        Some(other) => Some(wrong_type(
            &at,
            "one of a string or array of objects",
            other,
        )),
    }
}

pub(super) fn missing(param: &str) -> Refusal {
    let message = format!("Missing required parameter: '{param}'.");
    Refusal::new(param, "missing_required_parameter", message)
}

/// A value that is not one of those there are.
pub(super) fn unknown_value(param: &str, value: &str, known: &str) -> Refusal {
    let value: String = value.chars().take(64).collect();
    let message = format!("Invalid value: '{value}'. Supported values are: {known}.");
    Refusal::new(param, "invalid_value", message)
}

fn wrong_type(param: &str, wanted: &str, value: &Value) -> Refusal {
    let got = match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(number) if number.is_f64() => "a decimal number",
        Value::Number(_) => "an integer",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    };
    let message = format!("Invalid type for '{param}': expected {wanted}, but got {got} instead.");
    Refusal::new(param, "invalid_type", message)
}
