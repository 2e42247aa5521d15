//! What a request whose provider reported no usage, or not all of it, is taken to have used.

use bytes::Bytes;
use serde::Deserialize;

use super::estimate::input_tokens;
use super::family::Family;
use super::output::output_tokens;
use super::tokens::Tokens;
use crate::dialect::common::Said;
use crate::dialect::embedding::{self, Inputs};
use crate::dialect::{Dialect, Operation, Usage};

/// Bytes of a request in an unknown shape that are taken for a token.
const TOKEN_BYTES: u64 = 4;

/// The longest word, in bytes, of a request in an unknown shape. What is longer is a picture in base64.
const WORD_MAX: usize = 4 * 1024;

/// A request, and what is known of its answer. It holds all that it needs, to be counted on another thread: the first
/// count of the process takes 0.1 s longer, and one of megabytes up to a second.
#[derive(Clone, Debug)]
pub struct Unreported {
    /// What the caller asks for.
    pub operation: Operation,
    /// The caller's body.
    pub body: Bytes,
    /// The model by the caller's name.
    pub model: String,
    /// Whether the caller asked for a stream.
    pub stream: bool,
    /// What the provider has answered.
    pub said: Said,
    /// Whose tokens they are.
    pub family: Family,
    /// What the provider has reported, before the answer was cut. Anthropic begins a stream with the usage of the input
    /// and a token of output, and Gemini tells in each frame what has been used so far.
    pub reported: Option<Usage>,
}

impl Unreported {
    /// What has been used: the input as reported, else counted, and of the output what is more, for a report is from
    /// before what was said last.
    pub fn usage(&self) -> Usage {
        let mut usage = self.reported.unwrap_or_default();
        if usage.input_tokens == 0 {
            usage.input_tokens = self.input_tokens();
        }
        let output = output_tokens(&self.said, self.family);
        usage.output_tokens = usage.output_tokens.max(output.output_tokens);
        usage.reasoning_tokens = usage.reasoning_tokens.max(output.reasoning_tokens);
        usage
    }

    fn input_tokens(&self) -> u64 {
        let counted = match self.operation {
            // Nobody bills for counting.
            Operation::CountTokens(_) => return 0,
            Operation::Embed(_) => embedding::read_request(&self.body)
                .ok()
                .map(|request| self.inputs_tokens(&request.inputs)),
            Operation::Generate(Dialect::Completions) => {
                let body = serde_json::from_slice::<Completion>(&self.body).ok();
                body.map(|body| self.inputs_tokens(&body.prompt))
            }
            Operation::Generate(dialect) => dialect
                .read_request(&self.body, &self.model, self.stream)
                .ok()
                .map(|request| input_tokens(&request, self.family)),
        };
        counted.unwrap_or_else(|| self.tokens_of_bytes())
    }

    fn inputs_tokens(&self, inputs: &Inputs) -> u64 {
        match inputs {
            Inputs::Tokens(lists) => lists.iter().map(|list| list.len() as u64).sum(),
            Inputs::Texts(texts) => {
                let mut tokens = Tokens::default();
                texts.iter().for_each(|text| tokens.add(text));
                let percent = self.family.weights().text_percent;
                tokens.total().saturating_mul(percent).div_ceil(100)
            }
        }
    }

    /// For a body that cannot be read, though the provider could.
    fn tokens_of_bytes(&self) -> u64 {
        let is_between = |byte: &u8| *byte == b'"' || byte.is_ascii_whitespace();
        let words = self.body.split(is_between);
        let (words, pictures): (Vec<_>, Vec<_>) = words.partition(|word| word.len() <= WORD_MAX);
        // Each with the space or the quote behind it.
        let bytes: u64 = words.iter().map(|word| word.len() as u64 + 1).sum();
        let image = self.family.weights().image;
        bytes.div_ceil(TOKEN_BYTES) + pictures.len() as u64 * image
    }
}

/// A request to complete a prompt, which has the forms of what is embedded.
#[derive(Deserialize)]
struct Completion {
    prompt: Inputs,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::common::SaidKind;
    use serde_json::json;

    fn unreported(operation: Operation, body: &serde_json::Value) -> Unreported {
        Unreported {
            operation,
            body: Bytes::from(body.to_string()),
            model: "m".to_owned(),
            stream: true,
            said: Said::default(),
            family: Family::OpenAi,
            reported: None,
        }
    }

    #[test]
    fn every_operation_is_counted() {
        let chat = json!({"model": "m", "messages": [{"role": "user", "content": "hello world"}]});
        let anthropic = json!({"model": "m", "max_tokens": 9,
            "messages": [{"role": "user", "content": "hello world"}]});
        let prompt = |prompt| json!({"model": "m", "prompt": prompt});
        let input = |input| json!({"model": "m", "input": input});
        let completions = Operation::Generate(Dialect::Completions);
        let embed = Operation::Embed(Dialect::Chat);
        for (operation, body, tokens) in [
            (Operation::Generate(Dialect::Chat), chat, 3 + 4 + 2),
            (
                Operation::Generate(Dialect::Anthropic),
                anthropic.clone(),
                3 + 4 + 2,
            ),
            (Operation::CountTokens(Dialect::Anthropic), anthropic, 0),
            (completions, prompt(json!("hello world")), 2),
            (completions, prompt(json!(["hello world", "hello"])), 3),
            (completions, prompt(json!([1, 2, 3])), 3),
            (embed, input(json!(["hello world"])), 2),
            (embed, input(json!([[1, 2], [3]])), 3),
        ] {
            let usage = unreported(operation, &body).usage();
            assert_eq!(usage.input_tokens, tokens, "{operation:?} {body}");
            assert_eq!(usage.output_tokens, 0);
        }
    }

    #[test]
    fn what_cannot_be_read_is_taken_by_its_bytes() {
        let picture = "A".repeat(100_000);
        let body = json!({"messages": {"hello": "world", "picture": picture}});
        let mut strange = unreported(Operation::Generate(Dialect::Chat), &body);
        let tokens = strange.usage().input_tokens;
        assert!((765 + 10..765 + 20).contains(&tokens), "{tokens}");
        strange.body = Bytes::new();
        assert!(strange.usage().input_tokens <= 1);
    }

    #[test]
    fn what_was_reported_before_the_cut_stands() {
        let body = json!({"model": "m", "max_tokens": 9, "messages": []});
        let mut cut = unreported(Operation::Generate(Dialect::Anthropic), &body);
        cut.said.push(SaidKind::Thought, "hello world");
        cut.said.push(SaidKind::Text, "hello world");
        let mut reported = Usage {
            input_tokens: 1_000,
            cache_read_tokens: 900,
            output_tokens: 1,
            ..Usage::default()
        };
        cut.reported = Some(reported);
        let counted = Usage {
            output_tokens: 1 + 2 + 2 + 9,
            reasoning_tokens: 2 + 9,
            ..reported
        };
        assert_eq!(cut.usage(), counted);
        reported.output_tokens = 700;
        reported.reasoning_tokens = 690;
        cut.reported = Some(reported);
        assert_eq!(cut.usage(), reported);
    }
}
