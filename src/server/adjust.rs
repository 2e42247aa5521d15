//! `POST /admin/v1/budgets/NAME/raise` and `…/reset`: an operator changes a budget in its present window.

use std::sync::Arc;

use bytes::BytesMut;
use http::StatusCode;
use percent_encoding::percent_decode_str;
use pingora_core::protocols::http::ServerSession;
use serde::Deserialize;
use serde_json::{Value, json};

use super::admin::{Answer, error, json};
use super::budgets;
use crate::access::budgets::{Adjusted, Fund, NotAdjusted, Order, Owner, Standing};
use crate::config::nearest;
use crate::pipeline::Gateway;
use crate::spend::Usd;
use crate::spend::prices::Decimal;
use crate::telemetry::Level;

/// What precedes a budget's name.
pub const PATH: &str = "/admin/v1/budgets/";

/// The longest body: two texts and a number do not need more.
const BODY_MAX: usize = 16 * 1024;

/// The most characters of `by` and of `why`.
const TEXT_MAX: usize = 200;

/// What is done to a budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    Raise,
    Reset,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    add_usd: Option<Decimal>,
    by: String,
    why: String,
}

/// What the rest of a path is about: a budget's name, as it is written there, and what is to be done to it.
fn route(rest: &str) -> Option<(&str, Action)> {
    let (name, action) = rest.rsplit_once('/')?;
    let action = match action {
        "raise" => Action::Raise,
        "reset" => Action::Reset,
        _ => return None,
    };
    Some((name, action))
}

/// Does to the budget what the rest of the path and the body say.
pub async fn answer(rest: &str, gateway: &Gateway, session: &mut ServerSession) -> Answer {
    let Some((name, action)) = route(rest) else {
        let message = "a budget's name is followed by `/raise` or `/reset`";
        return error(StatusCode::NOT_FOUND, message);
    };
    let fund = match find(name, gateway) {
        Ok(fund) => fund,
        Err(message) => return error(StatusCode::NOT_FOUND, &message),
    };
    let patience = gateway.snapshot().server.body_timeout.0;
    let read = pingora_timeout::timeout(patience, read(session)).await;
    let read = read.unwrap_or_else(|_| Err("the body took too long to arrive".to_owned()));
    let order = match read.and_then(|body| parse(&body, action)) {
        Ok(order) => order,
        Err(message) => return error(StatusCode::BAD_REQUEST, &message),
    };
    match fund.adjust(&gateway.treasury, order.clone()).await {
        Ok(adjusted) => {
            tell(gateway, &fund, action, &order, &adjusted);
            json(StatusCode::OK, &shown(&fund, &adjusted))
        }
        Err(problem) => {
            let reason = problem.to_string();
            let fields = [
                ("budget", &*fund.name),
                ("by", &order.by),
                ("why", &order.why),
                ("error", &reason),
            ];
            let message = "budget not adjusted";
            gateway.log.event(Level::Warn, message, &fields);
            let status = match problem {
                NotAdjusted::TooMuch | NotAdjusted::TooMany => StatusCode::CONFLICT,
                NotAdjusted::Lost | NotAdjusted::NotDurable => StatusCode::SERVICE_UNAVAILABLE,
            };
            error(status, &reason)
        }
    }
}

fn find(name: &str, gateway: &Gateway) -> Result<Arc<Fund>, String> {
    let name = percent_decode_str(name).decode_utf8_lossy();
    let funds = budgets::each(gateway);
    if let Some(fund) = funds.iter().find(|fund| *fund.name == *name) {
        return Ok(fund.clone());
    }
    let snapshot = gateway.snapshot();
    let mut allowances = snapshot.keys.allowances();
    let of_user = allowances.find_map(|allowance| allowance.named(&name, &gateway.treasury));
    if let Some(fund) = of_user {
        return Ok(fund);
    }
    let near = nearest(&name, funds.iter().map(|fund| &*fund.name));
    let help = match near {
        _ if Owner::is_users(&name) => {
            "`GET /admin/v1/budgets?users=true` lists users who have asked in this window"
                .to_owned()
        }
        None => "`GET /admin/v1/budgets` lists all".to_owned(),
        Some(near) => format!("did you mean `{near}`?"),
    };
    Err(format!("there is no budget `{name}`: {help}"))
}

async fn read(session: &mut ServerSession) -> Result<BytesMut, String> {
    let mut body = BytesMut::new();
    loop {
        match session.read_request_body().await {
            Ok(Some(chunk)) if body.len() + chunk.len() > BODY_MAX => {
                return Err(format!("the body is longer than {BODY_MAX} bytes"));
            }
            Ok(Some(chunk)) => body.extend_from_slice(&chunk),
            Ok(None) => return Ok(body),
            Err(_) => return Err("the body is not framed as HTTP frames it".to_owned()),
        }
    }
}

