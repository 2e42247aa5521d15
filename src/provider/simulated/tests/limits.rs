//! What is refused, and what is bounded.

use serde_json::json;

use super::*;

#[test]
fn absurd_speeds_do_no_harm() {
    for speed in [
        -1.0,
        f64::NAN,
        f64::INFINITY,
        1e-300,
        f64::MIN_POSITIVE,
        1e300,
    ] {
        let settings = Simulation {
            tokens_per_second: speed,
            ..Simulation::default()
        };
        let steps = answer(
            &settings,
            Endpoint::Chat,
            "m",
            hello().to_string().as_bytes(),
            0,
        )
        .steps;
        assert!(steps.count() > 0);
    }
}

#[test]
fn the_length_is_limited_and_stop_sequences_stop() {
    for key in ["max_tokens", "max_completion_tokens"] {
        let (_, body) = whole(Endpoint::Chat, "m", &with(hello(), &json!({key: 7})));
        assert_eq!(body["usage"]["completion_tokens"], 7);
        assert_eq!(body["choices"][0]["finish_reason"], "length");
    }
    let (_, body) = whole(
        Endpoint::Chat,
        "m",
        &with(hello(), &json!({"stop": "capital"})),
    );
    let said = body["choices"][0]["message"]["content"].as_str().unwrap();
    assert!(!said.contains("capital"));
    assert_eq!(body["choices"][0]["finish_reason"], "stop");
}

#[test]
fn a_length_that_the_prompt_asks_for_is_kept_within_bounds() {
    let tokens = |prompt: &str| {
        whole(Endpoint::Chat, "m", &chat(prompt)).1["usage"]["completion_tokens"]
            .as_u64()
            .unwrap()
    };
    assert!((500..600).contains(&tokens("Write 500 words about rivers")));
    assert!(tokens("Write 99999999 words about rivers") < 4200);
}

#[test]
fn requests_that_openai_refuses_are_refused() {
    let user = json!({"role": "user", "content": "x"});
    let cases = [
        (json!({}), "messages"),
        (json!({"messages": "x"}), "messages"),
        (json!({"messages": []}), "messages"),
        (
            json!({"messages": [{"role": "king", "content": "x"}]}),
            "messages[0].role",
        ),
        (json!({"messages": [{"content": "x"}]}), "messages[0].role"),
        (json!({"messages": [user, 1]}), "messages[1]"),
        (
            json!({"messages": [{"role": "user", "content": 1}]}),
            "messages[0].content",
        ),
        (
            json!({"messages": [{"role": "user", "content": [{"type": "smell"}]}]}),
            "messages[0].content[0].type",
        ),
        (json!({"messages": [user], "n": 17}), "n"),
        (json!({"messages": [user], "n": 0}), "n"),
        (json!({"messages": [user], "n": "1"}), "n"),
        (json!({"messages": [user], "max_tokens": 0}), "max_tokens"),
        (json!({"messages": [user], "max_tokens": 1.5}), "max_tokens"),
        (
            json!({"messages": [user], "top_logprobs": 21, "logprobs": true}),
            "top_logprobs",
        ),
        (
            json!({"messages": [user], "top_logprobs": 2}),
            "top_logprobs",
        ),
        (
            json!({"messages": [user], "stop": ["a", "b", "c", "d", "e"]}),
            "stop",
        ),
        (
            json!({"messages": [user], "response_format": {"type": "xml"}}),
            "response_format.type",
        ),
        (
            json!({"messages": [user], "tool_choice": "required"}),
            "tool_choice",
        ),
    ];
    for (request, param) in cases {
        let (script, body) = whole(Endpoint::Chat, "m", &request);
        assert_eq!(
            (script.status, &body["error"]["param"]),
            (400, &json!(param)),
            "{request}"
        );
        assert_eq!(body["error"]["type"], "invalid_request_error");
    }
    for body in [&b"{"[..], b"", b"[]", b"\xff", b"null"] {
        assert_eq!(
            answer(&Simulation::default(), Endpoint::Chat, "m", body, 0).status,
            400
        );
    }
}
