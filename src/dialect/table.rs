//! Writes `docs/providers.md` from what the dialects say of themselves, and fails where it is stale.

use std::fmt::Write;

use super::common::{Carry, Feature, Outgoing};
use super::{Accent, Dialect};

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/providers.md");

/// What stands between the written part of the page and the tables.
const MARK: &str = "<!-- What follows is written by a test: UPDATE=1 cargo test table -->\n";

/// The dialects that a target may speak. Plain completions are none of them.
const TARGETS: [(Dialect, &str); 6] = [
    (Dialect::Chat, "OpenAI chat"),
    (Dialect::Responses, "OpenAI responses"),
    (Dialect::Anthropic, "Anthropic"),
    (Dialect::Gemini, "Gemini"),
    (Dialect::Bedrock, "Bedrock"),
    (Dialect::Cohere, "Cohere"),
];

#[test]
fn the_table_of_what_is_carried_is_true() {
    let page = std::fs::read_to_string(PAGE).expect("the page is there");
    let (written, tables) = page.split_once(MARK).expect("the page has its mark");
    let expected = tables_of(&carries);
    if std::env::var_os("UPDATE").is_some() {
        let page = [written, MARK, &expected].concat();
        std::fs::write(PAGE, page).expect("the page can be written");
        return;
    }
    assert!(
        tables == expected,
        "docs/providers.md is stale: run UPDATE=1 cargo test table"
    );
}

fn carries(dialect: Dialect, feature: Feature) -> Carry {
    let to = Outgoing {
        model: "m",
        accent: &Accent::OPENAI,
        is_vertex: false,
        auto_cache: false,
    };
    dialect.carries(&to, feature)
}

fn tables_of(carries: &impl Fn(Dialect, Feature) -> Carry) -> String {
    let mut text = String::new();
    let mut notes = Vec::new();
    let names = TARGETS.map(|(_, name)| name).join(" | ");
    let _ = writeln!(
        text,
        "\n| a request's | {names} |\n|---|{}",
        ":-:|".repeat(TARGETS.len())
    );
    for feature in Feature::ALL {
        let _ = write!(text, "| {} |", feature.title());
        for (dialect, _) in TARGETS {
            let mut noted = |how: &'static str| {
                let place = notes.iter().position(|note| *note == how);
                place.unwrap_or_else(|| {
                    notes.push(how);
                    notes.len() - 1
                }) + 1
            };
            let _ = match carries(dialect, *feature) {
                Carry::Whole => write!(text, " ✓ |"),
                Carry::As(how) => write!(text, " ✓<sup>{}</sup> |", noted(how)),
                Carry::Partly(what) => write!(text, " (✓)<sup>{}</sup> |", noted(what)),
                Carry::Never => write!(text, " – |"),
            };
        }
        text.push('\n');
    }
    text.push('\n');
    for (number, note) in notes.iter().enumerate() {
        let _ = writeln!(text, "{}. {note}", number + 1);
    }
    let _ = writeln!(
        text,
        "\n## What each pair loses\n\nOf what the caller's dialect can say, in the words of `x-tollgate-dropped`.\n\n\
         | caller ↓, target → | {names} |\n|---|{}",
        "---|".repeat(TARGETS.len())
    );
    for (caller, name) in TARGETS {
        let _ = write!(text, "| {name} |");
        for (target, _) in TARGETS {
            let can_say = |feature: &&Feature| carries(caller, **feature) != Carry::Never;
            let is_lost = |feature: &&Feature| carries(target, **feature) == Carry::Never;
            let mut lost: Vec<_> = Feature::ALL
                .iter()
                .filter(can_say)
                .filter(is_lost)
                .map(|feature| format!("`{}`", feature.field(caller)))
                .collect();
            lost.dedup();
            let lost = match (caller == target, lost.is_empty()) {
                (true, _) => "as it came".to_owned(),
                (false, true) => "nothing".to_owned(),
                (false, false) => lost.join(" "),
            };
            let _ = write!(text, " {lost} |");
        }
        text.push('\n');
    }
    text
}
