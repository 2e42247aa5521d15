//! Every recording of this dialect, read, written and read again.

use serde_json::Value;

use super::*;
use crate::dialect::bedrock::{
    read_answer, read_count_answer, read_count_request, read_error, usage, write_answer,
    write_count_answer, write_count_request,
};
use crate::dialect::common::Content;
use crate::dialect::recorded::{self, Recorded};

fn recordings(endpoint: &str) -> impl Iterator<Item = &'static Recorded> {
    let is_asked = move |recorded: &&Recorded| {
        recorded.provider == "bedrock" && recorded.endpoint.ends_with(endpoint)
    };
    recorded::all().iter().filter(is_asked)
}

fn answered(endpoint: &str) -> impl Iterator<Item = &'static Recorded> {
    recordings(endpoint).filter(|recorded| recorded.status == 200)
}

/// One of the family that a request was for, so far as its own fields tell.
fn model_of(request: &Value) -> &'static str {
    let fields = &request["additionalModelRequestFields"];
    if fields["inferenceConfig"].is_object() {
        NOVA
    } else if fields["reasoning_effort"].is_string() {
        "openai.gpt-oss-120b-1:0"
    } else if fields["reasoning_config"].is_string() {
        "qwen.qwen3-32b-v1:0"
    } else {
        CLAUDE_4_5
    }
}

#[test]
fn requests_come_back_as_they_were() {
    let all = recordings("/converse").chain(recordings("/converse-stream"));
    // One was recorded as text that is no JSON.
    for recorded in all.filter(|recorded| recorded.request.is_object()) {
        let request = read(&recorded.request).unwrap();
        let (body, dropped) = written(&request, model_of(&recorded.request));
        assert_eq!(dropped, "", "{}", recorded.request);
        assert_eq!(read(&body).unwrap(), request, "{body}");
        let spaces = ["inferenceConfig", "system"];
        for (name, value) in recorded.request.as_object().unwrap() {
            let is_empty = value.as_array().is_some_and(Vec::is_empty)
                || value.as_object().is_some_and(serde_json::Map::is_empty);
            assert!(
                !body[name].is_null() || (is_empty && spaces.contains(&name.as_str())),
                "{name}"
            );
        }
    }
}

#[test]
fn whole_answers_say_what_they_hold() {
    for recorded in answered("/converse") {
        let body = recorded.body();
        let json: Value = serde_json::from_slice(&body).unwrap();
        let answer = read_answer(&body, &context()).unwrap();
        let [choice] = &answer.choices[..] else {
            panic!("one choice");
        };
        let told = choice.parts.iter().filter_map(|part| match &part.content {
            Content::Text { text, .. } => Some(text.as_str()),
            _ => None,
        });
        let blocks = json["output"]["message"]["content"].as_array().unwrap();
        let said = blocks.iter().filter_map(|block| block["text"].as_str());
        assert_eq!(told.collect::<String>(), said.collect::<String>());
        let calls = choice.parts.iter().filter_map(|part| match &part.content {
            Content::ToolCall {
                id,
                name,
                arguments,
                ..
            } => {
                let input: Value = serde_json::from_str(arguments).unwrap();
                Some((id.clone(), name.clone(), input))
            }
            _ => None,
        });
        let asked = blocks.iter().map(|block| &block["toolUse"]);
        let asked = asked.filter(|call| call.is_object() && call["type"] != "server_tool_use");
        let asked = asked.map(|call| {
            let text = |name: &str| call[name].as_str().unwrap().to_owned();
            (text("toolUseId"), text("name"), call["input"].clone())
        });
        assert_eq!(calls.collect::<Vec<_>>(), asked.collect::<Vec<_>>());
        let finish = choice.finish.as_ref();
        assert_eq!(
            super::super::finish::written(finish, false),
            json["stopReason"]
        );
        check_usage(&answer, &json["usage"]);
        assert_eq!(usage(&body), answer.usage);

        let shown = write_answer(&answer, &caller(), &context());
        assert_eq!(read_answer(&shown, &context()).unwrap(), answer);
        let streamed = streamed(&answer);
        assert_eq!(collected(deltas_of(&stream_of(streamed))).unwrap(), answer);
    }
}

