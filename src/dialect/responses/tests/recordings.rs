use serde_json::Value;

use super::*;
use crate::dialect::common::Finish;
use crate::dialect::recorded::{self, Recorded};

fn recordings() -> impl Iterator<Item = &'static Recorded> {
    let ours = |endpoint: &str| {
        matches!(
            endpoint,
            "/v1/responses" | "/responses" | "/openai/v1/responses"
        )
    };
    let all = recorded::all().iter();
    all.filter(move |recorded| ours(&recorded.endpoint))
}

#[test]
fn recorded_requests_come_out_as_they_went_in() {
    for recorded in recordings().filter(|recorded| recorded.status == 200) {
        let first = read(&recorded.request);
        let (body, dropped) = written(&first);
        assert!(dropped.is_empty(), "{dropped:?}");
        assert_eq!(read(&body), first, "{}", recorded.request);
        // What has no other form is also written as it came.
        for name in [
            "include",
            "tool_choice",
            "text",
            "reasoning",
            "metadata",
            "truncation",
        ] {
            let was = recorded.request.get(name);
            let was = was.filter(|was| !was["format"]["type"].eq("text"));
            let without_nulls = |value: &Value| match value {
                Value::Object(fields) => {
                    let fields = fields.clone().into_iter();
                    Value::Object(fields.filter(|(_, value)| !value.is_null()).collect())
                }
                value => value.clone(),
            };
            assert_eq!(body.get(name), was.map(without_nulls).as_ref(), "{name}");
        }
        let again = written(&read(&body)).0;
        assert_eq!(again.to_string(), body.to_string());
    }
}

#[test]
fn recorded_answers_are_read_and_written() {
    for recorded in recordings().filter(|recorded| recorded.status == 200 && !recorded.stream) {
        let body = recorded.body();
        let json: Value = serde_json::from_slice(&body).unwrap();
        let answer = read_answer(&body, &context()).unwrap();
        check(&answer, &json);
        assert_eq!(failure(&body), None);
        assert_eq!(usage(&body), answer.usage);

        let request = read(&recorded.request);
        let written = write_answer(&answer, &request, &context());
        let mut again = read_answer(&written, &context()).unwrap();
        if answer.choices[0].finish.is_none() {
            again.choices[0].finish = None;
        }
        if answer.service_tier.is_none() {
            again.service_tier = None;
        }
        again.id.clone_from(&answer.id);
        assert_eq!(again, answer);
    }
}

#[test]
fn recorded_streams_are_read_and_written() {
    for recorded in recordings().filter(|recorded| recorded.status == 200 && recorded.stream) {
        let body = recorded.body();
        let deltas = deltas(&body);
        let ends = deltas.iter().filter(|delta| **delta == Delta::End);
        assert_eq!(ends.count(), 1);
        assert_eq!(deltas.last(), Some(&Delta::End));
        let answer = collected(&deltas);

        // The last event holds the whole answer.
        let last = events_of(&body).pop().unwrap();
        let whole = last["response"].to_string();
        check(&answer, &last["response"]);
        let mut whole = read_answer(whole.as_bytes(), &context()).unwrap();
        // Only the whole answer has the bytes of tokens.
        whole.choices[0]
            .logprobs
            .clone_from(&answer.choices[0].logprobs);
        // It seals the same thoughts anew.
        assert_eq!(without_seals(answer.clone()), without_seals(whole));

        let request = read(&recorded.request);
        let ours = streamed(&deltas, &request);
        let mut again = collected(&super::deltas(&ours));
        again.id.clone_from(&answer.id);
        assert_eq!(rough(without_ids(again)), rough(without_ids(answer)));
    }
}

#[test]
fn a_recorded_stream_that_is_cut_has_no_ending() {
    for recorded in recordings().filter(|recorded| recorded.stream).take(4) {
        let body = recorded.body();
        let mut reader = Reader::new(&context());
        let mut out = Vec::new();
        let frames: Vec<_> = sse::each(bytes::Bytes::from(body)).collect();
        for frame in frames.iter().take(frames.len() - 1) {
            reader.read(frame, &mut out).unwrap();
        }
        reader.end(&mut out);
        assert!(!out.contains(&Delta::End));
    }
}

