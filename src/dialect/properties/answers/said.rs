//! Answers that nobody thought of.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use crate::dialect::Dialect;
use crate::dialect::common::{
    Answer, Choice, Content, Finish, Part, Signature, Thinking, TokenLogprob, Usage,
};
use crate::dialect::properties::arbitrary::{objects, texts};

fn seals() -> impl Strategy<Value = Signature> {
    let origins = [
        Dialect::Chat,
        Dialect::Responses,
        Dialect::Anthropic,
        Dialect::Gemini,
    ];
    (
        prop::sample::select(origins.to_vec()),
        "[A-Za-z0-9+/]{4}{1,3}",
    )
        .prop_map(|(origin, value)| Signature { origin, value })
}

fn said() -> impl Strategy<Value = String> {
    texts().prop_map(|text| ["so", &text].concat())
}

/// Thoughts, of which each has a seal if there are several.
fn thoughts() -> impl Strategy<Value = Vec<Thinking>> {
    let sealed =
        (option::of(said()), seals(), any::<bool>()).prop_map(|(text, seal, is_redacted)| {
            Thinking {
                is_redacted: text.is_none() && is_redacted,
                text: text.unwrap_or_default(),
                signature: Some(seal),
                id: None,
            }
        });
    let open = said().prop_map(|text| Thinking {
        text,
        ..Thinking::default()
    });
    prop_oneof![
        Just(Vec::new()),
        open.prop_map(|thought| vec![thought]),
        vec(sealed, 1..3)
    ]
}

fn choices() -> impl Strategy<Value = Choice> {
    let arguments = prop_oneof![
        Just(String::new()),
        objects().prop_map(|json| json.as_str().to_owned())
    ];
    let calls = vec((arguments, option::of(seals())), 0..4);
    let token = (texts(), -64_i32..0, any::<bool>()).prop_map(|(token, logprob, has_top)| {
        let token = TokenLogprob {
            bytes: None,
            logprob: f64::from(logprob) / 8.0,
            token,
            top: Vec::new(),
        };
        let top = if has_top {
            vec![token.clone()]
        } else {
            Vec::new()
        };
        TokenLogprob { top, ..token }
    });
    let logprobs = prop_oneof![2 => Just(Vec::new()), 1 => vec(token, 1..4)];
    let finish = prop::sample::select(vec![Finish::Stop, Finish::Length, Finish::ContentFilter]);
    (
        thoughts(),
        option::of(said()),
        any::<bool>(),
        calls,
        finish,
        logprobs,
    )
        .prop_map(|(thoughts, text, is_refusal, calls, finish, logprobs)| {
            let mut parts: Vec<Part> = thoughts
                .into_iter()
                .map(|it| Content::Thinking(it).into())
                .collect();
            let is_refusal = is_refusal && calls.is_empty();
            parts.extend(text.map(|text| match is_refusal {
                true => Content::Refusal(text).into(),
                false => Part::text(text),
            }));
            let finish = if calls.is_empty() {
                finish
            } else {
                Finish::ToolCalls
            };
            let calls = calls.into_iter().enumerate();
            parts.extend(calls.map(|(number, (arguments, signature))| {
                Part::from(Content::ToolCall {
                    id: format!("call_{number}"),
                    name: format!("tool_{number}"),
                    arguments,
                    signature,
                })
            }));
            // Of what is no text, nothing is told.
            let is_text = |part: &Part| matches!(part.content, Content::Text { .. });
            let logprobs = if parts.iter().any(is_text) {
                logprobs
            } else {
                Vec::new()
            };
            Choice {
                parts,
                finish: Some(if is_refusal { Finish::Refusal } else { finish }),
                logprobs,
            }
        })
}

fn usages() -> impl Strategy<Value = Usage> {
    let numbers = (
        0_u64..1000,
        0_u64..1000,
        0_u64..1000,
        0_u64..1000,
        0_u64..1000,
    );
    numbers.prop_map(|(fresh, read, write, said, thought)| Usage {
        input_tokens: fresh + read + write,
        output_tokens: said + thought,
        cache_read_tokens: read,
        cache_write_tokens: write,
        reasoning_tokens: thought,
        ..Usage::default()
    })
}

/// Answers with as many choices as `dialect` can tell.
pub fn answers(dialect: Dialect) -> BoxedStrategy<Answer> {
    let most = match dialect {
        Dialect::Chat | Dialect::Completions | Dialect::Gemini => 3,
        _ => 1,
    };
    (
        vec(choices(), 1..=most),
        usages(),
        option::of(1_700_000_000_u64..1_800_000_000),
    )
        .prop_map(move |(mut choices, usage, created)| {
            for choice in &mut choices {
                // Cohere's word for it is that of an error.
                if dialect == Dialect::Cohere && choice.finish == Some(Finish::ContentFilter) {
                    choice.finish = Some(Finish::Stop);
                }
            }
            (choices, usage, created)
        })
        .prop_map(|(choices, usage, created)| Answer {
            id: "answer-1".to_owned(),
            model: "model-1".to_owned(),
            created,
            choices,
            usage: Some(usage),
            service_tier: None,
        })
        .boxed()
}
