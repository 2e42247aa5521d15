//! An answer that is written for a caller is read by it as what it was, whole and as a stream.

mod said;
mod spoken;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::{Value, json};

use said::answers;
use spoken::{Chance, deltas};

use super::{arbitrary, context, recordings, tries};
use crate::dialect::common::{
    Answer, Collector, Content, Delta, Finish, Part, Reasoning, Request, Signature, ThinkingBudget,
    Usage, fitted_id,
};
use crate::dialect::{Dialect, Framing, sse};

proptest! {
    #![proptest_config(tries(500))]

    #[test]
    fn an_answer_is_told_as_it_is_whole_and_streamed((dialect, answer, chance) in cases()) {
        come_back(dialect, &answer, chance).map_err(TestCaseError::fail)?;
    }

    #[test]
    fn an_answer_comes_back_in_the_next_request((dialect, answer, _) in cases()) {
        give_back(dialect, &answer).map_err(TestCaseError::fail)?;
    }

    #[test]
    fn an_array_says_what_events_say(answer in answers(Dialect::Gemini), chance in vec(any::<u8>(), 0..60)) {
        let request = caller(Dialect::Gemini, &answer);
        let deltas = deltas(&answer, &mut Chance(chance));
        let array = written(Dialect::Gemini, &request, &deltas, Framing::Array);
        let array: Vec<Value> = serde_json::from_slice(&array).expect("an array");
        prop_assert_eq!(array, events(&written(Dialect::Gemini, &request, &deltas, Framing::Events)));
    }

    #[test]
    fn nothing_is_lost_in_whatever_order_it_is_said(
        (dialect, answer, chance) in cases(),
        order in vec(any::<Index>(), 0..8),
    ) {
        let mut answer = answer;
        for choice in &mut answer.choices {
            let count = choice.parts.len();
            for (at, to) in order.iter().enumerate().take(count) {
                choice.parts.swap(at, to.index(count));
            }
        }
        tell_all(dialect, &answer, chance).map_err(TestCaseError::fail)?;
    }
}

#[test]
fn a_recorded_answer_is_told_to_every_caller_as_it_is() {
    for (dialect, recorded) in recordings() {
        if recorded.status != 200 {
            continue;
        }
        let body = recorded.body();
        let deltas = match recorded.stream {
            true => deltas_of(dialect, &body).expect("a stream that was recorded"),
            false => Vec::new(),
        };
        let answer = match recorded.stream {
            true => match collected(dialect, &body) {
                Ok(answer) => answer,
                // The provider gave it up.
                Err(_) => continue,
            },
            false => dialect
                .read_answer(&body, &context())
                .expect("an answer that was recorded"),
        };
        for caller in arbitrary::CALLERS {
            if let Err(difference) = tell_recorded(caller, &answer, &deltas) {
                panic!("{} to {}: {difference}", recorded.provider, caller.name());
            }
        }
    }
}

fn cases() -> impl Strategy<Value = (Dialect, Answer, Vec<u8>)> {
    prop::sample::select(&Dialect::ALL[..])
        .prop_flat_map(|dialect| (Just(dialect), answers(dialect), vec(any::<u8>(), 0..60)))
}

