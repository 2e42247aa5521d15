//! What the simulated provider says, as a client hears it.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use super::*;

mod answers;
mod embeddings;
mod faults;
mod limits;
mod schemas;
mod tools;

fn weather_tool() -> Value {
    json!({"type": "function", "function": {"name": "get_weather", "description": "Current weather of a city", "parameters": {
        "type": "object", "properties": {"city": {"type": "string"}, "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]}},
        "required": ["city", "unit"], "additionalProperties": false}}})
}

fn time_tool() -> Value {
    json!({"type": "function", "function": {"name": "get_time", "description": "What o'clock it is somewhere", "parameters": {
        "type": "object", "properties": {"place": {"type": "string"}}, "required": ["place"], "additionalProperties": false}}})
}

fn hello() -> Value {
    chat("What is the capital of France?")
}

fn chat(prompt: &str) -> Value {
    json!({"model": "m", "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": prompt}]})
}

fn with(mut request: Value, more: &Value) -> Value {
    for (key, value) in more.as_object().unwrap() {
        request[key] = value.clone();
    }
    request
}

fn assert_valid(schema: &Value, value: &Value) {
    let validator = jsonschema::options()
        .should_validate_formats(true)
        .build(schema)
        .unwrap();
    if let Err(problem) = validator.validate(value) {
        panic!("{problem}: {value} against {schema}");
    }
}

fn steps(endpoint: Endpoint, model: &str, request: &Value) -> Steps {
    answer(
        &Simulation::default(),
        endpoint,
        model,
        request.to_string().as_bytes(),
        0,
    )
    .steps
}

fn bytes(steps: Steps) -> Vec<u8> {
    steps
        .flat_map(|step| {
            if let Step::Send(bytes) = step {
                bytes.to_vec()
            } else {
                Vec::new()
            }
        })
        .collect()
}

fn text_of(
    settings: &Simulation,
    endpoint: Endpoint,
    model: &str,
    request: &Value,
    sequence: u64,
) -> Vec<u8> {
    bytes(
        answer(
            settings,
            endpoint,
            model,
            request.to_string().as_bytes(),
            sequence,
        )
        .steps,
    )
}

fn whole(endpoint: Endpoint, model: &str, request: &Value) -> (Script, Value) {
    let mut script = answer(
        &Simulation::default(),
        endpoint,
        model,
        request.to_string().as_bytes(),
        0,
    );
    let body = bytes(std::mem::replace(
        &mut script.steps,
        Steps::whole(Vec::new()),
    ));
    let body = serde_json::from_slice(&body).unwrap();
    (script, body)
}

fn frames(endpoint: Endpoint, model: &str, request: &Value) -> Vec<Value> {
    let request = with(request.clone(), &json!({"stream": true}));
    let script = answer(
        &Simulation::default(),
        endpoint,
        model,
        request.to_string().as_bytes(),
        0,
    );
    assert_eq!(script.content_type, "text/event-stream; charset=utf-8");
    let text = String::from_utf8(bytes(script.steps)).unwrap();
    let mut frames: Vec<&str> = text
        .split_terminator("\n\n")
        .map(|frame| frame.strip_prefix("data: ").unwrap())
        .collect();
    assert_eq!(frames.pop(), Some("[DONE]"));
    frames
        .into_iter()
        .map(|frame| serde_json::from_str(frame).unwrap())
        .collect()
}

fn calls(body: &Value) -> Vec<(String, Value)> {
    let calls = body["choices"][0]["message"]["tool_calls"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    let calls = calls.iter().map(|call| {
        let function = &call["function"];
        let arguments = serde_json::from_str(function["arguments"].as_str().unwrap()).unwrap();
        (function["name"].as_str().unwrap().to_owned(), arguments)
    });
    calls.collect()
}

#[derive(Default)]
struct Assembled {
    id: Value,
    usage: Value,
    choices: Vec<AssembledChoice>,
}

#[derive(Clone, Default)]
struct AssembledChoice {
    content: String,
    calls: Vec<Value>,
    function_arguments: String,
    logprobs: Vec<Value>,
    finish: Value,
}

/// Puts the chunks of a stream together as an SDK does.
fn assemble(frames: &[Value]) -> Assembled {
    let mut whole = Assembled::default();
    for frame in frames {
        whole.id = frame["id"].clone();
        whole.usage = frame["usage"].clone();
        let Some(choice) = frame["choices"].get(0) else {
            continue;
        };
        let index = choice["index"].as_u64().unwrap() as usize;
        whole.choices.resize(
            whole.choices.len().max(index + 1),
            AssembledChoice::default(),
        );
        let into = &mut whole.choices[index];
        let delta = &choice["delta"];
        into.content += delta["content"].as_str().unwrap_or_default();
        into.function_arguments += delta["function_call"]["arguments"]
            .as_str()
            .unwrap_or_default();
        into.logprobs.extend(
            choice["logprobs"]["content"]
                .as_array()
                .cloned()
                .unwrap_or_default(),
        );
        into.finish = choice["finish_reason"].clone();
        if let Some(call) = delta["tool_calls"].get(0) {
            let place = call["index"].as_u64().unwrap() as usize;
            if place == into.calls.len() {
                let mut opened = call.clone();
                opened.as_object_mut().unwrap().remove("index");
                into.calls.push(opened);
            } else {
                let arguments = into.calls[place]["function"]["arguments"]
                    .as_str()
                    .unwrap_or_default();
                let arguments = arguments.to_owned()
                    + call["function"]["arguments"].as_str().unwrap_or_default();
                into.calls[place]["function"]["arguments"] = arguments.into();
            }
        }
    }
    whole
}
