//! `GET /admin/v1/budgets?users=true`: the budgets of users, and how each stands.

use http::StatusCode;
use serde_json::json;

use super::admin::{Answer, error, fields, json};
use super::budgets::stands;
use crate::pipeline::Gateway;

/// How many users are listed, …
const LIMIT: usize = 100;

/// … and how many at the most.
const LIMIT_MAX: usize = 1_000;

/// Which users are asked for.
#[derive(Debug, PartialEq, Eq)]
struct Query {
    team: Option<String>,
    user: Option<String>,
    limit: usize,
}

/// Lists users, those who spent most first.
pub fn answer(query: &str, gateway: &Gateway) -> Answer {
    let query = match parse(query) {
        Ok(query) => query,
        Err(message) => return error(StatusCode::BAD_REQUEST, &message),
    };
    let snapshot = gateway.snapshot();
    let is_asked_for = |team: &str| query.team.as_deref().is_none_or(|asked| asked == team);
    let allowances = snapshot.keys.allowances();
    let allowances = allowances.filter(|allowance| is_asked_for(allowance.owner.team()));
    let now = gateway.treasury.now();
    let mut found = Vec::new();
    for allowance in allowances {
        let (window, standings) = allowance.standings(query.user.as_deref(), query.limit, now);
        found.extend(standings.into_iter().map(|(owner, standing)| {
            let name = owner.book(&allowance.budget.windows);
            let told = stands(&owner, &name, &allowance.budget, &window, &standing);
            (standing.spent, told)
        }));
    }
    found.sort_by(|(a, _), (b, _)| b.cmp(a));
    found.truncate(query.limit);
    let budgets: Vec<_> = found.into_iter().map(|(_, told)| told).collect();
    json(StatusCode::OK, &json!({ "budgets": budgets }))
}

fn parse(text: &str) -> Result<Query, String> {
    let mut query = Query {
        team: None,
        user: None,
        limit: LIMIT,
    };
    let mut is_of_users = false;
    for (name, value) in fields(text) {
        match name {
            "users" if value == "true" => is_of_users = true,
            "users" => return Err(format!("`users={value}` is not `users=true`")),
            "team" => query.team = Some(value),
            "user" => query.user = Some(value),
            "limit" => {
                let limit = value.parse().ok();
                let limit = limit.filter(|limit| (1..=LIMIT_MAX).contains(limit));
                let wrong = || format!("`limit={value}` is no number from 1 to {LIMIT_MAX}");
                query.limit = limit.ok_or_else(wrong)?;
            }
            _ => return Err(format!("`{name}` is none of users, team, user, limit")),
        }
    }
    match is_of_users {
        true => Ok(query),
        false => Err("the budgets of users are listed with `users=true`".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_names_a_team_and_a_user() {
        let query = parse("users=true&team=search&user=a%2Fb+c&limit=1000").unwrap();
        assert_eq!(query.team.as_deref(), Some("search"));
        assert_eq!(query.user.as_deref(), Some("a/b c"));
        assert_eq!(query.limit, LIMIT_MAX);
        assert_eq!(parse("users=true").unwrap().limit, LIMIT);
        // Those that name nobody.
        assert_eq!(parse("users=true&user=").unwrap().user.as_deref(), Some(""));
    }

    #[test]
    fn what_is_wrong_with_a_query_is_named() {
        for (query, part) in [
            ("team=search", "`users=true`"),
            ("users=1", "`users=1`"),
            ("users=true&limit=0", "1 to 1000"),
            ("users=true&limit=1001", "1 to 1000"),
            ("users=true&key=a", "`key`"),
        ] {
            let message = parse(query).unwrap_err();
            assert!(message.contains(part), "{query}: {message}");
        }
    }
}
