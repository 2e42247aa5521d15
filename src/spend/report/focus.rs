//! A report in the columns of FOCUS, the FinOps Open Cost and Usage Specification (version 1.2, focus.finops.org).

use chrono::{Datelike, Days, NaiveDate};
use serde_json::json;

use super::line;
use crate::spend::ledger::{By, Report};

/// What a report is grouped by to be told in FOCUS columns.
pub const FOCUS_BY: [By; 5] = [By::Day, By::Team, By::Key, By::Model, By::Target];

/// Columns, in the specification's own names and alphabetical order.
const HEAD: [&str; 27] = [
    "BilledCost",
    "BillingAccountId",
    "BillingAccountName",
    "BillingCurrency",
    "BillingPeriodEnd",
    "BillingPeriodStart",
    "ChargeCategory",
    "ChargeClass",
    "ChargeDescription",
    "ChargeFrequency",
    "ChargePeriodEnd",
    "ChargePeriodStart",
    "ConsumedQuantity",
    "ConsumedUnit",
    "ContractedCost",
    "EffectiveCost",
    "InvoiceIssuerName",
    "ListCost",
    "PricingQuantity",
    "PricingUnit",
    "ProviderName",
    "PublisherName",
    "ResourceId",
    "ServiceCategory",
    "ServiceName",
    "SubAccountId",
    "Tags",
];

/// As CSV: a charge for each day, team, key, model and target ([`FOCUS_BY`]). What a charge is for are tokens, of the
/// request and of the answer together. A day's charge holds its corrections.
pub fn focus(report: &Report) -> String {
    let mut csv = line(HEAD.iter().map(|name| (*name).to_owned()));
    for group in &report.groups {
        let [day, team, key, model, target] = &group.labels[..] else {
            continue; // grouped by something else
        };
        let Ok(day) = day.parse::<NaiveDate>() else {
            continue;
        };
        let totals = &group.totals;
        let cost = totals.cost.to_string();
        let usage = &totals.usage;
        let tokens = usage
            .input_tokens
            .saturating_add(usage.output_tokens)
            .to_string();
        let (provider, sold) = target.split_once('/').unwrap_or(("tollgate", target));
        let month = day.with_day(1).unwrap_or(day);
        let next_month = month
            .checked_add_months(chrono::Months::new(1))
            .unwrap_or(day);
        let tomorrow = day.checked_add_days(Days::new(1)).unwrap_or(day);
        let tags = json!({"key": key, "model": model, "requests": totals.requests.to_string()});
        csv.push_str(&line(
            [
                cost.clone(),
                team.clone(),
                team.clone(),
                "USD".to_owned(),
                start(next_month),
                start(month),
                "Usage".to_owned(),
                String::new(),
                format!("{model} answered by {sold}"),
                "Usage-Based".to_owned(),
                start(tomorrow),
                start(day),
                tokens.clone(),
                "Tokens".to_owned(),
                cost.clone(),
                cost.clone(),
                provider.to_owned(),
                cost.clone(),
                tokens,
                "Tokens".to_owned(),
                provider.to_owned(),
                provider.to_owned(),
                target.clone(),
                "AI and Machine Learning".to_owned(),
                sold.to_owned(),
                key.clone(),
                tags.to_string(),
            ]
            .into_iter(),
        ));
    }
    csv
}

/// The beginning of a day, as the specification writes times.
fn start(day: NaiveDate) -> String {
    format!("{day}T00:00:00Z")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::Usage;
    use crate::spend::Usd;
    use crate::spend::ledger::{Group, Totals};

    #[test]
    fn a_charge_has_every_column() {
        let labels = ["2026-12-31", "search", "prod", "fast", "openai/gpt-5-mini"];
        let group = Group {
            labels: labels.map(str::to_owned).to_vec(),
            totals: Totals {
                cost: Usd::from_pico(1_250_000_000_000),
                usage: Usage {
                    input_tokens: 90,
                    output_tokens: 10,
                    ..Usage::default()
                },
                ..Totals::default()
            },
        };
        let report = Report {
            groups: vec![group],
            ..Report::default()
        };
        let csv = focus(&report);
        let (head, charge) = csv.trim_end().split_once("\r\n").unwrap();
        let names: Vec<&str> = head.split(',').collect();
        let fields: Vec<&str> = charge.splitn(27, ',').collect();
        let field = |name| fields[names.iter().position(|known| *known == name).unwrap()];
        assert_eq!(field("BilledCost"), "1.25");
        assert_eq!(field("BillingPeriodStart"), "2026-12-01T00:00:00Z");
        assert_eq!(field("ChargePeriodEnd"), "2027-01-01T00:00:00Z");
        assert_eq!(field("ConsumedQuantity"), "100");
        assert_eq!(field("ProviderName"), "openai");
        assert!(
            field("Tags").contains("search") || field("Tags").contains("prod"),
            "{charge}"
        );
    }
}
