//! Every recording of this dialect, read, written and read again.

use serde_json::Value;

use super::super::{read_request, write_request};
use super::*;
use crate::dialect::common::{Content, Dropped, Finish, Outgoing};
use crate::dialect::recorded::{self, Recorded};

fn recordings() -> impl Iterator<Item = &'static Recorded> {
    recorded::all()
        .iter()
        .filter(|recorded| recorded.endpoint.ends_with("/chat/completions"))
}

fn answered() -> impl Iterator<Item = &'static Recorded> {
    recordings().filter(|recorded| recorded.status == 200)
}

#[test]
fn requests_come_back_as_they_were() {
    for recorded in recordings() {
        let body = recorded.request.to_string();
        let mut request = read_request(body.as_bytes()).unwrap();
        let accent = match recorded.provider.as_str() {
            "openrouter" | "mistral" => &ROUTER,
            "gemini" => &GOOGLE,
            "openai" => &Accent::OPENAI,
            _ => &Accent {
                has_developer: true,
                ..Accent::OTHER
            },
        };
        let to = Outgoing {
            model: &request.model,
            accent,
            is_vertex: false,
            auto_cache: false,
        };
        let mut dropped = Dropped::default();
        let written = write_request(&request, &to, &mut dropped).unwrap();
        assert!(dropped.is_empty(), "{body}: {}", dropped.joined());
        let again = read_request(&written).unwrap();
        request.include_usage = again.include_usage;
        assert_eq!(again, request, "{}", String::from_utf8_lossy(&written));
    }
}

#[test]
fn whole_answers_say_what_they_hold() {
    for recorded in answered().filter(|recorded| !recorded.stream) {
        let body = recorded.body();
        let json: Value = serde_json::from_slice(&body).unwrap();
        let answer = read_answer(&body, &context()).unwrap();
        assert_eq!(answer.model, json["model"]);
        assert_eq!(answer.created, json["created"].as_u64());
        let usage = answer.usage.unwrap();
        assert_eq!(usage.input_tokens, json["usage"]["prompt_tokens"]);
        assert_eq!(usage.output_tokens, json["usage"]["completion_tokens"]);
        let details = &json["usage"]["completion_tokens_details"];
        let reasoning = details["reasoning_tokens"].as_u64().unwrap_or(0);
        assert_eq!(usage.reasoning_tokens, reasoning);
        for (choice, json) in answer
            .choices
            .iter()
            .zip(json["choices"].as_array().unwrap())
        {
            let message = &json["message"];
            assert_eq!(texts(&choice.parts), said(&message["content"]));
            let calls = message["tool_calls"].as_array().cloned();
            assert_eq!(calls_of(&choice.parts), calls.unwrap_or_default().len());
            let finish = choice.finish.as_ref().unwrap();
            assert_eq!(
                super::super::finish::written(finish, false).0,
                json["finish_reason"]
            );
        }
        let shown = write_answer(&answer, &caller(), &context());
        let mut again = read_answer(&shown, &context()).unwrap();
        settle(&mut again);
        let mut answer = answer;
        settle(&mut answer);
        assert_eq!(again, answer, "{}", String::from_utf8_lossy(&shown));
    }
}

#[test]
fn streams_end_once_and_say_what_they_hold() {
    for recorded in answered().filter(|recorded| recorded.stream) {
        let deltas = deltas_of(&recorded.body());
        let answer = match collected(deltas.clone()) {
            Ok(answer) => answer,
            Err(Some(error)) => {
                assert!(error.message.contains("Tool call validation failed"));
                continue;
            }
            Err(None) => panic!("{} was cut", recorded.provider),
        };
        let body = recorded.body();
        let text = String::from_utf8(body).unwrap();
        let chunks: Vec<Value> = text
            .lines()
            .filter_map(|line| serde_json::from_str(line.strip_prefix("data: ")?).ok())
            .collect();
        let said: String = chunks
            .iter()
            .map(|chunk| said(&chunk["choices"][0]["delta"]["content"]))
            .collect();
        assert_eq!(texts(&answer.choices[0].parts), said);
        let mut usages = chunks.iter().filter(|chunk| chunk["usage"].is_object());
        let usage = &usages.next_back().unwrap()["usage"];
        assert_eq!(answer.usage.unwrap().input_tokens, usage["prompt_tokens"]);
        assert_eq!(
            answer.usage.unwrap().output_tokens,
            usage["completion_tokens"]
        );
        assert!(answer.choices[0].finish.is_some());

        let shown = written(deltas, &caller());
        let mut again = collected(deltas_of(&shown)).unwrap();
        settle(&mut again);
        let mut answer = answer;
        settle(&mut answer);
        assert_eq!(again, answer, "{}", String::from_utf8_lossy(&shown));
    }
}

#[test]
fn errors_have_words_and_a_kind() {
    for recorded in recordings().filter(|recorded| recorded.status != 200) {
        let status = http::StatusCode::from_u16(recorded.status).unwrap();
        let error = super::super::read_error(status, &recorded.body());
        assert_eq!(error.status(), status);
        let json: Value = serde_json::from_slice(&recorded.body()).unwrap();
        assert_eq!(error.message, json["error"]["message"]);
    }
}

/// Ids are shown with OpenAI's prefix, and calls without arguments with an empty object.
fn settle(answer: &mut Answer) {
    if let Some(bare) = answer.id.strip_prefix("chatcmpl-") {
        answer.id = bare.to_owned();
    }
    for part in answer
        .choices
        .iter_mut()
        .flat_map(|choice| &mut choice.parts)
    {
        if let Content::ToolCall { arguments, .. } = &mut part.content
            && arguments.is_empty()
        {
            arguments.push_str("{}");
        }
    }
}

fn texts(parts: &[crate::dialect::common::Part]) -> String {
    let texts = parts.iter().filter_map(|part| match &part.content {
        Content::Text { text, .. } => Some(text.as_str()),
        _ => None,
    });
    texts.collect()
}

fn calls_of(parts: &[crate::dialect::common::Part]) -> usize {
    let is_call = |content: &Content| matches!(content, Content::ToolCall { .. });
    parts.iter().filter(|part| is_call(&part.content)).count()
}

fn said(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(parts) => parts
            .iter()
            .filter_map(|part| part["text"].as_str())
            .collect(),
        _ => String::new(),
    }
}

#[test]
fn a_finish_is_never_missing_from_a_whole_answer() {
    for recorded in answered().filter(|recorded| !recorded.stream) {
        let answer = read_answer(&recorded.body(), &context()).unwrap();
        let odd = |finish: &Finish| matches!(finish, Finish::Other(_));
        let finishes = answer.choices.iter().map(|choice| choice.finish.as_ref());
        assert!(finishes.flatten().all(|finish| !odd(finish)));
    }
}