#[test]
fn recorded_errors_are_read() {
    for recorded in recordings().filter(|recorded| recorded.status != 200) {
        let status = http::StatusCode::from_u16(recorded.status).unwrap();
        let error = read_error(status, &recorded.body());
        assert_eq!(error.status(), status);
        let json: Value = serde_json::from_slice(&recorded.body()).unwrap();
        assert_eq!(json["error"]["message"], error.message.as_str());
        assert_eq!(json["error"]["param"].as_str(), error.param.as_deref());
    }
}

fn without_seals(mut answer: Answer) -> Answer {
    for part in answer
        .choices
        .iter_mut()
        .flat_map(|choice| &mut choice.parts)
    {
        if let Content::Thinking(thinking) = &mut part.content
            && let Some(signature) = &mut thinking.signature
        {
            signature.value.clear();
        }
    }
    answer
}

/// Without the bytes of tokens, which are made up where they are missing, and with probabilities as exact as JSON is.
fn rough(mut answer: Answer) -> Answer {
    let choices = answer.choices.iter_mut();
    for token in choices.flat_map(|choice| &mut choice.logprobs) {
        token.bytes = None;
        token.logprob = f64::from(token.logprob as f32);
    }
    answer
}

fn events_of(stream: &[u8]) -> Vec<Value> {
    let frames = sse::each(bytes::Bytes::copy_from_slice(stream));
    let data = frames.filter_map(|frame| {
        let data: Vec<&[u8]> = sse::data(&frame).collect();
        serde_json::from_slice(&data.concat()).ok()
    });
    data.collect()
}

/// Whether an answer says what its JSON holds.
fn check(answer: &Answer, json: &Value) {
    let output = json["output"].as_array().unwrap();
    let of_kind = |kind: &'static str| output.iter().filter(move |item| item["type"] == kind);
    let texts = of_kind("message").flat_map(|item| item["content"].as_array().unwrap());
    let text: String = texts.filter_map(|part| part["text"].as_str()).collect();
    let parts = &answer.choices[0].parts;
    let said: String = parts
        .iter()
        .filter_map(|part| match &part.content {
            Content::Text { text, .. } => Some(text.as_str()),
            _ => None,
        })
        .collect();
    assert_eq!(said, text);

    let calls: Vec<_> = of_kind("function_call")
        .map(|item| (&item["call_id"], &item["name"], &item["arguments"]))
        .map(|(id, name, arguments)| {
            let text = |value: &Value| value.as_str().unwrap().to_owned();
            (text(id), text(name), text(arguments))
        })
        .collect();
    let called: Vec<_> = parts
        .iter()
        .filter_map(|part| match &part.content {
            Content::ToolCall {
                id,
                name,
                arguments,
                ..
            } => Some((id.clone(), name.clone(), arguments.clone())),
            _ => None,
        })
        .collect();
    assert_eq!(called, calls);

    let finish = match (json["status"].as_str().unwrap(), calls.is_empty()) {
        ("queued", _) => None,
        (_, true) => Some(Finish::Stop),
        (_, false) => Some(Finish::ToolCalls),
    };
    assert_eq!(answer.choices[0].finish, finish);
    let seals = of_kind("reasoning").filter(|item| item["encrypted_content"].is_string());
    let kept = parts.iter().filter(
        |part| matches!(&part.content, Content::Thinking(thinking) if thinking.signature.is_some()),
    );
    assert_eq!(kept.count(), seals.count());
    match answer.usage {
        Some(usage) => {
            assert_eq!(json["usage"]["input_tokens"], usage.input_tokens);
            assert_eq!(json["usage"]["output_tokens"], usage.output_tokens);
            let details = &json["usage"]["output_tokens_details"];
            assert_eq!(details["reasoning_tokens"], usage.reasoning_tokens);
            let details = &json["usage"]["input_tokens_details"];
            assert_eq!(details["cached_tokens"], usage.cache_read_tokens);
        }
        None => assert!(json["usage"].is_null() || json["usage"] == serde_json::json!({})),
    }
}