/// Writes `answer` for a caller of `dialect`, whole and as a stream, and reads both.
fn come_back(dialect: Dialect, answer: &Answer, mut chance: Vec<u8>) -> Result<(), String> {
    let request = caller(dialect, answer);
    let body = dialect.write_answer(answer, &request, &context());
    let text = String::from_utf8_lossy(&body);
    if dialect == Dialect::Completions {
        return complete(answer, &body, chance);
    }
    let whole = dialect.read_answer(&body, &context());
    let whole = whole.map_err(|fault| format!("{} {text}", fault.0))?;
    let all = |answer: &Answer| -> Vec<_> {
        let choices = answer.choices.iter();
        choices.map(|choice| told(dialect, &choice.parts)).collect()
    };
    let (shown, meant) = (all(&whole), all(answer));
    if shown != meant {
        return Err(format!("whole\n{meant:?}\n{shown:?}\n{text}"));
    }
    if dialect.usage(&body) != whole.usage
        || whole.usage != answer.usage.map(|it| known(dialect, it))
    {
        return Err(format!(
            "usage {:?} {:?}\n{text}",
            answer.usage, whole.usage
        ));
    }
    for (told, meant) in whole.choices.iter().zip(&answer.choices) {
        // A refusal is a text in some dialects, and then the model was done; Anthropic has one word for it and a filter.
        let is_refused = matches!(meant.finish, Some(Finish::Refusal))
            || (dialect == Dialect::Anthropic && meant.finish == Some(Finish::ContentFilter));
        if told.finish != meant.finish && !is_refused {
            return Err(format!(
                "finish {:?} {:?}\n{text}",
                meant.finish, told.finish
            ));
        }
    }
    chance.reverse();
    let deltas = deltas(answer, &mut Chance(chance));
    let stream = written(dialect, &request, &deltas, Framing::Events);
    let events = String::from_utf8_lossy(&stream);
    let streamed =
        collected(dialect, &stream).map_err(|it| format!("stream {it}\n{deltas:?}\n{events}"))?;
    if streamed != whole {
        return Err(format!(
            "stream is not whole\n{whole:?}\n{streamed:?}\n{deltas:?}\n{text}\n{events}"
        ));
    }
    Ok(())
}

/// What of a usage a dialect has fields for.
fn known(dialect: Dialect, usage: Usage) -> Usage {
    const WRITES: &[&str] = &[
        "cache_write_tokens",
        "cache_write_5m_tokens",
        "cache_write_1h_tokens",
    ];
    let names: &[&[&str]] = match dialect {
        Dialect::Chat | Dialect::Completions => &[&[
            "cache_read_tokens",
            "cache_write_tokens",
            "output_reasoning_tokens",
            "input_audio_tokens",
            "input_image_tokens",
            "output_audio_tokens",
            "output_image_tokens",
            "web_searches",
        ]],
        Dialect::Responses => &[&[
            "cache_read_tokens",
            "cache_write_tokens",
            "output_reasoning_tokens",
        ]],
        Dialect::Anthropic => &[
            WRITES,
            &[
                "cache_read_tokens",
                "output_reasoning_tokens",
                "web_searches",
            ],
        ],
        Dialect::Bedrock => &[WRITES, &["cache_read_tokens"]],
        Dialect::Cohere => &[&["cache_read_tokens", "images"]],
        Dialect::Gemini => &[],
    };
    let is_kept = |name: &str| match dialect {
        // All but the few that are listed.
        Dialect::Gemini => {
            !WRITES.contains(&name) && !["web_searches", "images", "audio_seconds"].contains(&name)
        }
        _ => names.iter().any(|names| names.contains(&name)),
    };
    let mut parts = usage.parts();
    for (part, name) in parts.iter_mut().zip(Usage::NAMES) {
        if !is_kept(name) && !["input_tokens", "output_tokens"].contains(name) {
            *part = 0;
        }
    }
    Usage::from_parts(parts)
}

/// Plain completions: texts, which no reader of ours reads.
fn complete(answer: &Answer, body: &[u8], chance: Vec<u8>) -> Result<(), String> {
    let dialect = Dialect::Completions;
    let request = caller(dialect, answer);
    let stream = written(
        dialect,
        &request,
        &deltas(answer, &mut Chance(chance)),
        Framing::Events,
    );
    let body: Value = serde_json::from_slice(body).map_err(|error| error.to_string())?;
    for (index, choice) in answer.choices.iter().enumerate() {
        let told = told(dialect, &choice.parts);
        let whole = body["choices"][index]["text"].as_str();
        let events = events(&stream);
        let pieces = events
            .iter()
            .flat_map(|event| event["choices"].as_array().cloned());
        let pieces = pieces.flatten().filter(|piece| piece["index"] == index);
        let streamed: String = pieces
            .filter_map(|piece| Some(piece["text"].as_str()?.to_owned()))
            .collect();
        if whole != Some(&told[0]) || streamed != told[0] {
            return Err(format!("{told:?} {whole:?} {streamed:?}"));
        }
    }
    match stream.ends_with(b"data: [DONE]\n\n") {
        true => Ok(()),
        false => Err("no ending".to_owned()),
    }
}

