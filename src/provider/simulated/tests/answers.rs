//! Answers whole and in streams.

use serde_json::{Value, json};

use super::*;

#[test]
fn a_whole_answer_has_every_field_that_openai_sends() {
    let (script, body) = whole(Endpoint::Chat, "gpt-4o", &hello());
    assert_eq!(
        (script.status, script.content_type),
        (200, "application/json")
    );
    assert_eq!(body["object"], "chat.completion");
    assert!(
        body["id"]
            .as_str()
            .is_some_and(|id| id.starts_with("chatcmpl-"))
    );
    assert_eq!(body["model"], "gpt-4o");
    let choice = &body["choices"][0];
    assert_eq!(choice["finish_reason"], "stop");
    assert_eq!(choice["message"]["role"], "assistant");
    assert!(
        choice["message"]["content"]
            .as_str()
            .is_some_and(|text| text.contains("capital of France"))
    );
    for null in [&choice["logprobs"], &choice["message"]["refusal"]] {
        assert_eq!(null, &Value::Null);
    }
    let usage = &body["usage"];
    let sum = usage["prompt_tokens"]
        .as_u64()
        .zip(usage["completion_tokens"].as_u64());
    assert_eq!(usage["total_tokens"].as_u64(), sum.map(|(a, b)| a + b));
    assert!((20..200).contains(&usage["completion_tokens"].as_u64().unwrap()));
}

#[test]
fn a_stream_says_what_the_whole_answer_says() {
    let tools = json!([weather_tool(), time_tool()]);
    let legacy = json!([weather_tool()["function"]]);
    let prompts = [
        "What is the capital of France?",
        "Weather and time in Paris please",
        "Weather in Paris, Rome and New York?",
        "héllo 世界 🎉🎉 \"q\"\n",
    ];
    let extras = [
        json!({}),
        json!({"n": 3}),
        json!({"tools": tools}),
        json!({"functions": legacy}),
        json!({"max_tokens": 5}),
        json!({"tools": tools, "max_tokens": 4}),
        json!({"stop": ["e", " the"]}),
        json!({"logprobs": true, "top_logprobs": 3, "max_tokens": 9}),
        json!({"response_format": {"type": "json_object"}}),
    ];
    for prompt in prompts {
        for extra in &extras {
            let request = with(chat(prompt), extra);
            let (_, whole) = whole(Endpoint::Chat, "m", &request);
            let mut assembled = assemble(&frames(
                Endpoint::Chat,
                "m",
                &with(
                    request.clone(),
                    &json!({"stream_options": {"include_usage": true}}),
                ),
            ));
            for (choice, streamed) in whole["choices"]
                .as_array()
                .unwrap()
                .iter()
                .zip(&mut assembled.choices)
            {
                let message = &choice["message"];
                assert_eq!(
                    message["content"].as_str().unwrap_or_default(),
                    streamed.content,
                    "{request}"
                );
                assert_eq!(
                    message["tool_calls"]
                        .as_array()
                        .cloned()
                        .unwrap_or_default(),
                    streamed.calls,
                    "{request}"
                );
                assert_eq!(choice["finish_reason"], streamed.finish);
                let logprobs = choice["logprobs"]["content"]
                    .as_array()
                    .cloned()
                    .unwrap_or_default();
                assert_eq!(logprobs, streamed.logprobs);
                assert_eq!(
                    message["function_call"]["arguments"]
                        .as_str()
                        .unwrap_or_default(),
                    streamed.function_arguments
                );
            }
            assert_eq!(whole["usage"], assembled.usage);
            assert_eq!(whole["id"], assembled.id);
        }
    }
}

#[test]
fn a_stream_has_openais_chunks_in_order() {
    let frames = frames(
        Endpoint::Chat,
        "m",
        &with(hello(), &json!({"max_tokens": 3})),
    );
    assert_eq!(
        frames[0]["choices"][0]["delta"],
        json!({"role": "assistant", "content": "", "refusal": null})
    );
    assert!(frames[0].get("usage").is_none());
    assert_eq!(frames.len(), 5);
    assert_eq!(frames[4]["choices"][0]["delta"], json!({}));
    assert_eq!(frames[4]["choices"][0]["finish_reason"], "length");
}

#[test]
fn usage_comes_in_a_last_chunk_only_where_it_is_asked_for() {
    let asked = with(hello(), &json!({"stream_options": {"include_usage": true}}));
    let frames = frames(Endpoint::Chat, "m", &asked);
    let (last, others) = frames.split_last().unwrap();
    assert_eq!(last["choices"], json!([]));
    assert!(last["usage"]["total_tokens"].is_u64());
    assert!(
        others
            .iter()
            .all(|frame| frame.get("usage") == Some(&Value::Null))
    );
}