fn check_usage(answer: &Answer, json: &Value) {
    let usage = answer.usage.unwrap();
    let number = |name: &str| json[name].as_u64().unwrap_or(0);
    let cached = number("cacheReadInputTokens") + number("cacheWriteInputTokens");
    assert_eq!(usage.input_tokens, number("inputTokens") + cached);
    assert_eq!(usage.output_tokens, number("outputTokens"));
    assert_eq!(
        usage.input_tokens + usage.output_tokens,
        number("totalTokens")
    );
}

/// What a stream of this answer would tell.
fn streamed(answer: &Answer) -> Vec<Delta> {
    let choice = 0;
    let mut deltas = vec![Delta::Start {
        id: String::new(),
        model: String::new(),
        created: None,
    }];
    let mut call = 0;
    for part in &answer.choices[0].parts {
        match part.content.clone() {
            Content::Text { text, .. } => deltas.push(Delta::Text { choice, text }),
            Content::Thinking(thinking) => {
                if !thinking.text.is_empty() {
                    deltas.push(Delta::Thinking {
                        choice,
                        text: thinking.text,
                    });
                }
                deltas.extend(thinking.signature.map(|signature| Delta::Signature {
                    choice,
                    signature,
                    id: None,
                    is_redacted: thinking.is_redacted,
                }));
            }
            Content::ToolCall {
                id,
                name,
                arguments,
                signature,
            } => {
                deltas.push(Delta::ToolCall {
                    choice,
                    call,
                    id,
                    name,
                    signature,
                });
                deltas.push(Delta::Arguments {
                    choice,
                    call,
                    json: arguments,
                });
                call += 1;
            }
            Content::Opaque {
                dialect,
                kind,
                json,
            } => {
                deltas.push(Delta::Opaque {
                    choice,
                    dialect,
                    kind,
                    json,
                });
            }
            other => panic!("{other:?}"),
        }
    }
    let finish = answer.choices[0].finish.clone().unwrap();
    deltas.push(Delta::Finish { choice, finish });
    deltas.push(Delta::Usage(answer.usage.unwrap()));
    deltas.extend(answer.service_tier.clone().map(Delta::ServiceTier));
    deltas.push(Delta::End);
    deltas
}

#[test]
fn streams_end_once_and_say_what_they_hold() {
    for recorded in answered("/converse-stream") {
        let body = recorded.body();
        let deltas = deltas_of(&body);
        assert_eq!(deltas.last(), Some(&Delta::End));
        let answer = collected(deltas.clone()).unwrap();
        let events = events_of(&body);
        let said = events
            .iter()
            .filter_map(|(_, event)| event["delta"]["text"].as_str());
        let said: String = said.collect();
        let [part] = &answer.choices[0].parts[..] else {
            panic!("one text");
        };
        assert_eq!(*part, crate::dialect::common::Part::text(said));
        check_usage(&answer, &events.last().unwrap().1["usage"]);
        let shown = stream_of(deltas);
        assert_eq!(collected(deltas_of(&shown)).unwrap(), answer);
    }
}

#[test]
fn errors_have_words_and_their_status() {
    let all = ["/converse", "/count-tokens"]
        .into_iter()
        .flat_map(recordings);
    for recorded in all.filter(|recorded| recorded.status != 200) {
        let status = http::StatusCode::from_u16(recorded.status).unwrap();
        let error = read_error(status, &recorded.body(), None);
        assert_eq!(error.status(), status);
        let json: Value = serde_json::from_slice(&recorded.body()).unwrap();
        assert_eq!(error.message, json["message"]);
    }
}

#[test]
fn counts_are_asked_and_told() {
    for recorded in recordings("/count-tokens") {
        let prompt = &recorded.request["input"]["converse"];
        if prompt.is_object() {
            let body = recorded.request.to_string();
            let request = read_count_request(body.as_bytes(), "smart").unwrap();
            let mut dropped = Dropped::default();
            let written = write_count_request(&request, &to(CLAUDE_4_5), &mut dropped).unwrap();
            assert_eq!(read_count_request(&written, "smart").unwrap(), request);
        }
        if recorded.status == 200 {
            let tokens = read_count_answer(&recorded.body()).unwrap();
            assert!(tokens > 0);
            assert_eq!(
                read_count_answer(&write_count_answer(tokens)).unwrap(),
                tokens
            );
        }
    }
}
