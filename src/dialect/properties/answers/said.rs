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

/// Usages whose parts are parts of what they should be.
fn usages() -> impl Strategy<Value = Usage> {
    let count = || prop_oneof![1 => Just(0_u64), 2 => 1_u64..1000];
    let kinds = || [count(), count(), count(), count()];
    let counts = || [count(), count(), count(), count(), count()];
    (kinds(), kinds(), kinds(), kinds(), counts(), counts()).prop_map(
        |(prompt, tools, cached, said, within, beside)| {
            let [untold, by_tools, written, minutes, hour] = within;
            let [spoken, thought, searches, images, seconds] = beside;
            let sum = |kinds: [u64; 4]| kinds.into_iter().sum::<u64>();
            let [text, audio, image, video] = prompt;
            let [tool_text, tool_audio, tool_image, tool_video] = tools;
            let [cached_text, cached_audio, cached_image, cached_video] = cached;
            let [said_text, said_audio, said_image, said_video] = said;
            let read = sum(cached);
            let write = written + minutes + hour;
            let tool = sum(tools) + by_tools;
            Usage {
                input_tokens: sum(prompt) + tool + untold + read + write,
                output_tokens: sum(said) + spoken + thought,
                reasoning_tokens: thought,
                cache_read_tokens: read,
                cache_write_tokens: write,
                cache_write_5m_tokens: minutes,
                cache_write_1h_tokens: hour,
                input_text_tokens: text + tool_text,
                input_audio_tokens: audio + tool_audio,
                input_image_tokens: image + tool_image,
                input_video_tokens: video + tool_video,
                cache_text_read_tokens: cached_text,
                cache_audio_read_tokens: cached_audio,
                cache_image_read_tokens: cached_image,
                cache_video_read_tokens: cached_video,
                input_tool_tokens: tool,
                input_text_tool_tokens: tool_text,
                input_audio_tool_tokens: tool_audio,
                input_image_tool_tokens: tool_image,
                input_video_tool_tokens: tool_video,
                output_text_tokens: said_text,
                output_audio_tokens: said_audio,
                output_image_tokens: said_image,
                output_video_tokens: said_video,
                web_searches: searches,
                images,
                audio_seconds: seconds,
            }
        },
    )
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
