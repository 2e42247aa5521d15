//! Answers to `POST /v1/completions`.

use super::completion::{Choice, Completion, Form, Said};
use super::refuse::{self, Refusal};
use super::request::{CompletionRequest, Input, Stop};
use super::seed::Seed;
use super::text::{self, Subject};
use super::wire::Usage;

/// OpenAI's own limit where the request sets none, in tokens.
const LIMIT_DEFAULT: i64 = 16;
/// Most log probabilities for a place (OpenAI's own limit).
const LOGPROBS_MAX: i64 = 5;
/// Most choices for all prompts together.
const CHOICES_MAX: usize = 128;
/// Longest prompt that `echo` repeats, in bytes.
const ECHO_MAX: usize = 64 * 1024;

/// The answer to a request, and the seed that stands for the request.
pub(super) fn complete(
    model: &str,
    request: &CompletionRequest<'_>,
) -> Result<(Completion, Seed), Refusal> {
    let Some(prompts) = &request.prompt else {
        return Err(refuse::missing("prompt"));
    };
    let each = refuse::choices(request.n)?;
    let limit = request.max_tokens.unwrap_or(LIMIT_DEFAULT);
    let limit = refuse::within("max_tokens", limit, 0, i64::MAX)?;
    let logprobs = match request.logprobs {
        Some(top) => Some(refuse::within("logprobs", top, 0, LOGPROBS_MAX)?),
        None => None,
    };
    let stops = request.stop.as_ref().map_or(&[][..], Stop::sequences);
    refuse::stops(stops)?;
    if prompts.0.is_empty() || prompts.0.len() * each > CHOICES_MAX {
        let message = format!(
            "Invalid 'prompt': expected 1 to {} prompts, but got {}.",
            CHOICES_MAX / each,
            prompts.0.len()
        );
        return Err(Refusal::new("prompt", "invalid_value", message));
    }

    let mut seed = Seed::new(0x7e37)
        .with_bytes(model.as_bytes())
        .with(request.seed.unwrap_or_default() as u64)
        .with(request.temperature.unwrap_or(1.0).to_bits());
    let mut prompt_tokens = 0;
    for prompt in &prompts.0 {
        prompt_tokens += prompt.tokens();
        seed = prompt.mixed_into(&seed);
    }
    let mut choices = Vec::with_capacity(prompts.0.len() * each);
    let mut completion_tokens = 0;
    for prompt in &prompts.0 {
        for _ in 0..each {
            let mut seed = seed.with(choices.len() as u64 + 1);
            let subject = Subject {
                prompt: prompt.text(),
                ..Subject::default()
            };
            let said = format!(" {}", text::compose(&subject, &mut seed));
            let mut choice = Choice::text_within(said, stops, limit);
            completion_tokens += choice.tokens();
            if request.echo == Some(true) {
                echo(prompt.text(), &mut choice)?;
            }
            choices.push(choice);
        }
    }
    let usage = Usage::new(prompt_tokens, completion_tokens);
    let completion = Completion::new(Form::Text, model, choices, usage, logprobs, &seed);
    Ok((completion, seed))
}

/// Puts the prompt before its completion.
fn echo(prompt: &str, choice: &mut Choice) -> Result<(), Refusal> {
    if prompt.len() > ECHO_MAX {
        let message = format!("Invalid 'prompt': with 'echo' it may have {ECHO_MAX} bytes.");
        return Err(Refusal::new("prompt", "string_above_max_length", message));
    }
    if let Said::Text(said) = &mut choice.said {
        said.insert_str(0, prompt);
    }
    Ok(())
}

impl Input<'_> {
    fn text(&self) -> &str {
        match self {
            Self::Text(text) => text,
            Self::Tokens(_) => "",
        }
    }

    pub(super) fn tokens(&self) -> usize {
        match self {
            Self::Text(text) => text::count(text),
            Self::Tokens(tokens) => tokens.len(),
        }
    }

    pub(super) fn mixed_into(&self, seed: &Seed) -> Seed {
        match self {
            Self::Text(text) => seed.with_bytes(text.as_bytes()),
            Self::Tokens(tokens) => tokens
                .iter()
                .fold(seed.with(1), |seed, token| seed.with(u64::from(*token))),
        }
    }
}
