//! What teams and keys may cost and ask for, as the file says it.

use std::sync::Arc;

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::Deserialize;

use super::*;
use crate::config::{Document, ProcessEnvironment};

#[derive(Deserialize, JsonSchema)]
struct File {
    teams: IndexMap<String, TeamSection>,
}

const MODELS: [&str; 3] = ["fast", "smart", "openai/*"];

/// A team whose only key is SHA-256 of nothing, with further fields.
fn resolve(team: &str, key: &str) -> (Keys, String) {
    let sha256 = crate::hex::encode(&digest(b""));
    let text = format!(
        "teams:\n  search:\n    models: [fast, 'openai/gpt*']\n{team}\n    keys:\n      - name: k\n        sha256: {sha256}\n{key}\n"
    );
    let mut document = Document::parse("a.yaml", &text, &ProcessEnvironment);
    let file: File = document.read().expect("a file of one team");
    let models = MODELS.map(str::to_owned);
    let keys = Keys::resolve(
        file.teams.into_iter().collect(),
        false,
        &models,
        &Counters::default(),
        &mut document,
    );
    (keys, document.finish().to_string())
}

#[test]
fn budgets_and_limits_belong_to_who_has_them() {
    let team = "    budget: { usd: 500, per: month }\n    limits: { rpm: 600 }\n    per_model: { fast: { budget: { usd: 100, per: month } }, \
                'openai/*': { budget: [{ usd: 2, per: day }, { usd: 3, per: week }] } }\n    \
                per_user: { budget: [{ usd: 1, per: day }, { usd: 4, per: month }] }";
    let key = "        budget: { usd: 20, per: day }\n        limits: { tpm: 100 }";
    let (keys, said) = resolve(team, key);
    assert!(said.contains("0 errors, 0 warnings"), "{said}");
    let key = keys.identify(b"", chrono::Utc::now()).unwrap();
    let amounts = |funds: &[Arc<budgets::Fund>]| -> Vec<String> {
        funds
            .iter()
            .map(|fund| fund.budget.usd.to_string())
            .collect()
    };
    let team = &key.team;
    assert_eq!(amounts(&key.funds), ["20"]);
    assert_eq!(amounts(&team.funds), ["500"]);
    assert_eq!(amounts(&team.per_model["fast"]), ["100"]);
    assert_eq!(amounts(&team.per_model["openai/*"]), ["2", "3"]);
    let max = |limiter: &Option<limits::Limiter>, limit| limiter.as_ref().unwrap().max(limit);
    assert_eq!(max(&key.limiter, limits::Limit::Tokens(1)), 100);
    assert_eq!(max(&team.limiter, limits::Limit::Requests(1)), 600);
    let of_users = team.per_user.iter();
    let of_users: Vec<_> = of_users
        .map(|allowance| (&*allowance.name, allowance.users_max))
        .collect();
    let names = ["users:search|day|UTC", "users:search|month|UTC"];
    assert_eq!(of_users, names.map(|name| (name, 100_000)));
    assert_eq!(keys.allowances().count(), 2);
}

#[test]
fn a_mistake_is_told_where_it_stands() {
    for (team, key, place, mistake, help) in [
        (
            "    per_model: { fsat: { budget: { usd: 1, per: day } } }",
            "",
            "4:18",
            "there is no model `fsat`",
            "did you mean `fast`?",
        ),
        (
            "    per_model: { smart: { budget: { usd: 1, per: day } } }",
            "",
            "4:18",
            "the team may not use `smart`",
            "add it",
        ),
        (
            "    per_model: { fast: {} }",
            "",
            "4:18",
            "missing field `budget` in teams.search.per_model.fast",
            "",
        ),
        (
            "    per_user: { users_max: 5 }",
            "",
            "4:5",
            "missing field `budget` in teams.search.per_user",
            "",
        ),
        (
            "    per_user: { users_max: 0, budget: { usd: 1, per: day } }",
            "",
            "4:28",
            "must be a whole number from 1 to 1000000, not `0`",
            "",
        ),
        (
            "    per_user: { budget: { usd: 1, per: day, timezone: Utc } }",
            "",
            "4:55",
            "there is no time zone `Utc`",
            "did you mean `UTC`?",
        ),
        (
            "    budget: { usd: 1, per: day, timezone: Utc }",
            "",
            "4:43",
            "there is no time zone `Utc`",
            "did you mean `UTC`?",
        ),
        (
            "",
            "        budget: [{ usd: 1, per: day }, { usd: 2, per: day }]",
            "8:40",
            "there is a budget per day (UTC)",
            "the smaller would do",
        ),
        (
            "",
            "        limits: { queue: { max: 1, wait: 1s } }",
            "8:19",
            "a `queue` needs a `concurrency`",
            "concurrency: 64",
        ),
    ] {
        let (_, said) = resolve(team, key);
        assert!(said.contains(&format!("a.yaml:{place}: error: ")), "{said}");
        assert!(said.contains(mistake) && said.contains(help), "{said}");
        assert!(said.contains("1 error, 0 warnings"), "{said}");
    }
}
