//! How gates are put together, and what is asked when.

use std::cell::Cell;
use std::time::Duration;

use super::*;
use crate::dialect::common::TokenLogprob;

const JUDGE: &str = "{ judge: { model: m, question: q, pass_above: 0.5 } }";

fn escalated(list: &str, text: &str) -> Option<&'static str> {
    let gates = good(list);
    match judged(&gates, &request("?"), &answer(text)).verdict {
        Verdict::Escalated(gate) => Some(gate),
        Verdict::Passed => None,
        Verdict::Needs(questions) => panic!("{list} asks {questions:?}"),
    }
}

/// How many questions there are.
fn asked(list: &str, text: &str) -> usize {
    let gates = good(list);
    match judged(&gates, &request("?"), &answer(text)).verdict {
        Verdict::Needs(questions) => questions.len(),
        _ => 0,
    }
}

#[test]
fn any_of_a_list_is_enough_and_the_first_gives_its_name() {
    assert_eq!(
        escalated("[empty, { shorter_than: 5 }]", "Yes."),
        Some("shorter_than")
    );
    assert_eq!(escalated("[empty, { shorter_than: 5 }]", ""), Some("empty"));
    assert_eq!(escalated("[empty, { shorter_than: 4 }]", "Yes."), None);
}

#[test]
fn gates_stand_in_each_other() {
    let both = "[{ all: [{ shorter_than: 20 }, { not_matches: 'ok' }] }]";
    assert_eq!(escalated(both, "no"), Some("all"));
    assert_eq!(escalated(both, "ok"), None);
    assert_eq!(escalated("[{ not: { matches: 'ok' } }]", "no"), Some("not"));
    assert_eq!(
        escalated("[{ not: { any: [empty, { matches: 'ok' }] } }]", "ok"),
        None
    );
    assert_eq!(
        escalated("[{ any: [empty, { matches: '^n' }] }]", "no"),
        Some("matches")
    );
    assert_eq!(escalated("[{ not: default }]", "Yes."), Some("not"));
    let default = "[{ all: [default, { shorter_than: 20 }] }]";
    assert_eq!(escalated(default, "I can't help."), Some("all"));
    assert_eq!(escalated(default, "Yes."), None);
}

#[test]
fn what_is_unknown_stops_nothing_and_is_told() {
    for list in [
        "[{ logprob_below: -0.1 }]",
        "[{ not: { logprob_below: -0.1 } }]",
        "[{ all: [{ logprob_below: -0.1 }, { shorter_than: 20 }] }]",
    ] {
        assert_eq!(escalated(list, "Yes."), None, "{list}");
    }
    assert_eq!(said("{ logprob_below: -0.1 }", "Yes."), Outcome::Unknown);
    let known = "[{ any: [{ logprob_below: -0.1 }, { shorter_than: 20 }] }]";
    assert_eq!(escalated(known, "Yes."), Some("shorter_than"));
}

#[test]
fn models_are_asked_only_if_the_outcome_depends_on_them() {
    assert_eq!(asked(&format!("[{JUDGE}, empty]"), "Yes."), 1);
    assert_eq!(asked(&format!("[{JUDGE}, empty]"), ""), 0);
    assert_eq!(asked(&format!("[{{ all: [{JUDGE}, empty] }}]"), "Yes."), 0);
    assert_eq!(
        asked(&format!("[{{ all: [{JUDGE}, {{ not: empty }}] }}]"), "Yes."),
        1
    );
    assert_eq!(
        asked(&format!("[{{ any: [{JUDGE}, {JUDGE}] }}]"), "Yes."),
        2
    );
    // What the first group asks no longer matters when the second settles it.
    let settled =
        format!("[{{ all: [{{ any: [{JUDGE}, empty] }}, {{ all: [{JUDGE}, empty] }}] }}]");
    assert_eq!(asked(&settled, "Yes."), 0);
}

#[test]
fn opinions_decide() {
    let gates = good(&format!(
        "[{JUDGE}, {{ agreement: {{ samples: 3, of: 0.67 }} }}]"
    ));
    let (request, answer) = (request("?"), answer("Yes."));
    let Verdict::Needs(questions) = judged(&gates, &request, &answer).verdict else {
        panic!("both are asked");
    };
    let [judge @ Question::Judge(_), samples @ Question::Samples(_)] = &*questions else {
        panic!("both are asked: {questions:?}");
    };
    let verdict = |score, share| {
        let mut opinions = Opinions::default();
        opinions.note(judge, score);
        opinions.note(samples, share);
        match judged_with(&gates, &request, &answer, &opinions).verdict {
            Verdict::Passed => "passed",
            Verdict::Escalated(gate) => gate,
            Verdict::Needs(_) => panic!("all has been answered"),
        }
    };
    assert_eq!(verdict(Some(0.51), Some(1.0)), "passed");
    assert_eq!(verdict(Some(0.5), Some(1.0)), "judge");
    assert_eq!(verdict(Some(1.0), Some(2.0 / 3.0)), "passed");
    assert_eq!(verdict(Some(1.0), Some(1.0 / 3.0)), "agreement");
    assert_eq!(verdict(None, None), "passed");
}

#[test]
fn a_share_of_the_answers_is_judged_and_the_seed_decides_which() {
    let gates = good("[{ judge: { model: m, question: q, sample: 0.25 } }]");
    let (request, answer) = (request("?"), answer("Yes."));
    let opinions = Opinions::default();
    let is_asked = |seed| {
        let evidence = Evidence {
            request: &request,
            answer: &answer,
            is_whole: true,
            opinions: &opinions,
            seed,
            clock: &Instant::now,
        };
        matches!(gates.judge(&evidence).verdict, Verdict::Needs(_))
    };
    let judged = (0..4000).filter(|seed| is_asked(*seed)).count();
    assert!((900..1100).contains(&judged), "{judged}");
    assert!((0..100).all(|seed| is_asked(seed) == is_asked(seed)));
}