#[test]
fn the_same_request_has_the_same_answer_and_another_another() {
    let one = text_of(&Simulation::default(), Endpoint::Chat, "m", &hello(), 1);
    assert_eq!(
        one,
        text_of(&Simulation::default(), Endpoint::Chat, "m", &hello(), 2)
    );
    let other = with(hello(), &json!({"seed": 7}));
    assert_ne!(
        one,
        text_of(&Simulation::default(), Endpoint::Chat, "m", &other, 1)
    );
}

#[test]
fn pauses_of_a_stream_and_of_a_whole_answer_add_up_to_the_same() {
    let settings = Simulation {
        first_token: Duration::from_millis(200),
        tokens_per_second: 80.0,
        faults: Faults::default(),
    };
    for extra in [json!({}), json!({"tools": [weather_tool()]})] {
        let request = with(hello(), &extra);
        let (_, body) = whole(Endpoint::Chat, "m", &request);
        let tokens = body["usage"]["completion_tokens"].as_u64().unwrap() as u32;
        let expected = Duration::from_millis(200) + Duration::from_micros(12_500) * tokens;
        for request in [request.clone(), with(request, &json!({"stream": true}))] {
            let steps = answer(
                &settings,
                Endpoint::Chat,
                "m",
                request.to_string().as_bytes(),
                0,
            )
            .steps;
            let pauses = steps.map(|step| {
                if let Step::Wait(pause) = step {
                    pause
                } else {
                    Duration::ZERO
                }
            });
            assert_eq!(pauses.sum::<Duration>(), expected);
        }
    }
}

#[test]
fn images_are_counted() {
    let image = json!({"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}});
    let parts = json!([{"type": "text", "text": "Compare these pictures"}, image, image]);
    let request = json!({"messages": [{"role": "user", "content": parts}]});
    let (_, body) = whole(Endpoint::Chat, "m", &request);
    let said = body["choices"][0]["message"]["content"].as_str().unwrap();
    assert!(said.contains("2 images") && said.contains("Compare these pictures"));
}

#[test]
fn log_probabilities_come_when_asked_for() {
    let asked = with(hello(), &json!({"logprobs": true, "top_logprobs": 2}));
    let (_, body) = whole(Endpoint::Chat, "m", &asked);
    let content = body["choices"][0]["logprobs"]["content"]
        .as_array()
        .unwrap();
    assert_eq!(
        content.len() as u64,
        body["usage"]["completion_tokens"].as_u64().unwrap()
    );
    for place in content {
        assert!(
            place["logprob"]
                .as_f64()
                .is_some_and(|logprob| (-1.0..=0.0).contains(&logprob))
        );
        assert_eq!(place["top_logprobs"].as_array().map(Vec::len), Some(2));
        assert_eq!(place["top_logprobs"][0]["token"], place["token"]);
    }
}

#[test]
fn text_completions_have_their_own_form() {
    let request = json!({"prompt": ["One river", "Two rivers"], "n": 2, "max_tokens": 30, "logprobs": 2, "echo": true});
    let (_, body) = whole(Endpoint::Completions, "m", &request);
    assert_eq!(body["object"], "text_completion");
    assert_eq!(body["choices"].as_array().map(Vec::len), Some(4));
    assert!(
        body["choices"][2]["text"]
            .as_str()
            .unwrap()
            .starts_with("Two rivers")
    );
    let frames = frames(Endpoint::Completions, "m", &request);
    for index in 0..4 {
        let streamed: String = frames
            .iter()
            .filter(|frame| frame["choices"][0]["index"] == index)
            .map(|frame| frame["choices"][0]["text"].as_str().unwrap())
            .collect();
        assert_eq!(body["choices"][index as usize]["text"], streamed);
    }
    let (_, tokens) = whole(Endpoint::Completions, "m", &json!({"prompt": [1, 2, 3]}));
    assert_eq!(tokens["usage"]["prompt_tokens"], 3);
    assert_eq!(tokens["usage"]["completion_tokens"], 16);
}

#[test]
fn every_answer_has_a_request_id_of_its_own() {
    let id = |model: &str, sequence| {
        answer(
            &Simulation::default(),
            Endpoint::Chat,
            model,
            b"{}",
            sequence,
        )
        .headers
        .last()
        .cloned()
    };
    assert!(id("m", 1).is_some_and(|(name, _)| name == "x-request-id"));
    assert_ne!(id("m", 1), id("m", 2));
}
