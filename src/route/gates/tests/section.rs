//! `escalate_when` as it stands in a file.

use super::*;

/// The one mistake in a list.
fn mistake(list: &str) -> String {
    let (gates, said) = resolve(list);
    assert!(gates.is_none(), "{list}: {gates:?}");
    assert!(said.contains("1 error"), "{list}: {said}");
    said
}

#[test]
fn all_of_it_can_be_said() {
    let gates = good(
        "[refusal, empty, truncated, content_filter, invalid_json, invalid_tool_call, repetition, unsure, wrong_language, \
         { logprob_below: -0.8 }, { logprob_below: { mean: -1, tail: -3.0 } }, { shorter_than: 20 }, { matches: 'a+' }, \
         { not_matches: '(?i)b' }, { judge: { model: m, question: q, pass_above: 0.7, sample: 0.1 } }, \
         { agreement: { samples: 3, of: 0.67 } }, { all: [refusal, { any: [empty, { not: { not: unsure } }] }] }]",
    );
    assert_eq!(gates.models().count(), 1);
    assert!(gates.wants_logprobs());
    assert_eq!(gates.hold(), Hold::All);
}

#[test]
fn default_is_the_list_of_the_default_gates() {
    let gates = good("[default]");
    let names: Vec<_> = gates.leaves().iter().map(|gate| gate.name()).collect();
    assert_eq!(names, DEFAULT);
    assert_eq!(gates.models().count(), 0);
}

#[test]
fn an_unknown_name_is_told_the_nearest() {
    for (list, meant) in [
        ("[refusals]", "refusal"),
        ("[{ shorter_then: 3 }]", "shorter_than"),
        ("[{ all: [emty] }]", "empty"),
    ] {
        let (_, said) = resolve(list);
        assert!(said.contains(&format!("did you mean `{meant}`?")), "{said}");
        assert!(said.contains("1 error, 0 warnings"), "{said}");
    }
}

#[test]
fn thresholds_are_within_their_bounds() {
    for (list, expected) in [
        (
            "[{ logprob_below: 0.5 }]",
            "1:34: error: a log-probability is 0 or less",
        ),
        ("[{ logprob_below: { tail: .inf } }]", "tail"),
        ("[{ logprob_below: {} }]", "needs `mean`, `tail` or both"),
        ("[{ shorter_than: 0 }]", "nothing is shorter"),
        (
            "[{ judge: { model: m, question: q, pass_above: 1 } }]",
            "`pass_above` must be",
        ),
        (
            "[{ judge: { model: m, question: q, sample: 0 } }]",
            "`sample` must be above 0",
        ),
        ("[{ judge: { model: m, question: ' ' } }]", "asks nothing"),
        ("[{ judge: { model: m } }]", "missing field `question`"),
        (
            "[{ agreement: { samples: 1, of: 0.5 } }]",
            "`samples` must be from 2 to 10",
        ),
        (
            "[{ agreement: { samples: 3, of: 1.5 } }]",
            "`of` must be above 0",
        ),
        ("[{ all: [] }]", "`all` has no gate"),
    ] {
        let (_, said) = resolve(list);
        assert!(
            said.contains(expected) && said.contains("error"),
            "{list}: {said}"
        );
    }
}

#[test]
fn a_regular_expression_must_be_one_and_small() {
    assert!(
        mistake("[{ matches: 'a(' }]")
            .contains("`matches` is no regular expression: unclosed group")
    );
    assert!(mistake("[{ not_matches: '(\\w{100}){100}' }]").contains("more than 1 MiB"));
}

#[test]
fn depth_and_number_are_bounded() {
    let nested = |depth: usize| format!("[{}empty{}]", "{ not: ".repeat(depth), " }".repeat(depth));
    assert!(resolve(&nested(7)).0.is_some());
    assert!(mistake(&nested(8)).contains("8 deep"));
    let many = |count: usize| format!("[{}]", vec!["{ shorter_than: 3 }"; count].join(", "));
    assert!(resolve(&many(64)).0.is_some());
    assert!(mistake(&many(80)).contains("a step may have 64 gates"));
}

#[test]
fn a_list_of_no_gates_is_warned_of() {
    let (gates, said) = resolve("[]");
    assert!(gates.is_some());
    assert!(
        said.contains("warning: no gate: the step is never left"),
        "{said}"
    );
}

#[test]
fn an_editor_is_given_a_schema_that_takes_what_is_read() {
    let schema = crate::config::schema::<GatesSection>();
    let validator = jsonschema::validator_for(&schema).expect("a JSON Schema");
    let takes = |value: serde_json::Value| validator.is_valid(&value);
    assert!(takes(
        serde_json::json!(["default", { "not": { "logprob_below": { "tail": -3 } } }])
    ));
    assert!(!takes(serde_json::json!(["default", { "nut": "empty" }])));
}
