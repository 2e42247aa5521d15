//! Whatever a model says, a judgement comes, soon, and the same one again.

use super::super::look::{Look, TEXT_MAX};
use super::*;
use crate::chance::Chance;
use crate::dialect::common::{Format, Json};

const ALL: &str = "[default, unsure, wrong_language, { logprob_below: { mean: -1, tail: -2 } }, { shorter_than: 5 }, \
    { matches: '^never$' }, { not: { not_matches: '^never$' } }]";

/// Any text: of pieces that gates look for, and of any characters.
fn text(chance: &mut Chance) -> String {
    const PIECES: [&str; 16] = [
        "i can't help",
        "sorry",
        "```",
        "`",
        "{",
        "}",
        "\"a\":",
        "\n",
        "|",
        "。",
        "申し訳",
        "the and of ",
        "\u{0}",
        "\u{301}",
        "’",
        "://",
    ];
    let mut text = String::new();
    for _ in 0..chance.below(40) {
        match chance.below(3) {
            0 => text.push_str(PIECES[chance.below(16) as usize]),
            1 => text.extend(char::from_u32(chance.below(0x11_0000) as u32)),
            _ => {
                let piece = text.clone();
                let is_short = piece.len() < 2000;
                text.extend(is_short.then_some(piece));
            }
        }
    }
    text
}

#[test]
fn every_text_is_judged_and_always_alike() {
    let gates = good(ALL);
    let mut chance = Chance::new(7);
    for _ in 0..1500 {
        let mut request = request(&text(&mut chance));
        if chance.one_in(2) {
            let schema = Json::parse(&text(&mut chance)).unwrap_or_else(|_| Json::empty_object());
            request.format = Format::Schema {
                name: None,
                description: None,
                schema,
                strict: None,
            };
        }
        let mut parts = vec![Part::text(text(&mut chance)), Part::text(text(&mut chance))];
        if chance.one_in(3) {
            parts.push(call(&text(&mut chance), &text(&mut chance)));
        }
        let answer = of_parts(parts);
        let outcomes = || {
            let judgement = judged(&gates, &request, &answer);
            let decisions = judgement.decisions.into_iter();
            decisions
                .map(|one| (one.gate, one.outcome))
                .collect::<Vec<_>>()
        };
        assert_eq!(outcomes(), outcomes());
        let agreed = agreement(&[&answer, &answer]);
        assert_eq!(agreed, 1.0);
    }
}

#[test]
fn no_more_than_a_bound_is_looked_at() {
    let long = "語のa".repeat(TEXT_MAX / 4);
    let answer = of_parts(vec![Part::text(&*long), Part::text(&*long)]);
    let look = Look::at(&answer.choices[0]);
    assert!(look.is_cut && look.text.len() <= TEXT_MAX && look.text.len() > TEXT_MAX - 4);
    assert!(look.end().len() <= 16 << 10);
    assert!(long.ends_with(look.end()));
    // Beyond it, what was not found is unknown.
    let request = request("?");
    let tail = of_parts(vec![Part::text(&*long), Part::text("end")]);
    assert_eq!(
        outcome("{ matches: 'end$' }", &request, &tail),
        Outcome::Unknown
    );
    assert_eq!(
        outcome("{ not_matches: 'end$' }", &request, &tail),
        Outcome::Unknown
    );
    assert_eq!(
        outcome("{ matches: '^語' }", &request, &tail),
        Outcome::Fired
    );
}

/// The default gates look at a long text's beginning and end, and once over the rest: the worst for each part is tried, and
/// whoever is not linear in it takes minutes.
#[test]
fn a_long_answer_passes_the_default_gates() {
    let gates = good("[default]");
    let size = 100 << 10;
    let mut chance = Chance::new(3);
    let letters: String = (0..size)
        .map(|_| char::from(b'a' + chance.below(26) as u8))
        .collect();
    // Nearly a loop: the failure function's worst.
    let nearly = [&*"a".repeat(size - 1), "b"].concat();
    let fences = ["``` x\n".repeat(size / 6), "and good day.".to_owned()].concat();
    let apologies = [&*"sorry, ".repeat(size / 7), "and good day."].concat();
    for text in [
        letters,
        nearly,
        fences,
        apologies,
        format!("{{\"a\": \"{}\"}}", "x".repeat(size)),
    ] {
        let judgement = judged(&gates, &request("?"), &answer(&text));
        assert!(
            matches!(judgement.verdict, Verdict::Passed),
            "{text:.40} {judgement:?}"
        );
    }
}
