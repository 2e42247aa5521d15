//! What gates say of answers.

mod language;
mod logic;
mod models;
mod properties;
mod recordings;
mod refusals;
mod repetition;
mod section;
mod structured;

use std::time::Instant;

use super::*;
use crate::config::{Document, ProcessEnvironment};
use crate::dialect::Dialect;
use crate::dialect::common::{Choice, Content, Finish, Part, Role, Turn};

/// Gates as they stand in a file, and what is said of them.
fn resolve(list: &str) -> (Option<Gates>, String) {
    #[derive(serde::Deserialize, schemars::JsonSchema)]
    #[serde(deny_unknown_fields)]
    struct File {
        escalate_when: GatesSection,
    }

    let text = format!("escalate_when: {list}\n");
    let mut document = Document::parse("a.yaml", &text, &ProcessEnvironment);
    let file: Option<File> = document.read();
    let gates = file
        .and_then(|file| Gates::resolve(&file.escalate_when, &["escalate_when"], &mut document));
    (gates, document.finish().to_string())
}

/// Gates that are right.
fn good(list: &str) -> Gates {
    let (gates, said) = resolve(list);
    assert!(said.contains("0 errors, 0 warnings"), "{list}: {said}");
    gates.expect("gates without a mistake")
}

fn request(text: &str) -> Request {
    Request {
        turns: vec![turn(Role::User, text)],
        ..Request::new(Dialect::Chat, "m")
    }
}

fn turn(role: Role, text: &str) -> Turn {
    Turn {
        role,
        parts: vec![Part::text(text)],
        name: None,
    }
}

fn answer(text: &str) -> Answer {
    of_parts(vec![Part::text(text)])
}

fn of_parts(parts: Vec<Part>) -> Answer {
    Answer {
        choices: vec![Choice {
            parts,
            finish: Some(Finish::Stop),
            logprobs: Vec::new(),
        }],
        ..Answer::default()
    }
}

fn ended(text: &str, finish: Finish) -> Answer {
    let mut answer = answer(text);
    answer.choices[0].finish = Some(finish);
    answer
}

fn call(name: &str, arguments: &str) -> Part {
    Part::from(Content::ToolCall {
        id: "call_1".into(),
        name: name.into(),
        arguments: arguments.into(),
        signature: None,
    })
}

/// What the gates say of a whole answer that no model has looked at.
fn judged<'g>(gates: &'g Gates, request: &Request, answer: &Answer) -> Judgement<'g> {
    judged_with(gates, request, answer, &Opinions::default())
}

fn judged_with<'g>(
    gates: &'g Gates,
    request: &Request,
    answer: &Answer,
    opinions: &Opinions,
) -> Judgement<'g> {
    gates.judge(&Evidence {
        request,
        answer,
        is_whole: true,
        opinions,
        seed: 0,
        clock: &Instant::now,
    })
}

/// What one gate says.
fn outcome(gate: &str, request: &Request, answer: &Answer) -> Outcome {
    let gates = good(&format!("[{gate}]"));
    judged(&gates, request, answer).decisions[0].outcome
}

/// What one gate says of a text.
fn said(gate: &str, text: &str) -> Outcome {
    outcome(gate, &request("?"), &answer(text))
}