#[test]
fn the_beginning_of_a_stream_is_judged_by_the_gates_that_can() {
    let list =
        "[refusal, empty, truncated, repetition, { shorter_than: 10 }, { not_matches: 'x' }]";
    let gates = good(list);
    let request = request("?");
    let opinions = Opinions::default();
    let judge = |text: &str| {
        let answer = answer(text);
        let evidence = Evidence {
            request: &request,
            answer: &answer,
            is_whole: false,
            opinions: &opinions,
            seed: 0,
            clock: &Instant::now,
        };
        let judgement = gates.judge(&evidence);
        let outcomes = judgement.decisions.iter();
        let outcomes: Vec<_> = outcomes.map(|decision| decision.outcome.name()).collect();
        (
            matches!(judgement.verdict, Verdict::Escalated("refusal")),
            outcomes,
        )
    };
    let (unknown, passed) = ("unknown", "passed");
    assert_eq!(
        judge("The answer to"),
        (
            false,
            vec![passed, passed, unknown, unknown, passed, unknown]
        )
    );
    assert_eq!(
        judge(""),
        (
            false,
            vec![passed, passed, unknown, unknown, unknown, unknown]
        )
    );
    assert_eq!(judge("I can't help with"), (true, vec!["fired"]));
}

#[test]
fn the_hold_is_what_the_slowest_gate_needs() {
    assert_eq!(good("[refusal, unsure]").hold(), Hold::First(32));
    assert_eq!(
        good("[refusal, { shorter_than: 80 }]").hold(),
        Hold::First(80)
    );
    assert_eq!(
        good("[refusal, { any: [{ not: truncated }] }]").hold(),
        Hold::All
    );
    let gates =
        good("[refusal, truncated, { shorter_than: 80 }, { all: [truncated, { matches: x }] }]");
    assert_eq!(
        gates.needing_more_than(Hold::First(32)),
        ["truncated", "shorter_than", "matches"]
    );
    assert_eq!(
        gates.needing_more_than(Hold::First(0)),
        ["refusal", "truncated", "shorter_than", "matches"]
    );
    assert!(gates.needing_more_than(Hold::All).is_empty());
}

#[test]
fn log_probabilities_are_wanted_where_a_gate_reads_them() {
    assert!(good("[{ not: { logprob_below: -1 } }]").wants_logprobs());
    assert!(!good("[default]").wants_logprobs());
}

#[test]
fn the_mean_and_the_worst_tenth_count() {
    let with = |logprobs: &[f64]| {
        let mut answer = answer("Yes.");
        let token = |logprob: &f64| TokenLogprob {
            token: "x".into(),
            logprob: *logprob,
            bytes: None,
            top: Vec::new(),
        };
        answer.choices[0].logprobs = logprobs.iter().map(token).collect();
        answer
    };
    let fired =
        |gate, logprobs: &[f64]| outcome(gate, &request("?"), &with(logprobs)) == Outcome::Fired;
    assert!(fired("{ logprob_below: -0.8 }", &[-0.1, -2.0]));
    assert!(!fired("{ logprob_below: -0.8 }", &[-0.1, -1.0]));
    assert!(fired("{ logprob_below: { mean: -0.8 } }", &[-0.9]));
    let mut long = vec![-0.01; 19];
    long.extend([-3.5, -2.9]);
    assert!(!fired("{ logprob_below: { tail: -3.0 } }", &long));
    assert!(fired("{ logprob_below: { tail: -2.0 } }", &long));
    assert!(fired("{ logprob_below: { tail: -3.0 } }", &[-3.5, -0.1]));
    assert!(fired(
        "{ logprob_below: { mean: -9, tail: -3.0 } }",
        &[f64::NEG_INFINITY, f64::NAN]
    ));
}

#[test]
fn texts_are_not_asked_of_an_answer_that_calls_tools() {
    let called = of_parts(vec![call("f", "{}")]);
    for gate in ["{ shorter_than: 5 }", "{ not_matches: x }"] {
        assert_eq!(
            outcome(gate, &request("?"), &called),
            Outcome::Passed,
            "{gate}"
        );
    }
}

#[test]
fn one_bad_choice_of_several_is_enough() {
    let mut two = answer("A good answer.");
    two.choices.push(answer("").choices[0].clone());
    assert_eq!(outcome("empty", &request("?"), &two), Outcome::Fired);
    assert_eq!(outcome("truncated", &request("?"), &two), Outcome::Passed);
    two.choices[0].finish = Some(Finish::Length);
    assert_eq!(outcome("truncated", &request("?"), &two), Outcome::Fired);
}

#[test]
fn decisions_tell_the_time_that_the_clock_does() {
    let start = Instant::now();
    let ticks = Cell::new(0);
    let clock = || {
        ticks.set(ticks.get() + 1);
        start + Duration::from_millis(ticks.get())
    };
    let evidence = Evidence {
        request: &request("?"),
        answer: &answer("Yes."),
        is_whole: true,
        opinions: &Opinions::default(),
        seed: 0,
        clock: &clock,
    };
    let gates = good("[default]");
    let judgement = gates.judge(&evidence);
    let names: Vec<_> = judgement.decisions.iter().map(|one| one.gate).collect();
    assert_eq!(names, DEFAULT);
    assert!(
        judgement
            .decisions
            .iter()
            .all(|one| one.took == Duration::from_millis(1))
    );
}
