//! Counting a prompt's tokens.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::request::{read_prompt, write_prompt};
use super::wire::{Object, to_bytes};
use crate::dialect::common::{Dropped, Json, Malformed, Outgoing, Request};
use crate::dialect::{Error, Kind};

/// Reads the body of a caller who wants a prompt's tokens counted.
///
/// # Errors
/// [`Kind::InvalidRequest`], with `param` where a field is at fault; also for a prompt in a model's own form, which only
/// Bedrock reads.
pub fn read_count_request(body: &[u8], model: &str) -> Result<Request, Error> {
    const PROMPT: &str = "input.converse";
    let text = std::str::from_utf8(body)
        .map_err(|_| Error::new(Kind::InvalidRequest, "the body is not valid UTF-8"))?;
    let mut body = Object::parse(text, "")?;
    let input = body.take_object("input")?;
    let prompt: Option<&RawValue> = match input {
        Some(mut input) => input.take("converse")?,
        None => None,
    };
    let Some(prompt) = prompt else {
        return Err(Error::invalid(PROMPT, format!("{PROMPT} is missing")));
    };
    read_prompt(prompt.get(), model).map_err(|error| Error {
        param: error.param.map(|param| [PROMPT, ".", &param].concat()),
        ..error
    })
}

/// Writes the body that asks for the count. Inference profiles cannot be asked: see [`counted_model`].
///
/// # Errors
/// None that is known of; every request can be written.
pub fn write_count_request(
    request: &Request,
    to: &Outgoing<'_>,
    dropped: &mut Dropped,
) -> Result<Vec<u8>, Error> {
    #[derive(Serialize)]
    struct Body {
        input: Input,
    }
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    enum Input {
        Converse(Json),
    }
    let input = Input::Converse(write_prompt(request, to, dropped));
    Ok(to_bytes(&Body { input }))
}

/// The foundation model behind an inference profile of AWS's own, which is the one that counts: less `us.`, `global.`, …
pub fn counted_model(model: &str) -> &str {
    const REGIONS: [&str; 9] = [
        "us", "us-gov", "eu", "apac", "ap", "jp", "au", "ca", "global",
    ];
    match model.split_once('.') {
        Some((region, rest)) if REGIONS.contains(&region) => rest,
        _ => model,
    }
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct Count {
    input_tokens: u64,
}

/// Reads a provider's count.
///
/// # Errors
/// It is none.
pub fn read_count_answer(body: &[u8]) -> Result<u64, Malformed> {
    let count: Count = serde_json::from_slice(body)?;
    Ok(count.input_tokens)
}

/// Writes a count for a caller.
pub fn write_count_answer(tokens: u64) -> Vec<u8> {
    to_bytes(&Count {
        input_tokens: tokens,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_counts_by_its_model() {
        for (model, counted) in [
            (
                "us.anthropic.claude-sonnet-4-20250514-v1:0",
                "anthropic.claude-sonnet-4-20250514-v1:0",
            ),
            ("global.anthropic.claude-opus-5", "anthropic.claude-opus-5"),
            ("anthropic.claude-opus-5", "anthropic.claude-opus-5"),
            ("custom", "custom"),
        ] {
            assert_eq!(counted_model(model), counted);
        }
    }

    #[test]
    fn a_prompt_in_a_models_own_form_is_refused_by_name() {
        let error = read_count_request(br#"{"input":{"invokeModel":{"body":"e30="}}}"#, "m");
        assert_eq!(error.unwrap_err().param.as_deref(), Some("input.converse"));
        let body =
            br#"{"input":{"converse":{"messages":[{"role":"user","content":[{"text":1}]}]}}}"#;
        let error = read_count_request(body, "m").unwrap_err();
        assert_eq!(
            error.param.as_deref(),
            Some("input.converse.messages[0].content[0].text")
        );
    }
}
