//! What good files give, and the good parts of bad ones.

use super::*;

#[test]
fn a_good_file_is_read() {
    let gateway = good(
        "listen: 0.0.0.0:8080\n\
         server: { port: 1, ratio: 1, http2: false, max_body: 1MiB, drain: 1h, backoff: 200ms..2s, budget: 20%, until: 2027-01-01 }\n\
         models:\n  \"openai/*\": { target: openai/x, timeout: , escalate_when: [refusal, {logprob_below: -0.8}], health: off }\n  b: { target: a/b, health: { open_after: 5 } }\n\
         teams: { a: { keys: [ { name: 123, models: x }, { name: null-ish, models: [x, true] } ] } }\n\
         state: { kind: redis, url: redis://x }\n",
    );
    assert_eq!(gateway.listen.as_deref(), Some("0.0.0.0:8080"));
    assert_eq!(gateway.server.max_body, Size(1 << 20));
    assert_eq!(gateway.server.ratio, 1.0);
    let model = &gateway.models["openai/*"];
    assert_eq!(
        model.escalate_when,
        [Gate::Refusal, Gate::LogprobBelow(-0.8)]
    );
    assert!(matches!(model.health, Some(Health::Scalar(Switch::Off))));
    let keys = &gateway.teams["a"].keys;
    assert_eq!(keys[0].name, "123");
    assert_eq!(
        keys[1].models,
        Some(Names::Several(vec!["x".into(), "true".into()]))
    );
    assert!(matches!(gateway.state, Some(State::Redis { .. })));
}

#[test]
fn what_is_right_in_a_bad_file_is_still_read() {
    let text = "server: { port: x, workers: 3 }\nmodels: { a: { target: 1 }, b: { target: x/y }, c: {} }\nteams: { t: { keys: [ {}, { name: k } ] } }\n";
    let (gateway, mut document) = read(text);
    let gateway = gateway.unwrap();
    assert_eq!((gateway.server.port, gateway.server.workers), (8080, 3));
    assert_eq!(gateway.models.keys().collect::<Vec<_>>(), ["b"]);
    assert_eq!(gateway.teams["t"].keys[0].name, "k");
    assert!(
        document.has(&["models", "a"])
            && document.has(&["models", "c"])
            && !document.has(&["models", "d"])
    );
    document.error(
        &["teams", "t", "keys", "0", "name"],
        "this is the second item of the file",
    );
    let text = document.finish().to_string();
    assert!(
        text.contains("t.yaml:3:35: error: this is the second item"),
        "{text}"
    );
}

#[test]
fn interpolated_values_are_read_as_their_fields_type() {
    let gateway = good(
        "listen: \"${WORD}:${PORT}$$${NONE:-x}${EMPTY:-y}${EMPTY}\"\nserver: { port: \"${PORT}\", http2: '${TRUE}', drain: \"${D:-5s}\" }\n",
    );
    assert_eq!(gateway.listen.as_deref(), Some("sesame:9000$xy"));
    assert_eq!(gateway.server.port, 9000);
    assert_eq!(gateway.server.drain.to_string(), "5s");
}

#[test]
fn an_empty_interpolation_leaves_an_optional_field_absent() {
    let gateway = good("admin: { token: \"${TOKEN:-}\" }\nserver: { until: \"${EMPTY}\" }\n");
    assert!(gateway.admin.unwrap().token.is_none());
    assert!(gateway.server.until.is_none());
}

#[test]
fn interpolation_cannot_change_the_structure() {
    let gateway = good("listen: ${YAML}\nlog: json\n");
    assert_eq!(gateway.listen.as_deref(), Some("a\nport: 1\n- {x: ["));
    assert_eq!(gateway.server.port, 8080);
    assert_eq!(
        messages("${WORD}: 1"),
        ["1:1: error: unknown field `${WORD}`"]
    );
}

#[test]
fn files_lose_one_newline_and_are_remembered() {
    let (gateway, document) =
        read("admin: { token: \"${file:/run/token}\" }\nlisten: ${file:/none}\n");
    assert_eq!(
        gateway.unwrap().admin.unwrap().token.unwrap().expose(),
        "sk-from-a-file\n"
    );
    assert_eq!(
        document.files(),
        [PathBuf::from("/run/token"), PathBuf::from("/none")]
    );
    let text = document.finish().to_string();
    assert!(
        text.starts_with("t.yaml:2:9: error: cannot read `/none`: no such file\n"),
        "{text}"
    );
}
