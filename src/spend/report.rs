//! What was spent, as the command line and the admin API tell it: for people, as JSON, as CSV, and in FinOps FOCUS columns.

mod focus;
mod table;

pub use focus::{FOCUS_BY, focus};
pub use table::table;

use serde_json::{Map, Value, json};

use super::ledger::{By, Query, Report, Totals};
use crate::dialect::Usage;

type Column = (&'static str, fn(&Totals) -> Value);

/// The columns of a report, less the labels: name, and what it holds. Money is a plain decimal of US dollars, in a string
/// so that no reader makes a float of it.
const COLUMNS: &[Column] = &[
    ("cost_usd", |totals| json!(totals.cost.to_string())),
    ("savings_usd", |totals| json!(totals.savings.to_string())),
    ("requests", |totals| json!(totals.requests)),
    ("attempts", |totals| json!(totals.attempts)),
    ("errors", |totals| json!(totals.errors)),
    ("estimated", |totals| json!(totals.estimated)),
    ("unpriced", |totals| json!(totals.unpriced)),
    ("cache_hits", |totals| json!(totals.cache_hits)),
    ("corrections", |totals| json!(totals.corrections)),
];

/// The name of a grouping, as it is asked for and as a column is called.
pub const fn name(by: By) -> &'static str {
    match by {
        By::Team => "team",
        By::Key => "key",
        By::Model => "model",
        By::Target => "target",
        By::Day => "day",
    }
}

/// The grouping of that name.
pub fn by(name: &str) -> Option<By> {
    [By::Team, By::Key, By::Model, By::Target, By::Day]
        .into_iter()
        .find(|by| self::name(*by) == name)
}

/// As JSON: `{groups: [{team, …, cost_usd, …, usage}], total: {…}}`, amounts as strings, zeros of `usage` left out.
pub fn json(query: &Query, report: &Report) -> Value {
    let groups = report.groups.iter().map(|group| {
        let labels = query.by.iter().zip(&group.labels);
        let labels = labels.map(|(by, label)| (name(*by).to_owned(), json!(label)));
        let mut object: Map<String, Value> = labels.collect();
        object.extend(totals(&group.totals));
        Value::Object(object)
    });
    json!({
        "groups": groups.collect::<Vec<_>>(),
        "total": totals(&report.total),
    })
}

fn totals(totals: &Totals) -> Map<String, Value> {
    let columns = COLUMNS
        .iter()
        .map(|(name, value)| ((*name).to_owned(), value(totals)));
    let mut object: Map<String, Value> = columns.collect();
    let parts = Usage::NAMES.iter().zip(totals.usage.parts());
    let parts = parts.filter(|(_, count)| *count > 0);
    let usage: Map<String, Value> = parts
        .map(|(name, count)| ((*name).to_owned(), count.into()))
        .collect();
    object.insert("usage".to_owned(), usage.into());
    object
}

/// As CSV (RFC 4180) with a head: the labels, the columns of the JSON form, and every part of the usage.
pub fn csv(query: &Query, report: &Report) -> String {
    let labels = query.by.iter().map(|by| name(*by));
    let columns = COLUMNS.iter().map(|(name, _)| *name);
    let head = labels.chain(columns).chain(Usage::NAMES.iter().copied());
    let mut csv = line(head.map(str::to_owned));
    for group in &report.groups {
        let columns = COLUMNS.iter().map(|(_, value)| match value(&group.totals) {
            Value::String(text) => text,
            other => other.to_string(),
        });
        let parts = group.totals.usage.parts().map(|count| count.to_string());
        csv.push_str(&line(
            group.labels.iter().cloned().chain(columns).chain(parts),
        ));
    }
    csv
}

/// One line of CSV.
fn line(fields: impl Iterator<Item = String>) -> String {
    let quoted = fields.map(|field| {
        // A spreadsheet takes what begins so for a formula; names of models come from callers.
        let field = match field.starts_with(['=', '+', '@', '\t', '\r']) {
            true => format!("'{field}"),
            false => field,
        };
        match field.contains([',', '"', '\n', '\r']) {
            true => format!("\"{}\"", field.replace('"', "\"\"")),
            false => field,
        }
    });
    let mut line = quoted.collect::<Vec<_>>().join(",");
    line.push_str("\r\n");
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spend::Usd;
    use crate::spend::ledger::Group;

    /// Two teams, of which one has a name to be quoted.
    pub(super) fn report() -> (Query, Report) {
        let query = Query {
            by: vec![By::Team],
            ..Query::default()
        };
        let group = |name: &str, pico, input_tokens| Group {
            labels: vec![name.to_owned()],
            totals: Totals {
                attempts: 3,
                requests: 2,
                cost: Usd::from_pico(pico),
                usage: Usage {
                    input_tokens,
                    ..Usage::default()
                },
                ..Totals::default()
            },
        };
        let groups = vec![
            group("search, \"new\"", 1_500_000_000_000, 700),
            group("=cmd", 1, 5),
        ];
        let total = Totals {
            attempts: 6,
            requests: 4,
            cost: Usd::from_pico(1_500_000_000_001),
            ..Totals::default()
        };
        (query, Report { groups, total })
    }

    #[test]
    fn json_tells_amounts_exactly() {
        let (query, report) = report();
        let told = json(&query, &report);
        assert_eq!(told["groups"][1]["cost_usd"], "0.000000000001");
        assert_eq!(told["groups"][0]["usage"], json!({"input_tokens": 700}));
        assert_eq!(told["total"]["cost_usd"], "1.500000000001");
    }

    #[test]
    fn csv_quotes_and_runs_no_formula() {
        let (query, report) = report();
        let csv = csv(&query, &report);
        let lines: Vec<&str> = csv.split("\r\n").collect();
        assert!(
            lines[0].starts_with("team,cost_usd,savings_usd,requests"),
            "{csv}"
        );
        assert!(
            lines[1].starts_with("\"search, \"\"new\"\"\",1.5,0,2,3"),
            "{csv}"
        );
        assert!(lines[2].starts_with("'=cmd,0.000000000001,"), "{csv}");
    }
}
