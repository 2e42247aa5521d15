//! Calls of tools.

use serde_json::{Value, json};

use super::*;

#[test]
fn a_tool_is_called_when_tools_are_given() {
    let request = with(
        chat("What is the weather in Paris?"),
        &json!({"tools": [time_tool(), weather_tool()]}),
    );
    let (_, body) = whole(Endpoint::Chat, "m", &request);
    let choice = &body["choices"][0];
    assert_eq!(choice["finish_reason"], "tool_calls");
    assert_eq!(choice["message"]["content"], Value::Null);
    let calls = calls(&body);
    assert_eq!(calls.len(), 1);
    assert_eq!(calls[0].0, "get_weather");
    assert_eq!(calls[0].1["city"], "Paris");
    assert_valid(&weather_tool()["function"]["parameters"], &calls[0].1);
}

#[test]
fn several_tools_or_places_are_several_calls_unless_forbidden() {
    let tools = json!({"tools": [time_tool(), weather_tool()]});
    let both = with(chat("Tell me the weather and the time in Paris"), &tools);
    let names = |body: &Value| {
        calls(body)
            .into_iter()
            .map(|(name, _)| name)
            .collect::<Vec<_>>()
    };
    let mut named = names(&whole(Endpoint::Chat, "m", &both).1);
    named.sort();
    assert_eq!(named, ["get_time", "get_weather"]);

    let places = with(
        chat("Compare the weather in Paris, New York and Rome."),
        &json!({"tools": [weather_tool()]}),
    );
    let cities: Vec<Value> = calls(&whole(Endpoint::Chat, "m", &places).1)
        .into_iter()
        .map(|(_, arguments)| arguments["city"].clone())
        .collect();
    assert_eq!(cities, ["Paris", "New York", "Rome"]);

    for request in [both, places] {
        let single = with(request, &json!({"parallel_tool_calls": false}));
        assert_eq!(calls(&whole(Endpoint::Chat, "m", &single).1).len(), 1);
    }
}

#[test]
fn tool_choice_is_honoured() {
    let tools = json!({"tools": [weather_tool(), time_tool()]});
    let request = with(chat("What is the weather in Paris?"), &tools);
    let none = with(request.clone(), &json!({"tool_choice": "none"}));
    assert!(whole(Endpoint::Chat, "m", &none).1["choices"][0]["message"]["content"].is_string());
    let named = json!({"tool_choice": {"type": "function", "function": {"name": "get_time"}}});
    let named = whole(Endpoint::Chat, "m", &with(request.clone(), &named)).1;
    assert_eq!(calls(&named)[0].0, "get_time");
    let unknown = json!({"tool_choice": {"type": "function", "function": {"name": "fly"}}});
    let (script, body) = whole(Endpoint::Chat, "m", &with(request, &unknown));
    assert_eq!(
        (script.status, &body["error"]["param"]),
        (400, &json!("tool_choice"))
    );
}

#[test]
fn after_a_tools_result_comes_a_text_that_quotes_it() {
    let messages = json!([
        {"role": "user", "content": "Weather in Paris?"},
        {"role": "assistant", "content": null, "tool_calls": [{"id": "call_1", "type": "function", "function": {"name": "get_weather", "arguments": "{}"}}]},
        {"role": "tool", "tool_call_id": "call_1", "content": "17 degrees and sunny"},
    ]);
    let request = json!({"messages": messages, "tools": [weather_tool(), time_tool()]});
    let (_, body) = whole(Endpoint::Chat, "m", &request);
    assert!(
        body["choices"][0]["message"]["content"]
            .as_str()
            .unwrap()
            .contains("17 degrees and sunny")
    );
    // Where a call is required, the tool that was not called yet comes next.
    let required = with(request, &json!({"tool_choice": "required"}));
    assert_eq!(
        calls(&whole(Endpoint::Chat, "m", &required).1)[0].0,
        "get_time"
    );
}

#[test]
fn the_older_functions_are_called_too() {
    let request = with(
        chat("Weather in Paris?"),
        &json!({"functions": [weather_tool()["function"]]}),
    );
    let (_, body) = whole(Endpoint::Chat, "m", &request);
    assert_eq!(body["choices"][0]["finish_reason"], "function_call");
    assert_eq!(
        body["choices"][0]["message"]["function_call"]["name"],
        "get_weather"
    );
}
