//! `GET /admin/v1/spend`: what `tollgate spend` tells, with the same filters as a query.

use bytes::Bytes;
use chrono::{Datelike, NaiveDate, Utc};
use http::StatusCode;

use super::admin::{Answer, error, fields};
use crate::pipeline::Gateway;
use crate::spend::ledger::{LedgerError, Query, Reader};
use crate::spend::report;

/// The form of an answer.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Json,
    Csv,
    Focus,
}

/// Reads the ledger and tells.
pub async fn answer(query: &str, gateway: &Gateway) -> Answer {
    let (query, form) = match parse(query) {
        Ok(parsed) => parsed,
        Err(message) => return error(StatusCode::BAD_REQUEST, &message),
    };
    // The ledger that is written, which a reload does not change.
    let Some(location) = gateway.ledger_location.clone() else {
        return error(StatusCode::NOT_FOUND, "no `ledger` is configured");
    };
    let read = tokio::task::spawn_blocking(move || {
        let spent = Reader::open(&location)?.report(&query)?;
        Ok::<_, LedgerError>((query, spent))
    });
    let (query, spent) = match read.await {
        Ok(Ok(read)) => read,
        Ok(Err(problem)) => {
            log::error!("the ledger could not be read: {problem}");
            return error(
                StatusCode::SERVICE_UNAVAILABLE,
                "the ledger cannot be read at present",
            );
        }
        Err(_) => {
            return error(
                StatusCode::INTERNAL_SERVER_ERROR,
                "the ledger could not be read",
            );
        }
    };
    let (media_type, body) = match form {
        Form::Json => ("application/json", report::json(&query, &spent).to_string()),
        Form::Csv => ("text/csv; charset=utf-8", report::csv(&query, &spent)),
        Form::Focus => ("text/csv; charset=utf-8", report::focus(&spent)),
    };
    Answer {
        status: StatusCode::OK,
        media_type,
        body: Bytes::from(body),
    }
}

/// The first of the month, by default, and all teams.
fn parse(text: &str) -> Result<(Query, Form), String> {
    let today = Utc::now().date_naive();
    let mut query = Query {
        by: vec![report::by("team").expect("a grouping")],
        since: today.with_day(1),
        ..Query::default()
    };
    let mut form = Form::Json;
    for (name, value) in fields(text) {
        let date = || {
            let date = value.parse::<NaiveDate>();
            date.map_err(|_| format!("`{name}={value}` is no day such as 2027-01-31"))
        };
        match name {
            "by" => {
                let names = value.split(',');
                query.by = names
                    .map(|name| {
                        let unknown =
                            || format!("`by={name}` is none of team, key, model, target, day");
                        report::by(name).ok_or_else(unknown)
                    })
                    .collect::<Result<_, _>>()?;
            }
            "since" if value == "all" => query.since = None,
            "since" => query.since = Some(date()?),
            "until" => query.until = Some(date()?),
            "team" => query.team = Some(value),
            "key" => query.key = Some(value),
            "model" => query.model = Some(value),
            "target" => query.target = Some(value),
            "format" => {
                form = match value.as_str() {
                    "json" => Form::Json,
                    "csv" => Form::Csv,
                    "focus" => Form::Focus,
                    _ => return Err(format!("`format={value}` is none of json, csv, focus")),
                };
            }
            _ => {
                return Err(format!(
                    "`{name}` is none of by, since, until, team, key, model, target, format"
                ));
            }
        }
    }
    if form == Form::Focus {
        query.by = report::FOCUS_BY.to_vec();
    }
    Ok((query, form))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_names_groups_and_filters() {
        let (query, form) =
            parse("by=day,team&since=2027-01-01&until=2027-02-01&model=a%2Fb&format=csv").unwrap();
        assert_eq!(query.by.len(), 2);
        assert_eq!(query.since, NaiveDate::from_ymd_opt(2027, 1, 1));
        assert_eq!(query.until, NaiveDate::from_ymd_opt(2027, 2, 1));
        assert_eq!(query.model.as_deref(), Some("a/b"));
        assert!(form == Form::Csv);
    }

    #[test]
    fn what_is_wrong_with_a_query_is_named() {
        for (query, part) in [
            ("by=teams", "by=teams"),
            ("since=yesterday", "since=yesterday"),
            ("format=xml", "format=xml"),
            ("from=2027-01-01", "`from`"),
        ] {
            let message = parse(query).err().unwrap();
            assert!(message.contains(part), "{message}");
        }
    }
}