/// Compares what a caller is told, whole and streamed, by kinds: dialects that have no order put like to like.
fn tell_all(dialect: Dialect, answer: &Answer, mut chance: Vec<u8>) -> Result<(), String> {
    if dialect == Dialect::Completions {
        return Ok(());
    }
    let request = caller(dialect, answer);
    chance.reverse();
    let deltas = deltas(answer, &mut Chance(chance));
    let stream = written(dialect, &request, &deltas, Framing::Events);
    let streamed = collected(dialect, &stream)?;
    let body = dialect.write_answer(answer, &request, &context());
    let whole = dialect
        .read_answer(&body, &context())
        .map_err(|fault| fault.0)?;
    for (index, choice) in answer.choices.iter().enumerate() {
        let meant = told(dialect, &choice.parts);
        for (told_as, way) in [(&whole, "whole"), (&streamed, "streamed")] {
            let shown = told_as
                .choices
                .get(index)
                .map(|choice| told(dialect, &choice.parts));
            if shown.as_ref() != Some(&meant) {
                return Err(format!(
                    "{way}\n{meant:?}\n{shown:?}\n{answer:?}\n{}\n{}",
                    String::from_utf8_lossy(&body),
                    String::from_utf8_lossy(&stream)
                ));
            }
        }
    }
    Ok(())
}

fn tell_recorded(dialect: Dialect, answer: &Answer, deltas: &[Delta]) -> Result<(), String> {
    let request = caller(dialect, answer);
    let body = dialect.write_answer(answer, &request, &context());
    let whole = dialect
        .read_answer(&body, &context())
        .map_err(|fault| fault.0)?;
    let text = String::from_utf8_lossy(&body);
    let told = |answer: &Answer| told(dialect, &answer.choices[0].parts);
    let (shown, meant) = (told(&whole), told(answer));
    if shown != meant {
        return Err(format!("whole\n{meant:?}\n{shown:?}\n{text}"));
    }
    if deltas.is_empty() {
        return Ok(());
    }
    let stream = written(dialect, &request, deltas, Framing::Events);
    let streamed = collected(dialect, &stream)?;
    if told(&streamed) != meant || streamed.usage != whole.usage {
        return Err(format!(
            "stream\n{meant:?}\n{:?}\n{:?} {:?}\n{}",
            told(&streamed),
            whole.usage,
            streamed.usage,
            String::from_utf8_lossy(&stream)
        ));
    }
    Ok(())
}

/// The request in which a caller gives back what it was told.
fn next_request(dialect: Dialect, answer: &[u8]) -> Value {
    let answer: Value = serde_json::from_slice(answer).expect("an answer");
    match dialect {
        Dialect::Responses => json!({"model": "m", "input": answer["output"]}),
        Dialect::Gemini => json!({"contents": [answer["candidates"][0]["content"]]}),
        Dialect::Bedrock => json!({"messages": [answer["output"]["message"]]}),
        Dialect::Anthropic => json!({
            "model": "m", "max_tokens": 1,
            "messages": [{"role": "assistant", "content": answer["content"]}],
        }),
        Dialect::Cohere => json!({"model": "m", "messages": [answer["message"]]}),
        Dialect::Chat | Dialect::Completions => {
            json!({"model": "m", "messages": [answer["choices"][0]["message"]]})
        }
    }
}

