use schemars::JsonSchema;
use serde::Deserialize;

use super::super::*;
use crate::config::ProcessEnvironment;

#[derive(Deserialize, JsonSchema)]
struct File {
    budget: Option<BudgetsSection>,
}

/// What a field comes to, and what is said about it.
fn resolve(line: &str) -> (Arc<[Budget]>, String) {
    let text = format!("budget: {line}\n");
    let mut document = Document::parse("a.yaml", &text, &ProcessEnvironment);
    let file: Option<File> = document.read();
    let section = file.and_then(|file| file.budget);
    let budgets = Budget::resolve(section.as_ref(), &["budget"], &mut document);
    (budgets, document.finish().to_string())
}

/// The budgets of a field that is right.
fn good(line: &str) -> Arc<[Budget]> {
    let (budgets, said) = resolve(line);
    assert!(said.contains("0 errors, 0 warnings"), "{line}: {said}");
    budgets
}

#[test]
fn what_is_not_said_has_its_default() {
    let budgets = good("{ usd: 500, per: month }");
    let expected = Budget {
        usd: Usd::from_pico(500_000_000_000_000),
        windows: Windows {
            per: Per::Month,
            zone: Tz::UTC,
        },
        alert_at: Vec::new(),
        webhook: None,
        when_spent: WhenSpent::Reject,
        wait: Duration::from_secs(2),
        floor_tokens: 64,
        allow: BTreeSet::new(),
    };
    assert_eq!(*budgets, [expected]);
    assert!(!budgets[0].allows(Unbounded::Media));
}

#[test]
fn all_of_it_can_be_said() {
    let budgets = good(
        "{ usd: 0.0000001, per: week, timezone: America/New_York, alert_at: [0.5, 0.8, 1], webhook: 'https://example.com/x', \
         when_spent: cheapest, wait: 0s, floor_tokens: 1, allow: [tools, media] }",
    );
    let [budget] = &*budgets else { panic!("one") };
    assert_eq!(budget.usd.to_string(), "0.0000001");
    assert_eq!(budget.windows.zone, Tz::America__New_York);
    let shares: Vec<_> = budget.alert_at.iter().map(Share::to_string).collect();
    assert_eq!(shares, ["0.5", "0.8", "1"]);
    assert_eq!(budget.alert_at[2], Share::WHOLE);
    assert_eq!(budget.alert_at[0].of(budget.usd).to_string(), "0.00000005");
    assert_eq!(budget.webhook.as_ref().unwrap().host(), "example.com");
    assert!(budget.allows(Unbounded::Media) && !budget.allows(Unbounded::Stored));
}

#[test]
fn a_list_holds_several() {
    let budgets = good(
        "[ { usd: 20, per: day }, { usd: 300.05, per: month }, { usd: 9, per: day, timezone: Asia/Tokyo } ]",
    );
    let amounts: Vec<_> = budgets
        .iter()
        .map(|budget| budget.usd.to_string())
        .collect();
    assert_eq!(amounts, ["20", "300.05", "9"]);
}

#[test]
fn a_budget_that_only_tells_tells_that_it_is_spent() {
    let budgets = good("{ usd: 5, per: day, when_spent: alert, webhook: 'https://example.com' }");
    assert_eq!(budgets[0].alert_at, [Share::WHOLE]);
    let budgets = good("{ usd: 5, per: day, when_spent: alert, alert_at: [0.5, 1.0] }");
    assert_eq!(budgets[0].alert_at.len(), 2);
}