fn parse(body: &[u8], action: Action) -> Result<Order, String> {
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let body: Body = serde_path_to_error::deserialize(&mut deserializer)
        .map_err(|error| format!("the body is not what it should be: {error}"))?;
    deserializer
        .end()
        .map_err(|_| "something stands behind the body's JSON".to_owned())?;
    let raise = match (action, body.add_usd) {
        (Action::Raise, Some(amount)) => Some(amount.dollars()),
        (Action::Raise, None) => return Err("`add_usd` is missing: how much to add".to_owned()),
        (Action::Reset, None) => None,
        (Action::Reset, Some(_)) => {
            return Err("`add_usd` goes with `raise`: a reset adds what was spent".to_owned());
        }
    };
    if raise == Some(Usd::ZERO) {
        return Err("`add_usd` is above 0".to_owned());
    }
    if raise.is_some_and(|amount| Usd::from_nano(amount.nano_rounded_down()) != amount) {
        return Err("`add_usd` has more than 9 digits behind the point".to_owned());
    }
    for (field, text) in [("by", &body.by), ("why", &body.why)] {
        let characters = text.trim().chars().count();
        if characters == 0 || characters > TEXT_MAX || text.chars().any(char::is_control) {
            return Err(format!(
                "`{field}` has 1 to {TEXT_MAX} characters, of which none is a line's end or the like"
            ));
        }
    }
    Ok(Order {
        raise,
        by: body.by.trim().to_owned(),
        why: body.why.trim().to_owned(),
    })
}

fn tell(gateway: &Gateway, fund: &Fund, action: Action, order: &Order, adjusted: &Adjusted) {
    let message = match action {
        Action::Raise => "budget raised",
        Action::Reset => "budget reset",
    };
    let Adjusted { before, after, .. } = adjusted;
    let limit = |standing: &Standing| (fund.budget.usd + standing.adjusted).to_string();
    let left = |standing: &Standing| standing.left(fund.budget.usd).to_string();
    let spent = after.spent.to_string();
    let amounts = [limit(before), limit(after), left(before), left(after)];
    let [limit_before, limit_after, left_before, left_after] = &amounts;
    let fields = [
        ("budget", &*fund.name),
        ("team", &**fund.owner.team()),
        ("window", &*adjusted.window.name),
        ("id", &*adjusted.id),
        ("by", &order.by),
        ("why", &order.why),
        ("limit_before_usd", limit_before),
        ("limit_usd", limit_after),
        ("spent_usd", &spent),
        ("left_before_usd", left_before),
        ("left_usd", left_after),
    ];
    gateway.log.event(Level::Warn, message, &fields);
}

fn shown(fund: &Fund, adjusted: &Adjusted) -> Value {
    let limit = fund.budget.usd;
    let Adjusted { before, after, .. } = adjusted;
    json!({
        "id": &*adjusted.id,
        "name": &*fund.name,
        "window": &*adjusted.window.name,
        "limit_usd": limit.to_string(),
        "adjusted_before_usd": before.adjusted.to_string(),
        "adjusted_usd": after.adjusted.to_string(),
        "spent_usd": after.spent.to_string(),
        "left_before_usd": before.left(limit).to_string(),
        "left_usd": after.left(limit).to_string(),
        "durable": adjusted.is_durable,
        "shared": adjusted.is_shared,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_names_a_budget_and_what_is_done_to_it() {
        let name = "team:search%7Cmonth%7CEurope%2FBerlin";
        let rest = format!("{name}/raise");
        assert_eq!(route(&rest), Some((name, Action::Raise)));
        let name = "key:a/b|month|Europe/Berlin";
        let rest = format!("{name}/reset");
        assert_eq!(route(&rest), Some((name, Action::Reset)));
        assert_eq!(route("raise"), None);
        assert_eq!(route("a/lower"), None);
    }

    #[test]
    fn a_body_says_how_much_who_and_why() {
        let body = br#"{"add_usd": "25.000000001", "by": " jane ", "why": "launch"}"#;
        let order = Order {
            raise: Some(Usd::from_nano(25_000_000_001)),
            by: "jane".to_owned(),
            why: "launch".to_owned(),
        };
        assert_eq!(parse(body, Action::Raise), Ok(order));
        let order = parse(br#"{"by": "jane", "why": "launch"}"#, Action::Reset).unwrap();
        assert_eq!(order.raise, None);
    }

    #[test]
    fn what_is_wrong_with_a_body_is_named() {
        let long = format!(
            r#"{{"add_usd": 1, "by": "{}", "why": "b"}}"#,
            "é".repeat(201)
        );
        for (body, part) in [
            ("", "EOF"),
            (r#"{"add_usd": 1, "by": "a"}"#, "`why`"),
            (r#"{"add_usd": 1, "why": "a"}"#, "`by`"),
            (r#"{"by": "a", "why": "b"}"#, "`add_usd` is missing"),
            (r#"{"add_usd": 0, "by": "a", "why": "b"}"#, "above 0"),
            (r#"{"add_usd": -1, "by": "a", "why": "b"}"#, "add_usd"),
            (
                r#"{"add_usd": "1.0000000001", "by": "a", "why": "b"}"#,
                "9 digits",
            ),
            (r#"{"add_usd": 1, "by": "  ", "why": "b"}"#, "`by`"),
            (r#"{"add_usd": 1, "by": "a", "why": "b\nc"}"#, "`why`"),
            (r#"{"add_usd": 1, "by": 3, "why": "b"}"#, "by: "),
            (r#"{"add": 1, "by": "a", "why": "b"}"#, "`add`"),
            (r#"{"add_usd": 1, "by": "a", "why": "b"} {}"#, "behind"),
            (&long, "1 to 200"),
        ] {
            let message = parse(body.as_bytes(), Action::Raise).unwrap_err();
            assert!(message.contains(part), "{body}: {message}");
        }
        let with_amount = br#"{"add_usd": 1, "by": "a", "why": "b"}"#;
        let message = parse(with_amount, Action::Reset).unwrap_err();
        assert!(message.contains("`add_usd`"), "{message}");
    }
}
