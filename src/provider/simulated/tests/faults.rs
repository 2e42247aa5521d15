//! What goes wrong on demand.

use serde_json::{Value, json};

use super::*;

#[test]
fn reserved_errors_are_openais() {
    for status in [400, 401, 403, 404, 422, 429, 500, 503, 599] {
        let (script, body) = whole(Endpoint::Chat, &format!("error-{status}"), &hello());
        assert_eq!(script.status, status);
        assert!(body["error"]["message"].is_string());
        let retry_after = script
            .headers
            .iter()
            .find(|(name, _)| *name == "retry-after");
        assert_eq!(retry_after.is_some(), status == 429);
    }
    assert_eq!(whole(Endpoint::Chat, "error-200", &hello()).0.status, 200);
}

#[test]
fn slow_waits_before_the_first_byte() {
    for (model, pause) in [("slow-250", 250), ("slow-99999999999", 600_000)] {
        for request in [hello(), with(hello(), &json!({"stream": true}))] {
            let first = steps(Endpoint::Chat, model, &request).next();
            assert_eq!(first, Some(Step::Wait(Duration::from_millis(pause))));
        }
    }
}

#[test]
fn stall_says_a_little_and_then_nothing() {
    let streamed: Vec<Step> = steps(
        Endpoint::Chat,
        "stall",
        &with(hello(), &json!({"stream": true})),
    )
    .collect();
    assert_eq!(streamed.len(), 5);
    assert_eq!(streamed[4], Step::Stall);
    let short: Vec<Step> = steps(
        Endpoint::Chat,
        "stall",
        &with(hello(), &json!({"stream": true, "max_tokens": 1})),
    )
    .collect();
    assert_eq!(short.last(), Some(&Step::Stall));
    let whole: Vec<Step> = steps(Endpoint::Chat, "stall", &hello()).collect();
    assert_eq!(whole, [Step::Stall]);
}

#[test]
fn cut_breaks_in_the_middle() {
    for extra in [json!({}), json!({"max_tokens": 1})] {
        let streamed: Vec<Step> = steps(
            Endpoint::Chat,
            "cut",
            &with(with(hello(), &extra), &json!({"stream": true})),
        )
        .collect();
        let [.., Step::Send(half), Step::Cut] = &streamed[..] else {
            panic!("{streamed:?}");
        };
        assert!(half.starts_with(b"data: ") && !half.ends_with(b"\n\n"));
    }
    for (endpoint, request) in [
        (Endpoint::Chat, hello()),
        (Endpoint::Completions, json!({"prompt": "x"})),
        (Endpoint::Embeddings, json!({"input": "x"})),
    ] {
        let whole: Vec<Step> = steps(endpoint, "cut", &request).collect();
        let [Step::Send(half), Step::Cut] = &whole[..] else {
            panic!("{whole:?}");
        };
        assert!(serde_json::from_slice::<Value>(half).is_err());
    }
}

#[test]
fn garbage_is_no_json() {
    for endpoint in [Endpoint::Chat, Endpoint::Completions, Endpoint::Embeddings] {
        let request =
            json!({"messages": [{"role": "user", "content": "x"}], "prompt": "x", "input": "x"});
        let script = answer(
            &Simulation::default(),
            endpoint,
            "garbage",
            request.to_string().as_bytes(),
            0,
        );
        assert_eq!(script.status, 200);
        assert!(serde_json::from_slice::<Value>(&bytes(script.steps)).is_err());
    }
    let first = steps(
        Endpoint::Chat,
        "garbage",
        &with(hello(), &json!({"stream": true})),
    )
    .next();
    let Some(Step::Send(frame)) = first else {
        panic!("{first:?}");
    };
    assert!(serde_json::from_slice::<Value>(frame.strip_prefix(b"data: ").unwrap()).is_err());
}

#[test]
fn faults_come_as_often_as_set_and_repeat() {
    let settings = Simulation {
        faults: Faults {
            error: ErrorFault {
                rate: 0.2,
                status: 502,
            },
            stall: 0.1,
            cut: 0.3,
        },
        ..Simulation::default()
    };
    let body = hello().to_string();
    let run = || {
        let mut counts = BTreeMap::new();
        for sequence in 0..2000 {
            let script = answer(&settings, Endpoint::Chat, "m", body.as_bytes(), sequence);
            let what = match (script.status, script.steps.last()) {
                (502, _) => "error",
                (200, Some(Step::Stall)) => "stall",
                (200, Some(Step::Cut)) => "cut",
                _ => "well",
            };
            *counts.entry(what).or_insert(0_i32) += 1;
        }
        counts
    };
    let counts = run();
    for (what, expected) in [("error", 400), ("stall", 200), ("cut", 600), ("well", 800)] {
        assert!((counts[what] - expected).abs() < expected / 5, "{counts:?}");
    }
    assert_eq!(counts, run());
}