/// Gives back what was told of the first choice.
fn give_back(dialect: Dialect, answer: &Answer) -> Result<(), String> {
    if dialect == Dialect::Completions {
        return Ok(());
    }
    let body = dialect.write_answer(answer, &caller(dialect, answer), &context());
    let next = next_request(dialect, &body).to_string();
    let read = dialect
        .read_request(next.as_bytes(), "m", false)
        .map_err(|error| format!("{error:?} {next}"))?;
    let parts: Vec<_> = read.turns.into_iter().flat_map(|turn| turn.parts).collect();
    let said = &answer.choices[0].parts;
    let (shown, meant) = (told(dialect, &parts), told(dialect, said));
    if shown != meant {
        return Err(format!("given back\n{meant:?}\n{shown:?}\n{next}"));
    }
    let (shown, meant) = (seals_in(&parts), seals_in(said));
    // Cohere's dialect has no place for a seal.
    if shown != meant && dialect != Dialect::Cohere {
        return Err(format!("seals\n{meant:?}\n{shown:?}\n{next}"));
    }
    Ok(())
}

/// A caller who wants to see everything.
fn caller(dialect: Dialect, answer: &Answer) -> Request {
    Request {
        stream: true,
        n: Some(answer.choices.len() as u64),
        logprobs: Some(5),
        reasoning: Some(Reasoning {
            effort: None,
            budget: Some(ThinkingBudget::Dynamic),
            show: Some(true),
        }),
        ..Request::new(dialect, "m")
    }
}

fn deltas_of(dialect: Dialect, stream: &[u8]) -> Result<Vec<Delta>, String> {
    let mut frames = dialect.frames();
    let mut reader = dialect.reader(&context());
    let mut deltas = Vec::new();
    let mut whole = frames
        .push(bytes::Bytes::copy_from_slice(stream))
        .map_err(|it| it.0)?;
    while let Some(frame) = frames.next_of(&mut whole) {
        reader.read(&frame, &mut deltas).map_err(|fault| fault.0)?;
    }
    reader.end(&mut deltas);
    Ok(deltas)
}

fn collected(dialect: Dialect, stream: &[u8]) -> Result<Answer, String> {
    let deltas = deltas_of(dialect, stream)?;
    let endings = deltas
        .iter()
        .filter(|delta| matches!(delta, Delta::End | Delta::Error(_)));
    if endings.count() != 1 || deltas.last() != Some(&Delta::End) {
        return Err(format!("endings {deltas:?}"));
    }
    let mut collector = Collector::default();
    deltas.into_iter().for_each(|delta| collector.push(delta));
    collector.finish().map_err(|error| format!("{error:?}"))
}

/// What a caller of `dialect` must be told of what a model said.
fn told(dialect: Dialect, parts: &[Part]) -> Vec<String> {
    let mut text = String::new();
    let mut thought = String::new();
    let mut calls = Vec::new();
    for part in parts {
        match &part.content {
            Content::Text { text: said, .. } | Content::Refusal(said) => text.push_str(said),
            Content::Thinking(thinking) => thought.push_str(&thinking.text),
            Content::ToolCall {
                id,
                name,
                arguments,
                ..
            } => {
                let arguments: Value = serde_json::from_str(arguments).unwrap_or(json!({}));
                // An id of letters that a dialect does not take becomes another.
                calls.push(format!("{} {name} {arguments}", fitted_id(id, 64)));
            }
            _ => {}
        }
    }
    match dialect {
        Dialect::Completions => vec![text],
        _ => [vec![text, thought], calls].concat(),
    }
}

fn seals_in(parts: &[Part]) -> Vec<Signature> {
    let seals = parts.iter().filter_map(|part| match &part.content {
        Content::Thinking(thinking) => thinking.signature.clone(),
        Content::ToolCall { signature, .. } => signature.clone(),
        _ => None,
    });
    seals.collect()
}

fn written(dialect: Dialect, request: &Request, deltas: &[Delta], framing: Framing) -> Vec<u8> {
    let mut writer = dialect.writer(request, &context(), framing);
    let mut stream = Vec::new();
    for delta in deltas {
        writer.write(delta.clone(), &mut stream);
    }
    stream
}

/// The JSON of a stream's events.
fn events(stream: &[u8]) -> Vec<Value> {
    let frames = sse::each(bytes::Bytes::copy_from_slice(stream));
    let data = frames.flat_map(|frame| sse::data(&frame).map(<[u8]>::to_vec).collect::<Vec<_>>());
    data.filter_map(|data| serde_json::from_slice(&data).ok())
        .collect()
}
