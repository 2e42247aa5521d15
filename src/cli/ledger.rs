//! `tollgate ledger correct`: puts a sum right, by a row of its own with a reason.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use chrono::{NaiveDate, NaiveTime, Utc};

use super::spend;
use crate::spend::Usd;
use crate::spend::ledger::{Row, correct};
use crate::spend::prices::Decimal;

/// What can be done with the ledger.
#[derive(clap::Subcommand)]
pub enum Command {
    /// Add an amount to what was spent, or take one off; no row is ever changed
    Correct(Box<Correction>),
}

/// A correction.
#[derive(clap::Args)]
pub struct Correction {
    /// The team that the amount is put down to
    #[arg(long)]
    team: String,
    /// US dollars, as a decimal: 1.25 is added, -1.25 taken off
    #[arg(long, allow_hyphen_values = true)]
    usd: String,
    /// Why; it stands in the row
    #[arg(long)]
    reason: String,
    /// The day in UTC whose sums are put right; today by default
    #[arg(long)]
    day: Option<NaiveDate>,
    /// The key's name
    #[arg(long, default_value = "")]
    key: String,
    /// The model that was asked for
    #[arg(long, default_value = "")]
    model: String,
    /// The target that was called
    #[arg(long, default_value = "")]
    target: String,
    /// The configuration, whose ledger is meant
    #[arg(long, value_name = "FILE", conflicts_with = "ledger")]
    config: Option<PathBuf>,
    /// The ledger itself: sqlite:PATH or postgres://…
    #[arg(long, value_name = "URL")]
    ledger: Option<String>,
}

/// Does it.
pub fn run(command: &Command) -> Result<ExitCode> {
    let Command::Correct(correction) = command;
    let location = spend::location(correction.config.as_deref(), correction.ledger.as_deref())?;
    let id = uuid::Uuid::now_v7();
    correct(&location, row(correction, id)?)?;
    println!("{id}");
    Ok(ExitCode::SUCCESS)
}

fn row(correction: &Correction, id: uuid::Uuid) -> Result<Row<'_>> {
    if correction.reason.trim().is_empty() {
        bail!("--reason is empty: whoever reads the ledger later will want it");
    }
    let time = match correction.day {
        None => Utc::now(),
        Some(day) => day.and_time(NaiveTime::MIN).and_utc(),
    };
    Ok(Row {
        id,
        time_ms: time.timestamp_millis(),
        team: &correction.team,
        key: &correction.key,
        model: &correction.model,
        target: &correction.target,
        cost: Some(amount(&correction.usd)?),
        reason: Some(&correction.reason),
        ..Row::default()
    })
}

/// A decimal with a sign.
fn amount(text: &str) -> Result<Usd> {
    let (is_negative, size) = match text.strip_prefix('-') {
        Some(size) => (true, size),
        None => (false, text),
    };
    let size: Decimal = size.parse().with_context(|| format!("--usd `{text}`"))?;
    // A decimal has as many digits as a dollar has pico-dollars.
    let amount = Usd::from_pico(size.atto(1));
    Ok(if is_negative { -amount } else { amount })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_amount_is_exact_and_may_be_negative() {
        for (text, pico) in [
            ("1.25", 1_250_000_000_000),
            ("-0.000000000001", -1),
            ("0", 0),
        ] {
            assert_eq!(amount(text).unwrap(), Usd::from_pico(pico));
        }
        for text in ["", "-", "1,25", "$1", "--1"] {
            assert!(amount(text).is_err(), "{text}");
        }
    }
}