#[test]
fn what_cannot_be_meant_is_told_where_it_stands() {
    for (line, place, mistake, help) in [
        (
            "500",
            "1:9",
            "`budget` must be a list or a mapping, not a single value",
            "",
        ),
        ("{ per: day }", "1:1", "missing field `usd` in budget", ""),
        ("{ usd: 5 }", "1:1", "missing field `per` in budget", ""),
        (
            "{ usd: 0, per: day }",
            "1:16",
            "`budget.usd` must be a number above 0 and of at most 9000000, not `0`",
            "",
        ),
        (
            "{ usd: 9000001, per: day }",
            "1:16",
            "`budget.usd` must be a number above 0",
            "",
        ),
        (
            "{ usd: '5', per: day }",
            "1:16",
            "`budget.usd` must be a number",
            "remove the quotes",
        ),
        (
            "{ usd: 0.00000000000001, per: day }",
            "1:16",
            "`budget.usd` cannot be used: expected a plain decimal",
            "",
        ),
        (
            "{ usd: 5, per: dya }",
            "1:24",
            "`budget.per` must be `day`, `week`, `month`",
            "did you mean `day`?",
        ),
        (
            "{ usd: 5, per: day, timezone: Europe/Berln }",
            "1:39",
            "there is no time zone `Europe/Berln`",
            "did you mean `Europe/Berlin`?",
        ),
        (
            "{ usd: 5, per: day, timezone: europe/berlin }",
            "1:39",
            "there is no time zone `europe/berlin`",
            "did you mean `Europe/Berlin`?",
        ),
        (
            "{ usd: 5, per: day, timezone: Mars }",
            "1:39",
            "there is no time zone `Mars`",
            "such as `UTC`",
        ),
        (
            "{ usd: 5, per: total, timezone: UTC }",
            "1:41",
            "a budget for ever begins at nobody's midnight",
            "remove it",
        ),
        (
            "{ usd: 5, per: day, alert_at: [0.5, 1.5] }",
            "1:45",
            "`budget.alert_at[1]` must be a number above 0 and of at most 1",
            "",
        ),
        (
            "{ usd: 5, per: day, alert_at: [0.8, 0.5] }",
            "1:45",
            "the shares of `alert_at` are not in order",
            "the smaller goes first",
        ),
        (
            "{ usd: 5, per: day, alert_at: [0.5, 0.50] }",
            "1:45",
            "the shares of `alert_at` are not in order",
            "each stands once",
        ),
        (
            "{ usd: 5, per: day, alert_at: [.01,.02,.03,.04,.05,.06,.07,.08,.09,.1,.11,.12,.13,.14,.15,.16,.17] }",
            "1:29",
            "`alert_at` has more than 16 shares",
            "",
        ),
        (
            "{ usd: 5, per: day, wait: 61s }",
            "1:35",
            "`wait` is at most `60s`",
            "",
        ),
        (
            "{ usd: 5, per: day, floor_tokens: 0 }",
            "1:43",
            "`budget.floor_tokens` must be a whole number from 1 to 1000000",
            "",
        ),
        (
            "{ usd: 5, per: day, allow: [tool] }",
            "1:37",
            "`budget.allow[0]` must be",
            "did you mean `tools`?",
        ),
        (
            "{ usd: 5, per: day, allow: [tools, tools] }",
            "1:44",
            "`budget.allow[1]` stands in this list already",
            "",
        ),
        (
            "{ usd: 5, per: day, when_spent: rejct }",
            "1:41",
            "`budget.when_spent` must be",
            "did you mean `reject`?",
        ),
        (
            "[ { usd: 5, per: day }, { usd: 9, per: day, timezone: UTC } ]",
            "1:33",
            "there is a budget per day (UTC) in this list already",
            "the smaller would do",
        ),
        (
            "[ { usd: 5, per: total }, { usd: 9, per: total } ]",
            "1:35",
            "there is a budget for ever in this list already",
            "the smaller would do",
        ),
    ] {
        let (_, said) = resolve(line);
        let first = format!("a.yaml:{place}: error: ");
        assert!(said.contains(&first), "{line}: {said}");
        assert!(said.contains(mistake), "{line}: {said}");
        assert!(said.contains(help), "{line}: {said}");
        assert!(said.contains("1 error, 0 warnings"), "{line}: {said}");
    }
}

#[test]
fn what_does_nothing_is_warned_of() {
    for (line, oddity) in [
        ("[]", "an empty list of budgets limits nothing"),
        (
            "{ usd: 5, per: day, webhook: 'https://example.com' }",
            "there is nothing to tell the webhook",
        ),
        (
            "{ usd: 5, per: day, alert_at: [1], webhook: { url: 'https://example.com', secret: short } }",
            "`secret` has fewer than 24 bytes",
        ),
    ] {
        let (_, said) = resolve(line);
        assert!(said.contains(oddity), "{line}: {said}");
        assert!(said.contains("0 errors, 1 warning"), "{line}: {said}");
    }
}

#[test]
fn a_webhook_that_cannot_work_is_told_without_being_repeated() {
    for (webhook, mistake) in [
        ("example.com/hunter2", "is not a URL"),
        ("/hunter2", "must begin with https:// or http://"),
        (
            "'https://me:hunter2@example.com/'",
            "must not hold a user or a password",
        ),
        ("'https:///hunter2'", "the webhook's URL"),
        ("{ url: 'ftp://example.com/hunter2' }", "must begin with"),
        (
            "{ url: 'https://example.com/hunter2', secret: 'whsec_hunter2?' }",
            "is not base64",
        ),
    ] {
        let line = format!("{{ usd: 5, per: day, alert_at: [1], webhook: {webhook} }}");
        let (budgets, said) = resolve(&line);
        assert!(budgets.is_empty(), "{line}");
        assert!(said.contains(mistake), "{line}: {said}");
        assert!(!said.contains("hunter2"), "{line}: {said}");
    }
    let budgets =
        good("{ usd: 5, per: day, alert_at: [1], webhook: 'https://example.com/hunter2' }");
    assert!(!format!("{budgets:?}").contains("hunter2"));
}
