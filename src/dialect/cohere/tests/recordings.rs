use super::*;
use crate::dialect::common::{Content, Finish};
use crate::dialect::recorded;

fn recordings(endpoint: &str) -> impl Iterator<Item = &'static recorded::Recorded> {
    recorded::all().iter().filter(move |recorded| {
        recorded.provider == "cohere" && recorded.endpoint == endpoint && recorded.status == 200
    })
}

#[test]
fn recorded_requests_are_written_as_they_were_read() {
    for recorded in recordings("/v2/chat") {
        let request = read(&recorded.request.to_string());
        let (body, dropped) = sent(&request).unwrap();
        assert!(dropped.is_empty(), "{}", dropped.joined());
        let mut again = read(&body.to_string());
        again.model.clone_from(&request.model);
        assert_eq!(again, request);
    }
}

#[test]
fn recorded_answers_are_read_whole() {
    for recorded in recordings("/v2/chat") {
        let body = recorded.body();
        let json: serde_json::Value = serde_json::from_slice(&body).unwrap();
        let answer = read_answer(&body, &context()).unwrap();
        assert_eq!(answer.id, json["id"]);
        let choice = &answer.choices[0];

        let mut text = String::new();
        let mut calls = Vec::new();
        let mut citations = 0;
        for part in &choice.parts {
            match &part.content {
                Content::Text {
                    text: said,
                    citations: sources,
                } => {
                    text.push_str(said);
                    citations += sources.len();
                }
                Content::Thinking(thinking) => {
                    assert_eq!(thinking.text, json["message"]["tool_plan"]);
                }
                Content::ToolCall {
                    id,
                    name,
                    arguments,
                    ..
                } => calls.push((id, name, arguments)),
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(
            text,
            json["message"]["content"][0]["text"].as_str().unwrap_or("")
        );
        let wanted = json["message"]["citations"].as_array().map_or(0, Vec::len);
        assert_eq!(citations, wanted);
        for (index, (id, name, arguments)) in calls.iter().enumerate() {
            let call = &json["message"]["tool_calls"][index];
            assert_eq!(**id, call["id"]);
            assert_eq!(**name, call["function"]["name"]);
            assert_eq!(**arguments, call["function"]["arguments"]);
        }
        let finish = match json["finish_reason"].as_str() {
            Some("TOOL_CALL") => Finish::ToolCalls,
            _ => Finish::Stop,
        };
        assert_eq!(choice.finish, Some(finish));
        let counted = answer.usage.unwrap();
        let billed = &json["usage"]["billed_units"];
        assert_eq!(counted.input_tokens, billed["input_tokens"]);
        assert_eq!(counted.output_tokens, billed["output_tokens"]);
        assert_eq!(usage(&body), answer.usage);
        assert_eq!(failure(&body), None);

        let request = read(&recorded.request.to_string());
        let again = write_answer(&answer, &request, &context());
        assert_eq!(read_answer(&again, &context()).unwrap(), answer);
    }
}

#[test]
fn recorded_embeddings_are_read() {
    for recorded in recordings("/v2/embed") {
        let texts: Vec<_> = recorded.request["texts"]
            .as_array()
            .unwrap()
            .iter()
            .collect();
        let inputs: Vec<_> = texts.iter().map(|text| text.as_str().unwrap()).collect();
        let body = write_embedding_request(
            &inputs,
            "embed-v4.0",
            None,
            recorded.request["input_type"].as_str(),
            recorded.request["truncate"].as_str(),
        );
        let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
        let mut request = recorded.request.clone();
        let members = request.as_object_mut().unwrap();
        members.retain(|_, value| !value.is_null());
        assert_eq!(body, request);

        let answer = recorded.body();
        let json: serde_json::Value = serde_json::from_slice(&answer).unwrap();
        let (vectors, usage) = read_embedding_answer(&answer, inputs.len()).unwrap();
        assert_eq!(serde_json::json!(vectors), json["embeddings"]["float"]);
        let billed = &json["meta"]["billed_units"]["input_tokens"];
        assert_eq!(usage.unwrap().input_tokens, *billed);
    }
}
