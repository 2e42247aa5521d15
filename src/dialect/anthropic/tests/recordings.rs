//! Anthropic's recorded traffic.

use serde_json::Value;

use super::*;
use crate::dialect::Kind;
use crate::dialect::anthropic::usage::usage;
use crate::dialect::anthropic::{
    read_answer, read_count_answer, read_count_request, read_error, write_answer,
    write_count_answer, write_count_request,
};
use crate::dialect::common::{Finish, Json, Usage};
use crate::dialect::recorded::{self, Recorded};

fn recordings(endpoint: &str, stream: bool) -> impl Iterator<Item = &'static Recorded> {
    let all = recorded::all().iter();
    all.filter(move |recorded| {
        let is_here = recorded.provider == "anthropic" && recorded.endpoint == endpoint;
        is_here && recorded.stream == stream
    })
}

fn model_of(recorded: &Recorded) -> &str {
    recorded.request["model"]
        .as_str()
        .unwrap_or("claude-opus-4-8")
}

#[test]
fn recorded_requests_are_written_as_they_were_read() {
    let all = recordings("/v1/messages", false).chain(recordings("/v1/messages", true));
    for recorded in all.filter(|recorded| recorded.status == 200) {
        let body = recorded.request.to_string();
        let request = read_request(body.as_bytes()).unwrap();
        let (sent, dropped) = sent(&request, &to(model_of(recorded)));
        assert_eq!(dropped, "", "{body}");
        let again = read_request(sent.to_string().as_bytes()).unwrap();
        assert_eq!(again, request);
        assert_eq!(
            sent["messages"].as_array().map(Vec::len),
            recorded.request["messages"].as_array().map(Vec::len)
        );
    }
}

#[test]
fn recorded_counts_are_read_and_written() {
    for recorded in recordings("/v1/messages/count_tokens", false) {
        let body = recorded.request.to_string();
        let request = read_count_request(body.as_bytes()).unwrap();
        let mut dropped = Dropped::default();
        let sent = write_count_request(&request, &to(model_of(recorded)), &mut dropped).unwrap();
        assert_eq!(read_count_request(&sent).unwrap(), request);
        let tokens = read_count_answer(&recorded.body()).unwrap();
        let written: Value = serde_json::from_slice(&write_count_answer(tokens)).unwrap();
        assert_eq!(written["input_tokens"].as_u64(), Some(tokens));
    }
}

#[test]
fn recorded_errors_are_read() {
    for recorded in recordings("/v1/messages", false).filter(|recorded| recorded.status == 404) {
        let status = http::StatusCode::NOT_FOUND;
        let error = read_error(status, &recorded.body());
        assert_eq!((error.kind, error.status()), (Kind::NotFound, status));
    }
}

#[test]
fn recorded_answers_are_read_and_written() {
    let at_bedrock = recorded::all().iter().filter(|recorded| {
        let is_claude = recorded.request.get("anthropic_version").is_some();
        recorded.endpoint == "/model/*/invoke" && is_claude
    });
    let all = recordings("/v1/messages", false).chain(at_bedrock);
    for recorded in all.filter(|recorded| recorded.status == 200) {
        let body = recorded.body();
        let answer = read_answer(&body, &context()).unwrap();
        let json: Value = serde_json::from_slice(&body).unwrap();
        says_the_same(&answer, &json);
        assert_eq!(usage(&body), answer.usage);
        let written = write_answer(&answer, &Request::new(Dialect::Anthropic, "m"), &context());
        assert_eq!(read_answer(&written, &context()).unwrap(), answer);
    }
}

fn says_the_same(answer: &Answer, json: &Value) {
    assert_eq!(Some(answer.id.as_str()), json["id"].as_str());
    let parts = &answer.choices[0].parts;
    let blocks = || json["content"].as_array().into_iter().flatten();
    let mut said = String::new();
    let mut calls = Vec::new();
    for part in parts {
        match &part.content {
            Content::Text { text, .. } => said.push_str(text),
            Content::ToolCall {
                name, arguments, ..
            } => {
                calls.push((name.clone(), Json::parse(arguments).unwrap().value()));
            }
            _ => {}
        }
    }
    let texts: String = blocks()
        .filter_map(|block| block["text"].as_str())
        .collect();
    assert_eq!(said, texts);
    let recorded_calls: Vec<_> = blocks()
        .filter(|block| block["type"] == "tool_use")
        .map(|block| {
            (
                block["name"].as_str().unwrap_or_default().to_owned(),
                block["input"].clone(),
            )
        })
        .collect();
    assert_eq!(calls, recorded_calls);
    let finish = match json["stop_reason"].as_str().unwrap() {
        "end_turn" => Finish::Stop,
        "tool_use" => Finish::ToolCalls,
        other => panic!("a reason that was not recorded: {other}"),
    };
    assert_eq!(answer.choices[0].finish, Some(finish));
    let count = |name: &str| json["usage"][name].as_u64().unwrap_or(0);
    let cached = [
        count("cache_read_input_tokens"),
        count("cache_creation_input_tokens"),
    ];
    let read = answer.usage.unwrap();
    assert_eq!(
        read.input_tokens,
        count("input_tokens") + cached.iter().sum::<u64>()
    );
    assert_eq!([read.cache_read_tokens, read.cache_write_tokens], cached);
    assert_eq!(read.output_tokens, count("output_tokens"));
}

#[test]
fn recorded_streams_are_read_and_written() {
    for recorded in recordings("/v1/messages", true) {
        let body = recorded.body();
        let pieces = deltas(&body);
        let ends = pieces.iter().filter(|delta| **delta == Delta::End).count();
        assert_eq!((ends, pieces.last()), (1, Some(&Delta::End)));
        let answer = collected(pieces.clone()).unwrap();
        assert!(
            answer
                .usage
                .is_some_and(|usage: Usage| usage.output_tokens > 0)
        );
        assert!(answer.choices[0].finish.is_some());

        let whole = write_answer(&answer, &Request::new(Dialect::Anthropic, "m"), &context());
        assert_eq!(read_answer(&whole, &context()).unwrap(), answer);

        let again = collected(deltas(written(pieces).as_bytes())).unwrap();
        assert_eq!(without_spans(again), without_spans(answer));
    }
}

/// A stream does not tell where what is cited for begins: the text has gone when the citation comes.
fn without_spans(mut answer: Answer) -> Answer {
    for part in answer
        .choices
        .iter_mut()
        .flat_map(|choice| &mut choice.parts)
    {
        if let Content::Text { citations, .. } = &mut part.content {
            citations
                .iter_mut()
                .for_each(|citation| citation.span = None);
        }
    }
    answer
}

#[test]
fn recorded_streams_are_the_same_in_pieces_and_cut_ones_have_no_end() {
    for recorded in recordings("/v1/messages", true) {
        let body = recorded.body();
        let whole = deltas(&body);
        for size in [1, 7, 4096] {
            let mut frames = sse::Frames::default();
            let mut reader = Reader::new(&context());
            let mut out = Vec::new();
            for piece in body.chunks(size) {
                let piece = bytes::Bytes::copy_from_slice(piece);
                for frame in sse::each(frames.push(piece).unwrap()) {
                    reader.read(&frame, &mut out).unwrap();
                }
            }
            assert_eq!(out, whole);
        }
        let cut = deltas(&body[..body.len() / 2]);
        assert!(!cut.contains(&Delta::End));
        assert_eq!(collected(cut), Err(None));
    }
}
